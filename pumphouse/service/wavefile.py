"""The description of a wave: a file, or what somebody has sent.

::

source: source                  # clouds; these are the defaults
destination: destination
override: shop.yaml             # beside this file; or what it would hold: overrides: {...}
mode: volume                    # how root disks travel; as configured without it
servers_at_once: 2              # at most so many servers are down at the same time
stop_at: 20                     # per cent of a group's servers that may not fail; without it, none may
groups:
  - name: pilot
    tenants: [shop]
  - name: databases
    servers: [db-1, db-2]
    start: 2026-12-01T02:00:00Z
  - name: rest
    tenants: [lab, billing]
    start: ask                  # an operator's word
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pumphouse import errors, yamlfile
from pumphouse.model import DiskMode, Scope, ScopeKind

ASK = "ask"
_KINDS = {"tenants": ScopeKind.TENANT, "servers": ScopeKind.SERVER, "hosts": ScopeKind.HOST}
_KNOWN = frozenset({"source", "destination", "overrides", "mode", "servers_at_once", "stop_at", "groups"})
_IN_A_FILE = _KNOWN | {"override"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFile:
    """One group as it is described."""

    name: str
    scope: Scope
    start: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As it is written."""
        (kind,) = (word for word, kind in _KINDS.items() if kind is self.scope.kind)
        found = {"name": self.name, kind: list(self.scope.names)}
        return found | ({"start": self.start} if self.start else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFile:
    """A wave as it is described. ``stop_at`` is in per cent; ``override`` is a file of ``overrides``."""

    source: str
    destination: str
    override: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    mode: DiskMode | None
    servers_at_once: int | None
    stop_at: int | None
    groups: tuple[GroupFile, ...]

    def to_dict(self) -> dict[str, Any]:
        """As it is written, without the name of a file; as JSON."""
        return {
            "source": self.source,
            "destination": self.destination,
            "overrides": dict(self.overrides),
            **({"mode": str(self.mode)} if self.mode else {}),
            "servers_at_once": self.servers_at_once,
            "stop_at": self.stop_at,
            "groups": [one.to_dict() for one in self.groups],
        }


def load(path: Path) -> WaveFile:
    """Read the description of a wave. Raises BadWave, which names the place."""
    return parse(yamlfile.load(path, error=errors.BadWave), where=str(path), beside=path.parent)


def parse(data: Any, *, where: str, beside: Path | None = None) -> WaveFile:
    """The wave that JSON or YAML describes. Raises BadWave, which names the place.

    :param beside: the folder of the file; what has come without one can name no other.
    """
    if not isinstance(data, Mapping):
        raise errors.BadWave(f"{where} must hold a mapping with groups")
    _refuse_unknown(data, _KNOWN if beside is None else _IN_A_FILE, where)
    groups = data.get("groups")
    if not isinstance(groups, list) or not groups:
        raise errors.BadWave(f"{where}: groups must be a list of groups")
    found = tuple(_group(one, f"{where}: group {number}") for number, one in enumerate(groups, 1))
    names = [one.name for one in found]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise errors.BadWave(f"{where}: several groups are called {', '.join(doubled)}")
    override = _text(data, "override", "", where)
    overrides = data.get("overrides") or {}
    if not isinstance(overrides, Mapping) or (override and overrides):
        raise errors.BadWave(f"{where}: overrides must be a mapping, or override the name of a file")
    return WaveFile(
        source=_text(data, "source", "source", where),
        destination=_text(data, "destination", "destination", where),
        override=beside / override if beside and override else None,
        overrides=overrides,
        mode=_mode(data, where),
        servers_at_once=_number(data, "servers_at_once", where, most=10_000),
        stop_at=_number(data, "stop_at", where, most=100),
        groups=found,
    )


def starts_at(start: str) -> datetime | None:
    """The time at which a group may begin; None for one that has none."""
    return None if start in {"", ASK} else datetime.fromisoformat(start)


def _group(data: Any, where: str) -> GroupFile:
    if not isinstance(data, Mapping):
        raise errors.BadWave(f"{where} must be a mapping")
    _refuse_unknown(data, frozenset({"name", "start", *_KINDS}), where)
    kinds = [kind for kind in _KINDS if kind in data]
    if len(kinds) != 1:
        raise errors.BadWave(f"{where} needs one of {', '.join(_KINDS)}, and only one")
    names = data[kinds[0]]
    if not isinstance(names, list) or not names or not all(isinstance(one, str) and one for one in names):
        raise errors.BadWave(f"{where}: {kinds[0]} must be a list of names")
    scope = Scope(kind=_KINDS[kinds[0]], names=tuple(dict.fromkeys(names)))
    name = _text(data, "name", str(scope), where)
    return GroupFile(name=name, scope=scope, start=_start(data.get("start", ""), where))


def _start(value: Any, where: str) -> str:
    if isinstance(value, str) and value in {"", ASK}:
        return value
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise errors.BadWave(
            f"{where}: start must be a time such as 2026-12-01T02:00:00Z, or {ASK}, not {value!r}"
        ) from None
    if moment.tzinfo is None:
        raise errors.BadWave(
            f"{where}: start has no time zone",
            next_step="Write a Z behind it for UTC, or an offset as +01:00.",
        )
    return moment.astimezone(UTC).isoformat()


def _text(data: Mapping[str, Any], key: str, default: str, where: str) -> str:
    value = data.get(key, default)
    if not isinstance(value, str) or (key in data and not value):
        raise errors.BadWave(f"{where}: {key} must be a text")
    return value


def _mode(data: Mapping[str, Any], where: str) -> DiskMode | None:
    if "mode" not in data:
        return None
    known = [str(mode) for mode in DiskMode]
    if data["mode"] not in known:
        raise errors.BadWave(f"{where}: mode must be one of {', '.join(known)}")
    return DiskMode(data["mode"])


def _number(data: Mapping[str, Any], key: str, where: str, *, most: int) -> int | None:
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise errors.BadWave(f"{where}: {key} must be a whole number from 1 to {most}")
    return value


def _refuse_unknown(data: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(str(name) for name in data if name not in known)
    if unknown:
        raise errors.BadWave(
            f"{where}: unknown keys: {', '.join(unknown)}",
            next_step=f"Known are: {', '.join(sorted(known))}.",
        )
