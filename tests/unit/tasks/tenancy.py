"""What the tests of identity and network types share: a tenant with everything, and carrying in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pumphouse.cloud_api import Service
from pumphouse.inventory.collect import collect
from pumphouse.model import Inventory, Ref, Resource, Side
from pumphouse.registry import Registry
from pumphouse.resource import Policy, Reach, ResourceType
from pumphouse.tasks.address_scope import AddressScope
from pumphouse.tasks.domain import Domain
from pumphouse.tasks.floating_ip import FloatingIP
from pumphouse.tasks.group import Group
from pumphouse.tasks.network import Network
from pumphouse.tasks.port import Port
from pumphouse.tasks.project import Project
from pumphouse.tasks.quota import Quota
from pumphouse.tasks.role import Role
from pumphouse.tasks.role_assignment import RoleAssignment
from pumphouse.tasks.router import Router
from pumphouse.tasks.security_group import SecurityGroup
from pumphouse.tasks.security_group_rule import SecurityGroupRule
from pumphouse.tasks.subnet import Subnet
from pumphouse.tasks.subnet_pool import SubnetPool
from pumphouse.tasks.user import User

from .harness import Bench

REGISTRY = Registry(
    [
        AddressScope(),
        Domain(),
        FloatingIP(),
        Group(),
        Network(),
        Port(),
        Project(),
        Quota(),
        Role(),
        RoleAssignment(),
        Router(),
        SecurityGroup(),
        SecurityGroupRule(),
        Subnet(),
        SubnetPool(),
        User(),
    ]
)


class Tenancy:
    """A bench with an inventory of its source, and makers of what tests need there.

    :param service: the service whose types are read; domains and projects always are.
    """

    def __init__(self, bench: Bench, service: Service) -> None:
        self.bench = bench
        self.service = service
        self.seen: Inventory | None = None

    # -- making on the source (or, to be in the way, on the destination)

    def identity(self, path: str, body: Mapping[str, Any], *, side: Side = Side.SOURCE) -> str:
        """POST to the identity service; the id."""
        return self._post(Service.IDENTITY, path, body, side)

    def network(self, path: str, body: Mapping[str, Any], *, side: Side = Side.SOURCE) -> str:
        """POST to the network service; the id."""
        return self._post(Service.NETWORK, path, body, side)

    def _post(self, service: Service, path: str, body: Mapping[str, Any], side: Side) -> str:
        (item,) = body
        identity = str(self.bench.cloud(side).post(service, path, body)[item]["id"])
        self.bench.remove_later(side, service, f"{path}/{identity}")
        return identity

    def get(self, path: str, *, side: Side = Side.DESTINATION, service: Service = Service.NETWORK) -> Any:
        """The one body in the answer of a GET."""
        (body,) = self.bench.cloud(side).get(service, path).values()
        return body

    def external(self, side: Side) -> str:
        """The external network of a side, with a subnet; made where there is none."""
        cloud = self.bench.cloud(side)
        found = cloud.list(Service.NETWORK, "/networks", "networks", params={"router:external": "true"})
        if found:
            return str(found[0]["id"])
        body = {"name": "public", "router:external": True}
        network = self.network("/networks", {"network": body}, side=side)
        cidr = "203.0.113.0/24" if side is Side.SOURCE else "198.51.100.0/24"
        body = {"network_id": network, "ip_version": 4, "cidr": cidr, "enable_dhcp": False}
        self.network("/subnets", {"subnet": body}, side=side)
        return network

    # -- reading and carrying

    def look(self) -> Inventory:
        """Read the source anew."""
        self.seen = self._collect(Side.SOURCE)
        return self.seen

    def destination(self) -> Inventory:
        """The destination's inventory."""
        return self._collect(Side.DESTINATION)

    def _collect(self, side: Side) -> Inventory:
        types = [kind.name for kind in REGISTRY.values() if kind.service is self.service]
        return collect(self.bench.cloud(side), REGISTRY, types=types)

    def resource(self, kind: str, identity: str) -> Resource:
        """One resource of the inventory."""
        found = (self.seen or self.look()).get(Ref(kind, identity))
        assert found is not None, f"{kind} {identity} is not in the inventory"
        return found

    def carry(self, kind: str, identity: str) -> str:
        """Carry it and, before it, all that it needs; the destination's id. Verification is part of it."""
        ref = Ref(kind, identity)
        known = self.bench.ids.get(ref)
        if known is None:
            known = self._carry(REGISTRY[kind], self.resource(kind, identity))
        return known

    def _carry(self, kind: ResourceType, resource: Resource) -> str:
        if self._adopted(kind, resource):
            return self.bench.there(kind.name, resource.ref.id)
        assert self.seen is not None
        for found in kind.references(resource.fields):
            self.carry(found.ref.type, found.ref.id)
        for ref in kind.needs(resource, self.seen):
            self.carry(ref.type, ref.id)
        made = self.bench.carry(kind, resource)
        assert made is not None
        return made

    def _adopted(self, kind: ResourceType, resource: Resource) -> bool:
        """Map what both clouds have from the start: the default domain, the external network, some roles."""
        policy = kind.policy(resource)
        cloudwide = {
            "domain": resource.name == "Default",
            "role": resource.name in {"admin", "member", "reader"},
        }
        if policy is not Policy.MAP and not cloudwide.get(kind.name, False):
            return False
        there = [
            one
            for one in kind.discover(self.bench.destination, seen=Inventory("destination"), reach=Reach())
            if one.name == resource.name
        ]
        self.bench.ids.put(resource.ref, there[0].ref.id, made=False)
        return True

    def undo(self) -> None:
        """Take back all that was carried."""
        assert self.seen is not None
        self.bench.undo(REGISTRY.values(), {one.ref: one for one in self.seen})

    def shown(self, kind: str, identity: str) -> Resource | None:
        """A resource of the destination."""
        return REGISTRY[kind].show(self.bench.destination, identity, project_id=None)
