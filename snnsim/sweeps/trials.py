"""From a sweep to its trials: which run, with which configuration, in which folder."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snnsim.config import Config, LoadedConfig, from_mapping, load
from snnsim.config.schema import TeacherSpec
from snnsim.errors import ConfigError, InputError
from snnsim.sweeps.language import LoadedSweep, Overrides, as_words, merged

# The temperatures' names in `distill.scale`; and keys that say nothing without the one above.
_SYMBOLS = {"teacher_temperature": "tt", "student_temperature": "ts"}
_MANY_HAVE = ("weight", "temperature")


@dataclass(frozen=True)
class Setting:
    """A method at one of its settings: its label says what varies, and is empty where nothing does."""

    method: str
    label: str

    def __str__(self) -> str:
        """Name it with its method: ``heterogeneous (tt=8, ts=1)``."""
        return f"{self.method} ({self.label})" if self.label else self.method


@dataclass(frozen=True, eq=False)
class Trial:
    """One run: a setting with a seed."""

    setting: Setting
    seed: int
    loaded: LoadedConfig
    folder: Path


@dataclass(frozen=True, eq=False)
class Plan:
    """The runs of a sweep: teachers first, once each, then the trials that learn from them."""

    teachers: tuple[tuple[LoadedConfig, Path], ...]
    trials: tuple[Trial, ...]

    @property
    def settings(self) -> list[Setting]:
        """Every setting once, in the order of the sweep file."""
        return list(dict.fromkeys(trial.setting for trial in self.trials))


def plan(loaded: LoadedSweep, out: Path) -> Plan:
    """Lay out a sweep's runs in ``out``.

    Trials with a teacher that is still to be trained share it, where its configuration is the same: it is a run of
    its own. A setting that is the same as an earlier one (equal temperatures in a grid) is left out.

    Raises
    ------
    ConfigError
        A setting that is no valid configuration; says of which method.
    """
    sweep = loaded.sweep
    teachers: dict[Path, LoadedConfig] = {}
    trials: list[Trial] = []
    seen: set[str] = set()
    folders: dict[str, Setting] = {}
    for setting, overrides in _settings(loaded):
        first = _load(loaded, setting, overrides)
        same = json.dumps(first.config.resolved(), sort_keys=True)
        if same in seen:
            continue
        seen.add(same)
        place = "/".join(filter(None, (_slug(setting.method), _slug(setting.label))))
        if folders.setdefault(place, setting) != setting:
            raise ConfigError(
                [f"{loaded.shown}: methods.{setting.method}: two settings would share the folder {place}"]
            )
        for seed in sweep.seeds:
            seeded = replace(first, config=first.config.model_copy(update={"seed": seed}))
            wanted = teacher_of(seeded.config, out)
            if wanted is not None:
                teacher, folder = wanted
                if folder not in teachers:
                    teachers[folder] = teacher_run(first, teacher)
                seeded = taught_by(seeded, folder)
            trials.append(Trial(setting, seed, seeded, out / "runs" / place / f"seed-{seed}"))
    return Plan(tuple((teacher, folder) for folder, teacher in teachers.items()), tuple(trials))


def teacher_of(config: Config, out: Path) -> tuple[Config, Path] | None:
    """Return a teacher that is still to be trained, and the folder of its run: that of all equal teachers."""
    if config.teacher is None or config.teacher.network is None:
        return None
    teacher = config.of_teacher()
    digest = hashlib.sha256(json.dumps(teacher.resolved(), sort_keys=True).encode()).hexdigest()[:8]
    return teacher, out / "teachers" / f"seed-{config.seed}-{digest}"


def teacher_run(student: LoadedConfig, teacher: Config) -> LoadedConfig:
    """Return the configuration of a run that trains a student's teacher."""
    return from_mapping(teacher.resolved(), (), f"{student.name}-teacher.yaml")


def taught_by(loaded: LoadedConfig, folder: Path) -> LoadedConfig:
    """Return a configuration with a teacher's run in the place of a teacher to be trained."""
    return replace(loaded, config=loaded.config.model_copy(update={"teacher": TeacherSpec(run=str(folder))}))


def _settings(loaded: LoadedSweep) -> Iterator[tuple[Setting, Overrides]]:
    for name, method in loaded.sweep.methods.items():
        for varying in method.settings():
            yield Setting(name, label_of(varying)), merged(loaded.sweep.set, method.set, varying)


def _load(loaded: LoadedSweep, setting: Setting, overrides: Overrides) -> LoadedConfig:
    try:
        return load(loaded.sweep.base, list(as_words(overrides).values()))
    except InputError as error:
        said = str(error).splitlines()
        raise ConfigError([f"{loaded.shown}: methods.{setting.method}: {line}" for line in said]) from None


def label_of(varying: Mapping[str, Any]) -> str:
    """Say what a setting is: ``tt=8, ts=1``, ``spike_l1.weight=0.001``."""
    return ", ".join(f"{short_key(key)}={short_value(value)}" for key, value in varying.items())


def short_key(key: str) -> str:
    """Return what a dotted key is called beside its value: ``threshold``, ``tt``, ``spike_l1.weight``."""
    parts = [part for part in key.split(".") if not part.isdecimal()]
    last = _SYMBOLS.get(parts[-1], parts[-1])
    return f"{parts[-2]}.{last}" if last in _MANY_HAVE and len(parts) > 1 else last


def short_value(value: Any) -> str:
    """Write a value in few characters."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False).replace('"', "")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")
