"""What is asked for and takes more than a moment: reading a cloud, making a plan, finalising, and so on.

Who asks gets an operation at once, and can look at it until it has ended. What can be refused without asking
a cloud is refused at once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pumphouse.config import FloatingIPs
from pumphouse.errors import BadOverride, MigrationBusy, StaleListing, WrongState
from pumphouse.model import DiskMode, Scope
from pumphouse.plan import overrides
from pumphouse.service import wavefile
from pumphouse.service.evacuating import AT_ONCE
from pumphouse.service.finalizable import Candidate, Part
from pumphouse.service.planning import distinct, require_allowed
from pumphouse.service.wavefile import WaveFile
from pumphouse.store.evacuations import require_free
from pumphouse.store.migrations import RequestKey, require_finalizable
from pumphouse.store.operations import OperationKind, OperationRecord
from pumphouse.store.states import OperationState
from pumphouse.store.waves import WaveRecord

if TYPE_CHECKING:
    from pumphouse.service.app import Pumphouse


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPlan:
    """What to plan.

    ``overrides`` is what an override file would hold. Without ``floating_ips`` or ``disk_mode`` it is as
    configured.
    """

    scope: Scope
    source: str
    destination: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    floating_ips: FloatingIPs | None = None
    disk_mode: DiskMode | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scope": self.scope.to_dict(),
            "source": self.source,
            "destination": self.destination,
            "overrides": dict(self.overrides),
            "floating_ips": self.floating_ips and str(self.floating_ips),
            "disk_mode": self.disk_mode and str(self.disk_mode),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> WantedPlan:
        """What ``to_dict`` told."""
        return cls(
            scope=Scope.from_dict(found["scope"]),
            source=found["source"],
            destination=found["destination"],
            overrides=found["overrides"],
            floating_ips=FloatingIPs(found["floating_ips"]) if found["floating_ips"] else None,
            disk_mode=DiskMode(found["disk_mode"]) if found["disk_mode"] else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMigration:
    """What to carry out: a plan of the store, or one to be made; and the migration's name and choices."""

    plan: WantedPlan | None = None
    plan_id: str = ""
    check_fresh: bool = True
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "plan": self.plan and self.plan.to_dict(),
            "plan_id": self.plan_id,
            "check_fresh": self.check_fresh,
            "name": self.name,
            "options": dict(self.options),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> WantedMigration:
        """What ``to_dict`` told."""
        plan = found["plan"]
        return cls(**{**found, "plan": WantedPlan.from_dict(plan) if plan else None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalizable:
    """What of a migration could be removed for good, as it was when somebody looked. ``id`` names it."""

    id: str
    migration_id: str
    looked_at: datetime
    candidates: tuple[Candidate, ...]

    @property
    def going(self) -> list[Candidate]:
        """Those that would go."""
        return [one for one in self.candidates if one.goes]


class Operations:
    """Asks for them, and looks at them. Every method that asks raises KeyReused, for a key that came before.

    :param asked_by: who asks, as the API knows them.
    :param key: of the request: the same one again gives the same operation.
    """

    def __init__(self, app: Pumphouse) -> None:
        self._app = app

    def refresh(self, cloud: str, *, asked_by: str = "", key: RequestKey | None = None) -> OperationRecord:
        """Have a cloud read as a whole. Who asks without a key while it is, or will be, gets the same.

        Raises UnknownCloud.
        """
        if (known := self._known(key)) is not None:
            return known
        self._app.clouds.require(cloud)
        return self._make(OperationKind.REFRESH, {}, asked_by, key, cloud=cloud)

    def plan(
        self, wanted: WantedPlan, *, asked_by: str = "", key: RequestKey | None = None
    ) -> OperationRecord:
        """Have a plan made. Raises UnknownCloud, SameCloud or BadOverride."""
        if (known := self._known(key)) is not None:
            return known
        self._check(wanted)
        return self._make(OperationKind.PLAN, wanted.to_dict(), asked_by, key)

    def migrate(
        self, wanted: WantedMigration, *, asked_by: str = "", key: RequestKey | None = None
    ) -> OperationRecord:
        """Have a migration begun: as soon as the clouds have been read, and nothing stands in the way.

        :raises pumphouse.errors.UsageError: as :meth:`plan` does; or there is no such plan.
        :raises pumphouse.errors.PlanBlocked: the given plan has blocked resources.
        """
        if (known := self._known(key)) is not None:
            return known
        if wanted.plan is not None:
            self._check(wanted.plan)
        else:
            self._app.stored_plan(wanted.plan_id).require_unblocked()
        return self._make(OperationKind.MIGRATE, wanted.to_dict(), asked_by, key)

    def look_for_finalizable(
        self,
        migration_id: str,
        parts: Collection[Part],
        *,
        asked_by: str = "",
        key: RequestKey | None = None,
    ) -> OperationRecord:
        """Have it seen what of these parts of a migration could be removed for good. Changes nothing.

        Raises UnknownMigration, AmbiguousName, or WrongState for one that has not succeeded.
        """
        if (known := self._known(key)) is not None:
            return known
        record = self._app.migration(migration_id)
        require_finalizable(record.id, record.state)
        asked = {"parts": sorted(parts)}
        return self._make(OperationKind.FINALIZABLE, asked, asked_by, key, migration_id=record.id)

    def finalizable(self, migration_id: str) -> Finalizable | None:
        """What was seen last of a migration; None if nobody has looked."""
        record = self._app.store.operations.newest(
            OperationKind.FINALIZABLE, self._app.migration(migration_id).id
        )
        return None if record is None else self._looked(record)

    def finalized(self, migration_id: str) -> OperationRecord | None:
        """The last removal of what a migration has left that is done."""
        id = self._app.migration(migration_id).id
        return self._app.store.operations.newest(OperationKind.FINALIZE, id)

    def finalize(
        self, migration_id: str, looked: str, *, asked_by: str = "", key: RequestKey | None = None
    ) -> OperationRecord:
        """Have all removed for good that somebody has seen go, and that still may.

        :param looked: the ``id`` of a :class:`Finalizable` of this migration, the last one.
        :raises pumphouse.errors.WrongState: by now it is none that has succeeded.
        :raises pumphouse.errors.StaleListing: somebody has looked again since, or nobody has.
        """
        if (known := self._known(key)) is not None:
            return known
        record = self._app.migration(migration_id)
        require_finalizable(record.id, record.state)
        last = self.finalizable(record.id)
        if last is None or last.id != looked:
            raise StaleListing(f"{looked} is not the last listing of what migration {record.id} has left")
        asked = {"candidates": [one.to_dict() for one in last.going]}
        return self._make(OperationKind.FINALIZE, asked, asked_by, key, migration_id=record.id)

    def plan_wave(
        self, described: WaveFile, *, name: str, asked_by: str = "", key: RequestKey | None = None
    ) -> OperationRecord:
        """Have all groups of a wave planned. Raises UnknownCloud, SameCloud or BadOverride."""
        if (known := self._known(key)) is not None:
            return known
        self._check_pair(described.source, described.destination, described.overrides)
        asked = {"name": name, "wave": described.to_dict()}
        return self._make(OperationKind.PLAN_WAVE, asked, asked_by, key)

    def run_wave(
        self, wave_id: str, *, replan: bool = False, skip_failed: bool = False, asked_by: str = ""
    ) -> OperationRecord:
        """Have carried out what is left of a wave; the word is given to the group that waits for it.

        Asked again while that is under way, it changes nothing.

        :raises pumphouse.errors.WrongState: it has ended.
        :raises pumphouse.errors.PlanBlocked: a group's plan is blocked.
        :raises pumphouse.errors.MigrationBusy: something else is being done with it.
        """
        record = self._app.wave(wave_id)
        self._app.require_runnable(record.id, replan=replan)
        asked = {"replan": replan, "skip_failed": skip_failed}
        return self._for_wave(OperationKind.RUN_WAVE, record, asked, asked_by)

    def rollback_wave(self, wave_id: str, *, asked_by: str = "") -> OperationRecord:
        """Have all groups of a wave taken back. Raises MigrationBusy if something else is being done."""
        record = self._app.wave(wave_id)
        return self._for_wave(OperationKind.ROLLBACK_WAVE, record, {}, asked_by)

    def evacuate(
        self,
        cloud: str,
        host: str,
        *,
        at_once: int = AT_ONCE,
        partly: bool = False,
        asked_by: str = "",
        key: RequestKey | None = None,
    ) -> OperationRecord:
        """Have a hypervisor emptied inside its cloud.

        :param at_once: how many servers move at the same time.
        :param partly: whether to move what can be moved, though some servers cannot.
        :raises pumphouse.errors.UnknownCloud: there is no such cloud.
        :raises pumphouse.errors.MigrationBusy: a living process is at it.
        """
        if (known := self._known(key)) is not None:
            return known
        self._app.clouds.require(cloud)
        last = self._app.store.evacuations.last(cloud, host)
        if last is not None:
            require_free(last, datetime.now(UTC))
        asked = {"host": host, "at_once": at_once, "partly": partly}
        return self._make(OperationKind.EVACUATE, asked, asked_by, key, cloud=cloud)

    def of_wave(self, wave_id: str) -> OperationRecord | None:
        """What is being done with a wave, or is about to be."""
        found = (one for one in self._app.store.operations.open() if one.wave_id == wave_id)
        return next(found, None)

    def get(self, id: str) -> OperationRecord:
        """One. Raises UnknownMigration or AmbiguousName."""
        return self._app.store.operations.get(id)

    def list(
        self, *, state: OperationState | None = None, limit: int = 50, marker: str | None = None
    ) -> list[OperationRecord]:
        """Operations, newest first; those that come after the one whose id is ``marker``."""
        return list(self._app.store.operations.list(state=state, limit=limit, marker=marker))

    def asked_plan(self, id: str) -> WantedPlan | None:
        """What was to be planned; None for one that reads a cloud, or begins a plan of the store."""
        record = self.get(id)
        asked = self._app.store.operations.asked(record.id)
        if record.kind is OperationKind.PLAN:
            return WantedPlan.from_dict(asked)
        return WantedMigration.from_dict(asked).plan if record.kind is OperationKind.MIGRATE else None

    def asked_wave(self, id: str) -> tuple[str, WaveFile]:
        """The name and the description of the wave that was to be planned. Raises WrongState for none."""
        record = self.get(id)
        if record.kind is not OperationKind.PLAN_WAVE:
            raise WrongState(f"operation {record.id} plans no wave")
        asked = self._app.store.operations.asked(record.id)
        return asked["name"], wavefile.parse(asked["wave"], where="the wave")

    def _looked(self, record: OperationRecord) -> Finalizable:
        found = self._app.store.operations.found(record.id)
        return Finalizable(
            id=record.id,
            migration_id=record.migration_id or "",
            looked_at=record.ended_at or record.created_at,
            candidates=tuple(map(Candidate.from_dict, found)),
        )

    def _known(self, key: RequestKey | None) -> OperationRecord | None:
        """What the same request has made before, even if it would be refused by now."""
        return None if key is None else self._app.store.operations.of_key(key)

    def _for_wave(
        self, kind: OperationKind, record: WaveRecord, asked: Mapping[str, Any], asked_by: str
    ) -> OperationRecord:
        known = self.of_wave(record.id)
        if known is None and record.at_work(datetime.now(UTC)):
            raise MigrationBusy(
                f"wave {record.id} is already at work: {record.owner} has it",
                next_step="Pause it first, or wait until it ends.",
            )
        if known is None:
            if kind is OperationKind.RUN_WAVE:
                self._app.allow_wave(record.id)
            known = self._make(kind, asked, asked_by, None, wave_id=record.id)
        if known.kind is not kind:
            raise MigrationBusy(
                f"wave {record.id} is already at work", next_step="Pause it first, or wait until it ends."
            )
        return known

    def _check(self, wanted: WantedPlan) -> None:
        self._check_pair(wanted.source, wanted.destination, wanted.overrides)

    def _check_pair(self, source: str, destination: str, wanted: Mapping[str, Any]) -> None:
        distinct(source, destination)
        for name in (source, destination):
            self._app.clouds.require(name)
        require_allowed([wanted], self._app.config.api.health_commands)
        overrides.parse(wanted, self._app.registry, where="overrides")
        try:
            json.dumps(wanted, allow_nan=False)
        except (TypeError, ValueError):  # YAML has dates, and numbers that are none
            raise BadOverride(
                "overrides: a value is no text, number, list or mapping", next_step="Put dates into quotes."
            ) from None

    def _make(
        self,
        kind: OperationKind,
        asked: Mapping[str, Any],
        asked_by: str,
        key: RequestKey | None,
        **about: str,
    ) -> OperationRecord:
        record = self._app.store.operations.make(kind, asked, asked_by=asked_by, key=key, **about)
        self._app.look()
        return record
