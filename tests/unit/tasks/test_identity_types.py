"""Domains, projects, groups, users, roles and role assignments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.model import Inventory, Ref, Resource, Side
from pumphouse.resource import Policy, Reach, Severity, Want
from pumphouse.steps import Create

from .tenancy import REGISTRY, Tenancy


@pytest.fixture
def tenancy(bench):
    return Tenancy(bench, Service.IDENTITY)


@pytest.fixture
def domain(tenancy):
    body = {"name": f"{tenancy.bench.prefix}-corp", "description": "the corporation", "tags": ["a"]}
    cloud = tenancy.bench.source
    identity = cloud.post(Service.IDENTITY, "/domains", {"domain": body})["domain"]["id"]

    def remove() -> None:
        cloud.patch(Service.IDENTITY, f"/domains/{identity}", {"domain": {"enabled": False}})
        cloud.delete(Service.IDENTITY, f"/domains/{identity}")

    tenancy.bench.later.append(remove)
    # A domain is no part of a project that a test clears, so what was carried is taken back as well.
    tenancy.bench.later.append(lambda: tenancy.undo() if tenancy.seen else None)
    return identity


@pytest.fixture
def project(tenancy, domain):
    body = {"name": "shop", "domain_id": domain, "description": "sells", "tags": ["b", "a"]}
    return tenancy.identity("/projects", {"project": body})


def test_a_domain_is_carried_found_again_and_removed(tenancy, domain):
    made = tenancy.carry("domain", domain)
    there = tenancy.shown("domain", made)
    assert there.name == f"{tenancy.bench.prefix}-corp"
    assert there.fields["tags"] == ["a"]
    assert there.made_from == domain
    want = Create(
        tenancy.bench.context, tenancy.bench.item(REGISTRY["domain"], tenancy.resource("domain", domain))
    )
    assert REGISTRY["domain"].find(tenancy.bench.destination, want.want()) == made
    tenancy.undo()
    assert tenancy.shown("domain", made) is None


def test_a_domain_is_not_removed_with_what_others_put_into_it(tenancy, domain):
    made = tenancy.carry("domain", domain)
    cloud = tenancy.bench.destination
    user = cloud.post(Service.IDENTITY, "/users", {"user": {"name": "late", "domain_id": made}})["user"]["id"]
    with pytest.raises(errors.ResourceError, match="1 users are in the domain"):
        tenancy.undo()
    assert tenancy.shown("domain", made) is not None
    cloud.delete(Service.IDENTITY, f"/users/{user}")
    tenancy.undo()
    assert tenancy.shown("domain", made) is None


def test_projects_keep_their_tree_their_tags_and_their_state(tenancy, domain, project):
    body = {"name": "till", "domain_id": domain, "parent_id": project, "enabled": False}
    child = tenancy.identity("/projects", {"project": body})
    made = tenancy.carry("project", child)
    there = tenancy.shown("project", made)
    parent = tenancy.shown("project", there.fields["parent_id"])
    assert there.fields["enabled"] is False
    assert parent.name == "shop"
    assert parent.fields["parent_id"] is None
    assert parent.fields["tags"] == ["a", "b"]
    assert parent.made_from == project
    problems = list(REGISTRY["project"].refuse(tenancy.resource("project", child), tenancy.seen))
    assert [one.severity for one in problems] == [Severity.WARNING]
    tenancy.undo()
    assert tenancy.shown("project", made) is None


@pytest.mark.parametrize("kind", ["domain", "project"])
def test_a_project_below_a_disabled_one_is_refused_as_the_service_would(tenancy, domain, kind):
    above = domain
    if kind == "project":
        above = tenancy.identity("/projects", {"project": {"name": "shut", "domain_id": domain}})
    body = {"name": "below", "domain_id": domain, "parent_id": above}
    project = tenancy.identity("/projects", {"project": body})
    for below in (project, above) if kind == "project" else (above,):
        path = f"/{'domains' if below == domain else 'projects'}/{below}"
        disable = {"domain" if below == domain else "project": {"enabled": False}}
        tenancy.bench.source.patch(Service.IDENTITY, path, disable)
    found = list(REGISTRY["project"].refuse(tenancy.resource("project", project), tenancy.seen))
    (problem,) = [one for one in found if one.severity is Severity.BLOCK]
    assert f"{kind} " in problem.summary
    assert problem.next_step
    with pytest.raises(errors.BadRequest, match="disabled project"):
        tenancy.carry("project", project)


def test_an_immutable_project_can_be_taken_back(tenancy, domain):
    body = {"name": "stone", "domain_id": domain, "options": {"immutable": True}}
    rock = tenancy.bench.source.post(Service.IDENTITY, "/projects", {"project": body})["project"]["id"]
    tenancy.bench.later.append(lambda: REGISTRY["project"].delete(tenancy.bench.source, rock))
    made = tenancy.carry("project", rock)
    assert tenancy.shown("project", made).fields["options"] == {"immutable": True}
    tenancy.undo()
    assert tenancy.shown("project", made) is None


def test_a_removed_project_leaves_no_security_group_behind(tenancy, project):
    made = tenancy.carry("project", project)
    cloud = tenancy.bench.destination
    group = cloud.list(Service.NETWORK, "/security-groups", "security_groups", params={"project_id": made})[0]
    tenancy.undo()
    with pytest.raises(errors.NotFound):
        cloud.get(Service.NETWORK, f"/security-groups/{group['id']}")


def test_a_user_comes_with_its_groups_and_options(tenancy, domain, project):
    group = tenancy.identity(
        "/groups", {"group": {"name": "staff", "domain_id": domain, "description": "all"}}
    )
    body = {
        "name": "alice",
        "domain_id": domain,
        "email": "alice@example.test",
        "description": "first",
        "default_project_id": project,
        "password": "Secret-1",
        "options": {"ignore_password_expiry": True},
    }
    user = tenancy.identity("/users", {"user": body})
    tenancy.bench.source.put(Service.IDENTITY, f"/groups/{group}/users/{user}")
    made = tenancy.carry("user", user)
    there = tenancy.shown("user", made)
    assert there.fields["email"] == "alice@example.test"
    assert there.fields["groups"] == [tenancy.bench.there("group", group)]
    assert there.fields["default_project_id"] == tenancy.bench.there("project", project)
    assert there.fields["options"] == {"ignore_password_expiry": True}
    assert tenancy.bench.notes == ["no password"]
    tenancy.undo()
    assert tenancy.shown("user", made) is None


def test_a_user_without_an_email_arrives_without_one(tenancy, domain):
    """Null is another value: the service keeps what it is given beyond its own fields."""
    user = tenancy.identity("/users", {"user": {"name": "bob", "domain_id": domain}})
    made = tenancy.carry("user", user)
    assert "email" not in tenancy.get(f"/users/{made}", service=Service.IDENTITY)


def test_a_password_is_carried_once(tenancy, domain):
    user = tenancy.identity("/users", {"user": {"name": "bob", "domain_id": domain}})
    tenancy.carry("user", user)
    tenancy.bench.step(REGISTRY["user"], tenancy.resource("user", user), "password")
    assert tenancy.bench.notes == ["no password"]


def test_the_password_of_a_user_who_was_there_is_left(tenancy, domain):
    user = tenancy.identity("/users", {"user": {"name": "bob", "domain_id": domain}})
    resource = tenancy.resource("user", user)
    tenancy.bench.step(REGISTRY["user"], resource, "password")
    assert tenancy.bench.notes == []


@pytest.mark.parametrize("kind", ["user", "group"])
def test_names_that_some_databases_take_for_one_block(kind):
    actors = [
        Resource(
            ref=Ref(kind, identity),
            name=name,
            fields={"domain_id": where, "name": name},
            facts={"foreign": False},
        )
        for identity, name, where in (
            ("1", "Alice", "a"),
            ("2", "alice", "a"),
            ("3", "ALICE", "b"),
            ("4", "bob", "a"),
            ("5", "bob ", "a"),
        )
    ]
    source = Inventory("source", actors)
    blocked = [[one.severity for one in REGISTRY[kind].refuse(actor, source)] for actor in actors]
    assert blocked == [[Severity.BLOCK], [Severity.BLOCK], [], [Severity.BLOCK], [Severity.BLOCK]]
    want = Want(source=actors[2], fields={"domain_id": "a", "name": "ALICE"}, secrets={})
    (problem,) = REGISTRY[kind].check(want, source, exists=False)
    assert "'Alice', 'alice' of the destination" in problem.summary
    assert list(REGISTRY[kind].check(want, source, exists=True)) == []


@pytest.mark.parametrize(
    ("identity", "more", "policy"),
    [
        ("0123456789abcdef0123456789abcdef", {}, Policy.MOVE),
        ("0123456789abcdef0123456789abcdef", {"federated": [{"idp_id": "x"}]}, Policy.MAP),
        ("9f" * 32, {}, Policy.MAP),
        ("jdoe", {}, Policy.MAP),
    ],
)
def test_accounts_that_are_kept_elsewhere_are_mapped(identity, more, policy):
    kind = REGISTRY["user"]
    body = {"id": identity, "name": "jdoe", "domain_id": "d", "domain": "corp", "groups": [], **more}
    user = kind.read(body)
    assert kind.policy(user) is policy
    if policy is Policy.MAP:
        assert kind.identity(user.fields, policy=policy) == ("corp", "jdoe")


def test_a_role_comes_with_what_it_implies(tenancy):
    prefix = tenancy.bench.prefix
    implied = tenancy.identity("/roles", {"role": {"name": f"{prefix}-read"}})
    prior = tenancy.identity("/roles", {"role": {"name": f"{prefix}-write", "description": "may write"}})
    tenancy.bench.source.put(Service.IDENTITY, f"/roles/{prior}/implies/{implied}")
    made = tenancy.carry("role", prior)
    there = tenancy.shown("role", made)
    assert there.fields["implies"] == [tenancy.bench.there("role", implied)]
    assert there.fields["description"] == "may write"
    tenancy.undo()
    assert tenancy.shown("role", made) is None


def test_a_role_of_a_domain_is_read_and_carried(tenancy, domain):
    role = tenancy.identity("/roles", {"role": {"name": "clerk", "domain_id": domain}})
    there = tenancy.shown("role", tenancy.carry("role", role))
    assert there.fields["domain_id"] == tenancy.bench.there("domain", domain)
    tenancy.undo()


def test_the_clouds_own_roles_are_mapped():
    role = REGISTRY["role"].read({"id": "1", "name": "_member_", "implies": []})
    assert REGISTRY["role"].policy(role) is Policy.MAP


@pytest.mark.parametrize("inherited", [False, True])
@pytest.mark.parametrize("actor", ["users", "groups"])
@pytest.mark.parametrize("target", ["projects", "domains"])
def test_assignments_are_carried(tenancy, domain, project, target, actor, inherited):
    cloud = tenancy.bench.source
    role = cloud.list(Service.IDENTITY, "/roles", "roles", params={"name": "member"})[0]["id"]
    who = tenancy.identity(f"/{actor}", {actor[:-1]: {"name": "ann", "domain_id": domain}})
    where = project if target == "projects" else domain
    path = f"{target}/{where}/{actor}/{who}/roles/{role}"
    path = f"OS-INHERIT/{path}/inherited_to_projects" if inherited else path
    cloud.put(Service.IDENTITY, f"/{path}")
    assignment = tenancy.resource("role_assignment", path)
    expected = f"member: {'group ' if actor == 'groups' else ''}ann on "
    assert assignment.name.startswith(expected)
    made = tenancy.carry("role_assignment", path)
    there = tenancy.shown("role_assignment", made)
    assert there.fields["inherited"] is inherited
    assert there.ref.id == made
    if target == "projects":
        actor_ref = Ref(actor[:-1], who)
        kind = REGISTRY[actor[:-1]]
        assert list(kind.tenants(tenancy.seen.get(actor_ref), tenancy.seen)) == [project]
    tenancy.undo()
    assert tenancy.shown("role_assignment", made) is None


def test_members_of_a_group_belong_to_its_tenants(tenancy):
    kind = REGISTRY["user"]
    user = Resource(ref=Ref("user", "u"), name="u", fields={"groups": ["g"]}, facts={})
    fields = {"user_id": None, "group_id": "g", "project_id": "p", "domain_id": None}
    assignment = Resource(ref=Ref("role_assignment", "a"), name="", fields=fields)
    assert list(kind.tenants(user, Inventory("source", [user, assignment]))) == ["p"]


def test_granting_twice_is_no_error(tenancy, domain, project):
    cloud = tenancy.bench.source
    role = cloud.list(Service.IDENTITY, "/roles", "roles", params={"name": "reader"})[0]["id"]
    user = tenancy.identity("/users", {"user": {"name": "ann", "domain_id": domain}})
    path = f"projects/{project}/users/{user}/roles/{role}"
    cloud.put(Service.IDENTITY, f"/{path}")
    made = tenancy.carry("role_assignment", path)
    first, tenancy.bench.journal.entries = tenancy.bench.journal.entries, []
    resource = tenancy.resource("role_assignment", path)
    assert tenancy.bench.carry(REGISTRY["role_assignment"], resource) == made
    kind = REGISTRY["role_assignment"]
    want = Create(tenancy.bench.context, tenancy.bench.item(kind, resource)).want()
    assert kind.find(tenancy.bench.destination, want) == made
    assert kind.find(tenancy.bench.destination, replace(want, others=frozenset({made}))) is None
    tenancy.bench.journal.entries = first


def test_a_domain_with_its_own_backend_is_asked_by_its_id():
    class Backends:
        """A cloud whose second domain answers only by its id."""

        def each(self, service, path, key, *, params=None, up_to=None):
            where = (params or {}).get("domain_id", "default")
            return [{"id": f"{where}-user", "name": "x", "domain_id": where}]

    domains = [Resource(ref=Ref("domain", one), name=one) for one in ("default", "ldap")]
    found = list(REGISTRY["group"].discover(Backends(), seen=Inventory("s", domains), reach=Reach()))
    assert [one.ref.id for one in found] == ["default-user", "ldap-user"]


def test_an_interrupted_creation_is_found_and_not_repeated(tenancy, domain, project):
    tenancy.carry("domain", domain)
    resource = tenancy.resource("project", project)
    kind = REGISTRY["project"]
    step = Create(tenancy.bench.context, tenancy.bench.item(kind, resource))
    made = kind.create(tenancy.bench.destination, step.want())
    tenancy.bench.journal.intend(resource.ref, "create", Side.DESTINATION)
    assert tenancy.bench.carry(kind, resource) == made


def test_changes_of_a_project_can_be_put_back(tenancy, domain, project):
    made = tenancy.carry("project", project)
    kind = REGISTRY["project"]
    changed = replace(
        tenancy.resource("project", project),
        fields={**tenancy.resource("project", project).fields, "tags": ["c"], "description": "new"},
    )
    step = Create(tenancy.bench.context, tenancy.bench.item(kind, changed))
    kind.update(tenancy.bench.destination, made, step.want(), {"tags": ["c"], "description": "new"})
    there = tenancy.shown("project", made)
    assert (there.fields["tags"], there.fields["description"], there.made_from) == (["c"], "new", project)
    tenancy.undo()
