"""Moving image data within a step: what images and volumes share."""

from __future__ import annotations

from typing import cast

from pumphouse import errors
from pumphouse.context import Carried
from pumphouse.steps import Step
from pumphouse.transfer import ImageCloud, Transfer, copy_image_data


def carry_data(step: Step, source_id: str, destination_id: str, *, size: int) -> Transfer:
    """Copy the data of a source's image into a queued image of the destination, with the step's progress.

    :param size: the source's size in bytes.
    :raises pumphouse.transfer.SpoiltImage: the destination's image must be deleted and created again.
    :raises pumphouse.errors.ResourceFailed: the destination does not accept the content.
    """
    context = step.context

    def progress(done: int, total: int) -> None:
        share = done / total if total else 1.0
        context.progress(step.item.ref, step.name, share, f"{done} of {total} bytes")

    try:
        moved = copy_image_data(
            cast("ImageCloud", context.source),
            source_id,
            cast("ImageCloud", context.destination),
            destination_id,
            size=size,
            progress=progress,
        )
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
    context.carried(step.item.ref, step.name, Carried(bytes=size, seconds=moved.seconds, digest=moved.digest))
    return moved
