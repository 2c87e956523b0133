"""A tenant on both clouds, and how its two halves are compared.

What is compared is what each service lists, all of it: a field counts unless it is named as the cloud's own.
Ids are replaced by names, so that references are compared, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from listing import Listing
from tenant.site import Site

MARKER = "pumphouse_source"
MARKER_TAG = f"{MARKER.replace('_', '-')}="
NUMBERS = frozenset({"id", "created_at", "updated_at", "revision_number", "links", "self", "schema", "file"})
"""What each cloud gives, whatever the resource."""
_OWNER = {
    "images": "owner",
    "hidden images": "owner",
    "servers": "tenant_id",
    "volumes": "os-vol-tenant-attr:tenant_id",
    "snapshots": "os-extended-snapshot-attributes:project_id",
}


@dataclass(frozen=True)
class Moved:
    """A tenant on both clouds, and listings: the source's from before the move, and both from after it."""

    source: Site
    destination: Site
    before: Listing
    here: Listing
    there: Listing

    @cached_property
    def projects(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The tenant's project on the source and on the destination."""
        here, there = (_named(listed["projects"], self.source.name) for listed in (self.here, self.there))
        return here, there

    @cached_property
    def people(self) -> list[str]:
        """Those of the tenant's users who have been made."""
        prefix = f"{self.source.name}-"
        names = [one["name"] for one in self.here["users"].values()]
        return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))

    @cached_property
    def names(self) -> tuple[dict[str, str], dict[str, str]]:
        """What each id of either cloud stands for."""
        here, there = (
            {
                identity: f"{collection} {one['name']}"
                for collection, listed in found.items()
                for identity, one in listed.items()
                if isinstance(one, dict) and one.get("name")
            }
            for found in (self.here, self.there)
        )
        return here, there

    def pair(self, collection: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The tenant's objects by name, on both clouds, without what routers and shelving made."""
        here, there = (
            {
                one.get("name") or one["description"]: one
                for one in listed[collection].values()
                if one[_OWNER.get(collection, "project_id")] == project["id"]
                and not str(one.get("device_owner", "")).startswith("network:")
                and not str(one.get("name")).endswith("-shelved")
            }
            for listed, project in zip((self.here, self.there), self.projects, strict=True)
        )
        return here, there

    def plain(self, body: Any, *, there: bool) -> Any:
        """A body without marks of pumphouse's, with names for ids."""
        names = self.names[there]
        if isinstance(body, dict):
            return {
                names.get(name, name): self.plain(value, there=there)
                for name, value in body.items()
                if name != MARKER
            }
        if isinstance(body, list):
            kept = [one for one in body if not str(one).startswith(MARKER_TAG)]
            return [self.plain(one, there=there) for one in kept]
        return names.get(body, body) if isinstance(body, str) else body

    def same(self, collection: str, *, own: Iterable[str], ordered: Iterable[str] = ()) -> dict[str, Any]:
        """Compare all of the tenant's objects, field by field; those on the destination, by name."""
        here, there = self.pair(collection)
        equal(f"the {collection}", sorted(there), sorted(here))
        self.alike(collection, here, there, own=own, ordered=ordered)
        return there

    def alike(
        self,
        what: str,
        here: dict[str, Any],
        there: dict[str, Any],
        *,
        own: Iterable[str],
        ordered: Iterable[str] = (),
    ) -> None:
        """Compare bodies of the same keys, field by field, but for what is the cloud's own."""
        left_out = {*NUMBERS, *own}
        for name, old in here.items():
            new = there[name]
            for field in sorted((old.keys() & new.keys()) - left_out):
                values = self.plain(old[field], there=False), self.plain(new[field], there=True)
                if field not in ordered:
                    values = _canonical(values[0]), _canonical(values[1])
                equal(f"{what} {name}: {field}", values[1], values[0])


Check = Callable[[Moved], str]


def equal(what: str, have: Any, want: Any) -> None:
    """Refuse a difference, with both sides of it."""
    assert have == want, f"{what}: {have!r} found, {want!r} wanted"


def _named(listed: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in listed.values() if one["name"] == name)
    return dict(found)


def _canonical(value: Any) -> Any:
    """Lists without their order, which most have by chance."""
    if isinstance(value, list):
        return sorted(map(_canonical, value), key=repr)
    if isinstance(value, dict):
        return {name: _canonical(value[name]) for name in sorted(value)}
    return value
