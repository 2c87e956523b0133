"""A flow that is interrupted is suspended, and goes on from where it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from taskflow import states
from taskflow.flow import Flow
from taskflow.patterns import linear_flow, unordered_flow
from taskflow.persistence import models
from taskflow.task import Task

from pumphouse.context import PENDING, Deferred
from pumphouse.engine.backend import PersistenceBackend, open_persistence
from pumphouse.engine.executor import DeferringExecutor
from pumphouse.engine.resumable import ResumableEngine, load_engine
from pumphouse.errors import Fenced

FLOW = "flow-1"


class Cloud:
    """What the steps talk to: whether waits end, and what was done."""

    def __init__(self) -> None:
        self.ready = False
        self.done: list[str] = []
        self.waiting = threading.Semaphore(0)

    def wait(self, name: str) -> Deferred:
        def poll() -> object:
            if self.ready:
                return name
            self.waiting.release()
            return PENDING

        return Deferred(poll=poll, interval=0.01, timeout=60, describe=name)


class Step(Task):
    def __init__(self, cloud: Cloud, name: str, *, execute: str = "", revert: str = "") -> None:
        super().__init__(name)
        self.cloud, self.how, self.how_back = cloud, execute, revert

    def execute(self) -> object:
        self.cloud.done.append(self.name)
        if self.how == "waits":
            return self.cloud.wait(self.name)
        if self.how == "fails":
            raise ValueError(self.name)
        if self.how == "fails while another waits":
            assert self.cloud.waiting.acquire(timeout=10)
            raise ValueError(self.name)
        if self.how == "is fenced" and not self.cloud.ready:
            raise Fenced(self.name)
        return self.name

    def revert(self, *_: object, **__: object) -> object:
        self.cloud.done.append(f"-{self.name}")
        return self.cloud.wait(self.name) if self.how_back == "waits" else None


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[PersistenceBackend]:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/flows.db")
    backend = open_persistence(engine)
    book = models.LogBook("book")
    book.add(models.FlowDetail("flow", FLOW))
    backend.get_connection().save_logbook(book)
    yield backend
    engine.dispose()


class Runs:
    """Runs one flow again and again, each time as a new process would: from what was saved."""

    def __init__(self, backend: PersistenceBackend, flow: Callable[[], Flow]) -> None:
        self.backend, self.flow = backend, flow

    def load(self, executor: DeferringExecutor) -> ResumableEngine:
        detail = self.backend.get_connection().get_flow_details(FLOW)
        return load_engine(self.flow(), detail=detail, backend=self.backend, executor=executor)

    def run_until(self, stop: Callable[[ResumableEngine, DeferringExecutor], None]) -> str:
        """Run while ``stop`` runs beside it; the state that was saved."""
        executor = DeferringExecutor(4)
        engine = self.load(executor)
        beside = threading.Thread(target=stop, args=(engine, executor))
        beside.start()
        try:
            engine.run()
        finally:
            beside.join()
            executor.shutdown(cancel_futures=True)
        return self.saved_state()

    def run(self) -> str:
        return self.run_until(lambda _engine, _executor: None)

    def saved_state(self) -> str:
        return str(self.backend.get_connection().get_flow_details(FLOW).state)


def interrupt(cloud: Cloud, *, suspend: bool) -> Callable[[ResumableEngine, DeferringExecutor], None]:
    def stop(engine: ResumableEngine, executor: DeferringExecutor) -> None:
        assert cloud.waiting.acquire(timeout=10)
        if suspend:
            engine.suspend()
        executor.interrupt()

    return stop


@pytest.mark.parametrize("suspend", [False, True])
@pytest.mark.parametrize("after", [[], ["c", "d"]])
def test_an_interrupted_wait_runs_again(
    backend: PersistenceBackend, after: list[str], *, suspend: bool
) -> None:
    """Also when nothing comes after it: TaskFlow alone takes that flow for reverted."""
    cloud = Cloud()
    runs = Runs(
        backend,
        lambda: linear_flow.Flow("f").add(
            Step(cloud, "a"), Step(cloud, "b", execute="waits"), *(Step(cloud, name) for name in after)
        ),
    )
    assert runs.run_until(interrupt(cloud, suspend=suspend)) == states.SUSPENDED
    assert cloud.done == ["a", "b"]
    cloud.ready = True
    assert runs.run() == states.SUCCESS
    assert cloud.done == ["a", "b", "b", *after]


def test_an_interrupted_revert_goes_on_reverting(backend: PersistenceBackend) -> None:
    cloud = Cloud()
    runs = Runs(
        backend,
        lambda: linear_flow.Flow("f").add(
            Step(cloud, "a"), Step(cloud, "b", revert="waits"), Step(cloud, "c", execute="fails")
        ),
    )
    assert runs.run_until(interrupt(cloud, suspend=True)) == states.SUSPENDED
    assert cloud.done == ["a", "b", "c", "-c", "-b"]
    cloud.ready = True
    with pytest.raises(Exception, match="c"):
        runs.run()
    assert runs.saved_state() == states.REVERTED
    assert cloud.done == ["a", "b", "c", "-c", "-b", "-b", "-a"]


def test_a_wait_interrupted_beside_a_failure_is_reverted(backend: PersistenceBackend) -> None:
    """Its revert is told no result: what it may have made is known by the journal alone."""
    cloud = Cloud()
    runs = Runs(
        backend,
        lambda: linear_flow.Flow("f").add(
            Step(cloud, "a"),
            unordered_flow.Flow("u").add(
                Step(cloud, "b", execute="waits"), Step(cloud, "c", execute="fails while another waits")
            ),
        ),
    )

    def stop(_engine: ResumableEngine, executor: DeferringExecutor) -> None:
        while "-c" not in cloud.done:
            assert cloud.waiting.acquire(timeout=10)
        executor.interrupt()

    assert runs.run_until(stop) == states.SUSPENDED
    with pytest.raises(Exception, match="c"):
        runs.run()
    assert runs.saved_state() == states.REVERTED
    assert cloud.done[-2:] == ["-b", "-a"]


def test_a_fenced_step_reverts_nothing(backend: PersistenceBackend) -> None:
    """The migration is another process's now; to remove what it uses would be the worst to do."""
    cloud = Cloud()
    runs = Runs(
        backend, lambda: linear_flow.Flow("f").add(Step(cloud, "a"), Step(cloud, "b", execute="is fenced"))
    )
    assert runs.run() == states.SUSPENDED
    assert cloud.done == ["a", "b"]
    cloud.ready = True
    assert runs.run() == states.SUCCESS


def test_may_be_told_to_suspend_before_it_is_ready(backend: PersistenceBackend) -> None:
    """A pause may come at any moment; TaskFlow's own engine answers with an error then."""
    cloud = Cloud()
    runs = Runs(backend, lambda: linear_flow.Flow("f").add(Step(cloud, "a"), Step(cloud, "b")))
    executor = DeferringExecutor(2)
    engine = runs.load(executor)
    engine.suspend()
    engine.notifier.register(states.RESUMING, lambda _state, _details: engine.suspend())
    executor.interrupt()
    engine.run()
    executor.shutdown()
    assert runs.saved_state() == states.SUSPENDED
    assert cloud.done == []
    assert runs.run() == states.SUCCESS
    assert cloud.done == ["a", "b"]


def test_a_failure_reverts_and_is_raised(backend: PersistenceBackend) -> None:
    cloud = Cloud()
    runs = Runs(
        backend, lambda: linear_flow.Flow("f").add(Step(cloud, "a"), Step(cloud, "b", execute="fails"))
    )
    with pytest.raises(ValueError, match="b"):
        runs.run()
    assert runs.saved_state() == states.REVERTED
    assert cloud.done == ["a", "b", "-b", "-a"]


def test_many_engines_share_one_executor(tmp_path: Path) -> None:
    cloud, executor = Cloud(), DeferringExecutor(2)
    engine = sa.create_engine(f"sqlite:///{tmp_path}/many.db", connect_args={"timeout": 30})
    shared = open_persistence(engine)
    engines = []
    for number in range(8):
        book = models.LogBook(f"book {number}")
        detail = models.FlowDetail(f"flow {number}", f"uuid {number}")
        book.add(detail)
        shared.get_connection().save_logbook(book)
        flow = linear_flow.Flow(f"flow {number}").add(
            Step(cloud, f"a{number}", execute="waits"), Step(cloud, f"b{number}")
        )
        engines.append(load_engine(flow, detail=detail, backend=shared, executor=executor))
    threads = [threading.Thread(target=one.run) for one in engines]
    for thread in threads:
        thread.start()
    for _ in range(16):
        assert cloud.waiting.acquire(timeout=20)
    cloud.ready = True
    for thread in threads:
        thread.join(20)
    executor.shutdown()
    assert [one.storage.get_flow_state() for one in engines] == [states.SUCCESS] * 8
    engine.dispose()
