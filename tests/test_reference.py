"""The reference implementation itself against the reference cases, in float64."""

import itertools
from typing import Any

import numpy as np
import pytest

from reading import Case, cases_of
from reference.backward import at_reset, through_spikes
from reference.forward import Array, Neuron, States, fire, forward
from reference.losses import loss_and_gradients
from reference.optimizers import Optimizer, learning_rate
from reference.surrogates import derivative

EXACT = 1e-9


def parametrize(*kinds: str) -> pytest.MarkDecorator:
    cases = cases_of(*kinds)
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@parametrize("dynamics", "gradient", "accounting")
def test_forward(case: Case) -> None:
    """Spikes are the same, membranes and logits to 1e-9."""
    trace = forward(case.network, case.parameters, case.inputs["x"], input_coding=case.meta["input_coding"])
    for index, spikes in case.below("spikes").items():
        np.testing.assert_array_equal(trace.spikes[int(index)].reshape(spikes.shape), spikes)
    for index, membrane in case.below("membrane").items():
        found = trace.membrane[int(index)].reshape(membrane.shape)
        np.testing.assert_allclose(found, membrane, rtol=0, atol=EXACT)
    for name in {"logits", "step_logits"} & case.expected.keys():
        np.testing.assert_allclose(getattr(trace, name), case.expected[name], rtol=0, atol=EXACT)


@parametrize("gradient")
def test_gradients(case: Case) -> None:
    """Loss and gradients are those of automatic differentiation."""
    loss, gradients, _ = loss_and_gradients(
        case.network,
        case.parameters,
        case.inputs["x"],
        case.inputs["y"],
        loss=case.meta["loss"],
        teacher_logits=case.inputs.get("teacher_logits"),
        input_coding=case.meta["input_coding"],
    )
    assert loss == pytest.approx(float(case.expected["loss"]), rel=EXACT)
    expected = case.below("grad")
    assert expected.keys() == gradients.keys()
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=EXACT * max(1, np.abs(gradient).max()))


def tangents(cells: Neuron, states: States, current: Array, values: dict[str, Array]) -> Array:
    """Return how spikes move when the current and the values do: the recurrence's derivative, forwards in time."""
    moved = np.zeros_like(current)
    du, di, da, ds, rest, spikes = (np.zeros_like(current[0]) for _ in range(6))
    synaptic = np.zeros_like(current[0])
    through = kept = taken = np.zeros_like(current[0])
    for t in range(len(current)):
        feedback = ds @ cells.recurrent.T + spikes @ values["recurrent_weight"].T
        di = cells.alpha * di + values["alpha"] * synaptic + current[t] + feedback
        du = kept * du + through * ds + values["beta"] * rest - taken * values["threshold"] + di
        da = cells.rho * da + ds
        x = states.membrane[t] - cells.threshold - cells.adaptation * states.trace[t]
        ds = moved[t] = derivative(cells.options["surrogate"], x) * (du - values["threshold"] - cells.adaptation * da)
        through, kept, taken = at_reset(cells, states.membrane[t], states.spikes[t])
        rest, spikes, synaptic = states.rest[t], states.spikes[t], states.synaptic[t]
    return moved


@pytest.mark.parametrize("alpha", [0.0, 0.8], ids=["direct", "synaptic"])
@pytest.mark.parametrize("adaptation", [0.0, 0.3], ids=["fixed", "adaptive"])
@pytest.mark.parametrize(
    ("reset", "reset_delay", "detach_reset"),
    list(itertools.product(("subtract", "zero", "none"), (False, True), (False, True))),
)
def test_backwards_is_the_transpose_of_forwards(
    reset: str, reset_delay: bool, detach_reset: bool, adaptation: float, alpha: float
) -> None:
    """For any change of current, decays, threshold and recurrent weights, both directions give the same change."""
    rng = np.random.default_rng(5)
    n = 6
    options = {"reset": reset, "reset_delay": reset_delay, "detach_reset": detach_reset, "surrogate": "atan"}
    recurrent = rng.normal(0, 0.3, (n, n))
    cells = Neuron(
        options,
        rng.random(n),
        rng.uniform(0.5, 1, n),
        np.full(n, alpha),
        rng.random(n),
        np.full(n, adaptation),
        recurrent,
    )
    states = fire(rng.normal(0.3, 0.7, (9, 3, n)), cells)
    assert 0.1 < states.spikes.mean() < 0.9
    g, current = rng.normal(size=(2, 9, 3, n))
    moves = {key: rng.normal(size=n) for key in ("beta", "alpha", "threshold")}
    moves["recurrent_weight"] = rng.normal(size=(n, n))
    delta, values = through_spikes(g, states, cells)
    for key in ("current", *moves):
        only = {other: move * (other == key) for other, move in moves.items()}
        forwards = (g * tangents(cells, states, current * (key == "current"), only)).sum()
        backwards = (delta * current).sum() if key == "current" else (values[key] * moves[key]).sum()
        assert backwards == pytest.approx(forwards, rel=1e-9, abs=1e-12), key


@parametrize("surrogate")
def test_surrogates(case: Case) -> None:
    """h(x) is the same on a grid."""
    h = derivative(case.meta["surrogate"], case.inputs["x"])
    np.testing.assert_allclose(h, case.expected["h"], rtol=EXACT, atol=EXACT)


def schedule_of(case: Case) -> tuple[dict[str, Any], int]:
    theirs = case.meta["schedule"]
    if theirs is None:
        return {"constant": {}}, case.meta["steps"]
    if theirs["name"] == "CosineAnnealingLR":
        return {"cosine": {"min_lr": theirs.get("eta_min", 0.0)}}, theirs["T_max"]
    return {"step": {"every": theirs["step_size"], "factor": theirs["gamma"]}}, case.meta["steps"]


@parametrize("optimizer")
def test_optimizers(case: Case) -> None:
    """Rates and parameters follow torch.optim's trajectory."""
    schedule, epochs = schedule_of(case)
    base = case.meta["options"]["lr"] if "options" in case.meta else case.meta["schedule"]["lr"]
    rates = [learning_rate(schedule, base, step, 1, epochs) for step in range(case.meta["steps"])]
    np.testing.assert_allclose(rates, case.expected["lr"], rtol=0, atol=EXACT)
    trajectories = case.below("trajectory")
    if not trajectories:
        return
    start = {name: steps[0] for name, steps in trajectories.items()}
    optimizer = Optimizer(case.meta["optimizer"], case.meta["options"], start)
    for k, rate in enumerate(rates):
        optimizer.step({name: case.inputs[f"grad_sequence/{name}"][k] for name in start}, rate)
        for name, steps in trajectories.items():
            np.testing.assert_allclose(optimizer.parameters[name], steps[k + 1], rtol=0, atol=EXACT)


@parametrize("training")
def test_training(case: Case) -> None:
    """Ten Adam steps give the losses and the final parameters."""
    ((name, options),) = case.meta["optimizer"].items()
    optimizer = Optimizer(name, options, case.parameters)
    losses = []
    for _ in range(case.meta["steps"] + 1):
        loss, gradients, _ = loss_and_gradients(
            case.network, optimizer.parameters, case.inputs["x"], case.inputs["y"], loss=case.meta["loss"]
        )
        losses.append(loss)
        if len(losses) <= case.meta["steps"]:
            optimizer.step(gradients, options["lr"])
    np.testing.assert_allclose(losses, case.expected["loss_per_step"], rtol=1e-6)
    for key, final in case.below("final").items():
        np.testing.assert_allclose(optimizer.parameters[key], final, rtol=0, atol=1e-6)
