"""The report as a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pumphouse.model import Action, Ref


class Outcome(StrEnum):
    """What became of a field, or of a resource (the worst of its fields)."""

    KEPT = "kept"
    CHANGED = "changed"
    """Otherwise than on the source, and meant to be so: the reason says why."""
    IMPOSSIBLE = "impossible"
    """It cannot be carried: the reason says why."""
    DIFFERS = "differs"
    """It should be the same, and is not."""
    MISSING = "missing"
    """The resource is not on the destination."""


SEVERITY = (Outcome.KEPT, Outcome.CHANGED, Outcome.IMPOSSIBLE, Outcome.DIFFERS, Outcome.MISSING)
"""From the best to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldReport:
    """What became of one field. ``field`` is empty for what concerns the resource as a whole."""

    field: str
    outcome: Outcome
    source: Any = None
    destination: Any = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceReport:
    """What became of one resource.

    ``data`` is the digest of its data where both clouds tell the same one; a disk's is that of the image as
    which it travelled. ``bytes`` is how many did. ``mode`` is how a root disk got there, ``mover`` which way
    data took. Times are in seconds: ``seconds`` is the work on it, ``downtime`` is from the moment that it
    was brought to rest on the source until it was verified on the destination.
    """

    ref: Ref
    name: str
    action: Action
    destination_id: str | None
    fields: tuple[FieldReport, ...]
    bytes: int = 0
    data: str | None = None
    seconds: float | None = None
    downtime: float | None = None
    notes: tuple[str, ...] = ()
    mode: str = ""
    mover: str = ""

    @property
    def outcome(self) -> Outcome:
        """The worst of its fields."""
        return max((one.outcome for one in self.fields), key=SEVERITY.index, default=Outcome.KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a migration came to, read from both clouds at ``made_at``."""

    migration: str
    source: str
    destination: str
    made_at: datetime
    resources: tuple[ResourceReport, ...]
    left: tuple[str, ...] = ()
    """What should have been removed and could not be."""

    @property
    def verified(self) -> bool:
        """Whether nothing is missing and nothing differs."""
        return not self.wrong()

    def wrong(self) -> list[ResourceReport]:
        """The resources that are missing or differ."""
        return [one for one in self.resources if one.outcome in {Outcome.DIFFERS, Outcome.MISSING}]

    def for_people(self) -> list[ResourceReport]:
        """What is left for people to do by hand: resources that nothing can make."""
        return [
            one for one in self.resources if one.action is Action.SKIP and one.outcome is Outcome.IMPOSSIBLE
        ]

    def counts(self) -> Mapping[Outcome, int]:
        """How many resources have each outcome."""
        found = Counter(one.outcome for one in self.resources)
        return {outcome: found[outcome] for outcome in SEVERITY}

    def field_counts(self) -> Mapping[Outcome, int]:
        """How many fields have each outcome."""
        found = Counter(one.outcome for resource in self.resources for one in resource.fields)
        return {outcome: found[outcome] for outcome in SEVERITY}

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "migration": self.migration,
            "source": self.source,
            "destination": self.destination,
            "made_at": self.made_at.isoformat(),
            "verified": self.verified,
            "counts": {str(name): count for name, count in self.counts().items()},
            "fields": {str(name): count for name, count in self.field_counts().items()},
            "left": list(self.left),
            "resources": [
                asdict(one) | {"ref": str(one.ref), "outcome": str(one.outcome)} for one in self.resources
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """The report that ``to_dict`` wrote."""
        return cls(
            migration=data["migration"],
            source=data["source"],
            destination=data["destination"],
            made_at=datetime.fromisoformat(data["made_at"]),
            left=tuple(data["left"]),
            resources=tuple(_resource(one) for one in data["resources"]),
        )


def _resource(data: Mapping[str, Any]) -> ResourceReport:
    known = {name: value for name, value in data.items() if name != "outcome"}
    return ResourceReport(
        **known
        | {
            "ref": Ref.parse(data["ref"]),
            "action": Action(data["action"]),
            "fields": tuple(
                FieldReport(**one | {"outcome": Outcome(one["outcome"])}) for one in data["fields"]
            ),
            "notes": tuple(data["notes"]),
        }
    )
