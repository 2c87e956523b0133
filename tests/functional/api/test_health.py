"""Health checks of plans that come over the API: they run only programs that the configuration names."""

from __future__ import annotations

import io
import json

import pytest
from serving import ended

from pumphouse.config import Api

SCOPE = {"kind": "tenant", "names": ["shop"]}
CHECK = {"command": ["/usr/local/bin/check", "--quick"]}


def plan(client, *checks):
    return client.post("/v1/plans", json={"scope": SCOPE, "overrides": {"health": list(checks)}})


def made_by(client, answer):
    return client.get(f"/v1/plans/{ended(client, answer)['plan_id']}").json


def send(client, document):
    data = {"plan": (io.BytesIO(json.dumps(document).encode()), "plan.json")}
    return client.post("/plans", data=data, headers={"Accept": "text/html"})


def test_a_plan_takes_checks_that_run_nothing_here(client):
    made = made_by(client, plan(client, {"server": "web-*", "tcp": 22}))
    assert made["overrides"]["health"] == [{"server": "web-*", "tcp": 22}]


@pytest.mark.parametrize("allowed", [(), ("/usr/local/bin/check-all",), ("/usr/local/bin/check",)])
def test_a_plan_runs_only_programs_that_are_allowed(client, service, allowed):
    object.__setattr__(service.config, "api", Api(health_commands=allowed))
    made = plan(client, CHECK)
    if CHECK["command"][0] in allowed:
        assert made_by(client, made)["overrides"]["health"] == [CHECK]
        return
    assert made.status_code == 400
    assert made.json["type"] == "urn:pumphouse:error:BadOverride"
    assert "would run a program that is not allowed here" in made.json["detail"]
    assert "health_commands" in made.json["next_step"]


def test_neither_does_a_plan_that_is_sent_as_a_file(client, service):
    good = service.stored_plan(made_by(client, plan(client))["id"]).to_dict()
    assert send(client, good).status_code == 303
    for bad in (
        good | {"overrides": {"health": [CHECK]}},
        good
        | {
            "resources": [
                one
                | {"resource": one["resource"] | {"facts": one["resource"]["facts"] | {"health": [CHECK]}}}
                for one in good["resources"]
            ]
        },
    ):
        refused = send(client, bad)
        assert refused.status_code == 400
        assert "not allowed here" in refused.text
