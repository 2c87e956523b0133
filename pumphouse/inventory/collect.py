"""Reads what a cloud holds: every type by its bulk lists, types side by side as far as their order allows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.garbage import kept_from_collecting
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.registry import Registry
from pumphouse.resource import Reach

FIRST = ("domain", "project")
"""Read before all else: from them follows how far the rest must reach."""

NEWEST = "99.99"

TRIES = 3
"""How often a type is read when resources vanish meanwhile."""

EVERYWHERE = Reach()


def everywhere(_seen: Inventory) -> Reach:
    """The reach of a whole cloud."""
    return EVERYWHERE


def collect(
    cloud: CloudAPI,
    registry: Registry,
    *,
    types: Collection[str] | None = None,
    reach: Callable[[Inventory], Reach] = everywhere,
    progress: Callable[[str, int], None] = lambda _type, _count: None,
    workers: int = 6,
) -> Inventory:
    """Read the cloud.

    :param types: only these types (and those they look things up in), or all.
    :param reach: sees domains and projects and says which projects matter where the API has no bulk list.
    :param progress: called with each type when it has been read, and how many there are.
    :raises pumphouse.errors.CloudError: of the first type that could not be read.
    """
    wanted = [name for name in registry if types is None or name in _with_lookups(registry, types)]
    inventory = Inventory(cloud.name, facts={"cloud": offers(cloud, registry)})
    for name in FIRST:
        found = list(registry[name].discover(cloud, seen=inventory, reach=EVERYWHERE))
        _add(inventory, found)
        progress(name, len(found))
    extent = reach(inventory)
    pool = ThreadPoolExecutor(workers, thread_name_prefix=f"collect-{cloud.name}")
    with kept_from_collecting(), pool:
        _collect_rest(
            inventory,
            [name for name in wanted if name not in FIRST],
            registry,
            lambda name: pool.submit(_read, registry, name, cloud, inventory, extent),
            progress,
        )
    return inventory


def complete(
    cloud: CloudAPI, registry: Registry, inventory: Inventory, refs: Iterable[Ref], *, workers: int = 6
) -> None:
    """Put into an inventory what no list tells of some of its resources; those that have gone leave it.

    :raises pumphouse.errors.CloudError: of the first that could not be read.
    """

    def read(resource: Resource) -> Resource | None:
        try:
            return registry[resource.ref.type].complete(cloud, resource)
        except errors.NotFound:
            return None

    found = (inventory.get(ref) for ref in refs)
    wanted = [one for one in found if one is not None and registry[one.ref.type].partly_listed(one)]
    with ThreadPoolExecutor(workers, thread_name_prefix=f"complete-{cloud.name}") as pool:
        for resource, whole in zip(wanted, pool.map(read, wanted), strict=True):
            if whole is None:
                inventory.remove(resource.ref)
            else:
                inventory.replace(whole)


def offers(cloud: CloudAPI, registry: Registry) -> dict[str, Any]:
    """What the cloud's services offer: newest microversions, and which network extensions fields ask for."""
    asked = {field.extension for kind in registry.values() for field in kind.carried() if field.extension}
    return {
        "extensions": sorted(alias for alias in asked if cloud.has_extension(alias)),
        "microversions": {
            str(service): cloud.microversion(service, NEWEST) for service in (Service.COMPUTE, Service.VOLUME)
        },
    }


def _collect_rest(
    inventory: Inventory,
    names: list[str],
    registry: Registry,
    submit: Callable[[str], Future[tuple[list[Resource], dict[str, Any]]]],
    progress: Callable[[str, int], None],
) -> None:
    """Submit each type once those it looks things up in have been read; results join here, in one thread."""
    done = set(FIRST)
    waiting = list(names)
    running: dict[Future[tuple[list[Resource], dict[str, Any]]], str] = {}
    while waiting or running:
        for name in [one for one in waiting if done.issuperset(registry[one].after)]:
            waiting.remove(name)
            running[submit(name)] = name
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            name = running.pop(future)
            try:
                found, facts = future.result()
            except BaseException:
                for other in running:
                    other.cancel()
                raise
            _add(inventory, found)
            if facts:
                inventory.facts[name] = facts
            done.add(name)
            progress(name, len(found))


def _read(
    registry: Registry, name: str, cloud: CloudAPI, seen: Inventory, reach: Reach
) -> tuple[list[Resource], dict[str, Any]]:
    kind = registry[name]
    facts = dict(kind.survey(cloud, reach=reach))
    for attempt in range(TRIES):
        try:
            return list(kind.discover(cloud, seen=seen, reach=reach)), facts
        except errors.NotFound:
            # A resource was removed between the list and what is read of it: the next list lacks it.
            if attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def _add(inventory: Inventory, found: list[Resource]) -> None:
    for resource in found:
        inventory.add(resource)


def _with_lookups(registry: Registry, types: Collection[str]) -> set[str]:
    """The types with all that their ``after`` names, and theirs."""
    found: set[str] = set()
    todo = list(types)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(registry[name].after)
    return found
