"""Finds in the source's inventory what a scope names: by id, by name, or by ``domain/name``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.model import Inventory, Ref, Resource, Scope, ScopeKind, Strategy
from pumphouse.registry import Registry
from pumphouse.resource import Policy, Problem, Reach, ResourceType


def roots(scope: Scope, inventory: Inventory, registry: Registry) -> dict[Ref, str]:
    """What the scope selects by itself, each with the reason. What these need is the plan's to add.

    :raises pumphouse.errors.UnknownResource: a name that the source does not have.
    :raises pumphouse.errors.AmbiguousName: a name that several resources have.
    """
    selected: dict[Ref, str] = {}
    if scope.kind in {ScopeKind.TENANT, ScopeKind.IDENTITY}:
        projects = {found.ref.id: found.name for found in tenants(scope, inventory)}
        for kind in registry.values():
            if scope.kind is ScopeKind.TENANT or kind.service is Service.IDENTITY:
                selected.update(_owned(kind, projects, inventory))
    elif scope.kind is ScopeKind.HOST:
        selected.update(_on_hosts(scope, inventory))
    else:
        selected.update(_named(scope, inventory))
    if scope.strategy is Strategy.ALL:
        for kind in registry.values():
            if not kind.workload:
                for resource in inventory.of_type(kind.name):
                    if _wanted(kind, resource):
                        selected.setdefault(resource.ref, "every meta-resource is wanted")
    return selected


def from_outside(scope: Scope, inventory: Inventory, registry: Registry) -> dict[Ref, Problem]:
    """What takes effect in the tenants of a scope and belongs to none of them, and what to tell of each."""
    if not scope.of_tenants_alone:
        return {}
    projects = {found.ref.id for found in tenants(scope, inventory)}
    found = (
        (resource.ref, kind.reaches(resource, inventory, projects))
        for kind in registry.values()
        for resource in inventory.of_type(kind.name)
    )
    return {ref: problem for ref, problem in found if problem is not None}


def tenants(scope: Scope, inventory: Inventory) -> list[Resource]:
    """The projects that a scope of tenants names."""
    domains = {domain.ref.id: domain.name for domain in inventory.of_type("domain")}

    def names(project: Resource) -> tuple[str, ...]:
        domain = domains.get(str(project.fields.get("domain_id")), "")
        return (project.ref.id, project.name, f"{domain}/{project.name}")

    found = (
        _one("tenant", name, inventory.of_type("project"), names, inventory.cloud) for name in scope.names
    )
    return list({project.ref: project for project in found}.values())


def source_reach(scope: Scope) -> Callable[[Inventory], Reach]:
    """How far the source must be read for a scope."""

    def reach(seen: Inventory) -> Reach:
        if scope.of_tenants_alone:
            projects = frozenset(project.ref.id for project in tenants(scope, seen))
            return Reach(projects=projects, people=True)
        return Reach(people=scope.strategy is Strategy.ALL)

    return reach


def _owned(kind: ResourceType, projects: dict[str, str], inventory: Inventory) -> dict[Ref, str]:
    """What of a type belongs to the projects."""
    found: dict[Ref, str] = {}
    for resource in inventory.of_type(kind.name):
        if kind.name == "project":
            owners = {resource.ref.id} & projects.keys()
        else:
            owners = projects.keys() & set(kind.tenants(resource, inventory))
        if owners and _wanted(kind, resource):
            found[resource.ref] = f"belongs to tenant {projects[min(owners)]}"
    return found


def _wanted(kind: ResourceType, resource: Resource) -> bool:
    """Whether a tenant's one is in the plan by itself; what is mapped is only needed by others."""
    return kind.selectable(resource) and kind.policy(resource) is not Policy.MAP


def _named(scope: Scope, inventory: Inventory) -> dict[Ref, str]:
    name_of_type = str(scope.kind)
    there = inventory.of_type(name_of_type)
    if scope.kind is ScopeKind.IMAGE and scope.names == ("all",):
        return {image.ref: "every image is wanted" for image in there}
    found = (
        _one(name_of_type, name, there, lambda one: (one.ref.id, one.name), inventory.cloud)
        for name in scope.names
    )
    return {resource.ref: "named in the scope" for resource in found}


def _on_hosts(scope: Scope, inventory: Inventory) -> dict[Ref, str]:
    """The servers of hosts, by the name of the compute service or by that of its hypervisor."""
    names = {server.ref: _host_names(server) for server in inventory.of_type("server")}
    known = set().union(*names.values())
    for name in scope.names:
        if name not in known:
            raise _unknown("host with servers", name, known, inventory.cloud)
    wanted = set(scope.names)
    return {ref: f"is on host {min(hosts & wanted)}" for ref, hosts in names.items() if hosts & wanted}


def _host_names(server: Resource) -> set[str]:
    return {str(server.facts[name]) for name in ("host", "hypervisor") if server.facts.get(name)}


def _one(
    what: str,
    name: str,
    candidates: Iterable[Resource],
    names: Callable[[Resource], tuple[str, ...]],
    cloud: str,
) -> Resource:
    """The one candidate that has the name. An id wins over a name."""
    pool = list(candidates)
    found = [one for one in pool if one.ref.id == name] or [one for one in pool if name in names(one)]
    if not found:
        raise _unknown(what, name, {label for one in pool for label in names(one)[1:]}, cloud)
    if len(found) > 1:
        choices = ", ".join(sorted(f"{names(one)[-1]} ({one.ref.id})" for one in found))
        raise errors.AmbiguousName(
            f"{len(found)} {what}s are called {name!r}: {choices}",
            cloud=cloud,
            next_step="Name the one you mean by its id, or a tenant as domain/name.",
        )
    return found[0]


def _unknown(what: str, name: str, known: set[str], cloud: str) -> errors.UnknownResource:
    near = difflib.get_close_matches(name, sorted(known), n=3)
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return errors.UnknownResource(
        f"there is no {what} {name!r}",
        cloud=cloud,
        next_step=hint or f"See what is there with: pumphouse inventory {cloud}",
    )
