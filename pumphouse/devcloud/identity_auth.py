"""Keystone v3: tokens, their scopes, and what a caller may turn to."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Fault, bad_request, not_found, unauthenticated
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.identity_catalog import catalogue
from pumphouse.devcloud.identity_credentials import verify_credential
from pumphouse.devcloud.identity_model import DOMAINS, PROJECTS, USERS, listing, view
from pumphouse.devcloud.identity_roles import domains_of, projects_of, roles_on
from pumphouse.devcloud.services import IDENTITY
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.tokens import Token

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest


class _Refused(Exception):
    """The login fails; Keystone does not say why."""


class _Login:
    """Who logs in: found by a method, with what the method says about the scope."""

    def __init__(self, user: Row, *, methods: list[str], until: datetime | None = None) -> None:
        self.user = user
        self.methods = methods
        self.until = until
        self.credential: Row | None = None


@IDENTITY.route("POST", "/auth/tokens", auth=False)
def issue_token(cloud: DevCloud, request: ApiRequest) -> Response:
    auth = request.member("auth")
    identity = auth.get("identity")
    if not isinstance(identity, dict) or not identity.get("methods"):
        raise bad_request("Expecting to find identity in auth.")
    try:
        login = _login(cloud, identity)
        token = _scoped(cloud, login, auth.get("scope"))
    except _Refused:
        return unauthenticated(cloud.auth_url)
    cloud.tokens.add(token)
    return _shown(cloud, request, token, status=201)


def _shown(cloud: DevCloud, request: ApiRequest, token: Token, *, status: int) -> Response:
    body = dict(token.body)
    if "nocatalog" not in request.query and (token.project_id or token.domain_id or token.system):
        body["catalog"] = catalogue(cloud, token.project_id)
    return Response(status, {"token": body}, {"X-Subject-Token": token.id, "Vary": "X-Auth-Token"})


# Who


def _login(cloud: DevCloud, identity: Mapping[str, Any]) -> _Login:
    logins = []
    for method in identity["methods"]:
        check = _METHODS.get(method)
        if check is None:
            raise _Refused
        logins.append(check(cloud, identity.get(method) or {}))
    login = logins[0]
    for other in logins[1:]:
        if other.user["id"] != login.user["id"]:
            raise _Refused
    login.methods = list(dict.fromkeys(method for one in logins for method in one.methods))
    if not login.user["enabled"] or not cloud.table(DOMAINS)[login.user["domain_id"]]["enabled"]:
        raise _Refused
    return login


def _find(cloud: DevCloud, table: str, wanted: Mapping[str, Any]) -> Row:
    """A user or project named by id, or by name and domain; refused when there is none."""
    if wanted.get("id"):
        row = cloud.table(table).get(wanted["id"])
    else:
        domain_id = _domain_id(cloud, wanted.get("domain") or {})
        row = cloud.table(table).first(name=wanted.get("name"), domain_id=domain_id)
    if row is None:
        raise _Refused
    return row


def _domain_id(cloud: DevCloud, wanted: Mapping[str, Any]) -> str:
    row = (
        cloud.table(DOMAINS).get(wanted["id"])
        if wanted.get("id")
        else cloud.table(DOMAINS).first(name=wanted.get("name"))
    )
    if row is None:
        raise _Refused
    return str(row["id"])


def _by_password(cloud: DevCloud, data: Mapping[str, Any]) -> _Login:
    user = _find(cloud, USERS, data.get("user") or {})
    if not cloud.passwords.check(user["id"], str(data["user"].get("password", "")), now=cloud.now()):
        raise _Refused
    return _Login(user, methods=["password"])


def _by_token(cloud: DevCloud, data: Mapping[str, Any]) -> _Login:
    token = cloud.tokens.get(data.get("id"), cloud.now())
    if token is None:
        raise _Refused
    user = cloud.table(USERS)[token.user_id]
    return _Login(user, methods=["token", *token.body["methods"]], until=token.expires_at)


def _by_credential(cloud: DevCloud, data: Mapping[str, Any]) -> _Login:
    user = _find(cloud, USERS, data["user"]) if data.get("user") else None
    credential = verify_credential(cloud, data, user_id=user["id"] if user else None)
    if credential is None:
        raise _Refused
    login = _Login(cloud.table(USERS)[credential["user_id"]], methods=["application_credential"])
    login.credential = credential
    return login


_METHODS: Mapping[str, Callable[[DevCloud, Mapping[str, Any]], _Login]] = {
    "password": _by_password,
    "token": _by_token,
    "application_credential": _by_credential,
}


# Where


def _scoped(cloud: DevCloud, login: _Login, scope: Any) -> Token:
    """A token for the scope that was asked for, else for the user's default project, else unscoped."""
    project: Row | None = None
    domain_id: str | None = None
    system = False
    roles: list[Row] = []
    user_id = login.user["id"]
    if login.credential is not None:
        project = cloud.table(PROJECTS)[login.credential["project_id"]]
        wanted = {role["id"] for role in login.credential["roles"]}
        roles = [role for role in roles_on(cloud, user_id, project=project) if role["id"] in wanted]
    elif isinstance(scope, dict) and "project" in scope:
        project = _find(cloud, PROJECTS, scope["project"])
        roles = roles_on(cloud, user_id, project=project)
    elif isinstance(scope, dict) and "domain" in scope:
        domain_id = _domain_id(cloud, scope["domain"])
        roles = roles_on(cloud, user_id, domain_id=domain_id)
    elif isinstance(scope, dict) and "system" in scope:
        system = True
        roles = roles_on(cloud, user_id)
    elif scope is None:
        default = cloud.table(PROJECTS).get(login.user.get("default_project_id"))
        if default is not None and default["enabled"]:
            roles = roles_on(cloud, user_id, project=default)
            project = default if roles else None
    if (project or domain_id or system) and not roles:
        raise _Refused
    if project is not None and not project["enabled"]:
        raise _Refused
    return _token(cloud, login, roles, project=project, domain_id=domain_id, system=system)


def _token(
    cloud: DevCloud,
    login: _Login,
    roles: list[Row],
    *,
    project: Row | None,
    domain_id: str | None,
    system: bool,
) -> Token:
    user = login.user
    issued = cloud.now()
    expires = login.until or issued + timedelta(seconds=cloud.token_seconds)
    body: dict[str, Any] = {
        "methods": login.methods,
        "user": {
            "id": user["id"],
            "name": user["name"],
            "domain": _domain(cloud, user["domain_id"]),
            "password_expires_at": cloud.passwords.expires_at(user["id"]),
        },
        "audit_ids": [base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")],
        "issued_at": _moment(issued),
        "expires_at": _moment(expires),
    }
    if project is not None:
        body["project"] = {
            "id": project["id"],
            "name": project["name"],
            "domain": _domain(cloud, project["domain_id"]),
        }
        body["is_domain"] = False
    elif domain_id is not None:
        body["domain"] = _domain(cloud, domain_id)
    elif system:
        body["system"] = {"all": True}
    if roles:
        body["roles"] = [{"id": role["id"], "name": role["name"]} for role in roles]
    if login.credential is not None:
        body["application_credential"] = {
            "id": login.credential["id"],
            "name": login.credential["name"],
            "restricted": not login.credential["unrestricted"],
        }
    return Token(
        id="gAAAAA" + secrets.token_urlsafe(120),
        user_id=user["id"],
        user_name=user["name"],
        user_domain_id=user["domain_id"],
        project_id=project["id"] if project is not None else None,
        domain_id=domain_id,
        system=system,
        roles=frozenset(role["name"] for role in roles),
        issued_at=issued,
        expires_at=expires,
        body=body,
    )


def _domain(cloud: DevCloud, domain_id: str) -> dict[str, str]:
    return {"id": domain_id, "name": cloud.table(DOMAINS)[domain_id]["name"]}


def _moment(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


# Looking at tokens


def _subject(cloud: DevCloud, request: ApiRequest, policy: str) -> Token:
    token = cloud.tokens.get(request.headers.get("X-Subject-Token"), cloud.now())
    if token is None:
        raise not_found("Could not find token.")
    if token.user_id != request.token.user_id and not request.token.has("service"):
        raise Fault(403, IDENTITY.denied.format(policy=policy))
    return token


@IDENTITY.route("GET", "/auth/tokens", role=None)
def validate_token(cloud: DevCloud, request: ApiRequest) -> Response:
    return _shown(cloud, request, _subject(cloud, request, "identity:validate_token"), status=200)


@IDENTITY.route("DELETE", "/auth/tokens", role=None)
def revoke_token(cloud: DevCloud, request: ApiRequest) -> None:
    cloud.tokens.remove(_subject(cloud, request, "identity:revoke_token").id)


@IDENTITY.route("GET", "/auth/catalog", role=None)
def get_catalog(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    own = {"self": f"{request.url}/auth/catalog"}
    return {"catalog": catalogue(cloud, request.token.project_id), "links": own}


@IDENTITY.route("GET", "/auth/projects", role=None)
def list_own_projects(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows = (cloud.table(PROJECTS)[project_id] for project_id in projects_of(cloud, request.token.user_id))
    return listing(request, "projects", (view(request, "projects", row) for row in rows if row["enabled"]))


@IDENTITY.route("GET", "/auth/domains", role=None)
def list_own_domains(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows = (cloud.table(DOMAINS)[domain_id] for domain_id in domains_of(cloud, request.token.user_id))
    return listing(request, "domains", (view(request, "domains", row) for row in rows if row["enabled"]))


@IDENTITY.route("GET", "/auth/system", role=None)
def list_own_systems(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    system = [{"all": True}] if roles_on(cloud, request.token.user_id) else []
    return {"system": system, "links": {"self": f"{request.url}/auth/system"}}
