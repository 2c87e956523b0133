"""Block storage v3: what lies on a cloud's storage, and how volumes come from there and go back to it.

The storage knows a volume as ``volume-<id>``. Several clouds may be on the same storage. Each sees all that
lies there, but knows only of its own volumes that they are in use: what another one manages looks free to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pumphouse.devcloud import blobs, paging, volume_quotas
from pumphouse.devcloud.block_storage import check_metadata, view
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.services import VOLUME as SERVICE
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.volume_model import HOST, KIND, SNAPSHOTS, VOLUMES, add_row, check_unused, touch
from pumphouse.devcloud.volume_types import find_type

UNMANAGED = "unmanaged"
_PREFIX = "volume-"


def share_storage(one: DevCloud, other: DevCloud) -> None:
    """Put two clouds on the same storage."""
    one.same_storage.append(other)
    other.same_storage.append(one)


@dataclass(frozen=True)
class _Stored:
    """What lies on the storage under a name; ``id`` is that of this cloud's volume, if it is one.

    Its size is in GiB, a part of one counted whole.
    """

    name: str
    path: Path
    size: int
    id: str | None = None

    def shown(self, *, detail: bool, unsafe: str) -> dict[str, Any]:
        """As a listing has it."""
        why = (unsafe or None) if self.id is None else "already managed"
        shown = {"reference": {"source-name": self.name}, "size": self.size, "safe_to_manage": why is None}
        more = {"reason_not_safe": why, "cinder_id": self.id, "extra_info": None}
        return shown | (more if detail else {})


def _stored(cloud: DevCloud) -> Iterator[_Stored]:
    for place in (cloud, *cloud.same_storage):
        for kind, file_id, path in place.files.all():
            if kind not in {UNMANAGED, KIND}:
                continue
            try:
                size = -(-path.stat().st_size // blobs.GIB) or 1
            except FileNotFoundError:
                continue  # the other cloud, which waits for nobody, has just removed it
            if kind == UNMANAGED:
                yield _Stored(file_id, path, size)
            else:
                yield _Stored(f"{_PREFIX}{file_id}", path, size, file_id if place is cloud else None)


def _find(cloud: DevCloud, name: str) -> _Stored | None:
    """What is there for a cloud to manage under this name."""
    return next((one for one in _stored(cloud) if one.name == name and one.id is None), None)


@SERVICE.route(
    "GET", "/scheduler-stats/get_pools", role="admin", policy="scheduler_extension:scheduler_stats"
)
def list_pools(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The one there is."""
    return {"pools": [{"name": HOST}]}


def _listing(cloud: DevCloud, request: ApiRequest, *, detail: bool) -> dict[str, Any]:
    _check_host(request.arg("host"))
    driver = cloud.volume_driver
    found = sorted(_stored(cloud), key=lambda one: one.name)
    begin, size = _offset_of(request), paging.limit_of(request, maximum=driver.page)
    page = islice(found, begin, None if size is None else begin + size)
    return {"manageable-volumes": [one.shown(detail=detail, unsafe=driver.unsafe) for one in page]}


def _offset_of(request: ApiRequest) -> int:
    text = request.arg("offset") or "0"
    if not text.isdecimal():
        raise bad_request("offset param must be a number, and not negative")
    return int(text)


def _check_host(host: str | None) -> None:
    if not host:
        raise bad_request("Either 'host' or 'cluster' must be specified.")
    if host.partition("#")[0] != HOST.partition("#")[0]:
        raise not_found(f"Service {host} could not be found.")


_MANAGE = "volume_extension:volume_manage"


@SERVICE.route(
    "GET", "/manageable_volumes", role="admin", since=(3, 8), policy="volume_extension:list_manageable"
)
def list_manageable(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """What lies on the storage of a host, in few words."""
    return _listing(cloud, request, detail=False)


@SERVICE.route(
    "GET", "/manageable_volumes/detail", role="admin", since=(3, 8), policy="volume_extension:list_manageable"
)
def list_manageable_details(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The same in full."""
    return _listing(cloud, request, detail=True)


@SERVICE.route("POST", "/manageable_volumes", status=202, role="admin", since=(3, 8), policy=_MANAGE)
@SERVICE.route("POST", "/os-volume-manage", status=202, role="admin", policy=_MANAGE)
def manage(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """Begin a volume of what lies on the storage as ``ref`` says; there it is given a new name."""
    want = request.member("volume")
    for name in ("host", "ref"):
        if not want.get(name):
            raise bad_request(
                f"Invalid input for field/attribute volume. Value: {want}. '{name}' is a required property"
            )
    _check_host(want["host"])
    check_metadata(want.get("metadata"))
    kind = find_type(cloud, want.get("volume_type") or "__DEFAULT__")
    project, name = request.token.project_id or "", str(want["ref"].get("source-name", ""))
    found = _find(cloud, name)
    volume_quotas.check(cloud, project, "volumes", kind["name"], found.size if found else 0)
    row = add_row(
        cloud,
        want,
        kind,
        project_id=project,
        user_id=request.token.user_id,
        size=0,
        status="managing",
        bootable=str(want.get("bootable", False)).lower() == "true",
        image_metadata={},
    )
    cloud.later("volume", lambda: _take(cloud, row, name))
    return {"volume": view(cloud, request, row)}


def _take(cloud: DevCloud, row: Row, name: str) -> None:
    """What cannot be had leaves the volume behind, in error."""
    if row["id"] not in cloud.table(VOLUMES):
        return
    driver = cloud.volume_driver
    found = _find(cloud, name)
    if found is None or driver.unsafe or driver.breaks:
        touch(cloud, VOLUMES, row, status="error_managing")
        return
    size = found.size
    found.path.rename(cloud.files.path(KIND, row["id"]))
    blobs.extend(cloud.files.path(KIND, row["id"]), size * blobs.GIB)
    touch(cloud, VOLUMES, row, status="available", size=size)


def unmanage(cloud: DevCloud, row: Row) -> None:
    """Begin to forget a volume; what it holds stays on the storage, under its name there."""
    check_unused(row, cloud.table(SNAPSHOTS).find(volume_id=row["id"]))
    touch(cloud, VOLUMES, row, status="unmanaging")

    def end() -> None:
        path = cloud.files.path(KIND, row["id"])
        if path.exists():
            ending = "-unmanaged" if cloud.volume_driver.renames else ""
            path.rename(cloud.files.path(UNMANAGED, f"{_PREFIX}{row['id']}{ending}"))
        cloud.table(VOLUMES).remove(row["id"])

    cloud.later("delete", end)
