"""Networks of the network service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Policy, Problem, Reach, ScopeLevel, Severity, Want
from pumphouse.rest import STANDARD, NeutronType
from pumphouse.steps import Create, Verify, once

HA_PREFIX = "HA network tenant "
_POLICIES = "/rbac-policies"
_SHARE = "access_as_shared"
_CHOSEN = "the destination chooses it: the two clouds' segments would clash"


class Network(NeutronType):
    """A network. External ones are the cloud's own: they are mapped by their names, never made."""

    name = "network"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    described = True
    path, item, items = "/networks", "network", "networks"
    fields = (
        ref("project_id", to="project", key=True),
        key("name", mapping="networks"),
        copy("description", default=""),
        copy("admin_state_up", default=True),
        copy("shared", default=False),
        ref("shared_with", to="project", optional=True, fixed=False, at_least=True),
        copy("mtu", extension="net-mtu-writable"),
        copy("port_security_enabled", extension="port-security"),
        copy("dns_domain", extension="dns-integration", default=""),
        copy("vlan_transparent", extension="vlan-transparent", fixed=True, default=False),
        copy("qinq", extension="qinq", fixed=True, default=False),
        copy("availability_zone_hints", extension="network_availability_zone", fixed=True, default=[]),
        copy("tags", unordered=True, default=[]),
        *STANDARD,
        drop("router:external", why="external networks are mapped, not made"),
        drop("is_default", why="it is a property of external networks"),
        drop("provider:network_type", why=_CHOSEN),
        drop("provider:physical_network", why=_CHOSEN),
        drop("provider:segmentation_id", why=_CHOSEN),
        drop("segments", why=_CHOSEN),
        drop("qos_policy_id", why="QoS policies are not carried; the plan names the network"),
        drop("ipv4_address_scope", why="it follows from the subnets' pools"),
        drop("ipv6_address_scope", why="it follows from the subnets' pools"),
        drop("l2_adjacency", why="it follows from the segments"),
        drop("subnets", why="a subnet is a type of its own"),
        drop("availability_zones", why="the destination's agents decide it"),
        drop("status", why="the destination tells it"),
    )
    steps = (Create, Verify)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list of the networks, and one of the policies that share them."""
        policies: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for policy in _policies(cloud):
            policies[policy["object_id"]].append(policy)
        for body in cloud.each(self.service, self.path, self.items):
            yield self.read({**body, **_sharing(cloud, policies[body["id"]])})

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """A network, and with whom it is shared."""
        try:
            body = cloud.get(self.service, f"{self.path}/{identity}")[self.item]
        except errors.NotFound:
            return None
        return self.read({**body, **_sharing(cloud, _policies(cloud, object_id=identity))})

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Whether it is external, and its QoS policy."""
        return {
            "external": bool(body.get("router:external")),
            "qos_policy_id": body.get("qos_policy_id"),
            "status": body.get("status"),
        }

    def pick(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Null is no value of these: a cloud that says null lets the destination choose."""
        fields = super().pick(body)
        chosen = ("mtu", "port_security_enabled", "vlan_transparent", "shared_with")
        return {name: value for name, value in fields.items() if value is not None or name not in chosen}

    def survey(self, cloud: CloudAPI, *, reach: Reach) -> Mapping[str, Any]:
        """The availability zones of networks and routers."""
        if not cloud.has_extension("availability_zone"):
            return {}
        zones = cloud.list(self.service, "/availability_zones", "availability_zones")
        return {
            kind: sorted(zone["name"] for zone in zones if zone["resource"] == kind)
            for kind in ("network", "router")
        }

    # -- deciding

    def selectable(self, resource: Resource) -> bool:
        """Networks of highly available routers come into being with those."""
        return not resource.name.startswith(HA_PREFIX)

    def policy(self, resource: Resource) -> Policy:
        """External networks are mapped."""
        return Policy.MAP if resource.facts["external"] else Policy.MOVE

    def identity(self, fields: Mapping[str, Any], *, policy: Policy = Policy.MOVE) -> tuple[Any, ...] | None:
        """Project and name; of a mapped one the name alone."""
        return (fields["name"],) if policy is Policy.MAP else (fields["project_id"], fields["name"])

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One network."""
        return {"network.network": 1}

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """A QoS policy does not come along."""
        if resource.facts["qos_policy_id"]:
            yield Problem(
                severity=Severity.LOST,
                field="qos_policy_id",
                summary="it has a QoS policy, which is not carried",
                next_step="Make the policy on the destination and set it there.",
            )

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """Zones must be there, and the MTU must be one that the destination's networks can have."""
        zones = destination.facts.get(self.name, {}).get("network", [])
        for zone in want.fields.get("availability_zone_hints", []):
            if zone not in zones:
                yield Problem(
                    severity=Severity.BLOCK,
                    field="availability_zone_hints",
                    summary=f"the destination has no network availability zone {zone!r}",
                    next_step="Set availability_zone_hints of this network by a rule in an override file.",
                )
        largest = destination.derived(_largest_mtu)
        if largest and want.fields.get("mtu", 0) > largest:
            yield Problem(
                severity=Severity.WARNING,
                field="mtu",
                summary=f"its MTU is {want.fields['mtu']}; the destination's networks have at most {largest}",
                next_step="If the destination refuses it, set a smaller mtu by a rule in an override file.",
            )

    # -- writing

    def body(self, want: Want) -> dict[str, Any]:
        """Sharing with single projects has requests of its own."""
        return {name: value for name, value in super().body(want).items() if name != "shared_with"}

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Share it, and then tag it."""
        self._share(cloud, identity, want, want.fields.get("shared_with", ()))
        super().finish(cloud, identity, want, there=there)

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """PUT; what we shared is no longer shared when ``changed`` lacks it."""
        super().update(
            cloud, identity, want, {name: value for name, value in changed.items() if name != "shared_with"}
        )
        if "shared_with" in changed:
            self._share(cloud, identity, want, changed["shared_with"])
            gone = set(want.fields["shared_with"]).difference(changed["shared_with"])
            for policy in _policies(cloud, object_id=identity):
                if policy["target_tenant"] in gone:
                    cloud.delete(self.service, f"{_POLICIES}/{policy['id']}")

    def _share(self, cloud: CloudAPI, identity: str, want: Want, projects: Iterable[str]) -> None:
        missing = set(projects)
        if missing:
            missing -= _shared_with(cloud, identity)
        for project in sorted(missing):
            self._share_with(cloud, identity, want, project)

    def _share_with(self, cloud: CloudAPI, identity: str, want: Want, project: str) -> None:
        body = {
            "project_id": want.project_id,  # so that its owner, too, can end it
            "object_type": "network",
            "object_id": identity,
            "action": _SHARE,
            "target_tenant": project,
        }
        once(
            lambda: cloud.post(self.service, _POLICIES, {"rbac_policy": body}),
            lambda: {} if project in _shared_with(cloud, identity) else None,
        )


def _shared_with(cloud: CloudAPI, identity: str) -> set[str]:
    return {str(policy["target_tenant"]) for policy in _policies(cloud, object_id=identity)}


def _policies(cloud: CloudAPI, **params: str) -> list[dict[str, Any]]:
    """The policies that share networks."""
    if not cloud.has_extension("rbac-policies"):
        return []
    params = {"object_type": "network", "action": _SHARE, **params}
    return cloud.list(Service.NETWORK, _POLICIES, "rbac_policies", params=params)


def _sharing(cloud: CloudAPI, policies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Whether a network is shared with all, and with which projects.

    What the service itself calls shared may be so with none but the project that asks.
    """
    if not cloud.has_extension("rbac-policies"):
        return {"shared_with": []}
    targets = sorted(policy["target_tenant"] for policy in policies)
    return {"shared": "*" in targets, "shared_with": [one for one in targets if one != "*"]}


def _largest_mtu(inventory: Inventory) -> int:
    return max((one.fields.get("mtu") or 0 for one in inventory.of_type("network")), default=0)
