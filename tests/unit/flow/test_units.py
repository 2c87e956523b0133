"""How a plan is divided into flows."""

from __future__ import annotations

from types import SimpleNamespace

import networkx as nx
from toys import one, plan, registry, source

from pumphouse.flow import units
from pumphouse.model import Ref
from pumphouse.resource import Grouping


def divided(made):
    return units.divide(made, registry())


def test_a_server_has_a_flow_of_its_own_with_the_port_made_for_it():
    found, _ = divided(plan())
    assert found["server:v1"].refs == (Ref("port", "a1"), Ref("server", "v1"))
    assert found["server:v1"].label == "server web-1"


def test_every_resource_is_in_one_unit_and_reused_ones_in_none():
    made = plan()
    found, _ = divided(made)
    inside = sorted(ref for unit in found.values() for ref in unit.refs)
    assert inside == sorted(one.ref for one in made.resources if one.action != "reuse")


def test_units_that_need_each_other_both_ways_are_split():
    private = one("flavor", "f1", name="small", ram=512, access=["p1"])
    here = source()
    here = type(here)(
        "source", [private if found.ref == private.ref else found for found in here], facts=here.facts
    )
    _, order = divided(plan(here))
    assert nx.is_directed_acyclic_graph(order)
    assert nx.has_path(order, "tenant p1.0", "shared.1")  # the flavor's access names the project
    assert nx.has_path(order, "shared.1", "server:v1")


def test_a_large_group_is_cut_into_chunks_in_order(monkeypatch):
    monkeypatch.setattr(units, "LARGEST", 2)
    found, order = divided(plan())
    assert max(len(unit.refs) for name, unit in found.items() if ":" not in name) == 2
    assert nx.is_directed_acyclic_graph(order)


def test_a_servers_unit_is_never_cut(monkeypatch):
    """Its volumes would be copied while it runs."""
    whole = {name: unit.refs for name, unit in divided(plan())[0].items() if ":" in name}
    monkeypatch.setattr(units, "LARGEST", 1)
    assert {name: unit.refs for name, unit in divided(plan())[0].items() if ":" in name} == whole
    assert max(map(len, whole.values())) > 1


def test_names_are_the_same_whenever_a_plan_is_compiled():
    made = plan()
    assert divided(made)[0] == divided(made)[0]


def test_servers_that_share_volumes_are_one_unit_whatever_the_order_of_the_volumes():
    """A chain: each volume joins two servers, the outer ones before those between."""
    there = {"project": ["p1"], "server": ["v1", "v2", "v3", "v4", "v9"], "volume": ["a", "b", "c"]}
    shares = {"a": ("v3", "v4"), "b": ("v1", "v2"), "c": ("v2", "v3")}
    graph = nx.DiGraph()
    refs = [Ref(kind, name) for kind, names in there.items() for name in names]
    graph.add_nodes_from(refs)
    for volume, servers in shares.items():
        graph.add_edges_from((Ref("volume", volume), Ref("server", server)) for server in servers)
    kinds = {
        "project": SimpleNamespace(grouping=Grouping.TOGETHER, workload=False),
        "server": SimpleNamespace(grouping=Grouping.ALONE, workload=True),
        "volume": SimpleNamespace(grouping=Grouping.ATTACHED, workload=True),
    }
    keys = units._keys(SimpleNamespace(by_ref={}), kinds, refs, graph)
    together = {keys[ref] for ref in refs if ref.type != "project" and ref.id != "v9"}
    assert together == {"server:v1"}
    assert keys[Ref("server", "v9")] == "server:v9"
