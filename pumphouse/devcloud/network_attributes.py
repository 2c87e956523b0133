"""What the attributes of network resources accept: each resource is a declared list of attributes.

A check takes the value of the request and returns the value to keep; it raises ValueError with Neutron's
reason.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pumphouse.devcloud import addresses
from pumphouse.devcloud.errors import bad_request

Check = Callable[[Any], Any]


class _Unset:
    """The value of an attribute that the request does not name (None is a value of its own)."""

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = _Unset()
REQUIRED: Final = _Unset()


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute: its check, its default, whether POST and PUT take it, and who may set it.

    `policy` set: a caller who neither is admin nor owns the resource's network is refused with 403
    (`owner_may` False: everybody but an admin). A hidden attribute is taken, and never shown.
    """

    name: str
    check: Check = lambda value: value
    post: bool = True
    put: bool = True
    default: Any = UNSET
    policy: bool = False
    owner_may: bool = False
    hidden: bool = False


def read_only(*names: str) -> list[Attribute]:
    """Attributes that the service itself sets."""
    return [Attribute(name=name, post=False, put=False) for name in names]


def text(limit: int) -> Check:
    """A string of at most `limit` characters."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"'{value}' is not a valid string.")  # noqa: TRY004 - a check has one error
        if len(value) > limit:
            raise ValueError(f"'{value}' exceeds maximum length of {limit}.")
        return value

    return check


def boolean(value: Any) -> bool:
    """A boolean in any of the spellings that Neutron takes."""
    known = {"true": True, "1": True, "false": False, "0": False}
    found = known.get(str(value).lower())
    if found is None:
        raise ValueError(f"'{value}' cannot be converted to boolean.")
    return found


def integer(low: int, high: int | None = None) -> Check:
    """An integer within bounds, as a number or as text."""

    def check(value: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise ValueError(f"'{value}' is not an integer.") from None
        if number < low or (high is not None and number > high):
            raise ValueError(f"'{value}' is not in the range from {low} to {high}.")
        return number

    return check


def one_of(*values: Any) -> Check:
    """One of the given values; numbers also as text."""

    def check(value: Any) -> Any:
        for known in values:
            if value == known or (isinstance(known, int) and str(value) == str(known)):
                return known
        raise ValueError(f"'{value}' is not in {list(values)}.")

    return check


def or_none(check: Check) -> Check:
    """The same check, and null."""
    return lambda value: None if value is None else check(value)


def listed(check: Check) -> Check:
    """A list, each item checked; null is the empty list."""

    def check_all(value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise ValueError(f"'{value}' is not a list.")  # noqa: TRY004 - a check has one error
        return [check(item) for item in value]

    return check_all


def unique(check: Check) -> Check:
    """A list without duplicates."""

    def check_unique(value: Any) -> list[Any]:
        items: list[Any] = check(value)
        seen: list[Any] = []
        for item in items:
            if item in seen:
                raise ValueError(f"Duplicate items in the list: '{item}'.")
            seen.append(item)
        return items

    return check_unique


def identifier(value: Any) -> str:
    """A UUID."""
    try:
        uuid.UUID(str(value))
    except ValueError:
        raise ValueError(f"'{value}' is not a valid UUID.") from None
    return str(value)


def ip_address(value: Any) -> str:
    """An IP address, in its canonical spelling."""
    try:
        return addresses.normal(str(value))
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP address.") from None


def cidr(value: Any) -> str:
    """A CIDR, host bits dropped."""
    try:
        return str(addresses.subnet(str(value)))
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP subnet.") from None


def mac_address(value: Any) -> str:
    """A MAC address, in lower case with colons."""
    text_value = str(value).lower().replace("-", ":")
    if not addresses.is_mac(text_value):
        raise ValueError(f"'{value}' is not a valid MAC address.")
    return text_value


def mapping(**checks: Check) -> Check:
    """An object with only these keys, those present checked."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError(f"'{value}' is not a dictionary.")  # noqa: TRY004 - a check has one error
        unknown = sorted(set(value) - set(checks))
        if unknown:
            raise ValueError(f"Unexpected keys supplied: {', '.join(unknown)}.")
        return {key: checks[key](item) for key, item in value.items()}

    return check


def requiring(check: Check, *keys: str) -> Check:
    """An object in which these keys must be."""

    def check_keys(value: Any) -> dict[str, Any]:
        found: dict[str, Any] = check(value)
        missing = [key for key in keys if key not in found]
        if missing:
            raise ValueError(f"Expected keys not found: {', '.join(missing)}.")
        return found

    return check_keys


def any_mapping(value: Any) -> dict[str, Any]:
    """Any object."""
    if not isinstance(value, Mapping):
        raise ValueError(f"'{value}' is not a dictionary.")  # noqa: TRY004 - a check has one error
    return dict(value)


_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


def dns_name(value: Any) -> str:
    """A host or domain name by RFC 1123; empty is allowed."""
    name = text(255)(value or "")
    for label in name.rstrip(".").split(".") if name else []:
        if not _LABEL.fullmatch(label):
            raise ValueError(
                f"'{value}' not a valid PQDN or FQDN. Reason: Name '{label}' must be 1-63 characters long."
            )
    return str(name)


fixed_ips = listed(
    mapping(subnet_id=identifier, ip_address=ip_address, delete_subnet=boolean),
)
routes = unique(listed(requiring(mapping(destination=cidr, nexthop=ip_address), "destination", "nexthop")))
pools = listed(requiring(mapping(start=ip_address, end=ip_address), "start", "end"))
tag_list = unique(listed(text(60)))


def parse(attributes: Iterable[Attribute], body: Mapping[str, Any], *, method: str) -> dict[str, Any]:
    """The checked values of a POST (defaults filled in) or a PUT (only what is named).

    Raises Neutron's 400s for unknown, read-only, missing and ill-formed attributes.
    """
    known = {attribute.name: attribute for attribute in attributes}
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise bad_request(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    values: dict[str, Any] = {}
    for name, attribute in known.items():
        allowed = attribute.post if method == "POST" else attribute.put
        if name in body and not allowed:
            word = "Attribute" if method == "POST" else "Cannot update read-only attribute"
            raise bad_request(
                f"{word} '{name}' not allowed in POST" if method == "POST" else f"{word} {name}"
            )
        if name in body:
            values[name] = _checked(attribute, body[name])
        elif method == "POST" and allowed:
            if attribute.default is REQUIRED:
                raise bad_request(f"Failed to parse request. Required attribute '{name}' not specified")
            default = attribute.default
            values[name] = list(default) if isinstance(default, list) else default
    return values


def _checked(attribute: Attribute, value: Any) -> Any:
    try:
        return attribute.check(value)
    except ValueError as error:
        raise bad_request(f"Invalid input for {attribute.name}. Reason: {error}") from None
