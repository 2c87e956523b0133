"""What happened in a migration, newest first, in sentences, with filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pumphouse.api.dashboard.states import MIGRATIONS, UNITS, Look
from pumphouse.events import StepProgressed, UnitChanged
from pumphouse.store.events import EventRecord, Events
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.text import duration, explain_dict

SHOWN: Final = 60
_PAGE: Final = 500
_MOST_READ: Final = 10_000
"""How far back one answer looks for what passes the filters."""
FILTERS: Final[Mapping[str, str]] = {
    "all": "everything",
    "problems": "problems",
    "ends": "beginnings and ends",
    "notes": "notes",
    "people": "who did what",
}
_STEPS: Final[Mapping[str, Look]] = {
    "RUNNING": Look("", "play", "quiet"),
    "SUCCESS": Look("done", "check", "good"),
    "FAILURE": Look("failed", "cross", "bad"),
    "REVERTING": Look("takes back", "back", "quiet"),
    "REVERTED": Look("taken back", "back", "quiet"),
    "REVERT_FAILURE": Look("could not be taken back", "warning", "bad"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event for people. ``group`` is the filter that it passes, ``about`` what it happened to."""

    seq: int
    at: datetime
    look: Look
    about: str
    text: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Lines, newest first; ``more`` is where older ones follow, None if there are none."""

    lines: Sequence[Line]
    more: int | None


def read(
    events: Events,
    migration: str,
    units: Mapping[str, str],
    *,
    group: str = "all",
    text: str = "",
    before: int | None = None,
) -> Log:
    """The newest lines that pass the filters.

    :param units: what people read for a unit's name.
    :param group: one of :data:`FILTERS`.
    :param text: only lines with this in them.
    """
    wanted, found, seen = text.casefold(), list[Line](), 0
    size = SHOWN if group == "all" and not wanted else _PAGE
    while seen < _MOST_READ:
        page = events.newest(migration, before=before, without=(StepProgressed.kind,), limit=size)
        for event in page:
            before = event.seq
            line = line_of(event, units)
            if (group == "all" or group in line.groups) and wanted in f"{line.about} {line.text}".casefold():
                found.append(line)
            if len(found) == SHOWN:
                return Log(lines=found, more=before)
        seen += len(page)
        if len(page) < size:
            return Log(lines=found, more=None)
    return Log(lines=found, more=before)


def line_of(event: EventRecord, units: Mapping[str, str]) -> Line:
    """An event as a sentence.

    :param units: what people read for a unit's name.
    """
    tell = _TELL.get(event.kind, _other)
    look, about, text, groups = tell(event.payload)
    if event.kind == UnitChanged.kind:
        about = f"unit {_plain(units.get(about, about))}"
    return Line(seq=event.seq, at=event.at, look=look, about=about, text=text, groups=frozenset(groups))


_Told = tuple[Look, str, str, set[str]]


def _error(payload: Mapping[str, Any]) -> str:
    error = payload.get("error")
    return explain_dict(error) if error else str(payload.get("reason") or "")


def _migration(payload: Mapping[str, Any]) -> _Told:
    look = MIGRATIONS[MigrationState(payload["state"])]
    bad = {"problems"} if look.tone in {"bad", "care"} else set()
    why = _error(payload)
    return look, "migration", f"{look.word}{f': {why}' if why else ''}", {"ends", *bad}


def _unit(payload: Mapping[str, Any]) -> _Told:
    look = UNITS[UnitState(payload["state"])]
    bad = {"problems"} if payload["state"] in {UnitState.FAILED, UnitState.SKIPPED} else set()
    why = _error(payload)
    return look, payload["unit"], f"{look.word}{f': {why}' if why else ''}", {"ends", *bad}


def _step(payload: Mapping[str, Any]) -> _Told:
    look = _STEPS.get(payload["state"], Look(payload["state"].lower(), "circle", "quiet"))
    about = f"{_plain(payload['resource'].partition(':')[0])} {payload['name']}"
    took = f" in {duration(payload['seconds'])}" if payload.get("seconds") else ""
    doing = payload.get("doing") or payload["step"]
    text = f"{doing}{f': {look.word}{took}' if look.word else ''}"
    why = _error(payload)
    return look, about, f"{text}. {why}" if why else text, {"problems"} if look.tone == "bad" else set()


def _note(payload: Mapping[str, Any]) -> _Told:
    return Look("note", "note", "care"), _plain(payload["resource"]), str(payload["text"]), {"notes"}


def _request(payload: Mapping[str, Any]) -> _Told:
    text = f"{payload['request']} was not possible: {_error(payload)}"
    return Look("refused", "warning", "bad"), "request", text, {"problems"}


def _operation(payload: Mapping[str, Any]) -> _Told:
    why = _error(payload)
    if why:
        return (
            Look("refused", "warning", "bad"),
            str(payload["who"]),
            f"{payload['asked']}: {why}",
            {"problems"},
        )
    return Look("person", "person", "plain"), str(payload["who"]), f"asked for {payload['asked']}", {"people"}


def _audited(payload: Mapping[str, Any]) -> _Told:
    what = payload["rule"].partition(":")[2]
    where = f" from {payload['address']}" if payload.get("address") else ""
    return Look("person", "person", "plain"), str(payload["who"]), f"asked for {what}{where}", {"people"}


def _other(payload: Mapping[str, Any]) -> _Told:
    return (
        Look("event", "circle", "quiet"),
        "",
        ", ".join(f"{key}: {one}" for key, one in payload.items()),
        set(),
    )


_TELL: Final = {
    "migration_changed": _migration,
    "unit_changed": _unit,
    "step_changed": _step,
    "noted": _note,
    "request_failed": _request,
    "audited": _audited,
    "operation_ended": _operation,
}


def _plain(name: str) -> str:
    return name.replace("_", " ")
