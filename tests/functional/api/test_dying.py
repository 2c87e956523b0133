"""An API process that is killed loses nothing: the next one goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from datetime import timedelta

import psutil
import pytest
import requests
import sqlalchemy as sa
from serving import done_over

from pumphouse.model import Scope, ScopeKind
from pumphouse.store import owner

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


def worker_of(served):
    """The process that serves, below the one that watches it."""
    (worker,) = psutil.Process(served.process.pid).children()
    return worker.pid


def begin(served):
    body = {"plan": {"scope": {"kind": "tenant", "names": ["shop"]}}}
    return done_over(served.url, "/v1/migrations", body)["migration_id"]


def running(served, id):
    return requests.get(
        f"{served.url}/v1/migrations/{id}/steps?state=RUNNING&type=server", timeout=60
    ).json()["steps"]


def show(served, id):
    return requests.get(f"{served.url}/v1/migrations/{id}", timeout=60).json()


@pytest.mark.slow
def test_the_next_process_goes_on_after_a_kill_of_both(serve, cloud_pair, wait_for):
    cloud_pair.destination.timings["build"] = 3.0
    served = serve()
    id = begin(served)
    wait_for(lambda: running(served, id))
    os.killpg(served.process.pid, signal.SIGKILL)
    served.process.wait(30)
    cloud_pair.destination.timings["build"] = 0.02
    again = serve()
    found = wait_for(lambda: (now := show(again, id))["state"] == "SUCCEEDED" and now)
    assert found["wanted"] is None
    servers = [one["name"] for one in cloud_pair.destination.state()["tables"]["servers"]]
    assert len(servers) == len(set(servers))


def test_another_process_is_started_for_one_that_was_killed_and_goes_on(serve, cloud_pair, wait_for):
    cloud_pair.destination.timings["build"] = 3.0
    served = serve()
    id = begin(served)
    wait_for(lambda: running(served, id))
    killed = worker_of(served)
    os.kill(killed, signal.SIGKILL)
    cloud_pair.destination.timings["build"] = 0.02

    def ended():
        try:
            return show(served, id)["state"] == "SUCCEEDED"
        except requests.ConnectionError:
            return False

    wait_for(ended)
    assert worker_of(served) != killed
    report = requests.get(f"{served.url}/v1/migrations/{id}/report", timeout=60).json()
    assert report["verified"]


def test_a_restart_pauses_in_order_and_the_next_process_goes_on(serve, service, cloud_pair, wait_for):
    cloud_pair.destination.timings["build"] = 6.0
    served = serve()
    id = begin(served)
    wait_for(lambda: running(served, id))
    assert served.stop() == 0
    left = service.migration(id)
    assert (str(left.state), left.wanted, left.owner) == ("PAUSED", "run", None)
    cloud_pair.destination.timings["build"] = 0.02
    again = serve()
    wait_for(lambda: show(again, id)["state"] == "SUCCEEDED")


def test_a_store_that_is_away_for_a_moment_holds_nothing_up(service, cloud_pair, wait_for, monkeypatch):
    monkeypatch.setattr(owner, "FRESH", timedelta(seconds=3))
    plan = service.plan(
        Scope(kind=ScopeKind.TENANT, names=("shop",)), source="source", destination="destination"
    )
    record = service.start(plan, check_fresh=False, wanted=True)
    cloud_pair.destination.timings["build"] = 2.0
    away, failed = threading.Event(), []

    def fail(*_):
        if away.is_set():
            failed.append(1)
            raise sa.exc.OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    database = service.store.database
    for engine in (database.writer, database.reader):
        sa.event.listen(engine, "before_cursor_execute", fail)
    with service.supervise(at_once=1) as supervisor:
        wait_for(
            lambda: any(one.step == "boot" and one.state == "RUNNING" for one in service.steps(record.id))
        )
        away.set()
        wait_for(lambda: not list(supervisor._threads()))
        away.clear()
        assert failed
        left = service.migration(record.id)
        assert (left.state, left.wanted) == ("RUNNING", "run")
        assert left.owner == owner.Owner.this_process()
        wait_for(lambda: service.migration(record.id).wanted is None)
    ended = service.migration(record.id)
    assert (ended.state, ended.reason) == ("SUCCEEDED", "")
    assert service.report(record.id).verified
    servers = [one["name"] for one in cloud_pair.destination.state()["tables"]["servers"]]
    assert len(servers) == len(set(servers))
