"""Bring docs/results.md up to date from the folders of finished sweeps.

    python benchmarks/results_page.py sweeps/mnist-kd sweeps/fashion-kd

For each folder that ``snnsim sweep`` filled, the part of the page between ``<!-- sweep NAME -->`` and ``<!-- end -->``
is written anew, its figures go to docs/figures/ and its table of runs to docs/results/. What stands outside of these
parts, the reading of the figures, is written by hand.
"""

import argparse
import re
import shutil
from dataclasses import replace
from pathlib import Path

from snnsim.sweeps import load_sweep
from snnsim.sweeps.page import FIGURES, body, write_comparison
from snnsim.sweeps.results import read_results
from snnsim.sweeps.trials import plan

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main() -> None:
    """Write the parts of all folders that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", nargs="+", type=Path, help="folders of finished sweeps")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page")
    arguments = parser.parse_args()
    page = arguments.docs / "results.md"
    text = page.read_text(encoding="utf-8")
    for folder in arguments.sweeps:
        text = updated(text, folder, arguments.docs)
    page.write_text(text, encoding="utf-8")


def updated(text: str, folder: Path, docs: Path) -> str:
    """Return the page with the part of one sweep written anew."""
    loaded = load_sweep(folder / "sweep.yaml")
    name = folder.resolve().name
    named = replace(loaded, name=name)
    comparison = read_results(loaded.sweep, plan(loaded, folder).trials)
    write_comparison(named, comparison, folder)
    for into in ("figures", "results"):
        (docs / into).mkdir(exist_ok=True)
    for figure in FIGURES:
        shutil.copyfile(folder / figure, docs / "figures" / f"{name}-{figure}")
    shutil.copyfile(folder / "results.csv", docs / "results" / f"{name}.csv")
    part = re.compile(rf"(<!-- sweep {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not part.search(text):
        raise SystemExit(f"the page has no part for {name}: <!-- sweep {name} --> ... <!-- end -->")
    written = body(named, comparison, folder, figures=f"figures/{name}-")
    return part.sub(lambda found: f"{found[1]}\n{written}\n{found[2]}", text)


if __name__ == "__main__":
    main()
