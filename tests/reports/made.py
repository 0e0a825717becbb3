"""Run directories as `snnsim run digits` leaves them behind, made from known numbers, and pages as tests read them."""

import csv
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from snnsim import answer_plots, plot_style
from snnsim.accounting import COUNTERS

SAMPLES, STEPS, SPIKES = 360, 20, 123_456
NARROW = "\u202f"


def accounting() -> list[dict[str, Any]]:
    """Make counts of 64-128-10 under direct coding, half of the pixels nonzero."""

    def row(index: int | str, layer: str, shape: str, **counts: int) -> dict[str, Any]:
        return {"index": index, "layer": layer, "out_shape": shape} | dict.fromkeys(COUNTERS, 0) | counts

    products = SAMPLES * 32 * 128
    first = {"synops_structural": STEPS * products, "synops_effective": STEPS * products}
    first |= {"macs": STEPS * products, "macs_once": products, "macs_dense": SAMPLES * STEPS * 64 * 128}
    last = {"synops_structural": 10 * SPIKES, "synops_effective": 10 * SPIKES, "acs": 10 * SPIKES}
    last |= {"macs_dense": SAMPLES * STEPS * 1280, "bias_adds": SAMPLES * STEPS * 10}
    return [
        row("input", "input", "1x8x8"),
        row(0, "dense", "128", bias_adds=SAMPLES * STEPS * 128, **first),
        row(1, "lif", "128", spikes=SPIKES, neuron_updates=SAMPLES * STEPS * 128, resets=SPIKES),
        row(2, "dense", "10", **last),
        row(3, "li", "10", neuron_updates=SAMPLES * STEPS * 10),
    ]


def summary() -> dict[str, Any]:
    totals = {key: sum(row[key] for row in accounting()) for key in COUNTERS}
    synops = totals["acs"] + totals["macs"]
    joules = (0.9 * totals["acs"] + 4.6 * totals["macs"]) * 1e-12 / SAMPLES
    layers = [{"index": index, "parameters": size} for index, size in enumerate((8320, 0, 1290, 0))]
    return {
        "format": 1,
        "snnsim": "0.1.0",
        "seed": 7,
        "config": "digits.yaml",
        "data": {"name": "digits", "train": 1437, "test": SAMPLES},
        "model": {"parameters": 9610, "layers": layers},
        "test": {
            "accuracy": 0.975,
            "samples": SAMPLES,
            "num_steps": STEPS,
            "spikes_per_sample": SPIKES / SAMPLES,
            "synops_per_sample": synops / SAMPLES,
        },
        "energy": {"profile": "horowitz-45nm-fp32", "joules_per_sample": joules, "estimate": True},
        "train": {"epochs": 2, "seconds": 12.3, "samples_per_second": 1168.0},
        "environment": {"python": "3.11.9", "numpy": "2.4.1", "command": "snnsim run digits"},
    }


def picture() -> bytes:
    """Draw some figure."""
    return plot_style.png(answer_plots.confusion_matrix(np.eye(2)))


def make_run(run: Path, facts: Mapping[str, Any] | None = None, config: str = "data: {name: digits}\n") -> Path:
    """Lay out a finished run; ``facts`` are laid over its summary, those of its test over these."""
    (run / "figures").mkdir(parents=True)
    told = summary()
    told |= {**(facts or {}), "test": told["test"] | dict((facts or {}).get("test", {}))}
    (run / "summary.json").write_text(json.dumps(told))
    (run / "config.yaml").write_text(config)
    with (run / "accounting.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["index", "layer", "out_shape", *COUNTERS])
        writer.writeheader()
        writer.writerows(accounting())
    (run / "metrics.csv").write_text(
        "epoch,train_loss,train_accuracy,valid_accuracy,spikes_per_sample,synops_per_sample,seconds\n"
        "1,0.9,0.7,0.75,400,80000,1.5\n2,0.4,0.9,0.92,350,70000,1.5\n"
    )
    (run / "steps.csv").write_text(
        "steps,accuracy,spikes_per_sample,synops_per_sample\n1,0.1,0,4096\n10,0.9,170,45000\n20,0.975,342.9,85349\n"
    )
    return run


class Page(HTMLParser):
    """Tags that are still open, addresses that the page refers to, and its text."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            # Not at narrow spaces, which hold numbers together.
            self.words += re.findall(r"[^ \n]+", data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def read(path: Path) -> Page:
    return Page(path.read_text("utf-8"))
