"""The plan's graph as text: the same plan gives the same text, and the text says what the plan does."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from inventories import REGISTRY, Clouds, clouds

from pumphouse.model import Inventory
from pumphouse.plan.document import Plan
from pumphouse.plan.planner import make_plan
from pumphouse.plan.render import COLOURS, dot, mermaid

pytestmark = pytest.mark.timeout(600)  # what fails is made as small as it gets

STRING = r'"(?:[^"\\\x00-\x1f\x7f]|\\.)*"'
DOT_NODE = re.compile(rf'  ({STRING}) \[label=({STRING}), color="(#\w{{6}})"\];')
DOT_EDGE = re.compile(rf"  ({STRING}) -> ({STRING});")
# In Mermaid's strings, what is no letter, digit or plain sign is a code; only we write a tag.
MERMAID_TEXT = r"((?:[\w .,/()-]|#\d+;|<br/>)+)"
MERMAID_NODE = re.compile(rf'  (n\d+)\["{MERMAID_TEXT}"\]:::(\w+)')
MERMAID_EDGE = re.compile(r"  (n\d+) --> (n\d+)")
CLASSES = [f"  classDef {action} stroke:{colour}" for action, colour in COLOURS.items()]


def planned(pair: Clouds) -> Plan:
    return make_plan(pair.scope, source=pair.source, destination=pair.destination, registry=REGISTRY)


@given(clouds())
def test_the_same_plan_gives_the_same_text(pair):
    plan = planned(pair)
    turned = Inventory("source", reversed(list(pair.source)), facts=pair.source.facts)
    others = (plan, Plan.from_dict(plan.to_dict()), planned(replace(pair, source=turned)))
    assert {dot(one).encode() for one in others} == {dot(plan).encode()}
    assert {mermaid(one).encode() for one in others} == {mermaid(plan).encode()}


@given(clouds())
def test_dot_has_a_node_for_each_resource_and_an_edge_for_each_need(pair):
    plan = planned(pair)
    first, *lines, last = dot(plan).split("\n")[:-1]
    assert (first, last) == ("digraph plan {", "}")
    body = lines[2:]
    nodes = [found for line in body if (found := DOT_NODE.fullmatch(line))]
    edges = [found for line in body if (found := DOT_EDGE.fullmatch(line))]
    assert len(nodes) + len(edges) == len(body)
    assert [found[3] for found in nodes] == [COLOURS[one.action] for one in plan.resources]
    for found, one in zip(nodes, plan.resources, strict=True):
        assert read(found[2]) == f"{one.ref.type}\n{visible(one.resource.name)}\n{one.action}"
    names = {one.ref: found[1] for found, one in zip(nodes, plan.resources, strict=True)}
    assert len(set(names.values())) == len(plan.resources)
    wanted = [(names[need], names[one.ref]) for one in plan.resources for need in one.needs]
    assert [found.groups() for found in edges] == wanted


def read(quoted: str) -> str:
    """A label as Graphviz reads it: ``\\n`` is a new line, and a backslash keeps what follows."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], quoted[1:-1])


def visible(name: str) -> str:
    """What a picture shows of a name: a control character but the new line as its symbol."""
    return "".join(
        character if character == "\n" or ord(character) not in {*range(32), 127} else symbol(character)
        for character in name
    )


def symbol(control: str) -> str:
    return "\u2421" if control == "\x7f" else chr(0x2400 + ord(control))


@given(clouds())
def test_mermaid_has_a_node_for_each_resource_and_an_edge_for_each_need(pair):
    plan = planned(pair)
    first, *body = mermaid(plan).split("\n")[:-1]
    assert first == "flowchart LR"
    nodes = [found for line in body if (found := MERMAID_NODE.fullmatch(line))]
    edges = [found for line in body if (found := MERMAID_EDGE.fullmatch(line))]
    assert body[len(nodes) + len(edges) :] == CLASSES
    for found, one in zip(nodes, plan.resources, strict=True):
        kind, *name, action = found[2].split("<br/>")
        assert (kind, action, found[3]) == (one.ref.type, one.action, one.action)
        told = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), "\n".join(name))
        assert told == visible(one.resource.name)
    names = {one.ref: found[1] for found, one in zip(nodes, plan.resources, strict=True)}
    wanted = [(names[need], names[one.ref]) for one in plan.resources for need in one.needs]
    assert [found.groups() for found in edges] == wanted
