"""The network language and its relatives, as Python callers see them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from snnsim.errors import ConfigError
from snnsim.spec import (
    Choice,
    CubaLif,
    EncoderChoice,
    If,
    LayerChoice,
    Li,
    Lif,
    LossChoice,
    OptimizerChoice,
    RegularizerChoice,
    ScheduleChoice,
    SurrogateChoice,
    parse,
    parse_network,
)

LIF_DEFAULTS = {
    "beta": 0.9,
    "threshold": 1.0,
    "reset": "subtract",
    "reset_delay": False,
    "spike_at": ">",
    "surrogate": {"atan": {"alpha": 2.0}},
    "detach_reset": True,
    "learn_beta": False,
    "learn_threshold": False,
    "recurrent": False,
}
IF_DEFAULTS = {key: value for key, value in LIF_DEFAULTS.items() if key not in ("beta", "learn_beta")}
CUBA_DEFAULTS = {**LIF_DEFAULTS, "alpha": 0.8, "learn_alpha": False}
ALIF_DEFAULTS = {**LIF_DEFAULTS, "rho": 0.97, "adaptation": 0.1}
TAUS = {"tau_mem": 20.0, "tau_syn": 5.0, "dt": 1.0, "discretization": "exp"}


def faults_of(layer: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_network([layer])
    return [fault.removeprefix("network.0.") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ({"dense": 256}, {"dense": {"out": 256, "bias": True}}),
        ({"dense": {"out": 256, "bias": False}}, {"dense": {"out": 256, "bias": False}}),
        ("lif", {"lif": LIF_DEFAULTS}),
        ({"lif": None}, {"lif": LIF_DEFAULTS}),
        ({"lif": {}}, {"lif": LIF_DEFAULTS}),
        ("if", {"if": IF_DEFAULTS}),
        ("cuba_lif", {"cuba_lif": CUBA_DEFAULTS}),
        ("alif", {"alif": ALIF_DEFAULTS}),
        (
            {"lif": {"recurrent": True, "learn_beta": True}},
            {"lif": LIF_DEFAULTS | {"recurrent": True, "learn_beta": True}},
        ),
        ({"if": {"learn_threshold": True}}, {"if": IF_DEFAULTS | {"learn_threshold": True}}),
        ({"cuba_lif": {"alpha": [0.5, 1]}}, {"cuba_lif": CUBA_DEFAULTS | {"alpha": [0.5, 1.0]}}),
        ({"alif": {"adaptation": [0, 2]}}, {"alif": ALIF_DEFAULTS | {"adaptation": [0.0, 2.0]}}),
        (
            {"cuba_lif": {"tau_mem": 20, "tau_syn": 5, "dt": 1}},
            {"cuba_lif": {key: value for key, value in (CUBA_DEFAULTS | TAUS).items() if key not in ("alpha", "beta")}},
        ),
        (
            {"cuba_lif": {"tau_syn": 5, "dt": 1}},
            {
                "cuba_lif": {
                    key: value for key, value in (CUBA_DEFAULTS | TAUS).items() if key not in ("alpha", "tau_mem")
                }
            },
        ),
        ({"lif": {"surrogate": "boxcar"}}, {"lif": {**LIF_DEFAULTS, "surrogate": {"boxcar": {"width": 0.5}}}}),
        ({"lif": {"surrogate": {"atan": 3}}}, {"lif": {**LIF_DEFAULTS, "surrogate": {"atan": {"alpha": 3.0}}}}),
        ("li", {"li": {"beta": 0.9, "readout": "mean"}}),
        ("flatten", {"flatten": {}}),
        ("relu", {"relu": {}}),
        ("dropout", {"dropout": {"p": 0.5}}),
        ({"dropout": 0.2}, {"dropout": {"p": 0.2}}),
        (
            {"conv2d": {"out": 4, "kernel": [3, 5], "padding": "same"}},
            {
                "conv2d": {
                    "out": 4,
                    "kernel": [3, 5],
                    "stride": 1,
                    "padding": "same",
                    "dilation": 1,
                    "groups": 1,
                    "bias": True,
                }
            },
        ),
        ({"avg_pool2d": 2}, {"avg_pool2d": {"kernel": 2, "stride": 2}}),
        ({"sum_pool2d": {"kernel": [2, 3]}}, {"sum_pool2d": {"kernel": [2, 3], "stride": [2, 3]}}),
        ({"max_pool2d": {"kernel": 3, "stride": 2}}, {"max_pool2d": {"kernel": 3, "stride": 2}}),
    ],
)
def test_every_form_of_a_layer_resolves_to_all_its_keys(written: object, resolved: Mapping[str, Any]) -> None:
    """Bare names, short forms and maps give the same full map, defaults filled in."""
    (layer,) = parse_network([written])

    assert layer.resolved() == resolved
    assert layer.name == next(iter(resolved))
    assert parse_network([layer.resolved()]) == [layer]


@pytest.mark.parametrize(
    ("kind", "written", "resolved"),
    [
        (SurrogateChoice, "fast_sigmoid", {"fast_sigmoid": {"slope": 25.0}}),
        (SurrogateChoice, "superspike", {"superspike": {"slope": 100.0}}),
        (SurrogateChoice, "sigmoid", {"sigmoid": {"slope": 25.0}}),
        (SurrogateChoice, "triangle", {"triangle": {"width": 1.0}}),
        (SurrogateChoice, "straight_through", {"straight_through": {}}),
        (LossChoice, "cross_entropy", {"cross_entropy": {"label_smoothing": 0.0}}),
        (LossChoice, "step_cross_entropy", {"step_cross_entropy": {"label_smoothing": 0.0}}),
        (LossChoice, {"count_mse": None}, {"count_mse": {"correct": 1.0, "incorrect": 0.0}}),
        (LossChoice, {"mse": {"incorrect": -1}}, {"mse": {"correct": 1.0, "incorrect": -1.0}}),
        (LossChoice, "first_spike_cross_entropy", {"first_spike_cross_entropy": {"tau": 1.0}}),
        (RegularizerChoice, {"spike_l1": 0.1}, {"spike_l1": {"weight": 0.1}}),
        (RegularizerChoice, {"synops": 0}, {"synops": {"weight": 0.0, "budget": 0.0}}),
        (RegularizerChoice, {"rate_upper": {"weight": 1}}, {"rate_upper": {"weight": 1.0, "max_rate": 0.5}}),
        (RegularizerChoice, {"rate_lower": {"weight": 1}}, {"rate_lower": {"weight": 1.0, "min_rate": 0.01}}),
        (RegularizerChoice, {"logit_l2": {"weight": 1e-3}}, {"logit_l2": {"weight": 0.001}}),
        (OptimizerChoice, "sgd", {"sgd": {"lr": 0.01, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}}),
        (
            OptimizerChoice,
            {"adamw": 0.1},
            {"adamw": {"lr": 0.1, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}},
        ),
        (ScheduleChoice, "constant", {"constant": {"warmup": 0.0}}),
        (ScheduleChoice, {"cosine": {"warmup": 0.5}}, {"cosine": {"warmup": 0.5, "min_lr": 0.0}}),
        (ScheduleChoice, {"step": 5}, {"step": {"warmup": 0.0, "every": 5, "factor": 0.1}}),
        (EncoderChoice, "direct", {"direct": {"num_steps": 20}}),
        (EncoderChoice, {"rate": 10}, {"rate": {"num_steps": 10, "gain": 1.0}}),
    ],
)
def test_every_other_choice_resolves_to_all_its_keys(
    kind: type[Choice], written: object, resolved: Mapping[str, Any]
) -> None:
    """Surrogates, losses, regularisers, optimizers, schedules and encoders follow the same forms."""
    choice = parse(kind, written)

    assert choice.resolved() == resolved
    assert parse(kind, choice.resolved()) == choice


@pytest.mark.parametrize(
    ("layer", "faults"),
    [
        ({"lif": {"betta": 0.9}}, ["lif.betta: unknown key; did you mean 'beta'?"]),
        ({"lif": {"beta": 1.5}}, ["lif.beta: must be <= 1 (got 1.5)"]),
        ({"lif": {"beta": [0.5, -1]}}, ["lif.beta.1: must be >= 0 (got -1)"]),
        ({"lif": {"beta": []}}, ["lif.beta: must have at least 1 entry (got an empty list)"]),
        ({"lif": {"beta": True}}, ["lif.beta: must be a number (got true)"]),
        ({"lif": {"beta": "0.9"}}, ["lif.beta: must be a number (got '0.9'); write it without quotes"]),
        ({"lif": {"beta": "high"}}, ["lif.beta: must be a number (got 'high')"]),
        ({"conv2d": {"out": 4}}, ["conv2d: missing key 'kernel'"]),
        ({"conv2d": {"out": 4, "kernel": [3, 3, 3]}}, ["conv2d.kernel: must have at most 2 entries (got a list of 3)"]),
        ({"conv2d": {"out": 4, "kernel": 3, "stride": 0}}, ["conv2d.stride: must be >= 1 (got 0)"]),
        ({"conv2d": {"out": 4, "kernel": 3, "padding": [1, -1]}}, ["conv2d.padding.1: must be >= 0 (got -1)"]),
        (
            {"conv2d": {"out": 4, "kernel": 3, "padding": "sane"}},
            ["conv2d.padding: must be one of same (got 'sane'); did you mean 'same'?"],
        ),
        ({"avg_pool2d": [2]}, ["avg_pool2d.kernel: must have at least 2 entries (got a list of 1)"]),
        ({"lif": {"beta": math.nan}}, ["lif.beta: must be a finite number (got nan)"]),
        ({"lif": {"threshold": math.inf}}, ["lif.threshold: must be a finite number (got inf)"]),
        ({"lif": {"threshold": 0}}, ["lif.threshold: must be > 0 (got 0)"]),
        ({"if": {"threshold": [1, 0.0]}}, ["if.threshold.1: must be > 0 (got 0.0)"]),
        ({"if": {"beta": 0.9}}, None),
        (
            {"lif": {"reset": "zer"}},
            ["lif.reset: must be one of subtract, zero, none (got 'zer'); did you mean 'zero'?"],
        ),
        ({"lif": {"detach_reset": 1}}, ["lif.detach_reset: must be true or false (got 1)"]),
        ({"lif": {"surrogate": "atn"}}, ["lif.surrogate: unknown surrogate 'atn'; did you mean 'atan'?"]),
        ({"lif": {"surrogate": {"atan": {"alpha": 0}}}}, ["lif.surrogate.atan.alpha: must be > 0 (got 0)"]),
        ({"lif": {"readout": "mean"}}, ["lif.readout: must be one of count, rate (got 'mean')"]),
        ({"li": {"readout": "count"}}, ["li.readout: must be one of mean, sum, max, last (got 'count')"]),
        ({"lfi": {}}, ["lfi: unknown layer; did you mean 'lif'?"]),
        ({"dense": 0}, ["dense.out: must be >= 1 (got 0)"]),
        ({"dense": 2.0}, ["dense.out: must be a whole number (got 2.0)"]),
        ({"dense": "10"}, ["dense.out: must be a whole number (got '10'); write it without quotes"]),
        ({"dense": {"out": 10, "bias": "no"}}, ["dense.bias: must be true or false (got 'no')"]),
        ({"dense": 2**31}, ["dense.out: must be <= 2147483647 (got 2147483648)"]),
        ("dense", ["dense: missing key 'out'"]),
        ({"dropout": 1.5}, ["dropout.p: must be <= 1 (got 1.5)"]),
        ({"relu": {"slope": 1}}, ["relu.slope: unknown key; there are no options here"]),
        ({"relu": 3}, ["relu: must be a map of options (got 3)"]),
        (
            {"lif": {"beta": 2, "threshold": -1}},
            ["lif.beta: must be <= 1 (got 2)", "lif.threshold: must be > 0 (got -1)"],
        ),
        ({"alif": {"rho": 1.5}}, ["alif.rho: must be <= 1 (got 1.5)"]),
        ({"alif": {"rho": [0.5, -1]}}, ["alif.rho.1: must be >= 0 (got -1)"]),
        ({"alif": {"adaptation": -0.1}}, ["alif.adaptation: must be >= 0 (got -0.1)"]),
        ({"alif": {"adaptation": [0.1, -2]}}, ["alif.adaptation.1: must be >= 0 (got -2)"]),
        ({"alif": {"adaptation": []}}, ["alif.adaptation: must have at least 1 entry (got an empty list)"]),
        ({"alif": {"adaption": 0.1}}, ["alif.adaption: unknown key; did you mean 'adaptation'?"]),
        ({"cuba_lif": {"alpha": 1.1}}, ["cuba_lif.alpha: must be <= 1 (got 1.1)"]),
        ({"lif": {"recurrent": "yes"}}, ["lif.recurrent: must be true or false (got 'yes')"]),
        ({"lif": {"learn_beta": 1}}, ["lif.learn_beta: must be true or false (got 1)"]),
        ({"lif": {"tau_mem": 0, "dt": 1}}, ["lif.tau_mem: must be > 0 (got 0)"]),
        ({"lif": {"tau_mem": 10}}, ["lif.dt: must be given with tau_mem, in the same unit"]),
        ({"lif": {"dt": 1}}, ["lif.dt: belongs to tau_mem, which is not given"]),
        ({"lif": {"beta": 0.9, "tau_mem": 10, "dt": 1}}, ["lif.tau_mem: give beta or tau_mem, not both"]),
        ({"cuba_lif": {"alpha": 0.9, "tau_syn": 9, "dt": 1}}, ["cuba_lif.tau_syn: give alpha or tau_syn, not both"]),
        ({"cuba_lif": {"tau_syn": 9}}, ["cuba_lif.dt: must be given with tau_syn, in the same unit"]),
        ({"cuba_lif": {"dt": 1}}, ["cuba_lif.dt: belongs to tau_syn or tau_mem, which is not given"]),
        (
            {"cuba_lif": {"tau_syn": 1, "tau_mem": 9, "dt": 2, "discretization": "euler"}},
            ["cuba_lif.discretization: euler needs dt <= tau_syn (got dt 2, tau_syn 1)"],
        ),
        (
            {"li": {"tau_mem": [9, 1], "dt": 2, "discretization": "euler"}},
            ["li.discretization: euler needs dt <= tau_mem (got dt 2, tau_mem 1)"],
        ),
    ],
)
def test_a_wrong_option_is_named_with_what_must_hold(layer: object, faults: list[str] | None) -> None:
    """Each fault names the key, the rule, what was found, and what was probably meant."""
    found = faults_of(layer)

    if faults is None:
        assert len(found) == 1
        assert found[0].startswith("if.beta: unknown key; ")
    else:
        assert found == faults


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("lfi", "network.0: unknown layer 'lfi'; did you mean 'lif'?"),
        ("conv9", "network.0: unknown layer 'conv9'; did you mean 'conv2d'?"),
        ("sponge", "network.0: unknown layer 'sponge'; must be one of dense, "),
        (5, "network.0: must name one layer, alone or as the key of a map (got 5)"),
        (None, "network.0: must name one layer, alone or as the key of a map (got null)"),
        ({}, "network.0: must have one key that names the layer, its options indented below it (got none)"),
        (
            {"lif": None, "beta": 0.9},
            "network.0: must have one key that names the layer, its options indented below it (got lif, beta)",
        ),
    ],
)
def test_what_is_no_layer_is_refused(layer: object, message: str) -> None:
    """A layer is a name or a map with one key, and nothing else."""
    with pytest.raises(ConfigError) as caught:
        parse_network([layer])

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("layers", ["lif", {"dense": 3}, 5])
def test_a_network_is_a_list(layers: Any) -> None:
    """One layer by itself is not a network."""
    with pytest.raises(ConfigError, match=r"^network: must be a list of layers \(got "):
        parse_network(layers)


def test_an_empty_network_is_refused() -> None:
    """At least one layer is needed."""
    with pytest.raises(ConfigError, match=r"^network: must have at least one layer$"):
        parse_network([])


def test_all_faults_of_all_layers_come_at_once() -> None:
    """One error lists every fault, in the order of the layers."""
    with pytest.raises(ConfigError) as caught:
        parse_network([{"dense": -1}, "li", {"lif": {"betta": 0.9, "reset": "never"}}])

    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "network.0.dense.out",
        "network.2.lif.reset",
        "network.2.lif.betta",
    ]


def test_numpy_numbers_and_arrays_are_numbers_and_lists() -> None:
    """Python callers may pass what NumPy computed."""
    (layer,) = parse_network([{"lif": {"beta": np.array([0.5, 0.25]), "threshold": np.float32(2)}}])

    assert isinstance(layer.options, Lif)
    assert layer.options.beta == [0.5, 0.25]
    assert layer.options.threshold == 2.0


@pytest.mark.parametrize(
    ("layer", "decay"),
    [
        ("lif", 0.9),
        ("li", 0.9),
        ("if", 1.0),
        ({"lif": {"beta": [0.1, 0.2]}}, [0.1, 0.2]),
        ({"lif": {"tau_mem": 10, "dt": 1}}, math.exp(-0.1)),
        ({"li": {"tau_mem": [10, 20], "dt": 1}}, [math.exp(-0.1), math.exp(-0.05)]),
        ({"lif": {"tau_mem": 10, "dt": 1, "discretization": "euler"}}, 0.9),
        ({"lif": {"tau_mem": 2, "dt": 2, "discretization": "euler"}}, 0.0),
    ],
)
def test_decay_comes_from_beta_or_from_the_time_constant(layer: object, decay: float | list[float]) -> None:
    """``exp(-dt/tau_mem)`` unless euler is asked for; 1 where nothing leaks."""
    options = parse_network([layer])[0].options

    assert isinstance(options, (Lif, If, Li))
    assert options.decay() == decay


@pytest.mark.parametrize(
    ("options", "alpha", "beta"),
    [
        ({}, 0.8, 0.9),
        ({"alpha": [0.1, 0.2], "beta": 0.5}, [0.1, 0.2], 0.5),
        ({"tau_syn": 5, "dt": 1}, math.exp(-0.2), 0.9),
        ({"tau_mem": 10, "dt": 1}, 0.8, math.exp(-0.1)),
        ({"tau_syn": [5, 10], "beta": 1, "dt": 1}, [math.exp(-0.2), math.exp(-0.1)], 1.0),
        ({"tau_syn": 4, "tau_mem": 10, "dt": 1, "discretization": "euler"}, 0.75, 0.9),
    ],
)
def test_both_decays_of_a_current_based_neuron(options: object, alpha: object, beta: object) -> None:
    """Each decay is given itself, or by its own time constant, or has its default, whatever the other is."""
    layer = parse_network([{"cuba_lif": options}])[0].options

    assert isinstance(layer, CubaLif)
    assert layer.decay("alpha") == alpha
    assert layer.decay() == layer.decay("beta") == beta


@pytest.mark.parametrize(
    ("kind", "written", "message"),
    [
        (OptimizerChoice, {"adam": {"lr": 0}}, "adam.lr: must be > 0 (got 0)"),
        (OptimizerChoice, {"adam": {"betas": [0.9]}}, "adam.betas: must have at least 2 entries (got a list of 1)"),
        (OptimizerChoice, {"adam": {"betas": [0.9, 1]}}, "adam.betas.1: must be < 1 (got 1)"),
        (OptimizerChoice, {"sgd": {"nesterov": True}}, "sgd.nesterov: needs momentum > 0"),
        (OptimizerChoice, {"adm": {}}, "adm: unknown optimizer; did you mean 'adam'?"),
        (ScheduleChoice, {"step": {"factor": 0}}, "step.factor: must be > 0 (got 0)"),
        (ScheduleChoice, {"cosine": {"warmup": -1}}, "cosine.warmup: must be >= 0 (got -1)"),
        (RegularizerChoice, "spike_l1", "spike_l1: missing key 'weight'"),
        (RegularizerChoice, {"synops": {"weight": -1}}, "synops.weight: must be >= 0 (got -1)"),
        (LossChoice, {"cross_entropy": {"label_smoothing": 2}}, "cross_entropy.label_smoothing: must be <= 1 (got 2)"),
        (EncoderChoice, {"direct": {"num_steps": 0}}, "direct.num_steps: must be >= 1 (got 0)"),
        (EncoderChoice, {"rate": {"gain": 0}}, "rate.gain: must be > 0 (got 0)"),
    ],
)
def test_ranges_of_the_other_choices(kind: type[Choice], written: object, message: str) -> None:
    """Rates, weights, slopes and sizes outside their range are refused."""
    with pytest.raises(ConfigError) as caught:
        parse(kind, written)

    assert str(caught.value) == message


def test_specs_are_frozen() -> None:
    """A parsed layer cannot be changed behind a network's back."""
    (layer,) = parse_network([{"dense": 3}])

    with pytest.raises(ValidationError, match="frozen"):
        layer.options.out = 4  # type: ignore[attr-defined]


def test_the_schema_of_a_layer_allows_all_three_forms() -> None:
    """Editors accept bare names, short forms and maps of options."""
    schema = LayerChoice.model_json_schema()
    names, form = schema["anyOf"]

    assert {"dense", "conv2d", "max_pool2d", "lif", "if", "li", "flatten", "relu", "dropout"} <= set(names["enum"])
    assert form["minProperties"] == form["maxProperties"] == 1
    short = form["properties"]["dense"]["anyOf"][0]
    assert short.pop("description") == "number of outputs"
    assert short == {"maximum": 2**31 - 1, "minimum": 1, "type": "integer"}
