"""Column types that mean the same on SQLite, PostgreSQL and MySQL."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql


class UTCDateTime(sa.TypeDecorator[datetime]):
    """An aware time, kept as UTC to the microsecond."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


class PackedJSON(sa.TypeDecorator[Any]):
    """Large JSON, compressed: an inventory of 100,000 resources takes a few megabytes."""

    impl = sa.LargeBinary(length=2**32 - 1)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> bytes | None:  # noqa: ARG002
        if value is None:
            return None
        return zlib.compress(json.dumps(value, separators=(",", ":"), allow_nan=False).encode(), 3)

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002
        return None if value is None else json.loads(zlib.decompress(value))


def text(length: int) -> sa.types.TypeEngine[str]:
    """A string in which case counts, also on MySQL."""
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


def long_text() -> sa.types.TypeEngine[str]:
    """A text of any length."""
    return sa.Text().with_variant(mysql.LONGTEXT(charset="utf8mb4"), "mysql", "mariadb")


def serial() -> sa.types.TypeEngine[int]:
    """An integer key; SQLite numbers rows by itself only in a plain INTEGER."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
