"""The steps that move a volume's data, over the APIs alone, through temporary images.

In use: take a snapshot, make a volume of it, export that to an image, copy the image, create the volume from
it, remove all that was for the way only. Detached: the same without the first two. The source's volume is
never detached and never changed.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Protocol, cast

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.compare import unset
from pumphouse.context import PENDING, Deferred, Item, JournalEntry
from pumphouse.model import Action, Side
from pumphouse.moving.carrier import CleanUp, Temporary, ToImage, Transfer, carrier_there, same_data
from pumphouse.moving.managing import MANAGED, changes_hands, let_go, status_of, take
from pumphouse.moving.root_disk import ROOT_OF, image_of_server, is_busy
from pumphouse.moving.untouched import EXPORTING, forget_unseen, used_since, watched
from pumphouse.resource import Want
from pumphouse.steps import LEFT_AT, USED_BY, Create, Step, Verify, once

_BUSY = frozenset({"creating", "deleting", "uploading", "downloading"})
"""States of a snapshot or a volume that pass, and in which it cannot be removed."""
_FORMAT = "qcow2"
"""Only blocks in use travel, and no Glance mistakes the guest's boot sector for another format."""


class OnSource(Temporary):
    """Makes a snapshot or a volume on the source, of a volume in use."""

    writes = Side.SOURCE
    kind: ClassVar[str]

    @classmethod
    def applies(cls, item: Item) -> bool:
        """Only a volume in use is copied first."""
        return _is_copied(item) and bool(item.resource.facts["attachments"])

    def run(self) -> Deferred:
        """The id of what was made, once it is available."""
        source = self.context.source
        entry = self.context.journal.intend(self.item.ref, self.name, Side.SOURCE, temporary=True)
        made = entry.made_id or (self._find() if entry.repeated else None)
        if made is None:
            made = once(self._make, self._find)
        self.context.journal.made(entry, made)
        return self.context.wait(
            Side.SOURCE,
            self.kind,
            made,
            source.project_id,
            partial(_available, cloud=source.name, resource=str(self.item.resource)),
            describe=f"the {self.name} of {self.item.resource}",
            timeout=self.context.settings.volume_timeout,
        )

    @abstractmethod
    def request(self) -> dict[str, Any]:
        """The body of the request that makes it."""

    def undo(self, entry: JournalEntry) -> None:
        """Remove it, and wait until it is gone: a snapshot with a volume made of it may not be removed.

        An attempt that was cut short may have left it while it is made, read or removed: the service refuses
        to remove it then.
        """
        made = entry.made_id or self._find()
        if made is None:
            return
        source, settings = self.context.source, self.context.settings
        end, asked = time.monotonic() + settings.delete_timeout, False
        while (status := status_of(source, made, self.kind)) is not None:
            if not asked and status not in _BUSY:
                try:
                    source.delete(Service.VOLUME, f"/{self.kind}s/{made}")
                except errors.BadRequest:
                    # Repeated since its answer was lost, it was applied the first time.
                    if status_of(source, made, self.kind) not in {"deleting", None}:
                        raise
                asked = True
            elif time.monotonic() > end:
                raise errors.WaitTimeout(
                    f"the temporary {self.kind} {made} is still there, {status}",
                    resource=str(self.item.resource),
                    cloud=source.name,
                )
            else:
                time.sleep(min(settings.poll_interval, 1.0))

    def _make(self) -> str:
        answer = self.context.source.post(Service.VOLUME, f"/{self.kind}s", {self.kind: self.request()})
        return str(answer[self.kind]["id"])

    def _find(self) -> str | None:
        params, old = {"name": self.carrier(), **self.place()}, self.old()
        found = self.context.source.list(
            Service.VOLUME, f"/{self.kind}s/detail", f"{self.kind}s", params=params
        )
        return next((str(body["id"]) for body in found if body["id"] not in old), None)

    def place(self) -> dict[str, Any]:
        """Where it is listed, unless in the operator's own project."""
        return {}


class Snapshot(OnSource):
    """Take a snapshot of a volume in use. Some storage clones no volume in use, but all takes snapshots."""

    name = "snapshot"
    doing = "takes a snapshot on the source"
    kind = "snapshot"
    turn = 1

    def run(self) -> Deferred:
        """Its id, once it is available, and the journal knows how the volume was then."""
        forget_unseen(self, find=self._find, ended=self._has_ended)
        return watched(self, super().run())

    def request(self) -> dict[str, Any]:
        return {"name": self.carrier(), "volume_id": self.item.ref.id, "force": True}

    def place(self) -> dict[str, Any]:
        """With its volume, which is the tenant's."""
        return {"all_tenants": 1, "volume_id": self.item.ref.id}

    def _has_ended(self, made: str) -> bool:
        return status_of(self.context.source, made, self.kind) in {"available", "deleting", None}


class Clone(OnSource):
    """Make a volume of the snapshot, which can be exported while the server keeps its own."""

    name = "clone"
    doing = "clones it on the source"
    kind = "volume"

    def request(self) -> dict[str, Any]:
        return {
            "name": self.carrier(),
            "snapshot_id": self.made(Snapshot.name),
            "size": self.item.resource.facts["size"],
        }


class Export(ToImage):
    """Have the source write the volume, or its clone, into a temporary image."""

    turn = 2

    @classmethod
    def applies(cls, item: Item) -> bool:
        return _is_copied(item)

    def run(self) -> Any:
        """The image's id, once it is active, and the journal knows how the volume was then."""
        facts = self.item.resource.facts
        if not self.moves or facts["attachments"] or facts.get(ROOT_OF):
            return super().run()  # it reads the clone, or a server's disk
        forget_unseen(self, find=self._find, ended=self._has_ended)
        return watched(self, super().run())

    def begin(self) -> str:
        """By the volume service; by compute if it is a server's root disk as yet."""
        server = self.item.resource.facts.get(ROOT_OF)
        if server:
            return image_of_server(self.context.source, server, self.carrier())
        action = "os-volume_upload_image"
        upload = {
            "image_name": self.carrier(),
            "disk_format": _FORMAT,
            "container_format": "bare",
            "force": False,
        }
        path = f"/volumes/{self._volume()}/action"
        answer = self.context.source.post(Service.VOLUME, path, {action: upload})
        return str(answer[action]["image_id"])

    def reading(self) -> bool:
        server = self.item.resource.facts.get(ROOT_OF)
        if server:
            return is_busy(self.context.source, server)
        return status_of(self.context.source, self._volume()) == EXPORTING

    def _volume(self) -> str:
        """The id of what is exported."""
        return self.made(Clone.name) or self.item.ref.id

    def _has_ended(self, made: str) -> bool:
        try:
            status = self.context.source.get(Service.IMAGE, f"/images/{made}")["status"]
        except errors.NotFound:
            return True
        return status in {"active", "pending_delete", "deleted"}


class FromImage(Protocol):
    """A type whose resources can be created with the data of an image."""

    def create_from(self, cloud: CloudAPI, want: Want, image_id: str) -> str: ...
    def find(self, cloud: CloudAPI, want: Want) -> str | None: ...


def _is_copied(item: Item) -> bool:
    return item.action is Action.CREATE and not changes_hands(item.resource)


class TransferVolume(Transfer):
    """Bring it to the destination, unless it changes hands."""

    @classmethod
    def applies(cls, item: Item) -> bool:
        return _is_copied(item)


class CreateVolume(Create):
    """Create the volume from the temporary image, or take the one that the source has let go of."""

    def _create(self, cloud: CloudAPI, want: Want) -> str:
        if changes_hands(self.item.resource):
            return take(self, cloud, want)
        kind = cast("FromImage", self.item.kind)
        image = carrier_there(self)
        return once(lambda: kind.create_from(cloud, want, image), lambda: kind.find(cloud, want))

    def _told(self) -> dict[str, Any]:
        """That it changes hands; or how the source's was left by what this is made of, and who had it."""
        if changes_hands(self.item.resource):
            return {MANAGED: True}
        journal, ref = self.context.journal, self.item.ref
        for maker in (Snapshot, Export):
            for entry in journal.open_entries(ref, maker.name):
                if LEFT_AT in entry.detail:
                    used_by = [str(one) for one in self.item.kind.used_by(self.item.resource)]
                    return {LEFT_AT: entry.detail[LEFT_AT], USED_BY: used_by}
        return {}

    def _undo(self, entry: JournalEntry) -> None:
        """What has changed hands is never deleted. The journal tells: a rule may name what was copied."""
        if not entry.detail.get(MANAGED):
            super()._undo(entry)
            return
        let_go(self, self._acting_still(entry), entry)
        self.context.ids.remove(self.item.ref)


class Fill(Step):
    """Wait until the destination has written the data into the volume."""

    name = "fill"
    doing = "waits for its data"
    writes = None

    def run(self) -> Any:
        """The volume's id, once it is available."""
        if self.item.action is not Action.CREATE:
            return None
        return self.context.wait(
            Side.DESTINATION, "volume", self.destination_id(), self.want().project_id, self._available,
            describe=str(self.item.resource), timeout=self.context.settings.volume_timeout,
        )  # fmt: skip

    def _available(self, body: Mapping[str, Any] | None) -> Any:
        try:
            return _available(body, cloud=self.context.destination.name, resource=str(self.item.resource))
        except errors.ResourceFailed as failure:
            failure.message = f"{failure.message}{self._reasons()}"
            raise

    def _reasons(self) -> str:
        """The service's own messages about it, for whoever reads the error."""
        params = {"resource_uuid": self.destination_id()}
        try:
            found = self.acting(self.want().project_id).list(
                Service.VOLUME, "/messages", "messages", params=params, up_to="3.5"
            )
        except errors.CloudError:
            return ""  # clouds before 3.3 have none
        return "".join(f": {one['user_message']}" for one in found[:1])


class Settle(Step):
    """Set what creating from an image has changed: the boot flag, image metadata, the read-only flag."""

    name = "settle"
    doing = "sets its flags"

    def run(self) -> Any:
        """Nothing."""
        if self.item.action is Action.CREATE:
            kind, identity, want = self.item.kind, self.destination_id(), self.want()
            cloud = self.acting(want.project_id)
            there = kind.show(cloud, identity, project_id=want.project_id)
            names = unset(kind, want.fields, there) & {"bootable", "image_metadata", "readonly"}
            kind.update(cloud, identity, want, {name: want.fields[name] for name in sorted(names)})


class VerifyVolume(Verify):
    """Compare the data, too: the temporary images must have the same hash, and nobody may have used it."""

    def compare(self) -> None:
        super().compare()
        if _is_copied(self.item) and not self.item.resource.facts.get(ROOT_OF):
            entries = self.context.journal.open_entries(self.item.ref, Create.name)
            used = used_since(self, next((entry.detail.get(LEFT_AT) for entry in entries), None))
            if used:
                self.fail(used)
        if not same_data(self):
            self.fail("the data that arrived is not the data that was sent")


class CleanUpVolume(CleanUp):
    """Remove all copies but the destination's volume."""

    turn = 3
    makers = (TransferVolume, Export, Clone, Snapshot)

    @classmethod
    def applies(cls, item: Item) -> bool:
        return not changes_hands(item.resource)


def _available(body: Mapping[str, Any] | None, *, cloud: str, resource: str) -> Any:
    """The id of a volume or snapshot that is ready, or PENDING. Raises ResourceFailed."""
    if body is None:
        raise errors.ResourceFailed("it is gone", cloud=cloud, resource=resource)
    if str(body["status"]).startswith("error"):
        raise errors.ResourceFailed(f"its status is {body['status']}", cloud=cloud, resource=resource)
    return body["id"] if body["status"] == "available" else PENDING


def delete_volume(cloud: CloudAPI, identity: str) -> bool:
    """Remove a volume, also while it is being created or filled. False if it was already gone."""
    try:
        return cloud.delete(Service.VOLUME, f"/volumes/{identity}")
    except errors.BadRequest:
        # Refused in those states, but not to an administrator who insists. It may be going, or gone by now:
        # what is repeated since its answer was lost was applied the first time.
        if status_of(cloud, identity) not in {"deleting", None}:
            with suppress(errors.NotFound):
                cloud.post(Service.VOLUME, f"/volumes/{identity}/action", {"os-force_delete": {}})
        return True
