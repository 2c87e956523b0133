"""Members of shared images: the owner adds, the member accepts."""

from __future__ import annotations

from typing import Any

from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import bad_request, conflict, forbidden, not_found
from pumphouse.devcloud.image import MEMBERS, get, timestamp
from pumphouse.devcloud.services import IMAGE as SERVICE
from pumphouse.devcloud.table import Row

STATUSES = ("pending", "accepted", "rejected")


def _view(row: Row) -> dict[str, Any]:
    times = {name: timestamp(row[name]) for name in ("created_at", "updated_at")}
    return {**row, **times, "schema": "/v2/schemas/member"}


@SERVICE.route("GET", "/images/{image_id}/members", policy="get_members")
def list_members(cloud: DevCloud, request: ApiRequest, image_id: str) -> dict[str, Any]:
    """All members for the owner, oneself for a member."""
    image = get(cloud, request.token, image_id)
    rows = cloud.table(MEMBERS).find(image_id=image_id)
    if not request.token.is_admin and image["owner"] != request.token.project_id:
        rows = [row for row in rows if row["member_id"] == request.token.project_id]
    return {"members": [_view(row) for row in rows], "schema": "/v2/schemas/members"}


@SERVICE.route("GET", "/images/{image_id}/members/{member_id}", policy="get_member")
def show_member(cloud: DevCloud, request: ApiRequest, image_id: str, member_id: str) -> dict[str, Any]:
    """One member."""
    return _view(_member(cloud, request, image_id, member_id))


@SERVICE.route("POST", "/images/{image_id}/members", policy="add_member")
def add_member(cloud: DevCloud, request: ApiRequest, image_id: str) -> dict[str, Any]:
    """Offer a shared image to a project."""
    member_id = request.json_object().get("member")
    if not isinstance(member_id, str) or not member_id:
        raise bad_request('Expected a member in the form: {"member": "image_id"}')
    image = _own(cloud, request, image_id)
    if image["visibility"] != "shared":
        raise forbidden("Only shared images have members.")
    if (image_id, member_id) in cloud.table(MEMBERS):
        raise conflict(f"Member {member_id} is duplicated for image {image_id}")
    return _view(offer(cloud, image_id, member_id))


def offer(cloud: DevCloud, image_id: str, member_id: str) -> Row:
    """Make a project a member that has not answered yet."""
    now = cloud.now()
    return cloud.table(MEMBERS).add(
        {
            "image_id": image_id,
            "member_id": member_id,
            "status": "pending",
            "created_at": now,
            "updated_at": now,
        }
    )


@SERVICE.route("PUT", "/images/{image_id}/members/{member_id}", policy="modify_member")
def update_member(cloud: DevCloud, request: ApiRequest, image_id: str, member_id: str) -> dict[str, Any]:
    """Accept or reject; only the member itself may (or an admin)."""
    status = request.json_object().get("status")
    if status not in STATUSES:
        raise bad_request(f"Incorrect request: Status must be one of {', '.join(STATUSES)}")
    row = _member(cloud, request, image_id, member_id)
    if not request.token.is_admin and request.token.project_id != member_id:
        raise forbidden(f"Not allowed to update members for image {image_id}.")
    row["status"], row["updated_at"] = status, cloud.now()
    return _view(row)


@SERVICE.route("DELETE", "/images/{image_id}/members/{member_id}", status=204, policy="delete_member")
def delete_member(cloud: DevCloud, request: ApiRequest, image_id: str, member_id: str) -> None:
    """Take the offer back."""
    _own(cloud, request, image_id)
    _member(cloud, request, image_id, member_id)
    cloud.table(MEMBERS).remove((image_id, member_id))


def _own(cloud: DevCloud, request: ApiRequest, image_id: str) -> Row:
    image = get(cloud, request.token, image_id)
    if not request.token.is_admin and image["owner"] != request.token.project_id:
        raise forbidden(f"Not allowed to change members for image {image_id}.")
    return image


def _member(cloud: DevCloud, request: ApiRequest, image_id: str, member_id: str) -> Row:
    image = get(cloud, request.token, image_id)
    row = cloud.table(MEMBERS).get((image_id, member_id))
    allowed = request.token.is_admin or request.token.project_id in (image["owner"], member_id)
    if row is None or not allowed:
        raise not_found(f"{member_id} not found in the member list of the image {image_id}.")
    return row
