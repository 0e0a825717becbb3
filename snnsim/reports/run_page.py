"""The report of one run."""

from collections.abc import Mapping
from pathlib import Path

from snnsim.reports.energy import energy_rows, side_by_side
from snnsim.reports.formats import count, short
from snnsim.reports.pages import Picture, write_page
from snnsim.reports.runs import Run, read_bytes, read_run

COLUMNS = {
    "spikes": "Spikes",
    "synops_structural": "SynOps structural",
    "synops_effective": "SynOps effective",
    "synops_recurrent": "Recurrent structural",
    "synops_recurrent_effective": "Recurrent effective",
    "undelivered": "Undelivered",
    "acs": "ACs",
    "macs": "MACs",
    "macs_once": "MACs, one step",
    "macs_dense": "MACs if dense",
    "bias_adds": "Bias adds",
    "neuron_updates": "Neuron updates",
    "resets": "Resets",
}
CAPTIONS = {
    "learning-curves": (
        "Learning",
        "Accuracy, or the loss of a regression, on training and validation data, with spikes and synaptic operations "
        "per validation sample.",
    ),
    "number-of-steps": (
        "Number of steps",
        "What the network answers and has cost when every test sample is stopped after so many time steps; on the "
        "right end the results above.",
    ),
    "spike-raster": ("Spikes", "One test sample through all layers: every mark is a spike."),
    "membrane-traces": (
        "Membranes",
        "A few neurons of the first firing layer on that sample, before the reset.",
    ),
    "firing-rates": (
        "Firing rates",
        "How the neurons of a layer differ; in orange, beside zero, those that never fired.",
    ),
    "confusion-matrix": (
        "Right and wrong",
        "True classes by row, answers by column. Blue is right; mistakes, in orange, have a scale of their own.",
    ),
    "predicted-against-true": (
        "Predicted and true",
        "A point for each test sample and output; on the dashed line the network gives the true value.",
    ),
    "first-layer-weights": ("First-layer weights", "What each neuron of the first layer responds to."),
}


def write_report(run_dir: Path, out: Path | None = None) -> Path:
    """Write the report of a run and return its path (``report.html`` in the run directory, or ``out``).

    Raises
    ------
    InputError
        The folder does not hold a run, something in it is damaged, or the report cannot be written.
    """
    run = read_run(run_dir)
    energy = energy_rows(run)
    return write_page(
        out or run_dir / "report.html",
        "run.html.j2",
        run=run,
        columns={key: title for key, title in COLUMNS.items() if any(layer.counts[key] for layer in run.layers)},
        rate=run.rate(run.layers),
        energy=energy,
        pair=side_by_side(energy, str(run.value("energy", "profile"))),
        figures=_figures(run_dir / "figures"),
        facts=facts(run),
    )


def facts(run: Run) -> list[tuple[str, str]]:
    """Return what else is worth knowing, as label and text; without what the summary does not tell."""
    data, train, environment = run.value("data"), run.value("train"), run.value("environment")
    known: dict[str, object] = {"Seed": run.value("seed"), "snnsim": run.value("snnsim")}
    if isinstance(data, Mapping):
        known["Data"] = f"{data.get('name')}: {count(data.get('train'))} to train, {count(data.get('test'))} to test"
    if isinstance(train, Mapping):
        known["Training"] = (
            f"{count(train.get('epochs'))} epochs in {short(train.get('seconds'))} s, "
            f"{count(train.get('samples_per_second'))} samples/s"
        )
    known |= _lesson(run)
    if isinstance(environment, Mapping):
        versions = (f"{key} {environment[key]}" for key in ("python", "numpy", "numba") if environment.get(key))
        known |= {"Versions": ", ".join(versions), "Platform": environment.get("platform")}
        known["Command"] = environment.get("command")
    return [(label, str(value)) for label, value in known.items() if value not in (None, "")]


def _lesson(run: Run) -> dict[str, str]:
    """Return what a student learned from, and how."""
    teacher, distill = run.value("teacher"), run.value("distill")
    known: dict[str, str] = {}
    if isinstance(teacher, Mapping):
        accuracy = teacher.get("accuracy")
        known["Teacher"] = "logits from a file" if accuracy is None else f"test accuracy {float(accuracy):.2%}"
    if isinstance(distill, Mapping):
        method = distill.get("method")
        given = {"method": next(iter(method)), **next(iter(method.values()))} if isinstance(method, Mapping) else {}
        options = {key: value for key, value in distill.items() if key != "method"} | given
        said = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in options.items())
        known["Distillation"] = said.replace("'", "")  # keys inside as in YAML
    return known


def _figures(folder: Path) -> list[Picture]:
    """Return every PNG of a folder with title and caption, known ones first."""
    paths = sorted(folder.glob("*.png")) if folder.is_dir() else []
    order = {name: place for place, name in enumerate(CAPTIONS)}
    figures = []
    for path in sorted(paths, key=lambda path: order.get(path.stem, len(order))):
        title, caption = CAPTIONS.get(path.stem, (path.stem.replace("-", " ").capitalize(), ""))
        figures.append(Picture.of(read_bytes(path), title, caption, str(path)))
    return figures
