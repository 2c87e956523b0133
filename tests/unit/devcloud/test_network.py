"""The network service's rules, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pumphouse.devcloud import ADMIN_PASSWORD, DevCloud
from pumphouse.devcloud.client import ApiError, Client

SIX_SERVERS = [f"9.9.9.{number}" for number in range(6)]


@pytest.fixture
def cloud(make_cloud: Callable[..., DevCloud]) -> DevCloud:
    return make_cloud("one", seed=1)


@pytest.fixture
def admin(cloud: DevCloud) -> Iterator[Client]:
    with Client(cloud.url, username="admin", password=ADMIN_PASSWORD, project="admin") as client:
        yield client


@pytest.fixture
def member(admin: Client, cloud: DevCloud) -> Iterator[Client]:
    """A user of a project of its own."""
    project = admin.post("identity", "/projects", {"project": {"name": "shop"}})["project"]["id"]
    user = {"name": "ann", "password": "ann-secret"}
    user_id = admin.post("identity", "/users", {"user": user})["user"]["id"]
    role = admin.get("identity", "/roles?name=member")["roles"][0]["id"]
    admin.put("identity", f"/projects/{project}/users/{user_id}/roles/{role}")
    with Client(cloud.url, username="ann", password="ann-secret", project="shop") as client:
        yield client


def make(client: Client, kind: str, path: str | None = None, **values: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.post("network", f"/{path or kind + 's'}", {kind: values})[kind]
    return found


def refused(status: int, kind: str) -> Any:
    """The call is refused with this status and this type of NeutronError."""

    class Check:
        def __enter__(self) -> None:
            self.raises = pytest.raises(ApiError)
            self.error = self.raises.__enter__()

        def __exit__(self, *exc: object) -> bool:
            swallowed = self.raises.__exit__(*exc)
            assert self.error.value.status == status, self.error.value
            assert kind in str(self.error.value)
            return bool(swallowed)

    return Check()


@pytest.fixture
def web(member: Client) -> dict[str, dict[str, Any]]:
    """A network with a subnet."""
    network = make(member, "network", name="web")
    subnet = make(member, "subnet", name="web-v4", network_id=network["id"], ip_version=4, cidr="10.1.0.0/24")
    return {"network": network, "subnet": subnet}


@pytest.fixture
def public(admin: Client) -> dict[str, dict[str, Any]]:
    network = make(admin, "network", name="public", **{"router:external": True})
    pools = [{"start": "203.0.113.10", "end": "203.0.113.20"}]
    values = {"cidr": "203.0.113.0/24", "gateway_ip": "203.0.113.1", "allocation_pools": pools}
    subnet = make(admin, "subnet", network_id=network["id"], ip_version=4, enable_dhcp=False, **values)
    return {"network": network, "subnet": subnet}


def test_network_defaults_and_what_members_do_not_see(admin: Client, member: Client) -> None:
    made = make(member, "network", name="web")
    assert made["tenant_id"] == made["project_id"] == member.project_id
    assert (made["shared"], made["router:external"], made["port_security_enabled"], made["mtu"]) == (
        False,
        False,
        True,
        1450,
    )
    assert "provider:network_type" not in made
    seen = admin.get("network", f"/networks/{made['id']}")["network"]
    assert seen["provider:network_type"] == "vxlan"
    assert "is_default" not in made


def test_names_are_never_unique(member: Client) -> None:
    first, second = make(member, "network", name="web"), make(member, "network", name="web")
    found = member.get("network", "/networks?name=web")["networks"]
    assert {row["id"] for row in found} == {first["id"], second["id"]}


def test_members_may_not_share_or_make_external(member: Client) -> None:
    with refused(403, "PolicyNotAuthorized"):
        make(member, "network", name="web", shared=True)
    with refused(403, "PolicyNotAuthorized"):
        make(member, "network", name="web", **{"router:external": True})
    assert make(member, "network", name="web", shared=False)["shared"] is False


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nmae": "web"}, "Unrecognized attribute"),
        ({"status": "DOWN"}, "not allowed in POST"),
        ({"admin_state_up": "perhaps"}, "cannot be converted to boolean"),
        ({"name": "n" * 256}, "exceeds maximum length"),
    ],
)
def test_ill_formed_networks_are_refused(member: Client, values: dict[str, Any], message: str) -> None:
    with refused(400, message):
        make(member, "network", **values)


def test_other_projects_see_only_shared_networks(admin: Client, member: Client, public: Any) -> None:
    hidden = make(admin, "network", name="hidden")
    with refused(404, "NetworkNotFound"):
        member.get("network", f"/networks/{hidden['id']}")
    names = {row["name"] for row in member.get("network", "/networks")["networks"]}
    assert names == {"public"}
    admin.put("network", f"/networks/{hidden['id']}", {"network": {"shared": True}})
    assert member.get("network", f"/networks/{hidden['id']}")["network"]["shared"] is True
    with refused(403, "PolicyNotAuthorized"):
        member.put("network", f"/networks/{hidden['id']}", {"network": {"name": "mine"}})


def test_rbac_shares_with_one_project(admin: Client, member: Client) -> None:
    network = make(admin, "network", name="common")
    values = {"object_type": "network", "object_id": network["id"], "action": "access_as_shared"}
    policy = make(admin, "rbac_policy", "rbac-policies", target_tenant=member.project_id, **values)
    assert member.get("network", f"/networks/{network['id']}")["network"]["shared"] is True
    with refused(409, "DuplicateRbacPolicy"):
        make(admin, "rbac_policy", "rbac-policies", target_tenant=member.project_id, **values)
    make(member, "port", network_id=network["id"])
    with refused(409, "InvalidSharedSetting"):
        admin.delete("network", f"/rbac-policies/{policy['id']}")


def test_lists_page_by_marker_and_link_only_with_limit(member: Client, cloud: DevCloud) -> None:
    made = [make(member, "network", name=f"n{number}")["id"] for number in range(5)]
    assert set(member.get("network", "/networks")) == {"networks"}
    seen, path = [], "/networks?limit=2&fields=id"
    while True:
        page = member.get("network", path)
        seen += [row["id"] for row in page["networks"]]
        following = [link["href"] for link in page["networks_links"] if link["rel"] == "next"]
        if not following:
            break
        assert following[0].startswith(f"{cloud.url}/network/v2.0/networks?")
        path = following[0].removeprefix(f"{cloud.url}/network/v2.0")
    assert seen == made
    backwards = member.get("network", f"/networks?limit=2&marker={made[4]}&page_reverse=True")["networks"]
    assert [row["id"] for row in backwards] == made[2:4]
    with refused(400, "marker"):
        member.get("network", "/networks?marker=nowhere")


def test_lists_sort_filter_and_choose_fields(member: Client) -> None:
    for name in ("b", "a", "c"):
        make(member, "network", name=name)
    rows = member.get("network", "/networks?sort_key=name&sort_dir=desc&fields=name")["networks"]
    assert rows == [{"name": "c"}, {"name": "b"}, {"name": "a"}]
    assert len(member.get("network", "/networks?name=a&name=b&admin_state_up=True")["networks"]) == 2
    with refused(400, "invalid attribute for filtering"):
        member.get("network", "/networks?nmae=a")


def test_bulk_is_all_or_nothing(member: Client) -> None:
    bodies = [{"name": "one"}, {"name": "two", "shared": True}]
    with refused(403, "PolicyNotAuthorized"):
        member.post("network", "/networks", {"networks": bodies})
    assert member.get("network", "/networks")["networks"] == []
    made = member.post("network", "/networks", {"networks": [{"name": "one"}, {"name": "two"}]})["networks"]
    assert [row["name"] for row in made] == ["one", "two"]


TAGGED = ["network", "subnet", "port", "router", "security_group", "subnetpool", "floatingip"]


@pytest.mark.parametrize("kind", TAGGED)
def test_tags_on_every_kind_that_has_them(
    member: Client, web: dict[str, Any], public: dict[str, Any], kind: str
) -> None:
    values = {
        "port": {"network_id": web["network"]["id"]},
        "subnetpool": {"name": "pool", "prefixes": ["10.9.0.0/16"]},
        "subnet": {"network_id": web["network"]["id"], "ip_version": 4, "cidr": "10.2.0.0/24"},
        "floatingip": {"floating_network_id": public["network"]["id"]},
    }.get(kind, {"name": "tagged"})
    path = kind.replace("_", "-") + "s"
    row = make(member, kind, path, **values)
    assert row["tags"] == []
    assert member.put("network", f"/{path}/{row['id']}/tags", {"tags": ["b", "a"]}) == {"tags": ["a", "b"]}
    member.put("network", f"/{path}/{row['id']}/tags/c")
    member.request("network", "GET", f"/{path}/{row['id']}/tags/c")
    member.delete("network", f"/{path}/{row['id']}/tags/a")
    assert member.get("network", f"/{path}/{row['id']}")[kind]["tags"] == ["b", "c"]
    plural = kind + "s"
    assert [found["id"] for found in member.get("network", f"/{path}?tags=b,c")[plural]] == [row["id"]]
    assert member.get("network", f"/{path}?tags=b,d")[plural] == []
    assert [found["id"] for found in member.get("network", f"/{path}?tags-any=b,d")[plural]] == [row["id"]]
    with refused(404, "TagNotFound"):
        member.delete("network", f"/{path}/{row['id']}/tags/zzz")


def test_subnet_defaults(web: dict[str, Any], member: Client) -> None:
    subnet = web["subnet"]
    assert (subnet["gateway_ip"], subnet["enable_dhcp"]) == ("10.1.0.1", True)
    assert subnet["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]
    network_id = web["network"]["id"]
    lone = make(member, "subnet", network_id=network_id, ip_version=4, cidr="10.2.0.0/29", gateway_ip=None)
    assert lone["gateway_ip"] is None
    assert lone["allocation_pools"] == [{"start": "10.2.0.1", "end": "10.2.0.6"}]
    values = {"network_id": network_id, "ip_version": 4, "cidr": "10.3.0.0/29", "gateway_ip": "10.3.0.3"}
    middle = make(member, "subnet", **values)
    assert len(middle["allocation_pools"]) == 2
    assert member.get("network", f"/networks/{network_id}")["network"]["subnets"] == [
        subnet["id"],
        lone["id"],
        middle["id"],
    ]


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"cidr": "10.1.0.128/25"}, 400, "overlaps with another subnet"),
        ({"cidr": "10.5.0.0/24", "gateway_ip": "10.5.0.0"}, 400, "Gateway is not valid"),
        ({"cidr": "fd00::/64"}, 400, "does not match the ip_version"),
        ({"cidr": "10.5.0.0/31"}, 400, "incompatible with DHCP"),
        ({}, 400, "in the absence of a cidr"),
        (
            {"cidr": "10.5.0.0/24", "allocation_pools": [{"start": "10.5.0.1", "end": "10.5.0.9"}]},
            409,
            "GatewayConflictWithAllocationPools",
        ),
        (
            {"cidr": "10.5.0.0/24", "allocation_pools": [{"start": "10.6.0.2", "end": "10.6.0.9"}]},
            400,
            "OutOfBoundsAllocationPool",
        ),
        ({"cidr": "10.5.0.0/24", "ipv6_ra_mode": "slaac"}, 400, "not valid when ip_version is 4"),
        ({"cidr": "10.5.0.0/24", "dns_nameservers": SIX_SERVERS}, 400, "DNSNameServersExhausted"),
    ],
)
def test_wrong_subnets_are_refused(
    member: Client, web: dict[str, Any], values: dict[str, Any], status: int, kind: str
) -> None:
    with refused(status, kind):
        make(member, "subnet", network_id=web["network"]["id"], ip_version=4, **values)


def test_dns_servers_keep_their_order(member: Client, web: dict[str, Any]) -> None:
    path = f"/subnets/{web['subnet']['id']}"
    member.put("network", path, {"subnet": {"dns_nameservers": ["9.9.9.9", "1.1.1.1"]}})
    assert member.get("network", path)["subnet"]["dns_nameservers"] == ["9.9.9.9", "1.1.1.1"]


def test_same_cidr_on_another_network_is_fine(member: Client, web: dict[str, Any]) -> None:
    other = make(member, "network", name="other")
    subnet = make(member, "subnet", network_id=other["id"], ip_version=4, cidr="10.1.0.0/24")
    assert subnet["cidr"] == "10.1.0.0/24"


def test_port_gets_address_mac_and_default_group(member: Client, web: dict[str, Any]) -> None:
    port = make(member, "port", network_id=web["network"]["id"])
    assert port["fixed_ips"] == [{"subnet_id": web["subnet"]["id"], "ip_address": "10.1.0.2"}]
    assert port["mac_address"].startswith("fa:16:3e:")
    groups = member.get("network", "/security-groups")["security_groups"]
    assert [group["name"] for group in groups] == ["default"]
    assert port["security_groups"] == [groups[0]["id"]]
    assert port["status"] == "DOWN"
    assert "binding:host_id" not in port
    assert make(member, "port", network_id=web["network"]["id"], security_groups=[])["security_groups"] == []


def test_addresses_and_macs_in_use_are_conflicts(member: Client, web: dict[str, Any]) -> None:
    network_id = web["network"]["id"]
    wanted = [{"ip_address": "10.1.0.50"}]
    port = make(member, "port", network_id=network_id, fixed_ips=wanted)
    assert port["fixed_ips"][0]["subnet_id"] == web["subnet"]["id"]
    with refused(409, "IpAddressInUse"):
        make(member, "port", network_id=network_id, fixed_ips=wanted)
    with refused(409, "MacAddressInUse"):
        make(member, "port", network_id=network_id, mac_address=port["mac_address"])
    with refused(400, "InvalidIpForNetwork"):
        make(member, "port", network_id=network_id, fixed_ips=[{"ip_address": "10.99.0.5"}])
    with refused(400, "InvalidIpForSubnet"):
        fixed = [{"subnet_id": web["subnet"]["id"], "ip_address": "10.1.0.255"}]
        make(member, "port", network_id=network_id, fixed_ips=fixed)
    member.delete("network", f"/ports/{port['id']}")
    again = make(member, "port", network_id=network_id, fixed_ips=wanted, mac_address=port["mac_address"])
    assert again["mac_address"] == port["mac_address"]


def test_a_refused_port_leaves_nothing_claimed(member: Client, web: dict[str, Any]) -> None:
    mac = "fa:16:3e:00:00:01"
    with refused(400, "InvalidIpForNetwork"):
        wanted = [{"ip_address": "10.7.7.7"}]
        make(member, "port", network_id=web["network"]["id"], mac_address=mac, fixed_ips=wanted)
    assert make(member, "port", network_id=web["network"]["id"], mac_address=mac)["mac_address"] == mac


def test_pools_run_out(member: Client) -> None:
    network = make(member, "network", name="small")
    make(member, "subnet", network_id=network["id"], ip_version=4, cidr="10.8.0.0/30")
    make(member, "port", network_id=network["id"])
    with refused(409, "IpAddressGenerationFailure"):
        make(member, "port", network_id=network["id"])


def test_port_update_moves_addresses(member: Client, web: dict[str, Any]) -> None:
    network_id = web["network"]["id"]
    port = make(member, "port", network_id=network_id)
    path = f"/ports/{port['id']}"
    moved = member.put("network", path, {"port": {"fixed_ips": [{"ip_address": "10.1.0.77"}]}})["port"]
    assert moved["fixed_ips"][0]["ip_address"] == "10.1.0.77"
    assert make(member, "port", network_id=network_id)["fixed_ips"][0]["ip_address"] == "10.1.0.2"
    other = make(member, "port", network_id=network_id)["fixed_ips"][0]["ip_address"]
    with refused(409, "IpAddressInUse"):
        member.put("network", path, {"port": {"fixed_ips": [{"ip_address": other}]}})
    assert member.get("network", path)["port"]["fixed_ips"][0]["ip_address"] == "10.1.0.77"


def test_slaac_address_follows_the_mac(member: Client) -> None:
    network = make(member, "network", name="six")
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    make(member, "subnet", network_id=network["id"], ip_version=6, cidr="fd00:1::/64", **modes)
    port = make(member, "port", network_id=network["id"], mac_address="fa:16:3e:aa:bb:cc")
    assert [fixed["ip_address"] for fixed in port["fixed_ips"]] == ["fd00:1::f816:3eff:feaa:bbcc"]


def test_port_security_rules(member: Client, web: dict[str, Any]) -> None:
    open_network = make(member, "network", name="open", port_security_enabled=False)
    bare = make(member, "port", network_id=open_network["id"])
    assert (bare["port_security_enabled"], bare["security_groups"]) == (False, [])
    group = make(member, "security_group", "security-groups", name="app")
    with refused(400, "PortSecurityAndIPRequiredForSecurityGroups"):
        make(member, "port", network_id=open_network["id"], security_groups=[group["id"]])
    with refused(409, "AddressPairAndPortSecurityRequired"):
        pairs = [{"ip_address": "10.1.0.9"}]
        make(member, "port", network_id=open_network["id"], allowed_address_pairs=pairs)
    port = make(
        member, "port", network_id=web["network"]["id"], allowed_address_pairs=[{"ip_address": "10.1.0.0/28"}]
    )
    (pair,) = port["allowed_address_pairs"]
    assert pair == {"ip_address": "10.1.0.0/28", "mac_address": port["mac_address"]}
    with refused(409, "PortSecurityPortHasSecurityGroup"):
        member.put("network", f"/ports/{port['id']}", {"port": {"port_security_enabled": False}})
    with refused(400, "cannot be converted to boolean"):
        make(member, "network", name="null", port_security_enabled=None)


def test_on_a_shared_network_members_choose_no_address(admin: Client, member: Client) -> None:
    network = make(admin, "network", name="common", shared=True)
    subnet = make(admin, "subnet", network_id=network["id"], ip_version=4, cidr="10.4.0.0/24")
    wanted = [{"subnet_id": subnet["id"]}]
    assert make(member, "port", network_id=network["id"], fixed_ips=wanted)["fixed_ips"]
    with refused(403, "create_port:fixed_ips"):
        make(member, "port", network_id=network["id"], fixed_ips=[{"ip_address": "10.4.0.9"}])
    with refused(403, "create_port:mac_address"):
        make(member, "port", network_id=network["id"], mac_address="fa:16:3e:00:00:01")
    with refused(403, "create_subnet"):
        make(member, "subnet", network_id=network["id"], ip_version=4, cidr="10.5.0.0/24")


def test_binding_decides_the_status(admin: Client, member: Client, web: dict[str, Any]) -> None:
    port = make(member, "port", network_id=web["network"]["id"])
    values = {"device_id": "a-server", "device_owner": "compute:nova", "binding:host_id": "host1"}
    bound = admin.put("network", f"/ports/{port['id']}", {"port": values})["port"]
    assert (bound["status"], bound["binding:vif_type"]) == ("ACTIVE", "ovs")
    with refused(403, "binding:host_id"):
        member.put("network", f"/ports/{port['id']}", {"port": {"binding:host_id": "host2"}})
    with refused(409, "PortBound"):
        admin.put("network", f"/ports/{port['id']}", {"port": {"mac_address": "fa:16:3e:00:00:01"}})


def test_networks_and_subnets_in_use_stay(member: Client, web: dict[str, Any]) -> None:
    port = make(member, "port", network_id=web["network"]["id"])
    with refused(409, "SubnetInUse"):
        member.delete("network", f"/subnets/{web['subnet']['id']}")
    with refused(409, "NetworkInUse"):
        member.delete("network", f"/networks/{web['network']['id']}")
    member.delete("network", f"/ports/{port['id']}")
    member.delete("network", f"/networks/{web['network']['id']}")
    with refused(404, "SubnetNotFound"):
        member.get("network", f"/subnets/{web['subnet']['id']}")


def test_subnet_pools_give_cidrs(member: Client, admin: Client) -> None:
    network = make(member, "network", name="pooled")
    pool = make(member, "subnetpool", name="pool", prefixes=["10.20.0.0/22"], default_prefixlen=24)
    values = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": pool["id"]}
    assert [make(member, "subnet", **values)["cidr"] for _ in range(2)] == ["10.20.0.0/24", "10.20.1.0/24"]
    assert make(member, "subnet", prefixlen=25, **values)["cidr"] == "10.20.2.0/25"
    assert make(member, "subnet", cidr="10.20.3.0/24", **values)["subnetpool_id"] == pool["id"]
    with refused(500, "SubnetAllocationError"):
        make(member, "subnet", **values)
    with refused(400, "SubnetPoolDeleteError"):
        member.delete("network", f"/subnetpools/{pool['id']}")
    with refused(400, "IllegalSubnetPoolPrefixBounds"):
        make(member, "subnetpool", name="wrong", prefixes=["10.0.0.0/8"], min_prefixlen=24, max_prefixlen=20)
    scope = make(admin, "address_scope", "address-scopes", name="scope", ip_version=4, shared=True)
    make(member, "subnetpool", name="a", prefixes=["10.30.0.0/16"], address_scope_id=scope["id"])
    with refused(409, "AddressScopePrefixConflict"):
        make(member, "subnetpool", name="b", prefixes=["10.30.5.0/24"], address_scope_id=scope["id"])


def test_router_interfaces(member: Client, web: dict[str, Any]) -> None:
    router = make(member, "router", name="gate")
    path = f"/routers/{router['id']}"
    added = member.put("network", f"{path}/add_router_interface", {"subnet_id": web["subnet"]["id"]})
    port = member.get("network", f"/ports/{added['port_id']}")["port"]
    assert (port["device_owner"], port["device_id"]) == ("network:router_interface", router["id"])
    assert port["fixed_ips"][0]["ip_address"] == "10.1.0.1"
    with refused(400, "already has a port on subnet"):
        member.put("network", f"{path}/add_router_interface", {"subnet_id": web["subnet"]["id"]})
    with refused(409, "ServicePortInUse"):
        member.delete("network", f"/ports/{port['id']}")
    with refused(409, "RouterInUse"):
        member.delete("network", path)
    other = make(member, "network", name="clash")
    clash = make(member, "subnet", network_id=other["id"], ip_version=4, cidr="10.1.0.0/25")
    with refused(400, "overlaps with cidr"):
        member.put("network", f"{path}/add_router_interface", {"subnet_id": clash["id"]})
    member.put("network", f"{path}/remove_router_interface", {"subnet_id": web["subnet"]["id"]})
    with refused(404, "RouterInterfaceNotFoundForSubnet"):
        member.put("network", f"{path}/remove_router_interface", {"subnet_id": web["subnet"]["id"]})
    member.delete("network", path)


def test_router_interface_by_port_keeps_its_address(member: Client, web: dict[str, Any]) -> None:
    router = make(member, "router", name="gate")
    port = make(member, "port", network_id=web["network"]["id"], fixed_ips=[{"ip_address": "10.1.0.200"}])
    member.put("network", f"/routers/{router['id']}/add_router_interface", {"port_id": port["id"]})
    seen = member.get("network", f"/ports/{port['id']}")["port"]
    assert (seen["device_id"], seen["fixed_ips"][0]["ip_address"]) == (router["id"], "10.1.0.200")
    with refused(409, "PortInUse"):
        member.put("network", f"/routers/{router['id']}/add_router_interface", {"port_id": port["id"]})


def test_routes_need_a_connected_next_hop(member: Client, web: dict[str, Any]) -> None:
    router = make(member, "router", name="gate")
    path = f"/routers/{router['id']}"
    route = {"destination": "10.50.0.0/16", "nexthop": "10.1.0.9"}
    with refused(400, "InvalidRoutes"):
        member.put("network", path, {"router": {"routes": [route]}})
    member.put("network", f"{path}/add_router_interface", {"subnet_id": web["subnet"]["id"]})
    assert member.put("network", path, {"router": {"routes": [route]}})["router"]["routes"] == [route]
    with refused(409, "RouterInterfaceInUseByRoute"):
        member.put("network", f"{path}/remove_router_interface", {"subnet_id": web["subnet"]["id"]})
    with refused(400, "used by router"):
        own = {"destination": "10.51.0.0/16", "nexthop": "10.1.0.1"}
        member.put("network", path, {"router": {"routes": [own]}})


def test_gateways(admin: Client, member: Client, public: dict[str, Any], web: dict[str, Any]) -> None:
    info = {"network_id": public["network"]["id"]}
    router = make(member, "router", name="gate", external_gateway_info=info)
    assert router["external_gateway_info"] == {
        **info,
        "enable_snat": True,
        "external_fixed_ips": [{"subnet_id": public["subnet"]["id"], "ip_address": "203.0.113.10"}],
    }
    with refused(403, "external_fixed_ips"):
        wanted = {**info, "external_fixed_ips": [{"ip_address": "203.0.113.15"}]}
        member.put("network", f"/routers/{router['id']}", {"router": {"external_gateway_info": wanted}})
    body = {"router": {"external_gateway_info": wanted}}
    moved = admin.put("network", f"/routers/{router['id']}", body)["router"]
    assert moved["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "203.0.113.15"
    with refused(400, "not an external network"):
        make(member, "router", name="wrong", external_gateway_info={"network_id": web["network"]["id"]})
    assert [row["name"] for row in member.get("network", "/routers")["routers"]] == ["gate"]
    with refused(409, "NetworkInUse"):
        admin.delete("network", f"/networks/{public['network']['id']}")


@pytest.fixture
def routed(member: Client, public: dict[str, Any], web: dict[str, Any]) -> dict[str, Any]:
    """A port behind a router with a gateway."""
    info = {"network_id": public["network"]["id"]}
    router = make(member, "router", name="gate", external_gateway_info=info)
    member.put("network", f"/routers/{router['id']}/add_router_interface", {"subnet_id": web["subnet"]["id"]})
    return {"router": router, "port": make(member, "port", network_id=web["network"]["id"])}


def test_floating_ip_leads_to_a_port(
    member: Client, public: dict[str, Any], web: dict[str, Any], routed: dict[str, Any]
) -> None:
    values = {"floating_network_id": public["network"]["id"], "port_id": routed["port"]["id"]}
    floating = make(member, "floatingip", **values)
    assert floating["router_id"] == routed["router"]["id"]
    assert (floating["fixed_ip_address"], floating["status"]) == (
        routed["port"]["fixed_ips"][0]["ip_address"],
        "ACTIVE",
    )
    with refused(409, "FloatingIPPortAlreadyAssociated"):
        make(member, "floatingip", **values)
    path = f"/routers/{routed['router']['id']}"
    with refused(409, "RouterInterfaceInUseByFloatingIP"):
        member.put("network", f"{path}/remove_router_interface", {"subnet_id": web["subnet"]["id"]})
    with refused(409, "RouterExternalGatewayInUseByFloatingIp"):
        member.put("network", path, {"router": {"external_gateway_info": {}}})
    member.delete("network", f"/ports/{routed['port']['id']}")
    seen = member.get("network", f"/floatingips/{floating['id']}")["floatingip"]
    assert (seen["port_id"], seen["status"]) == (None, "DOWN")


def test_only_admins_choose_floating_addresses(
    admin: Client, member: Client, public: dict[str, Any], routed: dict[str, Any]
) -> None:
    values = {"floating_network_id": public["network"]["id"], "floating_ip_address": "203.0.113.20"}
    with refused(403, "floating_ip_address"):
        make(member, "floatingip", **values)
    floating = make(admin, "floatingip", tenant_id=member.project_id, **values)
    assert floating["project_id"] == member.project_id
    with refused(409, "IpAddressInUse"):
        make(admin, "floatingip", tenant_id=member.project_id, **values)
    body = {"floatingip": {"port_id": routed["port"]["id"]}}
    assert member.put("network", f"/floatingips/{floating['id']}", body)["floatingip"]["status"] == "ACTIVE"
    member.delete("network", f"/floatingips/{floating['id']}")
    assert make(admin, "floatingip", **values)["floating_ip_address"] == "203.0.113.20"


def test_floating_ip_needs_a_way(member: Client, public: dict[str, Any], web: dict[str, Any]) -> None:
    port = make(member, "port", network_id=web["network"]["id"])
    with refused(404, "ExternalGatewayForFloatingIPNotFound"):
        make(member, "floatingip", floating_network_id=public["network"]["id"], port_id=port["id"])
    with refused(400, "not a valid external network"):
        make(member, "floatingip", floating_network_id=web["network"]["id"])


def test_default_group_has_its_four_rules(member: Client) -> None:
    (group,) = member.get("network", "/security-groups")["security_groups"]
    keys = ("direction", "ethertype", "remote_group_id")
    rules = {tuple(rule[key] for key in keys) for rule in group["security_group_rules"]}
    assert rules == {
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
        ("ingress", "IPv4", group["id"]),
        ("ingress", "IPv6", group["id"]),
    }
    with refused(409, "SecurityGroupDefaultAlreadyExists"):
        make(member, "security_group", "security-groups", name="default")
    with refused(409, "SecurityGroupCannotRemoveDefault"):
        member.delete("network", f"/security-groups/{group['id']}")


def test_groups_start_with_egress_and_refuse_duplicates(member: Client, web: dict[str, Any]) -> None:
    group = make(member, "security_group", "security-groups", name="web")
    assert {rule["direction"] for rule in group["security_group_rules"]} == {"egress"}
    assert len(group["security_group_rules"]) == 2
    http = {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80}
    values = {"security_group_id": group["id"], "direction": "ingress", **http}
    rule = make(member, "security_group_rule", "security-group-rules", **values)
    with refused(409, "SecurityGroupRuleExists"):
        make(member, "security_group_rule", "security-group-rules", **values)
    with refused(409, "SecurityGroupRuleExists"):
        values = {"security_group_id": group["id"], "direction": "egress", "remote_ip_prefix": "0.0.0.0/0"}
        make(member, "security_group_rule", "security-group-rules", **values)
    member.delete("network", f"/security-group-rules/{rule['id']}")
    port = make(member, "port", network_id=web["network"]["id"], security_groups=[group["id"]])
    with refused(409, "SecurityGroupInUse"):
        member.delete("network", f"/security-groups/{group['id']}")
    member.delete("network", f"/ports/{port['id']}")
    member.delete("network", f"/security-groups/{group['id']}")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"port_range_min": 80, "port_range_max": 80}, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "tcp", "port_range_min": 90, "port_range_max": 80}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "carrier-pigeon"}, "SecurityGroupRuleInvalidProtocol"),
        ({"remote_ip_prefix": "fd00::/64"}, "SecurityGroupRuleParameterConflict"),
        ({"protocol": "icmp", "port_range_max": 8}, "SecurityGroupMissingIcmpType"),
        (
            {"protocol": "esp", "port_range_min": 1, "port_range_max": 2},
            "SecurityGroupInvalidProtocolForPort",
        ),
    ],
)
def test_rules_that_make_no_sense(member: Client, values: dict[str, Any], message: str) -> None:
    group = make(member, "security_group", "security-groups", name="web")
    with refused(400, message):
        given = {"security_group_id": group["id"], "direction": "ingress", **values}
        make(member, "security_group_rule", "security-group-rules", **given)


def test_groups_may_name_each_other(member: Client) -> None:
    web = make(member, "security_group", "security-groups", name="web")
    app = make(member, "security_group", "security-groups", name="app")
    for one, other in ((web, app), (app, web)):
        values = {"security_group_id": one["id"], "direction": "ingress", "remote_group_id": other["id"]}
        make(member, "security_group_rule", "security-group-rules", **values)
    member.delete("network", f"/security-groups/{app['id']}")
    left = member.get("network", f"/security-groups/{web['id']}")["security_group"]["security_group_rules"]
    assert {rule["direction"] for rule in left} == {"egress"}


def test_quotas(admin: Client, member: Client) -> None:
    path = f"/quotas/{member.project_id}"
    assert admin.get("network", f"{path}/default")["quota"]["network"] == 100
    admin.put("network", path, {"quota": {"network": 1}})
    assert member.get("network", path)["quota"]["network"] == 1
    make(member, "network", name="one")
    with refused(409, "OverQuota"):
        make(member, "network", name="two")
    details = member.get("network", f"{path}/details")["quota"]["network"]
    assert details == {"limit": 1, "used": 1, "reserved": 0}
    with refused(403, "PolicyNotAuthorized"):
        member.put("network", path, {"quota": {"network": 5}})
    with refused(403, "PolicyNotAuthorized"):
        member.get("network", f"/quotas/{admin.project_id}")
    with refused(400, "must be greater than or equal to already used"):
        admin.put("network", path, {"quota": {"network": 0}})
    admin.delete("network", path)
    assert member.get("network", path)["quota"]["network"] == 100


def test_extensions_are_listed(member: Client) -> None:
    aliases = {row["alias"] for row in member.get("network", "/extensions")["extensions"]}
    assert {"standard-attr-tag", "security-group", "quotas", "external-net", "router"} <= aliases
    assert member.get("network", "/extensions/standard-attr-tag")["extension"]["alias"] == "standard-attr-tag"
    with refused(404, "does not exist"):
        member.get("network", "/extensions/teleport")


def test_trunks_qos_and_address_groups(admin: Client, member: Client, web: dict[str, Any]) -> None:
    policy = admin.post("network", "/qos/policies", {"policy": {"name": "slow", "shared": True}})["policy"]
    body = {"bandwidth_limit_rule": {"max_kbps": 1000}}
    admin.post("network", f"/qos/policies/{policy['id']}/bandwidth_limit_rules", body)
    port = make(member, "port", network_id=web["network"]["id"], qos_policy_id=policy["id"])
    with refused(409, "QosPolicyInUse"):
        admin.delete("network", f"/qos/policies/{policy['id']}")
    with refused(404, "QosPolicyNotFound"):
        make(member, "port", network_id=web["network"]["id"], qos_policy_id=port["id"])
    child = make(member, "port", network_id=web["network"]["id"])
    sub_ports = [{"port_id": child["id"], "segmentation_id": 7}]
    trunk = make(member, "trunk", port_id=port["id"], sub_ports=sub_ports)
    assert trunk["sub_ports"][0]["segmentation_type"] == "vlan"
    with refused(409, "PortInUseAsTrunkParent"):
        member.delete("network", f"/ports/{port['id']}")
    group = make(member, "address_group", "address-groups", name="offices", addresses=["192.0.2.0/24"])
    body = {"address_group": {"addresses": ["198.51.100.1"]}}
    member.put("network", f"/address-groups/{group['id']}/add_addresses", body)
    seen = member.get("network", f"/address-groups/{group['id']}")["address_group"]["addresses"]
    assert seen == ["192.0.2.0/24", "198.51.100.1/32"]
