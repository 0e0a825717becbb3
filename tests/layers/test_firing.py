"""Layers of firing neurons: first values, learned values, recurrent weights, and what they refuse."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracles import assert_same_bits, assert_same_run
from snnsim import InputError, Network
from snnsim.spec import OptimizerChoice
from snnsim.training.optimizers import make_optimizer

KINDS = ("lif", "if", "cuba_lif", "alif")
VALUES = {"beta": 0.75, "alpha": 0.5, "threshold": 0.625}
LEARNED = [
    *((kind, "threshold") for kind in KINDS),
    *((kind, "beta") for kind in KINDS if kind != "if"),
    ("cuba_lif", "alpha"),
]
N = 5


def network_of(kind: str, **options: Any) -> Network:
    """Return dense, N such neurons, dense and a readout."""
    return Network.from_config([{"dense": N}, {kind: options}, {"dense": 3}, "li"], input_shape=(7,), seed=3)


def batch() -> np.ndarray[Any, np.dtype[np.float32]]:
    return (np.random.default_rng(0).random((9, 4, 7)) < 0.6).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_first_recurrent_weights(kind: str) -> None:
    """Recurrent weights are float32 (n, n), uniform in +-1/sqrt(n), and the seed alone draws them."""
    layers = [{"dense": 400}, {kind: {"recurrent": True}}, {"dense": 3}, "li"]
    network, again = (Network.from_config(layers, input_shape=(7,), seed=4) for _ in range(2))
    weight = network.parameters["1.recurrent_weight"]
    assert weight.shape == (400, 400)
    assert weight.dtype == np.float32
    assert_same_bits(again.parameters["1.recurrent_weight"], weight)
    bound = 1 / np.sqrt(400)
    assert 0.999 * bound < np.abs(weight).max() <= np.float32(bound)
    assert abs(weight.mean()) < 0.01 * bound
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.01)
    assert np.abs(np.corrcoef(weight.ravel(), weight.T.ravel())[0, 1]) < 0.02
    other = Network.from_config(layers, input_shape=(7,), seed=5)
    assert (other.parameters["1.recurrent_weight"] != weight).mean() > 0.99


def test_a_recurrent_weight_points_from_its_column_to_its_row() -> None:
    """The spike of neuron 0 reaches neuron 1, one step later, by ``weight[1, 0]``."""
    layers = [{"if": {"threshold": 0.5, "reset": "none", "recurrent": True}}, {"dense": 1}, "li"]
    network = Network.from_config(layers, input_shape=(2,))
    network.parameters["0.recurrent_weight"][...] = [[0.0, 0.0], [0.25, 0.0]]
    x = np.zeros((3, 1, 2))
    x[0, 0, 0] = 1
    membrane = network.run(x, record="membrane").membrane[0]
    assert membrane[:, 0].tolist() == [[1, 0], [1, 0.25], [1, 0.5]]


def test_a_recurrent_spike_passes_the_synaptic_current() -> None:
    """In ``cuba_lif`` what a spike sends back decays with alpha, as the input does."""
    options = {"alpha": 0.5, "beta": 0.0, "threshold": 0.75, "recurrent": True}
    network = Network.from_config([{"cuba_lif": options}, {"dense": 1}, "li"], input_shape=(1,))
    network.parameters["0.recurrent_weight"][...] = 0.125
    x = np.zeros((4, 1, 1))
    x[0] = 1
    membrane = network.run(x, record="membrane").membrane[0]
    assert membrane[:, 0, 0].tolist() == [1, 0.625, 0.3125, 0.15625]


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_learned_is_a_parameter(kind: str) -> None:
    """Values are parameters where asked for, recurrent weights where there are any."""
    assert not any(name.startswith("1.") for name in network_of(kind).parameters)
    asked = {f"learn_{key}": True for name, key in LEARNED if name == kind}
    network = network_of(kind, recurrent=True, **asked)
    names = {name for name in network.parameters if name.startswith("1.")}
    assert names == {f"1.{key}" for name, key in LEARNED if name == kind} | {"1.recurrent_weight"}


@pytest.mark.parametrize(("kind", "key"), LEARNED)
def test_a_learned_value_begins_as_written(kind: str, key: str) -> None:
    """One number is a 0-d array, a list one value per neuron, both float32; learning changes no bit of a run."""
    several = [VALUES[key] + k / 16 for k in range(N)]
    for written, shape in ((VALUES[key], ()), (several, (N,))):
        learned = network_of(kind, **{key: written, f"learn_{key}": True})
        value = learned.parameters[f"1.{key}"]
        assert value.shape == shape
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, np.asarray(written, np.float32))
        fixed = network_of(kind, **{key: written})
        record = ("spikes", "membrane")
        assert_same_run(learned.run(batch(), record=record), fixed.run(batch(), record=record))


@pytest.mark.parametrize(("discretization", "factors"), [("exp", np.exp([-0.05, -0.2])), ("euler", [0.95, 0.8])])
def test_decays_from_time_constants_can_be_learned(discretization: str, factors: list[float]) -> None:
    """The parameter is the decay itself, whatever it was given by."""
    times = {"tau_mem": 20.0, "tau_syn": 5.0, "dt": 1.0, "discretization": discretization}
    network = network_of("cuba_lif", learn_beta=True, learn_alpha=True, **times)
    found = [float(network.parameters[name]) for name in ("1.beta", "1.alpha")]
    np.testing.assert_allclose(found, factors, rtol=1e-6)


@pytest.mark.parametrize(("kind", "key"), LEARNED)
def test_a_learned_value_is_what_runs(kind: str, key: str) -> None:
    """A network whose value was set has the bits of one where the option says the same, also of lists."""
    several = [VALUES[key] + k / 16 for k in range(N)]
    pairs: list[tuple[Any, Any]] = [(0.9, VALUES[key]), ([0.9] * N, several)]
    for first, then in pairs:
        changed = network_of(kind, **{key: first, f"learn_{key}": True})
        before = changed.run(batch(), record=("spikes", "membrane"))
        changed.parameters[f"1.{key}"][...] = then
        after = changed.run(batch(), record=("spikes", "membrane"))
        written = network_of(kind, **{key: then})
        assert_same_run(after, written.run(batch(), record=("spikes", "membrane")))
        assert (after.membrane[1] != before.membrane[1]).any()


@pytest.mark.parametrize(("kind", "key"), LEARNED)
def test_clipping(kind: str, key: str) -> None:
    """Decays come back into [0, 1], thresholds to at least 1e-3; what is inside, and every weight, stays."""
    given = [-3.0, -1e-6, 0.5, 1.0, 7.5]
    inside = [1e-3, 1e-3, 0.5, 1.0, 7.5] if key == "threshold" else [0.0, 0.0, 0.5, 1.0, 1.0]
    network = network_of(kind, **{key: [0.5] * N, f"learn_{key}": True}, recurrent=True)
    network.parameters["1.recurrent_weight"][...] = 9
    network.parameters[f"1.{key}"][...] = given
    weights = {name: array.copy() for name, array in network.parameters.items() if name != f"1.{key}"}
    network.clip_parameters()
    np.testing.assert_array_equal(network.parameters[f"1.{key}"], np.array(inside, np.float32))
    for name, array in weights.items():
        assert_same_bits(network.parameters[name], array)
    one = network_of(kind, **{key: 0.5, f"learn_{key}": True})
    one.parameters[f"1.{key}"][...] = -1
    one.clip_parameters()
    assert one.parameters[f"1.{key}"].shape == ()
    assert one.parameters[f"1.{key}"] == np.float32(inside[0])


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("several", [False, True], ids=["one", "each"])
def test_optimizers_move_learned_values_and_recurrent_weights(optimizer: str, several: bool) -> None:
    """A step moves single numbers, lists and recurrent weights, each against its own gradient."""
    options: dict[str, Any] = {key: [value] * N if several else value for key, value in VALUES.items()}
    learn = {f"learn_{key}": True for key in VALUES}
    network = network_of("cuba_lif", recurrent=True, **options, **learn)
    before = {name: array.copy() for name, array in network.parameters.items()}
    _, gradients = network.loss_and_gradients(batch(), [0, 1, 2, 0])
    choice = OptimizerChoice.of({optimizer: {"lr": 1e-3, "weight_decay": 0.0}})
    make_optimizer(choice, network.parameters).step(gradients, 1e-3)
    for name, array in network.parameters.items():
        assert gradients[name].shape == array.shape
        moved = array - before[name]
        assert (np.sign(moved) == -np.sign(gradients[name]))[np.abs(gradients[name]) > 1e-3].all(), name
        assert moved.any(), name


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    """A model file keeps learned values, single or per neuron, and recurrent weights: the run has the same bits."""
    keys = [key for name, key in LEARNED if name == kind]
    learn = {f"learn_{key}": True for key in keys}
    for given in (VALUES, {key: [value] * N for key, value in VALUES.items()}):
        network = network_of(kind, recurrent=True, **learn, **{key: given[key] for key in keys})
        rng = np.random.default_rng(1)
        for array in network.parameters.values():
            array[...] = rng.uniform(0.1, 0.6, array.shape)
        network.save(tmp_path / "model.npz")
        loaded = Network.load(tmp_path / "model.npz")
        assert loaded.parameters.keys() == network.parameters.keys()
        for name, array in network.parameters.items():
            assert_same_bits(loaded.parameters[name], array)
        record = ("spikes", "membrane")
        assert_same_run(loaded.run(batch(), record=record), network.run(batch(), record=record))


@pytest.mark.parametrize(
    ("layer", "key"),
    [
        ({"alif": {"rho": [0.5, 0.5]}}, "alif.rho"),
        ({"alif": {"adaptation": [0.5] * 6}}, "alif.adaptation"),
        ({"cuba_lif": {"alpha": [0.5]}}, "cuba_lif.alpha"),
        ({"cuba_lif": {"tau_syn": [5, 6], "dt": 1}}, "cuba_lif.tau_syn"),
        ({"lif": {"tau_mem": [5, 6], "dt": 1}}, "lif.tau_mem"),
        ({"lif": {"beta": [0.5, 0.6]}}, "lif.beta"),
        ({"if": {"threshold": [1, 2, 3, 4]}}, "if.threshold"),
    ],
    ids=str,
)
def test_lists_of_another_length_are_refused(layer: dict[str, Any], key: str) -> None:
    """The message names the key as it was written."""
    with pytest.raises(InputError, match="must have one value per neuron, 5") as caught:
        Network.from_config([{"dense": N}, layer, {"dense": 3}, "li"], input_shape=(7,))
    assert caught.value.path == ("network", 1, *key.split("."))


@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_weights_beyond_memory_are_refused(kind: str) -> None:
    """Nothing is allocated where n x n weights cannot fit."""
    with pytest.raises(InputError, match="more than this machine's") as caught:
        Network.from_config([{kind: {"recurrent": True}}, {"dense": 1}, "li"], input_shape=(2**23,))
    assert caught.value.path == ("network", 0, kind)
