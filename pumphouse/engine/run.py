"""Runs a migration's units, here: each unit's flow by TaskFlow, the order between them by the scheduler."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import networkx as nx
from taskflow import states
from taskflow.exceptions import NotFound, StorageFailure, WrappedFailure
from taskflow.persistence import models
from taskflow.types.failure import Failure
from taskflow.types.notifier import Notifier

from pumphouse import errors
from pumphouse.engine.backend import PersistenceBackend
from pumphouse.engine.control import Control
from pumphouse.engine.executor import DeferringExecutor
from pumphouse.engine.resumable import ResumableEngine, load_engine
from pumphouse.engine.scheduler import Outcome, run_graph
from pumphouse.engine.workplace import Workplace
from pumphouse.events import StepChanged, UnitChanged
from pumphouse.flow.tasks import compile_unit, parse_symbol, unexpected
from pumphouse.flow.units import Unit, divide
from pumphouse.model import Action
from pumphouse.store.database import database_failed
from pumphouse.store.states import UnitState
from pumphouse.store.units import UnitRecord

NAMESPACE = uuid.UUID("5f0cb8f1-3c1e-4d0a-9d55-0a1f6a3b7c55")
"""Of the ids of flow details, so that a resumed unit finds its own again."""
WAITING_UNITS_PER_JOB = 8
"""A unit that only waits holds a thread, but no worker: so many more units than workers may be under way."""


class Run:
    """One run of a migration's units, from where they are to where they get.

    :param jobs: how many steps run at once.
    :param prepare: whether what brings something to rest on the source is left for later.
    """

    def __init__(
        self,
        place: Workplace,
        *,
        backend: PersistenceBackend,
        control: Control,
        jobs: int,
        prepare: bool = False,
    ) -> None:
        self._place = place
        self._backend = backend
        self._control = control
        self._jobs = jobs
        self._units, self._order = divide(place.plan, place.registry)
        self.later = self._with_downtime() if prepare else frozenset[str]()
        """The units that are left for later."""
        self._engines: set[ResumableEngine] = set()
        self._lock = threading.Lock()
        self._executor = DeferringExecutor(jobs)

    def run(self) -> dict[str, Outcome]:
        """Run every unit that has not ended, once. Returns when all have ended, or the run was stopped.

        :raises pumphouse.errors.Fenced: another process has taken the migration over.
        """
        ended = self._prepare()
        graph = self._order.copy()
        graph.remove_nodes_from(self.later)
        self._control.on_stop(self._interrupt)
        try:
            outcomes = run_graph(
                graph,
                self._work,
                jobs=self._jobs * WAITING_UNITS_PER_JOB,
                stop=self._control.stop,
                on_change=self._changed,
                weights={
                    name: sum(ref.type == "server" for ref in unit.refs) for name, unit in self._units.items()
                },
                limit=self._place.migration.options.get("servers_at_once"),
                ended=ended,
            )
        finally:
            self._executor.shutdown()
        for outcome in outcomes.values():
            if isinstance(outcome.error, errors.Fenced):
                raise outcome.error
        return outcomes

    def _with_downtime(self) -> frozenset[str]:
        """The units with something that rests on the source while it moves, and all that need them."""
        place = self._place
        resting = {
            name
            for name, unit in self._units.items()
            for ref in unit.refs
            if (planned := place.plan.by_ref[ref]).action is Action.CREATE
            and place.registry[ref.type].rests(planned.resource)
        }
        needing = (nx.descendants(self._order, name) for name in resting)
        return frozenset(resting.union(*needing))

    def _prepare(self) -> Mapping[str, Outcome]:
        """Record the units, unless an earlier run did; the outcomes of those that have ended."""
        store, migration = self._place.store, self._place.migration
        recorded = {unit.name: unit for unit in store.units.of(migration.id)}
        flows = {name: self._flow_id(name) for name in self._units}
        if {name: unit.flow for name, unit in recorded.items()} != flows:
            in_order: Iterator[str] = nx.lexicographical_topological_sort(self._order)
            store.units.replace(
                migration.id,
                [
                    UnitRecord(
                        migration=migration.id,
                        name=name,
                        kind=self._units[name].label,
                        flow=flows[name],
                    )
                    for name in in_order
                ],
            )
            return {}
        open_states = {UnitState.PENDING, UnitState.RUNNING}
        return {
            name: Outcome(state=unit.state, reason=unit.reason)
            for name, unit in recorded.items()
            if unit.state not in open_states
        }

    # -- one unit

    def _work(self, name: str) -> Outcome:
        try:
            return self._run_flow(name)
        except Exception as error:  # noqa: BLE001 -- whatever a step raised is its unit's outcome
            return _failed(name, error)

    def _run_flow(self, name: str) -> Outcome:
        unit = self._units[name]
        detail = self._detail(name)
        if detail.state == states.SUCCESS:  # the process died between the flow's end and the unit's
            return Outcome(state=UnitState.SUCCEEDED)
        if detail.state == states.REVERTED:  # to run it again would do all of it anew
            return Outcome(state=UnitState.FAILED, reason=_first_failure(detail))
        flow = compile_unit(unit, self._place.plan, self._place.registry, self._place.context(name))
        engine = load_engine(flow, detail=detail, backend=self._backend, executor=self._executor)
        engine.atom_notifier.register(Notifier.ANY, _Steps(self._place, unit).changed)
        with self._lock:
            if self._control.stop.is_set():
                return Outcome(state=UnitState.PENDING)
            self._engines.add(engine)
        try:
            engine.run()
        finally:
            with self._lock:
                self._engines.discard(engine)
        if engine.storage.get_flow_state() == states.SUCCESS:
            return Outcome(state=UnitState.SUCCEEDED)
        # Fenced steps leave their flow suspended, not failed.
        return Outcome(state=UnitState.PENDING, error=self._executor.fenced)

    def _detail(self, name: str) -> models.FlowDetail:
        """The unit's flow detail, with a log book of its own, made on first use."""
        flow_id = self._flow_id(name)
        connection = self._backend.get_connection()
        try:
            return connection.get_flow_details(flow_id)
        except NotFound:
            book = models.LogBook(name, str(uuid.uuid5(NAMESPACE, flow_id)))
            detail = models.FlowDetail(name, flow_id)
            book.add(detail)
            connection.save_logbook(book)
            return detail

    def _flow_id(self, name: str) -> str:
        return str(uuid.uuid5(NAMESPACE, f"{self._place.migration.id}/{self._place.plan.id}/{name}"))

    # -- stopping and telling

    def _interrupt(self) -> None:
        with self._lock:
            running = list(self._engines)
        for engine in running:
            engine.suspend()
        self._executor.interrupt()

    def _changed(self, name: str, outcome: Outcome) -> None:
        if isinstance(outcome.error, errors.Fenced):
            self._control.pause()
            return
        error = errors.as_dict(outcome.error)
        self._place.store.units.set_state(
            self._place.migration.id, name, outcome.state, reason=outcome.reason, error=error
        )
        self._place.emit(
            UnitChanged(
                migration=self._place.migration.id,
                unit=name,
                state=str(outcome.state),
                reason=outcome.reason,
                error=error,
            )
        )


class _Steps:
    """Turns TaskFlow's notifications of one unit into events."""

    def __init__(self, place: Workplace, unit: Unit) -> None:
        self._place = place
        self._unit = unit
        self._begun: dict[str, float] = {}

    def changed(self, state: str, details: Mapping[str, Any]) -> None:
        """One atom has a new state."""
        name = details.get("task_name")
        if name is None:
            return
        ref, step = parse_symbol(name)
        now = time.monotonic()
        if state in {states.RUNNING, states.REVERTING}:
            self._begun[name] = now
        begun = self._begun.get(name)
        ended = state in {states.SUCCESS, states.FAILURE, states.REVERTED, states.REVERT_FAILURE}
        result = details.get("result")
        failure = result if isinstance(result, Failure) else None
        kinds = {one.name: one.doing for one in self._place.registry[ref.type].steps}
        self._place.emit(
            StepChanged(
                migration=self._place.migration.id,
                unit=self._unit.name,
                resource=str(ref),
                name=self._place.plan.by_ref[ref].resource.name,
                step=step,
                state=state,
                doing=kinds[step],
                seconds=round(now - begun, 3) if ended and begun is not None else None,
                error=errors.as_dict(failure.exception) if failure is not None else None,
            )
        )


def _failed(unit: str, error: Exception) -> Outcome:
    cause: BaseException = error
    if isinstance(error, WrappedFailure):
        failures = [one for one in error if one.exception is not None]
        if not failures:
            return Outcome(state=UnitState.FAILED, reason="; ".join(one.exception_str for one in error))
        cause = failures[0].exception
    if isinstance(cause, StorageFailure):
        cause = database_failed(cause.__cause__ or cause)
    elif not isinstance(cause, errors.PumphouseError):  # of no step: those name theirs
        cause = unexpected(unit, cause, resource=unit)
    return Outcome(state=UnitState.FAILED, reason=str(cause) or type(cause).__name__, error=cause)


def _first_failure(detail: models.FlowDetail) -> str:
    """Why a reverted flow failed, as its atoms remember it."""
    for atom in detail:
        if atom.failure is not None:
            return str(atom.failure.exception_str)
    return "it was reverted"
