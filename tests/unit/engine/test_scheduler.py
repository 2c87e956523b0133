"""The order between units."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumphouse.engine.scheduler import Outcome, run_graph
from pumphouse.store.states import UnitState

DONE = Outcome(state=UnitState.SUCCEEDED)


def units(*edges: tuple[str, str], alone: str = "") -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from(edges)
    graph.add_nodes_from(alone)
    return graph


def run(
    graph: nx.DiGraph[str],
    work: Callable[[str], Outcome] = lambda _: DONE,
    *,
    jobs: int = 4,
    stop: threading.Event | None = None,
    ended: dict[str, Outcome] | None = None,
) -> tuple[dict[str, Outcome], list[tuple[str, str]]]:
    changes: list[tuple[str, str]] = []
    outcomes = run_graph(
        graph,
        work,
        jobs=jobs,
        stop=stop or threading.Event(),
        on_change=lambda unit, outcome: changes.append((unit, outcome.state)),
        ended=ended,
    )
    return outcomes, changes


def states(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {unit: outcome.state.value for unit, outcome in outcomes.items()}


def test_what_has_ended_before_is_not_run_again_and_keeps_its_outcome() -> None:
    """a, b and f have ended; e needs both what failed and what succeeded."""
    failed = Outcome(state=UnitState.FAILED, reason="why it failed")
    skipped = Outcome(state=UnitState.SKIPPED, reason="needs b, which failed")
    graph = units(("a", "c"), ("b", "d"), ("a", "e"), ("d", "e"), ("b", "f"))
    outcomes, changes = run(graph, ended={"a": DONE, "b": failed, "f": skipped, "gone": DONE})
    assert outcomes["a"] is DONE
    assert outcomes["b"] is failed
    assert outcomes["f"] is skipped
    assert outcomes["d"].reason == "needs b, which failed"
    assert states(outcomes) == {
        "a": "SUCCEEDED",
        "b": "FAILED",
        "c": "SUCCEEDED",
        "d": "SKIPPED",
        "e": "SKIPPED",
        "f": "SKIPPED",
    }
    assert {unit for unit, _ in changes} == {"c", "d", "e"}


def test_runs_all_in_order() -> None:
    order: list[str] = []

    def work(unit: str) -> Outcome:
        order.append(unit)
        return DONE

    outcomes, changes = run(units(("c", "b"), ("b", "a"), ("c", "d")), work, jobs=1)
    assert order == ["c", "b", "a", "d"]
    assert list(states(outcomes).items()) == [(unit, "SUCCEEDED") for unit in "abcd"]
    assert changes[:3] == [("c", "RUNNING"), ("c", "SUCCEEDED"), ("b", "RUNNING")]


def test_nothing_to_do() -> None:
    assert run(units()) == ({}, [])


def test_what_needs_a_failed_unit_is_skipped_with_the_reason_and_the_rest_runs() -> None:
    def work(unit: str) -> Outcome:
        return Outcome(state=UnitState.FAILED, reason="no room") if unit == "b" else DONE

    outcomes, changes = run(units(("a", "b"), ("b", "c"), ("c", "d"), ("a", "e")), work)
    assert states(outcomes) == {
        "a": "SUCCEEDED",
        "b": "FAILED",
        "c": "SKIPPED",
        "d": "SKIPPED",
        "e": "SUCCEEDED",
    }
    assert outcomes["b"].reason == "no room"
    assert outcomes["d"].reason == "needs b, which failed"
    assert ("d", "SKIPPED") in changes


@pytest.mark.parametrize("error", [ValueError("no such image"), SystemExit("no such image")])
def test_an_exception_is_the_units_failure(error: BaseException) -> None:
    def work(unit: str) -> Outcome:
        if unit == "a":
            raise error
        return DONE

    outcomes, _ = run(units(("a", "b"), alone="c"), work)
    assert states(outcomes) == {"a": "FAILED", "b": "SKIPPED", "c": "SUCCEEDED"}
    assert outcomes["a"].error is error
    assert outcomes["a"].reason == "no such image"


def test_stop_lets_running_units_end_and_starts_no_other() -> None:
    stop, running = threading.Event(), threading.Barrier(2)

    def work(_unit: str) -> Outcome:
        running.wait(5)
        stop.set()
        return DONE

    outcomes, _ = run(units(("a", "d"), alone="bc"), work, jobs=2, stop=stop)
    assert states(outcomes) == {"a": "SUCCEEDED", "b": "SUCCEEDED", "c": "PENDING", "d": "PENDING"}


def test_what_needs_a_suspended_unit_stays_pending() -> None:
    outcomes, _ = run(units(("a", "b")), lambda _: Outcome(state=UnitState.PENDING))
    assert states(outcomes) == {"a": "PENDING", "b": "PENDING"}


def test_a_circle_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="a -> b"):
        run(units(("a", "b"), ("b", "a")), lambda _: pytest.fail("ran"))


def test_no_more_than_jobs_at_once_and_not_fewer() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def work(_unit: str) -> Outcome:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return DONE

    run(units(alone="abcdefghijkl"), work, jobs=3)
    assert most == 3


def test_many_units_cost_time_in_proportion() -> None:
    """A star and a comb of 4,000 units; what is quadratic here takes minutes."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for number in range(2000):
        graph.add_edge("hub", f"a{number:04}")
        graph.add_edge(f"a{number:04}", f"b{number:04}")
    began = time.monotonic()
    outcomes, _ = run(graph)
    assert set(states(outcomes).values()) == {"SUCCEEDED"}
    assert time.monotonic() - began < 10


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40),
    st.sets(st.integers(0, 12)),
    st.integers(1, 5),
)
def test_any_graph_is_run_as_promised(edges: list[tuple[int, int]], bad: set[int], jobs: int) -> None:
    graph = units(*[(f"{min(a, b):02}", f"{max(a, b):02}") for a, b in edges if a != b])
    failing = {f"{number:02}" for number in bad}
    finished: set[str] = set()

    def work(unit: str) -> Outcome:
        assert set(graph.predecessors(unit)) <= finished
        if unit in failing:
            raise ValueError(unit)
        finished.add(unit)
        return DONE

    outcomes, _ = run(graph, work, jobs=jobs)
    for unit, outcome in outcomes.items():
        blocked = nx.ancestors(graph, unit) & failing
        expected = "SKIPPED" if blocked else "FAILED" if unit in failing else "SUCCEEDED"
        assert outcome.state == expected


def test_what_counts_runs_within_the_limit_and_what_does_not_runs_beside_it() -> None:
    weights = {"a": 1, "b": 2, "c": 5, "d": 1}
    running: set[str] = set()
    most = []
    lock = threading.Lock()
    free = threading.Event()

    def work(unit: str) -> Outcome:
        with lock:
            running.add(unit)
            most.append(sorted(running & weights.keys()))
        if unit == "x":
            free.set()
        assert free.wait(10)  # what counts nothing is not kept waiting
        time.sleep(0.02)
        with lock:
            running.discard(unit)
        return DONE

    outcomes = run_graph(
        units(alone="abcdx"),
        work,
        jobs=8,
        stop=threading.Event(),
        on_change=lambda _unit, _outcome: None,
        weights=weights,
        limit=3,
    )
    assert set(states(outcomes).values()) == {"SUCCEEDED"}
    assert all(sum(weights[unit] for unit in those) <= 3 or those == ["c"] for those in most)
    assert ["a", "b"] in most
