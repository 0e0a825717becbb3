"""Synaptic operations of convolutions, counted exactly, against the common shortcut ``spikes * k^2 * C_out``.

    python benchmarks/fan_out_table.py

Every input neuron fires once. ``SynOps`` is what the network counts as it delivers these events; ``by hand`` goes
through every output neuron and every tap of its kernel in plain loops; their ratio to the number of spikes is the mean
fan-out, beside the fan-out that the shortcut takes for all of them. Needs no data and depends on nothing but shapes:
the table in docs/accounting.md is this program's output.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

import snnsim

Size = int | list[int]
Options = Mapping[str, Size]


class Case(NamedTuple):
    """A convolution on an image [C, H, W]."""

    image: tuple[int, int, int]
    options: Options


class Row(NamedTuple):
    """What the convolution costs if every input fires once."""

    case: Case
    spikes: int
    counted: int
    by_hand: int
    shortcut: int


CASES = (
    Case((1, 28, 28), {"out": 16, "kernel": 5}),  # first layer of mnist-conv
    Case((16, 12, 12), {"out": 32, "kernel": 5}),  # second layer of mnist-conv
    Case((2, 34, 34), {"out": 12, "kernel": 5}),  # first layer of nmnist-conv
    Case((12, 15, 15), {"out": 32, "kernel": 5}),  # second layer of nmnist-conv
    Case((1, 8, 8), {"out": 16, "kernel": 3, "padding": 1}),
    Case((16, 14, 14), {"out": 32, "kernel": 3, "padding": 1}),
    Case((16, 14, 14), {"out": 32, "kernel": 1}),
    Case((2, 34, 34), {"out": 16, "kernel": 3, "stride": 2, "padding": 1}),
    Case((1, 28, 28), {"out": 16, "kernel": 3, "stride": 4}),
    Case((16, 14, 14), {"out": 32, "kernel": 3, "padding": 1, "groups": 4}),
    Case((16, 14, 14), {"out": 16, "kernel": 3, "padding": 1, "groups": 16}),
    Case((1, 28, 28), {"out": 16, "kernel": 3, "dilation": 3}),
    Case((1, 40, 100), {"out": 8, "kernel": [3, 9]}),
    Case((1, 40, 100), {"out": 8, "kernel": [3, 9], "stride": [1, 2], "padding": [1, 4]}),
)


def measure(case: Case) -> Row:
    """Count a convolution's operations in the three ways."""
    layers: list[object] = [{"conv2d": dict(case.options)}, "li"]
    network = snnsim.Network.from_config(layers, input_shape=case.image, seed=0)
    spikes = np.ones((1, 1, *case.image), np.float32)
    counted = int(network.run(spikes).counts[0].synops_structural[0])
    height, width = pair(case.options["kernel"])
    shortcut = spikes.size * height * width * outputs(case)
    return Row(case, spikes.size, counted, by_hand(case), shortcut)


def by_hand(case: Case) -> int:
    """Go through every output neuron and every tap of its kernel, and count the taps that see an input."""
    channels, height, width = case.image
    kernel, stride = pair(case.options["kernel"]), pair(case.options.get("stride", 1))
    padding, dilation = pair(case.options.get("padding", 0)), pair(case.options.get("dilation", 1))
    rows, columns = (
        (size + 2 * pad - spread * (taps - 1) - 1) // step + 1
        for size, pad, spread, taps, step in zip((height, width), padding, dilation, kernel, stride, strict=True)
    )
    inputs = channels // pair(case.options.get("groups", 1))[0]
    total = 0
    for _, row, column in np.ndindex(outputs(case), rows, columns):
        for _, i, j in np.ndindex(inputs, *kernel):
            y = row * stride[0] + i * dilation[0] - padding[0]
            x = column * stride[1] + j * dilation[1] - padding[1]
            total += 0 <= y < height and 0 <= x < width
    return total


def outputs(case: Case) -> int:
    """Return the number of output channels."""
    return pair(case.options["out"])[0]


def pair(size: Size) -> Sequence[int]:
    """Return (rows, columns)."""
    return (size, size) if isinstance(size, int) else size


def written(case: Case) -> str:
    """Write a convolution's options: ``16 outputs, 3x3, stride 2, padding 1``."""
    said = [f"{outputs(case)} outputs", "x".join(map(str, pair(case.options["kernel"])))]
    said += [
        f"{key} {value if isinstance(value, int) else 'x'.join(map(str, value))}"
        for key, value in case.options.items()
        if key not in ("out", "kernel")
    ]
    return ", ".join(said)


def line(row: Row) -> str:
    """Write a row of the table."""
    cells = (
        "x".join(map(str, row.case.image)),
        written(row.case),
        f"{row.spikes:,}",
        f"{row.counted:,}",
        f"{row.by_hand:,}",
        f"{row.counted / row.spikes:.2f}",
        f"{row.shortcut // row.spikes:,}",
        f"{row.shortcut / row.counted - 1:+.1%}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    head = (
        "image",
        "conv2d",
        "spikes",
        "SynOps",
        "by hand",
        "mean fan-out",
        "shortcut's fan-out",
        "shortcut is off by",
    )
    print(f"| {' | '.join(head)} |")
    print("|---|---|" + "---:|" * (len(head) - 2))
    for case in CASES:
        print(line(measure(case)))


if __name__ == "__main__":
    main()
