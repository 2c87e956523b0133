"""Empties a hypervisor inside its cloud: servers that run move alive, stopped ones cold, with a confirmation.

The compute service is disabled first, so that nothing new comes; it is enabled again unless the host is
empty in the end. What is about to be done to a server is in the store before it is done. So the same command
goes on after a crash, and confirms no move but its own. A move whose end was not seen, because it took too
long or the cloud could not be asked, is taken over by the host's next evacuation.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds.cloud import Cloud
from pumphouse.engine.control import Control
from pumphouse.engine.heart import Heart
from pumphouse.model import Ref
from pumphouse.moving.server import Quiesce
from pumphouse.service.hosts import SERVICES_UP_TO, Host, list_hosts
from pumphouse.service.moves import OPEN, UNDER_WAY, Move, MoveState, Way, flavor_of, passing, plan_of
from pumphouse.store.evacuations import EvacuationRecord, EvacuationState
from pumphouse.store.owner import Owner

if TYPE_CHECKING:
    from pumphouse.service.app import Pumphouse

UP_TO = "2.96"
AT_ONCE = 4
"""How many servers move at the same time, unless the operator says otherwise."""
Listener = Callable[[str], None]
"""Told, in a line, what has become of a server."""


class LetGo(Exception):
    """This process ends in the middle: another one goes on from what the store says."""


class Evacuating:
    """The evacuation of one host.

    :param at_once: how many servers move at the same time.
    :param stop: once it is set no further server is moved.
    :param let_go: once it is set the rest is left to another process.
    """

    def __init__(
        self,
        app: Pumphouse,
        cloud: str,
        host: str,
        *,
        at_once: int = AT_ONCE,
        listener: Listener = lambda _text: None,
        stop: threading.Event | None = None,
        let_go: threading.Event | None = None,
    ) -> None:
        self._app = app
        self._cloud: Cloud = app.clouds.open(cloud)
        self._host = host
        self._at_once = at_once
        self._tell = listener
        self._stop = stop or threading.Event()
        self._let_go = let_go or threading.Event()
        self._moves: dict[str, Move] = {}
        self._begun: dict[str, float] = {}
        self._since: dict[str, float] = {}
        """When each came to be as it is."""
        self._store = app.store.evacuations
        self._settings = app.config.engine

    # -- deciding

    def plan(self) -> list[Move]:
        """What would be done with each server. Changes nothing.

        :raises pumphouse.errors.UnknownResource: there is no such host.
        :raises pumphouse.errors.PlanBlocked: no other host could take a server, or this one is down.
        """
        self._own_host()
        last = self._store.last(self._cloud.name, self._host)
        known = last.servers if last else {}
        here = self._here()
        open_moves = [Move.of(one) for one in known.values() if one["state"] in OPEN]
        found = [self._plan_of(body) for id, body in here.items() if id not in {one.id for one in open_moves}]
        return sorted([*open_moves, *found], key=lambda one: (one.name, one.id))

    def _own_host(self) -> Host:
        """The host as it is."""
        hosts = list_hosts(self._cloud)
        own = next((one for one in hosts if one.name == self._host), None)
        if own is None:
            known = ", ".join(one.name for one in hosts)
            raise errors.UnknownResource(
                f"there is no compute host {self._host!r}",
                cloud=self._cloud.name,
                next_step=f"There are: {known}.",
            )
        if not own.up:
            raise errors.PlanBlocked(
                f"the compute service of host {self._host!r} is down, so no server can leave it",
                cloud=self._cloud.name,
                next_step="Bring it up. Nova's own evacuate rebuilds the servers of a host that is lost.",
            )
        if not any(one.up and one.enabled for one in hosts if one is not own):
            raise errors.PlanBlocked(
                "no other compute host is up and enabled, so no server has a place to go",
                cloud=self._cloud.name,
                next_step="Enable another one, then try again.",
            )
        return own

    def _here(self) -> dict[str, dict[str, Any]]:
        """The servers on the host, by one list."""
        found = self._cloud.list(
            Service.COMPUTE,
            "/servers/detail",
            "servers",
            params={"all_tenants": "1", "host": self._host},
            up_to=UP_TO,
        )
        return {str(one["id"]): one for one in found}

    def _plan_of(self, body: Mapping[str, Any]) -> Move:
        advice = ""
        if body["status"] == "SUSPENDED":
            held = self._app.store.journal.held(self._cloud.name, Quiesce.name)
            if migration := held.get(Ref("server", str(body["id"]))):
                advice = f"migration {migration} has put it to rest: let that end, or roll it back"
        return plan_of(body, advice=advice)

    # -- doing

    def run(self, begun: Callable[[str], None] = lambda _id: None) -> EvacuationRecord:
        """Empty the host. What an earlier process had begun is gone on with.

        :param begun: told the id once it is in the store.
        :raises pumphouse.errors.MigrationBusy: another process is at it.
        :raises pumphouse.errors.CloudError: the cloud cannot be asked any longer.
        :raises LetGo: as asked.
        """
        own = self._own_host()
        record = self._store.begin(
            self._cloud.name,
            self._host,
            Owner.this_process(),
            service=own.service,
            disabled=own.enabled,
            unfinished=OPEN,
        )
        self._moves = {
            id: Move.of(one) for id, one in record.servers.items() if one["state"] != MoveState.STAYS
        }
        try:
            begun(record.id)
            if record.disabled:
                self._switch(record, "disabled", f"pumphouse evacuates it ({record.id})")
            with Heart(self._store, record.id, record.epoch, Control(), what="evacuation"):
                self._empty(record)
        except (LetGo, errors.Fenced):
            self._store.release(record.id, record.epoch)  # what follows is another process's
            raise
        except BaseException:
            self._give_back(record)
            raise
        states = [one.state for one in self._moves.values()]
        stay, late = (
            sum(one in some for one in states) for some in ({MoveState.STAYS, MoveState.WAITING}, OPEN)
        )
        if not stay and not late:
            return self._store.end(record.id, EvacuationState.DONE, epoch=record.epoch)
        if record.disabled:
            self._switch(record, "enabled")
        state = EvacuationState.STOPPED if self._stop.is_set() else EvacuationState.FAILED
        told = ((stay, "stay"), (late, "did not end their move in time"))
        reason = "; ".join(f"{count} of {len(states)} servers {what}" for count, what in told if count)
        return self._store.end(record.id, state, epoch=record.epoch, reason=reason)

    def _give_back(self, record: EvacuationRecord) -> None:
        """After an error: enable the service, if that can be done. If not, the next run knows of it."""
        try:
            self._store.keep(record.id, self._kept(), epoch=record.epoch)
            if record.disabled:
                self._switch(record, "enabled")
            self._store.end(
                record.id, EvacuationState.FAILED, epoch=record.epoch, reason="it ended with an error"
            )
        except errors.PumphouseError as error:
            self._tell(
                f"The compute service of {self._host} may still be disabled: {error}. "
                "The same command goes on from here."
            )

    def _switch(self, record: EvacuationRecord, status: str, reason: str = "") -> None:
        """Disable or enable the compute service."""
        body = {"status": status} | ({"disabled_reason": reason} if reason else {})
        self._cloud.put(Service.COMPUTE, f"/os-services/{record.service}", body, up_to=SERVICES_UP_TO)
        self._tell(f"The compute service of {self._host} is {status}.")

    def _empty(self, record: EvacuationRecord) -> None:
        first = True
        while True:
            here = self._here()
            if first:
                self._find_again(here)
                first = False
            self._look_again(here)
            for move in [one for one in self._moves.values() if one.state in UNDER_WAY]:
                self._follow(move, here.get(move.id))
            if self._store.keep(record.id, self._kept(), epoch=record.epoch).stopping:
                self._stop.set()
            if self._let_go.is_set():
                raise LetGo
            self._begin_more(record, here)
            under_way = any(one.state in UNDER_WAY for one in self._moves.values())
            waiting = any(one.state is MoveState.WAITING for one in self._moves.values())
            if not under_way and (not waiting or self._stop.is_set()):
                self._store.keep(record.id, self._kept(), epoch=record.epoch)
                return
            self._let_go.wait(self._settings.poll_interval)

    def _look_again(self, here: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up what is new on the host, has come back, or can be moved by now."""
        for id, body in here.items():
            known = self._moves.get(id)
            if known is None or known.outdated(body):
                self._set(self._plan_of(body))
        for move in list(self._moves.values()):
            if move.state is MoveState.STAYS and not move.to and move.id not in here:
                self._set(replace(move, state=MoveState.GONE))

    def _find_again(self, here: Mapping[str, Mapping[str, Any]]) -> None:
        """What an earlier process meant to move and has not begun to, or has not got through."""
        for move in list(self._moves.values()):
            body = here.get(move.id)
            if move.state is MoveState.WAITING and body is None:
                del self._moves[move.id]  # somebody else has moved it
            elif body is not None and not (move.state in OPEN and passing(body)):
                self._moves[move.id] = self._plan_of(body)
            elif move.state in OPEN:
                self._moves[move.id] = replace(move, state=MoveState.MOVING, why="")

    def _begin_more(self, record: EvacuationRecord, here: Mapping[str, Mapping[str, Any]]) -> None:
        """Move the next servers, as many as may be under way."""
        for move in sorted(self._moves.values(), key=lambda one: (one.name, one.id)):
            if (
                self._stop.is_set()
                or sum(one.state in UNDER_WAY for one in self._moves.values()) >= self._at_once
            ):
                return
            body = here.get(move.id)
            if move.state is not MoveState.WAITING:
                continue
            if body is None:
                self._set(replace(move, state=MoveState.GONE))
            elif task := passing(body):
                if self._lasts(move) > self._settings.build_timeout:
                    self._set(replace(move, state=MoveState.STAYS, why=f"it is still {task}"))
            else:
                self._begin(record, self._plan_of(body))

    def _lasts(self, move: Move) -> float:
        """For how many seconds a server has been as it is."""
        now = time.monotonic()
        return now - self._since.setdefault(move.id, now)

    def _begin(self, record: EvacuationRecord, move: Move) -> None:
        """Write down that it moves, and have it moved."""
        if move.way is Way.NONE:
            self._set(move)
            return
        self._begun[move.id] = time.monotonic()
        self._set(replace(move, state=MoveState.MOVING))
        self._store.keep(record.id, self._kept(), epoch=record.epoch)
        try:
            self._act(move.id, *_action(self._cloud, move.way))
        except errors.REFUSALS as error:
            self._set(replace(move, state=MoveState.STAYS, why=error.message))
        except (errors.Unavailable, errors.Unsure) as error:
            self._tell(f"{move.name}: {error.message}")  # the next look tells what came of it

    def _follow(self, move: Move, body: Mapping[str, Any] | None) -> None:
        """How a server under way stands. What the cloud fails to answer is asked again at the next look."""
        try:
            now = self._looked_at(move, body)
        except errors.CloudError as error:
            now = replace(move, why=error.message)
            if now != move:
                self._tell(f"server {move.name}: {error.message}")
        settings = self._settings
        limit = settings.move_timeout if move.state is MoveState.MOVING else settings.build_timeout
        if now.state is move.state and self._lasts(move) > limit:
            why = f"its move has not ended within {limit:g} s{f': {now.why}' if now.why else ''}"
            now = replace(now, state=MoveState.LATE, why=why)
        if now != move:
            self._set(now)

    def _looked_at(self, move: Move, body: Mapping[str, Any] | None) -> Move:
        """The move as it is now; a server that is not on the host any longer is asked for by itself."""
        still_here = body is not None
        if body is None:
            try:
                body = self._cloud.get(Service.COMPUTE, f"/servers/{move.id}", up_to=UP_TO)["server"]
            except errors.NotFound:
                return replace(move, state=MoveState.GONE)
        return self._after(move, body, still_here=still_here)

    def _after(self, move: Move, body: Mapping[str, Any], *, still_here: bool) -> Move:
        """The move as a server's newest body tells it; the same one if nothing has come of it yet."""
        status, busy = str(body["status"]), body.get("OS-EXT-STS:task_state")
        if status == "ERROR":
            why = str((body.get("fault") or {}).get("message") or "the cloud does not tell why")
            to = "" if still_here else str(body.get("OS-EXT-SRV-ATTR:host") or "")
            return replace(move, state=MoveState.STAYS, to=to, why=f"it is in error: {why}")
        if busy:
            return move
        if still_here:
            return replace(
                move,
                state=MoveState.STAYS,
                why="the cloud has not moved it: no other host may take it, or the move failed",
            )
        ours = move.way is Way.COLD and move.flavor in {"", flavor_of(body)}
        if status == "VERIFY_RESIZE" and ours:
            if move.state is MoveState.MOVING:
                with suppress(errors.Conflict, errors.BadRequest):  # an earlier attempt has asked for it
                    self._act(move.id, "confirmResize", None)
                return replace(move, state=MoveState.CONFIRMING)
            return move
        to = str(body.get("OS-EXT-SRV-ATTR:host") or "")
        begun = self._begun.get(move.id)
        took = None if begun is None else round(time.monotonic() - begun, 1)
        changed = "" if status == move.was else f"it was {move.was} and is {status} now"
        return replace(move, state=MoveState.MOVED, to=to, seconds=took, why=changed)

    def _act(self, id: str, action: str, body: Mapping[str, Any] | None) -> None:
        self._cloud.post(Service.COMPUTE, f"/servers/{id}/action", {action: body}, up_to=_ACTION_UP_TO)

    def _set(self, move: Move) -> None:
        before = self._moves.get(move.id)
        self._moves[move.id] = move
        if before is None or before.state is not move.state:
            if before is not None:
                self._since[move.id] = time.monotonic()
            told = {
                MoveState.MOVING: f"moves {'alive' if move.way is Way.LIVE else 'cold'}",
                MoveState.CONFIRMING: "is confirmed",
                MoveState.MOVED: f"is on {move.to}{f'; {move.why}' if move.why else ''}",
                MoveState.GONE: "has left the host",
                MoveState.LATE: f"is late: {move.why}",
                MoveState.STAYS: f"stays: {move.why}",
            }
            if move.state in told:
                self._tell(f"server {move.name}: {told[move.state]}")

    def _kept(self) -> dict[str, dict[str, Any]]:
        return {id: asdict(one) for id, one in self._moves.items()}


_ACTION_UP_TO = "2.56"


def _action(cloud: Cloud, way: Way) -> tuple[str, Mapping[str, Any] | None]:
    """The action that moves a server, in the words of the cloud's release."""
    if way is Way.COLD:
        return "migrate", None
    if cloud.supports(Service.COMPUTE, "2.25"):
        return "os-migrateLive", {"host": None, "block_migration": "auto"}
    return "os-migrateLive", {"host": None, "block_migration": False, "disk_over_commit": False}
