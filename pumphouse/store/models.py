"""The store's tables. Nothing outside the package sees a row: queries answer with frozen records."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pumphouse.store.columns import PackedJSON, UTCDateTime, long_text, serial, text

# Together, an id map's key must stay below MySQL's 3072 bytes at four bytes a character.
Cloud = Annotated[str, mapped_column(text(100))]
TypeName = Annotated[str, mapped_column(text(64))]
SourceId = Annotated[str, mapped_column(text(480))]
Name = Annotated[str, mapped_column(text(255))]
ShortId = Annotated[str, mapped_column(text(32))]
Word = Annotated[str, mapped_column(text(32))]
Long = Annotated[str, mapped_column(long_text())]
Packed = Annotated[Any, mapped_column(PackedJSON())]
Small = Annotated[Any, mapped_column(sa.JSON(none_as_null=True))]
MigrationId = Annotated[str, mapped_column(text(32), sa.ForeignKey("migrations.id", ondelete="CASCADE"))]


class Base(DeclarativeBase):
    """All tables, with constraints named the same everywhere."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UTCDateTime()}  # noqa: RUF012  # SQLAlchemy declares it so
    __table_args__: Any = {"mysql_charset": "utf8mb4"}  # noqa: RUF012  # the same


class Owned:
    """What of a row tells which process is at work on it, and when that last gave a sign."""

    owner_host: Mapped[Name | None]
    owner_pid: Mapped[int | None]
    owner_started: Mapped[float | None] = mapped_column(sa.Double())
    heartbeat_at: Mapped[datetime | None]


class Fenceable(Owned):
    """It also tells how many processes have taken it. Each fences all earlier ones."""

    id: Mapped[str]
    epoch: Mapped[int] = mapped_column(default=0)


class CloudRow(Base):
    """A cloud by its name in clouds.yaml; its credentials stay there."""

    __tablename__ = "clouds"
    name: Mapped[Cloud] = mapped_column(primary_key=True)
    first_seen_at: Mapped[datetime]


class InventoryRow(Base):
    """What a cloud held at a time."""

    __tablename__ = "inventories"
    id: Mapped[int] = mapped_column(serial(), primary_key=True)
    cloud: Mapped[Cloud] = mapped_column(sa.ForeignKey("clouds.name"), index=True)
    taken_at: Mapped[datetime]
    counts: Mapped[Small]
    document: Mapped[Packed] = mapped_column(deferred=True)


class PlanRow(Base):
    """A plan as it was made."""

    __tablename__ = "plans"
    id: Mapped[ShortId] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    source: Mapped[Cloud]
    destination: Mapped[Cloud]
    scope: Mapped[Small]
    document: Mapped[Packed] = mapped_column(deferred=True)


class MigrationRow(Fenceable, Base):
    """A migration, and which process is at work on it."""

    __tablename__ = "migrations"
    id: Mapped[ShortId] = mapped_column(primary_key=True)
    name: Mapped[Name]
    state: Mapped[Word] = mapped_column(index=True)
    plan_id: Mapped[ShortId] = mapped_column(sa.ForeignKey("plans.id"))
    source: Mapped[Cloud]
    destination: Mapped[Cloud]
    subjects: Mapped[Small]
    options: Mapped[Small]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    run_started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    request: Mapped[Word | None]
    wanted: Mapped[Word | None] = mapped_column(index=True)
    wanted_at: Mapped[datetime | None]
    request_key: Mapped[str | None] = mapped_column(text(64), unique=True)
    request_digest: Mapped[str | None] = mapped_column(text(64))
    reason: Mapped[Long] = mapped_column(default="")
    summary: Mapped[Small | None]
    report: Mapped[Packed | None] = mapped_column(deferred=True)


class OperationRow(Owned, Base):
    """Something that was asked for and takes more than a moment, and which process is at it."""

    __tablename__ = "operations"
    id: Mapped[ShortId] = mapped_column(primary_key=True)
    kind: Mapped[Word]
    state: Mapped[Word] = mapped_column(index=True)
    asked: Mapped[Packed] = mapped_column(deferred=True)
    asked_by: Mapped[Name]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    progress: Mapped[Small] = mapped_column(default=dict)
    cloud: Mapped[str | None] = mapped_column(text(100))
    plan_id: Mapped[str | None] = mapped_column(text(32))
    migration_id: Mapped[str | None] = mapped_column(text(32))
    wave_id: Mapped[str | None] = mapped_column(text(32))
    evacuation_id: Mapped[str | None] = mapped_column(text(32))
    found: Mapped[Packed | None] = mapped_column(deferred=True)
    left: Mapped[Small | None]
    error: Mapped[Small | None]
    request_key: Mapped[str | None] = mapped_column(text(64), unique=True)
    request_digest: Mapped[str | None] = mapped_column(text(64))


class EvacuationRow(Fenceable, Base):
    """A hypervisor that is being emptied, or was, and which process is at it.

    ``running`` is never false: it is empty once it has ended, and so of each host only one can be running.
    """

    __tablename__ = "evacuations"
    __table_args__ = (
        sa.Index(None, "cloud", "host"),
        sa.UniqueConstraint("cloud", "host", "running"),
        Base.__table_args__,
    )
    id: Mapped[ShortId] = mapped_column(primary_key=True)
    cloud: Mapped[Cloud]
    host: Mapped[Name]
    state: Mapped[Word]
    running: Mapped[bool | None]
    service: Mapped[str] = mapped_column(text(64))
    disabled: Mapped[bool]
    servers: Mapped[Small]
    stopping: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    reason: Mapped[Long] = mapped_column(default="")
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class WaveRow(Fenceable, Base):
    """Groups that migrate in an order, and which process is at it."""

    __tablename__ = "waves"
    id: Mapped[ShortId] = mapped_column(primary_key=True)
    name: Mapped[Name]
    state: Mapped[Word]
    source: Mapped[Cloud]
    destination: Mapped[Cloud]
    servers_at_once: Mapped[int | None]
    stop_at: Mapped[float | None] = mapped_column(sa.Double())
    groups: Mapped[Small]
    pausing: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    reason: Mapped[Long] = mapped_column(default="")
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class UnitRow(Base):
    """One flow of a migration."""

    __tablename__ = "units"
    migration: Mapped[MigrationId] = mapped_column(primary_key=True)
    name: Mapped[Name] = mapped_column(primary_key=True)
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(text(320))
    state: Mapped[Word]
    flow: Mapped[str | None] = mapped_column(text(64))
    reason: Mapped[Long] = mapped_column(default="")
    error: Mapped[Small | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class JournalRow(Base):
    """One effect on a cloud that a migration has, or may have had."""

    __tablename__ = "journal"
    __table_args__ = (
        sa.Index(None, "migration", "type", "source_id", "step"),
        sa.Index(None, "type", "made_id"),
        Base.__table_args__ | {"sqlite_autoincrement": True},
    )
    id: Mapped[int] = mapped_column(serial(), primary_key=True)
    migration: Mapped[MigrationId]
    plan: Mapped[ShortId] = mapped_column(default="")
    unit: Mapped[Name]
    type: Mapped[TypeName]
    source_id: Mapped[SourceId]
    step: Mapped[TypeName]
    side: Mapped[Word]
    state: Mapped[Word]
    made_id: Mapped[str | None] = mapped_column(text(480))
    detail: Mapped[Small]
    temporary: Mapped[bool]
    at: Mapped[datetime]
    changed_at: Mapped[datetime]


class IdRow(Base):
    """Which destination id stands for a source's resource, between two clouds."""

    __tablename__ = "id_map"
    source: Mapped[Cloud] = mapped_column(primary_key=True)
    destination: Mapped[Cloud] = mapped_column(primary_key=True)
    type: Mapped[TypeName] = mapped_column(primary_key=True)
    source_id: Mapped[SourceId] = mapped_column(primary_key=True)
    destination_id: Mapped[str] = mapped_column(text(480))
    migration: Mapped[ShortId]
    made: Mapped[bool]


class EventRow(Base):
    """One event; appended, never changed."""

    __tablename__ = "events"
    __table_args__ = (sa.Index(None, "migration", "seq"), Base.__table_args__)
    seq: Mapped[int] = mapped_column(serial(), primary_key=True, autoincrement=False)
    migration: Mapped[ShortId]
    at: Mapped[datetime]
    kind: Mapped[TypeName]
    payload: Mapped[Small]


class CounterRow(Base):
    """Numbers that only grow, in the order in which transactions commit."""

    __tablename__ = "counters"
    name: Mapped[Word] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(sa.BigInteger())


class ClaimRow(Base):
    """Which migration makes a resource that several need."""

    __tablename__ = "claims"
    destination: Mapped[Cloud] = mapped_column(primary_key=True)
    type: Mapped[TypeName] = mapped_column(primary_key=True)
    source_id: Mapped[SourceId] = mapped_column(primary_key=True)
    migration: Mapped[ShortId]
    at: Mapped[datetime]
