"""What the tests of resource types stand on: two clouds, and a context whose journal is kept in memory.

The clouds are embedded ones, or the two of clouds.yaml that ``PUMPHOUSE_TEST_CLOUDS`` names ("source
destination"): the same tests then try a real pair, each in projects of its own, which it removes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds import Cloud
from pumphouse.context import PENDING, Carried, Context, Deferred, Item, JournalEntry, JournalState, Settings
from pumphouse.devcloud import DevCloud
from pumphouse.model import Action, Inventory, Ref, Resource, Side
from pumphouse.moving.carrier import CARRIER
from pumphouse.resource import Reach, ResourceType
from pumphouse.steps import Step, step_named
from pumphouse.tasks.project import Project
from pumphouse.tasks.router import Router
from pumphouse.transfer import Lane

QUICK = Settings(
    poll_interval=0.05, build_timeout=120, volume_timeout=120, image_timeout=120, delete_timeout=60
)


class MemoryJournal:
    """One migration's journal, of one process."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.others: list[JournalEntry] = []
        """What other runs of the migration have left open."""

    def intend(self, ref, step, side, *, detail=None, temporary=False) -> JournalEntry:
        for entry in self.open_entries(ref, step):
            if entry.side is side:
                return replace(entry, repeated=True)
        entry = JournalEntry(
            id=len(self.entries),
            unit="unit",
            ref=ref,
            step=step,
            side=side,
            state=JournalState.INTENT,
            detail=dict(detail or {}),
            temporary=temporary,
        )
        self.entries.append(entry)
        return entry

    def made(self, entry, made_id, *, detail=None) -> JournalEntry:
        known = self.entries[entry.id]
        return self._set(
            entry, state=JournalState.MADE, made_id=made_id, detail=known.detail if detail is None else detail
        )

    def removed(self, entry) -> None:
        self._set(entry, state=JournalState.REMOVED)

    def left(self, entry, reason) -> None:
        self._set(entry, state=JournalState.LEFT, detail={**entry.detail, "left": reason})

    def open_entries(self, ref, step) -> list[JournalEntry]:
        return [one for one in self.open() if (one.ref, one.step) == (ref, step)]

    def check_fence(self) -> None:
        """There are no other processes."""

    def of_other_runs(self, ref, step) -> list[JournalEntry]:
        return [one for one in self.others if (one.ref, one.step) == (ref, step)]

    def use(self, used) -> None:
        """There are no other migrations."""

    def hand_over(self, entry) -> None:
        return None

    def open(self) -> list[JournalEntry]:
        """All that a cloud still holds, newest first."""
        return [one for one in reversed(self.entries) if one.state is not JournalState.REMOVED]

    def _set(self, entry, **changes) -> JournalEntry:
        self.entries[entry.id] = replace(self.entries[entry.id], **changes)
        return self.entries[entry.id]


class MemoryIds:
    """The id map."""

    def __init__(self) -> None:
        self.known: dict[Ref, str] = {}

    def get(self, ref):
        return self.known.get(ref)

    def put(self, ref, destination_id, *, made):
        self.known[ref] = destination_id

    def remove(self, ref):
        self.known.pop(ref, None)


class Alone:
    """Claims, and passwords, of a migration that nobody disturbs."""

    def claim(self, ref):
        return None

    def release(self, ref):
        """Nobody else wants it."""

    def carry(self, source_id, destination_id):
        return "no password"


@dataclass
class Bench:
    """Two clouds and what moves between them."""

    source: Cloud
    destination: Cloud
    settings: Settings = QUICK
    migration: str = "m-bench"
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    ids: MemoryIds = field(default_factory=MemoryIds)
    lane: Lane = field(default_factory=lambda: Lane(transfers=4))
    carried: list[tuple[Ref, Carried]] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    prefix: str = field(default_factory=lambda: f"t-{uuid.uuid4().hex[:8]}")
    later: list[Callable[[], Any]] = field(default_factory=list)
    made: set[tuple[Side, str]] = field(default_factory=set)

    @property
    def context(self) -> Context:
        return Context(
            migration=self.migration,
            source=self.source,
            destination=self.destination,
            scoped=lambda project: self.scoped(Side.DESTINATION, project),
            scoped_source=lambda project: self.scoped(Side.SOURCE, project),
            journal=self.journal,
            ids=self.ids,
            claims=Alone(),
            waiting={Side.SOURCE: self.source.waiter, Side.DESTINATION: self.destination.waiter},
            settings=self.settings,
            passwords=Alone(),
            lane=self.lane,
            progress=lambda _ref, _step, share, _text: self.shares.append(share),
            carried=lambda ref, _step, what: self.carried.append((ref, what)),
            note=lambda _ref, text: self.notes.append(text),
        )

    def cloud(self, side: Side) -> Cloud:
        return self.source if side is Side.SOURCE else self.destination

    def scoped(self, side: Side, project_id: str) -> Cloud:
        """The cloud in a project's name; the operator's user is given the role first."""
        cloud = self.cloud(side)
        if (side, project_id) not in self.made:
            roles = cloud.list(Service.IDENTITY, "/roles", "roles", params={"name": "admin"})
            cloud.put(
                Service.IDENTITY, f"/projects/{project_id}/users/{cloud.user_id}/roles/{roles[0]['id']}"
            )
            self.made.add((side, project_id))
            return cloud.within(project_id, fresh=True)
        return cloud.within(project_id)

    # -- moving

    def carrier(self, identity: str) -> str:
        """The name of what is temporary for this source's disk."""
        return f"{CARRIER}{self.migration}-{identity}"

    def read(self, kind: ResourceType, identity: str, side: Side, *seen: Resource) -> Resource:
        """One resource as a plan reads it."""
        inventory = Inventory(self.cloud(side).name, seen)
        for found in kind.discover(self.cloud(side), seen=inventory, reach=Reach()):
            if found.ref.id == identity:
                return kind.complete(self.cloud(side), found)
        raise AssertionError(f"{kind.name} {identity} is not listed")

    def item(self, kind: ResourceType, resource: Resource, **more: Any) -> Item:
        return Item(kind=kind, resource=resource, **{"action": Action.CREATE, **more})

    def step(self, kind: ResourceType, resource: Resource, name: str, **more: Any) -> Any:
        """Run one step to its end."""
        return finish(step_named(kind, name)(self.context, self.item(kind, resource, **more)))

    def carry(self, kind: ResourceType, resource: Resource, *, until: str | None = None) -> str | None:
        """Run all steps, or those before ``until``; the destination's id."""
        for step in kind.steps:
            if step.name == until:
                break
            if step.applies(self.item(kind, resource)):
                self.step(kind, resource, step.name)
        return self.ids.get(resource.ref)

    def writes_again(self, cloud: DevCloud, kind: ResourceType, resource: Resource) -> list[str]:
        """Carry again what has been carried: the requests with which this writes to the destination."""
        cloud.counts.reset()
        self.carry(kind, resource)
        return [str(write["kind"]) for write in cloud.counts.writes]

    def undo(self, kinds: Iterable[ResourceType], resources: Mapping[Ref, Resource]) -> None:
        """Take everything back, newest first."""
        by_name = {kind.name: kind for kind in kinds}
        for entry in self.journal.open():
            kind = by_name[entry.ref.type]
            step: Step = step_named(kind, entry.step)(self.context, self.item(kind, resources[entry.ref]))
            step.undo(entry)
            self.journal.removed(entry)

    # -- what a test needs on both sides

    def project(self, name: str = "") -> str:
        """A project on both clouds, mapped; the source's id."""
        ids = [self._project(side, f"{self.prefix}-{name}") for side in Side]
        self.ids.put(Ref("project", ids[0]), ids[1], made=True)
        return ids[0]

    def _project(self, side: Side, name: str) -> str:
        cloud = self.cloud(side)
        body = {"project": {"name": name, "domain_id": "default"}}
        identity = str(cloud.post(Service.IDENTITY, "/projects", body)["project"]["id"])
        self.later.append(lambda: self._clear(side, identity))
        return identity

    def user(self, name: str = "") -> str:
        """A user on both clouds, mapped; the source's id."""
        ids = []
        for side in Side:
            body = {"user": {"name": f"{self.prefix}-{name}", "domain_id": "default", "password": "secret"}}
            ids.append(str(self.cloud(side).post(Service.IDENTITY, "/users", body)["user"]["id"]))
            self.remove_later(side, Service.IDENTITY, f"/users/{ids[-1]}")
        self.ids.put(Ref("user", ids[0]), ids[1], made=True)
        return ids[0]

    def there(self, kind: str, source_id: str) -> str:
        """The destination's id of what was mapped."""
        found = self.ids.get(Ref(kind, source_id))
        assert found is not None
        return found

    def remove_later(self, side: Side, service: Service, path: str) -> None:
        self.later.append(lambda: self.cloud(side).delete(service, path))

    def close(self) -> None:
        """Remove what the test made; the embedded clouds go away by themselves."""
        for remove in reversed(self.later):
            remove()

    def _clear(self, side: Side, project_id: str) -> None:
        """Remove a project and all that is in it."""
        cloud = self.cloud(side)
        own = {"all_tenants": "1", "project_id": project_id}
        servers = cloud.list(Service.COMPUTE, "/servers/detail", "servers", params=own)
        for server in servers:
            cloud.delete(Service.COMPUTE, f"/servers/{server['id']}")
        for server in servers:
            gone(lambda id=server["id"]: cloud.get(Service.COMPUTE, f"/servers/{id}"))
        for group in cloud.list(
            Service.COMPUTE,
            "/os-server-groups",
            "server_groups",
            params={"all_projects": "true"},
            up_to="2.64",
        ):
            if group["project_id"] == project_id:
                cloud.delete(Service.COMPUTE, f"/os-server-groups/{group['id']}")
        for image in cloud.list(Service.IMAGE, "/images", "images", params={"owner": project_id}):
            if image["protected"]:
                unprotect = [{"op": "replace", "path": "/protected", "value": False}]
                cloud.patch(Service.IMAGE, f"/images/{image['id']}", unprotect)
            cloud.delete(Service.IMAGE, f"/images/{image['id']}")
        volumes = cloud.list(Service.VOLUME, "/volumes/detail", "volumes", params=own)
        for snapshot in cloud.list(Service.VOLUME, "/snapshots/detail", "snapshots", params=own):
            cloud.delete(Service.VOLUME, f"/snapshots/{snapshot['id']}")
            gone(lambda id=snapshot["id"]: cloud.get(Service.VOLUME, f"/snapshots/{id}"))
        for volume in volumes:
            cloud.delete(Service.VOLUME, f"/volumes/{volume['id']}")
            gone(lambda id=volume["id"]: cloud.get(Service.VOLUME, f"/volumes/{id}"))
        self._clear_network(cloud, project_id)
        Project().delete(cloud, project_id)

    @staticmethod
    def _clear_network(cloud: Cloud, project_id: str) -> None:
        for floating in cloud.list(
            Service.NETWORK, "/floatingips", "floatingips", params={"project_id": project_id}
        ):
            cloud.delete(Service.NETWORK, f"/floatingips/{floating['id']}")
        for router in cloud.list(Service.NETWORK, "/routers", "routers", params={"project_id": project_id}):
            Router().delete(cloud, router["id"])
        for path, items in (
            ("/ports", "ports"),
            ("/networks", "networks"),
            ("/security-groups", "security_groups"),
        ):
            for one in cloud.list(Service.NETWORK, path, items, params={"project_id": project_id}):
                if one.get("name") != "default":
                    cloud.delete(Service.NETWORK, f"{path}/{one['id']}")


def gone(get: Callable[[], Any], *, timeout: float = 60.0) -> None:
    """Wait until reading it is answered by 404."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            get()
        except errors.NotFound:
            return
        time.sleep(0.1)
    raise AssertionError("it is still there")


def finish(step: Step) -> Any:
    """Run a step and what it waits for."""
    return follow(step.run())


def follow(result: Any) -> Any:
    """The end of a result that may be deferred."""
    if not isinstance(result, Deferred):
        return result
    end = time.monotonic() + result.timeout
    while time.monotonic() < end:
        found = result.poll()
        if found is not PENDING:
            return found
        time.sleep(result.interval)
    raise AssertionError(f"timed out: {result.describe}")
