"""Continuous time to steps and back."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnsim import InputError
from snnsim.nir_graph.steps import DISCRETIZATIONS, ROUNDING, Step, settled

steps = st.builds(Step, st.floats(1e-9, 1e3), st.sampled_from(DISCRETIZATIONS))
# Below 2^-20 a decay is lost in 1 - decay; nobody trains one.
decays = st.floats(2.0**-20, 1.0, width=32, exclude_max=True)


@given(steps, st.lists(decays, min_size=1, max_size=5))
def test_a_decay_comes_back_as_it_was(step: Step, values: list[float]) -> None:
    """Decay to time constant to decay is the same float32, by either rule and any step."""
    decay = np.array(values)
    tau = step.time_constant(decay)

    assert step.fits(tau)
    assert np.array_equal(step.decay(tau).astype(np.float32), decay.astype(np.float32))


@given(steps, decays)
def test_the_resistance_of_a_decay_leaves_weights_as_they_are(step: Step, decay: float) -> None:
    """The gain of the r that is written is 1, once what is rounding is taken for it."""
    gain = step.gain(step.time_constant(decay), step.resistance(decay))
    assert settled(gain) == 1.0


@given(st.floats(1e-6, 1e3), st.floats(-50, 50), st.floats(1e-12, 1.0))
def test_both_rules_are_what_they_say(tau: float, r: float, part: float) -> None:
    """Euler: 1 - dt/tau and r dt/tau; exp: exp(-dt/tau) and r (1 - exp(-dt/tau))."""
    dt = part * tau
    euler, exp = Step(dt), Step(dt, "exp")

    # A few roundings of float64.
    assert euler.decay(tau) == pytest.approx(1 - dt / tau, rel=1e-14, abs=1e-15)
    assert euler.gain(tau, r) == pytest.approx(r * dt / tau, rel=1e-14)
    assert exp.decay(tau) == pytest.approx(math.exp(-dt / tau), rel=1e-14)
    # 1 - exp is the form that loses digits, by as much as 2^-53 against the whole.
    assert exp.gain(tau, r) == pytest.approx(r * (1 - math.exp(-dt / tau)), abs=abs(r) * 2.0**-51)


@given(steps, st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=6))
def test_a_constant_input_drives_to_its_own_level(step: Step, ratios: list[float]) -> None:
    """Decay and the gain of r = 1 add up to 1: a membrane under a current I settles at r I, whatever tau is."""
    tau = step.dt * (1 + np.array(ratios))
    assert step.decay(tau) + step.gain(tau, 1.0) == pytest.approx(np.ones(len(ratios)), rel=1e-15)


def test_a_longer_step_is_two_shorter_ones_by_exp() -> None:
    """The exact rule does not depend on how time is cut; euler does."""
    tau = np.array([1e-3, 2e-2])
    assert Step(2e-4, "exp").decay(tau) == pytest.approx(Step(1e-4, "exp").decay(tau) ** 2, rel=1e-14)
    assert Step(2e-4).decay(tau)[0] < Step(1e-4).decay(tau)[0] ** 2


def test_a_time_constant_of_one_step_keeps_nothing() -> None:
    """Also where float32 has rounded it to a little less than the step; what is shorter does not fit."""
    written = float(np.float32(1e-4))
    assert written < 1e-4
    assert Step().fits(written)
    assert Step().decay(written) == 0.0
    assert not Step().fits(0.9e-4)
    assert Step(discretization="exp").fits(0.9e-4)


def test_only_rounding_is_taken_for_one() -> None:
    """A gain that is off by more than three float32 roundings is meant."""
    three = np.float32(9.9999971) * 1e-4 / np.float32(0.00099999971)
    gains = np.array([three, 1 + 2 * ROUNDING, 0.5])
    assert settled(gains).tolist() == [1.0, 1 + 2 * ROUNDING, 0.5]


@pytest.mark.parametrize("dt", [0.0, -1e-4, math.nan, math.inf])
def test_a_step_has_a_length(dt: float) -> None:
    """Positive and finite, or it is refused."""
    with pytest.raises(InputError, match=r"dt: must be a positive number of seconds \(got"):
        Step(dt)


def test_a_rule_has_a_name() -> None:
    """One of two."""
    with pytest.raises(InputError, match=r"discretization: must be one of euler, exp \(got 'zoh'\)"):
        Step(discretization="zoh")
