"""``snnsim export`` and ``snnsim import``."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from nir_graph import interpreter
from nir_graph.builders import affine, chain, lif
from snnsim import Network
from snnsim.datasets.digits import read_digits
from strategies import exact_values

ZERO = {"reset": "zero"}
CONVOLUTIONAL: list[Any] = [
    {"conv2d": {"out": 4, "kernel": 3}},
    {"lif": {**ZERO, "beta": 0.5, "threshold": 0.75}},
    {"sum_pool2d": 2},
    {"dense": 10},
    {"lif": {**ZERO, "beta": 0.5, "threshold": 0.5, "readout": "count"}},
]
NEEDED = "NIR graphs need the extra 'nir': pip install 'snnsim[nir]'"


def one_message(result: "subprocess.CompletedProcess[str]") -> str:
    """Return the single line of an error that is the user's to mend."""
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def model(tmp_path: Path) -> Network:
    """Write the model ``a.npz``, a convolutional network for digits whose sums are exact."""
    network = Network.from_config(CONVOLUTIONAL, input_shape=(1, 8, 8))
    for k, parameter in enumerate(network.parameters.values()):
        parameter[...] = exact_values(np.random.default_rng(k), parameter.shape)
    network.save(tmp_path / "a.npz")
    return network


def test_a_trained_run_becomes_a_graph_and_a_model_again(snnsim: Any, tmp_path: Path) -> None:
    """Run, export, import, evaluate: the same figures, but for the layers' names."""
    small = ("data.limit=60", "train.epochs=1", "network.0.dense=8", "encoder.direct.num_steps=4")
    hard = ("network.1.lif.reset=zero", "network.3.lif.reset=zero")
    assert snnsim("run", "digits", *small, *hard, "--out", "run", "--quiet").returncode == 0

    exported = snnsim("export", "run", "a.nir")
    imported = snnsim("import", "a.nir", "b.npz")
    settings = ("encoder.direct.num_steps=4", "--data", "digits", "--limit", "30", "--json")
    first, second = (snnsim("eval", model, *settings) for model in ("run", "b.npz"))

    assert (exported.returncode, exported.stderr) == (0, "")
    assert exported.stdout == "a.nir written: 6 layers, for steps of 0.0001 s by euler\n"
    assert (imported.returncode, imported.stderr) == (0, "")
    assert imported.stdout.splitlines()[1:] == [
        f"read from NIR {nir.version}, steps of 0.0001 s by euler",
        "3_lif: a spike resets the membrane to v_reset",
        "5_lif: a spike resets the membrane to v_reset",
        "7_li: readout mean",
    ]
    answers = [snnsim("predict", model, "digits", "encoder.direct.num_steps=4").stdout for model in ("run", "b.npz")]

    assert second.returncode == 0, second.stderr
    assert answers[0] == answers[1] != ""
    figures = [json.loads(result.stdout)["test"] for result in (first, second)]
    assert figures[0]["spikes"] > 0
    assert figures[0]["accuracy"] == figures[1]["accuracy"]
    assert {key: figures[0][key] for key in figures[0] if key != "loss"} == {
        key: figures[1][key] for key in figures[1] if key != "loss"
    }


def test_nir_alone_gives_the_answers_of_the_model(snnsim: Any, tmp_path: Path, model: Network) -> None:
    """The file, read by the library and run by NIR's definitions, fires and classifies as `predict` does."""
    assert snnsim("export", "a.npz", "a.nir").returncode == 0
    images = np.asarray(read_digits().x)[np.newaxis, :20] / 16
    run = model.run(images, input_coding="direct", num_steps=8, record="spikes")

    found = interpreter.run(nir.read(tmp_path / "a.nir"), np.repeat(images, 8, axis=0))

    assert 0 < run.spikes[4].sum() < run.spikes[4].size
    assert np.array_equal(run.spikes[1], found["2_lif"])
    assert np.array_equal(run.spikes[4], found["output"])
    assert np.array_equal(run.logits.argmax(axis=1), found["output"].sum(axis=0).argmax(axis=1))


def test_options_say_how_time_is_cut(snnsim: Any, tmp_path: Path, model: Network) -> None:
    """Written for another step and rule, the graph says so, and what is told again decides."""
    assert snnsim("export", "a.npz", "a.nir", "--dt", "0.001", "--discretization", "exp").returncode == 0
    assert nir.read(tmp_path / "a.nir").nodes["2_lif"].tau == pytest.approx(0.001 / np.log(2))
    as_written = snnsim("import", "a.nir", "b.npz")
    assert "steps of 0.001 s by exp" in as_written.stdout
    assert Network.load(tmp_path / "b.npz").spec[1]["lif"]["beta"] == 0.5
    told = snnsim("import", "a.nir", "c.npz", "--dt", "0.0005", "--discretization", "euler", "--reset", "subtract")
    assert "steps of 0.0005 s by euler\n2_lif: a spike subtracts the threshold" in told.stdout
    loaded = Network.load(tmp_path / "c.npz")
    assert loaded.spec[1]["lif"]["beta"] == pytest.approx(1 - np.log(2) / 2)
    assert loaded.spec[1]["lif"]["reset"] == "subtract"


def test_a_soft_reset_needs_a_word(snnsim: Any, tmp_path: Path) -> None:
    """Refused with the layer's name and the ways there are; on request written, with a note."""
    Network.from_config([{"dense": 3}, {"lif": {"readout": "count"}}], input_shape=(2,)).save(tmp_path / "a.npz")

    message = one_message(snnsim("export", "a.npz", "a.nir"))
    assert message.startswith("layer 1 (lif): reset subtract: ")
    assert "--reset zero" in message
    assert not (tmp_path / "a.nir").exists()
    result = snnsim("export", "a.npz", "a.nir", "--reset", "zero")
    assert result.stdout.splitlines()[1:] == [
        "layer 1 (lif) resets to 0 in the graph, and subtracts its threshold here"
    ]


def test_what_was_assumed_stays_in_the_model(snnsim: Any, main: Any, tmp_path: Path) -> None:
    """`describe` tells it, of the model, whatever its file is called, and of a copy that Python wrote."""
    nir.write(tmp_path / "a.nir", chain(affine([[0.5, 1.0]]), lif(1, r=1.0)))
    said = snnsim("import", "a.nir", "model").stdout.splitlines()[1:]
    Network.load(tmp_path / "model").save(tmp_path / "b.npz")

    assert "n1: input gain 0.5 multiplied into the weights" in said
    for name in ("model", "b.npz"):
        described = snnsim("describe", name)
        assert described.returncode == 0, described.stderr
        assert described.stdout.splitlines()[-len(said) :] == said


BAD_FILES = {
    "nothing": (None, "a.nir: no such file"),
    "empty": (b"", "a.nir: damaged, or not an HDF5 file as NIR graphs are ("),
    "another kind": (b"PK\x03\x04", "a.nir: damaged, or not an HDF5 file as NIR graphs are ("),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused(main: Any, case: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """Exit 2, one line that begins with the file, and no model."""
    content, message = BAD_FILES[case]
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("a.nir").write_bytes(content)
    assert main.call(["import", "a.nir", "b.npz"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert not Path("b.npz").exists()


@pytest.mark.parametrize("library", ["h5py", "nir"])
def test_the_missing_extra_is_named(snnsim: Any, tmp_path: Path, library: str, model: Network) -> None:
    """Exit 2 and what to install; reading needs HDF5 alone, writing the library too."""
    nir.write(tmp_path / "a.nir", chain(affine([[0.5, 1.0]]), lif(1)))
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / f"{library}.py").write_text(f"raise ModuleNotFoundError('no {library}', name={library!r})\n")
    env = {"PYTHONPATH": os.pathsep.join([str(hidden), *filter(None, [os.environ.get("PYTHONPATH")])])}

    assert one_message(snnsim("export", "a.npz", "b.nir", env=env)) == NEEDED
    if library == "h5py":
        assert one_message(snnsim("import", "a.nir", "b.npz", env=env)) == f"a.nir: {NEEDED}"
    else:
        assert snnsim("import", "a.nir", "b.npz", env=env).returncode == 0
    assert not (tmp_path / "b.nir").exists()


def test_help_names_the_choices(main: Any, capsys: Any) -> None:
    """Both commands, and what they take by default."""
    assert main.call(["export", "--help"]) == 0
    assert "[default: 0.0001]" in capsys.readouterr().out
    assert main.call(["import", "--help"]) == 0
    assert "[zero|subtract]" in capsys.readouterr().out
