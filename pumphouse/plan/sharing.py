"""Which resources of a plan other migrations may need, and make, at the same time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from pumphouse.model import Action, Resource
from pumphouse.resource import ResourceType, ScopeLevel


@dataclass(frozen=True, slots=True)
class HalfMade:
    """A migration has begun to make something and not finished; whether it is ``running`` now."""

    migration: str
    running: bool = False


class Chosen(Protocol):
    """A resource of a plan, with what is done with it and why it is there."""

    @property
    def resource(self) -> Resource: ...
    @property
    def action(self) -> Action: ...
    @property
    def selected(self) -> str: ...


def own_projects(plan: Iterable[Chosen]) -> set[str]:
    """The projects that a plan moves, by the source's ids. Of two migrations of one project only one runs.

    Projects that only come along because something shared belongs to them do not count.
    """
    return {
        one.resource.project_id
        for one in plan
        if one.resource.project_id
        and one.action is not Action.SKIP
        and not one.selected.startswith("needed by")
    }


def is_shared(kind: ResourceType, resource: Resource, own: Collection[str]) -> bool:
    """Whether migrations of other projects may need a resource: it belongs to no project, or to another's."""
    return kind.scope is not ScopeLevel.PROJECT or resource.project_id not in own
