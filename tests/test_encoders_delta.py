import numpy as np
import pytest

from snnsim.encoders import delta_events, encoded_shape, encoded_steps
from snnsim.errors import InputError
from snnsim.spec import EncoderChoice


def test_changes_from_row_to_row() -> None:
    """Rows are steps: a rise of at least the threshold is an event of channel 0, a fall one of channel 1."""
    image = np.array([[[0.5, 0.0], [0.75, 0.0], [0.25, 0.5], [0.25, 0.25]]], np.float32)  # [C, H, W]

    events = delta_events(image.reshape(1, -1), 0.5, (1, 4, 2))

    events.check()
    assert (events.num_steps, events.shape) == (4, (2, 1, 2))
    # from nothing to 0.5; then 0.75 to 0.25 and 0 to 0.5
    assert np.argwhere(events.to_dense()[:, 0]).tolist() == [[0, 0, 0, 0], [2, 0, 0, 1], [2, 1, 0, 0]]


def test_equals_a_plain_loop() -> None:
    """For random images of two channels, every step, sample, channel and column."""
    rng = np.random.default_rng(0)
    x = rng.random((3, 2, 5, 4)).astype(np.float32)

    dense = delta_events(x.reshape(3, -1), 0.3, (2, 5, 4)).to_dense()

    for t, b, c, w in np.ndindex(5, 3, 2, 4):
        change = x[b, c, t, w] - (x[b, c, t - 1, w] if t else np.float32(0))
        assert dense[t, b, 0, c, w] == (change >= np.float32(0.3))
        assert dense[t, b, 1, c, w] == (change <= -np.float32(0.3))


def test_shapes() -> None:
    """H rows of C x W become H steps of [2, C, W]; flat samples are no sequence."""
    choice = EncoderChoice.of({"delta": 0.2})

    assert (encoded_shape(choice, (3, 28, 20)), encoded_steps(choice, (3, 28, 20))) == ((2, 3, 20), 28)
    with pytest.raises(InputError, match="flat") as caught:
        encoded_shape(choice, (784,))
    assert caught.value.path == ("encoder", "delta")
