"""Servers: what the tenants run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.compare import digest
from pumphouse.fields import copy, drop, key, ref, secret
from pumphouse.model import DiskMode, Inventory, Ref, Resource
from pumphouse.moving import lending, root_disk
from pumphouse.moving import server as moving
from pumphouse.moving.health import Health
from pumphouse.moving.root_disk import SHELVED, travels_as
from pumphouse.nic_order import fixed_addresses, nic_order
from pumphouse.resource import Adopt, Grouping, Problem, Reach, ResourceType, ScopeLevel, Severity, Want

MARKER = "pumphouse_source"
_MOVABLE = moving.QUIET | {"ACTIVE"}
_BOUND_TO_HOST = {
    "pci_passthrough:alias": "a device of its host",
    "hw:tpm_version": "a TPM, whose secrets stay on its host",
    "hw:tpm_model": "a TPM, whose secrets stay on its host",
    "accel:device_profile": "an accelerator of its host",
}
_BOUND_RESOURCES = ("VGPU", "PGPU", "PCI_DEVICE", "FPGA", "CUSTOM_")
_PASSTHROUGH_PORTS = frozenset({"direct", "direct-physical", "macvtap"})


class Server(ResourceType):
    """A virtual machine with its place: flavor, ports, volumes, key, and the state in which it was found.

    Its root disk is a volume, is copied, or is made anew from its image (a shelved server's from its shelved
    image): see ``pumphouse.moving.root_disk``.
    """

    name = "server"
    service = Service.COMPUTE
    scope = ScopeLevel.PROJECT
    adopt = Adopt.NEVER
    grouping = Grouping.ALONE
    acts_in_project = True
    workload = True
    holds = ("volume",)
    after = ("flavor", "image", "port", "server_group", "volume")
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        copy("description", since="2.19"),
        ref("flavor", to="flavor"),
        ref("image", to="image", advice="Copy its disk, which needs no image: --mode snapshot."),
        ref("ports", to="port", unordered=False),
        copy("volumes", refs={"volume": "volume"}, fixed=True, default=[]),
        ref("server_group", to="server_group"),
        copy("key_name", fixed=True, mapping="keypairs"),
        copy("metadata", default={}),
        copy("tags", since="2.52", unordered=True, default=[]),
        secret("user_data"),
        copy("config_drive", fixed=True, default=False),
        copy("hostname", since="2.90"),
        copy("pinned_availability_zone", since="2.96", fixed=True, mapping="availability_zones"),
        copy("disk_config", default="MANUAL"),
        copy("accessIPv4", default=""),
        copy("accessIPv6", default=""),
        copy("locked", default=False),
        copy("locked_reason", since="2.73"),
        drop("id", why="the destination assigns it"),
        drop("status", why="the destination's is brought to the one found"),
        drop("user_id", why="the operator's user creates it; servers belong to projects"),
        drop("tenant_id", why="the older name of project_id"),
        drop("security_groups", why="carried by its ports"),
        drop("addresses", why="carried by its ports"),
        drop("created", why="the destination's own"),
        drop("updated", why="the destination's own"),
        drop("fault", why="a server in error is refused"),
        drop("hostId", why="the destination's scheduler decides"),
        drop("host_status", why="of the moment"),
        drop("progress", why="of the moment"),
        drop("links", why="the service's own addresses"),
        drop("trusted_image_certificates", why="they are in the source's key manager"),
        drop("scheduler_hints", why="they name servers of the source; the server group is carried"),
        drop("OS-EXT-AZ:availability_zone", why="where the scheduler placed it; a requested one is carried"),
        drop("OS-EXT-SRV-ATTR:host", why="the destination's scheduler decides"),
        drop("OS-EXT-SRV-ATTR:hypervisor_hostname", why="the destination's scheduler decides"),
        drop("OS-EXT-SRV-ATTR:instance_name", why="the destination's own"),
        drop("OS-EXT-SRV-ATTR:kernel_id", why="a property of the image"),
        drop("OS-EXT-SRV-ATTR:ramdisk_id", why="a property of the image"),
        drop("OS-EXT-SRV-ATTR:launch_index", why="it is created by itself"),
        drop("OS-EXT-SRV-ATTR:reservation_id", why="the destination's own"),
        drop("OS-EXT-SRV-ATTR:root_device_name", why="the destination's hypervisor names its disks"),
        drop("OS-EXT-STS:power_state", why="of the moment"),
        drop("OS-EXT-STS:task_state", why="of the moment"),
        drop("OS-EXT-STS:vm_state", why="of the moment"),
        drop("OS-SRV-USG:launched_at", why="the destination's own"),
        drop("OS-SRV-USG:terminated_at", why="of the moment"),
    )
    steps = (
        moving.Quiesce,
        root_disk.ExportDisk,
        root_disk.TransferDisk,
        lending.CreateServer,
        lending.ReturnKey,
        moving.Boot,
        moving.VerifyServer,
        Health,
        root_disk.CleanUpDisk,
        moving.Settle,
        moving.ShutDown,
    )
    choices = {root_disk.CHOICE: tuple(DiskMode)}  # noqa: RUF012 -- typed as a constant by the base class

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list. Of their volumes it tells only which they are."""
        flavors = {flavor.name: flavor.ref.id for flavor in seen.of_type("flavor")}

        def find(kind: str, identity: str | None) -> Resource | None:
            return seen.get(Ref(kind, identity or ""))

        groups = {
            str(member): group.ref.id
            for group in seen.of_type("server_group")
            for member in group.facts["members"]
        }
        shelved = {
            str(image.facts["instance_uuid"]): image.ref.id
            for image in seen.of_type("image")
            if image.facts["instance_uuid"] and image.name.endswith("-shelved")
        }
        ports: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for port in seen.of_type("port"):
            ports[port.facts["device_id"]].append(
                {
                    "id": port.ref.id,
                    "mac_address": port.fields["mac_address"],
                    "fixed_ips": port.facts["addresses"],
                }
            )
        for body in cloud.each(
            self.service, "/servers/detail", "servers", params={"all_tenants": "1"}, up_to=moving.UP_TO
        ):
            identity = str(body["id"])
            attached = body.get("os-extended-volumes:volumes_attached") or ()
            flavor = body["flavor"].get("id") or flavors.get(body["flavor"]["original_name"])
            image = find("image", (body.get("image") or {}).get("id"))
            yield self._read(
                body,
                flavor=flavor,
                disk_gib=root_disk.size_gib(body["flavor"], find("flavor", flavor), image),
                ports=ports[identity],
                group=groups.get(identity),
                volumes=[{"volume": volume} for volume in sorted(str(one["id"]) for one in attached)],
                shelved_image=shelved.get(identity),
            )

    def partly_listed(self, resource: Resource) -> bool:
        """Its volumes."""
        return bool(resource.fields["volumes"])

    def complete(self, cloud: CloudAPI, resource: Resource) -> Resource:
        """With the order, the tags and the lifetimes of its volumes."""
        volumes = self._volumes(cloud, resource.ref.id, boot_device=resource.facts["boot_device"])
        return replace(resource, fields={**resource.fields, "volumes": volumes})

    def survey(self, cloud: CloudAPI, *, reach: Reach) -> Mapping[str, Any]:
        """The availability zones."""
        zones = cloud.list(self.service, "/os-availability-zone", "availabilityZoneInfo")
        return {"zones": sorted(str(one["zoneName"]) for one in zones)}

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """One server; its flavor's id is only in the older form of the body."""
        path = f"/servers/{identity}"
        try:
            body = cloud.get(self.service, path, up_to=moving.UP_TO)["server"]
            flavor = body["flavor"].get("id")
            if flavor is None:
                flavor = cloud.get(self.service, path, up_to="2.46")["server"]["flavor"]["id"]
            attached = body.get("os-extended-volumes:volumes_attached")
            volumes = self._volumes(cloud, identity, boot_device=_boot_device(body)) if attached else []
        except errors.NotFound:
            return None
        ports = cloud.list(Service.NETWORK, "/ports", "ports", params={"device_id": identity})
        return self._read(
            body,
            flavor=flavor,
            disk_gib=root_disk.size_gib(body["flavor"], None, None),
            ports=ports,
            group=self._group(cloud, body),
            volumes=volumes,
            shelved_image=None,
        )

    def secrets(self, cloud: CloudAPI, identity: str) -> Mapping[str, Any]:
        """The user data."""
        body = cloud.get(self.service, f"/servers/{identity}", up_to=moving.UP_TO)["server"]
        return {"user_data": body.get("OS-EXT-SRV-ATTR:user_data")}

    def _group(self, cloud: CloudAPI, body: Mapping[str, Any]) -> str | None:
        """A server's group; from 2.71 it tells itself."""
        if "server_groups" in body:
            return next(iter(body["server_groups"]), None)
        groups = cloud.list(
            self.service, "/os-server-groups", "server_groups", params={"all_projects": "true"}, up_to="2.64"
        )
        return next((str(one["id"]) for one in groups if body["id"] in one["members"]), None)

    def _volumes(self, cloud: CloudAPI, identity: str, *, boot_device: str | None) -> list[dict[str, Any]]:
        """The attached volumes in the order of their devices; the boot volume is marked."""
        path = f"/servers/{identity}/os-volume_attachments"
        found = cloud.list(self.service, path, "volumeAttachments", up_to="2.79")
        found.sort(key=lambda one: (len(one["device"] or ""), one["device"] or ""))
        return [
            {
                "volume": str(one["volumeId"]),
                "boot": boot_device is not None and one["device"] == boot_device,
                "tag": one.get("tag"),
                "delete_on_termination": bool(one.get("delete_on_termination")),
            }
            for one in found
        ]

    def _read(
        self,
        body: Mapping[str, Any],
        *,
        flavor: str | None,
        disk_gib: int,
        ports: Sequence[Mapping[str, Any]],
        group: str | None,
        volumes: list[dict[str, Any]],
        shelved_image: str | None,
    ) -> Resource:
        metadata = body.get("metadata") or {}
        image = (body.get("image") or {}).get("id")
        order, clear = nic_order(body.get("addresses") or {}, ports)
        fields = {
            **body,
            "project_id": body["tenant_id"],
            "flavor": flavor,
            "image": image,
            "ports": order,
            "volumes": volumes,
            "server_group": group,
            "metadata": {name: value for name, value in metadata.items() if name != MARKER},
            "user_data": digest(body.get("OS-EXT-SRV-ATTR:user_data")),
            "config_drive": bool(body.get("config_drive")),
            "disk_config": body.get("OS-DCF:diskConfig"),
        }
        if "tags" in body:
            fields["tags"] = sorted(body["tags"])
        if "OS-EXT-SRV-ATTR:hostname" in body:
            fields["hostname"] = body["OS-EXT-SRV-ATTR:hostname"]
        picked = self.pick(fields)
        if body["status"] in SHELVED:
            # It boots from the image that shelving made; after shelving, each cloud has its own of those.
            del picked["image"]
        return Resource(
            ref=Ref(self.name, str(body["id"])),
            name=str(body["name"]),
            project_id=body["tenant_id"],
            fields=picked,
            facts={
                "status": body["status"],
                "updated": body.get("updated"),
                "task_state": body.get("OS-EXT-STS:task_state"),
                "host": body.get("OS-EXT-SRV-ATTR:host"),
                "hypervisor": body.get("OS-EXT-SRV-ATTR:hypervisor_hostname"),
                "user_id": body["user_id"],
                "keypair": f"{body['user_id']}/{body['key_name']}" if body.get("key_name") else None,
                "boot_image": shelved_image if body["status"] in SHELVED else image,
                "boot_device": _boot_device(body),
                "disk_gib": disk_gib,
                "flavor": {name: value for name, value in body["flavor"].items() if name != "links"},
                "availability_zone": body.get("OS-EXT-AZ:availability_zone"),
                "addresses": sorted(fixed_addresses(body.get("addresses") or {})),
                "nic_order_is_clear": clear,
                "certificates": bool(body.get("trusted_image_certificates")),
            },
            made_from=metadata.get(MARKER),
        )

    # -- deciding

    def choose(self, resource: Resource, chosen: Mapping[str, str]) -> Resource:
        """How its root disk travels."""
        return root_disk.choose(resource, chosen.get(root_disk.CHOICE, DiskMode.IMAGE))

    def mode(self, resource: Resource) -> str:
        """The disk mode."""
        return str(resource.facts.get(root_disk.CHOICE, ""))

    def rests(self, resource: Resource) -> bool:
        """Always."""
        return True

    def parts(self, resource: Resource, source: Inventory) -> Iterator[Resource]:
        """The volume that its root disk becomes."""
        if travels_as(resource) == DiskMode.VOLUME:
            image = source.get(Ref("image", resource.facts["base_image"]))
            properties = image.fields["properties"] if image is not None else {}
            yield root_disk.volume_of(resource, properties)

    def size(self, resource: Resource) -> int:
        """At most what its root disk can hold; in volume mode the volume counts it."""
        snapshot = travels_as(resource) == DiskMode.SNAPSHOT
        return int(resource.facts["disk_gib"]) << 30 if snapshot else 0

    def needs(self, resource: Resource, inventory: Inventory) -> Iterable[Ref]:
        """Its key pair, which belongs to a user, a shelved server's image, and the kernel it boots from."""
        base = inventory.get(Ref("image", resource.facts.get("base_image") or ""))
        for name in ("kernel_id", "ramdisk_id"):
            if base is not None and base.fields.get(name):
                yield Ref("image", base.fields[name])
        keypair = resource.facts["keypair"]
        if keypair and Ref("keypair", keypair) in inventory:
            yield Ref("keypair", keypair)
        if resource.facts["boot_image"]:
            yield Ref("image", resource.facts["boot_image"])

    def company(self, resource: Resource, inventory: Inventory) -> Iterable[Resource]:
        """The other servers of its server group."""
        group = resource.fields.get("server_group")
        members = inventory.derived(_by_server_group).get(group, []) if group else []
        return [one for one in members if one.ref != resource.ref]

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """States that cannot be moved, what is bound to the host, and what is lost."""
        facts = resource.facts
        if facts["status"] not in _MOVABLE:
            yield _block(f"its status is {facts['status']}", "Bring it to ACTIVE or SHUTOFF first.")
        elif facts["task_state"]:
            yield _block(f"it is {facts['task_state']} just now", "Wait until that is done.")
        yield from self._bound(resource, source)
        yield from self._broken(resource, source)
        yield from self._lost(resource, source)
        yield _warn("it gets a new id, so cloud-init runs its per-instance part again")

    def _bound(self, resource: Resource, source: Inventory) -> Iterator[Problem]:
        """What ties it to its host."""
        specs = dict(resource.facts["flavor"].get("extra_specs") or {})
        flavor = source.get(Ref("flavor", resource.fields["flavor"] or ""))
        if flavor is not None and not specs:
            specs = dict(flavor.fields["extra_specs"])
        found = {what for spec, what in _BOUND_TO_HOST.items() if spec in specs}
        for spec in specs:
            group, _, name = spec.partition(":")
            if group.startswith("resources") and name.startswith(_BOUND_RESOURCES):
                found.add(f"{name} of its host")
        image = source.get(Ref("image", resource.facts["boot_image"] or ""))
        if image is not None and {"hw_tpm_version", "hw_tpm_model"} & set(image.fields["properties"]):
            found.add("a TPM, whose secrets stay on its host")
        for port_id in resource.fields["ports"]:
            port = source.get(Ref("port", port_id))
            if port is not None and port.fields.get("binding:vnic_type") in _PASSTHROUGH_PORTS:
                found.add(f"the passthrough port {port_id}")
        if found:
            yield _block(
                f"it uses {', '.join(sorted(found))}",
                "Move its service to a server without, or leave it out.",
            )

    def _broken(self, resource: Resource, source: Inventory) -> Iterator[Problem]:
        """What it was made of and is no longer there."""
        facts = resource.facts
        embedded = facts["flavor"]
        flavor = source.get(Ref("flavor", resource.fields["flavor"] or ""))
        if flavor is None:
            told = embedded.get("original_name") or embedded.get("id")
            yield _block(
                f"its flavor {told} has been deleted",
                "Create a flavor of that name and size again, on the source.",
            )
        elif any(
            embedded.get(name, flavor.fields[name]) != flavor.fields[name]
            for name in ("ram", "vcpus", "disk")
        ):
            yield _warn(
                f"its flavor {flavor.name!r} has been changed since: it gets the size of the present one"
            )
        image = source.get(Ref("image", facts["boot_image"] or ""))
        if image is not None and image.fields.get("deactivated"):
            yield _block("its image is deactivated, so nothing boots from it", "Reactivate the image first.")
        boots_from_volume = any(one["boot"] for one in resource.fields["volumes"])
        if not facts["boot_image"] and not boots_from_volume and not travels_as(resource):
            what = "shelved image" if facts["status"] in SHELVED else "image"
            yield _block(
                f"it has no {what} to boot from", "Make an image of it and a new server, or leave it out."
            )

    def _lost(self, resource: Resource, source: Inventory) -> Iterator[Problem]:
        """What does not travel."""
        facts, fields = resource.facts, resource.fields
        flavor = source.get(Ref("flavor", fields["flavor"] or ""))
        if facts["status"] in {"PAUSED", "SUSPENDED"}:
            yield _lost(f"the memory of a {facts['status'].lower()} server does not travel: it boots again")
        if facts["boot_image"] and facts["status"] not in SHELVED:
            yield _lost(
                "its root disk is made anew from its image: what was written to it stays on the source",
                next_step="To take it along, plan with --mode snapshot.",
            )
        if flavor is not None and flavor.fields["ephemeral"]:
            yield _lost("its ephemeral disk is made anew, empty")
        if (fields["volumes"] or travels_as(resource)) and facts["status"] == "ACTIVE":
            disks = "on its disks" if travels_as(resource) else "in its volumes"
            yield _warn(f"it is stopped rather than suspended, so that all that it has written is {disks}")
        yield from self._copied(resource, source)
        if facts["keypair"] and Ref("keypair", facts["keypair"]) not in source:
            yield _lost(f"its key pair {fields['key_name']!r} has been deleted", field="key_name")
        if facts["certificates"]:
            yield _lost("the certificates that its image was checked with are in the source's key manager")
        zone = facts["availability_zone"]
        if "pinned_availability_zone" not in fields and zone not in {None, "", "nova"}:
            yield _lost(
                f"the source does not tell whether zone {zone!r} was asked for, so none is on the destination"
            )
        if not facts["nic_order_is_clear"]:
            yield _warn("the source does not tell the order of all its ports: compare it afterwards")

    def _copied(self, resource: Resource, source: Inventory) -> Iterator[Problem]:
        """What follows from copying its root disk."""
        if travels_as(resource) == DiskMode.SNAPSHOT:
            yield _warn(
                "it boots from a copy of its disk, whose image is removed afterwards: to rebuild it there, "
                "another image must be named"
            )
            return
        image = source.get(Ref("image", resource.facts.get("base_image") or ""))
        if travels_as(resource) and image is not None and image.fields.get("kernel_id"):
            yield _block(
                "it boots with a kernel that is an image of its own, which no volume names",
                "Copy its disk as a snapshot: --mode snapshot, or a rule of the override file.",
            )
        elif travels_as(resource) and image is None:
            yield _lost(
                "its image has been deleted, and with it what that said of its firmware and devices",
                next_step="If it does not boot, set the image metadata of its root volume there.",
            )

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """Its zone must be there."""
        zone = want.fields.get("pinned_availability_zone")
        if zone and not exists and zone not in destination.facts.get(self.name, {}).get("zones", [zone]):
            yield _block(
                f"the destination has no availability zone {zone!r}",
                "Map it in the override file's section availability_zones.",
            )

    def unfinished(self, there: Resource) -> str:
        """It never ran, or does no longer, or is being deleted."""
        status = there.facts["status"]
        if there.facts["task_state"] == "deleting":
            return "it is being deleted"
        return f"its status is {status}" if status in {"BUILD", "ERROR"} else ""

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One server of its flavor's size."""
        flavor = inventory.get(Ref("flavor", resource.fields["flavor"] or ""))
        size = flavor.fields if flavor is not None else resource.facts["flavor"]
        return {
            f"{self.service}.instances": 1,
            f"{self.service}.cores": int(size.get("vcpus", 0)),
            f"{self.service}.ram": int(size.get("ram", 0)),
        }

    # -- writing

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """In the project's name, with ports that are there already."""
        fields = want.fields
        server: dict[str, Any] = {
            "name": fields["name"],
            "flavorRef": fields["flavor"],
            "networks": [{"port": port} for port in fields["ports"]] or "none",
            "metadata": {**fields["metadata"], MARKER: want.marker},
            "config_drive": fields["config_drive"],
            "OS-DCF:diskConfig": fields["disk_config"],
            "user_data": want.secrets.get("user_data"),
            "key_name": fields["key_name"],
            "availability_zone": fields.get("pinned_availability_zone"),
            "accessIPv4": fields["accessIPv4"],
            "accessIPv6": fields["accessIPv6"],
            **{name: fields.get(name) for name in ("description", "tags", "hostname")},
            **self._disks(want),
        }
        body: dict[str, Any] = {
            "server": {name: value for name, value in server.items() if value not in (None, "", [])}
        }
        if fields["server_group"]:
            body["os:scheduler_hints"] = {"group": fields["server_group"]}
        return str(cloud.post(self.service, "/servers", body, up_to=moving.UP_TO)["server"]["id"])

    def _disks(self, want: Want) -> dict[str, Any]:
        """The image, the volumes in their order, or both."""
        volumes, image = want.fields["volumes"], want.fields.get("image")
        disks = [
            {
                "uuid": one["volume"],
                "source_type": "volume",
                "destination_type": "volume",
                "boot_index": 0 if one["boot"] else -1,
                "delete_on_termination": one["delete_on_termination"],
                **({"tag": one["tag"]} if one["tag"] else {}),
            }
            for one in volumes
        ]
        if not volumes:
            return {"imageRef": image}
        if not image:
            return {"block_device_mapping_v2": disks}
        root = {
            "uuid": image,
            "source_type": "image",
            "destination_type": "local",
            "boot_index": 0,
            "delete_on_termination": True,
        }
        return {"imageRef": image, "block_device_mapping_v2": [root, *disks]}

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """By marker, in the project in whose name ``cloud`` acts."""
        for body in cloud.each(self.service, "/servers/detail", "servers", up_to=moving.UP_TO):
            if (body.get("metadata") or {}).get(MARKER) == want.marker:
                return str(body["id"])
        return None

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """Names by PUT, metadata and tags as a whole, the lock by an action."""
        path = f"/servers/{identity}"
        plain = ("description", "hostname", "accessIPv4", "accessIPv6")
        named = {name: changed[name] for name in plain if name in changed}
        if "disk_config" in changed:
            named["OS-DCF:diskConfig"] = changed["disk_config"]
        if named:
            cloud.put(self.service, path, {"server": named}, up_to=moving.UP_TO)
        if "metadata" in changed:
            metadata = {**changed["metadata"], MARKER: want.marker}
            cloud.put(self.service, f"{path}/metadata", {"metadata": metadata})
        if "tags" in changed:
            cloud.put(self.service, f"{path}/tags", {"tags": list(changed["tags"])}, up_to="2.26")
        if {"locked", "locked_reason"} & set(changed):
            locked = changed.get("locked", want.fields["locked"])
            reason = changed.get("locked_reason", want.fields.get("locked_reason"))
            lock = {"locked_reason": reason} if reason else None
            cloud.post(
                self.service, f"{path}/action", {"lock": lock} if locked else {"unlock": None}, up_to="2.73"
            )

    def unmark(self, cloud: CloudAPI, identity: str) -> None:
        """DELETE of that key of the metadata."""
        cloud.delete(self.service, f"/servers/{identity}/metadata/{MARKER}")

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Its ports were made before it, so compute leaves them."""
        return cloud.delete(self.service, f"/servers/{identity}")


def _by_server_group(inventory: Inventory) -> Mapping[str, list[Resource]]:
    """The servers of each server group."""
    found: dict[str, list[Resource]] = defaultdict(list)
    for server in inventory.of_type("server"):
        if server.fields.get("server_group"):
            found[str(server.fields["server_group"])].append(server)
    return found


def _boot_device(body: Mapping[str, Any]) -> str | None:
    """The device that a server boots from, if that is a volume."""
    device: str | None = body.get("OS-EXT-SRV-ATTR:root_device_name")
    return None if body.get("image") else device


def _block(summary: str, next_step: str) -> Problem:
    return Problem(severity=Severity.BLOCK, summary=summary, next_step=next_step)


def _warn(summary: str) -> Problem:
    return Problem(severity=Severity.WARNING, summary=summary)


def _lost(summary: str, *, field: str = "", next_step: str = "") -> Problem:
    return Problem(severity=Severity.LOST, summary=summary, field=field, next_step=next_step)
