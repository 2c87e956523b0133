"""What is kept for the next who asks: plans, laid out, and how migrations stand."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

from flask import Flask, current_app

from pumphouse.api.dashboard.layout import Layout, lay_out
from pumphouse.api.routes import service
from pumphouse.model import Action, Ref
from pumphouse.plan.document import Plan
from pumphouse.service.kept import Kept

if TYPE_CHECKING:
    from pumphouse.api.dashboard.situation import Situation

_PLANS: Final = "pumphouse-dashboard-plans"
_SITUATIONS: Final = "pumphouse-dashboard-situations"
_COUNTS: Final = "pumphouse-dashboard-counts"
_MOST_COUNTED: Final = 2000
"""As many as a few large waves have groups."""


class Shown:
    """A plan, which never changes once it is in the store."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def layout(self) -> Layout[Ref]:
        """Where its resources are drawn."""
        return lay_out(self.plan.graph, [one.ref for one in self.plan.resources])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCounts:
    """What a plan comes to, in numbers."""

    create: int
    blocked: int
    servers: int
    bytes: int


def install(app: Flask) -> None:
    """Give an application its place to keep them in."""
    app.extensions[_PLANS] = Kept[str, Shown]()
    app.extensions[_COUNTS] = Kept[str, PlanCounts](most=_MOST_COUNTED)
    app.extensions[_SITUATIONS] = Kept[Hashable, "Situation"]()


def situations() -> Kept[Hashable, Situation]:
    """How migrations stood at their last event."""
    return cast("Kept[Hashable, Situation]", current_app.extensions[_SITUATIONS])


def counted(plan_id: str) -> PlanCounts:
    """A plan of the store in numbers, by its whole id. Raises UnknownMigration."""
    plans = cast("Kept[str, PlanCounts]", current_app.extensions[_COUNTS])
    return plans.get(plan_id, lambda: _count(service().stored_plan(plan_id)))


def _count(plan: Plan) -> PlanCounts:
    counts, doing = plan.counts(), plan.doing(Action.CREATE)
    return PlanCounts(
        create=counts[Action.CREATE],
        blocked=counts[Action.BLOCKED],
        servers=sum(one.ref.type == "server" for one in doing),
        bytes=sum(one.bytes for one in doing),
    )


def shown(plan_id: str) -> Shown:
    """A plan of the store, by its whole id. Raises UnknownMigration."""
    plans = cast("Kept[str, Shown]", current_app.extensions[_PLANS])
    return plans.get(plan_id, lambda: Shown(service().stored_plan(plan_id)))
