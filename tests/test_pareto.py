"""The results that no other beats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnsim.pareto import pareto_front

results = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


@given(results)
def test_the_front_by_definition(found: list[tuple[int, int]]) -> None:
    """A result is on the front if no other costs less or as much and scores more or as much, and is not its equal."""
    costs, scores = [float(cost) for cost, _ in found], [float(score) for _, score in found]
    unbeaten = {
        (cost, score)
        for cost, score in found
        if not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in found)
    }
    front = pareto_front(costs, scores)
    assert [found[place] for place in front] == sorted(unbeaten)


@pytest.mark.parametrize(("costs", "front"), [([], []), ([1.0], [0]), ([2.0, 2.0], [0])])
def test_few_results(costs: list[float], front: list[int]) -> None:
    """None, one, and two equals, of which the first stands for both."""
    assert pareto_front(costs, [0.5] * len(costs)) == front
