"""Routers of the network service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.compare import unset
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Problem, Reach, ScopeLevel, Severity, Want
from pumphouse.rest import MARKER_TAG, STANDARD, NeutronType
from pumphouse.steps import Create, Verify, once

INTERFACE_OWNERS = frozenset(
    f"network:{owner}"
    for owner in ("router_interface", "router_interface_distributed", "ha_router_replicated_interface")
)
Interface = tuple[str, str]
"""A subnet's id and the router's address there."""


class Router(NeutronType):
    """A router with its gateway, its interfaces (each at its exact address) and its static routes."""

    name = "router"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    described = True
    after = ("port",)
    path, item, items = "/routers", "router", "routers"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        copy("description", default=""),
        copy("admin_state_up", default=True),
        copy("external_gateway_info", refs={"network_id": "network"}),
        copy("interfaces", refs={"subnet_id": "subnet"}, unordered=True, default=[]),
        copy("routes", extension="extraroute", unordered=True, default=[]),
        copy("distributed", extension="dvr", fixed=True, default=False),
        copy("ha", extension="l3-ha", fixed=True, default=False),
        copy("enable_ndp_proxy", extension="l3-ndp-proxy"),
        copy("availability_zone_hints", extension="router_availability_zone", fixed=True, default=[]),
        copy("tags", unordered=True, default=[]),
        *STANDARD,
        drop("flavor_id", why="which driver serves a router is the destination's to choose"),
        drop("external_fixed_ips", why="its gateway's addresses are of the other cloud's ranges"),
        drop("external_gateways", why="the first one is carried as external_gateway_info"),
        drop("enable_default_route_bfd", why="it belongs to several gateways"),
        drop("enable_default_route_ecmp", why="it belongs to several gateways"),
        drop("qos_policy_id", why="QoS policies are not carried; the plan names the router"),
        drop("availability_zones", why="the destination's agents decide it"),
        drop("conntrack_helpers", why="helpers are not carried; the plan names the router"),
        drop("status", why="the destination tells it"),
    )
    steps = (Create, Verify)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list; the interfaces are ports, which were read before."""
        interfaces: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for port in seen.of_type("port"):
            if port.facts["device_owner"] in INTERFACE_OWNERS:
                interfaces[port.facts["device_id"]] += port.facts["addresses"]
        for body in cloud.each(self.service, self.path, self.items):
            yield self.read({**body, "interfaces": interfaces[body["id"]]})

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """A router and its interfaces."""
        try:
            body = cloud.get(self.service, f"{self.path}/{identity}")[self.item]
        except errors.NotFound:
            return None
        ports = _interface_ports(cloud, identity)
        return self.read({**body, "interfaces": [fixed for port in ports for fixed in port["fixed_ips"]]})

    def read(self, body: Mapping[str, Any]) -> Resource:
        """The gateway without its addresses, which are of the external network's ranges."""
        gateway = body.get("external_gateway_info")
        kept = None
        if gateway:
            kept = {name: gateway[name] for name in ("network_id", "enable_snat") if name in gateway}
        interfaces = sorted(body.get("interfaces", ()), key=lambda one: (one["subnet_id"], one["ip_address"]))
        return super().read(
            {**body, "external_gateway_info": kept, "interfaces": interfaces, "gateway": gateway or {}}
        )

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The gateway's addresses, and what does not come along."""
        gateway = body["gateway"]
        return {
            "gateway_ips": [one["ip_address"] for one in gateway.get("external_fixed_ips", ())],
            "qos_policy_id": gateway.get("qos_policy_id") or body.get("qos_policy_id"),
            "conntrack_helpers": body.get("conntrack_helpers") or [],
            "more_gateways": len(body.get("external_gateways") or ()) > 1,
        }

    # -- deciding

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One router, and a port for each interface."""
        return {"network.router": 1, "network.port": len(resource.fields["interfaces"])}

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """What changes or does not come along."""
        facts = resource.facts
        if facts["gateway_ips"]:
            yield Problem(
                severity=Severity.LOST,
                field="external_fixed_ips",
                summary=f"its address outside, {', '.join(facts['gateway_ips'])}, is not kept",
                next_step="Open firewalls for the new one, which the destination chooses.",
            )
        for what, name, field in (
            (facts["qos_policy_id"], "a QoS policy", "qos_policy_id"),
            (facts["conntrack_helpers"], "conntrack helpers", "conntrack_helpers"),
            (facts["more_gateways"], "further gateways", "external_gateways"),
        ):
            if what:
                yield Problem(
                    severity=Severity.LOST,
                    field=field,
                    summary=f"it has {name}, which are not carried",
                    next_step="Set that on the destination's router by hand.",
                )

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """Zones must be there."""
        zones = destination.facts.get("network", {}).get("router", [])
        for zone in want.fields.get("availability_zone_hints", []):
            if zone not in zones:
                yield Problem(
                    severity=Severity.BLOCK,
                    field="availability_zone_hints",
                    summary=f"the destination has no router availability zone {zone!r}",
                    next_step="Set availability_zone_hints of this router by a rule in an override file.",
                )

    # -- writing

    def body(self, want: Want) -> dict[str, Any]:
        """The router alone: interfaces and routes have requests of their own."""
        return {
            name: value for name, value in super().body(want).items() if name not in {"interfaces", "routes"}
        }

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Tag it, add the interfaces that are missing, and then the routes, which need them."""
        super().finish(cloud, identity, want, there=there)
        self._add(cloud, identity, want, _wanted(want.fields) - _there(cloud, identity))
        if want.fields.get("routes") and "routes" in unset(self, want.fields, there):
            self._route(cloud, identity, want.fields["routes"])

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """PUT. Routes go first where interfaces do, for they need them."""
        rest = {name: value for name, value in changed.items() if name not in {"interfaces", "routes"}}
        if "external_gateway_info" in rest:
            rest["external_gateway_info"] = rest["external_gateway_info"] or {}
        if rest:
            super().update(cloud, identity, want, rest)
        if "interfaces" in changed:
            wanted, there = _wanted(changed), _there(cloud, identity)
            if there - wanted:
                self._route(cloud, identity, [])
            for subnet, _address in sorted(there - wanted):
                self._remove_interface(cloud, identity, {"subnet_id": subnet})
            self._add(cloud, identity, want, wanted - there)
        if changed.keys() & {"interfaces", "routes"}:
            self._route(cloud, identity, changed.get("routes", want.fields.get("routes", [])))

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Remove routes and interfaces, then the router, and a port that did not become an interface."""
        router = self.show(cloud, identity, project_id=None)
        if router is None:
            return False
        if router.fields.get("routes"):
            self._route(cloud, identity, [])
        for port in _interface_ports(cloud, identity):
            self._remove_interface(cloud, identity, {"port_id": port["id"]})
        gone = super().delete(cloud, identity)
        if router.made_from:
            for port in _spare_ports(cloud, router.made_from):
                cloud.delete(self.service, f"/ports/{port['id']}")
        return gone

    def unmark(self, cloud: CloudAPI, identity: str) -> None:
        """Ports that were made for it bear its marker, too. It loses its own last: by that it is found."""
        for port in _interface_ports(cloud, identity):
            if self.made_from(port):
                cloud.put(self.service, f"/ports/{port['id']}", {"port": {"description": ""}})
        super().unmark(cloud, identity)

    def _route(self, cloud: CloudAPI, identity: str, routes: Iterable[Mapping[str, Any]]) -> None:
        cloud.put(self.service, f"{self.path}/{identity}", {self.item: {"routes": list(routes)}})

    def _add(self, cloud: CloudAPI, identity: str, want: Want, missing: Iterable[Interface]) -> None:
        """The gateway address of a subnet is had by naming the subnet, any other by a port of ours."""
        for subnet_id, address in sorted(missing):
            subnet = cloud.get(self.service, f"/subnets/{subnet_id}")["subnet"]
            body = {"subnet_id": subnet_id}
            if subnet["gateway_ip"] != address:
                body = {"port_id": self._port(cloud, want, subnet, address)}
            self._plug(cloud, identity, body, (subnet_id, address))

    def _plug(self, cloud: CloudAPI, identity: str, body: Mapping[str, str], wanted: Interface) -> None:
        path = f"{self.path}/{identity}/add_router_interface"
        once(
            lambda: cloud.put(self.service, path, dict(body)),
            lambda: {} if wanted in _there(cloud, identity) else None,
        )

    def _port(self, cloud: CloudAPI, want: Want, subnet: Mapping[str, Any], address: str) -> str:
        """A port at this address, found if an earlier attempt made it."""
        fixed = {"subnet_id": subnet["id"], "ip_address": address}

        def made() -> str | None:
            ports = _spare_ports(cloud, want.marker)
            return next((str(port["id"]) for port in ports if fixed in port["fixed_ips"]), None)

        body = {
            "network_id": subnet["network_id"],
            "project_id": want.project_id,
            "fixed_ips": [fixed],
            # Else it had the project's default group, which then could not be taken back before the router.
            "security_groups": [],
            "description": f"{MARKER_TAG}{want.marker}",
        }
        return made() or once(
            lambda: str(cloud.post(self.service, "/ports", {"port": body})["port"]["id"]), made
        )

    def _remove_interface(self, cloud: CloudAPI, identity: str, body: Mapping[str, str]) -> None:
        path = f"{self.path}/{identity}/remove_router_interface"

        def put() -> None:
            with suppress(errors.NotFound):  # an earlier attempt removed it
                cloud.put(self.service, path, dict(body))

        once(put, lambda: None)


def _wanted(fields: Mapping[str, Any]) -> set[Interface]:
    return {(one["subnet_id"], one["ip_address"]) for one in fields["interfaces"]}


def _there(cloud: CloudAPI, identity: str) -> set[Interface]:
    ports = _interface_ports(cloud, identity)
    return {(fixed["subnet_id"], fixed["ip_address"]) for port in ports for fixed in port["fixed_ips"]}


def _interface_ports(cloud: CloudAPI, identity: str) -> list[dict[str, Any]]:
    ports = cloud.list(Service.NETWORK, "/ports", "ports", params={"device_id": identity})
    return [port for port in ports if port["device_owner"] in INTERFACE_OWNERS]


def _spare_ports(cloud: CloudAPI, marker: str) -> list[dict[str, Any]]:
    """Ports that were made for a router and are not its interfaces yet."""
    params = {"description": f"{MARKER_TAG}{marker}"}
    ports = cloud.list(Service.NETWORK, "/ports", "ports", params=params)
    return [port for port in ports if not port["device_id"]]
