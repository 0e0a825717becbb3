"""A search as a page of Markdown: the best trials, all of them, the figure, what it cost; and configurations to run."""

from pathlib import Path

from snnsim.config import dump_yaml
from snnsim.errors import InputError
from snnsim.files import write_text
from snnsim.plots import save
from snnsim.sweeps.found import BEST, COST, WORTH, Found
from snnsim.sweeps.page import cost, counted, energy, markdown_table, percent
from snnsim.sweeps.plots import search_front
from snnsim.sweeps.results import SettingResult

FIGURE = "pareto.png"


def write_found(found: Found, out: Path) -> Path:
    """Write ``results.csv``, ``search.md`` with its figure, and the best configurations; return the page.

    Raises
    ------
    InputError
        They cannot be written.
    """
    save(search_front(found), out / FIGURE)
    write_text(out / "results.csv", found.csv())
    _write_best(found, out)
    page = out / "search.md"
    write_text(page, f"# Search `{found.loaded.name}`\n\n{_body(found, out)}\n")
    return page


def _write_best(found: Found, out: Path) -> None:
    folder = out / BEST
    try:
        folder.mkdir(exist_ok=True)
        for old in folder.glob("trial-*.yaml"):  # of an earlier front
            old.unlink()
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    for result in found.best:
        figures = (
            f"# {result.setting} of the search {found.loaded.name}\n"
            f"# validation: accuracy {percent(result.mean(WORTH))}, {counted(result.mean(COST))} SynOps a sample\n"
            f"# test: accuracy {percent(result.mean('accuracy'))}, {counted(result.mean('synops'))} SynOps a sample\n"
        )
        write_text(out / found.config_name(result), figures + dump_yaml(found.config(result)))


def _body(found: Found, out: Path) -> str:
    search = found.loaded.search
    wanted = " and ".join(f"*{name}*" for name in search.objectives)
    several = "the Pareto set: the trials that no other beats in both; the configuration of each"
    chosen = several if len(search.objectives) > 1 else "the best trial; its configuration"
    still = f", {found.running} are being done elsewhere" if found.running else ""
    parts = [
        f"Configuration `{search.base}`, sampler {search.sampler.name}, seed {search.seed}; {len(found.results)} of"
        f" {search.asked} trials are finished, {len(found.failed)} came to nothing{still}. Searched for: {wanted}, on"
        " validation data alone; test figures stand beside and have no part in any choice. The table shows"
        f" {chosen} is in the file named, ready for `snnsim run`.",
        _table(found, found.best, with_file=True),
        f"![Accuracy against SynOps]({FIGURE})",
        "Every trial:",
        _table(found, found.results, with_file=False),
    ]
    if found.failed:
        rows = [(failed.name, failed.label, " ".join(failed.reason.splitlines())) for failed in found.failed]
        parts += ["Trials that came to nothing:", markdown_table(("trial", "values", "why"), rows)]
    return "\n\n".join((*parts, cost(out)))


def _table(found: Found, results: list[SettingResult], *, with_file: bool) -> str:
    rows = []
    for result in results:
        cells = [result.setting.method.removeprefix("trial "), result.setting.label]
        cells += [percent(result.mean(WORTH)), counted(result.mean(COST))]
        cells += [percent(result.mean("accuracy")), counted(result.mean("synops")), counted(result.mean("spikes"))]
        cells += [energy(result.mean("joules").mean)]
        rows.append([*cells, f"`{found.config_name(result)}`"] if with_file else cells)
    head = ("trial", "values", "validation", "SynOps", "test", "SynOps", "spikes", "energy (estimate)")
    return markdown_table((*head, "file") if with_file else head, rows)
