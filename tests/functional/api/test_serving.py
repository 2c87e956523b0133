"""``pumphouse api`` as a process: where it listens, and how it ends."""

from __future__ import annotations

import http.client
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest
import requests

from pumphouse import config
from pumphouse.api.listen import Address
from pumphouse.api.run import serve as run_api
from pumphouse.api.tls import Certificate
from pumphouse.client import Client
from pumphouse.errors import BadConfig


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(serve, number):
    served = serve()
    assert requests.get(f"{served.url}/readyz", timeout=30).json() == {"status": "ok"}
    clouds = requests.get(f"{served.url}/v1/clouds", timeout=30).json()["clouds"]
    assert [one["name"] for one in clouds] == ["destination", "source"]
    assert served.stop(number) == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{served.url}/readyz", timeout=5)


def test_it_serves_on_a_unix_socket_for_its_owner_alone(serve, tmp_path):
    path = tmp_path / "api.sock"
    served = serve("--listen", f"unix:{path}")
    assert served.url == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


@pytest.fixture
def certificate(tmp_path):
    """A certificate of its own making, and its key."""
    path, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    words = [*make.split(), "-keyout", str(key), "-out", str(path)]
    subprocess.run(words, check=True, capture_output=True)
    return path, key


@pytest.mark.parametrize("together", [False, True], ids=["two files", "one file"])
def test_it_speaks_tls_and_nothing_else(serve, certificate, config_file, tmp_path, together):
    path, key = certificate
    if together:
        path.write_text(path.read_text() + key.read_text())
    options = f"auth = token\ntoken_file = {tmp_path}/token"
    config_file.write_text(config_file.read_text().replace("auth = none", options))
    served = serve("--tls-certificate", str(path), *([] if together else ["--tls-key", str(key)]))
    assert served.url.startswith("https://127.0.0.1:")
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{served.url}/readyz", timeout=30)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http{served.url.removeprefix('https')}/readyz", timeout=30)
    token = (tmp_path / "token").read_text().strip()
    with Client(served.url, token=token, verify=str(path)) as api:
        assert [one.name for one in api.clouds()] == ["destination", "source"]
        migration = api.migrate("tenant", "lab")
        assert {event.kind for event in api.follow(migration.id)} >= {"migration_changed", "step_changed"}
    login = requests.get(
        f"{served.url}/login", params={"token": token}, verify=str(path), allow_redirects=False, timeout=30
    )
    assert (login.status_code, login.headers["Location"]) == (303, "/")
    assert "Secure" in login.headers["Set-Cookie"]
    assert served.stop() == 0


def test_what_cannot_be_used_for_tls_is_told_at_the_start(certificate, tmp_path):
    path, key = certificate
    wrong, locked = tmp_path / "wrong.pem", tmp_path / "locked.pem"
    wrong.write_text("no certificate")
    make = f"openssl rsa -aes128 -passout pass:secret -in {key} -out {locked}"
    subprocess.run(make.split(), check=True, capture_output=True)
    assert Certificate.of("", "") is None
    assert Certificate.of(str(path), str(key)) == Certificate(path=path, key=key)
    for given, why in (
        (("", str(key)), "tls_certificate is not"),
        ((str(tmp_path / "none.pem"), str(key)), "No such file"),
        ((str(wrong), str(key)), "no certificate with its key"),
        ((str(path), ""), "no certificate with its key"),
        ((str(path), str(locked)), "no certificate with its key"),
    ):
        with pytest.raises(BadConfig, match=why):
            Certificate.of(*given)


def test_a_second_one_at_the_same_place_is_refused(serve, config_file, tmp_path):
    served = serve()
    port = served.url.rpartition(":")[2]
    with pytest.raises(BadConfig, match="in use"):
        Address.parse(f"127.0.0.1:{port}").listen()
    path = tmp_path / "api.sock"
    serve("--listen", f"unix:{path}")
    with pytest.raises(BadConfig, match="another process"):
        Address.parse(f"unix:{path}").listen()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("keep me")
    with pytest.raises(BadConfig, match="no socket"):
        Address.parse(f"unix:{path}").listen()
    assert path.read_text() == "keep me"


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:80"])
def test_it_does_not_serve_strangers_without_asking_who_they_are(config_file, listen):
    config_file.write_text(config_file.read_text().replace("listen = 127.0.0.1:0", f"listen = {listen}"))
    with pytest.raises(BadConfig, match="other machines"):
        run_api(config.load([config_file]), say=print, secrets=False)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address(host="127.0.0.1", port=80)),
        ("[::1]:8775", Address(host="::1", port=8775)),
        ("localhost:0", Address(host="localhost", port=0)),
        ("unix:/run/p.sock", Address(path=Path("/run/p.sock"))),
    ],
)
def test_an_address_is_read_and_written_alike(text, address):
    assert Address.parse(text) == address
    assert str(address) == text
    assert address.local


@pytest.mark.parametrize("text", ["", "host", "host:", "host:99999", "::1:80", "unix:", "http://host:80"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(BadConfig, match="cannot listen"):
        Address.parse(text)
