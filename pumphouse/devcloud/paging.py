"""Lists in pages, with links in each service's form."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import bad_request
from pumphouse.devcloud.table import Row, Table

MAX_LIMIT = 1000
Where = Callable[[Row], bool]


def limit_of(request: ApiRequest, *, maximum: int | None = MAX_LIMIT) -> int | None:
    """The page's size; the maximum when it is larger or not given (None: no maximum).

    400 when it is no number.
    """
    text = request.arg("limit")
    if text is None or text == "":
        return maximum
    try:
        limit = int(text)
    except ValueError as error:
        raise bad_request("limit param must be an integer") from error
    if limit < 0:
        raise bad_request("limit param must be positive")
    return limit if maximum is None else min(limit, maximum)


def page(
    request: ApiRequest,
    table: Table,
    *,
    by: tuple[str, Hashable] | None = None,
    where: Where | None = None,
    newest_first: bool = True,
    sort: list[tuple[str, bool]] | None = None,
    maximum: int | None = MAX_LIMIT,
    no_marker: Callable[[str], Exception] = lambda marker: bad_request(f"marker [{marker}] not found"),
) -> tuple[list[Row], bool]:
    """One page of a table and whether there is more.

    ``by`` selects through an index, ``where`` filters. ``sort``: (field, descending) pairs; without it rows
    come by age and nothing is scanned. ``no_marker`` makes the error for a marker that is not there.
    """
    limit = limit_of(request, maximum=maximum)
    marker = request.arg("marker") or None
    if marker is not None and marker not in table:
        raise no_marker(marker)
    rows: Iterator[Row]
    if sort:
        rows = _sorted(table.walk(by=by), sort, marker)
    else:
        try:
            rows = table.walk(by=by, after=marker, reverse=newest_first)
            rows = _primed(rows)
        except KeyError as error:
            raise no_marker(marker or "") from error
    if where is not None:
        rows = filter(where, rows)
    if limit is None:
        return list(rows), False
    found = list(islice(rows, limit + 1))
    return found[:limit], len(found) > limit


def _primed(rows: Iterator[Row]) -> Iterator[Row]:
    """Run a generator up to its first row, so that an unknown marker shows here."""
    first = next(rows, None)
    if first is None:
        return iter(())
    return _chain(first, rows)


def _chain(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _sorted(rows: Iterable[Row], sort: list[tuple[str, bool]], marker: str | None) -> Iterator[Row]:
    ordered = list(rows)
    for field, descending in reversed(sort):
        ordered.sort(
            key=lambda row: (row.get(field) is not None, _sortable(row.get(field))), reverse=descending
        )
    start = 0
    if marker is not None:
        start = next((place for place, row in enumerate(ordered) if row.get("id") == marker), -1) + 1
    return iter(ordered[start:])


def _sortable(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def sort_of(request: ApiRequest, *, default: str = "created_at") -> list[tuple[str, bool]] | None:
    """The sort that a request asks for: ``sort_key`` and ``sort_dir``, or ``sort=key:dir,...``.

    None for the default order, newest first, which needs no sorting.
    """
    combined = request.arg("sort")
    if combined:
        pairs = [part.partition(":") for part in combined.split(",")]
        found = [(key.strip(), direction.strip() != "asc") for key, _, direction in pairs]
    else:
        keys = request.query.get("sort_key", [])
        directions = request.query.get("sort_dir", [])
        found = [
            (key, (directions[i] if i < len(directions) else "desc") != "asc") for i, key in enumerate(keys)
        ]
    if not found or found in ([(default, True)], [(default, True), ("id", True)]):
        return None
    return found


def next_query(request: ApiRequest, marker: str) -> str:
    """The query string of the next page: the same one with another marker."""
    pairs = [(key, value) for key, values in request.query.items() if key != "marker" for value in values]
    return urlencode([*pairs, ("marker", marker)])


def links(request: ApiRequest, path: str, rows: list[Row], *, more: bool) -> list[dict[str, str]]:
    """Nova's, Cinder's and Neutron's ``<collection>_links``: a full ``next`` URL when there is more."""
    if not more or not rows:
        return []
    return [{"rel": "next", "href": f"{request.url}{path}?{next_query(request, rows[-1]['id'])}"}]
