"""Routers: gateway, interfaces, static routes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pumphouse.devcloud import addresses, network_ipam
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import bad_request, forbidden, not_found
from pumphouse.devcloud.network import NETWORKS, check_zones, is_external
from pumphouse.devcloud.network_api import STANDARD, Call, Collection, in_use
from pumphouse.devcloud.network_attributes import (
    UNSET,
    Attribute,
    boolean,
    fixed_ips,
    identifier,
    listed,
    mapping,
    or_none,
    read_only,
    requiring,
    routes,
    text,
)
from pumphouse.devcloud.network_ports import PORTS
from pumphouse.devcloud.network_subnets import SUBNETS
from pumphouse.devcloud.services import NETWORK
from pumphouse.devcloud.table import Row

INTERFACE = "network:router_interface"
GATEWAY = "network:router_gateway"
MAX_ROUTES = 30

_gateway = requiring(
    mapping(
        network_id=identifier,
        enable_snat=boolean,
        external_fixed_ips=fixed_ips,
        qos_policy_id=or_none(identifier),
    ),
    "network_id",
)


class Routers(Collection):
    """A router. Its gateway and its interfaces are ports."""

    singular = "router"
    plural = "routers"
    noun = "Router"
    not_found_type = "RouterNotFound"
    indexes = ("name",)
    admin_only = frozenset(("distributed", "ha"))
    attributes = (
        *STANDARD,
        *read_only("status", "availability_zones"),
        Attribute(name="name", check=text(255), default=""),
        Attribute(name="admin_state_up", check=boolean, default=True),
        Attribute(
            name="external_gateway_info", check=lambda value: _gateway(value) if value else None, default=None
        ),
        Attribute(name="routes", check=routes, post=False),
        Attribute(name="distributed", check=boolean, default=False, policy=True),
        Attribute(name="ha", check=boolean, default=False, policy=True),
        Attribute(name="flavor_id", check=or_none(identifier), put=False, default=None),
        Attribute(name="availability_zone_hints", check=listed(text(255)), put=False, default=[]),
        Attribute(name="enable_ndp_proxy", check=boolean, default=False),
    )

    def missing(self, resource_id: str) -> str:
        """Neutron leaves out the full stop here."""
        return f"Router {resource_id} could not be found"

    # Life

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """A router; its gateway port comes with `insert`."""
        check_zones(values["availability_zone_hints"])
        info = values.pop("external_gateway_info")
        row = self.row(call, values, status="ACTIVE", routes=[], gw_port_id=None, enable_snat=True)
        row["_gateway"] = info
        return row

    def insert(self, call: Call, row: Row) -> None:
        """The router and, when asked for, its gateway; no router without it when that fails."""
        info = row.pop("_gateway")
        super().insert(call, row)
        try:
            if info:
                self.set_gateway(call, row, info, action="create")
        except Exception:
            super().remove(call, row)
            raise

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """Gateway first: new routes may need it."""
        if "external_gateway_info" in changes:
            self.set_gateway(call, row, changes.pop("external_gateway_info"), action="update")
        if "routes" in changes:
            self.check_routes(call, row, changes["routes"])
        super().change(call, row, changes)

    def remove(self, call: Call, row: Row) -> None:
        """Refused while interfaces are attached."""
        interfaces = [port["id"] for port in self.ports(call.cloud, row, INTERFACE)]
        if interfaces:
            raise in_use(
                f"Router {row['id']} has ports still attached: {', '.join(interfaces)}", "RouterInUse"
            )
        self._drop_gateway(call, row)
        super().remove(call, row)

    def view(self, call: Call, row: Row) -> Row:
        """With its gateway as the API tells it."""
        shown = super().view(call, row)
        snat = shown.pop("enable_snat")
        port_id = shown.pop("gw_port_id")
        shown["availability_zones"] = ["nova"]
        shown["external_gateway_info"] = None
        if port_id:
            port = PORTS.table(call.cloud)[port_id]
            shown["external_gateway_info"] = {
                "network_id": port["network_id"],
                "enable_snat": snat,
                "external_fixed_ips": [dict(fixed) for fixed in port["fixed_ips"]],
            }
        return shown

    # Gateway

    def set_gateway(self, call: Call, row: Row, info: dict[str, Any] | None, *, action: str) -> None:
        """Give the router this gateway, or none."""
        if not info:
            self._drop_gateway(call, row)
            return
        self._check_gateway_policy(call, info, action)
        network = NETWORKS.get(call, info["network_id"])
        if not is_external(call.cloud, network["id"]):
            raise _bad(f"Network {network['id']} is not an external network")
        wanted = info.get("external_fixed_ips") or []
        subnets = [SUBNETS.table(call.cloud)[subnet_id] for subnet_id in network["subnets"]]
        for fixed in wanted:
            if fixed.get("ip_address") in {subnet["gateway_ip"] for subnet in subnets}:
                raise _bad(f"External IP {fixed['ip_address']} is the same as the gateway IP")
        self._check_overlap(call, row, subnets, owner=INTERFACE)
        port = PORTS.table(call.cloud).get(row["gw_port_id"]) if row["gw_port_id"] else None
        if port is not None and port["network_id"] == network["id"]:
            if wanted:
                PORTS.change(call.elevated(), port, {"fixed_ips": wanted})
        else:
            self._drop_gateway(call, row)
            port = self._make_port(call, row, network["id"], GATEWAY, fixed_ips=wanted or UNSET)
        self.save(call.cloud, row, {"gw_port_id": port["id"], "enable_snat": info.get("enable_snat", True)})

    def _check_gateway_policy(self, call: Call, info: dict[str, Any], action: str) -> None:
        for name in ("enable_snat", "external_fixed_ips"):
            if name in info and not call.admin:
                rule = f"{action}_router:external_gateway_info"
                raise forbidden(
                    f"(rule:{action}_router and (rule:{rule} and rule:{rule}:{name})) is disallowed by policy"
                )

    def _drop_gateway(self, call: Call, row: Row) -> None:
        if not row["gw_port_id"]:
            return
        port = PORTS.table(call.cloud)[row["gw_port_id"]]
        if call.cloud.table("floatingips").find(router_id=row["id"]):
            raise in_use(
                f"Gateway cannot be updated for router {row['id']}, since a gateway to external network "
                f"{port['network_id']} is required by one or more floating IPs.",
                "RouterExternalGatewayInUseByFloatingIp",
            )
        self.save(call.cloud, row, {"gw_port_id": None})
        PORTS.remove(call.elevated(), port)

    # Interfaces

    def ports(self, cloud: DevCloud, row: Row, *owners: str) -> list[Row]:
        """The router's ports of these owners."""
        return [
            port for port in PORTS.table(cloud).find(device_id=row["id"]) if port["device_owner"] in owners
        ]

    def add_interface(self, call: Call, row: Row, body: dict[str, Any]) -> dict[str, Any]:
        """Attach a subnet (at its gateway address) or a given port."""
        subnet_id, port_id = _interface(body)
        if subnet_id and port_id:
            raise _bad("Cannot specify both subnet-id and port-id")
        if port_id:
            port = self._attach_port(call, row, PORTS.get(call, port_id))
        else:
            port = self._attach_subnet(call, row, SUBNETS.get(call, str(subnet_id)))
        return _interface_view(row, port)

    def _attach_port(self, call: Call, row: Row, port: Row) -> Row:
        if port["device_id"]:
            raise in_use(
                f"Unable to complete operation on port {port['id']} for network {port['network_id']}. Port "
                "already has "
                f"an attached device {port['device_id']}.",
                "PortInUse",
            )
        if not port["fixed_ips"]:
            raise _bad("Router port must have at least one fixed IP")
        subnets = [SUBNETS.table(call.cloud)[fixed["subnet_id"]] for fixed in port["fixed_ips"]]
        if sum(subnet["ip_version"] == 4 for subnet in subnets) > 1:
            raise _bad("Cannot have multiple IPv4 subnets on router port")
        self._check_overlap(call, row, subnets)
        PORTS.change(call.elevated(), port, {"device_id": row["id"], "device_owner": INTERFACE})
        return port

    def _attach_subnet(self, call: Call, row: Row, subnet: Row) -> Row:
        if not subnet["gateway_ip"]:
            raise _bad("Subnet for router interface must have a gateway IP")
        if not SUBNETS.owned(call, subnet):
            raise _bad(
                f"Cannot add interface to router because subnet {subnet['id']} is not owned by project "
                "making the request"
            )
        self._check_overlap(call, row, [subnet])
        fixed = [{"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]}]
        return self._make_port(call, row, subnet["network_id"], INTERFACE, fixed_ips=fixed)

    def _make_port(self, call: Call, row: Row, network_id: str, owner: str, *, fixed_ips: Any) -> Row:
        """A port of the router. Neither policy nor the gateway's hidden project count here."""
        values: dict[str, Any] = {
            attribute.name: attribute.default for attribute in PORTS.attributes if attribute.post
        }
        values |= {
            "network_id": network_id,
            "device_id": row["id"],
            "device_owner": owner,
            "fixed_ips": fixed_ips,
        }
        values |= {
            "project_id": "" if owner == GATEWAY else row["project_id"],
            "extra_dhcp_opts": [],
            "tags": [],
        }
        port = PORTS.build(call.elevated(), values)
        PORTS.insert(call.elevated(), port)
        return port

    def _check_overlap(self, call: Call, row: Row, subnets: Iterable[Row], *, owner: str = "") -> None:
        """No two networks of a router may share an address, nor a subnet be attached twice."""
        attached: dict[str, Row] = {}
        for port in self.ports(call.cloud, row, *([owner] if owner else [INTERFACE, GATEWAY])):
            for fixed in port["fixed_ips"]:
                attached[fixed["subnet_id"]] = SUBNETS.table(call.cloud)[fixed["subnet_id"]]
        for subnet in subnets:
            if subnet["id"] in attached:
                raise _bad(f"Router already has a port on subnet {subnet['id']}")
            for other in attached.values():
                if addresses.overlap(subnet["cidr"], other["cidr"]):
                    raise _bad(
                        f"Cidr {subnet['cidr']} of subnet {subnet['id']} overlaps with cidr {other['cidr']} "
                        "of subnet "
                        f"{other['id']}"
                    )

    def remove_interface(self, call: Call, row: Row, body: dict[str, Any]) -> dict[str, Any]:
        """Detach by port or by subnet, unless floating IPs or routes need it."""
        subnet_id, port_id = _interface(body)
        port = self._interface_port(call, row, subnet_id, port_id)
        for fixed in port["fixed_ips"]:
            self._check_unused(call, row, SUBNETS.table(call.cloud)[fixed["subnet_id"]])
        answer = _interface_view(row, port)
        PORTS.remove(call.elevated(), port)
        return answer

    def _interface_port(self, call: Call, row: Row, subnet_id: str | None, port_id: str | None) -> Row:
        ports = self.ports(call.cloud, row, INTERFACE)
        if port_id:
            found = [port for port in ports if port["id"] == port_id]
            if not found:
                raise not_found(
                    f"Router {row['id']} does not have an interface with id {port_id}",
                    type="RouterInterfaceNotFound",
                )
            if subnet_id and subnet_id not in {fixed["subnet_id"] for fixed in found[0]["fixed_ips"]}:
                raise bad_request(
                    f"Subnet on port {port_id} does not match the requested subnet {subnet_id}.",
                    type="SubnetMismatchForPort",
                )
            return found[0]
        SUBNETS.get(call, str(subnet_id))
        for port in ports:
            if subnet_id in {fixed["subnet_id"] for fixed in port["fixed_ips"]}:
                return port
        raise not_found(
            f"Router {row['id']} has no interface on subnet {subnet_id}",
            type="RouterInterfaceNotFoundForSubnet",
        )

    def _check_unused(self, call: Call, row: Row, subnet: Row) -> None:
        net = addresses.subnet(subnet["cidr"])
        local = set(network_ipam.ports_on(call.cloud, subnet["id"]))
        for floating in call.cloud.table("floatingips").find(router_id=row["id"]):
            if floating["port_id"] in local and addresses.address(floating["fixed_ip_address"]) in net:
                raise in_use(
                    f"Router interface for subnet {subnet['id']} on router {row['id']} cannot be deleted, "
                    "as it is "
                    "required by one or more floating IPs.",
                    "RouterInterfaceInUseByFloatingIP",
                )
        if any(addresses.address(route["nexthop"]) in net for route in row["routes"]):
            raise in_use(
                f"Router interface for subnet {subnet['id']} on router {row['id']} cannot be deleted, as it "
                "is required "
                "by one or more routes.",
                "RouterInterfaceInUseByRoute",
            )

    # Routes

    def check_routes(self, call: Call, row: Row, wanted: list[dict[str, str]]) -> None:
        """Each next hop lies in a connected subnet, and is not the router itself."""
        if len(wanted) > MAX_ROUTES:
            raise bad_request(
                f"Unable to complete operation for {row['id']}. The number of routes exceeds the maximum "
                f"{MAX_ROUTES}.",
                type="RoutesExhausted",
            )
        fixed = [one for port in self.ports(call.cloud, row, INTERFACE, GATEWAY) for one in port["fixed_ips"]]
        nets = [addresses.subnet(SUBNETS.table(call.cloud)[one["subnet_id"]]["cidr"]) for one in fixed]
        for route in wanted:
            hop = addresses.address(route["nexthop"])
            if not any(hop in net for net in nets):
                raise _bad_route(wanted, "the nexthop is not connected with router")
            if str(hop) in {one["ip_address"] for one in fixed}:
                raise _bad_route(wanted, "the nexthop is used by router")


ROUTERS = Routers()


@NETWORK.route("PUT", "/routers/{router_id}/add_router_interface")
def add_router_interface(cloud: DevCloud, request: ApiRequest, router_id: str) -> dict[str, Any]:
    """Attach a subnet or a port."""
    call, row = _router(cloud, request, router_id)
    return ROUTERS.add_interface(call, row, request.json_object())


@NETWORK.route("PUT", "/routers/{router_id}/remove_router_interface")
def remove_router_interface(cloud: DevCloud, request: ApiRequest, router_id: str) -> dict[str, Any]:
    """Detach a subnet or a port."""
    call, row = _router(cloud, request, router_id)
    return ROUTERS.remove_interface(call, row, request.json_object())


@NETWORK.route("PUT", "/routers/{router_id}/add_extraroutes")
def add_extraroutes(cloud: DevCloud, request: ApiRequest, router_id: str) -> dict[str, Any]:
    """Add routes to those that are there."""
    call, row = _router(cloud, request, router_id)
    wanted = [*row["routes"], *(route for route in _routes(request) if route not in row["routes"])]
    ROUTERS.change(call, row, {"routes": wanted})
    return {"router": ROUTERS.view(call, row)}


@NETWORK.route("PUT", "/routers/{router_id}/remove_extraroutes")
def remove_extraroutes(cloud: DevCloud, request: ApiRequest, router_id: str) -> dict[str, Any]:
    """Take routes away; those that are not there do not matter."""
    call, row = _router(cloud, request, router_id)
    gone = _routes(request)
    ROUTERS.change(call, row, {"routes": [route for route in row["routes"] if route not in gone]})
    return {"router": ROUTERS.view(call, row)}


def _router(cloud: DevCloud, request: ApiRequest, router_id: str) -> tuple[Call, Row]:
    call = Call.of(cloud, request)
    return call, ROUTERS.get(call, router_id)


def _routes(request: ApiRequest) -> list[dict[str, str]]:
    try:
        found: list[dict[str, str]] = routes(request.member("router").get("routes"))
    except ValueError as error:
        raise bad_request(f"Invalid input for routes. Reason: {error}") from None
    return found


def _interface(body: dict[str, Any]) -> tuple[str | None, str | None]:
    if not {"subnet_id", "port_id"} & set(body):
        raise _bad("Either subnet_id or port_id must be specified")
    for value in body.values():
        try:
            identifier(value)
        except ValueError as error:
            raise _bad(str(error)) from None
    return body.get("subnet_id"), body.get("port_id")


def _interface_view(row: Row, port: Row) -> dict[str, Any]:
    subnet_ids = [fixed["subnet_id"] for fixed in port["fixed_ips"]]
    return {
        "id": row["id"],
        "tenant_id": row["project_id"],
        "project_id": row["project_id"],
        "port_id": port["id"],
        "network_id": port["network_id"],
        "subnet_id": subnet_ids[0],
        "subnet_ids": subnet_ids,
        "tags": [],
    }


def _bad(message: str) -> Exception:
    return bad_request(f"Bad router request: {message}.", type="BadRequest")


def _bad_route(routes_given: list[dict[str, str]], reason: str) -> Exception:
    return bad_request(f"Invalid format for routes: {routes_given}, {reason}", type="InvalidRoutes")
