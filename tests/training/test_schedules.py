"""Learning rates, step by step."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import optimizers as reference

from snnsim.spec import ScheduleChoice
from snnsim.training.schedules import learning_rate


def rates(schedule: object, base: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return the rates of a whole training."""
    choice = ScheduleChoice.of(schedule)
    return [learning_rate(choice, base, k, steps_per_epoch, epochs) for k in range(steps_per_epoch * epochs)]


def test_constant() -> None:
    """The base rate at every step."""
    assert rates("constant", 0.3, 2, 3) == [0.3] * 6


def test_cosine() -> None:
    """The base rate at the start, halfway in the middle, and ``min_lr`` when the training is over."""
    found = rates("cosine", 0.2, 4, 2)
    assert found[0] == 0.2
    assert found[4] == pytest.approx(0.1)
    assert found == sorted(found, reverse=True)
    choice = ScheduleChoice.of({"cosine": {"min_lr": 0.02}})
    assert learning_rate(choice, 0.2, 8, 4, 2) == pytest.approx(0.02)
    assert learning_rate(choice, 0.2, 80, 4, 2) == pytest.approx(0.02)


def test_step() -> None:
    """Times ``factor`` after each ``every`` epochs, at their first step."""
    np.testing.assert_allclose(
        rates({"step": {"every": 2, "factor": 0.5}}, 0.8, 2, 5), [0.8] * 4 + [0.4] * 4 + [0.2] * 2
    )


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_warmup(schedule: str) -> None:
    """The rate rises in equal parts to the base rate; a part of an epoch is rounded to steps."""
    found = rates({schedule: {"warmup": 1.5}}, 0.6, 3, 4)
    np.testing.assert_allclose(found[:4], [0.15, 0.3, 0.45, 0.6])
    assert found[4] == pytest.approx(0.6)  # four steps: 4.5, rounded to even


def test_cosine_after_warmup() -> None:
    """The cosine takes the steps that the warmup leaves."""
    found = rates({"cosine": {"warmup": 1.0}}, 0.5, 4, 3)
    np.testing.assert_allclose(found[4:], rates("cosine", 0.5, 4, 2))


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_warmup_longer_than_the_training(schedule: str) -> None:
    """The rate only rises."""
    found = rates({schedule: {"warmup": 10.0}}, 1.0, 2, 3)
    np.testing.assert_allclose(found, np.arange(1, 7) / 20)


schedules = st.one_of(
    st.fixed_dictionaries({"constant": st.fixed_dictionaries({}, optional={"warmup": st.floats(0, 4)})}),
    st.fixed_dictionaries(
        {"cosine": st.fixed_dictionaries({}, optional={"warmup": st.floats(0, 4), "min_lr": st.floats(0, 0.01)})}
    ),
    st.fixed_dictionaries(
        {
            "step": st.fixed_dictionaries(
                {}, optional={"warmup": st.floats(0, 4), "every": st.integers(1, 5), "factor": st.floats(0.1, 1)}
            )
        }
    ),
)


@settings(max_examples=100)
@given(schedule=schedules, base=st.floats(0.01, 1), steps_per_epoch=st.integers(1, 9), epochs=st.integers(1, 6))
def test_against_the_reference(schedule: dict[str, Any], base: float, steps_per_epoch: int, epochs: int) -> None:
    """Any schedule gives the reference's rates, all positive and none above the base rate."""
    found = rates(schedule, base, steps_per_epoch, epochs)
    total = steps_per_epoch * epochs
    expected = [reference.learning_rate(schedule, base, k, steps_per_epoch, epochs) for k in range(total)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert all(0 < rate <= base * (1 + 1e-12) for rate in found)
