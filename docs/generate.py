"""Write the parts of the documentation that follow from the code: ``python docs/generate.py``.

They stand between comments ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``: tables of the configuration from
its schema, the commands from their definitions, the energy profiles from their files. With ``--check`` nothing is
written, and pages that are not up to date are an error.
"""

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
from pydantic_core import PydanticUndefined

from snnsim import spec
from snnsim.config import Config, DataSpec, EnergySpec, TrainSpec
from snnsim.config.schema import AugmentSpec, TeacherSpec
from snnsim.energy import load_profile, profile_names
from snnsim.spec import Choice, Spec
from snnsim.spec.distillation import MethodChoice

DOCS = Path(__file__).resolve().parent
# Bounds above this are no limits that anybody meets.
LARGEST_SHOWN = 1000
LINKS = {
    "LayerChoice": "[layer](#layers)",
    "SurrogateChoice": "[surrogate](#surrogates)",
    "EncoderChoice": "[encoder](#encoders)",
    "OptimizerChoice": "[optimizer](#optimizers)",
    "ScheduleChoice": "[schedule](#schedules)",
    "LossChoice": "[loss](#losses)",
    "RegularizerChoice": "[penalty](#penalties)",
    "MethodChoice": "[method](#other-methods)",
    "DataSpec": "[data](#data)",
    "TrainSpec": "[training](#training)",
    "TeacherSpec": "[teacher](#teacher)",
    "Distill": "[options](#distillation)",
    "EnergySpec": "[profile](#energy)",
    "AugmentSpec": "`{shift: 2}`",
    "YinYang": "[options](#generated-sets)",
    "Randman": "[options](#generated-sets)",
    "FeaturePair": "`{student: 1, teacher: 1}`",
}


def keys(kind: type[Spec], known: frozenset[str] = frozenset()) -> str:
    """Return the table of a map's keys, but for those that are known already."""
    rows = [
        (f"`{key}`", values(option), default(kind, name), option.get("description", ""))
        for key, name, option in options(kind)
        if key not in known
    ]
    return table(("key", "values", "default", "meaning"), rows) if rows else ""


def choices(kind: type[Choice]) -> str:
    """Return the table of a choice's names, each with its options."""
    rows = [(written(kind, name), said(of), "<br>".join(lines(of))) for name, of in members(kind)]
    return table((kind.NOUN, "what it is", "options"), rows)


def layers() -> str:
    """Return a section for every layer."""
    found = []
    usual = spec.Lif.keys()
    for name, of in members(spec.LayerChoice):
        own, option = of.keys(), spec.LayerChoice.SHORT.get(name)
        short = f" Short form: `{name}: {option.upper()}`." if option else ""
        # Neurons share most of their options: they stand under lif.
        fires = name != "lif" and "threshold" in own
        known = frozenset(usual) if fires else frozenset()
        missing = ", ".join(f"`{key}`" for key in usual if key not in own)
        shared = " Options as of `lif`" + (f", without {missing}." if missing else ", and:") if fires else ""
        found.append(f"### `{name}`\n\n{said(of)}{short}{shared}\n\n{keys(of, known)}".strip())
    return "\n\n".join(found)


def generated_sets() -> str:
    """Return the options of the sets that are generated."""
    return "\n\n".join(f"`{name}`: {said(of)}\n\n{keys(of)}" for name, of in SETS.items())


SETS: dict[str, type[Spec]] = {"yin-yang": spec.YinYang, "randman": spec.Randman}


def members(kind: type[Choice]) -> Iterator[tuple[str, type[Spec]]]:
    """Yield the names of a choice, as written in YAML, with what they can be told."""
    for key, name in kind.keys().items():
        of = spec.spec_kind(kind.model_fields[name].annotation)
        assert of is not None
        yield key, of


def options(kind: type[Spec]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield a map's keys, as written in YAML, with the attribute's name and the JSON schema."""
    schema = kind.model_json_schema()
    properties = schema["properties"] if "properties" in schema else schema["$defs"][kind.__name__]["properties"]
    for key, name in kind.keys().items():
        yield key, name, properties[key]


def lines(kind: type[Spec]) -> Iterator[str]:
    """Yield an option with default and meaning."""
    for key, name, option in options(kind):
        meaning = option.get("description", "")
        yield f"`{key}` ({default(kind, name)}){': ' + meaning if meaning else ''}"


def default(kind: type[Spec], name: str) -> str:
    """Write the default of a key."""
    value = kind.model_fields[name].get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    if isinstance(value, Choice):
        return f"`{value.name}`"
    if isinstance(value, Spec):
        return "below"
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def values(option: dict[str, Any]) -> str:
    """Write what a JSON schema allows, in a few words."""
    if "$ref" in option:
        return LINKS[option["$ref"].rsplit("/", 1)[-1]]
    for several in ("anyOf", "oneOf"):
        if several in option:
            found = [values(part) for part in option[several] if part.get("type") != "null"]
            return " or ".join(dict.fromkeys(found))
    if "enum" in option or "const" in option:
        allowed = option.get("enum", [option.get("const")])
        return ", ".join(f"`{value}`" for value in allowed)
    kind = option.get("type")
    if kind == "array":
        count = f"{option['minItems']} " if option.get("minItems", 1) == option.get("maxItems") else ""
        return f"list of {count}{listed(option['items'])}"
    return {"boolean": "`true`, `false`", "string": "text"}.get(str(kind)) or number(option)


def listed(item: dict[str, Any]) -> str:
    """Write what a list holds, without ranges: they stand beside it, where one number will do as well."""
    plain = {"number": "numbers", "integer": "whole numbers", "string": "words"}
    return plain.get(str(item.get("type"))) or values(item)


def number(option: dict[str, Any]) -> str:
    """Write the range of a number."""
    noun = "whole number" if option["type"] == "integer" else "number"
    low, above = option.get("minimum"), option.get("exclusiveMinimum")
    high, below = option.get("maximum"), option.get("exclusiveMaximum")
    if high is not None and high > LARGEST_SHOWN:
        high = None
    bounds = [
        f"> {above:g}" if above is not None else f">= {low:g}" if low is not None else "",
        f"< {below:g}" if below is not None else f"<= {high:g}" if high is not None else "",
    ]
    return " ".join([noun, ", ".join(filter(None, bounds))]).strip()


def written(kind: type[Choice], name: str) -> str:
    """Write a name and its short form."""
    return f"`{name}`, `{name}: {kind.SHORT[name].upper()}`" if name in kind.SHORT else f"`{name}`"


def said(kind: type[Spec]) -> str:
    """Return the first paragraph of a docstring as Markdown."""
    paragraph = cleandoc(kind.__doc__ or "").split("\n\n")[0]
    return re.sub(r"; see `snnsim[^`]*`", "", " ".join(paragraph.split())).replace("``", "`")


def commands() -> str:
    """Return a section for every command, from its definition."""
    group = importlib.import_module("snnsim.cli.main").snnsim
    return "\n\n".join(sections(group, click.Context(group, info_name="snnsim"), 0))


def sections(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    """Yield the section of a command, and those of the commands below it."""
    level = max(2, depth + 1)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"{'#' * level} `{context.command_path}`\n\n```text\n{usage}\n```\n\n{cleandoc(command.help or '')}"
    rows = [(f"`{', '.join(option.opts)}{metavar(option, context)}`", option.help or "") for option in shown(command)]
    if rows:
        yield table(("option", "meaning"), rows)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.commands[name]
            yield from sections(below, click.Context(below, info_name=name, parent=context), depth + 1)


def shown(command: click.Command) -> list[click.Option]:
    """Return the options of a command."""
    return [option for option in command.params if isinstance(option, click.Option) and not option.hidden]


def metavar(option: click.Option, context: click.Context) -> str:
    """Write what an option takes."""
    return "" if option.is_flag else f" {option.make_metavar(context)}"


def profiles() -> str:
    """Return the constants of the energy profiles, and what they include."""
    rows, notes = [], []
    for name in profile_names():
        profile = load_profile(name)
        prices = [getattr(profile.operations, key) for key in ("ac", "mac", "neuron_update", "bias_add", "dense_mac")]
        memory = ", ".join(f"{entry.value:g} ({size(entry.bytes)})" for entry in profile.memory)
        cells = ["not counted" if price is None else f"{price.value:g}" for price in prices]
        rows.append((f"`{name}`", profile.process, profile.precision, *cells, memory or "not counted"))
        notes.append(f"**`{name}`** (version {profile.version}): {profile.includes} Source: {profile.citation}.")
    head = ("profile", "process", "precision", "AC", "MAC", "neuron update", "bias", "dense MAC", "memory access")
    return "\n\n".join([table(head, rows), *notes])


def size(count: int) -> str:
    """Write a memory's size."""
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    marked = [[cell.replace("|", "\\|") for cell in row] for row in [head, *rows]]
    marked.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(row)} |" for row in marked)


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "configuration.md": {
        "keys": lambda: keys(Config),
        "data": lambda: keys(DataSpec),
        "augment": lambda: keys(AugmentSpec),
        "generated sets": generated_sets,
        "encoders": lambda: choices(spec.EncoderChoice),
        "layers": layers,
        "surrogates": lambda: choices(spec.SurrogateChoice),
        "train": lambda: keys(TrainSpec),
        "optimizers": lambda: choices(spec.OptimizerChoice),
        "schedules": lambda: choices(spec.ScheduleChoice),
        "losses": lambda: choices(spec.LossChoice),
        "penalties": lambda: choices(spec.RegularizerChoice),
        "teacher": lambda: keys(TeacherSpec),
        "distill": lambda: keys(spec.Distill),
        "methods": lambda: choices(MethodChoice),
        "energy": lambda: keys(EnergySpec),
    },
    "cli.md": {"commands": commands},
    "energy.md": {"profiles": profiles},
}


def renewed(text: str, name: str, content: str) -> str:
    """Return a page with one part written anew."""
    begin, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{begin} and {end} must stand in the page once each")
    head, rest = text.split(begin)
    return f"{head}{begin}\n\n{content}\n\n{end}{rest.split(end)[1]}"


def main() -> None:
    """Write every part, or check them all."""
    stale = []
    for page, parts in PARTS.items():
        path = DOCS / page
        text = wanted = path.read_text(encoding="utf-8")
        for name, content in parts.items():
            wanted = renewed(wanted, name, content())
        if text != wanted:
            stale.append(page)
            if "--check" not in sys.argv[1:]:
                path.write_text(wanted, encoding="utf-8")
    if "--check" in sys.argv[1:] and stale:
        raise SystemExit(f"not up to date: {', '.join(stale)}; run python docs/generate.py")


if __name__ == "__main__":
    main()
