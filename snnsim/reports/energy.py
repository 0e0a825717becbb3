"""What the device profiles make of a run's counts, beside its dense twins."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snnsim.energy import LayerCost, Profile, load_profile, profile_names
from snnsim.errors import InputError
from snnsim.reports.runs import Layer, Run

FLOAT_BYTES = 4


@dataclass(frozen=True)
class EnergyRow:
    """What one profile makes of the counts [J per sample]; None where the device has no price for it.

    ``layers`` are those of the run, the row of the input too; ``network`` is their sum.
    """

    name: str
    profile: Profile
    layers: tuple[float, ...]
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


def side_by_side(rows: Sequence[EnergyRow], own: str) -> list[EnergyRow]:
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
        layers=tuple(profile.network_joules([cost]) / run.samples for cost in costs),
        network=profile.network_joules(costs) / run.samples,
        network_once=profile.network_joules(once) / run.samples,
        dense_snn=None if products is None else (products + profile.network_joules(updates)) / run.samples,
        dense_ann=None if products is None else products / run.num_steps / run.samples,
    )


def _cost(run: Run, layer: Layer) -> LayerCost:
    parameters = run.parameters(layer)
    if parameters is None:  # then all parameters are taken to lie in one memory
        parameters = int(run.value("model", "parameters") or 0)
    return LayerCost(layer.counts, FLOAT_BYTES * parameters, FLOAT_BYTES * layer.size)


def _taken_once(counts: Mapping[str, int]) -> dict[str, int]:
    """Count a product that is the same at every step once."""
    return {**counts, "macs": counts["macs_once"] or counts["macs"]}
