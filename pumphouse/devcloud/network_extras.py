"""Address groups, QoS policies and trunks, which other resources refer to."""

from __future__ import annotations

from typing import Any

from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.network import SHARED, granted
from pumphouse.devcloud.network_api import COLLECTIONS, STANDARD, Call, Collection, in_use
from pumphouse.devcloud.network_attributes import (
    REQUIRED,
    Attribute,
    boolean,
    cidr,
    identifier,
    integer,
    listed,
    mapping,
    one_of,
    read_only,
    requiring,
    text,
    unique,
)
from pumphouse.devcloud.network_ports import PORTS
from pumphouse.devcloud.services import NETWORK
from pumphouse.devcloud.table import Row


class Shareable(Collection):
    """A resource that RBAC policies may share."""

    def visible(self, call: Call, row: Row) -> bool:
        """Own ones, and those shared with the project."""
        return super().visible(call, row) or granted(call.cloud, row["id"], (SHARED,), call.project)

    def view(self, call: Call, row: Row) -> Row:
        """Tells whether it is shared."""
        return {**super().view(call, row), "shared": granted(call.cloud, row["id"], (SHARED,), call.project)}


class AddressGroups(Shareable):
    """A named list of addresses for security group rules."""

    singular = "address_group"
    plural = "address_groups"
    noun = "Address group"
    not_found_type = "AddressGroupNotFound"
    taggable = False
    attributes = (
        *STANDARD,
        *read_only("shared"),
        Attribute(name="name", check=text(255), default=""),
        Attribute(name="addresses", check=unique(listed(cidr)), put=False, default=[]),
    )

    def remove(self, call: Call, row: Row) -> None:
        """Refused while a rule names it."""
        rules = COLLECTIONS["security_group_rules"].table(call.cloud)
        if any(rule["remote_address_group_id"] == row["id"] for rule in rules):
            raise in_use(
                f"Address group {row['id']} is in use on one or more security group rules.",
                "AddressGroupInUse",
            )
        super().remove(call, row)


class Policies(Shareable):
    """A QoS policy; its rules are a collection of their own below it."""

    singular = "policy"
    plural = "policies"
    path = "qos/policies"
    noun = "QoS policy"
    not_found_type = "QosPolicyNotFound"
    write_role = "admin"
    attributes = (
        *STANDARD,
        *read_only("rules"),
        Attribute(name="name", check=text(255), default=REQUIRED),
        Attribute(name="shared", check=boolean, default=False, hidden=True),
        Attribute(name="is_default", check=boolean, default=False),
    )

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """A policy without rules."""
        return {**self.row(call, values), "rules": []}

    def insert(self, call: Call, row: Row) -> None:
        """Sharing is an RBAC policy."""
        shared = row.pop("shared")
        super().insert(call, row)
        if shared:
            grant = {
                "object_type": "qos_policy",
                "object_id": row["id"],
                "action": SHARED,
                "target_tenant": "*",
            }
            call.cloud.table("rbac_policies").add(
                {"id": call.cloud.new_id(), "project_id": row["project_id"], **grant}
            )

    def remove(self, call: Call, row: Row) -> None:
        """Refused while a port or network has it."""
        for plural in ("ports", "networks", "floatingips"):
            users = [user["id"] for user in call.cloud.table(plural) if user["qos_policy_id"] == row["id"]]
            if users:
                raise in_use(f"QoS Policy {row['id']} is used by {plural[:-1]} {users[0]}.", "QosPolicyInUse")
        for policy in call.cloud.table("rbac_policies").find(object_id=row["id"]):
            call.cloud.table("rbac_policies").remove(policy["id"])
        super().remove(call, row)


_direction = one_of("egress", "ingress")
_RULES = {
    "bandwidth_limit": requiring(
        mapping(max_kbps=integer(0), max_burst_kbps=integer(0), direction=_direction), "max_kbps"
    ),
    "dscp_marking": requiring(mapping(dscp_mark=integer(0, 56)), "dscp_mark"),
    "minimum_bandwidth": requiring(mapping(min_kbps=integer(0), direction=_direction), "min_kbps"),
}


@NETWORK.route("GET", "/qos/policies/{policy_id}/{kind}")
def list_qos_rules(cloud: DevCloud, request: ApiRequest, policy_id: str, kind: str) -> dict[str, Any]:
    """The rules of one kind."""
    policy, name = _policy(cloud, request, policy_id, kind)
    return {f"{name}_rules": [_bare(rule) for rule in policy["rules"] if rule["type"] == name]}


@NETWORK.route(
    "POST", "/qos/policies/{policy_id}/{kind}", status=201, role="admin", policy="create_policy_rule"
)
def create_qos_rule(cloud: DevCloud, request: ApiRequest, policy_id: str, kind: str) -> dict[str, Any]:
    """A new rule; one of a kind (and direction) is enough."""
    policy, name = _policy(cloud, request, policy_id, kind)
    try:
        values = _RULES[name](request.member(f"{name}_rule"))
    except ValueError as error:
        raise bad_request(f"Invalid input for {name}_rule. Reason: {error}") from None
    if name != "dscp_marking":
        values.setdefault("direction", "egress")
    if name == "bandwidth_limit":
        values.setdefault("max_burst_kbps", 0)
    for rule in policy["rules"]:
        if rule["type"] == name and rule.get("direction") == values.get("direction"):
            raise in_use(
                f"Rule {rule['id']} of type {name} already exists in QoS policy {policy_id}.",
                "QoSRulesConflict",
            )
    rule = {"id": cloud.new_id(), "qos_policy_id": policy_id, "type": name, **values}
    POLICIES.save(cloud, policy, {"rules": [*policy["rules"], rule]})
    return {f"{name}_rule": _bare(rule)}


@NETWORK.route("DELETE", "/qos/policies/{policy_id}/{kind}/{rule_id}", status=204, role="admin")
def delete_qos_rule(cloud: DevCloud, request: ApiRequest, policy_id: str, kind: str, rule_id: str) -> None:
    """A rule less."""
    policy, _ = _policy(cloud, request, policy_id, kind)
    left = [rule for rule in policy["rules"] if rule["id"] != rule_id]
    if len(left) == len(policy["rules"]):
        raise not_found(
            f"QoS rule {rule_id} for policy {policy_id} could not be found.", type="QosRuleNotFound"
        )
    POLICIES.save(cloud, policy, {"rules": left})


def _policy(cloud: DevCloud, request: ApiRequest, policy_id: str, kind: str) -> tuple[Row, str]:
    name = kind.removesuffix("_rules")
    if name not in _RULES or name == kind:
        raise not_found("The resource could not be found.", type="HTTPNotFound")
    return POLICIES.get(Call.of(cloud, request), policy_id), name


def _bare(rule: Row) -> Row:
    return {key: value for key, value in rule.items() if key not in ("type", "qos_policy_id")}


_sub_port = requiring(
    mapping(
        port_id=identifier, segmentation_type=one_of("vlan", "inherit"), segmentation_id=integer(1, 4094)
    ),
    "port_id",
)
_sub_ports = listed(_sub_port)


class Trunks(Collection):
    """A trunk: one parent port that carries others."""

    singular = "trunk"
    plural = "trunks"
    noun = "Trunk"
    not_found_type = "TrunkNotFound"
    indexes = ("port_id",)
    attributes = (
        *STANDARD,
        *read_only("status"),
        Attribute(name="name", check=text(255), default=""),
        Attribute(name="admin_state_up", check=boolean, default=True),
        Attribute(name="port_id", check=identifier, put=False, default=REQUIRED),
        Attribute(name="sub_ports", check=_sub_ports, put=False, default=[]),
    )

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """A trunk over ports that carry none yet."""
        PORTS.get(call, values["port_id"])
        if self.table(call.cloud).find(port_id=values["port_id"]):
            raise in_use(f"Port {values['port_id']} is in use by another trunk.", "ParentPortInUse")
        row = self.row(call, values, status="ACTIVE")
        row["sub_ports"] = []
        row["sub_ports"] = self.with_sub_ports(call, row, values["sub_ports"])
        return row

    def with_sub_ports(self, call: Call, row: Row, added: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The sub-ports with more of them, when these are free."""
        taken = {
            sub["port_id"]: trunk["id"] for trunk in self.table(call.cloud) for sub in trunk["sub_ports"]
        }
        segments = {(sub["segmentation_type"], sub["segmentation_id"]) for sub in row["sub_ports"]}
        for sub in added:
            PORTS.get(call, sub["port_id"])
            if sub["port_id"] in taken or sub["port_id"] == row["port_id"]:
                raise in_use(f"Port {sub['port_id']} is in use by another trunk.", "PortInUseAsSubPort")
            segment = (sub.setdefault("segmentation_type", "vlan"), sub.get("segmentation_id"))
            if segment in segments:
                raise in_use(
                    f"segmentation_type {segment[0]} and segmentation_id {segment[1]} already in use on "
                    f"trunk {row['id']}.",
                    "DuplicateSubPort",
                )
            segments.add(segment)
        return [*row["sub_ports"], *added]


ADDRESS_GROUPS = AddressGroups()
POLICIES = Policies()
TRUNKS = Trunks()


@NETWORK.route("PUT", "/trunks/{trunk_id}/add_subports")
def add_subports(cloud: DevCloud, request: ApiRequest, trunk_id: str) -> dict[str, Any]:
    """More sub-ports."""
    call = Call.of(cloud, request)
    row = TRUNKS.get(call, trunk_id)
    TRUNKS.save(cloud, row, {"sub_ports": TRUNKS.with_sub_ports(call, row, _given(request))})
    return TRUNKS.view(call, row)


@NETWORK.route("PUT", "/trunks/{trunk_id}/remove_subports")
def remove_subports(cloud: DevCloud, request: ApiRequest, trunk_id: str) -> dict[str, Any]:
    """Fewer sub-ports."""
    call = Call.of(cloud, request)
    row = TRUNKS.get(call, trunk_id)
    gone = {sub["port_id"] for sub in _given(request)}
    TRUNKS.save(cloud, row, {"sub_ports": [sub for sub in row["sub_ports"] if sub["port_id"] not in gone]})
    return TRUNKS.view(call, row)


@NETWORK.route("GET", "/trunks/{trunk_id}/get_subports")
def get_subports(cloud: DevCloud, request: ApiRequest, trunk_id: str) -> dict[str, Any]:
    """The sub-ports alone."""
    return {"sub_ports": TRUNKS.get(Call.of(cloud, request), trunk_id)["sub_ports"]}


@NETWORK.route("PUT", "/address-groups/{group_id}/add_addresses")
def add_addresses(cloud: DevCloud, request: ApiRequest, group_id: str) -> dict[str, Any]:
    """More addresses."""
    return _change_addresses(cloud, request, group_id, lambda old, given: sorted({*old, *given}))


@NETWORK.route("PUT", "/address-groups/{group_id}/remove_addresses")
def remove_addresses(cloud: DevCloud, request: ApiRequest, group_id: str) -> dict[str, Any]:
    """Fewer addresses."""
    return _change_addresses(cloud, request, group_id, lambda old, given: sorted({*old} - {*given}))


def _change_addresses(cloud: DevCloud, request: ApiRequest, group_id: str, change: Any) -> dict[str, Any]:
    call = Call.of(cloud, request)
    row = ADDRESS_GROUPS.get(call, group_id)
    given = [cidr(address) for address in request.member("address_group").get("addresses", [])]
    ADDRESS_GROUPS.save(cloud, row, {"addresses": change(row["addresses"], given)})
    return {"address_group": ADDRESS_GROUPS.view(call, row)}


def _given(request: ApiRequest) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = _sub_ports(request.json_object().get("sub_ports"))
    except ValueError as error:
        raise bad_request(f"Invalid input for sub_ports. Reason: {error}") from None
    return found
