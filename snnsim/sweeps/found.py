"""What the trials of a search came to, and the best of them, chosen by validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from snnsim.errors import InputError
from snnsim.sweeps.candidates import Candidates
from snnsim.sweeps.language import as_json
from snnsim.sweeps.results import MEASURES, Results, RunResult, SettingResult, most_accurate
from snnsim.sweeps.space import LoadedSearch
from snnsim.sweeps.trials import Setting

if TYPE_CHECKING:
    from snnsim.sweeps.study import Record

# The measures that are searched for; a test figure is none of them.
WORTH, COST = "valid_accuracy", "valid_synops"
BEST = "best"


@dataclass(frozen=True)
class Failed:
    """A trial that came to nothing, and why."""

    name: str
    label: str
    reason: str


class Found(Results):
    """All trials of a search that have ended.

    Parameters
    ----------
    running
        Number of trials that are being done elsewhere.

    Raises
    ------
    InputError
        Nothing came of any trial.
    """

    def __init__(self, loaded: LoadedSearch, candidates: Candidates, records: Sequence["Record"], running: int) -> None:
        self.loaded, self.candidates, self.running = loaded, candidates, running
        self.failed: list[Failed] = []
        self._records: dict[Setting, Record] = {}
        results = []
        for record in records:
            setting = Setting(name_of(record.place), candidates.label(record.values))
            if record.result is None:
                self.failed.append(Failed(setting.method, setting.label, record.reason))
            else:
                self._records[setting] = record
                results.append(SettingResult(setting, (RunResult.of_plain(setting, record.result),)))
        if not results:
            said = f"; {running} are being done elsewhere" if running else ""
            said += f"; {self.failed[0].name}: {self.failed[0].reason}" if self.failed else ""
            raise InputError(f"no trial of the search is finished{said}")
        super().__init__(results)

    @cached_property
    def best(self) -> list[SettingResult]:
        """The trials that none beats by the search's objectives in validation: its front, or the one that is best."""
        if len(self.loaded.search.objectives) > 1:
            return self.front(COST, WORTH)
        if self.loaded.search.objectives == ["accuracy"]:
            return [most_accurate(self.results)]
        return self.front(COST, WORTH)[:1]

    def config_name(self, result: SettingResult) -> str:
        """Return where a best trial's configuration is written, in the sweep's folder."""
        return f"{BEST}/{slug_of(self._records[result.setting].place)}.yaml"

    def config(self, result: SettingResult) -> dict[str, Any]:
        """Return a trial's configuration as plain data, its teacher to be trained again."""
        return self.candidates.at(self._records[result.setting].values).config.resolved()

    def summary(self) -> dict[str, Any]:
        """Return the best trials with all measures, and how many there are, as plain data."""
        search = self.loaded.search
        return {
            "objectives": list(search.objectives),
            "sampler": search.sampler.name,
            "trials": {
                "asked": search.asked,
                "finished": len(self.results),
                "failed": len(self.failed),
                "running": self.running,
            },
            "best": [
                {
                    "trial": self._records[result.setting].place,
                    "config": self.config_name(result),
                    "values": dict(self._records[result.setting].values),
                    **{key: result.runs[0].plain()["values"][key] for key in MEASURES},
                }
                for result in self.best
            ],
        }

    def _columns(self) -> Sequence[str]:
        return ("trial", *self.loaded.search.space)

    def _names(self, setting: Setting) -> Sequence[str]:
        record = self._records[setting]
        texts = (value if isinstance(value, str) else as_json(value) for value in record.values.values())
        return (str(record.place), *texts)


def name_of(place: int) -> str:
    """Return what a trial is called."""
    return f"trial {place}"


def slug_of(place: int) -> str:
    """Return what a trial's folder and its configuration are called: ``trial-007``."""
    return f"trial-{place:03}"
