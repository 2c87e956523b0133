"""Roles of the identity service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI
from pumphouse.fields import copy, drop, key, ref
from pumphouse.identity import KeystoneType
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Policy, Reach, ScopeLevel, Want
from pumphouse.steps import Create, Verify


class Role(KeystoneType):
    """A role, of all domains or of one, with the roles that it implies.

    Roles of all domains whose name starts with ``_`` are the cloud's own: they are mapped, never made.
    """

    name = "role"
    scope = ScopeLevel.CLOUD
    after = ("domain",)
    path, item, items = "/roles", "role", "roles"
    fields = (
        ref("domain_id", to="domain", key=True),
        key("name", mapping="roles"),
        copy("description", default=""),
        copy("options", default={}),
        ref("implies", to="role", fixed=False, at_least=True),
        drop("id", why="the destination assigns it"),
        drop("links", why="the service's own addresses"),
    )
    steps = (Create, Verify)

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterable[Resource]:
        """One list of the roles for all domains, one for each domain, and one of all inferences."""
        inferences = {
            str(one["prior_role"]["id"]): sorted(str(implied["id"]) for implied in one["implies"])
            for one in cloud.each(self.service, "/role_inferences", "role_inferences")
        }
        of_domains = (
            cloud.list(self.service, self.path, self.items, params={"domain_id": domain.ref.id})
            for domain in seen.of_type("domain")
        )
        for body in chain(cloud.list(self.service, self.path, self.items), *of_domains):
            yield self.read({**body, "implies": inferences.get(str(body["id"]), [])})

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """A role with what it implies."""
        try:
            body = cloud.get(self.service, f"{self.path}/{identity}")["role"]
            inference = cloud.get(self.service, f"{self.path}/{identity}/implies")["role_inference"]
        except errors.NotFound:
            return None
        return self.read({**body, "implies": sorted(str(one["id"]) for one in inference["implies"])})

    def policy(self, resource: Resource) -> Policy:
        """The cloud's own roles are mapped. A role of a domain is never one of them."""
        own = resource.name.startswith("_") and not resource.fields["domain_id"]
        return Policy.MAP if own else Policy.MOVE

    def body(self, want: Want) -> dict[str, Any]:
        """What a role implies has requests of its own."""
        return {name: value for name, value in super().body(want).items() if name != "implies"}

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Let it imply what it implies on the source."""
        super().finish(cloud, identity, want, there=there)
        implies = there.fields["implies"] if there is not None else ()
        for implied in sorted(set(want.fields["implies"]).difference(implies)):
            cloud.put(self.service, f"{self.path}/{identity}/implies/{implied}")

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """PATCH; implied roles one by one."""
        rest = {name: value for name, value in changed.items() if name != "implies"}
        if rest:
            super().update(cloud, identity, want, rest)
        if "implies" in changed:
            for implied in changed["implies"]:
                cloud.put(self.service, f"{self.path}/{identity}/implies/{implied}")
            for implied in set(want.fields["implies"]).difference(changed["implies"]):
                cloud.delete(self.service, f"{self.path}/{identity}/implies/{implied}")

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Remove it, also an immutable one."""
        self.release(cloud, identity)
        return super().delete(cloud, identity)
