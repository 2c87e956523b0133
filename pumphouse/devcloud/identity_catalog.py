"""Keystone v3.

Regions, services, endpoints (read-only) and the catalogue; what a new cloud has from the start.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from pumphouse.devcloud import services
from pumphouse.devcloud.identity_model import (
    DEFAULT_DOMAIN,
    DOMAINS,
    add_project,
    add_users,
    filtered,
    listing,
    require,
    view,
)
from pumphouse.devcloud.identity_roles import IMPLIED, add_assignment, add_role
from pumphouse.devcloud.services import IDENTITY
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

REGIONS = IDENTITY.table("regions", label=("id",))
SERVICES = IDENTITY.table("services", indexes=("name", "type"))
ENDPOINTS = IDENTITY.table("endpoints", indexes=("service_id",), label=("interface", "path"))

# (type, name, path below the cloud's URL)
_CATALOGUE = (
    ("identity", "keystone", services.IDENTITY.root),
    ("compute", "nova", services.COMPUTE.root),
    ("image", "glance", services.IMAGE.mount),
    ("network", "neutron", services.NETWORK.mount),
    ("volumev3", "cinderv3", f"{services.VOLUME.root}/$(project_id)s"),
    ("block-storage", "cinder", f"{services.VOLUME.root}/$(project_id)s"),
)
_INTERFACES = ("public", "internal", "admin")
# Each implies the next.
_ROLES = ("admin", "manager", "member", "reader")


@IDENTITY.setup
def bootstrap(cloud: DevCloud) -> None:
    """The Default domain.

    The usual roles, the admin and the catalogue, as ``keystone-manage bootstrap`` makes them.
    """
    cloud.table(DOMAINS).add(
        {
            "id": DEFAULT_DOMAIN,
            "name": "Default",
            "description": "The default domain",
            "enabled": True,
            "tags": [],
            "options": {},
        }
    )
    immutable = {"immutable": True}
    roles = {
        name: add_role(cloud, {"name": name, "options": immutable})["id"] for name in (*_ROLES, "service")
    }
    for prior, implied in itertools.pairwise(_ROLES):
        cloud.table(IMPLIED).add({"prior_role_id": roles[prior], "implied_role_id": roles[implied]})
    admin = add_project(cloud, {"name": "admin", "description": "The operators' project"})
    add_project(cloud, {"name": "service", "description": "The services' own project"})
    user = add_users(
        cloud, [{"name": "admin", "password": cloud.admin_password, "default_project_id": admin["id"]}]
    )[0]
    for target, target_id in (("project", admin["id"]), ("domain", DEFAULT_DOMAIN), ("system", "all")):
        add_assignment(
            cloud,
            {
                "actor": "user",
                "actor_id": user["id"],
                "target": target,
                "target_id": target_id,
                "role_id": roles["admin"],
                "inherited": False,
            },
        )
    _register(cloud)


def _register(cloud: DevCloud) -> None:
    cloud.table(REGIONS).add({"id": cloud.region, "description": "", "parent_region_id": None})
    for kind, name, path in _CATALOGUE:
        row = {"id": cloud.new_hex(), "type": kind, "name": name, "enabled": True, "description": ""}
        cloud.table(SERVICES).add(row)
        for interface in _INTERFACES:
            cloud.table(ENDPOINTS).add(
                {
                    "id": cloud.new_hex(),
                    "service_id": row["id"],
                    "interface": interface,
                    "region": cloud.region,
                    "region_id": cloud.region,
                    "path": path,
                    "enabled": True,
                }
            )


def add_region(cloud: DevCloud, other: DevCloud) -> None:
    """Make another cloud a region of this one's Keystone, as far as images go.

    Its image service is in this catalogue, under its own region's name, and takes this Keystone's tokens.
    """
    cloud.table(REGIONS).add({"id": other.region, "description": "", "parent_region_id": None})
    service = next(row for row in cloud.table(SERVICES) if row["type"] == "image")
    for interface in _INTERFACES:
        cloud.table(ENDPOINTS).add(
            {
                "id": cloud.new_hex(),
                "service_id": service["id"],
                "interface": interface,
                "region": other.region,
                "region_id": other.region,
                "path": other.url + services.IMAGE.mount,
                "enabled": True,
            }
        )
    other.tokens.accept(cloud.tokens)


def catalogue(cloud: DevCloud, project_id: str | None) -> list[dict[str, Any]]:
    """The services with their endpoints; those that need a project's id are left out without one."""
    found = []
    for row in cloud.table(SERVICES):
        endpoints = [
            {
                "id": one["id"],
                "interface": one["interface"],
                "region": one["region"],
                "region_id": one["region_id"],
                "url": urljoin(cloud.url, one["path"].replace("$(project_id)s", project_id or "")),
            }
            for one in cloud.table(ENDPOINTS).find(service_id=row["id"])
            if project_id or "$(project_id)s" not in one["path"]
        ]
        found.append({"id": row["id"], "type": row["type"], "name": row["name"], "endpoints": endpoints})
    return found


@IDENTITY.route("GET", "/regions", role=None)
def list_regions(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows = filtered(cloud, request, REGIONS, ("parent_region_id",))
    return listing(request, "regions", (view(request, "regions", row) for row in rows))


@IDENTITY.route("GET", "/regions/{region_id}", role=None)
def get_region(cloud: DevCloud, request: ApiRequest, region_id: str) -> dict[str, Any]:
    return {"region": view(request, "regions", require(cloud, REGIONS, region_id))}


@IDENTITY.route("GET", "/services")
def list_services(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows = filtered(cloud, request, SERVICES, ("type", "name"))
    return listing(request, "services", (view(request, "services", row) for row in rows))


@IDENTITY.route("GET", "/services/{service_id}")
def get_service(cloud: DevCloud, request: ApiRequest, service_id: str) -> dict[str, Any]:
    return {"service": view(request, "services", require(cloud, SERVICES, service_id))}


@IDENTITY.route("GET", "/endpoints")
def list_endpoints(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows = filtered(cloud, request, ENDPOINTS, ("interface", "service_id", "region_id"))
    return listing(request, "endpoints", (_endpoint(request, row) for row in rows))


@IDENTITY.route("GET", "/endpoints/{endpoint_id}")
def get_endpoint(cloud: DevCloud, request: ApiRequest, endpoint_id: str) -> dict[str, Any]:
    return {"endpoint": _endpoint(request, require(cloud, ENDPOINTS, endpoint_id))}


def _endpoint(request: ApiRequest, row: Row) -> Row:
    shown = view(request, "endpoints", row)
    return {**shown, "url": request.cloud.url + shown.pop("path")}
