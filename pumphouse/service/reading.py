"""Reading clouds: both sides at once, and no further than a scope needs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from pumphouse import errors
from pumphouse.clouds.cloud import Cloud
from pumphouse.inventory.collect import collect, complete, everywhere
from pumphouse.inventory.scope import source_reach, tenants
from pumphouse.model import Inventory, Ref, Resource, Scope, ScopeKind
from pumphouse.plan.overrides import Overrides
from pumphouse.registry import Registry
from pumphouse.resource import Reach

Progress = Callable[[str, str, int], None]
"""(cloud, type, how many): told once each type of a cloud has been read."""


def quiet(_cloud: str, _type: str, _count: int) -> None:
    """No progress."""


def read_one(
    cloud: Cloud, registry: Registry, *, tenant: str | None, types: Collection[str], progress: Progress
) -> Inventory:
    """One cloud's inventory, of one tenant or, as far as lists tell it, of all.

    :raises pumphouse.errors.UnknownResource: there is no such tenant or type.
    """
    unknown = sorted(set(types) - set(registry))
    if unknown:
        raise errors.UnknownResource(
            f"there is no resource type {', '.join(map(repr, unknown))}",
            next_step=f"Known are: {', '.join(sorted(registry))}.",
        )
    scope = Scope(kind=ScopeKind.TENANT, names=(tenant,)) if tenant else None
    whole = collect(
        cloud,
        registry,
        types=types or None,
        reach=source_reach(scope) if scope else everywhere,
        progress=lambda name, count: progress(cloud.name, name, count),
    )
    if scope is None:
        found = list(whole)
    else:
        wanted = {project.ref.id for project in tenants(scope, whole)}
        refs = [one.ref for one in whole if _owners(one, whole, registry) & wanted]
        complete(cloud, registry, whole, refs)
        found = [one for one in map(whole.get, refs) if one is not None]
    return Inventory(
        cloud.name,
        (one for one in found if not types or one.ref.type in types),
        facts=whole.facts,
        taken_at=whole.taken_at,
    )


def completing(*clouds: Cloud, registry: Registry) -> Callable[[Inventory, Collection[Ref]], None]:
    """What puts into an inventory of one of these clouds what no list tells of some resources."""
    by_name = {cloud.name: cloud for cloud in clouds}

    def completes(inventory: Inventory, refs: Collection[Ref]) -> None:
        complete(by_name[inventory.cloud], registry, inventory, refs)

    return completes


def _owners(resource: Resource, inventory: Inventory, registry: Registry) -> set[str]:
    if resource.ref.type == "project":
        return {resource.ref.id}
    return set(registry[resource.ref.type].tenants(resource, inventory))


def read_both(
    source: Cloud,
    destination: Cloud,
    registry: Registry,
    *,
    scope: Scope,
    overrides: Overrides,
    progress: Progress = quiet,
) -> tuple[Inventory, Inventory]:
    """Both inventories, side by side. Raises CloudError, and what the scope's names raise."""
    wanted: dict[str, tuple[str, ...]] = {}

    def reach_there(seen: Inventory) -> Reach:
        """The destination's projects of the same names; the others do not matter."""
        names = {overrides.names.get("projects", {}).get(name, name) for name in wanted["names"]}
        return Reach(projects=frozenset(one.ref.id for one in seen.of_type("project") if one.name in names))

    def reach_here(seen: Inventory) -> Reach:
        return source_reach(scope)(seen)

    if scope.of_tenants_alone:
        # Only the two first types, to learn the tenants' names before the destination is read.
        first = collect(source, registry, types=("domain", "project"))
        wanted["names"] = tuple(project.name for project in tenants(scope, first))
        there: Callable[[Inventory], Reach] = reach_there
    else:
        there = everywhere
    with ThreadPoolExecutor(2, thread_name_prefix="read") as pool:
        here = pool.submit(
            collect,
            source,
            registry,
            reach=reach_here,
            progress=lambda name, count: progress(source.name, name, count),
        )
        other = pool.submit(
            collect,
            destination,
            registry,
            reach=there,
            progress=lambda name, count: progress(destination.name, name, count),
        )
        return here.result(), other.result()
