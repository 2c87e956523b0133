"""Find what the destination has of it already, and decide: create, reuse, update or conflict.

Goes through the graph in order, since the identity of a resource holds its parents' ids on the destination.
What we made is known by the id map of earlier migrations or by its marker; all else by identity.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pumphouse.compare import Difference, differences
from pumphouse.fields import Field
from pumphouse.model import Action, Resource
from pumphouse.plan.draft import Draft, Node
from pumphouse.resource import Adopt, Policy, Problem, ResourceType, Severity

Index = dict[tuple[str, Policy, Any], list[Resource]]


def apply(draft: Draft) -> None:
    """Match every node, needed ones first."""
    marked: dict[tuple[str, str | None], Resource] = {
        (resource.ref.type, resource.made_from): resource
        for resource in draft.destination
        if resource.made_from is not None
    }
    index = _by_identity(draft)
    for node in draft.in_order():
        if node.action is Action.SKIP:
            continue
        _match(draft, node, marked, index)
        _refuse_half(draft, node)
        _refuse_broken(draft, node)
        if node.destination is not None and node.action is not Action.BLOCKED:
            _decide(draft, node, node.destination)


def _by_identity(draft: Draft) -> Index:
    index: Index = defaultdict(list)
    for kind in draft.registry.values():
        for resource in draft.destination.of_type(kind.name):
            policy = kind.policy(resource)
            identity = kind.identity(resource.fields, policy=policy)
            if identity is not None:
                index[kind.name, policy, identity].append(resource)
    return index


def _match(draft: Draft, node: Node, marked: dict[tuple[str, str | None], Resource], index: Index) -> None:
    ref = node.resource.ref
    kind = draft.kind(ref)
    known = _earlier(draft, node) or marked.get((ref.type, ref.id))
    if known is not None:
        node.destination = known
        node.ours = ref not in draft.adopted or known.made_from == ref.id
        return
    candidates = _candidates(draft, node, kind, index)
    if len(candidates) == 1:
        node.destination = candidates[0]
    elif len(candidates) > 1:
        ids = ", ".join(sorted(one.ref.id for one in candidates))
        node.block(
            Problem(
                severity=Severity.BLOCK,
                summary=f"{len(candidates)} of the destination's could be it: {ids}",
                next_step="Rename all but one on the destination, or map the name in an override file.",
            )
        )
    elif draft.policy(node) is Policy.MAP:
        node.block(
            Problem(
                severity=Severity.BLOCK,
                summary=f"the destination has no {kind.name} {node.resource.name!r}, and it is never created",
                next_step="Create it on the destination, or map its name in an override file.",
            )
        )
    elif node.action is not Action.BLOCKED:
        node.reason = "the destination has no such resource"


def _refuse_half(draft: Draft, node: Node) -> None:
    """Block what is there and only half made: to reuse it would call it migrated.

    What is shared and being made is planned as if it were not there: by the claims it is made once.
    """
    half = draft.half_made.get(node.resource.ref)
    if half is None or node.destination is None:
        return
    if half.running and draft.shared(node):
        node.destination, node.ours = None, False
        node.reason = f"migration {half.migration} is creating it: it is waited for and used"
        return
    node.block(
        Problem(
            severity=Severity.BLOCK,
            summary=f"migration {half.migration} has begun to make it ({node.destination.ref.id}), "
            "and has not finished",
            next_step="Wait until that ends. Should nobody be at work on it, go on with: "
            f"pumphouse migration resume {half.migration}; or take it back with: "
            f"pumphouse migration rollback {half.migration}",
        )
    )


def _refuse_broken(draft: Draft, node: Node) -> None:
    """Block what an earlier migration has made and is no whole one, whatever the store knows of it."""
    if node.destination is None or not node.ours or node.action is Action.BLOCKED:
        return
    why = draft.kind(node.resource.ref).unfinished(node.destination)
    if why:
        node.block(
            Problem(
                severity=Severity.BLOCK,
                summary=f"a migration made it ({node.destination.ref.id}), but it is not whole: {why}",
                next_step="Resume that migration or take it back (see: pumphouse migration list), or remove "
                "it on the destination, and plan again.",
            )
        )


def _earlier(draft: Draft, node: Node) -> Resource | None:
    """What an earlier migration made or used for it, if that is still there."""
    known = draft.known.get(node.resource.ref)
    return draft.destination.get(node.resource.ref._replace(id=known)) if known else None


def _candidates(draft: Draft, node: Node, kind: ResourceType, index: Index) -> list[Resource]:
    fields, policy = node.resource.fields, draft.policy(node)
    resolved = kind.resolve(fields, draft.lookup)
    if policy is Policy.MOVE and any(
        found.field.key and draft.lookup(found.ref) is None for found in kind.references(fields)
    ):
        return []  # what it belongs to is not there, so neither is this
    identity = kind.identity(resolved, policy=policy)
    found = index.get((kind.name, policy, identity), []) if identity is not None else []
    if kind.adopt is Adopt.ALWAYS or policy is Policy.MAP:
        return found
    return [one for one in found if one.made_from is None]


def _decide(draft: Draft, node: Node, there: Resource) -> None:
    kind = draft.kind(node.resource.ref)
    if draft.policy(node) is Policy.MAP:
        node.action, node.reason = Action.REUSE, f"mapped to {there.name!r}"
        return
    found = _differences(draft, node, kind, there)
    if node.ours or kind.adopt is Adopt.SET or (kind.adopt is Adopt.SAME and _only_adds(kind, found)):
        _update(node, kind, found)
    elif kind.adopt is Adopt.NEVER:
        node.block(
            Problem(
                severity=Severity.BLOCK,
                summary=f"name clash: the destination has a {kind.name} {there.name!r} ({there.ref.id})",
                next_step="Rename one of the two, or leave it out.",
            )
        )
    elif not found:
        node.action, node.reason = Action.REUSE, "the destination has the same"
    elif kind.adopt is Adopt.ALWAYS:
        node.action, node.reason = Action.REUSE, "the destination has one of that name"
        node.take(
            Problem(
                severity=Severity.WARNING,
                summary=f"it is used as it is, and differs: {_list(found)}",
                next_step="Change it on the destination if it matters.",
            )
        )
    else:
        node.block(
            Problem(
                severity=Severity.BLOCK,
                summary=f"the destination has another of that name ({there.ref.id}): {_list(found)}",
                next_step="Rename one of the two, make them equal, or map the name in an override file.",
            )
        )


def _differences(draft: Draft, node: Node, kind: ResourceType, there: Resource) -> tuple[Difference, ...]:
    """What differs, but for what may, and for optional references without a counterpart: those are lost."""
    want = kind.resolve(node.resource.fields, draft.symbol)
    lost = {
        found.field.name
        for found in kind.references(node.resource.fields)
        if found.field.optional and not found.field.at_least and draft.symbol(found.ref) is None
    }
    fields = {field.name: field for field in kind.carried()}
    return tuple(
        one
        for one in differences(kind, want, there.fields)
        if one.field not in lost and not kind.may_change(fields[one.field], node.resource, there)
    )


def _only_adds(kind: ResourceType, found: tuple[Difference, ...]) -> bool:
    """Whether all that differs is what the destination lacks: to add it changes nothing for others."""
    additive = {field.name for field in kind.carried() if field.at_least and not field.fixed}
    return bool(found) and all(one.field in additive for one in found)


def _update(node: Node, kind: ResourceType, found: tuple[Difference, ...]) -> None:
    fixed: dict[str, Field] = {field.name: field for field in kind.carried() if field.fixed}
    node.changed = tuple(one.field for one in found if one.field not in fixed)
    stuck = tuple(one for one in found if one.field in fixed)
    if stuck:
        node.take(
            Problem(
                severity=Severity.WARNING,
                summary=f"it cannot be changed in place, and differs: {_list(stuck)}",
                next_step="Remove the destination's one and migrate it again if it matters.",
            )
        )
    if node.changed:
        node.action, node.reason = Action.UPDATE, f"it has changed: {', '.join(node.changed)}"
    elif node.ours:
        node.action, node.reason = Action.REUSE, "it was migrated before, and nothing has changed"
    else:
        node.action, node.reason = Action.REUSE, "the destination has the same"


def _list(found: tuple[Difference, ...]) -> str:
    return "; ".join(map(str, found))
