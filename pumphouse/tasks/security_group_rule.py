"""Rules of security groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import Field, copy, drop, ref
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Adopt, Policy, Problem, Reach, ScopeLevel, Severity, Want
from pumphouse.rest import STANDARD, NeutronType
from pumphouse.security_rules import normal
from pumphouse.steps import Create, Verify

SPELT = frozenset({"protocol", "port_range_min", "port_range_max", "remote_ip_prefix"})
"""What may be spelt in several ways: ``6`` and ``tcp``, ``0.0.0.0/0`` and nothing."""


class SecurityGroupRule(NeutronType):
    """What one security group lets through. It takes no tags; it is what it says.

    Groups come first and rules after all of them, so that groups which name each other work.
    """

    name = "security_group_rule"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    adopt = Adopt.ALWAYS
    marked = False
    adopts_alike = True
    tagged = False
    after = ("security_group",)
    path, item, items = "/security-group-rules", "security_group_rule", "security_group_rules"
    fields = (
        ref("security_group_id", to="security_group", key=True, part_of=True),
        copy("direction", key=True, fixed=True),
        copy("ethertype", key=True, fixed=True),
        copy("protocol", key=True, fixed=True),
        copy("port_range_min", key=True, fixed=True),
        copy("port_range_max", key=True, fixed=True),
        copy("remote_ip_prefix", key=True, fixed=True),
        ref("remote_group_id", to="security_group", key=True),
        copy("description", fixed=True, default=""),
        *STANDARD,
        drop("project_id", why="it is its group's"),
        drop("remote_address_group_id", why="address groups are not carried; the plan blocks the rule"),
        drop("normalized_cidr", why="it follows from remote_ip_prefix"),
        drop("belongs_to_default_sg", why="it follows from its group"),
        drop("tags", why="the service takes none for rules"),
    )
    steps = (Create, Verify)

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list. A rule belongs to its group's project, whoever made it."""
        names = {group.ref.id: group.name for group in seen.of_type("security_group")}
        for body in cloud.each(self.service, self.path, self.items):
            rule = self.read(body)
            group = seen.get(Ref("security_group", body["security_group_id"]))
            if group is None:
                yield rule
            else:
                name = f"{group.name}: {_title(normal(body), names)}"
                yield replace(rule, name=name, project_id=group.project_id)

    def read(self, body: Mapping[str, Any]) -> Resource:
        """A body in its own spelling, named by what it says."""
        return replace(super().read(body), name=_title(normal(body), {}))

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The address group that it names."""
        return {"remote_address_group_id": body["remote_address_group_id"]}

    def identity(self, fields: Mapping[str, Any], *, policy: Policy = Policy.MOVE) -> tuple[Any, ...] | None:
        """What it says: to the service, rules that differ only in their spelling are duplicates."""
        return super().identity(normal(fields), policy=policy)

    def may_change(self, field: Field, wanted: Resource, there: Resource) -> str:
        """The spelling, where the destination had a rule that says the same."""
        said = field.name in SPELT and normal(wanted.fields)[field.name] == normal(there.fields)[field.name]
        return "the destination had a rule that says the same in another spelling" if said else ""

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One rule."""
        return {"network.security_group_rule": 1}

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Without its address group a rule would let everybody through."""
        if resource.facts["remote_address_group_id"]:
            yield Problem(
                severity=Severity.BLOCK,
                field="remote_address_group_id",
                summary="it names an address group, which is not carried, and would let everybody through",
                next_step="Leave the rule out, and make it with its address group on the destination.",
            )

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """POST, in its group's project."""
        body = {**self.body(want), "project_id": want.project_id}
        answer = cloud.post(self.service, self.path, {self.item: body})
        return str(answer[self.item]["id"])

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """The rule of the group that says the same."""
        params = {"security_group_id": want.fields["security_group_id"]}
        for body in cloud.each(self.service, self.path, self.items, params=params):
            rule = self.read(body)
            same = self.identity(rule.fields) == self.identity(want.fields)
            if same and not rule.facts["remote_address_group_id"] and rule.ref.id not in want.others:
                return rule.ref.id
        return None


def _title(rule: Mapping[str, Any], groups: Mapping[str, str]) -> str:
    """What a person reads: ``ingress IPv4 tcp 80-443 from 10.0.0.0/8``. ``groups`` are names by id."""
    low, high = rule["port_range_min"], rule["port_range_max"]
    ports = "" if low is None else str(low) if low == high else f"{low}-{'' if high is None else high}"
    group = rule["remote_group_id"]
    remote = rule["remote_ip_prefix"] or groups.get(group, group) or rule["remote_address_group_id"]
    side = "from" if rule["direction"] == "ingress" else "to"
    words = (rule["direction"], rule["ethertype"], rule["protocol"], ports, f"{side} {remote or 'any'}")
    return " ".join(word for word in words if word)
