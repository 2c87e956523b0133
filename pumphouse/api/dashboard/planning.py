"""New migrations: choose what to move, look at the plan, start it."""

from __future__ import annotations

import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from flask import Response, make_response, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from pumphouse import errors, yamlfile
from pumphouse.api.auth import allow, user
from pumphouse.api.dashboard import graph, kept, modes
from pumphouse.api.dashboard.clouds import SIDES
from pumphouse.api.dashboard.operations import TITLES, noteworthy
from pumphouse.api.dashboard.pages import blueprint, page, part
from pumphouse.api.documents import Paging
from pumphouse.api.paging import cut, page_of
from pumphouse.api.routes import service
from pumphouse.config import FloatingIPs, Migration
from pumphouse.model import Action, DiskMode, Scope, ScopeKind, Strategy
from pumphouse.plan.document import Plan, PlannedResource, gathered
from pumphouse.resource import Severity
from pumphouse.service.operations import WantedPlan

PER_PAGE: Final = 100
KINDS: Final[Mapping[ScopeKind, str]] = {
    ScopeKind.TENANT: "Tenants, with all that belongs to them",
    ScopeKind.SERVER: "Servers, with what they need",
    ScopeKind.HOST: "All servers of hypervisors",
    ScopeKind.IMAGE: "Images",
    ScopeKind.IDENTITY: "Tenants without workloads: users, roles, quotas",
}
CHOICES: Final = {
    one.name: one.metadata["how"]["choices"] for one in fields(Migration) if "choices" in one.metadata["how"]
}
"""The options of a migration, and what each of their values means."""
_WORDS: Final = (
    "kind",
    "strategy",
    "floating_ips",
    "disk_mode",
    "overrides",
    "others",
    *modes.FIELDS.values(),
)
"""The fields of the form that hold a text."""
_SEVERITIES: Final = {
    Severity.BLOCK: ("Blocked", "block", "bad"),
    Severity.WARNING: ("Warnings", "warning", "care"),
    Severity.LOST: ("Cannot be carried", "block", "care"),
}


@blueprint.get("/new")
@allow("plans:create")
def show_new() -> Response:
    """The form."""
    return _form({})


@blueprint.post("/new")
@allow("plans:create")
def ask_for_plan() -> AnyResponse:
    """Have the plan made, and go to where that is told; or say what is wrong with what was given."""
    try:
        operation = service().operations.plan(_wanted_plan(), asked_by=user().name)
    except errors.PumphouseError as error:
        return make_response(_form({"error": error}), error.http_status)
    return redirect(url_for("dashboard.show_operation", operation_id=operation.id), 303)


@blueprint.get("/plans")
@allow("plans:read")
def show_plans() -> Response:
    """All plans."""
    found = service().plans(limit=PER_PAGE + 1, marker=request.args.get("marker") or None)
    plans, marker = cut(found, PER_PAGE, key=lambda one: one.id)
    return page(
        "plans.html",
        plans=plans,
        marker=marker,
        scope_of=Scope.from_dict,
        operations=noteworthy(),
        titles=TITLES,
    )


@blueprint.post("/plans")
@allow("plans:create")
def take_plan() -> AnyResponse:
    """Take in a plan that was saved as a file. It is planned again when it is started."""
    file = request.files.get("plan")
    try:
        data = json.loads(file.read()) if file is not None else None
    except ValueError as error:  # no JSON, or no text at all
        raise errors.BadPlan(f"what was sent is no plan: {error}") from None
    plan = service().keep_plan(Plan.from_dict(data, where="what was sent"))
    return redirect(url_for("dashboard.show_plan", plan_id=plan.id), 303)


@blueprint.get("/plans/<plan_id>")
@allow("plans:read")
def show_plan(plan_id: str) -> AnyResponse:
    """One plan: what it comes to, what to know before, its graph and its resources."""
    known = service().store.plans.get(plan_id).id
    if known != plan_id:
        return redirect(url_for("dashboard.show_plan", plan_id=known), 303)
    plan = kept.shown(plan_id).plan
    given = {name: request.args.get(name, "").strip() for name in ("action", "type", "text", "problems")}
    rows, marker = page_of(
        [one for one in plan.resources if _wanted(one, given)],
        Paging(limit=PER_PAGE, marker=request.args.get("marker") or None),
        key=lambda one: str(one.ref),
    )
    doing = plan.doing(Action.CREATE, Action.UPDATE)
    return page(
        "plan.html",
        plan=plan,
        counts=plan.counts(),
        types=Counter(one.ref.type for one in plan.resources),
        bytes=sum(one.bytes for one in doing),
        seconds=sum(one.seconds for one in doing),
        downtime=_downtime(plan),
        problems=[
            (title, icon, tone, gathered(plan, severity))
            for severity, (title, icon, tone) in _SEVERITIES.items()
        ],
        letters=graph.letters(plan),
        rows=rows,
        marker=marker,
        given=given,
        filters={name: one for name, one in given.items() if one},
        choices=CHOICES,
        configured=service().config.migration,
        engine=service().config.engine,
        key=secrets.token_urlsafe(16),
    )


@blueprint.get("/plans/<plan_id>/resources/<int:number>")
@allow("plans:read")
def show_planned(plan_id: str, number: int) -> Response:
    """One resource of the graph, by its place in the plan."""
    plan = kept.shown(plan_id).plan
    one = plan.resources[number] if number < len(plan.resources) else None
    return part(render_template("planned.html", one=one, plan=plan))


@blueprint.get("/plans/<plan_id>/file")
@allow("plans:read")
def show_plan_file(plan_id: str) -> Response:
    """The plan as the command line takes it: ``pumphouse migrate --plan FILE``."""
    plan = kept.shown(plan_id).plan
    response = make_response(json.dumps(plan.to_dict(), indent=2, ensure_ascii=False) + "\n")
    response.mimetype = "application/json"
    response.headers["Content-Disposition"] = f'attachment; filename="plan-{plan.id}.json"'
    return response


def _form(values: Mapping[str, Any]) -> Response:
    names = service().cloud_names()
    args = request.form if request.method == "POST" else _given()
    given = {name: args.get(name, "") for name in _WORDS}
    for place, side in enumerate(SIDES):
        default = side if side in names else names[min(place, len(names) - 1)] if names else ""
        given[side] = args.get(side, default)
    return page(
        "new.html",
        names=names,
        given=given,
        picked=args.getlist("names"),
        kinds=KINDS,
        choices=CHOICES,
        modes=modes.FIELDS,
        single=any(given[one] for one in modes.FIELDS.values()),
        configured=service().config.migration,
        **values,
    )


def _given() -> MultiDict[str, str]:
    """What the form holds at first: what the address says, or what was asked for in an earlier operation."""
    operation = request.args.get("operation")
    asked = service().operations.asked_plan(operation) if operation else None
    if asked is None:
        return request.args
    overrides, single = modes.part(asked.overrides)
    given = {
        **single,
        "kind": str(asked.scope.kind),
        "strategy": str(asked.scope.strategy),
        "floating_ips": str(asked.floating_ips or ""),
        "disk_mode": str(asked.disk_mode or ""),
        "overrides": yamlfile.dump(overrides) if overrides else "",
        "source": asked.source,
        "destination": asked.destination,
    }
    return MultiDict([*given.items(), *(("names", name) for name in asked.scope.names)])


def _wanted_plan() -> WantedPlan:
    form = request.form
    names = [*form.getlist("names"), *(one.strip() for one in form.get("others", "").splitlines())]
    names = list(dict.fromkeys(one for one in names if one))
    if not names:
        raise errors.InvalidRequest("nothing was chosen", next_step="Choose at least one, or write its name.")
    overrides = yamlfile.parse(form.get("overrides", ""), where="what you wrote", error=errors.BadOverride)
    if not isinstance(overrides, dict | None):
        raise errors.BadOverride("the overrides must hold a mapping of sections")
    try:
        kind = ScopeKind(form.get("kind", ""))
        strategy = Strategy(form["strategy"]) if form.get("strategy") else None
        addresses = FloatingIPs(form["floating_ips"]) if form.get("floating_ips") else None
        disks = DiskMode(form["disk_mode"]) if form.get("disk_mode") else None
    except ValueError as error:
        raise errors.InvalidRequest(str(error)) from None
    return WantedPlan(
        scope=Scope(kind=kind, names=tuple(names), strategy=strategy or service().config.migration.strategy),
        source=form.get("source", ""),
        destination=form.get("destination", ""),
        overrides=modes.add(overrides or {}, form),
        floating_ips=addresses,
        disk_mode=disks,
    )


def _wanted(one: PlannedResource, given: Mapping[str, str]) -> bool:
    text = f"{one.resource.name} {one.ref.id} {one.reason}".casefold()
    return (
        given["action"] in {"", one.action}
        and given["type"] in {"", one.ref.type}
        and given["text"].casefold() in text
        and (not given["problems"] or bool(one.problems))
    )


def _downtime(plan: Plan) -> tuple[float, str] | None:
    """The longest that a server is expected to be down, while its volumes are copied; and its name."""
    found: dict[str, float] = defaultdict(float)
    for one in plan.doing(Action.CREATE):
        holds = service().registry[one.ref.type].holds
        if holds:
            held = (plan.by_ref[need] for need in one.needs if need.type in holds and need in plan.by_ref)
            found[one.resource.name] = one.seconds + sum(volume.seconds for volume in held)
    longest = max(found, key=found.__getitem__, default=None)
    return None if longest is None else (found[longest], longest)
