"""What happens in a migration: one frozen dataclass per event.

An event is written once, numbered by the store, and never changed. The command line, the API, metrics and
logs are listeners: they add no facts. ``kind`` is the event's name on the wire, derived from the class's
name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Event:
    """The base of all events. ``migration`` is its id, ``at`` is UTC."""

    kinds: ClassVar[dict[str, type[Event]]] = {}
    kind: ClassVar[str] = ""

    migration: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __init_subclass__(cls) -> None:
        cls.kind = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        Event.kinds[cls.kind] = cls

    def payload(self) -> dict[str, Any]:
        """All but the migration and the time, as JSON."""
        return {name: value for name, value in asdict(self).items() if name not in {"migration", "at"}}

    @classmethod
    def build(cls, kind: str, *, migration: str, at: datetime, payload: Mapping[str, Any]) -> Event:
        """The event of a kind. Raises KeyError for a kind that this version does not know."""
        return cls.kinds[kind](migration=migration, at=at, **payload)


@dataclass(frozen=True, kw_only=True)
class MigrationChanged(Event):
    """The migration has a new state. ``reason`` says why, ``error`` is the error tree's JSON."""

    state: str
    reason: str = ""
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class UnitChanged(Event):
    """A unit (one flow) has a new state."""

    unit: str
    state: str
    reason: str = ""
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class StepChanged(Event):
    """A step of one resource has a new state."""

    unit: str
    resource: str
    name: str
    step: str
    state: str
    doing: str = ""
    seconds: float | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class StepProgressed(Event):
    """A step has come further: ``share`` from 0 to 1, in whole hundredths."""

    unit: str
    resource: str
    step: str
    share: float
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Noted(Event):
    """Something that an operator should read: what changed on the way or was left."""

    resource: str
    text: str


@dataclass(frozen=True, kw_only=True)
class DataCarried(Event):
    """The data of a resource have arrived, and are the ones that were sent.

    ``digest`` is what both clouds tell of them, as ``algorithm:value``. ``bytes`` is how many there are; they
    took ``seconds``, 0 if they were there already. ``mover`` is the way that they took.
    """

    resource: str
    step: str
    bytes: int
    seconds: float
    digest: str
    mover: str = ""


@dataclass(frozen=True, kw_only=True)
class RequestFailed(Event):
    """What was asked for could not be begun. ``request`` is what: run, retry, cancel, rollback or verify."""

    request: str
    error: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class OperationEnded(Event):
    """What somebody asked for over the API is done, or with an error it has failed.

    ``asked`` is what: its kind. ``who`` is the user who asked, ``cloud`` the one that it was about, ``plan``
    the plan that was made, ``wave`` the one that was planned or carried out, ``evacuation`` the one that was
    carried out. ``migration`` is the one that has begun, or that it was about, and else empty.
    ``left`` is what of it could not be done, in words.
    """

    migration: str = ""
    operation: str
    asked: str
    who: str
    cloud: str = ""
    plan: str = ""
    wave: str = ""
    evacuation: str = ""
    left: Sequence[str] = ()
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Audited(Event):
    """Somebody has asked for something over the API, and it was granted.

    ``who`` is the user as the API knows them, ``address`` is where they are. ``rule`` is the policy's that
    grants it, ``path`` and ``status`` are of the request. ``migration`` is empty for what concerns none.
    """

    migration: str = ""
    who: str
    rule: str
    path: str
    status: int
    address: str = ""


Listener = Callable[[Event], None]
"""Takes each event, in order. Must not block and must not raise."""
