"""Images whose properties name each other: anybody may set those to any id."""

from __future__ import annotations

from toys import TYPES, Toy, destination, source

from pumphouse.fields import key, ref
from pumphouse.model import Action, Ref, Resource, Scope, ScopeKind
from pumphouse.plan.planner import make_plan
from pumphouse.registry import Registry
from pumphouse.resource import Severity


class Image(Toy):
    name = "image"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        ref("kernel_id", to="image", fixed=False),
        ref("base_image_ref", to="image", optional=True, fixed=False),
    )


def image(identity, **fields):
    told = {"project_id": "p1", "name": identity, "kernel_id": None, "base_image_ref": None}
    return Resource(ref=Ref("image", identity), name=identity, project_id="p1", fields=told | fields)


def plan(*images):
    return make_plan(
        Scope(kind=ScopeKind.TENANT, names=("shop",)),
        source=source(*images),
        destination=destination(),
        registry=Registry(kind() for kind in (*TYPES, Image)),
    )


def test_images_that_need_each_other_are_blocked_with_the_reason_and_the_rest_is_not():
    made = plan(image("a", kernel_id="b"), image("b", kernel_id="c"), image("c", kernel_id="a"), image("d"))
    blocked = made.doing(Action.BLOCKED)
    assert [one.ref.id for one in blocked] == ["a", "b", "c"]
    for one in blocked:
        assert one.reason == "it needs itself, by way of image 'a' (a), image 'b' (b), image 'c' (c)"
        assert one.problems[0].next_step
    assert made.by_ref[Ref("image", "d")].action is Action.CREATE
    assert made.by_ref[Ref("server", "v1")].action is Action.CREATE


def test_an_image_that_is_its_own_kernel_is_blocked():
    assert [one.ref.id for one in plan(image("a", kernel_id="a")).doing(Action.BLOCKED)] == ["a"]


def test_a_reference_that_may_be_lost_is_lost_where_it_closes_a_circle():
    made = plan(image("a", kernel_id="b"), image("b", base_image_ref="a"), image("c", base_image_ref="c"))
    assert made.doing(Action.BLOCKED) == []
    for name in ("b", "c"):
        one = made.by_ref[Ref("image", name)]
        assert "base_image_ref" not in one.resource.fields
        assert [(problem.severity, problem.field) for problem in one.problems] == [
            (Severity.LOST, "base_image_ref")
        ]
    assert made.by_ref[Ref("image", "a")].needs == (Ref("image", "b"), Ref("project", "p1"))
