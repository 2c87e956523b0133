"""Health checks of moved servers, made by real requests to loopback addresses that the servers have."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pumphouse.devcloud.fill import fill

from .conftest import SHARED, admin, tenant

ADDRESS = "127.77.0.10"


def loopback(name, net, **more):
    subnet = {"name": name, "cidr": f"{net}.0/24", "enable_dhcp": False, "gateway_ip": None}
    return {"name": name, "subnets": [subnet], **more}


@pytest.fixture
def shop(cloud_pair, operator, write_override):
    """Two servers, of which web has an address that this machine answers at."""
    more = {"flavor": "small", "image": "linux"}
    servers = [
        {"name": "web", "ports": [{"network": "front", "address": ADDRESS}], **more},
        {"name": "db", "ports": [{"network": "front"}], "state": "stopped", **more},
    ]
    shop = tenant("shop", networks=[loopback("front", "127.77.0")], servers=servers)
    fill(cloud_pair.source, {**SHARED, "tenants": {"shop": shop}})
    return statuses(cloud_pair.source)


@pytest.fixture
def write_override(tmp_path):
    def write(*checks):
        (tmp_path / "override.yaml").write_text(json.dumps({"health": list(checks)}))

    return write


def statuses(cloud):
    with admin(cloud) as client:
        found = client.get("compute", "/servers/detail?all_tenants=1")["servers"]
    return {one["name"]: one["status"] for one in found}


def migrate(pumphouse):
    return pumphouse("migrate", "tenant", "shop", "--override", "override.yaml", "--yes")


@contextlib.contextmanager
def answering(status: int, address: str = ADDRESS, *, tls: bool = False, paths=None) -> Iterator[int]:
    """A web server at an address, and its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if paths is not None:
                paths.append((self.path, self.headers["Host"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            """Nothing."""

    with http.server.ThreadingHTTPServer((address, 0), Handler) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def free_port(address=ADDRESS):
    with socket.socket() as taken:
        taken.bind((address, 0))
        return taken.getsockname()[1]


def test_checks_that_pass_are_in_plan_and_report(pumphouse, cloud_pair, shop, write_override):
    asked = []
    with answering(204, paths=asked) as port:
        write_override(
            {"server": "w*", "tcp": port},
            {"server": "web", "http": f"http://{{address}}:{port}/ready?deep=1", "status": [200, 204]},
            {"server": "web", "http": f"http://{{address}}:{port}", "status": 204, "host": "shop.example"},
            {"console": "*login:"},
            {"server": "mail", "tcp": 25},
        )
        plan = pumphouse("plan", "tenant", "shop", "--override", "override.yaml")
        assert "Checked before the source is shut down:" in plan.stdout
        assert f"tcp {port}, within 300 s: web" in plan.stdout
        assert re.search(r"console \*login:, within 300 s: (db, web|web, db)\n", plan.stdout)
        assert "tcp 25, within 300 s: no server is called 'mail'" in plan.stdout
        ended = migrate(pumphouse)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert asked == [("/ready?deep=1", f"{ADDRESS}:{port}"), ("/", f"shop.example:{port}")]
    report = pumphouse("migration", "report", "last")
    assert f"healthy: tcp {port} passed after" in report.stdout
    assert "healthy: console *login: passed after" in report.stdout
    assert statuses(cloud_pair.destination) == {"web": "ACTIVE", "db": "SHUTOFF"}
    assert statuses(cloud_pair.source) == {"web": "SHUTOFF", "db": "SHUTOFF"}


def test_a_check_waits_until_the_server_answers(pumphouse, cloud_pair, shop, write_override):
    port = free_port()
    write_override({"server": "web", "tcp": port})
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def listen_once_it_is_there():
        while "web" not in statuses(cloud_pair.destination):
            time.sleep(0.05)
        time.sleep(0.5)
        listener.bind((ADDRESS, port))
        listener.listen()

    with listener:
        late = threading.Thread(target=listen_once_it_is_there)
        late.start()
        ended = migrate(pumphouse)
        late.join()
    assert ended.returncode == 0, ended


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ({"tcp": 9}, "127.77.0.10: connection refused"),
        ({"http": "http://{address}:9/"}, "127.77.0.10: connection refused"),
        ({"console": "kernel panic"}, "none of 1 lines has it"),
        ({"tcp": 9, "address": "floating"}, "it has no floating address yet"),
        ({"command": ["/bin/sh", "-c", "echo first; echo not ready >&2; exit 7"]}, "with 7: not ready"),
        ({"command": ["/bin/sleep", "600"]}, "within 1 s: there is no answer yet"),
        ({"command": ["/no/such/check"]}, "cannot be run: no such file"),
    ],
)
def test_a_check_that_fails_takes_its_server_back(pumphouse, cloud_pair, shop, write_override, check, why):
    write_override({"server": "web", "timeout": 1, **check})
    ended = migrate(pumphouse)
    assert ended.returncode == 3, ended
    *_, line = [one for one in ended.stdout.splitlines() if one.startswith("  server web: ")]
    assert why in line
    assert "the check '" in line
    assert "(server 'web' (" in line
    assert "cloud destination" in line
    assert "Its destination server is removed" in line
    assert statuses(cloud_pair.destination) == {"db": "SHUTOFF"}
    assert statuses(cloud_pair.source) == shop
    assert "unhealthy: " in pumphouse("migration", "report", "last").stdout


def test_an_answer_of_another_status_fails(pumphouse, shop, write_override):
    with answering(503) as port:
        write_override({"server": "web", "http": f"http://{{address}}:{port}/", "timeout": 0.5})
        ended = migrate(pumphouse)
    assert ended.returncode == 3
    assert "it answered 503" in ended.stdout


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9\r\n", None])
def test_what_speaks_no_http_fails(pumphouse, shop, write_override, answer):
    with socket.create_server((ADDRESS, 0)) as server:

        def speak():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    if answer is None:
                        kept.append(connection)  # says nothing at all
                        continue
                    connection.recv(1000)
                    connection.sendall(answer)
                    connection.close()

        kept: list[socket.socket] = []
        thread = threading.Thread(target=speak)
        thread.start()
        port = server.getsockname()[1]
        write_override({"server": "web", "http": f"http://{{address}}:{port}/", "timeout": 0.5})
        ended = migrate(pumphouse)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()
    assert ended.returncode == 3
    said = {b"": "closed the connection", None: "there is no answer yet"}.get(answer, "its answer is no HTTP")
    assert said in ended.stdout


def test_certificates_are_checked_unless_told_otherwise(pumphouse, shop, write_override, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=shop.example"
    words = [*make.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    with answering(200, tls=(certificate, key)) as port:
        check = {"server": "web", "http": f"https://{{address}}:{port}/", "timeout": 0.5}
        write_override(check)
        ended = migrate(pumphouse)
        assert ended.returncode == 3
        assert "certificate verify failed" in ended.stdout
        write_override(check | {"verify": False, "timeout": 30})
        assert migrate(pumphouse).returncode == 0


def test_a_command_gets_names_and_addresses_and_no_shell(
    pumphouse, cloud_pair, shop, write_override, tmp_path, monkeypatch
):
    monkeypatch.setenv("OS_PASSWORD_OF_SOMETHING", "secret")
    script = tmp_path / "check.py"
    script.write_text("import json, os, sys; json.dump([dict(os.environ), sys.argv], open('seen', 'w'))")
    words = [sys.executable, str(script), "$(touch shell)", "; touch shell", "a b"]
    write_override({"server": "web", "command": words})
    assert migrate(pumphouse).returncode == 0
    environment, arguments = json.loads((tmp_path / "seen").read_text())
    assert arguments[1:] == words[2:]
    assert not (tmp_path / "shell").exists()
    assert "OS_PASSWORD_OF_SOMETHING" not in environment
    assert environment["PATH"] == os.environ["PATH"]
    told = {name: value for name, value in environment.items() if name.startswith("PUMPHOUSE_")}
    ids = {told.pop("PUMPHOUSE_SERVER_ID"), told.pop("PUMPHOUSE_SOURCE_SERVER_ID")}
    found = set()
    for cloud in (cloud_pair.source, cloud_pair.destination):
        with admin(cloud) as client:
            found |= {
                one["id"] for one in client.get("compute", "/servers?all_tenants=1&name=web")["servers"]
            }
    assert ids == found
    assert told.pop("PUMPHOUSE_PROJECT_ID")
    assert told == {
        "PUMPHOUSE_ADDRESS": ADDRESS,
        "PUMPHOUSE_FIXED_ADDRESSES": ADDRESS,
        "PUMPHOUSE_FLOATING_ADDRESSES": "",
        "PUMPHOUSE_SERVER_NAME": "web",
        "PUMPHOUSE_CLOUD": "destination",
    }


def test_the_floating_address_is_asked_where_there_is_one(pumphouse, cloud_pair, operator, write_override):
    public = loopback("public", "127.88.0", **{"router:external": True})
    front = loopback("front", "127.77.0")
    front["subnets"][0]["gateway_ip"] = "127.77.0.1"
    ports = [{"network": "front", "address": ADDRESS}]
    shop = tenant(
        "shop",
        networks=[front],
        routers=[{"name": "out", "gateway": "public", "interfaces": ["front"]}],
        servers=[
            {"name": "web", "flavor": "small", "image": "linux", "ports": ports, "floating_ip": "public"}
        ],
    )
    fill(cloud_pair.source, {**SHARED, "networks": [public], "tenants": {"shop": shop}})
    fill(cloud_pair.destination, {"networks": [public]})
    with admin(cloud_pair.source) as client:
        (floating,) = client.get("network", "/floatingips")["floatingips"]
    with answering(200, floating["floating_ip_address"]) as web:
        write_override({"http": f"http://{{address}}:{web}/"})
        ended = migrate(pumphouse)
    assert ended.returncode == 0, ended


def test_a_migration_that_is_killed_while_it_checks_goes_on(
    process, pumphouse, cloud_pair, shop, write_override, tmp_path
):
    script = tmp_path / "check.py"
    script.write_text(
        "import os, sys, time\nopen('begun', 'a').write('x')\nif not os.path.exists('go'): time.sleep(600)\n"
    )
    write_override({"server": "web", "command": [sys.executable, str(script)]})
    words = ("migrate", "tenant", "shop", "--override", "override.yaml", "--yes", "--progress", "none")
    first = process(*words, cwd=tmp_path)
    while not (tmp_path / "begun").exists():
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    first.kill()
    first.communicate()
    assert statuses(cloud_pair.source)["web"] == "SUSPENDED"
    (tmp_path / "go").touch()
    ended = pumphouse("migration", "resume", "last")
    assert ended.returncode == 0, ended
    assert statuses(cloud_pair.destination) == shop
    assert (tmp_path / "begun").read_text() == "xx"
