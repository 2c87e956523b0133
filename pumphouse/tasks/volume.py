"""Volumes: disks of their own, with their data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pumphouse import errors
from pumphouse.carrying import carry_data
from pumphouse.model import Action, Inventory, Ref, Resource, Side
from pumphouse.resource import (
    Adopt,
    CloudAPI,
    Grouping,
    Policy,
    Problem,
    Reach,
    ScopeLevel,
    Service,
    Severity,
    Want,
    copy,
    drop,
    key,
    ref,
)
from pumphouse.rest import RestType
from pumphouse.steps import PENDING, Create, JournalEntry, Step, Verify
from pumphouse.transfer import compare_image_data

MARKER = "pumphouse_source"
CARRIER = "pumphouse-carrier-"
"""The names of temporary images and clones: this and the source volume's id."""
_FORMAT = "qcow2"
"""Only blocks in use travel, and no Glance mistakes the guest's boot sector for another format."""
_SERVICES_METADATA = frozenset({MARKER, "readonly", "attached_mode"})


class Temporary(Step):
    """A step that makes something for the way only. A later step, or the undo, removes it."""

    def carrier(self) -> str:
        """The name of what is temporary for this volume."""
        return f"{CARRIER}{self.item.ref.id}"

    def made(self, step: str) -> str | None:
        """The id of what a step made and what is still there."""
        found = self.context.journal.open_entries(self.item.ref, step)
        return next((entry.made_id for entry in found if entry.made_id), None)

    @property
    def moves(self) -> bool:
        """Whether there is data to move: not for a volume that is there already."""
        return self.item.action is Action.CREATE


class Clone(Temporary):
    """Copy a volume that is in use, so that its server keeps it as it is."""

    name = "clone"
    doing = "clones it on the source"
    writes = Side.SOURCE

    def run(self) -> Any:
        """The clone's id, once it is available."""
        if not self.moves or not self.item.resource.facts["attachments"]:
            return None
        source, facts = self.context.source, self.item.resource.facts
        entry = self.context.journal.intend(self.item.ref, self.name, Side.SOURCE, temporary=True)
        made = entry.made_id or (self._find() if entry.repeated else None)
        if made is None:
            volume = {
                "name": self.carrier(),
                "source_volid": self.item.ref.id,
                "size": self.item.resource.fields["size"],
                "availability_zone": facts["availability_zone"],
            }
            made = str(source.post(Service.VOLUME, "/volumes", {"volume": volume})["volume"]["id"])
        self.context.journal.made(entry, made)
        return self.context.wait(
            Side.SOURCE, "volume", made, source.project_id, _available,
            describe=f"the clone of {self.item.resource}", timeout=self.context.settings.volume_timeout,
        )  # fmt: skip

    def undo(self, entry: JournalEntry) -> None:
        made = entry.made_id or self._find()
        if made:
            _delete_volume(self.context.source, made)

    def _find(self) -> str | None:
        for body in self.context.source.list(
            Service.VOLUME, "/volumes/detail", "volumes", params={"name": self.carrier()}
        ):
            return str(body["id"])
        return None


class Export(Temporary):
    """Have the source write the volume, or its clone, into a temporary image."""

    name = "export"
    doing = "exports its data to an image"
    writes = Side.SOURCE

    def run(self) -> Any:
        """The image's id, once it is active."""
        if not self.moves:
            return None
        context = self.context
        entry = context.journal.intend(self.item.ref, self.name, Side.SOURCE, temporary=True)
        made = entry.made_id or (_find_image(context.source, self.carrier()) if entry.repeated else None)
        if made is None:
            upload = {
                "image_name": self.carrier(),
                "disk_format": _FORMAT,
                "container_format": "bare",
                "force": False,
            }
            volume = self.made(Clone.name) or self.item.ref.id
            answer = context.source.post(
                Service.VOLUME, f"/volumes/{volume}/action", {"os-volume_upload_image": upload}
            )
            made = str(answer["os-volume_upload_image"]["image_id"])
        context.journal.made(entry, made)
        return context.wait(
            Side.SOURCE, "image", made, None, self._active,
            describe=f"the export of {self.item.resource}", timeout=context.settings.image_timeout,
        )  # fmt: skip

    def undo(self, entry: JournalEntry) -> None:
        made = entry.made_id or _find_image(self.context.source, self.carrier())
        if made:
            self.context.source.delete(Service.IMAGE, f"/images/{made}")

    def _active(self, body: Mapping[str, Any] | None) -> Any:
        if body is None or body["status"] in {"killed", "deleted", "pending_delete"}:
            raise errors.ResourceFailed(
                "the source could not export its data",
                resource=str(self.item.resource),
                cloud=self.context.source.name,
                next_step="Look into the source's volume service's log for this volume, then retry.",
            )
        return body["id"] if body["status"] == "active" else PENDING


class Transfer(Temporary):
    """Stream the temporary image to the destination."""

    name = "transfer"
    doing = "copies its data"

    def run(self) -> Any:
        """The number of bytes that travelled."""
        exported = self.made(Export.name)
        if not self.moves or exported is None:
            return None
        context = self.context
        entry = context.journal.intend(self.item.ref, self.name, Side.DESTINATION, temporary=True)
        sent = context.source.get(Service.IMAGE, f"/images/{exported}")
        earlier = self._earlier(entry) if entry.repeated else None
        if earlier is not None and earlier["status"] == "active" and compare_image_data(sent, earlier).same:
            context.journal.made(entry, earlier["id"])
            return earlier["size"]
        if earlier is not None and earlier["status"] != "queued":
            # A record takes data only once.
            context.destination.delete(Service.IMAGE, f"/images/{earlier['id']}")
            earlier = None
        made = str(earlier["id"]) if earlier is not None else self._record()
        context.journal.made(entry, made)
        return carry_data(self, exported, made, size=int(sent["size"])).bytes

    def _record(self) -> str:
        body = {
            "name": self.carrier(),
            # The volume is created in the project's name, which must see its image.
            "owner": self.want().project_id,
            "visibility": "private",
            "disk_format": _FORMAT,
            "container_format": "bare",
        }
        return str(self.context.destination.post(Service.IMAGE, "/images", body)["id"])

    def _earlier(self, entry: JournalEntry) -> Mapping[str, Any] | None:
        """What an earlier attempt made, as it is now."""
        made = entry.made_id or _find_image(self.context.destination, self.carrier())
        try:
            return self.context.destination.get(Service.IMAGE, f"/images/{made}") if made else None
        except errors.NotFound:
            return None

    def undo(self, entry: JournalEntry) -> None:
        made = entry.made_id or _find_image(self.context.destination, self.carrier())
        if made:
            self.context.destination.delete(Service.IMAGE, f"/images/{made}")


class CreateVolume(Create):
    """Create the volume from the temporary image."""

    def _create(self, cloud: CloudAPI, want: Want) -> str:
        kind: Volume = self.item.kind  # type: ignore[assignment]
        entries = self.context.journal.open_entries(self.item.ref, Transfer.name)
        image = next((entry.made_id for entry in entries if entry.made_id), None)
        if image is None:
            raise errors.ResourceError(
                "its data has not been copied",
                resource=str(self.item.resource),
                next_step="Make a new plan and migrate it again.",
            )
        try:
            return kind.create_from(cloud, want, image)
        except errors.Unsure:
            return kind.find(cloud, want) or kind.create_from(cloud, want, image)


class Fill(Step):
    """Wait until the destination has written the data into the volume."""

    name = "fill"
    doing = "waits for its data"
    writes = None

    def run(self) -> Any:
        """The volume's id, once it is available."""
        if self.item.action is not Action.CREATE:
            return None
        return self.context.wait(
            Side.DESTINATION, "volume", self.destination_id(), self.want().project_id, self._available,
            describe=str(self.item.resource), timeout=self.context.settings.volume_timeout,
        )  # fmt: skip

    def _available(self, body: Mapping[str, Any] | None) -> Any:
        try:
            return _available(body)
        except errors.ResourceFailed as failure:
            failure.cloud, failure.resource = self.context.destination.name, str(self.item.resource)
            failure.message = f"{failure.message}{self._reasons()}"
            raise

    def _reasons(self) -> str:
        """The service's own messages about it, for whoever reads the error."""
        params = {"resource_uuid": self.destination_id()}
        try:
            found = self.acting(self.want().project_id).list(
                Service.VOLUME, "/messages", "messages", params=params, up_to="3.5"
            )
        except errors.CloudError:
            return ""  # clouds before 3.3 have none
        return "".join(f": {one['user_message']}" for one in found[:1])


class Settle(Step):
    """Set what creating from an image has changed: the boot flag, image metadata, the read-only flag."""

    name = "settle"
    doing = "sets its flags"

    def run(self) -> Any:
        """Nothing."""
        if self.item.action is Action.CREATE:
            want = self.want()
            changed = {name: want.fields[name] for name in ("bootable", "image_metadata", "readonly")}
            self.item.kind.update(self.acting(want.project_id), self.destination_id(), want, changed)


class VerifyVolume(Verify):
    """Compare the data, too: the two temporary images must have the same hash."""

    def compare(self) -> None:
        super().compare()
        sent, arrived = self._image(Side.SOURCE, Export.name), self._image(Side.DESTINATION, Transfer.name)
        # Once they have been removed they had been compared.
        if sent and arrived and compare_image_data(sent, arrived).same is False:
            self.fail("the data that arrived is not the data that was sent")

    def _image(self, side: Side, step: str) -> Mapping[str, Any] | None:
        """The body of a temporary image, or None."""
        for entry in self.context.journal.open_entries(self.item.ref, step):
            return self.context.cloud(side).get(Service.IMAGE, f"/images/{entry.made_id}")
        return None


class CleanUp(Temporary):
    """Remove what was made for the way only, on both sides."""

    name = "clean_up"
    doing = "removes the temporary copies"
    writes = Side.SOURCE

    def run(self) -> Any:
        """Nothing. What cannot be removed now is tried again when the migration ends."""
        for step in (Transfer, Export, Clone):
            for entry in self.context.journal.open_entries(self.item.ref, step.name):
                step(self.context, self.item).undo(entry)
                self.context.journal.removed(entry)


class Volume(RestType):
    """A disk that belongs to a project, by itself or attached to servers. Its data moves through images."""

    name = "volume"
    service = Service.VOLUME
    scope = ScopeLevel.PROJECT
    adopt = Adopt.NEVER
    acts_in_project = True
    workload = True
    grouping = Grouping.ATTACHED
    path, item, items = "/volumes", "volume", "volumes"
    list_path = "/volumes/detail"
    list_params = {"all_tenants": "1"}  # noqa: RUF012 -- typed as a constant by the base class
    up_to = "3.59"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        copy("description"),
        copy("size", fixed=True),
        copy("volume_type", fixed=True, mapping="volume_types"),
        copy("availability_zone", fixed=True, mapping="availability_zones"),
        copy("metadata", default={}),
        copy("bootable", default=False),
        copy("image_metadata", refs={"image_id": "image"}, optional=True, default={}),
        copy("multiattach", fixed=True, default=False),
        copy("readonly", default=False),
        drop("id", why="the destination assigns it"),
        drop("status", why="of the moment"),
        drop("attachments", why="carried by the server"),
        drop("encrypted", why="encrypted volumes are refused"),
        drop("created_at", why="the destination's own"),
        drop("updated_at", why="the destination's own"),
        drop("user_id", why="the operator's user creates it"),
        drop("snapshot_id", why="what it was made of on the source"),
        drop("source_volid", why="what it was made of on the source"),
        drop("consistencygroup_id", why="groups of volumes are reported, not carried"),
        drop("group_id", why="groups of volumes are reported, not carried"),
        drop("replication_status", why="the destination's type decides"),
        drop("migration_status", why="the service's own"),
        drop("links", why="the service's own addresses"),
        drop("provider_id", why="the storage's own"),
        drop("service_uuid", why="the service's own"),
        drop("shared_targets", why="the storage's own"),
        drop("os-vol-host-attr:host", why="the destination's scheduler decides"),
        drop("os-vol-mig-status-attr:migstat", why="the service's own"),
        drop("os-vol-mig-status-attr:name_id", why="the service's own"),
    )
    steps = (Clone, Export, Transfer, CreateVolume, Fill, Settle, VerifyVolume, CleanUp)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """All volumes but our own temporary ones, and the names of their snapshots."""
        snapshots: dict[str, list[str]] = defaultdict(list)
        for snapshot in cloud.list(self.service, "/snapshots/detail", "snapshots", params=self.list_params):
            snapshots[snapshot["volume_id"]].append(str(snapshot["name"] or snapshot["id"]))
        for body in cloud.list(
            self.service, self.list_path, self.items, params=self.list_params, up_to=self.up_to
        ):
            if not str(body["name"] or "").startswith(CARRIER):
                yield self.read({**body, "snapshots": sorted(snapshots[body["id"]])})

    def survey(self, cloud: CloudAPI, *, reach: Reach) -> Mapping[str, Any]:
        """The volume types and zones."""
        types = cloud.list(self.service, "/types", "volume_types", params={"is_public": "None"})
        zones = cloud.list(self.service, "/os-availability-zone", "availabilityZoneInfo")
        return {
            "types": {
                str(one["name"]): {"multiattach": _is_true(one.get("extra_specs", {}).get("multiattach"))}
                for one in types
            },
            "zones": sorted(str(one["zoneName"]) for one in zones),
        }

    def read(self, body: Mapping[str, Any]) -> Resource:
        """A body without what the service keeps in its metadata."""
        metadata = body.get("metadata") or {}
        project = body.get("os-vol-tenant-attr:tenant_id")
        fields = {
            **body,
            "project_id": project,
            "metadata": {name: value for name, value in metadata.items() if name not in _SERVICES_METADATA},
            "bootable": body.get("bootable") == "true",
            "image_metadata": body.get("volume_image_metadata"),
            "readonly": metadata.get("readonly") == "True",
        }
        return Resource(
            ref=Ref(self.name, str(body["id"])),
            name=str(body.get("name") or ""),
            project_id=project,
            fields=self.pick(fields),
            facts={
                "status": body["status"],
                "size": body["size"],
                "encrypted": bool(body.get("encrypted")),
                "availability_zone": body.get("availability_zone"),
                "group": body.get("group_id") or body.get("consistencygroup_id"),
                "snapshots": body.get("snapshots", []),
                "attachments": sorted(
                    ({"server": one["server_id"], "device": one["device"]} for one in body["attachments"]),
                    key=lambda one: str(one["server"]),
                ),
            },
            made_from=metadata.get(MARKER),
        )

    # -- deciding

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """What only the source can read or hold together."""
        facts = resource.facts
        if facts["encrypted"]:
            yield _block(
                "its key is in the source's key manager", "Copy its data to a volume without encryption."
            )
        if facts["status"] not in {"available", "in-use"}:
            yield _block(
                f"its status is {facts['status']}", "Wait, or mend it, until it is available or in-use."
            )
        if len(facts["attachments"]) > 1:
            yield _block("it is attached to several servers", "Detach it from all but one.")
        if facts["snapshots"]:
            yield _lost(f"its snapshots stay on the source: {', '.join(facts['snapshots'])}")
        if facts["group"]:
            yield _lost(f"it leaves its volume group {facts['group']}")

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """Its type and zone must be there: types are mapped, never made."""
        known = destination.facts.get(self.name, {})
        type_, zone = want.fields.get("volume_type"), want.fields.get("availability_zone")
        if type_ and type_ not in known.get("types", {type_: {}}):
            yield _block(
                f"the destination has no volume type {type_!r}",
                "Create it there, or map it in the override file's section volume_types.",
            )
        elif type_ and want.fields["multiattach"] and not known.get("types", {})[type_]["multiattach"]:
            yield _block(
                f"the destination's volume type {type_!r} does not allow several attachments",
                "Map it to one with the extra spec multiattach in the override file's section volume_types.",
            )
        if zone and zone not in known.get("zones", [zone]):
            yield _block(
                f"the destination has no availability zone {zone!r} for volumes",
                "Map it in the override file's section availability_zones.",
            )

    def identity(self, fields: Mapping[str, Any], *, policy: Policy = Policy.MOVE) -> tuple[Any, ...] | None:
        """Project and name; volumes without a name have none."""
        return super().identity(fields, policy=policy) if fields.get("name") else None

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One volume of its size."""
        size = int(resource.facts["size"])
        return {f"{self.service}.volumes": 1, f"{self.service}.gigabytes": size}

    def size(self, resource: Resource) -> int:
        """At most: blocks not in use do not travel."""
        return int(resource.facts["size"]) << 30

    # -- writing

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """An empty one."""
        return self._post(cloud, want, {})

    def create_from(self, cloud: CloudAPI, want: Want, image_id: str) -> str:
        """One with the data of an image."""
        return self._post(cloud, want, {"imageRef": image_id})

    def _post(self, cloud: CloudAPI, want: Want, more: Mapping[str, Any]) -> str:
        names = ("name", "description", "size", "volume_type", "availability_zone")
        body = {name: want.fields[name] for name in names if want.fields.get(name) is not None}
        body["metadata"] = {**want.fields["metadata"], MARKER: want.marker}
        answer = cloud.post(self.service, self.path, {"volume": {**body, **more}}, up_to=self.up_to)
        return str(answer["volume"]["id"])

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """By marker, in the project in whose name ``cloud`` acts."""
        for body in cloud.list(self.service, self.list_path, self.items, up_to=self.up_to):
            if (body.get("metadata") or {}).get(MARKER) == want.marker:
                return str(body["id"])
        return None

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """Names by PUT, flags by actions, metadata as a whole."""
        path = f"{self.path}/{identity}"
        named = {name: changed[name] for name in ("name", "description") if name in changed}
        if named:
            cloud.put(self.service, path, {"volume": named})
        if "metadata" in changed:
            metadata = {**changed["metadata"], MARKER: want.marker}
            cloud.put(self.service, f"{path}/metadata", {"metadata": metadata})
        if "bootable" in changed:
            self._act(cloud, identity, "os-set_bootable", {"bootable": changed["bootable"]})
        if "readonly" in changed:
            self._act(cloud, identity, "os-update_readonly_flag", {"readonly": changed["readonly"]})
        if "image_metadata" in changed:
            self._set_image_metadata(cloud, identity, changed["image_metadata"])

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Also while it is being filled."""
        return _delete_volume(cloud, identity)

    def _set_image_metadata(self, cloud: CloudAPI, identity: str, wanted: Mapping[str, Any]) -> None:
        """Set what is wanted; what the temporary image brought besides goes."""
        body = cloud.get(self.service, f"{self.path}/{identity}", up_to=self.up_to)["volume"]
        for name in sorted(set(body.get("volume_image_metadata") or {}) - set(wanted)):
            self._act(cloud, identity, "os-unset_image_metadata", {"key": name})
        if wanted:
            self._act(cloud, identity, "os-set_image_metadata", {"metadata": dict(wanted)})

    def _act(self, cloud: CloudAPI, identity: str, action: str, body: Mapping[str, Any]) -> None:
        cloud.post(self.service, f"{self.path}/{identity}/action", {action: body})


def _available(body: Mapping[str, Any] | None) -> Any:
    """The id of a volume that is ready, or PENDING. Raises ResourceFailed."""
    if body is None:
        raise errors.ResourceFailed("the volume is gone")
    if str(body["status"]).startswith("error"):
        raise errors.ResourceFailed(
            f"the volume is in status {body['status']}", resource=f"volume:{body['id']}"
        )
    return body["id"] if body["status"] == "available" else PENDING


def _delete_volume(cloud: CloudAPI, identity: str) -> bool:
    try:
        return cloud.delete(Service.VOLUME, f"/volumes/{identity}")
    except errors.BadRequest:
        # Refused while it is being created or filled; an administrator may say so all the same.
        cloud.post(Service.VOLUME, f"/volumes/{identity}/action", {"os-force_delete": {}})
        return True


def _find_image(cloud: CloudAPI, name: str) -> str | None:
    for body in cloud.list(Service.IMAGE, "/images", "images", params={"name": name}):
        return str(body["id"])
    return None


def _is_true(spec: str | None) -> bool:
    return (spec or "").replace(" ", "").lower() == "<is>true"


def _block(summary: str, next_step: str) -> Problem:
    return Problem(severity=Severity.BLOCK, summary=summary, next_step=next_step)


def _lost(summary: str) -> Problem:
    return Problem(severity=Severity.LOST, summary=summary)
