"""Results as tables: in columns for terminals, as HTML for notebooks."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from snnsim.progress import count

# Layers whose neurons spike, by their names in the network language.
FIRING = frozenset({"lif", "if", "cuba_lif", "alif"})
LAYER_COLUMNS = ("layer", "output", "spikes", "rate", "SynOps", "ACs", "MACs")


@dataclass(frozen=True)
class LayerFacts:
    """What a table says of a layer beside its counts: place and name, shape of its output, number of parameters."""

    index: int
    name: str
    shape: tuple[int, ...]
    parameters: int

    @property
    def title(self) -> str:
        """The layer's name for people: ``1 (lif)``."""
        return f"{self.index} ({self.name})"

    @property
    def size(self) -> int:
        """Number of outputs."""
        return math.prod(self.shape)


def text_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Set rows in columns under a head; numbers to the right, all else to the left."""
    lines = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    numeric = _numeric(rows, len(head))
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def html_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table as HTML, with a line above it."""
    sides = ["right" if right else "left" for right in _numeric(rows, len(head))]

    def line(tag: str, cells: Iterable[str]) -> str:
        shown = zip(cells, sides, strict=True)
        return "".join(f'<{tag} style="text-align: {side}">{escape(text)}</{tag}>' for text, side in shown)

    body = "".join(f"<tr>{line('td', map(_cell, row))}</tr>" for row in rows)
    return f"<p>{escape(caption)}</p><table><thead><tr>{line('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def layer_rows(
    layers: Sequence[LayerFacts], counts: Sequence[Mapping[str, int]], samples: int
) -> list[tuple[object, ...]]:
    """Return a row of `LAYER_COLUMNS` for each layer: means over the samples, the rate in spikes per neuron and step.

    A recurrent layer's own operations stand in its row; layers that count nothing have empty cells.
    """
    rows = []
    for layer, total in zip(layers, counts, strict=True):
        fires = total["neuron_updates"] > 0 and layer.name in FIRING
        rate = f"{total['spikes'] / total['neuron_updates']:.2%}" if fires else ""
        operations = [Mean(total[name] / samples) for name in ("acs", "macs")] if total["macs_dense"] else ["", ""]
        synops: object = Mean((total["acs"] + total["macs"]) / samples) if total["macs_dense"] else ""
        spikes = Mean(total["spikes"] / samples) if fires else ""
        shape = "x".join(map(str, layer.shape))
        rows.append((layer.title, shape, spikes, rate, synops, *operations))
    return rows


def in_one_line(test: Mapping[str, Any]) -> str:
    """Put the figures of a test, the fields of ``summary.json``, into one line."""
    loss = f"loss (mean squared error) {test['loss']:.4g}" if test["accuracy"] is None else f"loss {test['loss']:.4f}"
    on = f"on {test['samples']} samples"
    reached = f"{loss} {on}" if test["accuracy"] is None else f"accuracy {test['accuracy']:.2%} {on}, {loss}"
    spikes, synops = count(test["spikes_per_sample"]), count(test["synops_per_sample"])
    return f"{reached}, {spikes} spikes and {synops} synops a sample"


class Mean(float):
    """A mean of counts: ``1,290.8``, and from ten thousand on without a decimal."""

    def __str__(self) -> str:
        return f"{self:,.0f}" if abs(self) >= 10_000 or self.is_integer() else f"{self:,.1f}"


def _numeric(rows: Sequence[Sequence[object]], columns: int) -> list[bool]:
    """Say of each column whether all that stands in it are numbers, or shares."""
    filled = ([row[column] for row in rows if row[column] != ""] for column in range(columns))
    return [bool(cells) and all(map(_is_number, cells)) for cells in filled]


def _is_number(cell: object) -> bool:
    return isinstance(cell, (int, float)) or (isinstance(cell, str) and cell.endswith("%"))


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
