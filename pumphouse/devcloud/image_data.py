"""The bytes of images: upload, download, staging, import, and filling from a file inside the cloud.

Bytes are streamed in blocks and never under the cloud's lock; the lock is taken for the changes of state
around them.
"""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pumphouse.devcloud import blobs, qcow2
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest, denied
from pumphouse.devcloud.errors import Fault, bad_request, conflict, forbidden
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.identity_catalog import catalogue
from pumphouse.devcloud.image import (
    IMAGES,
    IMPORT_METHODS,
    KIND,
    activate,
    get,
    get_own,
    is_packed,
    touch,
)
from pumphouse.devcloud.services import IMAGE as SERVICE
from pumphouse.devcloud.table import Row

STAGED = "staged"
OCTETS = "application/octet-stream"
TIMEOUT = 60
_LOOPBACK = ("127.", "localhost", "[::1]", "::1")


# Upload and download


@SERVICE.route("PUT", "/images/{image_id}/file", status=204, locked=False, policy="upload_image")
def upload(cloud: DevCloud, request: ApiRequest, image_id: str) -> None:
    """The bytes of a queued image. Anything that goes wrong on the way leaves it queued, without bytes."""
    with cloud.transaction():
        row = _begin(cloud, request, image_id, "saving")
    try:
        size, digests = blobs.receive(request.read, cloud.files.path(KIND, image_id))
    except BaseException:
        with cloud.transaction():
            _back_to_queue(cloud, row)
        raise
    hashes = digests.result()
    with cloud.transaction():
        _end(cloud, row, size, hashes)


@SERVICE.route("PUT", "/images/{image_id}/stage", status=204, locked=False, policy="upload_image")
def stage(cloud: DevCloud, request: ApiRequest, image_id: str) -> None:
    """Bytes for a later import by `glance-direct`."""
    with cloud.transaction():
        row = _begin(cloud, request, image_id, "uploading")
    try:
        _, digests = blobs.receive(request.read, cloud.files.path(STAGED, image_id))
    except BaseException:
        with cloud.transaction():
            _back_to_queue(cloud, row)
        raise
    digests.result()


def _begin(cloud: DevCloud, request: ApiRequest, image_id: str, status: str) -> Row:
    if request.headers.get("Content-Type", "").split(";")[0] != OCTETS:
        raise Fault(415, "Content-Type must be application/octet-stream")
    row = get_own(cloud, request.token, image_id, policy="upload_image")
    _check_transition(row, status)
    touch(cloud, row, status=status)
    return row


def _check_transition(row: Row, status: str) -> None:
    if row["status"] != "queued":
        raise conflict(f"Image status transition from {row['status']} to {status} is not allowed")
    missing = [name for name in ("disk_format", "container_format") if row[name] is None]
    if missing:
        word = "Properties" if len(missing) > 1 else "Property"
        raise bad_request(f"{word} {', '.join(missing)} must be set prior to saving data.")


def _end(cloud: DevCloud, row: Row, size: int, hashes: tuple[str, str]) -> None:
    if row["id"] not in cloud.table(IMAGES):
        cloud.files.remove(KIND, row["id"])
        raise Fault(
            410,
            f"Image {row['id']} could not be found after upload. The image may have been deleted during the "
            "upload, "
            "cleaning up the chunks uploaded.",
        )
    activate(cloud, row, size=size, digests=hashes)


def _back_to_queue(cloud: DevCloud, row: Row) -> None:
    """Undo a start; the image may have been deleted meanwhile."""
    for kind in (KIND, STAGED):
        cloud.files.remove(kind, row["id"])
    if row["id"] in cloud.table(IMAGES):
        touch(cloud, row, status="queued", size=None)


@SERVICE.route("GET", "/images/{image_id}/file", policy="download_image")
def download(cloud: DevCloud, request: ApiRequest, image_id: str) -> Response:
    """The bytes; 204 while there are none, 206 for a range."""
    row = get(cloud, request.token, image_id)
    if row["status"] == "deactivated" and not request.token.is_admin:
        raise forbidden("The requested image has been deactivated. Image data download is forbidden.")
    path = cloud.files.path(KIND, image_id)
    if row["status"] not in ("active", "deactivated") or not path.exists():
        return Response(204)
    headers = {"Content-Type": OCTETS, "Accept-Ranges": "bytes"}
    span = _range(request.headers.get("Range"), row["size"])
    if span is not None:
        start, end = span
        headers["Content-Range"] = f"bytes {start}-{end}/{row['size']}"
        return Response(206, blobs.send(path, start, end - start + 1), headers)
    if row["checksum"]:
        headers["Content-MD5"] = row["checksum"]
    return Response(200, path.open("rb", buffering=0), headers)


def _range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of a Range header with one range (RFC 9110); 416 when it lies outside."""
    if not header:
        return None
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not header.startswith("bytes=") or not (first + last).isdigit():
        raise bad_request(f"Invalid Range header: {header}")
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        raise Fault(
            416, f"The range {header} lies outside the image.", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end


# Import


@SERVICE.route("POST", "/images/{image_id}/import", status=202, policy="import_image")
def import_image(cloud: DevCloud, request: ApiRequest, image_id: str) -> Response:
    """Fetch the bytes in the background: staged before, from a URI, or from another image of this region."""
    method = request.json_object().get("method")
    if not isinstance(method, dict) or "name" not in method:
        raise bad_request("Import request requires a 'method' field with a 'name'.")
    row = get_own(cloud, request.token, image_id, policy="import_image")
    source = _source(cloud, request, row, method)
    touch(cloud, row, status="importing")
    row["properties"].pop("os_glance_failed_import", None)
    cloud.work.beside(lambda: _import(cloud, row, source), name=f"import-{image_id}")
    return Response(202, b"")


Source = Callable[[Path], tuple[int, blobs.Digests]]


def _source(cloud: DevCloud, request: ApiRequest, row: Row, method: dict[str, Any]) -> Source:
    """How the bytes come to a path; refuses (400, 409) what cannot begin."""
    name = method["name"]
    if name not in IMPORT_METHODS:
        raise bad_request(f"Unknown import method name '{name}'.")
    if row["status"] == "active":
        raise conflict("Image with status active cannot be target for import")
    needed = "uploading" if name == "glance-direct" else "queued"
    if row["status"] != needed:
        reason = "staged before" if name == "glance-direct" else "in 'queued' state to use"
        raise conflict(f"Image needs to be {reason} '{name}' method can be used")
    for field in ("container_format", "disk_format"):
        if row[field] is None:
            raise bad_request(f"'{field}' needs to be set before import")
    if name == "glance-direct":
        return lambda target: _copied(cloud.files.path(STAGED, row["id"]), target)
    if name == "web-download":
        uri = str(method.get("uri", ""))
        parts = urlsplit(uri)
        if parts.scheme != "http" or not (parts.hostname or "").startswith(_LOOPBACK):
            raise bad_request(f"URI for web-download does not pass filtering: {uri}")
        return lambda target: _fetched(uri, target)
    for field in ("glance_region", "glance_image_id"):
        if field not in method:
            raise bad_request(f"'{field}' needs to be set for glance-download import method")
    return _of_region(cloud, request, str(method["glance_region"]), str(method["glance_image_id"]))


def _of_region(cloud: DevCloud, request: ApiRequest, region: str, image_id: str) -> Source:
    """The bytes of an image of a region of the catalogue, read with the caller's token."""
    if region == cloud.region:
        other = get(cloud, request.token, image_id)
        return lambda target: _copied(cloud.files.path(KIND, other["id"]), target)
    for service in catalogue(cloud, request.token.project_id):
        for one in service["endpoints"] if service["type"] == "image" else ():
            if one["region_id"] == region and one["interface"] == "public":
                uri, token = f"{one['url']}/v2/images/{image_id}/file", request.token.id
                return lambda target: _fetched(uri, target, token=token)
    raise bad_request(f"The region {region} is not in the catalogue.")


def _copied(source: Path, target: Path) -> tuple[int, blobs.Digests]:
    blobs.copy(source, target)
    return target.stat().st_size, blobs.file_digests(target)


def _fetched(uri: str, target: Path, *, token: str = "") -> tuple[int, blobs.Digests]:
    # Only http to loopback comes here.
    request = urllib.request.Request(uri, headers={"X-Auth-Token": token} if token else {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT) as stream:  # noqa: S310
        return blobs.receive(stream.read, target)


def _import(cloud: DevCloud, row: Row, source: Source) -> None:
    try:
        size, digests = source(cloud.files.path(KIND, row["id"]))
        hashes = digests.result()
    except OSError as error:
        with cloud.transaction():
            _back_to_queue(cloud, row)
            row["properties"]["os_glance_failed_import"] = STAGED if "staged" in str(error) else "file"
        return
    with cloud.transaction():
        cloud.files.remove(STAGED, row["id"])
        if row["id"] in cloud.table(IMAGES):
            activate(cloud, row, size=size, digests=hashes)
        else:
            cloud.files.remove(KIND, row["id"])


def fill(cloud: DevCloud, row: Row, source: Path, done: Callable[[], None] = lambda: None) -> None:
    """Make an image of a disk as it is now, in the image's format when that is qcow2.

    Called under the lock: the bytes in use are taken at once, so that later writes to the source do not
    matter. Hashing goes on in the background; `done` is called, under the lock, at the end.
    """
    target = cloud.files.path(KIND, row["id"])
    touch(cloud, row, status="saving")
    if row["disk_format"] == "qcow2":
        qcow2.pack(source, target)
    else:
        blobs.copy(source, target)

    def work() -> None:
        size, hashes = 0, ("", "")
        with contextlib.suppress(FileNotFoundError):  # the image has been deleted meanwhile
            size = target.stat().st_size
            hashes = blobs.file_digests(target).result()
        with cloud.transaction():
            if row["id"] in cloud.table(IMAGES):
                activate(cloud, row, size=size, digests=hashes)
            done()

    cloud.work.beside(work, name=f"fill-{row['id']}")


def write_disk(cloud: DevCloud, image_id: str, target: Path) -> None:
    """Write the disk that an image holds, as a raw file; an empty one when the image is gone.

    ValueError when the image's bytes are an ill-formed qcow2 file.
    """
    source = cloud.files.path(KIND, image_id)
    row = cloud.table(IMAGES).get(image_id)
    if not source.exists():
        blobs.create(target, 0)
    elif row is not None and is_packed(cloud, row):
        qcow2.unpack(source, target)
    else:
        blobs.copy(source, target)


# Actions


@SERVICE.route("POST", "/images/{image_id}/actions/deactivate", status=204)
def deactivate(cloud: DevCloud, request: ApiRequest, image_id: str) -> None:
    """Nobody but an admin may read the bytes any more."""
    _switch(cloud, request, image_id, "deactivate", ("active", "deactivated"))


@SERVICE.route("POST", "/images/{image_id}/actions/reactivate", status=204)
def reactivate(cloud: DevCloud, request: ApiRequest, image_id: str) -> None:
    """Readable again."""
    if not request.token.is_admin:
        raise denied(SERVICE, "reactivate")
    _switch(cloud, request, image_id, "reactivate", ("deactivated", "active"))


def _switch(
    cloud: DevCloud, request: ApiRequest, image_id: str, action: str, states: tuple[str, str]
) -> None:
    row = get_own(cloud, request.token, image_id, policy=action)
    before, after = states
    if row["status"] not in states:
        raise forbidden(f"Not allowed to {action} image in status '{row['status']}'")
    if row["status"] == before:
        touch(cloud, row, status=after)


@SERVICE.route("GET", "/images/{image_id}/tasks", policy="get_image")
def list_tasks(cloud: DevCloud, request: ApiRequest, image_id: str) -> dict[str, Any]:
    """No tasks are kept."""
    get(cloud, request.token, image_id)
    return {"tasks": []}
