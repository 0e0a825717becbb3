"""Graphs to and from other tools, where these are installed: the same spikes in both."""

import warnings
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from snnsim import Network, from_nir, save_nir, to_nir
from strategies import spike_trains

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, of which there are many

STEPS = 12


def need(name: str) -> Any:
    """Import a library, or skip the test and say why."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is not installed", exc_type=ImportError)


def convolutional(neuron: str, pool: str, **options: Any) -> Network:
    """Return a network of MNIST's shape, with weights large enough for every layer to fire."""
    usual = {neuron: {"reset": "zero", **options}}
    layers = [
        {"conv2d": {"out": 6, "kernel": 5}},
        usual,
        {pool: 2},
        {"conv2d": {"out": 8, "kernel": 3, "padding": 1, "stride": 2}},
        usual,
        {"dense": 10},
        {neuron: {**usual[neuron], "readout": "count"}},
    ]
    network = Network.from_config(layers, input_shape=(1, 28, 28), seed=3)
    for parameter in network.parameters.values():
        parameter[...] *= 3
    return network


def assert_fires_alike(network: Network, module: Any) -> None:
    """Assert that a PyTorch module, run sample by sample and step by step, fires as the network's last layer does."""
    torch = need("torch")
    x = spike_trains(np.random.default_rng(0), (STEPS, 2, *network.input_shape), 0.1, graded=False)
    expected = network.run(x, record="spikes").spikes[len(network.layers) - 1]
    assert 0 < expected.sum() < expected.size
    with torch.no_grad():
        for b in range(2):
            for part in module.modules():
                if hasattr(part, "reset_mem"):  # snnTorch keeps membranes in its modules
                    part.reset_mem()
            state: tuple[Any, ...] = ()
            for t in range(STEPS):
                out, *rest = module(torch.tensor(x[t, b]), *state)
                state = tuple(rest)
                found = np.asarray(out[0] if isinstance(out, tuple) else out).reshape(expected[t, b].shape)
                assert np.array_equal(found, expected[t, b])


@pytest.mark.parametrize("pool", ["avg_pool2d", "sum_pool2d"])
@pytest.mark.parametrize(("neuron", "decays"), [("lif", {"beta": 0.9}), ("cuba_lif", {"beta": 0.9, "alpha": 0.6})])
def test_snntorch_reads_what_we_write(tmp_path: Path, neuron: str, decays: dict[str, float], pool: str) -> None:
    """A convolutional network, by a file: its importer takes steps of 1e-4 s by euler."""
    need("snntorch")
    importer = need("snntorch.import_nir")
    network = convolutional(neuron, pool, **decays)
    save_nir(network, tmp_path / "a.nir")

    assert_fires_alike(network, importer.import_from_nir(nir.read(tmp_path / "a.nir")))


@pytest.mark.parametrize(("neuron", "decays"), [("if", {}), ("cuba_lif", {"beta": 0.9, "alpha": 0.6})])
def test_norse_reads_what_we_write(tmp_path: Path, neuron: str, decays: dict[str, float]) -> None:
    """What its importer supports: it passes over the r of a LIF, and has no average pooling."""
    norse = need("norse.torch")
    network = convolutional(neuron, "sum_pool2d", **decays)
    save_nir(network, tmp_path / "a.nir")

    assert_fires_alike(network, norse.from_nir(nir.read(tmp_path / "a.nir"), dt=1e-4))


def test_we_read_what_snntorch_writes(tmp_path: Path) -> None:
    """Weights, a pool, LIF and synaptic neurons, recurrence with a bias; its neurons reset to zero at once."""
    torch, snn = need("torch"), need("snntorch")
    exporter = need("snntorch.export_nir")
    torch.manual_seed(0)
    usual = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3),
        snn.Leaky(beta=0.9 * torch.ones(3, 6, 6), threshold=0.5 * torch.ones(3, 6, 6), **usual),
        torch.nn.AvgPool2d(2),
        torch.nn.Flatten(0),
        torch.nn.Linear(27, 8),
        snn.Synaptic(alpha=0.8 * torch.ones(8), beta=torch.rand(8), threshold=0.3 * torch.ones(8), **usual),
        torch.nn.Linear(8, 5),
        snn.RLeaky(beta=0.7, threshold=0.2, linear_features=5, **usual),
    )
    graph = exporter.export_to_nir(module, torch.randn(1, 8, 8))
    nir.write(tmp_path / "a.nir", graph)
    network = from_nir(tmp_path / "a.nir")

    assert [next(iter(layer)) for layer in network.spec][5:] == ["cuba_lif", "dense", "lif"]
    assert network.spec[7]["lif"]["recurrent"]
    for layer in module:
        if hasattr(layer, "reset_mem"):
            layer.reset_mem()
    x = spike_trains(np.random.default_rng(0), (STEPS, 1, 1, 8, 8), 0.3, graded=False)
    with torch.no_grad():
        expected = np.array([np.asarray(module(torch.tensor(frame[0]))) for frame in x])
    assert 0 < expected.sum() < expected.size
    assert np.array_equal(network.run(x, record="spikes").spikes[7][:, 0], expected)


@pytest.mark.parametrize("name", ["LIFBox", "IAF"])
def test_we_read_what_norse_writes(tmp_path: Path, name: str) -> None:
    """Its time constants are multiplied by its dt, 1e-3: the step that gives its decays is 1e-6."""
    torch, norse = need("torch"), need("norse.torch")
    torch.manual_seed(0)
    one = torch.ones(7)
    leak = {"tau_mem_inv": 100 * one, "v_leak": 0 * one} if name == "LIFBox" else {}
    parameters = getattr(norse, f"{name}Parameters")(v_th=0.3 * one, v_reset=0 * one, **leak)
    weights = torch.nn.Linear(12, 7)
    weights.weight.data *= 4
    module = norse.SequentialState(weights, getattr(norse, f"{name}Cell")(parameters))
    nir.write(tmp_path / "a.nir", norse.to_nir(module, torch.zeros(1, 12)))

    network = from_nir(tmp_path / "a.nir", dt=1e-6)

    x = spike_trains(np.random.default_rng(0), (30, 3, 12), 0.4, graded=False)
    found, state = network.run(x, record="spikes").spikes[1], None
    assert 0 < found.sum() < found.size
    with torch.no_grad():
        for t in range(30):
            expected, state = module(torch.tensor(x[t]), state)
            assert np.array_equal(found[t], expected.numpy())


def test_we_read_what_sinabs_writes(tmp_path: Path) -> None:
    """Convolution, integrate-and-fire, sum pooling; the soft reset that it has and NIR cannot say is told."""
    torch, layers = need("torch"), need("sinabs.layers")
    activation, exporter = need("sinabs.activation"), need("sinabs.nir")
    torch.manual_seed(1)
    usual = {"batch_size": 1, "spike_fn": activation.SingleSpike}
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, bias=False),
        layers.IAFSqueeze(**usual),
        layers.SumPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(27, 5, bias=False),
        layers.IAFSqueeze(**usual),
    )
    graph = exporter.to_nir(module, torch.zeros(1, 2, 8, 8))
    graph.infer_types()
    nir.write(tmp_path / "a.nir", graph)
    network = from_nir(tmp_path / "a.nir", reset="subtract")

    for layer in (module[1], module[5]):
        layer.reset_states()
    x = spike_trains(np.random.default_rng(0), (STEPS, 1, 2, 8, 8), 0.4, graded=False)
    with torch.no_grad():
        expected = module(torch.tensor(x[:, 0])).numpy()
    assert 0 < expected.sum() < expected.size
    assert np.array_equal(network.run(x, record="spikes").spikes[5][:, 0], expected)


def test_we_read_what_rockpool_writes(tmp_path: Path) -> None:
    """Its exact decays, of the step that it was made with; gains are what NIR's equations make of its r."""
    modules, combinators = need("rockpool.nn.modules"), need("rockpool.nn.combinators")
    exporter = need("rockpool.nn.modules.torch.nir")
    module = combinators.Sequential(
        modules.LinearTorch((4, 3)), modules.LIFTorch(3, tau_mem=0.02, tau_syn=0.01, threshold=0.5, dt=1e-3)
    )
    nir.write(tmp_path / "a.nir", exporter.to_nir(module))
    network = from_nir(tmp_path / "a.nir", dt=1e-3, discretization="exp", reset="subtract")

    assert network.input_shape == (4,)
    neurons = network.spec[1]["cuba_lif"]
    assert neurons["beta"] == pytest.approx(np.exp(-0.05))
    assert neurons["alpha"] == pytest.approx(np.exp(-0.1))
    gain = 20 * np.exp(-0.05) * (1 - np.exp(-0.05)) * (1 - np.exp(-0.1))
    weight = gain * module[0].weight.detach().numpy().T
    np.testing.assert_allclose(network.parameters["0.weight"], weight, rtol=1e-5)  # its r is float32


def test_a_graph_goes_through_nirs_own_checks() -> None:
    """What is written passes the library's inference of shapes."""
    graph = to_nir(convolutional("lif", "avg_pool2d", beta=0.9))
    assert graph.check_types()
    graph.infer_types()
