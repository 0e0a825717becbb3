"""Evaluation in segments counts the same; configurations, runs and estimates of memory know of segments."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import images
from oracles import assert_same_bits, assert_same_counts
from runs import metrics, run_small, summary, table
from snnsim import ConfigError, Network
from snnsim.config import load
from snnsim.inference import describe, evaluate_model, predict_model
from snnsim.results import BatchRun
from snnsim.spec import Segments
from strategies import Problem, problems


def assert_same_in_segments(problem: Problem, length: int, *, with_steps: bool) -> None:
    network = problem.network()

    def run(segments: Segments, threads: int) -> BatchRun:
        return network.evaluate_batch(problem.encoded, with_steps=with_steps, segments=segments, threads=threads)

    whole = run(Segments(), 1)
    for threads in (1, 2):
        found = run(Segments(recompute_every=length), threads)
        assert_same_bits(found.logits, whole.logits)
        assert_same_counts(found, whole)
        assert (found.step_logits is None) == (whole.step_logits is None)
        if found.step_logits is not None and whole.step_logits is not None:
            assert_same_bits(found.step_logits, whole.step_logits)


@settings(max_examples=100)
@given(problem=problems(), length=st.integers(1, 4), with_steps=st.booleans())
def test_a_counted_run_in_segments(problem: Problem, length: int, with_steps: bool) -> None:
    """Logits, step logits and every counter are those of all steps at once."""
    assert_same_in_segments(problem, length, with_steps=with_steps)


@settings(max_examples=60)
@given(problem=images.image_problems(), length=st.integers(1, 3), with_steps=st.booleans())
def test_a_counted_run_over_images_in_segments(problem: Problem, length: int, with_steps: bool) -> None:
    """Likewise with convolutions and pools."""
    assert_same_in_segments(problem, length, with_steps=with_steps)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out figures, which take longer than the small training."""
    monkeypatch.setattr("snnsim.figures.draw_figures", lambda *arguments: None)


@pytest.mark.usefixtures("plain")
def test_a_run_in_segments(tmp_path: Path) -> None:
    """A run with recomputation learns what a run without does; its model evaluates to the bits of its summary."""
    whole = run_small(tmp_path, name="whole")
    run = run_small(tmp_path, "train.recompute_every=3", name="segments")
    for row, expected in zip(metrics(run), metrics(whole), strict=True):
        assert float(row["train_loss"]) == pytest.approx(float(expected["train_loss"]), rel=1e-3)
    assert "recompute_every: 3" in (run / "config.yaml").read_text(encoding="utf-8")
    assert evaluate_model(run) == {"test": summary(run)["test"]}
    assert evaluate_model(run, ["train.recompute_every=null"])["test"] == summary(run)["test"]
    assert [row["neuron_updates"] for row in table(run / "accounting.csv")] == [
        row["neuron_updates"] for row in table(whole / "accounting.csv")
    ]
    data = tmp_path / "data.npz"
    np.savez(data, x=np.zeros((3, 64), np.uint8))
    assert_same_bits(predict_model(run, str(data))[1], predict_model(run, str(data), ["train.recompute_every=null"])[1])


@pytest.mark.usefixtures("plain")
def test_a_run_with_truncation(tmp_path: Path) -> None:
    """Truncation reaches training: other weights, from the same first loss."""
    whole = run_small(tmp_path, "train.epochs=1", "train.batch_size=1000", name="whole")
    run = run_small(tmp_path, "train.epochs=1", "train.batch_size=1000", "train.truncate_every=1", name="cut")
    assert metrics(run)[0]["train_loss"] == metrics(whole)[0]["train_loss"]
    assert (Network.load(run).parameters["0.weight"] != Network.load(whole).parameters["0.weight"]).any()


@pytest.mark.parametrize(
    ("train", "fault"),
    [
        ("{recompute_every: 0}", "c.yaml:3:26: train.recompute_every: must be >= 1 (got 0)"),
        ("{truncate_every: 2.5}", "c.yaml:3:25: train.truncate_every: must be a whole number (got 2.5)"),
        (
            "{truncate_every: 4, recompute_every: 8}",
            "c.yaml:3:25: train.truncate_every: must be the same as recompute_every, 8, or give truncate_every alone "
            "(got 4)",
        ),
    ],
)
def test_lengths_that_do_not_fit(train: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault names its place and what must hold."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(f"data: {{name: digits}}\nnetwork: [{{dense: 10}}, li]\ntrain: {train}\n")
    with pytest.raises(ConfigError) as caught:
        load("c.yaml")
    assert list(caught.value.faults) == [fault]


LAYERS: list[Any] = [{"dense": 256}, "lif", {"dense": 256}, {"cuba_lif": {"recurrent": True}}, {"dense": 10}, "li"]


def test_the_estimate_of_memory() -> None:
    """It falls with segments down to about the square root of the steps, and does not change from T steps on."""
    network = Network.from_config(LAYERS, input_shape=(8,))
    whole = network.training_bytes(10_000)
    estimates = {k: network.training_bytes(10_000, Segments(recompute_every=k)) for k in (1, 32, 100, 1000, 20_000)}
    assert estimates[20_000] == whole
    assert estimates[100] < estimates[32] < estimates[1]
    assert estimates[100] < estimates[1000] < whole / 2
    assert network.training_bytes(10_000, Segments(truncate_every=100)) == estimates[100]


def test_describe_knows_segments() -> None:
    """`snnsim describe` says what training in segments takes."""
    settings = ["encoder.direct.num_steps=2000"]
    whole = describe("digits", settings).training_bytes
    cut = describe("digits", [*settings, "train.recompute_every=50"]).training_bytes
    assert whole is not None
    assert cut is not None
    assert cut < whole / 4
