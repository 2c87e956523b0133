"""Ports of the network service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Grouping, Problem, Reach, ScopeLevel, Severity, Want
from pumphouse.rest import STANDARD, NeutronType
from pumphouse.steps import Create, Verify

_HOST = "it says where the server runs"


class Port(NeutronType):
    """A port: one network card of a server, or one that is kept for a server or an address.

    It is made before the server and without it, so that addresses and the order of cards stay. Ports of
    routers, DHCP agents and floating addresses come into being with those. No two ports of a network have one
    MAC, so its network and MAC tell it when the tag was not yet set.
    """

    name = "port"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    grouping = Grouping.ATTACHED
    after = ("network",)
    path, item, items = "/ports", "port", "ports"
    fields = (
        ref("network_id", to="network", key=True),
        copy("mac_address", key=True),
        ref("project_id", to="project"),
        copy("name", default=""),
        copy("description", default=""),
        copy("fixed_ips", refs={"subnet_id": "subnet"}, unordered=True, default=[]),
        ref("security_groups", to="security_group", fixed=False),
        copy("allowed_address_pairs", extension="allowed-address-pairs", unordered=True, default=[]),
        copy("port_security_enabled", extension="port-security"),
        copy("admin_state_up", default=True),
        copy("dns_name", extension="dns-integration", default=""),
        copy("dns_domain", extension="dns-domain-ports", default=""),
        copy("binding:vnic_type", extension="binding", default="normal"),
        copy("extra_dhcp_opts", extension="extra_dhcp_opt", unordered=True, default=[]),
        copy("numa_affinity_policy", extension="port-numa-affinity-policy"),
        copy("hints", extension="port-hints"),
        copy("propagate_uplink_status", extension="uplink-status-propagation", fixed=True, default=False),
        copy("tags", unordered=True, default=[]),
        *STANDARD,
        drop("device_id", why="the server takes the port when it is made"),
        drop("device_owner", why="the server takes the port when it is made"),
        drop("binding:host_id", why=_HOST),
        drop("binding:profile", why=_HOST),
        drop("binding:vif_type", why=_HOST),
        drop("binding:vif_details", why=_HOST),
        drop("dns_assignment", why="it follows from dns_name and the addresses"),
        drop("ip_allocation", why="it follows from the addresses"),
        drop("qos_policy_id", why="QoS policies are not carried; the plan names the port"),
        drop("qos_network_policy_id", why="it is the network's"),
        drop("resource_request", why="it follows from the QoS policy"),
        drop("trunk_details", why="trunks are not carried; the plan names the port"),
        drop("device_profile", why="accelerators do not travel"),
        drop("data_plane_status", why="it is the other cloud's data plane"),
        drop("hardware_offload_type", why=_HOST),
        drop("trusted", why=_HOST),
        drop("status", why="the destination tells it"),
    )
    steps = (Create, Verify)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list of all, also of ports that are not moved: their addresses are taken."""
        external = {network.ref.id for network in seen.of_type("network") if network.facts["external"]}
        for body in cloud.each(self.service, self.path, self.items):
            yield self.read({**body, "on_external": body["network_id"] in external})

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Whose it is, what it has, and what does not come along."""
        trunk = body.get("trunk_details") or {}
        return {
            "device_id": body.get("device_id") or "",
            "device_owner": body.get("device_owner") or "",
            "status": body.get("status"),
            "addresses": body.get("fixed_ips") or [],
            "on_external": bool(body.get("on_external")),
            "qos_policy_id": body.get("qos_policy_id"),
            "trunk_id": trunk.get("trunk_id"),
        }

    def pick(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """On an external network the destination gives the addresses: its ranges are others."""
        fields = super().pick(body)
        if body.get("on_external"):
            del fields["fixed_ips"]
        for name in ("port_security_enabled", "numa_affinity_policy", "hints"):
            if fields.get(name, ...) is None:
                del fields[name]
        return fields

    # -- deciding

    def selectable(self, resource: Resource) -> bool:
        """Ports of servers, and ports of nobody."""
        owner = str(resource.facts["device_owner"])
        return owner == "" or owner.startswith("compute:")

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One port."""
        return {"network.port": 1}

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """What does not come along."""
        facts = resource.facts
        if facts["on_external"] and facts["addresses"]:
            addresses = ", ".join(str(one["ip_address"]) for one in facts["addresses"])
            yield Problem(
                severity=Severity.LOST,
                field="fixed_ips",
                summary=f"it is right on an external network: {addresses} cannot be kept",
                next_step="Tell those who use the address; the report names the new one.",
            )
        if facts["qos_policy_id"]:
            yield Problem(
                severity=Severity.LOST,
                field="qos_policy_id",
                summary="it has a QoS policy, which is not carried",
                next_step="Make the policy on the destination and set it there.",
            )
        if facts["trunk_id"]:
            yield Problem(
                severity=Severity.LOST,
                field="trunk_details",
                summary="it is the parent of a trunk, which is not carried",
                next_step="Make the trunk on the destination and add its ports.",
            )

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """Its addresses must be free in the destination's network."""
        network = want.fields["network_id"]
        if exists or network is None:
            return
        taken = destination.derived(_taken).get(network, {})
        mine = [str(want.fields["mac_address"]).lower()]
        mine += [
            str(fixed["ip_address"]) for fixed in want.fields.get("fixed_ips", ()) if fixed.get("ip_address")
        ]
        for address in mine:
            if address in taken:
                yield Problem(
                    severity=Severity.BLOCK,
                    field="mac_address" if address == mine[0] else "fixed_ips",
                    summary=f"{address} is in use on the destination by {_owner(taken[address])}",
                    next_step="Free the address on the destination, or set another one by a rule.",
                )


def _taken(inventory: Inventory) -> Mapping[str, Mapping[str, Resource]]:
    """By network: who has which address, MAC or IP."""
    taken: dict[str, dict[str, Resource]] = defaultdict(dict)
    for port in inventory.of_type("port"):
        of_network = taken[str(port.fields["network_id"])]
        of_network[str(port.fields["mac_address"]).lower()] = port
        for fixed in port.facts["addresses"]:
            of_network[str(fixed["ip_address"])] = port
    return taken


def _owner(port: Resource) -> str:
    owner, device = port.facts["device_owner"], port.facts["device_id"]
    return f"{port} of {owner} {device}".rstrip() if owner else str(port)
