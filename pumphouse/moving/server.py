"""The steps that move a server: quieten it, make it anew, prove it, bring it to its state, switch it off.

Everything that a server needs is there before the first of them, so that its downtime holds only what must
be in it. No step deletes the source's server. When a step fails, the undo of those before it, newest first,
removes the destination's half and brings the source's back to the state in which it was found.

An administrator's requests pass a lock, so a locked server keeps its lock all the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.compare import differences
from pumphouse.context import PENDING, Deferred, JournalEntry
from pumphouse.model import Action, Side
from pumphouse.moving.carrier import same_data
from pumphouse.moving.rest import QUIESCE, RESTED, last_request, require_rest, woken
from pumphouse.moving.root_disk import travels_as
from pumphouse.resource import Want
from pumphouse.steps import LEFT_AT, Create, Step, Verify

UP_TO = "2.96"
QUIET = frozenset({"SHUTOFF", "SUSPENDED", "PAUSED", "SHELVED", "SHELVED_OFFLOADED"})
"""States in which a server writes nothing."""
_REST = {
    "SHUTOFF": "os-stop",
    "PAUSED": "pause",
    "SUSPENDED": "suspend",
    "SHELVED": "shelve",
    "SHELVED_OFFLOADED": "shelve",
}
"""What brings an active server to a state of rest."""
_BEFORE = {
    **dict.fromkeys(_REST.values(), "ACTIVE"),
    "resume": "SUSPENDED",
    "unpause": "PAUSED",
    "os-start": "SHUTOFF",
}
"""The status in which a server is asked for an action."""
_ASLEEP = frozenset({3, 4, 7})
"""Power states, paused, off and suspended, in which no guest runs whatever the status says."""
_ALIKE = {"SHELVED": {"SHELVED", "SHELVED_OFFLOADED"}, "SHELVED_OFFLOADED": {"SHELVED", "SHELVED_OFFLOADED"}}
"""Whether and when a shelved server leaves its host is a setting of each cloud."""
_SET_LATER = frozenset({"locked", "locked_reason"})


class ServerStep(Step):
    """What the steps of a server share."""

    @property
    def moves(self) -> bool:
        """Whether the server is moved, rather than there already."""
        return self.item.action is Action.CREATE

    def here(self) -> Mapping[str, Any]:
        """The source's server as it is now."""
        return self.body(Side.SOURCE, self.item.ref.id)

    def body(self, side: Side, identity: str) -> Mapping[str, Any]:
        """A server as it is now."""
        answer = self.context.cloud(side).get(Service.COMPUTE, f"/servers/{identity}", up_to=UP_TO)
        server: Mapping[str, Any] = answer["server"]
        return server

    def act(
        self,
        side: Side,
        identity: str,
        action: str,
        body: Mapping[str, Any] | None = None,
        *,
        cloud: CloudAPI | None = None,
    ) -> None:
        """Send an action. After a lost answer it is sent again if the server is still as it was."""
        cloud, path = cloud or self.context.cloud(side), f"/servers/{identity}/action"
        try:
            cloud.post(Service.COMPUTE, path, {action: body}, up_to=UP_TO)
        except errors.Unsure:
            now = self.body(side, identity)
            if now["status"] == _BEFORE.get(action) and now.get("OS-EXT-STS:task_state") is None:
                with suppress(errors.Conflict):  # the first one has come through after all
                    cloud.post(Service.COMPUTE, path, {action: body}, up_to=UP_TO)

    def found(self) -> Mapping[str, Any]:
        """The state in which this migration found the source's server, from the journal.

        One that is moved once more, since its counterpart is gone, had been switched off by the first run.
        """
        journal, ref = self.context.journal, self.item.ref
        entries = [*journal.of_other_runs(ref, Quiesce.name), *journal.open_entries(ref, Quiesce.name)]
        if not entries:
            return self.item.resource.facts
        return {**entries[-1].detail, "status": entries[0].detail["status"]}

    def until(
        self,
        side: Side,
        identity: str,
        states: frozenset[str] | set[str],
        *,
        then: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> Deferred:
        """Wait until a server is in one of some states, and nothing is being done to it.

        :param then: what is done when it is, with the body in which that was seen.
        """

        def reached(body: Mapping[str, Any] | None) -> Any:
            state = self.reached(side, body, states)
            if body is not None and state is not PENDING:
                then(body)
            return state

        project = self.item.resource.project_id if side is Side.SOURCE else self.want().project_id
        return self.context.wait(
            side,
            "server",
            identity,
            project,
            reached,
            describe=f"{self.item.resource} to be {' or '.join(sorted(states))}",
            timeout=self.context.settings.build_timeout,
        )

    def reached(self, side: Side, body: Mapping[str, Any] | None, states: frozenset[str] | set[str]) -> Any:
        """The state, or PENDING. Raises ResourceFailed for a server that is gone or in error."""
        status = "gone" if body is None else str(body["status"])
        if body is None or (status == "ERROR" and "ERROR" not in states):
            fault = str((body or {}).get("fault", {}).get("message", ""))
            raise errors.ResourceFailed(
                f"the server is {status}{': ' if fault else ''}{fault}",
                resource=str(self.item.resource),
                cloud=self.context.cloud(side).name,
            )
        busy = body.get("OS-EXT-STS:task_state") is not None
        return status if status in states and not busy else PENDING

    def restore(self, found: Mapping[str, Any]) -> None:
        """Bring the source's server back to the state in which it was found. Waits.

        Raises ResourceFailed for one that is in a state, such as ERROR, from which it cannot be woken.
        """
        target = str(found["status"])
        identity = self.item.ref.id
        now = self._settled(Side.SOURCE, identity)
        if now == "ACTIVE" and self.here().get("OS-EXT-STS:power_state") in _ASLEEP:
            # Shutting down was cut short after it had called a resting guest active.
            self.act(Side.SOURCE, identity, "os-stop")
            now = self._settled(Side.SOURCE, identity, {"SHUTOFF"})
        if now == target or now in _ALIKE.get(target, ()):
            return
        wake = {"SUSPENDED": "resume", "PAUSED": "unpause", "SHUTOFF": "os-start"}
        if now in wake:
            self.act(Side.SOURCE, identity, wake[now])
            now = self._settled(Side.SOURCE, identity, {"ACTIVE"})
        if now != "ACTIVE":
            raise errors.ResourceFailed(
                f"the server is {now} on the source, and was {target} when it was found",
                resource=str(self.item.resource),
                cloud=self.context.source.name,
                next_step="Bring it to ACTIVE there, and take it back again.",
            )
        if target != "ACTIVE":
            self.act(Side.SOURCE, identity, _REST[target])
            self._settled(Side.SOURCE, identity, _ALIKE.get(target, {target}))

    def _settled(self, side: Side, identity: str, states: set[str] | None = None) -> str:
        """The state of a server once nothing is being done to it."""
        settings = self.context.settings
        end = time.monotonic() + settings.build_timeout
        while True:
            body = self.body(side, identity)
            at_rest = body.get("OS-EXT-STS:task_state") is None
            if at_rest and (states is None or self.reached(side, body, states) is not PENDING):
                return str(body["status"])
            if time.monotonic() > end:
                raise errors.WaitTimeout(
                    f"the server is still {body['status']} ({body.get('OS-EXT-STS:task_state')})",
                    resource=str(self.item.resource),
                    cloud=self.context.cloud(side).name,
                )
            time.sleep(min(settings.poll_interval, 1.0))


class Quiesce(ServerStep):
    """Suspend or stop the source's server, so that nothing changes while it moves."""

    name = QUIESCE
    doing = "quiesces it on the source"
    writes = Side.SOURCE

    def run(self) -> Any:
        """Its state, once it is quiet."""
        if not self.moves:
            return None
        identity, body = self.item.ref.id, self.here()
        status, busy = str(body["status"]), body.get("OS-EXT-STS:task_state")
        # First of all: a journalled state is one to which an undo can bring it back.
        if status not in QUIET | {"ACTIVE"}:
            raise errors.ResourceError(
                f"its status is now {status}",
                resource=str(self.item.resource),
                cloud=self.context.source.name,
                next_step="Bring it to ACTIVE or SHUTOFF, and make a new plan.",
            )
        entry = self.context.journal.intend(self.item.ref, self.name, Side.SOURCE, detail={"status": status})
        # An earlier attempt may have sent the action already.
        if status == "ACTIVE" and not (entry.repeated and busy):
            self.act(Side.SOURCE, identity, self._action())
        self.context.journal.made(entry, identity)

        def rested(_: Mapping[str, Any]) -> None:
            detail = {**entry.detail, RESTED: last_request(self)}
            self.context.journal.made(entry, identity, detail=detail)

        return self.until(Side.SOURCE, identity, QUIET, then=rested)

    def undo(self, entry: JournalEntry) -> None:
        """Bring it back; one that was off, and that somebody has started since, is left to run."""
        if entry.detail["status"] != "SHUTOFF" or not woken(self, entry.detail):
            self._require_alone()
            self.restore(entry.detail)

    def _require_alone(self) -> None:
        """See that the destination's server is gone or at rest, for both have the same addresses and data.

        One that could not be removed is stopped. Raises ResourceError if it may run all the same.
        """
        journal, ref = self.context.journal, self.item.ref
        for entry in (*journal.open_entries(ref, Create.name), *journal.of_other_runs(ref, Create.name)):
            try:
                made = Create(self.context, self.item).made(entry)
                if made is not None and _may_run(self.body(Side.DESTINATION, made)):
                    self.act(Side.DESTINATION, made, "os-stop")
                    self._settled(Side.DESTINATION, made, {"SHUTOFF"})
            except errors.NotFound:
                continue
            except (errors.CloudError, errors.ResourceError) as error:
                raise errors.ResourceError(
                    f"it stays at rest, for its counterpart could not be removed and may run: {error}",
                    resource=str(self.item.resource),
                    cloud=self.context.source.name,
                    next_step="Remove or stop the counterpart, and take it back again.",
                ) from error

    def _action(self) -> str:
        """Stop a server whose disks move, whatever the settings say.

        A suspended guest holds writes in its memory, which does not travel; a stopped one has written them.
        """
        disks = self.item.resource.fields.get("volumes") or travels_as(self.item.resource)
        return "os-stop" if disks or self.context.settings.quiesce == "stop" else "suspend"


class Boot(ServerStep):
    """Wait until the destination's server runs."""

    name = "boot"
    doing = "waits until it runs"
    writes = None

    def run(self) -> Any:
        """ACTIVE."""
        return self.until(Side.DESTINATION, self.destination_id(), {"ACTIVE"}) if self.moves else None


class VerifyServer(Verify):
    """Compare the server, its addresses and its ports, and the snapshot of its disk."""

    def compare(self) -> None:
        """Raise VerificationFailed unless it runs as it did, with the network that it had."""
        kind, want = self.item.kind, self.want()
        have = kind.show(self.context.destination, self.destination_id(), project_id=want.project_id)
        if have is None:
            self.fail("it is not there")
            return
        fields = {name: value for name, value in want.fields.items() if name not in _SET_LATER}
        if self.item.action is Action.UPDATE:
            fields = {name: want.fields[name] for name in self.item.changed}
        wrong = [str(one) for one in differences(kind, fields, have.fields)]
        if self.item.action is Action.CREATE:
            if have.facts["status"] != "ACTIVE":
                wrong.append(f"its status is {have.facts['status']}")
            wrong += self._network(want, have.facts["addresses"])
            if not same_data(self):
                wrong.append("the disk that arrived is not the one that was sent")
        if wrong:
            self.fail("; ".join(wrong))

    def _network(self, want: Want, addresses: list[str]) -> list[str]:
        """What is wrong with the ports: whose they are, whether they are bound, and the addresses."""
        wrong, expected = [], []
        for port_id in want.fields["ports"]:
            port = self.context.destination.get(Service.NETWORK, f"/ports/{port_id}")["port"]
            expected += [str(one["ip_address"]) for one in port["fixed_ips"]]
            if port["device_id"] != self.destination_id():
                wrong.append(f"port {port_id} is not its own")
            elif port["status"] != "ACTIVE" and port.get("binding:vif_type") in {"unbound", "binding_failed"}:
                wrong.append(f"port {port_id} is {port['binding:vif_type']}")
        if sorted(expected) != sorted(addresses):
            wrong.append(f"addresses: {sorted(expected)} wanted, {sorted(addresses)} found")
        return wrong


class Settle(ServerStep):
    """Bring the destination's server to the state in which the source's was found, its lock included."""

    name = "settle"
    doing = "brings it to the state found"

    def run(self) -> Any:
        """Its state, once it is reached."""
        if not self.moves:
            return None
        target, identity = str(self.found()["status"]), self.destination_id()
        states = {"ACTIVE"} if target not in _REST else _ALIKE.get(target, {target})
        body = self.body(Side.DESTINATION, identity)
        if body["status"] not in states and body.get("OS-EXT-STS:task_state") is None:
            # The image that shelving makes belongs to the project in whose name it is asked for.
            acting = self.acting(self.want().project_id)
            self.act(Side.DESTINATION, identity, _REST[target], cloud=acting)
        return self.until(Side.DESTINATION, identity, states, then=lambda _: self._lock(identity))

    def _lock(self, identity: str) -> None:
        fields = self.item.resource.fields
        if fields.get("locked"):
            reason = fields.get("locked_reason")
            self.act(Side.DESTINATION, identity, "lock", {"locked_reason": reason} if reason else None)


class ShutDown(ServerStep):
    """Switch the source's server off; it is not deleted."""

    name = "shut_down"
    doing = "shuts it down on the source"
    writes = Side.SOURCE

    def run(self) -> Any:
        """Its state, once it is off."""
        if not self.moves:
            return None
        require_rest(self)
        identity, body = self.item.ref.id, self.here()
        status, busy = str(body["status"]), body.get("OS-EXT-STS:task_state")
        entry = self.context.journal.intend(self.item.ref, self.name, Side.SOURCE, detail=self.found())
        if status in {"SUSPENDED", "PAUSED"}:
            # Compute stops only what is active, and waking the guest would have both of them run.
            # Calling the state active, which only a request of an administrator does, does not wake it.
            self.act(Side.SOURCE, identity, "os-resetState", {"state": "active"})
            status = "ACTIVE"
        # An earlier attempt may have asked for it already.
        if status == "ACTIVE" and not (entry.repeated and busy):
            self.act(Side.SOURCE, identity, "os-stop")
        self.context.journal.made(entry, identity)

        def remember(body: Mapping[str, Any]) -> None:
            """Write down when it changed last: so it is known later whether somebody has used it since."""
            detail = {**entry.detail, LEFT_AT: body.get("updated")}
            self.context.journal.made(entry, identity, detail=detail)

        return self.until(Side.SOURCE, identity, {"SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"}, then=remember)

    def undo(self, entry: JournalEntry) -> None:
        """Nothing yet: the undo of quiescing wakes it, once the destination's server is gone.

        Before that, both would run, with the same addresses.
        """


def _may_run(server: Mapping[str, Any]) -> bool:
    """Whether a guest runs, or could in a moment."""
    if server.get("OS-EXT-STS:task_state") is not None:
        return True
    if server["status"] == "ERROR" and not server.get("OS-EXT-SRV-ATTR:host"):
        return False  # it has never been on a host
    return server["status"] not in QUIET and server.get("OS-EXT-STS:power_state") not in _ASLEEP
