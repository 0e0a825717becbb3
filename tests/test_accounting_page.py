"""docs/accounting.md: its table is what the command above it prints, and its example says what it does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "accounting.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def printed() -> str:
    """Run the page's command, from the root of the checkout."""
    (command,) = re.findall(r"```sh\n(python .*)\n```", PAGE)
    arguments = [sys.executable, *command.split()[1:]]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_table_is_what_the_command_prints(printed: str) -> None:
    """The page shows the output word for word, right below the command."""
    assert f"```\n\n{printed}\n" in PAGE


def test_delivered_events_count_what_loops_over_taps_count(printed: str) -> None:
    """In every row the network's counter equals the count by hand, and the shortcut's error follows from it."""
    _, _, *rows = printed.splitlines()
    assert len(rows) > 10
    for row in rows:
        spikes, counted, by_hand, mean, shortcut, off = [cell.strip() for cell in row.split("|")[3:-1]]
        assert counted == by_hand
        fan_out = int(counted.replace(",", "")) / int(spikes.replace(",", ""))
        assert mean == f"{fan_out:.2f}"
        assert off == f"{int(shortcut) / fan_out - 1:+.1%}"


@pytest.mark.parametrize(
    ("layer", "off"),
    [
        ("| 1x28x28 | 16 outputs, 5x5 |", "+36.1%"),
        ("| 1x8x8 | 16 outputs, 3x3, padding 1 |", "+19.0%"),
        ("| 2x34x34 | 16 outputs, 3x3, stride 2, padding 1 |", "+316.2%"),
        ("| 16x14x14 | 32 outputs, 1x1 |", "+0.0%"),
    ],
)
def test_known_errors_of_the_shortcut(printed: str, layer: str, off: str) -> None:
    """Worked out on paper: 784/576, 64*9/22^2 and 34^2*9/50^2 times what there is, and nothing for a single tap."""
    (row,) = [row for row in printed.splitlines() if row.startswith(layer)]
    assert row.endswith(f"| {off} |")


def test_the_example_prints_what_its_comment_says() -> None:
    """One tap of each of 16 kernels sees a corner."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    result = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout == "[16]\n"
