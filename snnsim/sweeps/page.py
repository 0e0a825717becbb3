"""A comparison as a page of Markdown: what validation chose, every setting, the figures, and what it cost."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from snnsim.files import write_text
from snnsim.plots import save
from snnsim.progress import count, duration
from snnsim.sweeps.folder import LOG
from snnsim.sweeps.language import LoadedSweep
from snnsim.sweeps.plots import layer_spikes, logit_ranges, pareto_front
from snnsim.sweeps.results import Comparison, Mean, SettingResult

FIGURES = ("pareto.png", "layers.png", "logits.png")


def write_comparison(loaded: LoadedSweep, comparison: Comparison, out: Path) -> Path:
    """Write ``results.csv``, ``comparison.md`` and its figures into a sweep's folder; return the page.

    Raises
    ------
    InputError
        They cannot be written.
    """
    best = {method: chosen.best for method, chosen in comparison.chosen.items()}
    drawn = (pareto_front(comparison), layer_spikes(best), logit_ranges(comparison))
    for figure, name in zip(drawn, FIGURES, strict=True):
        save(figure, out / name)
    write_text(out / "results.csv", comparison.csv())
    page = out / "comparison.md"
    write_text(page, f"# Comparison `{loaded.name}`\n\n{body(loaded, comparison, out)}")
    return page


def body(loaded: LoadedSweep, comparison: Comparison, out: Path, figures: str = "") -> str:
    """Return the page without its title; ``figures`` is what stands before the names of its figures."""
    reference = comparison.reference
    return "\n\n".join(
        (
            _about(loaded, comparison),
            _table(comparison, comparison.shown),
            f"![Accuracy against spikes and SynOps]({figures}{FIGURES[0]})",
            f"![Spikes per layer]({figures}{FIGURES[1]})",
            f"![Spikes against the range of the logits]({figures}{FIGURES[2]})",
            f"Every setting; the reference is {reference.setting}:",
            _all_settings(comparison),
            cost(out, _training(comparison)),
            "",
        )
    )


def _about(loaded: LoadedSweep, comparison: Comparison) -> str:
    sweep, reference = loaded.sweep, comparison.reference
    seeds = ", ".join(map(str, sweep.seeds))
    teacher = reference.mean("teacher_accuracy")
    taught = "" if math.isnan(teacher.mean) else f" Mean test accuracy of the teachers: {teacher.mean:.2%}."
    gain = f"exceeds the reference's by {100 * sweep.gain:.2f} points or more" if sweep.gain else "is not below it"
    return (
        f"Configuration `{sweep.base}`, seeds {seeds}; mean ± standard deviation over the seeds, on the test set."
        f"{taught} Settings are chosen on validation data alone. The reference is the most accurate setting of"
        f" *{sweep.against}*: {reference.setting}. Of each method the table shows the most accurate setting and, where"
        f" it is another, the *lightest*: the one with the fewest SynOps among those whose validation accuracy {gain}. "
        "Gains in accuracy are means of differences between runs of the same seed."
    )


def _table(comparison: Comparison, rows: Iterable[tuple[str, SettingResult]]) -> str:
    reference = comparison.reference
    lines = []
    for name, result in rows:
        against = [""] * 5 if result is reference else _against(result, reference)
        accuracy, spikes, synops = result.mean("accuracy"), result.mean("spikes"), result.mean("synops")
        lines.append(
            [
                name,
                result.setting.label or "-",
                percent(accuracy),
                against[0],
                counted(spikes),
                against[1],
                counted(synops),
                against[2],
                counted(result.mean("acs")),
                against[3],
                energy(result.mean("joules").mean),
                against[4],
            ]
        )
    head = (
        "method",
        "setting",
        "accuracy",
        "gain (points)",
        "spikes",
        "",
        "SynOps",
        "",
        "of these ACs",
        "",
        "energy (estimate)",
        "",
    )
    return markdown_table(head, lines)


def _against(result: SettingResult, reference: SettingResult) -> list[str]:
    gain = result.gain(reference, "accuracy")
    spread = "" if math.isnan(gain.deviation) else f" ± {100 * gain.deviation:.2f}"
    ratios = [result.ratio(reference, measure) for measure in ("spikes", "synops", "acs", "joules")]
    return [f"{100 * gain.mean:+.2f}{spread}", *(_change(ratio) for ratio in ratios)]


def _all_settings(comparison: Comparison) -> str:
    lines = [
        [
            result.setting.method,
            result.setting.label or "-",
            str(len(result.runs)),
            percent(result.mean("valid_accuracy")),
            percent(result.mean("accuracy")),
            counted(result.mean("spikes")),
            " / ".join(count(value) for value in result.layer_means().values()),
            counted(result.mean("synops")),
            f"{result.mean('logit_range').mean:.1f}",
        ]
        for result in comparison.results
    ]
    head = ("method", "setting", "seeds", "validation", "test", "spikes", "by layer", "SynOps", "logit range")
    return markdown_table(head, lines)


def _training(comparison: Comparison) -> str:
    seconds = sum(run.values["seconds"] for result in comparison.results for run in result.runs)
    return f", {duration(seconds)} of these in the students' training"


def cost(out: Path, more: str = "") -> str:
    """Say what the runs of a sweep's folder took."""
    path = out / LOG
    calls = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    runs, seconds = sum(call["runs"] for call in calls), sum(call["seconds"] for call in calls)
    busy = sum(call["busy_seconds"] for call in calls)
    at_once = " or ".join(sorted({str(call["jobs"]) for call in calls})) or "0"
    starts = "in one go" if len(calls) == 1 else f"in {len(calls)} starts"
    return (
        f"Cost: {runs} runs, {at_once} at a time, {starts}: {duration(seconds)} by the clock, {duration(busy)} in the"
        f" runs together{more}."
    )


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def percent(mean: Mean) -> str:
    """Write a mean share in percent, with its deviation where it has one."""
    spread = "" if math.isnan(mean.deviation) else f" ± {100 * mean.deviation:.2f}"
    return f"{100 * mean.mean:.2f}{spread} %"


def counted(mean: Mean) -> str:
    """Write a mean count, with its deviation where it has one."""
    spread = "" if math.isnan(mean.deviation) else f" ± {_places(mean.deviation)}"
    return f"{_places(mean.mean)}{spread}"


def _places(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def _change(ratio: float) -> str:
    return "" if math.isnan(ratio) else f"{100 * ratio:+.1f} %"


def energy(joules: float) -> str:
    """Write an energy."""
    return f"{1e9 * joules:,.1f} nJ"
