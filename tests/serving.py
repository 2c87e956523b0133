"""The API on the demonstration's clouds: in this process, or served by one of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from pumphouse import config
from pumphouse.api.app import create_app
from pumphouse.devcloud.client import Client
from pumphouse.devcloud.fill import fill
from pumphouse.service import Pumphouse

DESCRIPTIONS = Path(__file__).parents[1] / "etc" / "pumphouse" / "devcloud"


@pytest.fixture
def config_file(cloud_pair: Any, tmp_path: Path) -> Path:
    """A configuration for the demonstration's clouds, which are filled."""
    fill(cloud_pair.source, DESCRIPTIONS / "demo-source.yaml")
    fill(cloud_pair.destination, DESCRIPTIONS / "demo-destination.yaml")
    path = tmp_path / "pumphouse.conf"
    path.write_text(
        f"""
[store]
url = sqlite:///{tmp_path / "store" / "pumphouse.db"}
[engine]
poll_interval = 0.05
[api]
listen = 127.0.0.1:0
auth = none
[cloud:source]
keystone_database = {cloud_pair.source.keystone_database_url}
[cloud:destination]
keystone_database = {cloud_pair.destination.keystone_database_url}
"""
    )
    return path


@pytest.fixture
def people(cloud_pair: Any, config_file: Path) -> dict[str, str]:
    """Tokens of users of the source's Keystone, by their role; and a server that knows them."""
    cloud = cloud_pair.source
    with Client(cloud.url, username="admin", password=cloud.admin_password, project="admin") as admin:
        roles = {one["name"]: one["id"] for one in admin.get("identity", "/roles")["roles"]}
        project = admin.get("identity", "/projects?name=admin")["projects"][0]["id"]
        for role in ("service", "operator", "stranger"):
            if role not in roles:
                made = admin.post("identity", "/roles", {"role": {"name": role}})
                roles[role] = made["role"]["id"]
        tokens = {}
        for role in ("reader", "operator", "admin", "stranger", "service"):
            body = {"user": {"name": f"api-{role}", "password": "a-password"}}
            user = admin.post("identity", "/users", body)["user"]["id"]
            admin.put("identity", f"/projects/{project}/users/{user}/roles/{roles[role]}")
    for role in ("reader", "operator", "admin", "stranger"):
        with Client(cloud.url, username=f"api-{role}", password="a-password", project="admin") as one:
            one.get("identity", "/auth/catalog")
            tokens[role] = one._token
    text = config_file.read_text().replace("auth = none", "auth = keystone")
    config_file.write_text(
        f"""{text}
[keystone_authtoken]
auth_type = v3password
auth_url = {cloud.url}/identity/v3
www_authenticate_uri = {cloud.url}/identity/v3
username = api-service
password = a-password
user_domain_id = default
project_name = admin
project_domain_id = default
service_token_roles_required = true
"""
    )
    return tokens


@pytest.fixture
def service(config_file: Path) -> Iterator[Pumphouse]:
    with Pumphouse.open(config.load([config_file])) as opened:
        yield opened


@pytest.fixture
def client(service: Pumphouse) -> Iterator[FlaskClient]:
    """Requests to the application in this process, which does what it is asked for."""
    app = create_app(service)
    with service.runner():
        yield app.test_client()


def ended(client: FlaskClient, answer: Any) -> dict[str, Any]:
    """The operation that an answer tells of, once it has ended."""
    assert answer.status_code == 202, answer.text
    until = time.monotonic() + 150
    while (found := client.get(answer.headers["Location"]).json)["state"] not in {"DONE", "FAILED"}:
        assert time.monotonic() < until, found
        time.sleep(0.02)
    assert found["id"] == answer.json["id"]
    return dict(found)


def ask(client: FlaskClient, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
    """Ask for an operation; as it is once it is done."""
    found = ended(client, client.post(path, json=body, **options))
    assert found["state"] == "DONE", found["error"]
    return found


def make_plan(client: FlaskClient, body: Any, **options: Any) -> dict[str, Any]:
    """Have a plan made; its document."""
    id = ask(client, "/v1/plans", body, **options)["plan_id"]
    return dict(client.get(f"/v1/plans/{id}").json)


def done_over(url: str, path: str, body: Any = None) -> dict[str, Any]:
    """Ask a server for an operation; as it is once it is done."""
    answer = requests.post(f"{url}{path}", json=body, timeout=60)
    assert answer.status_code == 202, answer.text
    until = time.monotonic() + 150
    while True:
        found = requests.get(f"{url}{answer.headers['Location']}", timeout=60).json()
        if found["state"] in {"DONE", "FAILED"}:
            assert found["state"] == "DONE", found["error"]
            return dict(found)
        assert time.monotonic() < until, found
        time.sleep(0.1)


@dataclass
class Served:
    """A process that serves the API."""

    process: subprocess.Popen[str]
    url: str

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit status."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        return self.process.wait(60)


@pytest.fixture
def serve(config_file: Path) -> Iterator[Callable[..., Served]]:
    """Starts ``pumphouse api``; all that were started end with the test."""
    started: list[Served] = []

    def start(*words: str) -> Served:
        command = [sys.executable, "-m", "pumphouse", "--config-file", str(config_file), "api", *words]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert process.stdout is not None
        found = re.match(r"Serving on (\S+)", process.stdout.readline())
        served = Served(process, found[1] if found else "")
        started.append(served)
        assert found
        return served

    yield start
    for served in started:
        if served.process.poll() is None:
            os.killpg(served.process.pid, signal.SIGKILL)
        served.process.wait(30)
        if served.process.stdout is not None:
            served.process.stdout.close()


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """What a condition gives once that is true."""

    def wait(condition: Callable[[], Any], *, seconds: float = 150) -> Any:
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < until, "it took too long"
            time.sleep(0.05)
        return found

    return wait
