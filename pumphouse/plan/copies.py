"""What is known of the copies that migrations have made, and whether one of them is old by now.

The source's one may have been used since it was copied. What was copied while it was in use has moved with
what used it; what becomes of both on the source after that is no use. A copy that is in use itself by now is
what counts, unless something else, which has used the source's one since, is to have it. So is one
of which the operator says that nothing was written until the source's last change, and until no later one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pumphouse.model import Ref, Resource
from pumphouse.resource import ResourceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """How the source's one was left when a migration copied it, and by whom it was used then.

    ``waits`` says that the migration waits for its cutover: nobody works on the destination before that, and
    what is in use there is tried out.
    """

    made_id: str
    left_at: str
    used_by: frozenset[Ref]
    waits: bool = False


def is_vouched(here: Resource, kind: ResourceType) -> bool:
    """Whether the operator says that a copy has all that was written until its last change. Pure."""
    until = kind.copied_until(here)
    return bool(until) and until == kind.touched(here)


def is_old(
    copied: Copied | None,
    here: Resource,
    there: Resource,
    kind: ResourceType,
    *,
    moves: Callable[[Ref], bool],
) -> bool:
    """Whether the source's one may have other data by now than its copy. Pure.

    :param moves: whether something is moved to the destination now.
    """
    if copied is None or copied.made_id != there.ref.id or kind.touched(here) == copied.left_at:
        return False
    newly = set(kind.used_by(here)) - copied.used_by
    if is_vouched(here, kind) and not any(map(moves, newly)):
        return False
    if copied.used_by and not newly:
        return False
    in_use = any(True for _ in kind.used_by(there)) and not copied.waits
    return not in_use or any(map(moves, newly))
