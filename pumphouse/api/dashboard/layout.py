"""Where each resource of a plan's graph is drawn: what needs nothing on the left, what needs it to the right.

A generation (:meth:`pumphouse.plan.document.Plan.generations`) is a column. One that holds many is broken
into several beside each other, so that the whole has about the shape of a screen, however large it is.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import networkx as nx

N = TypeVar("N", bound=Hashable)

WIDTH: Final = 176
HEIGHT: Final = 38
_BESIDE: Final = 14
"""Between two columns of one generation."""
_BELOW: Final = 12
_BETWEEN: Final = 78
"""Between two generations, where most edges run."""
_SHAPE: Final = 1.7
"""The width of the whole divided by its height, as near as it gets."""
_SWEEPS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout(Generic[N]):
    """The left upper corner of each node's box, and the size of the whole, in pixels at full size."""

    places: Mapping[N, tuple[int, int]]
    width: int
    height: int


def lay_out(graph: nx.DiGraph[N], order: Sequence[N]) -> Layout[N]:
    """Place the nodes of a graph without circles.

    :param order: all of them, in the order in which those of a generation are drawn where nothing else tells.
    """
    if not order:
        return Layout(places={}, width=0, height=0)
    rank = {node: number for number, node in enumerate(order)}
    layers = [sorted(layer, key=rank.__getitem__) for layer in nx.topological_generations(graph)]
    _untangle(graph, layers)
    rows = _rows([len(layer) for layer in layers])
    height = max(min(rows, len(layer)) for layer in layers)
    places: dict[N, tuple[int, int]] = {}
    x = 0
    for layer in layers:
        columns = math.ceil(len(layer) / rows)
        below = math.ceil(len(layer) / columns)
        top = (height - below) * (HEIGHT + _BELOW) // 2
        for number, node in enumerate(layer):
            column, row = divmod(number, below)
            places[node] = (x + column * (WIDTH + _BESIDE), top + row * (HEIGHT + _BELOW))
        x += columns * (WIDTH + _BESIDE) - _BESIDE + _BETWEEN
    return Layout(places=places, width=x - _BETWEEN, height=height * (HEIGHT + _BELOW) - _BELOW)


def _rows(sizes: Sequence[int]) -> int:
    """How many nodes a column holds at most, so that the whole comes near to its shape."""
    return min(range(1, max(sizes) + 1), key=lambda rows: abs(math.log(_shape(sizes, rows) / _SHAPE)))


def _shape(sizes: Sequence[int], rows: int) -> float:
    columns = sum(math.ceil(size / rows) for size in sizes)
    width = columns * (WIDTH + _BESIDE) + len(sizes) * (_BETWEEN - _BESIDE)
    return width / (min(rows, max(sizes)) * (HEIGHT + _BELOW))


def _untangle(graph: nx.DiGraph[N], layers: Sequence[list[N]]) -> None:
    """Bring each node near the middle of its neighbours, so that fewer edges cross."""
    height = {node: number / len(layer) for layer in layers for number, node in enumerate(layer)}

    def middle(node: N, near: Iterable[N]) -> float:
        found = [height[one] for one in near]
        return sum(found) / len(found) if found else height[node]

    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        near = graph.predecessors if forward else graph.successors
        for layer in layers if forward else reversed(layers):
            wanted = {node: middle(node, near(node)) for node in layer}
            layer.sort(key=wanted.__getitem__)  # keeps the order of those that want the same
            height.update({node: number / len(layer) for number, node in enumerate(layer)})
