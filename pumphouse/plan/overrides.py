"""The override file: maps names and rewrites fields on the way.

::

    projects: {shop: shop-new}          # source name: destination name
    flavors: {m1.small: general.2}
    availability_zones: {nova: az1}
    rules:
      - type: network
        when: {name: web}               # every field must be equal
        set: {mtu: 1400}
      - type: server
        when: {name: cache}
        set: {disk_mode: image}         # not a field, but a choice of the type
    health:                             # see pumphouse.health
      - tcp: 22

The other sections are those that the types' fields declare as their ``mapping``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pumphouse import errors, health, yamlfile
from pumphouse.fields import Field, Role
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
            resource.fields.get(name) == value for name, value in self.when.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the operator wants otherwise than the source has it."""

    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    checks: tuple[health.Check, ...] = ()

    def apply(self, kind: ResourceType, resource: Resource) -> Resource:
        """The resource as it is wanted. Raises BadOverride for a value that the field cannot have."""
        fields = dict(resource.fields)
        names = {one.name for one in kind.carried()}
        for one in kind.carried():
            mapped = self.names.get(one.mapping or "", {})
            if isinstance(fields.get(one.name), str) and fields[one.name] in mapped:
                fields[one.name] = mapped[fields[one.name]]
        for rule in self.rules:
            if rule.matches(resource):
                for one in kind.carried():
                    if one.name in rule.set:
                        _check_value(one, rule.set[one.name], resource)
                fields.update({name: value for name, value in rule.set.items() if name in names})
        for one in kind.carried():
            _check_length(one, fields.get(one.name), resource)
        facts = self._with_checks(resource)
        if fields == resource.fields and facts == resource.facts:
            return resource
        return replace(resource, fields=fields, facts=facts, name=str(fields.get("name", resource.name)))

    def _with_checks(self, resource: Resource) -> Mapping[str, Any]:
        """The facts of a resource, with the checks that it is to pass. They go by the source's names."""
        if resource.ref.type != health.OF_TYPE:
            return resource.facts
        wanted = [dict(one.given) for one in self.checks if one.matches(resource.name, resource.ref.id)]
        return {**resource.facts, health.SECTION: wanted} if wanted else resource.facts

    def chosen(self, kind: ResourceType, resource: Resource) -> dict[str, str]:
        """What the rules choose for a resource, by the choice's name; the last rule wins."""
        return {
            name: str(rule.set[name])
            for rule in self.rules
            if kind.choices and rule.matches(resource)
            for name in kind.choices
            if name in rule.set
        }

    def to_dict(self) -> dict[str, Any]:
        """The overrides as JSON, in the file's form."""
        rules = [{"type": one.type, "when": dict(one.when), "set": dict(one.set)} for one in self.rules]
        given = {name: dict(mapped) for name, mapped in self.names.items()} | {"rules": rules}
        return given | ({health.SECTION: [dict(one.given) for one in self.checks]} if self.checks else {})


def load(path: Path, registry: Registry) -> Overrides:
    """Read an override file. Raises BadOverride with the line or the key that is wrong."""
    data = yamlfile.load(path, error=errors.BadOverride)
    return parse({} if data is None else data, registry, where=str(path))


def parse(data: Any, registry: Registry, *, where: str) -> Overrides:
    """Overrides from the file's form. Raises BadOverride."""
    sections = {one.mapping for kind in registry.values() for one in kind.carried() if one.mapping}
    if not isinstance(data, Mapping):
        raise errors.BadOverride(f"{where} must hold a mapping of sections")
    known = {*sections, "rules", health.SECTION}
    unknown = sorted(str(name) for name in data if name not in known)
    if unknown:
        raise errors.BadOverride(
            f"{where}: unknown keys: {', '.join(unknown)}",
            next_step=f"Known are: {', '.join(sorted(known))}.",
        )
    names: dict[str, dict[str, str]] = {}
    for name in sorted(sections & data.keys()):
        if not isinstance(data[name], Mapping) or not all(
            isinstance(one, str) and isinstance(other, str) and other for one, other in data[name].items()
        ):
            raise errors.BadOverride(
                f"{where}: {name} must map names to names", next_step="Put numbers and such into quotes."
            )
        names[name] = dict(data[name])
    rules = data.get("rules", [])
    if not isinstance(rules, list):
        raise errors.BadOverride(f"{where}: rules must be a list")
    return Overrides(
        names=names,
        rules=tuple(_rule(one, registry, where) for one in rules),
        checks=health.parse(data.get(health.SECTION, []), where=where),
    )


def _rule(data: Any, registry: Registry, where: str) -> Rule:
    if not isinstance(data, Mapping) or not {"type", "set"} <= data.keys() <= {"type", "when", "set"}:
        raise errors.BadOverride(f"{where}: a rule has type, set and perhaps when, not {data!r}")
    if not isinstance(data["type"], str) or data["type"] not in registry:
        raise errors.BadOverride(
            f"{where}: a rule names the unknown type {data['type']!r}",
            next_step=f"Known are: {', '.join(sorted(registry))}.",
        )
    if not isinstance(data["set"], Mapping) or not isinstance(data.get("when") or {}, Mapping):
        raise errors.BadOverride(f"{where}: when and set of a rule map fields to values")
    kind = registry[data["type"]]
    # What is secret is never in a plan, and so cannot be asked for or set.
    fields = {one.name for one in kind.carried() if one.role is not Role.SECRET}
    known = fields | set(kind.choices)
    unknown = sorted(str(name) for name in data["set"] if name not in known)
    unknown += sorted(str(name) for name in data.get("when") or {} if name not in fields)
    if unknown:
        raise errors.BadOverride(
            f"{where}: {data['type']} has no field {', '.join(unknown)}",
            next_step=f"Known are: {', '.join(sorted(known))}.",
        )
    for name, values in kind.choices.items():
        if name in data["set"] and not values and not isinstance(data["set"][name], str):
            raise errors.BadOverride(
                f"{where}: {name} of {data['type']} must be text, not {data['set'][name]}",
                next_step="Put it into quotes.",
            )
        if name in data["set"] and values and data["set"][name] not in values:
            raise errors.BadOverride(
                f"{where}: {data['type']} has no {name} {data['set'][name]!r}",
                next_step=f"Choose one of: {', '.join(values)}.",
            )
    return Rule(type=data["type"], when=dict(data.get("when") or {}), set=dict(data["set"]))


_KINDS = {str: "text", bool: "true or false", list: "a list", dict: "a mapping"} | dict.fromkeys(
    (int, float), "a number"
)


def _check_value(field: Field, value: Any, resource: Resource) -> None:
    """Refuse a value of another kind than the source's, which would fail only when it is written."""
    before = resource.fields.get(field.name)
    wanted = _KINDS.get(type(before))
    if (value is None and not field.key) or (before is None and value is not None) or wanted is None:
        return
    if _KINDS.get(type(value)) != wanted:
        raise errors.BadOverride(
            f"a rule sets {field.name} of {resource} to {value!r}, which is not {wanted}",
            next_step="Correct the rule in the override file.",
        )


def _check_length(field: Field, value: Any, resource: Resource) -> None:
    """Refuse a text that no service would take, and that is not the source's."""
    if (
        field.longest is None
        or not isinstance(value, str)
        or len(value) <= field.longest
        or value == resource.fields.get(field.name)
    ):
        return
    raise errors.BadOverride(
        f"{field.name} of {resource} would have {len(value)} characters, of {field.longest} at most",
        next_step="Choose a shorter one in the override file.",
    )
