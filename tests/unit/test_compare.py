"""Comparing and rewriting fields."""

from __future__ import annotations

from typing import Any

import pytest

from pumphouse.compare import same
from pumphouse.fields import copy, ref
from pumphouse.model import Ref
from pumphouse.resource import ResourceType


class Thing(ResourceType):
    """Only its declarations are used."""

    name = "thing"
    fields = (
        ref("access", to="project", optional=True, at_least=True),
        copy("members", refs={"member": "project"}, optional=True),
        copy("origin", refs={"image_id": "image"}, optional=True),
        ref("ports", to="port", unordered=False),
    )


Thing.__abstractmethods__ = frozenset()
KNOWN = {Ref("project", "a"): "A", Ref("port", "p"): "P"}


def resolved(**fields: Any) -> dict[str, Any]:
    return Thing().resolve(fields, KNOWN.get)  # type: ignore[abstract]


def test_an_optional_list_leaves_out_what_has_no_counterpart():
    assert resolved(access=["a", "b"]) == {"access": ["A"]}
    assert resolved(
        members=[{"member": "a", "status": "accepted"}, {"member": "b", "status": "pending"}]
    ) == {"members": [{"member": "A", "status": "accepted"}]}


def test_an_optional_key_without_counterpart_is_left_out():
    assert resolved(origin={"image_id": "i", "image_name": "x"}) == {"origin": {"image_name": "x"}}


def test_a_needed_list_keeps_its_gaps():
    assert resolved(ports=["p", "q"]) == {"ports": ["P", None]}


@pytest.mark.parametrize(
    ("want", "have", "equal"),
    [(["A"], ["B", "A"], True), (["A", "B"], ["B"], False), ([], ["B"], True), (["A"], [], False)],
)
def test_what_others_were_granted_is_no_difference(want, have, equal):
    assert same(Thing.fields[0], want, have) is equal


class Place(Thing):
    """A type with limits."""

    name = "place"
    fields = (copy("limits", at_least=True),)


@pytest.mark.parametrize(
    ("have", "equal"),
    [({"cores": 1, "ram": 2}, True), ({"cores": 2}, False), ({"ram": 2}, False), ({"cores": 1}, True)],
)
def test_a_mapping_may_have_more_entries(have, equal):
    assert same(Place.fields[0], {"cores": 1}, have) is equal
