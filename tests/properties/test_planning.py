"""What holds for every plan, whatever the clouds hold. Nothing is written to any cloud here."""

from __future__ import annotations

import json
from dataclasses import replace

import networkx as nx
import pytest
from carrying_out import carry_out
from hypothesis import assume, event, given, note
from hypothesis import strategies as st
from inventories import REGISTRY, Clouds, clouds
from inventories.changes import changes
from inventories.world import World

from pumphouse.flow.units import LARGEST, divide
from pumphouse.inventory.scope import from_outside, roots
from pumphouse.model import Action, Inventory, Ref, Scope, ScopeKind
from pumphouse.plan import document
from pumphouse.plan.document import Plan
from pumphouse.plan.planner import make_plan
from pumphouse.resource import Policy

pytestmark = pytest.mark.timeout(600)  # what fails is made as small as it gets


def planned(pair: Clouds, **options: object) -> Plan:
    if not options:
        note(pair.told())
    made = make_plan(
        pair.scope, source=pair.source, destination=pair.destination, registry=REGISTRY, **options
    )
    for action, count in made.counts().items():
        event(f"{action}: {'some' if count else 'none'}")
    return made


def to_do(plan: Plan) -> list[tuple[Ref, Action, tuple[str, ...], str]]:
    """What a plan would do, or cannot, and why."""
    found = plan.doing(Action.CREATE, Action.UPDATE, Action.BLOCKED)
    return [(one.ref, one.action, one.changed, one.reason) for one in found]


@given(clouds())
def test_the_graph_has_no_circles_and_needed_resources_come_first(pair):
    plan = planned(pair)
    assert nx.is_directed_acyclic_graph(plan.graph)
    place = {one.ref: number for number, one in enumerate(plan.resources)}
    assert all(place[need] < place[ref] for need, ref in plan.graph.edges)


@given(clouds())
def test_the_selection_is_closed_under_what_is_needed_and_holds_nothing_else(pair):
    source, registry = pair.source, REGISTRY
    wanted = {ref for ref in roots(pair.scope, source, registry) if ref in source}
    parts = [
        (found.ref, one.ref)
        for one in source
        if registry[one.ref.type].selectable(one)
        for found in registry[one.ref.type].references(one.fields)
        if found.field.part_of
    ]
    while True:
        chosen = [source.get(ref) for ref in wanted]
        moved = [one for one in chosen if registry[one.ref.type].policy(one) is Policy.MOVE]
        more = {part for whole, part in parts if source.get(whole) in moved}
        for one in moved:
            kind = registry[one.ref.type]
            more |= {found.ref for found in kind.references(one.fields) if not found.field.optional}
            more |= set(kind.needs(one, source))
        more = {ref for ref in more if ref in source}
        if more <= wanted:
            break
        wanted |= more
    plan = planned(pair)
    told = from_outside(pair.scope, source, registry).keys() - wanted
    assert set(plan.by_ref) == wanted | told
    assert {plan.by_ref[ref].action for ref in told} <= {Action.SKIP}


@given(clouds())
def test_what_is_not_blocked_needs_nothing_that_is(pair):
    plan = planned(pair)
    for one in plan.doing(Action.CREATE, Action.UPDATE):
        assert all(plan.by_ref[need].action not in {Action.BLOCKED, Action.SKIP} for need in one.needs)


@given(clouds())
def test_the_units_hold_each_resource_once_in_an_order_without_circles(pair):
    plan = planned(pair)
    units, order = divide(plan, REGISTRY)
    assert nx.is_directed_acyclic_graph(order)
    place = {ref: (name, number) for name, unit in units.items() for number, ref in enumerate(unit.refs)}
    inside = [ref for unit in units.values() for ref in unit.refs]
    assert sorted(inside) == sorted(one.ref for one in plan.doing(Action.CREATE, Action.UPDATE))
    assert max((len(unit.refs) for unit in units.values()), default=0) <= LARGEST
    for need, ref in plan.graph.subgraph(inside).edges:
        (first, before), (second, after) = place[need], place[ref]
        assert (before < after) if first == second else order.has_edge(first, second)


@given(clouds(), st.randoms(use_true_random=False))
def test_the_order_in_which_a_cloud_lists_its_resources_decides_nothing(pair, random):
    def shuffled(inventory: Inventory) -> Inventory:
        resources = list(inventory)
        random.shuffle(resources)
        return Inventory(inventory.cloud, resources, facts=inventory.facts)

    plan = planned(pair)
    again = planned(replace(pair, source=shuffled(pair.source), destination=shuffled(pair.destination)))
    assert again.resources == plan.resources
    assert document.changes(plan, again) == []
    assert divide(again, REGISTRY)[0] == divide(plan, REGISTRY)[0]


def test_why_something_comes_along_does_not_hang_on_the_order_of_a_list():
    world = World(None, orderly=True)
    world.add("domain", "Default", identity="default")
    project = world.add("project", "shop", domain_id="default")
    network = world.add("network", "web", project=project, facts={"external": False, "qos_policy_id": None})
    mine, other = (world.add("security_group", name, project=project) for name in ("mine", "other"))
    for port in (22, 80):
        world.add(
            "security_group_rule", f"{port}", project=project, facts={"remote_address_group_id": None},
            security_group_id=mine, ethertype="IPv4", port_range_min=port, port_range_max=port,
            remote_group_id=other,
        )  # fmt: skip
    facts = {
        "device_owner": "",
        "addresses": [],
        "on_external": False,
        "qos_policy_id": None,
        "trunk_id": None,
    }
    port_id = world.add(
        "port", "", project=project, facts=facts,
        network_id=network, mac_address="fa:16:3e:00:00:01", security_groups=[mine],
    )  # fmt: skip
    server = world.add(
        "server", "web-1", project=project, ports=[port_id], volumes=[],
        facts={
            "status": "ACTIVE", "task_state": None, "keypair": None, "boot_image": None, "flavor": {},
            "availability_zone": None, "nic_order_is_clear": True, "certificates": False,
        },
    )  # fmt: skip
    listed = list(world.resources.values())
    pairs = [
        Clouds(
            source=Inventory("source", resources),
            destination=Inventory("destination"),
            scope=Scope(kind=ScopeKind.SERVER, names=(server,)),
        )
        for resources in (listed, listed[::-1])
    ]
    ref = Ref("security_group", other)
    first, second = (
        make_plan(pair.scope, source=pair.source, destination=pair.destination, registry=REGISTRY).by_ref[ref]
        for pair in pairs
    )
    assert first == second


@given(clouds())
def test_a_plan_that_is_written_and_read_is_the_same(pair):
    plan = planned(pair)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@given(pair=clouds())
def test_a_plan_that_is_saved_and_loaded_is_the_same(pair, tmp_path_factory):
    plan = planned(pair)
    path = tmp_path_factory.getbasetemp() / "plan.json"
    plan.save(path)
    assert Plan.load(path) == plan


# -- after a migration


@given(clouds(orderly=True))
def test_after_a_migration_nothing_is_left_to_do(pair):
    plan = planned(pair)
    plan.require_unblocked()
    there, ids = carry_out(plan, pair.destination)
    again = planned(replace(pair, destination=there), known=ids)
    assert to_do(again) == []


@given(clouds(orderly=True))
def test_what_was_migrated_is_recognised_without_the_store_that_remembers_it(pair):
    plan = planned(pair)
    plan.require_unblocked()
    there, _ids = carry_out(plan, pair.destination)
    again = planned(replace(pair, destination=there))
    assert to_do(again) == []


@given(clouds(orderly=True), st.data())
def test_one_change_is_all_that_the_next_plan_holds(pair, data):
    plan = planned(pair)
    plan.require_unblocked()
    change = data.draw(changes(pair.source, plan))
    assume(change is not None)
    there, ids = carry_out(plan, pair.destination)
    again = planned(replace(pair, source=change.source, destination=there), known=ids)
    event(f"{change.ref.type}.{change.field}")
    assert [one[:3] for one in to_do(again)] == [(change.ref, Action.UPDATE, (change.field,))], to_do(again)


@given(clouds(orderly=True), st.data())
def test_one_change_that_cannot_be_made_in_place_is_told_and_nothing_is_done(pair, data):
    plan = planned(pair)
    plan.require_unblocked()
    change = data.draw(changes(pair.source, plan, fixed=True))
    assume(change is not None)
    there, ids = carry_out(plan, pair.destination)
    again = planned(replace(pair, source=change.source, destination=there), known=ids)
    event(f"{change.ref.type}.{change.field}")
    assert to_do(again) == []
    told = {one.ref: [problem.summary for problem in one.problems] for one in again.resources}
    assert any(change.field in summary for summary in told[change.ref])


@given(clouds(orderly=True), st.data())
def test_something_new_is_all_that_the_next_plan_holds(pair, data):
    plan = planned(pair)
    leaves = [one.ref for one in plan.doing(Action.CREATE) if not plan.graph.out_degree(one.ref)]
    # Without what it names, a scope names nothing.
    named = {"server"} if pair.scope.kind is ScopeKind.HOST else set()
    leaves = [ref for ref in leaves if ref.id not in pair.scope.names and ref.type not in named]
    assume(leaves)
    new = data.draw(st.sampled_from(leaves))
    event(new.type)
    earlier = Inventory("source", (one for one in pair.source if one.ref != new), facts=pair.source.facts)
    first = planned(replace(pair, source=earlier))
    there, ids = carry_out(first, pair.destination)
    again = planned(replace(pair, destination=there), known=ids)
    expected = {one.ref for one in plan.doing(Action.CREATE)} - first.by_ref.keys()
    # What refers to something new, and did without it before, gets the reference now.
    waiting = {
        one.ref
        for one in again.doing(Action.UPDATE)
        for found in REGISTRY[one.ref.type].references(one.resource.fields)
        if found.field.optional and found.ref in expected and found.field.name in one.changed
    }
    assert {ref for ref, *_ in to_do(again)} == expected | waiting, to_do(again)
