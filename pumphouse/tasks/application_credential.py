"""Application credentials: secrets with which a user's programs log in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.identity import users_within
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Problem, Reach, ScopeLevel, Severity
from pumphouse.rest import RestType


class ApplicationCredential(RestType):
    """A secret with which a user's programs log in. It can be neither read nor set, so people make new ones.

    Its id here is its path in the API.
    """

    name = "application_credential"
    service = Service.IDENTITY
    scope = ScopeLevel.PROJECT
    after = ("user", "group", "role_assignment")
    path, item, items = "", "application_credential", "application_credentials"
    fields = (
        ref("user_id", to="user", key=True),
        key("name"),
        ref("project_id", to="project"),
        copy("expires_at"),
        drop("secret", why="the service never tells it"),
        drop("id", why="the service assigns it"),
        drop("description", why="people tell their own"),
        drop("roles", why="the user chooses them, among those it has in the project"),
        drop("unrestricted", why="the user chooses it"),
        drop("access_rules", why="the user chooses them"),
        drop("system", why="a credential for the whole cloud is its operators' own"),
        drop("links", why="the service's own addresses"),
    )
    steps = ()

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """A call for each user within reach: there is no list for all."""
        if not reach.people:
            return
        for user in sorted(users_within(seen, reach)):
            path = f"/users/{user}/{self.items}"
            try:
                found = cloud.list(self.service, path, self.items)
            except errors.NotFound:
                continue  # the user is gone by now, or the service has none
            for body in found:
                yield self._read(user, body)

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """One by its path."""
        try:
            body = cloud.get(self.service, f"/{identity}")[self.item]
        except errors.NotFound:
            return None
        return self._read(identity.split("/")[1], body)

    def _read(self, user: str, body: dict[str, Any]) -> Resource:
        identity = f"users/{user}/{self.items}/{body['id']}"
        return Resource(
            ref=Ref(self.name, identity),
            name=str(body["name"]),
            project_id=body.get("project_id"),
            fields=self.pick({**body, "user_id": user}),
        )

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Always: only its user can make it."""
        user = source.get(Ref("user", resource.fields["user_id"]))
        yield Problem(
            severity=Severity.LOST,
            summary="its secret cannot be read",
            next_step=f"User {user.name if user else resource.fields['user_id']} makes a new one on the "
            "destination and gives it to the programs that log in with it.",
        )
