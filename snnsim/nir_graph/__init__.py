"""Networks as graphs of the Neuromorphic Intermediate Representation (NIR), and graphs as networks."""

from pathlib import Path
from typing import TYPE_CHECKING

from snnsim.errors import InputError
from snnsim.network import Network
from snnsim.nir_graph.files import MISSING, write_graph
from snnsim.nir_graph.importing import from_nir
from snnsim.nir_graph.steps import DT, Step

if TYPE_CHECKING:
    import nir

    from snnsim.nir_graph.exporting import Exported

__all__ = ["from_nir", "save_nir", "to_nir"]


def to_nir(
    network: Network, *, dt: float = DT, discretization: str = "euler", reset: str | None = None
) -> "nir.NIRGraph":
    """Write a network as a NIR graph; a tool that cuts time as told computes the same spikes with it.

    Parameters
    ----------
    network
        Of dense, conv2d, sum_pool2d, avg_pool2d, flatten, if, lif, cuba_lif, li and cuba_li; dropout is left out.
    dt
        Length of a step in seconds: gives decays a time constant.
    discretization
        How the reader will cut time: ``"euler"``, ``tau = dt / (1 - beta)``, or ``"exp"``, ``tau = -dt / log(beta)``.
        Either way ``r = 1 / (1 - beta)``, so that weights stay as they are.
    reset
        For neurons that subtract their threshold, which NIR cannot say: ``"zero"`` writes them as neurons that reset
        to 0, another network; ``"subtract"`` writes them all the same and notes it in the node's metadata, which
        snnsim reads and other tools do not. By default they are refused.

    Raises
    ------
    InputError
        A layer that NIR cannot express (names it), or the extra is not installed.
    """
    return _exported(network, Step(dt, discretization), reset).graph


def save_nir(
    network: Network, path: str | Path, *, dt: float = DT, discretization: str = "euler", reset: str | None = None
) -> list[str]:
    """Write a network to a NIR file, whole or not at all; see `to_nir`.

    Returns
    -------
    list of str
        What readers of the file should know: layers left out, resets that are not what they are here.
    """
    exported = _exported(network, Step(dt, discretization), reset)
    write_graph(Path(path), exported.graph)
    return exported.notes


def _exported(network: Network, step: Step, reset: str | None) -> "Exported":
    try:
        from snnsim.nir_graph.exporting import export
    except ModuleNotFoundError as error:
        if error.name not in ("nir", "h5py"):
            raise
        raise InputError(MISSING) from None
    return export(network, step, reset)
