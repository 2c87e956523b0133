"""The shared executor: waits hold no thread, nothing is lost, no thread is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from typing import Any

import pytest
from taskflow.engines.action_engine.executor import EXECUTED
from taskflow.types.failure import Failure

from pumphouse.context import PENDING, Deferred, Interrupted
from pumphouse.engine.executor import DeferringExecutor
from pumphouse.errors import Fenced, WaitTimeout


@pytest.fixture
def executor() -> Iterator[DeferringExecutor]:
    made = DeferringExecutor(2)
    yield made
    made.shutdown(cancel_futures=True)


def deferred(poll: Callable[[], Any], *, interval: float = 0.01, timeout: float = 30) -> Any:
    """What TaskFlow's call around a task answers when the task waits."""
    return (EXECUTED, Deferred(poll=poll, interval=interval, timeout=timeout, describe="server x"))


def never() -> Any:
    return deferred(lambda: PENDING)


def failing(error: Exception) -> Any:
    """What TaskFlow's call around a task answers when the task raises."""
    return (EXECUTED, Failure.from_exception(error))


def raised(error: Exception) -> Any:
    raise error


def pumphouse_threads() -> list[str]:
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("pumphouse-"))


def test_a_plain_answer_is_the_futures_result(executor: DeferringExecutor) -> None:
    assert executor.submit(lambda a, b: (EXECUTED, a + b), 1, b=2).result(5) == (EXECUTED, 3)


def test_polls_until_there_is_an_answer(executor: DeferringExecutor) -> None:
    answers = iter([PENDING, PENDING, {"id": "7"}])
    future = executor.submit(lambda: deferred(lambda: next(answers)))
    assert future.result(5) == (EXECUTED, {"id": "7"})


def test_a_poll_may_go_on_to_another_wait(executor: DeferringExecutor) -> None:
    second = Deferred(poll=lambda: "there", interval=0.01, timeout=5, describe="volume y")
    assert executor.submit(lambda: deferred(lambda: second)).result(5) == (EXECUTED, "there")


def test_none_is_an_answer(executor: DeferringExecutor) -> None:
    assert executor.submit(lambda: deferred(lambda: None)).result(5) == (EXECUTED, None)


def test_waits_hold_no_thread(executor: DeferringExecutor) -> None:
    began = time.monotonic()

    def ready() -> Any:
        return "ACTIVE" if time.monotonic() - began > 0.5 else PENDING

    futures = [executor.submit(lambda: deferred(ready, interval=0.1)) for _ in range(100)]
    done = wait(futures, timeout=20)
    assert not done.not_done
    # Fifty blocking waits in a row on each of the two workers would take 25 s.
    assert time.monotonic() - began < 5


def test_an_exception_from_poll_is_the_steps_failure(executor: DeferringExecutor) -> None:
    outcome, value = executor.submit(lambda: deferred(lambda: raised(ZeroDivisionError("x")))).result(5)
    assert outcome == EXECUTED
    assert isinstance(value, Failure)
    assert isinstance(value.exception, ZeroDivisionError)


def test_a_wait_that_takes_too_long_fails_and_names_what_was_awaited(executor: DeferringExecutor) -> None:
    _, value = executor.submit(lambda: deferred(lambda: PENDING, timeout=0.05)).result(5)
    assert isinstance(value.exception, WaitTimeout)
    assert "server x" in str(value.exception)


def test_asks_once_more_at_the_deadline(executor: DeferringExecutor) -> None:
    """An interval longer than the timeout must not turn what is ready into a failure."""
    future = executor.submit(lambda: deferred(lambda: "ready", interval=60, timeout=0.05))
    assert future.result(5) == (EXECUTED, "ready")


def test_an_exception_of_the_call_itself_is_the_futures(executor: DeferringExecutor) -> None:
    with pytest.raises(SystemExit):
        executor.submit(lambda: raised(SystemExit("stop"))).result(5)  # type: ignore[arg-type]  # on purpose


def test_polls_run_while_all_workers_are_busy(executor: DeferringExecutor) -> None:
    release = threading.Event()
    future = executor.submit(lambda: deferred(lambda: "ACTIVE", interval=0.05))
    busy = [executor.submit(release.wait, 20) for _ in range(4)]
    try:
        assert future.result(5) == (EXECUTED, "ACTIVE")
        assert not any(f.done() for f in busy)
    finally:
        release.set()


def test_interrupt_ends_waits_and_queued_calls_as_cancelled(executor: DeferringExecutor) -> None:
    release, began = threading.Event(), threading.Barrier(3)

    def work() -> str:
        began.wait(5)
        release.wait(20)
        return "finished"

    waiting = [executor.submit(never) for _ in range(5)]
    running = [executor.submit(work) for _ in range(2)]
    began.wait(5)
    queued = [executor.submit(work) for _ in range(3)]
    started = time.monotonic()
    executor.interrupt()
    for future in waiting + queued:
        with pytest.raises(CancelledError):
            future.result(5)
    assert time.monotonic() - started < 2
    assert executor.interrupted.is_set()
    release.set()
    assert [future.result(5) for future in running] == ["finished", "finished"]


def test_after_an_interrupt_nothing_begins(executor: DeferringExecutor) -> None:
    executor.interrupt()
    calls: list[int] = []
    with pytest.raises(CancelledError):
        executor.submit(calls.append, 1).result(5)
    assert not calls


@pytest.mark.parametrize("error", [Interrupted("stop"), Fenced("taken over")])
def test_a_step_that_stops_unfinished_is_cancelled_not_failed(
    executor: DeferringExecutor, error: Exception
) -> None:
    from_call = executor.submit(failing, error)
    from_poll = executor.submit(lambda: deferred(lambda: raised(error)))
    for future in (from_call, from_poll):
        with pytest.raises(CancelledError) as caught:
            future.result(5)
        assert caught.value.__cause__ is error
    assert executor.fenced is (error if isinstance(error, Fenced) else None)


def test_a_future_cancelled_by_its_owner_does_not_run() -> None:
    executor = DeferringExecutor(1)
    release = threading.Event()
    calls: list[int] = []
    executor.submit(release.wait, 20)
    queued = executor.submit(calls.append, 1)
    assert queued.cancel()
    release.set()
    executor.shutdown()
    assert not calls


def test_shutdown_finishes_what_is_open_and_leaves_no_thread() -> None:
    before = pumphouse_threads()
    executor = DeferringExecutor(2)
    ready = threading.Event()
    futures: list[Future[Any]] = [
        executor.submit(lambda: deferred(lambda: "done" if ready.is_set() else PENDING)) for _ in range(10)
    ]
    threading.Timer(0.1, ready.set).start()
    executor.shutdown()
    assert [future.result(0) for future in futures] == [(EXECUTED, "done")] * 10
    assert pumphouse_threads() == before
    with pytest.raises(RuntimeError):
        executor.submit(never)


def test_shutdown_can_interrupt_instead() -> None:
    before = pumphouse_threads()
    executor = DeferringExecutor(2)
    futures = [executor.submit(never) for _ in range(10)]
    executor.shutdown(cancel_futures=True)
    assert all(isinstance(future.exception(0), CancelledError) for future in futures)
    assert pumphouse_threads() == before


def test_shutdown_without_waiting_still_ends_all_threads() -> None:
    before = pumphouse_threads()
    executor = DeferringExecutor(2)
    future = executor.submit(lambda: deferred(lambda: "done"))
    executor.shutdown(wait=False)
    assert future.result(5) == (EXECUTED, "done")
    until = time.monotonic() + 5
    while pumphouse_threads() != before and time.monotonic() < until:
        time.sleep(0.01)
    assert pumphouse_threads() == before
