"""Security groups of the network service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import ScopeLevel, Want
from pumphouse.rest import STANDARD, NeutronType
from pumphouse.security_rules import SAID, says
from pumphouse.steps import Create, Verify

DEFAULT = "default"
"""The name of the group that the service makes for every project. It cannot be given or changed."""

_REMOTE_GROUP = SAID.index("remote_group_id")
_RULES_PATH = "/security-group-rules"


class SecurityGroup(NeutronType):
    """A project's security group. Its rules are a type of their own, so that groups may name each other.

    A group is born with rules. Of these, what the source's group lacks is removed at once.
    """

    name = "security_group"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    described = True
    path, item, items = "/security-groups", "security_group", "security_groups"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        copy("description", default=""),
        copy("stateful", extension="stateful-security-group", fixed=True, default=True),
        copy("tags", unordered=True, default=[]),
        *STANDARD,
        drop("shared", why="it follows from RBAC policies"),
        drop("security_group_rules", why="a rule is a type of its own"),
    )
    steps = (Create, Verify)

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What its rules say; ``itself`` stands for the group."""
        rules = body.get("security_group_rules", [])
        return {"rules": sorted((list(says(rule, group=body["id"])) for rule in rules), key=repr)}

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One group."""
        return {"network.security_group": 1}

    # -- writing

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """POST, but for the default group: asking for the project's groups makes it."""
        if want.fields["name"] != DEFAULT:
            return super().create(cloud, want)
        found = cloud.list(
            self.service,
            self.path,
            self.items,
            params={"project_id": want.fields["project_id"], "name": DEFAULT},
        )
        return str(found[0]["id"])

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Remove the rules it was born with and the source lacks, then tag it.

        Rules that name other groups are never automatic, and so are left.
        """
        group = cloud.get(self.service, f"{self.path}/{identity}")[self.item]
        wanted = {tuple(rule) for rule in want.source.facts["rules"]}
        for rule in group["security_group_rules"]:
            said = says(rule, group=identity)
            if said not in wanted and said[_REMOTE_GROUP] in {None, "itself"}:
                cloud.delete(self.service, f"{_RULES_PATH}/{rule['id']}")
        super().finish(cloud, identity, want, there=there)
