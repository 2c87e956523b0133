"""Servers."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.compare import differences
from pumphouse.context import PENDING
from pumphouse.model import Action, Inventory, Ref, Resource, Side
from pumphouse.moving.server import QUIET
from pumphouse.nic_order import nic_order
from pumphouse.resource import Reach, Severity, Want
from pumphouse.steps import step_named
from pumphouse.tasks.flavor import Flavor
from pumphouse.tasks.image import Image
from pumphouse.tasks.keypair import Keypair
from pumphouse.tasks.server import Server, _boot_device
from pumphouse.tasks.server_group import ServerGroup
from pumphouse.tasks.volume import Volume

from .harness import Bench, follow

KIND = Server()
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0yUuY5eqBRJH+AQFBcPzyZZ3zRsZxRHNKbf1nGQfQe tester"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHNrA5TXFCdRDLEbJZN0rQ8mCRhrqPwhPnYZBHVEKLyO other"
USER_DATA = base64.b64encode(b"#!/bin/sh\necho secret-token\n").decode()


@dataclass
class Place:
    """A project on both clouds with what a server needs there, mapped."""

    bench: Bench
    project: str
    networks: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    seen: list[Resource] = field(default_factory=list)
    flavor: str = ""
    image: str = ""

    def cloud(self, side: Side) -> Any:
        project = self.project if side is Side.SOURCE else self.bench.there("project", self.project)
        return self.bench.scoped(side, project)

    def both(self, kind: str, service: Service, path: str, item: str, body: Any) -> str:
        """Make it on both sides; ``body`` may need the side's ids."""
        ids = []
        for side in Side:
            given = body(side) if callable(body) else body
            answer = self.cloud(side).post(service, path, {item: given} if item else given)
            ids.append(str((answer[item] if item else answer)["id"]))
        self.bench.ids.put(Ref(kind, ids[0]), ids[1], made=True)
        return ids[0]

    def on(self, side: Side, kind: str, source_id: str) -> str:
        return source_id if side is Side.SOURCE else self.bench.there(kind, source_id)

    def add_network(self, name: str, cidr: str) -> str:
        network = self.both("network", Service.NETWORK, "/networks", "network", {"name": name})

        def subnet(side: Side) -> dict[str, Any]:
            return {"network_id": self.on(side, "network", network), "cidr": cidr, "ip_version": 4}

        self.both("subnet", Service.NETWORK, "/subnets", "subnet", subnet)
        self.networks.append(network)
        return network

    def add_port(self, network: str, address: str) -> str:
        mac = "fa:16:3e:" + ":".join(f"{int(part):02x}" for part in address.split(".")[1:])

        def port(side: Side) -> dict[str, Any]:
            return {
                "network_id": self.on(side, "network", network),
                "mac_address": mac,
                "fixed_ips": [{"ip_address": address}],
                "name": address,
            }

        self.ports.append(self.both("port", Service.NETWORK, "/ports", "port", port))
        return self.ports[-1]

    def boot(self, **given: Any) -> str:
        """A running server of the source."""
        hints = {"os:scheduler_hints": given.pop("hints")} if "hints" in given else {}
        body = {
            "name": "web",
            "flavorRef": self.flavor,
            "imageRef": self.image,
            "networks": [{"port": port} for port in self.ports],
            **given,
        }
        body = {name: value for name, value in body.items() if value is not None}
        answer = self.cloud(Side.SOURCE).post(
            Service.COMPUTE, "/servers", {"server": body, **hints}, up_to="2.93"
        )
        return self.wait(str(answer["server"]["id"]), {"ACTIVE"})

    def act(self, identity: str, action: str, body: Any = None, *, side: Side = Side.SOURCE) -> None:
        self.cloud(side).post(Service.COMPUTE, f"/servers/{identity}/action", {action: body}, up_to="2.73")

    def wait(self, identity: str, states: set[str], *, side: Side = Side.SOURCE) -> str:
        def until(body: Any) -> Any:
            assert body is not None
            assert body["status"] != "ERROR", body.get("fault")
            return identity if body["status"] in states and not body["OS-EXT-STS:task_state"] else PENDING

        wait = self.bench.context.wait(side, "server", identity, None, until, describe="it", timeout=120)
        return str(follow(wait))

    def body(self, identity: str, side: Side = Side.SOURCE) -> dict[str, Any]:
        return self.bench.cloud(side).get(Service.COMPUTE, f"/servers/{identity}", up_to="2.96")["server"]

    def read(self, identity: str, side: Side = Side.SOURCE) -> Resource:
        """A server as a plan reads it."""
        cloud = self.bench.cloud(side)
        inventory = Inventory(cloud.name, self.seen)
        for kind in (Flavor(), Image(), ServerGroup(), Volume()):
            for one in kind.discover(cloud, seen=inventory, reach=Reach()):
                inventory.add(one)
        for port in cloud.list(Service.NETWORK, "/ports", "ports"):
            facts = {"device_id": port["device_id"], "addresses": port["fixed_ips"]}
            inventory.add(
                Resource(
                    ref=Ref("port", port["id"]),
                    name="",
                    fields={"mac_address": port["mac_address"]},
                    facts=facts,
                )
            )
        for found in KIND.discover(cloud, seen=inventory, reach=Reach()):
            if found.ref.id == identity:
                self.inventory = inventory
                return KIND.complete(cloud, found)
        raise AssertionError("it is not listed")

    def arrived(self, resource: Resource, made: str) -> Resource:
        """The destination's server, compared with the source's."""
        there = self.read(made, Side.DESTINATION)
        want = KIND.resolve(resource.fields, self.bench.ids.get)
        assert differences(KIND, want, there.fields) == ()
        assert there.made_from == resource.ref.id
        return there


@pytest.fixture
def place(bench: Bench) -> Place:
    place = Place(bench, bench.project("servers"))
    flavor = {"name": f"{bench.prefix}-tiny", "ram": 64, "vcpus": 1, "disk": 1, "id": f"{bench.prefix}-tiny"}
    place.flavor = place.both("flavor", Service.COMPUTE, "/flavors", "flavor", flavor)
    for side in Side:
        bench.later.insert(
            0, lambda side=side: bench.cloud(side).delete(Service.COMPUTE, f"/flavors/{place.flavor}")
        )
    record = {"name": "os", "disk_format": "raw", "container_format": "bare", "visibility": "private"}
    place.image = place.both("image", Service.IMAGE, "/images", "", record)
    data = bytes(1 << 20)
    for side in Side:
        place.cloud(side).put_image(place.on(side, "image", place.image), io.BytesIO(data), len(data))
    place.add_port(place.add_network("front", "10.20.30.0/24"), "10.20.30.11")
    return place


def keypair(bench: Bench, user: str, name: str, public_key: str = SSH) -> str:
    """A key pair of the operator's user on the source, and of a tenant's on the destination."""
    there = bench.user(user)
    owner = bench.there("user", there)
    body = {"name": name, "type": "ssh", "public_key": public_key}
    bench.source.post(Service.COMPUTE, "/os-keypairs", {"keypair": body}, up_to="2.10")
    bench.destination.post(
        Service.COMPUTE, "/os-keypairs", {"keypair": {**body, "user_id": owner}}, up_to="2.10"
    )
    bench.ids.put(Ref("keypair", f"{bench.source.user_id}/{name}"), f"{owner}/{name}", made=True)
    bench.later += [
        lambda: Keypair().delete(bench.source, f"{bench.source.user_id}/{name}"),
        lambda: Keypair().delete(bench.destination, f"{owner}/{name}"),
    ]
    return f"{owner}/{name}"


def operators_keys(bench: Bench) -> list[str]:
    found = bench.destination.list(Service.COMPUTE, "/os-keypairs", "keypairs", up_to="2.10")
    return [one["keypair"]["name"] for one in found]


def test_a_server_arrives_whole_and_the_source_is_off(bench, place):
    name = f"{bench.prefix}-key"
    keypair(bench, "owner", name)
    place.add_port(place.add_network("back", "10.20.40.0/24"), "10.20.40.12")
    policy = {"name": "apart", "policies": ["anti-affinity"]}
    group = place.both("server_group", Service.COMPUTE, "/os-server-groups", "server_group", policy)
    identity = place.boot(
        key_name=name,
        user_data=USER_DATA,
        metadata={"team": "shop"},
        tags=["b", "a"],
        description="the shop",
        config_drive=True,
        hostname="shop-1",
        hints={"group": group},
    )
    place.act(identity, "lock", {"locked_reason": "do not touch"})
    resource = place.read(identity)
    assert resource.fields["ports"] == place.ports
    assert USER_DATA not in json.dumps(resource.to_dict())
    made = bench.carry(KIND, resource)
    there = place.arrived(resource, made)
    body = place.body(made, Side.DESTINATION)
    assert body["OS-EXT-SRV-ATTR:user_data"] == USER_DATA
    assert (body["key_name"], body.get("OS-EXT-SRV-ATTR:hostname")) == (name, "shop-1")
    assert (body["status"], body["locked"], body["locked_reason"]) == ("ACTIVE", True, "do not touch")
    assert there.fields["ports"] == [bench.there("port", port) for port in place.ports]
    assert there.fields["server_group"] == bench.there("server_group", group)
    assert sorted(there.facts["addresses"]) == ["10.20.30.11", "10.20.40.12"]
    source = place.body(identity)
    assert (source["status"], source["locked"], source["locked_reason"]) == ("SHUTOFF", True, "do not touch")
    assert name not in operators_keys(bench)
    assert {entry.step for entry in bench.journal.open()} == {"quiesce", "create", "shut_down"}


@pytest.mark.parametrize("quiesce", ["suspend", "stop"])
def test_a_failure_half_way_brings_the_source_back(bench, place, quiesce):
    bench.settings = replace(bench.settings, quiesce=quiesce)
    identity = place.boot()
    resource = place.read(identity)
    bench.carry(KIND, resource, until="settle")
    assert place.body(identity)["status"] == {"suspend": "SUSPENDED", "stop": "SHUTOFF"}[quiesce]
    made = bench.ids.get(resource.ref)
    bench.undo([KIND], {resource.ref: resource})
    assert place.body(identity)["status"] == "ACTIVE"
    assert KIND.show(bench.destination, made, project_id=None) is None
    port = bench.there("port", place.ports[0])
    assert bench.destination.get(Service.NETWORK, f"/ports/{port}")["port"]["device_id"] == ""


def test_a_server_whose_shutting_down_was_cut_short_runs_again(bench, place):
    """Its status says that it is active already, its guest is still suspended."""
    identity = place.boot()
    resource = place.read(identity)
    bench.carry(KIND, resource, until="shut_down")
    bench.journal.intend(resource.ref, "shut_down", Side.SOURCE, detail={"status": "ACTIVE"})
    reset = {"os-resetState": {"state": "active"}}
    bench.source.post(Service.COMPUTE, f"/servers/{identity}/action", reset, up_to="2.96")
    assert place.body(identity)["status"] == "ACTIVE"
    bench.undo([KIND], {resource.ref: resource})
    body = place.body(identity)
    assert (body["status"], body["OS-EXT-STS:power_state"]) == ("ACTIVE", 1)


def test_a_verified_server_is_not_taken_back_for_a_time_that_could_not_be_read(bench, place, monkeypatch):
    """When the source's had been switched off is known from the answer that says that it is off."""
    identity = place.boot()
    resource = place.read(identity)
    bench.carry(KIND, resource, until="shut_down")
    step = step_named(KIND, "shut_down")(bench.context, bench.item(KIND, resource))
    off = step.run()

    def lost(*_):
        raise errors.Unavailable("no answer")

    monkeypatch.setattr(step, "body", lost)
    assert follow(off) == "SHUTOFF"
    (entry,) = bench.journal.open_entries(resource.ref, "shut_down")
    assert entry.detail["left_at"] == place.body(identity)["updated"]


def test_the_way_back_after_success_starts_the_source_again(bench, place):
    identity = place.boot()
    resource = place.read(identity)
    made = bench.carry(KIND, resource)
    assert place.body(identity)["status"] == "SHUTOFF"
    bench.undo([KIND], {resource.ref: resource})
    assert place.body(identity)["status"] == "ACTIVE"
    assert KIND.show(bench.destination, made, project_id=None) is None


@pytest.mark.parametrize("action", [{"os-resetState": {"state": "error"}}, {"shelve": None}])
def test_a_source_that_cannot_be_woken_is_not_called_taken_back(bench, place, action):
    identity = place.boot()
    resource = place.read(identity)
    bench.carry(KIND, resource)
    bench.source.post(Service.COMPUTE, f"/servers/{identity}/action", action, up_to="2.96")
    with pytest.raises(errors.ResourceFailed, match=r"is (ERROR|SHELVED\w*) on the source, and was ACTIVE"):
        bench.undo([KIND], {resource.ref: resource})


@pytest.mark.parametrize(
    ("action", "state", "left"),
    [
        ("os-stop", "SHUTOFF", "SHUTOFF"),
        ("pause", "PAUSED", "SHUTOFF"),
        ("suspend", "SUSPENDED", "SHUTOFF"),
    ],
)
def test_the_state_found_is_the_final_state(bench, place, action, state, left):
    identity = place.boot()
    place.act(identity, action)
    place.wait(identity, {state})
    resource = place.read(identity)
    made = bench.carry(KIND, resource)
    assert place.body(made, Side.DESTINATION)["status"] == state
    assert place.body(identity)["status"] == left
    place.arrived(resource, made)
    bench.undo([KIND], {resource.ref: resource})
    assert place.body(identity)["status"] == state


def test_a_shelved_server_moves_from_its_shelved_image(bench, place):
    identity = place.boot()
    place.act(identity, "shelve")
    place.wait(identity, {"SHELVED_OFFLOADED"})
    shelved = place.read(identity).facts["boot_image"]

    def active(body: Any) -> Any:
        return shelved if body["status"] == "active" else PENDING

    follow(bench.context.wait(Side.SOURCE, "image", shelved, None, active, describe="it", timeout=60))
    resource = place.read(identity)
    assert shelved != place.image
    assert "image" not in resource.fields
    assert Ref("image", shelved) in KIND.needs(resource, place.inventory)
    image = place.inventory.get(Ref("image", shelved))
    assert image is not None
    bench.carry(Image(), image)
    made = bench.carry(KIND, resource)
    there = place.body(made, Side.DESTINATION)
    assert there["status"] in {"SHELVED", "SHELVED_OFFLOADED"}
    assert place.body(identity)["status"] == "SHELVED_OFFLOADED"
    images = bench.destination.list(Service.IMAGE, "/images", "images")
    owners = [one["owner"] for one in images if one.get("instance_uuid") == made]
    assert owners == [there["tenant_id"]]


def test_a_second_attempt_makes_no_second_server(bench, place):
    identity = place.boot()
    resource = place.read(identity)
    bench.step(KIND, resource, "quiesce")
    step = KIND.steps[1](bench.context, bench.item(KIND, resource))
    cloud = place.cloud(Side.DESTINATION)
    first = KIND.create(cloud, step.want(secrets=True))
    bench.journal.intend(resource.ref, "create", Side.DESTINATION)
    assert bench.carry(KIND, resource) == first
    assert len(cloud.list(Service.COMPUTE, "/servers", "servers")) == 1


def test_a_key_name_that_the_operator_uses_for_another_key_is_waited_for(bench, place):
    name = f"{bench.prefix}-key"
    keypair(bench, "owner", name)
    identity = place.boot(key_name=name)
    resource = place.read(identity)
    other = {"keypair": {"name": name, "type": "ssh", "public_key": OTHER}}
    bench.destination.post(Service.COMPUTE, "/os-keypairs", other, up_to="2.10")
    bench.step(KIND, resource, "quiesce")
    result = step_named(KIND, "create")(bench.context, bench.item(KIND, resource)).run()
    assert result.poll() is PENDING
    Keypair().delete(bench.destination, f"{bench.destination.user_id}/{name}")
    assert follow(result) == bench.ids.get(resource.ref)
    assert operators_keys(bench).count(name) == 0


def test_the_same_key_of_the_operator_is_used_and_kept(bench, place):
    name = f"{bench.prefix}-key"
    keypair(bench, "owner", name)
    identity = place.boot(key_name=name)
    resource = place.read(identity)
    same = {"keypair": {"name": name, "type": "ssh", "public_key": SSH}}
    bench.destination.post(Service.COMPUTE, "/os-keypairs", same, up_to="2.10")
    made = bench.carry(KIND, resource)
    assert place.body(made, Side.DESTINATION)["key_name"] == name
    assert name in operators_keys(bench)
    told = {entry.step for entry in bench.journal.entries}
    assert "return_key" not in told, "a crash would have it taken for a lent one"
    Keypair().delete(bench.destination, f"{bench.destination.user_id}/{name}")


def test_a_changed_server_is_set_right(bench, place):
    identity = place.boot(metadata={"a": "1"}, tags=["x"], description="one")
    resource = place.read(identity)
    made = bench.carry(KIND, resource)
    cloud = bench.destination
    cloud.put(Service.COMPUTE, f"/servers/{made}", {"server": {"description": "two"}}, up_to="2.19")
    cloud.put(Service.COMPUTE, f"/servers/{made}/tags", {"tags": []}, up_to="2.26")
    cloud.delete(Service.COMPUTE, f"/servers/{made}/metadata/a")
    want = KIND.resolve(resource.fields, bench.ids.get)
    changed = tuple(one.field for one in differences(KIND, want, place.read(made, Side.DESTINATION).fields))
    assert set(changed) == {"description", "metadata", "tags"}
    for step in KIND.steps:
        bench.step(KIND, resource, step.name, action=Action.UPDATE, destination_id=made, changed=changed)
    place.arrived(resource, made)


def test_volumes_come_along_in_their_order_with_data_and_tags(bench, place):
    cloud = place.cloud(Side.SOURCE)
    wait = {"describe": "a volume", "timeout": 120}

    def volume(name: str, **more: Any) -> str:
        body = {"volume": {"size": 1, "name": name, **more}}
        identity = cloud.post(Service.VOLUME, "/volumes", body)["volume"]["id"]
        return str(follow(bench.context.wait(Side.SOURCE, "volume", identity, None, available, **wait)))

    def available(body: Any) -> Any:
        return body["id"] if body["status"] == "available" else PENDING

    root, logs, data = volume("root", imageRef=place.image), volume("logs"), volume("data")
    disks = [
        {"uuid": root, "boot_index": 0, "delete_on_termination": True},
        {"uuid": data, "boot_index": -1, "tag": "data"},
        {"uuid": logs, "boot_index": -1},
    ]
    kinds = {"source_type": "volume", "destination_type": "volume"}
    identity = place.boot(imageRef=None, block_device_mapping_v2=[{**kinds, **disk} for disk in disks])
    resource = place.read(identity)
    assert [one["volume"] for one in resource.fields["volumes"]] == [root, data, logs]
    assert [one["boot"] for one in resource.fields["volumes"]] == [True, False, False]
    bench.step(KIND, resource, "quiesce")
    assert place.body(identity)["status"] == "SHUTOFF"
    volumes = {one: place.inventory.get(Ref("volume", one)) for one in (root, data, logs)}
    for one in volumes.values():
        assert one.facts["attachments"][0]["server"] == identity
        bench.carry(Volume(), one)
    made = bench.carry(KIND, resource)
    there = place.arrived(resource, made)
    assert [one["volume"] for one in there.fields["volumes"]] == [
        bench.there("volume", one) for one in (root, data, logs)
    ]
    assert [one["tag"] for one in there.fields["volumes"]] == [None, "data", None]
    assert there.fields["volumes"][0]["delete_on_termination"] is True
    own = {"all_tenants": "1"}
    for path in ("volumes", "snapshots"):
        left = bench.source.list(Service.VOLUME, f"/{path}/detail", path, params=own)
        assert [one["name"] for one in left if one["name"] in {bench.carrier(id) for id in volumes}] == []
    attached = [one["id"] for one in place.body(identity)["os-extended-volumes:volumes_attached"]]
    assert sorted(attached) == sorted((root, data, logs))
    everything = {one.ref: one for one in volumes.values()} | {resource.ref: resource}
    bench.undo([KIND, Volume()], everything)
    assert place.body(identity)["status"] == "ACTIVE"


def test_a_server_in_another_state_by_now_is_not_touched(bench, place):
    identity = place.boot()
    resource = place.read(identity)
    place.act(identity, "os-resetState", {"state": "error"})
    with pytest.raises(errors.ResourceError, match="its status is now ERROR"):
        bench.step(KIND, resource, "quiesce")
    # Nothing is in the journal: an undo could not bring it back to that.
    assert bench.journal.entries == []
    place.act(identity, "os-resetState", {"state": "active"})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"status": "SHUTOFF"}, "its status is SHUTOFF"),
        ({"addresses": {}}, "addresses: ['10.20.30.11'] wanted, [] found"),
        ({"device_id": "another"}, "is not its own"),
        ({"status": "DOWN", "binding:vif_type": "binding_failed"}, "is binding_failed"),
    ],
)
def test_a_server_that_does_not_run_with_its_network_is_not_verified(bench, place, monkeypatch, wrong, words):
    resource = place.read(place.boot())
    bench.carry(KIND, resource, until="verify")
    get = type(bench.destination).get

    def tell(cloud: Any, service: Service, path: str, **more: Any) -> dict[str, Any]:
        body = get(cloud, service, path, **more)
        item = "server" if path.startswith("/servers/") and path.count("/") == 2 else "port"
        if item in body and cloud is bench.destination:
            body[item] |= {name: value for name, value in wrong.items() if name in body[item]}
        return body

    monkeypatch.setattr(type(bench.destination), "get", tell)
    with pytest.raises(errors.VerificationFailed) as caught:
        bench.step(KIND, resource, "verify")
    assert words in str(caught.value)


@pytest.mark.parametrize("root", ["/dev/vda", "/dev/sda"])
def test_the_boot_volume_is_that_of_the_root_device(root):
    class Attached:
        """A cloud that tells the attachments of a server."""

        def list(self, service, path, key, **more):
            other = "/dev/vdb" if root == "/dev/vda" else "/dev/vda"
            return [{"volumeId": name, "device": device} for name, device in (("o", other), ("r", root))]

    body = {"image": "", "OS-EXT-SRV-ATTR:root_device_name": root}
    volumes = KIND._volumes(Attached(), "s", boot_device=_boot_device(body))
    assert [one["volume"] for one in volumes if one["boot"]] == ["r"]


# -- what is pure


def server(**changes: Any) -> Resource:
    fields = {"flavor": "f", "ports": [], "volumes": [], "key_name": None, **changes.pop("fields", {})}
    facts = {
        "status": "ACTIVE",
        "task_state": None,
        "keypair": None,
        "boot_image": "i",
        "flavor": {"original_name": "small", "ram": 1, "vcpus": 1, "disk": 1},
        "availability_zone": "nova",
        "nic_order_is_clear": True,
        "certificates": False,
        **changes,
    }
    return Resource(ref=Ref("server", "s"), name="s", fields=fields, facts=facts)


SOURCE = Inventory(
    "source",
    [
        Resource(
            ref=Ref("flavor", "f"),
            name="small",
            fields={"ram": 1, "vcpus": 1, "disk": 1, "ephemeral": 0, "extra_specs": {}},
        ),
        Resource(
            ref=Ref("flavor", "large"),
            name="large",
            fields={"ram": 1, "vcpus": 1, "disk": 1, "ephemeral": 5, "extra_specs": {}},
        ),
        Resource(ref=Ref("image", "i"), name="i", fields={"properties": {}, "deactivated": False}),
        Resource(ref=Ref("image", "off"), name="off", fields={"properties": {}, "deactivated": True}),
        Resource(ref=Ref("image", "tpm"), name="tpm", fields={"properties": {"hw_tpm_version": "2.0"}}),
        Resource(ref=Ref("port", "sriov"), name="", fields={"binding:vnic_type": "direct"}),
    ],
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "ERROR"}, "status is ERROR"),
        ({"status": "RESCUE"}, "status is RESCUE"),
        ({"status": "VERIFY_RESIZE"}, "status is VERIFY_RESIZE"),
        ({"task_state": "migrating"}, "migrating just now"),
        ({"flavor": {"extra_specs": {"hw:tpm_version": "2.0"}}}, "a TPM"),
        ({"flavor": {"extra_specs": {"pci_passthrough:alias": "gpu:1"}}}, "a device of its host"),
        ({"flavor": {"extra_specs": {"resources:VGPU": "1"}}}, "VGPU"),
        ({"fields": {"ports": ["sriov"]}}, "passthrough port sriov"),
        ({"fields": {"flavor": None}}, "flavor small has been deleted"),
        ({"boot_image": None}, "no image to boot from"),
        ({"boot_image": "off"}, "its image is deactivated"),
        ({"boot_image": "tpm"}, "a TPM"),
        ({"boot_image": None, "status": "SHELVED_OFFLOADED"}, "no shelved image"),
    ],
)
def test_what_cannot_move_is_refused(changes, words):
    blocks = [one for one in KIND.refuse(server(**changes), SOURCE) if one.severity is Severity.BLOCK]
    assert len(blocks) == 1
    assert words in blocks[0].summary
    assert blocks[0].next_step


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({}, Severity.WARNING, "cloud-init"),
        ({}, Severity.LOST, "root disk is made anew"),
        ({"status": "PAUSED"}, Severity.LOST, "memory of a paused server"),
        ({"keypair": "u/k", "fields": {"key_name": "k"}}, Severity.LOST, "key pair 'k' has been deleted"),
        ({"availability_zone": "rack1"}, Severity.LOST, "zone 'rack1'"),
        ({"nic_order_is_clear": False}, Severity.WARNING, "order of all its ports"),
        ({"flavor": {"ram": 2}}, Severity.WARNING, "has been changed since"),
        ({"certificates": True}, Severity.LOST, "certificates"),
        ({"fields": {"flavor": "large"}}, Severity.LOST, "ephemeral disk is made anew"),
    ],
)
def test_what_is_lost_is_told(changes, severity, words):
    found = [one for one in KIND.refuse(server(**changes), SOURCE) if words in one.summary]
    assert [one.severity for one in found] == [severity]


def card(identity: str, mac: str, *addresses: str) -> dict[str, Any]:
    return {"id": identity, "mac_address": mac, "fixed_ips": [{"ip_address": one} for one in addresses]}


def told(mac: str, address: str, kind: str = "fixed") -> dict[str, str]:
    return {"OS-EXT-IPS-MAC:mac_addr": mac, "addr": address, "OS-EXT-IPS:type": kind}


def test_the_order_of_cards_is_that_of_the_addresses():
    ports = [card("a", "m1", "10.0.0.1"), card("b", "m2", "10.1.0.1", "fd00::1")]
    addresses = {
        "back": [told("m2", "10.1.0.1"), told("m2", "fd00::1"), told("m2", "203.0.113.9", "floating")],
        "front": [told("m1", "10.0.0.1")],
    }
    assert nic_order(addresses, ports) == (["b", "a"], True)


def test_an_order_that_cannot_be_known_says_so():
    two = [card("a", "m1", "10.0.0.1"), card("b", "m2", "10.0.0.2"), card("c", "m3", "10.1.0.1")]
    addresses = {"front": [told("m1", "10.0.0.1"), told("m2", "10.0.0.2")], "back": [told("m3", "10.1.0.1")]}
    assert nic_order(addresses, two) == (["a", "b", "c"], False)
    assert nic_order({"front": [told("m1", "10.0.0.1")]}, [two[0], card("x", "m9")]) == (["a", "x"], False)
    assert nic_order({}, [card("x", "m9")]) == (["x"], True)


def test_the_states_in_which_a_server_is_quiet_need_no_quieting():
    assert {"SHUTOFF", "SUSPENDED", "PAUSED", "SHELVED", "SHELVED_OFFLOADED"} == QUIET


def test_a_zone_that_the_destination_lacks_blocks():
    want = Want(source=server(), fields={"pinned_availability_zone": "az9"}, secrets={})
    destination = Inventory("destination", facts={"server": {"zones": ["az1"]}})
    (problem,) = KIND.check(want, destination, exists=False)
    assert problem.severity is Severity.BLOCK
    assert "availability_zones" in problem.next_step
    assert list(KIND.check(want, destination, exists=True)) == []
