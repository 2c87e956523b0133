"""Key pairs."""

from __future__ import annotations

import pytest

from pumphouse.cloud_api import Service
from pumphouse.compare import differences
from pumphouse.model import Inventory, Ref, Resource, Side
from pumphouse.resource import Reach, Severity, Want
from pumphouse.tasks.keypair import Keypair

from .harness import Bench

KIND = Keypair()
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0yUuY5eqBRJH+AQFBcPzyZZ3zRsZxRHNKbf1nGQfQe"


@pytest.fixture
def user(bench: Bench) -> str:
    return bench.user("owner")


def make(bench: Bench, user: str, name: str, *, public_key: str = SSH, side: Side = Side.SOURCE) -> str:
    body = {"keypair": {"name": name, "type": "ssh", "public_key": public_key, "user_id": user}}
    bench.cloud(side).post(Service.COMPUTE, "/os-keypairs", body, up_to="2.10")
    bench.later.append(lambda: KIND.delete(bench.cloud(side), f"{user}/{name}"))
    return f"{user}/{name}"


def owner(user: str) -> Resource:
    return Resource(ref=Ref("user", user), name="owner")


def assignment(user: str, project: str) -> Resource:
    return Resource(
        ref=Ref("role_assignment", f"{user}:member:{project}"),
        name="",
        fields={"user_id": user, "project_id": project},
    )


@pytest.mark.parametrize("name", ["laptop", "my key_1-a"])
def test_a_key_pair_arrives_with_its_user(bench, user, name):
    resource = bench.read(KIND, make(bench, user, name), Side.SOURCE, owner(user))
    made = bench.carry(KIND, resource)
    bench.later.append(lambda: KIND.delete(bench.destination, made))
    there = bench.there("user", user)
    assert made == f"{there}/{name}"
    have = bench.read(KIND, made, Side.DESTINATION, owner(there))
    assert differences(KIND, KIND.resolve(resource.fields, bench.ids.get), have.fields) == ()
    assert have.fields["public_key"] == SSH


def test_only_users_within_reach_are_asked_for(bench, user):
    stranger = bench.user("stranger")
    make(bench, stranger, "theirs")
    mine = make(bench, user, "mine")
    seen = Inventory(
        "source", [owner(user), owner(stranger), assignment(user, "p1"), assignment(stranger, "p2")]
    )
    found = list(KIND.discover(bench.source, seen=seen, reach=Reach(projects=frozenset({"p1"}))))
    assert [one.ref.id for one in found] == [mine]
    assert list(KIND.tenants(found[0], seen)) == ["p1"]


def test_a_key_pair_belongs_to_the_tenants_of_its_servers_too():
    """Its user may have lost the role since."""
    pair = Resource(ref=Ref("keypair", "u/key"), name="key", fields={"user_id": "u", "name": "key"})
    server = Resource(ref=Ref("server", "s"), name="s", project_id="p", facts={"keypair": "u/key"})
    other = Resource(ref=Ref("server", "o"), name="o", project_id="q", facts={"keypair": "v/key"})
    assert list(KIND.tenants(pair, Inventory("source", [pair, server, other]))) == ["p"]


def test_a_user_that_was_deleted_has_no_key_pairs(bench, user):
    server = Resource(ref=Ref("server", "s"), name="s", project_id="p", facts={"user_id": "0" * 32})
    seen = Inventory("source", [server])
    assert list(KIND.discover(bench.source, seen=seen, reach=Reach())) == []


def test_undo_removes_it_and_is_content_when_it_is_gone(bench, user):
    resource = bench.read(KIND, make(bench, user, "laptop"), Side.SOURCE, owner(user))
    made = bench.carry(KIND, resource)
    assert KIND.delete(bench.destination, made) is True
    bench.undo([KIND], {resource.ref: resource})
    assert KIND.show(bench.destination, made, project_id=None) is None


def test_a_second_attempt_finds_the_first(bench, user):
    resource = bench.read(KIND, make(bench, user, "laptop"), Side.SOURCE, owner(user))
    there = make(bench, bench.there("user", user), "laptop", side=Side.DESTINATION)
    bench.journal.intend(resource.ref, "create", Side.DESTINATION)
    assert bench.carry(KIND, resource) == there


def test_names_that_some_databases_take_for_one_block():
    pairs = [
        Resource(ref=Ref("keypair", f"{user}/{name}"), name=name, fields={"user_id": user, "name": name})
        for user, name in (
            ("u", "laptop"),
            ("u", "laptop "),
            ("u", "Laptop"),
            ("u", "phone"),
            ("v", "laptop"),
        )
    ]
    source = Inventory("source", pairs)
    blocked = [[one.severity for one in KIND.refuse(pair, source)] for pair in pairs]
    assert blocked == [[Severity.BLOCK]] * 3 + [[], []]
    want = Want(source=pairs[4], fields={"user_id": "u", "name": "phone "}, secrets={})
    (problem,) = KIND.check(want, source, exists=False)
    assert "'phone' that its user has on the destination" in problem.summary
