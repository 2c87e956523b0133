"""What is done with each server of a hypervisor that is emptied. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_ADVICE = {
    "SUSPENDED": "resume it, or shelve it",
    "SHELVED": "wait until it has left the host, or unshelve it",
    "ERROR": "mend it, or remove it",
    "RESCUE": "end the rescue",
    "VERIFY_RESIZE": "its owner must confirm or revert the resize",
}


class Way(StrEnum):
    """How a server moves."""

    LIVE = "live"
    COLD = "cold"
    NONE = ""


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
    """Somebody removed it meanwhile."""
    STAYS = "STAYS"


UNDER_WAY = frozenset({MoveState.MOVING, MoveState.CONFIRMING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One server: its status when it was found, how it moves, where to, in how many seconds, or why not."""

    id: str
    name: str
    was: str
    way: Way
    state: MoveState
    to: str = ""
    seconds: float | None = None
    why: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Move:
        """The move that the store keeps."""
        return cls(**{**data, "way": Way(data["way"]), "state": MoveState(data["state"])})


def plan_of(body: Mapping[str, Any]) -> Move:
    """What is to be done with a server as it is."""
    status = str(body["status"])
    way = WAYS.get(status, Way.NONE)
    advice = _ADVICE.get(status, "bring it to ACTIVE or SHUTOFF")
    busy = body.get("OS-EXT-STS:task_state")
    if way is Way.NONE and busy:
        advice = "wait until that is done"
    return Move(
        id=str(body["id"]),
        name=str(body["name"]),
        was=status,
        way=way,
        state=MoveState.WAITING if way is not Way.NONE else MoveState.STAYS,
        why="" if way is not Way.NONE else f"its status is {status}: {advice}",
    )
