"""Hypervisors, as their cloud's compute services tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pumphouse.cloud_api import Service
from pumphouse.clouds.cloud import Cloud

SERVICES_UP_TO = "2.53"
"""Since then a service is named by an id, and says why it is disabled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A hypervisor. ``service`` is its compute service's id, ``up`` whether that answers."""

    name: str
    zone: str
    up: bool
    enabled: bool
    reason: str
    """Why it is disabled."""
    service: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Host:
        """The host of a compute service."""
        return cls(
            name=str(body["host"]),
            zone=str(body.get("zone") or ""),
            up=body["state"] == "up",
            enabled=body["status"] == "enabled",
            reason=str(body.get("disabled_reason") or ""),
            service=str(body["id"]),
        )


def list_hosts(cloud: Cloud) -> Sequence[Host]:
    """All hypervisors of a cloud by name, by one list."""
    found = cloud.list(
        Service.COMPUTE,
        "/os-services",
        "services",
        params={"binary": "nova-compute"},
        up_to=SERVICES_UP_TO,
    )
    return sorted(map(Host.of, found), key=lambda one: one.name)
