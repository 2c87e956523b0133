"""Floating IPs of the network service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import Field, copy, drop, ref
from pumphouse.model import Action, Inventory, Ref, Resource
from pumphouse.resource import Grouping, Problem, ScopeLevel, Severity, Want
from pumphouse.rest import STANDARD, NeutronType
from pumphouse.steps import Create, Verify


class Allocate(Create):
    """Get a floating address, as the operator chose: the same one where it is free, or a new one."""

    doing = "gets an address"

    def run(self) -> Any:
        """The destination's id."""
        made = super().run()
        if self.item.action is Action.CREATE:
            self._tell(str(made))
        return made

    def _create(self, cloud: CloudAPI, want: Want) -> str:
        """Ask for the address if that may be had; who takes it in between makes it a new one."""
        wanted = str(want.fields["floating_ip_address"])
        if self.context.settings.floating_ips == "keep" and _in_range(cloud, want, wanted):
            try:
                return super()._create(cloud, want)
            except errors.Conflict:
                # Taken already. Whatever else is in conflict will be so with a new address too.
                return super()._create(cloud, _anywhere(want))
        return super()._create(cloud, _anywhere(want))

    def _tell(self, identity: str) -> None:
        there = self.item.kind.show(self.context.destination, identity, project_id=None)
        before = self.item.resource.fields["floating_ip_address"]
        if there is not None and there.fields["floating_ip_address"] != before:
            self.context.note(
                self.item.ref, f"its address changed from {before} to {there.fields['floating_ip_address']}"
            )


class FloatingIP(NeutronType):
    """An address of an external network, which leads to a port's fixed address or to nothing yet."""

    name = "floating_ip"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    grouping = Grouping.ATTACHED
    described = True
    path, item, items = "/floatingips", "floatingip", "floatingips"
    fields = (
        ref("floating_network_id", to="network"),
        copy("floating_ip_address", fixed=True),
        ref("project_id", to="project"),
        ref("port_id", to="port", fixed=False),
        copy("fixed_ip_address"),
        copy("description", default=""),
        copy("dns_name", extension="dns-integration", fixed=True, default=""),
        copy("dns_domain", extension="dns-integration", fixed=True, default=""),
        copy("tags", unordered=True, default=[]),
        *STANDARD,
        drop("router_id", why="it follows from the port and the network"),
        drop("port_details", why="they are the port's"),
        drop("port_forwardings", why="forwardings are not carried; the plan names the address"),
        drop("qos_policy_id", why="QoS policies are not carried; the plan names the address"),
        drop("qos_network_policy_id", why="it is the network's"),
        drop("status", why="the destination tells it"),
    )
    steps = (Allocate, Verify)

    def read(self, body: Mapping[str, Any]) -> Resource:
        """An address is named by itself."""
        return replace(super().read(body), name=str(body["floating_ip_address"]))

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What does not come along."""
        return {
            "status": body.get("status"),
            "qos_policy_id": body.get("qos_policy_id"),
            "port_forwardings": len(body.get("port_forwardings") or ()),
        }

    # -- deciding

    def needs(self, resource: Resource, inventory: Inventory) -> Iterable[Ref]:
        """The routers between its network and the subnets of its port: without one it leads nowhere."""
        port = inventory.get(Ref("port", str(resource.fields["port_id"])))
        if port is None:
            return
        between = inventory.derived(_routers)
        found: dict[Ref, None] = {}
        for fixed in port.fields.get("fixed_ips", ()):
            for router in between.get((resource.fields["floating_network_id"], fixed["subnet_id"]), ()):
                found[router] = None
        yield from found

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One floating address."""
        return {"network.floatingip": 1}

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """What does not come along."""
        if resource.facts["port_forwardings"]:
            yield Problem(
                severity=Severity.LOST,
                field="port_forwardings",
                summary=f"its {resource.facts['port_forwardings']} port forwardings are not carried",
                next_step="Make them on the destination by hand.",
            )
        if resource.facts["qos_policy_id"]:
            yield Problem(
                severity=Severity.LOST,
                field="qos_policy_id",
                summary="it has a QoS policy, which is not carried",
                next_step="Make the policy on the destination and set it there.",
            )

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """Whether the same address can be had."""
        network, address = want.fields["floating_network_id"], str(want.fields["floating_ip_address"])
        if exists or network is None:
            return
        ranges = [
            str(subnet.fields["cidr"])
            for subnet in destination.of_type("subnet")
            if subnet.fields["network_id"] == network
        ]
        why = ""
        if not _within(address, ranges):
            why = f"it is not in the destination's {', '.join(ranges) or 'network, which has no range'}"
        elif address in destination.derived(_addresses).get(network, ()):
            why = "the destination has it in use"
        if why:
            yield Problem(
                severity=Severity.WARNING,
                field="floating_ip_address",
                summary=f"{address} will be another address: {why}",
                next_step="Change names and firewalls to the new one, which the report tells.",
            )

    def may_change(self, field: Field, wanted: Resource, there: Resource) -> str:
        """The address itself, where the same one was not to be had or not wanted."""
        if field.name == "floating_ip_address":
            return "the destination gave another address"
        return ""

    # -- writing

    def body(self, want: Want) -> dict[str, Any]:
        """The body; a fixed address has a meaning only with its port."""
        body = super().body(want)
        if not body.get("port_id"):
            body.pop("fixed_ip_address", None)
        return body

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """PUT, always with the port and its fixed address: without them the service would choose anew."""
        if changed.keys() != {"tags"}:
            target = {name: changed.get(name, want.fields[name]) for name in ("port_id", "fixed_ip_address")}
            changed = {**changed, **target}
            if not changed["port_id"]:
                changed = _without(changed, "fixed_ip_address")
        super().update(cloud, identity, want, changed)


def _anywhere(want: Want) -> Want:
    """The same without saying which address."""
    return replace(want, fields=_without(want.fields, "floating_ip_address"))


def _without(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {one: value for one, value in fields.items() if one != name}


def _in_range(cloud: CloudAPI, want: Want, address: str) -> bool:
    params = {"network_id": want.fields["floating_network_id"]}
    subnets = cloud.list(Service.NETWORK, "/subnets", "subnets", params=params)
    return _within(address, (str(subnet["cidr"]) for subnet in subnets))


def _within(address: str, ranges: Iterable[str]) -> bool:
    return any(ip_address(address) in ip_network(one) for one in ranges)


def _routers(inventory: Inventory) -> Mapping[tuple[str, str], list[Ref]]:
    """The routers by the network of their gateway and a subnet of their interfaces."""
    found: dict[tuple[str, str], list[Ref]] = defaultdict(list)
    for router in inventory.of_type("router"):
        gateway = router.fields["external_gateway_info"]
        if gateway:
            for interface in router.fields["interfaces"]:
                found[gateway["network_id"], interface["subnet_id"]].append(router.ref)
    return found


def _addresses(inventory: Inventory) -> Mapping[str, set[str]]:
    """The addresses in use, by network."""
    found: dict[str, set[str]] = defaultdict(set)
    for port in inventory.of_type("port"):
        found[str(port.fields["network_id"])].update(
            str(one["ip_address"]) for one in port.facts["addresses"]
        )
    return found
