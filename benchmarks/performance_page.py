"""Bring docs/performance.md up to date from what the benchmarks measured.

    python benchmarks/performance_page.py compare.json limits.json compact.json scaling.json latency.json counting.json

The files are what ``--json`` of the commands of these names wrote, in this order. Each part of the page between
``<!-- NAME -->`` and ``<!-- end -->`` is written anew, the figures go to docs/figures/. What stands outside of these
parts is written by hand.
"""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compact
import compare_report
import counting
import latency
import limits_report
import scaling_figures

DOCS = Path(__file__).resolve().parent.parent / "docs"
PARTS = ("compare", "limits", "compact", "scaling", "latency", "counting")
Results = dict[str, Any]


def main() -> None:
    """Write all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in PARTS:
        parser.add_argument(name, type=Path, metavar=f"{name}.json")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page")
    arguments = parser.parse_args()
    page, figures = arguments.docs / "performance.md", arguments.docs / "figures"
    figures.mkdir(exist_ok=True)
    text = page.read_text(encoding="utf-8")
    for name in PARTS:
        results = json.loads(getattr(arguments, name).read_text(encoding="utf-8"))
        text = updated(text, name, BODIES[name](results, figures))
    page.write_text(text, encoding="utf-8")


def updated(text: str, name: str, body: str) -> str:
    """Return the page with one part written anew."""
    part = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not part.search(text):
        raise SystemExit(f"the page has no part for {name}: <!-- {name} --> ... <!-- end -->")
    return part.sub(lambda found: f"{found[1]}\n{body}\n\n{found[2]}", text)


def of_compare(results: Results, figures: Path) -> str:
    """Write the tables beside other simulators, and draw the bars."""
    compare_report.draw(results, figures / "performance-peers.png")
    bars = "![Training and inference, samples a second, by workload](figures/performance-peers.png)"
    return f"{bars}\n\n{compare_report.libraries(results)}.\n\n{_lower(compare_report.tables(results))}"


def of_limits(results: Results, figures: Path) -> str:
    """Write the tables of the limit view."""
    return f"{machine(results)}\n\n{limits_report.markdown(results)}"


def of_compact(results: Results, figures: Path) -> str:
    """Write the table of surrogates."""
    return f"{machine(results)}\n\n{compact.markdown(results)}"


def of_scaling(results: Results, figures: Path) -> str:
    """Draw both figures, and write a table of the times."""
    scaling_figures.draw_density(results, figures / "performance-density.png")
    scaling_figures.draw_axes(results, figures / "performance-scaling.png")
    return "\n\n".join(
        [
            machine(results),
            "![Milliseconds a sample against input density, with the dense limit](figures/performance-density.png)",
            "![Milliseconds a sample against steps, width, batch and threads](figures/performance-scaling.png)",
            scaling_table(results),
        ]
    )


def scaling_table(results: Results) -> str:
    """Write milliseconds a sample along every axis, and as parts of the dense limit."""
    lines = [
        "| | | training, ms a sample | of the dense limit | inference, ms a sample | of the dense limit "
        "| hidden rates |",
        "|---|---|---|---|---|---|---|",
    ]
    for axis, points in results["axes"].items():
        for point in points:
            value = f"{100 * point['value']:g} %" if axis == "density" else f"{point['value']:,g}"
            times, limits = point["milliseconds"], point["dense_limit"]
            cells = [f"{times[kind]:.3f} | {times[kind] / limits[kind]:.2f}" for kind in ("training", "inference")]
            rates = " / ".join(f"{rate:.3f}" for rate in point["hidden_rates"])
            star = r" \*" if point["disturbed"] else ""
            lines.append(f"| {axis} | {value}{star} | {' | '.join(cells)} | {rates} |")
    if any("*" in line for line in lines):
        lines += ["", r"\* Other processes had a part in these times: measure again when it is quiet."]
    return "\n".join(lines)


def of_latency(results: Results, figures: Path) -> str:
    """Write the table of latencies."""
    return f"{machine(results)}\n\n{latency.markdown(results)}"


def of_counting(results: Results, figures: Path) -> str:
    """Write the table of what counting costs."""
    threads = "one thread" if results["threads"] == 1 else f"{results['threads']} threads"
    return f"{machine(results)} On {threads}.\n\n{counting.markdown(results)}"


def machine(results: Results) -> str:
    """Say where something was measured."""
    about = results["machine"]
    versions = f"Python {about['python']}, NumPy {about['numpy']}, snnsim {about['snnsim']}"
    return f"{about['processor']}, {about['cores']} cores; {versions}."


def _lower(tables: str) -> str:
    """Return tables with headings one level lower: those of the page are above them."""
    return re.sub(r"^## ", "### ", tables, flags=re.MULTILINE)


BODIES: dict[str, Callable[[Results, Path], str]] = {
    "compare": of_compare,
    "limits": of_limits,
    "compact": of_compact,
    "scaling": of_scaling,
    "latency": of_latency,
    "counting": of_counting,
}


if __name__ == "__main__":
    main()
