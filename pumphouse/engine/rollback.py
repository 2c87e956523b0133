"""Takes back what the journal says, in the reverse order of the plan's graph.

Everything is tried: one thing that cannot be removed does not keep the others. What is left stays open in the
journal with the reason, and a later roll-back tries it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import networkx as nx

from pumphouse import errors
from pumphouse.context import JournalEntry, JournalState
from pumphouse.engine import access
from pumphouse.engine.control import Control
from pumphouse.engine.scheduler import Outcome, run_graph
from pumphouse.engine.workplace import Workplace
from pumphouse.events import StepChanged
from pumphouse.flow.tasks import build_step
from pumphouse.model import Ref
from pumphouse.steps import USE, take_back
from pumphouse.store.states import UnitState


class Rollback:
    """One attempt to take effects back."""

    def __init__(self, place: Workplace, *, control: Control, jobs: int) -> None:
        self._place = place
        self._control = control
        self._jobs = jobs

    def all(self) -> list[str]:
        """Take back everything that is open; what is left, in words."""
        left = self._undo(lambda entry: entry.step != USE)
        if not left and not self._control.stop.is_set():
            self._release()
        return left

    def temporary(self) -> list[str]:
        """Take back what was only for the time of the migration."""
        return self._undo(lambda entry: entry.temporary)

    def left(self) -> list[str]:
        """Take back what could not be taken back before."""
        return self._undo(lambda entry: entry.state is JournalState.LEFT)

    def grants(self) -> list[str]:
        """Take the operator's roles back."""
        return self._undo(lambda entry: entry.step == access.STEP)

    def units(self, names: Iterable[str]) -> list[str]:
        """Take back what these units did in this run. Those of earlier runs have the same names."""
        plan, wanted = self._place.plan.id, set(names)
        return self._undo(lambda entry: entry.plan == plan and entry.unit in wanted)

    def _undo(self, wanted: Callable[[JournalEntry], bool]) -> list[str]:
        found = [
            one
            for one in self._place.store.journal.open_entries(self._place.migration.id)
            if wanted(one) and one.step != access.STEP
        ]
        entries: dict[Ref, list[JournalEntry]] = {}
        for entry in found:
            entries.setdefault(entry.ref, []).append(entry)
        left: list[str] = []
        outcomes = run_graph(
            self._order(entries),
            lambda name: self._undo_resource(entries[Ref.parse(name)], left),
            jobs=self._jobs,
            stop=self._control.stop,
            on_change=lambda _name, _outcome: None,
        )
        for name, outcome in outcomes.items():
            if isinstance(outcome.error, errors.Fenced):
                raise outcome.error
            if outcome.error is not None:
                left.append(f"{name}: {outcome.reason}")
        if not self._control.stop.is_set():
            left += self._revoke(wanted)
        self._place.context().journal.check_fence()  # for whoever goes on tells what it came to
        return sorted(left)

    def _release(self) -> None:
        """Nothing here relies on other migrations' resources any longer."""
        journal = self._place.context().journal
        journal.check_fence()
        for entry in self._place.store.journal.open_entries(self._place.migration.id):
            if entry.step == USE:
                journal.removed(entry)

    def _order(self, entries: dict[Ref, list[JournalEntry]]) -> nx.DiGraph[str]:
        """What needs something is removed before it."""
        plan = self._place.known.graph
        order: nx.DiGraph[str] = nx.DiGraph()
        order.add_nodes_from(str(ref) for ref in entries)
        order.add_edges_from(
            (str(ref), str(need)) for need, ref in plan.edges if need in entries and ref in entries
        )
        return order

    def _undo_resource(self, entries: list[JournalEntry], left: list[str]) -> Outcome:
        """Undo one resource's effects, newest first. Succeeds even if some are left: others must go on."""
        for entry in entries:
            if self._control.stop.is_set():
                return Outcome(state=UnitState.PENDING)
            context = self._place.context(entry.unit, plan=entry.plan)
            planned = self._place.planned(entry)
            step = build_step(planned, entry.step, self._place.registry, context)
            self._tell(entry, "REVERTING", step.doing)
            trouble = take_back(step, entry)
            if trouble is None:
                self._tell(entry, "REVERTED", step.doing)
            else:
                left.append(f"{planned.resource}: {trouble}")
                self._tell(entry, "REVERT_FAILURE", step.doing, trouble)
        return Outcome(state=UnitState.SUCCEEDED)

    def _revoke(self, wanted: Callable[[JournalEntry], bool]) -> list[str]:
        """Grants go last: removing what is in a project may need them."""
        left: list[str] = []
        journal = self._place.context().journal
        for entry in self._place.store.journal.open_entries(self._place.migration.id):
            if entry.step == access.STEP and wanted(entry):
                journal.check_fence()
                try:
                    self._place.access[entry.side].revoke(entry)
                except errors.CloudError as error:
                    journal.left(entry, str(error))
                    left.append(f"the operator's role in project {entry.detail['project_id']}: {error}")
                else:
                    journal.removed(entry)
        return left

    def _tell(self, entry: JournalEntry, state: str, doing: str, error: Exception | None = None) -> None:
        self._place.emit(
            StepChanged(
                migration=self._place.migration.id,
                unit=entry.unit,
                resource=str(entry.ref),
                name=self._place.planned(entry).resource.name,
                step=entry.step,
                state=state,
                doing=doing,
                error=errors.as_dict(error),
            )
        )
