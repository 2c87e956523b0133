"""Types whose API is a plain collection: list, show, create, change, delete. Most of them are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI
from pumphouse.compare import unset
from pumphouse.fields import Role, drop
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Reach, ResourceType, Want


class RestType(ResourceType):
    """A type that lives at ``{path}`` and ``{path}/{id}``.

    Its bodies come in an envelope, ``{item: {...}}`` or ``{items: [...]}``. A subclass overrides what
    differs: most often :meth:`read`, which turns a body into a resource.
    """

    path: ClassVar[str]
    item: ClassVar[str]
    items: ClassVar[str]
    list_path: ClassVar[str] = ""
    """Where the list is, if not at ``path`` (``/volumes/detail``)."""
    list_params: ClassVar[Mapping[str, Any]] = {}
    up_to: ClassVar[str | None] = None
    """The newest microversion that this type understands."""
    update_method: ClassVar[str] = "put"

    def read(self, body: Mapping[str, Any]) -> Resource:
        """One body of the API as a resource."""
        return Resource(
            ref=Ref(self.name, str(body["id"])),
            name=str(body.get("name") or ""),
            project_id=body.get("project_id") or None,
            fields=self.pick(body),
            facts=self.facts(body),
            made_from=self.made_from(body),
        )

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What planning must know of a body besides its fields."""
        return {}

    def made_from(self, body: Mapping[str, Any]) -> str | None:
        """The source's id, where a marker in the body tells it."""
        return None

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterable[Resource]:
        """Every resource, by one paged list."""
        for body in cloud.each(
            self.service, self.list_path or self.path, self.items, params=self.list_params, up_to=self.up_to
        ):
            yield self.read(body)

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """One resource, or None."""
        try:
            body = cloud.get(self.service, f"{self.path}/{identity}", up_to=self.up_to)
        except errors.NotFound:
            return None
        return self.read(body[self.item])

    def body(self, want: Want) -> dict[str, Any]:
        """The create request's body: every carried field that has a value."""
        return {
            field.name: want.fields[field.name]
            for field in self.carried()
            if field.role is Role.COPY and want.fields.get(field.name) is not None
        }

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """POST to the collection."""
        answer = cloud.post(self.service, self.path, {self.item: self.body(want)}, up_to=self.up_to)
        return str(answer[self.item]["id"])

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """PUT or PATCH of the changed fields alone."""
        send = cloud.put if self.update_method == "put" else cloud.patch
        send(self.service, f"{self.path}/{identity}", {self.item: dict(changed)}, up_to=self.up_to)

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """DELETE, already gone or not."""
        return cloud.delete(self.service, f"{self.path}/{identity}", up_to=self.up_to)


MARKER_TAG = "pumphouse-source="

STANDARD = (
    drop("id", why="the destination assigns it"),
    drop("tenant_id", why="the old name of project_id"),
    drop("revision_number", why="the destination counts it"),
    drop("created_at", why="the destination tells it"),
    drop("updated_at", why="the destination tells it"),
)
"""What every network resource has and none carries."""


class NeutronType(RestType):
    """A network resource with tags: the marker is the tag ``pumphouse-source=<id>``.

    Neutron has no way to create and tag at once on the releases in use, so a resource whose tag was not yet
    set when the process died is recognised by its description, which is the marker until the tag is set; or
    by its identity among the untagged ones, where nobody else makes one of the same by chance.
    """

    tagged: ClassVar[bool] = True
    described: ClassVar[bool] = False
    """Whether the description is the marker at first."""

    def read(self, body: Mapping[str, Any]) -> Resource:
        """The body without our marker among its tags."""
        tags = [tag for tag in body.get("tags") or [] if not tag.startswith(MARKER_TAG)]
        return Resource(
            ref=Ref(self.name, str(body["id"])),
            name=str(body.get("name") or ""),
            project_id=body.get("project_id") or None,
            fields=self.pick({**body, "tags": sorted(tags)} if "tags" in body else body),
            facts=self.facts(body),
            made_from=self.made_from(body),
        )

    def made_from(self, body: Mapping[str, Any]) -> str | None:
        """The id in the marker."""
        for tag in [*(body.get("tags") or []), body.get("description") or ""]:
            if tag.startswith(MARKER_TAG):
                return str(tag.removeprefix(MARKER_TAG))
        return None

    def body(self, want: Want) -> dict[str, Any]:
        """The body without tags, which have a request of their own."""
        body = {name: value for name, value in super().body(want).items() if name != "tags"}
        return {**body, "description": f"{MARKER_TAG}{want.marker}"} if self.described else body

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Set the tags, the marker among them, and then the description."""
        is_marked = there is not None and there.made_from == want.marker
        if is_marked and not unset(self, want.fields, there) & {"tags", "description"}:
            return
        if self.tagged:
            tags = sorted({*want.fields.get("tags", ()), f"{MARKER_TAG}{want.marker}"})
            cloud.put(self.service, f"{self.path}/{identity}/tags", {"tags": tags})
        if self.described:
            self.update(cloud, identity, want, {"description": want.fields["description"]})

    def unmark(self, cloud: CloudAPI, identity: str) -> None:
        """Set the other tags."""
        there = self.show(cloud, identity, project_id=None)
        if there is not None and there.made_from is not None:
            tags = list(there.fields.get("tags", ()))
            cloud.put(self.service, f"{self.path}/{identity}/tags", {"tags": tags})

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """By marker; else, unless it was described, the unmarked one of the same project and identity."""
        params = {"project_id": want.project_id} if want.project_id else {}
        found = [self.read(body) for body in cloud.each(self.service, self.path, self.items, params=params)]
        marked = [one for one in found if one.made_from == want.marker]
        identity = None if self.described else self.identity(want.fields)
        same = [
            one
            for one in found
            if identity is not None
            and one.made_from is None
            and one.ref.id not in want.others
            and self.identity(one.fields) == identity
        ]
        return next((one.ref.id for one in [*marked, *same]), None)

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """PUT of the changed fields; tags by their own request."""
        rest = {name: value for name, value in changed.items() if name != "tags"}
        if rest:
            super().update(cloud, identity, want, rest)
        if "tags" in changed:
            tags = sorted({*changed["tags"], f"{MARKER_TAG}{want.marker}"})
            cloud.put(self.service, f"{self.path}/{identity}/tags", {"tags": tags})
