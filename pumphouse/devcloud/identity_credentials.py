"""Keystone v3.

Application credentials, and trusts (both belong to a user, and nobody else can make them).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Fault, bad_request, conflict, not_found
from pumphouse.devcloud.identity_model import PROJECTS, USERS, listing, require
from pumphouse.devcloud.identity_roles import ROLES, roles_on
from pumphouse.devcloud.services import IDENTITY
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

CREDENTIALS = IDENTITY.table(
    "application_credentials", indexes=("user_id", "project_id"), volatile=("secret_hash",)
)
TRUSTS = IDENTITY.table("trusts", indexes=("trustor_user_id", "trustee_user_id", "project_id"), label=("id",))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def verify_credential(cloud: DevCloud, data: Mapping[str, Any], *, user_id: str | None) -> Row | None:
    """The credential that a login names by id, or by user and name, if secret and time are right."""
    if data.get("id"):
        row = cloud.table(CREDENTIALS).get(data["id"])
    else:
        row = cloud.table(CREDENTIALS).first(user_id=user_id, name=data.get("name")) if user_id else None
    if row is None or not hmac.compare_digest(row["secret_hash"], _digest(str(data.get("secret", "")))):
        return None
    if row["expires_at"] and datetime.fromisoformat(row["expires_at"]) <= cloud.now().replace(tzinfo=None):
        return None
    return row


def _shown(request: ApiRequest, row: Row) -> Row:
    own = f"{request.url}/users/{row['user_id']}/application_credentials/{row['id']}"
    hidden = ("secret_hash", "user_id")
    return {**{key: value for key, value in row.items() if key not in hidden}, "links": {"self": own}}


def _allow(request: ApiRequest, user_id: str, policy: str, *, admin: bool) -> None:
    """Only the user may act on their credentials; an admin may look at them and delete them."""
    if request.token.user_id != user_id and not (admin and request.token.is_admin):
        raise Fault(403, IDENTITY.denied.format(policy=f"identity:{policy}"))


@IDENTITY.route("GET", "/users/{user_id}/application_credentials", role=None)
def list_application_credentials(cloud: DevCloud, request: ApiRequest, user_id: str) -> dict[str, Any]:
    _allow(request, user_id, "list_application_credentials", admin=True)
    require(cloud, USERS, user_id)
    name = request.arg("name")
    rows = cloud.table(CREDENTIALS).find(user_id=user_id, **({"name": name} if name else {}))
    return listing(request, "application_credentials", (_shown(request, row) for row in rows))


@IDENTITY.route("POST", "/users/{user_id}/application_credentials", status=201, role=None)
def create_application_credential(cloud: DevCloud, request: ApiRequest, user_id: str) -> dict[str, Any]:
    _allow(request, user_id, "create_application_credential", admin=False)
    token = request.token
    if token.project_id is None:
        raise bad_request("A project-scoped token is needed.")
    want = request.member("application_credential")
    name = want.get("name")
    if not name:
        raise bad_request("'name' is a required property")
    if cloud.table(CREDENTIALS).first(user_id=user_id, name=name):
        raise conflict(
            "Conflict occurred attempting to store application_credential - "
            f"Duplicate entry found with name {name}."
        )
    held = roles_on(cloud, user_id, project=cloud.table(PROJECTS)[token.project_id])
    row = {
        "id": cloud.new_hex(),
        "name": name,
        "description": want.get("description"),
        "project_id": token.project_id,
        "user_id": user_id,
        "roles": _chosen(cloud, want.get("roles"), held),
        "expires_at": want.get("expires_at"),
        "unrestricted": bool(want.get("unrestricted")),
        "system": None,
    }
    secret = want.get("secret") or secrets.token_urlsafe(64)
    cloud.table(CREDENTIALS).add({**row, "secret_hash": _digest(secret)})
    return {"application_credential": {**_shown(request, row), "secret": secret}}


def _chosen(cloud: DevCloud, wanted: list[dict[str, str]] | None, held: list[Row]) -> list[dict[str, Any]]:
    """The roles of a credential: those asked for, which the user must have, or all of the user's."""
    chosen = held
    if wanted:
        chosen = []
        for one in wanted:
            role = next(
                (row for row in held if one.get("id") == row["id"] or one.get("name") == row["name"]), None
            )
            if role is None:
                raise bad_request("Invalid application credential: Could not find role assignment.")
            chosen.append(role)
    return [{"id": row["id"], "name": row["name"], "domain_id": row["domain_id"]} for row in chosen]


def _credential(cloud: DevCloud, user_id: str, credential_id: str) -> Row:
    row = cloud.table(CREDENTIALS).get(credential_id)
    if row is None or row["user_id"] != user_id:
        raise not_found(f"Could not find Application Credential: {credential_id}.")
    return row


@IDENTITY.route("GET", "/users/{user_id}/application_credentials/{credential_id}", role=None)
def get_application_credential(
    cloud: DevCloud, request: ApiRequest, user_id: str, credential_id: str
) -> dict[str, Any]:
    _allow(request, user_id, "get_application_credential", admin=True)
    return {"application_credential": _shown(request, _credential(cloud, user_id, credential_id))}


@IDENTITY.route("DELETE", "/users/{user_id}/application_credentials/{credential_id}", role=None)
def delete_application_credential(
    cloud: DevCloud, request: ApiRequest, user_id: str, credential_id: str
) -> None:
    _allow(request, user_id, "delete_application_credential", admin=True)
    cloud.table(CREDENTIALS).remove(_credential(cloud, user_id, credential_id)["id"])


# Trusts: listed and managed; logging in by one is not served.


@IDENTITY.route("GET", "/OS-TRUST/trusts", role=None)
def list_trusts(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    trustor, trustee = request.arg("trustor_user_id"), request.arg("trustee_user_id")
    own = request.token.user_id in (trustor, trustee)
    if not own and not request.token.is_admin:
        raise Fault(403, IDENTITY.denied.format(policy="identity:list_trusts"))
    rows = (
        row
        for row in cloud.table(TRUSTS)
        if trustor in (None, row["trustor_user_id"]) and trustee in (None, row["trustee_user_id"])
    )
    return listing(request, "trusts", (_trust(request, row) for row in rows))


def _trust(request: ApiRequest, row: Row) -> Row:
    return {**row, "links": {"self": f"{request.url}/OS-TRUST/trusts/{row['id']}"}}


@IDENTITY.route("GET", "/OS-TRUST/trusts/{trust_id}", role=None)
def get_trust(cloud: DevCloud, request: ApiRequest, trust_id: str) -> dict[str, Any]:
    row = cloud.table(TRUSTS).get(trust_id)
    if row is None:
        raise not_found(f"Could not find trust: {trust_id}.")
    if (
        request.token.user_id not in (row["trustor_user_id"], row["trustee_user_id"])
        and not request.token.is_admin
    ):
        raise Fault(403, IDENTITY.denied.format(policy="identity:get_trust"))
    return {"trust": _trust(request, row)}


@IDENTITY.route("POST", "/OS-TRUST/trusts", status=201, role=None)
def create_trust(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    want = request.member("trust")
    if want.get("trustor_user_id") != request.token.user_id:
        raise Fault(403, "You are not authorized to perform the requested action.")
    require(cloud, USERS, str(want.get("trustee_user_id")))
    wanted = [role.get("id") or role.get("name") for role in want.get("roles", [])]
    roles = [role for role in cloud.table(ROLES) if role["id"] in wanted or role["name"] in wanted]
    row = {
        "id": cloud.new_hex(),
        "trustor_user_id": want["trustor_user_id"],
        "trustee_user_id": want["trustee_user_id"],
        "project_id": want.get("project_id"),
        "impersonation": bool(want.get("impersonation")),
        "expires_at": want.get("expires_at"),
        "remaining_uses": want.get("remaining_uses"),
        "deleted_at": None,
        "roles": [{"id": role["id"], "name": role["name"]} for role in roles],
    }
    return {"trust": _trust(request, cloud.table(TRUSTS).add(row))}


@IDENTITY.route("DELETE", "/OS-TRUST/trusts/{trust_id}", role=None)
def delete_trust(cloud: DevCloud, request: ApiRequest, trust_id: str) -> None:
    row = cloud.table(TRUSTS).get(trust_id)
    if row is None:
        raise not_found(f"Could not find trust: {trust_id}.")
    if request.token.user_id != row["trustor_user_id"] and not request.token.is_admin:
        raise Fault(403, IDENTITY.denied.format(policy="identity:delete_trust"))
    cloud.table(TRUSTS).remove(trust_id)
