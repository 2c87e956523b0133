"""What volume services see on their storage, and how a volume is recognised there, whatever it is called.

A driver may give a volume another name when its service manages it, and again when that lets go of it. All
that it has been called is kept, and so are the ids that services have known it by: its name has one in it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service

SINCE = "3.8"
"""The API that lists what a service could manage."""
LIES = "lies"
"""In the journal: the references under which the storage has the volume, or has had it."""
IDS = "ids"
"""In the journal: the ids under which services know it, or have known it."""
SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What lies on a storage. ``host`` is the backend that sees it, ``id`` the service's own volume of it.

    ``unsafe`` is why the service could not manage it.
    """

    reference: Mapping[str, Any]
    size: int
    host: str
    id: str | None
    unsafe: str


def stored(cloud: CloudAPI, host: str) -> Iterator[Stored]:
    """All that one backend sees, each once. Raises CloudError where it cannot tell.

    The listing is paged by numbers, so that what comes onto the storage meanwhile moves the rest: an entry is
    listed on the next page again. What goes from there meanwhile may hide one.
    """
    backend, first = host.partition("#")[0], None
    told: set[str] = set()
    path, key = "/manageable_volumes/detail", "manageable-volumes"
    for one in cloud.each(Service.VOLUME, path, key, params={"host": backend}, up_to=SINCE):
        if one["reference"] == first:
            return  # a driver that knows no offset begins anew
        first = first or one["reference"]
        reference = json.dumps(one["reference"], sort_keys=True)
        if reference in told:
            continue
        told.add(reference)
        safe = one.get("safe_to_manage", True)
        yield Stored(
            reference=one["reference"],
            size=int(one["size"]),
            host=backend,
            id=one.get("cinder_id"),
            unsafe="" if safe else str(one.get("reason_not_safe") or "no reason is told"),
        )


def seen(cloud: CloudAPI, hosts: Collection[str]) -> tuple[list[Stored], list[errors.CloudError]]:
    """All that these backends see, and the errors of those that cannot tell."""
    found: list[Stored] = []
    failed: list[errors.CloudError] = []
    for backend in sorted({host.partition("#")[0] for host in hosts}):
        try:
            found += stored(cloud, backend)
        except errors.CloudError as error:
            failed.append(error)
    return found, failed


def pools(cloud: CloudAPI) -> list[str]:
    """The pools of all backends, as ``host@backend#pool``."""
    return [str(one["name"]) for one in cloud.list(Service.VOLUME, "/scheduler-stats/get_pools", "pools")]


def pool(everywhere: Iterable[str], host: str, like: str) -> str | None:
    """The backend's pool; of several, the one that is called as the source's is, if any."""
    own = sorted(one for one in everywhere if one.partition("#")[0] == host)
    alike = [one for one in own if one.partition("#")[2] == like.partition("#")[2]]
    return alike[0] if alike else own[0] if len(own) == 1 else None


def lying(found: Iterable[Stored], detail: Mapping[str, Any]) -> list[Stored]:
    """What may be the volume of a journal's detail, and is no volume of the service that sees it.

    By a reference that it has had; if there is none of these, by an id in its name, and its size.
    """
    free = [one for one in found if one.id is None]
    known = [one for one in free if one.reference in detail[LIES]]
    return known or [one for one in free if one.size == detail[SIZE] and _is_named(one, detail[IDS])]


def _is_named(one: Stored, ids: Iterable[str]) -> bool:
    return any(id in str(name) for name in one.reference.values() for id in ids)


def only(found: Iterable[Stored], problem: errors.ResourceError) -> Stored:
    """The one there is; raises the problem for none and for several."""
    all_found = list(found)
    if len(all_found) != 1:
        raise problem
    return all_found[0]
