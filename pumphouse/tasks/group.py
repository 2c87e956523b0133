"""Groups of users."""

from __future__ import annotations

from pumphouse.fields import copy, drop, key, ref
from pumphouse.identity import ActorType
from pumphouse.resource import ScopeLevel
from pumphouse.steps import Create, Verify


class Group(ActorType):
    """A group of users. Who is in it is told by the users."""

    name = "group"
    scope = ScopeLevel.DOMAIN
    path, item, items = "/groups", "group", "groups"
    fields = (
        ref("domain_id", to="domain", key=True),
        key("name", longest=64),
        copy("description", default=""),
        copy("domain", fixed=True, mapping="domains"),
        drop("id", why="the destination assigns it"),
        drop("links", why="the service's own addresses"),
    )
    steps = (Create, Verify)
