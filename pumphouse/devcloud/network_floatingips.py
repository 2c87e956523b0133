"""Floating IPs: addresses of an external network that lead to a port."""

from __future__ import annotations

from typing import Any

from pumphouse.devcloud import addresses
from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.network import NETWORKS, is_external
from pumphouse.devcloud.network_api import STANDARD, Call, Collection, in_use
from pumphouse.devcloud.network_attributes import (
    REQUIRED,
    UNSET,
    Attribute,
    dns_name,
    identifier,
    ip_address,
    or_none,
    read_only,
    text,
)
from pumphouse.devcloud.network_ports import PORTS
from pumphouse.devcloud.network_routers import GATEWAY, INTERFACE
from pumphouse.devcloud.network_subnets import SUBNETS
from pumphouse.devcloud.table import Row

OWNER = "network:floatingip"


class FloatingIps(Collection):
    """A floating IP; its external port belongs to no project."""

    singular = "floatingip"
    plural = "floatingips"
    path = "floatingips"
    noun = "Floating IP"
    not_found_type = "FloatingIPNotFound"
    indexes = ("port_id", "router_id", "floating_ip_address", "floating_network_id")
    label = ("floating_ip_address",)
    attributes = (
        *STANDARD,
        *read_only("router_id", "status", "port_details", "port_forwardings", "qos_network_policy_id"),
        Attribute(name="floating_network_id", check=identifier, put=False, default=REQUIRED),
        Attribute(
            name="floating_ip_address", check=or_none(ip_address), put=False, default=None, policy=True
        ),
        Attribute(name="subnet_id", check=or_none(identifier), put=False, default=None, hidden=True),
        Attribute(name="port_id", check=or_none(identifier), default=None),
        Attribute(name="fixed_ip_address", check=or_none(ip_address), default=None),
        Attribute(name="dns_name", check=dns_name, put=False, default=""),
        Attribute(name="dns_domain", check=text(255), put=False, default=""),
        Attribute(name="qos_policy_id", check=or_none(identifier), default=None),
    )

    def missing(self, resource_id: str) -> str:
        """Neutron leaves out the full stop here."""
        return f"Floating IP {resource_id} could not be found"

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """An address of the external network: the one asked for, or a free one."""
        network = NETWORKS.get(call, values["floating_network_id"])
        if not is_external(call.cloud, network["id"]):
            raise _bad(f"Network {network['id']} is not a valid external network")
        subnets = [SUBNETS.table(call.cloud)[subnet_id] for subnet_id in network["subnets"]]
        if not any(subnet["ip_version"] == 4 for subnet in subnets):
            raise _bad(f"Network {network['id']} does not contain any IPv4 subnet")
        subnet_id = values.pop("subnet_id")
        row = self.row(call, values, router_id=None, status="DOWN")
        association = self._association(call, row, values)
        port = self._external_port(call, row, subnet_id)
        address = next(fixed["ip_address"] for fixed in port["fixed_ips"] if ":" not in fixed["ip_address"])
        return {**row, **association, "floating_ip_address": address, "floating_port_id": port["id"]}

    def _external_port(self, call: Call, row: Row, subnet_id: str | None) -> Row:
        wanted = {}
        if subnet_id:
            wanted["subnet_id"] = subnet_id
        if row["floating_ip_address"]:
            wanted["ip_address"] = row["floating_ip_address"]
        values: dict[str, Any] = {
            attribute.name: attribute.default for attribute in PORTS.attributes if attribute.post
        }
        values |= {"network_id": row["floating_network_id"], "device_id": row["id"], "device_owner": OWNER}
        values |= {
            "project_id": "",
            "extra_dhcp_opts": [],
            "tags": [],
            "fixed_ips": [wanted] if wanted else UNSET,
        }
        port = PORTS.build(call.elevated(), values)
        PORTS.insert(call.elevated(), port)
        return port

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """Associate with another port, or with none.

        As in the real service, any change associates anew with the port that is there, by the fixed address
        of the request or the port's only one.
        """
        if changes.get("fixed_ip_address") and not changes.get("port_id"):
            raise _bad("fixed_ip_address cannot be specified without a port_id")
        target = {"port_id": row["port_id"], "fixed_ip_address": None, **changes}
        changes.update(self._association(call, row, target))
        super().change(call, row, changes)

    def _association(self, call: Call, row: Row, wanted: dict[str, Any]) -> dict[str, Any]:
        """What follows from associating with a port: fixed address, router and status."""
        if not wanted["port_id"]:
            if wanted.get("fixed_ip_address"):
                raise _bad("fixed_ip_address cannot be specified without a port_id")
            return {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}
        port = PORTS.get(call, wanted["port_id"])
        if port["project_id"] != row["project_id"] and not call.admin:
            raise _bad(
                f"Cannot process floating IP association with Port {port['id']}, since that port is owned "
                "by a different "
                "tenant"
            )
        fixed = _internal_address(port, wanted.get("fixed_ip_address"))
        for other in self.table(call.cloud).find(port_id=port["id"]):
            if other["id"] != row["id"] and other["fixed_ip_address"] == fixed["ip_address"]:
                raise in_use(
                    f"Cannot associate floating IP {row['floating_ip_address']} ({row['id']}) with port "
                    f"{port['id']} "
                    f"using fixed IP {fixed['ip_address']}, as that fixed IP already has a floating IP on "
                    "external "
                    f"network {row['floating_network_id']}.",
                    "FloatingIPPortAlreadyAssociated",
                )
        router_id = self._router(call, port, fixed["subnet_id"], row["floating_network_id"])
        return {
            "port_id": port["id"],
            "fixed_ip_address": fixed["ip_address"],
            "router_id": router_id,
            "status": "ACTIVE",
        }

    def _router(self, call: Call, port: Row, subnet_id: str, external_id: str) -> str:
        """The router between the port's subnet and the external network, by preference the gateway."""
        gateway_ip = SUBNETS.table(call.cloud)[subnet_id]["gateway_ip"]
        gateways = PORTS.table(call.cloud).find(network_id=external_id)
        reachable = {gateway["device_id"] for gateway in gateways if gateway["device_owner"] == GATEWAY}
        found = [
            (fixed["ip_address"] != gateway_ip, other["device_id"])
            for other in PORTS.table(call.cloud).find(network_id=port["network_id"])
            if other["device_owner"] == INTERFACE and other["device_id"] in reachable
            for fixed in other["fixed_ips"]
            if fixed["subnet_id"] == subnet_id
        ]
        if not found:
            raise not_found(
                f"External network {external_id} is not reachable from subnet {subnet_id}. Therefore, "
                "cannot associate "
                f"Port {port['id']} with a Floating IP.",
                type="ExternalGatewayForFloatingIPNotFound",
            )
        return str(min(found)[1])

    def remove(self, call: Call, row: Row) -> None:
        """The external port goes too."""
        super().remove(call, row)
        PORTS.remove(call.elevated(), PORTS.table(call.cloud)[row["floating_port_id"]])

    def view(self, call: Call, row: Row) -> Row:
        """With a few words about the port."""
        shown = super().view(call, row)
        shown.pop("floating_port_id")
        shown["port_forwardings"] = []
        shown["qos_network_policy_id"] = NETWORKS.table(call.cloud)[row["floating_network_id"]][
            "qos_policy_id"
        ]
        shown["port_details"] = None
        if row["port_id"]:
            port = PORTS.table(call.cloud)[row["port_id"]]
            names = (
                "name",
                "network_id",
                "mac_address",
                "admin_state_up",
                "status",
                "device_id",
                "device_owner",
            )
            shown["port_details"] = {name: port[name] for name in names}
        return shown


def _internal_address(port: Row, wanted: str | None) -> dict[str, str]:
    """The fixed address of the port that a floating IP leads to."""
    if port["device_owner"].startswith("network:"):
        raise _bad(f"Port {port['id']} is unable to be assigned a floating IP")
    if wanted:
        if addresses.address(wanted).version != 4:
            raise _bad(
                f"Cannot process floating IP association with {wanted}, since that is not an IPv4 address"
            )
        for fixed in port["fixed_ips"]:
            if fixed["ip_address"] == wanted:
                return dict(fixed)
        raise _bad(f"Port {port['id']} does not have fixed ip {wanted}")
    candidates = [fixed for fixed in port["fixed_ips"] if addresses.address(fixed["ip_address"]).version == 4]
    if not candidates:
        raise _bad(f"Cannot add floating IP to port {port['id']} that has no fixed IPv4 addresses")
    if len(candidates) > 1:
        raise _bad(
            f"Port {port['id']} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address "
            "when assigning a "
            "floating IP"
        )
    return dict(candidates[0])


def _bad(message: str) -> Exception:
    return bad_request(f"Bad floatingip request: {message}.", type="BadRequest")


FLOATING_IPS = FloatingIps()
