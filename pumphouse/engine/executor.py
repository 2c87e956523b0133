"""The executor that all flows share: a wait holds no thread, an interrupt leaves every flow resumable.

TaskFlow's parallel engine submits one call per atom and waits for its future. The call answers with
``(outcome, value)``. When the value is a :class:`~pumphouse.context.Deferred` the future stays open, the
thread goes back to the pool, and a timer asks ``poll`` again and again until it answers.

A future that ends as *cancelled* makes TaskFlow leave its atom RUNNING (or REVERTING): neither done nor
failed, so nothing is reverted and the next run does it again. That is what an interrupt needs, and what
a process needs that has lost its migration to another one.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from taskflow.types.failure import Failure

from pumphouse.context import PENDING, Deferred, Interrupted
from pumphouse.errors import Fenced, WaitTimeout

_LEAVE_UNFINISHED = (Interrupted, Fenced)
"""What ends a step without an outcome: the atom is neither done nor failed, and nothing is reverted."""


@dataclass(order=True)
class _Wait:
    """An open future whose atom waits. Ordered by when it is next asked."""

    due: float
    number: int
    future: Future[Any] = field(compare=False)
    outcome: Any = field(compare=False)
    deferred: Deferred = field(compare=False)
    deadline: float = field(compare=False)


def _ask(wait: _Wait) -> Any:
    """Poll once. Past the deadline, what is still pending is a WaitTimeout."""
    value = wait.deferred.poll()
    if value is PENDING and time.monotonic() >= wait.deadline:
        raise WaitTimeout(f"{wait.deferred.describe} took longer than {wait.deferred.timeout:g} s")
    return value


class DeferringExecutor(Executor):
    """A thread pool whose calls may answer ``(outcome, Deferred(...))``; shared by any number of engines.

    Polls run on a few threads of their own, so that long transfers on the workers cannot hold up the
    moment when a server is seen ACTIVE. A poll must therefore be short, and must not wait itself.

    :param max_workers: how many calls run at once.
    :param pollers: how many polls run at once.
    """

    def __init__(self, max_workers: int, *, pollers: int = 4) -> None:
        self._workers = ThreadPoolExecutor(max_workers, thread_name_prefix="pumphouse-step")
        self._pollers = ThreadPoolExecutor(pollers, thread_name_prefix="pumphouse-poll")
        self._changed = threading.Condition()
        self._queued: set[Future[Any]] = set()
        self._waiting: list[_Wait] = []
        self._open = 0
        self._closed = False
        self._interrupted = threading.Event()
        self._fenced: Fenced | None = None
        self._numbers = itertools.count()
        # A daemon, so that a process which dies without a shutdown is not held by it.
        self._timer = threading.Thread(target=self._tick, name="pumphouse-timer", daemon=True)
        self._timer.start()

    @property
    def interrupted(self) -> threading.Event:
        """Set once :meth:`interrupt` was called. Long work watches it and raises ``Interrupted``."""
        return self._interrupted

    @property
    def fenced(self) -> Fenced | None:
        """The error of the first step that was stopped for another process has the migration now."""
        return self._fenced

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` on a worker. After an interrupt the future is cancelled at once.

        Raises RuntimeError after a shutdown, as every executor does.
        """
        future: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("cannot schedule new work after shutdown")
            # Under the lock: neither a shutdown nor the call itself can come in between.
            self._workers.submit(self._call, future, fn, args, kwargs)
            self._open += 1
            self._queued.add(future)
            interrupted = self._interrupted.is_set()
        if interrupted:
            self._cancel_queued()
        return future

    def interrupt(self) -> None:
        """End all waits and all calls that have not begun, now; running calls end by themselves.

        The atoms concerned stay RUNNING and run again when their flow is resumed. There is no way back:
        what is submitted later is cancelled too.
        """
        self._interrupted.set()
        self._cancel_queued()
        with self._changed:
            waits, self._waiting = self._waiting, []
        for wait in waits:
            self._leave(wait.future, Interrupted())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # as in Executor
        """Accept no more work; end what is open (or interrupt it), then all threads.

        :param wait: return only when no thread of this executor is left.
        :param cancel_futures: interrupt instead of waiting for what is queued and deferred.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if cancel_futures:
            self.interrupt()
        if wait:
            self._timer.join()
            self._pollers.shutdown(wait=True)
        self._workers.shutdown(wait=wait)

    def _call(self, future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        if not self._begin(future):
            return
        if self._interrupted.is_set():
            self._leave(future, Interrupted())
            return
        try:
            answer = fn(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  # a future that never ends would hang its flow
            self._end(future, error=error)
            return
        match answer:
            case (outcome, Deferred() as deferred):
                self._defer(future, outcome, deferred, time.monotonic() + deferred.timeout)
            case (_, Failure() as failure) if isinstance(failure.exception, _LEAVE_UNFINISHED):
                self._leave(future, failure.exception)
            case _:
                self._end(future, answer)

    def _begin(self, future: Future[Any]) -> bool:
        """Take a queued future over; False if it has been taken, or cancelled by its owner."""
        with self._changed:
            if future not in self._queued:
                return False
            self._queued.remove(future)
        if future.set_running_or_notify_cancel():
            return True
        self._count_down()
        return False

    def _cancel_queued(self) -> None:
        with self._changed:
            queued = list(self._queued)
        for future in queued:
            if self._begin(future):
                self._leave(future, Interrupted())

    def _defer(self, future: Future[Any], outcome: Any, deferred: Deferred, deadline: float) -> None:
        due = min(time.monotonic() + deferred.interval, max(deadline, time.monotonic()))
        wait = _Wait(due, next(self._numbers), future, outcome, deferred, deadline)
        with self._changed:
            if not self._interrupted.is_set():
                heapq.heappush(self._waiting, wait)
                self._changed.notify_all()
                return
        self._leave(future, Interrupted())

    def _poll(self, wait: _Wait) -> None:
        if self._interrupted.is_set():
            self._leave(wait.future, Interrupted())
            return
        try:
            value = _ask(wait)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is this future's end
            self._fail(wait, error)
            return
        if value is PENDING:
            self._defer(wait.future, wait.outcome, wait.deferred, wait.deadline)
        elif isinstance(value, Deferred):
            self._defer(wait.future, wait.outcome, value, time.monotonic() + value.timeout)
        else:
            self._end(wait.future, (wait.outcome, value))

    def _fail(self, wait: _Wait, error: BaseException) -> None:
        if isinstance(error, _LEAVE_UNFINISHED):
            self._leave(wait.future, error)
        elif isinstance(error, Exception):
            self._end(wait.future, (wait.outcome, Failure.from_exception(error)))
        else:
            self._end(wait.future, error=error)

    def _tick(self) -> None:
        """The timer: hand each wait to the pollers when it is due, until all is closed and done."""
        while True:
            with self._changed:
                while not self._waiting or self._waiting[0].due > time.monotonic():
                    if self._closed and not self._open:
                        self._pollers.shutdown(wait=False)
                        return
                    pause = self._waiting[0].due - time.monotonic() if self._waiting else None
                    self._changed.wait(pause)
                wait = heapq.heappop(self._waiting)
            self._pollers.submit(self._poll, wait)

    def _leave(self, future: Future[Any], error: BaseException) -> None:
        """End a future as cancelled: TaskFlow leaves its atom as it is."""
        if isinstance(error, Fenced):
            self._fenced = self._fenced or error
        left = CancelledError(str(error))
        left.__cause__ = error
        self._end(future, error=left)

    def _end(self, future: Future[Any], answer: Any = None, *, error: BaseException | None = None) -> None:
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error)
        self._count_down()

    def _count_down(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify_all()
