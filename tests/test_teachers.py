"""Teachers: trained beside the student, taken from a run, or read as logits; the student learns the same from each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runs import assert_same_results, configuration, run_small, summary
from snnsim import InputError, Network, run_experiment
from snnsim.augment import draw_shifts, shift_images
from snnsim.config import load
from snnsim.datasets import Samples
from snnsim.evaluation import analog, evaluate
from snnsim.experiment import prepare
from snnsim.layers.base import SampleKeys
from snnsim.losses import make_loss
from snnsim.spec import EncoderChoice, LossChoice
from snnsim.teachers import trained_teacher
from snnsim.training.checkpoint import read_checkpoint
from snnsim.training.trainer import Trainer

ANN = "teacher={network: [{dense: 20}, relu, {dense: 10}], train: {epochs: 2}}"
KD = "distill={teacher_temperature: 4, student_temperature: 1, alpha: 0.8}"
PAIRS = "layers: [{student: 1, teacher: 1}]"
FEATURES = f"distill={{teacher_temperature: 4, alpha: 0.5, method: {{features: {{{PAIRS}, weight: 2}}}}}}"
SNN = "teacher={network: [{dense: 20}, {lif: {threshold: 0.3}}, {dense: 10}, li], train: {epochs: 1}}"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave out figures; keep the cache in the test's own folder."""
    monkeypatch.setattr("snnsim.figures.draw_figures", lambda *arguments: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def weights(run: Path) -> bytes:
    return (run / "model.npz").read_bytes()


def regressors(run: Path) -> dict[str, Any]:
    return dict(read_checkpoint(run / "checkpoints" / "last.npz").regressors)


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


@pytest.mark.parametrize("distill", [KD, FEATURES], ids=["logits", "features"])
@pytest.mark.parametrize("part", ["teacher", "student"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, distill: str
) -> None:
    """Cut off while the teacher or the student learns, a run goes on to what it would have been, regressors too."""
    expected = run_small(tmp_path, ANN, distill, name="expected")
    epoch = Trainer._epoch

    def dies(trainer: Trainer, number: int, synops: float) -> Any:
        if number == 2 and trainer.network.is_ann == (part == "teacher"):
            raise KeyboardInterrupt
        return epoch(trainer, number, synops)

    loaded = configuration(tmp_path, ANN, distill)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_epoch", dies)
        with pytest.raises(KeyboardInterrupt, match="go on with --out"):
            run_experiment(loaded, tmp_path / "cut")
    run_experiment(loaded, tmp_path / "cut", resume=True)
    assert_same_results(tmp_path / "cut", expected)
    assert weights(tmp_path / "cut" / "teacher") == weights(expected / "teacher")
    learned = regressors(tmp_path / "cut")
    assert bool(learned) == (distill == FEATURES)
    for name, array in regressors(expected).items():
        np.testing.assert_array_equal(learned[name], array)


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


def test_features_teach_through_a_regressor(tmp_path: Path) -> None:
    """The regressor learns beside the student, is kept in checkpoints, and is no part of the model or its counts."""
    run = run_small(tmp_path, ANN, FEATURES, name="run")
    alone = run_small(tmp_path, name="alone")
    assert Network.load(run).parameters.keys() == Network.load(alone).parameters.keys()
    assert summary(run)["model"] == summary(alone)["model"]
    assert weights(run) != weights(run_small(tmp_path, ANN, FEATURES, "distill.method.features.weight=0", name="zero"))
    assert summary(run)["distill"]["method"] == {"features": {"layers": [{"student": 1, "teacher": 1}], "weight": 2.0}}
    learned = regressors(run)
    assert {name: array.shape for name, array in learned.items()} == {
        "features.0.weight": (20, 24),
        "features.0.bias": (20,),
    }
    again = run_small(tmp_path, ANN, FEATURES, name="again", threads=2)
    assert_same_results(again, run)
    for name, array in regressors(again).items():
        np.testing.assert_array_equal(array, learned[name])
    other = run_small(tmp_path, ANN, FEATURES, "seed=1", name="other")
    assert not np.array_equal(regressors(other)["features.0.weight"], learned["features.0.weight"])


def test_features_of_weight_zero_change_nothing(tmp_path: Path) -> None:
    """Without weight, features leave the student as the two temperatures alone make it."""
    zero = run_small(tmp_path, ANN, FEATURES, "distill.method.features.weight=0", name="zero")
    plain = run_small(tmp_path, ANN, "distill={teacher_temperature: 4, alpha: 0.5}", name="plain")
    assert weights(zero) == weights(plain)


def test_a_student_comes_closer_to_features(tmp_path: Path) -> None:
    """With features alone, of equal size, the student's rates come nearer to the teacher's."""
    teacher = "teacher={network: [{dense: 24}, {lif: {threshold: 0.3}}, {dense: 10}, li], train: {epochs: 5}}"
    losses = []
    for weight in (0, 30):
        options = f"distill={{alpha: 0, method: {{features: {{{PAIRS}, weight: {weight}}}}}}}"
        run = run_small(tmp_path, teacher, options, "encoder={direct: {num_steps: 8}}", name=f"run{weight}")
        assert not regressors(run)
        data = prepare(load(str(run / "config.yaml"))).dataset
        x = analog(data.train.values, data.scale)[None]
        rates = [
            Network.load(who).run(x, record="spikes", input_coding="direct", num_steps=8).spikes[1].mean(axis=0)
            for who in (run, run / "teacher")
        ]
        losses.append(((rates[0] - rates[1]) ** 2).mean())
    assert losses[1] < 0.5 * losses[0]


@pytest.mark.parametrize("teacher", [ANN, SNN], ids=["ann", "snn"])
def test_a_run_teaches_features_as_a_section_does(tmp_path: Path, teacher: str) -> None:
    """The same features from a network trained first and from its run, to the bit."""
    first = run_small(tmp_path, teacher, FEATURES, name="first")
    run = run_small(tmp_path, f"teacher={{run: {first / 'teacher'}}}", FEATURES, name="run")
    assert weights(run) == weights(first)


def test_features_of_what_the_student_sees(tmp_path: Path) -> None:
    """The teacher's features are of the samples as they are moved in that epoch; logits are not."""
    source = run_small(tmp_path, ANN, KD, name="source") / "teacher"
    config = prepare(load(str(source / "config.yaml")))
    found = trained_teacher(source, config.config, config.dataset, 10, 1)
    rows = np.array([5, 3, 11])
    options: dict[str, Any] = {"epoch": 2, "threads": 1}
    plain = found.features([1], config.dataset, rows, 0, shift=0, **options)[0]
    moved = found.features([1], config.dataset, rows, 0, shift=2, **options)[0]
    samples = config.dataset.train
    for features, x in (
        (plain, samples.values[rows]),
        (moved, shift_images(samples.values[rows], draw_shifts(SampleKeys(0, 2, samples.index[rows]), 2))),
    ):
        parameters = Network.load(source).parameters
        currents = analog(x, config.dataset.scale) @ parameters["0.weight"].T + parameters["0.bias"]
        # NumPy's product sums in another order than the network's, in float32; small currents are what cancels.
        np.testing.assert_allclose(features, np.maximum(currents, 0), rtol=1e-4, atol=1e-6)
    assert not np.allclose(plain, moved)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["teacher={logits: a.npy}", FEATURES], "distill.*: method features needs a teacher that can be run: give"),
        ([ANN, FEATURES.replace("student: 1", "student: 3")], "student's layer 3 is dense; take one of 1"),
        ([ANN, FEATURES.replace("student: 1", "student: 4")], "student's layer 4 is li; take one of 1"),
        ([ANN, FEATURES.replace("student: 1", "student: 9")], "the student has no layer 9; take one of 1"),
        ([ANN, FEATURES.replace("teacher: 1}", "teacher: 2}")], "teacher's layer 2 is dense; take one of 1"),
        ([ANN, FEATURES.replace("teacher: 1}", "teacher: 7}")], "the teacher has no layer 7; take one of 1"),
        ([SNN, FEATURES.replace("teacher: 1}", "teacher: 3}")], "teacher's layer 3 is li; take one of 1"),
        (["teacher={run: nothing}", FEATURES], "teacher.run: nothing: no such file"),
        ([ANN, "distill={method: features}"], "missing key 'layers'"),
        ([ANN, "distill={method: {features: {layers: [{student: 1}]}}}"], "layers.0: missing key 'teacher'"),
        ([ANN, FEATURES, "network=[{dense: 9}, relu, {dense: 10}]", "encoder={direct: 1}"], "relu; there is none"),
    ],
)
def test_features_that_do_not_fit(tmp_path: Path, overrides: list[str], message: str) -> None:
    """A teacher without features, or a layer that cannot be compared, is named before anything is written."""
    with pytest.raises(InputError, match=message) as error:
        run_small(tmp_path, *overrides)
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


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
