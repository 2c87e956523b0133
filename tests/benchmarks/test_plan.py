"""Planning a tenant of 10,000 resources, and ten of them."""

from __future__ import annotations

import math
import time

import pytest

from pumphouse import config
from pumphouse.clouds import Clouds, Settings
from pumphouse.model import Scope, ScopeKind
from pumphouse.plan.overrides import Overrides
from pumphouse.plan.planner import make_plan
from pumphouse.registry import Registry
from pumphouse.service.reading import completing, read_both


@pytest.mark.timeout(1800)
def test_a_plan_grows_no_worse_than_n_log_n(large_cloud, record, monkeypatch):
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(large_cloud))
    registry = Registry.load()
    clouds = Clouds(settings=Settings(limits=config.Clouds(requests_per_second=0)))
    everything = Scope(kind=ScopeKind.TENANT, names=tuple(f"load-{number}" for number in range(10)))
    source, destination = clouds.open("source"), clouds.open("destination")
    here, there = read_both(source, destination, registry, scope=everything, overrides=Overrides())
    # What a request for each server tells (its volumes) is reading, and done before.
    completing(source, registry=registry)(here, [one.ref for one in here])

    def planned(*names: str, rounds: int) -> tuple[int, float]:
        scope = Scope(kind=ScopeKind.TENANT, names=names)
        best = math.inf
        for _ in range(rounds):
            begin = time.process_time()
            plan = make_plan(scope, source=here, destination=there, registry=registry)
            best = min(best, time.process_time() - begin)
        plan.require_unblocked()
        return len(plan.resources), best

    few, small = planned("load-0", rounds=3)
    many, large = planned(*everything.names, rounds=1)
    record("plan of a tenant of 10,000 resources", small, "s of CPU", limit=5, how="the best of three")
    growth = (large / small) / ((many * math.log(many)) / (few * math.log(few)))
    record("plan of 100,000, against n log n from 10,000", growth, "times", limit=1.3)
