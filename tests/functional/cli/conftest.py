"""The command line, with a home of its own: in this process for speed, or as one of its own."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pumphouse.cli.main import main
from pumphouse.devcloud import DevCloud
from pumphouse.devcloud.client import Client

PASSWORD = "ann-secret"
Run = Callable[..., "subprocess.CompletedProcess[str]"]

# Parts of descriptions of clouds (see pumphouse.devcloud.fill).
SHARED = {
    "flavors": [{"name": "small", "ram": 256, "vcpus": 1, "disk": 1}],
    "images": [{"name": "linux", "visibility": "public", "content": {"seed": "linux", "kib": 4}}],
}


def tenant(name: str, **more: Any) -> dict[str, Any]:
    return {"users": [{"name": f"of-{name}", "password": PASSWORD, "roles": ["member"]}], **more}


def network(name: str) -> dict[str, Any]:
    return {"name": name, "subnets": [{"name": name, "cidr": "10.1.0.0/24"}]}


def server(name: str, network: str) -> dict[str, Any]:
    return {"name": name, "flavor": "small", "image": "linux", "ports": [{"network": network}]}


def admin(cloud: DevCloud) -> Client:
    return Client(cloud.url, username="admin", password=cloud.admin_password, project="admin")


@contextmanager
def pair_in(directory: Path, **options: Any) -> Iterator[tuple[DevCloud, DevCloud]]:
    """A source and a destination (with these options) for several tests, which write to neither."""
    timings = dict.fromkeys(("build", "image", "volume"), 0.0)
    with (
        DevCloud("source", directory=directory / "source", timings=timings) as source,
        DevCloud("destination", directory=directory / "destination", timings=timings, **options) as other,
    ):
        for cloud in (source, other):
            with admin(cloud) as client:
                client.get("network", "/security-groups")  # makes the project's default group
        yield source, other


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What an operator who has configured nothing has in the environment, besides what this process has."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


@pytest.fixture
def clean_environment(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        # Unbuffered output, which containers like to set, is not what an operator has.
        if name.startswith(("OS_", "CLIFF_", "PYTHONUNBUFFERED")) and name != "OS_CLIENT_CONFIG_FILE":
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Puts back what the command line did to the logging of its process."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    names = (None, "pumphouse", "keystoneauth", "openstack", "taskflow", "py.warnings")
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def pumphouse(
    clean_environment: None,
    own_logging: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs ``pumphouse`` with these words, as the console script does."""

    def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        try:
            status = main(words)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, status, out, err)

    return run


@pytest.fixture
def operator(clean_environment: None, cloud_pair: Any, tmp_path: Path) -> Path:
    """The configuration of an operator who has both Keystone databases, in the working directory."""
    path = tmp_path / "pumphouse.conf"
    path.write_text(
        f"""
[engine]
poll_interval = 0.02
[cloud:source]
keystone_database = {cloud_pair.source.keystone_database_url}
[cloud:destination]
keystone_database = {cloud_pair.destination.keystone_database_url}
"""
    )
    return path


@pytest.fixture
def process(clean_environment: None) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts ``pumphouse`` as a process of its own, which hears Ctrl-C and the end of its terminal.

    Tests that were started in the background of a shell ignore them, and what they start would inherit that.
    """
    heard = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}

    def start(*words: str, **options: object) -> subprocess.Popen[str]:
        defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-m", "pumphouse", *words], text=True, **defaults | options)

    yield start
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def make_tenant() -> Callable[..., str]:
    """Makes a project with a user, a network, an image and servers, as any client would; its id."""
    return _make_tenant


def _make_tenant(cloud: DevCloud, name: str = "shop", *, servers: int = 1, network: str = "web") -> str:
    """A project with a user, a network, an image and servers; its id."""
    with Client(cloud.url, username="admin", password=cloud.admin_password, project="admin") as admin:
        project = admin.post("identity", "/projects", {"project": {"name": name}})["project"]["id"]
        user = admin.post("identity", "/users", {"user": {"name": f"ann-{name}", "password": PASSWORD}})[
            "user"
        ]["id"]
        roles = {role["name"]: role["id"] for role in admin.get("identity", "/roles")["roles"]}
        admin.put("identity", f"/projects/{project}/users/{user}/roles/{roles['member']}")
        flavors = {one["name"]: one["id"] for one in admin.get("compute", "/flavors")["flavors"]}
        flavor = (
            flavors.get("small")
            or admin.post(
                "compute", "/flavors", {"flavor": {"name": "small", "ram": 256, "vcpus": 1, "disk": 1}}
            )["flavor"]["id"]
        )
    with Client(cloud.url, username=f"ann-{name}", password=PASSWORD, project=name) as ann:
        made: dict[str, Any] = ann.post("network", "/networks", {"network": {"name": network}})["network"]
        ann.post(
            "network",
            "/subnets",
            {"subnet": {"network_id": made["id"], "cidr": "10.1.0.0/24", "ip_version": 4, "name": "front"}},
        )
        image = ann.post(
            "image", "/images", {"name": "linux", "disk_format": "raw", "container_format": "bare"}
        )
        ann.request(
            "image",
            "PUT",
            f"/images/{image['id']}/file",
            data=b"linux" * 1000,
            headers={"Content-Type": "application/octet-stream"},
        )
        for number in range(servers):
            body = {
                "name": f"web-{number}",
                "flavorRef": flavor,
                "imageRef": image["id"],
                "networks": [{"uuid": made["id"]}],
            }
            server = ann.post("compute", "/servers", {"server": body})["server"]["id"]
            ann.wait("compute", f"/servers/{server}", lambda found: found["server"]["status"] == "ACTIVE")
    return project
