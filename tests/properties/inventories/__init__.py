"""Strategies for the inventories of whole clouds, all types in them, and for what to move of them.

What a builder makes is consistent: ids lead to something, addresses lie in their ranges, names are unique
where the services demand it. Everything else is as odd as the services allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from inventories import machines, nets, others, people
from inventories.world import REGISTRY, World
from pumphouse.model import Inventory, Resource, Scope, ScopeKind, Strategy
from pumphouse.resource import Policy

ZONES = {"zones": ["nova"]}


@dataclass(frozen=True, kw_only=True)
class Clouds:
    """Two clouds, and what to move from the one to the other."""

    source: Inventory
    destination: Inventory
    scope: Scope

    def told(self) -> str:
        """What a failure shows: each resource with those fields that say anything."""
        lines = [f"{self.scope} ({self.scope.strategy}) of"]
        for one in sorted(self.source, key=lambda one: one.ref):
            told = {name: value for name, value in one.fields.items() if value not in (None, "", [], {})}
            lines.append(f"{one} {told}")
        return "\n".join(lines)


@st.composite
def clouds(draw: Any, *, orderly: bool = False) -> Clouds:
    """A source with tenants, a destination with only what is never made, and a scope that names something.

    :param orderly: everything can be moved, and the destination offers all that fields ask for.
    """
    world = World(draw, orderly=orderly)
    for builder in (people, nets, machines, others):
        builder.build(world)
    source = Inventory("source", draw(st.permutations(list(world.resources.values()))), facts=_facts(world))
    return Clouds(
        source=source,
        destination=Inventory("destination", _mapped(source), facts=_facts(world)),
        scope=draw(scopes(source)),
    )


def _facts(world: World) -> dict[str, Any]:
    """What a cloud offers: all, or the newest and the oldest of it by chance."""
    asked = {one.extension for kind in REGISTRY.values() for one in kind.carried() if one.extension}
    versions = {"compute": world.oddly("2.96", "2.1"), "block-storage": world.oddly("3.70", "3.0")}
    offered = asked if world.orderly else world.several(sorted(asked), most=len(asked))
    return {
        "cloud": {"microversions": versions, "extensions": sorted(offered)},
        "quota": {"compute": {"instances": world.oddly(-1, 1)}},
        "volume": {"types": {"fast": {"multiattach": True}}, **ZONES},
        "server": ZONES,
    }


def _mapped(source: Inventory) -> list[Resource]:
    """The destination's own of what is mapped and never made, under ids of its own."""
    return [
        Resource(
            ref=one.ref._replace(id=f"destination-{one.ref.id}"),
            name=one.name,
            project_id="another",
            fields={**one.fields, "project_id": "another"} if "project_id" in one.fields else one.fields,
            facts=one.facts,
        )
        for one in source
        if REGISTRY[one.ref.type].policy(one) is Policy.MAP
    ]


@st.composite
def scopes(draw: Any, source: Inventory) -> Scope:
    """One or two tenants or servers, a host, images or a tenant's people, by id or by name."""
    strategy = draw(st.sampled_from(Strategy))
    kinds = [ScopeKind.TENANT, ScopeKind.TENANT, ScopeKind.IDENTITY]
    kinds += [ScopeKind(kind) for kind in ("server", "image") if source.of_type(kind)]
    hosts = sorted({one.facts["host"] for one in source.of_type("server")})
    kind = draw(st.sampled_from([*kinds, ScopeKind.HOST] if hosts else kinds))
    if kind is ScopeKind.HOST:
        return Scope(kind=kind, names=(draw(st.sampled_from(hosts)),), strategy=strategy)
    named = "project" if kind in {ScopeKind.TENANT, ScopeKind.IDENTITY} else str(kind)
    there = list(source.of_type(named))
    chosen = draw(st.lists(st.sampled_from(there), min_size=1, max_size=2, unique_by=lambda one: one.ref))
    return Scope(kind=kind, names=tuple(one.ref.id for one in chosen), strategy=strategy)
