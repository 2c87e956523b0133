"""RBAC policies: who else may use a project's network, group, pool or scope."""

from __future__ import annotations

from typing import Any

from pumphouse.devcloud.errors import bad_request, forbidden, not_found
from pumphouse.devcloud.network import EXTERNAL, SHARED, shared_setting_in_use
from pumphouse.devcloud.network_api import COLLECTIONS, Call, Collection, in_use
from pumphouse.devcloud.network_attributes import REQUIRED, Attribute, identifier, one_of, read_only, text
from pumphouse.devcloud.table import Row

OBJECT_TYPES = {
    "network": "networks",
    "security_group": "security_groups",
    "qos_policy": "policies",
    "address_scope": "address_scopes",
    "address_group": "address_groups",
    "subnetpool": "subnetpools",
}


class RbacPolicies(Collection):
    """A policy. Each network that is shared or external has one for everybody (`*`)."""

    singular = "rbac_policy"
    plural = "rbac_policies"
    noun = "RBAC policy of type"
    not_found_type = "RbacPolicyNotFound"
    indexes = ("object_id",)
    label = ("object_type", "action", "target_tenant")
    taggable = False
    attributes = (
        *read_only("id"),
        Attribute(name="tenant_id", check=text(255), put=False),
        Attribute(name="project_id", check=text(255), put=False),
        Attribute(name="object_type", check=one_of(*OBJECT_TYPES), put=False, default=REQUIRED),
        Attribute(name="object_id", check=identifier, put=False, default=REQUIRED),
        Attribute(name="action", check=one_of(SHARED, EXTERNAL), put=False, default=REQUIRED),
        Attribute(name="target_tenant", check=text(255), default=REQUIRED),
    )

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """A policy on an object that the caller owns; only admins share with everybody."""
        target = COLLECTIONS[OBJECT_TYPES[values["object_type"]]]
        found = target.table(call.cloud).get(values["object_id"])
        if found is None or not target.visible(call, found):
            raise not_found(target.missing(values["object_id"]), type=target.not_found_type)
        if not target.owned(call, found):
            raise forbidden("rule:create_rbac_policy is disallowed by policy")
        self._check_wildcard(call, values["target_tenant"], "create")
        if values["action"] == EXTERNAL and (values["object_type"] != "network" or not call.admin):
            raise bad_request(f"Action {EXTERNAL} is not valid here.", type="RbacPolicyInvalidAction")
        values.pop("tenant_id")
        same = ("action", "target_tenant")
        for other in self.table(call.cloud).find(object_id=values["object_id"]):
            if all(other[key] == values[key] for key in same):
                raise in_use("An RBAC policy already exists with those values.", "DuplicateRbacPolicy")
        return {"id": call.cloud.new_id(), **values}

    @staticmethod
    def _check_wildcard(call: Call, target: str, action: str) -> None:
        if target == "*" and not call.admin:
            rule = f"{action}_rbac_policy"
            raise forbidden(f"(rule:{rule} and rule:{rule}:target_tenant) is disallowed by policy")

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """Give the access to another project instead."""
        self._check_wildcard(call, changes.get("target_tenant", ""), "update")
        self._check_unused(call, row)
        self.table(call.cloud).update(row["id"], changes)

    def remove(self, call: Call, row: Row) -> None:
        """Refused while the project that has the access uses it."""
        self._check_unused(call, row)
        super().remove(call, row)

    def _check_unused(self, call: Call, row: Row) -> None:
        """A network's access cannot be taken from projects that have ports (or floating IPs) there."""
        if row["object_type"] != "network":
            return
        network = call.cloud.table("networks").get(row["object_id"])
        if network is None:
            return
        policies = [p for p in self.table(call.cloud).find(object_id=network["id"]) if p["id"] != row["id"]]
        kept = {policy["target_tenant"] for policy in policies if policy["action"] == row["action"]}
        losers = {
            user["project_id"]
            for user in self._users(call, row, network)
            if user["project_id"] not in ("", network["project_id"], *kept) and "*" not in kept
        }
        if row["target_tenant"] != "*":
            losers &= {row["target_tenant"]}
        if losers:
            if row["action"] == SHARED:
                raise shared_setting_in_use(network)
            raise in_use(
                f"External network {network['id']} cannot be updated to be made non-external, since it has "
                "existing "
                "gateway ports.",
                "ExternalNetworkInUse",
            )

    @staticmethod
    def _users(call: Call, row: Row, network: Row) -> list[Row]:
        if row["action"] == SHARED:
            return call.cloud.table("ports").find(network_id=network["id"])
        routers = call.cloud.table("routers")
        gateways = call.cloud.table("ports").find(network_id=network["id"])
        owners = [routers.get(port["device_id"]) for port in gateways]
        return [
            *(owner for owner in owners if owner is not None),
            *call.cloud.table("floatingips").find(floating_network_id=network["id"]),
        ]

    def view(self, call: Call, row: Row) -> Row:  # noqa: ARG002 - everybody sees all of it
        """As stored."""
        return {**row, "tenant_id": row["project_id"]}


RBAC_POLICIES = RbacPolicies()
