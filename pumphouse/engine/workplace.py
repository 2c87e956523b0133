"""What all steps of one run share, and the context that each unit's steps get of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from pumphouse.clouds.cloud import Cloud
from pumphouse.context import Carried, Context, JournalEntry, Lane, Passwords, Settings
from pumphouse.engine.access import Access
from pumphouse.events import DataCarried, Listener, Noted, StepProgressed
from pumphouse.model import Action, Ref, Side
from pumphouse.plan.document import Plan, PlannedResource
from pumphouse.registry import Registry
from pumphouse.resource import ScopeLevel
from pumphouse.store.ids import MigrationIds
from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.opening import Store

OUTSIDE = ""
"""The unit of effects that belong to no unit."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """The collaborators of a run. ``epoch`` fences what it writes."""

    store: Store
    registry: Registry
    source: Cloud
    destination: Cloud
    migration: MigrationRecord
    plan: Plan
    plans: Mapping[str, Plan]
    """The plan and earlier ones of this migration, by id: what is to be taken back may be of any of them."""
    known: Plan
    """All of them as one."""
    epoch: int
    settings: Settings
    passwords: Passwords
    lane: Lane
    emit: Listener
    access: Mapping[Side, Access]
    ids: MigrationIds

    def planned(self, entry: JournalEntry) -> PlannedResource:
        """The resource of a journal's entry, as the run that wrote it knew it."""
        plan = self.plans.get(entry.plan, self.known)
        return plan.by_ref.get(entry.ref) or self.known.by_ref[entry.ref]

    def context(self, unit: str = OUTSIDE, *, plan: str | None = None) -> Context:
        """The context of one unit's steps, in the run of this plan, or of an earlier one."""
        return Context(
            migration=self.migration.id,
            source=self.source,
            destination=self.destination,
            scoped=self.access[Side.DESTINATION],
            scoped_source=self.access[Side.SOURCE],
            journal=self.store.journal_of(
                self.migration.id, unit, epoch=self.epoch, plan=self.plan.id if plan is None else plan
            ),
            ids=self.ids,
            claims=self.store.claims_of(self.migration),
            waiting={Side.SOURCE: self.source.waiter, Side.DESTINATION: self.destination.waiter},
            settings=self.settings,
            passwords=self.passwords,
            lane=self.lane,
            progress=self._progress(unit),
            carried=self._carried,
            note=self._note,
        )

    def adopt_ids(self) -> None:
        """Put what the plan reuses or updates into the id map, where steps look up what they need."""
        ids = self.store.ids
        known = ids.all(self.migration.source, self.migration.destination)
        for one in self.plan.doing(Action.REUSE, Action.UPDATE):
            record = known.get(one.ref)
            if one.destination_id and (record is None or record.destination_id != one.destination_id):
                ids.put(
                    self.migration.source,
                    self.migration.destination,
                    one.ref,
                    one.destination_id,
                    migration=self.migration.id,
                    made=False,
                )

    def tell_uses(self) -> None:
        """Write into the journal what this migration relies on, should others have made it.

        That is what is shared, and what its new resources need.
        """
        shared = {ScopeLevel.CLOUD, ScopeLevel.DOMAIN}
        relied = {one.ref for one in self.plan.resources if self.registry[one.ref.type].scope in shared}
        for one in reversed(self.plan.resources):  # what needs before what is needed
            if one.ref in relied or one.action in {Action.CREATE, Action.UPDATE}:
                relied.update(one.needs)
        self.context().journal.use(
            {
                one.ref: one.destination_id
                for one in self.plan.doing(Action.REUSE, Action.UPDATE)
                if one.ref in relied and one.destination_id
            }
        )

    def _carried(self, ref: Ref, step: str, what: Carried) -> None:
        self.emit(DataCarried(migration=self.migration.id, resource=str(ref), step=step, **asdict(what)))

    def _note(self, ref: Ref, text: str) -> None:
        self.emit(Noted(migration=self.migration.id, resource=str(ref), text=text))

    def _progress(self, unit: str) -> Callable[[Ref, str, float, str], None]:
        """Progress in whole hundredths: a stream of a gigabyte is a hundred events, not a thousand."""
        told: dict[tuple[Ref, str], int] = {}
        lock = threading.Lock()

        def progress(ref: Ref, step: str, share: float, text: str) -> None:
            hundredths = int(share * 100)
            with lock:
                if told.get((ref, step)) == hundredths:
                    return
                told[ref, step] = hundredths
            self.emit(
                StepProgressed(
                    migration=self.migration.id,
                    unit=unit,
                    resource=str(ref),
                    step=step,
                    share=hundredths / 100,
                    text=text,
                )
            )

        return progress
