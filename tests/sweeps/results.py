"""Made-up results of sweeps, in memory."""

from collections.abc import Mapping, Sequence

from snnsim.sweeps.language import Sweep
from snnsim.sweeps.results import MEASURES, Comparison, RunResult, SettingResult
from snnsim.sweeps.trials import Setting

Figures = Mapping[str, Sequence[float]]


def setting(method: str, label: str, **figures: Sequence[float]) -> SettingResult:
    """Make a setting from its measures, a value a seed; those that are not given are 0.5."""
    seeds = range(len(next(iter(figures.values()))))
    name = Setting(method, label)
    runs = []
    for seed in seeds:
        values = {key: figures[key][seed] if key in figures else 0.5 for key in MEASURES}
        runs.append(RunResult(name, seed, values, {"1 lif": 0.75 * values["spikes"], "3 lif": 0.25 * values["spikes"]}))
    return SettingResult(name, tuple(runs))


def comparison(*results: SettingResult, against: str = "conventional", gain: float = 0.0) -> Comparison:
    """Compare settings; the methods are those of the settings."""
    methods: dict[str, dict[str, object]] = {result.setting.method: {} for result in results}
    sweep = Sweep.model_validate({"base": "mnist-kd", "against": against, "gain": gain, "methods": methods})
    return Comparison(sweep, results)


def example() -> Comparison:
    """Make a comparison in which another setting is best by each measure."""
    return comparison(
        setting("none", "", valid_accuracy=[0.96, 0.97], accuracy=[0.95, 0.96], spikes=[300, 320], synops=[3e5, 3.2e5]),
        setting(
            "conventional",
            "tt=2, ts=2",
            valid_accuracy=[0.97, 0.98],
            valid_synops=[4e5, 4e5],
            accuracy=[0.96, 0.97],
            spikes=[400, 420],
            synops=[4e5, 4.2e5],
        ),
        setting(
            "conventional",
            "tt=4, ts=4",
            valid_accuracy=[0.96, 0.97],
            valid_synops=[1e5, 1e5],
            accuracy=[0.99, 0.99],
            spikes=[100, 100],
            synops=[1e5, 1e5],
        ),
        setting(
            "pairs",
            "tt=8, ts=1",
            valid_accuracy=[0.98, 0.98],
            valid_synops=[2e5, 2e5],
            accuracy=[0.975, 0.965],
            spikes=[100, 105],
            synops=[2e5, 2.1e5],
        ),
        setting(
            "pairs",
            "tt=32, ts=1",
            valid_accuracy=[0.975, 0.975],
            valid_synops=[1.5e5, 1.5e5],
            accuracy=[0.95, 0.95],
            spikes=[50, 52],
            synops=[1.5e5, 1.5e5],
        ),
    )
