"""One migration in this process: run, resume, retry, cancel, roll back, prove."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pumphouse import errors
from pumphouse.clouds.cloud import Cloud
from pumphouse.context import JournalEntry, JournalState, Settings
from pumphouse.engine.access import Access
from pumphouse.engine.backend import open_persistence
from pumphouse.engine.control import Control
from pumphouse.engine.heart import Heart
from pumphouse.engine.rollback import Rollback
from pumphouse.engine.run import Run
from pumphouse.engine.scheduler import Outcome
from pumphouse.engine.workplace import OUTSIDE, Workplace
from pumphouse.events import Event, Listener, MigrationChanged
from pumphouse.model import Action, Ref, Side
from pumphouse.plan.copies import Copied
from pumphouse.plan.document import Plan
from pumphouse.registry import Registry
from pumphouse.report.make import make_report
from pumphouse.report.model import Report
from pumphouse.service import reading
from pumphouse.service.passwords import passwords
from pumphouse.service.plans import load_plan, merge
from pumphouse.service.preparing import WAITS, require_prepared
from pumphouse.service.proving import Sides, read_sides
from pumphouse.steps import USE, Create
from pumphouse.store.migrations import MigrationRecord, Request, refuse_if_prepared
from pumphouse.store.names import EARLIER_PLANS, PREPARE
from pumphouse.store.opening import Store
from pumphouse.store.owner import Owner
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.writer import EventWriter
from pumphouse.transfer import Lane

if TYPE_CHECKING:
    from pumphouse.service.app import Pumphouse


class Migrating:
    """The work on one migration, while this process has it.

    :param fulfils: whether it does what is wanted of the migration in the store, which then stays wanted
        until it is done.
    """

    def __init__(
        self,
        app: Pumphouse,
        record: MigrationRecord,
        *,
        jobs: int,
        listener: Listener | None,
        control: Control,
        fulfils: bool = False,
    ) -> None:
        self._app = app
        self._store = app.store
        self._record = record
        self._jobs = jobs
        self._listener = listener
        self._control = control
        self._fulfils = fulfils
        self._writer: EventWriter | None = None

    # -- use cases

    def run(self) -> MigrationRecord:
        """Carry it out from where it is."""
        with self._at_work(MigrationState.RUNNING, require=self._require_to_go_on) as place:
            return self._carry_out(place)

    def resume(self) -> MigrationRecord:
        """Go on with what was paused or interrupted: the run, its cancel, or the roll-back."""
        if self._record.state is MigrationState.CANCELLING:
            return self.cancel()
        if self._rolling_back():
            return self.roll_back()
        return self.run()

    def retry(self, plan_again: Callable[[Plan], Plan]) -> MigrationRecord:
        """Take back what a failed unit could not, plan again, and do what is missing."""
        with self._had(self._require_ended) as epoch:
            stuck = self._take_back_left(epoch)
            return stuck if stuck is not None else self._again(epoch, plan_again)

    def cut_over(self, plan_again: Callable[[Plan], Plan]) -> MigrationRecord:
        """Plan again, and do all that was left when it was prepared."""
        with self._had(self._require_prepared) as epoch:
            return self._again(epoch, plan_again, options={PREPARE: False})

    def cancel(self) -> MigrationRecord:
        """Take back the units that have not ended, and end."""
        with self._at_work(MigrationState.CANCELLING, require=self._require_to_cancel) as place:
            return self._cancelled(place)

    def roll_back(self) -> MigrationRecord:
        """Take everything back. What was taken back already stays so."""
        done = self._record.state is MigrationState.ROLLED_BACK
        if done and not self._store.journal.open_entries(self._record.id):
            return self._record
        with self._at_work(MigrationState.ROLLING_BACK) as place:
            left = Rollback(place, control=self._control, jobs=self._jobs).all()
            if self._control.stop.is_set():
                return self._end(place, MigrationState.PAUSED, "the roll-back was paused")
            units = self._store.units.of(self._record.id)
            self._taken_back(unit.name for unit in units if unit.state is not UnitState.SKIPPED)
            if left:
                reason = f"{len(left)} could not be taken back: {'; '.join(left[:3])}"
                return self._end(place, MigrationState.ROLLBACK_INCOMPLETE, reason)
            return self._end(place, MigrationState.ROLLED_BACK)

    def prove(self, progress: reading.Progress = reading.quiet) -> Report:
        """Compare both clouds again, and keep the report."""
        plan = load_plan(self._store, self._record.plan_id)
        clouds = self._app.clouds
        return self._prove(plan, clouds.open(plan.source), clouds.open(plan.destination), progress)

    # -- a run

    def _take_back_left(self, epoch: int) -> MigrationRecord | None:
        """Take back what failed units left behind, which is in the way of a new plan.

        None if the way is free, else the migration, whose reason says what still stands in it.
        """
        entries = self._store.journal.open_entries(self._record.id)
        if not any(entry.state is JournalState.LEFT for entry in entries):
            return None
        # In the state in which it is: one that dies here has not begun to run again.
        place = self._place(epoch)
        left = Rollback(place, control=self._control, jobs=self._jobs).left()
        # What it needed for that: a request to stop must not leave it behind.
        left += Rollback(place, control=Control(), jobs=self._jobs).grants()
        if not self._stuck(place.known):
            return None
        reason = f"{len(left)} could not be taken back: {'; '.join(left[:3])}" if left else ""
        return self._end(place, self._record.state, reason)

    def _again(
        self,
        epoch: int,
        plan_again: Callable[[Plan], Plan],
        *,
        options: Mapping[str, Any] | None = None,
    ) -> MigrationRecord:
        """Plan again, and carry that out.

        It is had meanwhile, for what is planned holds only as long as no other process is at work on it.

        :param options: those that change with the plan.
        """
        plan = plan_again(load_plan(self._store, self._record.plan_id))
        plan.require_unblocked()
        if self._control.stop.is_set():
            return self._not_begun(epoch)
        self._record = self._store.migrations.set_plan(
            self._record.id, plan.id, epoch=epoch, options=options, fulfils=self._fulfils
        )
        place = self._place(epoch)
        self._tell(place, self._record.state)
        return self._carry_out(place)

    def _carry_out(self, place: Workplace) -> MigrationRecord:
        self._forget_gone(place)  # here, for a resume does it where whoever planned again has died before
        place.adopt_ids()
        place.tell_uses()
        backend = open_persistence(self._store.engine, guard=self._store.guard())
        prepare = bool(place.migration.options.get(PREPARE))
        run = Run(place, backend=backend, control=self._control, jobs=self._jobs, prepare=prepare)
        outcomes = run.run()
        if self._control.request is Request.CANCEL:
            return self._cancel_now(place)
        if self._control.stop.is_set():
            return self._end(place, MigrationState.PAUSED, self._control.why)
        # From here on it ends: a request to stop must not leave grants behind.
        left = Rollback(place, control=Control(), jobs=self._jobs).temporary() + self._stuck(place.plan)
        if run.later:
            return self._prepared(place, outcomes, left)
        try:
            report = self._prove(place.plan, place.source, place.destination, reading.quiet)
        except (errors.CloudError, errors.UsageError) as error:
            reason = f"it could not be proved: {error}"
            return self._end(place, *_verdict(outcomes, left, reason))
        return self._end(place, *_verdict(outcomes, left, _wrong(report)))

    def _prepared(self, place: Workplace, outcomes: dict[str, Outcome], left: list[str]) -> MigrationRecord:
        """It waits for its cutover, unless something went wrong."""
        state, reason = _verdict(outcomes, left, "")
        if state is MigrationState.SUCCEEDED:
            self._store.migrations.set_prepared(self._record.id, epoch=place.epoch)
            state, reason = MigrationState.PAUSED, WAITS
        return self._end(place, state, reason)

    def _forget_gone(self, place: Workplace) -> None:
        """Take out of the journal what an earlier plan made and somebody has removed since.

        The new plan, which has just looked, makes it again. What has its name by then is that, or another's.
        """
        making = {one.ref for one in place.plan.doing(Action.CREATE) if not one.shared}
        for entry in self._store.journal.open_entries(self._record.id, step=Create.name):
            earlier = entry.plan != place.plan.id and entry.state is JournalState.MADE
            if earlier and entry.ref in making:
                place.context(entry.unit).journal.removed(entry)

    def _stuck(self, plan: Plan) -> list[str]:
        """What a failed unit could not take back, in words: a server still suspended on the source, say."""
        return [
            f"{_called(plan, entry)}, on {entry.side}: {entry.detail.get('left', '')}"
            for entry in self._store.journal.open_entries(self._record.id)
            if entry.state is JournalState.LEFT and not entry.temporary
        ]

    def _not_begun(self, epoch: int) -> MigrationRecord:
        """It was asked to stop before it began again: it stays as it is, unless it is to be cancelled."""
        record = self._record
        if record.state.ended:
            return record
        place = self._place(epoch)
        if self._control.request is Request.CANCEL:
            return self._cancel_now(place)
        return self._end(place, record.state, record.reason)

    def _cancel_now(self, place: Workplace) -> MigrationRecord:
        # In the store before the first of it is undone: from there on nothing goes forwards again.
        self._record = self._store.migrations.set_state(
            self._record.id, MigrationState.CANCELLING, epoch=place.epoch
        )
        self._tell(place, MigrationState.CANCELLING)
        return self._cancelled(place)

    def _cancelled(self, place: Workplace) -> MigrationRecord:
        """What has not ended is undone; what has is kept, for a roll-back or a retry.

        Units keep their states until all of it is undone: one that goes on with this finds the same ones.
        """
        control = Control()  # the old one says stop
        rollback = Rollback(place, control=control, jobs=self._jobs)
        unfinished = [
            unit.name
            for unit in self._store.units.of(self._record.id)
            if unit.state in {UnitState.PENDING, UnitState.RUNNING}
        ]
        left = rollback.units([*unfinished, OUTSIDE]) + rollback.temporary()
        self._taken_back(unfinished, "the migration was cancelled", plan=place.plan.id)
        reason = f"{len(left)} could not be taken back: {'; '.join(left[:3])}" if left else ""
        return self._end(place, MigrationState.CANCELLED, reason)

    def _taken_back(self, names: Iterable[str], reason: str = "", *, plan: str | None = None) -> None:
        """Write that these units are taken back; or failed, if something of them is left.

        :param plan: look at what was done for this one alone.
        """
        entries = self._store.journal.open_entries(self._record.id, plan=plan, newest_first=False)
        left = {entry.unit: entry for entry in entries if entry.step != USE}
        for name in names:
            state, why = UnitState.ROLLED_BACK, reason
            if name in left:
                state = UnitState.FAILED
                why = f"it could not be taken back: {left[name].detail.get('left', '')}"
            self._store.units.set_state(self._record.id, name, state, reason=why)

    def _prove(self, plan: Plan, source: Cloud, destination: Cloud, progress: reading.Progress) -> Report:
        sides = read_sides(self._app, plan, source, destination, progress)
        report = self.report_of(sides, copied=self._store.journal.copied(plan.source, plan.destination))
        self._store.migrations.set_report(self._record.id, report.to_dict())
        return report

    def require_forwards(self) -> None:
        """Raise WrongState for a migration that was being rolled back when it was paused."""
        if self._rolling_back():
            raise errors.WrongState(
                f"migration {self._record.id} is {self._record.state}, and was being rolled back",
                next_step=f"Go on with that: pumphouse migration resume {self._record.id}",
            )

    # -- what finalising needs

    @property
    def record(self) -> MigrationRecord:
        """The migration, as it was when this process came to have it, or when this work on it began."""
        return self._record

    @property
    def store(self) -> Store:
        """The application's."""
        return self._store

    @property
    def registry(self) -> Registry:
        """The application's."""
        return self._app.registry

    def sides(self, progress: reading.Progress) -> Sides:
        """What all its plans wanted, and what both clouds hold now."""
        plan, clouds = merge(self._plans()), self._app.clouds
        source, destination = clouds.open(plan.source), clouds.open(plan.destination)
        return read_sides(self._app, plan, source, destination, progress)

    def report_of(self, sides: Sides, *, copied: Mapping[Ref, Copied] | None = None) -> Report:
        """The comparison of both sides; it is not kept.

        :param copied: compare also what is known of copies with how the source's ones are now.
        """
        return make_report(
            self._record.id,
            sides.plan,
            source=sides.here,
            destination=sides.there,
            ids=sides.ids,
            registry=self._app.registry,
            copied=copied or {},
            events=self._all_events(),
            left=[
                f"{entry.ref} ({entry.side}, {entry.step}): {entry.detail.get('left', '')}"
                for entry in self._store.journal.open_entries(self._record.id)
                if entry.state is JournalState.LEFT
            ],
        )

    @contextmanager
    def have(self) -> Iterator[Workplace]:
        """Have the migration, in the state in which it is."""
        with self._at_work(None) as place:
            yield place

    # -- around the work

    def _plans(self) -> list[Plan]:
        """Its plans, newest first."""
        record = self._record
        return [
            load_plan(self._store, one) for one in (record.plan_id, *record.options.get(EARLIER_PLANS, ()))
        ]

    @contextmanager
    def _at_work(
        self, state: MigrationState | None, *, require: Callable[[], None] = lambda: None
    ) -> Iterator[Workplace]:
        """Have the migration, with all that its steps need.

        :param state: its state meanwhile; None is the one in which it is.
        :param require: as for :meth:`_had`.
        """
        with self._had(require) as epoch:
            place = self._place(epoch)  # this may be refused, and then it stays as it is
            if state is not None:
                self._record = self._store.migrations.set_state(self._record.id, state, epoch=epoch)
                place = replace(place, migration=self._record)
                self._tell(place, state)
            yield place

    @contextmanager
    def _had(self, require: Callable[[], None]) -> Iterator[int]:
        """Have the migration, keep the claim alive, and let go of it at the end, whatever comes.

        :param require: raises WrongState if the migration, as it is, does not allow what is to be done. It is
            asked before, so that nothing changes, and again: until then another process may have been at it.
        """
        require()
        migrations, id = self._store.migrations, self._record.id
        epoch = migrations.take(id, Owner.this_process(), fulfils=self._fulfils)
        try:
            writer = self._writer = EventWriter(self._store.events)
            with writer, Heart(migrations, id, epoch, self._control):
                self._record = migrations.get(id)
                require()
                yield epoch
        finally:
            migrations.release(id, epoch)

    def _place(self, epoch: int) -> Workplace:
        """All that the steps of this migration need."""
        record, config, clouds = self._record, self._app.config, self._app.clouds
        source, destination = clouds.open(record.source), clouds.open(record.destination)
        plans = self._plans()
        return Workplace(
            store=self._store,
            registry=self._app.registry,
            source=source,
            destination=destination,
            migration=record,
            plan=plans[0],
            plans={one.id: one for one in plans},
            known=merge(plans),
            epoch=epoch,
            settings=self._settings(record),
            passwords=passwords(
                config, str(record.options.get("passwords")), record.source, destination, record.id
            ),
            lane=Lane(
                transfers=record.options.get("transfers") or config.engine.transfers,
                bandwidth=record.options.get("bandwidth", config.engine.bandwidth),
            ),
            emit=self._emit,
            ids=self._store.ids_of(record),
            access=self._access(source, destination, epoch, plans[0].id),
        )

    def _access(self, source: Cloud, destination: Cloud, epoch: int, plan: str) -> Mapping[Side, Access]:
        record, store = self._record, self._store
        journal = store.journal_of(record.id, OUTSIDE, epoch=epoch, plan=plan)
        carried = partial(store.ids.stands, record.source, record.destination, "role_assignment")
        return {
            Side.SOURCE: Access(source, journal, side=Side.SOURCE),
            Side.DESTINATION: Access(destination, journal, side=Side.DESTINATION, carried=carried),
        }

    def _emit(self, event: Event) -> None:
        if self._writer is not None:
            self._writer(event)
        if self._listener is not None:
            self._listener(event)

    def _settings(self, record: MigrationRecord) -> Settings:
        engine, options = self._app.config.engine, record.options
        return Settings(
            quiesce=str(options.get("quiesce")),
            passwords=str(options.get("passwords")),
            floating_ips=str(options.get("floating_ips")),
            poll_interval=engine.poll_interval,
            build_timeout=engine.build_timeout,
            volume_timeout=engine.volume_timeout,
            image_timeout=engine.image_timeout,
            delete_timeout=engine.delete_timeout,
        )

    def _tell(self, place: Workplace, state: MigrationState) -> None:
        place.emit(MigrationChanged(migration=self._record.id, state=str(state)))
        if self._writer is not None:
            self._writer.flush()  # a resume must see which way it was going

    def _end(self, place: Workplace, state: MigrationState, reason: str = "") -> MigrationRecord:
        record = self._store.migrations.set_state(self._record.id, state, epoch=place.epoch, reason=reason)
        place.emit(MigrationChanged(migration=record.id, state=str(state), reason=reason))
        return record

    def _all_events(self) -> Iterator[Event]:
        """All events of this migration so far, page by page."""
        if self._writer is not None:
            self._writer.flush()  # the newest are not in the store yet
        after = 0
        while page := self._store.events.read(after=after, migration=self._record.id):
            yield from (one.event() for one in page)
            after = page[-1].seq

    def _rolling_back(self) -> bool:
        if self._record.state is not MigrationState.PAUSED:
            return self._record.state is MigrationState.ROLLING_BACK
        last = [one for one in self._all_events() if isinstance(one, MigrationChanged)]
        begun = [one.state for one in last if one.state in {"RUNNING", "ROLLING_BACK"}]
        return begun[-1:] == ["ROLLING_BACK"]

    def _require_to_go_on(self) -> None:
        refuse_if_prepared(self._record)
        self._require(MigrationState.PLANNED, MigrationState.PAUSED, MigrationState.RUNNING)
        self.require_forwards()

    def _require_to_cancel(self) -> None:
        self._require(MigrationState.PAUSED, MigrationState.RUNNING, MigrationState.CANCELLING)
        self.require_forwards()

    def _require_prepared(self) -> None:
        require_prepared(self._record)
        self.require_forwards()

    def _require_ended(self) -> None:
        self._require(
            MigrationState.PARTIAL,
            MigrationState.FAILED,
            MigrationState.CANCELLED,
            MigrationState.SUCCEEDED,
            MigrationState.ROLLED_BACK,
        )

    def _require(self, *states: MigrationState) -> None:
        if self._record.state not in states:
            raise errors.WrongState(
                f"migration {self._record.id} is {self._record.state}",
                next_step=_NEXT.get(self._record.state, "").format(id=self._record.id),
            )


_NEXT = {
    MigrationState.SUCCEEDED: "Check it with: pumphouse migration verify {id}",
    MigrationState.PARTIAL: "Do what is missing with: pumphouse migration retry {id}",
    MigrationState.FAILED: "Try it again with: pumphouse migration retry {id}",
    MigrationState.CANCELLED: "Try it again with: pumphouse migration retry {id}",
    MigrationState.PAUSED: "Go on with: pumphouse migration resume {id}",
    MigrationState.RUNNING: "Watch it with: pumphouse migration watch {id}",
    MigrationState.CANCELLING: "Go on with: pumphouse migration resume {id}",
    MigrationState.ROLLING_BACK: "Go on with: pumphouse migration resume {id}",
    MigrationState.ROLLED_BACK: "Do it again with: pumphouse migration retry {id}",
    MigrationState.ROLLBACK_INCOMPLETE: "Try it again with: pumphouse migration rollback {id}",
}


def _wrong(report: Report) -> str:
    """What the report does not bear out, in words; empty if it is verified."""
    wrong = report.wrong()
    found = ", ".join(f"{one.ref.type} {one.name}" for one in wrong[:3])
    return f"{len(wrong)} resources are not as they should be: {found}" if wrong else ""


def _called(plan: Plan, entry: JournalEntry) -> str:
    """The resource of a journal's entry as people know it."""
    planned = plan.by_ref.get(entry.ref)
    return str(planned.resource if planned else entry.ref)


def _verdict(outcomes: dict[str, Outcome], left: list[str], wrong: str) -> tuple[MigrationState, str]:
    """What a run came to: succeeded only if everything was done, proved, and nothing is left behind."""
    reasons: list[str] = []
    failed = {name: one for name, one in outcomes.items() if one.state is not UnitState.SUCCEEDED}
    if failed:
        name, first = next(
            ((name, one) for name, one in failed.items() if one.state is UnitState.FAILED),
            next(iter(failed.items())),
        )
        reasons.append(f"{len(failed)} of {len(outcomes)} units failed, such as {name}: {first.reason}")
    elif wrong:
        reasons.append(wrong)
    if left:
        reasons.append(f"{len(left)} could not be taken back: {'; '.join(left[:3])}")
    whole = bool(failed) and len(failed) == len(outcomes)
    state = MigrationState.FAILED if whole else MigrationState.PARTIAL
    return (state, "; ".join(reasons)) if reasons else (MigrationState.SUCCEEDED, "")
