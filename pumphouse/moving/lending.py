"""Creating a server with the key pair of a user who is not the one that asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service, remove
from pumphouse.context import PENDING, Deferred, JournalEntry
from pumphouse.model import DiskMode, Ref, Side
from pumphouse.moving.carrier import carrier_there
from pumphouse.moving.rest import require_rest
from pumphouse.moving.root_disk import travels_as
from pumphouse.resource import Want
from pumphouse.steps import Create, Step, once, take_back


class KeyBusy(Exception):
    """Another server that is being created needs the name of the key pair for another key."""


class CreateServer(Create):
    """Create the server, lending its user's key pair to the operator's user for the moment.

    Compute looks a key pair up among those of the user who asks, and no API creates a server in another
    user's name. So the operator's user has a key pair of the same name and key while the request is made;
    the server keeps the name and the key itself.
    """

    def run(self) -> Any:
        """The destination's id, at once or when the key pair's name is free."""
        # Else both would run, with the same addresses.
        require_rest(self)
        try:
            return super().run()
        except KeyBusy:
            return Deferred(
                poll=self._try,
                describe=f"the key pair {self.item.resource.fields['key_name']!r} to be free",
                interval=self.context.settings.poll_interval,
                timeout=self.context.settings.build_timeout,
            )

    def _try(self) -> Any:
        try:
            return super().run()
        except KeyBusy:
            return PENDING

    def _create(self, cloud: CloudAPI, want: Want) -> str:
        """Create it from what it boots from now: a snapshot of its disk, or the image that shelving made."""
        told = want.source.facts["boot_image"]
        image = self.context.lookup(Ref("image", told)) if told else None
        if travels_as(want.source) == DiskMode.SNAPSHOT:
            image = carrier_there(self)
        if image:
            want = replace(want, fields={**want.fields, "image": image})
        keypair = self._keypair()
        if keypair is None:
            return super()._create(cloud, want)
        lent = self._lend(cloud, keypair)
        try:
            return super()._create(cloud, want)
        except errors.BadRequest as refused:
            # Another one who had lent the same key has just taken it back; a third may have lent it again.
            if "key" in refused.message.lower() and (lent is None or not _has_key(cloud, keypair)):
                raise KeyBusy from refused
            raise
        finally:
            if lent is not None:
                # What stands in the way of that is no reason to fail: the next step tries it again.
                take_back(ReturnKey(self.context, self.item), lent)

    def _keypair(self) -> Mapping[str, Any] | None:
        """The user's key pair on the destination."""
        told = self.item.resource.facts.get("keypair")
        identity = self.context.lookup(Ref("keypair", told)) if told else None
        if identity is None:
            return None
        user_id, _, name = identity.partition("/")
        answer = self.context.destination.get(
            Service.COMPUTE, f"/os-keypairs/{quote(name, safe='')}", params={"user_id": user_id}, up_to="2.10"
        )
        keypair: Mapping[str, Any] = answer["keypair"]
        return keypair

    def _lend(self, cloud: CloudAPI, keypair: Mapping[str, Any]) -> JournalEntry | None:
        """Give the operator's user the key. None if the user has it already."""
        journal, name = self.context.journal, str(keypair["name"])
        if not journal.open_entries(self.item.ref, ReturnKey.name) and _has_key(cloud, keypair):
            # Without an intent: after a crash nobody could tell an own key from a lent one.
            return None
        detail = {"name": name}
        entry = journal.intend(self.item.ref, ReturnKey.name, Side.DESTINATION, detail=detail, temporary=True)
        body = {part: keypair[part] for part in ("name", "type", "public_key")}
        try:
            once(
                lambda: cloud.post(Service.COMPUTE, "/os-keypairs", {"keypair": body}, up_to="2.10"),
                lambda: {} if _has_key(cloud, keypair) else None,
            )
        except errors.Conflict as clash:
            if _has_key(cloud, keypair):
                if entry.repeated:
                    return entry  # lent by an attempt that was cut short
                journal.removed(entry)
                return None
            journal.removed(entry)
            raise KeyBusy from clash
        return journal.made(entry, name)


class ReturnKey(Step):
    """Take the key pair back that was lent for the creation, should that have been cut short."""

    name = "return_key"
    doing = "takes back its key pair"

    def run(self) -> Any:
        """Nothing. What cannot be taken back now is tried again when the migration ends."""
        for entry in self.context.journal.open_entries(self.item.ref, self.name):
            trouble = take_back(self, entry)
            if trouble is not None:
                self.context.note(self.item.ref, f"its lent key pair is taken back later: {trouble}")

    def undo(self, entry: JournalEntry) -> None:
        path = f"/os-keypairs/{quote(entry.detail['name'], safe='')}"
        remove(self.context.destination, Service.COMPUTE, path, up_to="2.10")


def _has_key(cloud: CloudAPI, keypair: Mapping[str, Any]) -> bool:
    """Whether the operator's user has this key under this name."""
    try:
        found = cloud.get(Service.COMPUTE, f"/os-keypairs/{quote(keypair['name'], safe='')}", up_to="2.10")
    except errors.NotFound:
        return False
    return bool(found["keypair"]["public_key"].strip() == keypair["public_key"].strip())
