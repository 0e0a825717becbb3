"""Distillation: against the reference cases, by finite differences, in its limits, and through a network."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reading import Case, cases_of
from snnsim import Events, Network
from snnsim.distillation import (
    Decoupled,
    Distillation,
    HeadTail,
    HeterogeneousTemperatures,
    LogitStandardisation,
    Method,
    PerStep,
    TemporalSelf,
    make_distillation,
    taught_loss,
)
from snnsim.errors import InputError
from snnsim.losses import SoftmaxCrossEntropy, SpikeCountMse, StepSoftmaxCrossEntropy
from snnsim.spec import Distill, TaughtLossChoice, parse
from strategies import seeds

Array = NDArray[np.float64]
CASES = cases_of("distill_loss")
METHODS: list[Method] = [
    HeterogeneousTemperatures(8, 1, "ts^2"),
    HeterogeneousTemperatures(2, 3, "ts*tt"),
    HeterogeneousTemperatures(5, 2, "1"),
    LogitStandardisation(2, 0, 1e-6),
    LogitStandardisation(3, 1, 1e-2),
    Decoupled(4, 1, 8),
    Decoupled(1, 0, 2),
    PerStep(2, 0.5, 0),
    PerStep(3, 0.7, 0.3),
    TemporalSelf(2),
    HeadTail(2),
]


def method_of(case: Case) -> Any:
    """Return what a case is about: a loss of ours by its name and options."""
    name, options = case.meta["method"], dict(case.meta["options"])
    if name in ("logit_standardisation", "decoupled", "per_step"):
        return parse_distill(
            {"alpha": 1.0, "method": {name: options}} if name != "per_step" else {"method": {name: options}}
        )
    return taught_loss(parse(TaughtLossChoice, {name: options}, ("loss",)))


def parse_distill(options: dict[str, Any]) -> Distillation:
    return make_distillation(Distill.model_validate(options), SoftmaxCrossEntropy(0.0))


@pytest.mark.parametrize("case", [c for c in CASES if c.meta["method"] != "logit_l2"], ids=lambda case: case.name)
def test_values_of_other_software(case: Case) -> None:
    """Loss and gradient are the reference's, far below its tolerance."""
    loss = method_of(case)
    z = case.inputs[case.meta["wrt"]].astype(np.float64)
    z = np.moveaxis(z, 0, 1) if loss.per_step else z
    if isinstance(loss, Distillation):
        loss = loss.taught(case.inputs["teacher_logits"])
    terms, gradient = loss(z, case.inputs["y"], case.meta["num_steps"])
    gradient = (np.moveaxis(gradient, 0, 1) if loss.per_step else gradient) / terms.size
    np.testing.assert_allclose(terms.mean(), case.expected["loss"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(gradient, case.expected["grad"], rtol=1e-5, atol=1e-9)


def draw(method: Method, seed: int, classes: int) -> tuple[Array, Array, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(3, 4, classes) if method.per_step else (3, classes)) * 3
    return z, rng.normal(size=(3, classes)) * 5, rng.integers(0, classes, 3)


@pytest.mark.parametrize("method", METHODS, ids=str)
@given(seeds, st.integers(2, 12))
def test_gradients(method: Method, seed: int, classes: int) -> None:
    """The gradient is the derivative of the terms; what is detached stays as it is."""
    z, teacher, labels = draw(method, seed, classes)
    terms, gradient = method(z, teacher, labels)
    assert terms.shape == (3,)
    assert gradient.shape == z.shape
    if isinstance(method, TemporalSelf | HeadTail):
        return  # these have detached parts: see below
    step = 1e-5
    direction = np.random.default_rng(seed + 1).normal(size=z.shape)
    plus, _ = method(z + step * direction, teacher, labels)
    minus, _ = method(z - step * direction, teacher, labels)
    slope = (gradient * direction).reshape(3, -1).sum(axis=1)
    np.testing.assert_allclose((plus - minus) / (2 * step), slope, rtol=1e-4, atol=1e-5 * (1 + np.abs(slope).max()))


@given(seeds, st.integers(2, 12))
def test_head_and_tail(seed: int, classes: int) -> None:
    """Head and tail are sorted by the teacher; the gradient is that of both divergences with the weights held."""
    method = HeadTail(2.0)
    z, teacher, labels = draw(method, seed, classes)
    terms, gradient = method(z, teacher, labels)
    for b in range(3):
        p = np.exp(teacher[b] / 2) / np.exp(teacher[b] / 2).sum()

        def divergences(logits: Array, p: Array = p) -> Array:
            q = np.exp(logits / 2) / np.exp(logits / 2).sum()
            return np.array([(p * np.log(p / q)).sum(), (q * np.log(q / p)).sum()])

        q = np.exp(z[b] / 2) / np.exp(z[b] / 2).sum()
        head: list[int] = []
        reached = 0.0
        for k in np.argsort(-p, kind="stable"):
            reached += p[k]
            if head and reached > 0.5:
                break
            head.append(k)
        gap = np.abs(p - q)
        of_head = gap[head].sum() / gap.sum()
        weights = np.array([of_head, 1 - of_head])
        np.testing.assert_allclose(terms[b], 4 * weights @ divergences(z[b]), rtol=1e-9)
        for k in range(classes):
            step = 1e-5 * np.eye(classes)[k]
            slope = weights @ (divergences(z[b] + step) - divergences(z[b] - step)) / 2e-5
            np.testing.assert_allclose(gradient[b, k], 4 * slope, rtol=1e-4, atol=1e-6)


@given(seeds, st.integers(2, 12))
def test_a_student_that_teaches_itself(seed: int, classes: int) -> None:
    """The target is the mean of the correct steps, held; without one there is neither term nor gradient."""
    method = TemporalSelf(2.0)
    z, teacher, labels = draw(method, seed, classes)
    terms, gradient = method(z, teacher, labels)
    for b in range(3):
        correct = z[b].argmax(axis=1) == labels[b]
        if not correct.any():
            assert terms[b] == 0
            assert not gradient[b].any()
            continue
        expected, slope = HeterogeneousTemperatures(2, 2, "ts^2")(
            z[b], np.repeat(z[b][correct].mean(axis=0)[None], 4, axis=0), np.repeat(labels[b], 4)
        )
        np.testing.assert_allclose(terms[b], expected.mean(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(gradient[b], slope / 4, rtol=1e-9, atol=1e-12)


@given(seeds, st.floats(0.5, 20), st.floats(0.5, 20))
def test_scaled_teacher(seed: int, of_teacher: float, of_student: float) -> None:
    """Two temperatures are one, on teacher logits multiplied by their ratio."""
    two = HeterogeneousTemperatures(of_teacher, of_student, "ts^2")
    one = HeterogeneousTemperatures(of_student, of_student, "ts^2")
    z, teacher, labels = draw(two, seed, 7)
    scaled = one(z, teacher * of_student / of_teacher, labels)
    for found, expected in zip(two(z, teacher, labels), scaled, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@given(seeds, st.floats(0.5, 20), st.sampled_from(["ts^2", "ts*tt"]))
def test_equal_temperatures_are_conventional(seed: int, temperature: float, scale: str) -> None:
    """At equal temperatures it is Hinton's loss, tau^2 times the divergence."""
    method = HeterogeneousTemperatures(temperature, temperature, scale)
    z, teacher, labels = draw(method, seed, 7)
    p = np.exp(teacher / temperature) / np.exp(teacher / temperature).sum(axis=1, keepdims=True)
    q = np.exp(z / temperature) / np.exp(z / temperature).sum(axis=1, keepdims=True)
    terms, gradient = method(z, teacher, labels)
    np.testing.assert_allclose(terms, temperature**2 * (p * np.log(p / q)).sum(axis=1), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(gradient, temperature * (q - p), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("logits", ["silent", "equal", "huge", "two classes"])
def test_limits(method: Method, logits: str) -> None:
    """Silent students, students that equal their teacher, and huge logits give finite numbers, without a warning."""
    shape = (2, 4, 2 if logits == "two classes" else 5)
    teacher = np.random.default_rng(0).normal(size=(2, shape[-1])) * (1e4 if logits == "huge" else 3)
    z = {
        "silent": np.zeros(shape),
        "equal": np.repeat(teacher[:, None], 4, axis=1),
        "huge": np.random.default_rng(1).normal(size=shape) * 1e4,
        "two classes": np.ones(shape),
    }[logits]
    z = z if method.per_step else z[:, 0]
    for array in method(z, teacher, np.array([0, 1])):
        assert np.isfinite(array).all()
    if logits == "equal" and not method.complete:
        same = HeterogeneousTemperatures(2, 2, "1") if isinstance(method, HeterogeneousTemperatures) else method
        terms, gradient = same(z, teacher, np.array([0, 1]))
        np.testing.assert_allclose(terms, 0, atol=1e-9)
        np.testing.assert_allclose(gradient, 0, atol=1e-9)


NETWORK = [{"dense": 12}, "lif", {"dense": 4}, "li"]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"scale": "ts*tt", "alpha": 0.5},
    {"scale": 1},
    {"method": "logit_standardisation"},
    {"method": {"decoupled": {"beta": 2}}},
    {"method": {"per_step": {"entropy": 0.1}}},
    {"method": "temporal_self", "alpha": 0.3},
    {"method": "head_tail"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_through_a_network(options: dict[str, Any]) -> None:
    """Loss and gradients are means over the batch: of its samples one by one, on any number of threads."""
    rng = np.random.default_rng(3)
    network = Network.from_config(NETWORK, input_shape=(9,), seed=1)
    x = Events.from_dense(rng.random((6, 21, 9)) < 0.4)
    labels, teacher = rng.integers(0, 4, 21), rng.normal(size=(21, 4)) * 4
    taught = None if options.get("method") == "temporal_self" else teacher
    whole: dict[str, Any] = {"loss": {"distill": options}, "teacher_logits": taught}
    loss, gradients = network.loss_and_gradients(x, labels, threads=1, **whole)
    for threads in (2, 3):
        again, same = network.loss_and_gradients(x, labels, threads=threads, **whole)
        assert again == loss
        assert all(np.array_equal(same[name], gradients[name]) for name in gradients)
    single = []
    for b in range(21):
        own = None if taught is None else taught[b : b + 1]
        part: dict[str, Any] = {"loss": {"distill": options}, "teacher_logits": own}
        single.append(network.loss_and_gradients(x.samples(b, b + 1), labels[b : b + 1], threads=1, **part))
    assert loss == pytest.approx(np.mean([one for one, _ in single]), rel=1e-6)
    for name, gradient in gradients.items():
        mean = np.mean([of_one[name] for _, of_one in single], axis=0)
        np.testing.assert_allclose(gradient, mean, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "teacher", "message"),
    [
        ({}, None, r"teacher_logits: distillation needs the teacher's logits, \[2, 4\]"),
        ({}, np.zeros((2, 3)), r"teacher_logits: must be numbers of shape \[2, 4\]"),
        ({}, np.full((2, 4), np.nan), "teacher_logits: holds NaN"),
        ({"method": "temporal_self"}, np.zeros((2, 4)), "teacher_logits: this loss takes none"),
        ({"teacher_temperature": 0}, np.zeros((2, 4)), "loss.distill.teacher_temperature: must be > 0"),
        ({"alpha": 2}, np.zeros((2, 4)), "loss.distill.alpha: must be <= 1"),
        ({"scale": "tt"}, np.zeros((2, 4)), "loss.distill.scale"),
        ({"method": "decouplet"}, np.zeros((2, 4)), "unknown method 'decouplet'.*decoupled"),
        ({"student_temperature": 2, "method": "decoupled"}, None, "options of its own in place of student_temperature"),
        ({"alpha": 0.5, "method": "per_step"}, None, "options of its own in place of alpha"),
    ],
)
def test_bad_input(options: dict[str, Any], teacher: Any, message: str) -> None:
    """What is missing or wrong is named."""
    network = Network.from_config(NETWORK, input_shape=(9,))
    with pytest.raises(InputError, match=message):
        network.loss_and_gradients(
            np.ones((3, 2, 9)), [0, 1], loss={"distill": options}, teacher_logits=teacher, threads=1
        )


def test_losses_that_do_not_go_with_a_teacher() -> None:
    """Distillation is of class logits; a per-step loss goes with a per-step method."""
    with pytest.raises(InputError, match="goes with cross_entropy or step_cross_entropy"):
        make_distillation(Distill(), SpikeCountMse(1, 0))
    with pytest.raises(InputError, match="compares each step"):
        make_distillation(Distill(), StepSoftmaxCrossEntropy(0.0))
    smoothed = make_distillation(Distill.model_validate({"method": "temporal_self"}), SoftmaxCrossEntropy(0.1))
    assert isinstance(smoothed.of_labels, StepSoftmaxCrossEntropy)
    assert smoothed.of_labels.label_smoothing == 0.1
