"""Network: built from the network language, its parameters, files, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracles import assert_same_bits
from snnsim import ConfigError, Events, InputError, Network
from snnsim.files import read_arrays, write_arrays
from snnsim.model_file import FORMAT
from strategies import FloatArray

LAYERS: list[Any] = [{"dense": 4}, {"lif": {"beta": 0.8}}, {"dropout": 0.5}, {"dense": 3}, "li"]


@pytest.fixture
def network() -> Network:
    return Network.from_config(LAYERS, input_shape=(5,), seed=1)


def test_shapes_and_names() -> None:
    """Layers know their place, their shapes and their parameters; images are flattened row-major."""
    network = Network.from_config(
        ["flatten", {"dense": {"out": 4, "bias": False}}, "if", {"dense": 3}, "li"], input_shape=(1, 2, 3)
    )
    assert [layer.name for layer in network.layers] == ["flatten", "dense", "if", "dense", "li"]
    assert [layer.index for layer in network.layers] == [0, 1, 2, 3, 4]
    assert [layer.in_shape for layer in network.layers] == [(1, 2, 3), (6,), (4,), (4,), (3,)]
    assert [layer.out_shape for layer in network.layers] == [(6,), (4,), (4,), (3,), (3,)]
    assert (network.classes, network.input_shape, network.is_ann) == (3, (1, 2, 3), False)
    assert {name: array.shape for name, array in network.parameters.items()} == {
        "1.weight": (4, 6),
        "3.weight": (3, 4),
        "3.bias": (3,),
    }


def test_first_weights(network: Network) -> None:
    """Weights and biases are float32, uniform in +-1/sqrt(fan_in), and the seed alone draws them."""
    wide = Network.from_config([{"dense": 300}, "li"], input_shape=(100,), seed=4)
    weight = wide.parameters["0.weight"]
    assert weight.dtype == np.float32
    assert np.abs(weight).max() <= 0.1
    assert np.abs(wide.parameters["0.bias"]).max() <= 0.1
    assert abs(weight.std() - 0.1 / np.sqrt(3)) < 1e-3
    again = Network.from_config(LAYERS, input_shape=(5,), seed=1)
    other = Network.from_config(LAYERS, input_shape=(5,), seed=2)
    for name, array in network.parameters.items():
        assert_same_bits(again.parameters[name], array)
        assert (other.parameters[name] != array).all()


def test_parameters_are_the_arrays_that_run(network: Network) -> None:
    """Assigning into a parameter sets the weight; the mapping itself cannot be changed."""
    assert list(network.parameters) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    for array in network.parameters.values():
        array[...] = 0
    network.parameters["3.bias"][1] = 2
    logits = network.run(np.ones((4, 2, 5)), threads=1).logits
    assert logits[:, 0].tolist() == [0, 0]
    assert (logits[:, 1] > 0).all()
    with pytest.raises(TypeError):
        network.parameters["3.bias"] = np.ones(3, np.float32)  # type: ignore[index]


def test_gradients_are_like_parameters(network: Network) -> None:
    """Gradients have the parameters' names, shapes and type."""
    loss, gradients = network.loss_and_gradients(np.ones((4, 2, 5)), [0, 2], threads=1)
    assert isinstance(loss, float)
    assert list(gradients) == list(network.parameters)
    for name, array in network.parameters.items():
        assert gradients[name].shape == array.shape
        assert gradients[name].dtype == np.float32


def test_resolved_layers_build_the_same_network(network: Network) -> None:
    """The spec, with every default in it, is plain data and builds a network that computes the same."""
    spec = json.loads(json.dumps(network.spec))
    again = Network.from_config(spec, input_shape=(5,), seed=1)
    assert again.spec == network.spec
    assert spec[1]["lif"]["threshold"] == 1.0
    x = np.ones((4, 2, 5))
    assert_same_bits(again.run(x, threads=1).logits, network.run(x, threads=1).logits)


DENSE, OUT = {"dense": 3}, [{"dense": 2}, "li"]
READOUT = {"lif": {"readout": "count"}}
REFUSED: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "threshold list": ([DENSE, {"lif": {"threshold": [1, 1]}}, *OUT], ("network", 1, "lif", "threshold"), r"3 \(got 2"),
    "beta list": ([DENSE, {"lif": {"beta": [0.9] * 4}}, *OUT], ("network", 1, "lif", "beta"), r"3 \(got 4\)"),
    "li list": ([DENSE, {"li": {"beta": [0.9]}}], ("network", 1, "li", "beta"), r"per neuron, 3 \(got 1\)"),
    "readout inside": ([DENSE, READOUT, *OUT], ("network", 1, "lif"), "readout can only be the last"),
    "li inside": ([DENSE, "li", *OUT], ("network", 1, "li"), "readout can only be the last"),
    "after the readout": ([DENSE, "li", "dropout"], ("network", 1, "li"), "readout can only be the last"),
    "no readout": ([DENSE, "lif"], ("network", 1, "lif"), "needs readout: count or rate"),
    "ends in dense": ([DENSE, "lif", {"dense": 2}], ("network", 2, "dense"), "must end in li"),
    "no weights": (["lif", "li"], ("network",), "at least one layer with weights"),
    "too large": ([DENSE, "lif", {"dense": 2**31 - 1}, "li"], ("network", 2, "dense"), "more than this machine's"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_layers_that_do_not_fit_are_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit together is refused with one sentence and the place of the layer."""
    monkeypatch.setattr("snnsim.memory.physical_memory", lambda: 2**24)
    layers, path, message = REFUSED[kind]
    with pytest.raises(InputError, match=message) as caught:
        Network.from_config(layers, input_shape=(5,))
    assert caught.value.path == path
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "network: must have at least one layer"),
        ("dense", "network: must be a list of layers"),
        ([DENSE, "lfi", *OUT], "network.1: unknown layer 'lfi'; did you mean 'lif'?"),
        ([DENSE, {"lif": {"betta": 1}}, *OUT], "network.1.lif.betta: unknown key; did you mean 'beta'?"),
        ([{"dense": 0}, "li"], "network.0.dense.out: must be >= 1"),
        ([DENSE, {"lif": {"threshold": 0}}, *OUT], "network.1.lif.threshold: must be > 0"),
    ],
)
def test_faults_of_the_language_name_their_place(layers: Any, message: str) -> None:
    """A word the language does not know, or a value out of range, is refused with its dotted place."""
    with pytest.raises(ConfigError) as caught:
        Network.from_config(layers, input_shape=(5,))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (-1,)])
def test_input_shapes_that_are_none(shape: tuple[int, ...]) -> None:
    """A sample has at least one number."""
    with pytest.raises(InputError, match="input_shape: must be a list of sizes of at least 1"):
        Network.from_config(LAYERS, input_shape=shape)


def test_a_layer_too_large_is_refused_before_anything_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No layer's arrays are allocated where a later layer cannot fit into memory."""
    allocated: list[tuple[int, ...]] = []

    def allocate(shape: tuple[int, ...]) -> FloatArray:
        allocated.append(shape)
        return np.zeros(shape, np.float32)

    monkeypatch.setattr("snnsim.layers.dense.aligned_zeros", allocate)
    with pytest.raises(InputError, match="more than this machine's"):
        Network.from_config(
            [{"dense": 10}, "lif", {"dense": 2**31 - 1}, "lif", {"dense": 2**31 - 1}, "li"], input_shape=(5,)
        )
    assert allocated == []


def ones(*shape: int) -> FloatArray:
    return np.ones(shape, np.float32)


BAD_INPUT: dict[str, tuple[Any, dict[str, Any], str]] = {
    "sample shape": (ones(3, 2, 6), {}, r"sample must have shape \[5\] \(got \[6\]\)"),
    "sample shape, direct": (ones(1, 2, 6), {"input_coding": "direct"}, r"shape \[5\] \(got \[6\]\)"),
    "events of another shape": (Events.from_dense(ones(3, 2, 6)), {}, r"shape \[5\] \(got \[6\]\)"),
    "too few axes": (ones(3, 5), {}, r"x: must be \[steps, samples"),
    "too few axes, direct": (ones(2, 5), {"input_coding": "direct"}, r"x: must be \[steps, samples"),
    "no samples": (ones(3, 0, 5), {}, "x: must be"),
    "no steps": (ones(0, 2, 5), {}, "x: must be"),
    "no samples, direct": (ones(1, 0, 5), {"input_coding": "direct"}, "x: must be"),
    "NaN": (ones(3, 2, 5) * np.nan, {}, "NaN"),
    "NaN, direct": (ones(1, 2, 5) * np.nan, {"input_coding": "direct"}, "NaN"),
    "infinity, direct": (ones(1, 2, 5) * np.inf, {"input_coding": "direct"}, "NaN, infinite"),
    "NaN at every step": (ones(3, 2, 5) * np.nan, {"input_coding": "direct"}, "NaN"),
    "too large for float32": (np.full((3, 2, 5), 1e40), {}, "infinite"),
    "too large, direct": (np.full((1, 2, 5), 1e40), {"input_coding": "direct"}, "infinite"),
    "coding": (ones(3, 2, 5), {"input_coding": "rate"}, "input_coding: must be 'events' or 'direct' .got 'rate'"),
    "events are not analog": (Events.from_dense(ones(3, 2, 5)), {"input_coding": "direct"}, "not events"),
    "changing analog": (np.arange(30).reshape(3, 2, 5), {"input_coding": "direct"}, "differs between steps"),
    "other steps": (ones(3, 2, 5), {"num_steps": 4}, r"num_steps: the events have 3 steps \(got 4\)"),
    "other steps, direct": (ones(3, 2, 5), {"num_steps": 4, "input_coding": "direct"}, r"num_steps: x has 3"),
    "zero steps": (ones(1, 2, 5), {"num_steps": 0, "input_coding": "direct"}, "num_steps"),
    "record": (ones(3, 2, 5), {"record": ["spike"]}, "record: knows membrane, spikes, step_counts .got ..spike"),
    "path": (ones(3, 2, 5), {"path": "sparse"}, "path: must be one of auto, events, dense"),
    "threads": (ones(3, 2, 5), {"threads": 0}, "threads: must be at least 1"),
}


@pytest.mark.parametrize("kind", BAD_INPUT)
def test_input_that_cannot_be_run(network: Network, kind: str) -> None:
    """Input of another shape, kind or type than the network takes is refused with what was found."""
    x, options, message = BAD_INPUT[kind]
    with pytest.raises(InputError, match=message):
        network.run(x, **options)


def test_damaged_events_are_checked_before_they_run(network: Network) -> None:
    """Events built by hand are checked: no kernel reads outside its arrays."""
    beyond = Events(np.array([0, 1]), np.array([99], np.int32), None, 1, 1, (5,))
    with pytest.raises(InputError, match="outside the layer of 5 neurons"):
        network.run(beyond)


def test_a_value_that_float32_rounds_to_zero_is_no_event(network: Network) -> None:
    """An event is a nonzero value that reaches an edge: one that is zero in float32 neither arrives nor counts."""
    run = network.run(np.full((1, 2, 5), 1e-60), threads=1)
    assert run.counts.input.events.tolist() == [0, 0]
    assert run.counts[0].synops_structural.tolist() == [0, 0]


BAD_LABELS: dict[str, tuple[Any, str]] = {
    "too few": ([0], r"labels: must be 2 integers \(got shape \[1\]"),
    "too many": ([0, 1, 2], r"labels: must be 2 integers \(got shape \[3\]"),
    "two axes": ([[0, 1]], "labels: must be 2 integers"),
    "a number": (0, "labels: must be 2 integers"),
    "not integer": ([0.0, 1.0], "integers .*float64"),
    "negative": ([-1, 0], r"labels: must lie in 0 to 2 \(got -1 to 0\)"),
    "too large": ([0, 3], r"labels: must lie in 0 to 2 \(got 0 to 3\)"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_labels_that_do_not_fit(network: Network, kind: str) -> None:
    """Labels must be one integer per sample, and classes of the network."""
    labels, message = BAD_LABELS[kind]
    with pytest.raises(InputError, match=message):
        network.loss_and_gradients(ones(3, 2, 5), labels)


@pytest.mark.parametrize("samples", [[0], [0, 1, 2], [[0, 1]]])
def test_sample_numbers_that_do_not_fit(network: Network, samples: Any) -> None:
    """The numbers that key dropout must be one per sample: a kernel would read beyond them."""
    with pytest.raises(InputError, match="samples"):
        network.loss_and_gradients(ones(3, 2, 5), [0, 1], samples=samples)


def test_losses_and_regularizers_that_do_not_fit(network: Network) -> None:
    """An unknown loss, one that needs another readout, and a regularizer without weight are refused."""
    x, y = ones(3, 2, 5), [0, 1]
    with pytest.raises(InputError, match="did you mean 'cross_entropy'"):
        network.loss_and_gradients(x, y, loss="cross_entopy")
    with pytest.raises(InputError, match="count_mse needs a firing last layer"):
        network.loss_and_gradients(x, y, loss="count_mse")
    with pytest.raises(InputError, match=r"regularizers\.0\.spike_l1: missing key 'weight'"):
        network.loss_and_gradients(x, y, regularizers=[{"spike_l1": {}}])
    with pytest.raises(InputError, match="teacher_logits"):
        network.loss_and_gradients(x, y, teacher_logits=[[0, 0, 0]] * 2)


def test_direct_input_in_both_forms(network: Network) -> None:
    """Analog values may be given once, with num_steps, or repeated at every step."""
    x = np.random.default_rng(0).random((1, 2, 5))
    once = network.run(x, input_coding="direct", num_steps=6, threads=1)
    repeated = network.run(np.repeat(x, 6, axis=0), input_coding="direct", threads=1)
    assert_same_bits(repeated.logits, once.logits)
    assert once.steps == 6


def test_save_and_load(network: Network, tmp_path: Path) -> None:
    """A network comes back from its file with the same weights and the same results; the file's bytes are its own."""
    network.parameters["0.weight"][...] += 1
    network.save(tmp_path / "model.npz")
    loaded = Network.load(tmp_path / "model.npz")
    assert loaded.spec == network.spec
    assert loaded.input_shape == network.input_shape
    for name, array in network.parameters.items():
        assert_same_bits(loaded.parameters[name], array)
    loaded.save(str(tmp_path / "again.npz"))
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()
    assert_same_bits(loaded.run(ones(3, 2, 5)).logits, network.run(ones(3, 2, 5)).logits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.npz", "model.npz"]


def test_a_folder_that_is_not_there(network: Network, tmp_path: Path) -> None:
    """Saving into a folder that does not exist, and loading what does not exist, name the file."""
    missing = tmp_path / "no" / "model.npz"
    with pytest.raises(InputError, match=r"model\.npz: cannot be written"):
        network.save(missing)
    with pytest.raises(InputError, match="no such file"):
        Network.load(missing)
    with pytest.raises(InputError, match=r"holds no model\.npz"):
        Network.load(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 10, 100, 0.5, 0.99, -1])
def test_truncated_files(network: Network, tmp_path: Path, kept: float) -> None:
    """A file that was cut off anywhere is refused by name."""
    path = tmp_path / "model.npz"
    network.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(InputError, match=r"model\.npz: "):
        Network.load(path)


def header(**changes: Any) -> dict[str, Any]:
    network = Network.from_config(LAYERS, input_shape=(5,))
    return {"format": FORMAT, "input_shape": [5], "network": network.spec, "settings": {}} | changes


def as_bytes(value: Any) -> Any:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


DAMAGED: dict[str, tuple[dict[str, Any], str]] = {
    "another format": ({"spec": as_bytes(header(format=FORMAT + 1))}, f"format {FORMAT + 1}, this version reads"),
    "no spec": ({"spec": None}, "not a model of snnsim, or damaged"),
    "spec is no JSON": ({"spec": np.frombuffer(b"{", np.uint8)}, "not a model of snnsim, or damaged"),
    "spec is a list": ({"spec": as_bytes([1])}, "not a model of snnsim, or damaged"),
    "spec is a number": ({"spec": as_bytes(1)}, "not a model of snnsim, or damaged"),
    "no network": ({"spec": as_bytes({"format": FORMAT})}, "not a model of snnsim, or damaged"),
    "bad layer": ({"spec": as_bytes(header(network=["lfi"]))}, "lfi"),
    "bad input shape": ({"spec": as_bytes(header(input_shape=["five"]))}, "model.npz: "),
    "input shape is a number": ({"spec": as_bytes(header(input_shape=5))}, "model.npz: "),
    "NaN": ({"0.bias": np.array([0, np.nan, 0, 0], np.float32)}, "0.bias holds NaN or infinite values"),
    "infinity": ({"0.bias": np.array([0, np.inf, 0, 0], np.float32)}, "0.bias holds NaN or infinite values"),
    "shape": ({"0.bias": np.zeros(3, np.float32)}, r"0.bias has shape \[3\], the network needs \[4\]"),
    "text": ({"0.bias": np.array(["a"] * 4)}, "0.bias"),
    "missing parameter": ({"0.bias": None}, "0.bias is missing"),
    "one too many": ({"9.bias": np.zeros(3, np.float32)}, "9.bias is missing in the network"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files(network: Network, tmp_path: Path, kind: str) -> None:
    """A file of another format, with broken contents or other arrays is refused with its name and what is wrong."""
    changes, message = DAMAGED[kind]
    path = tmp_path / "model.npz"
    network.save(path)
    arrays = {name: array for name, array in (read_arrays(path) | changes).items() if array is not None}
    write_arrays(path, arrays)
    with pytest.raises(InputError, match=message) as caught:
        Network.load(path)
    assert "model.npz" in str(caught.value)


def test_files_with_code_are_not_executed(tmp_path: Path) -> None:
    """A pickled array is refused, not loaded."""
    np.savez(tmp_path / "model.npz", spec=np.array([{"format": 1}], object))
    with pytest.raises(InputError, match=r"not a readable \.npz archive"):
        Network.load(tmp_path / "model.npz")
