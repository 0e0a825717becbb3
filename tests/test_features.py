"""Feature distillation: against the reference, by differences, in its limits, and what must not change a bit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oracles import assert_same_bits
from problems import EPOCH, Problem, assert_alive, assert_gradients_agree, make_problem
from reference.losses import loss_and_gradients
from snnsim import Events, InputError, Network
from snnsim.encoders import ConstantInput, EventInput
from snnsim.features import FeaturePairs, FeaturePenalty
from snnsim.regularizers import HiddenSpikes
from snnsim.spec import Features
from strategies import exact_values

Array = NDArray[Any]
TEMPERATURES = {"teacher_temperature": 4.0, "student_temperature": 2.0, "scale": "ts^2"}
NEURON = {"lif": {"beta": 0.75, "threshold": 0.75}}
LAYERS: list[dict[str, Any]] = [{"dense": 8}, NEURON, {"dense": 7}, NEURON, {"dense": 4}, {"li": {"beta": 0.75}}]
ENDS: list[dict[str, Any]] = [
    {"li": {"beta": 0.75}},
    {"li": {"beta": 0.75, "readout": "max"}},
    {"lif": {"beta": 0.75, "threshold": 0.5, "readout": "count"}},
]


def loss_of(layers: Sequence[Mapping[str, int]], alpha: float = 0.6, weight: float = 3.0) -> dict[str, Any]:
    method = {"features": {"layers": [dict(pair) for pair in layers], "weight": weight}}
    return {"distill": {**TEMPERATURES, "alpha": alpha, "method": method}}


def regressor(rng: np.random.Generator, k: int, features: int, neurons: int) -> dict[str, Array]:
    weight = rng.normal(size=(features, neurons)).astype(np.float32)
    return {f"features.{k}.weight": weight, f"features.{k}.bias": rng.normal(size=features).astype(np.float32)}


def taught(problem: Problem, shapes: Sequence[tuple[int, ...]], students: Sequence[int]) -> Problem:
    """Return the problem with a teacher whose features have some shapes, for layers of the student."""
    rng = np.random.default_rng(5)
    batch, network = problem.x.shape[1], problem.snnsim()
    regressors: dict[str, Array] = {}
    for k, (shape, student) in enumerate(zip(shapes, students, strict=True)):
        if np.prod(shape) != network.layers[student].size:
            regressors |= regressor(rng, k, int(np.prod(shape)), network.layers[student].size)
    said = {
        "teacher_logits": rng.normal(size=(batch, network.classes)) * 3,
        "teacher_features": [rng.random((batch, *shape)) for shape in shapes],
        "regressors": regressors,
    }
    pairs = [{"student": student, "teacher": 1} for student in students]
    return problem.with_(loss=loss_of(pairs), taught=said)


def assert_as_the_reference(problem: Problem) -> None:
    """Assert the reference's gradients, and its loss more closely than others are."""
    assert_alive(*assert_gradients_agree(problem))
    network = problem.snnsim()
    whole: dict[str, Any] = {
        "loss": problem.loss,
        "regularizers": problem.regularizers,
        "input_coding": problem.input_coding,
    }
    expected, _, _ = loss_and_gradients(
        problem.network, problem.parameters, problem.x, problem.y, **whole, **problem.taught
    )
    found, _ = network.loss_and_gradients(problem.x, problem.y, epoch=EPOCH, **whole, **problem.taught)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("input_coding", ["events", "direct"])
@pytest.mark.parametrize("end", ENDS, ids=str)
@pytest.mark.parametrize(
    ("shapes", "students"),
    [([(8,)], [1]), ([(7,)], [3]), ([(5,)], [1]), ([(8,), (3, 2, 2)], [1, 3]), ([(6,), (8,), (30,)], [1, 1, 3])],
    ids=str,
)
def test_against_the_reference(shapes: Any, students: Any, end: Any, input_coding: str) -> None:
    """Loss, gradients of the network and of regressors: layers of equal and other sizes, one or several."""
    problem = make_problem([*LAYERS[:-1], end], seed=1, input_coding=input_coding)
    assert_as_the_reference(taught(problem, shapes, students))


@pytest.mark.parametrize("surrogate", ["triangle", "fast_sigmoid"])
@pytest.mark.parametrize("kind", ["cuba_lif", "alif"])
def test_other_neurons(kind: str, surrogate: str) -> None:
    """Recurrent neurons with states of their own, surrogates of compact support, beside a penalty on spikes."""
    neuron = {kind: {"beta": 0.75, "threshold": 0.75, "recurrent": True, "surrogate": surrogate}}
    problem = make_problem([{"dense": 8}, neuron, {"dense": 7}, neuron, {"dense": 4}, {"li": {}}], seed=1)
    penalties = [{"rate_upper": {"weight": 2.0, "max_rate": 0.25}}]
    assert_as_the_reference(taught(problem.with_(regularizers=penalties), [(8,), (5,)], [1, 3]))


@pytest.mark.parametrize("features", [(3, 4, 4), (48,), (2, 5, 5)], ids=str)
def test_maps_of_a_convolution(features: tuple[int, ...]) -> None:
    """The maps of a convolution, also before a pool, are compared row-major [C, H, W]."""
    layers: list[Any] = [
        {"conv2d": {"out": 3, "kernel": 3}},
        {"lif": {"beta": 0.75, "threshold": 0.5}},
        {"max_pool2d": {"kernel": 2}},
        {"dense": 3},
        {"li": {"beta": 0.75}},
    ]
    rng = np.random.default_rng(2)
    x = (rng.random((5, 4, 2, 6, 6)) < 0.4).astype(np.float32)
    network = Network.from_config(layers, input_shape=(2, 6, 6))
    parameters = {name: exact_values(rng, array.shape, 0.5) for name, array in network.parameters.items()}
    problem = Problem(layers, parameters, x, rng.integers(0, 3, 4), {"cross_entropy": {}})
    assert_as_the_reference(taught(problem, [features], [1]))


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_in_segments(length: int) -> None:
    """Recomputed in segments the loss is the same to the bit, the mean being over all steps; cuts are as by hand."""
    problem = taught(make_problem(LAYERS, seed=1), [(8,), (5,)], [1, 3])
    network = problem.snnsim()
    options: dict[str, Any] = {"loss": problem.loss, **problem.taught}
    loss, gradients = network.loss_and_gradients(problem.x, problem.y, **options)
    again, same = network.loss_and_gradients(problem.x, problem.y, recompute_every=length, **options)
    assert again == loss
    assert gradients.keys() == same.keys()
    for name, gradient in gradients.items():
        # Segments add up a weight's gradient in another order, in float32.
        np.testing.assert_allclose(same[name], gradient, rtol=1e-5, atol=1e-6 * np.abs(gradient).max())
    assert_gradients_agree(problem.with_(truncate_every=length))


def test_a_network_without_weights_below() -> None:
    """Spikes that come straight from the input teach the regressor alone."""
    problem = make_problem([{"lif": {"threshold": 0.5}}, {"dense": 4}, "li"], seed=1)
    assert_gradients_agree(taught(problem, [(5,)], [0]))


def test_the_regressor_by_differences() -> None:
    """The loss is a square of the regressor's weights, so that a central difference is its derivative."""
    problem = taught(make_problem(LAYERS, seed=3), [(5,)], [1])
    network = problem.snnsim()

    def loss(regressors: Mapping[str, Array]) -> tuple[float, dict[str, Any]]:
        options = {**problem.taught, "regressors": regressors}
        return network.loss_and_gradients(problem.x, problem.y, loss=problem.loss, **options)

    given = problem.taught["regressors"]
    _, gradients = loss(given)
    for name, array in given.items():
        step = np.random.default_rng(1).normal(size=array.shape)
        plus, minus = (loss({**given, name: array + sign * step})[0] for sign in (1, -1))
        assert (plus - minus) / 2 == pytest.approx(float((gradients[name] * step).sum()), rel=1e-4)


def penalty_of(sizes: Sequence[int], batch: int, steps: int) -> tuple[FeaturePenalty, list[HiddenSpikes]]:
    """Return the penalty of three pairs on two hidden layers of 40 and 33 neurons, and their spikes."""
    student = Network.from_config(
        [{"dense": 40}, "lif", {"dense": 33}, "lif", {"dense": 2}, "li"], input_shape=(3,)
    ).layers
    rng = np.random.default_rng(0)
    options = Features.model_validate({"layers": [{"student": k, "teacher": 1} for k in (1, 3, 3)], "weight": 0.7})
    hidden = [HiddenSpikes(rng.integers(0, steps + 1, (batch, n)), steps, np.zeros(n, np.int64)) for n in (40, 33)]
    features = [rng.random((batch, size), np.float32) for size in sizes]
    return FeaturePairs(options, student, sizes, seed=4).penalty(features), hidden


def test_a_spike_more_or_less() -> None:
    """A term is a square of the spikes too: a spike's gradient is half of what two more would change."""
    penalty, hidden = penalty_of([40, 33, 21], batch=3, steps=7)
    _, gradients = penalty(hidden)
    for k, (layer, gradient) in enumerate(zip(hidden, gradients, strict=True)):
        for neuron in (0, layer.counts.shape[1] - 1):
            changed = []
            for sign in (1, -1):
                counts = layer.counts.copy()
                counts[:, neuron] += sign
                more = [HiddenSpikes(counts, 7, layer.fan_out) if j == k else other for j, other in enumerate(hidden)]
                changed.append(penalty(more)[0])
            # The difference is exact, the term quadratic; but regressors compute in float32, and here two terms cancel.
            np.testing.assert_allclose((changed[0] - changed[1]) / 2, gradient[:, neuron], rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("size", [1, 5, 16, 20])
def test_parts_of_a_batch_have_the_same_bits(size: int) -> None:
    """However a batch is cut, a sample's term and gradient are the same bits, and so are the regressors' gradients."""
    batch = 37
    penalty, hidden = penalty_of([40, 21, 50], batch, steps=7)
    terms, gradients = penalty(hidden)

    def run(task: Any, count: int) -> None:
        for k in reversed(range(count)):
            task(k)

    learned = {name: array.copy() for name, array in penalty.gradients(run).items()}
    assert learned.keys() == {f"features.{k}.{name}" for k in (1, 2) for name in ("weight", "bias")}
    for start in range(0, batch, size):
        part = slice(start, start + size)
        some = [HiddenSpikes(layer.counts[part], 7, layer.fan_out) for layer in hidden]
        own_terms, own_gradients = penalty.for_samples(part)(some)
        assert_same_bits(own_terms, terms[part])
        for own, gradient in zip(own_gradients, gradients, strict=True):
            assert_same_bits(own, gradient[part])
    for name, array in penalty.gradients(run).items():
        assert_same_bits(array, learned[name])


def test_threads_change_no_bit() -> None:
    """Loss and gradients, the regressors' too, are the same bits on any number of threads."""
    problem = taught(make_problem(LAYERS, seed=2, batch=70), [(8,), (50,)], [1, 3])
    network = problem.snnsim()
    options: dict[str, Any] = {"loss": problem.loss, **problem.taught}
    loss, gradients = network.loss_and_gradients(problem.x, problem.y, threads=1, **options)
    for threads in (2, 3):
        again, same = network.loss_and_gradients(problem.x, problem.y, threads=threads, **options)
        assert again == loss
        for name, gradient in gradients.items():
            assert_same_bits(same[name], gradient)


def test_the_terms_add_up() -> None:
    """The labels' loss, the logits' divergence and the features are weighed as documented; with alpha 0 no logits."""
    problem = taught(make_problem(LAYERS, seed=1), [(8,)], [1])
    network, said = problem.snnsim(), dict(problem.taught)
    logits = said.pop("teacher_logits")
    labels, _ = network.loss_and_gradients(problem.x, problem.y)
    pairs = [{"student": 1, "teacher": 1}]
    features = network.loss_and_gradients(problem.x, problem.y, loss=loss_of(pairs, 0.0, 1.0), **said)[0] - labels
    rates = problem.snnsim().run(problem.x, record="spikes").spikes[1].mean(axis=0)
    assert features == pytest.approx(((rates - said["teacher_features"][0]) ** 2).mean(), rel=1e-5)
    on_logits: dict[str, Any] = {"distill": {**TEMPERATURES, "alpha": 0.6}}
    plain, same = network.loss_and_gradients(problem.x, problem.y, loss=on_logits, teacher_logits=logits)
    for weight in (0.0, 3.0):
        whole, gradients = network.loss_and_gradients(
            problem.x, problem.y, loss=loss_of(pairs, 0.6, weight), teacher_logits=logits, **said
        )
        assert whole == pytest.approx(plain + weight * features, rel=1e-6)
        for name, gradient in gradients.items():
            assert np.array_equal(gradient, same[name]) == (weight == 0 or int(name[0]) > 1)


ANN: list[Any] = [{"conv2d": {"out": 2, "kernel": 3}}, "relu", {"dense": 6}, "relu", {"dense": 3}]
SNN: list[Any] = [
    {"conv2d": {"out": 2, "kernel": 3}},
    {"lif": {"threshold": 0.2}},
    "relu",
    {"dense": 5},
    {"lif": {"threshold": 0.1, "readout": "rate"}},
]


@pytest.mark.parametrize("threads", [1, 2])
def test_outputs_of_an_ann(threads: int) -> None:
    """Features of a relu layer are its output, the same bits in any batch."""
    network = Network.from_config(ANN, input_shape=(1, 6, 6), seed=1)
    x = np.random.default_rng(0).normal(size=(21, 36)).astype(np.float32)
    run = network.run(x.reshape(1, 21, 1, 6, 6), record="membrane", input_coding="direct", num_steps=1)
    found = network.mean_outputs(ConstantInput(x, 20), [3, 1, 1], threads=threads)
    for index, features in zip((3, 1, 1), found, strict=True):
        assert_same_bits(features, np.maximum(run.membrane[index][0], 0).reshape(21, -1))
    (alone,) = network.mean_outputs(ConstantInput(x[7:8], 1), [3])
    assert_same_bits(alone, found[0][7:8])


def test_outputs_of_an_snn() -> None:
    """Features of a firing layer are its spikes averaged over time, for events and constant input."""
    network = Network.from_config(SNN, input_shape=(1, 6, 6), seed=1)
    x = (np.random.default_rng(0).random((5, 21, 1, 6, 6)) < 0.5).astype(np.float32)
    cases: list[tuple[Any, dict[str, Any]]] = [
        (EventInput(Events.from_dense(x)), {}),
        (ConstantInput(x[0].reshape(21, -1), 5), {"input_coding": "direct"}),
    ]
    for batch, options in cases:
        shown = np.repeat(x[:1], 5, axis=0) if options else x
        run = network.run(shown, record="spikes", **options)
        assert run.spikes[1].any()
        found = network.mean_outputs(batch, [1, 2, 4])
        for index, features in zip((1, 1, 4), found, strict=True):
            expected = (run.spikes[index].sum(axis=0, dtype=np.float64) / 5).astype(np.float32)
            # A mean of float32 against one of float64: the last bit may differ.
            np.testing.assert_allclose(features, expected.reshape(21, -1), rtol=1e-6)


@pytest.mark.parametrize(
    ("pairs", "said", "message"),
    [
        ([(1, 1)], {"teacher_features": None}, r"method features needs 1 arrays \[2, ...\], one a pair \(got none\)"),
        ([(1, 1), (3, 1)], {}, r"needs 2 arrays .*\(got 1\)"),
        ([(1, 1)], {"teacher_features": [np.zeros(2)]}, r"teacher_features.0: must be numbers of shape \[2, ...\]"),
        ([(1, 1)], {"teacher_features": [np.zeros((3, 8))]}, r"teacher_features.0: must be .* \(got \[3, 8\]"),
        ([(1, 1)], {"teacher_features": [np.full((2, 8), "a")]}, "teacher_features.0: must be numbers"),
        ([(1, 1)], {"teacher_features": [np.full((2, 8), np.nan)]}, "teacher_features.0: holds NaN"),
        ([(1, 1)], {"teacher_features": [np.full((2, 8), 1e300)]}, "too large for float32"),
        ([(3, 1)], {}, r"regressors: needs features.0.weight, finite numbers of shape \[8, 7\]"),
        ([(3, 1)], {"regressors": {"features.0.weight": np.zeros((8, 7))}}, r"needs features.0.bias, .* shape \[8\]"),
        ([(1, 1)], {"regressors": {"features.0.bias": np.zeros(8)}}, "features.0.bias belongs to no pair"),
        ([(0, 1)], {}, "compares a hidden firing layer, and the student's layer 0 is dense; take one of 1, 3"),
        ([(5, 1)], {}, "the student's layer 5 is lif; take one of 1, 3"),
        ([(6, 1)], {}, "the student has no layer 6"),
        ([], {}, "loss.distill.method.features.layers: must have at least 1 entry"),
        ([(-1, 1)], {}, "layers.0.student: must be >= 0"),
    ],
)
def test_bad_input(pairs: Sequence[tuple[int, int]], said: dict[str, Any], message: str) -> None:
    """What is missing or does not fit is named."""
    network = Network.from_config([*LAYERS[:-1], {"lif": {"readout": "rate"}}], input_shape=(9,))
    options: dict[str, Any] = {"teacher_features": [np.zeros((2, 8))], "teacher_logits": np.zeros((2, 4))} | said
    loss = loss_of([{"student": student, "teacher": teacher} for student, teacher in pairs])
    with pytest.raises(InputError, match=message):
        network.loss_and_gradients(np.ones((3, 2, 9)), [0, 1], loss=loss, **options)


def test_features_that_nobody_asked_for() -> None:
    """Features or regressors for a loss without them are an error, and so is a missing teacher's logits."""
    network = Network.from_config(LAYERS, input_shape=(9,))
    x: Array = np.ones((3, 2, 9))
    with pytest.raises(InputError, match="teacher_features: this loss takes none"):
        network.loss_and_gradients(x, [0, 1], teacher_features=[np.zeros((2, 8))])
    with pytest.raises(InputError, match="regressors: this loss takes none"):
        network.loss_and_gradients(x, [0, 1], regressors={})
    with pytest.raises(InputError, match="teacher_logits: distillation needs the teacher's logits"):
        network.loss_and_gradients(
            x, [0, 1], loss=loss_of([{"student": 1, "teacher": 1}]), teacher_features=[np.zeros((2, 8))]
        )


def test_a_regressor_beyond_the_memory() -> None:
    """A regressor that cannot fit is refused before it is drawn."""
    network = Network.from_config(LAYERS, input_shape=(9,))
    options = Features.model_validate({"layers": [{"student": 1, "teacher": 1}]})
    with pytest.raises(InputError, match="GiB, more than this machine's"):
        FeaturePairs(options, network.layers, [10**12], seed=0)
