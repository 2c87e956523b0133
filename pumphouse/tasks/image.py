"""Images: what servers boot from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pumphouse import errors, transfer
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.compare import differences
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Action, Inventory, Ref, Resource, Side
from pumphouse.moving.carrying import carry_data
from pumphouse.moving.image_properties import MARKER, OTHER_CLOUDS, is_custom
from pumphouse.moving.movers import direct_url
from pumphouse.resource import Adopt, Grouping, Problem, Reach, ScopeLevel, Severity, Want
from pumphouse.rest import RestType
from pumphouse.steps import Create, Step, Verify, once


class CopyData(Step):
    """Stream the image's data from Glance to Glance."""

    name = "copy_data"
    doing = "copies its data"

    def run(self) -> Any:
        """The number of bytes. An active image with other data is removed and made again."""
        if self.item.action is not Action.CREATE:
            return None
        there = self._there()
        if there is None or there["status"] != "queued":
            if there is not None and self._arrived(there):
                return there["size"]
            self._make_again()
        try:
            return self._copy()
        except transfer.SpoiltImage:
            self._make_again()
            return self._copy()

    def _copy(self) -> int:
        here = self.context.source.get(Service.IMAGE, f"/images/{self.item.ref.id}")
        # Of the size that was planned: one that has been made anew since is refused.
        planned = {**here, "size": int(self.item.resource.facts["size"])}
        return carry_data(self, planned, self.destination_id()).bytes

    def _arrived(self, there: Mapping[str, Any]) -> bool:
        here = self.context.source.get(Service.IMAGE, f"/images/{self.item.ref.id}")
        done = there["status"] in {"active", "deactivated"}
        return done and transfer.compare_image_data(here, there).same is True

    def _there(self) -> Mapping[str, Any] | None:
        try:
            return self.context.destination.get(Service.IMAGE, f"/images/{self.destination_id()}")
        except errors.NotFound:
            return None

    def _make_again(self) -> None:
        """A record that has, or had, data takes no other: delete it and create another.

        The id map tells of the old one until the new one is there, so that an attempt that was cut short
        comes here again; the journal tells of an intent, so that it finds what that attempt made.
        """
        context, kind = self.context, self.item.kind
        kind.delete(context.destination, self.destination_id())
        want = self.want()
        entries = context.journal.open_entries(self.item.ref, Create.name)
        for entry in entries:
            context.journal.removed(entry)
        detail = {"project_id": want.project_id}
        entry = context.journal.intend(self.item.ref, Create.name, Side.DESTINATION, detail=detail)
        cloud = context.destination
        made = kind.find(cloud, want) or once(
            lambda: kind.create(cloud, want), lambda: kind.find(cloud, want)
        )
        context.journal.made(entry, made)
        context.ids.put(self.item.ref, made, made=True)
        kind.finish(cloud, made, want, there=None)


class Finish(Step):
    """Set what stands in the way of anything else: the protection, and taking it out of use."""

    name = "finish"
    doing = "sets its protection"

    def run(self) -> Any:
        """Nothing."""
        if self.item.action is not Action.CREATE:
            return
        fields, identity = self.want().fields, self.destination_id()
        if fields["protected"]:
            _patch(self.context.destination, identity, [_replace("protected", value=True)])
        if fields["deactivated"]:
            self.context.destination.post(Service.IMAGE, f"/images/{identity}/actions/deactivate", None)


class VerifyImage(Verify):
    """Compare the image's content, too."""

    def compare(self) -> None:
        """As :class:`Verify`; content that the clouds hash in different ways was compared while copying."""
        kind, want = self.item.kind, self.want()
        have = kind.show(self.context.destination, self.destination_id(), project_id=want.project_id)
        if have is None or have.facts["status"] not in {"active", "deactivated"}:
            self.fail("it is not there" if have is None else f"its status is {have.facts['status']}")
            return
        fields = dict(want.fields)
        if _algorithm(fields["content"]) != _algorithm(have.fields["content"]):
            del fields["content"]
        found = differences(kind, fields, have.fields)
        if found:
            self.fail("; ".join(map(str, found)))


class Image(RestType):
    """A disk that servers boot from, or a part of one (kernel, ramdisk). It belongs to a project.

    Names are not unique; the identity is owner, name and content, so that the same image is never sent twice.
    """

    name = "image"
    service = Service.IMAGE
    scope = ScopeLevel.PROJECT
    adopt = Adopt.SAME
    grouping = Grouping.ALONE
    path, item, items = "/images", "", "images"
    list_params = {"member_status": "all"}  # noqa: RUF012 -- typed as a constant by the base class
    fields = (
        ref("owner", to="project", key=True),
        key("name"),
        key("content"),
        copy("size", fixed=True),
        copy("visibility"),
        copy("disk_format", fixed=True),
        copy("container_format", fixed=True),
        copy("min_disk", default=0),
        copy("min_ram", default=0),
        copy("protected", default=False),
        copy("os_hidden", default=False),
        copy("deactivated", default=False),
        copy("tags", unordered=True, default=[]),
        copy("members", refs={"member": "project"}, optional=True, unordered=True, at_least=True, default=[]),
        copy("properties", default={}),
        ref("kernel_id", to="image", fixed=False),
        ref("ramdisk_id", to="image", fixed=False),
        ref("base_image_ref", to="image", optional=True, fixed=False),
        drop("id", why="kept where the destination has never used it"),
        drop("checksum", why="part of content where there is no better hash"),
        drop("os_hash_algo", why="part of content"),
        drop("os_hash_value", why="part of content"),
        drop("status", why="active on both, or deactivated"),
        drop("virtual_size", why="the destination computes it"),
        drop("created_at", why="the destination's own"),
        drop("updated_at", why="the destination's own"),
        drop("direct_url", why="where the source keeps it"),
        drop("locations", why="where the source keeps it"),
        drop("stores", why="where the source keeps it"),
        drop("self", why="the service's own address"),
        drop("file", why="the service's own address"),
        drop("schema", why="the service's own address"),
        drop("os_glance_*", why="the service's own notes"),
        drop("os_hash_*", why="part of content"),
        drop("owner_specified.openstack.*", why="a client's notes of an upload to the source"),
        *(drop(name, why=why) for name, why in OTHER_CLOUDS.items()),
    )
    steps = (Create, CopyData, Finish, VerifyImage)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list of shown and one of hidden images, without their members."""
        for hidden in ("false", "true"):
            params = {**self.list_params, "os_hidden": hidden}
            yield from map(self.read, cloud.each(self.service, self.path, self.items, params=params))

    def survey(self, cloud: CloudAPI, *, reach: Reach) -> Mapping[str, Any]:
        """What the service can import by itself, and where it and its like in other regions are."""
        try:
            methods = cloud.get(self.service, "/info/import")["import-methods"]["value"]
        except (errors.NotFound, errors.Forbidden):
            methods = []  # before imports there were none
        return {"import_methods": sorted(methods), "addresses": dict(cloud.addresses(self.service))}

    def data_is_open(self, resource: Resource) -> bool:
        """Where the source keeps it may be open to all."""
        return bool(resource.facts.get("open"))

    def data(self, resource: Resource) -> str | None:
        """The hash of its data, without the size that stands beside it."""
        content = resource.fields.get("content")
        return str(content).rpartition(":")[0] if content else None

    def partly_listed(self, resource: Resource) -> bool:
        """Its members, which only a shared one has."""
        return bool(resource.fields["visibility"] == "shared")

    def complete(self, cloud: CloudAPI, resource: Resource) -> Resource:
        """With its members."""
        members = self._members(cloud, resource.ref.id, resource.fields)
        return replace(resource, fields={**resource.fields, "members": members})

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """One image with its members."""
        try:
            body = cloud.get(self.service, f"{self.path}/{identity}")
        except errors.NotFound:
            return None
        return self.read({**body, "members": self._members(cloud, identity, body)})

    def read(self, body: Mapping[str, Any]) -> Resource:
        """A body, with its custom properties as one field."""
        fields = {
            **body,
            "content": content(body),
            "deactivated": body["status"] == "deactivated",
            "tags": sorted(body.get("tags") or ()),
            "properties": {name: value for name, value in sorted(body.items()) if is_custom(name)},
        }
        return Resource(
            ref=Ref(self.name, str(body["id"])),
            name=str(body.get("name") or ""),
            project_id=body.get("owner") or None,
            fields=self.pick(fields),
            facts={
                "status": body["status"],
                "size": body.get("size") or 0,
                "virtual_size": body.get("virtual_size"),
                "instance_uuid": body.get("instance_uuid"),
                "block_device_mapping": "block_device_mapping" in body
                and body["block_device_mapping"] != "[]",
                "encrypted": bool(body.get("cinder_encryption_key_id")),
                "signed": "img_signature" in body,
                "open": bool(direct_url(body)),
            },
            made_from=body.get(MARKER),
        )

    def _members(self, cloud: CloudAPI, identity: str, body: Mapping[str, Any]) -> list[dict[str, str]]:
        if body.get("visibility") != "shared":
            return []
        found = cloud.list(self.service, f"{self.path}/{identity}/members", "members")
        members = [{"member": str(one["member_id"]), "status": str(one["status"])} for one in found]
        return sorted(members, key=lambda one: one["member"])

    # -- deciding

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """An image without bytes, or with bytes that nobody but the source can read, does not move."""
        facts = resource.facts
        if facts["status"] not in {"active", "deactivated"}:
            yield _block(f"its status is {facts['status']}", "Wait until it is active, or leave it out.")
        elif facts["block_device_mapping"] and not facts["size"]:
            yield _block(
                "it is the snapshot of a server that boots from a volume, and has no bytes of its own",
                "Migrate the volume instead, or make a volume of the snapshot first.",
            )
        if facts["encrypted"]:
            yield _block("its key is in the source's key manager", "Make an image that is not encrypted.")
        if facts["signed"]:
            yield Problem(
                severity=Severity.LOST,
                summary="its signature: the certificate is in the source's key manager",
                field="properties",
                next_step="Sign it again on the destination.",
            )

    def unfinished(self, there: Resource) -> str:
        """Without its data."""
        status = there.facts["status"]
        return "" if status in {"active", "deactivated"} else f"its status is {status}"

    def size(self, resource: Resource) -> int:
        """The bytes that travel."""
        return int(resource.facts["size"])

    # -- writing

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """The record alone, with the source's id unless the destination has, or had, one with that id."""
        fields = want.fields
        body = {
            **fields["properties"],
            "name": fields["name"],
            "owner": want.project_id,
            "visibility": fields["visibility"],
            "disk_format": fields["disk_format"],
            "container_format": fields["container_format"],
            "min_disk": fields["min_disk"],
            "min_ram": fields["min_ram"],
            "os_hidden": fields["os_hidden"],
            "tags": fields["tags"],
            **{
                name: fields[name]
                for name in ("kernel_id", "ramdisk_id", "base_image_ref")
                if fields.get(name)
            },
            MARKER: want.marker,
        }
        body = {name: value for name, value in body.items() if value is not None}
        try:
            answer = cloud.post(self.service, self.path, {**body, "id": want.source.ref.id})
        except errors.Conflict:
            # The service remembers the ids of deleted images for ever.
            answer = cloud.post(self.service, self.path, body)
        return str(answer["id"])

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Share it."""
        shared = there.fields.get("members", ()) if there is not None else ()
        for member in want.fields["members"]:
            if member not in shared:
                self._share(cloud, identity, member)

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """By marker, among the owner's."""
        for body in cloud.each(self.service, self.path, self.items, params={"owner": want.project_id}):
            if body.get(MARKER) == want.marker:
                return str(body["id"])
        return None

    def unmark(self, cloud: CloudAPI, identity: str) -> None:
        """A JSON patch."""
        if MARKER in cloud.get(self.service, f"{self.path}/{identity}"):
            _patch(cloud, identity, [{"op": "remove", "path": _pointer(MARKER)}])

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """One JSON patch; then members, and the use of it."""
        body = cloud.get(self.service, f"{self.path}/{identity}")
        plain = {"visibility", "min_disk", "min_ram", "os_hidden", "tags", "protected"}
        patch = [_replace(name, value=changed[name]) for name in sorted(plain & set(changed))]
        wanted = {
            name: changed[name] for name in ("kernel_id", "ramdisk_id", "base_image_ref") if name in changed
        }
        if "properties" in changed:
            have = {name for name in body if is_custom(name)}
            wanted |= dict.fromkeys(have) | dict(changed["properties"])
        for name, value in sorted(wanted.items()):
            if value is None and name in body:
                patch.append({"op": "remove", "path": _pointer(name)})
            elif value is not None and body.get(name) != value:
                patch.append({"op": "add", "path": _pointer(name), "value": value})
        if patch:
            _patch(cloud, identity, patch)
        if "members" in changed:
            self._set_members(cloud, identity, want, changed["members"])
        if "deactivated" in changed:
            action = "deactivate" if changed["deactivated"] else "reactivate"
            cloud.post(self.service, f"{self.path}/{identity}/actions/{action}", None)

    def _set_members(
        self, cloud: CloudAPI, identity: str, want: Want, members: Sequence[Mapping[str, str]]
    ) -> None:
        """Share it with these, and no longer with those whom we added and ``members`` lacks."""
        for member in members:
            self._share(cloud, identity, member)
        named = {member["member"] for member in members}
        for project in sorted({member["member"] for member in want.fields["members"]} - named):
            cloud.delete(self.service, f"{self.path}/{identity}/members/{project}")

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Also a protected one: it is ours."""
        try:
            body = cloud.get(self.service, f"{self.path}/{identity}")
        except errors.NotFound:
            return False
        if body.get("protected"):
            _patch(cloud, identity, [_replace("protected", value=False)])
        return super().delete(cloud, identity)

    def _share(self, cloud: CloudAPI, identity: str, member: Mapping[str, str]) -> None:
        """Add a member and answer for it: an administrator may do what owner and member may."""
        path = f"{self.path}/{identity}/members"
        with suppress(errors.Conflict):  # a member already: its answer is set below
            cloud.post(self.service, path, {"member": member["member"]})
        if member["status"] != "pending":
            cloud.put(self.service, f"{path}/{member['member']}", {"status": member["status"]})


def content(body: Mapping[str, Any]) -> str | None:
    """What the service says of the bytes: ``<algorithm>:<hash>:<size>``, or None without a hash."""
    if body.get("os_hash_value"):
        return f"{body['os_hash_algo']}:{body['os_hash_value']}:{body['size']}"
    return f"md5:{body['checksum']}:{body['size']}" if body.get("checksum") else None


def _algorithm(told: str | None) -> str:
    return (told or "").partition(":")[0]


def _pointer(name: str) -> str:
    """A property's JSON pointer (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _replace(name: str, *, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": _pointer(name), "value": value}


def _patch(cloud: CloudAPI, identity: str, operations: list[dict[str, Any]]) -> None:
    cloud.patch(Service.IMAGE, f"/images/{identity}", operations)


def _block(summary: str, next_step: str) -> Problem:
    return Problem(severity=Severity.BLOCK, summary=summary, next_step=next_step)
