"""Flavors: the sizes of servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.compare import unset
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Adopt, Reach, ScopeLevel, Want
from pumphouse.rest import MARKER_TAG, RestType
from pumphouse.steps import Create, Verify

DESCRIBED = "2.55"
"""The microversion that brought descriptions."""


class Flavor(RestType):
    """The size of a server and what its hypervisor shall give it. Shared by all projects, or by some.

    Its id is kept where it is free: tools of the tenants name flavors by id.
    """

    name = "flavor"
    service = Service.COMPUTE
    scope = ScopeLevel.CLOUD
    adopt = Adopt.SAME
    marked = False
    path, item, items = "/flavors", "flavor", "flavors"
    list_path = "/flavors/detail"
    list_params = {"is_public": "None"}  # noqa: RUF012 -- typed as a constant by the base class
    up_to = "2.61"
    fields = (
        key("name", mapping="flavors"),
        copy("ram", fixed=True),
        copy("vcpus", fixed=True),
        copy("disk", fixed=True, default=0),
        copy("ephemeral", fixed=True, default=0),
        copy("swap", fixed=True, default=0),
        copy("rxtx_factor", fixed=True, default=1.0),
        copy("is_public", fixed=True, default=True),
        copy("description", since=DESCRIBED),
        copy("extra_specs", default={}),
        ref("access", to="project", optional=True, fixed=False, at_least=True),
        drop("id", why="kept where it is free on the destination"),
        drop("disabled", why="no API sets it"),
        drop("links", why="the service's own addresses"),
    )
    steps = (Create, Verify)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list; the access of private flavors, and on old clouds all extra specs, a call each."""
        for body in cloud.each(
            self.service, self.list_path, self.items, params=self.list_params, up_to=self.up_to
        ):
            yield self.read(self._whole(cloud, body))

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """One flavor with its specs and access."""
        try:
            body = cloud.get(self.service, f"{self.path}/{identity}", up_to=self.up_to)["flavor"]
        except errors.NotFound:
            return None
        return self.read(self._whole(cloud, body))

    def read(self, body: Mapping[str, Any]) -> Resource:
        """A body under the names of the declaration."""
        fields = {
            **body,
            "ephemeral": body.get("OS-FLV-EXT-DATA:ephemeral"),
            # Before 2.75 "" stands for none.
            "swap": body.get("swap") or 0,
            "is_public": body.get("os-flavor-access:is_public"),
        }
        return Resource(ref=Ref(self.name, str(body["id"])), name=str(body["name"]), fields=self.pick(fields))

    def _whole(self, cloud: CloudAPI, body: Mapping[str, Any]) -> dict[str, Any]:
        whole = {**body, "access": []}
        if "extra_specs" not in body:
            specs = cloud.get(self.service, f"{self.path}/{body['id']}/os-extra_specs")
            whole["extra_specs"] = specs["extra_specs"]
        if not body.get("os-flavor-access:is_public", True):
            access = cloud.get(self.service, f"{self.path}/{body['id']}/os-flavor-access")["flavor_access"]
            whole["access"] = sorted(str(entry["tenant_id"]) for entry in access)
        return whole

    # -- deciding

    def tenants(self, resource: Resource, inventory: Inventory) -> Iterable[str]:
        """A private flavor belongs to those who may use it."""
        return tuple(resource.fields["access"])

    # -- writing

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """With the source's id, unless another flavor of the destination has it."""
        flavor = {
            "name": want.fields["name"],
            "ram": want.fields["ram"],
            "vcpus": want.fields["vcpus"],
            "disk": want.fields["disk"],
            "OS-FLV-EXT-DATA:ephemeral": want.fields["ephemeral"],
            "swap": want.fields["swap"],
            "rxtx_factor": want.fields["rxtx_factor"],
            "os-flavor-access:is_public": want.fields["is_public"],
        }
        if cloud.supports(self.service, DESCRIBED):
            flavor["description"] = f"{MARKER_TAG}{want.marker}"
        if not cloud.exists(self.service, f"{self.path}/{want.source.ref.id}"):
            flavor["id"] = want.source.ref.id
        answer = cloud.post(self.service, self.path, {"flavor": flavor}, up_to=self.up_to)
        return str(answer["flavor"]["id"])

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Set the description, which was the marker until now, and the extra specs, and grant access."""
        missing = unset(self, want.fields, there)
        if "description" in missing and cloud.supports(self.service, DESCRIBED):
            self._describe(cloud, identity, want.fields.get("description"))
        if "extra_specs" in missing:
            self._set_specs(cloud, identity, want.fields["extra_specs"])
        granted = there.fields["access"] if there is not None else ()
        for project in sorted(set(want.fields["access"]).difference(granted)):
            self._grant(cloud, identity, project)

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """By its description, which is the marker at first; on an old cloud by its name, which is unique."""
        described = cloud.supports(self.service, DESCRIBED)
        for body in cloud.each(
            self.service, self.list_path, self.items, params=self.list_params, up_to=self.up_to
        ):
            ours = not described or body["description"] == f"{MARKER_TAG}{want.marker}"
            if body["name"] == want.fields["name"] and ours and body["id"] not in want.others:
                return str(body["id"])
        return None

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """Set the description, the specs and the access.

        Access that others have is kept. What we granted is taken back when ``changed`` no longer names it.
        """
        if "description" in changed:
            self._describe(cloud, identity, changed["description"])
        if "extra_specs" in changed:
            specs = changed["extra_specs"]
            have = cloud.get(self.service, f"{self.path}/{identity}/os-extra_specs")["extra_specs"]
            for name in sorted(set(have) - set(specs)):
                cloud.delete(self.service, f"{self.path}/{identity}/os-extra_specs/{name}")
            self._set_specs(cloud, identity, specs)
        if "access" in changed:
            for project in changed["access"]:
                self._grant(cloud, identity, project)
            for project in sorted(set(want.fields["access"]) - set(changed["access"])):
                self._revoke(cloud, identity, project)

    def _describe(self, cloud: CloudAPI, identity: str, description: str | None) -> None:
        body = {"flavor": {"description": description}}
        cloud.put(self.service, f"{self.path}/{identity}", body, up_to=self.up_to)

    def _set_specs(self, cloud: CloudAPI, identity: str, specs: Mapping[str, str]) -> None:
        if specs:
            body = {"extra_specs": dict(specs)}
            # Not with 2.86 or newer, which refuses specs that the source's releases took.
            cloud.post(self.service, f"{self.path}/{identity}/os-extra_specs", body, up_to=self.up_to)

    def _grant(self, cloud: CloudAPI, identity: str, project_id: str) -> None:
        try:
            self._act(cloud, identity, "addTenantAccess", project_id)
        except errors.Conflict:
            if project_id not in self._granted(cloud, identity):
                raise

    def _revoke(self, cloud: CloudAPI, identity: str, project_id: str) -> None:
        try:
            self._act(cloud, identity, "removeTenantAccess", project_id)
        except errors.NotFound:
            return  # no longer granted

    def _act(self, cloud: CloudAPI, identity: str, action: str, project_id: str) -> None:
        cloud.post(self.service, f"{self.path}/{identity}/action", {action: {"tenant": project_id}})

    def _granted(self, cloud: CloudAPI, identity: str) -> set[str]:
        access = cloud.get(self.service, f"{self.path}/{identity}/os-flavor-access")["flavor_access"]
        return {str(entry["tenant_id"]) for entry in access}
