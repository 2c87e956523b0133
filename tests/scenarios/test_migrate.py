"""A tenant moves, is proved, stays as it is on a second run, and goes back without a trace."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import openstack
import pytest

from pumphouse import errors
from pumphouse.model import Action, ScopeKind
from pumphouse.report.model import Outcome
from pumphouse.store.states import MigrationState


def test_a_tenant_arrives_and_the_report_proves_it(site):
    record = site.migrate()
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    report = site.app.report(record.id)
    assert report.verified
    kinds = {one.ref.type for one in report.resources}
    assert kinds >= {"project", "user", "quota", "network", "router", "port", "image", "volume", "server"}
    downtimes = [one.downtime for one in report.resources if one.ref.type == "server"]
    assert all(downtime is not None for downtime in downtimes)


def test_the_sources_servers_end_shut_down_and_other_tenants_are_not_touched(site):
    before, _ = site.states()
    site.migrate()
    after, _ = site.states()
    assert {one["vm_state"] for one in rows(after, "servers", "shop")} == {"stopped"}
    assert rows(after, "servers", "lab") == rows(before, "servers", "lab")
    tables = after["tables"]
    assert {name for name in tables if tables[name] != before["tables"][name]} == {"servers"}
    assert after["files"] == before["files"]


def rows(state, table, tenant):
    """The rows of a table that belong to a tenant, in the normalised state."""
    return [row for row in state["tables"][table] if row["project_id"] == f"projects:default/{tenant}"]


@pytest.mark.slow
def test_users_log_in_with_the_password_that_they_had(site):
    site.migrate()
    cloud = openstack.connect(
        auth_url=site.destination.auth_url,
        username="anna",
        password="anna-demo-password",
        project_name="shop",
        user_domain_name="Default",
        project_domain_name="Default",
        region_name="RegionOne",
    )
    names = {server.name for server in cloud.compute.servers()}
    assert names == {"web-1", "web-2", "app-1", "app-2", "db-1"}


def test_a_second_run_has_nothing_to_do_and_writes_nothing(site):
    site.migrate()
    writes = site.writes()
    plan = site.plan()
    assert plan.nothing_to_do
    assert site.writes() == writes


def test_a_change_on_the_source_is_all_that_a_second_run_does(site):
    site.migrate()
    source = openstack.connect(cloud="source")
    network = source.network.find_network("web")
    source.network.update_network(network, description="changed since")
    plan = site.plan()
    assert [(one.ref.type, one.changed) for one in plan.doing(Action.CREATE, Action.UPDATE)] == [
        ("network", ("description",))
    ]
    record = site.app.run(site.app.start(plan, check_fresh=True).id)
    assert record.state is MigrationState.SUCCEEDED
    assert openstack.connect(cloud="destination").network.find_network("web").description == "changed since"
    site.app.rollback(record.id)
    assert openstack.connect(cloud="destination").network.find_network("web").description != "changed since"


def test_a_roll_back_leaves_both_clouds_as_they_were(site):
    before = site.states()
    record = site.migrate()
    assert site.states() != before
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK  # again: nothing is left to do


@pytest.mark.slow
def test_a_roll_back_wakes_the_sources_server_only_when_the_destinations_is_gone(site):
    plan = site.plan("web-1", kind=ScopeKind.SERVER)
    record = site.app.run(site.app.start(plan, check_fresh=False).id)
    there = openstack.connect(cloud="destination")
    assert there.compute.find_server("web-1", all_projects=True) is not None
    site.source.holds.set(nth=1)
    thread = threading.Thread(target=lambda: site.app.rollback(record.id))
    thread.start()
    try:
        assert site.source.holds.wait_held(timeout=60)["path"].endswith("/action")
        assert there.compute.find_server("web-1", all_projects=True) is None
    finally:
        site.source.holds.release()
        thread.join()
    server = openstack.connect(cloud="source").compute.find_server("web-1", all_projects=True)
    assert server.status == "ACTIVE"


@pytest.mark.slow
def test_after_a_roll_back_it_can_be_done_again(site):
    record = site.migrate()
    reference = site.states()
    site.app.rollback(record.id)
    again = site.app.retry(record.id)
    assert (again.state, again.reason) == (MigrationState.SUCCEEDED, "")
    assert site.states() == reference


def test_a_plan_is_refused_when_the_clouds_have_changed(site):
    plan = site.plan()
    source = openstack.connect(cloud="source")
    source.network.update_network(source.network.find_network("web"), description="changed since")
    writes = len(site.destination.counts.writes)
    with pytest.raises(errors.StalePlan, match=r"network 'web' .*description changed"):
        site.app.start(plan, check_fresh=True)
    assert len(site.destination.counts.writes) == writes


def test_source_and_destination_must_be_two(site, cloud_pair, write_clouds_yaml):
    write_clouds_yaml(source=cloud_pair.source, destination=cloud_pair.source)
    with pytest.raises(errors.SameCloud):
        site.plan()


def test_no_secret_is_in_the_store(site, tmp_path):
    record = site.migrate()
    site.app.store.engine.dispose()
    path = tmp_path / "store" / "pumphouse.db"
    with closing(sqlite3.connect(path)) as database:
        dump = "\n".join(database.iterdump())
    hashes = [row["password_hash"] for row in password_rows(site)]
    assert hashes
    assert record.id in dump
    for secret in ["anna-demo-password", "oskar-demo-password", *hashes]:
        assert secret not in dump


def password_rows(site):
    with closing(sqlite3.connect(site.source.keystone_database)) as database:
        database.row_factory = sqlite3.Row
        return database.execute("SELECT password_hash FROM password").fetchall()


@pytest.mark.slow
def test_what_could_not_be_kept_is_in_the_report_with_its_reason(site):
    report = site.app.report(site.migrate().id)
    for resource in report.resources:
        for one in resource.fields:
            assert one.outcome is Outcome.KEPT or one.reason, (resource.name, one)


def test_an_image_that_another_tenant_shares_comes_with_its_member(site):
    source = openstack.connect(cloud="source")
    shop, lab = (source.identity.find_project(name).id for name in ("shop", "lab"))
    golden = source.image.create_image(
        "golden",
        data=b"golden" * 999,
        owner=shop,
        visibility="shared",
        disk_format="raw",
        container_format="bare",
    )
    source.image.add_member(golden, member_id=lab)
    source.image.put(f"/images/{golden.id}/members/{lab}", json={"status": "accepted"})
    tenant = source.connect_as(username="lena", password="lena-demo-password", project_name="lab")
    server = {"name": "gilded", "image_id": golden.id, "networks": "none"}
    flavor = tenant.compute.find_flavor("m1.tiny").id
    tenant.compute.wait_for_server(tenant.compute.create_server(**server, flavor_id=flavor))
    record = site.migrate("lab")
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    there = openstack.connect(cloud="destination")
    (member,) = there.image.members(there.image.find_image("golden"))
    assert (member.member_id, member.status) == (there.identity.find_project("lab").id, "accepted")
    assert site.plan("lab").nothing_to_do


@pytest.mark.slow
def test_a_role_that_the_operator_has_in_the_tenant_stays_and_one_lent_for_the_time_goes(site):
    before = site.states()
    source = openstack.connect(cloud="source").identity
    admin, role = source.find_user("admin"), source.find_role("admin")
    source.assign_project_role_to_user(source.find_project("shop"), admin, role)
    record = site.migrate()
    assert record.state is MigrationState.SUCCEEDED
    assert operators_roles(site, "shop") == {"admin"}
    site.app.rollback(record.id)
    source.unassign_project_role_from_user(source.find_project("shop"), admin, role)
    assert site.states() == before
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED
    assert operators_roles(site, "shop") == set()


def operators_roles(site, tenant):
    """The roles that the operator's user has in a project of the destination."""
    identity = openstack.connect(cloud="destination").identity
    found = identity.role_assignments(
        user_id=identity.find_user("admin").id, scope_project_id=identity.find_project(tenant).id
    )
    names = {one.id: one.name for one in identity.roles()}
    return {names[one.role["id"]] for one in found}


@pytest.mark.slow
def test_a_key_that_another_server_s_creation_has_just_taken_back_is_waited_for(site):
    source = openstack.connect(cloud="source")
    user = source.identity.find_user("anna")
    key = next(iter(source.compute.keypairs(user_id=user.id)))
    # The operator has the same key under the same name, as if lent by the creation of another server.
    destination = openstack.connect(cloud="destination").compute
    destination.create_keypair(name=key.name, public_key=key.public_key, type="ssh")
    refusal = {"badRequest": {"message": "Invalid key_name provided.", "code": 400}}
    fault = site.destination.faults.add(
        "status", method="POST", path="/compute/*/servers", code=400, body=refusal, times=3
    )
    assert site.migrate().state is MigrationState.SUCCEEDED
    assert fault.hits == 3
    assert [one.name for one in destination.keypairs()] == [key.name]
