"""Two API processes share a store: what is asked of one is seen, steered and carried on by the other."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests

from pumphouse.client import Client

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def pair(serve):
    """Two servers on one store, and a client of each."""
    served = serve(), serve()
    with Client(served[0].url) as one, Client(served[1].url) as two:
        yield served, (one, two)


def running(api, id):
    return next(api.steps(id, state="RUNNING", type="server"), None)


def test_a_migration_begun_at_one_is_steered_and_followed_at_both(pair, cloud_pair, wait_for):
    _, (one, two) = pair
    cloud_pair.destination.timings["build"] = 4.0
    id = one.migrate("tenant", "shop", key="once").id
    assert two.migrate("tenant", "shop", key="once").id == id, "the other one knows the request"
    assert [each.id for each in two.migrations()] == [id]
    wait_for(lambda: running(two, id))
    two.act(id, "pause")
    wait_for(lambda: one.migration(id).state == "PAUSED")
    assert one.migration(id).wanted is None
    cloud_pair.destination.timings["build"] = 0.02
    last = max(event.seq for event in one.events(id))
    with ThreadPoolExecutor(2) as pool:
        followers = [pool.submit(lambda api: list(api.follow(id, after=last)), api) for api in (one, two)]
        two.act(id, "resume")
        seen = [[(event.seq, event.kind) for event in each.result(200)] for each in followers]
    assert one.migration(id).state == two.migration(id).state == "SUCCEEDED"
    assert seen[0] == seen[1]
    assert [number for number, _ in seen[0]] == [event.seq for event in one.events(id, after=last)]
    assert one.report(id) == two.report(id)
    assert len(list(one.migrations())) == 1


def test_the_other_one_goes_on_when_one_is_killed(pair, cloud_pair, wait_for):
    served, clients = pair
    cloud_pair.destination.timings["build"] = 6.0
    id = clients[0].migrate("tenant", "shop").id
    wait_for(lambda: running(clients[0], id))
    (pid,) = {int(word) for word in clients[1].migration(id).process.split() if word.isdigit()}
    workers = [psutil.Process(each.process.pid).children()[0].pid for each in served]
    at_work = workers.index(pid)
    os.killpg(served[at_work].process.pid, signal.SIGKILL)
    served[at_work].process.wait(30)
    cloud_pair.destination.timings["build"] = 0.02
    other = clients[1 - at_work]
    wait_for(lambda: other.migration(id).state == "SUCCEEDED")
    assert other.report(id).verified
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{served[at_work].url}/healthz", timeout=5)


def test_what_one_has_begun_to_plan_the_other_tells_of(pair, cloud_pair, wait_for):
    served, _ = pair
    cloud_pair.source.faults.add("delay", method="GET", path="*/servers/detail*", seconds=2.0)
    body = {"scope": {"kind": "tenant", "names": ["shop"]}}
    answer = requests.post(f"{served[0].url}/v1/plans", json=body, timeout=60)
    where = f"{served[1].url}{answer.headers['Location']}"
    wait_for(lambda: requests.get(where, timeout=60).json()["read"].get("destination"))
    done = wait_for(lambda: (now := requests.get(where, timeout=60).json())["state"] == "DONE" and now)
    plans = [requests.get(f"{each.url}/v1/plans/{done['plan_id']}", timeout=60).json() for each in served]
    assert plans[0] == plans[1]
