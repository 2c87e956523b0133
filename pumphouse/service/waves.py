"""Waves: migrations in an order, with a time or a word between them; they stop when too much fails."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pumphouse import errors
from pumphouse.context import JournalState
from pumphouse.engine.control import Control
from pumphouse.engine.heart import Heart
from pumphouse.events import Event, Listener, UnitChanged
from pumphouse.flow.units import divide
from pumphouse.model import Action, DiskMode, Ref
from pumphouse.plan.document import Plan, changes
from pumphouse.registry import Registry
from pumphouse.report.model import Report
from pumphouse.service import reading, wavefile
from pumphouse.service.wavefile import WaveFile
from pumphouse.store.migrations import MigrationRecord, RequestKey
from pumphouse.store.owner import Owner
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.waves import Group, WaveRecord, WaveState

if TYPE_CHECKING:
    from pumphouse.service.app import Pumphouse

_LOOK_EVERY = 5.0
"""Seconds between two looks at the clock."""
_TO_GO_ON = frozenset({MigrationState.PLANNED, MigrationState.RUNNING, MigrationState.PAUSED})
_FAILED_ENDS = frozenset({MigrationState.PARTIAL, MigrationState.FAILED, MigrationState.CANCELLED})
_CAN_PAUSE = frozenset({MigrationState.RUNNING, MigrationState.ROLLING_BACK})
_WAITS = "group {} waits for your word"
_PAUSED = "it was paused"
_FAILED = frozenset({UnitState.FAILED, UnitState.SKIPPED})
_UNDER_WAY = frozenset({WaveState.RUNNING, WaveState.ROLLING_BACK})


class Work(Protocol):
    """Does something with a migration, in this process, until it ends or pauses."""

    def __call__(
        self, *, jobs: int | None = None, listener: Listener | None = None, control: Control | None = None
    ) -> MigrationRecord: ...


class Operator(Protocol):
    """Who has a wave carried out: gives the word, and shows each migration."""

    def allows(self, group: Group) -> bool:
        """Whether a group may begin that waits for somebody's word."""

    def waits(self, group: Group, until: datetime) -> None:
        """Told once when a group waits for its time."""

    def carries(self, group: Group, migration: MigrationRecord, plan: Plan, work: Work) -> MigrationRecord:
        """Have the work done, and show it."""


class Unattended:
    """An :class:`Operator` that nobody asks: groups that wait for a word wait.

    :param control: stops the migration that is under way.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    def allows(self, _group: Group) -> bool:
        """Not here: who resumes the wave gives the word."""
        return False

    def waits(self, _group: Group, _until: datetime) -> None:
        """The store tells of it."""

    def carries(self, _group: Group, _migration: MigrationRecord, _plan: Plan, work: Work) -> MigrationRecord:
        """Its events are shown elsewhere."""
        control = Control()  # of its own: the wave's rate of failures stops only this migration
        self._control.on_stop(control.pause)
        return work(control=control)


class Waving:
    """What can be done with waves."""

    def __init__(self, app: Pumphouse) -> None:
        self._app = app
        self._store = app.store.waves

    # -- planning

    def plan(
        self,
        described: WaveFile,
        name: str,
        progress: reading.Progress,
        *,
        disk_mode: DiskMode | None,
    ) -> WaveRecord:
        """Plan all groups, and keep the wave. Writes nothing to any cloud.

        :param disk_mode: how servers' root disks travel where it says nothing; None is as configured.
        :raises pumphouse.errors.BadWave: two groups move the same server.
        """
        groups: list[Group] = []
        taken: dict[str, str] = {}
        for one in described.groups:
            plan = self._app.plan(
                replace(one.scope, strategy=self._app.config.migration.strategy),
                source=described.source,
                destination=described.destination,
                override_file=described.override,
                overrides=described.overrides,
                disk_mode=described.mode or disk_mode,
                progress=progress,
            )
            _refuse_twice(one.name, plan, taken)
            groups.append(
                Group(
                    name=one.name,
                    kind=str(one.scope.kind),
                    names=one.scope.names,
                    start=one.start,
                    plan_id=plan.id,
                )
            )
        return self._store.create(
            name=name,
            source=described.source,
            destination=described.destination,
            servers_at_once=described.servers_at_once,
            stop_at=None if described.stop_at is None else described.stop_at / 100,
            groups=groups,
        )

    def plans(self, record: WaveRecord) -> list[Plan]:
        """The groups' plans."""
        return [self._app.stored_plan(one.plan_id) for one in record.groups]

    # -- carrying out

    def allow(self, id: str) -> None:
        """Give the word to the group that the wave waits with, if it waits for that."""
        self._store.allow(id, lambda group: _WAITS.format(group.name))

    def run(
        self, id: str, operator: Operator, *, replan: bool, skip_failed: bool, stop: threading.Event
    ) -> WaveRecord:
        """Carry out what is left of a wave, group by group, until it ends, or has to wait for somebody.

        One that was being taken back is taken back further.

        :param replan: whether what has changed since the wave was planned is moved as it is now.
        :param skip_failed: whether groups that have failed, or could not begin, are left so, rather than
            tried again.
        :raises pumphouse.errors.WrongState: it has ended.
        :raises pumphouse.errors.PlanBlocked: none has begun yet, and a group's plan is blocked.
        """
        with self._at_work(id, operator) as (record, leading):
            self.require_runnable(record, replan=replan)
            if record.state is WaveState.ROLLING_BACK:
                return self._take_back(record, leading, stop)
            self._store.change(record.id, state=WaveState.RUNNING, epoch=record.epoch)
            failures: list[str] = []
            for number, _ in enumerate(record.groups):
                why = self._may_begin(record, number, leading, stop)
                why = why or self._group(record, number, leading, replan=replan, skip_failed=skip_failed)
                if why:
                    return self._store.change(
                        record.id, epoch=record.epoch, state=WaveState.PAUSED, reason=why
                    )
                failures += self._failures(record.id, number)
            state = WaveState.PARTIAL if failures else WaveState.SUCCEEDED
            return self._store.change(record.id, epoch=record.epoch, state=state, reason="; ".join(failures))

    def require_runnable(self, record: WaveRecord, *, replan: bool) -> None:
        """Raise WrongState for a wave that has ended, and PlanBlocked for one that none may begin of."""
        if record.state is WaveState.ROLLING_BACK:
            return
        if record.state.ended and record.state is not WaveState.PARTIAL:
            raise errors.WrongState(
                f"wave {record.id} is {record.state}",
                next_step=f"See it with: pumphouse wave show {record.id}",
            )
        if record.state is WaveState.PLANNED and not replan:
            for plan in self.plans(record):
                plan.require_unblocked(see_all=f"pumphouse wave show {record.id}")

    def pause(self, id: str) -> WaveRecord:
        """Have a wave stop in order, by whichever process is at it.

        Raises WrongState for one that nobody is at, or will be.
        """
        record, now = self._store.get(id), datetime.now(UTC)
        if not record.at_work(now) and self._app.operations.of_wave(record.id) is None:
            if record.state is WaveState.RUNNING:
                why = "paused while no process ran it"
                return self._store.change(record.id, state=WaveState.PAUSED, reason=why)
            raise errors.WrongState(
                f"wave {record.id} is {record.state}, and nobody is at work on it",
                next_step=f"See it with: pumphouse wave show {record.id}",
            )
        record = self._store.pause(record.id)
        for number, _ in enumerate(record.groups):
            migration = self._migration(record, number)
            if migration is not None and migration.state in _CAN_PAUSE and migration.at_work(now):
                self._app.pause(migration.id)
        return record

    def _may_begin(self, wave: WaveRecord, number: int, operator: Operator, stop: threading.Event) -> str:
        """Wait for a group's time or word; why it may not begin."""
        record = self._store.get(wave.id)
        group = record.groups[number]
        if record.pausing or stop.is_set():
            return _PAUSED
        if group.migration_id:
            return ""
        until = wavefile.starts_at(group.start)
        if until is not None and until > datetime.now(UTC):
            operator.waits(group, until)
        while until is not None and (left := (until - datetime.now(UTC)).total_seconds()) > 0:
            if stop.wait(min(left, _LOOK_EVERY)) or self._store.get(wave.id).pausing:
                return f"group {group.name} waits for its time, {group.start}"
        if group.start == wavefile.ASK and not group.allowed:
            if not operator.allows(group):
                return _WAITS.format(group.name)
            self._store.set_group(wave.id, number, epoch=wave.epoch, allowed=True)
        return ""

    def _group(
        self, wave: WaveRecord, number: int, operator: Operator, *, replan: bool, skip_failed: bool
    ) -> str:
        """Carry a group out, from where it is; why the wave must stop."""
        self._store.heartbeat(wave.id, wave.epoch)  # it may have waited for long
        record = self._store.get(wave.id)
        group, migration = record.groups[number], self._migration(record, number)
        if skip_failed and (group.failed if migration is None else migration.state in _FAILED_ENDS):
            return ""
        if migration is not None and migration.state is MigrationState.ROLLED_BACK:
            return ""  # somebody has decided so: it is left out
        if migration is None:
            begun = self._begin(record, number, wave.epoch, replan=replan)
            if isinstance(begun, str):
                return begun
            migration = begun
        if not group.migration_id:
            changes = {"plan_id": migration.plan_id, "migration_id": migration.id, "failed": ""}
            group = self._store.set_group(wave.id, number, epoch=wave.epoch, **changes)
        again = migration.state in _FAILED_ENDS
        if migration.state in _TO_GO_ON:
            before = self._failed_units(migration)
            migration = operator.carries(group, migration, *self._work(migration, record.stop_at))
            # A resume has not tried again what had failed before the pause.
            again = bool(before) and migration.state in _FAILED_ENDS
            if again and skip_failed and self._failed_units(migration) <= before:
                return ""
        if again and not skip_failed:
            migration = operator.carries(group, migration, *self._work(migration, record.stop_at))
        return self._verdict(record, group, migration)

    def _begin(self, record: WaveRecord, number: int, epoch: int, *, replan: bool) -> MigrationRecord | str:
        """A group's new migration, not yet carried out; or why it cannot begin, empty if it need not."""
        group = record.groups[number]
        plan = self._app.stored_plan(group.plan_id)
        try:
            fresh = self._app.plan_again(plan)
            fresh.require_unblocked()
        except (errors.UsageError, errors.PlanBlocked) as error:
            self._store.set_group(record.id, number, epoch=epoch, failed=error.message)
            return f"group {group.name} cannot begin: {error}. To leave it out, resume with --skip-failed"
        changed = self._changed(record, plan, fresh)
        if changed and not replan:
            more = f"; and {len(changed) - 3} more" if len(changed) > 3 else ""
            return (
                f"group {group.name} has changed since it was planned: {'; '.join(changed[:3])}{more}. "
                "To move it as it is now, resume with --replan"
            )
        if fresh.nothing_to_do:
            self._store.set_group(record.id, number, epoch=epoch, failed="")
            return ""
        return self._app.start(
            fresh,
            check_fresh=False,
            name=f"{record.name}: {group.name}",
            options={"servers_at_once": record.servers_at_once} if record.servers_at_once else {},
            key=_key(record, number),
        )

    def _work(self, migration: MigrationRecord, stop_at: float | None) -> tuple[Plan, Work]:
        """A migration's plan, and its run or retry, which pauses when too many servers fail."""
        plan = self._app.plan_of(migration.id)
        failed = set() if migration.state in _FAILED_ENDS else self._failed_units(migration)

        def work(
            *, jobs: int | None = None, listener: Listener | None = None, control: Control | None = None
        ) -> MigrationRecord:
            control = control or Control()
            brake = _Brake(_Servers(plan, self._app.registry), failed, stop_at, control, listener)
            if migration.state in _FAILED_ENDS:
                return self._app.retry(migration.id, jobs=jobs, listener=brake, control=control)
            # Forwards alone: one that is being taken back is not for the wave to go on with.
            return self._app.run(migration.id, jobs=jobs, listener=brake, control=control)

        return plan, work

    def _verdict(self, record: WaveRecord, group: Group, migration: MigrationRecord) -> str:
        """Why the wave must stop after a group."""
        if migration.state is MigrationState.SUCCEEDED:
            return ""
        why = migration.reason
        if migration.state is MigrationState.PARTIAL and record.stop_at is not None:
            servers = _Servers(self._app.plan_of(migration.id), self._app.registry)
            failed = self._failed_units(migration)
            why = servers.too_many(failed, record.stop_at) or self._besides(migration, servers, failed)
            if not why:
                return ""
        return f"{_told(group, migration)}{f': {why}' if why else ''}"

    def _failed_units(self, migration: MigrationRecord) -> set[str]:
        return {one.name for one in self._app.units(migration.id) if one.state in _FAILED}

    def _besides(self, migration: MigrationRecord, servers: _Servers, failed: set[str]) -> str:
        """What went wrong besides servers that failed and were taken back; empty if nothing did."""
        if not failed:
            return migration.reason
        for unit in self._app.units(migration.id):
            if unit.state is UnitState.FAILED and not servers.units.get(unit.name):
                return f"{unit.kind}: {unit.reason}"
        entries = self._app.store.journal.open_entries(migration.id)
        left = [entry for entry in entries if entry.state is JournalState.LEFT]
        if left:
            return f"{len(left)} could not be taken back, such as {left[0].ref} on {left[0].side}"
        made = self._app.store.migrations.report(migration.id)
        report = Report.from_dict(made) if made else None
        if report is None or (migration.run_started_at and report.made_at < migration.run_started_at):
            return "it could not be proved"
        explained = servers.refs(failed)
        wrong = [one for one in report.wrong() if one.ref not in explained]
        if wrong:
            first = f"{wrong[0].ref.type} {wrong[0].name}"
            return f"{len(wrong)} resources are not as they should be, such as {first}"
        return ""

    def _failures(self, id: str, number: int) -> list[str]:
        record = self._store.get(id)
        group, migration = record.groups[number], self._migration(record, number)
        if migration is None:
            return [f"group {group.name} was left out: {group.failed}"] if group.failed else []
        return [] if migration.state is MigrationState.SUCCEEDED else [_told(group, migration)]

    def _migration(self, record: WaveRecord, number: int) -> MigrationRecord | None:
        """A group's migration; also one of which a process that died here could not tell any more."""
        group = record.groups[number]
        if group.migration_id:
            return self._app.migration(group.migration_id)
        return self._app.made_by(_key(record, number))

    def _changed(self, record: WaveRecord, plan: Plan, fresh: Plan) -> list[str]:
        """What has changed since a group was planned, but for what earlier groups of the wave have made."""
        done = {one.migration_id for one in record.groups if one.migration_id}
        known = self._app.store.ids.all(record.source, record.destination)
        ours = {ref for ref, one in known.items() if one.made and one.migration in done}
        old, new = (
            replace(one, resources=tuple(part for part in one.resources if part.ref not in ours))
            for one in (plan, fresh)
        )
        return changes(old, new)

    # -- taking back

    def roll_back(self, id: str, operator: Operator, stop: threading.Event) -> WaveRecord:
        """Take all groups back, the last one first, until it ends or is paused."""
        with self._at_work(id, operator) as (record, leading):
            return self._take_back(record, leading, stop)

    def _take_back(self, record: WaveRecord, operator: Operator, stop: threading.Event) -> WaveRecord:
        # Before the first of it is undone: from there on nothing goes forwards again.
        self._store.change(record.id, epoch=record.epoch, state=WaveState.ROLLING_BACK)
        left: list[str] = []
        for number, group in reversed(list(enumerate(record.groups))):
            if stop.is_set() or self._store.get(record.id).pausing:
                return self._store.change(
                    record.id, epoch=record.epoch, state=WaveState.ROLLING_BACK, reason=_PAUSED
                )
            migration = self._migration(record, number)
            if migration is None:
                continue
            if migration.state is MigrationState.PLANNED:
                self._app.cancel(migration.id)
                continue
            work = partial(self._app.rollback, migration.id)
            try:
                ended = operator.carries(group, migration, self._app.plan_of(migration.id), work)
            except errors.WrongState as error:
                left.append(f"group {group.name}: {error.message}")
                continue
            if ended.state is MigrationState.ROLLED_BACK:
                continue
            left.append(_told(group, ended))
            if not ended.state.ended:  # it was paused, and what comes before it must not go first
                return self._store.change(
                    record.id, epoch=record.epoch, state=WaveState.ROLLING_BACK, reason=left[-1]
                )
        state = WaveState.ROLLBACK_INCOMPLETE if left else WaveState.ROLLED_BACK
        return self._store.change(record.id, epoch=record.epoch, state=state, reason="; ".join(left))

    # -- around

    @contextmanager
    def _at_work(self, id: str, operator: Operator) -> Iterator[tuple[WaveRecord, Operator]]:
        """Have the wave, keep the claim alive, and let go of it at the end, whatever comes."""
        record = self._store.take(id, Owner.this_process())
        lost = Control()
        try:
            with Heart(self._store, record.id, record.epoch, lost, what="wave"):
                yield record, _Leading(operator, lost)
        except BaseException as error:
            now = self._store.get(record.id).state
            if now in _UNDER_WAY:
                stopped = WaveState.PAUSED if now is WaveState.RUNNING else now
                why = str(error) or "it was interrupted"
                with suppress(errors.Fenced):  # how it stands is another process's by now
                    self._store.change(record.id, epoch=record.epoch, state=stopped, reason=why)
            raise
        finally:
            self._store.release(record.id, record.epoch)


class _Leading:
    """An operator whose migrations pause once another process has taken the wave over.

    :param lost: stops then.
    """

    def __init__(self, operator: Operator, lost: Control) -> None:
        self._lost = lost
        self._carries = operator.carries
        self.allows = operator.allows
        self.waits = operator.waits

    def carries(self, group: Group, migration: MigrationRecord, plan: Plan, work: Work) -> MigrationRecord:
        def leading(
            *, jobs: int | None = None, listener: Listener | None = None, control: Control | None = None
        ) -> MigrationRecord:
            control = control or Control()
            self._lost.on_stop(control.pause)
            return work(jobs=jobs, listener=listener, control=control)

        return self._carries(group, migration, plan, leading)


class _Servers:
    """The servers of a group: how many each unit makes, and how many there are."""

    def __init__(self, plan: Plan, registry: Registry) -> None:
        divided, _ = divide(plan, registry)
        self._refs = {name: frozenset(unit.refs) for name, unit in divided.items()}
        made = {one.ref for one in plan.doing(Action.CREATE) if one.ref.type == "server"}
        self.units = {name: len(refs & made) for name, refs in self._refs.items()}
        # When a group is tried again, those that were moved before are its servers still.
        self._all = sum(
            one.ref.type == "server" for one in plan.doing(Action.CREATE, Action.UPDATE, Action.REUSE)
        )

    def refs(self, units: Iterable[str]) -> frozenset[Ref]:
        """The resources of some units."""
        return frozenset().union(*(self._refs.get(name, ()) for name in units))

    def too_many(self, failed: Iterable[str], stop_at: float) -> str:
        """Whether too many servers are in units that failed, in words; empty if not."""
        count = sum(self.units.get(name, 0) for name in failed)
        if not count or count < stop_at * self._all:
            return ""
        return f"{count} of {self._all} servers failed, and {stop_at:.0%} may not"


class _Brake:
    """A listener that has a migration paused when too many of its servers fail, and passes all events on.

    :param failed: the units that had failed before.
    """

    def __init__(
        self,
        servers: _Servers,
        failed: set[str],
        stop_at: float | None,
        control: Control,
        listener: Listener | None,
    ) -> None:
        self._servers = servers
        self._failed = set(failed)
        self._stop_at = stop_at
        self._control = control
        self._listener = listener

    def __call__(self, event: Event) -> None:
        if self._stop_at is not None and isinstance(event, UnitChanged) and event.state in _FAILED:
            self._failed.add(event.unit)
            if why := self._servers.too_many(self._failed, self._stop_at):
                self._control.pause(why)
        if self._listener is not None:
            self._listener(event)


def _key(record: WaveRecord, number: int) -> RequestKey:
    """What a group has its migration made with: however often it is asked for, there is one."""
    return RequestKey(key=f"wave {record.id} group {number}", digest="")


def _told(group: Group, migration: MigrationRecord) -> str:
    return f"group {group.name} is {migration.state} (migration {migration.id})"


def _refuse_twice(name: str, plan: Plan, taken: dict[str, str]) -> None:
    """Refuse a server that two groups move."""
    for one in plan.doing(Action.CREATE, Action.BLOCKED):
        if one.ref.type != "server":
            continue
        other = taken.setdefault(one.ref.id, name)
        if other != name:
            raise errors.BadWave(
                f"{one.resource} is in group {other!r} and in group {name!r}",
                next_step="Leave it out of one of them.",
            )
