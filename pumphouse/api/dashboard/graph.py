"""A plan's graph, laid out: what the script draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import Response, jsonify, request

from pumphouse.api.auth import allow
from pumphouse.api.dashboard import kept, states
from pumphouse.api.dashboard.icons import ICONS
from pumphouse.api.dashboard.layout import HEIGHT, WIDTH
from pumphouse.api.dashboard.pages import blueprint, spaced
from pumphouse.model import Action
from pumphouse.plan.document import Plan, PlannedResource
from pumphouse.text import one_line

_LONGEST: Final = 20
"""Characters of a name that fit into a box."""
LETTERS: Final[Mapping[Action, str]] = {
    Action.CREATE: "c",
    Action.UPDATE: "u",
    Action.REUSE: "e",
    Action.SKIP: "s",
    Action.BLOCKED: "x",
}
"""What a plan does with each resource, a letter each."""
_LEGENDS: Final[Mapping[str, Mapping[str, states.Look]]] = {
    "progress": {str(letter): look for letter, look in states.RESOURCES.items()},
    "action": {LETTERS[action]: look for action, look in states.ACTIONS.items()},
}


@blueprint.get("/plans/<plan_id>/layout")
@allow("plans:read")
def show_layout(plan_id: str) -> Response:
    """Boxes, edges by the places of their ends, and what each letter looks like."""
    shown = kept.shown(plan_id)
    plan, layout = shown.plan, shown.layout
    types = list(dict.fromkeys(one.ref.type for one in plan.resources))
    number = {one.ref: place for place, one in enumerate(plan.resources)}
    legend = _LEGENDS["action" if request.args.get("colours") == "action" else "progress"]
    return jsonify(
        plan=plan.id,
        size=[layout.width, layout.height],
        box=[WIDTH, HEIGHT],
        types=[spaced(name) for name in types],
        nodes=[[types.index(one.ref.type), _name(one), *layout.places[one.ref]] for one in plan.resources],
        edges=[[number[need], number[ref]] for need, ref in plan.graph.edges],
        legend={letter: _look(look) for letter, look in legend.items()},
    )


@blueprint.get("/plans/<plan_id>/find")
@allow("plans:read")
def find_resource(plan_id: str) -> Response:
    """The place of the next resource with a text in its type, name or id; null if there is none."""
    resources = kept.shown(plan_id).plan.resources
    text = request.args.get("text", "").strip().casefold()
    after = request.args.get("after", -1, type=int)
    order = sorted(range(len(resources)), key=lambda number: (number <= after, number))
    return jsonify(number=next((number for number in order if text in _words(resources[number])), None))


def _words(one: PlannedResource) -> str:
    return f"{spaced(one.ref.type)} {one.resource.name} {one.ref.id}".casefold()


def letters(plan: Plan) -> str:
    """What the plan does with each resource, in its order."""
    return "".join(LETTERS[one.action] for one in plan.resources)


def _name(one: PlannedResource) -> str:
    name = one_line(one.resource.name or one.ref.id)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _look(look: states.Look) -> Mapping[str, Any]:
    return {"word": look.word, "icon": ICONS[look.icon], "tone": look.tone}
