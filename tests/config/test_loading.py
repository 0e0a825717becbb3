"""Loading a configuration: what it says, and every fault with its place."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnsim.config import config_names, dump_yaml, from_mapping, json_schema, load
from snnsim.errors import ConfigError, InputError

GOOD = "data: {name: digits}\nnetwork:\n  - dense: 10\n  - li\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def write(content: str | bytes, name: str = "c.yaml") -> str:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write


def refused(*arguments: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(*arguments)
    return list(caught.value.faults)


def test_data_and_network_suffice(write: Any) -> None:
    """All else has a default, and the resolved configuration says it."""
    loaded = load(write(GOOD, "mine.yaml"))

    assert (loaded.name, loaded.filename) == ("mine", "mine.yaml")
    resolved = loaded.config.resolved()
    assert {key: value for key, value in resolved.items() if key != "network"} == {
        "seed": 0,
        "data": {"name": "digits", "skip_bad": False, "augment": {"shift": 0}},
        "encoder": {"direct": {"num_steps": 20}},
        "train": {
            "epochs": 10,
            "batch_size": 64,
            "optimizer": {"adam": {"lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-08, "weight_decay": 0.0}},
            "schedule": {"cosine": {"warmup": 0.0, "min_lr": 0.0}},
            "loss": {"cross_entropy": {"label_smoothing": 0.0}},
            "regularizers": [],
            "keep": "last",
        },
        "energy": {"profile": "horowitz-45nm-fp32"},
    }


def test_the_resolved_configuration_loads_to_the_same(write: Any) -> None:
    """What a run stores runs again."""
    loaded = load(write(GOOD), ["train.clip_norm=1", "data.limit=5", "train.init=m.npz", "network.0.dense.bias=false"])
    again = load(write(dump_yaml(loaded.config.resolved()), "resolved.yaml"))

    assert again.config.resolved() == loaded.config.resolved()


def test_paths_are_stored_absolute(write: Any, tmp_path: Path) -> None:
    """A stored configuration means the same file in every folder."""
    config = load(write(GOOD), ["data.npz=sub/x.npz", "train.init=runs/a", "energy.profile=p.yaml"]).config.resolved()

    assert config["data"]["npz"] == str(tmp_path / "sub" / "x.npz")
    assert config["train"]["init"] == str(tmp_path / "runs" / "a")
    assert config["energy"]["profile"] == str(tmp_path / "p.yaml")


def test_every_fault_comes_at_once_in_the_order_of_the_file(write: Any) -> None:
    """Each with file, line and column, the key, the rule, what was found, what was meant."""
    text = """\
seed: yes
data: {name: mnits, limit: 0}
network:
  - dense
  - li: {betta: 0.9}
seed: 3
train:
  epochs: 1.5
  optimzer: adam
  optimizer: {adam: {lr: '0.1'}}
  clip_norm: .inf
"""

    assert refused(write(text)) == [
        "c.yaml:1:7: seed: must be a whole number (got 'yes')",
        "c.yaml:2:14: data.name: must be one of digits, mnist, fashion-mnist, nmnist, shd, yin-yang, randman "
        "(got 'mnits'); did you mean 'mnist'?",
        "c.yaml:2:28: data.limit: must be >= 1 (got 0)",
        "c.yaml:4:5: network.0.dense: missing key 'out'",
        "c.yaml:5:10: network.1.li.betta: unknown key; did you mean 'beta'?",
        "c.yaml:6:1: seed: given twice (first on line 1)",
        "c.yaml:8:11: train.epochs: must be a whole number (got 1.5)",
        "c.yaml:9:3: train.optimzer: unknown key; did you mean 'optimizer'?",
        "c.yaml:10:26: train.optimizer.adam.lr: must be a number (got '0.1'); write it without quotes",
        "c.yaml:11:14: train.clip_norm: must be a finite number (got inf)",
    ]


def test_the_file_is_named_as_on_the_command_line(write: Any, tmp_path: Path) -> None:
    """Relative stays relative, absolute absolute."""
    write("data: 3\nnetwork: [li]\n", "sub.yaml")

    assert refused("./sub.yaml") == ["./sub.yaml:1:7: data: must be a map of options (got 3)"]
    assert refused(str(tmp_path / "sub.yaml")) == [f"{tmp_path}/sub.yaml:1:7: data: must be a map of options (got 3)"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "c.yaml: is empty; a configuration needs at least data and network"),
        ("# only a comment\n", "c.yaml: is empty; a configuration needs at least data and network"),
        (bytes(range(128, 256)), "c.yaml: not a text file in UTF-8 (at byte 0)"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "c.yaml:1:1: not a text file (holds the character 127)"),
        ("- a\n", "c.yaml:1:1: must be a map with the keys data and network (got a list of 1)"),
        ("hello\n", "c.yaml:1:1: must be a map with the keys data and network (got 'hello')"),
        ("x: !!python/name:os.system\n", "c.yaml:1:4: YAML tags are not allowed here (got !!python/name:os.system)"),
        ("data: {name: digits}\n", "c.yaml:1:1: missing key 'network'"),
        (
            "network: [li]\ndata: {}\n",
            "c.yaml:2:7: data: needs a name (digits, mnist, fashion-mnist, nmnist, shd, yin-yang, randman), npz, "
            "a file of arrays, or events, a file or folder of recordings",
        ),
        ("network: [li]\ndata: {name: digits, npz: x}\n", "c.yaml:2:27: data.npz: give name or npz, not both"),
        ("network: []\ndata: {name: digits}\n", "c.yaml:1:10: network: must have at least 1 entry (got an empty list)"),
        ("network: lif\ndata: {name: digits}\n", "c.yaml:1:10: network: must be a list (got 'lif')"),
        ("network: [li]\ndata: {npz: ''}\n", "c.yaml:2:13: data.npz: must not be empty"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_clear_fault(write: Any, content: str | bytes, message: str) -> None:
    """Empty, binary, something else, or without what is required."""
    assert refused(write(content)) == [message]


def test_a_byte_order_mark_is_no_fault(write: Any) -> None:
    """Some editors write one."""
    assert load(write(b"\xef\xbb\xbf" + GOOD.encode())).config.seed == 0


def test_a_file_that_is_not_there(write: Any, tmp_path: Path) -> None:
    """Says so, and what was probably meant."""
    assert refused("digts") == ["digts: no such file, and no ready configuration of that name; did you mean 'digits'?"]
    assert refused("digits.yaml") == ["digits.yaml: no such file; the ready one is called 'digits'"]
    assert refused("no/such.yaml") == ["no/such.yaml: no such file"]
    assert refused(str(tmp_path)) == [f"{tmp_path}: is a folder, not a configuration"]
    assert refused("") == [f"an empty name; the ready configurations are {', '.join(config_names())}"]


def test_a_folder_of_a_run_points_to_its_configuration(write: Any) -> None:
    """A run can be repeated from what it stored."""
    Path("run").mkdir()
    Path("run/config.yaml").write_text(GOOD)

    assert refused("run") == ["run: is a folder, not a configuration; the run in it was made from run/config.yaml"]


def test_names_that_no_file_can_have_are_refused() -> None:
    """Too long, or with a NUL."""
    assert "cannot be a file's name" in refused("x" * 5000)[0]
    assert "no such file" in refused("a\0b")[0]


def test_errors_found_later_get_their_place(write: Any) -> None:
    """Whoever knows the sizes raises with a path; the configuration knows the line."""
    loaded = load(write(GOOD), ["network.0.dense=7"])

    error = InputError("is an odd last layer", ("network", 1, "li", "beta"))
    assert str(loaded.explain(error)) == "c.yaml:4:5: network.1.li.beta: is an odd last layer"
    error = InputError("network.0.dense.out: has 7 outputs", ("network", 0, "dense", "out"))
    assert str(loaded.explain(error)) == "override network.0.dense=7: network.0.dense.out: has 7 outputs"
    assert str(loaded.explain(InputError("something else"))) == "c.yaml: something else"


def test_plain_data_is_validated_alike() -> None:
    """A configuration stored in a model has no lines, but the same rules."""
    with pytest.raises(ConfigError) as caught:
        from_mapping(
            {"data": {"name": "digits", "skip_bad": False, "augment": {"shift": 0}}, "network": [{"dense": 0}]},
            filename="model.npz",
        )

    assert str(caught.value) == "model.npz: network.0.dense.out: must be >= 1 (got 0)"


def test_the_json_schema_describes_a_configuration() -> None:
    """It requires what is required and refuses unknown keys."""
    schema = json_schema()

    assert schema["required"] == ["data", "network"]
    assert schema["additionalProperties"] is False
    keys = {"seed", "data", "encoder", "network", "train", "teacher", "distill", "energy"}
    assert set(schema["properties"]) == keys


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_content_raises_anything_but_a_config_error(tmp_path: Path, content: bytes) -> None:
    """Whatever a file holds, the user gets a message."""
    path = tmp_path / "any.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError):
        load(path)


WORDS = (
    "seed data name npz limit encoder direct rate num_steps network dense lif li beta tau_mem dt out train epochs "
    "optimizer adam lr regularizers spike_l1 weight loss energy profile surrogate atan x teacher run logits distill "
    "alpha"
)
KEYS = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | KEYS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(KEYS, VALUES, max_size=5), st.lists(st.tuples(st.lists(KEYS | st.just("0"), min_size=1), VALUES))
)
def test_no_tree_raises_anything_but_a_config_error(
    data: dict[str, Any], overrides: list[tuple[list[str], Any]]
) -> None:
    """Nor does any combination of keys, values and overrides that looks nearly right."""
    words = [f"{'.'.join(path)}={value}" for path, value in overrides]
    with contextlib.suppress(ConfigError):
        from_mapping(data, words)


PER_NEURON = st.floats(0, 1) | st.lists(st.floats(0, 1), min_size=1, max_size=3)
LAYERS = st.one_of(
    st.builds(lambda out, bias: {"dense": {"out": out, "bias": bias}}, st.integers(1, 2**31 - 1), st.booleans()),
    st.builds(
        lambda beta, reset, sign: {"lif": {"beta": beta, "reset": reset, "spike_at": sign}},
        PER_NEURON,
        st.sampled_from(["subtract", "zero", "none"]),
        st.sampled_from([">", ">="]),
    ),
    st.builds(lambda tau, dt: {"li": {"tau_mem": tau, "dt": dt}}, st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)),
    st.builds(lambda p: {"dropout": p}, st.floats(0, 1)),
    st.sampled_from(["if", "relu", "flatten", {"if": {"surrogate": "straight_through", "readout": "rate"}}]),
)
CONFIGS = st.fixed_dictionaries(
    {
        "data": st.sampled_from([{"name": "mnist"}, {"npz": "/data/x: y.npz"}, {"name": "digits", "limit": 3}]),
        "network": st.lists(LAYERS, min_size=1, max_size=4),
    },
    optional={
        "seed": st.integers(0, 2**63 - 1),
        "encoder": st.sampled_from(["direct", {"rate": 3}, {"rate": {"gain": 0.1}}]),
        "train": st.builds(
            lambda lr, l1: {"optimizer": {"adamw": lr}, "regularizers": [{"spike_l1": l1}], "keep": "best"},
            st.floats(1e-300, 1e300),
            st.floats(0, 1e300),
        ),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=CONFIGS)
def test_a_valid_configuration_survives_being_written_and_read(tmp_path: Path, data: dict[str, Any]) -> None:
    """To the last bit of every number."""
    config = from_mapping(data).config
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(config.resolved()), encoding="utf-8")

    assert load(path).config.resolved() == config.resolved()
