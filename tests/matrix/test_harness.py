"""The ground that the matrices stand on: the tenant has everything, and a cloud comes back to what it was."""

from __future__ import annotations

import json
import signal

from pumphouse.registry import Registry

from .harness import TENANT
from .reference import MIGRATE, ROLL_BACK

LACKING = {"trust", "trunk", "qos_policy", "rbac_policy", "application_credential", "segment"}
"""What the tenant does not have yet, so that no case of the matrices tries it."""


def test_the_tenant_has_every_type_of_resource_but_those_named(pair):
    rows = json.loads(pair.run("plan", "tenant", TENANT, "--format", "json").output)
    assert set(Registry.load()) - {row["Type"] for row in rows} <= LACKING


def test_a_pair_comes_back_to_what_it_was(pair):
    before = pair.states()
    pair.run(*MIGRATE)
    migrated = pair.states()
    assert migrated != before
    moment = pair.save()
    pair.restore(pair.begin)
    assert pair.states() == before
    assert "m-" not in pair.run("migration", "list").output
    pair.restore(moment)
    assert pair.states() == migrated
    pair.run(*ROLL_BACK)
    assert pair.states() == before


def test_a_process_is_killed_while_its_request_is_held_and_the_request_comes_to_nothing(pair):
    before = pair.states()
    pair.destination.holds.set(1, "before", kind="POST /identity/v3/projects")
    process = pair.start(*MIGRATE)
    pair.destination.holds.wait_held()
    pair.kill()
    assert process.wait() == -signal.SIGKILL
    assert "projects:shop" not in str(pair.states()["destination"])
    pair.run(*ROLL_BACK)
    assert pair.states() == before
