"""Who is compared: each row of the table is a module here that builds a network from given weights and trains it."""

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from workloads import Batch, FloatArray, Workload


class Peer(Protocol):
    """A network with its optimizer."""

    def encode(self, batch: Batch) -> Any:
        """Return a batch as `train_step` and `infer` take it; outside of every timing."""

    def train_step(self, batch: Any) -> float:
        """Take a step of Adam, and return the loss from before it."""

    def infer(self, batch: Any) -> NDArray[np.int64]:
        """Return the answers [B]."""

    def restart(self) -> None:
        """Go back to the initial weights and a new optimizer."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    module
        The one of this package that has ``build(row, workload, weights)``.
    needs
        The modules it needs besides snnsim's own.
    ours
        Whether it is snnsim.
    delayed_reset
        Whether a spike lowers the membrane a step later than in snnsim, so that the network is a slightly other one.
    other_surrogate
        Whether gradients are others than everybody's, so that losses need not agree.
    """

    module: str
    needs: tuple[str, ...] = ("torch",)
    ours: bool = False
    delayed_reset: bool = False
    other_surrogate: bool = False

    @property
    def comparable(self) -> bool:
        """Whether its loss should be that of other such rows."""
        return not (self.delayed_reset or self.other_surrogate)


ROWS = {
    "snnsim": Row("ours", (), ours=True),
    "snnsim-compact": Row("ours", (), ours=True, other_surrogate=True),
    "snntorch": Row("snntorch", ("torch", "snntorch"), delayed_reset=True),
    "spikingjelly": Row("spikingjelly", ("torch", "spikingjelly")),
    "norse": Row("norse", ("torch", "norse")),
    "spyx": Row("spyx", ("jax", "flax", "optax", "spyx"), delayed_reset=True),
    "torch-loop": Row("pytorch"),
    "torch-expert": Row("pytorch"),
    "torch-compile-loop": Row("pytorch"),
    "torch-compile-expert": Row("pytorch"),
}


def build(row: str, workload: Workload, weights: list[FloatArray]) -> Peer:
    """Import a row's library and build its network."""
    peer: Peer = import_module(f"peers.{ROWS[row].module}").build(row, workload, weights)
    return peer


def missing(row: str) -> str | None:
    """Say which libraries of a row are not installed; None where all are. Imports none of them."""
    absent = [name for name in ROWS[row].needs if find_spec(name) is None]
    if not absent:
        return None
    return f"not installed: {', '.join(absent)} (pip install 'snnsim[bench]')"


def versions(row: str) -> dict[str, str]:
    """Return the versions of a row's libraries."""
    return {name: version(name) for name in (ROWS[row].needs or ("snnsim", "numpy", "numba"))}
