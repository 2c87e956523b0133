"""Images: records, visibility, lists and changes; image_data has their bytes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pumphouse.devcloud import qcow2
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest, denied
from pumphouse.devcloud.errors import Fault, bad_request, conflict, forbidden, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.image_patch import Operation, operations
from pumphouse.devcloud.paging import next_query, page, sort_of
from pumphouse.devcloud.services import IMAGE as SERVICE
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.tokens import Token

IMAGES = SERVICE.table("images", indexes=("owner", "name", "status"), volatile=("direct_url",))
# Glance deletes softly: an id is never free again.
DELETED = SERVICE.table("deleted_images", hidden=True)
MEMBERS = SERVICE.table(
    "image_members",
    key=lambda row: (row["image_id"], row["member_id"]),
    indexes=("image_id", "member_id"),
    label=("image_id", "member_id"),
)

KIND = "images"
IMPORT_METHODS = ("glance-direct", "web-download", "glance-download")
STORE = "file"

_VISIBILITIES = ("public", "community", "shared", "private")
_DISK_FORMATS = (None, "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "ploop", "iso")
_CONTAINER_FORMATS = (None, "ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
_READ_ONLY = frozenset(
    (
        "created_at",
        "updated_at",
        "status",
        "checksum",
        "size",
        "virtual_size",
        "direct_url",
        "self",
        "file",
        "schema",
        "stores",
        "os_hash_algo",
        "os_hash_value",
        "locations",
    )
)
_FORGOTTEN = ("os_hash_algo", "os_hash_value")
"""Read-only ones that the real service takes without a word when an image is created, and forgets."""
_RESERVED = frozenset(("location", "deleted", "deleted_at"))
_RESERVED_PREFIX = "os_glance"
_SETTABLE = (
    "name",
    "visibility",
    "protected",
    "os_hidden",
    "min_disk",
    "min_ram",
    "disk_format",
    "container_format",
)
_SHOWN = (
    *_SETTABLE,
    "size",
    "virtual_size",
    "status",
    "checksum",
    "owner",
    "os_hash_algo",
    "os_hash_value",
    "id",
)
_TAG_LIMIT = 128
_DEFAULT_LIMIT = "25"
_PATCH_TYPE = re.compile(r"application/openstack-images-v2\.([01])-json-patch")


# Records


def new_record(cloud: DevCloud, *, owner: str, image_id: str | None = None, **values: Any) -> Row:
    """Add a queued image. `values` may set any base attribute, `tags` and `properties`."""
    now = cloud.now()
    row: Row = {
        "id": image_id or cloud.new_id(),
        "name": None,
        "owner": owner,
        "visibility": "shared",
        "status": "queued",
        "disk_format": None,
        "container_format": None,
        "min_disk": 0,
        "min_ram": 0,
        "protected": False,
        "os_hidden": False,
        "tags": [],
        "properties": {},
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        **values,
        "created_at": now,
        "updated_at": now,
    }
    return cloud.table(IMAGES).add(row)


def activate(cloud: DevCloud, row: Row, *, size: int, digests: tuple[str, str]) -> None:
    """The bytes are in place: the image becomes active with its size and hashes (MD5, SHA-512)."""
    md5, sha512 = digests
    hashes = {"checksum": md5, "os_hash_algo": "sha512", "os_hash_value": sha512}
    virtual = _virtual_size(cloud, row, size)
    touch(cloud, row, status="active", size=size, virtual_size=virtual, **hashes)
    if cloud.image_urls:
        row["direct_url"] = f"{cloud.url}/_devcloud/images/{row['id']}/data"


def is_packed(cloud: DevCloud, row: Row) -> bool:
    """Whether an image's bytes are what its record says, a qcow2 file. Other bytes are a raw disk."""
    path = cloud.files.path(KIND, row["id"])
    return row["disk_format"] == "qcow2" and path.exists() and qcow2.is_qcow2(path)


def _virtual_size(cloud: DevCloud, row: Row, size: int) -> int | None:
    """The size of the disk within, as far as Glance can tell."""
    if row["container_format"] != "bare":
        return None
    if row["disk_format"] == "raw":
        return size
    try:
        return qcow2.virtual_size(cloud.files.path(KIND, row["id"])) if is_packed(cloud, row) else None
    except ValueError:
        return None


def touch(cloud: DevCloud, row: Row, **changes: Any) -> None:
    """Change a record and its time."""
    cloud.table(IMAGES).update(row["id"], {**changes, "updated_at": cloud.now()})


def remove_record(cloud: DevCloud, row: Row) -> None:
    """Delete an image: its bytes and members go, its id stays taken."""
    cloud.table(IMAGES).remove(row["id"])
    cloud.table(DELETED).add({"id": row["id"]})
    for member in cloud.table(MEMBERS).find(image_id=row["id"]):
        cloud.table(MEMBERS).remove((row["id"], member["member_id"]))
    cloud.files.remove(KIND, row["id"])


def visible_to(cloud: DevCloud, row: Row, *, project_id: str | None, admin: bool) -> bool:
    """Whether a project may see the image when it knows its id."""
    if admin or row["owner"] == project_id or row["visibility"] in ("public", "community"):
        return True
    return row["visibility"] == "shared" and (row["id"], project_id) in cloud.table(MEMBERS)


def get(cloud: DevCloud, token: Token, image_id: str) -> Row:
    """The image that the caller names; 404 when it is not there or not visible."""
    row = cloud.table(IMAGES).get(image_id)
    if row is None or not visible_to(cloud, row, project_id=token.project_id, admin=token.is_admin):
        raise not_found(f"No image found with ID {image_id}")
    return row


def get_own(cloud: DevCloud, token: Token, image_id: str, *, policy: str = "modify_image") -> Row:
    """The same, and 403 unless the caller may change it."""
    row = get(cloud, token, image_id)
    if not token.is_admin and row["owner"] != token.project_id:
        raise denied(SERVICE, policy)
    return row


def view(row: Row) -> dict[str, Any]:
    """The image as the API shows it: custom properties stand beside the others."""
    own = f"/v2/images/{row['id']}"
    shown = {**row["properties"], **{key: row[key] for key in _SHOWN}}
    shown |= {"tags": list(row["tags"]), "self": own, "file": f"{own}/file", "schema": "/v2/schemas/image"}
    shown |= {"created_at": timestamp(row["created_at"]), "updated_at": timestamp(row["updated_at"])}
    if row["status"] in ("active", "deactivated"):
        shown["stores"] = STORE
    if "direct_url" in row:
        shown["direct_url"] = row["direct_url"]
    return shown


def timestamp(moment: datetime) -> str:
    """A time as Glance writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# Creation


@SERVICE.route("POST", "/images", policy="add_image")
def create_image(cloud: DevCloud, request: ApiRequest) -> Response:
    """A record without bytes yet."""
    body = {name: one for name, one in request.json_object().items() if name not in _FORGOTTEN}
    token = request.token
    for name in sorted(body):
        _check_writable(name)
    image_id = body.pop("id", None)
    if image_id is not None:
        _check_new_id(cloud, image_id)
    owner = body.pop("owner", None) or token.project_id or ""
    if owner != token.project_id and not token.is_admin:
        raise forbidden(f"You are not permitted to create images owned by '{owner}'.")
    values: dict[str, Any] = {name: _checked(name, body.pop(name)) for name in _SETTABLE if name in body}
    values["tags"] = _checked("tags", body.pop("tags", []))
    values["properties"] = {name: _checked_property(name, value) for name, value in body.items()}
    _check_visibility(token, values.get("visibility"))
    row = new_record(cloud, owner=owner, image_id=image_id, **values)
    headers = {
        "Location": f"{cloud.url}{SERVICE.root}/images/{row['id']}",
        "OpenStack-image-import-methods": ",".join(IMPORT_METHODS),
        "OpenStack-image-store-ids": STORE,
    }
    return Response(201, view(row), headers)


def _check_new_id(cloud: DevCloud, image_id: Any) -> None:
    try:
        uuid.UUID(image_id)
    except (ValueError, TypeError, AttributeError):
        raise bad_request(f"Invalid image id format: {image_id}") from None
    if image_id in cloud.table(IMAGES) or image_id in cloud.table(DELETED):
        raise conflict(f"Image ID {image_id} already exists!")


def _check_writable(name: str) -> None:
    if name in _READ_ONLY:
        raise forbidden(f"Attribute '{name}' is read-only.")
    if name in _RESERVED or name.startswith(_RESERVED_PREFIX):
        raise forbidden(f"Attribute '{name}' is reserved.")


def _checked(name: str, value: Any) -> Any:
    """A base attribute's value, or 400 as the image's JSON schema would have it."""
    choices = {
        "visibility": _VISIBILITIES,
        "disk_format": _DISK_FORMATS,
        "container_format": _CONTAINER_FORMATS,
        "protected": (True, False),
        "os_hidden": (True, False),
    }
    if name in choices:
        valid = value in choices[name] and (name not in ("protected", "os_hidden") or isinstance(value, bool))
    elif name in ("min_disk", "min_ram"):
        valid = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif name == "name":
        valid = value is None or (isinstance(value, str) and len(value) <= 255)
    elif name == "tags":
        valid = isinstance(value, list) and all(isinstance(tag, str) and len(tag) <= 255 for tag in value)
        value = sorted(set(value)) if valid else value
    else:
        valid = True
    if not valid:
        raise bad_request(
            f"Provided object does not match schema 'image': {value!r} is not valid for '{name}'"
        )
    return value


def _checked_property(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise bad_request(f"Provided object does not match schema 'image': {value!r} is not of type 'string'")
    if len(name) > 255:
        raise bad_request(f"Custom property should not be greater than 255 characters: {name}")
    return value


def _check_visibility(token: Token, visibility: str | None) -> None:
    if visibility == "public" and not token.is_admin:
        raise denied(SERVICE, "publicize_image")


# Reading


@SERVICE.route("GET", "/images/{image_id}", policy="get_image")
def show_image(cloud: DevCloud, request: ApiRequest, image_id: str) -> dict[str, Any]:
    """One image."""
    return view(get(cloud, request.token, image_id))


@SERVICE.route("GET", "/images", policy="get_images")
def list_images(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """A page of the images that the caller may see in lists, newest first."""
    filters = _filters(request)
    request.query.setdefault("limit", [_DEFAULT_LIMIT])
    by = next(
        ((name, filters[name][0]) for name in ("name", "owner") if len(filters.get(name, [])) == 1), None
    )
    if by is not None and by[1].startswith("in:"):
        by = None
    rows, more = page(
        request,
        cloud.table(IMAGES),
        by=by,
        where=lambda row: _lists(cloud, request.token, row, filters) and _matches(row, filters),
        sort=sort_of(request),
        no_marker=lambda marker: bad_request(f"Invalid marker. Image {marker} could not be found."),
    )
    query = request.query_string
    first = re.sub(r"(^|&)marker=[^&]*", "", query).strip("&")
    answer = {"images": [view(row) for row in rows], "schema": "/v2/schemas/images"}
    answer["first"] = "/v2/images" + (f"?{first}" if first else "")
    if more and rows:
        answer["next"] = f"/v2/images?{next_query(request, rows[-1]['id'])}"
    return answer


_CONTROL = {"limit", "marker", "sort", "sort_key", "sort_dir"}


def _filters(request: ApiRequest) -> dict[str, list[str]]:
    filters = {name: values for name, values in request.query.items() if name not in _CONTROL}
    if filters.get("visibility", ["public"])[0] not in (*_VISIBILITIES, "all"):
        raise bad_request(f"Invalid visibility value: {filters['visibility'][0]}")
    if filters.get("member_status", ["all"])[0] not in ("pending", "accepted", "rejected", "all"):
        raise bad_request(f"Invalid status: {filters['member_status'][0]}")
    return filters


def _lists(cloud: DevCloud, token: Token, row: Row, filters: Mapping[str, list[str]]) -> bool:
    """Whether a list shows the image: hidden and others' community images only when asked for."""
    hidden = filters.get("os_hidden", ["false"])[-1].lower() == "true"
    if row["os_hidden"] is not hidden:
        return False
    wanted = filters.get("visibility", [""])[-1]
    if wanted not in ("", "all") and row["visibility"] != wanted:
        return False
    if token.is_admin or row["owner"] == token.project_id or row["visibility"] == "public":
        return True
    if row["visibility"] == "community":
        return wanted in ("community", "all")
    member = cloud.table(MEMBERS).get((row["id"], token.project_id))
    status = filters.get("member_status", ["accepted"])[-1]
    return row["visibility"] == "shared" and member is not None and status in ("all", member["status"])


_IGNORED = {"visibility", "member_status", "os_hidden"}
_SIZES = {"size_min": lambda size, bound: size >= bound, "size_max": lambda size, bound: size <= bound}


def _matches(row: Row, filters: Mapping[str, list[str]]) -> bool:
    for name, values in filters.items():
        if name in _IGNORED:
            continue
        if name == "tag":
            if not set(values) <= set(row["tags"]):
                return False
        elif name in _SIZES:
            if not _SIZES[name](row["size"] or 0, int(values[-1])):
                return False
        elif not _equal(row[name] if name in row else row["properties"].get(name), values[-1]):
            return False
    return True


def _equal(value: Any, wanted: str) -> bool:
    if wanted.startswith("in:"):
        return str(value) in [word.strip('"') for word in wanted[3:].split(",")]
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    return value is not None and str(value) == wanted


# Changes


@SERVICE.route("PATCH", "/images/{image_id}", policy="modify_image")
def update_image(cloud: DevCloud, request: ApiRequest, image_id: str) -> dict[str, Any]:
    """Apply a JSON patch, all of it or nothing."""
    media = _PATCH_TYPE.match(request.headers.get("Content-Type", ""))
    if media is None:
        accepted = ", ".join(f"application/openstack-images-v2.{minor}-json-patch" for minor in (1, 0))
        raise Fault(415, "Unsupported Content-Type", headers={"Accept-Patch": accepted})
    row = get_own(cloud, request.token, image_id)
    try:
        wanted = operations(request.json())
    except ValueError as error:
        raise bad_request(str(error)) from None
    changed = {**row, "properties": dict(row["properties"]), "tags": list(row["tags"])}
    for operation in wanted:
        _check_writable(operation.name)
        _apply(request.token, changed, operation)
    _check_change(request.token, row, changed)
    touch(cloud, row, **{key: changed[key] for key in (*_SETTABLE, "owner", "tags", "properties")})
    return view(row)


def _apply(token: Token, row: Row, operation: Operation) -> None:
    name, base = operation.name, operation.name in (*_SETTABLE, "owner", "tags")
    if name == "id":
        raise forbidden("Attribute 'id' is read-only.")
    if operation.op == "remove":
        if base:
            raise forbidden(f"Property {name} may not be removed.")
        if name not in row["properties"]:
            raise conflict(f"Property {name} does not exist.")
        del row["properties"][name]
    elif base:
        if name == "owner" and not token.is_admin:
            raise forbidden("Owner can't be updated by non admin.")
        row[name] = _checked(name, operation.value)
    elif operation.op == "replace" and name not in row["properties"]:
        raise conflict(f"Property {name} does not exist.")
    else:
        row["properties"][name] = _checked_property(name, operation.value)


def _check_change(token: Token, before: Row, after: Row) -> None:
    if after["visibility"] != before["visibility"]:
        _check_visibility(token, after["visibility"])
    for name in ("disk_format", "container_format"):
        if after[name] != before[name] and before["status"] not in ("queued", "importing"):
            raise forbidden(f"Attribute {name} can be only replaced for a queued image.")


@SERVICE.route("DELETE", "/images/{image_id}", status=204, policy="delete_image")
def delete_image(cloud: DevCloud, request: ApiRequest, image_id: str) -> None:
    """Delete, unless it is protected."""
    row = get_own(cloud, request.token, image_id, policy="delete_image")
    if row["protected"]:
        raise forbidden(f"Image {image_id} is protected and cannot be deleted.")
    remove_record(cloud, row)


# Tags


@SERVICE.route("PUT", "/images/{image_id}/tags/{tag}", status=204, policy="modify_image")
def add_tag(cloud: DevCloud, request: ApiRequest, image_id: str, tag: str) -> None:
    """One tag more, of at most 128 on an image."""
    row = get_own(cloud, request.token, image_id)
    tags = sorted({*row["tags"], *_checked("tags", [tag])})
    if len(tags) > _TAG_LIMIT:
        raise Fault(413, f"The limit has been exceeded on the number of allowed image tags: {len(tags)}.")
    touch(cloud, row, tags=tags)


@SERVICE.route("DELETE", "/images/{image_id}/tags/{tag}", status=204, policy="modify_image")
def remove_tag(cloud: DevCloud, request: ApiRequest, image_id: str, tag: str) -> None:
    """One tag less."""
    row = get_own(cloud, request.token, image_id)
    if tag not in row["tags"]:
        raise not_found(f"Tag {tag} not found.")
    touch(cloud, row, tags=[other for other in row["tags"] if other != tag])


# About the service


@SERVICE.route("GET", "/info/import", policy="get_images")
def import_info(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The import methods."""
    return {
        "import-methods": {
            "description": "Import methods available.",
            "type": "array",
            "value": list(IMPORT_METHODS),
        }
    }


@SERVICE.route("GET", "/info/stores", policy="get_images")
def stores_info(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The one store."""
    return {"stores": [{"id": STORE, "description": "Files", "default": "true"}]}


@SERVICE.route("GET", "/schemas/{name}", policy="get_images")
def show_schema(cloud: DevCloud, request: ApiRequest, name: str) -> dict[str, Any]:
    """What a client may know about the shape of images and members."""
    properties: dict[str, list[str]] = {
        "image": [*_SHOWN, "tags", "created_at", "updated_at", "self", "file", "schema", "stores"],
        "member": ["member_id", "image_id", "status", "created_at", "updated_at", "schema"],
    }
    single = name.removesuffix("s")
    if single not in properties:
        raise not_found("The resource could not be found.")
    if name.endswith("s"):
        items = {"type": "array", "items": {"$ref": f"/v2/schemas/{single}"}}
        return {"name": name, "properties": {name: items}}
    shape = {key: {"type": ["null", "string", "integer", "boolean", "array"]} for key in properties[single]}
    return {"name": name, "properties": shape, "additionalProperties": {"type": "string"}}
