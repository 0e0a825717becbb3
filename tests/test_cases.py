"""snnsim against the reference cases, through its Python face, within the tolerances that the files name."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from reading import Case, cases_of
from snnsim import Network
from snnsim.results import BatchRun
from snnsim.spec import OptimizerChoice, ScheduleChoice
from snnsim.surrogates import derivative
from snnsim.training.optimizers import make_optimizer
from snnsim.training.schedules import learning_rate


def parametrize(*kinds: str) -> pytest.MarkDecorator:
    cases = cases_of(*kinds)
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def network_of(case: Case) -> Network:
    network = Network.from_config(case.network, input_shape=case.meta["input_shape"])
    for name, value in case.parameters.items():
        network.parameters[name][...] = value
    return network


def run(case: Case) -> BatchRun:
    return network_of(case).run(case.inputs["x"], record=("spikes", "membrane"), input_coding=case.meta["input_coding"])


def furthest(found: ArrayLike, expected: ArrayLike) -> float:
    """Return the largest distance; shapes must be the same."""
    assert np.shape(found) == np.shape(expected)
    return float(np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64)).max())


def assert_forward(case: Case) -> None:
    result = run(case)
    for index, spikes in case.below("spikes").items():
        np.testing.assert_array_equal(result.spikes[int(index)], spikes)
    for index, membrane in case.below("membrane").items():
        assert furthest(result.membrane[int(index)], membrane) <= case.tolerance("membrane")
    for name in {"logits", "step_logits"} & case.expected.keys():
        assert furthest(getattr(result, name), case.expected[name]) <= case.tolerance("logits")


@parametrize("dynamics", "accounting")
def test_forward(case: Case) -> None:
    """Spikes are the same, membranes and logits as near as float32 allows."""
    assert {"logits", "membrane"} & {key.split("/")[0] for key in case.expected} or case.below("counts")
    assert_forward(case)


@parametrize("gradient")
def test_gradients(case: Case) -> None:
    """Forward pass, loss and every gradient agree."""
    assert_forward(case)
    loss, gradients = network_of(case).loss_and_gradients(
        case.inputs["x"],
        case.inputs["y"],
        loss=case.meta["loss"],
        teacher_logits=case.inputs.get("teacher_logits"),
        input_coding=case.meta["input_coding"],
    )
    assert loss == pytest.approx(float(case.expected["loss"]), rel=case.tolerance("loss"))
    expected = case.below("grad")
    assert expected.keys() == gradients.keys()
    for name, gradient in expected.items():
        assert furthest(gradients[name], gradient) <= case.tolerance("grad") * np.abs(gradient).max() + 1e-9


@parametrize("accounting")
def test_counts(case: Case) -> None:
    """Every counter of every layer and sample is the same integer."""
    counts = run(case).counts
    expected = case.below("counts")
    assert expected
    for name, values in expected.items():
        layer, counter = name.split(".")
        record: Any = counts.input if layer == "input" else counts[int(layer)]
        np.testing.assert_array_equal(getattr(record, counter), values, err_msg=name)


@parametrize("surrogate")
def test_surrogates(case: Case) -> None:
    """The surrogate's derivative has the reference's values on a grid."""
    assert furthest(derivative(case.meta["surrogate"], case.inputs["x"]), case.expected["h"]) <= case.tolerance("h")


def schedule_of(case: Case) -> tuple[ScheduleChoice, int]:
    """Return a case's schedule as a spec, with one step an epoch, and the epochs."""
    theirs = case.meta["schedule"]
    if theirs is None:
        return ScheduleChoice.of("constant"), case.meta["steps"]
    if theirs["name"] == "CosineAnnealingLR":
        return ScheduleChoice.of({"cosine": {"min_lr": theirs.get("eta_min", 0.0)}}), theirs["T_max"]
    step = {"every": theirs["step_size"], "factor": theirs["gamma"]}
    return ScheduleChoice.of({"step": step}), case.meta["steps"]


@parametrize("optimizer")
def test_optimizers(case: Case) -> None:
    """Rates and parameters follow the reference's trajectory, step by step."""
    schedule, epochs = schedule_of(case)
    base = case.meta["options"]["lr"] if "options" in case.meta else case.meta["schedule"]["lr"]
    rates = [learning_rate(schedule, base, step, 1, epochs) for step in range(case.meta["steps"])]
    assert furthest(rates, case.expected["lr"]) <= case.tolerance("lr")
    trajectories = case.below("trajectory")
    assert trajectories or "optimizer" not in case.meta
    if not trajectories:
        return
    parameters = {name: steps[0].astype(np.float32) for name, steps in trajectories.items()}
    optimizer = make_optimizer(OptimizerChoice.of({case.meta["optimizer"]: case.meta["options"]}), parameters)
    for k, rate in enumerate(rates):
        optimizer.step({name: case.inputs[f"grad_sequence/{name}"][k].astype(np.float32) for name in parameters}, rate)
        for name, steps in trajectories.items():
            assert furthest(parameters[name], steps[k + 1]) <= case.tolerance("trajectory")


@parametrize("training")
def test_training(case: Case) -> None:
    """Ten Adam steps give the reference's losses and final parameters."""
    network = network_of(case)
    choice = OptimizerChoice.of(case.meta["optimizer"])
    optimizer = make_optimizer(choice, network.parameters)
    losses = []
    for _ in range(case.meta["steps"] + 1):
        loss, gradients = network.loss_and_gradients(case.inputs["x"], case.inputs["y"], loss=case.meta["loss"])
        losses.append(loss)
        if len(losses) <= case.meta["steps"]:
            optimizer.step(gradients, optimizer.lr)
    np.testing.assert_allclose(losses, case.expected["loss_per_step"], rtol=case.tolerance("loss_per_step"))
    for name, final in case.below("final").items():
        assert furthest(network.parameters[name], final) <= case.tolerance("final")
    assert losses[-1] < losses[0]
