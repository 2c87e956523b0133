"""What is kept for the next who asks: plans, unpacked and laid out, and how migrations stand."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

from flask import Flask, current_app

from pumphouse.api.dashboard.layout import Layout, lay_out
from pumphouse.api.routes import service
from pumphouse.model import Ref
from pumphouse.plan.document import Plan

if TYPE_CHECKING:
    from pumphouse.api.dashboard.situation import Situation

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_PLANS: Final = "pumphouse-dashboard-plans"
_SITUATIONS: Final = "pumphouse-dashboard-situations"
_MOST: Final = 8


class Kept(Generic[K, V]):
    """The last few values by what they are of. Threads share it: of each, one makes it and others wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """What is kept, or else what ``make`` gives."""
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
            self._values.move_to_end(key)
            while len(self._values) > _MOST:
                self._values.popitem(last=False)
            return self._values[key]


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
