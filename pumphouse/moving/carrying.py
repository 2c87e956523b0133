"""Moving image data within a step: what images and disks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pumphouse import errors
from pumphouse.context import Carried
from pumphouse.moving.movers import STREAM, CannotMove, Job, named
from pumphouse.steps import Step
from pumphouse.transfer import ImageCloud, Lane, Transfer


def carry_data(step: Step, image: Mapping[str, Any], destination_id: str) -> Transfer:
    """Move the data of a source's image into a queued image of the destination, with the step's progress.

    :param image: the source's, as its API gives it.
    :raises pumphouse.transfer.SpoiltImage: the destination's image must be deleted and created again.
    :raises pumphouse.errors.ResourceFailed: the destination does not accept the content.
    """
    context = step.context

    def progress(done: int, total: int) -> None:
        share = done / total if total else 1.0
        context.progress(step.item.ref, step.name, share, f"{done} of {total} bytes")

    job = Job(
        source=cast("ImageCloud", context.source),
        destination=cast("ImageCloud", context.destination),
        image=image,
        there=destination_id,
        lane=cast("Lane", context.lane),
        progress=progress,
        timeout=context.settings.image_timeout,
        interval=context.settings.poll_interval,
    )
    with context.lane.slot():
        mover, moved = _move(step, job)
    arrived = Carried(bytes=job.size, seconds=moved.seconds, digest=moved.digest, mover=mover)
    context.carried(step.item.ref, step.name, arrived)
    return moved


def _move(step: Step, job: Job) -> tuple[str, Transfer]:
    """By the planned mover; through this process if that fails, or must keep to a bandwidth.

    The name of the mover, and what it did.
    """
    mover = named(step.item.mover or STREAM)
    if step.context.lane.bandwidth and not mover.passes_here:
        mover = named(STREAM)
    try:
        try:
            return mover.name, mover.move(job)
        except CannotMove as why:
            step.context.note(step.item.ref, f"{why}: its data pass through this process instead")
            return STREAM, named(STREAM).move(job)
    except errors.BadRequest as refused:
        if refused.status != 415:
            raise
        # Newer image services look into the data, and refuse what does not look like its format.
        raise errors.ResourceFailed(
            f"the destination does not accept its content: {refused.message}",
            next_step="Correct the disk format of the image on the source, or convert it, then retry.",
            resource=str(step.item.resource),
            cloud=refused.cloud,
            request_id=refused.request_id,
        ) from refused
