"""Pools: which events come out, and what their gradients reach."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from images import image_shapes, pools
from reference.convolution import geometry, out_shape, pool, pool_backward
from snnsim import Events, InputError, Network
from snnsim.layers.base import Layer, MicroBatch, Workspace
from snnsim.layers.signals import Analog, Gradient
from strategies import FloatArray, densities, seeds, spike_trains


def layer_of(layer: Any, shape: tuple[int, ...]) -> Layer:
    return Network.from_config([layer, {"dense": 2}, "li"], input_shape=shape).layers[0]


def micro(x: FloatArray) -> MicroBatch:
    return MicroBatch(x.shape[1], x.shape[1], x.shape[0], Workspace())


def by_sample(x: NDArray[Any]) -> FloatArray:
    """Turn [T, B, ...] into [B, T, N]."""
    return np.ascontiguousarray(x.swapaxes(0, 1).reshape(x.shape[1], x.shape[0], -1), np.float32)


@st.composite
def pooled(draw: st.DrawFn) -> tuple[Any, FloatArray, int]:
    """Draw a pool and trains for it, binary or graded; and a seed."""
    shape, seed = draw(image_shapes()), draw(seeds)
    size = (draw(st.integers(1, 4)), draw(st.integers(1, 3)), *shape)
    x = spike_trains(np.random.default_rng(seed), size, draw(densities), graded=draw(st.booleans()))
    return draw(pools(shape)), x, seed


@given(pooled(), st.booleans())
def test_pools_against_the_reference(drawn: tuple[Any, FloatArray, int], as_events: bool) -> None:
    """Events and analog values: the window's mean, sum or maximum forwards, the reference's gradient back."""
    check_against_the_reference(*drawn, as_events)


@pytest.mark.parametrize("kernel", [2, [3, 2], [2, 1], 3, 4])
@pytest.mark.parametrize("width", [15, 16, 17, 18, 26, 33, 48])
@pytest.mark.parametrize("graded", [False, True])
def test_lines_of_more_than_a_vector(kernel: Any, width: int, graded: bool) -> None:
    """The same where windows and gradients go by whole vectors, with and without a rest of the image."""
    for height in (6, 7):
        x = spike_trains(np.random.default_rng(width), (2, 2, 3, height, width), 0.3, graded=graded)
        check_against_the_reference({"avg_pool2d": {"kernel": kernel}}, x, width, True)


def check_against_the_reference(layer: Any, x: FloatArray, seed: int, as_events: bool) -> None:
    ((name, options),) = layer.items()
    shape = x.shape[2:]
    built, batch = layer_of(layer, shape), micro(x)
    signal = built.forward(Events.from_dense(x) if as_events else Analog(by_sample(x)), batch)
    images = x.reshape(-1, *shape).astype(np.float64)
    at = geometry(name, options, shape)
    expected = pool(name, images, at).reshape(*x.shape[:2], *out_shape(name, options, shape))
    assert built.out_shape == expected.shape[2:]
    if isinstance(signal, Events):
        signal.check()
        np.testing.assert_allclose(signal.to_dense(), expected, rtol=1e-6)
        assert (signal.values is None) == (name == "max_pool2d" and Events.from_dense(x).values is None)
    else:
        np.testing.assert_allclose(signal.values, by_sample(expected), rtol=1e-6)
    g = np.random.default_rng(seed).integers(-8, 9, expected.shape) / 4
    back = built.backward(Gradient(by_sample(g)), batch, {}, True)
    assert back is not None
    wanted = pool_backward(name, g.reshape(-1, *g.shape[2:]), images, at).reshape(x.shape)
    np.testing.assert_allclose(back.values, by_sample(wanted), rtol=1e-6, atol=1e-6)


@given(pooled())
def test_a_gradient_that_is_one_row_and_a_weight_per_step(drawn: tuple[Any, FloatArray, int]) -> None:
    """It gives what the same gradient written out for every step gives."""
    layer, x, seed = drawn
    built = layer_of(layer, x.shape[2:])
    rng = np.random.default_rng(seed)
    row = (rng.integers(-8, 9, (x.shape[1], 1, built.size)) / 4).astype(np.float32)
    weights = np.float32(2.0) ** -np.arange(x.shape[0], dtype=np.float32)
    results = []
    for gradient in (Gradient(row, weights), Gradient(row * weights[:, None])):
        batch = micro(x)
        built.forward(Events.from_dense(x), batch)
        back = built.backward(gradient, batch, {}, True)
        assert back is not None
        results.append(back.values if back.weights is None else back.values * back.weights[:, None])
    np.testing.assert_array_equal(results[0], results[1])


def test_spikes_of_one_window_merge_into_one_graded_event() -> None:
    """Three spikes of a window of four are one event of 3/4; it costs a MAC per synapse."""
    x = np.zeros((1, 1, 1, 2, 4), np.float32)
    x[0, 0, 0, 0, :2] = x[0, 0, 0, 1, 0] = 1
    net = Network.from_config([{"avg_pool2d": 2}, {"dense": 5}, "li"], input_shape=(1, 2, 4))
    counts = net.run(x).counts
    assert counts.input.events[0] == 3
    assert (counts[1].macs[0], counts[1].acs[0], counts[1].synops_structural[0]) == (5, 0, 5)
    assert all(int(getattr(counts[0], name).sum()) == 0 for name in ("spikes", "acs", "macs", "macs_dense"))


def test_the_largest_of_spikes_is_a_spike() -> None:
    """Max pooling keeps binary events binary: they cost an addition per synapse."""
    x = np.ones((1, 1, 1, 2, 4), np.float32)
    net = Network.from_config([{"max_pool2d": 2}, {"dense": 5}, "li"], input_shape=(1, 2, 4))
    counts = net.run(x).counts
    assert (counts[1].acs[0], counts[1].macs[0]) == (10, 0)


def test_of_equal_values_the_first_gets_the_gradient() -> None:
    """In row-major order, in a silent window too."""
    x = np.zeros((2, 1, 1, 2, 2), np.float32)
    x[1, 0, 0, 1] = 1
    built, batch = layer_of({"max_pool2d": 2}, (1, 2, 2)), micro(x)
    built.forward(Events.from_dense(x), batch)
    back = built.backward(Gradient(np.ones((1, 2, 1), np.float32)), batch, {}, True)
    assert back is not None
    np.testing.assert_array_equal(back.values, [[[1, 0, 0, 0], [0, 0, 1, 0]]])


@given(pooled())
def test_what_an_input_reaches_through_windows(drawn: tuple[Any, FloatArray, int]) -> None:
    """The sum of what its windows' events reach; nothing where it lies in none."""
    layer, x, seed = drawn
    ((name, options),) = layer.items()
    shape = x.shape[2:]
    built = layer_of(layer, shape)
    reached = np.random.default_rng(seed).integers(0, 50, built.size)
    at = geometry(name, options, shape)
    gradient = reached.reshape(1, shape[0], *at.out).astype(np.float64)
    expected = pool_backward("sum_pool2d", gradient, np.zeros((1, *shape)), at)
    np.testing.assert_array_equal(built.reached_through(reached), expected.ravel())


@pytest.mark.parametrize("name", ["avg_pool2d", "sum_pool2d", "max_pool2d"])
def test_what_does_not_fit_is_refused(name: str) -> None:
    """Flat input, and windows larger than the image."""
    with pytest.raises(InputError, match="needs an image") as caught:
        layer_of({name: 2}, (16,))
    assert caught.value.path == ("network", 0, name)
    with pytest.raises(InputError, match="spans 5, more than the padded height 4") as caught:
        layer_of({name: 5}, (1, 4, 8))
    assert caught.value.path == ("network", 0, name, "kernel")
