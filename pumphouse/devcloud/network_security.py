"""Security groups and their rules."""

from __future__ import annotations

from typing import Any

from pumphouse.devcloud import addresses, network_rules
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.errors import not_found
from pumphouse.devcloud.network import SHARED, granted
from pumphouse.devcloud.network_api import (
    BEFORE_CREATE,
    COLLECTIONS,
    STANDARD,
    Call,
    Collection,
    Filters,
    in_use,
)
from pumphouse.devcloud.network_attributes import (
    REQUIRED,
    Attribute,
    boolean,
    identifier,
    one_of,
    or_none,
    read_only,
    text,
)
from pumphouse.devcloud.table import Row

DEFAULT = "default"


class SecurityGroups(Collection):
    """A group; it starts with two rules that let everything out."""

    singular = "security_group"
    plural = "security_groups"
    noun = "Security group"
    not_found_type = "SecurityGroupNotFound"
    indexes = ("name",)
    attributes = (
        *STANDARD,
        *read_only("security_group_rules", "shared"),
        Attribute(name="name", check=text(255), default=""),
        Attribute(name="stateful", check=boolean, default=True),
    )

    def missing(self, resource_id: str) -> str:
        """Neutron words this one differently."""
        return f"Security group {resource_id} does not exist"

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """The name of the default group is taken."""
        if values["name"].lower() == DEFAULT:
            raise in_use("Default security group already exists.", "SecurityGroupDefaultAlreadyExists")
        return self.row(call, values)

    def insert(self, call: Call, row: Row) -> None:
        """The group with its automatic rules."""
        super().insert(call, row)
        for ethertype in ("IPv4", "IPv6"):
            _add_rule(call, row, ethertype, "egress")

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """The default group keeps its name; a group whose ports are in use keeps being stateful or not."""
        if row["name"] == DEFAULT and "name" in changes:
            if not call.admin:
                raise in_use(
                    "Updating default security group not allowed.", "SecurityGroupCannotUpdateDefault"
                )
            changes.pop("name")
        if changes.get("name", "").lower() == DEFAULT:
            raise in_use("Default security group already exists.", "SecurityGroupDefaultAlreadyExists")
        if "stateful" in changes and changes["stateful"] != row["stateful"] and users(call.cloud, row["id"]):
            raise in_use(f"Security Group {row['id']} in use.", "SecurityGroupInUse")
        super().change(call, row, changes)

    def remove(self, call: Call, row: Row) -> None:
        """Refused for the default group and while ports use it; rules that name it go with it."""
        if row["name"] == DEFAULT and not call.admin:
            raise in_use(
                "Insufficient rights for removing default security group.", "SecurityGroupCannotRemoveDefault"
            )
        if users(call.cloud, row["id"]):
            raise in_use(f"Security Group {row['id']} in use.", "SecurityGroupInUse")
        rules = RULES.table(call.cloud)
        for rule in [*rules.find(security_group_id=row["id"]), *rules.find(remote_group_id=row["id"])]:
            rules.remove(rule["id"])
        super().remove(call, row)

    def visible(self, call: Call, row: Row) -> bool:
        """Own groups, and those shared with the project."""
        return super().visible(call, row) or granted(call.cloud, row["id"], (SHARED,), call.project)

    def view(self, call: Call, row: Row) -> Row:
        """With its rules."""
        shown = super().view(call, row)
        rules = RULES.table(call.cloud).find(security_group_id=row["id"])
        shown["security_group_rules"] = [RULES.view(call, rule) for rule in rules]
        shown["shared"] = granted(call.cloud, row["id"], (SHARED,), call.project)
        return shown

    def before_list(self, call: Call, filters: Filters) -> None:
        """The first look makes the default group of the project that is looked at."""
        wanted = filters.get("project_id") or filters.get("tenant_id") or [call.project]
        ensure_default(call.cloud, wanted[0])


class SecurityGroupRules(Collection):
    """A rule of a group. Rules are made and deleted, never changed."""

    singular = "security_group_rule"
    plural = "security_group_rules"
    noun = "Security group rule"
    not_found_type = "SecurityGroupRuleNotFound"
    indexes = ("security_group_id", "remote_group_id")
    label = ("direction", "ethertype", "protocol", "port_range_min", "remote_ip_prefix")
    taggable = False
    attributes = (
        *STANDARD,
        *read_only("normalized_cidr", "belongs_to_default_sg"),
        Attribute(name="security_group_id", check=identifier, put=False, default=REQUIRED),
        Attribute(name="direction", check=one_of("ingress", "egress"), put=False, default=REQUIRED),
        Attribute(name="ethertype", check=network_rules.ethertype, put=False, default="IPv4"),
        Attribute(name="protocol", check=network_rules.protocol, put=False, default=None),
        Attribute(name="port_range_min", check=network_rules.port, put=False, default=None),
        Attribute(name="port_range_max", check=network_rules.port, put=False, default=None),
        Attribute(name="remote_ip_prefix", check=network_rules.prefix, put=False, default=None),
        Attribute(name="remote_group_id", check=or_none(identifier), put=False, default=None),
        Attribute(name="remote_address_group_id", check=or_none(identifier), put=False, default=None),
    )

    def missing(self, resource_id: str) -> str:
        """Neutron words this one differently."""
        return f"Security group rule {resource_id} does not exist"

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """A rule that makes sense, names what exists, and is not there yet."""
        network_rules.check(values)
        group = GROUPS.get(call, values["security_group_id"])
        if values["remote_group_id"]:
            GROUPS.get(call, values["remote_group_id"])
        if values["remote_address_group_id"]:
            COLLECTIONS["address_groups"].get(call, values["remote_address_group_id"])
        key = network_rules.key(values)
        for other in self.table(call.cloud).find(security_group_id=group["id"]):
            if network_rules.key(other) == key:
                raise in_use(
                    f"Security group rule already exists. Rule id is {other['id']}.",
                    "SecurityGroupRuleExists",
                )
        prefix = values["remote_ip_prefix"]
        return self.row(call, values, normalized_cidr=str(addresses.subnet(prefix)) if prefix else None)

    def insert(self, call: Call, row: Row) -> None:
        """A new rule is a change of its group."""
        super().insert(call, row)
        GROUPS.save(call.cloud, GROUPS.table(call.cloud)[row["security_group_id"]], {})

    def remove(self, call: Call, row: Row) -> None:
        """So is a rule less."""
        super().remove(call, row)
        GROUPS.save(call.cloud, GROUPS.table(call.cloud)[row["security_group_id"]], {})

    def visible(self, call: Call, row: Row) -> bool:
        """Own rules, and those of own groups."""
        group = GROUPS.table(call.cloud).get(row["security_group_id"])
        return super().visible(call, row) or (group is not None and group["project_id"] == call.project)

    def owned(self, call: Call, row: Row) -> bool:
        """As seen."""
        return self.visible(call, row)

    def before_list(self, call: Call, filters: Filters) -> None:
        """Here too the default group is made first."""
        GROUPS.before_list(call, filters)

    def view(self, call: Call, row: Row) -> Row:
        """Rules have no tags; they tell whether their group is a default one."""
        shown = super().view(call, row)
        shown.pop("tags")
        group = GROUPS.table(call.cloud).get(row["security_group_id"])
        shown["belongs_to_default_sg"] = group is not None and group["name"] == DEFAULT
        return shown


GROUPS = SecurityGroups()
RULES = SecurityGroupRules()


def users(cloud: DevCloud, group_id: str) -> bool:
    """Whether a port has the group."""
    group = GROUPS.table(cloud)[group_id]
    own = cloud.table("ports").find(project_id=group["project_id"])
    if any(group_id in port["security_groups"] for port in own):
        return True
    if not granted(cloud, group_id, (SHARED,), None):
        return False
    return any(group_id in port["security_groups"] for port in cloud.table("ports"))


def default_group(cloud: DevCloud, project: str) -> Row | None:
    """The project's default group, if it has one by now."""
    found = [row for row in GROUPS.table(cloud).find(project_id=project) if row["name"] == DEFAULT]
    return found[0] if found else None


def ensure_default(cloud: DevCloud, project: str) -> None:
    """Make a project's default group, with its four rules, unless it is there."""
    if not project or default_group(cloud, project) is not None:
        return
    call = Call(cloud=cloud, project=project, admin=True)
    values = {
        "name": DEFAULT,
        "description": "Default security group",
        "stateful": True,
        "project_id": project,
    }
    row = GROUPS.row(call, values)
    GROUPS.table(cloud).add(row)
    for ethertype in ("IPv4", "IPv6"):
        _add_rule(call, row, ethertype, "egress")
        _add_rule(call, row, ethertype, "ingress", remote_group_id=row["id"])


def _add_rule(call: Call, group: Row, ethertype: str, direction: str, **more: Any) -> None:
    optional = (attribute.name for attribute in RULES.attributes if attribute.default is None)
    values: dict[str, Any] = dict.fromkeys(optional)
    values |= {
        "security_group_id": group["id"],
        "ethertype": ethertype,
        "direction": direction,
        "description": "",
    }
    values |= {"project_id": group["project_id"], "normalized_cidr": None, **more}
    RULES.table(call.cloud).add(RULES.row(call, values))


def check_groups(call: Call, group_ids: list[str]) -> None:
    """404 for a group that is not there or not visible."""
    for group_id in group_ids:
        row = GROUPS.table(call.cloud).get(group_id)
        if row is None or not GROUPS.visible(call, row):
            raise not_found(GROUPS.missing(group_id), type=GROUPS.not_found_type)


def _default_first(call: Call, collection: Collection, project: str) -> None:
    if collection.plural in ("networks", "ports", "security_groups", "security_group_rules"):
        ensure_default(call.cloud, project)


BEFORE_CREATE.append(_default_first)
