"""Optimizers against the reference in float64, on functions whose minimum is known."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference.optimizers import Optimizer as ReferenceOptimizer

from snnsim.errors import InputError
from snnsim.spec import OptimizerChoice
from snnsim.training.optimizers import Optimizer, clip_norm, make_optimizer

Arrays = Mapping[str, NDArray[Any]]
Float32 = dict[str, NDArray[np.float32]]

SCALE = np.array([[1.0, 0.3, 2.0], [0.5, 1.5, 0.1]])


def quadratic(p: Arrays) -> tuple[float, dict[str, NDArray[np.float64]]]:
    """Return a bowl of unequal widths, lowest at weight = 1 and bias = -2, and its gradient."""
    from_1, from_2 = p["weight"].astype(np.float64) - 1, p["bias"].astype(np.float64) + 2
    value = float((SCALE * from_1**2).sum() + (from_2**2).sum()) / 2
    return value, {"weight": SCALE * from_1, "bias": from_2}


def rosenbrock(p: Arrays) -> tuple[float, dict[str, NDArray[np.float64]]]:
    """Return Rosenbrock's banana in three pairs (weight[0], weight[1]), lowest at 1, the bias as a bowl beside it."""
    x, y = p["weight"].astype(np.float64)
    bend = y - x**2
    bias = p["bias"].astype(np.float64)
    value = float(((1 - x) ** 2 + 10 * bend**2).sum() + (bias**2).sum() / 2)
    return value, {"weight": np.stack([-2 * (1 - x) - 40 * x * bend, 20 * bend]), "bias": bias}


def start() -> Float32:
    """Return a matrix that lies column by column in memory, as a dense layer's weights do, and a vector."""
    weight = np.array([[-0.6, 0.4], [0.2, -0.4], [0.9, 0.1]], np.float32).T
    assert not weight.flags.c_contiguous
    return {"weight": weight, "bias": np.array([0.5, -0.25, 1.0, 0.0], np.float32)}


FUNCTIONS = [quadratic, rosenbrock]
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {"lr": 0.01}),
    ("sgd", {"lr": 0.005, "momentum": 0.8}),
    ("sgd", {"lr": 0.005, "momentum": 0.8, "nesterov": True}),
    ("sgd", {"lr": 0.005, "momentum": 0.5, "weight_decay": 0.01}),
    ("sgd", {"lr": 0.005, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("adam", {"lr": 0.02}),
    ("adam", {"lr": 0.02, "betas": [0.8, 0.99], "eps": 1e-4}),
    ("adam", {"lr": 0.02, "weight_decay": 0.01}),
    ("adamw", {"lr": 0.02}),
    ("adamw", {"lr": 0.02, "weight_decay": 0.1}),
    ("adamw", {"lr": 0.02, "weight_decay": 0.0}),
]
every_row = pytest.mark.parametrize(("name", "options"), ROWS, ids=str)
every_function = pytest.mark.parametrize("function", FUNCTIONS)
Function = Callable[[Arrays], tuple[float, dict[str, NDArray[np.float64]]]]


def optimizer_of(name: str, options: dict[str, Any], parameters: Float32) -> Optimizer:
    return make_optimizer(OptimizerChoice.of({name: options}), parameters)


def gradients_at(function: Function, parameters: Float32) -> Float32:
    return {name: gradient.astype(np.float32) for name, gradient in function(parameters)[1].items()}


@every_row
@every_function
def test_trajectory(function: Function, name: str, options: dict[str, Any]) -> None:
    """Two hundred steps, at a rate that changes, stay with the float64 reference and go down."""
    parameters = start()
    optimizer = optimizer_of(name, options, parameters)
    reference = ReferenceOptimizer(name, options, start())
    first = function(parameters)[0]
    for k in range(200):
        lr = options["lr"] * (1 - k / 400)
        optimizer.step(gradients_at(function, parameters), lr)
        reference.step(function(reference.parameters)[1], lr)
    for key, expected in reference.parameters.items():
        np.testing.assert_allclose(parameters[key], expected, rtol=0, atol=1e-4)
        assert np.abs(expected - start()[key]).max() > 0.1
    assert function(parameters)[0] < 0.6 * first


@pytest.mark.parametrize(
    ("name", "options"),
    [("sgd", {"lr": 0.02, "momentum": 0.8}), ("adam", {"lr": 0.05}), ("adamw", {"lr": 0.05, "weight_decay": 0.0})],
    ids=str,
)
@every_function
def test_the_minimum_is_found(function: Function, name: str, options: dict[str, Any]) -> None:
    """Without weight decay, enough steps end in the minimum."""
    parameters = start()
    optimizer = optimizer_of(name, options, parameters)
    for k in range(2500):
        optimizer.step(gradients_at(function, parameters), options["lr"] * (1 - k / 2500))
    assert function(parameters)[0] < 1e-4


def test_a_first_step_by_hand() -> None:
    """SGD moves by lr times the gradient, Adam by lr whatever its size, AdamW shrinks the parameter beforehand."""
    for name, options, expected in (
        ("sgd", {"lr": 0.5}, [0.5, 3.0]),
        ("adam", {"lr": 0.5}, [0.5, 2.5]),
        ("adamw", {"lr": 0.5, "weight_decay": 0.1}, [0.45, 2.35]),
    ):
        parameters = {"w": np.array([1.0, 3.0], np.float32)}
        optimizer_of(name, options, parameters).step({"w": np.array([1.0, 1e-3], np.float32)}, 0.5)
        np.testing.assert_allclose(parameters["w"], expected, rtol=1e-3)


@every_row
def test_a_stored_state_goes_on_alike(name: str, options: dict[str, Any]) -> None:
    """Saved after some steps and loaded into a new optimizer, the rest of the trajectory has the same bits."""
    parameters = start()
    optimizer = optimizer_of(name, options, parameters)
    for _ in range(7):
        optimizer.step(gradients_at(rosenbrock, parameters), optimizer.lr)
    state = {key: array.copy() for key, array in optimizer.state().items()}
    others = {key: array.copy("K") for key, array in parameters.items()}
    other = optimizer_of(name, options, others)
    other.load(state)
    for _ in range(7):
        optimizer.step(gradients_at(rosenbrock, parameters), optimizer.lr)
        other.step(gradients_at(rosenbrock, others), other.lr)
    for key, array in parameters.items():
        np.testing.assert_array_equal(others[key], array)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_foreign_state_is_refused(name: str) -> None:
    """A state of other parameters, or of none, is not taken over."""
    foreign = optimizer_of(name, {"lr": 0.1}, {"weight": np.zeros(2, np.float32), "bias": np.zeros(4, np.float32)})
    optimizer = optimizer_of(name, {"lr": 0.1}, start())
    with pytest.raises(InputError, match=r"optimizer state: \w+/weight is missing or has another shape"):
        optimizer.load(foreign.state())
    with pytest.raises(InputError, match="is missing or has another shape"):
        optimizer.load({})


def test_parameters_are_updated_in_place() -> None:
    """The arrays themselves change, in whatever order their gradients lie in memory."""
    parameters = start()
    arrays = dict(parameters)
    gradients = {key: np.ascontiguousarray(array) for key, array in gradients_at(quadratic, parameters).items()}
    expected = {key: array - np.float32(0.5) * gradients[key] for key, array in parameters.items()}
    optimizer_of("sgd", {"lr": 0.5}, parameters).step(gradients, 0.5)
    for key, array in parameters.items():
        assert array is arrays[key]
        np.testing.assert_allclose(array, expected[key], rtol=1e-6)


def test_long_gradients_are_cut() -> None:
    """All gradients together are scaled to the longest norm allowed; their directions stay."""
    gradients = {"a": np.array([[3.0, 0.0]], np.float32), "b": np.array([-4.0], np.float32)}
    assert clip_norm(gradients, 1.0) == 5.0
    np.testing.assert_allclose(gradients["a"], [[0.6, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(gradients["b"], [-0.8], rtol=1e-6)


@pytest.mark.parametrize("longest", [5.0, 6.0])
def test_short_gradients_stay(longest: float) -> None:
    """Gradients within the norm keep every bit, and so do zeros."""
    gradients = {"a": np.array([[3.0, 0.0]], np.float32), "b": np.array([-4.0], np.float32)}
    assert clip_norm(gradients, longest) == 5.0
    np.testing.assert_array_equal(gradients["a"], [[3.0, 0.0]])
    np.testing.assert_array_equal(gradients["b"], [-4.0])
    zeros = {"a": np.zeros(3, np.float32)}
    assert clip_norm(zeros, longest) == 0.0
    assert not zeros["a"].any()


def test_clipping_sees_the_layout_of_weights() -> None:
    """Gradients that lie column by column in memory are cut too."""
    gradients = {"weight": np.array([[3.0], [4.0]], np.float32).T.copy("F")}
    gradients["wide"] = np.arange(6, dtype=np.float32).reshape(2, 3).T
    norm = np.sqrt(25 + 55)
    assert clip_norm(gradients, 1.0) == pytest.approx(norm)
    np.testing.assert_allclose(gradients["wide"], np.arange(6).reshape(2, 3).T / norm, rtol=1e-6)
