"""Nova: key pairs. A key's name is its identity, together with its user's id.

Nova made keys itself up to microversion 2.91. Here a key must be given, as from 2.92: the standard library
makes none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.compute_model import KEYPAIRS, microtime, text
from pumphouse.devcloud.compute_quotas import limits_of
from pumphouse.devcloud.errors import Fault, bad_request, conflict, forbidden, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.paging import limit_of
from pumphouse.devcloud.services import COMPUTE
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

_INVALID = "Keypair data is invalid: failed to generate fingerprint"


def fingerprint(public_key: str, kind: str = "ssh") -> str:
    """What Nova shows: MD5 of an SSH key, SHA-1 of a certificate; ValueError when it is neither."""
    if kind == "x509":
        lines = [line for line in public_key.strip().splitlines() if not line.startswith("-----")]
        data, digest = base64.b64decode("".join(lines), validate=True), hashlib.sha1
    else:
        parts = public_key.split()
        if len(parts) < 2:
            raise ValueError("no SSH public key")
        data, digest = base64.b64decode(parts[1], validate=True), hashlib.md5
    if not data:
        raise ValueError("empty key")
    found = digest(data, usedforsecurity=False).hexdigest()
    return ":".join(found[place : place + 2] for place in range(0, len(found), 2))


def add_keypair(cloud: DevCloud, *, user_id: str, name: str, public_key: str, kind: str = "ssh") -> Row:
    """Import a key; 400 for one that is none, 409 for a name that the user has."""
    try:
        found = fingerprint(public_key, kind)
    except (ValueError, binascii.Error) as error:
        raise bad_request(_INVALID) from error
    if (user_id, name) in cloud.table(KEYPAIRS):
        raise conflict(f"Key pair '{name}' already exists.")
    row = {
        "number": len(cloud.table(KEYPAIRS)) + 1,
        "user_id": user_id,
        "name": name,
        "type": kind,
        "public_key": public_key,
        "fingerprint": found,
        "created_at": cloud.now(),
    }
    return cloud.table(KEYPAIRS).add(row)


def _user(request: ApiRequest, wanted: Any, policy: str) -> str:
    """Whose keys the call is about: the caller's, or from 2.10 an admin's choice."""
    own = request.token.user_id
    if not request.at_least(2, 10) or wanted in (None, "", own):
        return own
    if not request.token.is_admin:
        raise Fault(403, COMPUTE.denied.format(policy=f"os_compute_api:os-keypairs:{policy}"))
    return str(wanted)


def _view(request: ApiRequest, row: Row, *fields: str) -> Row:
    shown = {name: row[name] for name in ("name", "public_key", "fingerprint", *fields)}
    if request.at_least(2, 2):
        shown["type"] = row["type"]
    return shown


@COMPUTE.route("GET", "/os-keypairs", role=None, policy="os-keypairs:index")
def list_keypairs(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    user_id = _user(request, request.arg("user_id"), "index")
    rows = sorted(cloud.table(KEYPAIRS).find(user_id=user_id), key=lambda row: str(row["name"]))
    links = []
    if request.at_least(2, 35):
        marker, limit = request.arg("marker"), limit_of(request)
        if marker:
            if (user_id, marker) not in cloud.table(KEYPAIRS):
                raise bad_request(f"marker [{marker}] not found")
            rows = [row for row in rows if row["name"] > marker]
        if limit is not None and len(rows) > limit > 0:
            rows = rows[:limit]
            href = f"{request.url}/os-keypairs?limit={limit}&marker={rows[-1]['name']}&user_id={user_id}"
            links = [{"rel": "next", "href": href}]
    body: dict[str, Any] = {"keypairs": [{"keypair": _view(request, row)} for row in rows]}
    return {**body, "keypairs_links": links} if links else body


@COMPUTE.route("POST", "/os-keypairs", role=None, policy="os-keypairs:create")
def create_keypair(cloud: DevCloud, request: ApiRequest) -> Response:
    want = request.member("keypair")
    name = text(want, "name", required=True) or ""
    user_id = _user(request, want.get("user_id"), "create")
    public_key = text(want, "public_key", longest=65535)
    if public_key is None:
        raise bad_request("Invalid input for field/attribute keypair. 'public_key' is a required property")
    if (
        cloud.table(KEYPAIRS).count("user_id", user_id)
        >= limits_of(cloud, request.token.project_id)["key_pairs"]
        >= 0
    ):
        raise forbidden("Quota exceeded, too many key pairs.")
    kind = want.get("type", "ssh") if request.at_least(2, 2) else "ssh"
    row = add_keypair(cloud, user_id=user_id, name=name, public_key=public_key, kind=kind)
    return Response(201 if request.at_least(2, 2) else 200, {"keypair": _view(request, row, "user_id")})


def _find(cloud: DevCloud, user_id: str, name: str) -> Row:
    row = cloud.table(KEYPAIRS).get((user_id, name))
    if row is None:
        raise not_found(f"Keypair {name} not found for user {user_id}")
    return row


@COMPUTE.route("GET", "/os-keypairs/{name}", role=None, policy="os-keypairs:show")
def show_keypair(cloud: DevCloud, request: ApiRequest, name: str) -> dict[str, Any]:
    row = _find(cloud, _user(request, request.arg("user_id"), "show"), name)
    more = {
        "id": row["number"],
        "created_at": microtime(row["created_at"]),
        "deleted": False,
        "deleted_at": None,
        "updated_at": None,
    }
    return {"keypair": {**_view(request, row, "user_id"), **more}}


@COMPUTE.route("DELETE", "/os-keypairs/{name}", role=None, policy="os-keypairs:delete")
def delete_keypair(cloud: DevCloud, request: ApiRequest, name: str) -> Response:
    user_id = _user(request, request.arg("user_id"), "delete")
    _find(cloud, user_id, name)
    cloud.table(KEYPAIRS).remove((user_id, name))
    return Response(204 if request.at_least(2, 2) else 202)
