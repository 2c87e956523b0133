"""What nobody can carry is in the plan and in the report, with what people must do, and stops nothing."""

from __future__ import annotations

import openstack
import pytest

from pumphouse.model import Action
from pumphouse.resource import Severity
from pumphouse.store.states import MigrationState

LEFT = {
    ("application_credential", "deploy"),
    ("trust", "anna trusts oskar"),
    ("rbac_policy", "security_group web for project lab"),
    ("trunk", "bundle"),
    ("qos_policy", "slow"),
}


@pytest.fixture
def tenant(site):
    """A member of the tenant, who has made one of each."""
    admin = openstack.connect(cloud="source")
    shop, lab = (admin.identity.find_project(name).id for name in ("shop", "lab"))
    anna, oskar = (admin.identity.find_user(name).id for name in ("anna", "oskar"))
    tenant = admin.connect_as(username="anna", password="anna-demo-password", project_name="shop")
    credential = {"application_credential": {"name": "deploy", "secret": "do-not-read"}}
    tenant.identity.post(f"/users/{anna}/application_credentials", json=credential)
    trust = {"trustor_user_id": anna, "trustee_user_id": oskar, "project_id": shop, "impersonation": True}
    trust["roles"] = [{"name": "member"}]
    tenant.identity.post("/OS-TRUST/trusts", json={"trust": trust})
    group = tenant.network.find_security_group("web").id
    policy = {"object_type": "security_group", "object_id": group, "action": "access_as_shared"}
    tenant.network.create_rbac_policy(**policy, target_project_id=lab)
    port = tenant.network.create_port(network_id=tenant.network.find_network("data").id, name="bundled")
    tenant.network.create_trunk(name="bundle", port_id=port.id)
    admin.network.create_qos_policy(name="slow", project_id=shop)
    return tenant


def test_it_is_in_the_plan_and_in_the_report_and_stops_nothing(site, tenant):
    plan = site.plan()
    skipped = plan.doing(Action.SKIP)
    assert {(one.ref.type, one.resource.name) for one in skipped} == LEFT
    for one in skipped:
        (problem,) = one.problems
        assert (problem.severity, problem.summary) == (Severity.LOST, one.reason)
        assert problem.next_step
    # One more of them, made after the plan, does not make it stale.
    later = tenant.network.create_port(network_id=tenant.network.find_network("data").id, name="later")
    tenant.network.delete_port(later)
    user = tenant.current_user_id
    tenant.identity.post(
        f"/users/{user}/application_credentials", json={"application_credential": {"name": "late"}}
    )
    record = site.app.run(site.app.start(plan, check_fresh=True).id)
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    report = site.app.report(record.id)
    assert report.verified
    told = {(one.ref.type, one.name): [field.reason for field in one.fields] for one in report.for_people()}
    assert told.keys() == {*LEFT, ("application_credential", "late")}
    (reason,) = told["application_credential", "deploy"]
    assert reason.startswith("its secret cannot be read. User anna makes a new one")
    there = openstack.connect(cloud="destination")
    assert list(there.network.trunks()) == []
    assert site.plan().nothing_to_do
    assert "do-not-read" not in str(report.to_dict())
