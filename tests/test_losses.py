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
from snnsim.losses import Loss, make_loss
from snnsim.spec import LossChoice

Array = NDArray[np.float64]

ON_LOGITS: list[dict[str, Any]] = [
    {"cross_entropy": {}},
    {"cross_entropy": {"label_smoothing": 0.1}},
    {"cross_entropy": {"label_smoothing": 1.0}},
    {"count_mse": {}},
    {"count_mse": {"correct": 0.9, "incorrect": 0.05}},
]
ON_STEPS: list[dict[str, Any]] = [{"step_cross_entropy": {}}, {"step_cross_entropy": {"label_smoothing": 0.3}}]
STEPS = 6


def loss_of(choice: object) -> Loss:
    return make_loss(LossChoice.of(choice))


def draw(choice: dict[str, Any], seed: int, samples: int, classes: int) -> tuple[Array, NDArray[np.int64]]:
    """Return logits [M, K], step logits [M, T, K], or counts [M, K], as the loss takes them, and labels."""
    rng = np.random.default_rng(seed)
    shape = (samples, STEPS, classes) if loss_of(choice).per_step else (samples, classes)
    z = rng.integers(0, STEPS + 1, shape) if loss_of(choice).needs_counts else rng.normal(0, 3, shape)
    return z.astype(np.float64), rng.integers(0, classes, samples)


def by_reference(choice: dict[str, Any], z: Array, y: NDArray[np.int64]) -> tuple[float, Array]:
    ((name, options),) = choice.items()
    if name == "step_cross_entropy":
        value, gradient = reference.step_cross_entropy(np.moveaxis(z, 1, 0), y, **options)
        return value, np.moveaxis(gradient, 0, 1)
    if name == "count_mse":
        return reference.count_mse(z, y, STEPS, **options)
    return reference.cross_entropy(z, y, **options)


@pytest.mark.parametrize("choice", ON_LOGITS + ON_STEPS, ids=str)
@given(seed=st.integers(0, 2**20), samples=st.integers(1, 7), classes=st.integers(1, 9))
def test_against_the_reference(choice: dict[str, Any], seed: int, samples: int, classes: int) -> None:
    """Terms and gradients, averaged over the batch, are the reference's."""
    z, y = draw(choice, seed, samples, classes)
    terms, gradient = loss_of(choice)(z, y, STEPS)
    value, expected = by_reference(choice, z, y)
    assert terms.shape == (samples,)
    assert terms.mean() == pytest.approx(value, rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(gradient / samples, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("choice", ON_LOGITS + ON_STEPS, ids=str)
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


@pytest.mark.parametrize("choice", ON_LOGITS + ON_STEPS, ids=str)
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


def test_count_mse_needs_counts() -> None:
    """A loss on counts is refused where the readout does not fire."""
    network = Network.from_config([{"dense": 6}, "lif", {"dense": 3}, "li"], input_shape=(4,))
    with pytest.raises(InputError, match="count_mse needs a firing last layer with readout: count or rate"):
        network.loss_and_gradients(np.zeros((2, 1, 4)), [0], loss={"count_mse": {}})


@pytest.mark.parametrize("loss", ["hinge", {"cross_entropy": {"smoothing": 0.1}}, {"count_mse": {"correct": 2.0}}, {}])
def test_unknown_losses_are_refused(loss: object) -> None:
    """A loss's name, keys and ranges are checked."""
    network = Network.from_config([{"dense": 3}, "li"], input_shape=(4,))
    with pytest.raises(InputError, match="loss"):
        network.loss_and_gradients(np.zeros((2, 1, 4)), [0], loss=loss)
