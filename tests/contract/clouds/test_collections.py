"""What every collection has in common: making, showing, changing, listing, removing, and refusing."""

from __future__ import annotations

import uuid

import pytest

from .kinds import KINDS

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
NOBODY = uuid.UUID(int=0).hex
IDS_ARE_NUMBERS = {"flavor", "keypair"}


def listing(kind, query=""):
    return f"{kind.listed or kind.path}{query}"


@every_kind
def test_one_is_made_and_shown_alike(world, kind):
    made = world.make(kind.name)
    shown = world.show(kind.name, kind.identity(made))
    assert shown.status == 200
    found = kind.unwrapped(shown.body)
    # Of a network that is not external, the last one is told once, when it is made.
    told = {"status", "updated_at", "revision_number", "progress", "is_default"}
    # Which service has a volume is decided after the answer.
    told |= {"os-vol-host-attr:host", "service_uuid", "shared_targets"}
    assert {key: found.get(key) for key in made if key not in told} == {
        key: value for key, value in made.items() if key not in told
    }


@every_kind
def test_one_is_removed_and_then_gone(world, kind):
    made = world.make(kind.name)
    for method, path, body in kind.before_removal:
        assert world(method, kind.service, path.format(id=made["id"]), body).status == 200
    answer = world("DELETE", kind.service, f"{kind.path}/{kind.identity(made)}")
    assert answer.status == kind.deleted
    world.wait(lambda: world.show(kind.name, kind.identity(made)).status == 404, "its end")
    assert world("DELETE", kind.service, f"{kind.path}/{kind.identity(made)}").status == 404


@every_kind
def test_what_is_not_there_is_not_found(world, kind):
    answer = world.show(kind.name, NOBODY)
    assert answer.status == 404
    assert "request-id" in " ".join(answer.headers)
    assert NOBODY in str(answer.body) or "ot found" in str(answer.body)


@every_kind
def test_it_is_in_the_list(world, kind):
    made = world.make(kind.name)
    answer = world("GET", kind.service, listing(kind, "?is_public=None" if kind.name == "flavor" else ""))
    assert answer.status == 200
    listed = [one.get(kind.item, one) if kind.name == "keypair" else one for one in answer.body[kind.items]]
    assert kind.identity(made) in {kind.identity(one) for one in listed}


@pytest.mark.parametrize("kind", [one for one in KINDS.values() if one.change], ids=lambda kind: kind.name)
def test_it_can_be_changed(world, kind):
    made = world.make(kind.name)
    method, fields, status = kind.change
    answer = world(method, kind.service, f"{kind.path}/{made['id']}", {kind.item: fields})
    assert answer.status == status
    found = kind.unwrapped(world.show(kind.name, made["id"]).body)
    assert {name: found[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(kind, name) for kind in KINDS.values() for name in kind.needed],
    ids=lambda one: getattr(one, "name", one),
)
def test_it_is_refused_without_what_it_needs(world, kind, missing):
    body = kind.body(world)
    del body[missing]
    answer = world("POST", kind.service, kind.path, kind.wrapped(body))
    assert answer.status == 400
    assert missing in str(answer.body)


@pytest.mark.parametrize("kind", [one for one in KINDS.values() if one.again], ids=lambda kind: kind.name)
def test_a_second_one_of_the_same_name_is_refused(world, kind):
    body = kind.body(world)
    made = world.make(kind.name, **body)
    answer = world("POST", kind.service, kind.path, kind.wrapped(body))
    assert answer.status == kind.again
    assert world.show(kind.name, kind.identity(made)).status == 200


@every_kind
def test_nobody_may_ask_without_a_token(world, kind):
    answer = world("GET", kind.service, listing(kind), authenticated=False)
    assert answer.status == 401


@every_kind
def test_a_body_that_is_no_json_is_refused(world, kind):
    answer = world("POST", kind.service, kind.path, "{not json", headers={"Content-Type": "application/json"})
    assert answer.status == 400


@pytest.mark.parametrize("kind", [one for one in KINDS.values() if one.paged], ids=lambda kind: kind.name)
def test_pages_hold_each_once(world, kind):
    names = {kind.identity(world.make(kind.name)) for _ in range(3)}
    seen, path = [], listing(kind, "?limit=2" + ("&is_public=None" if kind.name == "flavor" else ""))
    while path:
        answer = world("GET", kind.service, path)
        assert answer.status == 200
        page = [one.get(kind.item, one) if kind.name == "keypair" else one for one in answer.body[kind.items]]
        assert len(page) <= 2
        seen += [kind.identity(one) for one in page]
        assert len(seen) < 2000
        path = following(kind, answer.body, page)
    assert len(seen) == len(set(seen))
    assert names <= set(seen)


def following(kind, body, page):
    """Where the next page is: by a link, by a link for the collection, or by a marker."""
    if not page:
        return None
    if kind.service == "image":
        return body.get("next")
    links = {one["rel"]: one["href"] for one in body.get(kind.links or f"{kind.items}_links", [])}
    return listing(kind, f"?{links['next'].partition('?')[2]}") if "next" in links else None
