"""``snnsim doctor``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import data_dir_option, json_option

if TYPE_CHECKING:
    from snnsim.doctor import Diagnosis, Extra, KernelCache


@click.command()
@data_dir_option
@json_option
def doctor(data_dir: Path | None, as_json: bool) -> None:
    """Show what snnsim finds on this machine.

    Processor and threads, compiled kernels, BLAS, data sets and optional packages. Nothing is written.
    """
    from snnsim.doctor import examine

    found = examine(data_dir)
    if as_json:
        import dataclasses
        import json

        click.echo(json.dumps(dataclasses.asdict(found)))
        return
    width = max(len(label) for label, _ in _rows(found))
    for label, text in _rows(found):
        click.echo(f"{label:<{width}}  {text}".rstrip())


def _rows(found: "Diagnosis") -> list[tuple[str, str]]:
    rows = [
        ("versions", ", ".join(f"{name} {version}" for name, version in found.versions.items())),
        ("platform", found.platform),
        ("processor", f"{found.cpu}, {found.cores} cores"),
        ("threads", f"{found.threads} (--threads N for another number; the results are the same)"),
        ("kernels", _kernels(found.cache)),
    ]
    rows += [
        ("BLAS", f"{blas.name} {blas.version}; one thread in each worker, {blas.threads} elsewhere")
        for blas in found.blas
    ]
    rows += [("data folder", folder) for folder in found.data_folders]
    rows += [(f"data {data.name}", data.location or "not here") for data in found.data]
    rows += [(f"extra {extra.name}", _extra(extra)) for extra in found.extras]
    return rows


def _kernels(cache: "KernelCache") -> str:
    from .render import memory

    if cache.folder is None:
        return "compilation is switched off (NUMBA_DISABLE_JIT): everything is slow"
    state = f"{cache.compiled} of {cache.kernels} compiled, {memory(cache.size)}"
    if cache.compiled == 0:
        state = f"none of {cache.kernels} compiled yet: the first run takes some ten seconds longer"
    kept = "" if cache.writable else "; the folder cannot be written, so they are compiled anew every time"
    return f"{state}, in {cache.folder}{kept}"


def _extra(extra: "Extra") -> str:
    present = ", ".join(f"{name} {version}" for name, version in extra.present.items())
    if not extra.missing:
        return present
    missing = f"missing {', '.join(extra.missing)}: pip install 'snnsim[{extra.name}]'"
    return f"{present}; {missing}" if present else missing
