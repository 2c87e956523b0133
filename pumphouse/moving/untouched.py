"""Whether a source's volume is still as its copy was made: somebody may have used it since.

The volume service tells when it changed a volume last. Attaching and detaching change that time, and so does
an export, once when it begins and once when it lets go of the volume. What counts is therefore the time at
which the copy is whole and the volume itself again. It is kept in the journal, and never read anew: a later
reading would hide what was done in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pumphouse.cloud_api import Service
from pumphouse.context import PENDING, Deferred
from pumphouse.moving.carrier import Temporary
from pumphouse.steps import LEFT_AT, Step

EXPORTING = "uploading"
"""The status of a volume while the service reads it into an image. Nobody can attach it then."""


def volume_here(step: Step) -> Mapping[str, Any]:
    """The source's volume as it is now. Raises CloudError."""
    answer = step.context.source.get(Service.VOLUME, f"/volumes/{step.item.ref.id}")
    body: Mapping[str, Any] = answer["volume"]
    return body


def forget_unseen(step: Temporary, *, find: Callable[[], str | None], ended: Callable[[str], bool]) -> None:
    """Take back a copy of an earlier attempt that has become whole, or was removed, while nobody looked.

    Between that and now the volume may have been used, which no time tells: the export had changed it, too.
    An attempt that was cut short while it took the copy back leaves one that goes, or is gone.
    """
    journal = step.context.journal
    for entry in journal.open_entries(step.item.ref, step.name):
        made = None if LEFT_AT in entry.detail else entry.made_id or find()
        if made and ended(made):
            step.context.note(step.item.ref, "it is copied again: its copy ended while nobody looked")
            step.undo(entry)
            journal.removed(entry)


def watched(step: Temporary, copy: Deferred) -> Deferred:
    """The wait for a copy, which ends when the journal has been told how the copy has left the volume."""
    (entry,) = step.context.journal.open_entries(step.item.ref, step.name)
    if LEFT_AT in entry.detail:
        return copy

    def poll() -> Any:
        made = copy.poll()
        if made is PENDING:
            return PENDING
        body = volume_here(step)
        if body["status"] == EXPORTING:
            return PENDING
        detail = {**entry.detail, LEFT_AT: body.get("updated_at")}
        step.context.journal.made(entry, str(made), detail=detail)
        return made

    return replace(copy, poll=poll)


def used_since(step: Step, left_at: str | None) -> str:
    """What was done to the source's volume since its copy was made, in words; "" if nothing was."""
    body = volume_here(step)
    servers = sorted(str(one["server_id"]) for one in body["attachments"])
    if servers != sorted(str(one["server"]) for one in step.item.resource.facts["attachments"]):
        return "it was attached or detached on the source while its data were copied"
    if body.get("updated_at") != left_at:
        return (
            f"it was used or changed on the source, at {body.get('updated_at')}, while its data were copied"
        )
    return ""
