"""The order between units: what a unit needs has succeeded before it starts.

TaskFlow orders the atoms inside a flow. Between flows its cost would grow with the square of their number, so
that order is kept here, in time linear in units and edges.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import networkx as nx

from pumphouse.store.states import UnitState


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where a unit has got to, and why it got no further."""

    state: UnitState
    reason: str = ""
    error: BaseException | None = None


OnChange = Callable[[str, Outcome], None]
"""Told each unit's changes, one at a time, in the thread of :func:`run_graph`. Must not raise."""


def run_graph(
    graph: nx.DiGraph[str],
    work: Callable[[str], Outcome],
    *,
    jobs: int,
    stop: threading.Event,
    on_change: OnChange,
    weights: Mapping[str, int] | None = None,
    limit: int | None = None,
    ended: Mapping[str, Outcome] | None = None,
) -> dict[str, Outcome]:
    """Run each unit once all that it needs has succeeded; the outcome of each, sorted by name.

    Units that are ready at the same time start in the order of their names. A unit that needs a failed one
    is SKIPPED. An exception from ``work`` is its unit's FAILED outcome. Once ``stop`` is set no unit starts,
    those running end by themselves, and the others stay PENDING.

    :param graph: units by name; an edge from a to b says that b needs a.
    :param work: does one unit and says how it ended; PENDING if it is to be resumed.
    :param jobs: how many units run at once.
    :param weights: what units count besides, such as how many servers are down while each runs; one that is
        not named counts nothing.
    :param limit: how much of that may run at once; a unit that counts more runs when no other one does.
    :param ended: the outcomes of units that have ended before: they are not run, and nobody is told of them.
    :raises ValueError: the units need each other in a circle.
    """
    run = _Run(graph, on_change, ended or {})
    running: dict[Future[Outcome], str] = {}
    with ThreadPoolExecutor(jobs, thread_name_prefix="pumphouse-unit") as pool:
        while True:
            while len(running) < jobs and not stop.is_set():
                unit = _next(run.ready, running.values(), weights or {}, limit)
                if unit is None:
                    break
                run.record(unit, Outcome(state=UnitState.RUNNING))
                running[pool.submit(work, unit)] = unit
            if not running:
                return dict(sorted(run.outcomes.items()))
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=running.__getitem__):
                run.ended(running.pop(future), _outcome(future))


def _next(
    ready: list[str], running: Iterable[str], weights: Mapping[str, int], limit: int | None
) -> str | None:
    """Take the first ready unit that may run beside those that do; None if there is none."""
    if limit is None:
        return heapq.heappop(ready) if ready else None
    used = sum(weights.get(unit, 0) for unit in running)
    for unit in sorted(ready):
        weight = weights.get(unit, 0)
        if not weight or not used or used + weight <= limit:
            ready.remove(unit)
            heapq.heapify(ready)
            return unit
    return None


class _Run:
    """What is known of each unit, and which could start."""

    def __init__(self, graph: nx.DiGraph[str], on_change: OnChange, before: Mapping[str, Outcome]) -> None:
        if not nx.is_directed_acyclic_graph(graph):
            circle = " -> ".join(str(before) for before, *_ in nx.find_cycle(graph))
            raise ValueError(f"units need each other in a circle: {circle}")
        self._graph = graph
        self._on_change = on_change
        self._needs = {unit: graph.in_degree(unit) for unit in graph}
        self.outcomes = {unit: before.get(unit, Outcome(state=UnitState.PENDING)) for unit in graph}
        self.ready = [unit for unit, needs in self._needs.items() if not needs and unit not in before]
        heapq.heapify(self.ready)
        for unit in sorted(before.keys() & self._needs.keys()):
            self._follow(unit)

    def record(self, unit: str, outcome: Outcome) -> None:
        self.outcomes[unit] = outcome
        self._on_change(unit, outcome)

    def ended(self, unit: str, outcome: Outcome) -> None:
        self.record(unit, outcome)
        self._follow(unit)

    def _follow(self, unit: str) -> None:
        """What its outcome means for those that need it."""
        state = self.outcomes[unit].state
        if state is UnitState.SUCCEEDED:
            for after in self._graph.successors(unit):
                self._needs[after] -= 1
                if not self._needs[after] and self.outcomes[after].state is UnitState.PENDING:
                    heapq.heappush(self.ready, after)
        elif state is not UnitState.PENDING:
            self._skip_all_that_need(unit)

    def _skip_all_that_need(self, failed: str) -> None:
        open_units = [failed]
        while open_units:
            for after in sorted(self._graph.successors(open_units.pop())):
                if self.outcomes[after].state is UnitState.PENDING:
                    self.record(
                        after, Outcome(state=UnitState.SKIPPED, reason=f"needs {failed}, which failed")
                    )
                    open_units.append(after)


def _outcome(future: Future[Outcome]) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    return Outcome(state=UnitState.FAILED, reason=str(error) or type(error).__name__, error=error)
