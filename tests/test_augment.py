import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnsim.augment import draw_shifts, shift_events, shift_images
from snnsim.events import Events
from snnsim.layers.base import SampleKeys

shifts_of = st.lists(st.tuples(st.integers(-6, 6), st.integers(-6, 6)), min_size=3, max_size=3)


def keys(samples: list[int], seed: int = 0, epoch: int = 1) -> SampleKeys:
    return SampleKeys(seed, epoch, np.array(samples))


def test_a_shift_depends_on_seed_epoch_and_sample_alone() -> None:
    """Neither the batch nor the place in it matters."""
    together = draw_shifts(keys([5, 9, 7]), 2)

    np.testing.assert_array_equal(draw_shifts(keys([7]), 2), together[2:])
    many = draw_shifts(keys(list(range(200))), 2)
    assert (many != draw_shifts(keys(list(range(200)), epoch=2), 2)).any()
    assert (many != draw_shifts(keys(list(range(200)), seed=1), 2)).any()


def test_all_shifts_are_as_likely() -> None:
    """Each of the 25 shifts of up to 2 pixels comes up about as often."""
    shifts = draw_shifts(keys(list(range(25_000))), 2) + 2

    counts = np.bincount(shifts[:, 0] * 5 + shifts[:, 1], minlength=25)
    assert counts.size == 25
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


@given(shifts_of)
def test_events_move_as_their_image_does(drawn: list[tuple[int, int]]) -> None:
    """The same shift at all steps; what leaves the sensor is gone, nothing comes in."""
    rng = np.random.default_rng(1)
    dense = (rng.random((4, 3, 2, 5, 6)) < 0.4).astype(np.float32)
    shifts = np.array(drawn, np.int64)

    moved = shift_events(Events.from_dense(dense), shifts)

    moved.check()
    for t in range(4):
        np.testing.assert_array_equal(moved.to_dense()[t], shift_images(dense[t], shifts))


@given(shifts_of)
def test_images_move_down_and_to_the_right(drawn: list[tuple[int, int]]) -> None:
    """Pixel by pixel, with zeros from outside."""
    x = np.arange(1, 3 * 2 * 4 * 5 + 1, dtype=np.uint8).reshape(3, 2, 4, 5)

    moved = shift_images(x, np.array(drawn, np.int64))

    for b, (down, right) in enumerate(drawn):
        for c, row, column in np.ndindex(2, 4, 5):
            inside = 0 <= row - down < 4 and 0 <= column - right < 5
            assert moved[b, c, row, column] == (x[b, c, row - down, column - right] if inside else 0)


@pytest.mark.parametrize("right", [-2, 0, 3])
def test_units_move_along_their_one_axis(right: int) -> None:
    """A layer of units takes the second number of a shift alone."""
    dense = np.zeros((2, 1, 6), np.float32)
    dense[1, 0, [1, 4]] = 1

    moved = shift_events(Events.from_dense(dense), np.array([[9, right]])).to_dense()

    expected = [unit + right for unit in (1, 4) if 0 <= unit + right < 6]
    assert np.argwhere(moved[:, 0]).tolist() == [[1, unit] for unit in expected]
