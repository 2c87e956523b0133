"""Types that have no builder of their own yet: what their declaration alone tells."""

from __future__ import annotations

from typing import Any

from inventories.world import REGISTRY, World
from pumphouse.fields import Field, Role
from pumphouse.resource import ScopeLevel

BUILT = frozenset(
    {"domain", "project", "role", "group", "user", "role_assignment", "quota", "network", "subnet"}
    | {"address_scope", "subnet_pool", "security_group", "security_group_rule", "router", "port"}
    | {"floating_ip", "flavor", "keypair", "image", "server_group", "volume", "server"}
)
"""What the other modules build."""


def build(world: World) -> None:
    """A few of each; types are in the order of their references."""
    for kind in [one for one in REGISTRY.values() if one.name not in BUILT]:
        for _ in world.some(0, 3):
            fields = {field.name: _value(world, field) for field in kind.carried() if field.role is Role.COPY}
            project = world.one(world.projects()) if kind.scope is ScopeLevel.PROJECT else None
            fields.pop("project_id", None)
            world.add(kind.name, str(fields.pop("name", "")), project=project, **fields)


def _value(world: World, field: Field) -> Any:
    if "" in field.refs:
        there = world.ids(field.refs[""])
        return world.several(there) if field.at_least else world.maybe(there)
    return world.unlike(field.name) if field.key else field.default
