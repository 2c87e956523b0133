"""Trusts: what users let others do in their name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, ref
from pumphouse.identity import users_within
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Problem, Reach, ScopeLevel, Severity
from pumphouse.rest import RestType


class Trust(RestType):
    """What a user (the trustor) lets another do in its name. Only the trustor itself can make it."""

    name = "trust"
    service = Service.IDENTITY
    scope = ScopeLevel.PROJECT
    after = ("user", "group", "role_assignment")
    path, item, items = "/OS-TRUST/trusts", "trust", "trusts"
    fields = (
        ref("trustor_user_id", to="user"),
        ref("trustee_user_id", to="user"),
        ref("project_id", to="project"),
        copy("expires_at"),
        drop("id", why="the service assigns it"),
        drop("impersonation", why="the trustor chooses it"),
        drop("roles", why="the trustor chooses them, among those it has in the project"),
        drop("remaining_uses", why="of the moment"),
        drop("redelegated_trust_id", why="it names a trust of the source"),
        drop("redelegation_count", why="the trustor chooses it"),
        drop("deleted_at", why="of the moment"),
        drop("links", why="the service's own addresses"),
    )
    steps = ()

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list of all; where that is not allowed, one for each user within reach. None without trusts."""
        if not reach.people:
            return
        names = {user.ref.id: user.name for user in seen.of_type("user")}
        try:
            found = cloud.list(self.service, self.path, self.items)
        except errors.Forbidden:
            found = [
                body
                for user in sorted(users_within(seen, reach))
                for body in cloud.list(self.service, self.path, self.items, params={"trustor_user_id": user})
            ]
        except errors.NotFound:
            return
        for body in found:
            yield self._named(body, names)

    def _named(self, body: Mapping[str, Any], names: Mapping[str, str]) -> Resource:
        """A trust has no name of its own: ``anna trusts ci``."""
        trustor, trustee = (names.get(body[f"{who}_user_id"], body[f"{who}_user_id"]) for who in _WHO)
        return self.read({**body, "name": f"{trustor} trusts {trustee}"})

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Always: nobody can make it in another's name."""
        user = source.get(Ref("user", resource.fields["trustor_user_id"]))
        yield Problem(
            severity=Severity.LOST,
            summary="nobody but its trustor can make it",
            next_step=f"User {user.name if user else resource.fields['trustor_user_id']} makes it again on "
            "the destination; services such as Heat make their own anew.",
        )


_WHO = ("trustor", "trustee")
