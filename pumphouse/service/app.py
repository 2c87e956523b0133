"""What pumphouse can do, as functions: the command line and the API parse, call one of these, and render."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pumphouse import errors
from pumphouse.model import DiskMode, Inventory, Scope
from pumphouse.store.evacuations import EvacuationRecord
from pumphouse.store.events import EventRecord
from pumphouse.store.migrations import MigrationRecord, Request, RequestKey
from pumphouse.store.names import PREPARE
from pumphouse.store.opening import Store, open_store
from pumphouse.store.plans import PlanRecord
from pumphouse.store.states import MigrationState
from pumphouse.store.units import UnitRecord
from pumphouse.store.wishes import Wish

if TYPE_CHECKING:
    # Imported where they are used: a listing starts without openstacksdk, TaskFlow and networkx.
    from pumphouse.clouds import Clouds
    from pumphouse.clouds.capabilities import CloudCheck
    from pumphouse.clouds.http import Observer
    from pumphouse.config import Config, FloatingIPs
    from pumphouse.engine.control import Control
    from pumphouse.events import Listener
    from pumphouse.plan.document import Plan
    from pumphouse.registry import Registry
    from pumphouse.report.model import Report
    from pumphouse.service.feed import Feed
    from pumphouse.service.finalizable import Candidate, Part
    from pumphouse.service.hosts import Host
    from pumphouse.service.kept import Kept
    from pumphouse.service.migrating import Migrating
    from pumphouse.service.moved import History, Moved
    from pumphouse.service.moves import Move
    from pumphouse.service.operations import Operations
    from pumphouse.service.planning import Planning
    from pumphouse.service.reading import Progress
    from pumphouse.service.runner import Runner
    from pumphouse.service.snapshots import CloudRecord, Snapshot, Snapshots
    from pumphouse.service.steps import StepRecord, StepsOfAll
    from pumphouse.service.supervisor import Supervisor
    from pumphouse.service.wavefile import WaveFile
    from pumphouse.service.waves import Operator, Waving
    from pumphouse.service.webhooks import Webhooks
    from pumphouse.store.waves import WaveRecord


class Pumphouse:
    """The application. Nothing is opened before it is needed; close it, or use it in a ``with``."""

    def __init__(self, config: Config, *, observer: Observer | None = None) -> None:
        self.config = config
        self._observer = observer
        self._supervisor: Supervisor | None = None
        self._runner: Runner | None = None

    @classmethod
    def open(cls, config: Config, *, observer: Observer | None = None) -> Pumphouse:
        """The application with this configuration.

        :param observer: told of each request to a cloud.
        """
        return cls(config, observer=observer)

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
        from pumphouse.registry import Registry

        return Registry.load()

    @cached_property
    def store(self) -> Store:
        """The store. Raises BadConfig, CannotOpen or SchemaError."""
        return open_store(self.config.store.url)

    @cached_property
    def clouds(self) -> Clouds:
        """The clouds of clouds.yaml."""
        from pumphouse.clouds import Clouds, Settings

        return Clouds(settings=Settings.of(self.config, observer=self._observer))

    @cached_property
    def snapshots(self) -> Snapshots:
        """What the store knows of each cloud."""
        from pumphouse.service.snapshots import Snapshots

        return Snapshots(self.store.inventories, lambda: self.registry)

    @cached_property
    def _plans(self) -> Kept[str, Plan]:
        """The plans that were asked for last, unpacked: one never changes."""
        from pumphouse.service.kept import Kept

        return Kept()

    @cached_property
    def _steps(self) -> StepsOfAll:
        from pumphouse.service.steps import StepsOfAll

        return StepsOfAll(self.store.events, lambda: self.registry, self.plan_of)

    @cached_property
    def _history(self) -> History:
        from pumphouse.service.moved import History

        return History(self.store.migrations, lambda: self.registry, self.plan_of)

    @cached_property
    def _waving(self) -> Waving:
        from pumphouse.service.waves import Waving

        return Waving(self)

    @cached_property
    def _planning(self) -> Planning:
        from pumphouse.service.planning import Planning

        return Planning(self)

    @cached_property
    def operations(self) -> Operations:
        """What is asked for and takes more than a moment. A :meth:`runner` does it."""
        from pumphouse.service.operations import Operations

        return Operations(self)

    # -- clouds

    def cloud_names(self) -> list[str]:
        """The names of clouds.yaml, sorted."""
        return self.clouds.names()

    def check_cloud(self, name: str) -> CloudCheck:
        """What a cloud offers, and what the operator's account may do there."""
        from pumphouse.clouds.capabilities import check

        return check(self.clouds.open(name))

    def inventory(
        self,
        cloud: str,
        *,
        tenant: str | None = None,
        types: Collection[str] = (),
        progress: Progress | None = None,
    ) -> Inventory:
        """What a cloud holds, as a whole or of one tenant. A whole one is kept in the store."""
        from pumphouse.service.reading import quiet, read_one

        found = read_one(
            self.clouds.open(cloud), self.registry, tenant=tenant, types=types, progress=progress or quiet
        )
        if tenant is None and not types:
            self.store.inventories.save(found)
        return found

    def cloud_records(self) -> list[CloudRecord]:
        """The clouds of clouds.yaml, and when each was last read as a whole."""
        return self.snapshots.records(self.cloud_names())

    def snapshot(self, cloud: str) -> Snapshot:
        """What a cloud held when it was last read as a whole. Raises UnknownCloud or NotRead."""
        self.clouds.require(cloud)
        return self.snapshots.latest(cloud)

    def moved(self, snapshot: Snapshot, tenants: Sequence[str]) -> Mapping[str, Moved]:
        """When these tenants (ids) of a cloud were last moved, and what of them has changed since; by id."""
        return self._history.of(snapshot, tenants)

    def refresh(self, cloud: str, *, progress: Progress | None = None) -> Snapshot:
        """Read a cloud as a whole, and keep what it holds in the store."""
        self.clouds.require(cloud)
        return self.snapshots.refresh(cloud, lambda: self.inventory(cloud, progress=progress))

    # -- plans

    def plan(
        self,
        scope: Scope,
        *,
        source: str,
        destination: str,
        override_file: Path | None = None,
        overrides: Mapping[str, Any] | None = None,
        floating_ips: FloatingIPs | None = None,
        disk_mode: DiskMode | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """Read both clouds and decide what to do. Writes nothing to any cloud.

        :param overrides: what an override file would hold, as somebody has sent it.
        :param floating_ips: what becomes of floating addresses; None is as configured.
        :param disk_mode: how servers' root disks travel; None is as configured.
        :raises pumphouse.errors.UsageError: the scope, a cloud or the override file is wrong.
        :raises pumphouse.errors.CloudError: a cloud cannot be read.
        """
        from pumphouse.service.planning import require_allowed
        from pumphouse.service.reading import quiet

        require_allowed([overrides or {}], self.config.api.health_commands)
        return self._planning.plan(
            scope,
            source=source,
            destination=destination,
            override_file=override_file,
            overrides=overrides,
            floating_ips=floating_ips,
            disk_mode=disk_mode,
            progress=progress or quiet,
        )

    def start(
        self,
        plan: Plan,
        *,
        check_fresh: bool,
        name: str = "",
        options: Mapping[str, Any] | None = None,
        wanted: bool = False,
        key: RequestKey | None = None,
        progress: Progress | None = None,
    ) -> MigrationRecord:
        """Record a migration that will carry out a plan. Writes nothing to any cloud.

        :param check_fresh: plan again and refuse if the clouds have changed since.
        :param options: choices otherwise than configured: ``quiesce``, ``passwords``, ``jobs``, ``transfers``
            and ``bandwidth``; and ``prepare``, to leave what needs downtime for :meth:`cut_over`.
        :param wanted: whether a supervisor shall carry it out.
        :param key: of the request; the same request again gives the same migration.
        :param progress: told what is read to check that it is fresh.
        :raises pumphouse.errors.PlanBlocked: the plan has blocked resources.
        :raises pumphouse.errors.StalePlan: the clouds have changed.
        """
        from pumphouse.service.plans import subjects
        from pumphouse.service.reading import quiet

        plan.require_unblocked()
        if check_fresh:
            plan = self._planning.require_fresh(plan, progress or quiet)
        record = self.store.migrations.create(
            name=name or str(plan.scope),
            plan_id=plan.id,
            source=plan.source,
            destination=plan.destination,
            subjects=subjects(plan),
            options={**self._options(), "floating_ips": plan.floating_ips, **(options or {})},
            wanted=Wish.RUN if wanted else None,
            key=key,
        )
        self.look()
        return record

    def made_by(self, key: RequestKey) -> MigrationRecord | None:
        """The migration that the same request has made before. Raises KeyReused."""
        return self.store.migrations.of_key(key)

    def plans(self, *, limit: int = 50, marker: str | None = None) -> list[PlanRecord]:
        """Plans, newest first; those that come after the one whose id is ``marker``."""
        return list(self.store.plans.list(limit=limit, marker=marker))

    def stored_plan(self, plan_id: str) -> Plan:
        """A plan of the store. Raises UnknownMigration or AmbiguousName."""
        from pumphouse.service.plans import load_plan

        id = self.store.plans.get(plan_id).id
        return self._plans.get(id, lambda: load_plan(self.store, id))

    def keep_plan(self, plan: Plan) -> Plan:
        """Put a plan that somebody has sent into the store; the same with its new id.

        Raises BadOverride for a health check that may not be run for others.
        """
        from pumphouse.service.planning import require_allowed
        from pumphouse.service.plans import save_plan

        checks = [plan.overrides, *(one.resource.facts for one in plan.resources)]
        require_allowed(checks, self.config.api.health_commands)
        return save_plan(self.store, plan)

    def delete_plan(self, plan_id: str) -> PlanRecord:
        """Forget a plan. Raises WrongState if it is a migration's."""
        return self.store.plans.delete(plan_id)

    def plan_of(self, migration_id: str) -> Plan:
        """The plan that a migration carries out."""
        return self.stored_plan(self.migration(migration_id).plan_id)

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
        return self._migrating(migration_id, jobs, listener, control).retry(self._planning.again)

    def cut_over(
        self,
        migration_id: str,
        *,
        jobs: int | None = None,
        listener: Listener | None = None,
        control: Control | None = None,
    ) -> MigrationRecord:
        """Plan the scope of a prepared migration again, and do all that was left, as the same migration.

        :raises pumphouse.errors.WrongState: it was not prepared.
        :raises pumphouse.errors.PlanBlocked: something is blocked: data used since they were copied.
        """
        return self._migrating(migration_id, jobs, listener, control).cut_over(self._planning.again)

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

    def finalizable(
        self,
        migration_id: str,
        parts: Collection[Part] | None = None,
        *,
        progress: Progress | None = None,
    ) -> list[Candidate]:
        """What of a migration could be finalised, and what must stay and why. Changes nothing.

        :param parts: only these; None is all.
        :raises pumphouse.errors.WrongState: it has not succeeded, wholly or in part.
        """
        from pumphouse.service.finalizable import Part, find_candidates
        from pumphouse.service.reading import quiet

        work = self._migrating(migration_id, None, None, None)
        return find_candidates(work, set(Part) if parts is None else parts, progress=progress or quiet)

    def finalize(
        self,
        migration_id: str,
        wanted: Sequence[Candidate],
        *,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> list[str]:
        """Remove for good what :meth:`finalizable` has told; what was not removed, in words.

        Both clouds are read again first: what has been used or has lost its counterpart since then stays.

        :param stop: once it is set nothing more is removed or waited for. Asked again, it goes on.
        :raises pumphouse.errors.MigrationBusy: another process is at work on it.
        :raises pumphouse.errors.WrongState: by now it is none that has succeeded, wholly or in part.
        """
        from pumphouse.service.finalizing import Finalizing
        from pumphouse.service.reading import quiet

        work = self._migrating(migration_id, None, None, None)
        stop = stop or threading.Event()
        return Finalizing(work, progress=progress or quiet, stop=stop).remove(wanted)

    # -- waves

    def plan_wave(
        self, path: Path, *, disk_mode: DiskMode | None = None, progress: Progress | None = None
    ) -> WaveRecord:
        """Plan all groups that a file describes, and keep the wave. Writes nothing to any cloud.

        :param disk_mode: how servers' root disks travel where the file says nothing; None is as configured.
        :raises pumphouse.errors.BadWave: the file is wrong.
        """
        from pumphouse.service import wavefile

        described = wavefile.load(path)
        return self.plan_described(described, name=path.name, disk_mode=disk_mode, progress=progress)

    def plan_described(
        self,
        described: WaveFile,
        *,
        name: str,
        disk_mode: DiskMode | None = None,
        progress: Progress | None = None,
    ) -> WaveRecord:
        """Plan all groups of a wave, and keep it. Writes nothing to any cloud.

        :param disk_mode: how servers' root disks travel where the description says nothing.
        :raises pumphouse.errors.BadWave: two groups move the same server.
        """
        from pumphouse.service.reading import quiet

        return self._waving.plan(described, name, progress or quiet, disk_mode=disk_mode)

    def plan_again(self, plan: Plan) -> Plan:
        """A plan of the same, of what both clouds have now."""
        return self._planning.again(plan)

    def waves(self, *, limit: int = 50, marker: str | None = None) -> list[WaveRecord]:
        """Waves, newest first; those that come after the one whose id is ``marker``."""
        return list(self.store.waves.list(limit=limit, marker=marker))

    def wave(self, wave_id: str) -> WaveRecord:
        """One wave. Raises UnknownMigration or AmbiguousName."""
        return self.store.waves.get(wave_id)

    def wave_states(self, record: WaveRecord) -> list[MigrationState]:
        """How far each group of a wave is: its migration's state."""
        return [
            self.migration(one.migration_id).state if one.migration_id else MigrationState.PLANNED
            for one in record.groups
        ]

    def wave_plans(self, wave_id: str) -> list[Plan]:
        """The plans of a wave's groups, in their order."""
        return self._waving.plans(self.wave(wave_id))

    def allow_wave(self, wave_id: str) -> None:
        """Give the word to the group that waits for it, if one does."""
        self._waving.allow(wave_id)

    def require_runnable(self, wave_id: str, *, replan: bool) -> None:
        """Raise WrongState for a wave that has ended, and PlanBlocked for one that none may begin of."""
        self._waving.require_runnable(self.wave(wave_id), replan=replan)

    def pause_wave(self, wave_id: str) -> WaveRecord:
        """Have a wave stop in order, by whichever process is at it. Raises WrongState if none is."""
        return self._waving.pause(wave_id)

    def run_wave(
        self,
        wave_id: str,
        operator: Operator,
        *,
        replan: bool = False,
        skip_failed: bool = False,
        stop: threading.Event | None = None,
    ) -> WaveRecord:
        """Carry out what is left of a wave, in this process, until it ends or has to wait for somebody.

        :param operator: gives the word to groups that wait for it, and shows each migration.
        :param replan: whether what has changed since the wave was planned is moved as it is now.
        :param skip_failed: whether groups that have failed are left so, rather than tried again.
        :param stop: once it is set no group is waited for any longer.
        :raises pumphouse.errors.WrongState: it has ended.
        """
        return self._waving.run(
            wave_id, operator, replan=replan, skip_failed=skip_failed, stop=stop or threading.Event()
        )

    def rollback_wave(
        self, wave_id: str, operator: Operator, *, stop: threading.Event | None = None
    ) -> WaveRecord:
        """Take back all groups of a wave, the last one first.

        :param stop: once it is set no further group is taken back.
        """
        return self._waving.roll_back(wave_id, operator, stop or threading.Event())

    # -- hypervisors

    def plan_evacuation(self, cloud: str, host: str) -> list[Move]:
        """What would be done with each server of a hypervisor to empty it. Changes nothing.

        :raises pumphouse.errors.UnknownResource: there is no such host.
        :raises pumphouse.errors.PlanBlocked: no other host could take a server, or this one is down.
        """
        from pumphouse.service.evacuating import Evacuating

        return Evacuating(self, cloud, host).plan()

    def evacuate(
        self,
        cloud: str,
        host: str,
        *,
        at_once: int,
        listener: Callable[[str], None],
        stop: threading.Event | None = None,
        let_go: threading.Event | None = None,
        begun: Callable[[str], None] = lambda _id: None,
    ) -> EvacuationRecord:
        """Empty a hypervisor inside its cloud; how that ended. Its compute service is disabled first.

        :param at_once: how many servers move at the same time.
        :param listener: told in lines what becomes of each.
        :param stop: once it is set no further server is moved.
        :param let_go: once it is set the rest is left to another process, and LetGo raised.
        :param begun: told the evacuation's id once it is in the store.
        :raises pumphouse.errors.MigrationBusy: another process is at it.
        """
        from pumphouse.service.evacuating import Evacuating

        work = Evacuating(self, cloud, host, at_once=at_once, listener=listener, stop=stop, let_go=let_go)
        return work.run(begun)

    def hosts(self, cloud: str) -> Sequence[Host]:
        """The hypervisors of a cloud, and how their compute services stand now."""
        from pumphouse.service.hosts import list_hosts

        return list_hosts(self.clouds.open(cloud))

    def evacuations(
        self, *, cloud: str | None = None, limit: int = 50, marker: str | None = None
    ) -> list[EvacuationRecord]:
        """Evacuations, newest first; those that come after the one whose id is ``marker``."""
        return list(self.store.evacuations.list(cloud=cloud, limit=limit, marker=marker))

    def evacuation(self, evacuation_id: str) -> EvacuationRecord:
        """One evacuation. Raises UnknownMigration or AmbiguousName."""
        return self.store.evacuations.get(evacuation_id)

    def stop_evacuation(self, evacuation_id: str) -> EvacuationRecord:
        """Have no further server moved: what is under way ends. Raises WrongState for one that has ended."""
        return self.store.evacuations.stop(evacuation_id)

    def feed(self, form: Callable[[EventRecord], bytes]) -> Feed:
        """All events as they come, for any number of followers. Close it before this.

        :param form: puts an event into the form in which it is sent.
        """
        from pumphouse.service.feed import Feed

        return Feed(self.store.events, form=form)

    def webhooks(self) -> Webhooks:
        """The deliveries to the configured URLs. Close them before this. Raises BadConfig."""
        from pumphouse.service.webhooks import Webhooks

        options = self.config.webhooks
        wrong = [url for url in options.urls if not url.startswith(("http://", "https://"))]
        if wrong or (options.urls and not options.secret):
            raise errors.BadConfig(
                "[webhooks] needs URLs that begin with http:// or https://, and a secret to sign with"
            )
        return Webhooks(self.store.events, options.urls, secret=options.secret)

    def supervise(self, *, at_once: int) -> Supervisor:
        """A supervisor of this process, which does what is wanted. Close it before this.

        :param at_once: how many migrations it carries out at the same time.
        """
        from pumphouse.service.supervisor import Supervisor

        self._supervisor = Supervisor(self, at_once=at_once)
        return self._supervisor

    def runner(self) -> Runner:
        """A runner of this process, which does what is asked of :attr:`operations`. Close it before this."""
        from pumphouse.service.runner import Runner

        self._runner = Runner(self)
        return self._runner

    def fulfil(self, record: MigrationRecord, *, control: Control) -> None:
        """Do what is wanted of a migration, in this process, until it ends or pauses."""
        from pumphouse.service.migrating import Migrating

        if record.state is not MigrationState.CANCELLING and (
            record.request is Request.PAUSE
            or (record.request and record.state is MigrationState.ROLLING_BACK)
        ):
            self.pause(record.id)  # the process that was asked has died
            return
        jobs = record.options.get("jobs") or self.config.engine.jobs
        work = Migrating(self, record, jobs=jobs, listener=None, control=control, fulfils=True)
        match record.request or record.wanted:
            case Wish.CANCEL | Request.CANCEL:
                work.cancel()
            case Wish.ROLLBACK:
                work.roll_back()
            case Wish.VERIFY:
                work.prove()
            case Wish.CUTOVER if record.options.get(PREPARE):
                work.cut_over(self._planning.again)
            case Wish.RETRY if not (record.state.active or record.state is MigrationState.PAUSED):
                work.retry(self._planning.again)
            case _:
                work.resume()

    def want(self, migration_id: str, what: Wish, *, jobs: int | None = None) -> MigrationRecord:
        """Have a supervisor do something with a migration.

        :param jobs: how many steps run at the same time from now on; None is as before.
        :raises pumphouse.errors.WrongState: its state does not allow it.
        :raises pumphouse.errors.MigrationBusy: a living process is at work on it.
        """
        record = self.migration(migration_id)
        if what is Wish.CANCEL and (record.state is MigrationState.PLANNED or self._alive(record)):
            return self.cancel(record.id)
        if what in {Wish.CANCEL, Wish.CUTOVER} and record.state is MigrationState.PAUSED:
            self._migrating(record.id, None, None, None).require_forwards()
        if what is Wish.CUTOVER and record.wanted != what:
            from pumphouse.service.preparing import require_prepared

            require_prepared(record)
        record = self.store.wishes.make(record.id, what, jobs=jobs)
        self.look()
        return record

    def pause(self, migration_id: str) -> MigrationRecord:
        """Ask the process that runs it to stop in order; do it here if none does.

        What a supervisor has not begun yet it will not begin.
        """
        record = self.migration(migration_id)
        if record.wanted is not None and not self._alive(record):
            record = self.store.wishes.drop(record.id)
            if record.state is not MigrationState.RUNNING:
                return record
        return self._ask(migration_id, Request.PAUSE, MigrationState.PAUSED)

    def cancel(self, migration_id: str) -> MigrationRecord:
        """Have it stopped, and what has not ended taken back: by the process that runs it, or else here."""
        record = self.migration(migration_id)
        if record.state is MigrationState.PLANNED:
            return self.store.migrations.set_state(record.id, MigrationState.CANCELLED)
        if self._alive(record) or record.state.ended:
            return self.store.migrations.request(record.id, Request.CANCEL)
        return self._migrating(record.id, None, None, None).cancel()

    def verify(self, migration_id: str, progress: Progress | None = None) -> Report:
        """Compare both clouds again, now. Changes nothing but the stored report."""
        from pumphouse.service.reading import quiet

        return self._migrating(migration_id, None, None, None).prove(progress or quiet)

    def report(self, migration_id: str) -> Report:
        """The stored report. Raises WrongState before there is one."""
        from pumphouse.report.model import Report

        record = self.migration(migration_id)
        found = self.store.migrations.report(record.id)
        if found is None:
            raise errors.WrongState(
                f"migration {record.id} is {record.state} and has no report yet",
                next_step=f"Make one with: pumphouse migration verify {record.id}",
            )
        return Report.from_dict(found)

    def migrations(
        self,
        *,
        state: str | None = None,
        source: str | None = None,
        destination: str | None = None,
        text: str = "",
        tenant: str | None = None,
        limit: int = 50,
        marker: str | None = None,
    ) -> list[MigrationRecord]:
        """Migrations, newest first.

        :param text: only those with this in their name or their id.
        :param tenant: only those that move it; a name, or an id on the source.
        :param marker: only those that come after the one with this id.
        :raises pumphouse.errors.UsageError: there is no such state.
        """
        try:
            wanted = MigrationState(state.upper()) if state else None
        except ValueError:
            known = ", ".join(one.lower() for one in MigrationState)
            raise errors.UsageError(
                f"there is no state {state!r}", next_step=f"Known are: {known}."
            ) from None
        found = self.store.migrations.list(
            state=wanted,
            source=source,
            destination=destination,
            text=text,
            tenants=self.snapshots.same_tenant(tenant) if tenant else None,
            limit=limit,
            marker=marker,
        )
        return list(found)

    def migration(self, migration_id: str) -> MigrationRecord:
        """One migration. Raises UnknownMigration or AmbiguousName."""
        return self.store.migrations.get(migration_id)

    def units(self, migration_id: str) -> list[UnitRecord]:
        """Its units, needed ones first."""
        return list(self.store.units.of(self.migration(migration_id).id))

    def steps(self, migration_id: str) -> list[StepRecord]:
        """Its steps as they are now, in the order of its plan."""
        record = self.migration(migration_id)
        return list(self._steps.of(record.id, record.plan_id))

    def step_counts(self, migration_id: str) -> Mapping[str, Mapping[str, int]]:
        """How many of its steps are in which state, by the resource's type."""
        record = self.migration(migration_id)
        return self._steps.counts(record.id, record.plan_id)

    def events(
        self, migration_id: str | None = None, *, after: int = 0, limit: int = 1000
    ) -> list[EventRecord]:
        """The events of a migration, or all, numbered above ``after``."""
        id = None if migration_id is None else self.migration(migration_id).id
        return list(self.store.events.read(after=after, migration=id, limit=limit))

    # -- inside

    def look(self) -> None:
        """Have this process's supervisor and runner, if there are any, look for what is wanted."""
        for one in (self._supervisor, self._runner):
            if one is not None:
                one.look()

    def _migrating(
        self, migration_id: str, jobs: int | None, listener: Listener | None, control: Control | None
    ) -> Migrating:
        from pumphouse.engine.control import Control
        from pumphouse.service.migrating import Migrating

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
        if record.state is MigrationState.CANCELLING:
            verb = "watch" if self._alive(record) else "resume"
            raise errors.WrongState(
                f"migration {record.id} is {record.state}: to take back what had not ended cannot be paused",
                next_step=f"Wait for its end with: pumphouse migration {verb} {record.id}",
            )
        if self._alive(record) or not record.state.active:
            return self.store.migrations.request(record.id, what)
        if record.state is MigrationState.ROLLING_BACK:
            # A pause would hide which way it was going.
            raise errors.WrongState(
                f"migration {record.id} is {record.state}, and no process is at work on it",
                next_step=f"Go on with: pumphouse migration resume {record.id}",
            )
        return self.store.migrations.set_state(record.id, state, reason="paused while no process ran it")

    @staticmethod
    def _alive(record: MigrationRecord) -> bool:
        """Whether a living process is at work on it."""
        return record.at_work(datetime.now(UTC))

    def _options(self) -> Mapping[str, Any]:
        """The choices that the migration keeps to, also when it is resumed under another configuration."""
        choices = self.config.migration
        return {
            "quiesce": str(choices.quiesce),
            "passwords": str(choices.passwords),
        }
