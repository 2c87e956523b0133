"""The services of a cloud and the modules that give them their operations."""

from __future__ import annotations

import importlib

from pumphouse.devcloud import errors
from pumphouse.devcloud.router import Microversions, Service

IDENTITY = Service(
    "identity",
    "/identity",
    "/v3",
    errors.identity_fault,
    read_role="admin",
    write_role="admin",
    policy_prefix="identity:",
    denied="You are not authorized to perform the requested action: {policy}.",
)
COMPUTE = Service(
    "compute",
    "/compute",
    "/v2.1",
    errors.compute_fault,
    microversions=Microversions(
        service_type="compute", minimum=(2, 1), maximum=(2, 96), legacy_header="X-OpenStack-Nova-API-Version"
    ),
    policy_prefix="os_compute_api:",
)
IMAGE = Service(
    "image",
    "/image",
    "/v2",
    errors.image_fault,
    denied="You are not authorized to complete {policy} action.",
)
NETWORK = Service(
    "network",
    "/network",
    "/v2.0",
    errors.network_fault,
    denied="rule:{policy} is disallowed by policy",
)
VOLUME = Service(
    "volume",
    "/volume",
    "/v3",
    errors.compute_fault,
    microversions=Microversions(service_type="volume", minimum=(3, 0), maximum=(3, 70)),
    policy_prefix="volume:",
)
ADMIN = Service("admin", "/_devcloud", "", errors.identity_fault)

SERVICES = (IDENTITY, COMPUTE, IMAGE, NETWORK, VOLUME, ADMIN)

# Each module routes onto its service when it is first imported; a new module is a new line here.
MODULES = (
    "admin",
    "identity_model",
    "identity",
    "identity_users",
    "identity_roles",
    "identity_assignments",
    "identity_credentials",
    "identity_auth",
    "identity_catalog",
    "compute_model",
    "compute_flavors",
    "compute_keypairs",
    "compute_quotas",
    "compute_hosts",
    "compute_groups",
    "compute_servers",
    "compute_metadata",
    "compute_attach",
    "compute_actions",
    "image",
    "image_data",
    "image_members",
    "network",
    "network_pools",
    "network_subnets",
    "network_security",
    "network_ports",
    "network_routers",
    "network_floatingips",
    "network_rbac",
    "network_extras",
    "network_quotas",
    "volume_types",
    "volume_quotas",
    "volume_model",
    "block_storage",
    "block_storage_snapshots",
    "volume_storage",
    "block_storage_actions",
)


def load() -> tuple[Service, ...]:
    """Import the modules (once) and return the services with their operations."""
    for module in MODULES:
        importlib.import_module(f"pumphouse.devcloud.{module}")
    return SERVICES
