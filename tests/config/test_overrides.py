"""``key=value`` words."""

from typing import Any

import pytest

from snnsim.config import from_mapping
from snnsim.config.overrides import Override, apply
from snnsim.errors import ConfigError

BASE: dict[str, Any] = {
    "data": {"name": "digits"},
    "encoder": {"direct": {"num_steps": 10}},
    "network": [{"dense": 64}, "lif", {"dense": {"out": 10, "bias": False}}, {"li": {"beta": 0.8}}],
}


def resolved(*overrides: str) -> dict[str, Any]:
    return from_mapping(BASE, overrides).config.resolved()


def refused(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        from_mapping(BASE, overrides)
    return str(caught.value)


def test_a_dotted_key_sets_a_value_of_any_type() -> None:
    """Values are read as YAML reads them."""
    config = resolved("train.epochs=3", "train.optimizer.adam.lr=1e-2", "train.keep=best", "seed=7")

    assert config["train"]["epochs"] == 3
    assert config["train"]["optimizer"]["adam"]["lr"] == 0.01
    assert config["train"]["keep"] == "best"
    assert config["seed"] == 7


def test_a_key_of_a_bare_layer_can_be_set() -> None:
    """The file says `lif`; the override gives it an option."""
    assert resolved("network.1.lif.beta=0.95")["network"][1]["lif"]["beta"] == 0.95


def test_a_key_beside_a_short_form_can_be_set() -> None:
    """The file says `dense: 64`; the size stays."""
    assert resolved("network.0.dense.bias=false")["network"][0] == {"dense": {"out": 64, "bias": False}}


def test_a_short_form_replaces_a_map() -> None:
    """What the map said beside is gone."""
    assert resolved("network.2.dense=20")["network"][2] == {"dense": {"out": 20, "bias": True}}


def test_a_map_replaces_a_short_form() -> None:
    """Values can be maps in YAML's flow style."""
    config = resolved("network.0.dense={out: 32, bias: false}")

    assert config["network"][0] == {"dense": {"out": 32, "bias": False}}


@pytest.mark.parametrize("override", ["encoder=rate", "encoder.rate={}", "encoder.rate=20", "encoder.rate.gain=1"])
def test_another_encoder_replaces_the_encoder(override: str) -> None:
    """Nothing of the old one stays, its number of steps included."""
    assert resolved(override)["encoder"] == {"rate": {"num_steps": 20, "gain": 1.0}}


def test_another_name_replaces_other_choices_too() -> None:
    """Optimizers, schedules, losses and surrogates behave as encoders do."""
    config = resolved(
        "train.optimizer.sgd.momentum=0.9",
        "train.schedule.step.every=3",
        "train.loss.count_mse.correct=0.8",
        "network.1.lif.surrogate=triangle",
        "network.1.lif.surrogate.boxcar.width=0.3",
    )

    assert list(config["train"]["optimizer"]) == ["sgd"]
    assert list(config["train"]["schedule"]) == ["step"]
    assert list(config["train"]["loss"]) == ["count_mse"]
    assert config["network"][1]["lif"]["surrogate"] == {"boxcar": {"width": 0.3}}


def test_what_targets_are_goes_with_arrays() -> None:
    """Another file keeps it, a data set by name takes its place."""
    assert resolved("data.npz=/x.npz", "data.targets=values")["data"]["targets"] == "values"
    config = apply({"data": {"npz": "/x.npz", "targets": "values"}}, [Override.parse("data.npz=/y.npz")])
    assert config["data"] == {"npz": "/y.npz", "targets": "values"}
    config = apply({"data": {"npz": "/x.npz", "targets": "values"}}, [Override.parse("data.name=digits")])
    assert config["data"] == {"name": "digits"}


def test_rival_keys_replace_each_other() -> None:
    """A file of arrays takes the place of a data set, a time constant that of beta, and back."""
    config = resolved("data.npz=/x.npz", "network.3.li.tau_mem=10", "network.3.li.dt=1")

    assert config["data"]["npz"] == "/x.npz"
    assert "name" not in config["data"]
    assert config["network"][3]["li"] == {"tau_mem": 10.0, "dt": 1.0, "discretization": "exp", "readout": "mean"}
    again = from_mapping(config, ["data.name=mnist", "network.3.li.beta=0.5"]).config.resolved()
    assert again["data"]["name"] == "mnist"
    assert "npz" not in again["data"]
    assert again["network"][3]["li"] == {"beta": 0.5, "readout": "mean"}


@pytest.mark.parametrize(
    ("written", "overrides", "decays"),
    [
        ({"tau_mem": 20, "tau_syn": 5, "dt": 1}, ["alpha=0.5"], {"alpha": 0.5, "tau_mem": 20.0, "dt": 1.0}),
        ({"tau_mem": 20, "tau_syn": 5, "dt": 1}, ["beta=0.5"], {"beta": 0.5, "tau_syn": 5.0, "dt": 1.0}),
        ({"tau_mem": 20, "tau_syn": 5, "dt": 1}, ["beta=0.5", "alpha=0.25"], {"beta": 0.5, "alpha": 0.25}),
        ({"tau_syn": 5, "dt": 1, "beta": 0.5}, ["alpha=0.25"], {"alpha": 0.25, "beta": 0.5}),
        ({"tau_syn": 5, "dt": 1, "beta": 0.5}, ["dt=2"], {"tau_syn": 5.0, "dt": 2.0, "beta": 0.5}),
        ({"beta": 0.5, "alpha": 0.25}, ["dt=2", "tau_mem=9"], {"tau_mem": 9.0, "dt": 2.0, "alpha": 0.25}),
        ({"beta": 0.5, "alpha": 0.25}, ["tau_syn=9", "dt=2"], {"tau_syn": 9.0, "dt": 2.0, "beta": 0.5}),
    ],
    ids=str,
)
def test_each_decay_has_a_time_constant_of_its_own(
    written: dict[str, Any], overrides: list[str], decays: dict[str, float]
) -> None:
    """In ``cuba_lif`` beta and tau_mem, alpha and tau_syn replace each other; dt stays while a time constant does."""
    base = {**BASE, "network": [BASE["network"][0], {"cuba_lif": written}, *BASE["network"][2:]]}
    config = from_mapping(base, [f"network.1.cuba_lif.{override}" for override in overrides]).config.resolved()
    found = config["network"][1]["cuba_lif"]
    assert {key: found[key] for key in ("beta", "alpha", "tau_mem", "tau_syn", "dt") if key in found} == decays


def test_rival_keys_that_are_both_asked_for_are_a_fault() -> None:
    """Nobody can know which one was meant."""
    assert refused("data.name=mnist", "data.npz=x.npz") == "override data.npz=x.npz: give name or npz, not both"


def test_lists_grow_at_their_end() -> None:
    """The index after the last one adds an entry, also to a list the file does not have."""
    config = resolved("train.regularizers.0.spike_l1.weight=1e-4", "train.regularizers.1={logit_l2: 0.1}")

    assert config["train"]["regularizers"] == [{"spike_l1": {"weight": 0.0001}}, {"logit_l2": {"weight": 0.1}}]
    assert len(resolved("network.4=relu")["network"]) == 5


def test_a_whole_list_can_be_replaced() -> None:
    """The network too."""
    assert resolved("network=[{dense: 10}, li]")["network"][0] == {"dense": {"out": 10, "bias": True}}


@pytest.mark.parametrize("sign", [">", ">="])
def test_the_spike_test_needs_no_quotes(sign: str) -> None:
    """To YAML an unquoted > would begin a block of text."""
    assert resolved(f"network.1.lif.spike_at={sign}")["network"][1]["lif"]["spike_at"] == sign


def test_null_takes_an_optional_value_away() -> None:
    """So does nothing at all."""
    assert "clip_norm" not in resolved("train.clip_norm=1", "train.clip_norm=null")["train"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", "unknown key; did you mean 'epochs'?"),
        ("train.epochs=x", "must be a whole number (got 'x')"),
        ("train.epochs=0", "must be >= 1 (got 0)"),
        ("trian.epochs=3", "trian: unknown key; did you mean 'train'?"),
        ("encoder.rte.num_steps=3", "encoder.rte: unknown encoder; did you mean 'rate'?"),
        (
            "data.name=mnits",
            "must be one of digits, mnist, fashion-mnist, nmnist, shd, yin-yang, randman (got 'mnits'); "
            "did you mean 'mnist'?",
        ),
        ("network.1.lfi.beta=1", "network.1.lfi: unknown layer; did you mean 'lif'?"),
        ("network.0.lif.beta=1", "network.0 is a 'dense' layer; to put a 'lif' there, set network.0={lif: ...}"),
        ("network.9=lif", "network has 4 entries, numbered from 0"),
        ("network.lif.beta=1", "network is a list: a number must follow, like network.0"),
        ("train.optimizer={adam: {lr: 0}}", "train.optimizer.adam.lr: must be > 0 (got 0)"),
        ("seed=!!int 3", "YAML tags are not allowed here (got !!int)"),
        ("network=[", "not valid YAML: expected the node content, but found the end of the file"),
        ("seed=3=4", "must be a whole number (got '3=4')"),
        ("epochs", "must be key=value with a dotted key, like train.epochs=3"),
        ("=3", "must be key=value with a dotted key, like train.epochs=3"),
        ("train..epochs=3", "must be key=value with a dotted key, like train.epochs=3"),
    ],
)
def test_a_wrong_override_is_quoted_with_what_is_wrong(override: str, message: str) -> None:
    """The message names the override, not a line that never said so."""
    assert refused(override) == f"override {override}: {message}"


def test_all_wrong_overrides_come_at_once() -> None:
    """In the order in which they were given."""
    message = refused("train.epochs=x", "seed=-1")

    assert message.splitlines() == [
        "override train.epochs=x: must be a whole number (got 'x')",
        "override seed=-1: must be >= 0 (got -1)",
    ]
