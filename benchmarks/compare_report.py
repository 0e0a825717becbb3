"""The results of `compare.py` as Markdown tables and as a figure."""

import os
import platform
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from peers import ROWS

from snnsim.plot_style import BLUE, DPI, GREY, SKY, figure_of, styled

Cell = dict[str, Any]
SPEEDS = {"train_sps": "training", "infer_sps": "inference"}
SPIKING = ("snntorch", "norse")


def markdown(results: dict[str, dict[str, Cell]]) -> str:
    """Write what was measured where, and the tables."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
    return f"{machine}{libraries(results)}\n\n{tables(results)}"


def libraries(results: dict[str, dict[str, Cell]]) -> str:
    """Write which versions were measured."""
    used = {
        name: version
        for cells in results.values()
        for cell in cells.values()
        for name, version in cell.get("versions", {}).items()
    }
    return ", ".join(f"{name} {version}" for name, version in used.items())


def tables(results: dict[str, dict[str, Cell]]) -> str:
    """Write a table for each workload, and one of snnsim's rows against the peers."""
    parts = [workload_table(name, cells) for name, cells in results.items()]
    parts.append(against_peers(results))
    if any(cell.get("disturbed") for cells in results.values() for cell in cells.values()):
        parts.append(
            "\\* Other processes had a part in these speeds, and in ratios to them: measure again when it is quiet."
        )
    return "\n\n".join(part for part in parts if part)


def workload_table(name: str, cells: dict[str, Cell]) -> str:
    """Write the rows of one workload: medians (least to most), and what kept a row from being measured."""
    reasons = {cell.get("missing") for cell in cells.values()}
    if len(reasons) == 1 and (reason := reasons.pop()):
        return f"## {name}\n\n{reason}"
    lines = [
        f"## {name}",
        "",
        "| | training, samples/s | inference, samples/s | of the fastest peer | of snnTorch or Norse "
        "| peak memory, MB | first step, cold / warm | loss | accuracy |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    notes = []
    for row, cell in cells.items():
        if "train_sps" not in cell:
            lines.append(f"| {row} | {cell.get('missing') or 'failed: ' + cell['failed']} | | | | | | | |")
            continue
        lines.append(
            f"| {_marked(row, cell)} | {_spread(cell, 'train_sps')} | {_spread(cell, 'infer_sps')} "
            f"| {_ratios(cell, cells, None)} | {_ratios(cell, cells, SPIKING)} "
            f"| {_spread(cell, 'peak_mb')} | {cell['first_step_cold_s']:.1f} s / {cell['first_step_warm_s']:.1f} s "
            f"| {_loss(row, cell)} | {100 * cell['accuracy']:.1f} % |"
        )
        notes += [f"- {row}, {note}" for note in cell["notes"]]
    return "\n".join([*lines, "", *notes]).strip()


def against_peers(results: dict[str, dict[str, Cell]]) -> str:
    """Write what snnsim's rows reach of the peers, where they win and where they lose."""
    lines = [
        "## snnsim against its peers",
        "",
        "| | | | fastest peer | ratio to it | better of snnTorch and Norse | ratio to it |",
        "|---|---|---|---|---|---|---|",
    ]
    count = len(lines)
    for name, cells in results.items():
        for row, cell in cells.items():
            if not ROWS[row].ours or "train_sps" not in cell:
                continue
            for speed, what in SPEEDS.items():
                columns = []
                for among in (None, SPIKING):
                    best = fastest(cells, speed, among)
                    columns += (
                        ["", ""]
                        if best is None
                        else [_marked(best, cells[best]), f"{cell[speed] / cells[best][speed]:.2f}"]
                    )
                lines.append(f"| {name} | {_marked(row, cell)} | {what} | {' | '.join(columns)} |")
    return "\n".join(lines) if len(lines) > count else ""


def fastest(cells: dict[str, Cell], speed: str, among: tuple[str, ...] | None) -> str | None:
    """Return the peer that is fastest in training or inference, of all or of some; None where none was measured."""
    peers = [
        row for row, cell in cells.items() if speed in cell and not ROWS[row].ours and (among is None or row in among)
    ]
    return max(peers, key=lambda row: cells[row][speed], default=None)


def draw(results: dict[str, dict[str, Cell]], path: Path) -> None:
    """Draw bars of training and inference for each workload, snnsim's in colour, with least and most."""
    _bars(results).savefig(path, dpi=DPI)


@styled
def _bars(results: dict[str, dict[str, Cell]]) -> Figure:
    shown = {name: {row: cell for row, cell in cells.items() if "train_sps" in cell} for name, cells in results.items()}
    shown = {name: cells for name, cells in shown.items() if cells}
    heights = [0.7 + 0.22 * len(cells) for cells in shown.values()] or [1.0]
    figure = figure_of(sum(heights))
    panels = figure.subplots(len(heights), len(SPEEDS), squeeze=False, height_ratios=heights)
    for of_workload, (name, cells) in zip(panels, shown.items(), strict=False):
        rows = list(cells)
        colours = [(BLUE if row == "snnsim" else SKY) if ROWS[row].ours else GREY for row in rows]
        for axes, (speed, what) in zip(of_workload, SPEEDS.items(), strict=True):
            values = [cells[row][speed] for row in rows]
            ranges = [cells[row][f"{speed}_range"] for row in rows]
            errors = [
                [value - least for value, (least, _) in zip(values, ranges, strict=True)],
                [largest - value for value, (_, largest) in zip(values, ranges, strict=True)],
            ]
            axes.barh(
                [_starred(row, cells[row]) for row in rows],
                values,
                xerr=errors,
                color=colours,
                error_kw={"linewidth": 0.8},
            )
            axes.invert_yaxis()
            axes.set_title(f"{name}, {what}, samples/s")
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        of_workload[1].set_yticks([])
    return figure


def _spread(cell: Cell, name: str) -> str:
    least, most = cell[f"{name}_range"]
    middle = f"{cell[name]:,.0f}"
    return middle if least == most else f"{middle} ({least:,.0f} to {most:,.0f})"


def _starred(row: str, cell: Cell) -> str:
    return f"{row} *" if cell["disturbed"] else row


def _marked(row: str, cell: Cell) -> str:
    return _starred(row, cell).replace("*", r"\*")


def _ratios(cell: Cell, cells: dict[str, Cell], among: tuple[str, ...] | None) -> str:
    ratios = []
    for speed in SPEEDS:
        best = fastest(cells, speed, among)
        ratios.append("" if best is None else f"{cell[speed] / cells[best][speed]:.2f}")
    return " / ".join(ratios) if all(ratios) else ""


def _loss(row: str, cell: Cell) -> str:
    marks = []
    if cell["reset"] == "delayed":
        marks.append("delayed reset")
    if ROWS[row].other_surrogate:
        marks.append("other surrogate")
    if not cell.get("loss_agrees", True):
        marks.append("differs by more than 5 %")
    return f"{cell['loss_40']:.4f}" + (f" ({', '.join(marks)})" if marks else "")
