"""Networks become graphs that others compute the same spikes with, and come back as they were."""

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nir_graph import interpreter
from oracles import COUNTERS
from snnsim import InputError, Network, from_nir, save_nir, to_nir
from strategies import dense_layers, exact_values, seeds, spike_trains

Layers = list[Any]
DROPPED = {"dropout"}


def exact_network(layers: Layers, shape: tuple[int, ...], seed: int = 0) -> Network:
    """Return a network whose weights are multiples of 1/256: with dyadic decays every sum is exact."""
    network = Network.from_config(layers, input_shape=shape)
    rng = np.random.default_rng(seed)
    for parameter in network.parameters.values():
        parameter[...] = exact_values(rng, parameter.shape)
    return network


def assert_comes_back(network: Network, again: Network, seed: int = 0) -> int:
    """Assert that two networks compute the same bits, layer by layer, and count the same; return how many spikes."""
    kept = [layer.index for layer in network.layers if layer.name not in DROPPED]
    names = [network.layers[index].name for index in kept]
    for place, index in enumerate(kept):  # a lif of which no neuron leaks is an if
        if names[place] == "lif" and np.all(
            network.parameters.get(f"{index}.beta", network.spec[index]["lif"]["beta"]) == 1
        ):
            names[place] = "if"
    assert names == [layer.name for layer in again.layers]
    assert again.input_shape == network.input_shape
    x = spike_trains(np.random.default_rng(seed), (6, 3, *network.input_shape), 0.4, graded=False)
    first, second = (net.run(x, record=("spikes", "membrane")) for net in (network, again))
    assert np.array_equal(first.logits, second.logits)
    for index, copy in zip(kept, range(len(kept)), strict=True):
        for counter in COUNTERS:
            assert np.array_equal(getattr(first.counts[index], counter), getattr(second.counts[copy], counter))
        if index in first.membrane:
            assert np.array_equal(first.membrane[index], second.membrane[copy])
        if index in first.spikes:
            assert np.array_equal(first.spikes[index], second.spikes[copy])
    return int(first.counts.total("spikes").sum())


ZERO = {"reset": "zero"}
CONVOLUTIONAL: Layers = [
    {"conv2d": {"out": 6, "kernel": 5, "padding": 2}},
    {"lif": {**ZERO, "beta": 0.5, "threshold": 0.5}},
    {"sum_pool2d": 2},
    {"conv2d": {"out": 8, "kernel": 3, "stride": 2, "bias": False}},
    {"lif": {**ZERO, "beta": [0.0, 0.5, 0.5, 0.25, 0.5, 0.5, 0.5, 0.5], "threshold": 0.75}},
    {"avg_pool2d": 2},
    {"dense": 10},
    {"lif": {**ZERO, "beta": 0.5, "threshold": 0.25, "readout": "count"}},
]


def test_a_convolutional_network_read_back_by_nir_alone(tmp_path: Path) -> None:
    """MNIST's shape, direct input: nir reads the file, its checks on, and NIR's definitions give the same spikes."""
    network = exact_network(CONVOLUTIONAL, (1, 28, 28))
    notes = save_nir(network, tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    image = np.random.default_rng(1).integers(0, 5, (1, 5, 1, 28, 28)) / 4

    run = network.run(image, input_coding="direct", num_steps=6, record="spikes")
    found = interpreter.run(graph, np.repeat(image, 6, axis=0))

    assert notes == []
    assert list(graph.nodes) == sorted(graph.nodes)
    for index, name in ((1, "2_lif"), (4, "5_lif"), (7, "9_lif")):
        assert 0 < run.spikes[index].sum() < run.spikes[index].size
        assert np.array_equal(run.spikes[index], found[name])
    assert np.array_equal(run.logits, found["output"].sum(axis=0))
    assert assert_comes_back(network, from_nir(tmp_path / "a.nir")) > 0


def test_what_is_written() -> None:
    """Nodes named in their order, values of the layer's shape, time constants of seconds, weights as they are."""
    layers: Layers = [
        {"dense": 3},
        {"lif": {**ZERO, "beta": 0.5}},
        {"dense": {"out": 2, "bias": False}},
        {"li": {"beta": 0.75}},
    ]
    network = Network.from_config(layers, input_shape=(2, 2))
    graph = to_nir(network)

    assert list(graph.nodes) == ["input", "1_flatten", "2_dense", "3_lif", "4_dense", "5_li", "output"]
    assert graph.edges == list(zip(list(graph.nodes)[:-1], list(graph.nodes)[1:], strict=True))
    assert graph.metadata.items() >= {"dt": 1e-4, "discretization": "euler"}.items()
    lif, li = graph.nodes["3_lif"], graph.nodes["5_li"]
    assert isinstance(graph.nodes["4_dense"], nir.Linear)
    assert [value.shape for value in (lif.tau, lif.r, lif.v_leak, lif.v_threshold, lif.v_reset)] == [(3,)] * 5
    assert (lif.tau, lif.r, lif.v_leak, lif.v_reset) == tuple(pytest.approx(np.full(3, v)) for v in (2e-4, 2, 0, 0))
    assert (li.tau, li.r) == (pytest.approx(np.full(2, 4e-4)), pytest.approx(np.full(2, 4.0)))
    weight = graph.nodes["2_dense"].weight
    assert weight.dtype == np.float32
    assert np.array_equal(weight, network.parameters["0.weight"])
    assert graph.check_types()


@st.composite
def portable_neurons(draw: st.DrawFn, channels: int, size: int, *, last: bool = False) -> dict[str, Any]:
    """Draw firing neurons that NIR can express."""
    beta = st.sampled_from([0.0, 0.3, 0.9, 0.999, [(k + 1) / (channels + 2) for k in range(channels)]])
    options: dict[str, Any] = {
        "reset": "zero",
        "reset_delay": draw(st.booleans()),
        "threshold": draw(st.sampled_from([0.1, 0.7, [0.2 + k / 9 for k in range(size)]])),
        "spike_at": draw(st.sampled_from([">", ">="])),
        "recurrent": draw(st.booleans()),
        "learn_threshold": draw(st.booleans()),
    }
    if last:
        options["readout"] = draw(st.sampled_from(["count", "rate"]))
    name = draw(st.sampled_from(["if", "lif", "cuba_lif"]))
    if name != "if":
        whole: list[Any] = [1.0] if name == "lif" else []
        options |= {"beta": draw(beta | st.sampled_from(whole) if whole else beta), "learn_beta": draw(st.booleans())}
    if name == "cuba_lif":
        options |= {"alpha": draw(beta), "learn_alpha": draw(st.booleans())}
    return {name: options}


@st.composite
def portable_networks(draw: st.DrawFn) -> tuple[Layers, tuple[int, ...]]:
    """Draw a network that NIR can express: images or not, any readout."""
    layers: Layers = []
    shape: tuple[int, ...] = draw(st.sampled_from([(5,), (2, 3), (2, 6, 7)]))
    first = shape
    if len(shape) == 3:
        layers.append({"conv2d": {"out": 4, "kernel": [3, 2], "groups": draw(st.sampled_from([1, 2]))}})
        layers.append({draw(st.sampled_from(["avg_pool2d", "sum_pool2d"])): 2})
        shape = (4, 2, 3)
        layers.append(draw(portable_neurons(4, 24)))
        layers += draw(st.sampled_from([[], ["flatten"], [{"dropout": 0.5}]]))
    else:
        layers.append(draw(portable_neurons(int(np.prod(shape)), int(np.prod(shape)))))
    layers += [draw(dense_layers(7)), draw(portable_neurons(7, 7)), draw(dense_layers(3))]
    if draw(st.booleans()):
        return [*layers, draw(portable_neurons(3, 3, last=True))], first
    readout = {
        "readout": draw(st.sampled_from(["mean", "sum", "max", "last"])),
        "beta": draw(st.sampled_from([0.0, 0.8])),
    }
    ends: Layers = [
        {"li": readout},
        {"li": {**readout, "beta": 1.0}},
        {"cuba_li": {**readout, "alpha": [0.1, 0.5, 0.0]}},
    ]
    return [*layers, draw(st.sampled_from(ends))], first


@given(portable_networks(), seeds)
def test_a_network_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, drawn: Any, seed: int) -> None:
    """Through a file: every membrane and spike the same bits, every count the same, for any weights and decays."""
    layers, shape = drawn
    network = Network.from_config(layers, input_shape=shape, seed=seed)
    path = tmp_path_factory.mktemp("graphs") / "a.nir"

    save_nir(network, path)

    assert_comes_back(network, from_nir(path), seed)


@given(portable_networks(), st.sampled_from([(1e-3, "euler"), (1.0, "euler"), (1.0, "exp"), (5e-5, "exp")]), seeds)
def test_any_step_will_do(drawn: Any, step: tuple[float, str], seed: int) -> None:
    """The graph says how it was written; read so, the network is the same, but exp cannot say a decay of 0."""
    layers, shape = drawn
    network = Network.from_config(layers, input_shape=shape, seed=seed)
    dt, discretization = step
    decays = [options.get(key) for layer in network.spec for options in layer.values() for key in ("alpha", "beta")]
    if discretization == "exp" and any(np.any(np.equal(decay, 0.0)) for decay in decays if decay is not None):
        with pytest.raises(InputError, match="0 has no time constant with exp"):
            to_nir(network, dt=dt, discretization=discretization)
        return
    graph = to_nir(network, dt=dt, discretization=discretization)
    assert_comes_back(network, from_nir(graph), seed)
    assert_comes_back(network, from_nir(graph, dt=dt, discretization=discretization), seed)


@given(portable_networks(), seeds)
def test_a_graph_computes_what_the_network_does(drawn: Any, seed: int) -> None:
    """By NIR's definitions in float64, where the network's own membranes keep clear of the thresholds."""
    layers, shape = drawn
    network = Network.from_config(layers, input_shape=shape, seed=seed)
    x = spike_trains(np.random.default_rng(seed), (6, 3, *shape), 0.4, graded=False)
    run = network.run(x, record=("spikes", "membrane"))
    for index, membrane in run.membrane.items():
        layer = network.layers[index]
        if layer.fires:
            distance = np.abs(membrane.reshape(6, 3, -1) - layer.values.threshold)  # type: ignore[attr-defined]
            if distance.min() < 1e-4:  # rounding may decide: float32 here, float64 there
                return

    found = interpreter.run(to_nir(network), x)["output"]

    assert run.step_logits is not None
    np.testing.assert_allclose(run.step_logits, found, rtol=1e-4, atol=1e-5)  # float32 against float64


def test_firing_at_the_threshold_is_written_as_above_the_number_below() -> None:
    """NIR's test is strict; the same spikes, ties too, and said so."""
    layers: Layers = [{"dense": {"out": 1, "bias": False}}, {"if": {**ZERO, "spike_at": ">=", "readout": "count"}}]
    network = Network.from_config(layers, input_shape=(1,))
    network.parameters["0.weight"][...] = 0.5
    x = np.ones((4, 1, 1))
    graph = to_nir(network)

    assert network.run(x).logits == 2
    assert interpreter.run(graph, x)["output"].sum() == 2
    assert from_nir(graph).run(x).logits == 2
    assert graph.nodes["2_if"].v_threshold[0] == np.nextafter(np.float32(1), np.float32(0))


SOFT: Layers = [{"dense": 4}, {"lif": {"threshold": 0.25}}, {"dense": 3}, {"li": {}}]


def test_a_soft_reset_is_not_written_by_itself() -> None:
    """Refused with the ways there are: neither is taken silently."""
    with pytest.raises(InputError, match=r"^layer 1 \(lif\): reset subtract: NIR's neurons reset to a fixed value\. "):
        to_nir(Network.from_config(SOFT, input_shape=(5,)))


def test_a_soft_reset_is_kept_in_the_metadata_on_request(tmp_path: Path) -> None:
    """It is read back, bit for bit; the notes say that others do not."""
    network = Network.from_config(SOFT, input_shape=(5,), seed=2)
    notes = save_nir(network, tmp_path / "a.nir", reset="subtract")

    assert notes == ["layer 1 (lif) subtracts its threshold: in the metadata alone, others reset it to 0"]
    assert assert_comes_back(network, from_nir(tmp_path / "a.nir")) > 0
    assert from_nir(tmp_path / "a.nir", reset="zero").spec[1]["lif"]["reset"] == "zero"
    assert nir.read(tmp_path / "a.nir").nodes["2_lif"].metadata == {"reset": "subtract"}


def test_a_soft_reset_is_changed_to_zero_on_request(tmp_path: Path) -> None:
    """Another network, and said so; the metadata say nothing."""
    network = Network.from_config(SOFT, input_shape=(5,), seed=2)
    notes = save_nir(network, tmp_path / "a.nir", reset="zero")
    hard = Network.from_config([SOFT[0], {"lif": {"threshold": 0.25, **ZERO}}, *SOFT[2:]], input_shape=(5,), seed=2)

    assert notes == ["layer 1 (lif) resets to 0 in the graph, and subtracts its threshold here"]
    assert assert_comes_back(hard, from_nir(tmp_path / "a.nir")) > 0


def test_metadata_of_others_mean_nothing() -> None:
    """Words that snnsim uses for itself are read only where it wrote the graph."""
    graph = to_nir(Network.from_config(SOFT, input_shape=(5,)), reset="subtract", dt=1.0)
    del graph.metadata["snnsim"]
    network = from_nir(graph, dt=1.0)

    assert network.spec[1]["lif"]["reset"] == "zero"
    graph.nodes["2_lif"].tau *= 1e-6
    with pytest.raises(InputError, match=r"shorter than a step of 0\.0001 s"):
        from_nir(graph)


def test_parts_that_do_nothing_in_use_are_left_out() -> None:
    """Dropout, with a note."""
    layers: Layers = [{"dense": 4}, {"lif": ZERO}, {"dropout": 0.5}, {"dense": 2}, "li"]
    network = Network.from_config(layers, input_shape=(3,))
    from snnsim.nir_graph.exporting import export
    from snnsim.nir_graph.steps import Step

    exported = export(network, Step(), None)

    assert exported.notes == ["layer 2 (dropout) left out: it does nothing but in training"]
    assert not any("dropout" in name for name in exported.graph.nodes)


def test_shapes_that_the_library_checks_wrongly_are_told(tmp_path: Path) -> None:
    """Kernels that are not square, and groups: the file is right, `nir` must not check it."""
    layers: Layers = [{"conv2d": {"out": 2, "kernel": [3, 5]}}, {"if": ZERO}, {"dense": 2}, "li"]
    (note,) = save_nir(Network.from_config(layers, input_shape=(2, 8, 8)), tmp_path / "a.nir")

    assert note.startswith("layer 0 (conv2d) has a kernel that is not square, whose shapes nir 1.0.8 checks wrongly")
    with pytest.raises(ValueError, match="mismatch"):
        nir.read(tmp_path / "a.nir")
    assert nir.read(tmp_path / "a.nir", type_check=False).nodes["1_conv2d"].weight.shape == (2, 2, 3, 5)
    assert from_nir(tmp_path / "a.nir").layers[0].out_shape == (2, 6, 4)


END: Layers = [{"dense": 2}, "li"]
REFUSED: dict[str, tuple[Layers, dict[str, Any], str]] = {
    "alif": (
        [{"alif": ZERO}, *END],
        {},
        r"layer 0 \(alif\): NIR has no adaptive threshold; what NIR tools share is dense",
    ),
    "max pooling": (
        [{"conv2d": {"out": 2, "kernel": 3}}, {"max_pool2d": 2}, {"if": ZERO}, *END],
        {},
        "NIR has no max pooling",
    ),
    "relu": ([{"dense": 3}, "relu", {"dense": 2}], {}, r"layer 1 \(relu\): NIR has no ReLU"),
    "no reset": ([{"if": {"reset": "none"}}, *END], {}, r"layer 0 \(if\): reset none"),
    "no reset, subtract": ([{"if": {"reset": "none"}}, *END], {"reset": "subtract"}, r"layer 0 \(if\): reset none"),
    "delayed": ([{"if": {"reset_delay": True}}, *END], {"reset": "subtract"}, r"layer 0 \(if\): reset_delay"),
    "some decays 1": (
        [{"lif": {**ZERO, "beta": [1.0, 0.5]}}, *END],
        {},
        r"layer 0 \(lif\): beta 1, which never decays",
    ),
    "synapse of 1": ([{"cuba_lif": {**ZERO, "alpha": 1.0}}, *END], {}, r"layer 0 \(cuba_lif\): alpha 1, which never"),
    "decay too small": ([{"lif": {**ZERO, "beta": 1e-20}}, *END], {}, r"beta 1e-20 has no time constant with euler"),
    "image after recurrence": (
        [{"if": {**ZERO, "recurrent": True}}, {"sum_pool2d": 2}, *END],
        {},
        r"layer 1 \(sum_pool2d\): needs an image, but",
    ),
    "another reset": (END, {"reset": "hard"}, r"reset: must be one of zero, subtract \(got 'hard'\)"),
    "a step of no length": (END, {"dt": 0.0}, "dt: must be a positive number of seconds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_nir_cannot_say_is_refused(case: str) -> None:
    """One message that names the layer, and why."""
    layers, options, message = REFUSED[case]
    network = Network.from_config(layers, input_shape=(2, 8, 8) if "image" in case or "max" in case else (2,))
    with pytest.raises(InputError, match=message):
        to_nir(network, **options)
