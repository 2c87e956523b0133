"""Volumes: disks of their own, with their data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.moving import managing, storage
from pumphouse.moving import volume as volume_data
from pumphouse.moving.carrier import CARRIER
from pumphouse.moving.root_disk import ROOT_OF
from pumphouse.resource import Adopt, Grouping, Policy, Problem, Reach, ScopeLevel, Severity, Want
from pumphouse.rest import RestType

MARKER = "pumphouse_source"
_SHARES = "2.60"
"""The compute API that attaches a volume to several servers."""
_COPIED_UNTIL = "copied_until"
"""The choice that says what a copy still has: see plan.copies."""

_SERVICES_METADATA = frozenset({MARKER, "readonly", "attached_mode"})


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
    steps = (
        managing.Unmanage,
        volume_data.Snapshot,
        volume_data.Clone,
        volume_data.Export,
        volume_data.TransferVolume,
        volume_data.CreateVolume,
        volume_data.Fill,
        volume_data.Settle,
        volume_data.VerifyVolume,
        volume_data.CleanUpVolume,
    )
    choices = {  # noqa: RUF012 -- typed as a constant by the base class
        managing.CHOICE: (managing.COPY, managing.MANAGE),
        _COPIED_UNTIL: (),
    }

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """All volumes but our own temporary ones, and the names of their snapshots."""
        snapshots: dict[str, list[str]] = defaultdict(list)
        for snapshot in cloud.each(self.service, "/snapshots/detail", "snapshots", params=self.list_params):
            name = str(snapshot["name"] or snapshot["id"])
            if not name.startswith(CARRIER):
                snapshots[snapshot["volume_id"]].append(name)
        for body in cloud.each(
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
            "manages": cloud.supports(self.service, storage.SINCE),
            "zones": sorted(str(one["zoneName"]) for one in zones),
            "shares": cloud.supports(Service.COMPUTE, _SHARES),
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
                "updated": body.get("updated_at"),
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

    def touched(self, resource: Resource) -> str:
        """When it was last attached, detached or changed."""
        return str(resource.facts.get("updated") or "")

    def choose(self, resource: Resource, chosen: Mapping[str, str]) -> Resource:
        """Whether it changes hands instead of being copied, and until when its copy has all: as rules say."""
        facts = dict(resource.facts)
        if chosen.get(managing.CHOICE) == managing.MANAGE and not self.is_part(resource):
            facts[managing.CHOICE] = managing.MANAGE
        if chosen.get(_COPIED_UNTIL):
            facts[_COPIED_UNTIL] = chosen[_COPIED_UNTIL]
        return replace(resource, facts=facts) if facts != resource.facts else resource

    def copied_until(self, resource: Resource) -> str:
        """The time that a rule says."""
        return str(resource.facts.get(_COPIED_UNTIL, ""))

    def way(self, resource: Resource) -> str:
        """The one that a rule says."""
        return str(resource.facts.get(managing.CHOICE, ""))

    def rests(self, resource: Resource) -> bool:
        """Nobody uses it meanwhile; but once it has changed hands, nobody can."""
        return managing.changes_hands(resource)

    def used_by(self, resource: Resource) -> Sequence[Ref]:
        """The servers that it is attached to."""
        return [Ref("server", str(one["server"])) for one in resource.facts["attachments"]]

    def holders(self, resource: Resource) -> Iterable[Ref]:
        """The servers that share it."""
        found = self.used_by(resource)
        return found if len(found) > 1 else ()

    def is_part(self, resource: Resource) -> bool:
        """Whether it is still the local root disk of a server."""
        return bool(resource.facts.get(ROOT_OF))

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
        if managing.changes_hands(resource):
            yield from managing.refuse(resource)
            return
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
        elif len(want.source.facts["attachments"]) > 1 and not known.get("shares", True):
            yield _block(
                f"it is attached to several servers, which compute there cannot do (API {_SHARES})",
                "Detach it from all but one.",
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

    def unfinished(self, there: Resource) -> str:
        """Without its data, or about to lose them."""
        status = str(there.facts["status"])
        whole = status not in {"creating", "downloading", "deleting"} and not status.startswith("error")
        return "" if whole else f"its status is {status}"

    def size(self, resource: Resource) -> int:
        """At most: blocks not in use do not travel. What changes hands stays where it is."""
        return 0 if managing.changes_hands(resource) else int(resource.facts["size"]) << 30

    # -- writing

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """An empty one."""
        return self._post(cloud, want, {})

    def create_from(self, cloud: CloudAPI, want: Want, image_id: str) -> str:
        """One with the data of an image."""
        return self._post(cloud, want, {"imageRef": image_id})

    def manage(self, cloud: CloudAPI, want: Want, place: Mapping[str, Any]) -> str:
        """One of what lies on the storage: ``place`` has the ``host`` that sees it and its ``ref`` there."""
        more = {**place, "bootable": want.fields["bootable"]}
        return self._post(cloud, want, more, path="/manageable_volumes", but="size")

    def _post(
        self, cloud: CloudAPI, want: Want, more: Mapping[str, Any], *, path: str = path, but: str = ""
    ) -> str:
        names = {"name", "description", "size", "volume_type", "availability_zone"} - {but}
        body = {name: want.fields[name] for name in sorted(names) if want.fields.get(name) is not None}
        body["metadata"] = {**want.fields["metadata"], MARKER: want.marker}
        answer = cloud.post(self.service, path, {"volume": {**body, **more}}, up_to=self.up_to)
        return str(answer["volume"]["id"])

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """By marker, in the project in whose name ``cloud`` acts."""
        return next(self.find_all(cloud, want), None)

    def find_all(self, cloud: CloudAPI, want: Want) -> Iterator[str]:
        """All with the marker: a service that was asked twice may have made two."""
        for body in cloud.each(self.service, self.list_path, self.items, up_to=self.up_to):
            if (body.get("metadata") or {}).get(MARKER) == want.marker:
                yield str(body["id"])

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

    def unmark(self, cloud: CloudAPI, identity: str) -> None:
        """DELETE of that key of the metadata."""
        cloud.delete(self.service, f"{self.path}/{identity}/metadata/{MARKER}")

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Also while it is being filled."""
        return volume_data.delete_volume(cloud, identity)

    def _set_image_metadata(self, cloud: CloudAPI, identity: str, wanted: Mapping[str, Any]) -> None:
        """Set what is wanted; what the temporary image brought besides goes."""
        body = cloud.get(self.service, f"{self.path}/{identity}", up_to=self.up_to)["volume"]
        for name in sorted(set(body.get("volume_image_metadata") or {}) - set(wanted)):
            with suppress(errors.NotFound):  # an earlier attempt has taken it out
                self._act(cloud, identity, "os-unset_image_metadata", {"key": name})
        if wanted:
            self._act(cloud, identity, "os-set_image_metadata", {"metadata": dict(wanted)})

    def _act(self, cloud: CloudAPI, identity: str, action: str, body: Mapping[str, Any]) -> None:
        cloud.post(self.service, f"{self.path}/{identity}/action", {action: body})


def _is_true(spec: str | None) -> bool:
    return (spec or "").replace(" ", "").lower() == "<is>true"


def _block(summary: str, next_step: str) -> Problem:
    return Problem(severity=Severity.BLOCK, summary=summary, next_step=next_step)


def _lost(summary: str) -> Problem:
    return Problem(severity=Severity.LOST, summary=summary)
