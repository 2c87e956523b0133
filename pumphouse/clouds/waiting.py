"""Shared waiting: many waits on servers (or volumes, images) are served by one listing per interval.

No thread is held: whoever waits asks again later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service

Body = Mapping[str, Any]

ALONE = 3
"""Up to so many waits of one kind and project are served singly: a project may hold thousands of servers."""
_FORGET_AFTER = 10
"""A wait that nobody has asked about for so many intervals has ended."""


class Kind(NamedTuple):
    """How to read one kind of resource: all of a project's, and one."""

    service: Service
    listing: str
    path: str
    items: str
    item: str
    project: str
    """The parameter that names the project in a listing."""
    all_projects: bool
    """Whether ``all_tenants`` must be given to see other projects."""
    up_to: str | None


KINDS: Mapping[str, Kind] = {
    "server": Kind(
        Service.COMPUTE, "/servers/detail", "/servers", "servers", "server", "project_id", True, "2.96"
    ),
    "volume": Kind(
        Service.VOLUME, "/volumes/detail", "/volumes", "volumes", "volume", "project_id", True, "3.59"
    ),
    "snapshot": Kind(
        Service.VOLUME, "/snapshots/detail", "/snapshots", "snapshots", "snapshot", "project_id", True, "3.59"
    ),
    "image": Kind(Service.IMAGE, "/images", "/images", "images", "", "owner", False, None),
    "port": Kind(Service.NETWORK, "/ports", "/ports", "ports", "port", "project_id", False, None),
}


@dataclass
class _Group:
    """The waits of one kind in one project."""

    refresh: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one thread that reads; the others take what is known."""
    known: dict[str, Body | None] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    read_at: float = float("-inf")

    def forget_before(self, moment: float) -> bool:
        """Drop what nobody has asked about since; whether nothing is left."""
        for id, at in list(self.asked.items()):
            if at < moment:
                self.asked.pop(id, None)
                self.known.pop(id, None)
        return not self.asked


class Waiter:
    """The newest known state of what is waited for on one cloud. Threads may share it."""

    def __init__(
        self, cloud: CloudAPI, *, interval: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cloud = cloud
        self._interval = interval
        self._clock = clock
        self._groups: dict[tuple[str, str], _Group] = {}
        self._lock = threading.Lock()

    def look(self, kind: str, id: str, project_id: str = "") -> Body | None:
        """The newest known body of a resource, at most ``interval`` seconds old when asked one by one.

        None when it is gone, which is only said after the service itself answered 404. The first look at
        an id always asks the service. Raises :class:`pumphouse.errors.CloudError`.
        """
        group = self._group(kind, project_id)
        now = self._clock()
        group.asked[id] = now
        if id not in group.known:
            if not group.known:
                group.read_at = now
            group.known[id] = self._one(kind, id)
        elif now - group.read_at >= self._interval and group.refresh.acquire(blocking=False):
            try:
                self._read(kind, project_id, group)
            finally:
                group.refresh.release()
        # Another thread may have forgotten it in between.
        return group.known[id] if id in group.known else self._one(kind, id)

    def forget(self, kind: str, id: str, project_id: str = "") -> None:
        """Drop what is known: an action was sent, and the state from before it must not be mistaken."""
        group = self._group(kind, project_id)
        group.known.pop(id, None)
        group.asked.pop(id, None)

    def _group(self, kind: str, project_id: str) -> _Group:
        with self._lock:
            if (kind, project_id) not in self._groups:
                # The waits of other projects may have ended long ago, and this object lives as a server does.
                old = self._old()
                for key in [key for key, one in self._groups.items() if one.forget_before(old)]:
                    del self._groups[key]
                self._groups[kind, project_id] = _Group()
            return self._groups[kind, project_id]

    def _old(self) -> float:
        return self._clock() - _FORGET_AFTER * self._interval

    def _read(self, kind: str, project_id: str, group: _Group) -> None:
        """Read anew all that is still waited for: one listing, or a few single requests."""
        group.forget_before(self._old())
        waited = [id for id, body in list(group.known.items()) if body is not None]
        found = {} if len(waited) <= ALONE else self._all(kind, project_id)
        for id in waited:
            # A resource that a listing misses (a page moved while it was read) is asked for by itself.
            body = found[id] if id in found else self._one(kind, id)
            if id in group.known:
                group.known[id] = body
        group.read_at = self._clock()

    def _all(self, kind: str, project_id: str) -> dict[str, Body]:
        spec = KINDS[kind]
        params: dict[str, Any] = {}
        if project_id and project_id != self._cloud.project_id:
            params[spec.project] = project_id
            if spec.all_projects:
                params["all_tenants"] = 1
        found = self._cloud.list(spec.service, spec.listing, spec.items, params=params, up_to=spec.up_to)
        return {body["id"]: body for body in found}

    def _one(self, kind: str, id: str) -> Body | None:
        spec = KINDS[kind]
        try:
            answer = self._cloud.get(spec.service, f"{spec.path}/{id}", up_to=spec.up_to)
        except errors.NotFound:
            return None
        body: Body = answer[spec.item] if spec.item else answer
        return body
