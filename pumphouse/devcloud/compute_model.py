"""Nova: its tables, and what all its modules need."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Fault, bad_request, not_found
from pumphouse.devcloud.services import COMPUTE
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

FLAVORS = COMPUTE.table("flavors", indexes=("name",))
# One row per (flavor_id, project_id) that may use a private flavor.
FLAVOR_ACCESS = COMPUTE.table(
    "flavor_access", indexes=("flavor_id",), key=lambda row: (row["flavor_id"], row["project_id"])
)
KEYPAIRS = COMPUTE.table("keypairs", indexes=("user_id",), key=lambda row: (row["user_id"], row["name"]))
SERVER_GROUPS = COMPUTE.table("server_groups", indexes=("project_id",))
COMPUTE_QUOTAS = COMPUTE.table("compute_quotas", key=lambda row: row["project_id"])
HOSTS = COMPUTE.table("compute_hosts", indexes=("host", "zone"), label=("host",))
SERVERS = COMPUTE.table(
    "servers",
    indexes=("project_id", "name", "host"),
    label=("name",),
    volatile=("actions", "host", "launched_at", "reservation_id", "terminated_at"),
    outlives={"image_id": "images"},
)

DISKS = "disks"
ZONE = "nova"


@COMPUTE.setup
def hosts(cloud: DevCloud) -> None:
    """Two hosts in one zone, large enough for every test."""
    for number in (1, 2):
        add_host(cloud, f"compute-{number}")


def add_host(cloud: DevCloud, host: str, *, zone: str = ZONE) -> Row:
    """Make a compute host; a new ``zone`` comes with its first host."""
    row = {
        "id": cloud.new_id(),
        "number": len(cloud.table(HOSTS)) + 1,
        "host": host,
        "zone": zone,
        "vcpus": 100_000,
        "memory_mb": 1 << 30,
        "local_gb": 1 << 24,
        "state": "up",
        "status": "enabled",
        "disabled_reason": None,
    }
    return cloud.table(HOSTS).add(row)


def isotime(moment: datetime | None) -> str | None:
    """A time as Nova writes it in most places."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def microtime(moment: datetime | None) -> str | None:
    """A time as Nova writes it in the rest."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def self_links(request: ApiRequest, collection: str, row_id: str) -> list[dict[str, str]]:
    """A resource's links."""
    path = f"{collection}/{row_id}"
    return [
        {"rel": "self", "href": f"{request.url}/{path}"},
        {"rel": "bookmark", "href": f"{request.cloud.url}/compute/{path}"},
    ]


def flag(request: ApiRequest, *names: str) -> bool:
    """Whether one of the query's parameters is a yes; 400 when it is neither yes nor no."""
    for name in names:
        value = request.arg(name)
        if value is not None:
            if value.lower() not in ("", "0", "1", "true", "false", "t", "f", "yes", "no", "on", "off"):
                raise bad_request(f"Invalid input for query parameters {name}. Value: {value}.")
            return value.lower() in ("", "1", "true", "t", "yes", "on")
    return False


def find_server(cloud: DevCloud, request: ApiRequest, server_id: str) -> Row:
    """A server that the caller may see; 404 else, as Nova does not tell about servers of others."""
    row = cloud.table(SERVERS).get(server_id)
    if row is None or (row["project_id"] != request.token.project_id and not request.token.is_admin):
        raise not_found(f"Instance {server_id} could not be found.")
    return row


def only_admin(request: ApiRequest, policy: str) -> None:
    """403, unless the caller is an admin."""
    if not request.token.is_admin:
        raise Fault(403, COMPUTE.denied.format(policy=f"os_compute_api:{policy}"))


def text(body: dict[str, Any], key: str, *, required: bool = False, longest: int = 255) -> str | None:
    """A string of a request's body; 400 when it is not one, is too long, or is missing though required."""
    value = body.get(key)
    if value is None:
        if required:
            raise bad_request(f"Invalid input for field/attribute {key}. '{key}' is a required property")
        return None
    if not isinstance(value, str) or len(value) > longest or (required and not value.strip()):
        raise bad_request(
            f"Invalid input for field/attribute {key}. Value: {value}. It is not a valid string."
        )
    return value
