"""What Nova refuses."""

from __future__ import annotations

import pytest

from .refusals import NOWHERE, TIMINGS, World, table

KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== ann"


def flavor(**change):
    return {"flavor": {"name": "new", "ram": 64, "vcpus": 1, "disk": 1, **change}}


def server(**change):
    return {
        "server": {"name": "new", "flavorRef": "{small}", "imageRef": "{linux}", "networks": "none", **change}
    }


def block(**change):
    mapping = {"source_type": "volume", "boot_index": 0, "destination_type": "volume", **change}
    return server(imageRef="", block_device_mapping_v2=[mapping])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Servers, volumes and ports in all the states that are refused."""
    slow = {**TIMINGS, "suspend": 3600.0, "power": 0.0, "delete": 0.0}
    world = World(tmp_path_factory.mktemp("compute"), timings=slow)
    compute, network, volume = "/compute/v2.1", "/network/v2.0", "/volume/v3"
    small = {"ram": 256, "vcpus": 1, "disk": 1}
    for name, values in (
        ("small", {}),
        ("tiny", {"ram": 64}),
        ("private", {"os-flavor-access:is_public": False}),
    ):
        world.make(name, "admin", f"POST {compute}/flavors", flavor(name=name, **{**small, **values}))
    for name, values in (("linux", {"min_ram": 128}), ("big", {"min_disk": 5}), ("queued", {})):
        image = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public"}
        world.make(name, "admin", "POST /image/v2/images", image | values)
        if name != "queued":
            world.ask("admin", f"PUT /image/v2/images/{{{name}}}/file", b"bytes")
    for number, name in enumerate(("web", "data", "bare")):
        world.make(name, "ann", f"POST {network}/networks", {"network": {"name": name}})
        subnet = {"network_id": f"{{{name}}}", "cidr": f"10.{number}.0.0/24", "ip_version": 4}
        if name != "bare":
            world.make(f"{name}-v4", "ann", f"POST {network}/subnets", {"subnet": subnet})
    port = {"port": {"network_id": "{web}", "fixed_ips": [{"ip_address": "10.0.0.7"}]}}
    world.make("taken", "ann", f"POST {network}/ports", port)
    world.make("used", "ann", f"POST {network}/ports", {"port": {"network_id": "{web}"}})
    for _ in range(2):
        group = {"security_group": {"name": "twice"}}
        world.make("group", "ann", f"POST {network}/security-groups", group)
    world.make(
        "ann-key", "ann", f"POST {compute}/os-keypairs", {"keypair": {"name": "ann", "public_key": KEY}}
    )
    many = {"volume_type": {"name": "many", "extra_specs": {"multiattach": "<is> True"}}}
    world.make("many", "admin", f"POST {volume}/types", many)
    theirs = {"volume_type": {"name": "theirs", "os-volume-type-access:is_public": False}}
    world.make("theirs", "admin", f"POST {volume}/types", theirs)
    for name, who, values in (
        ("blank", "ann", {}),
        ("attached", "ann", {}),
        ("odd", "ann", {}),
        ("shared", "ann", {"volume_type": "many"}),
        ("boot", "ann", {"imageRef": "{linux}"}),
        ("others", "bob", {}),
    ):
        world.make(name, who, f"POST {volume}/volumes", {"volume": {"name": name, "size": 1, **values}})
        world.wait(who, f"{volume}/volumes/{{{name}}}", "available")
    for name, who, values in (
        ("web-0", "ann", {"networks": [{"port": "{used}"}]}),
        ("off", "ann", {}),
        ("busy", "ann", {}),
        ("locked", "ann", {}),
        (
            "from-volume",
            "ann",
            {"imageRef": "", "block_device_mapping_v2": [{"uuid": "{boot}", "boot_index": 0}]},
        ),
        ("lonely", "admin", {}),
    ):
        world.make(name, who, f"POST {compute}/servers", server(name=name, **values))
        world.wait(who, f"{compute}/servers/{{{name}}}", "ACTIVE")
    for name in ("attached", "odd", "shared"):
        world.ask(
            "ann",
            f"POST {compute}/servers/{{web-0}}/os-volume_attachments",
            {"volumeAttachment": {"volumeId": f"{{{name}}}"}},
        )
        world.wait("ann", f"{volume}/volumes/{{{name}}}", "in-use")
    world.ask("admin", f"POST {volume}/volumes/{{odd}}/action", {"os-reset_status": {"status": "error"}})
    for name, who, action in (
        ("off", "ann", {"os-stop": None}),
        ("busy", "ann", {"suspend": None}),
        ("locked", "admin", {"lock": None}),
    ):
        world.ask(who, f"POST {compute}/servers/{{{name}}}/action", action)
    world.wait("ann", f"{compute}/servers/{{off}}", "SHUTOFF")
    world.make(
        "apart",
        "ann",
        f"POST {compute}/os-server-groups",
        {"server_group": {"name": "apart", "policy": "affinity"}},
    )
    none = {"quota_set": {"instances": 0, "key_pairs": 0, "server_groups": 0}}
    world.ask("admin", f"PUT {compute}/os-quota-sets/{{lab}}", none)
    world.ids["host"] = world.ask("admin", f"GET {compute}/servers/{{web-0}}")[1]["server"][
        "OS-EXT-SRV-ATTR:host"
    ]
    yield world
    world.stop()


@table(
    "/compute/v2.1",
    ("nobody", "GET /servers", None, 401, "requires authentication"),
    ("rita", "POST /servers", server(), 403, "Policy doesn't allow os_compute_api:servers:create"),
    ("ann", "POST /servers", {}, 400, "'server' is a required property"),
    ("ann", "POST /servers", [], 400, "must be a JSON object"),
    ("ann", "GET /servers", None, 406, "Version 2.999 is not supported by the API", "compute 2.999"),
    ("ann", "GET /servers", None, 400, "API Version String two is of invalid format", "compute two"),
    ("ann", "GET /paint", None, 404, "could not be found"),
    ("ann", "PATCH /servers", {}, 405, "method is not allowed"),
    ("ann", "POST /servers", server(paint="red"), 400, "'paint' was unexpected"),
    ("ann", "POST /servers", server(description="x"), 400, "'description' was unexpected", "compute 2.18"),
    ("ann", "POST /servers", server(personality=[]), 400, "'personality' was unexpected"),
    ("ann", "POST /servers", server(flavorRef="no"), 400, "Flavor no could not be found"),
    ("ann", "POST /servers", server(flavorRef="{private}"), 400, "could not be found"),
    ("ann", "POST /servers", server(imageRef=NOWHERE), 400, "Can not find requested image"),
    ("ann", "POST /servers", server(imageRef="{queued}"), 400, "is not active"),
    ("ann", "POST /servers", server(flavorRef="{tiny}"), 400, "memory is too small"),
    ("ann", "POST /servers", server(imageRef="{big}"), 400, "disk is smaller than the minimum size"),
    ("ann", "POST /servers", server(name=" "), 400, "field/attribute name"),
    ("ann", "POST /servers", server(name="x" * 256), 400, "field/attribute name"),
    ("ann", "POST /servers", server(tags=["a/b"]), 400, "field/attribute tags"),
    ("ann", "POST /servers", server(metadata=["x"]), 400, "field/attribute metadata"),
    ("ann", "POST /servers", server(metadata={"key": 5}), 400, "field/attribute key"),
    ("ann", "POST /servers", server(metadata={f"k{n}": "v" for n in range(129)}), 403, "exceeds 128"),
    ("ann", "POST /servers", server(user_data="%%"), 400, "valid base 64"),
    ("ann", "POST /servers", server(availability_zone="mars"), 400, "zone is not available"),
    ("ann", "POST /servers", server(availability_zone="nova:{host}"), 403, "forced_host"),
    ("admin", "POST /servers", server(availability_zone="nova:mars"), 400, "Compute host mars could not be"),
    ("ann", "POST /servers", server(key_name="no"), 400, "Invalid key_name"),
    ("ann", "POST /servers", server(networks=None), 400, "'networks' is a required property"),
    ("ann", "POST /servers", server(networks="all"), 400, "Bad networks format"),
    ("ann", "POST /servers", server(networks="auto"), 409, "Multiple possible networks found"),
    ("ann", "POST /servers", server(networks=[{"uuid": "{bare}"}]), 400, "requires a subnet"),
    ("ann", "POST /servers", server(networks=[{"uuid": "{nope}"}]), 400, "Network {nope} could not be found"),
    ("ann", "POST /servers", server(networks=[{"port": "{nope}"}]), 400, "Port id {nope} could not be found"),
    ("ann", "POST /servers", server(networks=[{"port": "{used}"}]), 409, "Port {used} is still in use"),
    (
        "ann",
        "POST /servers",
        server(networks=[{"uuid": "{web}", "fixed_ip": "10.0.0.7"}]),
        400,
        "Fixed IP address 10.0.0.7 is already in use",
    ),
    (
        "ann",
        "POST /servers",
        server(networks=[{"uuid": "{web}", "fixed_ip": "192.0.2.7"}]),
        400,
        "not a valid IP for any of the subnets",
    ),
    ("ann", "POST /servers", server(security_groups=[{"name": "no"}]), 400, "Security group no not found"),
    ("ann", "POST /servers", server(security_groups=[{"name": "twice"}]), 409, "Multiple security_group"),
    (
        "ann",
        "POST /servers",
        server() | {"os:scheduler_hints": {"group": "{nope}"}},
        400,
        "Instance group {nope} could not be found",
    ),
    (
        "bob",
        "POST /servers",
        server(),
        403,
        "Quota exceeded for instances: Requested 1, but already used 0 of 0",
    ),
    ("ann", "POST /servers", block(uuid="{nope}"), 400, "failed to get volume {nope}"),
    ("ann", "POST /servers", block(uuid="{others}"), 400, "failed to get volume {others}"),
    ("ann", "POST /servers", block(uuid="{blank}"), 400, "is not bootable"),
    ("ann", "POST /servers", block(uuid="{attached}"), 400, "status must be 'available'"),
    ("ann", "POST /servers", block(source_type="snapshot", uuid="{nope}"), 400, "failed to get snapshot"),
    ("ann", "POST /servers", block(source_type="image", uuid="{linux}"), 400, "Images with destination_type"),
    ("ann", "POST /servers", block(source_type="blank"), 400, "Blank volumes with destination_type"),
    (
        "ann",
        "POST /servers",
        block(source_type="image", uuid="{nope}", volume_size=1),
        400,
        "failed to get image",
    ),
    (
        "ann",
        "POST /servers",
        block(source_type="image", uuid="{linux}", volume_size=1, volume_type="theirs"),
        400,
        "Volume type theirs could not be found",
    ),
    ("ann", "POST /servers", block(source_type="tape"), 400, "field/attribute source_type"),
    ("ann", "POST /servers", server(imageRef=""), 400, "Boot sequence"),
)
def test_a_server_that_cannot_be(world, case):
    world.check(case)


def action(**body):
    return body


@table(
    "/compute/v2.1/servers",
    ("bob", "GET /{web-0}", None, 404, "Instance {web-0} could not be found"),
    ("bob", "DELETE /{web-0}", None, 404, "could not be found"),
    ("rita", "DELETE /{web-0}", None, 403, "servers:delete"),
    ("ann", "GET ?all_tenants=1", None, 403, "get_all_tenants"),
    ("admin", "GET ?all_tenants=perhaps", None, 400, "query parameters all_tenants"),
    ("ann", "GET ?name=[", None, 400, "no regular expression"),
    ("ann", "GET ?limit=all", None, 400, "limit param must be an integer"),
    ("ann", "GET ?limit=-1", None, 400, "limit param must be positive"),
    ("ann", "GET ?marker={nope}", None, 400, "marker [{nope}] not found"),
    ("ann", "GET ?marker={nope}&sort_key=display_name", None, 400, "marker [{nope}] not found"),
    ("ann", "PUT /{web-0}", {"server": {"hostname": "x"}}, 400, "'hostname' was unexpected", "compute 2.89"),
    ("ann", "PUT /{web-0}", {"server": {"name": ""}}, 400, "field/attribute name"),
    ("ann", "POST /{web-0}/action", {"paint": None}, 400, "no such action: paint"),
    ("ann", "POST /{web-0}/action", {"os-stop": None, "suspend": None}, 400, "no such action"),
    (
        "ann",
        "POST /{off}/action",
        {"suspend": None},
        409,
        "Cannot 'suspend' instance {off} while it is in vm_state stopped",
    ),
    (
        "ann",
        "POST /{web-0}/action",
        {"os-start": None},
        409,
        "Cannot 'start' instance {web-0} while it is in vm_state active",
    ),
    ("ann", "POST /{web-0}/action", {"resume": None}, 409, "Cannot 'resume'"),
    ("ann", "POST /{off}/action", {"reboot": {"type": "SOFT"}}, 409, "Cannot 'reboot'"),
    ("ann", "POST /{busy}/action", {"reboot": {"type": "HARD"}}, 409, "while it is in task_state suspending"),
    ("ann", "POST /{busy}/action", {"os-stop": None}, 409, "while it is in task_state suspending"),
    ("ann", "POST /{locked}/action", {"os-stop": None}, 409, "Instance {locked} is locked"),
    ("ann", "DELETE /{locked}", None, 409, "is locked"),
    ("ann", "POST /{locked}/action", {"unlock": None}, 403, "unlock_override"),
    ("ann", "POST /{web-0}/action", {"lock": {"locked_reason": "x"}}, 400, "'locked_reason'", "compute 2.72"),
    ("ann", "POST /{web-0}/action", {"os-resetState": {"state": "error"}}, 403, "reset_state"),
    ("admin", "POST /{web-0}/action", {"os-resetState": {"state": "happy"}}, 400, "field/attribute state"),
    ("ann", "POST /{web-0}/action", {"shelveOffload": None}, 403, "shelve_offload"),
    ("admin", "POST /{web-0}/action", {"shelveOffload": None}, 409, "Cannot 'shelveOffload'"),
    ("ann", "POST /{web-0}/action", {"unshelve": None}, 409, "Cannot 'unshelve'"),
    ("ann", "POST /{web-0}/action", {"createImage": {}}, 400, "'name' is a required property"),
    ("ann", "POST /{web-0}/action", {"os-migrateLive": {}}, 403, "migrate_live"),
    ("admin", "POST /{web-0}/action", {"os-migrateLive": {"host": "{host}"}}, 400, "to the same host"),
    ("admin", "POST /{web-0}/action", {"os-migrateLive": {"host": "mars"}}, 400, "Compute host mars could"),
    ("ann", "POST /{web-0}/action", {"migrate": None}, 403, "os-migrate-server:migrate"),
    (
        "admin",
        "POST /{web-0}/action",
        {"migrate": {"host": "{host}"}},
        400,
        "to the same host",
        "compute 2.56",
    ),
    ("ann", "POST /{web-0}/action", {"confirmResize": None}, 409, "Cannot 'confirmResize'"),
    ("ann", "POST /{web-0}/action", {"revertResize": None}, 409, "Cannot 'revertResize'"),
    ("ann", "POST /{web-0}/action", {"evacuate": {}}, 403, "os-evacuate"),
    ("admin", "POST /{web-0}/action", {"evacuate": {}}, 409, "is still in use"),
    ("ann", "POST /{web-0}/action", {"addSecurityGroup": {"name": "no"}}, 400, "Security group no not found"),
    ("ann", "GET /{web-0}/metadata/no", None, 404, "Metadata item was not found"),
    ("ann", "PUT /{web-0}/metadata/a", {"meta": {"b": "x"}}, 400, "body and URI mismatch"),
    ("ann", "PUT /{web-0}/metadata", {"metadata": {"a": 1}}, 400, "field/attribute a"),
    ("ann", "GET /{web-0}/tags/no", None, 404, "has no tag 'no'"),
    ("ann", "PUT /{web-0}/tags", {"tags": ["a/b"]}, 400, "field/attribute tags"),
    ("ann", "GET /{web-0}/tags", None, 404, "could not be found", "compute 2.25"),
    (
        "ann",
        "POST /{web-0}/os-interface",
        {"interfaceAttachment": {"net_id": "{web}", "port_id": "{taken}"}},
        400,
        "Must not input both",
    ),
    ("admin", "POST /{lonely}/os-interface", {"interfaceAttachment": {}}, 400, "No network is there"),
    ("ann", "GET /{web-0}/os-interface/{nope}", None, 404, "Port id {nope} could not be found"),
    ("ann", "DELETE /{web-0}/os-interface/{nope}", None, 404, "Port id {nope} could not be found"),
    (
        "ann",
        "POST /{web-0}/os-volume_attachments",
        {"volumeAttachment": {"volumeId": "{nope}"}},
        404,
        "Volume {nope} could not be found",
    ),
    (
        "ann",
        "POST /{web-0}/os-volume_attachments",
        {"volumeAttachment": {"volumeId": "{others}"}},
        404,
        "{others}",
    ),
    (
        "ann",
        "POST /{web-0}/os-volume_attachments",
        {"volumeAttachment": {"volumeId": "{shared}"}},
        400,
        "already attached",
    ),
    (
        "ann",
        "POST /{off}/os-volume_attachments",
        {"volumeAttachment": {"volumeId": "{attached}"}},
        400,
        "Currently in 'in-use' status",
    ),
    (
        "ann",
        "POST /{web-0}/os-volume_attachments",
        {"volumeAttachment": {"volumeId": "{blank}", "tag": "x"}},
        400,
        "'tag' was unexpected",
        "compute 2.48",
    ),
    (
        "ann",
        "PUT /{web-0}/os-volume_attachments/{attached}",
        {"volumeAttachment": {"volumeId": "{blank}"}},
        400,
        "cannot be swapped",
    ),
    (
        "ann",
        "PUT /{web-0}/os-volume_attachments/{attached}",
        {"volumeAttachment": {"volumeId": "{attached}", "delete_on_termination": True}},
        400,
        "'delete_on_termination' was unexpected",
        "compute 2.84",
    ),
    ("ann", "GET /{web-0}/os-volume_attachments/{blank}", None, 404, "volume_id not found: {blank}"),
    ("ann", "DELETE /{from-volume}/os-volume_attachments/{boot}", None, 403, "Cannot detach a root device"),
    ("ann", "DELETE /{web-0}/os-volume_attachments/{odd}", None, 400, "status is error"),
)
def test_what_a_server_does_not_take(world, case):
    world.check(case)


@table(
    "/compute/v2.1",
    ("ann", "POST /flavors", flavor(), 403, "os-flavor-manage:create"),
    ("admin", "POST /flavors", flavor(name=None), 400, "'name' is a required property"),
    ("admin", "POST /flavors", flavor(name=5), 400, "not a valid string"),
    ("admin", "POST /flavors", flavor(ram=0), 400, "less than the minimum of 1"),
    ("admin", "POST /flavors", flavor(ram="much"), 400, "field/attribute ram. Value: much"),
    ("admin", "POST /flavors", flavor(name="small"), 409, "Flavor with name small already exists"),
    ("admin", "POST /flavors", flavor(id="{small}"), 409, "Flavor with ID {small} already exists"),
    ("ann", "GET /flavors/{private}", None, 404, "Flavor {private} could not be found"),
    ("admin", "GET /flavors?minRam=much", None, 400, "Invalid minRam filter [much]"),
    ("admin", "GET /flavors?marker=no", None, 400, "marker [no] not found"),
    (
        "admin",
        "PUT /flavors/{small}",
        {"flavor": {"description": "x"}},
        404,
        "could not be found",
        "compute 2.54",
    ),
    ("admin", "GET /flavors/{small}/os-extra_specs/no", None, 404, "no extra specs with key no"),
    ("admin", "DELETE /flavors/{small}/os-extra_specs/no", None, 404, "no extra specs with key no"),
    ("admin", "PUT /flavors/{small}/os-extra_specs/a", {"b": "x"}, 400, "body and URI mismatch"),
    ("admin", "GET /flavors/{small}/os-flavor-access", None, 404, "not available for public flavors"),
    ("admin", "POST /flavors/{small}/action", {"paint": {}}, 400, "no such action: paint"),
    (
        "admin",
        "POST /flavors/{small}/action",
        {"addTenantAccess": {"tenant": "{shop}"}},
        409,
        "public flavor",
    ),
    (
        "admin",
        "POST /flavors/{private}/action",
        {"addTenantAccess": {"tenant": "no"}},
        400,
        "not a valid project",
    ),
    (
        "admin",
        "POST /flavors/{private}/action",
        {"removeTenantAccess": {"tenant": "{shop}"}},
        404,
        "Flavor access not found",
    ),
    (
        "ann",
        "POST /os-keypairs",
        {"keypair": {"name": "x", "public_key": KEY, "user_id": "{bob}"}},
        403,
        "os-keypairs:create",
    ),
    ("ann", "GET /os-keypairs?user_id={bob}", None, 403, "os-keypairs:index"),
    ("ann", "POST /os-keypairs", {"keypair": {"public_key": KEY}}, 400, "'name' is a required property"),
    ("ann", "POST /os-keypairs", {"keypair": {"name": "x"}}, 400, "'public_key' is a required property"),
    (
        "ann",
        "POST /os-keypairs",
        {"keypair": {"name": "x", "public_key": "ssh-rsa"}},
        400,
        "Keypair data is invalid",
    ),
    (
        "ann",
        "POST /os-keypairs",
        {"keypair": {"name": "x", "public_key": "----", "type": "x509"}},
        400,
        "data is invalid",
    ),
    (
        "ann",
        "POST /os-keypairs",
        {"keypair": {"name": "ann", "public_key": KEY}},
        409,
        "Key pair 'ann' already exists",
    ),
    ("bob", "POST /os-keypairs", {"keypair": {"name": "x", "public_key": KEY}}, 403, "too many key pairs"),
    ("ann", "GET /os-keypairs/no", None, 404, "Keypair no not found"),
    ("ann", "DELETE /os-keypairs/no", None, 404, "Keypair no not found"),
    ("ann", "GET /os-keypairs?marker=no", None, 400, "marker [no] not found"),
    (
        "ann",
        "POST /os-server-groups",
        {"server_group": {"name": "x", "policy": "near"}},
        400,
        "attribute policy",
    ),
    (
        "ann",
        "POST /os-server-groups",
        {"server_group": {"name": "x", "policies": ["soft-affinity"]}},
        400,
        "attribute policy",
        "compute 2.14",
    ),
    (
        "ann",
        "POST /os-server-groups",
        {"server_group": {"name": "x", "policy": "affinity", "rules": {"max_server_per_host": 2}}},
        400,
        "Only anti-affinity policy",
    ),
    (
        "bob",
        "POST /os-server-groups",
        {"server_group": {"name": "x", "policy": "affinity"}},
        403,
        "too many server groups",
    ),
    ("bob", "GET /os-server-groups/{apart}", None, 404, "Instance group {apart} could not be found"),
    ("ann", "GET /os-hypervisors", None, 403, "os-hypervisors"),
    ("admin", "GET /os-hypervisors/{nope}", None, 404, "Compute host {nope} could not be found"),
    ("admin", "PUT /os-services/{nope}", {"status": "disabled"}, 404, "Service {nope} could not be found"),
    ("ann", "PUT /os-services/{nope}", {"status": "disabled"}, 403, "os-services:update"),
    ("ann", "GET /os-quota-sets/{lab}", None, 403, "os-quota-sets:show"),
    ("ann", "PUT /os-quota-sets/{shop}", {"quota_set": {"cores": 1}}, 403, "os-quota-sets:update"),
    ("admin", "PUT /os-quota-sets/no", {"quota_set": {"cores": 1}}, 400, "not a valid project"),
    ("admin", "PUT /os-quota-sets/{shop}", {"quota_set": {"paint": 1}}, 400, "'paint' was unexpected"),
    (
        "admin",
        "PUT /os-quota-sets/{shop}",
        {"quota_set": {"cores": "all"}},
        400,
        "attribute cores. Value: all",
    ),
    ("admin", "PUT /os-quota-sets/{shop}", {"quota_set": {"cores": -2}}, 400, "less than the minimum of -1"),
    (
        "admin",
        "PUT /os-quota-sets/{shop}",
        {"quota_set": {"instances": 1}},
        400,
        "already used and reserved 5",
    ),
    ("ann", "GET /limits?tenant_id={lab}", None, 403, "limits:other_project"),
)
def test_flavors_keys_groups_and_quotas_that_are_refused(world, case):
    world.check(case)
