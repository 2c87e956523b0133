"""Waves: all of them, one live with its groups, and new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from pumphouse import errors, yamlfile
from pumphouse.api.auth import allow, allowed, user
from pumphouse.api.dashboard import kept
from pumphouse.api.dashboard.clouds import SIDES
from pumphouse.api.dashboard.migration import situation
from pumphouse.api.dashboard.operations import TITLES, noteworthy
from pumphouse.api.dashboard.pages import blueprint, page
from pumphouse.api.dashboard.situation import Situation
from pumphouse.api.paging import cut
from pumphouse.api.routes import service
from pumphouse.api.v1.waves import WaveAction
from pumphouse.model import DiskMode
from pumphouse.service import wavefile
from pumphouse.service.wavefile import WaveFile
from pumphouse.store.states import MigrationState
from pumphouse.store.waves import Group, WaveRecord, WaveState

PER_PAGE: Final = 50
PARTS: Final = ("head", "groups")
_WORDS: Final = ("name", "servers_at_once", "stop_at", "groups", "overrides", "mode")
"""The fields of the form that hold a text."""
_SHOWN_LIVE: Final = frozenset({MigrationState.RUNNING, MigrationState.PAUSED, MigrationState.ROLLING_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGroup:
    """A group as it is shown: how its plan is before it begins, and how its migration stands meanwhile."""

    group: Group
    state: MigrationState
    plan: kept.PlanCounts
    situation: Situation | None


@blueprint.get("/waves")
@allow("waves:read")
def show_waves() -> Response:
    """All waves, newest first."""
    return page("waves.html", **_listed(), last=_last(), events=_events())


@blueprint.get("/waves/live")
@allow("waves:read")
def live_waves() -> Response:
    """What of the page changes: the listing."""
    return jsonify(parts={"list": render_template("waves_list.html", **_listed())}, last=_last())


@blueprint.get("/waves/new")
@allow("waves:create")
def show_new_wave() -> Response:
    """The form."""
    return _form({})


@blueprint.post("/waves/new")
@allow("waves:create")
def ask_for_wave() -> AnyResponse:
    """Have the groups planned, and go to where that is told; or say what is wrong with what was given."""
    name = request.form.get("name", "").strip()
    try:
        if not name:
            raise errors.InvalidRequest("the wave has no name", next_step="Give it one.")
        operation = service().operations.plan_wave(_described(), name=name, asked_by=user().name)
    except errors.PumphouseError as error:
        return make_response(_form({"error": error}), error.http_status)
    return redirect(url_for("dashboard.show_operation", operation_id=operation.id), 303)


@blueprint.get("/waves/<wave_id>")
@allow("waves:read")
def show_wave(wave_id: str) -> Response:
    """One wave."""
    return page("wave.html", **_values(service().wave(wave_id)), events=_events())


@blueprint.get("/waves/<wave_id>/live")
@allow("waves:read")
def live_wave(wave_id: str) -> Response:
    """What of the page changes."""
    values = _values(service().wave(wave_id))
    parts = {name: render_template(f"wave_{name}.html", **values) for name in PARTS}
    return jsonify(parts=parts, last=_last())


def actions(record: WaveRecord) -> list[WaveAction]:
    """What can be asked of it now, and what this user may ask."""
    if record.at_work(datetime.now(UTC)) or service().operations.of_wave(record.id) is not None:
        found = [] if record.pausing else [WaveAction.PAUSE]
    else:
        found = []
        forwards = not record.state.ended and record.state is not WaveState.ROLLING_BACK
        if forwards or record.state is WaveState.PARTIAL:
            found.append(WaveAction.RESUME)
        begun = any(one.migration_id for one in record.groups)
        if begun and record.state is not WaveState.ROLLED_BACK:
            found.append(WaveAction.ROLLBACK)
    return [one for one in found if allowed(f"waves:{one}")]


def _values(record: WaveRecord) -> dict[str, Any]:
    states = service().wave_states(record)
    groups = [
        ShownGroup(
            group=one,
            state=state,
            plan=kept.counted(one.plan_id),
            situation=situation(service().migration(one.migration_id)) if state in _SHOWN_LIVE else None,
        )
        for one, state in zip(record.groups, states, strict=True)
    ]
    blocked = [one.group.name for one in groups if one.plan.blocked]
    waiting = next((one for one in groups if one.state is MigrationState.PLANNED), None)
    return {
        "record": record,
        "groups": groups,
        "blocked": blocked if record.state is WaveState.PLANNED else [],
        "waiting": waiting.group if waiting else None,
        "at_work": service().operations.of_wave(record.id),
        "lives": record.at_work(datetime.now(UTC)),
        "actions": actions(record),
    }


def _listed() -> dict[str, Any]:
    found = service().waves(limit=PER_PAGE + 1, marker=request.args.get("marker") or None)
    waves, marker = cut(found, PER_PAGE, key=lambda one: one.id)
    return {"waves": waves, "marker": marker, "operations": noteworthy(), "titles": TITLES}


def _last() -> int:
    return service().store.events.last()


def _events() -> str:
    return url_for("events.list_events", after=_last())


def _form(values: Mapping[str, Any]) -> Response:
    names = service().cloud_names()
    args = request.form if request.method == "POST" else _given()
    given = {word: args.get(word, "") for word in _WORDS}
    for place, side in enumerate(SIDES):
        default = side if side in names else names[min(place, len(names) - 1)] if names else ""
        given[side] = args.get(side, default)
    configured = service().config.migration.disk_mode
    return page("wave_new.html", names=names, given=given, modes=DiskMode, configured=configured, **values)


def _given() -> Mapping[str, str]:
    """What the form holds at first: what was asked for in an earlier operation, if the address names one."""
    operation = request.args.get("operation")
    if not operation:
        return {}
    name, described = service().operations.asked_wave(operation)
    asked = described.to_dict()
    return {
        "name": name,
        **{side: asked[side] for side in SIDES},
        "servers_at_once": str(asked["servers_at_once"] or ""),
        "stop_at": str(asked["stop_at"] or ""),
        "mode": asked.get("mode", ""),
        "groups": yamlfile.dump(asked["groups"]),
        "overrides": yamlfile.dump(asked["overrides"]) if asked["overrides"] else "",
    }


def _described() -> WaveFile:
    form = request.form
    data = {
        **{side: form.get(side, "") for side in SIDES},
        **({"mode": mode} if (mode := form.get("mode")) else {}),
        "servers_at_once": _number("servers_at_once"),
        "stop_at": _number("stop_at"),
        "groups": yamlfile.parse(form.get("groups", ""), where="the groups", error=errors.BadWave),
        "overrides": yamlfile.parse(
            form.get("overrides", ""), where="the overrides", error=errors.BadOverride
        ),
    }
    return wavefile.parse(data, where="the wave")


def _number(name: str) -> int | str | None:
    """What a field of numbers holds; what is none is for the one who reads the whole to refuse."""
    text = request.form.get(name, "").strip()
    return int(text) if text.isdecimal() else text or None
