"""Energy as a view of the counts: device profiles, and the joules that they make of counted operations.

A profile is a YAML file: ``title``, ``scope``, ``process`` node, ``precision``, what it ``includes`` and its
``citation``, then under ``operations`` what one operation takes in pJ. An operation that is not listed is not
counted. Where there is a ``memory`` list, an operation also pays for its accesses to parameters and states, each
priced by the size of that memory. The files in ``snnsim/profiles`` are examples to copy.
"""

import math
import os
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError, model_validator

from snnsim.errors import InputError
from snnsim.spec import Spec, faults, nearest
from snnsim.spec.choices import rule

MAX_BYTES = 2**20
PICO = 1e-12

Energy = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]


class LayerCost(NamedTuple):
    """Counts of one layer, and the bytes of its parameters and of the membranes that it works on."""

    counts: Mapping[str, int]
    parameter_bytes: int = 0
    state_bytes: int = 0


class Operation(Spec):
    """What one operation takes: its arithmetic in pJ, and how often it goes to memory."""

    value: Energy
    unit: Literal["pJ"]
    is_: Text = Field(alias="is")
    parameter_accesses: Annotated[int, Field(ge=0)] = 0
    state_accesses: Annotated[int, Field(ge=0)] = 0


class Operations(Spec):
    """The operations that have a price; the others are not counted."""

    ac: Operation
    mac: Operation
    neuron_update: Operation | None = None
    bias_add: Operation | None = None
    dense_mac: Operation | None = None


class MemorySize(Spec):
    """What one access takes to a memory of this size."""

    bytes: Annotated[int, Field(gt=0)]
    value: Energy
    unit: Literal["pJ"]


class Profile(Spec):
    """What operations cost on one kind of device; every number it gives is an estimate."""

    format: Literal[1]
    version: Annotated[int, Field(ge=1)]
    title: Text
    scope: Literal["arithmetic", "arithmetic and memory", "chip"]
    process: Text
    precision: Text
    includes: Text
    citation: Text
    operations: Operations
    memory: list[MemorySize] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check_memory(self) -> "Profile":
        sizes = [entry.bytes for entry in self.memory]
        if sizes != sorted(set(sizes)):
            raise rule("memory: sizes must grow from entry to entry")
        accesses = any(operation.parameter_accesses or operation.state_accesses for _, operation in self._priced())
        if accesses and not self.memory:
            raise rule("memory: must list what an access takes, since operations have accesses")
        return self

    def _priced(self) -> list[tuple[str, Operation]]:
        entries = ((name, getattr(self.operations, name)) for name in Operations.model_fields)
        return [(name, operation) for name, operation in entries if operation is not None]

    def joules(self, counts: Mapping[str, int], *, parameter_bytes: int = 0, state_bytes: int = 0) -> float:
        """Estimate the energy of counted operations.

        Parameters
        ----------
        counts
            Totals under ``acs``, ``macs``, ``neuron_updates`` and ``bias_adds``; missing ones are zero, and
            other keys are passed over.
        parameter_bytes, state_bytes
            Size of the memories that the operations go to; without it, the smallest that the profile knows. Every
            layer has memories of its own: see `network_joules`.

        Returns
        -------
        float
            Energy [J].
        """
        priced = dict(self._priced())
        return PICO * math.fsum(
            counts.get(f"{name}s", 0) * self._picojoules(priced[name], parameter_bytes, state_bytes)
            for name in ("ac", "mac", "neuron_update", "bias_add")
            if name in priced
        )

    def dense_joules(self, macs: int, *, parameter_bytes: int = 0, state_bytes: int = 0) -> float | None:
        """Estimate the energy [J] of a dense network's multiply-adds; None where the device has no price."""
        operation = self.operations.dense_mac
        if operation is None:
            return None
        return PICO * macs * self._picojoules(operation, parameter_bytes, state_bytes)

    def network_joules(self, layers: Iterable[LayerCost]) -> float:
        """Estimate the energy [J] of a whole network, each layer with memories of its own."""
        return math.fsum(
            self.joules(counts, parameter_bytes=parameters, state_bytes=states) for counts, parameters, states in layers
        )

    def _picojoules(self, operation: Operation, parameter_bytes: int, state_bytes: int) -> float:
        return (
            operation.value
            + operation.parameter_accesses * self.access_picojoules(parameter_bytes)
            + operation.state_accesses * self.access_picojoules(state_bytes)
        )

    def access_picojoules(self, size: int) -> float:
        """Return what one access to a memory of ``size`` bytes takes [pJ], 0 where memory has no price.

        Between two listed sizes the energy lies on a line over the logarithm of the size; outside them it is
        that of the nearest one.
        """
        if not self.memory:
            return 0.0
        below = [entry for entry in self.memory if entry.bytes <= size]
        above = [entry for entry in self.memory if entry.bytes > size]
        if not below or not above:
            return (below[-1:] or above[:1])[0].value
        low, high = below[-1], above[0]
        part = math.log(size / low.bytes) / math.log(high.bytes / low.bytes)
        return low.value + part * (high.value - low.value)


def profile_names() -> list[str]:
    """Return the names of the profiles that come with snnsim, sorted."""
    return sorted(_shipped())


def load_profile(name_or_path: str | os.PathLike[str]) -> Profile:
    """Load a profile that comes with snnsim by its name, or a YAML file of the same form.

    Raises
    ------
    InputError
        There is no such profile or file, or the file is not a profile.
    """
    shown = os.fspath(name_or_path)
    source = _shipped().get(shown) or _own_file(shown)
    try:
        data = yaml.safe_load(_text(source, shown))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{shown}:{mark.line + 1}:{mark.column + 1}" if mark else shown
        raise InputError(f"{where}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    return _validated(data, shown)


def _validated(data: Any, shown: str) -> Profile:
    if not isinstance(data, dict):
        raise InputError(f"{shown}: an energy profile must be a map with title, operations and so on")
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{shown}: {faults(error, Profile)[0]}") from None


def _shipped() -> dict[str, Traversable]:
    entries = (resources.files("snnsim") / "profiles").iterdir()
    return {entry.name.removesuffix(".yaml"): entry for entry in entries if entry.name.endswith(".yaml")}


def _own_file(shown: str) -> Path:
    path = Path(shown)
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # a name that no file can have; it is reported as unknown below
        pass
    if path.suffix in (".yaml", ".yml") or path.name != shown:
        raise InputError(f"{shown}: no such file; an energy profile is a YAML file, or one of {_listed()}")
    raise InputError(f"unknown energy profile {shown!r}{nearest(shown, profile_names())}, or a YAML file's path")


def _listed() -> str:
    return ", ".join(profile_names())


def _text(source: Traversable, shown: str) -> str:
    try:
        with source.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror or error})") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{shown}: too large for an energy profile (over {MAX_BYTES >> 20} MiB)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{shown}: not a text file in UTF-8 (at byte {error.start})") from None
