"""What is done with each server of a hypervisor that is emptied. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pumphouse import errors
from pumphouse.text import counted

_ADVICE = {
    "SUSPENDED": "resume it, or shelve it",
    "SHELVED": "wait until it has left the host, or unshelve it",
    "ERROR": "mend it, or remove it",
    "RESCUE": "end the rescue",
    "VERIFY_RESIZE": "its owner must confirm or revert the resize",
}
_ELSE = "bring it to ACTIVE or SHUTOFF"


class Way(StrEnum):
    """How a server moves."""

    LIVE = "live"
    COLD = "cold"
    NONE = ""


_PASSING = frozenset(
    {"BUILD", "HARD_REBOOT", "MIGRATING", "PASSWORD", "REBOOT", "REBUILD", "RESIZE", "REVERT_RESIZE"}
)
"""Statuses that end by themselves."""
WAYS: Mapping[str, Way] = {"ACTIVE": Way.LIVE, "PAUSED": Way.LIVE, "SHUTOFF": Way.COLD}
"""By the status; a server of another one cannot move."""


class MoveState(StrEnum):
    """How far a server has come."""

    WAITING = "WAITING"
    MOVING = "MOVING"
    CONFIRMING = "CONFIRMING"
    """It is on the other host, and its old place is being given up."""
    MOVED = "MOVED"
    GONE = "GONE"
    """Somebody has moved or removed it meanwhile."""
    LATE = "LATE"
    """It has not ended in time. The next run sees to its end."""
    STAYS = "STAYS"


UNDER_WAY = frozenset({MoveState.MOVING, MoveState.CONFIRMING})
OPEN = UNDER_WAY | {MoveState.LATE}
"""Those that somebody must see the end of: a cold move that nobody confirms leaves a server in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One server: its status when it was found, how it moves, where to, in how many seconds, or why not.

    One that stays has a ``to`` if it is in error there.
    ``flavor`` tells a move, which keeps it, from a resize.
    """

    id: str
    name: str
    was: str
    way: Way
    state: MoveState
    to: str = ""
    seconds: float | None = None
    why: str = ""
    flavor: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Move:
        """The move that the store keeps."""
        return cls(**{**data, "way": Way(data["way"]), "state": MoveState(data["state"])})

    def outdated(self, body: Mapping[str, Any]) -> bool:
        """Whether a server on the host is to be planned again: it has come back, or can perhaps move now."""
        if self.state is MoveState.STAYS:
            return self.way is Way.NONE and body["status"] != self.was
        return self.state in {MoveState.MOVED, MoveState.GONE}


def require_movable(moves: Iterable[Move], *, cloud: str) -> None:
    """Raise PlanBlocked where some server cannot be moved."""
    stuck = [one for one in moves if one.state is MoveState.STAYS]
    if stuck:
        raise errors.PlanBlocked(
            f"{counted(len(stuck), 'server')} cannot be moved, such as {stuck[0].name}: {stuck[0].why}",
            cloud=cloud,
            next_step="Do that first, or move the others with --partly.",
        )


def plan_of(body: Mapping[str, Any], *, advice: str = "") -> Move:
    """What is to be done with a server as it is.

    :param advice: what to do about one that cannot be moved; empty is what goes for its status.
    """
    status = str(body["status"])
    way = WAYS.get(status, Way.NONE)
    stays = way is Way.NONE and not passing(body)
    return Move(
        id=str(body["id"]),
        name=str(body["name"]),
        was=status,
        way=way,
        state=MoveState.STAYS if stays else MoveState.WAITING,
        why=f"its status is {status}: {advice or _ADVICE.get(status, _ELSE)}" if stays else "",
        flavor=flavor_of(body),
    )


def passing(body: Mapping[str, Any]) -> str:
    """What a server is in the middle of; empty for one that is not."""
    status = str(body["status"])
    return str(body.get("OS-EXT-STS:task_state") or (status if status in _PASSING else ""))


def flavor_of(body: Mapping[str, Any]) -> str:
    """The name of a server's flavor, or its id where the cloud tells that alone."""
    flavor = body.get("flavor") or {}
    return str(flavor.get("original_name") or flavor.get("id") or "")
