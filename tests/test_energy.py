"""Energy profiles: the published constants, memory sizes, and files that cannot be used."""

from pathlib import Path

import pytest

from snnsim.energy import LayerCost, load_profile, profile_names
from snnsim.errors import InputError

KIB = 1024
OWN = """
format: 1
version: 1
title: mine
scope: chip
process: 7 nm
precision: 4-bit
includes: everything
citation: none
operations:
  ac: {value: 2, unit: pJ, is: one event}
  mac: {value: 3.5, unit: pJ, is: one product}
"""


@pytest.mark.parametrize(
    ("name", "counts", "picojoules"),
    [
        ("horowitz-45nm-fp32", {"acs": 10, "macs": 1}, 10 * 0.9 + 4.6),
        ("horowitz-45nm-fp32", {"neuron_updates": 5, "bias_adds": 7}, 0),
        ("horowitz-45nm-int8", {"acs": 10, "macs": 1}, 10 * 0.03 + 0.23),
        ("loihi", {"acs": 10, "neuron_updates": 3}, 10 * 23.6 + 3 * 81),
        ("lemaire-45nm-int32", {"acs": 1}, 0.1 + 3 * 10),
        ("lemaire-45nm-int32", {"macs": 1}, 3.2 + 3 * 10),
        ("lemaire-45nm-int32", {"neuron_updates": 1, "bias_adds": 1}, 3.2 + 2 * 10 + 0.1 + 10),
    ],
)
def test_joules_are_counts_times_published_constants(name: str, counts: dict[str, int], picojoules: float) -> None:
    """Each operation takes what the source says, in pJ."""
    assert load_profile(name).joules(counts) == pytest.approx(picojoules * 1e-12, rel=1e-12)


def test_other_counters_are_passed_over() -> None:
    """A whole record of counters can be given: spikes and structural synops take nothing by themselves."""
    profile = load_profile("horowitz-45nm-fp32")

    assert profile.joules({"spikes": 9, "macs_dense": 99, "acs": 2}) == profile.joules({"acs": 2})


@pytest.mark.parametrize(
    ("size", "picojoules"),
    [
        (0, 10),
        (8 * KIB, 10),
        (16 * KIB, 15),
        (32 * KIB, 20),
        (64 * KIB, 36),
        (1024 * KIB, 100),
        (2**40, 100),
    ],
)
def test_an_access_is_priced_by_the_size_of_the_memory(size: int, picojoules: float) -> None:
    """Energy lies on a line over the logarithm of the size, and stays level outside the listed sizes."""
    assert load_profile("lemaire-45nm-int32").access_picojoules(size) == pytest.approx(picojoules, rel=1e-12)


def test_parameters_and_states_have_memories_of_their_own() -> None:
    """A synaptic event reads a weight from one memory, and reads and writes a membrane in another."""
    profile = load_profile("lemaire-45nm-int32")

    energy = profile.joules({"acs": 1}, parameter_bytes=1024 * KIB, state_bytes=32 * KIB)

    assert energy == pytest.approx((0.1 + 100 + 2 * 20) * 1e-12, rel=1e-12)


def test_a_network_is_priced_layer_by_layer() -> None:
    """A small layer is not charged for the memory of a large one."""
    profile = load_profile("lemaire-45nm-int32")
    layers = [LayerCost({"acs": 5}, 1024 * KIB, 0), LayerCost({"acs": 7}, 8 * KIB, 0)]

    assert profile.network_joules(layers) == pytest.approx((5 * 120.1 + 7 * 30.1) * 1e-12, rel=1e-12)


def test_a_dense_baseline_has_a_price_where_the_device_runs_it() -> None:
    """A dense multiply-add keeps its sum in a register; a neuromorphic chip has no price for it."""
    assert load_profile("horowitz-45nm-fp32").dense_joules(10) == pytest.approx(46e-12, rel=1e-12)
    assert load_profile("lemaire-45nm-int32").dense_joules(1) == pytest.approx(23.2e-12, rel=1e-12)
    assert load_profile("loihi").dense_joules(10) is None


def test_every_shipped_profile_says_what_it_is() -> None:
    """Title, what is included and citation are there, and every value is in pJ."""
    names = profile_names()

    assert {"horowitz-45nm-fp32", "horowitz-45nm-int8", "loihi", "lemaire-45nm-int32"} <= set(names)
    for name in names:
        profile = load_profile(name)
        assert profile.title
        assert profile.includes
        assert profile.citation
        assert profile.operations.ac.unit == "pJ"


def test_a_file_of_ones_own_is_a_profile(tmp_path: Path) -> None:
    """A YAML file of the same form can be named by its path."""
    path = tmp_path / "mine.yaml"
    path.write_text(OWN)

    assert load_profile(path).joules({"acs": 1, "macs": 2}) == pytest.approx(9e-12, rel=1e-12)
    assert load_profile(str(path)).title == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("horowitz-45nm-fp23", "unknown energy profile 'horowitz-45nm-fp23'; did you mean 'horowitz-45nm-fp32'?"),
        ("abacus", "must be one of horowitz-45nm-fp32, "),
        ("", "unknown energy profile ''"),
        ("a\0b", "unknown energy profile"),
        ("folder/mine.yaml", "folder/mine.yaml: no such file"),
    ],
)
def test_an_unknown_profile_is_refused(name: str, message: str) -> None:
    """The message says what was meant, or what there is."""
    with pytest.raises(InputError) as refused:
        load_profile(name)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a map"),
        ("- 1", "must be a map"),
        ("a: [", "mine.yaml:1:5: not valid YAML"),
        ("a: !!python/object:os.system {}", "not valid YAML"),
        ("\0", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        (OWN.replace("pJ", "nJ"), "operations.ac.unit: must be one of pJ (got 'nJ')"),
        (OWN.replace("value: 2", "value: -2"), "operations.ac.value: must be >= 0 (got -2)"),
        (OWN.replace("value: 2", "value: .nan"), "operations.ac.value: must be a finite number"),
        (OWN.replace("citation: none\n", ""), "missing key 'citation'"),
        (OWN.replace("is: one event", "are: one event"), "operations.ac"),
        (OWN.replace("is: one event", "is: one event, state_accesses: 1"), "memory: must list"),
        (
            OWN + "memory: [{bytes: 9, value: 1, unit: pJ}, {bytes: 9, value: 2, unit: pJ}]",
            "memory: sizes must grow",
        ),
    ],
)
def test_a_bad_profile_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """One message names the file and the key, and says what must hold."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)

    with pytest.raises(InputError) as refused:
        load_profile(path)

    assert str(refused.value).startswith(str(path))
    assert message in str(refused.value)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    """Bytes that are not text are not taken for a profile."""
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InputError, match="not a text file in UTF-8"):
        load_profile(path)
