"""The report of a run is self-contained, says what the run directory says, and names what is damaged."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.made import NARROW, SAMPLES, SPIKES, STEPS, make_run, picture, read, summary
from snnsim.errors import InputError
from snnsim.reports import write_report
from snnsim.reports.energy import energy_rows
from snnsim.reports.runs import read_run


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Lay out a finished run with figures, one of them unknown."""
    run = make_run(tmp_path / "digits-run", config="seed: 7 # <b>not markup</b>\ndata: {name: digits}\n")
    for name in ("learning-curves", "confusion-matrix", "my-own"):
        (run / "figures" / f"{name}.png").write_bytes(picture())
    return run


def test_the_report_says_what_the_run_found(run_dir: Path) -> None:
    """Headline, per-layer counts, profile and the word estimate, settings and versions stand in it."""
    path = write_report(run_dir)

    page = read(path)
    assert path == run_dir / "report.html"
    assert page.open == []
    for part in (
        f"97.50{NARROW}%",
        "342.9",
        f"{(10 * SPIKES + SAMPLES * STEPS * 4096) / SAMPLES:,.0f}".replace(",", NARROW),
        "horowitz-45nm-fp32",
        "Energy, estimate",
        f"123{NARROW}456",
        f"1{NARROW}234{NARROW}560",
        f"{100 * SPIKES / (128 * STEPS * SAMPLES):.2f}{NARROW}%",
        "Seed 7",
        "python 3.11.9, numpy 2.4.1",
        "snnsim run digits",
        "seed: 7 # <b>not markup</b>",
    ):
        assert part in page.text


@pytest.mark.parametrize(
    ("teacher", "distill", "said"),
    [
        (
            {"accuracy": 0.986},
            {"teacher_temperature": 8.0, "student_temperature": 1.0, "alpha": 0.9, "scale": "ts^2"},
            "Teacher test accuracy 98.60% Distillation teacher temperature 8.0, student temperature 1.0, alpha 0.9",
        ),
        (
            {"accuracy": None},
            {"alpha": 0.5, "method": {"decoupled": {"temperature": 4.0, "beta": 8.0}}},
            "Teacher logits from a file Distillation alpha 0.5, method decoupled, temperature 4.0, beta 8.0",
        ),
        (
            {"accuracy": 0.9},
            {"alpha": 0.0, "method": {"features": {"layers": [{"student": 1, "teacher": 3}], "weight": 2.0}}},
            "Distillation alpha 0.0, method features, layers [{student: 1, teacher: 3}], weight 2.0",
        ),
    ],
)
def test_teacher_and_distillation_are_named(run_dir: Path, teacher: Any, distill: Any, said: str) -> None:
    """What a student learned from stands among the settings."""
    file = run_dir / "summary.json"
    found = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(found | {"teacher": teacher, "distill": distill}), "utf-8")
    assert said in read(write_report(run_dir)).text


def test_the_report_needs_nothing_from_outside(run_dir: Path) -> None:
    """Every picture is inside the file, known ones first, and nothing refers to the network."""
    path = write_report(run_dir)

    page, text = read(path), path.read_text("utf-8")
    assert len(page.addresses) == 3
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not re.search(r"https?://|url\(|@import|<script|<link", text)
    assert page.text.index("Learning.") < page.text.index("Right and wrong.") < page.text.index("My own.")


def test_energy_stands_beside_dense_baselines_under_every_profile(run_dir: Path) -> None:
    """Arithmetic is followed by memory; the ANN is one step of the dense products, at the memory's own price."""
    rows = {row.name: row for row in energy_rows(read_run(run_dir))}

    assert list(rows) == ["horowitz-45nm-fp32", "horowitz-45nm-int8", "lemaire-45nm-int32", "loihi"]
    fp32, memory = rows["horowitz-45nm-fp32"], rows["lemaire-45nm-int32"]
    assert fp32.network == pytest.approx(summary()["energy"]["joules_per_sample"], rel=1e-12)
    assert fp32.dense_ann == pytest.approx(4.6e-12 * (64 * 128 + 1280), rel=1e-12)
    assert fp32.dense_snn == pytest.approx(STEPS * 4.6e-12 * (64 * 128 + 1280), rel=1e-12)
    assert fp32.network_once == pytest.approx((4.6 * 4096 + 9 * SPIKES / SAMPLES) * 1e-12, rel=1e-12)
    # 33,280 bytes of weights are a little over 32 kB; the other memories are below 8 kB.
    weight = 20 + 80 * np.log2(33280 / 32768) / 5
    dense = 64 * 128 * (3.2 + weight + 10) + 1280 * (3.2 + 10 + 10)
    assert memory.dense_ann == pytest.approx(dense * 1e-12, rel=1e-9)
    assert rows["loihi"].dense_ann is None
    assert max(share for _, _, share in fp32.bars) == 1
    for row in rows.values():
        # The same products, added up in another order.
        assert sum(row.layers) == pytest.approx(row.network, rel=1e-12)
    assert fp32.layers[1] == pytest.approx(4.6e-12 * STEPS * 4096, rel=1e-12)


def test_every_layer_has_its_energy_under_every_profile(run_dir: Path) -> None:
    """A row a layer, a column a profile, and below them the sum and the dense twins."""
    page = read(write_report(run_dir)).text

    table = page[page.index("Profile horowitz-45nm-fp32") :]
    assert "What it prices arithmetic arithmetic arithmetic and memory chip" in table
    first = 4.6 * STEPS * 4096 / 1000
    assert f"0 dense {first:.0f}{NARROW}nJ" in table
    assert table.index("2 dense") < table.index("This network") < table.index("Dense SNN, every step")
    assert f"Dense ANN, one step {4.6 * (64 * 128 + 1280) / 1000:.1f}{NARROW}nJ" in table


def test_a_network_without_spiking_neurons_is_its_own_dense_baseline(run_dir: Path) -> None:
    """An ANN's products are not divided by time steps that it never took."""
    text = (run_dir / "accounting.csv").read_text()
    (run_dir / "accounting.csv").write_text(text.replace(",lif,", ",relu,").replace(",li,", ",relu,"))

    run = read_run(run_dir)

    assert run.num_steps == 1
    assert run.rate(run.layers) is None
    write_report(run_dir)


@pytest.mark.parametrize("name", ["config.yaml", "metrics.csv", "steps.csv", "accounting.csv", "figures"])
def test_a_missing_part_is_left_out(run_dir: Path, name: str) -> None:
    """The report is made from what is there."""
    path = run_dir / name
    if path.is_dir():
        for figure in path.iterdir():
            figure.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)

    assert "97.50" in read(write_report(run_dir)).text


def test_a_bare_summary_is_enough(tmp_path: Path) -> None:
    """Numbers that the summary does not hold are dashes."""
    (tmp_path / "summary.json").write_text('{"test": {}}')

    page = read(write_report(tmp_path))

    assert f"Accuracy {chr(0x2013)} of the test set" in page.text


def test_parameters_of_unknown_layers_share_one_memory(run_dir: Path) -> None:
    """Where the summary does not list layers, memory is priced by all parameters together."""
    facts = summary()
    facts["model"]["layers"] = None
    (run_dir / "summary.json").write_text(json.dumps(facts))

    rows = {row.name: row for row in energy_rows(read_run(run_dir))}

    weight = 20 + 80 * np.log2(4 * 9610 / 32768) / 5
    expected = (64 * 128 + 1280) * (3.2 + weight + 10) * 1e-12
    assert rows["lemaire-45nm-int32"].dense_ann == pytest.approx(expected, rel=1e-9)


def test_a_profile_of_ones_own_that_is_gone_is_left_out(run_dir: Path) -> None:
    """Its name and energy stand in the headline; the table holds the profiles that there are."""
    facts = summary()
    facts["energy"]["profile"] = "/gone/mine.yaml"
    (run_dir / "summary.json").write_text(json.dumps(facts))

    assert len(energy_rows(read_run(run_dir))) == 4
    assert "/gone/mine.yaml" in read(write_report(run_dir)).text


def test_names_are_never_markup(run_dir: Path) -> None:
    """Text of the run that looks like HTML is shown as it is."""
    facts = summary()
    facts["config"] = facts["data"]["name"] = "<script>alert(1)"
    (run_dir / "summary.json").write_text(json.dumps(facts))

    text = write_report(run_dir).read_text("utf-8")

    assert "<script" not in text


def test_the_report_can_be_written_elsewhere(run_dir: Path, tmp_path: Path) -> None:
    """With ``out`` the run directory is left as it is."""
    out = tmp_path / "elsewhere.html"

    assert write_report(run_dir, out) == out
    assert out.exists()
    assert not (run_dir / "report.html").exists()


def damage(name: str, content: bytes) -> Callable[[Path], None]:
    def harm(run: Path) -> None:
        (run / name).write_bytes(content)

    return harm


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda run: (run / "summary.json").unlink(), "is the run finished?"),
        (damage("summary.json", b"{"), "summary.json: not valid JSON"),
        (damage("summary.json", b"[1]"), "summary.json: not the summary of a run"),
        (damage("summary.json", b"\xff"), "summary.json: not a text file in UTF-8"),
        (damage("config.yaml", b"\xff"), "config.yaml: not a text file in UTF-8"),
        (damage("accounting.csv", b"index,layer\n0,dense\n"), "accounting.csv:2: spikes must be a whole number"),
        (damage("metrics.csv", b"epoch,train_loss\n1,low\n"), "metrics.csv:2: train_loss must be a number (got 'low')"),
        (damage("steps.csv", b"steps,accuracy\n1,0.5,7\n"), "steps.csv:2: more cells than the head has"),
        (damage("figures/learning-curves.png", b"GIF"), "learning-curves.png: not a PNG image"),
    ],
)
def test_damage_is_named(run_dir: Path, harm: Callable[[Path], None], message: str) -> None:
    """One message says which file and what is wrong with it, and no report is written."""
    harm(run_dir)

    with pytest.raises(InputError) as refused:
        write_report(run_dir)

    assert message in str(refused.value)
    assert not (run_dir / "report.html").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """Neither an empty folder nor a missing one is a run."""
    with pytest.raises(InputError, match=r"holds no summary\.json"):
        write_report(tmp_path)
    with pytest.raises(InputError, match="no such run directory"):
        write_report(tmp_path / "gone")
