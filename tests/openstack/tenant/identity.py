"""Projects, users, groups, roles, quotas and flavors of a tenant."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from .site import PASSWORD, Site, ask, make

HASHES = {
    "carol": "$pbkdf2-sha512$25000$c2FsdHNhbHRzYWx0c2FsdA$"
    "MYXJfi1IkWrWSUFj1BKUttHXUxT9E.tOUKqR6TZ3IU003sujWWv35gHViLaa20jWY7.HQELxkI/DoPte7NxIew",
    "dave": "$scrypt$ln=16,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$2NWo1g8647kPG8tY+4OHBjyIwxjvfHBN4FjPlSw0uK8",
    "erin": "$6$saltsaltsalt$"
    "QRnLMeZrCv4fLlLdPeN3B.Zc8586AaSlw9oJXQX3PgxoY2UwVpfQvJlNncAm2iC9UqEfulAyucd9lGp/7b4Bv.",
}
"""Hashes of their passwords as older Keystones wrote them; that of the others is what the cloud writes."""
REFUSED = "erin"
"""Whose kind of hash newer Keystones cannot check."""
LIMITS = {
    "compute": {"instances": 15, "cores": 20, "server_groups": 8},
    "network": {"network": 12, "port": 60, "floatingip": 9},
    "block_storage": {"volumes": 9, "gigabytes": 50, "gigabytes___DEFAULT__": 40},
}


def project(site: Site, *people: str) -> dict[str, Any]:
    """The tenant's project, its users with the role ``member``, and its limits."""
    admin = site.admin
    made = _project(site, name=site.name, description="a small web application", tags=["small", "web"])
    member = admin.identity.find_role("member").id
    for person in people:
        user = _user(site, person)
        _grant(site, f"/projects/{made['id']}/users/{user}/roles/{member}")
    for service, path, item in (
        ("compute", f"/os-quota-sets/{made['id']}", "quota_set"),
        ("network", f"/quotas/{made['id']}", "quota"),
        ("block_storage", f"/os-quota-sets/{made['id']}", "quota_set"),
    ):
        ask(admin, "PUT", service, path, {item: LIMITS[service]})
    return made


def flavor(site: Site, project_id: str) -> str:
    """A flavor of the tenant's own, on which its servers run; the id."""
    return _flavor(site, "tiny", [project_id], {"quota:cpu_shares": "512"})


def rest(site: Site, project_id: str) -> str:
    """A project below, whose id this is, and all that identity has besides."""
    admin = site.admin
    partner = _project(site, name=site.partner, parent_id=project_id, description="who works with it")["id"]
    users = {person: _user(site, person) for person in HASHES}
    alice, bob = (admin.identity.find_user(site.user(one)).id for one in ("alice", "bob"))
    ask(admin, "PATCH", "identity", f"/users/{bob}", {"user": {"default_project_id": project_id}})
    ask(
        admin,
        "PATCH",
        "identity",
        f"/users/{alice}",
        {"user": {"description": "the first", "options": {"ignore_lockout_failure_attempts": True}}},
    )
    group = make(admin, "identity", "/groups", "group", name=site.user("operators"), description="on call")
    auditor = make(admin, "identity", "/roles", "role", name=site.user("auditor"), description="looks on")
    reader, member = (admin.identity.find_role(one).id for one in ("reader", "member"))
    for user in users.values():
        ask(admin, "PUT", "identity", f"/groups/{group['id']}/users/{user}")
    inherited = f"/OS-INHERIT/projects/{project_id}/users/{alice}/roles/{member}/inherited_to_projects"
    for path in (
        f"/projects/{project_id}/groups/{group['id']}/roles/{reader}",
        f"/projects/{project_id}/users/{bob}/roles/{auditor['id']}",
        inherited,
    ):
        _grant(site, path)
    _for_people(site, alice, bob, project_id, member)
    _flavor(site, "odd", [project_id, partner], {}, swap=16, rxtx_factor=1.0, description="for odd jobs")
    if site.keystone:
        _write_hashes(site)
    return str(partner)


def _for_people(site: Site, alice: str, bob: str, project_id: str, member: str) -> None:
    """What only its owner can make: an application credential and a trust."""
    own = site.login("alice")
    make(own, "identity", f"/users/{alice}/application_credentials", "application_credential", name="robot")
    make(
        own,
        "identity",
        "/OS-TRUST/trusts",
        "trust",
        trustor_user_id=alice,
        trustee_user_id=bob,
        project_id=project_id,
        impersonation=False,
        roles=[{"id": member}],
    )


def _project(site: Site, **fields: Any) -> dict[str, Any]:
    return make(site.admin, "identity", "/projects", "project", domain_id="default", **fields)


def _user(site: Site, person: str) -> str:
    made = make(
        site.admin,
        "identity",
        "/users",
        "user",
        name=site.user(person),
        password=PASSWORD.format(person),
        domain_id="default",
        email=f"{person}@example.org",
    )
    return str(made["id"])


def _grant(site: Site, path: str) -> None:
    ask(site.admin, "PUT", "identity", path)


def _flavor(site: Site, name: str, projects: list[str], specs: dict[str, str], **fields: Any) -> str:
    values = {"name": f"{site.name}.{name}", "vcpus": 1, "ram": 64, "disk": 1, **fields}
    made = make(
        site.admin, "compute", "/flavors", "flavor", **values, **{"os-flavor-access:is_public": False}
    )["id"]
    for project_id in projects:
        change = {"addTenantAccess": {"tenant": project_id}}
        ask(site.admin, "POST", "compute", f"/flavors/{made}/action", change)
    if specs:
        ask(site.admin, "POST", "compute", f"/flavors/{made}/os-extra_specs", {"extra_specs": specs})
    return str(made)


def _write_hashes(site: Site) -> None:
    """Give users the hashes that older releases would have written; the passwords stay."""
    engine = sa.create_engine(site.keystone or "", poolclass=sa.NullPool, hide_parameters=True)
    statement = sa.text(
        "UPDATE password SET password_hash = :hash WHERE local_user_id ="
        " (SELECT id FROM local_user WHERE name = :name AND domain_id = 'default')"
    )
    with engine.begin() as connection:
        for person, hashed in HASHES.items():
            connection.execute(statement, {"hash": hashed, "name": site.user(person)})
