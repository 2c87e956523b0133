"""Where a tenant is made, and what its makers share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import openstack
from guest import FAR, boot_sector
from openstack.connection import Connection

WAIT = 600
PASSWORD = "old Passw0rd of {}"
COMPUTE, VOLUME = "2.90", "3.64"
"""The microversions that tenants are made with; both releases have them."""
_VERSIONS = {"compute": COMPUTE, "block_storage": VOLUME}


@dataclass(frozen=True)
class Site:
    """A cloud as its administrator sees it, and the name of a tenant there.

    ``keystone`` is the URL of its Keystone's database, if that is known.
    """

    admin: Connection
    name: str
    keystone: str | None = None

    @property
    def partner(self) -> str:
        """The name of the tenant's second project, which is below the first."""
        return f"{self.name}-partner"

    def user(self, person: str) -> str:
        """The name of one of its users."""
        return f"{self.name}-{person}"

    @cached_property
    def external(self) -> str:
        """The id of the network that leads outside."""
        networks = self.admin.network.networks(is_router_external=True)
        return next(str(one.id) for one in networks if one.subnet_ids)

    def login(self, person: str, project: str | None = None) -> Connection:
        """The cloud as one of its users sees it, by the password that the user had at first."""
        return openstack.connect(
            auth_url=self.admin.config.auth["auth_url"],
            username=self.user(person),
            password=PASSWORD.format(person),
            project_name=project or self.name,
            user_domain_name="Default",
            project_domain_name="Default",
            region_name=self.admin.config.region_name,
        )


def ask(cloud: Connection, method: str, service: str, path: str, body: Any = None, **options: Any) -> Any:
    """Send one request; the body of the answer. Raises for an error."""
    options.setdefault("microversion", _VERSIONS.get(service))
    client = getattr(cloud, service)
    answer = (
        client.request(path, method, json=body, **options)
        if body is not None
        else client.request(path, method, **options)
    )
    openstack.exceptions.raise_from_response(answer)
    return answer.json() if answer.content and "json" in answer.headers.get("Content-Type", "") else None


def make(cloud: Connection, service: str, path: str, item: str, **fields: Any) -> dict[str, Any]:
    """Create one; what the service says of it."""
    made: dict[str, Any] = ask(cloud, "POST", service, path, {item: fields})[item]
    return made


def payload(seed: str, size: int) -> bytes:
    """Bytes that compress badly, the same for a seed."""
    return hashlib.shake_256(seed.encode()).digest(size)


def disk(name: str, what: str, size: int = 8 << 20, *, boots: int | None = None) -> bytes:
    """A disk of the tenant that boots and idles, with bytes behind that nobody else has.

    With ``boots`` it is one on which the guest counts how often it was booted, after so many times.
    """
    data = boot_sector(boots) + payload(f"{name} {what}", size)
    return data.ljust(FAR, b"\0") + boot_sector(boots) if boots else data


Ids = Mapping[str, str]
"""``{name: id}``"""
