"""Each command does its job and refuses wrong input with one clear message and exit code 2."""

import csv
import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.event_builders import bin_members, write_members

SMALL = ("data.limit=40", "train.epochs=1", "network.0.dense=8", "encoder.direct.num_steps=3")

BAD_CONFIGS = {
    "misspelt key": ("data: {name: digits}\nnetwork:\n  - dense: 10\n  - li: {betta: 0.9}\n", "bad.yaml:4:10: "),
    "wrong type": ("data: {name: digits}\nnetwork: [{dense: ten}, li]\n", "bad.yaml:2:19: "),
    "out of range": ("data: {name: digits}\nnetwork: [{dense: 10}, {li: {beta: 2}}]\n", "bad.yaml:2:36: "),
    "duplicate key": ("seed: 1\ndata: {name: digits}\nnetwork: [{dense: 10}, li]\nseed: 2\n", "bad.yaml:4:1: "),
    "tag": ("data: !!python/object:os.system x\n", "bad.yaml:1:7: "),
    "empty": ("", "bad.yaml: "),
    "binary": ("\x00\x01\x02", "bad.yaml:1:1: "),
    "deep": ("[" * 1000, "bad.yaml:1:61: "),
    "nan": ("data: {name: digits}\nnetwork: [{dense: 10}, {li: {beta: .nan}}]\n", "bad.yaml:2:36: "),
    "unknown layer": ("data: {name: digits}\nnetwork: [{dnse: 10}, li]\n", "bad.yaml:2:12: "),
    "readout of a hidden layer": (
        "data: {name: digits}\nnetwork: [{dense: 9}, {lif: {readout: count}}, {dense: 10}, li]\n",
        "bad.yaml:2:",
    ),
    "no readout": ("data: {name: digits}\nnetwork: [{dense: 10}, lif]\n", "bad.yaml:2:"),
    "outputs unlike classes": ("data: {name: digits}\nnetwork:\n  - dense: 11\n  - li\n", "bad.yaml:"),
    "values per neuron that do not fit": (
        "data: {name: digits}\nnetwork:\n  - dense: 10\n  - li: {beta: [0.1, 0.2]}\n",
        "bad.yaml:4:",
    ),
    "too large for memory": (
        "data: {name: digits}\nnetwork:\n  - dense: 2000000000\n  - lif\n  - dense: 10\n  - li\n",
        "bad.yaml:",
    ),
    "unknown energy profile": (
        "data: {name: digits}\nnetwork: [{dense: 10}, li]\nenergy: {profile: horowits}\n",
        "bad.yaml:3:19: ",
    ),
}


def one_message(result: "subprocess.CompletedProcess[str]") -> str:
    """Return the single line of an error that is the user's to mend."""
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture(scope="module")
def trained(command: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small finished run."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    subprocess.run([command, "run", "digits", *SMALL, "--out", folder, "--quiet"], check=True, timeout=300)
    return folder


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_bad_configuration_is_refused_with_its_place(
    main: Any, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, one message that begins with the file as named, line and column."""
    text, place = BAD_CONFIGS[case]
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(text)

    assert main.call(["validate", "bad.yaml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(place)
    assert err.count("\n") == 1


@pytest.mark.parametrize("case", ["misspelt key", "outputs unlike classes", "unknown energy profile"])
def test_a_run_of_a_bad_configuration_writes_nothing(snnsim: Any, tmp_path: Path, case: str) -> None:
    """The same message, before any folder is made."""
    text, place = BAD_CONFIGS[case]
    (tmp_path / "bad.yaml").write_text(text)

    assert one_message(snnsim("run", "bad.yaml")).startswith(place)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_validate_lists_all_faults(snnsim: Any, tmp_path: Path) -> None:
    """A line each."""
    (tmp_path / "bad.yaml").write_text("data: {name: digit}\nnetwork: [{dense: 0}, li]\n")
    result = snnsim("validate", "bad.yaml")

    assert result.returncode == 2
    assert [line.split(" ")[0] for line in result.stderr.splitlines()] == ["bad.yaml:1:14:", "bad.yaml:2:19:"]


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion-mnist", "mnist-rate"])
def test_ready_configurations_are_valid(main: Any, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where their data are not on this machine."""
    assert main.call(["validate", name, "--data-dir", "nowhere"]) == 0
    assert capsys.readouterr() == (f"{name}: valid\n", "")


def test_schema_is_a_json_schema(snnsim: Any) -> None:
    """For editors."""
    result = snnsim("schema")

    assert result.returncode == 0
    assert json.loads(result.stdout)["required"] == ["data", "network"]


def test_new_copies_a_configuration_and_overwrites_nothing(snnsim: Any, tmp_path: Path) -> None:
    """The copy is a file to edit; a second copy to the same place is refused."""
    result = snnsim("new", "digits", "mine.yaml")
    assert (result.returncode, result.stdout) == (0, "mine.yaml written; run it with `snnsim run mine.yaml`\n")
    assert snnsim("validate", "mine.yaml").returncode == 0
    (tmp_path / "mine.yaml").write_text("edited")

    message = one_message(snnsim("new", "digits", "mine.yaml"))

    assert message == "mine.yaml: exists already and is left as it is; choose another name"
    assert (tmp_path / "mine.yaml").read_text() == "edited"


def test_new_names_what_was_probably_meant(snnsim: Any) -> None:
    """A misspelt name, or a folder that is not there."""
    message = one_message(snnsim("new", "digit", "x.yaml"))
    assert message == "no ready configuration is called 'digit'; did you mean 'digits'?"
    assert one_message(snnsim("new", "digits", "no/x.yaml")).startswith("no/x.yaml: cannot be written (")


def test_data_lists_and_explains_sets(snnsim: Any) -> None:
    """What there is, whether it is here, and where it comes from."""
    listed = snnsim("data", "list")
    assert listed.returncode == 0
    names = ["name", "digits", "mnist", "fashion-mnist", "nmnist", "shd", "yin-yang", "randman"]
    assert [line.split()[0] for line in listed.stdout.splitlines()] == names

    told = snnsim("data", "info", "mnist")
    assert told.returncode == 0
    assert "sha256" in told.stdout

    assert "did you mean 'mnist'" in one_message(snnsim("data", "info", "mnits"))


def test_data_fetch_of_what_ships_says_where_it_is(snnsim: Any) -> None:
    """Nothing is downloaded."""
    result = snnsim("data", "fetch", "digits")

    assert result.returncode == 0
    assert result.stdout.startswith("digits is in ")


def test_describe_shows_every_layer(snnsim: Any) -> None:
    """Shapes, parameters, fan-out and memory, from a configuration with overrides."""
    result = snnsim("describe", "digits", "network.0.dense=32")

    assert result.returncode == 0, result.stderr
    layers = [line.split()[1] for line in result.stdout.splitlines()[1:7]]
    assert layers == ["dense", "lif", "dense", "lif", "dense", "li"]
    assert "2,080" in result.stdout


@pytest.mark.parametrize(
    ("name", "layer", "fan_out"),
    [
        ("digits", 0, "128"),
        ("mnist-conv", 0, "293.88 (at most 400)"),
        ("mnist-conv", 3, "355.56 (at most 800)"),
        ("shd-recurrent", 1, "256"),
        ("shd-recurrent", 4, "0"),
    ],
)
def test_describe_shows_what_an_event_reaches(snnsim: Any, name: str, layer: int, fan_out: str) -> None:
    """The mean over inputs, exact at the borders of an image, and the most; recurrent synapses with their neurons."""
    row = snnsim("describe", name).stdout.splitlines()[layer + 1]

    assert f"  {fan_out}  " in row


def test_describe_of_a_model(snnsim: Any, trained: Path) -> None:
    """A model describes itself; overrides of a network's shape make no sense there."""
    assert snnsim("describe", trained).returncode == 0
    assert snnsim("describe", trained / "model.npz").returncode == 0


def test_run_prints_only_the_summary_with_json(snnsim: Any, tmp_path: Path) -> None:
    """One object on stdout; progress goes to stderr in plain lines."""
    result = snnsim("run", "digits", *SMALL, "--out", "run", "--json")

    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["config"] == "digits.yaml"
    assert "epoch 1/1: loss" in result.stderr


def test_run_says_nothing_with_quiet(snnsim: Any, tmp_path: Path) -> None:
    """Nothing on stdout, and on stderr no more than warnings."""
    result = snnsim("run", "digits", *SMALL, "--out", "run", "--quiet")

    assert result.returncode == 0
    assert result.stdout == ""
    assert all(line.startswith("warning: ") for line in result.stderr.splitlines())


def test_run_ends_with_the_figures_and_the_folder(snnsim: Any, tmp_path: Path) -> None:
    """Without --out the folder is new and named for the configuration."""
    result = snnsim("run", "digits", *SMALL, "--threads", 1)

    assert result.returncode == 0, result.stderr
    accuracy, energy, folder = result.stdout.splitlines()
    assert accuracy.startswith("test accuracy ")
    assert "(estimate, horowitz-45nm-fp32)" in energy
    (made,) = (tmp_path / "runs").iterdir()
    assert folder == f"all of it in {Path('runs') / made.name}"
    assert made.name.startswith("digits-")


def test_a_used_folder_is_refused_and_left_alone(snnsim: Any, tmp_path: Path) -> None:
    """Whatever is in it."""
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.tex").write_text("years of work")

    assert one_message(snnsim("run", "digits", *SMALL, "--out", "used")).startswith("used: ")
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_refused_before_training(snnsim: Any, tmp_path: Path) -> None:
    """Here because a file stands in its way; also for root, who may write anywhere."""
    (tmp_path / "file").write_text("")

    assert one_message(snnsim("run", "digits", *SMALL, "--out", "file/run")).startswith("file/run: ")
    assert one_message(snnsim("run", "digits", *SMALL, "--out", "file")).startswith("file: ")


def test_resume_needs_a_folder(snnsim: Any) -> None:
    """Otherwise nobody knows which run goes on."""
    result = snnsim("run", "digits", "--resume")

    assert result.returncode == 2
    assert "--resume needs --out DIR" in result.stderr


def test_resuming_a_finished_run_leaves_it_as_it_is(snnsim: Any, trained: Path) -> None:
    """Exit 0, not a byte changed."""
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}

    result = snnsim("run", "digits", *SMALL, "--out", trained, "--resume", "--quiet")

    assert result.returncode == 0, result.stderr
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before


def test_resuming_with_another_configuration_names_the_keys(snnsim: Any, trained: Path) -> None:
    """Two configurations in one run would be neither."""
    message = one_message(snnsim("run", "digits", *SMALL, "train.batch_size=5", "--out", trained, "--resume"))

    assert "train.batch_size" in message


def test_missing_data_say_where_they_were_looked_for(snnsim: Any) -> None:
    """And how to get them."""
    message = one_message(snnsim("run", "mnist", "--data-dir", "nowhere"))

    assert "nowhere" in message
    assert "snnsim data fetch mnist" in message


def test_eval_repeats_the_figures_of_the_run(snnsim: Any, trained: Path) -> None:
    """With --json one object and nothing else."""
    result = snnsim("eval", trained, "--json")

    assert result.returncode == 0, result.stderr
    run = json.loads((trained / "summary.json").read_text())["test"]
    assert json.loads(result.stdout) == {"test": run}


def test_eval_for_people(snnsim: Any, trained: Path) -> None:
    """Accuracy first, then the totals."""
    result = snnsim("eval", trained, "--limit", 7, "encoder.direct.num_steps=2")

    assert result.returncode == 0, result.stderr
    assert "on 7 samples" in result.stdout
    assert "synops_effective" in result.stdout


def test_eval_refuses_wrong_overrides(snnsim: Any, trained: Path) -> None:
    """The same language as for run."""
    message = one_message(snnsim("eval", trained, "encoder.direct.num_stps=2"))

    assert message == "override encoder.direct.num_stps=2: unknown key; did you mean 'num_steps'?"


@pytest.mark.parametrize("verb", ["eval", "predict", "describe"])
def test_what_is_no_model_is_refused(snnsim: Any, tmp_path: Path, verb: str) -> None:
    """A file that is not there, an empty folder, a file of something else."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.npz").write_text("no model")
    data = ("digits",) if verb == "predict" else ()

    for where in ("missing.npz", "folder", "text.npz"):
        assert one_message(snnsim(verb, where, *data)).startswith(where)


def test_predict_writes_class_and_logits(snnsim: Any, tmp_path: Path, trained: Path) -> None:
    """A row a sample; the class is the largest logit; the same to a file and to stdout."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=rng.random((5, 1, 8, 8), dtype=np.float32))

    result = snnsim("predict", trained, "x.npz")
    assert result.returncode == 0, result.stderr
    head, *rows = csv.reader(io.StringIO(result.stdout))
    assert head == ["class", *(f"logit_{index}" for index in range(10))]
    assert len(rows) == 5
    assert [int(row[0]) for row in rows] == [int(np.argmax(list(map(float, row[1:])))) for row in rows]

    again = snnsim("predict", trained, "x.npz", "--out", "p.csv")
    assert (again.returncode, again.stdout) == (0, "")
    assert (tmp_path / "p.csv").read_text() == result.stdout


def test_predict_refuses_data_that_do_not_fit(snnsim: Any, tmp_path: Path, trained: Path) -> None:
    """The message names the file."""
    np.savez(tmp_path / "x.npz", x=np.zeros((5, 9), np.float32))

    assert one_message(snnsim("predict", trained, "x.npz")).startswith("x.npz: ")


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_an_interrupted_run_keeps_its_checkpoint(command: str, tmp_path: Path) -> None:
    """Ctrl-C is exit 130, without a traceback, and the message says how to go on."""
    arguments = ["run", "digits", *SMALL[:1], "train.epochs=100000", "--out", "run"]
    # A shell starts what it puts into the background with the signal ignored; the tests may be running there.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen([command, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    while not (tmp_path / "run" / "checkpoints" / "last.npz").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in err
    assert "--resume" in err


def test_bad_recordings_are_skipped_on_request(snnsim: Any, tmp_path: Path) -> None:
    """`--skip-bad` of run, eval and predict counts and reports what it leaves out; without it they stop."""
    members = bin_members(each=10) | {"Train/0/00001.bin": b"\0" * 12}
    write_members(tmp_path / "d", members)
    (tmp_path / "c.yaml").write_text(
        "data: {events: d}\nencoder: {events: {time_window: 1000}}\nnetwork: [{dense: 2}, li]\ntrain: {epochs: 1}\n"
    )
    message = "c.yaml:1:16: data.events: d/Train/0/00001.bin: record 2 is truncated"
    assert one_message(snnsim("run", "c.yaml", "--out", "a")).startswith(message)

    ran = snnsim("run", "c.yaml", "--out", "a", "--skip-bad")
    assert ran.returncode == 0
    assert "skipped damaged recordings, 1 in all: d/Train/0/00001.bin" in ran.stderr

    tested = snnsim("eval", "a", "--data", "d", "--skip-bad", "--json")
    assert json.loads(tested.stdout)["test"]["samples"] == 19
    assert "skipped damaged recordings, 1 in all" in tested.stderr
    predicted = snnsim("predict", "a", "d", "--skip-bad")
    assert len(predicted.stdout.splitlines()) == 20
    assert "1 in all" in predicted.stderr
