"""What Keystone refuses."""

from __future__ import annotations

import pytest

from .refusals import World, table


def login(password="ann-secret", scope=None, **user):
    who = {"user": {**({"id": "{ann}"} if "name" not in user else {}), "password": password, **user}}
    auth = {"identity": {"methods": ["password"], "password": who}}
    return {"auth": auth | ({"scope": scope} if scope else {})}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A domain, a disabled one with a user, a tree of projects, roles, a group, a credential and a trust."""
    world = World(tmp_path_factory.mktemp("identity"))
    base = "/identity/v3"
    for name in ("east", "gone"):
        world.make(name, "admin", f"POST {base}/domains", {"domain": {"name": name}})
    user = {"name": "lost", "password": "lost-secret", "domain_id": "{gone}"}
    world.make("lost", "admin", f"POST {base}/users", {"user": user})
    world.ask("admin", f"PATCH {base}/domains/{{gone}}", {"domain": {"enabled": False}})
    world.make(
        "off", "admin", f"POST {base}/users", {"user": {"name": "off", "password": "x", "enabled": False}}
    )
    closed = {"name": "closed", "enabled": False}
    world.make("closed", "admin", f"POST {base}/projects", {"project": closed})
    world.ask("admin", f"PUT {base}/projects/{{closed}}/users/{{ann}}/roles/{{member}}")
    world.make(
        "child", "admin", f"POST {base}/projects", {"project": {"name": "child", "parent_id": "{shop}"}}
    )
    world.make("role", "admin", f"POST {base}/roles", {"role": {"name": "painter"}})
    world.make(
        "group", "admin", f"POST {base}/groups", {"group": {"name": "painters", "domain_id": "default"}}
    )
    world.make("taken", "admin", f"POST {base}/groups", {"group": {"name": "taken", "domain_id": "default"}})
    credential = {"application_credential": {"name": "robot", "secret": "robot-secret"}}
    path = f"POST {base}/users/{{ann}}/application_credentials"
    world.make("robot", "ann", path, credential)
    late = {"name": "late", "secret": "late-secret", "expires_at": "2020-01-01T00:00:00.000000"}
    world.make("late", "ann", path, {"application_credential": late})
    trust = {
        "trustor_user_id": "{ann}",
        "trustee_user_id": "{bob}",
        "project_id": "{shop}",
        "roles": [{"name": "member"}],
    }
    world.make("trust", "ann", f"POST {base}/OS-TRUST/trusts", {"trust": trust})
    yield world
    world.stop()


def credential(**data):
    return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": data}}}


TOKENS = "POST /auth/tokens"
REFUSED = "The request you have made requires authentication"


@table(
    "/identity/v3",
    ("nobody", TOKENS, {"auth": {}}, 400, "Expecting to find identity"),
    ("nobody", TOKENS, login("wrong"), 401, REFUSED),
    ("nobody", TOKENS, login(id="{nope}"), 401, REFUSED),
    ("nobody", TOKENS, login(name="ann"), 401, REFUSED),
    ("nobody", TOKENS, login(name="ann", domain={"name": "no"}), 401, REFUSED),
    ("nobody", TOKENS, login("x", id="{off}"), 401, REFUSED),
    ("nobody", TOKENS, login("lost-secret", id="{lost}"), 401, REFUSED),
    ("nobody", TOKENS, {"auth": {"identity": {"methods": ["guess"]}}}, 401, REFUSED),
    ("nobody", TOKENS, {"auth": {"identity": {"methods": ["token"], "token": {"id": "no"}}}}, 401, REFUSED),
    ("nobody", TOKENS, credential(id="{robot}", secret="no"), 401, REFUSED),
    ("nobody", TOKENS, credential(id="{nope}", secret="robot-secret"), 401, REFUSED),
    ("nobody", TOKENS, credential(id="{late}", secret="late-secret"), 401, REFUSED),
    ("nobody", TOKENS, login(scope={"project": {"id": "{lab}"}}), 401, REFUSED),
    ("nobody", TOKENS, login(scope={"project": {"id": "{closed}"}}), 401, REFUSED),
    ("nobody", TOKENS, login(scope={"domain": {"id": "{east}"}}), 401, REFUSED),
    ("nobody", TOKENS, login(scope={"system": {"all": True}}), 401, REFUSED),
    ("nobody", "GET /auth/tokens", None, 401, REFUSED),
    ("ann", "GET /auth/tokens", None, 404, "Could not find token"),
)
def test_logins(world, case):
    world.check(case)


def test_a_login_by_two_methods_must_be_one_users(world):
    both = login()
    both["auth"]["identity"]["methods"] = ["password", "token"]
    both["auth"]["identity"]["token"] = {"id": world.people["bob"].token}
    assert world.ask("nobody", "POST /identity/v3/auth/tokens", both)[0] == 401
    both["auth"]["identity"]["token"] = {"id": world.people["ann"].token}
    assert world.ask("nobody", "POST /identity/v3/auth/tokens", both)[0] == 201


def test_a_token_is_shown_to_its_user_and_to_services_alone(world):
    bob, ann = world.people["bob"], world.people["ann"]
    path, subject = "/identity/v3/auth/tokens", {"X-Subject-Token": ann.token}
    assert bob("GET", path, None, subject)[0] == 403
    assert bob("DELETE", path, None, subject)[0] == 403
    assert ann("GET", path, None, subject)[0] == 200


DENIED = "You are not authorized to perform the requested action"


@table(
    "/identity/v3",
    ("ann", "GET /projects", None, 403, f"{DENIED}: identity:list_projects"),
    ("ann", "GET /projects/{lab}", None, 403, f"{DENIED}: identity:get_project"),
    ("ann", "POST /projects", {"project": {"name": "x"}}, 403, "identity:create_project"),
    ("admin", "POST /projects", {"project": {}}, 400, "'name' is a required property"),
    ("admin", "POST /projects", {"project": {"name": ""}}, 400, "is too short"),
    ("admin", "POST /projects", {"project": {"name": "shop"}}, 409, "Duplicate entry found with name shop"),
    (
        "admin",
        "POST /projects",
        {"project": {"name": "x", "parent_id": "{nope}"}},
        404,
        "Could not find project",
    ),
    (
        "admin",
        "POST /projects",
        {"project": {"name": "x", "domain_id": "{nope}"}},
        404,
        "Could not find domain",
    ),
    ("admin", "GET /projects/{nope}", None, 404, "Could not find project: {nope}"),
    ("admin", "PATCH /projects/{shop}", {"project": {"name": "lab"}}, 409, "Duplicate entry"),
    ("admin", "PATCH /projects/{shop}", {"project": {"domain_id": "{east}"}}, 400, "Cannot change Domain ID"),
    ("admin", "PATCH /projects/{child}", {"project": {"parent_id": "{lab}"}}, 403, "Update of `parent_id`"),
    ("admin", "DELETE /projects/{shop}", None, 403, "is not a leaf in the hierarchy"),
    ("admin", "GET /projects/{shop}/tags/no", None, 404, "Could not find project tag: no"),
    ("admin", "DELETE /projects/{shop}/tags/no", None, 404, "Could not find project tag: no"),
    ("admin", "POST /domains", {"domain": {"name": "east"}}, 409, "Duplicate entry"),
    ("admin", "PATCH /domains/{east}", {"domain": {"name": "gone"}}, 409, "Duplicate entry"),
    ("admin", "DELETE /domains/{east}", None, 403, "please disable it first"),
    ("ann", "GET /users/{bob}", None, 403, "identity:get_user"),
    ("admin", "GET /users/{nope}", None, 404, "Could not find user: {nope}"),
    ("admin", "POST /users", {"user": {"password": "x"}}, 400, "'name' is a required property"),
    ("admin", "POST /users", {"user": {"name": "ann"}}, 409, "Duplicate entry"),
    ("admin", "POST /users", {"user": {"name": "x", "domain_id": "{nope}"}}, 404, "Could not find domain"),
    (
        "ann",
        "POST /users/{ann}/password",
        {"user": {"password": "x", "original_password": "no"}},
        401,
        REFUSED,
    ),
    (
        "admin",
        "POST /groups",
        {"group": {"name": "painters", "domain_id": "default"}},
        409,
        "Duplicate entry",
    ),
    ("admin", "PATCH /groups/{group}", {"group": {"name": "taken"}}, 409, "Duplicate entry"),
    ("admin", "GET /groups/{nope}", None, 404, "Could not find group"),
    ("admin", "PUT /groups/{group}/users/{nope}", None, 404, "Could not find user"),
    ("admin", "GET /groups/{group}/users/{ann}", None, 404, "not found in group"),
    ("admin", "DELETE /groups/{group}/users/{ann}", None, 404, "not found in group"),
    ("admin", "POST /roles", {"role": {}}, 400, "'name' is a required property"),
    ("admin", "POST /roles", {"role": {"name": "painter"}}, 409, "Duplicate entry found with name painter"),
    ("admin", "GET /roles/{nope}", None, 404, "Could not find role"),
    ("admin", "GET /roles/{role}/implies/{member}", None, 404, "does not imply"),
    ("admin", "PUT /roles/{role}/implies/{role}", None, 403, "cannot imply itself"),
    ("ann", "PUT /projects/{shop}/users/{bob}/roles/{member}", None, 403, "identity:create_grant"),
    ("admin", "PUT /projects/{nope}/users/{bob}/roles/{member}", None, 404, "Could not find project"),
    ("admin", "PUT /projects/{shop}/users/{nope}/roles/{member}", None, 404, "Could not find user"),
    ("admin", "PUT /projects/{shop}/users/{bob}/roles/{nope}", None, 404, "Could not find role"),
    ("admin", "GET /projects/{shop}/users/{bob}/roles/{member}", None, 404, "Could not find role assignment"),
    (
        "admin",
        "DELETE /projects/{shop}/users/{bob}/roles/{member}",
        None,
        404,
        "Could not find role assignment",
    ),
    ("admin", "GET /role_assignments?effective&group.id={group}", None, 400, "effective and group filter"),
    ("bob", "GET /users/{ann}/application_credentials", None, 403, "list_application_credentials"),
    (
        "admin",
        "POST /users/{ann}/application_credentials",
        {"application_credential": {"name": "x"}},
        403,
        "create_application_credential",
    ),
    (
        "ann",
        "POST /users/{ann}/application_credentials",
        {"application_credential": {}},
        400,
        "'name' is a required property",
    ),
    (
        "ann",
        "POST /users/{ann}/application_credentials",
        {"application_credential": {"name": "robot"}},
        409,
        "Duplicate entry found with name robot",
    ),
    (
        "ann",
        "POST /users/{ann}/application_credentials",
        {"application_credential": {"name": "x", "roles": [{"name": "admin"}]}},
        400,
        "Could not find role assignment",
    ),
    (
        "ann",
        "GET /users/{ann}/application_credentials/{nope}",
        None,
        404,
        "Could not find Application Credential",
    ),
    ("bob", "GET /OS-TRUST/trusts", None, 403, "identity:list_trusts"),
    ("bob", "POST /OS-TRUST/trusts", {"trust": {"trustor_user_id": "{ann}"}}, 403, "not authorized"),
    ("bob", "DELETE /OS-TRUST/trusts/{trust}", None, 403, "identity:delete_trust"),
    ("ann", "DELETE /OS-TRUST/trusts/{nope}", None, 404, "Could not find trust"),
)
def test_what_identity_does_not_take(world, case):
    world.check(case)


def test_a_credential_needs_a_token_of_a_project(world):
    _, _, headers = world.people["nobody"](
        "POST", "/identity/v3/auth/tokens", world._named(login(scope="unscoped"))
    )
    token = {"X-Auth-Token": headers["x-subject-token"]}
    path = world._named("/identity/v3/users/{ann}/application_credentials")
    answer = world.people["nobody"]("POST", path, {"application_credential": {"name": "x"}}, token)
    assert (answer[0], "project-scoped token" in str(answer[1])) == (400, True)
