"""An API process that is killed loses nothing: the next one goes on."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
import requests
from serving import done_over

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
