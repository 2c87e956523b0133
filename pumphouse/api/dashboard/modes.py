"""How single servers' root disks travel: fields of a form, and the rules of overrides that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pumphouse.model import DiskMode

FIELDS: Final[Mapping[DiskMode, str]] = {mode: f"disk_mode-{mode}" for mode in DiskMode}
"""The field of each mode: names of servers, one in each line."""


def add(overrides: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    """The overrides, and what the form says of single servers behind them: the last rule wins."""
    rules = [
        {"type": "server", "when": {"name": name}, "set": {"disk_mode": str(mode)}}
        for mode, field in FIELDS.items()
        for name in filter(None, map(str.strip, form.get(field, "").splitlines()))
    ]
    known = overrides.get("rules", [])
    if not rules or not isinstance(known, list):  # what is wrong there is told by who reads the whole
        return dict(overrides)
    return {**overrides, "rules": [*known, *rules]}


def part(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The overrides without what :func:`add` has put at their end, and that as the form's fields."""
    rules = list(overrides.get("rules", []))
    names: dict[str, list[str]] = {field: [] for field in FIELDS.values()}
    while rules and (one := _of_one(rules[-1])) is not None:
        names[one[0]].insert(0, one[1])
        rules.pop()
    rest = {name: value for name, value in overrides.items() if name != "rules"}
    return rest | ({"rules": rules} if rules else {}), {
        field: "\n".join(found) for field, found in names.items()
    }


def _of_one(rule: Mapping[str, Any]) -> tuple[str, str] | None:
    """The field and the server's name, if a rule says only how the root disk of one server travels."""
    when, wanted = rule.get("when") or {}, rule.get("set") or {}
    if rule.get("type") != "server" or when.keys() != {"name"} or wanted.keys() != {"disk_mode"}:
        return None
    return FIELDS[DiskMode(wanted["disk_mode"])], str(when["name"])
