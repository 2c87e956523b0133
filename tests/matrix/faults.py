"""What can go wrong with a request, where it is tried, and what must be so afterwards.

The requests are those that an undisturbed migration of the tenant sends, by their kinds: planning, running,
ending and being taken back. A case begins at a moment just before its request, so that most cost a fraction
of a migration. Everything is looked at in the tables of the embedded clouds, by no code of pumphouse's.
"""

from __future__ import annotations

import email.utils
import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from states import differences

from pumphouse import config, errors
from pumphouse.devcloud import DevCloud
from pumphouse.devcloud.files import sha256
from pumphouse.engine.control import Control
from pumphouse.events import Event, Listener, UnitChanged
from pumphouse.model import Scope, ScopeKind
from pumphouse.service import Pumphouse
from pumphouse.store.states import MigrationState, UnitState

from .harness import TENANT, Moment, Pair, States
from .tenant import CHANGES_HANDS, DATA

SILENCE = 1.0
"""The time-out of a request that stalls, in seconds."""
TOKENS = "POST /identity/v3/auth/tokens"
_IDENTITY = {TOKENS, "GET /identity/v3"}

PLAN, RUN, END, UNDO = "plan", "run", "end", "undo"


@dataclass(frozen=True)
class Fault:
    """One way in which a request can fail: what is injected, and whether it passes."""

    name: str
    injection: Mapping[str, Any]
    passing: bool = False
    """Whether doing it again is all that it takes."""
    answers: bool = True
    """Whether there is an answer, and so a request id."""


def _status(code: int, **more: Any) -> dict[str, Any]:
    return {"action": "status", "code": code, **more}


FAULTS: Mapping[str, Fault] = {
    one.name: one
    for one in (
        *(Fault(str(code), _status(code)) for code in (400, 403, 404, 409, 413)),
        Fault("401", _status(401), passing=True),
        Fault("expired", {"action": "expire"}, passing=True),
        Fault("429-seconds", _status(429, headers={"Retry-After": "1"}), passing=True),
        Fault("429-date", _status(429, headers={"Retry-After": "DATE"}), passing=True),
        *(Fault(str(code), _status(code), passing=True) for code in (500, 502, 503)),
        Fault("drop-before", {"action": "drop"}, passing=True, answers=False),
        Fault("drop-middle", {"action": "drop", "when": "middle"}, passing=True, answers=False),
        Fault("drop-after", {"action": "drop", "when": "after"}, passing=True, answers=False),
        Fault("stall", {"action": "stall"}, passing=True, answers=False),
        Fault("half-body", {"action": "half_body"}, passing=True, answers=False),
        Fault("401-for-good", _status(401, times=0)),
        Fault("403-for-good", _status(403, times=0)),
        Fault("503-for-good", _status(503, times=0)),
        Fault("drop-after-for-good", {"action": "drop", "when": "after", "times": 0}, answers=False),
    )
}


@dataclass(frozen=True, order=True)
class Fails:
    """A kind of request that is sent to a cloud in a part of a migration, and how it fails."""

    phase: str
    cloud: str
    kind: str
    fault: str

    def __str__(self) -> str:
        kind = re.sub(r"[^\w.]+", "-", self.kind.replace("/v2.1/", "/").replace("/v3/", "/")).strip("-")
        return f"{self.phase}-{self.cloud}-{kind}-{self.fault}"

    @property
    def passing(self) -> bool:
        """Whether doing it again is all that it takes. Credentials that are refused are refused."""
        return FAULTS[self.fault].passing and not (self.fault == "401" and self.kind in _IDENTITY)

    @property
    def chosen(self) -> bool:
        """Whether it is one of those that the matrix tries: each second of what writes, each fifth else."""
        return not zlib.crc32(str(self).encode()) % (2 if self.phase in {RUN, UNDO} else 5)


SAMPLE = (
    Fails(PLAN, "destination", "GET /network/v2.0/subnets", "409"),
    Fails(RUN, "destination", "POST /compute/v2.1/servers", "drop-after"),
    Fails(RUN, "destination", "PUT /image/v2/images/{image_id}/file", "expired"),
    Fails(UNDO, "destination", "DELETE /compute/v2.1/servers/{server_id}", "403"),
    Fails(UNDO, "destination", "DELETE /network/v2.0/quotas/{project_id}", "404"),
    Fails(UNDO, "destination", "PUT /network/v2.0/routers/{router_id}/remove_router_interface", "drop-after"),
)
"""What ``make test`` tries."""


class Lab:
    """Migrates the tenant in this process, undisturbed once, and then as often as there are cases."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.moments: list[Moment] = []
        self.asked: dict[tuple[str, str, str], tuple[int, int]] = {}
        """By phase, cloud and kind: the moment right before, and how many of the kind come before it."""
        self._reference()

    @contextmanager
    def app(self, *, silence: float = 30.0) -> Iterator[Pumphouse]:
        """Pumphouse that gives up soon, on the pair's store as it is now."""
        found = config.load([self.pair.config_file])
        clouds = replace(
            found.clouds,
            requests_per_second=0,
            attempts=3,
            first_wait=0.01,
            longest_wait=0.2,
            read_timeout=silence,
        )
        engine = replace(
            found.engine, build_timeout=20, volume_timeout=20, image_timeout=20, delete_timeout=20
        )
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.pair.environment.items():
                patch.setenv(name, value)
            with Pumphouse.open(replace(found, clouds=clouds, engine=engine)) as app:
                yield app

    def plan(self, app: Pumphouse) -> str:
        """Plan and record; the migration's id."""
        scope = Scope(kind=ScopeKind.TENANT, names=(TENANT,))
        plan = app.plan(scope, source="source", destination="destination", override_file=self.pair.overrides)
        return app.start(plan, check_fresh=False).id

    # -- the undisturbed migration

    def _reference(self) -> None:
        pair = self.pair
        pair.restore(pair.begin)
        self.before = states(pair)
        self._note_moment()
        with self.app() as app:
            self.plan(app)
        self._note(PLAN)
        finished: set[str] = set()
        while True:
            self._note_moment()
            with self.app() as app:
                record = app.resume(
                    "last",
                    jobs=1,
                    listener=_until_a_unit_ends(control := Control(), finished),
                    control=control,
                )
                open_units = [one for one in app.units("last") if one.state is not UnitState.SUCCEEDED]
            if record.state is not MigrationState.PAUSED:
                break
            self._note(RUN)
        assert record.state is MigrationState.SUCCEEDED, record.reason
        assert not open_units
        self._note(END)
        self.migrated = states(pair)
        self._note_moment()
        with self.app() as app:
            assert app.rollback("last", jobs=1).state is MigrationState.ROLLED_BACK
        self._note(UNDO)
        assert states(pair) == self.before

    def _note_moment(self) -> None:
        self.moments.append(self.pair.save())
        for cloud in self.pair.clouds:
            cloud.counts.reset()

    def _note(self, phase: str) -> None:
        for cloud in self.pair.clouds:
            for kind, count in cloud.counts.requests.items():
                place, moment = (phase, cloud.name, kind), len(self.moments) - 1
                # The first token is taken before anything else; a later one is in the middle.
                if place not in self.asked or (kind == TOKENS and count > 1):
                    self.asked[place] = (moment, count - 1 if kind == TOKENS else 0)

    def cases(self) -> list[Fails]:
        """All cases."""
        found = (Fails(*place, fault) for place in self.asked for fault in FAULTS)
        return sorted(case for case in found if case.chosen)

    # -- one case

    def run(self, case: Fails) -> list[str]:
        """Let the request fail, and let it go on. What is wrong, a line each."""
        place = (case.phase, case.cloud, case.kind)
        if place not in self.asked:
            pytest.skip("a wait that another undisturbed migration had, and this one had not")
        moment, earlier = self.asked[place]
        self.pair.restore(self.moments[moment])
        fault = FAULTS[case.fault]
        faults = self.pair.cloud(case.cloud).faults
        injection = faults.add(kind=case.kind, after=earlier, **_now(fault.injection))
        check = _Checks(self, case)
        with self.app(silence=SILENCE if case.fault == "stall" else 30.0) as app:
            {PLAN: check.planned, UNDO: check.undone}.get(case.phase, check.migrated)(app)
        if injection.hits or check.wrong:
            return check.wrong
        if case.kind.startswith("GET "):
            pytest.skip("a look that the undisturbed migration had to take, and this one had not")
        return ["the request was not sent"]


def _now(injection: Mapping[str, Any]) -> dict[str, Any]:
    """The injection with a date for DATE."""
    headers = dict(injection.get("headers", {}))
    if headers.get("Retry-After") == "DATE":
        until = datetime.now(UTC) + timedelta(seconds=2)
        headers["Retry-After"] = email.utils.format_datetime(until, usegmt=True)
    return {**injection, **({"headers": headers} if headers else {})}


def _until_a_unit_ends(control: Control, finished: set[str]) -> Listener:
    """Pauses whenever one more unit has ended."""

    def listener(event: Event) -> None:
        if (
            isinstance(event, UnitChanged)
            and event.state == UnitState.SUCCEEDED
            and event.unit not in finished
        ):
            finished.add(event.unit)
            control.pause()

    return listener


class _Checks:
    """One case's run, and what is wrong with it."""

    def __init__(self, lab: Lab, case: Fails) -> None:
        self.lab, self.case = lab, case
        self.pair = lab.pair
        self.begin = states(self.pair)
        self.wrong: list[str] = []

    def clear(self) -> None:
        for cloud in self.pair.clouds:
            cloud.faults.clear()

    def error(self, told: Mapping[str, Any] | None, what: str, *, resource: bool = True) -> None:
        told = told or {}
        if resource and not told.get("resource"):
            self.wrong.append(f"{what} names no resource: {told}")
        if told.get("cloud") not in {"source", "destination"}:
            self.wrong.append(f"{what} names no cloud: {told}")
        if not told.get("next_step"):
            self.wrong.append(f"{what} names no next step: {told}")
        if FAULTS[self.case.fault].answers and told.get("status") and not told.get("request_id"):
            self.wrong.append(f"{what} names no request: {told}")

    # -- planning

    def planned(self, app: Pumphouse) -> None:
        try:
            self.lab.plan(app)
        except errors.PumphouseError as error:
            if self.case.passing:
                self.wrong.append(f"planning does not get over it: {error}")
            if error.exit_status not in {1, 2}:
                self.wrong.append(f"exit status {error.exit_status}")
            if "\n" in str(error):
                self.wrong.append(f"more than a line: {error}")
            self.error(error.to_dict(), "the error", resource=False)
        except Exception as error:  # noqa: BLE001
            self.wrong.append(f"not an error of ours: {error!r}")
        if any(cloud.counts.writes for cloud in self.pair.clouds):
            self.wrong.append("planning has written something")

    # -- running

    def migrated(self, app: Pumphouse) -> None:
        try:
            record = app.resume("last", jobs=2)
        except errors.PumphouseError as error:
            if self.case.passing:
                self.wrong.append(f"the run does not get over it: {error}")
            self.error(error.to_dict(), "the error", resource=False)
            self.clear()
            record = app.migration("last")
            self.invariants(app, [])
            record = app.resume("last", jobs=2)
            if record.state is not MigrationState.SUCCEEDED:
                self.wrong.append(f"resumed, it is {record.state}: {record.reason}")
            self.same(self.lab.migrated, "resumed")
            return
        if record.state is MigrationState.SUCCEEDED:
            self.clear()
            self.same(self.lab.migrated, "it succeeded")
            return
        if self.case.passing:
            self.wrong.append(f"the run does not get over it: {record.state} {record.reason}")
        if record.state not in {MigrationState.PARTIAL, MigrationState.FAILED}:
            self.wrong.append(f"it is {record.state}")
        failed = [one for one in app.units("last") if one.state is UnitState.FAILED]
        for unit in failed:
            self.error(unit.error, f"the error of {unit.name}")
        if not record.reason:
            self.wrong.append("it gives no reason")
        left = "could not be taken back" in record.reason
        self.clear()
        self.invariants(app, failed, left=left)
        if len(str(self.case)) % 2:
            self.retried(app)
        else:
            self.rolled_back(app)

    def retried(self, app: Pumphouse) -> None:
        try:
            record = app.retry("last", jobs=2)
        except errors.PumphouseError as error:
            self.wrong.append(f"retry: {error}")
            return
        if record.state is not MigrationState.SUCCEEDED:
            self.wrong.append(f"retried, it is {record.state}: {record.reason}")
        self.same(self.lab.migrated, "retried")

    def rolled_back(self, app: Pumphouse) -> None:
        record = app.rollback("last", jobs=2)
        if record.state is not MigrationState.ROLLED_BACK:
            self.wrong.append(f"rolled back, it is {record.state}: {record.reason}")
        self.same(self.lab.before, "rolled back")

    # -- taking back

    def undone(self, app: Pumphouse) -> None:
        try:
            record = app.rollback("last", jobs=2)
        except errors.PumphouseError as error:
            if self.case.passing:
                self.wrong.append(f"the roll-back does not get over it: {error}")
            self.error(error.to_dict(), "the error", resource=False)
        else:
            if record.state is MigrationState.ROLLED_BACK:
                self.clear()
                self.same(self.lab.before, "rolled back")
                return
            if self.case.passing:
                self.wrong.append(f"the roll-back does not get over it: {record.state} {record.reason}")
            if record.state is not MigrationState.ROLLBACK_INCOMPLETE:
                self.wrong.append(f"it is {record.state}")
            if not re.match(r"\d+ could not be taken back: .+", record.reason):
                self.wrong.append(f"it does not say what is left: {record.reason}")
        self.clear()
        self.invariants(app, [], left=True)
        self.rolled_back(app)

    # -- what must be so

    def same(self, expected: States, when: str) -> None:
        found = differences(expected, states(self.pair))
        self.wrong += [f"{when}: {line[:2000]}" for line in found[:6]]

    def invariants(self, app: Pumphouse, failed: list[Any], *, left: bool = False) -> None:
        """Of the clouds as they are after the failure."""
        self.wrong += wrong_bytes(self.pair)
        found = states(self.pair)
        before, after = self.lab.before, self.lab.migrated
        for cloud in ("source", "destination"):
            # What a paused migration holds, it may still hold: the roles that its operator was granted.
            known = _labels(before[cloud]) | _labels(after[cloud]) | _labels(self.begin[cloud])
            extra = _labels(found[cloud]) - known
            for label, count in sorted(extra.items()):
                if not left:
                    self.wrong.append(f"{cloud} has {count} more of {label}")
        servers = {one["name"]: one for one in found["destination"]["tables"].get("servers", [])}
        for state_name, here in _servers(found["source"]).items():
            was, will = _servers(before["source"])[state_name], _servers(after["source"])[state_name]
            if here != was and not (here == will and state_name in servers) and not left:
                self.wrong.append(f"the source's server {state_name} is not as it was: {_changed(was, here)}")
        # Whoever has it, its bytes are looked at; that both have it, or nobody, is wrong.
        handed = CHANGES_HANDS in {one["name"] for one in found["destination"]["tables"].get("volumes", [])}
        for name, rows in found["source"]["tables"].items():
            was = before["source"]["tables"].get(name)
            if name == "volumes" and handed:
                was = [one for one in was or () if one["name"] != CHANGES_HANDS]
            if name != "servers" and rows != was and not left:
                self.wrong.append(f"the source's {name} are not as they were")


def _changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    return {name: (was.get(name), now.get(name)) for name in {*was, *now} if was.get(name) != now.get(name)}


def states(pair: Pair) -> States:
    """What the clouds hold. Of what is made again under another id, markers that name it are left out."""
    found = pair.states()
    for state in found.values():
        for image in state["tables"].get("images", ()):
            image["properties"].pop("pumphouse_source", None)
    for volume in found["destination"]["tables"].get("volumes", ()):
        if volume["name"] == CHANGES_HANDS:
            volume["metadata"].pop("pumphouse_source", None)
    return found


def _servers(state: Mapping[str, Any]) -> dict[str, Any]:
    return {one["name"]: one for one in state["tables"]["servers"]}


def _labels(state: Mapping[str, Any]) -> Counter[str]:
    """How many of each name there are, by table."""
    counts: Counter[str] = Counter()
    for name, rows in state["tables"].items():
        for row in rows:
            counts[f"{name} {row.get('name') or json.dumps(row, sort_keys=True)[:300]}"] += 1
    return counts


def wrong_bytes(pair: Pair) -> list[str]:
    """Images that are active, and volumes that are available, whose bytes are not those of the source's."""
    source, destination = pair.clouds
    wrong = []
    for image in destination.table("images"):
        told = image["properties"].get("pumphouse_source")
        if (
            image["status"] == "active"
            and told
            and _data(destination, "images", image["id"]) != _data(source, "images", told)
        ):
            wrong.append(f"image {image['name']} is active with other bytes")
    for volume in destination.table("volumes"):
        told = volume["metadata"].get("pumphouse_source")
        there = volume["status"] in {"available", "in-use"} and told
        # The source no longer has what has changed hands.
        gone = volume["name"] == CHANGES_HANDS
        wanted = hashlib.sha256(DATA[CHANGES_HANDS]).hexdigest() if gone else _data(source, "volumes", told)
        if there and _data(destination, "volumes", volume["id"]) != wanted:
            wrong.append(f"volume {volume['name']} is {volume['status']} with other bytes")
    return wrong


def _data(cloud: DevCloud, kind: str, identity: str) -> str:
    """The digest of the bytes; "" for none."""
    path = cloud.files.path(kind, identity)
    return sha256(path) if path.exists() else ""
