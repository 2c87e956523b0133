"""How long a tenant of many servers takes, against the longest chain of its plan, on slow clouds.

``PUMPHOUSE_BENCHMARK_SERVERS`` sets how many servers there are.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import pytest
import requests
from sites import open_site

from pumphouse.events import StepChanged
from pumphouse.model import Action, Ref
from pumphouse.plan.document import Plan
from pumphouse.store.events import EventRecord

SERVERS = int(os.environ.get("PUMPHOUSE_BENCHMARK_SERVERS", "60"))
ANSWER, BUILD = 0.1, 3.0
"""Seconds that an answer and the building of a server take."""
JOBS = 64


def description(servers: int) -> dict[str, object]:
    one = {"flavor": "tiny", "image": "linux", "ports": [{"network": "web"}]}
    return {
        "flavors": [{"name": "tiny", "ram": 256, "vcpus": 1, "disk": 1}],
        "images": [{"name": "linux", "visibility": "public", "content": {"seed": "linux", "kib": 64}}],
        "tenants": {
            "shop": {
                "users": [{"name": "ann", "password": "ann-secret", "roles": ["member"]}],
                "quotas": {"compute": {"instances": 100, "cores": 100, "ram": 102400}},
                "networks": [{"name": "web", "subnets": [{"name": "web", "cidr": "10.1.0.0/22"}]}],
                "servers": [{"name": f"web-{number}", **one} for number in range(servers)],
            }
        },
    }


@dataclass
class Run:
    """What a migration took, and requests to the destination.

    :ivar seconds: from the first step's begin to the last one's end.
    :ivar proof: seconds after that, of reading both clouds again and comparing.
    :ivar chain: seconds of its plan's longest chain.
    :ivar cpu: this process's CPU seconds in all of it.
    """

    seconds: float
    proof: float
    chain: float
    cpu: float
    writes: Mapping[str, int]
    waiting: int
    marked: int


def migrate(folder: Path, servers: int) -> Run:
    with open_site(folder, description(servers), timings={"build": BUILD}) as site:
        plan = site.plan()
        id = site.app.start(plan, check_fresh=False).id
        for url in (site.source, site.destination):
            delay = {"action": "delay", "seconds": ANSWER, "times": 0}
            requests.post(f"{url}/_devcloud/faults", json=delay, timeout=30).raise_for_status()
        requests.delete(f"{site.destination}/_devcloud/counts", timeout=30)
        used = time.process_time()
        record = site.app.run(id, jobs=JOBS)
        used = time.process_time() - used
        assert str(record.state) == "SUCCEEDED", record.reason
        requests.delete(f"{site.destination}/_devcloud/faults", timeout=30)
        counts = requests.get(f"{site.destination}/_devcloud/counts", timeout=30).json()["requests"]
        events = list(site.events(id))
        steps = [one.at for one in events if isinstance(one.event(), StepChanged)]
        return Run(
            seconds=(steps[-1] - steps[0]).total_seconds(),
            proof=(events[-1].at - steps[-1]).total_seconds(),
            chain=longest_chain(events, plan),
            cpu=used,
            writes={kind: number for kind, number in counts.items() if not kind.startswith(("GET", "HEAD"))},
            waiting=counts["GET /compute/v2.1/servers/detail"],
            marked=sum(one.ref.type == "port" for one in plan.doing(Action.CREATE)),
        )


def longest_chain(events: list[EventRecord], plan: Plan) -> float:
    """The seconds of the plan's longest chain: each type's steps at their quickest in this run."""
    least: dict[tuple[str, str], float] = {}
    for event in (one.event() for one in events):
        if isinstance(event, StepChanged) and event.state == "SUCCESS":
            key = event.resource.partition(":")[0], event.step
            least[key] = min(least.get(key, math.inf), event.seconds or 0.0)
    cost = Counter[str]()
    for (kind, _), seconds in least.items():
        cost[kind] += seconds  # type: ignore[assignment]  # seconds, not a number of things
    graph: nx.DiGraph[Ref] = nx.DiGraph()
    for one in plan.doing(Action.CREATE, Action.UPDATE):
        for need in one.needs:
            graph.add_edge(need, one.ref, weight=cost[one.ref.type])
    return float(nx.dag_longest_path_length(graph))


@pytest.mark.timeout(1800)
def test_a_tenant_takes_little_longer_than_its_longest_chain(tmp_path, record):
    few, many = (migrate(tmp_path / str(count), count) for count in (6, SERVERS))
    servers = many.writes["POST /compute/v2.1/servers"] / SERVERS
    ports = many.writes["POST /network/v2.0/ports"] / many.marked
    record("requests that create, per server and per port", max(servers, ports), "", limit=1)
    record(
        f"requests while {SERVERS} servers are waited for, against 6",
        many.waiting / few.waiting,
        "times",
        limit=2,
    )
    how = (
        f"{SERVERS} servers, answers {ANSWER} s, builds {BUILD} s, jobs {JOBS}: {many.seconds:.1f} s, "
        f"{many.chain:.1f} s the chain; then {many.proof:.1f} s of reading all again"
    )
    record("makespan of 6 servers against the longest chain", few.seconds / few.chain, "times", limit=1.2)
    what = f"makespan of {SERVERS} servers"
    record(
        f"{what} against the longest chain",
        many.seconds / many.chain,
        "times",
        limit=1.2,
        how=how,
        floor=(
            f"all servers come to the same step at the same moment, and that costs {many.cpu:.1f} s of one "
            "core in all; the clouds need as much of the others"
        ),
    )
    record(
        f"{what}, less the CPU seconds of the process, against the longest chain",
        (many.seconds - many.cpu) / many.chain,
        "times",
        limit=1.2,
        how=f"the same run: {many.cpu / SERVERS * 1000:.0f} ms of CPU for each server",
    )
