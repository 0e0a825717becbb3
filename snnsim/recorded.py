"""What recorded events decide (the number of steps), and what of them is not used."""

from collections.abc import Sequence
from typing import Any

from snnsim.datasets import Binning, Dataset, Recordings, Samples
from snnsim.spec import EncoderChoice

_NAMED = 3  # damaged recordings that a note names; the others are counted


def binning(encoder: EncoderChoice) -> Binning | None:
    """Return how an encoder bins recorded events; None if it encodes values."""
    options = encoder.events
    return None if options is None else Binning(options.time_window, options.num_steps)


def settle_steps(encoder: EncoderChoice, parts: Sequence[Samples]) -> EncoderChoice:
    """Fill in the number of steps, that of the longest recording of some samples, where the encoder leaves it open."""
    longest = [part.x.longest for part in parts if isinstance(part.x, Recordings)]
    return encoder.with_steps(max(longest)) if longest and encoder.num_steps is None else encoder


def data_notes(skipped: Sequence[str], parts: Sequence[Samples], encoder: EncoderChoice) -> list[str]:
    """Say what of recordings is not used: damaged ones, and events after the last step."""
    notes = []
    if skipped:
        more = f" (and {len(skipped) - _NAMED} more)" if len(skipped) > _NAMED else ""
        notes.append(f"skipped damaged recordings, {len(skipped)} in all: {'; '.join(skipped[:_NAMED])}{more}")
    late = dropped_events(parts, encoder)
    if late:
        notes.append(f"dropped {late:,} recorded events later than the last of {encoder.num_steps} steps")
    return notes


def data_summary(dataset: Dataset, encoder: EncoderChoice) -> dict[str, Any]:
    """Return the field ``data`` of ``summary.json``; validation samples count as training ones."""
    sizes = {"name": dataset.name, "train": len(dataset.train) + len(dataset.valid), "test": len(dataset.test)}
    if not isinstance(dataset.train.x, Recordings):
        return sizes
    dropped = {
        "train": dropped_events([dataset.train, dataset.valid], encoder),
        "test": dropped_events([dataset.test], encoder),
    }
    return sizes | {"skipped": len(dataset.skipped), "dropped_events": dropped}


def dropped_events(parts: Sequence[Samples], encoder: EncoderChoice) -> int:
    """Count the recorded events of samples that lie after the last step."""
    steps = encoder.num_steps
    return sum(part.x.dropped(steps) for part in parts if isinstance(part.x, Recordings) and steps is not None)
