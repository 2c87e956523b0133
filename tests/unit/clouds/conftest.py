"""A service of every kind behind one port, which answers as each test scripts it."""

from __future__ import annotations

import json
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from pumphouse import config
from pumphouse.clouds import Cloud, Clouds, Settings

QUICK = Settings(
    limits=config.Clouds(
        connect_timeout=2,
        read_timeout=5,
        requests_per_second=0,
        first_wait=0.01,
        longest_wait=0.5,
        attempts=4,
    ),
    poll_interval=0.05,
)
PREFIX = {
    "identity": "/identity/v3",
    "compute": "/compute/v2.1",
    "image": "/image/v2",
    "network": "/network",
    "block-storage": "/volume/v3",
}


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What to answer. ``cut`` sends so much of the body and resets; ``drop`` resets without an answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    drop: bool = False
    read_body: bool = True


Script = Callable[[Request], Reply]


class Scripted:
    """The server. ``on`` gives the replies of a path in turn; the last one is repeated."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.tokens: list[str] = []
        self.bad_tokens: set[str] = set()
        self.services = dict(PREFIX)
        self.versions = {"compute": ("2.1", "2.93"), "block-storage": ("3.0", "3.70")}
        self._scripts: dict[tuple[str, str], list[Reply | Script]] = {}
        self._turn: dict[tuple[str, str], int] = defaultdict(int)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def on(self, method: str, path: str, *replies: Reply | Script) -> None:
        self._scripts[method, path] = list(replies)
        self._turn[method, path] = 0

    def asked(self, method: str, path: str) -> list[Request]:
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    def reply(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            key = request.method, request.path
            if key in self._scripts:
                replies = self._scripts[key]
                found = replies[min(self._turn[key], len(replies) - 1)]
                self._turn[key] += 1
            else:
                found = self._standard(request)
        if request.headers.get("x-auth-token") in self.bad_tokens:
            return Reply(401, {"error": {"code": 401, "message": "The request you have made requires auth."}})
        return found(request) if callable(found) else found

    def _standard(self, request: Request) -> Reply:
        match request.method, request.path:
            case "POST", "/identity/v3/auth/tokens":
                return self.token(request)
            case "GET", "/identity/v3":
                return Reply(body={"version": self._version("identity", "v3.14")})
            case "GET", "/compute/v2.1/" | "/compute/v2.1":
                return Reply(body={"version": self._version("compute", "v2.1")})
            case "GET", "/image/v2" | "/image" | "/image/v2/" | "/image/":
                return Reply(300, {"versions": [self._version("image", "v2.9")]})
            case "GET", "/volume/v3/" | "/volume/v3":
                return Reply(300, {"versions": [self._version("block-storage", "v3.0")]})
        return Reply(404, {"itemNotFound": {"code": 404, "message": "nothing is here"}})

    def _version(self, service: str, id: str) -> dict[str, Any]:
        oldest, newest = self.versions.get(service, ("", ""))
        href = f"{self.url}{PREFIX[service]}/"
        return {
            "id": id,
            "status": "CURRENT",
            "version": newest,
            "min_version": oldest,
            "links": [{"rel": "self", "href": href}],
        }

    def token(self, request: Request) -> Reply:
        scope = request.json["auth"].get("scope", {}).get("project", {})
        self.tokens.append(f"secret-token-{uuid.uuid4().hex}")
        return Reply(
            201,
            {
                "token": {
                    "methods": ["password"],
                    "expires_at": "2099-01-01T00:00:00.000000Z",
                    "user": {"id": "u1", "name": "admin", "domain": {"id": "default", "name": "Default"}},
                    "project": {
                        "id": scope.get("id", "p1"),
                        "name": "admin",
                        "domain": {"id": "default", "name": "Default"},
                    },
                    "roles": [{"id": "r1", "name": "admin"}],
                    "catalog": [
                        {
                            "id": f"{number:032d}",
                            "type": type,
                            "name": type,
                            "endpoints": [
                                {
                                    "id": uuid.uuid4().hex,
                                    "interface": "public",
                                    "region": "RegionOne",
                                    "region_id": "RegionOne",
                                    "url": f"{self.url}{prefix}",
                                }
                            ],
                        }
                        for number, (type, prefix) in enumerate(sorted(self.services.items()))
                    ],
                }
            },
            {"X-Subject-Token": self.tokens[-1]},
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def answer(self) -> None:
                split = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(
                    self.command,
                    split.path,
                    parse_qs(split.query),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
                self.send(scripted.reply(request))

            def send(self, reply: Reply) -> None:
                if reply.drop:
                    self.close_connection = True
                    return
                body = reply.body if isinstance(reply.body, bytes) else b""
                if reply.body is not None and not isinstance(reply.body, bytes):
                    body = json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body if reply.cut is None else body[: reply.cut])
                if reply.cut is not None:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815 - the base class

            def log_message(self, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


def entry(server: Scripted, **more: Any) -> dict[str, Any]:
    return {
        "auth": {
            "auth_url": f"{server.url}/identity/v3",
            "username": "admin",
            "password": "hush-hush",
            "project_name": "admin",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        "region_name": "RegionOne",
        **more,
    }


@pytest.fixture
def clouds_yaml(tmp_path: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("OS_CLIENT_CONFIG_FILE", "OS_CLOUD", "OS_AUTH_URL", "OS_PROJECT_NAME"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": {"here": entry(server)}}))
    return path


@pytest.fixture
def cloud(clouds_yaml: Path) -> Iterator[Cloud]:
    opened = Clouds(settings=QUICK, files=[str(clouds_yaml)]).open("here")
    yield opened
    opened.close()
