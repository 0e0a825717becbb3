import hashlib

import numpy as np
import pytest

from datasets.builders import Request
from snnsim.datasets import Binning, Recordings, load
from snnsim.datasets.samples import as_values
from snnsim.datasets.yin_yang import class_of, generate_yin_yang
from snnsim.spec.data import Randman, YinYang


def test_yin_yang_is_the_published_set() -> None:
    """The points are those of the authors' generator with its seeds, 42 for training and 40 for testing."""
    found = load(Request("yin-yang"))

    assert (len(found.train), len(found.valid), len(found.test)) == (4500, 500, 1000)
    assert (found.input_shape, found.classes, found.scale) == ((4,), 3, 1.0)
    draw = np.random.RandomState(40)
    goal = draw.randint(3)
    while True:
        x, y = draw.rand(2)
        if (x - 0.5) ** 2 + (y - 0.5) ** 2 <= 0.25 and class_of(x, y) == goal:
            break
    np.testing.assert_array_equal(found.test.values[0], np.array([x, y, 1 - x, 1 - y], np.float32))
    assert found.test.y[0] == goal


@pytest.mark.parametrize(
    ("point", "label"),
    [
        ((0.75, 0.5), 2),
        ((0.25, 0.58), 2),
        ((0.25, 0.7), 1),
        ((0.25, 0.3), 1),
        ((0.5, 0.9), 1),
        ((0.75, 0.7), 0),
        ((0.75, 0.3), 0),
        ((0.5, 0.1), 0),
    ],
)
def test_the_parts_of_the_sign(point: tuple[float, float], label: int) -> None:
    """Dots are 2; the upper half with the left bulge is 1; the lower half with the right bulge is 0."""
    assert class_of(*point) == label


def test_yin_yang_options() -> None:
    """The fifth input is a constant; sizes and seeds are free; equal seeds give equal points."""
    raw = generate_yin_yang(YinYang(inputs=5, train=30, test=10, seed=0))
    again = generate_yin_yang(YinYang(inputs=5, train=30, test=10, seed=0))
    other = generate_yin_yang(YinYang(train=30, test=10, seed=1))
    x = as_values(raw.x)

    assert raw.x.shape == (30, 5)
    assert (x[:, 4] == 1).all()
    np.testing.assert_array_equal(x, as_values(again.x))
    assert (as_values(other.x) != x[:, :4]).any()


def test_randman_is_one_spike_a_unit() -> None:
    """Each unit fires once in a sample, and the classes are as large as one another."""
    found = load(Request(randman=Randman(classes=3, dim=2, units=7, samples=20)), binning=Binning(1000))

    assert (found.input_shape, found.classes) == ((7,), 3)
    assert np.bincount(found.test.y).tolist() == [4, 4, 4]
    assert isinstance(found.train.x, Recordings)
    dense = found.train.x.events(100).to_dense()
    assert (dense.sum(axis=0) == 1).all()


def test_randman_depends_on_its_seed_alone() -> None:
    """The same seed gives the same spikes, another seed others."""
    options = [Randman(classes=2, units=5, samples=10, seed=seed) for seed in (3, 3, 4)]
    trains = []
    for option in options:
        x = load(Request(randman=option), binning=Binning(1)).train.x
        assert isinstance(x, Recordings)
        trains.append(x.events(100_000))

    digests = [hashlib.sha256(train.indptr.tobytes() + train.indices.tobytes()).hexdigest() for train in trains]
    assert digests[0] == digests[1] != digests[2]


def test_randman_is_smooth() -> None:
    """On a manifold of one dimension, samples that are near in one unit's time are near in all others', mostly.

    With a rough spectrum they are not.
    """
    gaps = []
    for smoothness in (5.0, 0.5):
        x = load(Request(randman=Randman(classes=2, smoothness=smoothness, samples=400)), binning=Binning(1)).train.x
        assert isinstance(x, Recordings)
        times = np.empty((len(x), 20))
        for k, (start, stop) in enumerate(zip(x.starts, x.stops, strict=True)):
            times[k, x.addresses[start:stop]] = x.steps[start:stop]
        distance = np.abs(times[:, None] - times[None]).mean(axis=2) + np.eye(len(x)) * 1e9
        gaps.append(float(distance.min(axis=1).mean()))
    assert gaps[0] * 5 < gaps[1]
