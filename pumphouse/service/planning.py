"""Making plans: reads both clouds, and decides from what the store knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumphouse import errors, health
from pumphouse.clouds.cloud import Cloud
from pumphouse.config import FloatingIPs
from pumphouse.engine import access
from pumphouse.model import DiskMode, Ref, Scope
from pumphouse.plan.document import Plan, require_fresh
from pumphouse.plan.overrides import Overrides, load, parse
from pumphouse.plan.planner import make_plan
from pumphouse.service import reading
from pumphouse.service.plans import save_plan

if TYPE_CHECKING:
    from pumphouse.service.app import Pumphouse


class Planning:
    """Makes plans, and keeps them in the store."""

    def __init__(self, app: Pumphouse) -> None:
        self._app = app

    def plan(
        self,
        scope: Scope,
        *,
        source: str,
        destination: str,
        override_file: Path | None,
        overrides: Mapping[str, Any] | None,
        floating_ips: FloatingIPs | None,
        disk_mode: DiskMode | None,
        progress: reading.Progress,
    ) -> Plan:
        """A new plan."""
        registry = self._app.registry
        if override_file is not None:
            wanted = load(override_file, registry)
        else:
            wanted = parse(overrides or {}, registry, where="overrides")
        here, there = self._pair(source, destination)
        addresses = floating_ips or self._app.config.migration.floating_ips
        disks = disk_mode or self._app.config.migration.disk_mode
        made = self._make(scope, here, there, wanted, addresses, disks, progress)
        return save_plan(self._app.store, made)

    def again(self, plan: Plan) -> Plan:
        """A plan of the same, of what both clouds have now."""
        return save_plan(self._app.store, self._fresh(plan, reading.quiet))

    def require_fresh(self, plan: Plan, progress: reading.Progress) -> Plan:
        """The same plan of what the clouds have now. Raises StalePlan if that differs in what it does.

        What the file says besides, such as what an undo puts back, is not relied upon.
        """
        fresh = self._fresh(plan, progress)
        require_fresh(plan, fresh)
        return save_plan(self._app.store, fresh)

    def _fresh(self, plan: Plan, progress: reading.Progress) -> Plan:
        here, there = self._pair(plan.source, plan.destination)
        wanted = parse(plan.overrides, self._app.registry, where="the plan")
        addresses, disks = FloatingIPs(plan.floating_ips), DiskMode(plan.disk_mode)
        return self._make(plan.scope, here, there, wanted, addresses, disks, progress)

    def _make(
        self,
        scope: Scope,
        source: Cloud,
        destination: Cloud,
        wanted: Overrides,
        addresses: FloatingIPs,
        disks: DiskMode,
        progress: reading.Progress,
    ) -> Plan:
        registry = self._app.registry
        lent = self._lent(source)
        here, there = reading.read_both(
            source, destination, registry, scope=scope, overrides=wanted, progress=progress
        )
        for ref in lent | self._lent(source):  # given or taken back while the cloud was read, too
            here.remove(ref)
        known = self._app.store.ids.all(source.name, destination.name)
        plan = make_plan(
            scope,
            source=here,
            destination=there,
            registry=registry,
            overrides=wanted,
            known={ref: record.destination_id for ref, record in known.items()},
            adopted={ref for ref, record in known.items() if not record.made},
            half_made=self._app.store.journal.half_made(source.name, destination.name),
            copied=self._app.store.journal.copied(source.name, destination.name),
            leave_out=_LEFT_OUT if addresses is FloatingIPs.SKIP else {},
            choices={"disk_mode": disks},
            complete=reading.completing(source, destination, registry=registry),
        )
        return replace(plan, floating_ips=str(addresses), disk_mode=str(disks))

    def _lent(self, cloud: Cloud) -> set[Ref]:
        """The roles that migrations have given the operator for the time being: nobody's to move."""
        grants = self._app.store.journal.on(cloud.name, access.STEP)
        return {Ref("role_assignment", access.path_of(grant)) for grant in grants}

    def _pair(self, source: str, destination: str) -> tuple[Cloud, Cloud]:
        """Both clouds, open. Raises SameCloud when they are one, whatever their names."""
        distinct(source, destination)
        here, there = self._app.clouds.open(source), self._app.clouds.open(destination)
        if here.identity_of() == there.identity_of():
            raise errors.SameCloud(f"{source!r} and {destination!r} are the same cloud", next_step=_TWO)
        return here, there


def require_allowed(given: Iterable[Mapping[str, Any]], programs: Collection[str]) -> None:
    """Refuse health checks that run other programs on this machine: whoever sent them is somewhere else.

    :param given: override files' contents, or facts of planned servers.
    :raises pumphouse.errors.BadOverride: one runs a program that is none of these.
    """
    for one in given:
        checks = health.parse(one.get(health.SECTION, []), where="overrides")
        refused = health.forbidden(checks, programs=programs)
        if refused is not None:
            raise errors.BadOverride(
                f"the check {str(refused)!r} would run a program that is not allowed here",
                next_step="Add it to the option health_commands of [api], or plan on the command line.",
            )


def distinct(source: str, destination: str) -> None:
    """Raise SameCloud where both names are one."""
    if source == destination:
        raise errors.SameCloud(f"source and destination are both {source!r}", next_step=_TWO)


_LEFT_OUT = {"floating_ip": "floating addresses are left out by the option floating_ips"}
_TWO = "Name two clouds with --source and --destination; see them with: pumphouse cloud list"
