"""Graphs that others published load, run, and agree with others' software."""

from pathlib import Path

import nir
import numpy as np

from nir_graph import interpreter
from snnsim import from_nir

GRAPHS = Path(__file__).parent / "graphs"


def braille_input() -> np.ndarray:
    """Return what `braille_spikes.npz` was computed for, [T, B, N]."""
    return (np.random.default_rng(0).random((256, 8, 12)) < 0.3).astype(np.float32)


def test_the_braille_network() -> None:
    """A trained recurrent network fires as in snnTorch, spike for spike, and as NIR's definitions have it."""
    network = from_nir(GRAPHS / "braille.nir")
    spikes = network.run(braille_input(), record="spikes").spikes

    assert [next(iter(layer)) for layer in network.spec] == ["dense", "cuba_lif", "dense", "cuba_lif"]
    assert network.origin["version"] == "0.2.0"
    with np.load(GRAPHS / "braille_spikes.npz") as stored:
        for index, n in ((1, 38), (3, 7)):
            expected = np.unpackbits(stored[f"{index}"], count=256 * 8 * n).reshape(256, 8, n)
            assert expected.any()
            assert np.array_equal(spikes[index], expected)
    again = interpreter.run(nir.read(GRAPHS / "braille.nir"), braille_input()[:40])
    assert np.array_equal(spikes[1][:40], again["lif1.lif"])
    assert np.array_equal(spikes[3][:40], again["lif2"])


def test_one_neuron_of_norse() -> None:
    """Time constant 2.5 ms, r 1, threshold 0.1: with Norse's usual step of a millisecond an input counts 0.4."""
    network = from_nir(GRAPHS / "lif_norse.nir", dt=1e-3)
    x = np.zeros((6, 1, 1), np.float32)
    x[[0, 3, 4]] = [[[0.3]], [[0.2]], [[0.1]]]
    run = network.run(x, record=("spikes", "membrane"))

    assert network.origin["version"] == "0.1.1"
    assert run.spikes[1].ravel().tolist() == [1, 0, 0, 0, 0, 0]
    # 0.3 * 0.4 fires and resets; 0.2 * 0.4, then 0.6 of that and 0.1 * 0.4, then decay.
    assert np.allclose(run.membrane[1].ravel(), [0.12, 0, 0, 0.08, 0.088, 0.0528], rtol=1e-6)  # float32 beside decimals
    again = interpreter.run(nir.read(GRAPHS / "lif_norse.nir"), x, dt=1e-3)
    assert np.array_equal(run.spikes[1], again["1"])
