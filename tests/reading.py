"""Reads the reference cases: see ``reference_cases/README.md``."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "reference_cases"
INPUTS = ("x", "y", "grad_sequence", "teacher_logits", "student_logits", "student_step_logits")


@dataclass(frozen=True, eq=False)
class Case:
    """One case: a file without variants, or one variant of a file (``file:variant``).

    ``meta`` are the keys of the JSON file with the variant's own laid over them; ``parameters`` have the names of the
    network's parameters; ``expected`` and ``inputs`` have the names in the ``.npz``, without the variant's.
    """

    name: str
    meta: dict[str, Any]
    inputs: dict[str, NDArray[Any]]
    parameters: dict[str, NDArray[Any]]
    expected: dict[str, NDArray[Any]]

    @property
    def network(self) -> list[Any]:
        """The list of layers."""
        layers: list[Any] = self.meta["network"]
        return layers

    def tolerance(self, what: str) -> float:
        """Return what a float32 implementation may be off by."""
        return float(self.meta["tolerance"][what])

    def below(self, head: str) -> dict[str, NDArray[Any]]:
        """Return the expected arrays named ``head/...``, by what follows."""
        return {key.removeprefix(f"{head}/"): a for key, a in self.expected.items() if key.startswith(f"{head}/")}


@cache
def cases_of(*kinds: str) -> tuple[Case, ...]:
    """Return all cases of some kinds, ordered by name."""
    files = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("*.json"))]
    return tuple(case for path, meta in files if meta["kind"] in kinds for case in _of_file(path, meta))


def _of_file(path: Path, meta: dict[str, Any]) -> list[Case]:
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    parameters = {key.removeprefix("param/"): array for key, array in arrays.items() if key.startswith("param/")}
    inputs = {key: array for key, array in arrays.items() if key.split("/")[0] in INPUTS}
    shared = {key: value for key, value in meta.items() if key != "variants"}
    cases = []
    for variant, own in meta.get("variants", {"": {}}).items():
        prefix = f"{variant}/" if variant else ""
        expected = {
            key.removeprefix(prefix): array
            for key, array in arrays.items()
            if key.startswith(prefix) and key not in inputs and not key.startswith("param/")
        }
        for other, keys in own.get("same", {}).items():
            expected |= {key: arrays[f"{other}/{key}"] for key in keys}
        name = f"{path.stem}:{variant}" if variant else path.stem
        cases.append(Case(name, shared | own, inputs, parameters, expected))
    return cases
