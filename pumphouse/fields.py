"""What a resource type declares of each field: what becomes of it, what it refers to, what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from pumphouse.model import Ref


class Role(StrEnum):
    """What happens to a field."""

    COPY = "copy"
    SECRET = "secret"  # noqa: S105 -- the name of a role, not a password
    """Carried, but only a digest of it is ever kept."""
    DROP = "drop"
    """Owned by the service; not read, documented with its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One declared field of a type.

    Made by :func:`key`, :func:`ref`, :func:`copy`, :func:`secret` and :func:`drop`. ``refs`` maps a path
    inside the value ("" is the value itself) to the type that the id there points to; a list on the way is
    walked. ``since`` is the oldest microversion and ``extension`` the network extension that a cloud must
    offer for the field; a cloud without it cannot carry the field, and the plan says so. ``longest`` is how
    many characters the services take. ``advice`` is what to do when the source no longer has what it refers
    to.
    """

    name: str
    role: Role
    key: bool = False
    refs: Mapping[str, str]
    optional: bool = False
    part_of: bool = False
    since: str | None = None
    extension: str | None = None
    fixed: bool = False
    unordered: bool = False
    at_least: bool = False
    default: Any = None
    mapping: str | None = None
    longest: int | None = None
    why: str = ""
    advice: str = ""


def key(name: str, *, mapping: str | None = None, longest: int = 255) -> Field:
    """A copied field that is part of the resource's identity on both clouds.

    :param mapping: the section of the override file that renames its values.
    :param longest: how many characters the services take.
    """
    return Field(name=name, role=Role.COPY, key=True, refs={}, fixed=True, mapping=mapping, longest=longest)


def ref(
    name: str,
    *,
    to: str,
    key: bool = False,
    optional: bool = False,
    part_of: bool = False,
    fixed: bool = True,
    unordered: bool = True,
    at_least: bool = False,
    advice: str = "",
) -> Field:
    """An id, or a list of ids, of resources of the type ``to``: an edge of the graph and an id to rewrite.

    :param optional: the target is not pulled into a plan for this alone; without it the field is lost.
    :param part_of: this resource comes along whenever the target is selected.
    :param fixed: cannot be changed on an existing resource.
    :param at_least: the destination may have more of them.
    :param advice: what to do when the source no longer has it.
    """
    return Field(
        name=name,
        role=Role.COPY,
        key=key,
        refs={"": to},
        optional=optional,
        part_of=part_of,
        fixed=fixed,
        unordered=unordered,
        at_least=at_least,
        advice=advice,
    )


def copy(
    name: str,
    *,
    refs: Mapping[str, str] | None = None,
    key: bool = False,
    optional: bool = False,
    since: str | None = None,
    extension: str | None = None,
    fixed: bool = False,
    unordered: bool = False,
    at_least: bool = False,
    default: Any = None,
    mapping: str | None = None,
) -> Field:
    """A field carried as it is, but for the ids that ``refs`` names inside it.

    :param default: what a body without the field means.
    :param fixed: cannot be changed on an existing resource.
    :param unordered: a list whose order means nothing.
    :param at_least: a list or a mapping of which the destination may have more.
    :param mapping: the section of the override file that renames its values.
    """
    return Field(
        name=name,
        role=Role.COPY,
        key=key,
        refs=refs or {},
        optional=optional,
        since=since,
        extension=extension,
        fixed=fixed,
        unordered=unordered,
        at_least=at_least,
        default=default,
        mapping=mapping,
    )


def secret(name: str, *, since: str | None = None) -> Field:
    """A field that is carried straight from cloud to cloud; only its digest is kept and compared."""
    return Field(name=name, role=Role.SECRET, refs={}, since=since, fixed=True)


def drop(name: str, *, why: str) -> Field:
    """A field that is not carried, and why."""
    return Field(name=name, role=Role.DROP, refs={}, why=why)


class Reference(NamedTuple):
    """An id found in a field."""

    field: Field
    ref: Ref
