"""What layers do at every step: sums of it are the counters, and a step's part does not depend on later steps."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import images
from oracles import assert_same_bits
from snnsim import Events, Network
from snnsim.accounting import StepCounts
from snnsim.results import BatchRun
from snnsim.spec import Segments
from strategies import Problem, problems


def run(problem: Problem, network: Network, **options: Any) -> BatchRun:
    return network.run(problem.input, record="step_counts", threads=1, **problem.options, **options)


def counted(result: BatchRun) -> list[StepCounts]:
    assert result.step_counts is not None
    return list(result.step_counts)


@given(st.one_of(problems(), problems(ann=True), images.image_problems()))
def test_sums_over_steps_are_the_counters(problem: Problem) -> None:
    """Spikes and ACs and MACs of all steps add up to those of the run, layer by layer and sample by sample."""
    network = problem.network()
    result = run(problem, network)
    for layer, steps, totals in zip(network.layers, counted(result), result.counts, strict=True):
        assert steps.synops.shape == steps.active.shape == steps.plain.shape == (result.steps, problem.batch)
        assert steps.synops.sum(axis=0).tolist() == (totals.acs + totals.macs).tolist()
        if layer.fires:
            assert steps.active.sum(axis=0).tolist() == totals.spikes.tolist()
        elif layer.name != "relu":
            assert not steps.active.any()


@given(problem=problems(coding="events"), data=st.data())
def test_a_step_does_not_depend_on_later_ones(problem: Problem, data: st.DataObject) -> None:
    """The first t steps of a run count what a run of t steps counts."""
    network = problem.network()
    assert isinstance(problem.input, Events)
    first = data.draw(st.integers(1, problem.steps))
    part = network.run(problem.input.steps(0, first), threads=1, record="step_counts")
    for all_steps, some in zip(counted(run(problem, network)), counted(part), strict=True):
        for name in ("active", "synops"):
            assert_same_bits(getattr(all_steps, name)[:first], getattr(some, name))


@settings(max_examples=60)
@given(problem=st.one_of(problems(), images.image_problems()), length=st.integers(1, 4))
def test_in_segments(problem: Problem, length: int) -> None:
    """A run that has few steps in memory at a time counts each of them the same."""
    network = problem.network()
    segments = Segments(recompute_every=length)
    cut = network.evaluate_batch(problem.encoded, record=("step_counts",), segments=segments, threads=1)
    for one, other in zip(counted(cut), counted(run(problem, network)), strict=True):
        for name in ("active", "synops", "plain"):
            assert_same_bits(getattr(one, name), getattr(other, name))


def test_plain_values_by_hand() -> None:
    """An edge is plain at a step where all that arrives is -1, 0 or 1; a silent step is plain, others are not."""
    network = Network.from_config([{"dense": 2}, "li"], input_shape=(3,))
    x = np.array([[[0, 1, -1]], [[0, 0.5, 1]], [[0, 0, 0]], [[2, 0, 0]]], np.float32)
    steps = counted(network.run(x, record="step_counts"))
    assert steps[0].plain[:, 0].tolist() == [True, False, True, False]
    assert steps[0].synops[:, 0].tolist() == [4, 4, 0, 2]
    assert steps[1].plain.all()


@pytest.mark.parametrize(("pixels", "plain"), [([0.0, 1.0, -1.0], True), ([0.0, 0.5, 1.0], False)])
def test_plain_values_of_an_image(pixels: list[float], plain: bool) -> None:
    """Under direct coding every step is like the first."""
    network = Network.from_config([{"dense": 2}, "lif", {"dense": 1}, "li"], input_shape=(3,))
    steps = counted(network.run([[pixels]], input_coding="direct", num_steps=3, record="step_counts"))
    assert steps[0].plain.tolist() == [[plain]] * 3
    assert steps[0].synops.tolist() == [[4]] * 3


def test_without_recording_there_are_none() -> None:
    """Step counts cost time and are there only where they were asked for."""
    network = Network.from_config([{"dense": 2}, "li"], input_shape=(3,))
    assert network.run(np.ones((2, 1, 3))).step_counts is None
