"""The override file: maps names and rewrites fields on the way.

::

    projects: {shop: shop-new}          # source name: destination name
    flavors: {m1.small: general.2}
    availability_zones: {nova: az1}
    rules:
      - type: network
        when: {name: web}               # every field must be equal
        set: {mtu: 1400}

The sections are those that the types' fields declare as their ``mapping``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from pumphouse import errors
from pumphouse.model import Resource
from pumphouse.registry import Registry
from pumphouse.resource import ResourceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Sets fields of the resources of a type that match."""

    type: str
    when: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, Any]

    def matches(self, resource: Resource) -> bool:
        """Whether every ``when`` field is equal."""
        return resource.ref.type == self.type and all(
            resource.fields.get(name, resource.facts.get(name)) == value for name, value in self.when.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the operator wants otherwise than the source has it."""

    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def apply(self, kind: ResourceType, resource: Resource) -> Resource:
        """The resource as it is wanted."""
        fields = dict(resource.fields)
        for one in kind.carried():
            mapped = self.names.get(one.mapping or "", {})
            if isinstance(fields.get(one.name), str) and fields[one.name] in mapped:
                fields[one.name] = mapped[fields[one.name]]
        for rule in self.rules:
            if rule.matches(resource):
                fields.update(rule.set)
        if fields == resource.fields:
            return resource
        return replace(resource, fields=fields, name=str(fields.get("name", resource.name)))

    def to_dict(self) -> dict[str, Any]:
        """The overrides as JSON, in the file's form."""
        rules = [{"type": one.type, "when": dict(one.when), "set": dict(one.set)} for one in self.rules]
        return {**{name: dict(mapped) for name, mapped in self.names.items()}, "rules": rules}


def load(path: Path, registry: Registry) -> Overrides:
    """Read an override file. Raises BadOverride with the line or the key that is wrong."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise errors.BadOverride(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise errors.BadOverride(f"{path} is not YAML: {reason}") from None
    return parse(data or {}, registry, where=str(path))


def parse(data: Any, registry: Registry, *, where: str) -> Overrides:
    """Overrides from the file's form. Raises BadOverride."""
    sections = {one.mapping for kind in registry.values() for one in kind.carried() if one.mapping}
    if not isinstance(data, Mapping):
        raise errors.BadOverride(f"{where} must hold a mapping of sections")
    unknown = sorted(str(name) for name in data if name not in {*sections, "rules"})
    if unknown:
        raise errors.BadOverride(
            f"{where}: unknown keys: {', '.join(unknown)}",
            next_step=f"Known are: {', '.join(sorted({*sections, 'rules'}))}.",
        )
    names: dict[str, dict[str, str]] = {}
    for name in sorted(sections & data.keys()):
        if not isinstance(data[name], Mapping) or not all(
            isinstance(one, str) and isinstance(other, str) for one, other in data[name].items()
        ):
            raise errors.BadOverride(f"{where}: {name} must map names to names")
        names[name] = dict(data[name])
    rules = data.get("rules", [])
    if not isinstance(rules, list):
        raise errors.BadOverride(f"{where}: rules must be a list")
    return Overrides(names=names, rules=tuple(_rule(one, registry, where) for one in rules))


def _rule(data: Any, registry: Registry, where: str) -> Rule:
    if not isinstance(data, Mapping) or not {"type", "set"} <= data.keys() <= {"type", "when", "set"}:
        raise errors.BadOverride(f"{where}: a rule has type, set and perhaps when, not {data!r}")
    if data["type"] not in registry:
        raise errors.BadOverride(
            f"{where}: a rule names the unknown type {data['type']!r}",
            next_step=f"Known are: {', '.join(sorted(registry))}.",
        )
    if not isinstance(data["set"], Mapping) or not isinstance(data.get("when") or {}, Mapping):
        raise errors.BadOverride(f"{where}: when and set of a rule map fields to values")
    known = {one.name for one in registry[data["type"]].carried()}
    unknown = sorted(str(name) for name in data["set"] if name not in known)
    if unknown:
        raise errors.BadOverride(
            f"{where}: {data['type']} has no field {', '.join(unknown)}",
            next_step=f"Known are: {', '.join(sorted(known))}.",
        )
    return Rule(type=data["type"], when=dict(data.get("when") or {}), set=dict(data["set"]))
