"""Domains: the realms of names of the identity service."""

from __future__ import annotations

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI
from pumphouse.fields import copy, drop, key
from pumphouse.identity import TaggedKeystoneType
from pumphouse.resource import ScopeLevel
from pumphouse.steps import Create, Verify


class Domain(TaggedKeystoneType):
    """A domain, in which the names of projects, users and groups are unique."""

    name = "domain"
    scope = ScopeLevel.CLOUD
    path, item, items = "/domains", "domain", "domains"
    fields = (
        key("name", mapping="domains", longest=64),
        copy("description", default=""),
        copy("enabled", default=True),
        copy("tags", unordered=True, default=[]),
        copy("options", default={}),
        drop("id", why="the destination assigns it"),
        drop("links", why="the service's own addresses"),
    )
    steps = (Create, Verify)

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Disable and remove it, but never with what others have put into it since.

        Deleting a domain takes its projects, users and groups along. Raises ResourceError if there are any.
        """
        if not cloud.exists(self.service, f"{self.path}/{identity}"):
            return False
        for inside in ("projects", "users", "groups"):
            found = cloud.list(self.service, f"/{inside}", inside, params={"domain_id": identity})
            if found:
                raise errors.ResourceError(
                    f"{len(found)} {inside} are in the domain and would be deleted with it",
                    resource=f"domain {identity}",
                    cloud=cloud.name,
                    next_step="Remove them, or keep the domain.",
                )
        self.release(cloud, identity)
        self.update_body(cloud, identity, {"enabled": False})
        return super().delete(cloud, identity)
