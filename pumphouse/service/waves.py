"""Waves: migrations in an order, with a time or a word between them; they stop when too much fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pumphouse import errors
from pumphouse.engine.control import Control
from pumphouse.events import Event, Listener, UnitChanged
from pumphouse.model import Action
from pumphouse.plan.document import Plan, changes
from pumphouse.service import reading, wavefile
from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.owner import Owner
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.waves import Group, WaveRecord, WaveState

if TYPE_CHECKING:
    from pumphouse.service.app import Pumphouse

SERVER = "server:"
"""What the name of a server's unit begins with."""
_LOOK_EVERY = 5.0
"""Seconds between two looks at the clock."""
_TO_GO_ON = frozenset({MigrationState.PLANNED, MigrationState.RUNNING, MigrationState.PAUSED})
_FAILED_ENDS = frozenset(
    {
        MigrationState.PARTIAL,
        MigrationState.FAILED,
        MigrationState.CANCELLED,
        MigrationState.ROLLED_BACK,
    }
)
_WAITS = "group {} waits for your word"
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


class Waving:
    """What can be done with waves."""

    def __init__(self, app: Pumphouse) -> None:
        self._app = app
        self._store = app.store.waves

    # -- planning

    def plan(self, path: Path, progress: reading.Progress) -> WaveRecord:
        """Plan all groups, and keep the wave. Writes nothing to any cloud.

        :raises pumphouse.errors.BadWave: the file is wrong, or two groups move the same server.
        """
        described = wavefile.load(path)
        groups: list[Group] = []
        taken: dict[str, str] = {}
        for one in described.groups:
            plan = self._app.plan(
                replace(one.scope, strategy=self._app.config.migration.strategy),
                source=described.source,
                destination=described.destination,
                override_file=described.override,
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
            name=path.name,
            source=described.source,
            destination=described.destination,
            servers_at_once=described.servers_at_once,
            stop_at=described.stop_at,
            groups=groups,
        )

    def plans(self, record: WaveRecord) -> list[Plan]:
        """The groups' plans."""
        return [self._app.stored_plan(one.plan_id) for one in record.groups]

    # -- carrying out

    def allow(self, id: str) -> None:
        """Give the word to the group that the wave waits with, if it waits for that."""
        record = self._store.get(id)
        for number, group in enumerate(record.groups):
            if record.state is WaveState.PAUSED and record.reason == _WAITS.format(group.name):
                self._change(record.id, number, replace(group, allowed=True))

    def run(
        self, id: str, operator: Operator, *, replan: bool, skip_failed: bool, stop: threading.Event
    ) -> WaveRecord:
        """Carry out what is left of a wave, group by group, until it ends, or has to wait for somebody.

        One that was being taken back is taken back further.

        :param replan: whether what has changed since the wave was planned is moved as it is now.
        :param skip_failed: whether groups that have failed are left so, rather than tried again.
        :raises pumphouse.errors.WrongState: it has ended.
        :raises pumphouse.errors.PlanBlocked: a group's plan is blocked.
        """
        with self._at_work(id) as record:
            if record.state is WaveState.ROLLING_BACK:
                return self._take_back(record, operator)
            if record.state.ended and record.state is not WaveState.PARTIAL:
                raise errors.WrongState(
                    f"wave {record.id} is {record.state}",
                    next_step=f"See it with: pumphouse wave show {record.id}",
                )
            for plan in self.plans(record):
                plan.require_unblocked(see_all=f"pumphouse wave show {record.id}")
            self._store.change(record.id, state=WaveState.RUNNING)
            failures = ""
            for number, _ in enumerate(record.groups):
                why = self._may_begin(record.id, number, operator, stop)
                why = why or self._group(record.id, number, operator, replan=replan, skip_failed=skip_failed)
                if why:
                    return self._store.change(record.id, state=WaveState.PAUSED, reason=why)
                failures = failures or self._failures(record.id, number)
            state = WaveState.PARTIAL if failures else WaveState.SUCCEEDED
            return self._store.change(record.id, state=state, reason=failures)

    def _may_begin(self, id: str, number: int, operator: Operator, stop: threading.Event) -> str:
        """Wait for a group's time or word; why it may not begin."""
        record = self._store.get(id)
        group = record.groups[number]
        if group.migration_id:
            return ""
        until = wavefile.starts_at(group.start)
        if until is not None and until > datetime.now(UTC):
            operator.waits(group, until)
        while until is not None and (left := (until - datetime.now(UTC)).total_seconds()) > 0:
            if stop.wait(min(left, _LOOK_EVERY)):
                return f"group {group.name} waits for its time, {group.start}"
        if group.start == wavefile.ASK and not group.allowed:
            if not operator.allows(group):
                return _WAITS.format(group.name)
            self._change(id, number, replace(group, allowed=True))
        return ""

    def _group(self, id: str, number: int, operator: Operator, *, replan: bool, skip_failed: bool) -> str:
        """Carry a group out, from where it is; why the wave must stop."""
        record = self._store.get(id)
        group = record.groups[number]
        migration = self._app.migration(group.migration_id) if group.migration_id else None
        if migration is None:
            plan = self._app.stored_plan(group.plan_id)
            fresh = self._app.plan_again(plan)
            changed = self._changed(record, plan, fresh)
            if changed and not replan:
                more = f"; and {len(changed) - 3} more" if len(changed) > 3 else ""
                return (
                    f"group {group.name} has changed since it was planned: {'; '.join(changed[:3])}{more}. "
                    "To move it as it is now, resume with --replan"
                )
            fresh.require_unblocked()
            if fresh.nothing_to_do:
                return ""
            migration = self._app.start(
                fresh,
                check_fresh=False,
                name=f"{record.name}: {group.name}",
                options={"servers_at_once": record.servers_at_once} if record.servers_at_once else {},
            )
            group = replace(group, plan_id=fresh.id, migration_id=migration.id)
            self._change(id, number, group)
        elif migration.state in _FAILED_ENDS and skip_failed:
            return ""
        if migration.state in _TO_GO_ON | _FAILED_ENDS:
            plan = self._app.plan_of(migration.id)
            migration = operator.carries(group, migration, plan, self._work(migration, plan, record.stop_at))
        return self._verdict(record, group, migration)

    def _work(self, migration: MigrationRecord, plan: Plan, stop_at: float | None) -> Work:
        """Run, resume or retry a migration, and have it paused when too many of its servers fail."""

        def work(
            *, jobs: int | None = None, listener: Listener | None = None, control: Control | None = None
        ) -> MigrationRecord:
            control = control or Control()
            brake = _Brake(plan, stop_at, control, listener)
            if migration.state in _FAILED_ENDS:
                return self._app.retry(migration.id, jobs=jobs, listener=brake, control=control)
            return self._app.resume(migration.id, jobs=jobs, listener=brake, control=control)

        return work

    def _verdict(self, record: WaveRecord, group: Group, migration: MigrationRecord) -> str:
        """Why the wave must stop after a group."""
        if migration.state is MigrationState.SUCCEEDED:
            return ""
        told = f": {migration.reason}" if migration.reason else ""
        if migration.state is MigrationState.PARTIAL and record.stop_at is not None:
            share = self._failed_share(migration)
            if share < record.stop_at:
                return ""
            told = f": {share:.0%} of its servers failed, and {record.stop_at:.0%} may not"
        return f"{_told(group, migration)}{told}"

    def _failed_share(self, migration: MigrationRecord) -> float:
        """Of a migration's units with servers, the share that failed; all, if it has none."""
        units = [one for one in self._app.units(migration.id) if one.name.startswith(SERVER)]
        failed = sum(one.state in _FAILED for one in units)
        return failed / len(units) if units else 1.0

    def _failures(self, id: str, number: int) -> str:
        group = self._store.get(id).groups[number]
        migration = self._app.migration(group.migration_id) if group.migration_id else None
        if migration is None or migration.state is MigrationState.SUCCEEDED:
            return ""
        return _told(group, migration)

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

    def roll_back(self, id: str, operator: Operator) -> WaveRecord:
        """Take all groups back, the last one first, until it ends or is paused."""
        with self._at_work(id) as record:
            return self._take_back(record, operator)

    def _take_back(self, record: WaveRecord, operator: Operator) -> WaveRecord:
        # Before the first of it is undone: from there on nothing goes forwards again.
        self._store.change(record.id, state=WaveState.ROLLING_BACK)
        left: list[str] = []
        for group in reversed(record.groups):
            if not group.migration_id:
                continue
            migration = self._app.migration(group.migration_id)
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
                return self._store.change(record.id, state=WaveState.ROLLING_BACK, reason=left[-1])
        state = WaveState.ROLLBACK_INCOMPLETE if left else WaveState.ROLLED_BACK
        return self._store.change(record.id, state=state, reason="; ".join(left))

    # -- around

    @contextmanager
    def _at_work(self, id: str) -> Iterator[WaveRecord]:
        record = self._store.take(id, Owner.this_process())
        try:
            yield record
        except BaseException as error:
            now = self._store.get(record.id).state
            if now in _UNDER_WAY:
                stopped = WaveState.PAUSED if now is WaveState.RUNNING else now
                self._store.change(record.id, state=stopped, reason=str(error) or "it was interrupted")
            raise
        finally:
            self._store.release(record.id)

    def _change(self, id: str, number: int, group: Group) -> None:
        groups = list(self._store.get(id).groups)
        groups[number] = group
        self._store.change(id, groups=groups)


class _Brake:
    """A listener that has a migration paused when too many of its servers fail, and passes all events on."""

    def __init__(
        self, plan: Plan, stop_at: float | None, control: Control, listener: Listener | None
    ) -> None:
        self._servers = sum(one.ref.type == "server" for one in plan.doing(Action.CREATE))
        self._stop_at = stop_at
        self._control = control
        self._listener = listener
        self._failed = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, UnitChanged) and event.unit.startswith(SERVER):
            self._failed += event.state == UnitState.FAILED
            if self._stop_at is not None and self._failed and self._failed >= self._stop_at * self._servers:
                self._control.pause()
        if self._listener is not None:
            self._listener(event)


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
