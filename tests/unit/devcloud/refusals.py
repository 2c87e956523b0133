"""What a cloud refuses, as tables: who asks what, the status, the words, and that nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from pumphouse.devcloud import DevCloud

from .conftest import Http

NOWHERE = "00000000-0000-4000-8000-000000000000"
NEWEST = {"compute": "compute 2.96", "volume": "volume 3.70"}
# What takes its time stays on its way for as long as the tests need.
TIMINGS = dict.fromkeys(("build", "image", "volume", "upload", "attach", "snapshot"), 0.0)


class Case(NamedTuple):
    """A request that is refused. ``{name}`` in it stands for an id of the world."""

    who: str
    request: str
    body: Any
    status: int
    told: str
    version: str = ""


class World:
    """A cloud with the projects shop and lab, to which requests are sent as its people."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.cloud = DevCloud("refusing", directory=directory, **options)
        self.cloud.start()
        self.people: dict[str, Http] = {"nobody": Http(self.cloud, "gAAAA-no-token")}
        self.ids: dict[str, str] = {"nope": NOWHERE}
        self.people["admin"] = Http(self.cloud).login()
        for project, people in {
            "shop": {"ann": "member", "rita": "reader"},
            "lab": {"bob": "member"},
        }.items():
            self.make(project, "admin", "POST /identity/v3/projects", {"project": {"name": project}})
            for name, role in people.items():
                user = {"name": name, "password": f"{name}-secret", "default_project_id": self.ids[project]}
                self.make(name, "admin", "POST /identity/v3/users", {"user": user})
                _, found, _ = self.people["admin"]("GET", f"/identity/v3/roles?name={role}")
                self.ids[role] = found["roles"][0]["id"]
                grant = f"/identity/v3/projects/{{{project}}}/users/{{{name}}}/roles/{{{role}}}"
                self.ask("admin", f"PUT {grant}")
                self.people[name] = Http(self.cloud).login(name, f"{name}-secret", project)
        self.ids["admin"] = next(row["id"] for row in self.cloud.table("projects") if row["name"] == "admin")

    def stop(self) -> None:
        """End it."""
        for person in self.people.values():
            person.close()
        self.cloud.stop()

    def ask(self, who: str, request: str, body: Any = None, *, version: str = "") -> tuple[int, Any]:
        """Send a request; the status and the body of the answer."""
        method, path = self._named(request).split(" ", 1)
        service = path.split("/")[1]
        headers = {"OpenStack-API-Version": version or NEWEST.get(service, "")}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/octet-stream"
        elif method == "PATCH" and service == "image":
            headers["Content-Type"] = "application/openstack-images-v2.1-json-patch"
        status, answer, _ = self.people[who](method, path, self._named(body), headers)
        return status, answer

    def make(self, name: str, who: str, request: str, body: Any = None) -> dict[str, Any]:
        """Make something, and keep its id under a name."""
        status, answer = self.ask(who, request, body)
        assert status < 300, answer
        found = next(iter(answer.values())) if len(answer) == 1 else answer
        found = found[0] if isinstance(found, list) else found
        self.ids[name] = found.get("id", found.get("name"))
        return dict(found)

    def wait(self, who: str, path: str, status: str) -> None:
        """Until something has a status."""
        for _ in range(500):
            found = self.ask(who, f"GET {path}")[1]
            found = next(iter(found.values())) if len(found) == 1 else found
            if found["status"] == status:
                return
        raise AssertionError(f"{path} is {found['status']}")

    def _named(self, value: Any) -> Any:
        if isinstance(value, str):
            for name, found in self.ids.items():
                value = value.replace(f"{{{name}}}", found)
            return value
        if isinstance(value, dict):
            return {self._named(key): self._named(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._named(item) for item in value]
        return value

    def check(self, case: Case) -> None:
        """The request is refused as the case says, and everything is as before."""
        before = self.cloud.state(raw=True)
        status, answer = self.ask(case.who, case.request, case.body, version=case.version)
        text = answer.decode() if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False)
        assert (status, self._named(case.told) in text) == (case.status, True), (status, text)
        assert self.cloud.state(raw=True) == before


def table(base: str, *rows: tuple[Any, ...]) -> Any:
    """Parametrises a test with cases, whose paths lie below a service's."""
    cases = [Case(row[0], row[1].replace(" ", f" {base}", 1), *row[2:]) for row in rows]
    return pytest.mark.parametrize("case", cases, ids=_ids(cases))


def _ids(cases: Iterable[Case]) -> list[str]:
    return [f"{urlsplit(case.request).path[:40]} {case.told[:40]}" for case in cases]
