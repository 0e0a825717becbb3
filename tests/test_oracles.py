"""The oracles themselves: brute-force counters against the reference cases, and that they notice what is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from oracles import COUNTERS, assert_same_bits, assert_same_events, brute_force_counts
from reading import Case, cases_of
from snnsim import Events, InputError, Network
from strategies import Problem

ACCOUNTING = cases_of("accounting")


@pytest.mark.parametrize("case", ACCOUNTING, ids=[case.name for case in ACCOUNTING])
def test_brute_force_counts_what_other_software_counted(case: Case) -> None:
    """The loops give the integers of the accounting cases, for every layer and sample."""
    network = Network.from_config(case.network, input_shape=case.meta["input_shape"])
    for name, value in case.parameters.items():
        network.parameters[name][...] = value
    x, coding = case.inputs["x"], case.meta["input_coding"]
    problem = Problem(case.network, network.input_shape, x, len(x), coding, seed=0, exact=False)
    run = network.run(x, record=("spikes", "membrane"), input_coding=coding, threads=1)
    records, inputs = brute_force_counts(problem, network, run)
    expected = case.below("counts")
    assert expected
    for name, values in expected.items():
        layer, counter = name.split(".")
        found = inputs if layer == "input" else records[int(layer)][counter]
        assert (name, list(found)) == (name, values.tolist())
    counted = sum(len([c for c in COUNTERS if f"{index}.{c}" in expected]) for index in range(len(case.network)))
    assert counted > len(case.network)


def test_bits_are_bits() -> None:
    """Equal values of other sign, type or shape are not the same."""
    one = np.zeros(2, np.float32)
    assert_same_bits(one, one.copy())
    for other in (-one, one.astype(np.float64), one[None], one + np.float32(1e-45)):
        with pytest.raises(AssertionError):
            assert_same_bits(one, other)


def test_events_are_compared_in_canonical_form() -> None:
    """Events that differ in one place, or that are equally damaged, do not pass as the same."""
    events = Events(np.array([0, 2, 3]), np.array([0, 2, 1], np.int32), None, 2, 1, (3,))
    assert_same_events(events, events.copy())
    with pytest.raises(AssertionError):
        assert_same_events(events, replace(events, indices=np.array([0, 2, 2], np.int32)))
    with pytest.raises(AssertionError):
        assert_same_events(events, replace(events, values=np.ones(3, np.float32)))
    for damaged in ([2, 0, 1], [1, 1, 1], [0, 3, 1]):
        same = replace(events, indices=np.array(damaged, np.int32))
        with pytest.raises(InputError):
            assert_same_events(same, same)
