"""What a description of a cloud may hold, checked before anything is made of it. fill.py makes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

Description = Mapping[str, Any]

_CLOUD: Mapping[str, type] = MappingProxyType(
    {
        "volume_types": list,
        "flavors": list,
        "networks": list,
        "images": list,
        "tenants": dict,
        "generate": dict,
    }
)
_TENANT: Mapping[str, type] = MappingProxyType(
    {
        "description": str,
        "tags": list,
        "users": list,
        "quotas": dict,
        "keypairs": list,
        "networks": list,
        "routers": list,
        "security_groups": list,
        "images": list,
        "server_groups": list,
        "volumes": list,
        "servers": list,
    }
)
# What cannot be made without it; the rest is for the APIs to refuse.
_NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"users": ("name", "password", "roles"), "images": ("name", "content"), "volumes": ("name", "size")}
    | {"servers": ("name", "flavor", "ports")}
)
_WORDS: Mapping[type, str] = MappingProxyType({list: "a list", dict: "a mapping", str: "text"})


class BadDescription(ValueError):
    """A description is wrong. Says where, in one line."""


def read(path: Path) -> Description:
    """The description in a file, checked. Raises BadDescription."""
    try:
        return check(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadDescription(f"it cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadDescription(f"it is not YAML: {' '.join(str(error).split())}") from None


def check(description: Any) -> Description:
    """The same description. Raises BadDescription for what nobody would look at, or is missing."""
    _check_sections("the description", {} if description is None else description, _CLOUD)
    tenants: Mapping[str, Any] = (description or {}).get("tenants") or {}
    for name, tenant in tenants.items():
        _check_sections(f"tenant {name}", tenant, _TENANT)
        if not tenant.get("users"):
            raise BadDescription(f"tenant {name}: it needs users, the first of whom makes the rest")
    return description or {}


def _check_sections(where: str, given: Any, known: Mapping[str, type]) -> None:
    if not isinstance(given, Mapping):
        raise BadDescription(f"{where} is not a mapping of sections")
    for name, value in given.items():
        if name not in known:
            raise BadDescription(f"{where}: there is no section {name!r}; there are {', '.join(known)}")
        if value is None:
            continue
        if not isinstance(value, known[name]):
            raise BadDescription(f"{where}: {name} is not {_WORDS[known[name]]}")
        if isinstance(value, list) and name != "tags":
            _check_items(f"{where}: {name}", value, _NEEDED.get(name, ("name",)))


def _check_items(where: str, items: list[Any], needed: tuple[str, ...]) -> None:
    for number, item in enumerate(items, start=1):
        if not isinstance(item, Mapping):
            raise BadDescription(f"{where}: number {number} is not a mapping")
        missing = [key for key in needed if key not in item]
        if missing:
            called = item.get("name") or f"number {number}"
            raise BadDescription(f"{where}: {called} needs {', '.join(missing)}")
