"""What can be asked of the API, one method for each operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pumphouse.api.v1.clouds import (
    Cloud,
    CloudCheck,
    CloudList,
    CloudResource,
    ResourcePage,
    Tenant,
    TenantPage,
)
from pumphouse.api.v1.events import Event, EventPage
from pumphouse.api.v1.finalizing import Listing
from pumphouse.api.v1.hosts import (
    Evacuation,
    EvacuationPage,
    Host,
    HostList,
    MoveDocument,
    MoveList,
)
from pumphouse.api.v1.migrations import (
    Migration,
    MigrationDetail,
    MigrationPage,
    StepDocument,
    StepPage,
    Unit,
    UnitPage,
)
from pumphouse.api.v1.operations import Operation, OperationPage
from pumphouse.api.v1.plans import Graph, Plan, PlanPage, PlanSummary
from pumphouse.api.v1.reports import Report
from pumphouse.api.v1.types import Type, TypeList
from pumphouse.api.v1.waves import Wave, WavePage
from pumphouse.client.transport import Transport

_PAGE = 1000
_AT_REST = frozenset({"PLANNED", "PAUSED"})


class Client:
    """The API of one server. Close it, or use it in a ``with``. See :class:`Transport` for the options.

    Every method raises :class:`pumphouse.errors.Unavailable` when nobody answers, and else the error that the
    server has.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._transport = Transport(url, **options)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- clouds

    def clouds(self) -> list[Cloud]:
        """The clouds, and when each was last read."""
        return self._transport.get(CloudList, "/clouds").clouds

    def check_cloud(self, cloud: str) -> CloudCheck:
        """What a cloud offers."""
        return self._transport.get(CloudCheck, f"/clouds/{cloud}/check")

    def refresh_cloud(self, cloud: str) -> Cloud:
        """Read a cloud as a whole, and wait until that is done."""
        self._done(f"/clouds/{cloud}/refresh", {}, None)
        return next(one for one in self.clouds() if one.name == cloud)

    def tenants(self, cloud: str, *, name: str = "") -> Iterator[Tenant]:
        """The tenants of a cloud, as it was last read."""
        for page in self._transport.pages(TenantPage, f"/clouds/{cloud}/tenants", limit=_PAGE, name=name):
            yield from page.tenants

    def resources(
        self, cloud: str, *, types: Sequence[str] = (), tenant: str | None = None, name: str = ""
    ) -> Iterator[CloudResource]:
        """What a cloud held when it was last read."""
        query = {"type": list(types), "tenant": tenant, "name": name}
        for page in self._transport.pages(ResourcePage, f"/clouds/{cloud}/resources", limit=_PAGE, **query):
            yield from page.resources

    def resource_types(self) -> list[Type]:
        """The types of resources."""
        return self._transport.get(TypeList, "/resource-types").resource_types

    # -- plans

    def plans(self) -> Iterator[PlanSummary]:
        """The plans, newest first."""
        for page in self._transport.pages(PlanPage, "/plans", limit=_PAGE):
            yield from page.plans

    def plan(self, plan_id: str) -> Plan:
        """A plan."""
        return self._transport.get(Plan, f"/plans/{plan_id}")

    def create_plan(
        self,
        kind: str,
        *names: str,
        source: str | None = None,
        destination: str | None = None,
        strategy: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        floating_ips: str | None = None,
        disk_mode: str | None = None,
    ) -> Plan:
        """Make a plan: what would be done with these tenants, servers, hosts, images or identities.

        Waits until it is made.
        """
        body = _new_plan(kind, names, source, destination, strategy, overrides, floating_ips, disk_mode)
        return self.plan(str(self._done("/plans", body, None).plan_id))

    def graph(self, plan_id: str) -> Graph:
        """A plan's graph."""
        return self._transport.get(Graph, f"/plans/{plan_id}/graph")

    def drawing(self, plan_id: str, language: str) -> str:
        """A plan's graph as text: ``dot`` or ``mermaid``."""
        return self._transport.send("GET", f"/plans/{plan_id}/graph", params={"format": language}).text

    def plan_file(self, plan_id: str) -> dict[str, Any]:
        """A plan as the command line saves it, for ``pumphouse migrate --plan`` or another server."""
        found: dict[str, Any] = self._transport.send("GET", f"/plans/{plan_id}/file").json()
        return found

    def take_plan(self, file: Mapping[str, Any]) -> PlanSummary:
        """Put a plan that was saved as a file into the store. It is planned again when it is carried out."""
        return self._transport.post(PlanSummary, "/plan-files", file)

    def delete_plan(self, plan_id: str) -> None:
        """Forget a plan."""
        self._transport.send("DELETE", f"/plans/{plan_id}")

    # -- migrations

    def migrate(
        self,
        kind: str,
        *names: str,
        source: str | None = None,
        destination: str | None = None,
        strategy: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        floating_ips: str | None = None,
        disk_mode: str | None = None,
        name: str = "",
        options: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Migration:
        """Plan, and carry it out. Returns once the migration is there; the work on it goes on.

        :param key: the same one gives the same migration, should the request have to be sent again.
        """
        plan = _new_plan(kind, names, source, destination, strategy, overrides, floating_ips, disk_mode)
        return self._begin({"plan": plan, "name": name, "options": dict(options or {})}, key)

    def migrate_plan(
        self,
        plan_id: str,
        *,
        check_fresh: bool = True,
        name: str = "",
        options: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Migration:
        """Carry a plan out. Returns once the migration is there; the work on it goes on.

        :param check_fresh: plan again, and refuse if the clouds have changed since.
        """
        body = {"plan_id": plan_id, "check_fresh": check_fresh, "name": name, "options": dict(options or {})}
        return self._begin(body, key)

    def migrations(
        self,
        *,
        state: str | None = None,
        source: str | None = None,
        destination: str | None = None,
        name: str = "",
        tenant: str | None = None,
    ) -> Iterator[Migration]:
        """The migrations, newest first."""
        query = {
            "state": state,
            "source": source,
            "destination": destination,
            "name": name,
            "tenant": tenant,
        }
        for page in self._transport.pages(MigrationPage, "/migrations", limit=_PAGE, **query):
            yield from page.migrations

    def migration(self, migration_id: str) -> MigrationDetail:
        """A migration as it is now."""
        return self._transport.get(MigrationDetail, f"/migrations/{migration_id}")

    def units(self, migration_id: str) -> Iterator[Unit]:
        """Its units."""
        for page in self._transport.pages(UnitPage, f"/migrations/{migration_id}/units", limit=_PAGE):
            yield from page.units

    def steps(self, migration_id: str, *, state: str = "", type: str = "") -> Iterator[StepDocument]:
        """Its steps."""
        query = {"state": state, "type": type}
        for page in self._transport.pages(
            StepPage, f"/migrations/{migration_id}/steps", limit=_PAGE, **query
        ):
            yield from page.steps

    def act(self, migration_id: str, action: str, *, jobs: int | None = None) -> Migration:
        """Have it ``pause``, ``resume``, ``cutover``, ``cancel``, ``retry``, ``rollback`` or ``verify``.

        :param jobs: how many steps run at the same time from now on.
        """
        body = {"action": action, "jobs": jobs}
        return self._transport.post(Migration, f"/migrations/{migration_id}/actions", body)

    def finalizable(self, migration_id: str, parts: Sequence[str] = ()) -> Listing:
        """See what a migration has left that could be removed for good. Waits until both clouds are read.

        :param parts: only ``source-servers``, ``source-volumes`` or ``markers``; none is all.
        """
        path = f"/migrations/{migration_id}/finalizable"
        self._done(path, {"parts": list(parts)} if parts else {}, None)
        return self._transport.get(Listing, path)

    def finalize(self, listing: Listing) -> list[str]:
        """Remove for good what goes of a listing; what was not removed, in words. Waits until that is done.

        Both clouds are read again first: what was used since stays. Nothing of it can be undone.
        """
        body = {"listing": listing.id}
        return self._done(f"/migrations/{listing.migration_id}/finalize", body, None).left

    def report(self, migration_id: str) -> Report:
        """What it came to."""
        return self._transport.get(Report, f"/migrations/{migration_id}/report")

    # -- waves

    def create_wave(
        self,
        name: str,
        groups: Sequence[Mapping[str, Any]],
        *,
        source: str | None = None,
        destination: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        mode: str | None = None,
        servers_at_once: int | None = None,
        stop_at: int | None = None,
        key: str | None = None,
    ) -> Wave:
        """Plan the groups of a wave, and keep it. Waits until that is done. ``resume`` begins it.

        :param mode: how servers' root disks travel.
        :param groups: each as in a wave's file: ``{"tenants": ["shop"], "start": "ask"}``.
        :param key: the same one gives the same wave, should the request have to be sent again.
        """
        body = {
            "name": name,
            "groups": [dict(one) for one in groups],
            "source": source,
            "destination": destination,
            "overrides": overrides,
            "mode": mode,
            "servers_at_once": servers_at_once,
            "stop_at": stop_at,
        }
        given = {word: value for word, value in body.items() if value is not None}
        return self.wave(str(self._done("/waves", given, key).wave_id))

    def waves(self) -> Iterator[Wave]:
        """The waves, newest first."""
        for page in self._transport.pages(WavePage, "/waves", limit=_PAGE):
            yield from page.waves

    def wave(self, wave_id: str) -> Wave:
        """A wave as it is now."""
        return self._transport.get(Wave, f"/waves/{wave_id}")

    def act_on_wave(
        self, wave_id: str, action: str, *, replan: bool = False, skip_failed: bool = False
    ) -> Wave:
        """Have it ``resume``, ``pause`` or ``rollback``. Returns at once.

        :param replan: with ``resume``, move what has changed since it was planned as it is now.
        :param skip_failed: with ``resume``, leave what has failed.
        """
        body = {"action": action, "replan": replan, "skip_failed": skip_failed}
        return self._transport.post(Wave, f"/waves/{wave_id}/actions", body)

    # -- hypervisors

    def hosts(self, cloud: str) -> list[Host]:
        """The hypervisors of a cloud, which is asked now."""
        return self._transport.get(HostList, f"/clouds/{cloud}/hosts").hosts

    def moves(self, cloud: str, host: str) -> list[MoveDocument]:
        """What would be done with each server of a hypervisor to empty it."""
        return self._transport.get(MoveList, f"/clouds/{cloud}/hosts/{host}/moves").moves

    def evacuate(
        self,
        cloud: str,
        host: str,
        *,
        at_once: int | None = None,
        partly: bool = False,
        key: str | None = None,
    ) -> Evacuation:
        """Empty a hypervisor inside its cloud. Waits until that has ended: see the state.

        :param at_once: how many servers move at the same time.
        :param partly: move what can be moved, though some servers cannot.
        """
        body = {"partly": partly} | ({"at_once": at_once} if at_once else {})
        done = self._done(f"/clouds/{cloud}/hosts/{host}/evacuate", body, key)
        return self.evacuation(str(done.evacuation_id))

    def evacuations(self, *, cloud: str | None = None) -> Iterator[Evacuation]:
        """The evacuations, newest first."""
        for page in self._transport.pages(EvacuationPage, "/evacuations", limit=_PAGE, cloud=cloud):
            yield from page.evacuations

    def evacuation(self, evacuation_id: str) -> Evacuation:
        """An evacuation as it is now."""
        return self._transport.get(Evacuation, f"/evacuations/{evacuation_id}")

    def stop_evacuation(self, evacuation_id: str) -> Evacuation:
        """Have no further server moved: what is under way ends. Returns at once."""
        return self._transport.post(Evacuation, f"/evacuations/{evacuation_id}/stop", {})

    # -- what was asked for

    def operations(self, *, state: str | None = None) -> Iterator[Operation]:
        """What was asked for, by anybody, and takes more than a moment; newest first."""
        for page in self._transport.pages(OperationPage, "/operations", limit=_PAGE, state=state):
            yield from page.operations

    def operation(self, operation_id: str) -> Operation:
        """One of these as it is now."""
        return self._transport.get(Operation, f"/operations/{operation_id}")

    # -- events

    def events(self, migration_id: str | None = None, *, after: int = 0) -> Iterator[Event]:
        """What has happened so far, in a migration or in all."""
        start: int | None = after
        while start is not None:
            page = self._transport.get(EventPage, _events_of(migration_id), after=start, limit=_PAGE)
            yield from page.events
            start = page.next_after

    def follow(self, migration_id: str, *, after: int = 0) -> Iterator[Event]:
        """What happens in a migration, as it happens, until nothing more is wanted of it."""
        for _, data in self._transport.stream(_events_of(migration_id), after=after):
            event = Event.model_validate_json(data)
            yield event
            if event.kind in {"migration_changed", "request_failed"} and self._at_rest(migration_id):
                return

    def follow_all(self, *, after: int = 0) -> Iterator[Event]:
        """What happens in all migrations, as it happens, for ever."""
        for _, data in self._transport.stream(_events_of(None), after=after):
            yield Event.model_validate_json(data)

    def _begin(self, body: Mapping[str, Any], key: str | None) -> Migration:
        return self.migration(str(self._done("/migrations", body, key).migration_id))

    def _done(self, path: str, body: Mapping[str, Any], key: str | None) -> Operation:
        """Ask for an operation, and wait until it is done."""
        headers = {"Idempotency-Key": key} if key else None
        return self._transport.ended(self._transport.post(Operation, path, body, headers).id)

    def _at_rest(self, migration_id: str) -> bool:
        now = self.migration(migration_id)
        return now.wanted is None and (now.state.ended or now.state in _AT_REST)


def _events_of(migration_id: str | None) -> str:
    return "/events" if migration_id is None else f"/migrations/{migration_id}/events"


def _new_plan(
    kind: str,
    names: Sequence[str],
    source: str | None,
    destination: str | None,
    strategy: str | None,
    overrides: Mapping[str, Any] | None,
    floating_ips: str | None,
    disk_mode: str | None,
) -> dict[str, Any]:
    body = {
        "scope": {"kind": kind, "names": list(names), "strategy": strategy},
        "source": source,
        "destination": destination,
        "overrides": dict(overrides or {}),
        "floating_ips": floating_ips,
        "disk_mode": disk_mode,
    }
    return {name: value for name, value in body.items() if value is not None}
