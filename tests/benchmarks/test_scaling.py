"""Time against density, steps, width, batch and threads: what is run, the dense limit, figures."""

from pathlib import Path

import pytest
import scaling
from machine import Rates
from scaling_figures import draw_axes, draw_density

TINY = scaling.Setting(density=0.1, steps=20, width=64, batch=4)


def test_one_thing_varies_at_a_time() -> None:
    """Along an axis all else stays, but for the smaller batch where there are many steps."""
    for axis in scaling.AXES:
        found = list(scaling.settings(axis))
        assert [value for value, _ in found] == list(scaling.AXES[axis])
        assert [getattr(setting, axis) for _, setting in found] == list(scaling.AXES[axis])
        others = {tuple(value for name, value in vars(setting).items() if name != axis) for _, setting in found}
        assert len(others) == 1
    assert [setting.threads for _, setting in scaling.settings("threads")] == [
        value for value, _ in scaling.settings("threads")
    ]


def test_events_are_as_dense_as_told() -> None:
    """Every input is active at a step with the same probability."""
    events = scaling.drawn(TINY).events
    assert events.indices.size == pytest.approx(0.1 * 4 * 20 * scaling.INPUTS, rel=0.1)


def test_the_dense_limit() -> None:
    """Two products of the first layer in training, three of the second, one of each in inference."""
    assert scaling.dense_products(2) == {"training": 2 * 1568 + 3 * 4, "inference": 1568 + 4}
    point = scaling.measure(TINY, Rates(1.0, 1e9, 1.0, 1.0), 0.0)
    assert point["dense_limit"]["inference"] == pytest.approx(1e3 * 20 * (784 * 64 + 64**2) / 1e9)


@pytest.mark.parametrize("density", [0.001, 0.05, 0.5])
def test_hidden_neurons_fire_alike_at_every_density(density: float) -> None:
    """At about a tenth of the steps, over a range of 500 times in density."""
    setting = scaling.Setting(density=density, steps=50, width=64, batch=8)
    rates = scaling.rates_of(scaling.build(setting), scaling.drawn(setting))
    # Weights were scaled on fewer samples.
    assert rates == pytest.approx([0.1, 0.1], rel=0.3)


def test_figures(tmp_path: Path) -> None:
    """Drawn from the results alone, one panel an axis."""
    point = {
        "setting": {"steps": 50},
        "milliseconds": {"training": 0.2, "inference": 0.1},
        "dense_limit": {"training": 0.5, "inference": 0.2},
    }
    results = {"axes": {axis: [point | {"value": value} for value in values] for axis, values in scaling.AXES.items()}}
    draw_density(results, tmp_path / "density.png")
    draw_axes(results, tmp_path / "others.png")
    for name in ("density.png", "others.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
