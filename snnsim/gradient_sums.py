"""The gradients of a batch: sums that its micro-batches add to in a fixed order, whoever carries them."""

from collections.abc import Callable, Mapping, Sequence
from threading import Event

from snnsim.execution import pieces
from snnsim.layers.base import Layer, Workspace
from snnsim.layers.signals import FloatArray

# Micro-batch k adds to sum k modulo SUMS, in the order of the batch, and the sums are added at last: the same bits for
# any number of threads. With two, two workers never wait for each other; each takes a network's weights of memory.
SUMS = 2

OfLayer = dict[str, FloatArray]


class Share:
    """What one micro-batch adds its gradients to, layer by layer, when those before it have.

    Parameters
    ----------
    sums
        The gradients of each layer that has any, by its index.
    before
        The share of the micro-batch that adds to the same sums before, and has been begun; without one they are
        zeroed first.
    """

    def __init__(self, sums: Mapping[int, OfLayer], before: "Share | None") -> None:
        self._sums, self._before = sums, before
        self._done = {index: Event() for index in sums}
        self._begun: set[int] = set()

    def of(self, layer: int) -> OfLayer:
        """Return the gradients that a layer is to add to, once it is this micro-batch's turn."""
        if layer not in self._sums:
            return {}
        if layer not in self._begun:
            self._begun.add(layer)
            before = self._before  # another thread may end all shares meanwhile
            if before is not None:
                before._done[layer].wait()
            else:
                for gradient in self._sums[layer].values():
                    gradient.T[...] = 0
        return self._sums[layer]

    def done(self, layer: int) -> None:
        """Say that this micro-batch has added all it has to a layer's gradients."""
        if layer in self._done:
            self._done[layer].set()

    def end(self) -> None:
        """Say so of all layers."""
        for done in self._done.values():
            done.set()
        self._before = None


class GradientSums:
    """The buffers that a network's gradients add up in.

    Gradients lie in the memory order of their parameters. The ``stem``'s, if there is one, are in no share: one product
    at the end writes them.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = [layer for layer in layers if layer.parameters]
        self._buffers = [Workspace() for _ in range(SUMS)]

    def shares(self, count: int, stem: int | None) -> list[Share]:
        """Return the shares of so many micro-batches, in order."""
        sums = [
            {layer.index: self._of(layer, workspace) for layer in self._layers if layer.index != stem}
            for workspace in self._buffers[:count]
        ]
        shares: list[Share] = []
        for k in range(count):
            shares.append(Share(sums[k % SUMS], shares[k - SUMS] if k >= SUMS else None))
        return shares

    def total(self, count: int, stem: int | None, run: Callable[..., None]) -> dict[int, OfLayer]:
        """Add the sums of so many micro-batches, in order; return those of all layers, by their indices.

        ``run(task, count)`` shares the work out.
        """
        sums = [[self._of(layer, workspace) for layer in self._layers] for workspace in self._buffers[:count]]
        added = [
            [gradients[k][name].T.reshape(-1) for gradients in sums]
            for k, layer in enumerate(self._layers)
            if layer.index != stem
            for name in layer.parameters
        ]
        tasks = pieces([total.size for total, *_ in added])

        def add(k: int) -> None:
            for number, part in tasks[k]:
                total, *others = added[number]
                for other in others:
                    total[part] += other[part]

        if len(sums) > 1:
            run(add, len(tasks))
        return {layer.index: gradients for layer, gradients in zip(self._layers, sums[0], strict=True)}

    def _of(self, layer: Layer, workspace: Workspace) -> OfLayer:
        return {
            name: workspace.array((layer.index, name), parameter.T.shape).T
            for name, parameter in layer.parameters.items()
        }
