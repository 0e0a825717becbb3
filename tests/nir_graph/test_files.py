"""NIR files: of every version, damaged ones, and files of other kinds."""

import sys
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_graph.builders import affine, chain, lif, tree_of, write_tree
from snnsim import InputError, Network, from_nir, save_nir, to_nir
from snnsim.nir_graph.files import write_graph

WEIGHT = np.array([[0.5, 1.0, -0.25], [1.5, 0.25, 0.75]], np.float32)
NEURON = {"type": "LIF"} | {key: np.full(2, value) for key, value in {"tau": 2e-4, "r": 2.0, "v_leak": 0.0}.items()}
NODES: dict[str, Any] = {
    "a": {"type": "Output", "shape": np.array([2])},
    "b": NEURON | {"v_threshold": np.ones(2)},
    "c": {"type": "Linear", "weight": WEIGHT},
    "d": {"type": "Input", "shape": np.array([3])},
}
EDGES = [("d", "c"), ("c", "b"), ("b", "a")]


def spec_of(path: Path) -> Any:
    return from_nir(path).spec


def test_a_file_is_what_the_library_wrote(tmp_path: Path) -> None:
    """A file of `nir` and its graph are the same network; the file tells its version."""
    graph = chain(affine(WEIGHT), lif(2))
    nir.write(tmp_path / "a.nir", graph)
    network, expected = from_nir(tmp_path / "a.nir"), from_nir(graph)

    assert network.spec == expected.spec
    assert np.array_equal(network.parameters["0.weight"], expected.parameters["0.weight"])
    assert network.origin["version"] == nir.version
    assert from_nir(str(tmp_path / "a.nir")).spec == expected.spec


@pytest.mark.parametrize("version", ["0.1.1", "0.2.0", None])
def test_old_files_load(tmp_path: Path, version: str | None) -> None:
    """Without v_reset, without a version, nodes in the order of the alphabet: a missing v_reset is 0, and said so."""
    network = from_nir(write_tree(tmp_path / "a.nir", tree_of(NODES, EDGES), version))

    assert network.spec[1]["lif"].items() >= {"beta": 0.5, "threshold": 1.0, "reset": "zero"}.items()
    assert network.origin["version"] == (version or "")
    assert network.origin["assumed"][0] == "b: has no v_reset; a spike resets the membrane to 0"


def test_fields_that_old_versions_had_not(tmp_path: Path) -> None:
    """Convolutions without an input shape, flattening without a type, synaptic currents without w_in."""
    neurons = {key: np.float32(value) for key, value in {"tau_mem": 2e-4, "tau_syn": 2e-4, "r": 4.0}.items()}
    nodes: dict[str, Any] = {
        "in": {"type": "Input", "shape": np.array([1, 4, 4])},
        "conv": {"type": "Conv2d", "weight": np.ones((2, 1, 3, 3)), "bias": np.ones(2), "stride": 1, "padding": 1}
        | {"dilation": 1, "groups": 1},
        "cuba": {"type": "CubaLIF", "v_leak": np.float32(0), "v_threshold": np.full((2, 4, 4), 0.5)} | neurons,
        "flat": {"type": "Flatten", "start_dim": 1, "end_dim": -1},
        "fc": {"type": "Affine", "weight": np.ones((3, 32)), "bias": np.zeros(3)},
    }
    edges = [("in", "conv"), ("conv", "cuba"), ("cuba", "flat"), ("flat", "fc")]
    network = from_nir(write_tree(tmp_path / "a.nir", tree_of(nodes, edges)))

    assert [next(iter(layer)) for layer in network.spec] == ["conv2d", "cuba_lif", "flatten", "dense", "li"]
    # w_in is 1: a gain of 0.5 into the current, 2 into the membrane.
    assert network.parameters["0.weight"][0, 0, 0, 0] == 1.0
    assert network.spec[1]["cuba_lif"].items() >= {"alpha": 0.5, "beta": 0.5, "threshold": 0.5}.items()


def test_scalars_that_the_library_refuses(tmp_path: Path) -> None:
    """Values of different shapes in one node, which `nir` itself cannot read."""
    scalar = {"type": "LIF", "tau": 2e-4, "r": np.ones(1) * 2, "v_leak": 0.0, "v_threshold": np.ones(2), "v_reset": 0.0}
    path = write_tree(tmp_path / "a.nir", tree_of(NODES | {"b": scalar}, EDGES))

    with pytest.raises((AssertionError, AttributeError)):
        nir.read(path)
    assert spec_of(path)[1]["lif"].items() >= {"beta": 0.5, "threshold": 1.0}.items()


@pytest.mark.parametrize(
    ("first", "shape"),
    [
        (NODES["c"], (3,)),
        (NODES["b"], (2,)),
        ({"type": "Conv2d", "weight": np.ones((1, 2, 1, 1)), "groups": 2, "input_shape": np.array([2, 2])}, (4, 2, 2)),
    ],
    ids=["weights", "neurons", "convolution"],
)
def test_without_an_input_the_first_layer_says_the_shape(tmp_path: Path, first: Any, shape: tuple[int, ...]) -> None:
    """Graphs of old versions may have no ends."""
    nodes = {"x": first, "y": {"type": "Linear", "weight": np.ones((2, 2))}}
    edges = [("x", "y")]
    if first["type"] == "Conv2d":
        first["weight"] = np.ones((2, 2, 1, 1))
        nodes = {"x": first, "y": {"type": "Linear", "weight": np.ones((2, 8))}}
    assert from_nir(write_tree(tmp_path / "a.nir", tree_of(nodes, edges))).input_shape == shape


def test_without_any_shape_there_is_no_network(tmp_path: Path) -> None:
    """A first layer of one value for all neurons leaves their number open."""
    nodes = {"x": {key: value if key == "type" else value[0] for key, value in NODES["b"].items()}}
    path = write_tree(tmp_path / "a.nir", tree_of(nodes, []))
    with pytest.raises(InputError, match=r"a\.nir: node 'x' \(LIF\): is the first layer, and no input node says"):
        from_nir(path)


def test_no_such_file(tmp_path: Path) -> None:
    """Nor a folder."""
    with pytest.raises(InputError, match=r"nothing\.nir: no such file$"):
        from_nir(tmp_path / "nothing.nir")
    with pytest.raises(InputError, match=r"is a folder$"):
        from_nir(tmp_path)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    """One message each, which names the file and says what was found."""
    path = tmp_path / "a.nir"
    for content in (b"", b"weights", b"\x89HDF\r\n\x1a\n", bytes(2000)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.nir: damaged, or not an HDF5 file"):
            from_nir(path)
    with h5py.File(path, "w") as file:
        file["spikes/times"] = np.ones(3)
    with pytest.raises(InputError, match=r"a\.nir: not a NIR file \(it has no group 'node', found: spikes\)"):
        from_nir(path)
    write_tree(path, {"type": "LIF"})
    with pytest.raises(InputError, match=r"a\.nir: holds no NIR graph \(its root is of type 'LIF'\)"):
        from_nir(path)


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A file cannot make another be read, nor itself without end."""
    path = write_tree(tmp_path / "a.nir", tree_of(NODES, EDGES))
    write_tree(tmp_path / "b.nir", tree_of(NODES, EDGES))
    with h5py.File(path, "a") as file:
        del file["node/nodes/c/weight"]
        file["node/nodes/c/weight"] = h5py.ExternalLink("b.nir", "/node/nodes/c/weight")
    with pytest.raises(InputError, match=r"a\.nir: node/nodes/c/weight: is a link to elsewhere"):
        from_nir(path)
    with h5py.File(path, "a") as file:
        del file["node/nodes/c"]
        file["node/nodes/c"] = file["node"]
    with pytest.raises(InputError, match="nested too deeply"):
        from_nir(path)


def test_an_array_larger_than_memory_is_refused(tmp_path: Path) -> None:
    """By its size alone, before it is read."""
    path = write_tree(tmp_path / "a.nir", tree_of(NODES, EDGES))
    with h5py.File(path, "a") as file:
        del file["node/nodes/c/weight"]
        file["node/nodes/c"].create_dataset("weight", (2**40, 3), np.float64, chunks=(1024, 3))
    with pytest.raises(InputError, match=r"a\.nir: node/nodes/c/weight: needs [\d,.]+ GiB"):
        from_nir(path)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a good file."""
    path = write_tree(tmp_path_factory.mktemp("written") / "a.nir", tree_of(NODES, EDGES))
    return path.read_bytes()


@settings(max_examples=100)
@given(data=st.data())
def test_a_damaged_file_gives_one_message_or_a_network(
    written: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut off, or with bytes changed: never another error, never a network that is not finite."""
    content = bytearray(written[: data.draw(st.integers(0, len(written)))] if data.draw(st.booleans()) else written)
    for _ in range(data.draw(st.integers(0, 6)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.nir"
    path.write_bytes(content)
    network, said = None, f"{path}: "
    try:
        network = from_nir(path)
    except InputError as error:
        said = str(error)
    assert said.startswith(f"{path}: ")
    assert network is None or all(np.isfinite(array).all() for array in network.parameters.values())


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """Into a folder that is not there nothing is written, and what stood there before stays."""
    network = Network.from_config([{"dense": 2}, {"if": {"reset": "zero", "readout": "count"}}], input_shape=(3,))
    with pytest.raises(InputError, match=r"a\.nir: cannot be written"):
        save_nir(network, tmp_path / "no" / "a.nir")
    (tmp_path / "a.nir").write_text("before")
    soft = Network.from_config([{"dense": 2}, {"if": {"readout": "count"}}], input_shape=(3,))
    with pytest.raises(InputError, match="reset subtract"):
        save_nir(soft, tmp_path / "a.nir")
    assert (tmp_path / "a.nir").read_text() == "before"
    write_graph(tmp_path / "a.nir", to_nir(network))
    assert [path.name for path in tmp_path.iterdir()] == ["a.nir"]
    assert from_nir(tmp_path / "a.nir").spec[0] == {"dense": {"out": 2, "bias": True}}


@pytest.mark.parametrize("library", ["h5py", "nir"])
def test_the_missing_extra_is_named(tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs the library says what to install."""
    network = Network.from_config([{"dense": 2}, {"if": {"reset": "zero", "readout": "count"}}], input_shape=(3,))
    path = write_tree(tmp_path / "a.nir", tree_of(NODES, EDGES))
    for name in [name for name in sys.modules if name.startswith("snnsim.nir_graph.exporting")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)

    message = r"NIR graphs need the extra 'nir': pip install 'snnsim\[nir\]'$"
    with pytest.raises(InputError, match=message):
        from_nir(path) if library == "h5py" else to_nir(network)
