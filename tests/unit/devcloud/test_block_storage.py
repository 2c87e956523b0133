"""Block storage's rules, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pumphouse.devcloud import ADMIN_PASSWORD, DevCloud
from pumphouse.devcloud.client import ApiError, Client
from pumphouse.devcloud.volume_storage import share_storage

GIB = 1 << 30
DATA = b"boot sector" + bytes(range(256)) * 400


@pytest.fixture
def cloud(make_cloud: Callable[..., DevCloud]) -> DevCloud:
    return make_cloud("one", seed=1)


@pytest.fixture
def admin(cloud: DevCloud) -> Iterator[Client]:
    with Client(cloud.url, username="admin", password=ADMIN_PASSWORD, project="admin") as client:
        yield client


@pytest.fixture
def member(admin: Client, cloud: DevCloud) -> Iterator[Client]:
    project = admin.post("identity", "/projects", {"project": {"name": "shop"}})["project"]["id"]
    user_id = admin.post("identity", "/users", {"user": {"name": "ann", "password": "fake"}})["user"]["id"]
    role = admin.get("identity", "/roles?name=member")["roles"][0]["id"]
    admin.put("identity", f"/projects/{project}/users/{user_id}/roles/{role}")
    with Client(cloud.url, username="ann", password="fake", project="shop") as client:
        yield client


def make(client: Client, *, kind: str = "volume", wait: bool = True, **values: Any) -> dict[str, Any]:
    if kind == "volume" and not {"size", "source_volid", "snapshot_id"} & set(values):
        values["size"] = 1
    found: dict[str, Any] = client.post("volume", f"/{kind}s", {kind: values})[kind]
    if not wait:
        return found
    path, busy = f"/{kind}s/{found['id']}", ("creating", "downloading")
    seen = client.wait("volume", path, lambda body: body[kind]["status"] not in busy, seconds=10)
    result: dict[str, Any] = seen[kind]
    return result


def act(client: Client, volume: dict[str, Any], name: str, **given: Any) -> Any:
    return client.request("volume", "POST", f"/volumes/{volume['id']}/action", {name: given}).json


def refused(
    status: int, call: Callable[..., Any], /, *args: Any, text: str | None = None, **values: Any
) -> ApiError:
    with pytest.raises(ApiError, match=text) as error:
        call(*args, **values)
    assert error.value.status == status
    return error.value


def image_of(client: Client, data: bytes, **values: Any) -> str:
    body = {"name": "disk", "disk_format": "raw", "container_format": "bare", **values}
    image_id: str = client.post("image", "/images", body)["id"]
    headers = {"Content-Type": "application/octet-stream"}
    client.request("image", "PUT", f"/images/{image_id}/file", data=data, headers=headers)
    return image_id


def begins_with(cloud: DevCloud, volume: dict[str, Any], data: bytes) -> bool:
    path = cloud.files.path("volumes", volume["id"])
    assert path.stat().st_size == volume["size"] * GIB
    assert path.stat().st_blocks * 512 < 4 << 20, "the file must stay sparse"
    with path.open("rb") as file:
        return file.read(len(data)) == data and not any(file.read(4096))


def test_a_volume_is_a_sparse_file(member: Client, cloud: DevCloud) -> None:
    begun = make(member, wait=False, size=2, name="data", metadata={"tier": "db"})
    assert begun["status"] == "creating"
    seen = member.wait(
        "volume", f"/volumes/{begun['id']}", lambda body: body["volume"]["status"] == "available"
    )
    volume = seen["volume"]
    assert (volume["size"], volume["bootable"], volume["metadata"]) == (2, "false", {"tier": "db"})
    assert volume["volume_type"] == "__DEFAULT__"
    assert "os-vol-host-attr:host" not in volume
    assert begins_with(cloud, volume, b"")


def test_from_image_to_volume_to_clone_to_image(member: Client, cloud: DevCloud) -> None:
    image_id = image_of(member, DATA, hw_firmware_type="uefi", min_ram=64)
    volume = make(member, imageRef=image_id, name="boot")
    assert (volume["status"], volume["bootable"]) == ("available", "true")
    metadata = volume["volume_image_metadata"]
    assert (metadata["hw_firmware_type"], metadata["image_id"], metadata["min_ram"]) == (
        "uefi",
        image_id,
        "64",
    )
    assert begins_with(cloud, volume, DATA)
    clone = make(member, source_volid=volume["id"], size=2)
    assert (clone["size"], clone["bootable"], clone["volume_image_metadata"]) == (2, "true", metadata)
    assert begins_with(cloud, clone, DATA)
    snapshot = make(member, kind="snapshot", volume_id=volume["id"], name="before")
    assert (snapshot["status"], snapshot["size"]) == ("available", 1)
    copy = make(member, snapshot_id=snapshot["id"])
    assert begins_with(cloud, copy, DATA)
    answer = act(member, copy, "os-volume_upload_image", image_name="from-volume")["os-volume_upload_image"]
    assert (answer["status"], answer["visibility"], answer["disk_format"]) == ("uploading", "private", "raw")
    path = f"/images/{answer['image_id']}"
    image = member.wait("image", path, lambda body: body["status"] == "active", seconds=60)
    assert (image["size"], image["hw_firmware_type"], image["min_ram"]) == (GIB, "uefi", 64)
    start = member.request("image", "GET", f"{path}/file", headers={"Range": f"bytes=0-{len(DATA)}"})
    assert start.content == DATA + b"\0"
    assert member.get("volume", f"/volumes/{copy['id']}")["volume"]["status"] == "available"


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"size": 0}, 400),
        ({"size": "many"}, 400),
        ({"size": 1, "volume_type": "golden"}, 404),
        ({"size": 1, "snapshot_id": "none"}, 404),
        ({"size": 1, "source_volid": "none"}, 404),
        ({"size": 1, "imageRef": "none"}, 400),
        ({"size": 1, "availability_zone": "moon"}, 400),
        ({"size": 1, "multiattach": True}, 400),
        ({"size": 1, "colour": "red"}, 400),
        ({"size": 1, "metadata": {"a": 1}}, 400),
    ],
)
def test_wrong_volumes_are_refused(member: Client, values: dict[str, Any], status: int) -> None:
    refused(status, make, member, **values)


def test_images_must_fit(member: Client) -> None:
    image_id = image_of(member, DATA, min_disk=3)
    refused(400, make, member, imageRef=image_id, size=2, text="larger than volume size")
    volume = make(member, size=2)
    refused(400, make, member, source_volid=volume["id"], size=1)


def test_other_projects_see_nothing(member: Client, admin: Client) -> None:
    volume = make(admin, name="secret")
    refused(404, member.get, "volume", f"/volumes/{volume['id']}")
    refused(404, make, member, source_volid=volume["id"])
    assert member.get("volume", "/volumes?all_tenants=1")["volumes"] == []
    mine = make(member, name="mine")
    assert [row["id"] for row in admin.get("volume", "/volumes")["volumes"]] == [volume["id"]]
    everything = admin.get("volume", "/volumes/detail?all_tenants=1")["volumes"]
    assert {row["id"] for row in everything} == {volume["id"], mine["id"]}
    assert all(row["os-vol-host-attr:host"] for row in everything)


def test_lists_page_and_filter(member: Client, cloud: DevCloud) -> None:
    made = [
        make(member, wait=False, name=f"v{number}", metadata={"n": str(number)})["id"] for number in range(5)
    ]
    seen, path = [], "/volumes/detail?limit=2"
    while path:
        page = member.get("volume", path)
        seen += [row["id"] for row in page["volumes"]]
        following = [link["href"] for link in page.get("volumes_links", [])]
        path = following[0].removeprefix(f"{cloud.url}/volume/v3/{member.project_id}") if following else ""
    assert seen == made[::-1]
    assert [row["name"] for row in member.get("volume", "/volumes?name=v3")["volumes"]] == ["v3"]
    assert [row["name"] for row in member.get("volume", "/volumes?metadata={'n':'2'}")["volumes"]] == ["v2"]
    assert member.get("volume", "/volumes?with_count=true&limit=1")["count"] == 5


def test_metadata_and_flags(member: Client, admin: Client) -> None:
    volume = make(member, metadata={"a": "1"})
    path = f"/volumes/{volume['id']}"
    assert member.post("volume", f"{path}/metadata", {"metadata": {"b": "2"}})["metadata"] == {
        "a": "1",
        "b": "2",
    }
    assert member.put("volume", f"{path}/metadata", {"metadata": {"c": "3"}})["metadata"] == {"c": "3"}
    refused(404, member.delete, "volume", f"{path}/metadata/b")
    act(member, volume, "os-update_readonly_flag", readonly=True)
    act(member, volume, "os-set_bootable", bootable=True)
    act(member, volume, "os-set_image_metadata", metadata={"hw_disk_bus": "scsi", "x": "y"})
    act(member, volume, "os-unset_image_metadata", key="x")
    seen = member.get("volume", path)["volume"]
    assert seen["metadata"] == {"c": "3", "readonly": "True"}
    assert (seen["bootable"], seen["volume_image_metadata"]) == ("true", {"hw_disk_bus": "scsi"})
    refused(403, act, member, volume, "os-reset_status", status="error")
    act(admin, volume, "os-reset_status", status="error")
    assert member.get("volume", path)["volume"]["status"] == "error"
    refused(400, act, member, volume, "os-volume_upload_image", image_name="x")


def test_extend(member: Client, cloud: DevCloud) -> None:
    volume = make(member)
    refused(400, act, member, volume, "os-extend", new_size=1)
    act(member, volume, "os-extend", new_size=3)
    path = f"/volumes/{volume['id']}"
    seen = member.wait("volume", path, lambda body: body["volume"]["status"] == "available")["volume"]
    assert begins_with(cloud, seen, b"")
    assert seen["size"] == 3


def test_deletion(member: Client, cloud: DevCloud) -> None:
    volume = make(member)
    snapshot = make(member, kind="snapshot", volume_id=volume["id"])
    refused(400, member.delete, "volume", f"/volumes/{volume['id']}")
    member.delete("volume", f"/volumes/{volume['id']}?cascade=true")
    with pytest.raises(ApiError, match="404"):
        member.wait("volume", f"/volumes/{volume['id']}", lambda body: False, seconds=5)
    refused(404, member.get, "volume", f"/snapshots/{snapshot['id']}")
    assert not cloud.files.exists("volumes", volume["id"])


def test_attachments_and_multiattach(member: Client, admin: Client) -> None:
    volume = make(member, name="single")
    one = {"volume_uuid": volume["id"], "instance_uuid": "server-1", "connector": {"mountpoint": "/dev/vdc"}}
    made = member.post("volume", "/attachments", {"attachment": one})["attachment"]
    seen = member.get("volume", f"/volumes/{volume['id']}")["volume"]
    assert seen["status"] == "in-use"
    assert [(row["server_id"], row["device"]) for row in seen["attachments"]] == [("server-1", "/dev/vdc")]
    refused(400, member.post, "volume", "/attachments", {"attachment": one})
    refused(400, member.delete, "volume", f"/volumes/{volume['id']}")
    refused(400, act, member, volume, "os-volume_upload_image", image_name="x", force=True)
    assert make(member, source_volid=volume["id"])["status"] == "available"
    member.delete("volume", f"/attachments/{made['id']}")
    assert member.get("volume", f"/volumes/{volume['id']}")["volume"]["status"] == "available"
    body = {"volume_type": {"name": "shared", "extra_specs": {"multiattach": "<is> True"}}}
    admin.post("volume", "/types", body)
    shared = make(member, volume_type="shared")
    assert shared["multiattach"] is True
    for server in ("server-1", "server-2"):
        attachment = {"volume_uuid": shared["id"], "instance_uuid": server}
        member.post("volume", "/attachments", {"attachment": attachment})
    assert len(member.get("volume", f"/volumes/{shared['id']}")["volume"]["attachments"]) == 2


def test_snapshots_of_attached_volumes(member: Client) -> None:
    volume = make(member)
    member.post("volume", "/attachments", {"attachment": {"volume_uuid": volume["id"], "instance_uuid": "s"}})
    old = {"OpenStack-API-Version": "volume 3.60"}
    body = {"snapshot": {"volume_id": volume["id"]}}
    refused(400, member.request, "volume", "POST", "/snapshots", body, headers=old)
    body["snapshot"]["force"] = True
    assert member.request("volume", "POST", "/snapshots", body, headers=old).status == 202
    assert make(member, kind="snapshot", volume_id=volume["id"])["status"] == "available"


def test_types(member: Client, admin: Client) -> None:
    specs = {"multiattach": "<is> True", "volume_backend_name": "secret"}
    values = {"name": "fast", "extra_specs": specs, "os-volume-type-access:is_public": False}
    kind = admin.post("volume", "/types", {"volume_type": values})["volume_type"]
    assert kind["extra_specs"] == specs
    refused(409, admin.post, "volume", "/types", {"volume_type": values})
    refused(403, member.post, "volume", "/types", {"volume_type": {"name": "mine"}})
    assert [row["name"] for row in member.get("volume", "/types")["volume_types"]] == ["__DEFAULT__"]
    refused(404, make, member, volume_type="fast")
    make(admin, volume_type="fast")
    action = {"addProjectAccess": {"project": member.project_id}}
    admin.request("volume", "POST", f"/types/{kind['id']}/action", action)
    seen = member.get("volume", f"/types/{kind['id']}")["volume_type"]
    assert seen["extra_specs"] == {"multiattach": "<is> True"}
    admin.put("volume", f"/types/{kind['id']}/extra_specs/a", {"a": "b"})
    admin.delete("volume", f"/types/{kind['id']}/extra_specs/volume_backend_name")
    found = admin.get("volume", f"/types/{kind['id']}/extra_specs")["extra_specs"]
    assert found == {"a": "b", "multiattach": "<is> True"}
    make(member, volume_type=kind["id"])
    refused(400, admin.delete, "volume", f"/types/{kind['id']}")
    secret = admin.post("volume", "/types", {"volume_type": {"name": "luks"}})["volume_type"]
    admin.post("volume", f"/types/{secret['id']}/encryption", {"encryption": {"provider": "luks"}})
    assert make(member, volume_type="luks")["encrypted"] is True


def test_quotas(member: Client, admin: Client) -> None:
    path = f"/os-quota-sets/{member.project_id}"
    admin.post("volume", "/types", {"volume_type": {"name": "fast"}})
    assert admin.get("volume", f"{path}/defaults")["quota_set"]["volumes_fast"] == -1
    admin.put("volume", path, {"quota_set": {"volumes": 2, "gigabytes": 5, "volumes_fast": 0}})
    make(member, size=4)
    error = refused(413, make, member, size=2, text="VolumeSizeExceedsAvailableQuota")
    assert b'"overLimit"' in error.body
    refused(413, make, member, volume_type="fast", text="VolumeLimitExceeded")
    make(member)
    refused(413, make, member, text="Exceed")
    used = member.get("volume", f"{path}?usage=true")["quota_set"]
    assert used["volumes"] == {"limit": 2, "in_use": 2, "reserved": 0}
    assert used["gigabytes"]["in_use"] == used["gigabytes___DEFAULT__"]["in_use"] == 5
    refused(403, member.put, "volume", path, {"quota_set": {"volumes": 100}})
    refused(403, member.get, "volume", f"/os-quota-sets/{admin.project_id}")
    refused(400, admin.put, "volume", path, {"quota_set": {"teapots": 1}})
    refused(400, admin.put, "volume", path, {"quota_set": {"volumes": 1}})
    admin.delete("volume", path)
    assert member.get("volume", path)["quota_set"]["volumes"] == 10


def test_unmanage_and_manage(admin: Client, cloud: DevCloud) -> None:
    image_id = image_of(admin, DATA)
    volume = make(admin, imageRef=image_id)
    act(admin, volume, "os-unmanage")
    cloud.calm()
    refused(404, admin.get, "volume", f"/volumes/{volume['id']}")
    want = {"host": "block@files#files", "ref": {"source-name": f"volume-{volume['id']}"}, "name": "back"}
    made = admin.post("volume", "/manageable_volumes", {"volume": want})["volume"]
    path = f"/volumes/{made['id']}"
    seen = admin.wait("volume", path, lambda body: body["volume"]["status"] == "available")["volume"]
    assert begins_with(cloud, seen, DATA)


def test_clouds_on_one_storage_see_what_lies_there(admin: Client, cloud: DevCloud, make_cloud) -> None:
    other = make_cloud("other")
    share_storage(cloud, other)
    volume = make(admin, imageRef=image_of(admin, DATA))
    name, query = f"volume-{volume['id']}", "?host=block@files"
    (mine,) = admin.get("volume", f"/manageable_volumes/detail{query}")["manageable-volumes"]
    assert (mine["reference"], mine["safe_to_manage"]) == ({"source-name": name}, False)
    assert (mine["cinder_id"], mine["reason_not_safe"]) == (volume["id"], "already managed")
    with Client(other.url, username="admin", password=other.admin_password, project="admin") as there:
        (seen,) = there.get("volume", f"/manageable_volumes/detail{query}")["manageable-volumes"]
        assert (seen["reference"], seen["size"]) == (mine["reference"], volume["size"])
        assert (seen["safe_to_manage"], seen["cinder_id"]) == (True, None)
        act(admin, volume, "os-unmanage")
        cloud.calm()
        want = {"host": "block@files#files", "ref": seen["reference"], "name": "here now"}
        made = there.post("volume", "/manageable_volumes", {"volume": want})["volume"]
        assert (made["status"], made["size"]) == ("managing", 0)
        other.calm()
        taken = there.get("volume", f"/volumes/{made['id']}")["volume"]
        assert (taken["status"], taken["size"]) == ("available", volume["size"])
        assert begins_with(other, taken, DATA)
        (listed,) = admin.get("volume", f"/manageable_volumes{query}")["manageable-volumes"]
        assert listed["reference"] == {"source-name": f"volume-{made['id']}"}


def test_what_another_cloud_removes_while_it_is_listed_is_left_out(
    admin: Client, cloud: DevCloud, make_cloud, monkeypatch
) -> None:
    other = make_cloud("other")
    share_storage(cloud, other)
    make(admin)
    gone = ("volumes", "gone", other.files.path("volumes", "gone"))
    monkeypatch.setattr(other.files, "all", lambda: [gone])
    (seen,) = admin.get("volume", "/manageable_volumes?host=block@files")["manageable-volumes"]
    assert not seen["safe_to_manage"]


def test_a_driver_that_renames_and_a_list_that_is_cut(admin: Client, cloud: DevCloud) -> None:
    cloud.volume_driver.renames, cloud.volume_driver.page = True, 1
    names = set()
    for _ in range(2):
        volume = make(admin, imageRef=image_of(admin, DATA))
        names.add(f"volume-{volume['id']}-unmanaged")
        act(admin, volume, "os-unmanage")
    cloud.calm()
    query = "/manageable_volumes?host=block@files&limit=5&offset="
    pages = [admin.get("volume", f"{query}{offset}")["manageable-volumes"] for offset in range(3)]
    assert [len(page) for page in pages] == [1, 1, 0]
    assert {page[0]["reference"]["source-name"] for page in pages[:2]} == names
    refused(400, admin.get, "volume", f"{query}-1")


def test_what_does_not_lie_there_is_no_volume(admin: Client, cloud: DevCloud) -> None:
    want = {"host": "block@files#files", "ref": {"source-name": "volume-none"}}
    made = admin.post("volume", "/manageable_volumes", {"volume": want})["volume"]
    cloud.calm()
    assert admin.get("volume", f"/volumes/{made['id']}")["volume"]["status"] == "error_managing"
    act(admin, made, "os-unmanage")
    cloud.calm()
    refused(404, admin.get, "volume", f"/volumes/{made['id']}")


def test_fields_appear_with_their_microversion(member: Client) -> None:
    volume = make(member)
    for version, missing in (
        ("3.0", {"group_id", "volume_type_id"}),
        ("3.62", {"volume_type_id"}),
        ("3.63", set()),
    ):
        headers = {"OpenStack-API-Version": f"volume {version}"}
        seen = member.request("volume", "GET", f"/volumes/{volume['id']}", headers=headers)
        assert {"group_id", "volume_type_id"} - set(seen.json["volume"]) == missing
        assert seen.headers["OpenStack-API-Version"] == f"volume {version}"
