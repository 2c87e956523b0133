"""Faults on demand: injected answers, dropped connections, stalls, and holds on the Nth writing request."""

from __future__ import annotations

import fnmatch
import itertools
import json
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pumphouse.devcloud.http import Response

ACTIONS = ("status", "delay", "drop", "half_body", "stall", "expire", "server_error")


@dataclass(kw_only=True)
class Injection:
    """A fault to inject.

    Matches ``method`` (``*``: any) and ``path``, a glob over the path without the host
    (``/compute/*/servers``), or else ``kind``, a name that :class:`Counts` has. ``after`` matching requests
    pass first, then ``times`` are hit (0: all).
    Actions: ``status`` (answer ``code`` with ``headers`` and ``body``), ``delay`` (``seconds``), ``drop`` (a
    TCP reset ``when`` = before | after the request was applied, or in the middle of its body),
    ``half_body``, ``stall`` (no answer for ``seconds``, or until the fault is cleared, then a reset),
    ``expire`` (every token ends before the request is looked at), ``server_error`` (the next server that is
    created ends in ERROR; ``path`` matches its name).
    """

    action: str
    method: str = "*"
    path: str = "*"
    kind: str = ""
    times: int = 1
    after: int = 0
    code: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    seconds: float | None = None
    when: str = "before"
    id: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"unknown action {self.action!r}: the actions are {', '.join(ACTIONS)}")
        if self.when not in ("before", "middle", "after"):
            raise ValueError("'when' is before, middle or after")
        self._cleared = threading.Event()

    def answer(self, request_id: str) -> Response:
        """The answer of the action ``status``."""
        body = (
            self.body
            if self.body is not None
            else {"error": {"code": self.code, "message": "injected fault"}}
        )
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return Response(
            self.code,
            content,
            {"Content-Type": "application/json", "x-openstack-request-id": request_id, **self.headers},
        )

    def pause(self) -> None:
        """The action ``delay``."""
        time.sleep(self.seconds or 0)

    def stall(self) -> None:
        """The action ``stall``."""
        self._cleared.wait(self.seconds)

    def clear(self) -> None:
        """End the stalls of this fault."""
        self._cleared.set()


class FaultBook:
    """The faults that are armed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._injections: list[Injection] = []
        self._ids = itertools.count(1)

    def add(self, action: str, **options: Any) -> Injection:
        """Arm a fault (see :class:`Injection`); ValueError or TypeError when it makes no sense."""
        injection = Injection(action=action, **options)
        with self._lock:
            injection.id = next(self._ids)
            self._injections.append(injection)
        return injection

    def match(self, method: str, path: str, kind: str = "") -> Injection | None:
        """The fault that hits this request, if any; its count is taken."""
        if not self._injections:
            return None

        def suits(one: Injection) -> bool:
            return one.action != "server_error" and one.method in ("*", method) and one.kind in ("", kind)

        with self._lock:
            return self._hit(suits, path)

    def server_error(self, name: str) -> bool:
        """Whether the server of this name, being created now, must end in ERROR."""
        if not self._injections:
            return False
        with self._lock:
            return self._hit(lambda one: one.action == "server_error", name) is not None

    def _hit(self, suits: Any, path: str) -> Injection | None:
        for one in self._injections:
            if (
                not suits(one)
                or not fnmatch.fnmatchcase(path, one.path)
                or (one.times and one.hits >= one.times)
            ):
                continue
            if one.after > 0:
                one.after -= 1
                continue
            one.hits += 1
            return one
        return None

    def list(self) -> list[dict[str, Any]]:
        """All armed and spent faults."""
        with self._lock:
            return [asdict(one) for one in self._injections]

    def clear(self) -> None:
        """Disarm all, and end their stalls."""
        with self._lock:
            for one in self._injections:
                one.clear()
            self._injections.clear()


When = Literal["before", "after"]


@dataclass(kw_only=True, eq=False)
class _Hold:
    nth: int
    when: str
    kind: str
    seen: int = 0
    write: int = 0
    """The number of the write that is the one, once it has come."""
    held: dict[str, Any] | None = None
    dropped: bool = False


class Holds:
    """Stops the Nth writing request, from now on, before or after it is applied, until let go."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._hold: _Hold | None = None

    def set(self, nth: int, when: When = "before", *, kind: str = "") -> None:
        """Hold the ``nth`` write from now on (1 is the next); an older hold is released.

        Counted are those of a kind, a name that :class:`Counts` has, or all.
        """
        if nth < 1 or when not in ("before", "after"):
            raise ValueError("'nth' is at least 1, 'when' is before or after")
        with self._condition:
            self._hold = _Hold(nth=nth, when=when, kind=kind)
            self._condition.notify_all()

    def wait(self, write: int, when: str, method: str, path: str, kind: str) -> bool:
        """Called for every write, with its number since the start; blocks while it is the held one.

        False if it was dropped meanwhile: it must not be applied, or not be answered.
        """
        with self._condition:
            hold = self._hold
            if hold is None:
                return True
            if when == "before" and hold.kind in ("", kind):
                hold.seen += 1
                if hold.seen == hold.nth:
                    hold.write = write
            if (hold.write, hold.when) != (write, when):
                return True
            hold.held = {"nth": hold.nth, "when": when, "method": method, "path": path}
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._hold is not hold)
            return not hold.dropped

    def release(self) -> None:
        """Let the held request go and hold no other."""
        with self._condition:
            self._hold = None
            self._condition.notify_all()

    def drop(self) -> None:
        """End the held request as it is, its connection with it, and hold no other.

        One that was held before it was applied never is, as if its sender had died on the way.
        """
        with self._condition:
            if self._hold is not None:
                self._hold.dropped = True
            self._hold = None
            self._condition.notify_all()

    def wait_held(self, timeout: float = 30) -> dict[str, Any]:
        """Block until a request is held and tell which; TimeoutError when none comes."""
        with self._condition:
            if not self._condition.wait_for(lambda: self._held() is not None, timeout):
                raise TimeoutError("no request was held in time")
            return dict(self._held() or {})

    def status(self) -> dict[str, Any]:
        """What is waited for, and what is held now."""
        with self._condition:
            hold = self._hold
            wanted = None if hold is None else {"nth": hold.nth, "when": hold.when}
            return {"wanted": wanted, "held": self._held()}

    def _held(self) -> dict[str, Any] | None:
        return None if self._hold is None else self._hold.held


class Counts:
    """How often each operation was asked for, and the writes in their order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.reset()

    def begin_write(self) -> int:
        """The number of this write since the start."""
        return next(self._numbers)

    def request(self, name: str) -> None:
        """Count an operation."""
        with self._lock:
            self._requests[name] += 1

    def write(self, method: str, path: str, kind: str, status: int) -> None:
        """Note a write that was answered."""
        with self._lock:
            self._writes.append({"method": method, "path": path, "kind": kind, "status": status})

    def reset(self) -> None:
        """Start again from nothing."""
        with self._lock:
            self._requests: Counter[str] = Counter()
            self._writes: list[dict[str, Any]] = []

    @property
    def requests(self) -> dict[str, int]:
        """Requests by ``"METHOD /path/{template}"``, sorted; an action's name is behind its path."""
        with self._lock:
            return dict(sorted(self._requests.items()))

    @property
    def writes(self) -> list[dict[str, Any]]:
        """The writing requests in order: method, path, kind, status."""
        with self._lock:
            return list(self._writes)
