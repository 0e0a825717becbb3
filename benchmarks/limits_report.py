"""The results of `limits.py` as Markdown."""

from typing import Any

SHOWN_KERNELS = 3  # of a layer and phase; the JSON has all
LEAST_MS = 0.005
BILLION, MILLION = 1e9, 1e6


def markdown(results: dict[str, Any]) -> str:
    """Write the machine's rates, limits against times, and the parts of every workload."""
    workloads = results["workloads"]
    missing = [f"{name}: {found['missing']}" for name, found in workloads.items() if "missing" in found]
    measured = {name: found for name, found in workloads.items() if "missing" not in found}
    parts = [rates_table(results["rates"]), *missing]
    if measured:
        parts.append(limits_table(measured))
        parts += [parts_table(name, kind, found[kind]) for name, found in measured.items() for kind in KINDS]
    return "\n\n".join(parts)


KINDS = ("training", "inference")


def rates_table(rates: dict[str, dict[str, float]]) -> str:
    """Write what so many threads reach together."""
    lines = [
        "| threads | additions, event by event | multiply-adds in products | bytes in cache | bytes in memory |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {threads} | {reached['additions'] / BILLION:.1f} G/s | {reached['multiply_adds'] / BILLION:.0f} G/s "
        f"| {reached['cached_bytes'] / BILLION:.0f} GB/s | {reached['memory_bytes'] / BILLION:.0f} GB/s |"
        for threads, reached in rates.items()
    ]
    return "\n".join(lines)


def limits_table(workloads: dict[str, Any]) -> str:
    """Write a batch's limit and time by workload, kind of pass and number of threads."""
    lines = [
        "| | | threads | additions | multiply-adds | bytes | limit | measured | multiple |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in workloads.items():
        for kind in KINDS:
            parts = found[kind]["parts"]
            sums = [sum(part.get(key, 0) for part in parts) for key in ("additions", "multiply_adds")]
            moved = sum(part.get("bytes", 0) + part.get("memory", 0) for part in parts)
            for threads, one in found[kind]["threads"].items():
                star = r" \*" if one["disturbed"] else ""
                lines.append(
                    f"| {name} | {kind}, {found['batch']} samples | {threads} | {_millions(sums[0])} "
                    f"| {_millions(sums[1])} | {moved / MILLION:,.1f} MB | {one['limit_ms']:.2f} ms "
                    f"| {one['measured_ms']:.2f} ms | {one['multiple']:.2f}{star} |"
                )
    if any("*" in line for line in lines):
        lines += ["", r"\* Other processes had a part in this time: measure again when it is quiet."]
    return "\n".join(lines)


def parts_table(name: str, kind: str, found: dict[str, Any]) -> str:
    """Write where the time of a batch goes on one thread."""
    lines = [
        f"**{name}, {kind}, one thread**",
        "",
        "| layer | | additions | multiply-adds | bytes | limit, ms | measured, ms | multiple | of it in kernels, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for part in found["parts"]:
        limit, measured = part["limit_ms"], part["measured_ms"]
        if max(limit, measured) < LEAST_MS:
            continue
        kernels = [f"`{kernel}` {ms:.2f}" for kernel, ms in list(part["kernels"].items())[:SHOWN_KERNELS]]
        moved = part.get("bytes", 0) + part.get("memory", 0)
        lines.append(
            f"| {part['layer']} | {part['phase']} | {_millions(part.get('additions', 0))} "
            f"| {_millions(part.get('multiply_adds', 0))} | {f'{moved / MILLION:,.1f} MB' if moved else ''} "
            f"| {f'{limit:.2f}' if limit else ''} | {measured:.2f} | {f'{measured / limit:.1f}' if limit else ''} "
            f"| {', '.join(kernels)} |"
        )
    return "\n".join(lines)


def _millions(count: float) -> str:
    return f"{count / MILLION:,.1f} M" if count else ""
