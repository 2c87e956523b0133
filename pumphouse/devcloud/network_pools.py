"""Subnet pools and address scopes: where subnets without a cidr of their own come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pumphouse.devcloud import addresses
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.errors import Fault, bad_request, conflict, not_found
from pumphouse.devcloud.network_api import COLLECTIONS, STANDARD, Call, Collection, in_use, invalid
from pumphouse.devcloud.network_attributes import (
    REQUIRED,
    UNSET,
    Attribute,
    boolean,
    cidr,
    identifier,
    integer,
    listed,
    one_of,
    or_none,
    read_only,
    text,
)
from pumphouse.devcloud.table import Row


class AddressScopes(Collection):
    """A set of subnet pools whose prefixes never overlap."""

    singular = "address_scope"
    plural = "address_scopes"
    noun = "Address scope"
    not_found_type = "AddressScopeNotFound"
    taggable = False
    attributes = (
        *(attribute for attribute in STANDARD if attribute.name != "description"),
        Attribute(name="name", check=text(255), default=""),
        Attribute(name="ip_version", check=one_of(4, 6), put=False, default=REQUIRED),
        Attribute(name="shared", check=boolean, default=False, policy=True),
    )

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """Sharing cannot be taken back."""
        if row["shared"] and changes.get("shared") is False:
            raise bad_request(
                f"Unable to update address scope {row['id']} : Shared address scope can't be unshared.",
                type="AddressScopeUpdateError",
            )
        super().change(call, row, changes)

    def remove(self, call: Call, row: Row) -> None:
        """Refused while pools are in it."""
        if call.cloud.table("subnetpools").find(address_scope_id=row["id"]):
            raise in_use(
                f"Unable to complete operation on address scope {row['id']}. There are one or more subnet "
                "pools in use "
                "on the address scope.",
                "AddressScopeInUse",
            )
        super().remove(call, row)

    def visible(self, call: Call, row: Row) -> bool:
        """Own and shared ones."""
        return super().visible(call, row) or bool(row["shared"])


class SubnetPools(Collection):
    """Prefixes from which subnets are cut."""

    singular = "subnetpool"
    plural = "subnetpools"
    noun = "Subnet pool"
    not_found_type = "SubnetPoolNotFound"
    indexes = ("address_scope_id", "name")
    attributes = (
        *STANDARD,
        *read_only("ip_version"),
        Attribute(name="name", check=text(255), default=REQUIRED),
        Attribute(name="prefixes", check=listed(cidr), default=REQUIRED),
        Attribute(name="default_quota", check=or_none(integer(0)), default=None),
        Attribute(name="default_prefixlen", check=integer(0, 128)),
        Attribute(name="min_prefixlen", check=integer(0, 128)),
        Attribute(name="max_prefixlen", check=integer(0, 128)),
        Attribute(name="is_default", check=boolean, default=False, policy=True),
        Attribute(name="shared", check=boolean, put=False, default=False, policy=True),
        Attribute(name="address_scope_id", check=or_none(identifier), default=None),
    )

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """A pool with one IP version and lengths that fit together."""
        versions = {addresses.subnet(prefix).version for prefix in values["prefixes"]}
        if not versions:
            raise bad_request("Empty subnet pool prefix list.", type="EmptySubnetPoolPrefixList")
        if len(versions) > 1:
            raise bad_request(
                "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", type="PrefixVersionMismatch"
            )
        version = versions.pop()
        values["prefixes"] = merged(values["prefixes"])
        bits = 32 if version == 4 else 128
        defaults = {"min_prefixlen": 8 if version == 4 else 64, "max_prefixlen": bits}
        for name, default in defaults.items():
            values[name] = default if values[name] is UNSET else values[name]
        if values["default_prefixlen"] is UNSET:
            values["default_prefixlen"] = values["min_prefixlen"]
        _check_lengths(values)
        self._check_scope(call, values["address_scope_id"], version, values["prefixes"], None)
        self._check_default(call, values, version)
        return self.row(call, values, ip_version=version)

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """Prefixes may only grow; the lengths must still fit."""
        if "prefixes" in changes:
            if any(not addresses.covered(prefix, changes["prefixes"]) for prefix in row["prefixes"]):
                raise bad_request(
                    "Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.",
                    type="IllegalSubnetPoolPrefixUpdate",
                )
            changes["prefixes"] = merged(changes["prefixes"])
        after = {**row, **changes}
        _check_lengths(after)
        self._check_scope(call, after["address_scope_id"], row["ip_version"], after["prefixes"], row["id"])
        if changes.get("is_default") and not row["is_default"]:
            self._check_default(call, changes, row["ip_version"])
        super().change(call, row, changes)

    def _check_default(self, call: Call, values: Mapping[str, Any], version: int) -> None:
        if values["is_default"] and any(
            pool["is_default"] and pool["ip_version"] == version for pool in self.table(call.cloud)
        ):
            raise invalid(
                "A default subnetpool for this IP family has already been set. Only one default may exist"
            )

    def _check_scope(
        self, call: Call, scope_id: str | None, version: int, prefixes: list[str], own_id: str | None
    ) -> None:
        if scope_id is None:
            return
        scope = COLLECTIONS["address_scopes"].get(call, scope_id)
        if scope["ip_version"] != version:
            raise bad_request(
                "Illegal subnetpool association: subnetpool cannot associate with address scope of another "
                "IP version.",
                type="IllegalSubnetPoolIpVersionAssociationToAddressScope",
            )
        others = [
            pool for pool in self.table(call.cloud).find(address_scope_id=scope_id) if pool["id"] != own_id
        ]
        if any(
            addresses.overlap(mine, theirs)
            for pool in others
            for theirs in pool["prefixes"]
            for mine in prefixes
        ):
            raise conflict(
                "Failed to associate address scope: subnetpools within an address scope must have unique "
                "prefixes.",
                type="AddressScopePrefixConflict",
            )

    def remove(self, call: Call, row: Row) -> None:
        """Refused while subnets come from it."""
        if call.cloud.table("subnets").find(subnetpool_id=row["id"]):
            raise bad_request(
                "Unable to delete subnet pool: Subnet pool has existing allocations.",
                type="SubnetPoolDeleteError",
            )
        super().remove(call, row)

    def visible(self, call: Call, row: Row) -> bool:
        """Own and shared ones."""
        return super().visible(call, row) or bool(row["shared"])


ADDRESS_SCOPES = AddressScopes()
SUBNET_POOLS = SubnetPools()


def merged(prefixes: list[str]) -> list[str]:
    """The prefixes without those that lie inside another, sorted."""
    unique = sorted(set(prefixes))
    return [
        one for one in unique if not any(one != other and addresses.covered(one, [other]) for other in unique)
    ]


def pool_for(call: Call, values: Mapping[str, Any]) -> Row | None:
    """The pool that a new subnet names or that is the default; None when it brings a cidr of its own."""
    if values["use_default_subnetpool"]:
        found = [
            pool
            for pool in SUBNET_POOLS.table(call.cloud)
            if pool["is_default"] and pool["ip_version"] == values["ip_version"]
        ]
        if not found:
            raise bad_request(
                f"Bad subnets request: no default subnetpool found for IPv{values['ip_version']}.",
                type="BadRequest",
            )
        return found[0]
    if not values["subnetpool_id"]:
        return None
    row = SUBNET_POOLS.table(call.cloud).get(values["subnetpool_id"])
    if row is None or not SUBNET_POOLS.visible(call, row):
        raise not_found(
            f"Subnet pool {values['subnetpool_id']} could not be found.", type="SubnetPoolNotFound"
        )
    if row["ip_version"] != values["ip_version"]:
        raise bad_request(
            "Bad subnets request: Cannot allocate subnet with another IP version than its subnet pool.",
            type="BadRequest",
        )
    return row


def allocate(cloud: DevCloud, pool: Row, wanted: str | None, length: int | None) -> str:
    """A cidr of the pool: the wanted one if it is free, or the first free one of this length."""
    taken = [subnet["cidr"] for subnet in cloud.table("subnets").find(subnetpool_id=pool["id"])]
    size = addresses.subnet(wanted).prefixlen if wanted else length or pool["default_prefixlen"]
    for kind, wrong in (("Min", size < pool["min_prefixlen"]), ("Max", size > pool["max_prefixlen"])):
        if wrong:
            bound = pool[f"{kind.lower()}_prefixlen"]
            raise bad_request(
                f"Unable to allocate subnet with prefix length {size}, {kind.lower()}imum allowed prefix is "
                f"{bound}.",
                type=f"{kind}PrefixSubnetAllocationError",
            )
    if wanted is None:
        found = addresses.free_subnet(pool["prefixes"], size, taken)
        if found is None:
            raise _failed(f"Insufficient prefix space to allocate subnet size /{size}")
        return found
    if not addresses.covered(wanted, pool["prefixes"]) or any(
        addresses.overlap(wanted, cidr) for cidr in taken
    ):
        raise _failed("Cannot allocate requested subnet from the available set of prefixes")
    return wanted


def _failed(reason: str) -> Fault:
    """Neutron has no better status for this one than 500."""
    return Fault(500, f"Failed to allocate subnet: {reason}.", type="SubnetAllocationError")


def _check_lengths(values: Mapping[str, Any]) -> None:
    low, default, high = (values[f"{name}_prefixlen"] for name in ("min", "default", "max"))
    if not low <= default <= high:
        raise bad_request(
            f"Illegal prefix bounds: min_prefixlen={low}, default_prefixlen={default}, max_prefixlen={high}.",
            type="IllegalSubnetPoolPrefixBounds",
        )
