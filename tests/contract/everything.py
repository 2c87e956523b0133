"""Tenants in which every carried field of every type has a value that no default gives.

``fill`` makes them on a source by plain HTTP; ``READERS`` read them from either cloud, again by plain HTTP,
with names instead of ids; ``WANTED`` is what both must say. Nothing here knows how pumphouse compares.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote

from pumphouse.devcloud import DevCloud
from pumphouse.devcloud.client import Client
from pumphouse.devcloud.compute_model import add_host
from pumphouse.devcloud.volume_model import add_zone

SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFVXm1V4ltDOF2TEf+1kT5s19YutYgZ0ryPzVtgO0MUD alice"
CERTIFICATE = base64.b64encode(b"a certificate, as far as the embedded cloud looks").decode()
USER_DATA = base64.b64encode(b"#cloud-config\nhostname: every\n").decode()
TENANTS = ("corp/shop", "corp/museum")
LIMITS = {
    "compute": {"instances": 12, "cores": 24, "ram": 65536, "metadata_items": 100, "key_pairs": 90}
    | {"server_groups": 8, "server_group_members": 7},
    "network": {"network": 21, "subnet": 22, "subnetpool": 23, "port": 124, "router": 25, "floatingip": 26}
    | {"security_group": 27, "security_group_rule": 128, "rbac_policy": 29},
    "volume": {"volumes": 31, "snapshots": 32, "gigabytes": 333, "per_volume_gigabytes": 34, "backups": 35}
    | {"backup_gigabytes": 36, "groups": 37, "volumes_fast": 8, "gigabytes_fast": 39},
}

Body = dict[str, Any]


class Raw(Client):
    """The administrator of one cloud: bodies by name, and names by id."""

    def __init__(self, cloud: DevCloud) -> None:
        super().__init__(cloud.url, username="admin", password=cloud.admin_password, project="admin")

    def all(self, service: str, path: str, items: str) -> list[Body]:
        """A whole list."""
        found: list[Body] = self.get(service, path)[items]
        return found

    def one(self, service: str, path: str, items: str, **fields: Any) -> Body:
        """The one of a list with these values."""
        found = [one for one in self.all(service, path, items) if fields.items() <= one.items()]
        assert len(found) == 1, f"{len(found)} of {path} have {fields}"
        return found[0]

    def make(self, service: str, path: str, item: str, body: Body) -> str:
        """POST; the id."""
        answer = self.post(service, path, {item: body} if item else body)
        return str((answer[item] if item else answer)["id"])

    def patch(self, service: str, path: str, body: Any) -> None:
        """PATCH, with the image service's media type for its patches."""
        media = "application/openstack-images-v2.1-json-patch" if service == "image" else "application/json"
        self.request(service, "PATCH", path, body, headers={"Content-Type": media})

    @cached_property
    def _names(self) -> dict[str, str]:
        """Names by id. Read once: a tenant is read when it is complete."""
        lists = (
            ("identity", "/domains", "domains"),
            ("identity", "/projects", "projects"),
            ("identity", "/users", "users"),
            ("identity", "/groups", "groups"),
            ("identity", "/roles", "roles"),
            ("compute", "/flavors?is_public=None", "flavors"),
            ("compute", "/os-server-groups?all_projects=true", "server_groups"),
            ("image", "/images", "images"),
            ("image", "/images?os_hidden=true", "images"),
            ("network", "/networks", "networks"),
            ("network", "/subnets", "subnets"),
            ("network", "/subnetpools", "subnetpools"),
            ("network", "/address-scopes", "address_scopes"),
            ("network", "/ports", "ports"),
            ("network", "/security-groups", "security_groups"),
            ("volume", "/volumes?all_tenants=1", "volumes"),
        )
        found = {one["id"]: one["name"] for where in lists for one in self.all(*where)}
        for domain in self.all("identity", "/domains", "domains"):
            roles = self.all("identity", f"/roles?domain_id={domain['id']}", "roles")
            found |= {role["id"]: role["name"] for role in roles}
        return found

    @cached_property
    def ids(self) -> dict[str, str]:
        """Ids by name."""
        return {name: identity for identity, name in self._names.items()}

    def name(self, identity: str | None) -> str | None:
        """The name of whatever has this id."""
        return self._names[identity] if identity else None

    def names(self, identities: list[str]) -> list[str]:
        """Their names, sorted."""
        return sorted(self._names[one] for one in identities)


# -- the source


def fill(cloud: DevCloud) -> None:
    """Make the tenants, and the cloud's own things that they need."""
    with Raw(cloud) as raw:
        made = prepare(cloud, raw)
        _identity(raw, made)
        _network(raw, made)
        _images(raw, made)
        _compute(raw, made, cloud)


def prepare(cloud: DevCloud, raw: Raw) -> dict[str, str]:
    """What both clouds have from their operators: zones, an external network, a volume type, roles."""
    with cloud.transaction():
        add_host(cloud, "far", zone="az2")
        add_zone(cloud, "az2")
    made = {one["name"]: one["id"] for one in raw.all("identity", "/roles", "roles")}
    raw.make("volume", "/types", "volume_type", {"name": "fast", "extra_specs": {"multiattach": "<is> True"}})
    network = {"name": "public", "router:external": True}
    made["public"] = raw.make("network", "/networks", "network", network)
    subnet = {"network_id": made["public"], "cidr": "203.0.113.0/24", "ip_version": 4, "enable_dhcp": False}
    raw.make("network", "/subnets", "subnet", {"name": "public-v4", **subnet})
    return made


def _identity(raw: Raw, made: dict[str, str]) -> None:
    def make(path: str, item: str, **body: Any) -> str:
        made[body["name"]] = raw.make("identity", path, item, body)
        return made[body["name"]]

    rock = {"immutable": True}
    corp = make("/domains", "domain", name="corp", description="the corporation")
    closed = {"description": "shut", "enabled": False, "tags": ["old", "dusty"], "options": rock}
    make("/domains", "domain", name="closed", **closed)
    make("/projects", "project", name="company", domain_id=corp)
    shop = {"domain_id": corp, "parent_id": made["company"], "description": "sells", "tags": ["b", "a"]}
    make("/projects", "project", name="shop", **shop)
    make("/projects", "project", name="museum", domain_id=corp, enabled=False, options=rock)
    make("/projects", "project", name="friend", domain_id=corp)
    make("/roles", "role", name="clerk", domain_id=corp, description="sells", options=rock)
    raw.put("identity", f"/roles/{made['clerk']}/implies/{made['reader']}")
    make("/groups", "group", name="staff", domain_id=corp, description="all of them")
    make("/groups", "group", name="night", domain_id=corp)
    make("/users", "user", name="alice", domain_id=corp, password="secret")
    bob = {"email": "bob@example.test", "description": "first", "enabled": False, "domain_id": corp}
    bob |= {"default_project_id": made["shop"], "options": {"ignore_password_expiry": True}}
    make("/users", "user", name="bob", **bob)
    make("/users", "user", name="guest", domain_id=made["closed"])
    raw.put("identity", f"/groups/{made['staff']}/users/{made['bob']}")
    for path in (
        f"projects/{made['shop']}/users/{made['bob']}/roles/{made['clerk']}",
        f"projects/{made['shop']}/users/{made['alice']}/roles/{made['member']}",
        f"projects/{made['shop']}/groups/{made['night']}/roles/{made['member']}",
        f"projects/{made['shop']}/users/{made['guest']}/roles/{made['member']}",
        f"projects/{made['museum']}/users/{made['alice']}/roles/{made['member']}",
        f"projects/{made['friend']}/users/{made['alice']}/roles/{made['member']}",
        f"OS-INHERIT/domains/{corp}/groups/{made['staff']}/roles/{made['reader']}/inherited_to_projects",
    ):
        raw.put("identity", f"/{path}")


def _network(raw: Raw, made: dict[str, str]) -> None:
    shop = made["shop"]

    def make(path: str, item: str, *, tags: tuple[str, ...] = (), called: str = "", **body: Any) -> str:
        identity = raw.make("network", path, item, body)
        made[called or body["name"]] = identity
        if tags:
            raw.put("network", f"{path}/{identity}/tags", {"tags": tags})
        return identity

    own = {"project_id": shop}
    routed = make("/address-scopes", "address_scope", name="routed", ip_version=6, shared=True, **own)
    lengths = {"min_prefixlen": 50, "max_prefixlen": 60, "default_prefixlen": 56}
    pool = {"prefixes": ["fd00:64::/48"], "default_quota": 40, "shared": True, "description": "of prefixes"}
    pool |= {"address_scope_id": routed, "name": "pool", **lengths, **own}
    make("/subnetpools", "subnetpool", tags=("six",), **pool)
    spare = make("/address-scopes", "address_scope", name="spare", ip_version=6, **own)
    spare_pool = {"prefixes": ["fd00:65::/48"], "address_scope_id": spare, **own}
    make("/subnetpools", "subnetpool", name="spare", called="spare pool", **spare_pool)
    web = {"name": "web", "description": "the front", "admin_state_up": False, "mtu": 1400, **own}
    web |= {"port_security_enabled": False, "dns_domain": "web.example.", "shared": True}
    web |= {"vlan_transparent": True, "qinq": True, "availability_zone_hints": ["nova"]}
    make("/networks", "network", tags=("blue",), **web)
    make("/networks", "network", name="back", **own)
    policy = {"object_type": "network", "object_id": made["back"], "action": "access_as_shared"}
    raw.make("network", "/rbac-policies", "rbac_policy", {**policy, "target_tenant": made["friend"]})
    four = {"name": "web-v4", "ip_version": 4, "cidr": "10.20.0.0/24", "gateway_ip": "10.20.0.254", **own}
    four |= {"description": "the fourth", "dns_nameservers": ["9.9.9.9", "1.1.1.1"], "enable_dhcp": False}
    four |= {"allocation_pools": [{"start": "10.20.0.10", "end": "10.20.0.99"}]}
    four |= {"host_routes": [{"destination": "10.99.0.0/16", "nexthop": "10.20.0.5"}]}
    four |= {"service_types": ["compute:nova", ""], "dns_publish_fixed_ip": True}
    make("/subnets", "subnet", tags=("v4",), network_id=made["web"], **four)
    six = {"name": "back-v6", "ip_version": 6, "subnetpool_id": made["pool"], "prefixlen": 60, **own}
    six |= {"ipv6_address_mode": "dhcpv6-stateful", "ipv6_ra_mode": "dhcpv6-stateful"}
    make("/subnets", "subnet", network_id=made["back"], **six)
    back = {"name": "back-v4", "ip_version": 4, "cidr": "10.30.0.0/24", "gateway_ip": None, **own}
    make("/subnets", "subnet", network_id=made["back"], **back)
    _groups(raw, made, make)
    _ports(raw, made, make)
    _routers(raw, made, make)


def _groups(raw: Raw, made: dict[str, str], make: Callable[..., str]) -> None:
    own = {"project_id": made["shop"]}
    loose = {"name": "loose", "description": "knows no state", "stateful": False, **own}
    make("/security-groups", "security_group", tags=("sg",), **loose)
    make("/security-groups", "security_group", name="other", **own)
    for rule in (
        {"direction": "egress", "protocol": "udp", "port_range_min": 53, "port_range_max": 54}
        | {"remote_ip_prefix": "192.0.2.0/24", "description": "names"},
        {"direction": "ingress", "ethertype": "IPv6", "remote_group_id": made["other"]},
    ):
        body = {"security_group_id": made["loose"], **own, **rule}
        raw.make("network", "/security-group-rules", "security_group_rule", body)


def _ports(raw: Raw, made: dict[str, str], make: Callable[..., str]) -> None:
    own = {"project_id": made["shop"]}
    vip = {"name": "vip", "description": "floats", "mac_address": "fa:16:3e:11:22:33", **own}
    vip |= {"fixed_ips": [{"subnet_id": made["back-v4"], "ip_address": "10.30.0.50"}]}
    vip |= {"security_groups": [made["loose"]], "admin_state_up": False, "dns_name": "vip"}
    vip |= {"allowed_address_pairs": [{"ip_address": "10.30.0.51", "mac_address": "fa:16:3e:11:22:44"}]}
    vip |= {"dns_domain": "vip.example.", "binding:vnic_type": "virtio-forwarder"}
    vip |= {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}]}
    vip |= {"numa_affinity_policy": "required", "propagate_uplink_status": False}
    vip |= {"hints": {"openvswitch": {"other_config": {"tx-steering": "hash"}}}}
    make("/ports", "port", tags=("p",), network_id=made["back"], **vip)
    bare = {"name": "bare", "network_id": made["back"], "port_security_enabled": False, "fixed_ips": []}
    make("/ports", "port", **bare, **own)
    for name, address in (("nic-b", "10.30.0.12"), ("nic-a", "10.30.0.11")):
        fixed = [{"subnet_id": made["back-v4"], "ip_address": address}]
        make("/ports", "port", name=name, network_id=made["back"], fixed_ips=fixed, **own)


def _routers(raw: Raw, made: dict[str, str], make: Callable[..., str]) -> None:
    own = {"project_id": made["shop"]}
    edge = {"name": "edge", "description": "the way out", "admin_state_up": False, **own}
    edge |= {"external_gateway_info": {"network_id": made["public"], "enable_snat": False}}
    edge |= {"availability_zone_hints": ["nova"], "enable_ndp_proxy": True}
    make("/routers", "router", tags=("r",), **edge)
    fixed = [{"subnet_id": made["back-v4"], "ip_address": "10.30.0.77"}]
    inside = make("/ports", "port", name="", called="leg", network_id=made["back"], fixed_ips=fixed, **own)
    raw.put("network", f"/routers/{made['edge']}/add_router_interface", {"port_id": inside})
    routes = {"routes": [{"destination": "10.99.0.0/16", "nexthop": "10.30.0.5"}]}
    raw.put("network", f"/routers/{made['edge']}", {"router": routes})
    make("/routers", "router", name="spread", distributed=True, ha=True, **own)
    door = {"floating_network_id": made["public"], "floating_ip_address": "203.0.113.50", **own}
    door |= {"port_id": made["vip"], "fixed_ip_address": "10.30.0.50", "description": "the door"}
    door |= {"dns_name": "door", "dns_domain": "door.example."}
    make("/floatingips", "floatingip", called="door", tags=("f",), **door)


def _images(raw: Raw, made: dict[str, str]) -> None:
    def make(name: str, *, content: bytes, **body: Any) -> str:
        usual = {"disk_format": "raw", "container_format": "bare", "owner": made["shop"]}
        made[name] = raw.make("image", "/images", "", {"name": name, **usual, **body})
        headers = {"Content-Type": "application/octet-stream"}
        raw.request("image", "PUT", f"/images/{made[name]}/file", data=content, headers=headers)
        return made[name]

    make("kernel", content=b"kernel" * 99, disk_format="aki", container_format="aki", visibility="private")
    make("ramdisk", content=b"ramdisk" * 9, disk_format="ari", container_format="ari", visibility="private")
    parts = {"kernel_id": made["kernel"], "ramdisk_id": made["ramdisk"], "base_image_ref": made["kernel"]}
    ami = {"disk_format": "ami", "container_format": "ami", "visibility": "shared", **parts}
    disk = make(
        "disk", content=b"disk" * 512, min_disk=1, min_ram=32, tags=["b", "a"], os_distro="debian", **ami
    )
    raw.post("image", f"/images/{disk}/members", {"member": made["friend"]})
    raw.put("image", f"/images/{disk}/members/{made['friend']}", {"status": "accepted"})
    kept = make("kept", content=b"kept" * 100, os_hidden=True, visibility="community")
    protect = [{"op": "replace", "path": "/protected", "value": True}]
    raw.patch("image", f"/images/{kept}", protect)
    raw.post("image", f"/images/{kept}/actions/deactivate", None)


def _compute(raw: Raw, made: dict[str, str], cloud: DevCloud) -> None:
    shop, alice = made["shop"], made["alice"]
    size = {"ram": 96, "vcpus": 3, "disk": 2, "OS-FLV-EXT-DATA:ephemeral": 1, "swap": 64, "rxtx_factor": 2.5}
    big = {"name": "big", "id": "big-1", "description": "roomy", "os-flavor-access:is_public": False, **size}
    made["big"] = raw.make("compute", "/flavors", "flavor", big)
    small = {"name": "small", "id": "small-1", "ram": 64, "vcpus": 1, "disk": 1}
    raw.make("compute", "/flavors", "flavor", small)
    specs = {"extra_specs": {"hw:mem_page_size": "any"}}
    raw.post("compute", f"/flavors/{made['big']}/os-extra_specs", specs)
    raw.post("compute", f"/flavors/{made['big']}/action", {"addTenantAccess": {"tenant": shop}})
    for name, kind, key in (("cert", "x509", CERTIFICATE), ("key", "ssh", SSH)):
        body = {"name": name, "type": kind, "public_key": key, "user_id": alice}
        raw.post("compute", "/os-keypairs", {"keypair": body})
    _quotas(raw, shop)
    with Client(cloud.url, username="alice", password="secret", project="shop", domain="corp") as tenant:
        _servers(tenant, made)


def _quotas(raw: Raw, project: str) -> None:
    for service, path, item in (
        ("compute", "/os-quota-sets", "quota_set"),
        ("network", "/quotas", "quota"),
        ("volume", "/os-quota-sets", "quota_set"),
    ):
        raw.put(service, f"{path}/{project}", {item: LIMITS[service]})


def _servers(tenant: Client, made: dict[str, str]) -> None:
    rules = {"name": "apart", "policy": "anti-affinity", "rules": {"max_server_per_host": 3}}
    group = tenant.post("compute", "/os-server-groups", {"server_group": rules})["server_group"]["id"]
    near = {"name": "near", "policy": "soft-affinity"}
    tenant.post("compute", "/os-server-groups", {"server_group": near})
    for name, body in (
        ("data", {"size": 1}),
        (
            "archive",
            {"size": 2, "volume_type": "fast", "availability_zone": "az2", "description": "old orders"}
            | {"metadata": {"team": "shop"}},
        ),
    ):
        made[name] = tenant.post("volume", "/volumes", {"volume": {"name": name, **body}})["volume"]["id"]
        path = f"/volumes/{made[name]}"
        tenant.wait("volume", path, lambda seen: seen["volume"]["status"] == "available")
    metadata = {"hw_firmware_type": "uefi", "image_id": made["disk"]}
    for action in (
        {"os-set_bootable": {"bootable": True}},
        {"os-set_image_metadata": {"metadata": metadata}},
        {"os-update_readonly_flag": {"readonly": True}},
    ):
        tenant.post("volume", f"/volumes/{made['archive']}/action", action)
    root = {"uuid": made["disk"], "source_type": "image", "destination_type": "local", "boot_index": 0}
    data = {"uuid": made["data"], "source_type": "volume", "destination_type": "volume", "boot_index": -1}
    data |= {"tag": "data", "delete_on_termination": True}
    root |= {"delete_on_termination": True}
    server = {
        "name": "all",
        "description": "has everything",
        "flavorRef": made["big"],
        "imageRef": made["disk"],
        "networks": [{"port": made["nic-b"]}, {"port": made["nic-a"]}],
        "block_device_mapping_v2": [root, data],
        "key_name": "key",
        "metadata": {"team": "shop"},
        "tags": ["b", "a"],
        "user_data": USER_DATA,
        "config_drive": True,
        "hostname": "every",
        "availability_zone": "az2",
        "OS-DCF:diskConfig": "AUTO",
        "accessIPv4": "192.0.2.9",
        "accessIPv6": "2001:db8::9",
    }
    body = {"server": server, "os:scheduler_hints": {"group": group}}
    path = f"/servers/{tenant.post('compute', '/servers', body)['server']['id']}"
    tenant.wait("compute", path, lambda seen: seen["server"]["status"] == "ACTIVE")
    tenant.post("compute", f"{path}/action", {"lock": {"locked_reason": "do not touch"}})


# -- what both clouds must say


WANTED: dict[str, dict[str, Body]] = {
    "domain": {
        "closed": {
            "name": "closed",
            "description": "shut",
            "enabled": False,
            "tags": ["dusty", "old"],
            "options": {"immutable": True},
        }
    },
    "project": {
        "shop": {
            "domain_id": "corp",
            "name": "shop",
            "parent_id": "company",
            "description": "sells",
            "tags": ["a", "b"],
        },
        "museum": {"enabled": False, "options": {"immutable": True}},
    },
    "group": {
        "staff": {"domain_id": "corp", "name": "staff", "description": "all of them", "domain": "corp"}
    },
    "user": {
        "bob": {
            "domain_id": "corp",
            "name": "bob",
            "email": "bob@example.test",
            "description": "first",
            "enabled": False,
            "default_project_id": "shop",
            "groups": ["staff"],
            "options": {"ignore_password_expiry": True},
            "domain": "corp",
        }
    },
    "role": {
        "clerk": {
            "domain_id": "corp",
            "name": "clerk",
            "description": "sells",
            "options": {"immutable": True},
            "implies": ["reader"],
        }
    },
    "role_assignment": {
        "of bob": {"role_id": "clerk", "user_id": "bob", "project_id": "shop"},
        "of staff": {"role_id": "reader", "group_id": "staff", "domain_id": "corp", "inherited": True},
    },
    "quota": {
        "shop": {"project_id": "shop", "compute": LIMITS["compute"], "network": LIMITS["network"]}
        | {"block-storage": LIMITS["volume"]}
    },
    "flavor": {
        "big": {
            "name": "big",
            "ram": 96,
            "vcpus": 3,
            "disk": 2,
            "ephemeral": 1,
            "swap": 64,
            "rxtx_factor": 2.5,
            "is_public": False,
            "description": "roomy",
            "extra_specs": {"hw:mem_page_size": "any"},
            "access": ["shop"],
        }
    },
    "keypair": {
        "cert": {"user_id": "alice", "name": "cert", "type": "x509", "public_key": CERTIFICATE},
    },
    "server_group": {
        "apart": {
            "project_id": "shop",
            "name": "apart",
            "policy": "anti-affinity",
            "rules": {"max_server_per_host": 3},
        }
    },
    "image": {
        "disk": {
            "owner": "shop",
            "name": "disk",
            "content": b"disk" * 512,
            "size": 2048,
            "visibility": "shared",
            "disk_format": "ami",
            "container_format": "ami",
            "min_disk": 1,
            "min_ram": 32,
            "tags": ["a", "b"],
            "members": [("friend", "accepted")],
            "properties": {"os_distro": "debian"},
            "kernel_id": "kernel",
            "ramdisk_id": "ramdisk",
            "base_image_ref": "kernel",
        },
        "kept": {"visibility": "community", "protected": True, "os_hidden": True, "deactivated": True},
    },
    "network": {
        "web": {
            "project_id": "shop",
            "name": "web",
            "description": "the front",
            "admin_state_up": False,
            "shared": True,
            "mtu": 1400,
            "port_security_enabled": False,
            "dns_domain": "web.example.",
            "vlan_transparent": True,
            "qinq": True,
            "availability_zone_hints": ["nova"],
            "tags": ["blue"],
        },
        "back": {"shared_with": ["friend"]},
    },
    "address_scope": {
        "routed": {"project_id": "shop", "name": "routed", "ip_version": 6, "shared": True},
    },
    "subnet_pool": {
        "pool": {
            "project_id": "shop",
            "name": "pool",
            "description": "of prefixes",
            "prefixes": ["fd00:64::/48"],
            "min_prefixlen": 50,
            "max_prefixlen": 60,
            "default_prefixlen": 56,
            "default_quota": 40,
            "address_scope_id": "routed",
            "shared": True,
            "tags": ["six"],
        }
    },
    "subnet": {
        "web-v4": {
            "network_id": "web",
            "cidr": "10.20.0.0/24",
            "project_id": "shop",
            "name": "web-v4",
            "description": "the fourth",
            "gateway_ip": "10.20.0.254",
            "allocation_pools": [{"start": "10.20.0.10", "end": "10.20.0.99"}],
            "dns_nameservers": ["9.9.9.9", "1.1.1.1"],
            "host_routes": [{"destination": "10.99.0.0/16", "nexthop": "10.20.0.5"}],
            "enable_dhcp": False,
            "service_types": ["compute:nova", ""],
            "dns_publish_fixed_ip": True,
            "tags": ["v4"],
        },
        "back-v6": {
            "ip_version": 6,
            "ipv6_address_mode": "dhcpv6-stateful",
            "ipv6_ra_mode": "dhcpv6-stateful",
            "subnetpool_id": "pool",
        },
        "back-v4": {"gateway_ip": None},
    },
    "router": {
        "edge": {
            "project_id": "shop",
            "name": "edge",
            "description": "the way out",
            "admin_state_up": False,
            "external_gateway_info": {"network_id": "public", "enable_snat": False},
            "interfaces": [("back-v4", "10.30.0.77")],
            "routes": [{"destination": "10.99.0.0/16", "nexthop": "10.30.0.5"}],
            "enable_ndp_proxy": True,
            "availability_zone_hints": ["nova"],
            "tags": ["r"],
        },
        "spread": {"distributed": True, "ha": True},
    },
    "security_group": {
        "loose": {
            "project_id": "shop",
            "name": "loose",
            "description": "knows no state",
            "stateful": False,
            "tags": ["sg"],
        }
    },
    "security_group_rule": {
        "names": {
            "security_group_id": "loose",
            "direction": "egress",
            "protocol": "udp",
            "port_range_min": 53,
            "port_range_max": 54,
            "remote_ip_prefix": "192.0.2.0/24",
            "description": "names",
        },
        "of others": {"direction": "ingress", "ethertype": "IPv6", "remote_group_id": "other"},
    },
    "port": {
        "vip": {
            "network_id": "back",
            "mac_address": "fa:16:3e:11:22:33",
            "project_id": "shop",
            "name": "vip",
            "description": "floats",
            "fixed_ips": [("back-v4", "10.30.0.50")],
            "security_groups": ["loose"],
            "allowed_address_pairs": [{"ip_address": "10.30.0.51", "mac_address": "fa:16:3e:11:22:44"}],
            "admin_state_up": False,
            "dns_name": "vip",
            "dns_domain": "vip.example.",
            "binding:vnic_type": "virtio-forwarder",
            "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}],
            "numa_affinity_policy": "required",
            "hints": {"openvswitch": {"other_config": {"tx-steering": "hash"}}},
            "propagate_uplink_status": False,
            "tags": ["p"],
        },
        "bare": {"fixed_ips": [], "security_groups": [], "port_security_enabled": False},
    },
    "floating_ip": {
        "door": {
            "floating_network_id": "public",
            "floating_ip_address": "203.0.113.50",
            "project_id": "shop",
            "port_id": "vip",
            "fixed_ip_address": "10.30.0.50",
            "description": "the door",
            "dns_name": "door",
            "dns_domain": "door.example.",
            "tags": ["f"],
        }
    },
    "volume": {
        "archive": {
            "project_id": "shop",
            "name": "archive",
            "description": "old orders",
            "size": 2,
            "volume_type": "fast",
            "availability_zone": "az2",
            "metadata": {"team": "shop"},
            "bootable": True,
            "image_metadata": {"hw_firmware_type": "uefi", "image_id": "disk"},
            "multiattach": True,
            "readonly": True,
        }
    },
    "server": {
        "all": {
            "project_id": "shop",
            "name": "all",
            "description": "has everything",
            "flavor": "big",
            "image": "disk",
            "ports": ["nic-b", "nic-a"],
            "volumes": [("data", "data", True)],
            "server_group": "apart",
            "key_name": "key",
            "metadata": {"team": "shop"},
            "tags": ["a", "b"],
            "user_data": USER_DATA,
            "config_drive": True,
            "hostname": "every",
            "pinned_availability_zone": "az2",
            "disk_config": "AUTO",
            "accessIPv4": "192.0.2.9",
            "accessIPv6": "2001:db8::9",
            "locked": True,
            "locked_reason": "do not touch",
        }
    },
}


# -- reading it, by names


def _untagged(body: Body) -> Body:
    """A body with the tags that its owner gave it, sorted."""
    return body | {"tags": sorted(tag for tag in body["tags"] if not tag.startswith("pumphouse"))}


def _domain(raw: Raw, label: str) -> Body:
    return _untagged(raw.one("identity", "/domains", "domains", name=label))


def _project(raw: Raw, label: str) -> Body:
    body = _untagged(raw.one("identity", "/projects", "projects", name=label))
    return body | {"domain_id": raw.name(body["domain_id"]), "parent_id": raw.name(body["parent_id"])}


def _group(raw: Raw, label: str) -> Body:
    body = raw.one("identity", "/groups", "groups", name=label)
    domain = raw.name(body["domain_id"])
    return body | {"domain_id": domain, "domain": domain}


def _user(raw: Raw, label: str) -> Body:
    body = raw.one("identity", "/users", "users", name=label)
    domain = raw.name(body["domain_id"])
    groups = [one["name"] for one in raw.all("identity", f"/users/{body['id']}/groups", "groups")]
    project = raw.name(body["default_project_id"])
    return body | {"domain_id": domain, "domain": domain, "groups": groups, "default_project_id": project}


def _role(raw: Raw, label: str) -> Body:
    domain = raw.one("identity", "/domains", "domains", name="corp")["id"]
    body = raw.one("identity", f"/roles?domain_id={domain}", "roles", name=label)
    implied = raw.get("identity", f"/roles/{body['id']}/implies")["role_inference"]["implies"]
    return body | {"domain_id": "corp", "implies": [one["name"] for one in implied]}


def _assignment(raw: Raw, label: str) -> Body:
    who = label.removeprefix("of ")
    found = [
        one
        for one in raw.all("identity", "/role_assignments", "role_assignments")
        if who in [raw.name(one[actor]["id"]) for actor in ("user", "group") if actor in one]
    ]
    assert len(found) == 1
    told, scope = found[0], found[0]["scope"]
    seen = {
        f"{actor}_id": raw.name(told[actor]["id"]) for actor in ("role", "user", "group") if actor in told
    }
    seen |= {f"{kind}_id": raw.name(scope[kind]["id"]) for kind in ("project", "domain") if kind in scope}
    return seen | {"inherited": scope.get("OS-INHERIT:inherited_to") == "projects"}


def _quota(raw: Raw, label: str) -> Body:
    project = raw.one("identity", "/projects", "projects", name=label)["id"]
    told = {
        "compute": raw.get("compute", f"/os-quota-sets/{project}")["quota_set"],
        "network": raw.get("network", f"/quotas/{project}")["quota"],
        "volume": raw.get("volume", f"/os-quota-sets/{project}")["quota_set"],
    }
    seen = {name: {limit: told[name][limit] for limit in limits} for name, limits in LIMITS.items()}
    return {"project_id": label, "block-storage": seen.pop("volume"), **seen}


def _flavor(raw: Raw, label: str) -> Body:
    body = raw.one("compute", "/flavors/detail?is_public=None", "flavors", name=label)
    access = raw.all("compute", f"/flavors/{body['id']}/os-flavor-access", "flavor_access")
    return body | {
        "ephemeral": body["OS-FLV-EXT-DATA:ephemeral"],
        "is_public": body["os-flavor-access:is_public"],
        "access": [raw.name(one["tenant_id"]) for one in access],
    }


def _keypair(raw: Raw, label: str) -> Body:
    user = raw.one("identity", "/users", "users", name="alice")["id"]
    body: Body = raw.get("compute", f"/os-keypairs/{label}?user_id={user}")["keypair"]
    return body | {"user_id": raw.name(body["user_id"])}


def _server_group(raw: Raw, label: str) -> Body:
    body = raw.one("compute", "/os-server-groups?all_projects=true", "server_groups", name=label)
    return body | {"project_id": raw.name(body["project_id"])}


def _image(raw: Raw, label: str) -> Body:
    hidden = str(label == "kept").lower()
    body = raw.one("image", f"/images?name={label}&os_hidden={hidden}", "images", name=label)
    seen = body | {
        name: raw.name(body.get(name)) for name in ("owner", "kernel_id", "ramdisk_id", "base_image_ref")
    }
    seen |= {
        "deactivated": body["status"] == "deactivated",
        "properties": {"os_distro": body.get("os_distro")},
    }
    if label == "disk":
        members = raw.all("image", f"/images/{body['id']}/members", "members")
        seen["members"] = [(raw.name(one["member_id"]), one["status"]) for one in members]
        seen["content"] = raw.request("image", "GET", f"/images/{body['id']}/file").content
    return seen


def _named(path: str, items: str, *refs: str) -> Callable[[Raw, str], Body]:
    """A resource of the network service."""

    def read(raw: Raw, label: str) -> Body:
        body = raw.one("network", f"{path}?name={quote(label)}", items, name=label)
        body = _untagged({"tags": [], **body})
        return body | {name: raw.name(body[name]) for name in ("project_id", *refs)}

    return read


def _network_body(raw: Raw, label: str) -> Body:
    body = _named("/networks", "networks")(raw, label)
    policies = raw.all("network", f"/rbac-policies?object_id={body['id']}", "rbac_policies")
    shared = [raw.name(one["target_tenant"]) for one in policies if one["target_tenant"] != "*"]
    return body | {"shared_with": shared}


def _fixed(raw: Raw, told: list[Body]) -> list[tuple[str | None, str]]:
    return [(raw.name(one["subnet_id"]), one["ip_address"]) for one in told]


def _router(raw: Raw, label: str) -> Body:
    body = _named("/routers", "routers")(raw, label)
    gateway = body["external_gateway_info"]
    if gateway:
        kept = {"network_id": raw.name(gateway["network_id"]), "enable_snat": gateway["enable_snat"]}
        body["external_gateway_info"] = kept
    ports = raw.all("network", f"/ports?device_id={body['id']}", "ports")
    legs = [one for one in ports if one["device_owner"] == "network:router_interface"]
    return body | {"interfaces": [fixed for leg in legs for fixed in _fixed(raw, leg["fixed_ips"])]}


def _rule(raw: Raw, label: str) -> Body:
    group = raw.one("network", "/security-groups", "security_groups", name="loose")["id"]
    rules = raw.all("network", f"/security-group-rules?security_group_id={group}", "security_group_rules")
    (body,) = [
        one for one in rules if (one["description"] == label if label == "names" else one["remote_group_id"])
    ]
    return body | {name: raw.name(body[name]) for name in ("security_group_id", "remote_group_id")}


def _port(raw: Raw, label: str) -> Body:
    body = _named("/ports", "ports", "network_id")(raw, label)
    groups = [raw.name(one) for one in body["security_groups"]]
    return body | {"fixed_ips": _fixed(raw, body["fixed_ips"]), "security_groups": groups}


def _floating(raw: Raw, label: str) -> Body:
    body = raw.one("network", "/floatingips", "floatingips", dns_name=label)
    refs = {name: raw.name(body[name]) for name in ("project_id", "floating_network_id", "port_id")}
    return _untagged(body) | refs


def _metadata(body: Body) -> Body:
    own = ("pumphouse_source", "readonly")
    return {name: value for name, value in body["metadata"].items() if name not in own}


def _volume(raw: Raw, label: str) -> Body:
    body = raw.one("volume", "/volumes/detail?all_tenants=1", "volumes", name=label)
    image = dict(body.get("volume_image_metadata") or {})
    if "image_id" in image:
        image["image_id"] = raw.name(image["image_id"])
    return body | {
        "project_id": raw.name(body["os-vol-tenant-attr:tenant_id"]),
        "metadata": _metadata(body),
        "bootable": body["bootable"] == "true",
        "readonly": body["metadata"].get("readonly") == "True",
        "image_metadata": image,
    }


def _server(raw: Raw, label: str) -> Body:
    listed = raw.one("compute", "/servers?all_tenants=1", "servers", name=label)
    body: Body = raw.get("compute", f"/servers/{listed['id']}")["server"]
    told = {one["addr"] for group in body["addresses"].values() for one in group}
    ports = raw.all("network", f"/ports?device_id={body['id']}", "ports")
    order = [one["addr"] for group in body["addresses"].values() for one in group]
    by_address = {one["fixed_ips"][0]["ip_address"]: one["name"] for one in ports}
    assert told == set(by_address)
    attached = raw.all("compute", f"/servers/{body['id']}/os-volume_attachments", "volumeAttachments")
    return body | {
        "project_id": raw.name(body["tenant_id"]),
        "flavor": body["flavor"]["original_name"],
        "image": raw.name(body["image"]["id"]),
        "ports": [by_address[one] for one in order],
        "volumes": [
            (raw.name(one["volumeId"]), one["tag"], one["delete_on_termination"]) for one in attached
        ],
        "server_group": raw.name(body["server_groups"][0]) if body["server_groups"] else None,
        "metadata": _metadata(body),
        "tags": sorted(body["tags"]),
        "user_data": body["OS-EXT-SRV-ATTR:user_data"],
        "config_drive": bool(body["config_drive"]),
        "hostname": body["OS-EXT-SRV-ATTR:hostname"],
        "disk_config": body["OS-DCF:diskConfig"],
    }


READERS: Mapping[str, Callable[[Raw, str], Body]] = {
    "domain": _domain,
    "project": _project,
    "group": _group,
    "user": _user,
    "role": _role,
    "role_assignment": _assignment,
    "quota": _quota,
    "flavor": _flavor,
    "keypair": _keypair,
    "server_group": _server_group,
    "image": _image,
    "network": _network_body,
    "address_scope": _named("/address-scopes", "address_scopes"),
    "subnet_pool": _named("/subnetpools", "subnetpools", "address_scope_id"),
    "subnet": _named("/subnets", "subnets", "network_id", "subnetpool_id"),
    "router": _router,
    "security_group": _named("/security-groups", "security_groups"),
    "security_group_rule": _rule,
    "port": _port,
    "floating_ip": _floating,
    "volume": _volume,
    "server": _server,
}
