"""Users of the identity service."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI
from pumphouse.fields import copy, drop, key, ref
from pumphouse.identity import ActorType
from pumphouse.model import Action, Inventory, Resource, Side
from pumphouse.resource import Reach, ScopeLevel, Want
from pumphouse.steps import Create, Step, Verify


class Password(Step):
    """Give a user that this migration made its password, after the operator's policy."""

    name = "password"
    doing = "sets its password"

    def run(self) -> None:
        """Once. A user who was there already keeps the password of the destination."""
        context, ref = self.context, self.item.ref
        if self.item.action is not Action.CREATE or not context.journal.open_entries(ref, Create.name):
            return
        entry = context.journal.intend(ref, self.name, Side.DESTINATION)
        if entry.made_id is None:
            identity = self.destination_id()
            context.note(ref, context.passwords.carry(ref.id, identity))
            context.journal.made(entry, identity)


class User(ActorType):
    """A user, with the groups it belongs to. Its password is the business of a step of its own."""

    name = "user"
    scope = ScopeLevel.DOMAIN
    after = ("domain", "group")
    path, item, items = "/users", "user", "users"
    fields = (
        ref("domain_id", to="domain", key=True),
        key("name", mapping="users"),
        copy("email"),
        copy("description"),
        copy("enabled", default=True),
        ref("default_project_id", to="project", optional=True, fixed=False),
        ref("groups", to="group", optional=True, fixed=False, at_least=True),
        copy("options", default={}),
        copy("domain", fixed=True, mapping="domains"),
        drop("id", why="the destination assigns it"),
        drop("password_expires_at", why="it follows from the password and the destination's rules"),
        drop("federated", why="a user of an identity provider is mapped, never made"),
        drop("links", why="the service's own addresses"),
    )
    steps = (Create, Password, Verify)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterable[Resource]:
        """The list of users, and each group's list of members, of which there is none for all groups."""
        groups: dict[str, list[str]] = defaultdict(list)
        for group in seen.of_type("group"):
            # A group that was removed since it was listed has no members.
            with suppress(errors.NotFound):
                for member in cloud.each(self.service, f"/groups/{group.ref.id}/users", "users"):
                    groups[member["id"]].append(group.ref.id)
        names = {domain.ref.id: domain.name for domain in seen.of_type("domain")}
        for body in self.bodies(cloud, seen):
            domain = names.get(body["domain_id"], body["domain_id"])
            yield self.read({**body, "domain": domain, "groups": sorted(groups[body["id"]])})

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """A user with its groups."""
        try:
            body = cloud.get(self.service, f"{self.path}/{identity}")["user"]
            groups = cloud.list(self.service, f"{self.path}/{identity}/groups", "groups")
        except errors.NotFound:
            return None
        return self.read({**body, "groups": sorted(group["id"] for group in groups)})

    # -- writing

    def body(self, want: Want) -> dict[str, Any]:
        """The body with a password that nobody knows, long and mixed enough for the usual rules."""
        return {**super().body(want), "password": f"{secrets.token_urlsafe(32)}aA1-"}

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Put it into its groups."""
        super().finish(cloud, identity, want, there=there)
        joined = there.fields.get("groups", ()) if there is not None else ()
        for group in sorted(set(want.fields.get("groups", ())).difference(joined)):
            cloud.put(self.service, f"/groups/{group}/users/{identity}")

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """PATCH; it joins groups, and leaves those that we put it into and ``changed`` lacks."""
        rest = {name: value for name, value in changed.items() if name != "groups"}
        if rest:
            super().update(cloud, identity, want, rest)
        if "groups" in changed:
            for group in changed["groups"]:
                cloud.put(self.service, f"/groups/{group}/users/{identity}")
            for group in set(want.fields.get("groups", ())).difference(changed["groups"]):
                cloud.delete(self.service, f"/groups/{group}/users/{identity}")
