"""The plan's graph as text for other tools: DOT and Mermaid. Stable: the same plan gives the same text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pumphouse.model import Action, Ref
from pumphouse.plan.document import Plan

COLOURS = {
    Action.CREATE: "#2e7d32",
    Action.UPDATE: "#1565c0",
    Action.REUSE: "#757575",
    Action.SKIP: "#9e9e9e",
    Action.BLOCKED: "#c62828",
}


def dot(plan: Plan) -> str:
    """The graph in Graphviz' language, clustered by nothing, needed resources first."""
    return "\n".join(_dot(plan)) + "\n"


def _dot(plan: Plan) -> Iterator[str]:
    yield "digraph plan {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, style=rounded, fontname="sans-serif"];'
    for one in plan.resources:
        label = _quote(f"{one.ref.type}\n{one.resource.name}\n{one.action}")
        yield f'  {_quote(str(one.ref))} [label={label}, color="{COLOURS[one.action]}"];'
    for need, ref in _edges(plan):
        yield f"  {_quote(str(need))} -> {_quote(str(ref))};"
    yield "}"


def mermaid(plan: Plan) -> str:
    """The graph in Mermaid's language."""
    return "\n".join(_mermaid(plan)) + "\n"


def _mermaid(plan: Plan) -> Iterator[str]:
    names = {one.ref: f"n{number}" for number, one in enumerate(plan.resources)}
    yield "flowchart LR"
    for one in plan.resources:
        text = "<br/>".join((one.ref.type, _coded(one.resource.name), one.action))
        yield f'  {names[one.ref]}["{text}"]:::{one.action}'
    for need, ref in _edges(plan):
        yield f"  {names[need]} --> {names[ref]}"
    for action, colour in COLOURS.items():
        yield f"  classDef {action} stroke:{colour}"


def _edges(plan: Plan) -> Iterable[tuple[Ref, Ref]]:
    return ((need, one.ref) for one in plan.resources for need in one.needs)


def _visible(text: str) -> str:
    """The text with the symbols of control characters: these end a file, or spoil the picture made of it."""
    return text.translate(_SYMBOLS)


_SYMBOLS = {code: 0x2400 + code for code in range(32) if code != ord("\n")} | {0x7F: 0x2421}


def _quote(text: str) -> str:
    """A string of DOT, whose lines stay lines."""
    escaped = _visible(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _coded(text: str) -> str:
    """A text of Mermaid, with codes for all that could have a meaning to it or to HTML."""
    return re.sub(r"[^\w .,/()-]", lambda found: f"#{ord(found[0])};", _visible(text))
