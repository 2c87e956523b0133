"""One cloud as plain HTTP sees it, and a project there in which things are made and removed again."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import openstack
from guest import boot_sector
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from .kinds import KINDS, Kind

COMPUTE, VOLUME = "2.90", "3.64"
"""The microversions that are asked with, unless a test says otherwise: both releases have them."""
VERSIONS = {"compute": f"compute {COMPUTE}", "block-storage": f"volume {VOLUME}"}


@dataclass(frozen=True)
class Answer:
    """What a cloud answered."""

    status: int
    body: Any
    headers: Mapping[str, str]


class World:
    """A cloud. Everything here is made in a project of its own and goes with it."""

    def __init__(self, name: str, *, clouds_file: Path | None = None) -> None:
        self.name = name
        files = [str(clouds_file)] if clouds_file else None
        self.admin = Connection(
            config=OpenStackConfig(config_files=files, load_envvars=clouds_file is None).get_one(name)
        )
        self._prefix = f"contract-{uuid.uuid4().hex[:6]}"
        self._numbers = itertools.count(1)
        self._made: list[tuple[Kind, str]] = []
        self._kept: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        project = self("POST", "identity", "/projects", {"project": {"name": self._prefix}})
        self.project_id = project.body["project"]["id"]
        self.session = self._within(self.admin.current_user_id, "admin")
        self.member_password = "throw-away Passw0rd"
        member = {"name": f"{self._prefix}-member", "password": self.member_password, "domain_id": "default"}
        self.member_id = self("POST", "identity", "/users", {"user": member}).body["user"]["id"]
        self.member_name = member["name"]
        self._grant(self.member_id, "member")
        self._lift_quotas()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Servers first: one that was made before a volume may hold it.
        made = sorted(self._made, key=lambda one: one[0].name == "server")
        while made:
            self.remove(*made.pop())
        self._clean_network()
        self.session = self.admin.session
        self("DELETE", "identity", f"/users/{self.member_id}")
        self("DELETE", "identity", f"/projects/{self.project_id}")
        self.admin.close()

    # -- asking

    def __call__(
        self,
        method: str,
        service: str,
        path: str,
        body: Any = None,
        *,
        version: str | None = None,
        headers: Mapping[str, str] | None = None,
        session: Any = None,
        authenticated: bool = True,
    ) -> Answer:
        """Send one request below the service's endpoint. ``version`` is of the microversion header."""
        asked = {"OpenStack-API-Version": version or VERSIONS.get(service, ""), **(headers or {})}
        content = body if isinstance(body, bytes | str) else None
        answer = (session or getattr(self, "session", None) or self.admin.session).request(
            path,
            method,
            endpoint_filter={"service_type": service, "interface": "public"},
            headers={name: value for name, value in asked.items() if value},
            json=body if content is None and body is not None else None,
            data=content,
            raise_exc=False,
            redirect=False,
            authenticated=authenticated,
            connect_retries=0,
            status_code_retries=0,
        )
        try:
            found = answer.json() if answer.content else None
        except json.JSONDecodeError:
            found = answer.content
        return Answer(answer.status_code, found, {name.lower(): one for name, one in answer.headers.items()})

    def as_member(self) -> Any:
        """A session of a user who is a member of the project and no administrator."""
        return self._login(self.member_name, self.member_password)

    # -- making

    def fresh(self) -> str:
        """A name that nothing has yet."""
        return f"{self._prefix}-{next(self._numbers)}"

    def make(self, name: str, /, **changes: Any) -> dict[str, Any]:
        """A new resource of a kind, ready for use; it goes at the end, if not before."""
        kind = KINDS[name]
        body = {**kind.body(self), **changes}
        answer = self("POST", kind.service, kind.path, kind.wrapped(body))
        assert answer.status == kind.created, (name, answer.status, answer.body)
        made = kind.unwrapped(answer.body)
        self._made.append((kind, kind.identity(made)))
        if kind.ready:
            made = self.until(name, kind.identity(made), kind.ready)
        return made

    def store_image(self, data: bytes, **changes: Any) -> dict[str, Any]:
        """A new image with these bytes."""
        image = self.make("image", **changes)
        stream = {"Content-Type": "application/octet-stream"}
        answer = self("PUT", "image", f"/v2/images/{image['id']}/file", data, headers=stream)
        assert answer.status == 204, answer
        return self.show("image", image["id"]).body

    def one(self, name: str) -> dict[str, Any]:
        """The resource of a kind that all tests share. They only look at it."""
        if name not in self._kept:
            makers = {"stored_image": lambda: self.store_image(disk())}
            self._kept[name] = makers.get(name, lambda: self.make(name))()
        return self._kept[name]

    def external_network(self) -> dict[str, Any]:
        """The cloud's external network with a subnet; one is made where it has none."""
        found = self("GET", "network", "/v2.0/networks?router:external=true").body["networks"]
        found = [one for one in found if one["subnets"]]
        if not found:
            network = self.make("network", **{"router:external": True})
            self.make("subnet", network_id=network["id"], cidr="198.18.0.0/24", enable_dhcp=False)
            return network
        return found[0]

    def show(self, name: str, identity: str) -> Answer:
        """GET of one."""
        kind = KINDS[name]
        return self("GET", kind.service, f"{kind.path}/{identity}")

    def until(self, name: str, identity: str, status: str, *, seconds: float = 90) -> dict[str, Any]:
        """The resource once it has this status."""
        kind = KINDS[name]

        def state() -> dict[str, Any] | None:
            found = kind.unwrapped(self.show(name, identity).body)
            assert found["status"].upper() != "ERROR" or status == "ERROR", found
            return found if found["status"] == status else None

        return self.wait(state, f"{name} {status}", seconds=seconds)

    def wait(self, until: Callable[[], Any], what: str, *, seconds: float = 90) -> Any:
        """What ``until`` gives once it gives anything."""
        end = time.monotonic() + seconds
        while not (found := until()):
            assert time.monotonic() < end, f"{what} did not come about in time"
            time.sleep(0.05 if self.name == "embedded" else 0.5)
        return found

    def remove(self, kind: Kind, identity: str) -> None:
        """Remove one, and wait until it is gone: what it needs can go only then."""
        for path in kind.before_removal:
            self(path[0], kind.service, path[1].format(id=identity), path[2])
        answer = self("DELETE", kind.service, f"{kind.path}/{identity}")
        self.wait(
            lambda: self.show(kind.name, identity).status == 404, f"{kind.name} gone ({answer})", seconds=30
        )

    # -- inside

    def _lift_quotas(self) -> None:
        """Let the project hold as much as all tests together make."""
        for service, path, item, names in (
            ("compute", "/os-quota-sets", "quota_set", ("instances", "cores", "ram", "server_groups")),
            ("block-storage", "/os-quota-sets", "quota_set", ("volumes", "gigabytes", "snapshots")),
            ("network", "/v2.0/quotas", "quota", ("network", "subnet", "port", "router", "security_group")),
        ):
            limits = {item: dict.fromkeys(names, -1)}
            assert self("PUT", service, f"{path}/{self.project_id}", limits).status == 200

    def _within(self, user_id: str, role: str) -> Any:
        """A session of the administrator's in the project."""
        self._grant(user_id, role)
        auth = self.admin.config.auth
        return self._login(auth["username"], auth["password"], domain=auth.get("user_domain_name", "Default"))

    def _grant(self, user_id: str, role: str) -> None:
        roles = self("GET", "identity", f"/roles?name={role}").body["roles"]
        self("PUT", "identity", f"/projects/{self.project_id}/users/{user_id}/roles/{roles[0]['id']}")

    def _login(self, user: str, password: str, *, domain: str = "Default") -> Any:
        return openstack.connect(
            auth_url=self.admin.config.auth["auth_url"],
            username=user,
            password=password,
            project_id=self.project_id,
            user_domain_name=domain,
            region_name=self.admin.config.region_name,
        ).session

    def _clean_network(self) -> None:
        """What the service itself made in the project: its default security group."""
        query = f"/v2.0/security-groups?project_id={self.project_id}"
        for group in self("GET", "network", query).body["security_groups"]:
            self("DELETE", "network", f"/v2.0/security-groups/{group['id']}")


def disk(size: int = 1 << 20) -> bytes:
    """A raw disk that boots and idles."""
    return boot_sector().ljust(size, b"\0")
