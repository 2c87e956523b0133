"""Networks and all that is in them."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from inventories.world import World
from pumphouse.model import Ref, Resource


def build(world: World) -> None:
    """All of the network service but the ports of servers."""
    for number in world.some(0, 2):
        _external(world, number)
    for _ in world.some(0, 2):
        _pool(world)
    for project in world.projects():
        for _ in world.some(0, 2):
            _network(world, project)
        # Each project has one group of this name, and can make no other.
        names = [world.keep("default", "security_group", project)]
        names += [world.unlike("security_group", project) for _ in world.some(0, 2)]
        for number, name in enumerate(names):
            unique = f"{name} {number}" if number and name == "default" else name
            world.add("security_group", unique, project=project, facts={"rules": []})
    _rules(world)
    for project in world.projects():
        for _ in world.some(0, 1):
            _router(world, project)
    for network in world.of("network"):
        for _ in world.some(0, 1):
            port(world, network)


def _external(world: World, number: int) -> None:
    """A network of the cloud itself, in a tenant's project or another."""
    facts = {"external": True, "qos_policy_id": None, "status": "ACTIVE"}
    owner = world.one(world.projects())
    name = world.unlike("external network")
    made = world.add("network", name, project=owner, facts=facts, shared_with=[], mtu=1500)
    world.add(
        "subnet", "", project=owner, facts={"external": True, "segment_id": None},
        network_id=made, cidr=f"203.0.{number}.0/24", ip_version=4, gateway_ip=None,
    )  # fmt: skip


def _pool(world: World) -> None:
    project = world.one(world.projects())
    scope = None
    if world.one((True, False)):
        name = world.unlike("address_scope", project)
        scope = world.add("address_scope", name, project=project, ip_version=4)
    world.add(
        "subnet_pool", world.unlike("subnet_pool", project), project=project, prefixes=["10.0.0.0/8"],
        min_prefixlen=8, max_prefixlen=32, default_prefixlen=24, address_scope_id=scope,
    )  # fmt: skip


def _network(world: World, project: str) -> None:
    """A network with its subnets, perhaps shared with all or with some."""
    network = world.add(
        "network",
        world.unlike("network", project),
        project=project,
        facts={"external": False, "qos_policy_id": world.maybe(["a policy"]), "status": "ACTIVE"},
        description=world.name(),
        shared=world.one((False, True)),
        shared_with=sorted(world.several(world.projects())),
        mtu=world.one((1500, 1400)),
        tags=world.several(["a", "b"]),
    )
    for number in world.some(0, 2):
        cidr = f"10.{number}.0.0/24"
        world.add(
            "subnet", world.name(), project=project,
            facts={"external": False, "segment_id": world.maybe(["a segment"])},
            network_id=network, cidr=cidr, ip_version=4, gateway_ip=f"10.{number}.0.1",
            allocation_pools=[{"start": f"10.{number}.0.2", "end": f"10.{number}.0.254"}],
            subnetpool_id=world.maybe(world.ids("subnet_pool")),
        )  # fmt: skip


def _rules(world: World) -> None:
    """Rules of groups that may name each other, and themselves. No two of a group say the same."""
    said = set()
    for _ in world.some(0, 6):
        group = world.one(world.of("security_group"))
        mates = [one for one in world.of("security_group") if one.project_id == group.project_id]
        remote = world.maybe([one.ref.id for one in mates])
        low = world.maybe((22, 80))
        if (group.ref, remote, low) not in said:
            said.add((group.ref, remote, low))
            world.add(
                "security_group_rule", f"{group.name}: a rule", project=group.project_id,
                facts={"remote_address_group_id": world.oddly(None, "an address group")},
                security_group_id=group.ref.id, direction="ingress", ethertype="IPv4",
                protocol="tcp" if low else None, port_range_min=low, port_range_max=low,
                remote_ip_prefix=None, remote_group_id=remote,
            )  # fmt: skip


def _router(world: World, project: str) -> None:
    """A router with its ports, which come into being with it, and perhaps addresses behind it."""
    subnets = [one for one in world.of("subnet", external=False) if one.project_id == project]
    gateway = world.maybe([one.ref.id for one in world.of("network", external=True)])
    chosen = world.several(subnets)
    interfaces = [{"subnet_id": one.ref.id, "ip_address": one.fields["gateway_ip"]} for one in chosen]
    router = world.add(
        "router", world.unlike("router", project), project=project,
        facts={"gateway_ips": [], "qos_policy_id": None, "conntrack_helpers": [], "more_gateways": False},
        external_gateway_info={"network_id": gateway, "enable_snat": True} if gateway else None,
        interfaces=interfaces, routes=[], enable_ndp_proxy=None,
    )  # fmt: skip
    for subnet, interface in zip(chosen, interfaces, strict=True):
        network = world.resources[Ref("network", subnet.fields["network_id"])]
        owner = "network:router_interface"
        port(world, network, owner=owner, device=router, fixed=[interface], project=project)
    for _ in world.some(0, 1 if gateway else 0):
        _floating(world, project, str(gateway))


def _floating(world: World, project: str, network: str, port_id: str | None = None) -> None:
    number = len(world.of("floating_ip"))
    address = f"203.0.0.{10 + number}"
    world.add(
        "floating_ip", address, project=project,
        facts={"status": "ACTIVE", "qos_policy_id": None, "port_forwardings": world.one((0, 2))},
        floating_network_id=network, floating_ip_address=address, port_id=port_id,
        fixed_ip_address=None,
    )  # fmt: skip


def port(
    world: World,
    network: Resource,
    *,
    owner: str = "",
    device: str = "",
    fixed: list[dict[str, Any]] | None = None,
    project: str | None = None,
) -> str:
    """A port; of nobody, unless it is told whose. Its id.

    On an external network its addresses are not carried.
    """
    number, outside = len(world.of("port")), network.facts["external"]
    if fixed is None:
        subnets = [one for one in world.of("subnet") if one.fields["network_id"] == network.ref.id]
        fixed = [
            {"subnet_id": one.ref.id, "ip_address": str(ip_network(one.fields["cidr"])[20 + number])}
            for one in world.several(subnets, most=2)
        ]
    project = project or str(network.project_id)
    groups = [one.ref.id for one in world.of("security_group") if one.project_id == project]
    made = world.add(
        "port", world.name(), project=project,
        facts={
            "device_id": device, "device_owner": owner, "status": "ACTIVE", "addresses": fixed,
            "on_external": outside, "qos_policy_id": None, "trunk_id": world.maybe(["a trunk"]),
        },
        without=("fixed_ips",) if outside else (),
        network_id=network.ref.id, mac_address=f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}",
        security_groups=world.several(groups), **({} if outside else {"fixed_ips": fixed}),
    )  # fmt: skip
    external = [one.ref.id for one in world.of("network", external=True)]
    reachable = external and fixed and not outside and not owner.startswith("network:")
    if reachable and world.one((False, False, True)):
        _floating(world, project, world.one(external), made)
    return made
