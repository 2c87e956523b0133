"""What pumphouse can do, as functions: the command line and the API parse, call one of these, and render."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pumphouse import errors
from pumphouse.clouds import Clouds, Settings
from pumphouse.clouds.capabilities import CloudCheck, check
from pumphouse.clouds.cloud import Cloud
from pumphouse.config import Config
from pumphouse.engine.control import Control
from pumphouse.events import Listener
from pumphouse.model import Inventory, Scope
from pumphouse.plan import overrides
from pumphouse.plan.document import Plan, require_fresh
from pumphouse.plan.planner import make_plan
from pumphouse.registry import Registry
from pumphouse.report.model import Report
from pumphouse.service import reading
from pumphouse.service.migrating import Migrating
from pumphouse.service.plans import load_plan, save_plan, subjects
from pumphouse.store.events import EventRecord
from pumphouse.store.migrations import MigrationRecord, Request
from pumphouse.store.opening import Store, open_store
from pumphouse.store.states import MigrationState
from pumphouse.store.units import UnitRecord


class Pumphouse:
    """The application. Nothing is opened before it is needed; close it, or use it in a ``with``."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @classmethod
    def open(cls, config: Config) -> Pumphouse:
        """The application with this configuration."""
        return cls(config)

    def close(self) -> None:
        """Close the store."""
        if "store" in self.__dict__:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def registry(self) -> Registry:
        """The resource types."""
        return Registry.load()

    @cached_property
    def store(self) -> Store:
        """The store. Raises DatabaseError or SchemaError."""
        return open_store(self.config.store.url)

    @cached_property
    def clouds(self) -> Clouds:
        """The clouds of clouds.yaml."""
        return Clouds(settings=Settings.of(self.config))

    # -- clouds

    def cloud_names(self) -> list[str]:
        """The names of clouds.yaml, sorted."""
        return self.clouds.names()

    def check_cloud(self, name: str) -> CloudCheck:
        """What a cloud offers, and what the operator's account may do there."""
        return check(self.clouds.open(name))

    def inventory(
        self,
        cloud: str,
        *,
        tenant: str | None = None,
        types: Collection[str] = (),
        progress: reading.Progress = reading.quiet,
    ) -> Inventory:
        """What a cloud holds, as a whole or of one tenant. A whole one is kept in the store."""
        found = reading.read_one(
            self.clouds.open(cloud), self.registry, tenant=tenant, types=types, progress=progress
        )
        if tenant is None and not types:
            self.store.inventories.save(found)
        return found

    # -- plans

    def plan(
        self,
        scope: Scope,
        *,
        source: str,
        destination: str,
        override_file: Path | None = None,
        progress: reading.Progress = reading.quiet,
    ) -> Plan:
        """Read both clouds and decide what to do. Writes nothing to any cloud.

        :raises pumphouse.errors.UsageError: the scope, a cloud or the override file is wrong.
        :raises pumphouse.errors.CloudError: a cloud cannot be read.
        """
        wanted = overrides.load(override_file, self.registry) if override_file else overrides.Overrides()
        here, there = self._pair(source, destination)
        return save_plan(self.store, self._make_plan(scope, here, there, wanted, progress))

    def start(self, plan: Plan, *, check_fresh: bool, name: str = "") -> MigrationRecord:
        """Record a migration that will carry out a plan. Writes nothing to any cloud.

        :param check_fresh: plan again and refuse if the clouds have changed since.
        :raises pumphouse.errors.PlanBlocked: the plan has blocked resources.
        :raises pumphouse.errors.StalePlan: the clouds have changed.
        """
        plan.require_unblocked()
        if check_fresh:
            here, there = self._pair(plan.source, plan.destination)
            wanted = overrides.parse(plan.overrides, self.registry, where="the plan")
            fresh = self._make_plan(plan.scope, here, there, wanted, reading.quiet)
            require_fresh(plan, fresh)
            plan = save_plan(self.store, plan)
        return self.store.migrations.create(
            name=name or str(plan.scope),
            plan_id=plan.id,
            source=plan.source,
            destination=plan.destination,
            subjects=subjects(plan),
            options=self._options(),
        )

    def plan_of(self, migration_id: str) -> Plan:
        """The plan that a migration carries out."""
        return load_plan(self.store, self.migration(migration_id).plan_id)

    # -- migrations

    def run(
        self,
        migration_id: str,
        *,
        jobs: int | None = None,
        listener: Listener | None = None,
        control: Control | None = None,
    ) -> MigrationRecord:
        """Carry a migration out, in this process, until it ends or pauses.

        :raises pumphouse.errors.MigrationBusy: another process is at it, or at another one of its subjects.
        """
        return self._migrating(migration_id, jobs, listener, control).run()

    def resume(
        self,
        migration_id: str,
        *,
        jobs: int | None = None,
        listener: Listener | None = None,
        control: Control | None = None,
    ) -> MigrationRecord:
        """Go on with a paused or interrupted migration, or with an interrupted roll-back."""
        return self._migrating(migration_id, jobs, listener, control).resume()

    def retry(
        self,
        migration_id: str,
        *,
        jobs: int | None = None,
        listener: Listener | None = None,
        control: Control | None = None,
    ) -> MigrationRecord:
        """Plan the same scope again, and do what is missing, as the same migration."""
        return self._migrating(migration_id, jobs, listener, control).retry(self._plan_again)

    def rollback(
        self,
        migration_id: str,
        *,
        jobs: int | None = None,
        listener: Listener | None = None,
        control: Control | None = None,
    ) -> MigrationRecord:
        """Take back everything that a migration did, on both clouds."""
        return self._migrating(migration_id, jobs, listener, control).roll_back()

    def pause(self, migration_id: str) -> MigrationRecord:
        """Ask the process that runs it to stop in order; do it here if none does."""
        return self._ask(migration_id, Request.PAUSE, MigrationState.PAUSED)

    def cancel(self, migration_id: str) -> MigrationRecord:
        """Have it stopped, and what has not ended taken back: by the process that runs it, or else here."""
        record = self.migration(migration_id)
        if record.state is MigrationState.PLANNED:
            return self.store.migrations.set_state(record.id, MigrationState.CANCELLED)
        if self._alive(record) or record.state.ended:
            return self.store.migrations.request(record.id, Request.CANCEL)
        return self._migrating(record.id, None, None, None).cancel()

    def verify(self, migration_id: str, progress: reading.Progress = reading.quiet) -> Report:
        """Compare both clouds again, now. Changes nothing but the stored report."""
        return self._migrating(migration_id, None, None, None).prove(progress)

    def report(self, migration_id: str) -> Report:
        """The stored report. Raises WrongState before there is one."""
        record = self.migration(migration_id)
        found = self.store.migrations.report(record.id)
        if found is None:
            raise errors.WrongState(
                f"migration {record.id} is {record.state} and has no report yet",
                next_step=f"Make one with: pumphouse migration verify {record.id}",
            )
        return Report.from_dict(found)

    def migrations(self, *, state: str | None = None, limit: int = 50) -> list[MigrationRecord]:
        """Migrations, newest first. Raises UsageError for a state that does not exist."""
        try:
            wanted = MigrationState(state.upper()) if state else None
        except ValueError:
            known = ", ".join(one.lower() for one in MigrationState)
            raise errors.UsageError(
                f"there is no state {state!r}", next_step=f"Known are: {known}."
            ) from None
        return list(self.store.migrations.list(state=wanted, limit=limit))

    def migration(self, migration_id: str) -> MigrationRecord:
        """One migration. Raises UnknownMigration or AmbiguousName."""
        return self.store.migrations.get(migration_id)

    def units(self, migration_id: str) -> list[UnitRecord]:
        """Its units, needed ones first."""
        return list(self.store.units.of(self.migration(migration_id).id))

    def events(self, migration_id: str, *, after: int = 0, limit: int = 1000) -> list[EventRecord]:
        """Its events numbered above ``after``."""
        return list(
            self.store.events.read(after=after, migration=self.migration(migration_id).id, limit=limit)
        )

    # -- inside

    def _pair(self, source: str, destination: str) -> tuple[Cloud, Cloud]:
        """Both clouds, open. Raises SameCloud when they are one, whatever their names."""
        if source == destination:
            raise errors.SameCloud(f"source and destination are both {source!r}", next_step=_TWO)
        here, there = self.clouds.open(source), self.clouds.open(destination)
        if here.identity_of() == there.identity_of():
            raise errors.SameCloud(f"{source!r} and {destination!r} are the same cloud", next_step=_TWO)
        return here, there

    def _make_plan(
        self,
        scope: Scope,
        source: Cloud,
        destination: Cloud,
        wanted: overrides.Overrides,
        progress: reading.Progress,
    ) -> Plan:
        here, there = reading.read_both(
            source, destination, self.registry, scope=scope, overrides=wanted, progress=progress
        )
        known = self.store.ids.all(source.name, destination.name)
        return make_plan(
            scope,
            source=here,
            destination=there,
            registry=self.registry,
            overrides=wanted,
            known={ref: record.destination_id for ref, record in known.items()},
        )

    def _plan_again(self, plan: Plan) -> Plan:
        """A fresh plan of the same scope."""
        here, there = self._pair(plan.source, plan.destination)
        wanted = overrides.parse(plan.overrides, self.registry, where="the plan")
        return save_plan(self.store, self._make_plan(plan.scope, here, there, wanted, reading.quiet))

    def _migrating(
        self, migration_id: str, jobs: int | None, listener: Listener | None, control: Control | None
    ) -> Migrating:
        record = self.migration(migration_id)
        return Migrating(
            self,
            record,
            jobs=jobs or self.config.engine.jobs,
            listener=listener,
            control=control or Control(),
        )

    def _ask(self, migration_id: str, what: Request, state: MigrationState) -> MigrationRecord:
        record = self.migration(migration_id)
        if self._alive(record) or not record.state.active:
            return self.store.migrations.request(record.id, what)
        return self.store.migrations.set_state(record.id, state, reason="paused while no process ran it")

    @staticmethod
    def _alive(record: MigrationRecord) -> bool:
        """Whether a living process is at work on it."""
        return record.owner is not None and record.owner.alive(
            heartbeat_at=record.heartbeat_at, now=datetime.now(UTC)
        )

    def _options(self) -> Mapping[str, Any]:
        """The choices that the migration keeps to, also when it is resumed under another configuration."""
        choices = self.config.migration
        return {
            "quiesce": str(choices.quiesce),
            "passwords": str(choices.passwords),
            "floating_ips": str(choices.floating_ips),
        }


_TWO = "Name two clouds with --source and --destination; see them with: pumphouse cloud list"
