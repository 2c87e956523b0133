"""What nobody can carry is in the plan and in the report, with what people must do, and stops nothing."""

from __future__ import annotations

import openstack
import pytest

from pumphouse.model import Action, Inventory, Ref, Resource, Scope, ScopeKind, Strategy
from pumphouse.registry import Registry
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


@pytest.fixture
def heirs(site):
    """The tenant inherits roles of its users from the domain; others' projects inherit other ones."""
    admin = openstack.connect(cloud="source")
    anna, oskar = (admin.identity.find_user(name).id for name in ("anna", "oskar"))
    reader = admin.identity.find_role("reader").id
    lab = admin.identity.find_project("lab").id
    for target, user in (("domains/default", anna), (f"projects/{lab}", oskar)):
        path = f"/OS-INHERIT/{target}/users/{user}/roles/{reader}/inherited_to_projects"
        admin.identity.put(path)
    return admin


def test_roles_that_a_tenant_inherits_are_told_and_not_given_to_all_of_the_domain(site, heirs):
    plan = site.plan()
    (one,) = plan.doing(Action.SKIP)
    assert one.resource.name == "reader: anna on domain Default (inherited)"
    assert one.reason.startswith("it is inherited from domain 'Default'")
    (problem,) = one.problems
    assert problem.severity is Severity.LOST
    record = site.app.run(site.app.start(plan, check_fresh=True).id)
    report = site.app.report(record.id)
    assert (record.state, report.verified) == (MigrationState.SUCCEEDED, True)
    (left,) = report.for_people()
    assert left.name == one.resource.name
    assert "assign it there" in left.fields[0].reason
    there = openstack.connect(cloud="destination").identity.role_assignments()
    assert not [row for row in there if "OS-INHERIT:inherited_to" in row.scope]
    assert site.plan().nothing_to_do


def test_several_that_one_user_inherits_stand_in_nobodys_way(site, heirs):
    anna, member = heirs.identity.find_user("anna").id, heirs.identity.find_role("member").id
    heirs.identity.put(f"/OS-INHERIT/domains/default/users/{anna}/roles/{member}/inherited_to_projects")
    plan = site.plan()
    assert [one for one in plan.resources if one.action is Action.BLOCKED] == []
    assert {one.resource.name.partition(":")[0] for one in plan.doing(Action.SKIP)} == {"reader", "member"}


def test_they_are_carried_where_every_meta_resource_is_wanted(site, heirs):
    scope = Scope(kind=ScopeKind.TENANT, names=("shop",), strategy=Strategy.ALL)
    plan = site.app.plan(scope, source="source", destination="destination")
    names = {one.resource.name for one in plan.doing(Action.CREATE) if one.ref.type == "role_assignment"}
    assert "reader: anna on domain Default (inherited)" in names
    assert plan.doing(Action.SKIP) == []


def test_roles_on_a_project_above_are_told_unless_that_moves_as_well():
    registry = Registry.load()
    kind = registry["role_assignment"]
    projects = [
        Resource(ref=Ref("project", one), name=one, fields={"domain_id": "d", "parent_id": parent})
        for one, parent in (("top", None), ("middle", "top"), ("leaf", "middle"), ("other", None))
    ]
    seen = Inventory("source", projects)

    def told(target, projects, *, inherited=True):
        fields = {"project_id": target, "domain_id": None, "inherited": inherited}
        one = Resource(ref=Ref("role_assignment", "a"), name="", fields=fields)
        return kind.reaches(one, seen, projects) is not None

    assert told("top", {"leaf"})
    assert told("middle", {"leaf", "other"})
    assert not told("top", {"leaf"}, inherited=False)
    assert not told("leaf", {"leaf"})
    assert not told("top", {"top", "leaf"})
    assert not told("top", {"other"})
    assert not told("leaf", {"middle"})
