"""Graphs of other tools become networks that compute what NIR defines."""

from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nir_graph import interpreter
from nir_graph.builders import affine, chain, lif
from snnsim import InputError, Network, from_nir
from strategies import exact_values, seeds, spike_trains

STEPS, BATCH = 6, 4


def full(n: int, **values: float) -> dict[str, Any]:
    return {key: np.full(n, value) for key, value in values.items()}


def assert_same(graph: nir.NIRGraph, network: Network, *, seed: int = 0, exact: bool = False, **options: Any) -> None:
    """Assert that a network computes what its graph defines: the last node's output at every step.

    To float32's rounding; spikes, where weights and decays are dyadic, to the bit.
    """
    x = spike_trains(np.random.default_rng(seed), (STEPS, BATCH, *network.input_shape), 0.5, graded=False)
    expected = interpreter.run(graph, x, exact=exact, **options)["output"]
    found = network.run(x).step_logits
    assert found is not None
    assert expected.any()
    # Float32 against the interpreter's float64, over some steps: a few units in the last of seven digits.
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-5, atol=1e-5)


WEIGHT = [[0.5, 1.0, -0.25], [1.5, 0.25, 0.75]]


@pytest.mark.parametrize("bias", [None, [0.25, -0.125]], ids=["linear", "affine"])
def test_a_small_chain(bias: Any) -> None:
    """Weights, neurons, what was assumed, and the spikes of NIR's own definitions."""
    graph = chain(affine(WEIGHT, bias), lif(2))
    network = from_nir(graph)

    assert [next(iter(layer)) for layer in network.spec] == ["dense", "lif"]
    assert network.spec[0] == {"dense": {"out": 2, "bias": bias is not None}}
    given_options = {"beta": 0.5, "threshold": 1.0, "reset": "zero", "spike_at": ">", "readout": "count"}
    assert network.spec[1]["lif"].items() >= given_options.items()
    assert np.array_equal(network.parameters["0.weight"], np.array(WEIGHT, np.float32))
    assert network.origin == {
        "format": "NIR",
        "version": "",
        "dt": 1e-4,
        "discretization": "euler",
        "assumed": ["n1: a spike resets the membrane to v_reset", "n1: readout count"],
    }
    assert_same(graph, network)


NEURONS: dict[str, nir.NIRNode] = {
    "IF": nir.IF(**full(2, r=1.0, v_threshold=1.0, v_reset=0.0)),
    "IF with r": nir.IF(r=np.array([0.5, 2.0]), **full(2, v_threshold=1.0, v_reset=0.0)),
    "LIF": lif(2),
    "LIF with r": lif(2, r=1.0),
    "LIF, values each": nir.LIF(
        tau=np.array([2e-4, 4e-4]), r=np.array([1.0, 8.0]), v_threshold=np.array([0.5, 1.0]), **full(2, v_leak=0.0)
    ),
    "LIF, negative r": lif(2, r=-2.0, v_threshold=0.125),
    "LIF with v_leak": lif(2, v_leak=0.75),
    "CubaLIF": nir.CubaLIF(**full(2, tau_mem=2e-4, tau_syn=4e-4, r=2.0, v_leak=0.0, v_threshold=1.0, w_in=4.0)),
    "CubaLIF, bare w_in": nir.CubaLIF(**full(2, tau_mem=2e-4, tau_syn=1e-4, r=4.0, v_leak=0.0, v_threshold=0.5)),
    "I": nir.I(r=np.array([1.0, 0.25])),
    "LI": nir.LI(**full(2, tau=2e-4, r=3.0, v_leak=0.0)),
    "LI with v_leak": nir.LI(**full(2, tau=2e-4, r=3.0, v_leak=-0.5)),
    "CubaLI": nir.CubaLI(tau_mem=np.array([2e-4, 4e-4]), **full(2, tau_syn=4e-4, r=1.0, v_leak=0.0, w_in=2.0)),
}
LAYERS = {"IF": "if", "LIF": "lif", "CubaLIF": "cuba_lif", "I": "li", "LI": "li", "CubaLI": "cuba_li"}


@pytest.mark.parametrize("discretization", ["euler", "exp"])
@pytest.mark.parametrize("name", NEURONS)
def test_every_neuron(name: str, discretization: str) -> None:
    """Each node becomes its layer and computes its equations, by either rule; gains and leaks go into the weights."""
    node = NEURONS[name]
    graph = chain(affine(WEIGHT), node)
    network = from_nir(graph, discretization=discretization)

    assert list(network.spec[1]) == [LAYERS[type(node).__name__]]
    assert_same(graph, network, exact=discretization == "exp")


@pytest.mark.parametrize("dt", [5e-5, 2e-4])
def test_dt_is_the_length_of_a_step(dt: float) -> None:
    """Decay and gain follow dt where there is a time constant; without one a step is the unit of time."""
    graph = chain(affine(WEIGHT), lif(2, r=1.0))
    network = from_nir(graph, dt=dt)

    assert network.spec[1]["lif"]["beta"] == pytest.approx(1 - dt / 2e-4)
    assert np.array_equal(network.parameters["0.weight"], np.array(WEIGHT, np.float32) * np.float32(dt / 2e-4))
    assert_same(graph, network, dt=dt)

    graph = chain(affine(WEIGHT), nir.IF(**full(2, r=2.0, v_threshold=1.0)))
    network = from_nir(graph, dt=dt)
    assert np.array_equal(network.parameters["0.weight"], 2 * np.array(WEIGHT, np.float32))
    assert_same(graph, network, dt=dt)


def test_weights_stay_as_they_are_where_the_gain_is_one_but_for_rounding() -> None:
    """Time constants and resistances in float32, as snnTorch writes them."""
    beta = np.float32(0.9)
    tau = (np.float32(1e-4) / (1 - beta)).astype(np.float32)
    r = np.float32(tau / np.float32(1e-4))
    assert float(r) * 1e-4 / float(tau) != 1.0
    graph = chain(affine(WEIGHT), lif(2, tau=float(tau), r=float(r)))

    network = from_nir(graph)

    assert np.array_equal(network.parameters["0.weight"], np.array(WEIGHT, np.float32))
    assert network.spec[1]["lif"]["beta"] == 0.9


@pytest.mark.parametrize("v_leak", [0.0, 0.25, 0.5])
def test_another_reset_than_zero_shifts_the_membrane(v_leak: float) -> None:
    """The membrane is counted from v_reset: the same spikes as of one that begins there."""
    node = lif(2, v_reset=0.25, v_leak=v_leak)
    graph = chain(affine(WEIGHT), node)
    network = from_nir(graph)

    assert network.spec[1]["lif"]["threshold"] == 0.75
    assert "n1: the membrane is counted from v_reset, and begins there" in network.origin["assumed"]
    shifted = chain(affine(WEIGHT), lif(2, v_threshold=0.75, v_leak=v_leak - 0.25))
    assert_same(shifted, network)


def test_a_soft_reset_is_asked_for_by_name() -> None:
    """Neurons subtract their threshold where the user says that the writer meant it, never by themselves."""
    graph = chain(affine(WEIGHT), lif(2, v_reset=0.25, v_leak=0.0), affine(np.eye(2)), lif(2))

    assert [layer["lif"]["reset"] for layer in from_nir(graph).spec[1::2]] == ["zero", "zero"]
    soft = from_nir(graph, reset="subtract")
    assert [layer["lif"]["reset"] for layer in soft.spec[1::2]] == ["subtract", "subtract"]
    assert soft.spec[1]["lif"]["threshold"] == 1.0
    assert "n1: a spike subtracts the threshold (NIR itself resets to v_reset)" in soft.origin["assumed"]
    with pytest.raises(InputError, match=r"^reset: must be one of zero, subtract \(got 'hard'\)$"):
        from_nir(graph, reset="hard")


CYCLE = [("fc", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "out")]


def recurrent(neuron: nir.NIRNode, *, bias: bool, subgraph: bool) -> nir.NIRGraph:
    """Return two recurrent neurons behind weights: as a cycle of two nodes, or as a subgraph."""
    back = affine([[0.5, -0.75], [1.25, 0.25]], [0.125, 0.25] if bias else None)
    first, last = nir.Input(input_type=np.array([3])), nir.Output(output_type=np.array([2]))
    if not subgraph:
        nodes = {"in": first, "fc": affine(WEIGHT), "lif": neuron, "rec": back, "out": last}
        return nir.NIRGraph(nodes=nodes, edges=[("in", "fc"), *CYCLE], type_check=False)
    ends = {"fc": nir.Input(input_type=np.array([2])), "out": nir.Output(output_type=np.array([2]))}
    inner = nir.NIRGraph(nodes={**ends, "lif": neuron, "rec": back}, edges=CYCLE)
    return chain(affine(WEIGHT), inner)


@pytest.mark.parametrize("subgraph", [False, True], ids=["cycle", "subgraph"])
@pytest.mark.parametrize("bias", [False, True], ids=["linear", "affine"])
@pytest.mark.parametrize("name", ["IF with r", "LIF, values each", "LIF with v_leak", "CubaLIF, bare w_in"])
def test_recurrence(name: str, bias: bool, subgraph: bool) -> None:
    """A cycle of two nodes and a subgraph are recurrent weights; their bias joins that of the layer before."""
    graph = recurrent(NEURONS[name], bias=bias, subgraph=subgraph)
    network = from_nir(graph)

    assert network.spec[1][LAYERS[name.split()[0].strip(",")]]["recurrent"] is True
    assert network.parameters["1.recurrent_weight"].shape == (2, 2)
    assert ("0.bias" in network.parameters) == (bias or "v_leak" in name)
    x = spike_trains(np.random.default_rng(1), (STEPS, BATCH, 3), 0.5, graded=False)
    last = list(interpreter.run(graph, x).values())[-1]
    assert np.array_equal(network.run(x, record="spikes").spikes[1], last)
    assert 0 < last.sum() < last.size


def image_graph(pool: nir.NIRNode, neuron: nir.NIRNode, **options: Any) -> nir.NIRGraph:
    """Return convolution, pool, neurons, flatten, weights and neurons."""
    weight = exact_values(np.random.default_rng(3), (2, 2 // options.get("groups", 1), 3, 2))
    usual = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1, "bias": np.array([0.25, 0.5])}
    conv = nir.Conv2d(input_shape=None, weight=weight, **(usual | options))
    flatten = nir.Flatten(input_type=None, start_dim=0, end_dim=-1)
    shape = neuron.output_type["output"]
    flatten.input_type, flatten.output_type = {"input": shape}, {"output": np.array([np.prod(shape)])}
    last = affine(np.abs(exact_values(np.random.default_rng(4), (3, int(np.prod(shape))))))
    return chain(conv, pool, neuron, flatten, last, lif(3, r=1.0, tau=2e-4, v_threshold=0.0625), shape=(2, 7, 8))


def image_neurons(shape: tuple[int, ...], r: Any = 2.0) -> nir.LIF:
    """Return neurons of an image, in one shape for all values, as NIR wants them."""
    values = {"tau": 2e-4, "v_leak": 0.0, "v_threshold": 0.1875, "v_reset": 0.0}
    return nir.LIF(r=np.broadcast_to(r, shape).copy(), **{key: np.full(shape, value) for key, value in values.items()})


POOLS = {"sum": nir.SumPool2d, "avg": nir.AvgPool2d}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(
    "r",
    [2.0, np.array([1.0, 4.0])[:, None, None], 1 + np.arange(24).reshape(2, 4, 3) / 4],
    ids=["one", "channel", "each"],
)
def test_images(pool: str, r: Any) -> None:
    """Kernels that are not square, pools, flattening; a gain per channel goes through a pool into the weights."""
    window = POOLS[pool](kernel_size=np.array([2, 2]), stride=np.array([1, 2]), padding=np.array([0, 0]))
    graph = image_graph(window, image_neurons((2, 4, 3), r))
    network = from_nir(graph)

    assert [next(iter(layer)) for layer in network.spec] == [
        "conv2d",
        f"{pool}_pool2d",
        "lif",
        "flatten",
        "dense",
        "lif",
    ]
    assert_same(graph, network)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same", "neurons": (2, 7, 8)},
        {"padding": "valid", "neurons": (2, 5, 7)},
        {"padding": (1, 2), "stride": (2, 3), "neurons": (2, 4, 4)},
        {"dilation": (2, 3), "groups": 2, "neurons": (2, 3, 5)},
        {"bias": np.zeros(2), "neurons": (2, 5, 7)},
    ],
    ids=["same", "valid", "numbers", "dilated, in groups", "no bias"],
)
def test_convolutions(options: dict[str, Any]) -> None:
    """Every way to write where taps lie; a bias of zeros is none, since NIR's convolution always has one."""
    neurons = options.pop("neurons")
    once = nir.AvgPool2d(kernel_size=np.array([1, 1]), stride=np.array([1, 1]), padding=np.array([0, 0]))
    graph = image_graph(once, image_neurons(neurons), **options)
    network = from_nir(graph)

    assert ("0.bias" in network.parameters) == ("bias" not in options)
    assert_same(graph, network)


@given(seeds, st.data())
def test_edges_alone_say_the_order(seed: int, data: st.DataObject) -> None:
    """Nodes in any order, of any names, are the same network."""
    graph = chain(affine(WEIGHT, [0.25, 0.5]), lif(2), affine(np.eye(2)), NEURONS["LI"])
    names = data.draw(st.permutations(["a", "b.c", "input", "0", "z", "output"]))
    called = dict(zip(graph.nodes, names, strict=True))
    renamed = nir.NIRGraph(
        nodes={called[name]: graph.nodes[name] for name in data.draw(st.permutations(list(graph.nodes)))},
        edges=data.draw(st.permutations([(called[a], called[b]) for a, b in graph.edges])),
        type_check=False,
    )

    first, second = from_nir(graph), from_nir(renamed)

    assert first.spec == second.spec
    assert all(np.array_equal(first.parameters[name], second.parameters[name]) for name in first.parameters)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1), (2,), (2, 1, 1)])
def test_values_of_any_shape_are_spread(shape: tuple[int, ...]) -> None:
    """One value, or one per channel, stands for those of all neurons: also where values differ in their shapes."""
    graph = image_graph(
        nir.SumPool2d(kernel_size=np.array([1, 1]), stride=np.array([1, 1]), padding=np.array([0, 0])),
        image_neurons((2, 5, 7)),
    )
    expected = from_nir(graph)
    graph.nodes["n2"].tau = np.full(shape, 2e-4)
    graph.nodes["n2"].v_threshold = np.full((), 0.1875)

    assert from_nir(graph).spec == expected.spec


def test_sizes_of_one_number_stand_for_both_axes() -> None:
    """As PyTorch's modules have them."""
    pool = nir.AvgPool2d(kernel_size=2, stride=np.array(2), padding=0)
    graph = image_graph(pool, image_neurons((2, 2, 3)), stride=np.array(1), padding=0, dilation=1)

    spec = from_nir(graph).spec

    assert spec[0]["conv2d"].items() >= {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1]}.items()
    assert spec[1] == {"avg_pool2d": {"kernel": [2, 2], "stride": [2, 2]}}


def test_neurons_without_weights_before_them_are_scaled_by_the_threshold() -> None:
    """Input straight into neurons, and neurons behind neurons: the membrane is counted in units of the gain."""
    first = nir.LIF(tau=np.full(3, 2e-4), r=np.array([1.0, 4.0, 0.5]), **full(3, v_leak=0.0, v_threshold=0.25))
    graph = chain(first, lif(3, r=4.0, v_threshold=0.75), affine(WEIGHT), NEURONS["LI"])
    network = from_nir(graph)

    assert network.spec[0]["lif"]["threshold"] == [0.5, 0.125, 1.0]
    assert network.spec[1]["lif"]["threshold"] == 0.375
    assert "n1: threshold divided by the input gain 2" in network.origin["assumed"]
    assert_same(graph, network)


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 3)])
def test_an_axis_of_the_batch_is_left_out(shape: tuple[int, ...]) -> None:
    """Some writers leave it in the input's shape."""
    graph = chain(affine(WEIGHT), lif(2), shape=shape)
    assert from_nir(graph).run(np.ones((2, 1, 3))).logits.shape == (1, 2)
    assert from_nir(chain(affine(WEIGHT), lif(2), shape=(1, 3))).input_shape == (3,)


def test_a_graph_that_ends_in_weights_has_a_readout_of_currents() -> None:
    """Logits are what the last node puts out, averaged over the steps; a graph without neurons is an ANN."""
    graph = chain(affine(WEIGHT), lif(2), affine([[1.0, 0.5], [-0.25, 2.0], [0.125, 1.5]], [0.5, 0.25, -1.0]))
    network = from_nir(graph)

    assert network.spec[3] == {"li": {"beta": 0.0, "readout": "mean"}}
    assert "n2: ends the graph; what it puts out, averaged over the steps, is the logits" in network.origin["assumed"]
    assert_same(graph, network)
    assert from_nir(chain(affine(WEIGHT))).is_ann


def test_a_graph_is_not_changed_by_being_read() -> None:
    """Gains go into copies of the weights."""
    graph = chain(affine(WEIGHT), lif(2, r=1.0))
    first = from_nir(graph).parameters["0.weight"].copy()

    assert np.array_equal(graph.nodes["n0"].weight, np.array(WEIGHT, np.float32))
    assert np.array_equal(from_nir(graph).parameters["0.weight"], first)


ONE = np.ones((2, 5, 7))
IMAGES = image_neurons((2, 5, 7))
POOL = nir.SumPool2d(kernel_size=np.array([1, 1]), stride=np.array([1, 1]), padding=np.array([0, 0]))
PADDED = nir.SumPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([1, 0]))
CUBA = full(2, tau_mem=2e-4, tau_syn=2e-4, r=2.0, w_in=2.0)


def grouped(groups: int) -> nir.NIRGraph:
    """Return a convolution that says more groups than it has."""
    graph = image_graph(POOL, IMAGES)
    graph.nodes["n0"].groups = groups
    return graph


REFUSED: dict[str, tuple[nir.NIRGraph, str]] = {
    "unknown node": (
        chain(affine(WEIGHT), nir.Delay(delay=np.ones(2)), lif(2)),
        r"node 'n1' \(Delay\): has no counterpart in the network language; it reads Affine, Linear, Conv2d, SumPool2d",
    ),
    "hidden integrators": (
        chain(affine(WEIGHT), NEURONS["LI"], affine(np.eye(2))),
        r"'n1' \(LI\): does not fire, which",
    ),
    "tau shorter than dt": (
        chain(affine(WEIGHT), lif(2, tau=9e-5)),
        r"'n1' \(LIF\): tau 9e-05 s is shorter than a step of 0.0001 s; give a shorter dt, or the discretization exp$",
    ),
    "tau of 0": (chain(affine(WEIGHT), lif(2, tau=0.0)), r"'n1' \(LIF\): tau must be above 0 \(got 0\)"),
    "NaN": (chain(affine(WEIGHT), lif(2, r=np.nan)), r"'n1' \(LIF\): r holds NaN or infinite values"),
    "infinite weight": (chain(affine([[np.inf]]), lif(1)), r"'n0' \(Linear\): weight holds NaN or infinite values"),
    "threshold of 0": (chain(affine(WEIGHT), lif(2, v_threshold=0.0)), r"v_threshold must be above 0 \(lowest 0\)"),
    "threshold below the reset": (
        chain(affine(WEIGHT), lif(2, v_threshold=0.5, v_reset=0.75)),
        r"'n1' \(LIF\): v_threshold must be above v_reset \(lowest 0.5\)",
    ),
    "v_leak of a synaptic current": (
        chain(affine(WEIGHT), nir.CubaLIF(**CUBA, **full(2, v_leak=0.5, v_threshold=1.0))),
        r"'n1' \(CubaLIF\): v_leak must be v_reset: a constant drive would pass through the synaptic current",
    ),
    "v_leak of a synaptic readout": (
        chain(affine(WEIGHT), nir.CubaLI(**CUBA, **full(2, v_leak=0.5))),
        r"'n1' \(CubaLI\): v_leak must be 0",
    ),
    "v_leak without weights": (
        chain(lif(3, v_leak=0.5), affine(WEIGHT), lif(2)),
        r"'n0' \(LIF\): v_leak cannot be added to the bias of a layer",
    ),
    "readout without weights": (
        chain(affine(WEIGHT), lif(2), NEURONS["I"]),
        r"'n2' \(I\): its input gain 0.25 to 1 cannot be multiplied into",
    ),
    "negative gain without weights": (
        chain(lif(3, r=-2.0), affine(WEIGHT), lif(2)),
        r"'n0' \(LIF\): its input gain -1 cannot be multiplied into",
    ),
    "other inputs": (
        chain(affine(WEIGHT), affine(np.eye(3)), lif(3)),
        r"'n1' \(Linear\): takes 3 values, and gets shape \[2\]",
    ),
    "other number of neurons": (
        chain(affine(WEIGHT), lif(3)),
        r"'n1' \(LIF\): v_reset has shape \[3\], the layer \[2\]",
    ),
    "weights of three axes": (
        chain(nir.Linear(weight=np.ones((2, 3, 3))), lif(3), shape=(3,)),
        r"weight must have two axes",
    ),
    "another bias": (chain(affine(WEIGHT, [1.0]), lif(2)), r"'n0' \(Affine\): bias must have 2 values \(got 1\)"),
    "padded pool": (
        image_graph(PADDED, IMAGES),
        r"'n1' \(SumPool2d\): has a padding, which pools of a network have not",
    ),
    "other channels": (grouped(2), r"'n0' \(Conv2d\): takes 4 channels, and gets shape \[2, 7, 8\]"),
    "kernel too large": (
        image_graph(POOL, IMAGES, dilation=(4, 1)),
        r"'n0' \(Conv2d\): spans 9, more than the padded height 7",
    ),
    "stride of 0": (image_graph(POOL, IMAGES, stride=(0, 1)), r"stride must be one or two whole numbers of at least 1"),
    "half a stride": (image_graph(POOL, IMAGES, stride=(0.5, 1)), r"'n0' \(Conv2d\): stride must be one or two whole"),
    "groups that do not divide": (grouped(3), r"groups must divide its 2 outputs \(got 3\)"),
    "overflow": (chain(affine([[1e30]]), lif(1, r=1e30)), r"^the graph: 0.weight holds NaN or infinite values"),
    "threshold beyond float32": (chain(affine([[1.0]]), lif(1, v_threshold=1e300)), r"threshold: must be "),
    "nothing but neurons": (chain(lif(1)), r"^network: must have at least one layer with weights"),
    "stride with same": (
        image_graph(POOL, IMAGES, padding="same", stride=(2, 2)),
        r"'n0' \(Conv2d\): same needs stride 1",
    ),
    "flat image": (
        chain(nir.Conv2d(None, np.ones((1, 1, 2, 2)), 1, 0, 1, 1, np.zeros(1)), lif(3), shape=(3,)),
        r"'n0' \(Conv2d\): needs an image \[channels, height, width\]",
    ),
    "recurrent weights of another size": (
        nir.NIRGraph(
            nodes={"fc": affine(WEIGHT), "lif": lif(2), "rec": affine(np.eye(3)), "out": nir.Output(np.array([2]))},
            edges=[("fc", "lif"), *CYCLE[1:]],
            type_check=False,
        ),
        r"'rec' \(Linear\): weight must be \[2, 2\], from every neuron to every neuron \(got \[3, 3\]\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_network_cannot_hold_is_refused(case: str) -> None:
    """One message, which names the node and what is wrong with it."""
    graph, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        from_nir(graph)
    assert "\n" not in str(caught.value)


def test_an_empty_node_is_named() -> None:
    """Tools put nothing where they have no node for a module."""
    graph = chain(affine(WEIGHT), lif(2))
    graph.nodes["n1"] = None
    with pytest.raises(InputError, match=r"^node 'n1': is empty; the tool that made the graph has no NIR node for it$"):
        from_nir(graph)


def test_neither_a_file_nor_a_graph() -> None:
    """Is said so."""
    with pytest.raises(InputError, match=r"^must be a file or a nir\.NIRGraph \(got LIF\)$"):
        from_nir(lif(2))
