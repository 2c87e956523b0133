"""Who may use the API, and what a browser of theirs may be made to do."""

from __future__ import annotations

import re
import stat

import pytest
import requests
from serving import ask, make_plan

from pumphouse import config
from pumphouse.api.app import create_app
from pumphouse.api.auth import keystone
from pumphouse.api.auth.policy import RULES, list_rules
from pumphouse.api.auth.token import TokenLogin, pages, read_token
from pumphouse.api.run import _app
from pumphouse.api.security import LOCAL_HOSTS
from pumphouse.errors import BadConfig
from pumphouse.service import Pumphouse

OPEN = {"openapi", "health.healthz", "health.readyz", "dashboard.static"}
SCOPE = {"scope": {"kind": "tenant", "names": ["shop"]}}


@pytest.fixture
def token(tmp_path):
    return read_token(tmp_path / "new" / "token")


@pytest.fixture
def browser(service, token):
    """A browser that has not logged in, at a server with a token."""
    login = TokenLogin(token)
    return create_app(service, login=login, blueprints=[pages(login)]).test_client()


def test_the_token_is_kept_for_its_owner_alone(tmp_path, token):
    path = tmp_path / "new" / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 32
    assert read_token(path) == token
    path.chmod(0o640)
    with pytest.raises(BadConfig, match="others may read"):
        read_token(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(BadConfig, match="no token"):
        read_token(path)


def test_nobody_is_let_in_without_the_token(browser):
    for rule in browser.application.url_map.iter_rules():
        if rule.endpoint.startswith("login.") or rule.endpoint in OPEN:
            continue
        path = re.sub(r"<[^>]+>", "1", rule.rule)
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            answer = browser.open(path, method=method, json={} if method == "POST" else None)
            assert answer.status_code in {400, 401}, (method, path)
            assert answer.status_code == 401, (method, path)
            assert answer.json["type"] == "urn:pumphouse:error:LoginRequired"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("given", ["Bearer wrong", "Bearer ", "Basic {token}", "{token}"])
def test_what_is_not_the_token_does_not_open(browser, token, given):
    headers = {"Authorization": given.format(token=token)}
    assert browser.get("/v1/clouds", headers=headers).status_code == 401


def test_a_program_sends_the_token(browser, token):
    headers = {"Authorization": f"Bearer {token}"}
    assert browser.get("/v1/clouds", headers=headers).status_code == 200
    assert browser.post("/v1/plans", json=SCOPE, headers=headers).status_code == 202


def test_a_browser_is_sent_to_log_in_and_comes_back(browser, token):
    asked = browser.get("/v1/clouds?x=1", headers={"Accept": "text/html"})
    assert (asked.status_code, asked.headers["Location"]) == (303, "/login?next=/v1/clouds?x%3D1")
    assert "Token" in browser.get(asked.headers["Location"]).text
    wrong = browser.post(asked.headers["Location"], data={"token": "wrong"})
    assert wrong.status_code == 403
    right = browser.post(asked.headers["Location"], data={"token": token})
    assert (right.status_code, right.headers["Location"]) == (303, "/v1/clouds?x=1")
    assert browser.get("/v1/clouds").status_code == 200
    browser.post("/logout")
    assert browser.get("/v1/clouds").status_code == 401


def test_a_link_lets_a_browser_in_once_and_for_all(browser, token):
    answer = browser.get(f"/login?token={token}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert token not in cookie
    assert browser.get("/v1/clouds").status_code == 200


@pytest.mark.parametrize(
    "where", ["//evil.example", "https://evil.example/", "javascript:alert(1)", "/\\evil"]
)
def test_a_login_never_leads_elsewhere(browser, token, where):
    answer = browser.get("/login", query_string={"token": token, "next": where})
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://localhost"}, True),
        ({}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_a_page_of_elsewhere_cannot_use_the_cookie(browser, token, headers, granted):
    browser.get(f"/login?token={token}")
    answer = browser.post("/v1/plans", json=SCOPE, headers=headers)
    assert answer.status_code == (202 if granted else 403)


def test_a_page_of_elsewhere_cannot_use_a_server_without_login(client):
    assert client.post("/v1/plans", json=SCOPE, headers={"Origin": "http://evil.example"}).status_code == 403
    form = client.post("/v1/plans", data="{}", content_type="text/plain")
    assert (form.status_code, form.json["status"]) == (415, 415)
    assert "Access-Control-Allow-Origin" not in client.get("/v1/clouds").headers


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8775", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.example:8775", 400)],
)
def test_a_name_that_leads_here_by_trickery_is_refused(service, host, status):
    client = create_app(service, hosts=LOCAL_HOSTS).test_client()
    assert client.get("/v1/clouds", headers={"Host": host}).status_code == status


def test_every_answer_tells_browsers_to_be_careful(client):
    for path in ("/v1/clouds", "/v1/none", "/healthz"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"


def test_a_body_that_is_too_large_is_refused(client):
    answer = client.post("/v1/plans", json=SCOPE | {"overrides": {"projects": {"x" * 5_000_000: "y"}}})
    assert (answer.status_code, answer.json["status"]) == (413, 413)


def test_who_did_what_is_an_event(client):
    plan = make_plan(client, SCOPE)["id"]
    id = ask(client, "/v1/migrations", {"plan": SCOPE})["migration_id"]
    client.post(f"/v1/migrations/{id}/actions", json={"action": "pause"})
    client.post(f"/v1/migrations/{id}/actions", json={"action": "retry"})  # refused
    client.delete(f"/v1/plans/{plan}")
    events = client.get("/v1/events").json["events"]
    found = [
        (one["migration"], one["payload"]["rule"], one["payload"]["status"])
        for one in events
        if one["kind"] == "audited"
    ]
    assert found == [
        ("", "plans:create", 202),
        ("", "migrations:create", 202),
        (id, "migrations:pause", 202),
        ("", "plans:delete", 204),
    ]
    assert all(one["payload"]["who"] for one in events)
    ends = [one for one in events if one["kind"] == "operation_ended"]
    assert [(one["migration"], one["payload"]["asked"]) for one in ends] == [("", "plan"), (id, "migrate")]


# -- Keystone


@pytest.fixture
def guarded(people, config_file):
    with Pumphouse.open(config.load([config_file])) as service:
        yield _app(service, ()).test_client()


@pytest.mark.parametrize(
    ("role", "reads", "plans", "deletes"),
    [
        ("reader", 200, 403, 403),
        ("operator", 200, 202, 403),
        ("admin", 200, 202, 404),
        ("stranger", 403, 403, 403),
    ],
)
def test_users_of_keystone_may_do_what_their_role_allows(guarded, people, role, reads, plans, deletes):
    headers = {"X-Auth-Token": people[role]}
    assert guarded.get("/v1/clouds", headers=headers).status_code == reads
    assert guarded.post("/v1/plans", json=SCOPE, headers=headers).status_code == plans
    assert guarded.delete("/v1/plans/p-none", headers=headers).status_code == deletes
    if plans == 202:
        (operation,) = guarded.get("/v1/operations", headers=headers).json["operations"]
        assert operation["asked_by"] == f"api-{role}"
        (event,) = guarded.get("/v1/events", headers=headers).json["events"]
        assert event["payload"]["who"] == f"api-{role}"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Auth-Token": "wrong"},
        {"X-Identity-Status": "Confirmed", "X-User-Name": "root", "X-Roles": "admin"},
    ],
)
def test_who_has_no_token_of_keystone_stays_outside(guarded, headers):
    answer = guarded.get("/v1/clouds", headers=headers)
    assert (answer.status_code, answer.json["type"]) == (401, "urn:pumphouse:error:LoginRequired")
    assert guarded.get("/healthz").status_code == 200


def known_to_keystone(cloud, token):
    """Whether a token is still good."""
    url = f"{cloud.url}/identity/v3/auth/catalog"
    return requests.get(url, headers={"X-Auth-Token": token}, timeout=30).status_code == 200


def test_who_logs_out_while_keystone_is_away_is_told_that_the_token_lives_on(guarded, people, cloud_pair):
    given = {"user": "api-reader", "password": "a-password", "project": "admin", "domain": "Default"}
    guarded.post("/login", data=given)
    token = guarded.get_cookie("pumphouse").value
    cloud_pair.source.faults.add("status", method="DELETE", path="*/auth/tokens", code=503, times=0)
    out = guarded.post("/logout")
    assert out.status_code == 502
    assert "could not be asked to revoke" in out.text
    assert 'action="/login"' in out.text
    assert guarded.get_cookie("pumphouse") is None
    assert guarded.get("/v1/clouds", headers={"X-Auth-Token": token}).status_code == 401
    assert known_to_keystone(cloud_pair.source, token)


def test_who_logs_out_with_a_token_that_has_ended_is_out(guarded, people):
    guarded.set_cookie("pumphouse", "no-such-token")
    out = guarded.post("/logout")
    assert (out.status_code, out.headers["Location"]) == (303, "/login")


def test_a_browser_logs_in_with_name_and_password(guarded, people, cloud_pair):
    page = {"Accept": "text/html"}
    asked = guarded.get("/clouds", headers=page)
    assert asked.status_code == 303
    assert asked.headers["Location"] == "/login?next=/clouds"
    assert "User name" in guarded.get("/login").text
    given = {"user": "api-reader", "password": "wrong", "project": "admin", "domain": "Default"}
    refused = guarded.post("/login?next=/clouds", data=given)
    assert refused.status_code == 403
    assert 'value="api-reader"' in refused.text
    assert "wrong" not in refused.text
    foreign = {"Origin": "http://evil.example"}
    assert guarded.post("/login", data=given | {"password": "a-password"}, headers=foreign).status_code == 403

    answer = guarded.post("/login?next=/clouds", data=given | {"password": "a-password"})
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/clouds"
    cookie = answer.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert "Max-Age" not in cookie
    assert "api-reader" in guarded.get("/clouds", headers=page).text
    # The cookie alone is not enough to write, and the role decides what may be done at all.
    assert guarded.post("/v1/plans", json=SCOPE).status_code == 403
    ours = {"Sec-Fetch-Site": "same-origin"}
    assert guarded.post("/v1/plans", json=SCOPE, headers=ours).status_code == 403
    assert "New migration" not in guarded.get("/", headers=page).text
    token = guarded.get_cookie("pumphouse").value
    assert guarded.post("/logout", headers=foreign).status_code == 403
    out = guarded.post("/logout", headers=ours)
    assert (out.status_code, out.headers["Location"]) == (303, "/login")
    assert guarded.get("/clouds", headers=page).status_code == 303
    # Neither here, where it was good a moment ago, nor in Keystone it is worth anything now.
    assert guarded.get("/v1/clouds", headers={"X-Auth-Token": token}).status_code == 401
    assert not known_to_keystone(cloud_pair.source, token)

    guarded.post("/login", data=given | {"user": "api-operator", "password": "a-password"})
    assert "New migration" in guarded.get("/", headers=page).text
    assert guarded.post("/v1/plans", json=SCOPE).status_code == 403
    assert guarded.post("/v1/plans", json=SCOPE, headers=ours).status_code == 202


def test_a_policy_file_changes_what_roles_may(people, config_file, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text('"pumphouse:clouds:read": "rule:admin"\n')
    config_file.write_text(config_file.read_text().replace("[api]", f"[api]\npolicy_file = {policy}"))
    with Pumphouse.open(config.load([config_file])) as service:
        client = _app(service, ()).test_client()
        assert client.get("/v1/clouds", headers={"X-Auth-Token": people["reader"]}).status_code == 403
        assert client.get("/v1/clouds", headers={"X-Auth-Token": people["admin"]}).status_code == 200


def test_a_policy_file_that_is_not_there_is_told():
    with pytest.raises(BadConfig, match="no policy file"):
        keystone.KeystonePolicy("/nowhere/policy.yaml")


def test_every_view_names_a_rule_that_there_is(client):
    views = client.application.view_functions
    named = {getattr(view, "allow", None) for view in views.values()} - {None}
    assert named <= RULES.keys()
    open_views = {name for name, view in views.items() if getattr(view, "open", False)}
    assert open_views == OPEN
    assert all(getattr(view, "allow", None) or name in open_views for name, view in views.items())
    assert {rule.name for rule in list_rules()} > {f"pumphouse:{name}" for name in RULES}
