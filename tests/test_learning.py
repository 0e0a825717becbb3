"""Training and testing from Python: the same results as by a configuration, shown well, refused clearly."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import snnsim as sn
from runs import Heard, run_small
from snnsim.config import TrainSpec

LAYERS: list[object] = [{"dense": 24}, {"lif": {"threshold": 0.5}}, {"dropout": 0.2}, {"dense": 10}, "li"]
RATE = {"rate": {"num_steps": 4}}


@pytest.fixture(scope="module")
def digits() -> sn.Dataset:
    return sn.load_data({"name": "digits", "limit": 200})


def network(layers: list[object] = LAYERS, shape: tuple[int, ...] = (1, 8, 8)) -> sn.Network:
    return sn.Network.from_config(layers, input_shape=shape, seed=0)


def trained(data: sn.Dataset, net: sn.Network, **options: Any) -> sn.Training:
    given = {"encoder": RATE, "epochs": 3, "batch_size": 40, "optimizer": {"adam": {"lr": 0.01}}, "threads": 1}
    return sn.train(net, data, **{**given, "progress": False, **options})


def test_the_same_bits_as_a_run(tmp_path: Path, digits: sn.Dataset) -> None:
    """Training and testing from Python give the weights, the history and the counts of the same configuration."""
    net = network()
    training = trained(digits, net)
    run = sn.read_run(run_small(tmp_path))
    for name, array in run.network.parameters.items():
        assert np.array_equal(net.parameters[name], array), name
    for row, stored in zip(training.history, run.history, strict=True):
        assert {key: row[key] for key in row if key != "seconds"} == {
            key: stored[key] for key in stored if key != "seconds"
        }
    result = sn.evaluate(net, digits, encoder=RATE)
    assert result.summary() == run.test
    assert result.layers == run.counts
    assert result.joules_per_sample() == run.summary["energy"]["joules_per_sample"]
    assert result.ann_joules_per_sample() == pytest.approx(4.6e-12 * (64 * 24 + 24 * 10), rel=1e-12)  # rounding
    assert result.ann_joules_per_sample("loihi") is None


def test_options_have_the_defaults_of_a_configuration() -> None:
    """What stands in both has one default."""
    options = inspect.signature(sn.train).parameters
    settings = TrainSpec()
    for name in TrainSpec.model_fields.keys() & options.keys():
        value = getattr(settings, name)
        expected = getattr(value, "name", value)
        assert options[name].default in (expected, tuple(expected) if expected == [] else expected), name
    assert TrainSpec.model_fields.keys() - options.keys() == {"init"}


def test_results_show_accuracy_spikes_operations_and_layers(digits: sn.Dataset) -> None:
    """What a prompt prints, and what a notebook shows, has the figures that count and a row a layer."""
    net = network()
    training = trained(digits, net)
    result = sn.evaluate(net, digits, encoder=RATE, part="valid")
    assert f"accuracy {result.accuracy:.2%} on 20 samples" in repr(result)
    assert [line.split()[:2] for line in repr(result).splitlines()[2:]] == [
        ["0", "(dense)"],
        ["1", "(lif)"],
        ["2", "(dropout)"],
        ["3", "(dense)"],
        ["4", "(li)"],
    ]
    assert "<td" in result._repr_html_()
    assert len(repr(training).splitlines()) == 2 + 3
    assert f"{training.history[-1]['valid_accuracy']:.2%}" in training._repr_html_()
    assert repr(digits) == "Dataset('digits': 180 train, 20 valid, 200 test; samples [1, 8, 8], 10 classes)"
    assert repr(digits.test) == "Samples(200 of shape [1, 8, 8])"


def test_results_draw_themselves(digits: sn.Dataset) -> None:
    """Each result gives the figure that says most of it, and a notebook can show it without pyplot."""
    net = network()
    training = trained(digits, net, epochs=1)
    result = sn.evaluate(net, digits, encoder=RATE)
    x = (digits.test.values[:3].reshape(1, 3, 1, 8, 8) > 8).astype(np.float32).repeat(4, axis=0)
    run = net.run(x, record="spikes")
    for figure in (training.figure(), result.figure(), run.figure(2)):
        assert isinstance(figure, Figure)
        assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    with pytest.raises(sn.InputError, match="from 0 to 2"):
        run.figure(3)
    with pytest.raises(sn.InputError, match="record='spikes'"):
        net.run(x).figure()


def test_a_run_of_a_batch_shows_its_layers(digits: sn.Dataset) -> None:
    """The counts of a batch stand by layer, as means over its samples."""
    run = network().run(np.ones((4, 2, 1, 8, 8)))
    lines = repr(run).splitlines()
    assert lines[0].startswith("BatchRun: 2 samples, 4 steps, 10 outputs; ")
    assert lines[2].split() == ["0", "(dense)", "24", "6,144", "6,144", "0"]
    assert "6,144" in run._repr_html_()


def test_a_student_learns_from_a_teacher_at_hand(tmp_path: Path, digits: sn.Dataset) -> None:
    """A network that was trained before teaches, as one in a run directory does: the same bits."""
    teacher = network([{"dense": 16}, "relu", {"dense": 10}])
    trained(digits, teacher, encoder={"direct": {"num_steps": 1}})
    teacher.save(tmp_path / "teacher.npz")
    student = network()
    trained(digits, student, teacher=teacher, distill={"teacher_temperature": 4})
    run = run_small(tmp_path, f"teacher.run={tmp_path / 'teacher.npz'}", "distill.teacher_temperature=4")
    for name, array in sn.Network.load(run).parameters.items():
        assert np.array_equal(student.parameters[name], array), name


def test_features_of_a_teacher_at_hand(digits: sn.Dataset) -> None:
    """A layer of the teacher can be compared too, and one that does not exist is refused."""
    teacher = network([{"dense": 24}, "relu", {"dense": 10}])
    options = {"alpha": 0.0, "method": {"features": [{"student": 1, "teacher": 1}]}}
    with_features, without = network(), network()
    trained(digits, with_features, teacher=teacher, distill=options, epochs=1)
    trained(digits, without, epochs=1)
    assert not np.array_equal(with_features.parameters["0.weight"], without.parameters["0.weight"])
    options["method"] = {"features": [{"student": 1, "teacher": 7}]}
    with pytest.raises(sn.InputError, match="teacher"):
        trained(digits, with_features, teacher=teacher, distill=options)


def test_progress_is_told_and_closed(digits: sn.Dataset) -> None:
    """An object of the caller's own hears of every epoch."""
    heard = Heard()
    trained(digits, network(), progress=heard, epochs=2)
    assert heard.epochs == [1, 2]


def test_regression_from_arrays() -> None:
    """Values are learned from arrays, tested by their mean squared error, and drawn over what is true."""
    x = np.random.default_rng(0).random((60, 5)).astype(np.float32)
    data = sn.datasets.from_arrays(x, x[:, :2].sum(axis=1), targets="values")
    net = network([{"dense": 8}, "lif", {"dense": 1}, "li"], (5,))
    trained(data, net, encoder={"direct": 5}, loss="mse", epochs=1)
    result = sn.evaluate(net, data, encoder={"direct": 5}, loss="mse")
    assert result.accuracy is None
    assert np.isclose(result.loss, np.square(result.logits - result.targets).mean(dtype=np.float64))
    assert isinstance(result.figure(), Figure)
    assert repr(data).endswith("1 values a sample)")
    with pytest.raises(sn.InputError, match="cross_entropy needs classes"):
        sn.evaluate(net, data, encoder={"direct": 5})


def test_recorded_events_are_binned_for_the_encoder() -> None:
    """A generated set of spike times is loaded with the encoder it is trained through, which fixes the steps."""
    encoder = {"events": {"time_window": 5000}}
    data = sn.load_data({"randman": {"classes": 2, "samples": 20}}, encoder=encoder)
    net = network([{"dense": 4}, "lif", {"dense": 2}, "li"], (20,))
    trained(data, net, encoder=encoder, epochs=1)
    assert sn.evaluate(net, data, encoder=encoder).num_steps == 20
    with pytest.raises(sn.InputError, match="events"):
        sn.evaluate(net, data, encoder="direct")
    with pytest.raises(sn.DataError, match="events"):
        sn.load_data("randman")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "^epochs: "),
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"encoder": "drect"}, "did you mean 'direct'"),
        ({"encoder": {"events": {"time_window": 10}}}, "recorded events"),
        ({"distill": {"teacher_temperature": 2}}, "needs a teacher"),
        ({"regularizers": [{"spike_l1": -1}]}, "spike_l1"),
    ],
)
def test_wrong_options_are_refused(digits: sn.Dataset, options: dict[str, Any], message: str) -> None:
    """One error says what is wrong, before anything is trained."""
    with pytest.raises(sn.InputError, match=message):
        trained(digits, network(), **options)


def test_networks_that_do_not_fit_are_refused(digits: sn.Dataset) -> None:
    """The error says what to build instead."""
    with pytest.raises(sn.InputError, match=r"input_shape=\(1, 8, 8\)"):
        trained(digits, network(shape=(65,)))
    with pytest.raises(sn.InputError, match="3 outputs, the data have 10 classes"):
        trained(digits, network([{"dense": 3}, "li"]))
    with pytest.raises(sn.InputError, match="learn from the teacher"):
        trained(digits, network(), teacher=network())
    with pytest.raises(sn.InputError, match="part: must be one of train, valid, test"):
        sn.evaluate(network(), digits, part="all")  # type: ignore[arg-type]
    flat = sn.datasets.from_arrays(np.ones((20, 4), np.float32), np.arange(20) % 2)
    with pytest.raises(sn.InputError, match="shift: is for images"):
        trained(flat, network([{"dense": 2}, "li"], (4,)), shift=1)
