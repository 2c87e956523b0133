"""Plans as pages need them: unpacked once, with the layout of their graph."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import Any, Final

from flask import current_app

from pumphouse.api.dashboard.layout import Layout, lay_out
from pumphouse.api.routes import service
from pumphouse.model import Ref
from pumphouse.plan.document import Plan

_KEPT: Final = "pumphouse-dashboard-plans"
_MOST: Final = 8


class Shown:
    """A plan, which never changes once it is in the store."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def layout(self) -> Layout[Ref]:
        """Where its resources are drawn."""
        return lay_out(self.plan.graph, [one.ref for one in self.plan.resources])


def install(app: Any) -> None:
    """Give an application its place to keep them in."""
    app.extensions[_KEPT] = (threading.Lock(), OrderedDict[str, Shown]())


def shown(plan_id: str) -> Shown:
    """A plan of the store, by its whole id. Raises UnknownMigration."""
    lock, kept = current_app.extensions[_KEPT]
    with lock:
        if plan_id in kept:
            kept.move_to_end(plan_id)
            found: Shown = kept[plan_id]
            return found
    made = Shown(service().stored_plan(plan_id))
    with lock:
        kept[made.plan.id] = made
        while len(kept) > _MOST:
            kept.popitem(last=False)
    return made
