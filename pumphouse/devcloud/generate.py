"""Many resources at once, put straight into the tables: a cloud for tests of scale.

`{tenants: 10, servers: 100, networks: 1, volumes: 0, images: 0, prefix: load}`: servers, networks, volumes
and images are counted per tenant. Every server has one port, and boots from one of its tenant's images; the
volumes are attached in turn. Images and volumes are rows without bytes. The tenants have no quotas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pumphouse.devcloud import (
    compute_model,
    compute_quotas,
    compute_volumes,
    identity_model,
    image,
    network_quotas,
    network_security,
    volume_quotas,
)
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.network_api import COLLECTIONS, Call
from pumphouse.devcloud.network_attributes import parse
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.volume_model import HOST, VOLUMES, ZONE
from pumphouse.devcloud.volume_types import DEFAULT, find_type

_SIZE = 2**30
"""Of an image, in bytes."""
_COUNTED = ("servers", "networks", "volumes", "images")


def generate(cloud: DevCloud, wanted: Mapping[str, Any]) -> None:
    """Make them; called under the lock. ValueError for a word that is not known."""
    unknown = sorted(set(wanted) - {*_COUNTED, "tenants", "prefix"})
    if unknown:
        raise ValueError(f"generate does not know {', '.join(unknown)}")
    counts = {name: int(wanted.get(name, 1 if name == "networks" else 0)) for name in _COUNTED}
    flavor = _flavor(cloud) if counts["servers"] else None
    for number in range(int(wanted.get("tenants", 1))):
        name = f"{wanted.get('prefix', 'load')}-{number}"
        project = identity_model.add_project(cloud, {"name": name})
        _unlimited(cloud, project["id"])
        networks = _networks(cloud, project["id"], name, counts["networks"])
        images = [_image(cloud, project["id"], f"{name}-image-{place}") for place in range(counts["images"])]
        servers = [
            _server(
                cloud,
                project["id"],
                f"{name}-server-{place}",
                flavor or {},
                network_id=networks[place % len(networks)] if networks else None,
                image_id=images[place % len(images)] if images else "",
            )
            for place in range(counts["servers"])
        ]
        for place in range(counts["volumes"]):
            volume_id = _volume(cloud, project["id"], f"{name}-volume-{place}")
            if servers:
                server = servers[place % len(servers)]
                compute_volumes.connect(cloud, server, compute_volumes.attach(cloud, server, volume_id))


def _unlimited(cloud: DevCloud, project_id: str) -> None:
    compute_quotas.set_limits(cloud, project_id, dict.fromkeys(compute_quotas.DEFAULTS, -1))
    for table, known in (
        (volume_quotas.QUOTAS, volume_quotas.DEFAULTS),
        (network_quotas.QUOTAS, network_quotas.DEFAULTS),
    ):
        row = {"id": project_id, "project_id": project_id, "limits": dict.fromkeys(known, -1)}
        cloud.table(table).add(row)


def _flavor(cloud: DevCloud) -> Row:
    """Any flavor of the cloud will do; without one, a small one is made."""
    for row in cloud.table(compute_model.FLAVORS):
        return row
    small = {
        "id": "generated",
        "name": "generated",
        "ram": 512,
        "vcpus": 1,
        "disk": 1,
        "ephemeral": 0,
        "swap": 0,
    }
    more: Row = {
        "rxtx_factor": 1.0,
        "is_public": True,
        "description": None,
        "extra_specs": {},
        "disabled": False,
    }
    return cloud.table(compute_model.FLAVORS).add({**small, **more})


def _make(call: Call, plural: str, **body: Any) -> Row:
    """A network resource without policy and quota."""
    collection = COLLECTIONS[plural]
    values = parse(collection.attributes, body, method="POST")
    values["project_id"] = call.project
    row = collection.build(call, values)
    collection.insert(call, row)
    return row


def _networks(cloud: DevCloud, project_id: str, name: str, count: int) -> list[str]:
    network_security.ensure_default(cloud, project_id)
    call = Call(cloud=cloud, project=project_id, admin=True)
    made = []
    for place in range(count):
        network = _make(call, "networks", name=f"{name}-net-{place}")
        cidr = f"10.{place % 256}.0.0/16"
        _make(
            call, "subnets", name=f"{name}-subnet-{place}", network_id=network["id"], ip_version=4, cidr=cidr
        )
        made.append(str(network["id"]))
    return made


def _image(cloud: DevCloud, project_id: str, name: str) -> str:
    kind = {"disk_format": "raw", "container_format": "bare"}
    row = image.new_record(cloud, owner=project_id, name=name, **kind)
    image.activate(cloud, row, size=_SIZE, digests=("0" * 32, "0" * 128))
    return str(row["id"])


def _volume(cloud: DevCloud, project_id: str, name: str) -> str:
    now, volume_id = cloud.now(), cloud.new_id()
    cloud.table(VOLUMES).add(
        {
            "id": volume_id,
            "name": name,
            "description": None,
            "size": 1,
            "status": "available",
            "project_id": project_id,
            "user_id": "",
            "volume_type_id": find_type(cloud, DEFAULT)["id"],
            "availability_zone": ZONE,
            "bootable": False,
            "encrypted": False,
            "multiattach": False,
            "readonly": None,
            "metadata": {},
            "image_metadata": {},
            "snapshot_id": None,
            "source_volid": None,
            "attachments": [],
            "previous_status": None,
            "host": HOST,
            "created_at": now,
            "updated_at": now,
        }
    )
    return volume_id


def _server(
    cloud: DevCloud, project_id: str, name: str, flavor: Row, *, network_id: str | None, image_id: str
) -> Row:
    now, server_id = cloud.now(), cloud.new_id()
    host = next(iter(cloud.table(compute_model.HOSTS)))["host"]
    nics: list[Row] = []
    if network_id is not None:
        call = Call(cloud=cloud, project=project_id, admin=True)
        binding = {"device_id": server_id, "device_owner": f"compute:{ZONE}", "binding:host_id": host}
        port = _make(call, "ports", network_id=network_id, **binding)
        nics = [{"port_id": port["id"], "owned": True, "tag": None}]
    kept = ("id", "name", "ram", "vcpus", "disk", "ephemeral", "swap", "extra_specs")
    return cloud.table(compute_model.SERVERS).add(
        {
            "id": server_id,
            "name": name,
            "launch_index": 0,
            "project_id": project_id,
            "user_id": "",
            "vm_state": "active",
            "task_state": None,
            "power_state": 1,
            "fault": None,
            "flavor": {key: flavor[key] for key in kept},
            "image_id": image_id,
            "root_device_name": "/dev/vda",
            "metadata": {},
            "tags": [],
            "description": None,
            "hostname": name,
            "key_name": None,
            "user_data": None,
            "config_drive": False,
            "availability_zone": ZONE,
            "pinned_zone": None,
            "host": host,
            "nics": nics,
            "volumes": [],
            "group_id": None,
            "locked": False,
            "locked_reason": None,
            "access_ipv4": "",
            "access_ipv6": "",
            "disk_config": "MANUAL",
            "reservation_id": f"r-{server_id[:8]}",
            "created_at": now,
            "updated_at": now,
            "launched_at": now,
        }
    )
