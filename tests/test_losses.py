"""Losses: values by hand, gradients by finite differences, both against the reference."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reference import losses as reference
from snnsim import Network
from snnsim.errors import InputError
from snnsim.losses import Loss, first_spike_times, make_loss
from snnsim.spec import LossChoice

Array = NDArray[np.float64]

ON_LOGITS: list[dict[str, Any]] = [
    {"cross_entropy": {}},
    {"cross_entropy": {"label_smoothing": 0.1}},
    {"cross_entropy": {"label_smoothing": 1.0}},
    {"count_mse": {}},
    {"count_mse": {"correct": 0.9, "incorrect": 0.05}},
    {"mse": {}},
    {"mse": {"correct": 2.5, "incorrect": -1.0}},
]
ON_STEPS: list[dict[str, Any]] = [{"step_cross_entropy": {}}, {"step_cross_entropy": {"label_smoothing": 0.3}}]
ON_SPIKES: list[dict[str, Any]] = [{"first_spike_cross_entropy": {}}, {"first_spike_cross_entropy": {"tau": 2.5}}]
EVERY = ON_LOGITS + ON_STEPS + ON_SPIKES
STEPS = 6


def loss_of(choice: object) -> Loss:
    return make_loss(LossChoice.of(choice))


def draw(choice: dict[str, Any], seed: int, samples: int, classes: int) -> tuple[Array, NDArray[np.int64]]:
    """Return logits [M, K], step logits or spikes [M, T, K], or counts [M, K], as the loss takes them, and labels."""
    rng = np.random.default_rng(seed)
    shape = (samples, STEPS, classes) if loss_of(choice).per_step else (samples, classes)
    if loss_of(choice).needs_counts:
        z = rng.integers(0, STEPS + 1, shape).astype(np.float64)
    elif loss_of(choice).needs_spikes:
        z = (rng.random(shape) < 0.3).astype(np.float64)
    else:
        z = rng.normal(0, 3, shape)
    return z, rng.integers(0, classes, samples)


def by_reference(choice: dict[str, Any], z: Array, y: NDArray[np.int64]) -> tuple[float, Array]:
    ((name, options),) = choice.items()
    if name == "step_cross_entropy":
        value, gradient = reference.step_cross_entropy(np.moveaxis(z, 1, 0), y, **options)
        return value, np.moveaxis(gradient, 0, 1)
    if name == "first_spike_cross_entropy":
        value, gradient = reference.first_spike_cross_entropy(np.moveaxis(z, 1, 0), y, **options)
        return value, np.moveaxis(gradient, 0, 1)
    if name == "count_mse":
        return reference.count_mse(z, y, STEPS, **options)
    if name == "mse":
        return reference.mse(z, y, **options)
    return reference.cross_entropy(z, y, **options)


@pytest.mark.parametrize("choice", EVERY, ids=str)
@given(seed=st.integers(0, 2**20), samples=st.integers(1, 7), classes=st.integers(1, 9))
def test_against_the_reference(choice: dict[str, Any], seed: int, samples: int, classes: int) -> None:
    """Terms and gradients, averaged over the batch, are the reference's."""
    z, y = draw(choice, seed, samples, classes)
    terms, gradient = loss_of(choice)(z, y, STEPS)
    value, expected = by_reference(choice, z, y)
    assert terms.shape == (samples,)
    assert terms.mean() == pytest.approx(value, rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(gradient / samples, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("choice", EVERY, ids=str)
def test_gradients_are_slopes(choice: dict[str, Any]) -> None:
    """Each gradient is the central difference of its term."""
    z, y = draw(choice, seed=3, samples=4, classes=5)
    loss = loss_of(choice)
    _, gradient = loss(z, y, STEPS)
    width = 1e-5
    for place in np.ndindex(z.shape):
        moved = [z.copy(), z.copy()]
        moved[0][place] -= width
        moved[1][place] += width
        low, high = (loss(at, y, STEPS)[0][place[0]] for at in moved)
        assert gradient[place] == pytest.approx((high - low) / (2 * width), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("choice", EVERY, ids=str)
def test_terms_belong_to_samples(choice: dict[str, Any]) -> None:
    """A sample's term and gradient do not depend on the rest of the batch."""
    z, y = draw(choice, seed=4, samples=5, classes=3)
    terms, gradient = loss_of(choice)(z, y, STEPS)
    for b in range(5):
        alone, its_gradient = loss_of(choice)(z[b : b + 1], y[b : b + 1], STEPS)
        assert alone[0] == terms[b]
        np.testing.assert_array_equal(its_gradient[0], gradient[b])


def test_cross_entropy_by_hand() -> None:
    """Odds of 3 to 1 give log(4/3) for the right class and log 4 for the wrong one; smoothing mixes the two."""
    z = np.log([[3.0, 1.0], [3.0, 1.0]])
    y = np.array([0, 1])
    right, wrong = np.log(4 / 3), np.log(4)
    np.testing.assert_allclose(loss_of("cross_entropy")(z, y, 1)[0], [right, wrong])
    smoothed = loss_of({"cross_entropy": {"label_smoothing": 0.2}})(z, y, 1)[0]
    np.testing.assert_allclose(smoothed, [0.9 * right + 0.1 * wrong, 0.9 * wrong + 0.1 * right])


def test_step_cross_entropy_by_hand() -> None:
    """The mean over the steps, each with its own logits."""
    z = np.log([[[3.0, 1.0], [1.0, 1.0]]])
    terms, gradient = loss_of("step_cross_entropy")(z, np.array([0]), 2)
    np.testing.assert_allclose(terms, [(np.log(4 / 3) + np.log(2)) / 2])
    np.testing.assert_allclose(gradient, [[[-0.125, 0.125], [-0.25, 0.25]]])


def test_count_mse_by_hand() -> None:
    """Targets are rates times steps, not rounded; the mean is over classes."""
    choice = {"count_mse": {"correct": 0.75, "incorrect": 0.25}}
    terms, gradient = loss_of(choice)(np.array([[6.0, 3.0]]), np.array([0]), 10)
    np.testing.assert_allclose(terms, [(1.5**2 + 0.5**2) / 2])
    np.testing.assert_allclose(gradient, [[-1.5, 0.5]])


def test_max_membrane_cross_entropy_by_hand() -> None:
    """With ``readout: max`` cross entropy is that of each output's largest membrane over time."""
    network = Network.from_config(
        [{"dense": {"out": 2, "bias": False}}, {"li": {"beta": 0.5, "readout": "max"}}], input_shape=(2,)
    )
    network.parameters["0.weight"][...] = np.eye(2)
    x = np.array([[[1, 0]], [[1, 0]], [[0, 1]], [[0, 0]]], np.float32)
    assert network.run(x).logits.tolist() == [[1.5, 1.0]]
    loss, gradients = network.loss_and_gradients(x, [1])
    p = 1 / (1 + np.exp(-0.5))
    assert loss == pytest.approx(-np.log(1 - p))
    # Output 0 is largest at step 1, after an event at each of the steps 0 and 1; output 1 at its event, at step 2.
    np.testing.assert_allclose(gradients["0.weight"], p * np.array([[1.5, 0], [-0.75, -1]]), rtol=1e-6)


def test_mse_by_hand() -> None:
    """Of values the mean is over outputs; of classes the targets are ``correct`` and ``incorrect``."""
    z = np.array([[1.0, -1.0], [0.5, 0.0]])
    terms, gradient = loss_of("mse")(z, np.array([[0.0, 1.0], [0.5, 3.0]]), 10)
    np.testing.assert_allclose(terms, [(1 + 4) / 2, 9 / 2])
    np.testing.assert_allclose(gradient, [[1, -2], [0, -3]])
    terms, gradient = loss_of({"mse": {"correct": 3, "incorrect": -1}})(z, np.array([0, 1]), 10)
    np.testing.assert_allclose(terms, [4 / 2, (1.5**2 + 9) / 2])
    np.testing.assert_allclose(gradient, [[-2.0, 0.0], [1.5, -3.0]])


@given(seed=st.integers(0, 2**20), samples=st.integers(1, 7), outputs=st.integers(1, 9))
def test_mse_of_values_against_the_reference(seed: int, samples: int, outputs: int) -> None:
    """Also with targets that are values."""
    rng = np.random.default_rng(seed)
    z, y = rng.normal(0, 3, (2, samples, outputs))
    terms, gradient = loss_of("mse")(z, y, STEPS)
    value, expected = reference.mse(z, y)
    assert terms.mean() == pytest.approx(value, rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(gradient / samples, expected, rtol=1e-12, atol=1e-14)


def test_first_spike_times_by_hand() -> None:
    """The time is the first spike's step, T without one; each spike's derivative is what its change would do."""
    spikes = np.array([[0, 0, 1, 0, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.float64).T[None]
    times, slopes = first_spike_times(spikes)
    assert times.tolist() == [[2, 0, 5]]
    assert slopes[0].T.tolist() == [[-2, -1, -2, 0, 0], [-5, 0, 0, 0, 0], [-5, -4, -3, -2, -1]]


@given(seed=st.integers(0, 2**20), steps=st.integers(1, 8))
def test_first_spike_times_of_any_values(seed: int, steps: int) -> None:
    """The expression holds between 0 and 1 too; it is linear in each spike, so that its slopes are differences."""
    rng = np.random.default_rng(seed)
    spikes = np.where(rng.random((2, steps, 3)) < 0.3, rng.integers(0, 2, (2, steps, 3)), rng.random((2, steps, 3)))
    times, slopes = first_spike_times(spikes)
    expected, by_hand = reference.first_spike_times(np.moveaxis(spikes, 1, 0))
    np.testing.assert_allclose(times, expected, atol=1e-14)
    np.testing.assert_allclose(np.moveaxis(slopes, 1, 0), by_hand, atol=1e-14)
    for j in range(steps):
        low, high = spikes.copy(), spikes.copy()
        low[:, j], high[:, j] = 0, 1
        np.testing.assert_allclose(slopes[:, j], first_spike_times(high)[0] - first_spike_times(low)[0], atol=1e-12)


def test_first_spike_cross_entropy_by_hand() -> None:
    """Two steps earlier at ``tau`` 2 is odds of e."""
    spikes = np.array([[[0, 1], [0, 0], [1, 0]]], np.float64)
    terms, gradient = loss_of({"first_spike_cross_entropy": {"tau": 2}})(spikes, np.array([0]), 3)
    p = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(terms, [-np.log(1 - p)])
    # Earlier spikes of output 0, or none of output 1 at step 0, which then never fires, would be better.
    np.testing.assert_allclose(gradient[0], p / 2 * np.array([[-2, 3], [-1, 0], [-1, 0]]))


def test_who_fires_first_is_the_answer() -> None:
    """Of equally early outputs the one with more spikes, then the first, also where none fires."""
    trains = {
        "earlier, though seldom": ([[1, 0, 0], [0, 0, 1], [0, 0, 1]], 0),
        "as early, more often": ([[1, 1, 0], [0, 1, 0], [0, 1, 0]], 1),
        "all equal": ([[0, 0, 0], [0, 1, 1], [0, 1, 1]], 1),
        "none": ([[0, 0, 0], [0, 0, 0], [0, 0, 0]], 0),
    }
    steps = np.array([spikes for spikes, _ in trains.values()], np.float32)
    answers = loss_of("first_spike_cross_entropy").answers(steps.sum(axis=1), steps)
    assert answers.tolist() == [answer for _, answer in trains.values()]


def test_other_losses_answer_by_logits() -> None:
    """The largest logit is the answer, whatever the steps were."""
    logits = np.array([[1, 2, 2], [3, 0, 1]], np.float32)
    for choice in ("cross_entropy", "mse", "count_mse"):
        assert loss_of(choice).answers(logits, None).tolist() == [1, 0]


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_large_logits_stay_finite(size: float) -> None:
    """The softmax does not overflow."""
    terms, gradient = loss_of("cross_entropy")(np.array([[size, -size], [-size, size]]), np.array([0, 0]), 1)
    np.testing.assert_array_equal(terms, [0, 2 * size])
    np.testing.assert_array_equal(gradient, [[0, 0], [-1, 1]])


def test_a_networks_loss_is_the_mean_over_the_batch() -> None:
    """The loss of a batch is the mean of its samples' own."""
    network = Network.from_config([{"dense": 6}, "lif", {"dense": 3}, "li"], input_shape=(4,))
    x = (np.random.default_rng(0).random((5, 7, 4)) < 0.5).astype(np.float32)
    y = np.arange(7) % 3
    alone = [network.loss_and_gradients(x[:, b : b + 1], y[b : b + 1])[0] for b in range(7)]
    assert network.loss_and_gradients(x, y)[0] == pytest.approx(np.mean(alone), rel=1e-6)


@pytest.mark.parametrize("loss", ["count_mse", "first_spike_cross_entropy"])
def test_losses_on_spikes_need_spikes(loss: str) -> None:
    """A loss on counts or times is refused where the readout does not fire."""
    for end in ([{"dense": 3}, "li"], [{"dense": 3}]):
        network = Network.from_config([{"dense": 6}, "lif" if len(end) == 2 else "relu", *end], input_shape=(4,))
        with pytest.raises(InputError, match=f"{loss} needs a firing last layer with readout: count or rate"):
            network.loss_and_gradients(np.zeros((2, 1, 4)), [0], loss=loss)


SPIKING_ENDS: dict[str, Any] = {
    "mse": {"lif": {"readout": "rate"}},
    "first_spike_cross_entropy": {"lif": {"threshold": 0.5, "readout": "count"}},
}


@pytest.mark.parametrize("loss", SPIKING_ENDS)
@given(seed=st.integers(0, 2**20), cut=st.integers(1, 39))
def test_parts_of_a_batch_add_up(loss: str, seed: int, cut: int) -> None:
    """Loss and gradients of a batch are the means over its parts, wherever it is cut, and do not know of threads."""
    network = Network.from_config([{"dense": 6}, "lif", {"dense": 3}, SPIKING_ENDS[loss]], input_shape=(4,), seed=1)
    rng = np.random.default_rng(seed)
    x = (rng.random((5, 40, 4)) < 0.5).astype(np.float32)
    y = rng.normal(size=(40, 3)) if loss == "mse" else rng.integers(0, 3, 40)
    value, gradients = network.loss_and_gradients(x, y, loss=loss, threads=1)
    again, same = network.loss_and_gradients(x, y, loss=loss, threads=2)
    assert again == value
    assert all(np.array_equal(same[name], gradient) for name, gradient in gradients.items())
    parts = [
        (size, network.loss_and_gradients(x[:, part], y[part], loss=loss))
        for size, part in ((cut, slice(0, cut)), (40 - cut, slice(cut, 40)))
    ]
    assert sum(size * part[0] for size, part in parts) / 40 == pytest.approx(value, rel=1e-6)
    for name, gradient in gradients.items():
        summed = sum(size * part[1][name] for size, part in parts) / 40
        np.testing.assert_allclose(summed, gradient, rtol=1e-4, atol=1e-6)


def test_values_as_targets() -> None:
    """Floats [B, K], or [B] for one output, are values for ``mse``; integers are classes."""
    x = np.ones((3, 2, 4), np.float32)
    one, two = (Network.from_config([{"dense": out}, "li"], input_shape=(4,)) for out in (1, 2))
    z = two.run(x).logits.astype(np.float64)
    y = np.array([[0.5, -1.0], [2.0, 0.25]])
    assert two.loss_and_gradients(x, y, loss={"mse": {}})[0] == pytest.approx(((z - y) ** 2).mean())
    assert two.loss_and_gradients(x, [1, 0], loss="mse")[0] == pytest.approx(((z - np.eye(2)[[1, 0]]) ** 2).mean())
    column = one.loss_and_gradients(x, y[:, :1], loss="mse")
    assert one.loss_and_gradients(x, y[:, 0], loss="mse")[0] == column[0]


@pytest.mark.parametrize(
    ("loss", "targets", "message"),
    [
        ("cross_entropy", [[0.5, 1.0]], r"must be 1 integers .*; values, floats \[B, K\], need the loss mse"),
        ("cross_entropy", [0.0], "need the loss mse"),
        ("mse", [[0.5]], r"values must have shape \[1, 2\] \(got \[1, 1\]\)"),
        ("mse", [0.5], r"values must have shape \[1, 2\] \(got \[1\]\)"),
        ("mse", [[np.nan, 1.0]], "values must be finite 32-bit numbers"),
        ("mse", [[1e300, 1.0]], "values must be finite 32-bit numbers"),
        ("mse", [[1, 0]], r"must be 1 integers \(got shape \[1, 2\], int64\)$"),
        ("mse", [2], "must lie in 0 to 1"),
    ],
)
def test_targets_that_do_not_fit(loss: str, targets: Any, message: str) -> None:
    """Wrong shapes and kinds of targets are named with what would do."""
    network = Network.from_config([{"dense": 2}, "li"], input_shape=(4,))
    with pytest.raises(InputError, match=f"^labels: .*{message}"):
        network.loss_and_gradients(np.zeros((2, 1, 4)), targets, loss=loss)


@pytest.mark.parametrize(
    "loss",
    ["hinge", {"cross_entropy": {"smoothing": 0.1}}, {"count_mse": {"correct": 2.0}}, {"mse": {"correct": "high"}}, {}]
    + [{"first_spike_cross_entropy": {"tau": tau}} for tau in (0, -1.0, np.inf)],
)
def test_unknown_losses_are_refused(loss: object) -> None:
    """A loss's name, keys and ranges are checked."""
    network = Network.from_config([{"dense": 3}, "li"], input_shape=(4,))
    with pytest.raises(InputError, match="loss"):
        network.loss_and_gradients(np.zeros((2, 1, 4)), [0], loss=loss)
