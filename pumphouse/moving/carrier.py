"""The way of a disk's data through temporary images: what volumes and servers' root disks share.

The source writes the disk into an image, that is copied to the destination, something is made of it there,
and both images are removed. No API hands out a disk's bytes in another way.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service, remove
from pumphouse.context import PENDING, Carried, JournalEntry
from pumphouse.model import Action, Side
from pumphouse.moving.carrying import carry_data
from pumphouse.steps import Step, once, take_back
from pumphouse.transfer import SpoiltImage, compare_image_data

CARRIER = "pumphouse-carrier-"
"""The names of what is temporary: this, the migration, and the id of the source's volume or server."""
_LOST = frozenset({"killed", "deleted", "pending_delete"})


class Temporary(Step):
    """A step that makes something for the way only. A later step, or the undo, removes it."""

    def carrier(self) -> str:
        """The name of what is temporary for this disk: what another migration has left of it is not ours."""
        return f"{CARRIER}{self.context.migration}-{self.item.ref.id}"

    def made(self, step: str) -> str | None:
        """The id of what a step made and what is still there."""
        found = self.context.journal.open_entries(self.item.ref, step)
        return next((entry.made_id for entry in found if entry.made_id), None)

    def old(self) -> frozenset[str]:
        """The ids of those of the same name that an earlier run could not remove: their data are old."""
        found = self.context.journal.of_other_runs(self.item.ref, self.name)
        return frozenset(entry.made_id for entry in found if entry.made_id)

    @property
    def moves(self) -> bool:
        """Whether there is data to move: not for what is there already."""
        return self.item.action is Action.CREATE


class ToImage(Temporary):
    """Have the source write the disk into a temporary image."""

    name = "export"
    doing = "exports its data to an image"
    writes = Side.SOURCE

    def run(self) -> Any:
        """The image's id, once it is active."""
        if not self.moves:
            return None
        context = self.context
        entry = context.journal.intend(self.item.ref, self.name, Side.SOURCE, temporary=True)
        made = entry.made_id or (self._find() if entry.repeated else None)
        if made is None:
            made = once(self.begin, self._find)
        context.journal.made(entry, made)
        return context.wait(
            Side.SOURCE, "image", made, None, self._active,
            describe=f"the export of {self.item.resource}", timeout=context.settings.image_timeout,
        )  # fmt: skip

    @abstractmethod
    def begin(self) -> str:
        """Have it begun; the id of the image."""

    @abstractmethod
    def reading(self) -> bool:
        """Whether the service is still at what it reads."""

    def undo(self, entry: JournalEntry) -> None:
        """Remove it, and wait until what is read is itself again."""
        made = entry.made_id or self._find()
        if made:
            remove(self.context.source, Service.IMAGE, f"/images/{made}")
        settings = self.context.settings
        end = time.monotonic() + settings.volume_timeout
        while self.reading():
            if time.monotonic() > end:
                raise errors.WaitTimeout(
                    "the source still exports its data",
                    resource=str(self.item.resource),
                    cloud=self.context.source.name,
                )
            time.sleep(min(settings.poll_interval, 1.0))

    def _find(self) -> str | None:
        return find_image(self.context.source, self.carrier(), but=self.old())

    def _active(self, body: Mapping[str, Any] | None) -> Any:
        if body is None or body["status"] in _LOST:
            raise errors.ResourceFailed(
                "the source could not export its data",
                resource=str(self.item.resource),
                cloud=self.context.source.name,
                next_step="Look for the reason in the logs of the source's volume or compute service, then "
                "retry.",
            )
        return PENDING if body["status"] != "active" or self.reading() else body["id"]


class Transfer(Temporary):
    """Bring the temporary image to the destination."""

    name = "transfer"
    doing = "copies its data"

    def run(self) -> Any:
        """The number of bytes that travelled."""
        exported = self.made(ToImage.name)
        if not self.moves or exported is None:
            return None
        context = self.context
        entry = context.journal.intend(self.item.ref, self.name, Side.DESTINATION, temporary=True)
        sent = context.source.get(Service.IMAGE, f"/images/{exported}")
        earlier = self._earlier(entry) if entry.repeated else None
        if earlier is not None and earlier["status"] == "active":
            found = compare_image_data(sent, earlier)
            if found.same:
                context.journal.made(entry, earlier["id"])
                arrived = Carried(
                    bytes=int(earlier["size"]), seconds=0.0, digest=found.digest, mover=self.item.mover
                )
                context.carried(self.item.ref, self.name, arrived)
                return earlier["size"]
        if earlier is not None and earlier["status"] != "queued":
            # A record takes data only once.
            remove(context.destination, Service.IMAGE, f"/images/{earlier['id']}")
            earlier = None
        try:
            return self._carry(entry, sent, earlier)
        except SpoiltImage as spoilt:
            made = spoilt.resource.partition(":")[2]
            remove(context.destination, Service.IMAGE, f"/images/{made}")
            return self._carry(entry, sent, None)

    def _carry(self, entry: JournalEntry, sent: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> int:
        made = str(earlier["id"]) if earlier is not None else once(lambda: self._record(sent), self._find)
        self.context.journal.made(entry, made)
        return carry_data(self, sent, made).bytes

    def _record(self, sent: Mapping[str, Any]) -> str:
        body = {
            **self.properties(sent),
            "name": self.carrier(),
            # What is made of it is created in the project's name, which must see the image.
            "owner": self.want().project_id,
            "visibility": "private",
            "disk_format": sent["disk_format"],
            "container_format": sent["container_format"],
        }
        return str(self.context.destination.post(Service.IMAGE, "/images", body)["id"])

    def properties(self, sent: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002 -- for others
        """The properties that the image must have for what is made of it."""
        return {}

    def _earlier(self, entry: JournalEntry) -> Mapping[str, Any] | None:
        """What an earlier attempt made, as it is now."""
        made = entry.made_id or self._find()
        while made:
            try:
                found: Mapping[str, Any] = self.context.destination.get(Service.IMAGE, f"/images/{made}")
            except errors.NotFound:
                # It was replaced by one of the same name before the journal heard of that.
                made = self._find()
            else:
                return found
        return None

    def undo(self, entry: JournalEntry) -> None:
        """Remove it, and one that replaced it without the journal's hearing of that."""
        made = entry.made_id or self._find()
        while made:
            remove(self.context.destination, Service.IMAGE, f"/images/{made}")
            made = self._find()

    def _find(self) -> str | None:
        return find_image(self.context.destination, self.carrier(), but=self.old())


class CleanUp(Temporary):
    """Remove what was made for the way only, on both sides."""

    name = "clean_up"
    doing = "removes the temporary copies"
    writes = Side.SOURCE
    makers: ClassVar[tuple[type[Temporary], ...]]
    """The steps that made it, the last one first."""

    def run(self) -> Any:
        """Nothing. What cannot be removed now is tried again when the migration ends."""
        for step in self.makers:
            for entry in self.context.journal.open_entries(self.item.ref, step.name):
                trouble = take_back(step(self.context, self.item), entry)
                if trouble is not None:
                    self.context.note(self.item.ref, f"a temporary copy is removed later: {trouble}")


def same_data(step: Step) -> bool:
    """Whether the two temporary images of a step's resource hold the same, as far as they are there to tell.

    Once they have been removed they had been compared.
    """
    sent = _image(step, Side.SOURCE, ToImage.name)
    arrived = _image(step, Side.DESTINATION, Transfer.name)
    return not (sent and arrived and compare_image_data(sent, arrived).same is False)


def _image(step: Step, side: Side, made_by: str) -> Mapping[str, Any] | None:
    """The body of a temporary image, or None."""
    for entry in step.context.journal.open_entries(step.item.ref, made_by):
        return step.context.cloud(side).get(Service.IMAGE, f"/images/{entry.made_id}")
    return None


def carrier_there(step: Step) -> str:
    """The id of the temporary image on the destination. Raises ResourceError when there is none."""
    entries = step.context.journal.open_entries(step.item.ref, Transfer.name)
    image = next((entry.made_id for entry in entries if entry.made_id), None)
    if image is None:
        raise errors.ResourceError(
            "its data has not been copied",
            resource=str(step.item.resource),
            next_step="Make a new plan and migrate it again.",
        )
    return image


def find_image(cloud: CloudAPI, name: str, *, but: Collection[str]) -> str | None:
    """The id of an image of this name that is none of those."""
    found = cloud.list(Service.IMAGE, "/images", "images", params={"name": name})
    return next((str(body["id"]) for body in found if body["id"] not in but), None)
