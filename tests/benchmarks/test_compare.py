"""The comparison with other simulators: workloads, one process per measurement, results, tables."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compare
import numpy as np
import peers
import pytest
import workload_data
from compare_report import markdown
from peers import ours
from workload_data import Part, held_out_batches, make_batches, of_images, synthetic
from workloads import BATCHES, WORKLOADS, Batch, Workload, initial_weights, load_batches, save_batches

from snnsim import Events, Network
from snnsim.datasets import Samples

SCRIPT = Path(compare.__file__)
MEASURED = {*compare.MEASURES, *(f"{name}_range" for name in compare.MEASURES)}
TINY = compare.Settings(repeats=1, steps=4, seconds=0.01, batch=2)


@pytest.fixture
def one_core() -> Iterator[None]:
    """Keep workers to one core: on a busy machine two waiting for each other take minutes."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:1])
    yield
    os.sched_setaffinity(0, cores)


def drawn(workload: Workload, size: int) -> list[Batch]:
    """Draw batches as like the workload's as can be without its data set."""
    rng = np.random.default_rng(3)
    if workload.data != "fashion-mnist":
        return [synthetic(workload, rng, size) for _ in range(2)]
    return [
        of_images(workload, rng.random((size, workload.inputs), np.float32), rng.integers(0, 10, size), rng)
        for _ in range(2)
    ]


@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads_build(name: str) -> None:
    """Each workload's weights are those of snnsim's network, and of the range they are drawn from."""
    workload = WORKLOADS[name]
    weights = initial_weights(workload, 0)
    network = Network.from_config(ours.layers(workload, "fast_sigmoid"), input_shape=workload.input_shape)
    assert [array.shape for array in network.parameters.values()] == [array.shape for array in weights]
    for weight, array in zip(workload.weights, weights, strict=True):
        bound = weight.gain / np.sqrt(np.prod(weight.shape[1:]))
        assert 0.9 * bound < np.abs(array).max() <= np.float32(bound)
    assert network.classes == workload.classes


@pytest.mark.parametrize("name", WORKLOADS)
def test_batches_are_kept(name: str, tmp_path: Path) -> None:
    """What a worker reads are the batches that were written."""
    workload = WORKLOADS[name]
    batches = drawn(workload, 3)
    save_batches(tmp_path / "batches.npz", batches)
    read = list(load_batches(tmp_path / "batches.npz", workload))
    assert len(read) == len(batches)
    for one, other in zip(batches, read, strict=True):
        np.testing.assert_array_equal(one.dense(), other.dense())
        np.testing.assert_array_equal(one.y, other.y)
        steps = () if workload.constant else (workload.steps,)
        assert one.dense().shape == (*steps, 3, workload.inputs)
    assert len(list(load_batches(tmp_path / "batches.npz", workload, 1))) == 1


def test_synthetic_events() -> None:
    """The drawn set has eight batches, about 1.5 % of its inputs active, and is the same for the same seed."""
    workload = WORKLOADS["W4"]
    first, again = (make_batches(workload, 0, None, 4) for _ in range(2))
    assert len(first) == BATCHES
    np.testing.assert_array_equal(first[3].dense(), again[3].dense())
    assert isinstance(first[0].x, Events)
    assert 0.012 < np.mean([batch.dense().mean() for batch in first]) < 0.018


def numbered(workload: Workload, count: int) -> Part:
    """Return images each of which is as bright as its number."""
    x = np.repeat(np.arange(count, dtype=np.uint8)[:, None], workload.inputs, axis=1)
    return Part(workload, Samples(x, np.arange(count) % 10, np.arange(count)), 1 / 255)


def test_held_out_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are of the part for testing, each sample once, or drawn anew; and as large as those of the training."""
    workload = WORKLOADS["W1"]
    monkeypatch.setattr(workload_data, "parts", lambda *_: (numbered(workload, 5), numbered(workload, 11)))
    batches = held_out_batches(workload, 0, None, 4)
    numbers = np.rint(255 * np.concatenate([batch.dense()[:, 0] for batch in batches]))
    assert [len(batch.y) for batch in batches] == [4, 4]
    assert len(set(numbers)) == 8
    assert numbers.max() > 4
    np.testing.assert_array_equal(np.concatenate([batch.y for batch in batches]), numbers % 10)
    assert len(held_out_batches(workload, 0, None, 1)) == BATCHES
    assert [len(batch.y) for batch in held_out_batches(workload, 0, None, 12)] == [12]
    trained, tested = (make(WORKLOADS["W4"], 0, None, 4) for make in (make_batches, held_out_batches))
    assert not any(np.array_equal(one.dense(), other.dense()) for one in trained for other in tested)


def worker(name: str, row: str, folder: Path) -> dict[str, Any]:
    """Measure a row on a few samples that are drawn."""
    return measured(name, row, folder, drawn(WORKLOADS[name], 4), drawn(WORKLOADS[name], 4), 4)


def measured(
    name: str, row: str, folder: Path, batches: list[Batch], held_out: list[Batch], steps: int
) -> dict[str, Any]:
    """Measure a row on given batches."""
    save_batches(folder / "batches.npz", batches)
    save_batches(folder / "held-out.npz", held_out)
    arguments = ["--workload", name, "--row", row, "--seed", "0", "--batches", str(folder / "batches.npz")]
    arguments += ["--held-out", str(folder / "held-out.npz"), "--steps", str(steps), "--seconds", "0.01"]
    return compare.run_worker(arguments, folder, 300)


@pytest.mark.slow
@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("row", ["snnsim", "torch-expert"])
def test_accuracy(row: str, tmp_path: Path) -> None:
    """After 40 steps samples of 20 classes that no step has seen are told apart far better than by chance."""
    if reason := peers.missing(row):
        pytest.skip(reason)
    workload = WORKLOADS["W4"]
    batches, held_out = (make(workload, 0, None, 32) for make in (make_batches, held_out_batches))
    assert 0.3 < measured("W4", row, tmp_path, batches, held_out, 40)["accuracy"] <= 1


@pytest.mark.slow
@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("name", ["W1", "W2", "W3", "W4"])
@pytest.mark.parametrize("row", ["torch-loop", "torch-expert"])
def test_same_loss_as_plain_torch(name: str, row: str, tmp_path: Path) -> None:
    """After a few steps snnsim's loss is that of a plain loop in PyTorch, and of the expert's form."""
    if reason := peers.missing(row):
        pytest.skip(reason)
    assert worker(name, row, tmp_path)["loss"] == pytest.approx(worker(name, "snnsim", tmp_path)["loss"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("one_core")
def test_results(tmp_path: Path) -> None:
    """The command writes the documented keys and a figure, and says which peers and data sets are missing."""
    file, figure = tmp_path / "results.json", tmp_path / "results.png"
    options = ["--rows", "snnsim", "--repeats", "1", "--steps", "3", "--seconds", "0.01", "--batch", "2"]
    command = [sys.executable, str(SCRIPT), "--workloads", "W4", "W1", *options]
    elsewhere = {"SNNSIM_DATA": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [*command, "--json", str(file), "--figure", str(figure)],
        env=os.environ | elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(file.read_text(encoding="utf-8"))
    assert list(results) == ["W4", "W1"]
    cell = results["W4"]["snnsim"]
    assert cell.keys() - {"loss_agrees"} == MEASURED | {"repeats", "reset", "disturbed", "notes", "versions"}
    assert all(cell[name] > 0 for name in compare.MEASURES if name != "accuracy")
    assert 0 <= cell["accuracy"] <= 1
    assert cell["first_step_warm_s"] < cell["first_step_cold_s"]
    assert "fashion-mnist" in results["W1"]["snnsim"]["missing"]
    assert "## W4" in done.stdout
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_missing_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that is not installed is named as missing, with what to do; nothing is started for it."""
    monkeypatch.setitem(peers.ROWS, "norse", peers.Row("norse", ("no_such_library",)))
    monkeypatch.setattr(compare, "run_worker", None)
    results = compare.compare(["W4"], ["norse"], TINY, None)
    reason = "not installed: no_such_library (pip install 'snnsim[bench]')"
    assert results == {"W4": {"norse": {"missing": reason}}}
    assert reason in markdown(results)


def run(train: float, loss: float) -> dict[str, Any]:
    """Return what a worker measured."""
    measured = dict.fromkeys(compare.MEASURES, 1.0) | {"train_sps": train, "infer_sps": 2 * train, "loss_40": loss}
    return measured | {"disturbed": False, "notes": [], "versions": {}}


def test_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that fails is not tried again; one that fails later keeps what was measured, with a note."""
    outcomes = {"snnsim": iter([run(1, 1.0), None, run(3, 1.0)]), "snnsim-compact": iter([None])}

    def measure(name: str, row: str, settings: compare.Settings, folder: Path, earlier: list[Any]) -> dict[str, Any]:
        if (outcome := next(outcomes[row])) is None:
            raise compare.MeasurementError("out of memory")
        return outcome

    monkeypatch.setattr(compare, "measure", measure)
    cells = compare.compare(["W4"], list(outcomes), compare.Settings(repeats=3, batch=2), None)["W4"]
    assert cells["snnsim-compact"] == {"failed": "out of memory"}
    assert (cells["snnsim"]["repeats"], cells["snnsim"]["train_sps"]) == (2, 2)
    assert cells["snnsim"]["notes"] == ["repeat 1, the next repeat failed: out of memory"]
    assert "| snnsim-compact | failed: out of memory |" in markdown({"W4": cells})


def test_caches_are_empty_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first repeat begins with an empty cache; later ones find it, and keep the time of its first step."""
    seen: list[tuple[bool, bool]] = []

    def run_worker(arguments: list[str], cache: Path, limit: float) -> dict[str, Any]:
        seen.append(("--first-step" in arguments, (cache / "kernel").exists()))
        (cache / "kernel").touch()
        return {"first_step_s": float(len(seen)), "loss": 1.0}

    monkeypatch.setattr(compare, "run_worker", run_worker)
    first = compare.measure("W4", "snnsim", TINY, tmp_path)
    second = compare.measure("W4", "snnsim", TINY, tmp_path, [first])
    assert seen == [(True, False), (False, True), (False, True)]
    assert [run["first_step_cold_s"] for run in (first, second)] == [1, 1]
    assert [run["first_step_warm_s"] for run in (first, second)] == [2, 3]


def test_medians_ratios_and_losses() -> None:
    """Cells are medians with least and most; ratios are to the fastest peer, also where it wins."""
    cells = {
        "snnsim": compare.summary("snnsim", [run(300, 1.0), run(100, 1.0), run(200, 1.0)]),
        "snntorch": compare.summary("snntorch", [run(100, 1.2)]),
        "norse": compare.summary("norse", [run(80, 1.02)]),
        "torch-expert": compare.summary("torch-expert", [run(400, 0.99)]),
    }
    compare.judge(cells)
    assert (cells["snnsim"]["train_sps"], cells["snnsim"]["train_sps_range"]) == (200, [100, 300])
    assert [cell["loss_agrees"] for cell in cells.values()] == [True, False, True, True]
    table = markdown({"W1": cells})
    assert "| 1.0000 | 100.0 % |" in table
    assert "| W1 | snnsim | training | torch-expert | 0.50 | snntorch | 2.00 |" in table
    assert "1.2000 (delayed reset, differs by more than 5 %)" in table


def test_a_worker_that_fails_says_why(tmp_path: Path) -> None:
    """The last line of what it complains of is the reason; one that takes too long is ended."""
    with pytest.raises(compare.MeasurementError, match="invalid choice: 'W9'"):
        compare.run_worker(["--workload", "W9"], tmp_path, 300)
    with pytest.raises(compare.MeasurementError, match=r"not done within 0\.01 s"):
        compare.run_worker([], tmp_path, 0.01)
