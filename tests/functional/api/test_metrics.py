"""What Prometheus reads."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import ask, make_plan

from pumphouse import config
from pumphouse.api.app import create_app
from pumphouse.api.metrics import CloudMetrics
from pumphouse.engine.control import Control
from pumphouse.service import Pumphouse

SCOPE = {"scope": {"kind": "tenant", "names": ["shop"]}}


@pytest.fixture
def client(config_file):
    requests = CloudMetrics()
    with Pumphouse.open(config.load([config_file]), observer=requests) as service:
        app = create_app(service, registry=requests.registry)
        with service.runner():
            yield app.test_client()


def read(client):
    """The values by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def total(found, name, **labels):
    return sum(
        value
        for (one, those), value in found.items()
        if one == name and labels.items() <= dict(those).items()
    )


def test_requests_to_clouds_are_counted(client, cloud_pair):
    before = sum(cloud_pair.source.counts.requests.values())
    ask(client, "/v1/clouds/source/refresh")
    found = read(client)
    assert (
        0
        < total(found, "pumphouse_cloud_requests_total", cloud="source")
        <= (sum(cloud_pair.source.counts.requests.values()) - before)
    )
    assert total(found, "pumphouse_cloud_requests_total", cloud="destination") == 0
    assert total(found, "pumphouse_cloud_request_seconds_count", service="compute") == total(
        found, "pumphouse_cloud_requests_total", service="compute"
    )


def test_migrations_and_their_steps_are_counted_by_state(client):
    service = client.application.extensions["pumphouse"]
    plan = service.stored_plan(make_plan(client, SCOPE)["id"])
    id = service.start(plan, check_fresh=False).id
    control = Control()
    control.pause()
    service.run(id, control=control)
    found = read(client)
    assert total(found, "pumphouse_migrations", state="PAUSED") == 1
    assert total(found, "pumphouse_migrations") == 1
    assert total(found, "pumphouse_steps", migration=id, state="PENDING") > 50
    assert total(found, "pumphouse_bytes", migration=id, of="planned") == sum(
        one.bytes for one in plan.resources if str(one.action) == "create"
    )
    client.post(f"/v1/migrations/{id}/actions", json={"action": "resume"})
    assert total(read(client), "pumphouse_migrations_wanted", wanted="run") == 1
    service.run(id)
    found = read(client)
    assert total(found, "pumphouse_migrations", state="SUCCEEDED") == 1
    assert total(found, "pumphouse_steps") == 0
