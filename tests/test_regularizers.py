"""Regularisers: values by hand, what they look at, and that they add up per sample."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from problems import make_problem
from reference.forward import forward
from reference.losses import penalty
from snnsim import Network
from snnsim.regularizers import HiddenSpikes, LogitL2, SpikePenalty, make_penalties
from snnsim.spec import RegularizerChoice

# Two samples of three neurons over four steps: counts [[4, 1, 0], [0, 0, 2]], rates a quarter of that.
SPIKES = np.zeros((4, 2, 3), np.float32)
SPIKES[:, 0, 0] = SPIKES[1, 0, 1] = SPIKES[2:, 1, 2] = 1
FAN_OUT = np.array([10, 20, 30])

ALL: list[dict[str, Any]] = [
    {"spike_l1": {"weight": 0.1}},
    {"synops": {"weight": 0.01}},
    {"synops": {"weight": 0.01, "budget": 40.0}},
    {"rate_upper": {"weight": 1.5, "max_rate": 0.3}},
    {"rate_lower": {"weight": 1.5, "min_rate": 0.5}},
    {"logit_l2": {"weight": 0.2}},
]


def on_spikes(choice: object) -> SpikePenalty:
    penalties = make_penalties([RegularizerChoice.of(choice)])
    assert not penalties.on_logits
    return penalties.on_spikes[0]


@pytest.mark.parametrize(
    ("choice", "terms", "gradient"),
    [
        ({"spike_l1": 0.5}, [2.5, 1.0], [[0.5] * 3] * 2),
        ({"synops": 0.5}, [30.0, 30.0], [[5, 10, 15]] * 2),
        ({"synops": {"weight": 0.5, "budget": 50}}, [5.0, 5.0], [[5, 10, 15]] * 2),
        ({"synops": {"weight": 0.5, "budget": 60}}, [0.0, 0.0], [[0, 0, 0]] * 2),
        ({"rate_upper": {"weight": 2.0, "max_rate": 0.25}}, [1.125, 0.125], [[0.75, 0, 0], [0, 0, 0.25]]),
        ({"rate_lower": {"weight": 2.0, "min_rate": 0.5}}, [0.625, 1.0], [[0, -0.25, -0.5], [-0.5, -0.5, 0]]),
    ],
    ids=str,
)
def test_spike_penalties_by_hand(choice: object, terms: list[float], gradient: list[list[float]]) -> None:
    """Terms per sample, and the gradient of each neuron's spikes."""
    layer = HiddenSpikes(SPIKES.sum(axis=0).astype(np.int64), len(SPIKES), FAN_OUT)
    found, gradients = on_spikes(choice)([layer])
    np.testing.assert_allclose(found, terms, rtol=1e-12)
    np.testing.assert_allclose(np.broadcast_to(gradients[0], (2, 3)), gradient, rtol=1e-12)


@pytest.mark.parametrize("recurrent", [False, True])
def test_spikes_that_reach_no_further_weights(recurrent: bool) -> None:
    """Spikes straight into the readout reach no synapse of a next layer; recurrent weights count."""
    layers: list[Any] = [{"dense": 3}, {"lif": {"threshold": 0.01, "recurrent": recurrent}}, "li"]
    network = Network.from_config(layers, input_shape=(2,), seed=1)
    x, y = np.ones((4, 2, 2)), [0, 1]
    spikes = int(network.run(x).counts[1].spikes.sum())
    assert spikes
    with_, _ = network.loss_and_gradients(x, y, regularizers=[{"synops": 1.0}])
    without, _ = network.loss_and_gradients(x, y)
    assert with_ - without == pytest.approx(3 * spikes / 2 if recurrent else 0)


@pytest.mark.parametrize("choice", ALL[:-1], ids=str)
def test_layers_add_up(choice: dict[str, Any]) -> None:
    """Two hidden layers cost what each costs; a budget is for both together."""
    options = dict(next(iter(choice.values())))
    name = next(iter(choice))
    layer = HiddenSpikes(SPIKES.sum(axis=0).astype(np.int64), len(SPIKES), FAN_OUT)
    both, gradients = on_spikes({name: options})([layer, layer])
    if "budget" in options:
        options["budget"] /= 2
    one, gradient = on_spikes({name: options})([layer])
    np.testing.assert_allclose(both, 2 * one, rtol=1e-12)
    for of_layer in gradients:
        np.testing.assert_allclose(of_layer, gradient[0], rtol=1e-12)


def test_logit_l2_by_hand() -> None:
    """The squared length of a sample's logits, and twice the logits."""
    (l2,) = make_penalties([RegularizerChoice.of({"logit_l2": 0.5})]).on_logits
    assert l2 == LogitL2(0.5)
    terms, gradient = l2(np.array([[3.0, -4.0], [0.0, 1.0]]))
    np.testing.assert_allclose(terms, [12.5, 0.5])
    np.testing.assert_allclose(gradient, [[3.0, -4.0], [0.0, 1.0]])


def added(network: Network, x: NDArray[Any], y: NDArray[Any], regularizers: list[dict[str, Any]]) -> float:
    """Return what regularisers add to a network's loss."""
    return network.loss_and_gradients(x, y, regularizers=regularizers)[0] - network.loss_and_gradients(x, y)[0]


LAYERS: list[dict[str, Any]] = [
    {"dense": 8},
    {"lif": {"beta": 0.75}},
    {"dense": 6},
    {"lif": {"beta": 0.75, "threshold": 0.5}},
    {"dense": 3},
]


@pytest.mark.parametrize("choice", ALL, ids=str)
@pytest.mark.parametrize("end", [{"li": {"beta": 0.5}}, {"lif": {"threshold": 0.25, "readout": "rate"}}], ids=str)
def test_in_a_network(choice: dict[str, Any], end: dict[str, Any]) -> None:
    """A network adds the reference's penalty of its hidden spikes, those of a firing readout left out."""
    problem = make_problem([*LAYERS, end], seed=3, batch=6)
    expected = penalty(choice, problem.network, forward(problem.network, problem.parameters, problem.x)).value
    assert expected > 0
    assert added(problem.snnsim(), problem.x, problem.y, [choice]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("choice", ALL, ids=str)
def test_per_sample(choice: dict[str, Any]) -> None:
    """Loss and gradients of a batch are the means of its samples', so that micro-batches are exact."""
    problem = make_problem([*LAYERS, {"li": {"beta": 0.5}}], seed=5, batch=6)
    network = problem.snnsim()
    whole, gradients = network.loss_and_gradients(problem.x, problem.y, regularizers=[choice])
    alone = [
        network.loss_and_gradients(problem.x[:, b : b + 1], problem.y[b : b + 1], regularizers=[choice])
        for b in range(6)
    ]
    assert whole == pytest.approx(np.mean([loss for loss, _ in alone]), rel=1e-6)
    for name, gradient in gradients.items():
        mean = np.mean([single[name] for _, single in alone], axis=0, dtype=np.float64)
        np.testing.assert_allclose(gradient, mean, rtol=1e-5, atol=1e-6 * np.abs(mean).max())


@pytest.mark.parametrize("choice", ALL, ids=str)
def test_weight_zero_changes_nothing(choice: dict[str, Any]) -> None:
    """A regulariser of weight 0 leaves loss and gradients as they were, bit for bit."""
    name, options = next(iter(choice.items()))
    problem = make_problem([*LAYERS, {"li": {"beta": 0.5}}], seed=5)
    network = problem.snnsim()
    loss, gradients = network.loss_and_gradients(problem.x, problem.y)
    regularized = {name: options | {"weight": 0.0}}
    same_loss, same_gradients = network.loss_and_gradients(problem.x, problem.y, regularizers=[regularized])
    assert same_loss == loss
    for key, gradient in gradients.items():
        np.testing.assert_array_equal(same_gradients[key], gradient)


def test_a_lower_bound_wakes_a_silent_layer() -> None:
    """A step against the gradient of ``rate_lower`` raises the membranes of neurons that never fire."""
    network: list[dict[str, Any]] = [{"dense": 8}, {"lif": {"threshold": 8.0}}, {"dense": 3}, {"li": {}}]
    problem = make_problem(network, seed=1)
    parameters = dict(problem.parameters) | {"2.weight": np.zeros((3, 8), np.float32)}
    silent = problem.with_(parameters=parameters).snnsim()
    assert not silent.run(problem.x).counts[1].spikes.any()
    _, gradients = silent.loss_and_gradients(problem.x, problem.y, regularizers=[{"rate_lower": {"weight": 1.0}}])
    assert (gradients["0.bias"] < 0).all()


@pytest.mark.parametrize("choice", ALL[:-1], ids=str)
def test_nothing_hidden_fires(choice: dict[str, Any]) -> None:
    """Where no hidden layer fires, penalties on spikes are nothing."""
    ann: list[dict[str, Any]] = [{"dense": 3}, {"relu": {}}, {"dense": 3}]
    readout_alone: list[dict[str, Any]] = [{"dense": 3}, {"lif": {"readout": "count"}}]
    for layers in (ann, readout_alone):
        problem = make_problem(layers, seed=2)
        assert added(problem.snnsim(), problem.x, problem.y, [choice]) == 0
