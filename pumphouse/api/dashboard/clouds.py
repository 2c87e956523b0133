"""Two clouds side by side: what they offer, their tenants, and what was moved from one to the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, render_template, request

from pumphouse import errors
from pumphouse.api.auth import allow
from pumphouse.api.dashboard.pages import blueprint, page, part
from pumphouse.api.paging import page_of
from pumphouse.api.routes import service
from pumphouse.api.v1.clouds import TenantQuery
from pumphouse.service.moved import Moved
from pumphouse.service.snapshots import Snapshot, Tenant
from pumphouse.store.operations import OperationKind

PER_PAGE: Final = 50
SIDES: Final = ("source", "destination")
_FIRST: Final = ("server", "volume", "network", "image", "user")
"""The types whose counts are told at a glance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Tenants of the same name, on either side or both, and when that of the source was moved."""

    name: str
    source: Tenant | None
    destination: Tenant | None
    moved: Moved | None = None

    @property
    def key(self) -> str:
        """What names the row in a listing: the id of a tenant."""
        tenant = self.source or self.destination
        return tenant.id if tenant else self.name


@blueprint.get("/clouds")
@allow("clouds:read")
def show_clouds() -> Response:
    """The page."""
    names = service().cloud_names()
    chosen = {side: _chosen(side, names) for side in SIDES}
    records = {one.name: one for one in service().cloud_records()}
    snapshots = {
        side: service().snapshot(name)
        for side, name in chosen.items()
        if name and records[name].read_at is not None
    }
    text = request.args.get("text", "").strip()
    rows, marker = page_of(
        [one for one in _rows(snapshots) if text.casefold() in one.name.casefold()],
        TenantQuery(limit=PER_PAGE, marker=request.args.get("marker") or None),
        key=lambda one: one.key,
    )
    return page(
        "clouds.html",
        names=names,
        chosen=chosen,
        records={side: records.get(name) for side, name in chosen.items()},
        snapshots=snapshots,
        text=text,
        rows=_with_moves(rows, snapshots.get("source")),
        marker=marker,
        first=_FIRST,
        readings=_readings(),
    )


@blueprint.get("/clouds/<cloud>/resources")
@allow("clouds:read")
def show_resources(cloud: str) -> Response:
    """What a cloud held when it was last read, with filters."""
    snapshot = service().snapshot(cloud)
    given = {name: request.args.get(name, "").strip() for name in ("tenant", "type", "text")}
    rows, marker = page_of(
        snapshot.select(
            types=[given["type"]] if given["type"] else [],
            tenant=given["tenant"] or None,
            text=given["text"],
        ),
        TenantQuery(limit=2 * PER_PAGE, marker=request.args.get("marker") or None),
        key=lambda one: str(one.ref),
    )
    return page(
        "resources.html",
        cloud=cloud,
        snapshot=snapshot,
        tenants={one.id: one.name for one in snapshot.tenants},
        given=given,
        filters={name: one for name, one in given.items() if one},
        rows=rows,
        marker=marker,
    )


@blueprint.get("/clouds/<cloud>/check")
@allow("clouds:check")
def show_check(cloud: str) -> Response:
    """What a cloud offers, as a part of the page: it is asked now, which takes a moment."""
    try:
        found: Mapping[str, Any] = {"check": service().check_cloud(cloud)}
    except errors.CloudError as error:
        found = {"error": error}
    return part(render_template("clouds_check.html", **found))


def _readings() -> Mapping[str, str]:
    """The operations that read clouds now, by the cloud's name."""
    under_way = service().store.operations.open()
    return {one.cloud: one.id for one in under_way if one.kind is OperationKind.REFRESH and one.cloud}


def _chosen(side: str, names: Sequence[str]) -> str:
    given = request.args.get(side, "")
    if given in names:
        return given
    if side in names:
        return side
    return names[min(SIDES.index(side), len(names) - 1)] if names else ""


def _rows(snapshots: Mapping[str, Snapshot]) -> Iterator[Row]:
    """All tenants by name. Those of one name in several domains are matched in their order."""
    of: dict[str, dict[str, list[Tenant]]] = {}
    for side, snapshot in snapshots.items():
        for tenant in snapshot.tenants:
            of.setdefault(tenant.name, {one: [] for one in SIDES})[side].append(tenant)
    for name in sorted(of):
        here, there = of[name]["source"], of[name]["destination"]
        for place in range(max(len(here), len(there))):
            yield Row(
                name=name,
                source=here[place] if place < len(here) else None,
                destination=there[place] if place < len(there) else None,
            )


def _with_moves(rows: Sequence[Row], source: Snapshot | None) -> list[Row]:
    if source is None:
        return list(rows)
    moved = service().moved(source, [one.source.id for one in rows if one.source])
    return [
        Row(
            name=one.name,
            source=one.source,
            destination=one.destination,
            moved=moved.get(one.source.id) if one.source else None,
        )
        for one in rows
    ]
