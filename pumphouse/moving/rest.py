"""Whether the source's server still rests: somebody may have woken it while its data were on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.steps import Step

QUIESCE = "quiesce"
"""The step that brings it to rest; its journal entry tells by which request."""
RESTED = "rested"
_WAKING = frozenset(
    {
        "start",
        "reboot",
        "resume",
        "unpause",
        "unshelve",
        "rescue",
        "unrescue",
        "rebuild",
        "resize",
        "evacuate",
    }
)
"""Actions, as compute calls them, after which a guest runs or its disk is another one."""


def last_request(step: Step) -> str:
    """The id of the newest request that did something to the source's server; "" if none is known.

    Compute API: ``GET /servers/{id}/os-instance-actions``. Raises CloudError.
    """
    return next((str(action["request_id"]) for action in _actions(step)), "")


def woken(step: Step, rested: Mapping[str, Any]) -> list[str]:
    """What woke it since it came to rest, the newest first.

    :param rested: the details of the journal's entry of its coming to rest.
    """
    if RESTED not in rested:
        return []
    later = takewhile(lambda action: action["request_id"] != rested[RESTED], _actions(step))
    return [str(action["action"]) for action in later if action["action"] in _WAKING]


def require_rest(step: Step) -> None:
    """Raise ResourceError if somebody has used the source's server since it came to rest."""
    for entry in step.context.journal.open_entries(step.item.ref, QUIESCE):
        found = woken(step, entry.detail)
        if found:
            raise errors.ResourceError(
                f"it was used on the source after it had been brought to rest ({', '.join(reversed(found))})",
                resource=str(step.item.resource),
                cloud=step.context.source.name,
                next_step="Agree with its users on the time, then retry: its data are copied again.",
            )


def _actions(step: Step) -> Iterator[Mapping[str, Any]]:
    answer = step.context.source.get(
        Service.COMPUTE, f"/servers/{step.item.ref.id}/os-instance-actions", up_to="2.58"
    )
    yield from answer["instanceActions"]
