"""The checks that an operator wants a server to pass before its source is given up."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Generator, Mapping
from fnmatch import translate
from functools import cached_property
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.context import PENDING, Deferred, Item
from pumphouse.health import SECTION, Address, Check, Kind, parse
from pumphouse.model import Action, Side
from pumphouse.moving import probes
from pumphouse.moving.server import ServerStep
from pumphouse.text import duration

_ATTEMPT = 10.0
"""Seconds that one attempt may take, but for a command."""
_LOOK_EVERY = 0.25
"""Seconds between two looks at an attempt under way, unless others wait for less."""
_CONSOLE_LINES = 500
_VARIABLE = "PUMPHOUSE_"


class Health(ServerStep):
    """Try the server's checks, one after the other, each again and again until it passes or its time is up.

    The destination's server runs by now, whatever state the source's was found in, and the source's
    is at rest. A check that fails fails the unit, whose undo wakes the source's server again.
    """

    name = "health"
    doing = "checks its health"
    writes = None

    @classmethod
    def applies(cls, item: Item) -> bool:
        """Where checks were declared for a server that moves."""
        return item.action is Action.CREATE and bool(item.resource.facts.get(SECTION))

    def run(self) -> Any:
        """Nothing; raises HealthCheckFailed."""
        checks = parse(self.item.resource.facts.get(SECTION, []), where=str(self.item.resource))
        if not (self.moves and checks):
            return None
        course = self._course(checks)

        def poll() -> Any:
            try:
                next(course)
            except StopIteration:
                return None
            return PENDING

        return Deferred(
            poll=poll,
            describe=f"the health checks of {self.item.resource}",
            interval=min(self.context.settings.poll_interval, _LOOK_EVERY),
            # Each has its own limit, with a better error.
            timeout=sum(check.timeout for check in checks) + 2 * _ATTEMPT * len(checks),
        )

    def _course(self, checks: tuple[Check, ...]) -> Generator[None, None, None]:
        for number, check in enumerate(checks):
            self.context.progress(self.item.ref, self.name, number / len(checks), str(check))
            yield from self._pass(check)

    def _pass(self, check: Check) -> Generator[None, None, None]:
        begun = time.monotonic()
        end, why = begun + check.timeout, ""
        while not why or time.monotonic() < end:
            tried = time.monotonic()
            limit = end if check.kind is Kind.COMMAND else min(end, tried + _ATTEMPT)
            try:
                found = yield from probes.until(self._attempt(check), limit)
            except probes.CannotRun as error:
                self._fail(check, f"cannot be run: {error}")
            except errors.CloudError as error:
                found = str(error)
            if found == "":
                took = duration(time.monotonic() - begun)
                self.context.note(self.item.ref, f"healthy: {check} passed after {took}")
                return
            # An attempt that the end has cut short tells less than the one before.
            why = found or why or "there is no answer yet"
            pause = tried + max(self.context.settings.poll_interval, _LOOK_EVERY)
            while time.monotonic() < min(pause, end):
                yield
        self._fail(check, f"did not pass within {check.timeout:g} s: {why}")

    def _attempt(self, check: Check) -> probes.Probe:
        if not check.addressed:
            if check.kind is Kind.COMMAND:
                return (yield from probes.command(tuple(check.value), self._environment()))  # type: ignore[arg-type]
            return self._on_console(str(check.value))
        address = self._address(check.address)
        if address is None:
            return f"it has no {check.address} address yet"
        if check.kind is Kind.TCP:
            why = yield from probes.tcp(address, int(check.value))  # type: ignore[arg-type]
        else:
            why = yield from probes.http(
                str(check.value), address, statuses=check.statuses, host=check.host, verify=check.verify
            )
        return f"{address}: {why}" if why else ""

    def _fail(self, check: Check, why: str) -> None:
        self.context.note(self.item.ref, f"unhealthy: {check} {why}")
        raise errors.HealthCheckFailed(
            f"the check {str(check)!r} {why}",
            resource=str(self.item.resource),
            cloud=self.context.destination.name,
        )

    # -- what is asked

    @cached_property
    def _ports(self) -> list[Mapping[str, Any]]:
        """Its ports in the order of its interfaces."""
        found = self.context.destination.list(
            Service.NETWORK, "/ports", "ports", params={"device_id": self.destination_id()}
        )
        order = list(self.want().fields["ports"])
        return sorted(found, key=lambda one: order.index(one["id"]) if one["id"] in order else len(order))

    @property
    def _fixed(self) -> list[str]:
        return [str(one["ip_address"]) for port in self._ports for one in port["fixed_ips"]]

    def _floating(self) -> list[str]:
        """Its floating addresses; they are made beside it, and so may still be to come."""
        found = (
            one
            for port in self._ports
            for one in self.context.destination.list(
                Service.NETWORK, "/floatingips", "floatingips", params={"port_id": port["id"]}
            )
        )
        return [str(one["floating_ip_address"]) for one in found]

    def _address(self, wanted: Address) -> str | None:
        found = [] if wanted is Address.FIXED else self._floating()
        if wanted is not Address.FLOATING:
            found = found or self._fixed
        return next(iter(found), None)

    def _on_console(self, text: str) -> str:
        """Why no line of the console log has the text."""
        answer = self.context.destination.post(
            Service.COMPUTE,
            f"/servers/{self.destination_id()}/action",
            {"os-getConsoleOutput": {"length": _CONSOLE_LINES}},
        )
        wanted = re.compile(translate(f"*{text}*"))
        lines = str(answer.get("output") or "").splitlines()
        return "" if any(map(wanted.match, lines)) else f"none of {len(lines)} lines has it"

    def _environment(self) -> dict[str, str]:
        """What a command gets: our own environment without the operator's credentials, and the server."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", _VARIABLE))}
        fixed, floating = self._fixed, self._floating()
        told = {
            "ADDRESS": next(iter(floating or fixed), ""),
            "FIXED_ADDRESSES": " ".join(fixed),
            "FLOATING_ADDRESSES": " ".join(floating),
            "SERVER_NAME": self.item.resource.name,
            "SERVER_ID": self.destination_id(),
            "SOURCE_SERVER_ID": self.item.ref.id,
            "PROJECT_ID": self.want().project_id or "",
            "CLOUD": self.context.cloud(Side.DESTINATION).name,
        }
        return own | {f"{_VARIABLE}{name}": value.replace("\0", "") for name, value in told.items()}
