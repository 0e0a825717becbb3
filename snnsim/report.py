"""The report of a run: one HTML file without outside parts, made from a run directory alone."""

import base64
import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from snnsim.energy import LayerCost, Profile, load_profile, profile_names
from snnsim.errors import InputError
from snnsim.files import write_text

FIRING = frozenset({"lif", "if", "cuba_lif", "alif"})
STATEFUL = FIRING | {"li", "cuba_li"}
FLOAT_BYTES = 4
NO_VALUE = "\u2013"  # a dash
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
THIN_SPACE = "\u202f"

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


@dataclass(frozen=True)
class Layer:
    """One row of ``accounting.csv``."""

    index: str
    name: str
    shape: str
    counts: Mapping[str, int]

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(int(number) for number in re.findall(r"\d+", self.shape))


@dataclass(frozen=True)
class EnergyRow:
    """What one profile makes of the counts [J per sample]; None where the device has no price for it."""

    name: str
    profile: Profile
    network: float
    network_once: float
    dense_snn: float | None
    dense_ann: float | None

    @property
    def bars(self) -> list[tuple[str, float, float]]:
        """Label, energy, and length as a share of the longest."""
        entries = [
            ("this network", self.network),
            ("with the input's product taken once", self.network_once),
            ("dense, every step", self.dense_snn),
            ("dense ANN, one step", self.dense_ann),
        ]
        if math.isclose(self.network, self.network_once):
            del entries[1]
        known = [(label, value) for label, value in entries if value is not None]
        longest = max(value for _, value in known) or 1.0
        return [(label, value, value / longest) for label, value in known]


@dataclass(frozen=True)
class Run:
    """What a run directory holds, as far as it is there."""

    path: Path
    summary: Mapping[str, Any]
    layers: Sequence[Layer]
    epochs: Sequence[Mapping[str, str]]
    config: str

    def value(self, *keys: str) -> Any:
        """Look up ``summary.json``; None where it says nothing."""
        found: Any = self.summary
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    @property
    def is_regression(self) -> bool:
        """Whether the summary says that there is no accuracy."""
        test = self.value("test")
        return isinstance(test, Mapping) and "accuracy" in test and test["accuracy"] is None

    @cached_property
    def samples(self) -> int:
        """Number of test samples, at least 1."""
        return max(int(self.value("test", "samples") or 0), 1)

    @cached_property
    def steps(self) -> int:
        """Time steps of the counters: 1 for a network without neurons that have a state."""
        is_spiking = any(layer.name in STATEFUL for layer in self.layers)
        return max(int(self.value("test", "num_steps") or 0), 1) if is_spiking else 1

    def rate(self, layers: Sequence[Layer]) -> float | None:
        """Return the mean spikes per neuron and step of the firing ones among some layers."""
        firing = [layer for layer in layers if layer.name in FIRING]
        chances = sum(layer.size for layer in firing) * self.steps * self.samples
        return sum(layer.counts["spikes"] for layer in firing) / chances if chances else None

    def total(self, counter: str) -> int:
        """Return a counter summed over the layers, the input's events left out."""
        return sum(layer.counts[counter] for layer in self.layers if layer.index != "input")

    def parameters(self, layer: Layer) -> int | None:
        """Return a layer's number of parameters, None where the summary does not tell."""
        described = self.value("model", "layers")
        for entry in described if isinstance(described, list) else []:
            if isinstance(entry, dict) and str(entry.get("index")) == layer.index:
                number = entry.get("parameters")
                return number if isinstance(number, int) else None
        return None


def write_report(run_dir: Path, out: Path | None = None) -> Path:
    """Write the report of a run and return its path (``report.html`` in the run directory, or ``out``).

    Raises
    ------
    InputError
        The folder does not hold a run, something in it is damaged, or the report cannot be written.
    """
    run = read_run(run_dir)
    source = (resources.files("snnsim") / "report.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(count=_count, joules=_joules, percent=_percent, short=_short, digits=_digits)
    energy = energy_rows(run)
    page = environment.from_string(source).render(
        run=run,
        name=Path(str(run.value("config") or run_dir.name)).stem,
        columns={key: title for key, title in COLUMNS.items() if any(layer.counts[key] for layer in run.layers)},
        rate=run.rate(run.layers),
        energy=energy,
        pair=_pair(energy, str(run.value("energy", "profile"))),
        figures=_figures(run_dir / "figures"),
        facts=_facts(run),
    )
    path = out or run_dir / "report.html"
    write_text(path, page)
    return path


def read_run(run_dir: Path) -> Run:
    """Read a run directory.

    Raises
    ------
    InputError
        It is not one, or a file in it is damaged.
    """
    if not run_dir.is_dir():
        raise InputError(f"{run_dir}: no such run directory")
    path = run_dir / "summary.json"
    if not path.exists():
        unfinished = " yet; is the run finished?" if (run_dir / "config.yaml").exists() else ""
        raise InputError(f"{run_dir}: not a finished run, since it holds no summary.json{unfinished}")
    try:
        summary = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(summary, dict) or not isinstance(summary.get("test"), dict):
        raise InputError(f"{path}: not the summary of a run, since it has no results under 'test'")
    rows = _csv(run_dir / "accounting.csv")
    layers = [_layer(row, f"{run_dir / 'accounting.csv'}:{line}") for line, row in enumerate(rows, start=2)]
    config = run_dir / "config.yaml"
    return Run(run_dir, summary, layers, _csv(run_dir / "metrics.csv"), _text(config) if config.exists() else "")


def energy_rows(run: Run) -> list[EnergyRow]:
    """Price a run's counts under every profile, and under its own where that is a file; the run's own first."""
    if not any(layer.counts["macs_dense"] for layer in run.layers):
        return []
    own = str(run.value("energy", "profile") or "")
    profiles: dict[str, Profile] = {}
    for name in (own, *profile_names()):
        try:
            profiles.setdefault(name, load_profile(name))
        except InputError:  # a file of the user's own that has moved since
            continue
    order = ("arithmetic", "arithmetic and memory", "chip")
    rows = [_energy_row(run, name, profile) for name, profile in profiles.items()]
    return sorted(rows, key=lambda row: order.index(row.profile.scope))


def _pair(rows: Sequence[EnergyRow], own: str) -> list[EnergyRow]:
    """Choose one profile of arithmetic and one that adds memory to stand side by side; the run's own if it can."""
    pair = []
    for scope in ("arithmetic", "arithmetic and memory"):
        fitting = [row for row in rows if row.profile.scope == scope]
        pair += sorted(fitting, key=lambda row: row.name != own)[:1]
    return pair


def _energy_row(run: Run, name: str, profile: Profile) -> EnergyRow:
    costs = [_cost(run, layer) for layer in run.layers]
    once = [cost._replace(counts=_taken_once(cost.counts)) for cost in costs]
    updates = [
        cost._replace(counts={key: cost.counts[key] for key in ("neuron_updates", "bias_adds")}) for cost in costs
    ]
    dense = [
        profile.dense_joules(
            cost.counts["macs_dense"], parameter_bytes=cost.parameter_bytes, state_bytes=cost.state_bytes
        )
        for cost in costs
    ]
    priced = [value for value in dense if value is not None]
    products = math.fsum(priced) if priced else None
    return EnergyRow(
        name,
        profile,
        network=profile.network_joules(costs) / run.samples,
        network_once=profile.network_joules(once) / run.samples,
        dense_snn=None if products is None else (products + profile.network_joules(updates)) / run.samples,
        dense_ann=None if products is None else products / run.steps / run.samples,
    )


def _cost(run: Run, layer: Layer) -> LayerCost:
    parameters = run.parameters(layer)
    if parameters is None:  # then all parameters are taken to lie in one memory
        parameters = int(run.value("model", "parameters") or 0)
    return LayerCost(layer.counts, FLOAT_BYTES * parameters, FLOAT_BYTES * layer.size)


def _taken_once(counts: Mapping[str, int]) -> dict[str, int]:
    """Count a product that is the same at every step once."""
    return {**counts, "macs": counts["macs_once"] or counts["macs"]}


def _facts(run: Run) -> list[tuple[str, str]]:
    """Return what else is worth knowing, as label and text; without what the summary does not tell."""
    data, train, environment = run.value("data"), run.value("train"), run.value("environment")
    known: dict[str, object] = {"Seed": run.value("seed"), "snnsim": run.value("snnsim")}
    if isinstance(data, Mapping):
        known["Data"] = f"{data.get('name')}: {_count(data.get('train'))} to train, {_count(data.get('test'))} to test"
    if isinstance(train, Mapping):
        known["Training"] = (
            f"{_count(train.get('epochs'))} epochs in {_short(train.get('seconds'))} s, "
            f"{_count(train.get('samples_per_second'))} samples/s"
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


def _figures(folder: Path) -> list[dict[str, str | int]]:
    """Return every PNG of a folder as a data URI with title and caption, known ones first."""
    paths = sorted(folder.glob("*.png")) if folder.is_dir() else []
    order = {name: place for place, name in enumerate(CAPTIONS)}
    figures: list[dict[str, str | int]] = []
    for path in sorted(paths, key=lambda path: order.get(path.stem, len(order))):
        title, caption = CAPTIONS.get(path.stem, (path.stem.replace("-", " ").capitalize(), ""))
        content = _bytes(path)
        if content[:8] != PNG_SIGNATURE:
            raise InputError(f"{path}: not a PNG image")
        # Width and height stand at a fixed place in the header.
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        uri = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
        figures.append({"title": title, "caption": caption, "uri": uri, "width": width, "height": height})
    return figures


def _layer(row: Mapping[str, str], where: str) -> Layer:
    counts = {}
    for key in COLUMNS:
        text = row.get(key)
        if text is None or not re.fullmatch(r"\d{1,19}", text):
            raise InputError(f"{where}: {key} must be a whole number (got {text!r})")
        counts[key] = int(text)
    return Layer(row.get("index") or "", row.get("layer") or "", row.get("out_shape") or "", counts)


def _csv(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        return list(csv.DictReader(_text(path).splitlines()))
    except csv.Error as error:
        raise InputError(f"{path}: not a readable table ({error})") from None


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8 (at byte {error.start})") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _count(value: Any) -> str:
    """Write a whole number in groups of three: 1 234 567, with thin spaces that never break."""
    return f"{round(value):,}".replace(",", THIN_SPACE) if _is_number(value) else NO_VALUE


def _short(value: Any) -> str:
    """Write a number with one decimal where it is below a thousand."""
    if not _is_number(value):
        return NO_VALUE
    return _count(value) if abs(value) >= 1000 or value == round(value) else f"{value:.1f}"


def _digits(value: Any) -> str:
    """Write a number with four digits."""
    return f"{value:.4g}" if _is_number(value) else NO_VALUE


def _percent(value: Any) -> str:
    return f"{100 * value:.2f}{THIN_SPACE}%" if _is_number(value) else NO_VALUE


def _joules(value: Any) -> str:
    """Write an energy with three digits and a unit from fJ to J."""
    if not _is_number(value):
        return NO_VALUE
    for unit, size in (("J", 1.0), ("mJ", 1e-3), ("µJ", 1e-6), ("nJ", 1e-9), ("pJ", 1e-12)):
        if value >= size:
            digits = max(0, 2 - math.floor(math.log10(value / size)))
            return f"{value / size:.{digits}f}{THIN_SPACE}{unit}"
    return f"{value / 1e-15:.3g}{THIN_SPACE}fJ" if value > 0 else f"0{THIN_SPACE}J"
