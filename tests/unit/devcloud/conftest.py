"""Fixtures for the embedded clouds' own tests: one cloud, an admin, and plain HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import openstack
import pytest

from pumphouse.devcloud import DevCloud


class Http:
    """Plain HTTP to a cloud, with a token when there is one."""

    def __init__(self, cloud: DevCloud, token: str | None = None) -> None:
        self.cloud = cloud
        self.token = token
        self._connection = http.client.HTTPConnection(urlsplit(cloud.url).netloc, timeout=30)

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """(status, the JSON or bytes of the body, headers)."""
        given = {"X-Auth-Token": self.token} if self.token else {}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, body=content, headers=given | (headers or {}))
            response = self._connection.getresponse()
            data = response.read()
        except (http.client.HTTPException, OSError):
            self._connection.close()
            raise
        found = {name.lower(): value for name, value in response.headers.items()}
        is_json = found.get("content-type", "").startswith("application/json")
        return response.status, json.loads(data) if data and is_json else data, found

    def login(
        self, user: str = "admin", password: str | None = None, project: str | None = "admin", **scope: Any
    ) -> Http:
        """Take a token for a project of the Default domain, or another scope."""
        default = {"id": "default"}
        who = {"user": {"name": user, "domain": default, "password": password or self.cloud.admin_password}}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": who}}
        if scope:
            auth["scope"] = scope
        elif project:
            auth["scope"] = {"project": {"name": project, "domain": default}}
        status, body, headers = self("POST", "/identity/v3/auth/tokens", {"auth": auth})
        if status != 201:
            raise PermissionError(body)
        self.token = headers["x-subject-token"]
        return self

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@pytest.fixture
def cloud(make_cloud) -> DevCloud:
    return make_cloud("devcloud", seed=7)


@pytest.fixture
def http_client(cloud) -> Iterator[Any]:
    """A factory of HTTP clients, for the cloud or ``on`` another."""
    made: list[Http] = []

    def make(token: str | None = None, *, on: DevCloud | None = None) -> Http:
        made.append(Http(on or cloud, token))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def admin(http_client) -> Http:
    return http_client().login()


@pytest.fixture
def conn(cloud, write_clouds_yaml) -> Iterator[openstack.connection.Connection]:
    """The SDK as admin, by way of clouds.yaml."""
    write_clouds_yaml(devcloud=cloud)
    connection = openstack.connect(cloud="devcloud")
    yield connection
    connection.close()


@pytest.fixture
def connect(cloud) -> Iterator[Any]:
    """The SDK as somebody else: ``connect(username=..., password=..., project_name=...)``."""
    made = []

    def make(**auth: Any) -> openstack.connection.Connection:
        domains = {"user_domain_id": "default"} | (
            {"project_domain_id": "default"} if "project_name" in auth else {}
        )
        made.append(
            openstack.connect(
                auth_url=cloud.auth_url,
                region_name=cloud.region,
                load_yaml_config=False,
                load_envvars=False,
                **domains,
                **auth,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.close()
