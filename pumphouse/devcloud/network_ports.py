"""Ports: addresses, security, binding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pumphouse.devcloud import addresses, network_ipam, network_security
from pumphouse.devcloud.errors import bad_request, conflict, forbidden
from pumphouse.devcloud.network import NETWORKS
from pumphouse.devcloud.network_api import COLLECTIONS, STANDARD, Call, Collection, in_use, invalid
from pumphouse.devcloud.network_attributes import (
    REQUIRED,
    UNSET,
    Attribute,
    any_mapping,
    boolean,
    dns_name,
    fixed_ips,
    identifier,
    listed,
    mac_address,
    mapping,
    one_of,
    or_none,
    read_only,
    requiring,
    tag_list,
    text,
    unique,
)
from pumphouse.devcloud.network_subnets import host_may_have, is_automatic, of_network
from pumphouse.devcloud.table import Row

ROUTER_PORTS = ("network:router_interface", "network:router_gateway", "network:floatingip")
DNS_DOMAIN = "openstacklocal."
MAX_PAIRS = 10

_VNIC_TYPES = (
    "normal",
    "direct",
    "macvtap",
    "baremetal",
    "direct-physical",
    "virtio-forwarder",
    "smart-nic",
    "vdpa",
    "accelerator-direct",
    "remote-managed",
)
_BINDING = ("binding:host_id", "binding:profile", "binding:vif_type", "binding:vif_details")


def _pair_address(value: Any) -> str:
    """An allowed address pair takes an address or a CIDR."""
    try:
        return str(addresses.subnet(str(value))) if "/" in str(value) else addresses.normal(str(value))
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP address or subnet.") from None


_pair = requiring(mapping(ip_address=_pair_address, mac_address=mac_address), "ip_address")
_option = mapping(opt_name=text(64), opt_value=or_none(text(255)), ip_version=one_of(4, 6))


class Ports(Collection):
    """A port: a place on a network, with its addresses."""

    singular = "port"
    plural = "ports"
    noun = "Port"
    not_found_type = "PortNotFound"
    indexes = ("network_id", "device_id", "name")
    label = ("name", "device_owner")
    admin_only = frozenset((*_BINDING, "resource_request"))
    extra_filters = frozenset(("ip_address", "ip_address_substr", "security_group_id"))
    attributes = (
        *STANDARD,
        *read_only("status", "binding:vif_type", "binding:vif_details", "dns_assignment", "resource_request"),
        *read_only("ip_allocation", "qos_network_policy_id"),
        Attribute(name="name", check=text(255), default=""),
        Attribute(name="network_id", check=identifier, put=False, default=REQUIRED),
        Attribute(name="admin_state_up", check=boolean, default=True),
        Attribute(name="mac_address", check=or_none(mac_address), policy=True, owner_may=True),
        Attribute(name="fixed_ips", check=fixed_ips, policy=True, owner_may=True),
        Attribute(name="device_id", check=text(255), default=""),
        Attribute(name="device_owner", check=text(255), default=""),
        Attribute(name="security_groups", check=unique(listed(identifier))),
        Attribute(name="allowed_address_pairs", check=listed(_pair), policy=True, owner_may=True),
        Attribute(name="port_security_enabled", check=boolean, policy=True, owner_may=True),
        Attribute(name="extra_dhcp_opts", check=listed(_option), default=[]),
        Attribute(name="dns_name", check=dns_name, default=""),
        Attribute(name="dns_domain", check=dns_name, default=""),
        Attribute(name="qos_policy_id", check=or_none(identifier), default=None),
        Attribute(name="propagate_uplink_status", check=boolean, put=False, default=True),
        Attribute(name="tags", check=tag_list, put=False, default=[]),
        Attribute(name="hints", check=or_none(any_mapping), default=None, policy=True),
        Attribute(
            name="numa_affinity_policy",
            check=or_none(one_of("required", "preferred", "legacy", "socket")),
            default=None,
            policy=True,
        ),
        Attribute(name="binding:vnic_type", check=one_of(*_VNIC_TYPES), default="normal"),
        Attribute(name="binding:host_id", check=or_none(text(255)), default="", policy=True),
        Attribute(name="binding:profile", check=or_none(any_mapping), default={}, policy=True),
    )

    @staticmethod
    def chosen(row: Row) -> tuple[str, ...]:
        """Where it is bound, and the MAC of a port that the network service made for itself."""
        if str(row["device_owner"]).startswith("network:"):
            return ("binding:host_id", "mac_address")
        return ("binding:host_id",)

    # Creation

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """A port with its security decided; addresses come with `insert`."""
        network = NETWORKS.get(call, values["network_id"])
        if values["device_owner"].startswith("network:") and not self.owns_parent(call, values):
            raise _owner_denied()
        given = values["port_security_enabled"]
        service = values["device_owner"].startswith("network:")
        values["port_security_enabled"] = given if given is not UNSET else network["port_security_enabled"]
        if service:
            values["port_security_enabled"] = False if given is UNSET else given
        values["binding:profile"] = values["binding:profile"] or {}
        self._set_groups(call, values, service=service)
        row = self.row(call, values)
        row["_wanted"] = {"fixed_ips": row.pop("fixed_ips"), "mac_address": row.pop("mac_address")}
        pairs = row["allowed_address_pairs"] or []
        _check_pairs(pairs, secured=row["port_security_enabled"])
        row["allowed_address_pairs"] = pairs
        return row

    def _set_groups(self, call: Call, values: dict[str, Any], *, service: bool) -> None:
        secured = values["port_security_enabled"]
        if values["security_groups"] is UNSET:
            default = network_security.default_group(call.cloud, values["project_id"])
            values["security_groups"] = [default["id"]] if default and secured and not service else []
        elif values["security_groups"] and not secured:
            raise bad_request(
                "Port security must be enabled and port must have an IP address in order to use security "
                "groups.",
                type="PortSecurityAndIPRequiredForSecurityGroups",
            )
        else:
            network_security.check_groups(call, values["security_groups"])

    def insert(self, call: Call, row: Row) -> None:
        """Claim the addresses, then the port exists."""
        wanted = row.pop("_wanted")
        row["mac_address"] = network_ipam.claim_mac(call.cloud, row, wanted["mac_address"])
        try:
            row["fixed_ips"] = self.assign(call, row, wanted["fixed_ips"])
            network_ipam.claim(call.cloud, row, row["fixed_ips"])
        except Exception:
            network_ipam.release_mac(call.cloud, row)
            raise
        for pair in row["allowed_address_pairs"]:
            pair.setdefault("mac_address", row["mac_address"])
        _bind(row)
        super().insert(call, row)

    def assign(self, call: Call, port: Row, wanted: Any) -> list[dict[str, str]]:
        """The addresses that a port gets: those it names, or one of each kind that its network offers."""
        subnets = of_network(call.cloud, port["network_id"])
        if wanted is UNSET:
            return self._automatic(call, port, subnets)
        given: list[dict[str, str]] = []
        for entry in wanted:
            subnet = self._subnet_for(call, port, subnets, entry)
            address = entry.get("ip_address")
            if address is None:
                address = self._free(call, port, subnet)
            elif not self._acceptable(port, subnet, address):
                raise bad_request(
                    f"IP address {address} is not a valid IP for the specified subnet.",
                    type="InvalidIpForSubnet",
                )
            given.append({"subnet_id": subnet["id"], "ip_address": address})
        return given

    def _subnet_for(self, call: Call, port: Row, subnets: list[Row], entry: Mapping[str, str]) -> Row:
        if not subnets:
            raise invalid("IP allocation requires subnets for network")
        if "subnet_id" in entry:
            for subnet in subnets:
                if subnet["id"] == entry["subnet_id"]:
                    return subnet
            COLLECTIONS["subnets"].get(call.elevated(), entry["subnet_id"])
            raise invalid(
                f"Failed to create port on network {port['network_id']}, because fixed_ips included invalid "
                "subnet "
                f"{entry['subnet_id']}"
            )
        if "ip_address" not in entry:
            raise invalid("IP allocation requires subnet_id or ip_address")
        for subnet in subnets:
            if self._acceptable(port, subnet, entry["ip_address"]):
                return subnet
        raise bad_request(
            f"IP address {entry['ip_address']} is not a valid IP for any of the subnets on the specified "
            "network.",
            type="InvalidIpForNetwork",
        )

    @staticmethod
    def _acceptable(port: Row, subnet: Row, address: str) -> bool:
        if port["device_owner"] in ROUTER_PORTS[:2]:
            return addresses.address(address) in addresses.subnet(subnet["cidr"])
        return host_may_have(subnet["cidr"], address)

    def _free(self, call: Call, port: Row, subnet: Row) -> str:
        if is_automatic(subnet) and port["device_owner"] not in ROUTER_PORTS[:2]:
            return addresses.slaac(subnet["cidr"], port["mac_address"])
        address = network_ipam.allocate(call.cloud, subnet)
        if address is None:
            raise network_ipam.exhausted(port["network_id"])
        return address

    def _automatic(self, call: Call, port: Row, subnets: list[Row]) -> list[dict[str, str]]:
        """One address of version 4, one of version 6, and one of each subnet where hosts choose."""
        special = [subnet for subnet in subnets if port["device_owner"] in subnet["service_types"]]
        usable = special or [subnet for subnet in subnets if not subnet["service_types"]]
        given = []
        for version in (4, 6):
            pooled = [one for one in usable if one["ip_version"] == version and not is_automatic(one)]
            for subnet in pooled:
                address = network_ipam.allocate(call.cloud, subnet)
                if address is not None:
                    given.append({"subnet_id": subnet["id"], "ip_address": address})
                    break
            else:
                if pooled:
                    raise network_ipam.exhausted(port["network_id"])
        if port["device_owner"] not in ROUTER_PORTS:
            given += [
                {"subnet_id": one["id"], "ip_address": addresses.slaac(one["cidr"], port["mac_address"])}
                for one in usable
                if is_automatic(one)
            ]
        return given

    # Change

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """New addresses are claimed, old ones released; binding decides the status."""
        if changes.get("device_owner", "").startswith("network:") and not self.owns_parent(call, row):
            raise _owner_denied()
        after = {**row, **changes}
        secured = after["port_security_enabled"]
        if "security_groups" in changes:
            network_security.check_groups(call, changes["security_groups"])
        if not secured and after["security_groups"]:
            raise in_use(
                "Port has security group associated. Cannot disable port security or IP address until "
                "security group "
                "is removed.",
                "PortSecurityPortHasSecurityGroup",
            )
        _check_pairs(after["allowed_address_pairs"], secured=secured)
        if "mac_address" in changes and changes["mac_address"] != row["mac_address"]:
            self._change_mac(call, row, changes["mac_address"])
        if "fixed_ips" in changes:
            changes["fixed_ips"] = self._change_addresses(call, row, changes["fixed_ips"])
        for pair in changes.get("allowed_address_pairs", []):
            pair.setdefault("mac_address", row["mac_address"])
        if "binding:profile" in changes:
            changes["binding:profile"] = changes["binding:profile"] or {}
        self.save(call.cloud, row, changes)
        _bind(row)

    def _change_mac(self, call: Call, row: Row, mac: str | None) -> None:
        if row["binding:host_id"]:
            raise in_use(
                f"Unable to complete operation on port {row['id']}, port is already bound, port type: ovs, "
                "old_mac "
                f"{row['mac_address']}, new_mac {mac}.",
                "PortBound",
            )
        claimed = network_ipam.claim_mac(call.cloud, row, mac)
        network_ipam.release_mac(call.cloud, row)
        self.table(call.cloud).update(row["id"], mac_address=claimed)

    def _change_addresses(self, call: Call, row: Row, wanted: list[dict[str, Any]]) -> list[dict[str, str]]:
        old = row["fixed_ips"]
        kept_subnets = {fixed["subnet_id"]: fixed for fixed in old}
        entries = [
            kept_subnets.pop(entry["subnet_id"], entry) if set(entry) == {"subnet_id"} else entry
            for entry in wanted
        ]
        network_ipam.release(call.cloud, old)
        try:
            new = self.assign(call, row, entries)
            network_ipam.claim(call.cloud, row, new)
        except Exception:
            network_ipam.claim(call.cloud, row, old)
            raise
        lost = {fixed["ip_address"] for fixed in old} - {fixed["ip_address"] for fixed in new}
        _forget_floating(call, row, lost)
        return new

    # Removal

    def delete(self, call: Call, row: Row) -> None:
        """Router and floating IP ports are deleted with what they serve, never on their own."""
        if row["device_owner"] in ROUTER_PORTS and _served(call, row):
            raise in_use(
                f"Port {row['id']} cannot be deleted directly via the port API: has device owner "
                f"{row['device_owner']}.",
                "ServicePortInUse",
            )
        trunks = COLLECTIONS["trunks"].table(call.cloud)
        if any(trunk["port_id"] == row["id"] for trunk in trunks):
            raise in_use(
                f"Port {row['id']} is currently in use and is not eligible for removal.",
                "PortInUseAsTrunkParent",
            )
        super().delete(call, row)

    def remove(self, call: Call, row: Row) -> None:
        """Addresses come free, floating IPs let go."""
        _forget_floating(call, row, {fixed["ip_address"] for fixed in row["fixed_ips"]})
        network_ipam.release(call.cloud, row["fixed_ips"])
        network_ipam.release_mac(call.cloud, row)
        super().remove(call, row)

    # Views and rights

    def owns_parent(self, call: Call, values: Mapping[str, Any]) -> bool:
        """The network's owner may more."""
        network = NETWORKS.table(call.cloud).get(values["network_id"])
        return call.admin or (network is not None and network["project_id"] == call.project)

    def check_policy(
        self,
        call: Call,
        action: str,
        values: Mapping[str, Any],
        given: Mapping[str, Any],
        target: Mapping[str, Any],
    ) -> None:
        """On a network of others a port may still choose its subnet."""
        chosen = given.get("fixed_ips")
        if isinstance(chosen, list) and all(set(entry) == {"subnet_id"} for entry in chosen):
            given = {key: value for key, value in given.items() if key != "fixed_ips"}
        super().check_policy(call, action, values, given, target)

    def visible(self, call: Call, row: Row) -> bool:
        """Own ports and those on own networks."""
        return super().visible(call, row) or self.owns_parent(call, row)

    def owned(self, call: Call, row: Row) -> bool:
        """As seen."""
        return self.visible(call, row)

    def view(self, call: Call, row: Row) -> Row:
        """With its DNS names."""
        shown = super().view(call, row)
        shown["dns_assignment"] = [_dns(row, fixed["ip_address"]) for fixed in row["fixed_ips"]]
        shown["ip_allocation"] = "immediate" if row["fixed_ips"] else "none"
        shown["qos_network_policy_id"] = NETWORKS.table(call.cloud)[row["network_id"]]["qos_policy_id"]
        if call.admin:
            shown["resource_request"] = None
        return shown

    def matches(self, row: Row, name: str, wanted: list[str]) -> bool:
        """`fixed_ips=subnet_id=...` and the like select by address; groups by membership."""
        if name == "fixed_ips":
            return all(_has_fixed(row, condition) for condition in wanted)
        if name == "ip_address_substr":
            return any(part in fixed["ip_address"] for part in wanted for fixed in row["fixed_ips"])
        if name in ("security_groups", "security_group_id"):
            return any(group in row["security_groups"] for group in wanted)
        return super().matches(row, name, wanted)


def _has_fixed(row: Row, condition: str) -> bool:
    key, _, value = condition.partition("=")
    if key == "ip_address_substr":
        return any(value in fixed["ip_address"] for fixed in row["fixed_ips"])
    return any(fixed.get(key) == value for fixed in row["fixed_ips"])


def _dns(row: Row, address: str) -> dict[str, str]:
    host = row["dns_name"] or "host-" + address.replace(".", "-").replace(":", "-")
    return {"hostname": host, "ip_address": address, "fqdn": f"{host}.{row['dns_domain'] or DNS_DOMAIN}"}


def _bind(row: Row) -> None:
    """The binding and status that follow from owner, host and administrative state."""
    owner = row["device_owner"]
    bound = bool(row["binding:host_id"]) or owner in ROUTER_PORTS[:2]
    if owner == "network:floatingip":
        row["status"] = "N/A"
    else:
        row["status"] = "ACTIVE" if bound and row["device_id"] and row["admin_state_up"] else "DOWN"
    row["binding:vif_type"] = "ovs" if bound else "unbound"
    row["binding:vif_details"] = {"port_filter": True} if bound else {}


def _check_pairs(pairs: list[dict[str, str]], *, secured: bool) -> None:
    if pairs and not secured:
        raise conflict(
            "Port Security must be enabled in order to have allowed address pairs on a port.",
            type="AddressPairAndPortSecurityRequired",
        )
    if len(pairs) > MAX_PAIRS:
        raise bad_request(
            f"The number of allowed address pair exceeds the maximum {MAX_PAIRS}.",
            type="AllowedAddressPairExhausted",
        )
    seen = [(pair["ip_address"], pair.get("mac_address")) for pair in pairs]
    if len(set(seen)) != len(seen):
        raise bad_request("Request contains duplicate address pair.", type="DuplicateAddressPairInRequest")


def _served(call: Call, port: Row) -> bool:
    """Whether the router or floating IP of a service port is still there."""
    kind = "floatingips" if port["device_owner"] == "network:floatingip" else "routers"
    return port["device_id"] in call.cloud.table(kind)


def _forget_floating(call: Call, port: Row, lost: set[str]) -> None:
    floating = COLLECTIONS["floatingips"]
    for row in floating.table(call.cloud).find(port_id=port["id"]):
        if row["fixed_ip_address"] in lost:
            nothing = {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}
            floating.save(call.cloud, row, nothing)


def _owner_denied() -> Exception:
    return forbidden("(rule:create_port and rule:create_port:device_owner) is disallowed by policy")


PORTS = Ports()
