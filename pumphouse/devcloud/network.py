"""Networks, and what the network service tells about itself: extensions, availability zones, agents."""

from __future__ import annotations

import itertools
from typing import Any

from pumphouse.devcloud import network_ipam
from pumphouse.devcloud.addresses import address
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import bad_request, conflict, not_found
from pumphouse.devcloud.network_api import COLLECTIONS, STANDARD, Call, Collection, in_use, invalid
from pumphouse.devcloud.network_attributes import (
    UNSET,
    Attribute,
    boolean,
    dns_name,
    identifier,
    integer,
    listed,
    one_of,
    or_none,
    read_only,
    text,
)
from pumphouse.devcloud.services import NETWORK
from pumphouse.devcloud.table import Row

SHARED = "access_as_shared"
EXTERNAL = "access_as_external"

# Ports of these owners go with their network.
AUTO_DELETED = ("network:dhcp", "network:distributed", "network:router_centralized_snat")

_EXTENSIONS = [
    "address-group",
    "address-scope",
    "agent",
    "allowed-address-pairs",
    "auto-allocated-topology",
    "availability_zone",
    "availability_zone_filter",
    "binding",
    "binding-extended",
    "default-subnetpools",
    "dns-domain-ports",
    "dns-integration",
    "dvr",
    "ext-gw-mode",
    "external-net",
    "extra_dhcp_opt",
    "extraroute",
    "extraroute-atomic",
    "filter-validation",
    "fip-port-details",
    "floatingip-pools",
    "ip_allocation",
    "ip-substring-filtering",
    "l3-flavors",
    "l3-ha",
    "l3-ndp-proxy",
    "net-mtu",
    "net-mtu-writable",
    "network_availability_zone",
    "network-ip-availability",
    "pagination",
    "port-hints",
    "port-mac-address-regenerate",
    "port-numa-affinity-policy",
    "port-resource-request",
    "port-security",
    "port-security-groups-filtering",
    "project-id",
    "provider",
    "qinq",
    "qos",
    "qos-default",
    "quota-check-limit",
    "quota-check-limit-default",
    "quota_details",
    "quotas",
    "rbac-address-group",
    "rbac-address-scope",
    "rbac-policies",
    "rbac-security-groups",
    "rbac-subnetpool",
    "revision-if-match",
    "router",
    "router_availability_zone",
    "security-group",
    "security-groups-normalized-cidr",
    "security-groups-remote-address-group",
    "security-groups-shared-filtering",
    "sorting",
    "standard-attr-description",
    "standard-attr-revisions",
    "standard-attr-tag",
    "standard-attr-timestamp",
    "stateful-security-group",
    "subnet_allocation",
    "subnet-dns-publish-fixed-ip",
    "subnet-service-types",
    "trunk",
    "trunk-details",
    "uplink-status-propagation",
    "vlan-transparent",
]

_PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")


class Networks(Collection):
    """A network. It is shared or external by its RBAC policies, as in the real service."""

    singular = "network"
    plural = "networks"
    noun = "Network"
    not_found_type = "NetworkNotFound"
    indexes = ("name", "provider:segmentation_id")
    admin_only = frozenset(_PROVIDER)

    @staticmethod
    def chosen(row: Row) -> tuple[str, ...]:
        """The segment, of which the next free one is taken."""
        del row
        return ("provider:segmentation_id",)

    attributes = (
        *STANDARD,
        *read_only(
            "subnets",
            "status",
            "availability_zones",
            "ipv4_address_scope",
            "ipv6_address_scope",
            "l2_adjacency",
        ),
        Attribute(name="name", check=text(255), default=""),
        Attribute(name="admin_state_up", check=boolean, default=True),
        Attribute(name="shared", check=boolean, default=False, policy=True),
        Attribute(name="router:external", check=boolean, default=False, policy=True),
        Attribute(name="is_default", check=boolean, default=False, policy=True),
        Attribute(name="port_security_enabled", check=boolean, default=True),
        Attribute(name="dns_domain", check=dns_name, default=""),
        Attribute(name="mtu", check=integer(0)),
        Attribute(name="qos_policy_id", check=or_none(identifier), default=None),
        Attribute(name="vlan_transparent", check=boolean, put=False, default=False),
        Attribute(name="qinq", check=boolean, put=False, default=False),
        Attribute(name="availability_zone_hints", check=listed(text(255)), put=False, default=[]),
        Attribute(
            name="provider:network_type", check=one_of("vxlan", "vlan", "flat", "gre", "geneve"), policy=True
        ),
        Attribute(name="provider:physical_network", check=or_none(text(64)), policy=True),
        Attribute(name="provider:segmentation_id", check=or_none(integer(1, 1 << 24)), policy=True),
    )

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """A network with its provider attributes chosen or checked."""
        check_zones(values["availability_zone_hints"])
        external = values.pop("router:external")
        shared = values.pop("shared")
        provider = self._provider(call.cloud, values, external=external)
        if values["mtu"] is UNSET:
            values["mtu"] = 1450 if provider["provider:network_type"] in ("vxlan", "gre", "geneve") else 1500
        row = self.row(call, {**values, **provider}, status="ACTIVE", subnets=[])
        row["_grants"] = {SHARED: shared, EXTERNAL: external}
        return row

    def insert(self, call: Call, row: Row) -> None:
        """The network, and the policies that share it."""
        grants = row.pop("_grants")
        super().insert(call, row)
        for action, wanted in grants.items():
            if wanted:
                _grant(call, row, action)

    def _provider(self, cloud: DevCloud, values: dict[str, Any], *, external: bool) -> dict[str, Any]:
        kind = values["provider:network_type"] or ("flat" if external else "vxlan")
        physical = values["provider:physical_network"] or None
        segment = values["provider:segmentation_id"] or None
        if kind in ("flat", "vlan") and physical is None:
            physical = self._free_physical(cloud, kind)
        if kind == "flat" and segment is not None:
            raise invalid("segmentation_id specified for flat network")
        if kind != "flat" and segment is None:
            segment = self._free_segment(cloud, kind)
        chosen = dict(zip(_PROVIDER, (kind, physical, segment), strict=True))
        if any(
            all(row[key] == value for key, value in chosen.items())
            for row in self.table(cloud).find(**{"provider:segmentation_id": segment})
        ):
            raise _clash(kind, physical, segment)
        return chosen

    def _free_segment(self, cloud: DevCloud, kind: str) -> int:
        """A number that no network of the kind has; it begins behind as many as there are networks."""
        table = self.table(cloud)
        for number in itertools.count(len(table) + 1):
            rows = table.find(**{"provider:segmentation_id": number})
            if all(row["provider:network_type"] != kind for row in rows):
                return number
        raise AssertionError("there is always another number")

    def _free_physical(self, cloud: DevCloud, kind: str) -> str:
        """External networks that name no physical network each get one of their own."""
        taken = {row[_PROVIDER[1]] for row in self.table(cloud) if row[_PROVIDER[0]] == kind == "flat"}
        names = itertools.chain(["public"], (f"public{n}" for n in itertools.count(2)))
        return next(name for name in names if name not in taken)

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """Sharing is changed through the RBAC policies; provider attributes stay."""
        if any(key in changes and changes[key] != row[key] for key in _PROVIDER):
            raise bad_request("Plugin does not support updating provider attributes", type="InvalidInput")
        for name, action in (("shared", SHARED), ("router:external", EXTERNAL)):
            if name in changes:
                self._set_grant(call, row, action, wanted=changes.pop(name))
        super().change(call, row, changes)

    def _set_grant(self, call: Call, row: Row, action: str, *, wanted: bool) -> None:
        policies = COLLECTIONS["rbac_policies"]
        there = [p for p in policies.table(call.cloud).find(object_id=row["id"]) if p["action"] == action]
        there = [policy for policy in there if policy["target_tenant"] == "*"]
        if wanted and not there:
            _grant(call, row, action)
        if not wanted:
            for policy in there:
                policies.remove(call.elevated(), policy)

    def remove(self, call: Call, row: Row) -> None:
        """Refused while ports are in use; subnets, policies and automatic ports go with it."""
        ports = COLLECTIONS["ports"]
        found = ports.table(call.cloud).find(network_id=row["id"])
        users = [port["id"] for port in found if port["device_owner"] not in AUTO_DELETED]
        if users:
            raise in_use(
                f"Unable to complete operation on network {row['id']}. There are one or more ports still in "
                "use on the "
                f"network, id(s) {', '.join(users)}.",
                "NetworkInUse",
            )
        for port in found:
            ports.remove(call.elevated(), port)
        subnets = COLLECTIONS["subnets"]
        for subnet_id in list(row["subnets"]):
            subnets.remove(call.elevated(), subnets.table(call.cloud)[subnet_id])
        policies = COLLECTIONS["rbac_policies"].table(call.cloud)
        for policy in policies.find(object_id=row["id"]):
            policies.remove(policy["id"])
        super().remove(call, row)

    def visible(self, call: Call, row: Row) -> bool:
        """Own networks, and those shared with the project or external to it."""
        return super().visible(call, row) or granted(call.cloud, row["id"], (SHARED, EXTERNAL), call.project)

    def view(self, call: Call, row: Row) -> Row:
        """With what follows from policies and subnets."""
        shown = super().view(call, row)
        external = granted(call.cloud, row["id"], (EXTERNAL,), None)
        shown["shared"] = granted(call.cloud, row["id"], (SHARED,), call.project)
        shown["router:external"] = external
        if not external:
            shown.pop("is_default")
        shown["availability_zones"] = ["nova"] if row["subnets"] else []
        shown["l2_adjacency"] = True
        for version in (4, 6):
            shown[f"ipv{version}_address_scope"] = self._scope(call.cloud, row, version)
        return shown

    def _scope(self, cloud: DevCloud, row: Row, version: int) -> str | None:
        subnets, pools = COLLECTIONS["subnets"].table(cloud), COLLECTIONS["subnetpools"].table(cloud)
        for subnet_id in row["subnets"]:
            subnet = subnets[subnet_id]
            if subnet["ip_version"] == version and subnet["subnetpool_id"]:
                scope: str | None = pools[subnet["subnetpool_id"]]["address_scope_id"]
                return scope
        return None


NETWORKS = Networks()


def granted(cloud: DevCloud, object_id: str, actions: tuple[str, ...], project: str | None) -> bool:
    """Whether a policy gives everybody, or the project (None: any), one of these kinds of access."""
    return any(
        policy["action"] in actions and (project is None or policy["target_tenant"] in ("*", project))
        for policy in cloud.table("rbac_policies").find(object_id=object_id)
    )


def is_external(cloud: DevCloud, network_id: str) -> bool:
    """Whether a network is external to anybody."""
    return granted(cloud, network_id, (EXTERNAL,), None)


def _grant(call: Call, row: Row, action: str) -> None:
    policies = COLLECTIONS["rbac_policies"]
    values = {"object_type": "network", "object_id": row["id"], "action": action, "target_tenant": "*"}
    policies.table(call.cloud).add({"id": call.cloud.new_id(), "project_id": row["project_id"], **values})


def _clash(kind: str, physical: str | None, segment: int | None) -> Exception:
    if kind == "flat":
        return in_use(
            f"Unable to create the flat network. Physical network {physical} is in use.", "FlatNetworkInUse"
        )
    if kind == "vlan":
        return in_use(
            f"Unable to create the network. The VLAN {segment} on physical network {physical} is in use.",
            "VlanIdInUse",
        )
    return in_use(f"Unable to create the network. The tunnel ID {segment} is in use.", "TunnelIdInUse")


def check_zones(hints: list[str]) -> None:
    for hint in hints:
        if hint != "nova":
            raise not_found(f"AvailabilityZone {hint} could not be found.", type="AvailabilityZoneNotFound")


@NETWORK.route("GET", "/extensions", role=None)
def list_extensions(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The extensions that this service has."""
    return {"extensions": [_extension(alias) for alias in _EXTENSIONS]}


@NETWORK.route("GET", "/extensions/{alias}", role=None)
def show_extension(cloud: DevCloud, request: ApiRequest, alias: str) -> dict[str, Any]:
    """One extension; 404 for one that is not there, which is how clients ask."""
    if alias not in _EXTENSIONS:
        raise not_found(f"Extension with alias {alias} does not exist", type="HTTPNotFound")
    return {"extension": _extension(alias)}


def _extension(alias: str) -> dict[str, Any]:
    words = alias.replace("-", " ").replace("_", " ").capitalize()
    return {
        "alias": alias,
        "name": words,
        "description": words,
        "updated": "2026-01-01T00:00:00-00:00",
        "links": [],
    }


@NETWORK.route("GET", "/availability_zones")
def list_zones(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The zones of networks and routers."""
    zones = [{"name": "nova", "resource": kind, "state": "available"} for kind in ("network", "router")]
    return {"availability_zones": zones}


@NETWORK.route("GET", "/agents", role="admin", policy="get_agent")
def list_agents(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """No agents: nothing here moves packets."""
    return {"agents": []}


@NETWORK.route("GET", "/network-ip-availabilities", role="admin", policy="get_network_ip_availability")
def list_availabilities(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """Addresses in all and in use, per network and subnet."""
    wanted = request.query.get("network_id")
    rows = [row for row in cloud.table("networks") if wanted is None or row["id"] in wanted]
    return {"network_ip_availabilities": [_availability(cloud, row) for row in rows]}


@NETWORK.route(
    "GET", "/network-ip-availabilities/{network_id}", role="admin", policy="get_network_ip_availability"
)
def show_availability(cloud: DevCloud, request: ApiRequest, network_id: str) -> dict[str, Any]:
    """The same for one network."""
    row = NETWORKS.get(Call.of(cloud, request), network_id)
    return {"network_ip_availability": _availability(cloud, row)}


def _availability(cloud: DevCloud, network: Row) -> dict[str, Any]:
    subnets = [
        _subnet_availability(cloud, cloud.table("subnets")[subnet_id]) for subnet_id in network["subnets"]
    ]
    return {
        "network_id": network["id"],
        "network_name": network["name"],
        "project_id": network["project_id"],
        "tenant_id": network["project_id"],
        "total_ips": sum(subnet["total_ips"] for subnet in subnets),
        "used_ips": sum(subnet["used_ips"] for subnet in subnets),
        "subnet_ip_availability": subnets,
    }


def _subnet_availability(cloud: DevCloud, subnet: Row) -> dict[str, Any]:
    sizes = (
        int(address(pool["end"])) - int(address(pool["start"])) + 1 for pool in subnet["allocation_pools"]
    )
    return {
        "subnet_id": subnet["id"],
        "subnet_name": subnet["name"],
        "cidr": subnet["cidr"],
        "ip_version": subnet["ip_version"],
        "total_ips": sum(sizes),
        "used_ips": network_ipam.used(cloud, subnet["id"]),
    }


def shared_setting_in_use(network: Row) -> Exception:
    """The 409 for taking back access that is being used."""
    return conflict(
        f"Unable to reconfigure sharing settings for network {network['name']}. Multiple tenants are using "
        "it.",
        type="InvalidSharedSetting",
    )
