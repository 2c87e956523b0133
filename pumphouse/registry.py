"""The resource types: loaded from their entry points, checked, and put in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import networkx as nx
from stevedore import ExtensionManager

from pumphouse.fields import Field, Role
from pumphouse.resource import ResourceType

NAMESPACE = "pumphouse.resource_types"


class Registry(Mapping[str, ResourceType]):
    """The types by name, in the order in which the graph of their references puts them."""

    def __init__(self, kinds: Iterable[ResourceType]) -> None:
        by_name = {kind.name: kind for kind in kinds}
        _check(by_name)
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(sorted(by_name))
        for name, kind in by_name.items():
            graph.add_edges_from((target, name) for target in targets(kind) if target != name)
            graph.add_edges_from((target, name) for target in kind.after)
        order = _order(graph)
        self._kinds = {name: by_name[name] for name in order}

    @classmethod
    def load(cls) -> Registry:
        """The types of every installed package. Raises whatever a broken entry point raises."""

        def fail(_manager: object, _entry_point: object, error: BaseException) -> None:
            raise error

        manager: ExtensionManager[ResourceType] = ExtensionManager(
            NAMESPACE, invoke_on_load=True, on_load_failure_callback=fail
        )
        return cls(one.obj for one in manager if one.obj is not None)

    def __getitem__(self, name: str) -> ResourceType:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    @cached_property
    def rank(self) -> Mapping[str, int]:
        """The position of each type in the order."""
        return {name: position for position, name in enumerate(self._kinds)}


def targets(kind: ResourceType) -> set[str]:
    """The types to which a type's fields refer."""
    return {target for field in kind.carried() for target in field.refs.values()}


def _order(graph: nx.DiGraph[str]) -> list[str]:
    """Topological, by name where the graph leaves it open.

    Types may refer to each other in a circle (an image to the server it was made of, say); such a circle
    is cut at its last name, since resources, unlike types, hold no circles.
    """
    graph = graph.copy()
    while True:
        try:
            return list(nx.lexicographical_topological_sort(graph))
        except nx.NetworkXUnfeasible:
            graph.remove_edge(*max(edge[:2] for edge in nx.find_cycle(graph)))


def _check(kinds: Mapping[str, ResourceType]) -> None:
    """Raise ValueError for a declaration that cannot work."""
    for name, kind in kinds.items():
        names = [field.name for field in kind.fields]
        doubled = sorted({one for one in names if names.count(one) > 1})
        if doubled:
            raise ValueError(f"{name}: fields declared twice: {', '.join(doubled)}")
        unknown = sorted((targets(kind) | set(kind.after)) - set(kinds))
        if unknown:
            raise ValueError(f"{name}: refers to unknown types: {', '.join(unknown)}")
        for field in kind.fields:
            _check_field(name, field)


def _check_field(name: str, field: Field) -> None:
    if field.role is Role.DROP and not field.why:
        raise ValueError(f"{name}.{field.name}: dropped without a reason")
