from __future__ import annotations

import base64
import hashlib
import sqlite3
from contextlib import closing

import openstack.exceptions as exc
import pytest

from pumphouse.devcloud.passwords import hash_password, verify_password


def test_projects_have_tags_parents_and_unique_names(conn):
    shop = conn.identity.create_project(name="shop", domain_id="default", description="a shop", tags=["blue"])
    child = conn.identity.create_project(name="till", domain_id="default", parent_id=shop.id)
    assert (child.parent_id, child.domain_id, shop.parent_id) == (shop.id, "default", "default")
    shop.add_tag(conn.identity, "green")
    assert conn.identity.get_project(shop.id).tags == ["blue", "green"]
    assert [one.id for one in conn.identity.projects(tags="green")] == [shop.id]
    assert conn.identity.find_project("shop").id == shop.id
    with pytest.raises(exc.ConflictException, match="Duplicate entry"):
        conn.identity.create_project(name="shop", domain_id="default")
    with pytest.raises(exc.ForbiddenException, match="not a leaf"):
        conn.identity.delete_project(shop.id)
    assert conn.identity.update_project(child, enabled=False).is_enabled is False


def test_a_domain_is_deleted_with_its_people_and_only_when_disabled(conn, cloud):
    domain = conn.identity.create_domain(name="corp")
    user = conn.identity.create_user(name="ann", domain_id=domain.id, password="pw")
    project = conn.identity.create_project(name="shop", domain_id=domain.id)
    with pytest.raises(exc.ForbiddenException, match="disable it first"):
        conn.identity.delete_domain(domain.id)
    conn.identity.update_domain(domain, is_enabled=False)
    conn.identity.delete_domain(domain.id)
    assert conn.identity.find_user(user.id) is None
    assert project.id not in cloud.table("projects")


@pytest.fixture
def ann(conn):
    """A user who is a member of a project."""
    project = conn.identity.create_project(name="shop", domain_id="default")
    user = conn.identity.create_user(
        name="ann",
        domain_id="default",
        password="old pw",
        email="ann@example.org",
        default_project_id=project.id,
    )
    role = conn.identity.find_role("member")
    conn.identity.assign_project_role_to_user(project, user, role)
    return user


def test_a_user_logs_in_with_a_role_and_its_implied_ones(conn, connect, ann):
    own = connect(username="ann", password="old pw", project_name="shop")
    assert own.session.auth.get_access(own.session).role_names == ["member", "reader"]
    assert [one.name for one in own.identity.user_projects(ann)] == ["shop"]
    assert conn.identity.get_user(ann.id).email == "ann@example.org"
    with pytest.raises(exc.ForbiddenException):
        own.identity.create_user(name="eve")
    with pytest.raises(exc.ForbiddenException):
        list(own.identity.users())


def test_login_needs_the_password_a_role_and_enabled_things(conn, http_client, ann):
    for user, password, project in (
        ("ann", "wrong", "shop"),
        ("ann", "old pw", "admin"),
        ("nobody", "x", "shop"),
    ):
        with pytest.raises(PermissionError):
            http_client().login(user, password, project)
    assert http_client().login("ann", "old pw", project=None).token
    conn.identity.update_user(ann, is_enabled=False)
    with pytest.raises(PermissionError):
        http_client().login("ann", "old pw", "shop")


def test_tokens_end_with_the_role_the_password_and_by_order(conn, cloud, http_client, ann):
    role = conn.identity.find_role("member")
    own = http_client().login("ann", "old pw", "shop")
    assert own("GET", "/identity/v3/auth/projects")[0] == 200
    conn.identity.unassign_project_role_from_user(ann.default_project_id, ann, role)
    status, body, headers = own("GET", "/identity/v3/auth/projects")
    assert (status, body["error"]["title"]) == (401, "Unauthorized")
    assert headers["www-authenticate"].startswith("Keystone uri=")
    conn.identity.assign_project_role_to_user(ann.default_project_id, ann, role)
    own.login("ann", "old pw", "shop")
    conn.identity.update_user(ann, password="new pw")
    assert own("GET", "/identity/v3/auth/projects")[0] == 401
    own.login("ann", "new pw", "shop")
    cloud.expire_tokens()
    assert own("GET", "/identity/v3/auth/projects")[0] == 401
    assert [one.name for one in conn.identity.projects(name="shop")] == ["shop"], "the SDK logs in again"


def test_a_token_can_be_scoped_again_validated_and_revoked(cloud, http_client, admin):
    auth = {
        "identity": {"methods": ["token"], "token": {"id": admin.token}},
        "scope": {"system": {"all": True}},
    }
    status, body, headers = http_client()("POST", "/identity/v3/auth/tokens", {"auth": auth})
    assert status == 201
    assert body["token"]["system"] == {"all": True}
    assert body["token"]["methods"] == ["token", "password"]
    subject = {"X-Subject-Token": headers["x-subject-token"]}
    assert admin("GET", "/identity/v3/auth/tokens", headers=subject)[1]["token"]["user"]["name"] == "admin"
    assert admin("DELETE", "/identity/v3/auth/tokens", headers=subject)[0] == 204
    assert admin("HEAD", "/identity/v3/auth/tokens", headers=subject)[0] == 404


def test_tokens_expire(make_cloud, http_client):
    client = http_client(on=make_cloud("brief", token_seconds=-1)).login()
    assert client("GET", "/identity/v3/projects")[0] == 401


def test_groups_inherited_and_domain_roles_work_out(conn, cloud, connect):
    member, reader = conn.identity.find_role("member"), conn.identity.find_role("reader")
    parent = conn.identity.create_project(name="shop", domain_id="default")
    child = conn.identity.create_project(name="till", domain_id="default", parent_id=parent.id)
    group = conn.identity.create_group(name="clerks", domain_id="default")
    bob = conn.identity.create_user(name="bob", domain_id="default", password="pw")
    conn.identity.add_user_to_group(bob, group)
    assert conn.identity.check_user_in_group(bob, group)
    path = f"/OS-INHERIT/projects/{parent.id}/groups/{group.id}/roles/{member.id}/inherited_to_projects"
    assert conn.identity.put(path).status_code == 204
    assert conn.identity.put(path).status_code == 204, "again is no error"
    conn.identity.assign_domain_role_to_user("default", bob, reader)

    own = connect(username="bob", password="pw", project_name="till")
    assert own.current_project_id == child.id
    listed = conn.identity.get(f"/role_assignments?user.id={bob.id}&effective&include_names=true").json()[
        "role_assignments"
    ]
    found = {(next(iter(one["scope"])), one["role"]["name"]) for one in listed}
    assert found == {("domain", "reader"), ("project", "member"), ("project", "reader")}
    assert {one["scope"]["project"]["name"] for one in listed if "project" in one["scope"]} == {"till"}
    plain = conn.identity.get(f"/role_assignments?group.id={group.id}").json()["role_assignments"]
    assert plain[0]["scope"]["OS-INHERIT:inherited_to"] == "projects"
    assert conn.identity.get("/role_assignments?scope.system=all").json()["role_assignments"]
    assert conn.identity.delete(path).status_code == 204
    assert conn.identity.delete(path).status_code == 404


def test_roles_may_imply_others_and_bootstrap_roles_stay(conn):
    prior = conn.identity.create_role(name="auditor")
    reader = conn.identity.find_role("reader")
    url = f"/roles/{prior.id}/implies/{reader.id}"
    assert conn.identity.put(url).json()["role_inference"]["implies"]["name"] == "reader"
    rules = conn.identity.get("/role_inferences").json()["role_inferences"]
    assert {one["prior_role"]["name"] for one in rules} == {"admin", "manager", "member", "auditor"}
    assert conn.identity.put(f"/roles/{reader.id}/implies/{prior.id}").status_code == 403
    with pytest.raises(exc.ForbiddenException, match="immutable"):
        conn.identity.delete_role(reader)
    conn.identity.delete_role(prior)
    assert conn.identity.find_role("auditor") is None


def test_an_application_credential_logs_in_to_its_project(connect, ann):
    own = connect(username="ann", password="old pw", project_name="shop")
    made = own.identity.create_application_credential(ann, name="robot", roles=[{"name": "reader"}])
    assert made.secret
    robot = connect(
        auth_type="v3applicationcredential",
        application_credential_id=made.id,
        application_credential_secret=made.secret,
    )
    access = robot.session.auth.get_access(robot.session)
    assert (access.project_name, access.role_names) == ("shop", ["reader"])
    assert [one.name for one in own.identity.application_credentials(ann)] == ["robot"]
    assert own.identity.get_application_credential(ann, made.id).secret is None
    with pytest.raises(exc.ConflictException):
        own.identity.create_application_credential(ann, name="robot")


def test_a_copied_row_moves_the_password(cloud, http_client, ann):
    with closing(sqlite3.connect(cloud.keystone_database)) as database, database:
        assert database.execute("SELECT name FROM local_user WHERE user_id = ?", (ann.id,)).fetchone() == (
            "ann",
        )
        database.execute(
            "UPDATE password SET password_hash = ? WHERE local_user_id ="
            " (SELECT id FROM local_user WHERE user_id = ?)",
            (hash_password("from elsewhere"), ann.id),
        )
    assert http_client().login("ann", "from elsewhere", "shop").token
    with pytest.raises(PermissionError):
        http_client().login("ann", "old pw", "shop")


def test_an_own_password_is_changed_with_the_old_one(http_client, ann):
    client = http_client()
    path = f"/identity/v3/users/{ann.id}/password"
    wrong = {"user": {"original_password": "no", "password": "next"}}
    assert client("POST", path, wrong)[0] == 401
    assert client("POST", path, {"user": {"original_password": "old pw", "password": "next"}})[0] == 204
    assert client.login("ann", "next", "shop").token


@pytest.mark.parametrize("scheme", ["pbkdf2", "scrypt"])
def test_hashes_verify(scheme):
    def encode(data: bytes) -> str:
        return base64.b64encode(data).decode().rstrip("=").replace("+", ".")

    salt = b"\xfb\xff0123456789abcd"
    if scheme == "pbkdf2":
        digest = hashlib.pbkdf2_hmac("sha512", b"secret", salt, 10)
        hashed = f"$pbkdf2-sha512$10${encode(salt)}${encode(digest)}"
    else:
        digest = hashlib.scrypt(b"secret", salt=salt, n=16, r=8, p=1, dklen=32)
        hashed = f"$scrypt$ln=4,r=8,p=1${encode(salt)}${encode(digest)}"
    assert verify_password("secret", hashed)
    assert not verify_password("Secret", hashed)
    assert not verify_password("secret", "$2b$04$abcdefghijklmnopqrstuv")


def test_faults_have_keystones_shape(admin, http_client):
    status, body, headers = admin("GET", "/identity/v3/projects/nope")
    assert (status, body) == (
        404,
        {"error": {"code": 404, "message": "Could not find project: nope.", "title": "Not Found"}},
    )
    assert headers["x-openstack-request-id"].startswith("req-")
    assert admin("POST", "/identity/v3/projects", b"{")[0] == 400
    assert http_client()("GET", "/identity/v3/projects")[0] == 401


def test_the_catalogue_is_complete(conn, cloud):
    catalog = conn.identity.get("/auth/catalog").json()["catalog"]
    assert {one["type"] for one in catalog} >= {"identity", "compute", "image", "network", "block-storage"}
    assert [one.id for one in conn.identity.regions()] == ["RegionOne"]
    assert {one.type for one in conn.identity.services()} >= {"compute", "volumev3"}
    assert all(one.url.startswith(cloud.url) for one in conn.identity.endpoints())
