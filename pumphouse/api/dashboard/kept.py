"""What is kept for the next who asks: plans, laid out, and how migrations stand."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

from flask import Flask, current_app

from pumphouse.api.dashboard.layout import Layout, lay_out
from pumphouse.api.routes import service
from pumphouse.model import Ref
from pumphouse.plan.document import Plan
from pumphouse.service.kept import Kept

if TYPE_CHECKING:
    from pumphouse.api.dashboard.situation import Situation

_PLANS: Final = "pumphouse-dashboard-plans"
_SITUATIONS: Final = "pumphouse-dashboard-situations"


class Shown:
    """A plan, which never changes once it is in the store."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def layout(self) -> Layout[Ref]:
        """Where its resources are drawn."""
        return lay_out(self.plan.graph, [one.ref for one in self.plan.resources])


def install(app: Flask) -> None:
    """Give an application its place to keep them in."""
    app.extensions[_PLANS] = Kept[str, Shown]()
    app.extensions[_SITUATIONS] = Kept[Hashable, "Situation"]()


def situations() -> Kept[Hashable, Situation]:
    """How migrations stood at their last event."""
    return cast("Kept[Hashable, Situation]", current_app.extensions[_SITUATIONS])


def shown(plan_id: str) -> Shown:
    """A plan of the store, by its whole id. Raises UnknownMigration."""
    plans = cast("Kept[str, Shown]", current_app.extensions[_PLANS])
    return plans.get(plan_id, lambda: Shown(service().stored_plan(plan_id)))
