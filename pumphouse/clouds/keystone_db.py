"""Password hashes straight from Keystone's database, since no API reads or sets one.

The tables ``local_user`` and ``password`` have kept their columns from Zed to 2026.2. A user of the
destination gets the source's rows in place of its own: the newest is what Keystone checks a login against,
the older ones are what a rule against reusing passwords looks at.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy import exc

from pumphouse import errors

_METADATA = sa.MetaData()
_LOCAL_USER = sa.Table(
    "local_user",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.String(64)),
)
_PASSWORD = sa.Table(
    "password",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("local_user_id", sa.Integer),
    sa.Column("password_hash", sa.String(255)),
    sa.Column("self_service", sa.Boolean),
    sa.Column("created_at", sa.DateTime),
    sa.Column("created_at_int", sa.BigInteger),
    sa.Column("expires_at", sa.DateTime),
    sa.Column("expires_at_int", sa.BigInteger),
)
_ALEMBIC = sa.Table("alembic_version", _METADATA, sa.Column("version_num", sa.String(32)))
_COPIED = tuple(column for column in _PASSWORD.columns if column.name not in {"id", "local_user_id"})
_CHUNK = 500
_LOGGING_NAME = "keystone"

# What every Keystone from Zed to 2026.2 checks. "$2…$" is bcrypt, "$7$" an older form of scrypt.
_ALWAYS = frozenset({"$2$", "$2a$", "$2b$", "$2x$", "$2y$", "$7$", "$scrypt$", "$pbkdf2-sha512$"})
# The heads of Keystone's schema up to 2023.2, whose passlib checks sha512_crypt but no bcrypt-sha256; and the
# head that 2024.1 and its followers share, of which it is not known whether they check either.
_OLD_HEADS = frozenset({"27e647c0fad4", "29e87d24a316", "b4f8b3f584e0", "11c3b243b4cb"})
_UNKNOWN_HEADS = frozenset({"47147121"})


class PasswordRows:
    """The password rows of one user, newest last. Shows no hash and cannot be pickled or stored."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = tuple(rows)

    @property
    def algorithm(self) -> str:
        """The prefix of the newest hash, such as ``$2b$``; "" for a user without a password."""
        return algorithm_of(self._rows[-1]["password_hash"])

    def __repr__(self) -> str:
        return f"PasswordRows({len(self._rows)} of {self.algorithm or 'no password'})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("password rows are never stored")


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCopy:
    """Whose passwords were kept, and why others' were not. Ids are the source's."""

    kept: tuple[str, ...]
    refused: Mapping[str, str]


class PasswordStore:
    """The passwords in one Keystone's database. Raises :class:`pumphouse.errors.DatabaseError`.

    :param url: the database, an SQLAlchemy URL.
    :raises pumphouse.errors.BadConfig: the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        # At the level of debugging SQLAlchemy logs each row that it reads, whatever else it is told.
        logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGING_NAME}").setLevel(logging.WARNING)
        try:
            parsed = sa.make_url(url)
            self._engine = sa.create_engine(
                parsed, poolclass=sa.NullPool, hide_parameters=True, logging_name=_LOGGING_NAME
            )
        except (exc.ArgumentError, ImportError, ValueError) as failure:
            raise errors.BadConfig(
                f"keystone_database is no usable SQLAlchemy URL ({type(failure).__name__})",
                next_step="Write it as mysql+pymysql://USER:PASSWORD@HOST/keystone, and install the driver.",
            ) from None
        self._place = f"{parsed.host or ''}/{parsed.database or ''}"
        self._heads: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"PasswordStore({self._place})"

    def rows(self, user_ids: Sequence[str]) -> dict[str, PasswordRows]:
        """The passwords of those users who have one, by user id."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        with self._transaction() as connection:
            for start in range(0, len(user_ids), _CHUNK):
                query = (
                    sa.select(_LOCAL_USER.c.user_id, *_COPIED)
                    .join_from(_PASSWORD, _LOCAL_USER, _PASSWORD.c.local_user_id == _LOCAL_USER.c.id)
                    .where(_LOCAL_USER.c.user_id.in_(user_ids[start : start + _CHUNK]))
                    .order_by(_LOCAL_USER.c.user_id, _PASSWORD.c.created_at_int, _PASSWORD.c.id)
                )
                for row in connection.execute(query).mappings():
                    values = {column.name: row[column] for column in _COPIED}
                    found.setdefault(row["user_id"], []).append(values)
        return {
            user_id: PasswordRows(rows)
            for user_id, rows in sorted(found.items())
            if rows[-1]["password_hash"]
        }

    def accepts(self, algorithm: str) -> bool:
        """Whether this Keystone can check a hash of that prefix. One that cannot answers a login with 500."""
        if algorithm in _ALWAYS:
            return True
        heads = self._schema_heads()
        if algorithm == "$6$":
            return bool(heads & _OLD_HEADS)
        return algorithm == "$bcrypt-sha256$" and bool(heads) and not heads & (_OLD_HEADS | _UNKNOWN_HEADS)

    def write(self, user_id: str, passwords: PasswordRows) -> bool:
        """Replace a user's passwords. False if this Keystone has no local user of that id."""
        rows = [row for row in passwords._rows if self.accepts(algorithm_of(row["password_hash"]))]  # noqa: SLF001 - its own half
        with self._transaction(writes=True) as connection:
            query = sa.select(_LOCAL_USER.c.id).where(_LOCAL_USER.c.user_id == user_id)
            local_id = connection.execute(query).scalar()
            if local_id is None:
                return False
            connection.execute(sa.delete(_PASSWORD).where(_PASSWORD.c.local_user_id == local_id))
            connection.execute(sa.insert(_PASSWORD), [{**row, "local_user_id": local_id} for row in rows])
        return True

    def _schema_heads(self) -> frozenset[str]:
        """The revisions of Keystone's schema; none where it keeps no record of them."""
        if self._heads is None:
            with self._transaction() as connection:
                known = sa.inspect(connection).has_table(_ALEMBIC.name)
                query = sa.select(_ALEMBIC.c.version_num)
                self._heads = frozenset(connection.execute(query).scalars()) if known else frozenset()
        return self._heads

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[sa.Connection]:
        """One with the database.

        :param writes: whether hashes are sent: a database may quote the whole row that it refuses.
        """
        connected = False
        try:
            with self._engine.begin() as connection:
                connected = True
                yield connection
        except exc.SQLAlchemyError as failure:
            original = getattr(failure, "orig", None)
            reason = _code(original or failure) if writes and connected else str(original or "")
            raise errors.DatabaseError(
                f"the Keystone database {self._place}: {' '.join(reason.split()) or type(failure).__name__}",
                next_step="Check keystone_database in pumphouse.conf, and that the database can be reached.",
            ) from None


def _code(failure: BaseException) -> str:
    """What kind of failure it is, without a word of the database's: ``NotNullViolation (23502)``."""
    number = failure.args[0] if failure.args and isinstance(failure.args[0], int) else None
    code = getattr(failure, "sqlstate", None) or getattr(failure, "sqlite_errorname", None) or number
    return f"{type(failure).__name__} ({code})" if code else type(failure).__name__


def algorithm_of(password_hash: str | None) -> str:
    """The prefix that names a hash's algorithm: ``$2b$`` of ``$2b$12$…``; "" for none."""
    parts = (password_hash or "").split("$", 2)
    return f"${parts[1]}$" if len(parts) == 3 and not parts[0] else ""


def copy_passwords(
    source: PasswordStore, destination: PasswordStore, users: Mapping[str, str]
) -> PasswordCopy:
    """Keep users' passwords: afterwards each logs into the destination with the old one. Safe to repeat.

    :param users: the source's user id -> the destination's.
    """
    found = source.rows(sorted(users))
    kept: list[str] = []
    refused: dict[str, str] = {}
    for user_id in sorted(users):
        rows = found.get(user_id)
        if rows is None:
            refused[user_id] = "has no password on the source"
        elif not destination.accepts(rows.algorithm):
            kind = f"a {rows.algorithm} hash" if rows.algorithm else "a hash of a kind"
            refused[user_id] = f"has {kind} that the destination cannot check"
        elif not destination.write(users[user_id], rows):
            refused[user_id] = "is no local user on the destination"
        else:
            kept.append(user_id)
    return PasswordCopy(kept=tuple(kept), refused=refused)
