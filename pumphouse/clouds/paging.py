"""Where the next page of a listing is.

A service says it with a link (``<key>_links``, Glance's ``next``, Keystone's ``links``), or leaves it to
the caller to ask on from the last id (marker) or by number (offset). Only the query of a link is used: its
address is the service's own idea of itself, often wrong behind a proxy, and Glance leaves out the path below
which it is mounted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pumphouse.cloud_api import Service

PAGE = 1000
"""How many entries are asked for at once: the most that the services allow by default."""

# Collections that take a limit. Others may refuse an unknown parameter (compute does, from 2.75).
_PAGED = {
    Service.COMPUTE: frozenset(
        {"/servers", "/servers/detail", "/flavors", "/flavors/detail", "/os-keypairs", "/os-server-groups"}
    ),
    Service.IMAGE: frozenset({"/images"}),
    Service.NETWORK: frozenset(
        {
            "/address-scopes",
            "/floatingips",
            "/networks",
            "/ports",
            "/routers",
            "/security-group-rules",
            "/security-groups",
            "/subnetpools",
            "/subnets",
        }
    ),
    Service.VOLUME: frozenset(
        {"/volumes", "/volumes/detail", "/snapshots", "/snapshots/detail", "/manageable_volumes/detail"}
    ),
}
# These take an offset and no marker.
_BY_OFFSET = frozenset({"/os-server-groups", "/manageable_volumes/detail"})
# These are cut at what the service allows, and give no link: only an empty page is the end.
_UNTIL_EMPTY = frozenset({"/manageable_volumes/detail"})


def first_query(service: Service, path: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The query of the first page."""
    query = {name: value for name, value in (params or {}).items() if value is not None}
    if path in _PAGED.get(service, ()):
        query.setdefault("limit", PAGE)
    return query


def next_query(
    path: str, data: Mapping[str, Any], key: str, query: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The query of the page after this one, or None if this was the last."""
    link = _link(data, key)
    if link:
        return {**query, **_parse(link)}
    items = data[key]
    limit = int(query.get("limit") or 0)
    if path in _UNTIL_EMPTY and 0 < len(items) <= limit:
        return {**query, "offset": int(query.get("offset") or 0) + len(items)}
    # More than asked for means that the limit was ignored, and that this is all.
    if not limit or len(items) != limit:
        return None
    if path in _BY_OFFSET:
        return {**query, "offset": int(query.get("offset") or 0) + limit}
    last = identity(items[-1])
    return {**query, "marker": last} if last else None


def identity(item: Mapping[str, Any]) -> str:
    """What a marker names: the id, or the name of a key pair, which compute wraps in one more layer."""
    if len(item) == 1 and isinstance(inner := next(iter(item.values())), dict):
        item = inner
    return str(item.get("id") or item.get("name") or "")


def _link(data: Mapping[str, Any], key: str) -> str:
    """The service's link to the next page, or ""."""
    for link in data.get(f"{key}_links") or ():
        if link.get("rel") == "next":
            return str(link["href"])
    if isinstance(data.get("next"), str):
        return str(data["next"])
    links = data.get("links")
    return str(links.get("next") or "") if isinstance(links, dict) else ""


def _parse(link: str) -> dict[str, Any]:
    """The query of a link; a parameter that comes several times is a list."""
    query: dict[str, Any] = {}
    for name, value in parse_qsl(urlsplit(link).query, keep_blank_values=True):
        if name in query:
            earlier = query[name]
            query[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            query[name] = value
    return query
