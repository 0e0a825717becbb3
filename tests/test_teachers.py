"""Teachers: trained beside the student, taken from a run, or read as logits; the student learns the same from each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runs import assert_same_results, configuration, run_small, summary
from snnsim import InputError, Network, run_experiment
from snnsim.config import load
from snnsim.datasets import Samples
from snnsim.evaluation import analog, evaluate
from snnsim.experiment import prepare
from snnsim.losses import make_loss
from snnsim.spec import EncoderChoice, LossChoice
from snnsim.training.trainer import Trainer

ANN = "teacher={network: [{dense: 20}, relu, {dense: 10}], train: {epochs: 2}}"
KD = "distill={teacher_temperature: 4, student_temperature: 1, alpha: 0.8}"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave out figures; keep the cache in the test's own folder."""
    monkeypatch.setattr("snnsim.figures.draw_figures", lambda *arguments: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def weights(run: Path) -> bytes:
    return (run / "model.npz").read_bytes()


def test_a_network_is_trained_first(tmp_path: Path) -> None:
    """The teacher is a run of its own in the student's folder; it changes what the student learns."""
    run = run_small(tmp_path, ANN, KD)
    found, teacher = summary(run), summary(run / "teacher")
    assert found["teacher"] == {"accuracy": teacher["test"]["accuracy"]}
    assert found["distill"] == {"teacher_temperature": 4, "student_temperature": 1, "alpha": 0.8, "scale": "ts^2"}
    assert teacher["test"]["num_steps"] == 1
    assert [layer["layer"] for layer in teacher["model"]["layers"]] == ["dense", "relu", "dense"]
    assert (teacher["teacher"], teacher["distill"]) == (None, None)
    alone = run_small(tmp_path, name="alone")
    assert weights(alone) != weights(run)
    assert found["test"]["loss"] == pytest.approx(labels_loss(run), rel=1e-6)


def labels_loss(run: Path) -> float:
    """Return the cross entropy of the test set: what the summary's loss is, with and without a teacher."""
    prepared = prepare(load(str(run / "config.yaml")))
    network, config, test = Network.load(run), prepared.config, prepared.dataset.test
    result = evaluate(
        network,
        test,
        scale=prepared.dataset.scale,
        encoder=config.encoder,
        loss=make_loss(LossChoice.of("cross_entropy")),
        seed=config.seed,
    )
    return result.loss


def test_every_kind_of_teacher_teaches_the_same(tmp_path: Path) -> None:
    """The same logits from a section, a run, a model file or an array give the same student, to the bit."""
    first = run_small(tmp_path, ANN, KD, name="first")
    teacher = first / "teacher"
    data = prepare(load(str(first / "config.yaml"))).dataset
    network = Network.load(teacher)
    rows = int(max(part.index.max() for part in (data.train, data.valid))) + 1
    logits = np.full((rows, 10), 1e3, np.float32)

    def ask(samples: Samples) -> Any:
        x = analog(samples.values, data.scale)
        return network.run(x[None], input_coding="direct", num_steps=1).logits

    logits[data.train.index] = ask(data.train)
    logits[data.valid.index] = ask(data.valid)
    np.save(tmp_path / "logits.npy", logits)
    sources = {"run": teacher, "model": teacher / "model.npz"}
    for name, source in sources.items():
        run = run_small(tmp_path, f"teacher={{run: {source}}}", KD, name=name)
        assert weights(run) == weights(first)
        assert summary(run)["teacher"] == summary(first)["teacher"]
        assert not (run / "teacher").exists()
    run = run_small(tmp_path, f"teacher={{logits: {tmp_path / 'logits.npy'}}}", KD, name="logits")
    assert weights(run) == weights(first)
    assert summary(run)["teacher"] == {"accuracy": None}


def test_logits_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher is asked once; other weights, data or seeds are asked anew."""
    first = run_small(tmp_path, ANN, KD, name="first")
    asked: list[str] = []
    network_run = Network.evaluate_batch

    def spy(network: Network, *arguments: Any, **options: Any) -> Any:
        asked.extend(["teacher"] * network.is_ann)
        return network_run(network, *arguments, **options)

    monkeypatch.setattr(Network, "evaluate_batch", spy)
    source = f"teacher={{run: {first / 'teacher'}}}"
    again = run_small(tmp_path, source, KD, name="again")
    assert not asked
    assert weights(again) == weights(first)
    run_small(tmp_path, source, KD, "data.limit=150", name="less")
    assert asked


def test_an_snn_teaches(tmp_path: Path) -> None:
    """A spiking teacher sees the samples through the student's encoder, unless it has its own."""
    network = "network: [{dense: 20}, lif, {dense: 10}, li], train: {epochs: 1}"
    run = run_small(tmp_path, f"teacher={{{network}}}", KD, name="same")
    assert summary(run / "teacher")["test"]["num_steps"] == 4
    run = run_small(tmp_path, f"teacher={{{network}, encoder: {{rate: {{num_steps: 7}}}}}}", KD, name="own")
    assert summary(run / "teacher")["test"]["num_steps"] == 7


def test_a_student_without_teacher(tmp_path: Path) -> None:
    """A student that teaches itself needs no teacher."""
    run = run_small(tmp_path, "distill={method: temporal_self, alpha: 0.3}")
    assert summary(run)["teacher"] is None
    assert summary(run)["distill"]["method"] == {"temporal_self": {"temperature": 2.0}}


def test_temperatures_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temperatures with a final value go there epoch by epoch."""
    seen: list[tuple[float, float]] = []
    lesson = Trainer._lesson

    def spy(trainer: Trainer, epoch: int) -> Any:
        result = lesson(trainer, epoch)
        if result is not None:  # the teacher's own lessons have none
            method: Any = result.method
            seen.append((method.teacher_temperature, method.student_temperature))
        return result

    monkeypatch.setattr(Trainer, "_lesson", spy)
    run_small(tmp_path, ANN, "distill={teacher_temperature: 9, final_teacher_temperature: 3, student_temperature: 2}")
    assert seen == [(9, 2), (6, 2), (3, 2)]


@pytest.mark.parametrize("part", ["teacher", "student"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Cut off while the teacher or the student learns, a run goes on to what it would have been."""
    expected = run_small(tmp_path, ANN, KD, name="expected")
    epoch = Trainer._epoch

    def dies(trainer: Trainer, number: int, synops: float) -> Any:
        if number == 2 and trainer.network.is_ann == (part == "teacher"):
            raise KeyboardInterrupt
        return epoch(trainer, number, synops)

    loaded = configuration(tmp_path, ANN, KD)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_epoch", dies)
        with pytest.raises(KeyboardInterrupt, match="go on with --out"):
            run_experiment(loaded, tmp_path / "cut")
    run_experiment(loaded, tmp_path / "cut", resume=True)
    assert_same_results(tmp_path / "cut", expected)
    assert weights(tmp_path / "cut" / "teacher") == weights(expected / "teacher")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([KD], "alpha: 0.8}: needs a teacher"),
        ([ANN], "distill: must say how to learn from the teacher"),
        ([ANN, "distill={method: temporal_self}"], "temporal_self learns from no teacher"),
        (["teacher={}", KD], "give one of network, run and logits"),
        (["teacher={run: a, logits: b}", KD], "give one of network, run and logits"),
        (["teacher={run: a, train: {epochs: 2}}", KD], "encoder and train go with network"),
        (["teacher={network: [{dense: 5}]}", KD], r"teacher.network.0.dense: .*ends in 5 outputs"),
        (["teacher={network: [{conv2d: {out: 4, kernel: 11}}, {dense: 10}]}", KD], "teacher.network.0.conv2d.kernel"),
        (["teacher={network: [{dens: 10}]}", KD], "teacher.network.0.dens: unknown layer; did you mean 'dense'"),
        ([ANN, KD, "train.loss=count_mse"], "train.loss"),
        ([ANN, KD, "train.loss=step_cross_entropy"], "train.loss=step_cross_entropy: .*take cross_entropy"),
    ],
)
def test_bad_configurations(tmp_path: Path, overrides: list[str], message: str) -> None:
    """What does not fit is named before anything is trained or written."""
    with pytest.raises(InputError, match=message):
        run_small(tmp_path, *overrides)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as a .npy file"),
        (b"not an array", "cannot be read as a .npy file"),
        (np.zeros((5, 10)), "must have shape"),
        (np.zeros((1797, 9)), "must have shape"),
        (np.full((1797, 10), np.inf), "holds NaN or infinite values"),
        (np.array([["a"]]), "must hold numbers"),
    ],
)
def test_bad_logits(tmp_path: Path, content: Any, message: str) -> None:
    """A file of logits that is missing, damaged or of another shape is named."""
    file = tmp_path / "logits.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content)
    with pytest.raises(InputError, match=rf"logits.npy.*{message}"):
        run_small(tmp_path, f"teacher={{logits: {file}}}", KD)


def test_bad_teachers(tmp_path: Path) -> None:
    """A run that is none, or whose network has other outputs, is named."""
    with pytest.raises(InputError, match="nothing"):
        run_small(tmp_path, f"teacher={{run: {tmp_path / 'nothing'}}}", KD, name="none")
    Network.from_config([{"dense": 3}], input_shape=(64,)).save(tmp_path / "three.npz")
    with pytest.raises(InputError, match=r"three\.npz: the teacher has 3 outputs, the student 10"):
        run_small(tmp_path, f"teacher={{run: {tmp_path / 'three.npz'}}}", KD, name="three")


@pytest.mark.parametrize("distill", [KD, "distill={method: decoupled}", "distill={method: per_step}"])
def test_the_resolved_configuration_runs_again(tmp_path: Path, distill: str) -> None:
    """The stored configuration of a distilled run gives the same run."""
    first = run_small(tmp_path, ANN, distill, name="first")
    run_experiment(load(str(first / "config.yaml")), tmp_path / "second")
    assert weights(tmp_path / "second") == weights(first)
    stored = json.loads((first / "summary.json").read_text())
    assert stored["distill"] == summary(tmp_path / "second")["distill"]


def test_encoder_of_a_stored_teacher(tmp_path: Path) -> None:
    """A spiking teacher from a run sees the samples through the encoder it was trained with."""
    teacher = run_small(tmp_path, "encoder={direct: {num_steps: 9}}", name="teacher")
    run = run_small(tmp_path, f"teacher={{run: {teacher}}}", KD, name="student")
    assert summary(run)["teacher"]["accuracy"] == summary(teacher)["test"]["accuracy"]
    assert EncoderChoice.of({"direct": {"num_steps": 9}}).num_steps == 9
