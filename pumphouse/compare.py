"""Compares a resource as it shall be with one as it is, field by field. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pumphouse.fields import Field
from pumphouse.model import Resource
from pumphouse.resource import ResourceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that differs."""

    field: str
    want: Any
    have: Any

    def __str__(self) -> str:
        return f"{self.field}: {_short(self.want)} wanted, {_short(self.have)} found"


def differences(
    kind: ResourceType, want: Mapping[str, Any], have: Mapping[str, Any]
) -> tuple[Difference, ...]:
    """The carried fields of ``want`` that differ in ``have``.

    A field that either side does not know (it is missing there) is not compared: the plan tells it as lost.
    """
    return tuple(
        Difference(field=field.name, want=want[field.name], have=have[field.name])
        for field in kind.carried()
        if field.name in want and field.name in have and not same(field, want[field.name], have[field.name])
    )


def unset(kind: ResourceType, want: Mapping[str, Any], there: Resource | None) -> frozenset[str]:
    """The names of the carried fields that are not yet as they shall be: all of them if nothing is there."""
    if there is None:
        return frozenset(field.name for field in kind.carried())
    return frozenset(one.field for one in differences(kind, want, there.fields))


def same(field: Field, want: Any, have: Any) -> bool:
    """Whether two values of a field mean the same; of an ``at_least`` field, whether all wanted is there."""
    if field.at_least and isinstance(want, list | tuple) and isinstance(have, list | tuple):
        return set(map(_canonical, want)) <= set(map(_canonical, have))
    if field.at_least and isinstance(want, Mapping) and isinstance(have, Mapping):
        return all(name in have and _canonical(have[name]) == _canonical(want[name]) for name in want)
    if field.unordered and isinstance(want, list | tuple) and isinstance(have, list | tuple):
        return sorted(map(_canonical, want)) == sorted(map(_canonical, have))
    return _canonical(want) == _canonical(have)


def fingerprint(value: Any) -> str:
    """A short stable digest of any JSON value: 16 hexadecimal digits."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:16]


def digest(value: str | None) -> str | None:
    """What is kept of a secret value: enough to see that two are the same."""
    return None if value is None else f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
