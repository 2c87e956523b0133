"""The client for scripts, against a server with a token."""

from __future__ import annotations

import pytest
import requests

from pumphouse import errors
from pumphouse.client import Client

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def served(serve, config_file, tmp_path):
    text = config_file.read_text()
    config_file.write_text(text.replace("auth = none", f"auth = token\ntoken_file = {tmp_path}/token"))
    return serve()


@pytest.fixture
def api(served, tmp_path):
    with Client(served.url, token=(tmp_path / "token").read_text().strip()) as client:
        yield client


def test_a_script_of_five_lines_migrates_a_tenant(api):
    migration = api.migrate("tenant", "shop", name="from a script", key="once")
    kinds = {event.kind for event in api.follow(migration.id)}
    assert api.migration(migration.id).state == "SUCCEEDED"
    assert api.report(migration.id).verified
    assert {"migration_changed", "unit_changed", "step_changed", "operation_ended"} <= kinds

    assert api.migrate("tenant", "shop", name="from a script", key="once").id == migration.id
    assert [one.id for one in api.migrations(state="SUCCEEDED", name="script")] == [migration.id]
    assert {one.state for one in api.units(migration.id)} == {"SUCCEEDED"}
    assert {one.state for one in api.steps(migration.id, type="server")} == {"SUCCESS"}
    api.act(migration.id, "rollback")
    seen = max(one.seq for one in api.events(migration.id))
    states = [
        one.payload["state"]
        for one in api.follow(migration.id, after=seen)
        if one.kind == "migration_changed"
    ]
    assert states[-1] == "ROLLED_BACK"


def test_everything_can_be_read(api):
    assert [one.name for one in api.clouds()] == ["destination", "source"]
    assert api.check_cloud("source").usable
    with pytest.raises(errors.NotRead):
        list(api.resources("source"))
    assert api.refresh_cloud("source").counts["server"] == len(
        list(api.resources("source", types=["server"]))
    )
    shop = next(api.tenants("source", name="shop"))
    assert {one.type for one in api.resources("source", tenant=shop.id)} >= {"server", "network"}
    assert {one.name for one in api.resource_types()} >= {"server", "network"}

    plan = api.create_plan("tenant", "shop", overrides={"projects": {"shop": "market"}})
    assert api.plan(plan.id) == plan
    assert len(api.graph(plan.id).nodes) == len(plan.resources)
    assert api.drawing(plan.id, "dot").startswith("digraph")
    assert [one.id for one in api.plans()] == [plan.id]
    asked = list(api.operations(state="DONE"))
    assert [one.kind for one in asked] == ["plan", "refresh"]
    assert api.operation(asked[0].id) == asked[0]
    assert asked[0].plan_id == plan.id
    taken = api.take_plan(api.plan_file(plan.id))
    assert taken.scope == plan.scope
    api.delete_plan(plan.id)
    api.delete_plan(taken.id)
    assert list(api.plans()) == []


def test_what_the_server_refuses_is_the_error_that_it_is(api, served):
    with pytest.raises(errors.UnknownMigration, match="m-none") as found:
        api.migration("m-none")
    assert found.value.next_step
    with pytest.raises(errors.UnknownResource, match="nobody"):
        api.create_plan("tenant", "nobody")
    with pytest.raises(errors.InvalidRequest, match="names"):
        api.create_plan("tenant")
    with Client(served.url, token="wrong") as stranger, pytest.raises(errors.LoginRequired):
        stranger.clouds()
    served.stop()
    with pytest.raises(errors.Unavailable, match="does not answer"):
        api.clouds()


def test_the_token_is_not_told_where_others_may_read_it(served, tmp_path):
    """Standard output is no terminal here: the file's name is told instead."""
    line = served.process.stdout.readline()
    assert str(tmp_path / "token") in line
    assert (tmp_path / "token").read_text().strip() not in line
    assert requests.get(f"{served.url}/v1/clouds", timeout=30).status_code == 401
