"""The reference implementation itself against the reference cases, in float64."""

from typing import Any

import numpy as np
import pytest
from reading import Case, cases_of
from reference.forward import forward
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
        input_coding=case.meta["input_coding"],
    )
    assert loss == pytest.approx(float(case.expected["loss"]), rel=EXACT)
    expected = case.below("grad")
    assert expected.keys() == gradients.keys()
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=EXACT * max(1, np.abs(gradient).max()))


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
