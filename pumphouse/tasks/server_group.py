"""Server groups: rules about servers' hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Ref, Resource
from pumphouse.resource import Adopt, ScopeLevel, Want
from pumphouse.rest import RestType
from pumphouse.steps import Create, Verify


class ServerGroup(RestType):
    """Servers that shall, or shall not, share a host. They join it when they are created.

    The API keeps no metadata of it, so there is no marker, and several may have one name.
    """

    name = "server_group"
    service = Service.COMPUTE
    scope = ScopeLevel.PROJECT
    adopt = Adopt.SAME
    acts_in_project = True
    marked = False
    path, item, items = "/os-server-groups", "server_group", "server_groups"
    list_params = {"all_projects": "true"}  # noqa: RUF012 -- typed as a constant by the base class
    up_to = "2.64"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        key("policy"),
        copy("rules", since="2.64", fixed=True, default={}),
        drop("id", why="the destination assigns it"),
        drop("members", why="servers join it when they are created"),
        drop("user_id", why="the operator's user creates it"),
        drop("policies", why="the form of policy before 2.64"),
        drop("metadata", why="the service does not use it"),
    )
    steps = (Create, Verify)

    def read(self, body: Mapping[str, Any]) -> Resource:
        """A body of any microversion: ``policies`` became ``policy`` in 2.64."""
        policy = body.get("policy") or next(iter(body.get("policies") or ()), "")
        return Resource(
            ref=Ref(self.name, str(body["id"])),
            name=str(body["name"]),
            project_id=body.get("project_id") or None,
            fields=self.pick({**body, "policy": policy}),
            facts={"members": sorted(body.get("members") or ())},
        )

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """In the form that the destination understands."""
        body: dict[str, Any] = {"name": want.fields["name"]}
        if cloud.supports(self.service, "2.64"):
            body["policy"] = want.fields["policy"]
            if want.fields.get("rules"):
                body["rules"] = want.fields["rules"]
        else:
            body["policies"] = [want.fields["policy"]]
        answer = cloud.post(self.service, self.path, {"server_group": body}, up_to=self.up_to)
        return str(answer["server_group"]["id"])

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """The operator's own one of the same name and policy that no server is in yet."""
        return next(
            (
                str(body["id"])
                for body in self._same(cloud, want)
                if body["id"] not in want.others
                and not body["members"]
                and body.get("user_id", cloud.user_id) == cloud.user_id
            ),
            None,
        )

    def alike(self, cloud: CloudAPI, want: Want) -> list[str]:
        """All of that name and policy."""
        return [str(body["id"]) for body in self._same(cloud, want)]

    def _same(self, cloud: CloudAPI, want: Want) -> Iterator[dict[str, Any]]:
        """Those of the project in whose name ``cloud`` acts."""
        for body in cloud.each(self.service, self.path, self.items, up_to=self.up_to):
            if self.identity(self.read(body).fields) == self.identity(want.fields):
                yield body
