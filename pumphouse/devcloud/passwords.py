"""The Keystone database: users and password hashes, in the real tables' shape, in an SQLite file.

Logins are checked against ``password.password_hash``, so that copying a row moves a password, as it does
between real Keystones.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Real clouds use 25,000 rounds and more. Here a login must be quick, and no secret is worth guarding.
ROUNDS = 200

_SCHEMA = """
CREATE TABLE IF NOT EXISTS user (
    id VARCHAR(64) NOT NULL PRIMARY KEY, extra TEXT, enabled BOOLEAN, default_project_id VARCHAR(64),
    created_at DATETIME, last_active_at DATE, domain_id VARCHAR(64) NOT NULL, UNIQUE (id, domain_id));
CREATE TABLE IF NOT EXISTS local_user (
    id INTEGER NOT NULL PRIMARY KEY, user_id VARCHAR(64) NOT NULL UNIQUE, domain_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL, failed_auth_count INTEGER, failed_auth_at DATETIME, UNIQUE (domain_id, name),
    FOREIGN KEY (user_id, domain_id) REFERENCES user (id, domain_id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE IF NOT EXISTS password (
    id INTEGER NOT NULL PRIMARY KEY,
    local_user_id INTEGER NOT NULL REFERENCES local_user (id) ON DELETE CASCADE,
    expires_at DATETIME, self_service BOOLEAN DEFAULT '0' NOT NULL, password_hash VARCHAR(255),
    created_at_int BIGINT DEFAULT '0' NOT NULL, expires_at_int BIGINT, created_at DATETIME NOT NULL);
CREATE INDEX IF NOT EXISTS ix_password_local_user_id ON password (local_user_id);
"""
_COLUMNS = frozenset({"id", "name", "enabled", "default_project_id", "domain_id", "options"})


class PasswordDatabase:
    """The file.

    Not thread-safe: used under the cloud's lock; other processes may read and write at any time.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        self._connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA foreign_keys = ON")
        # The file lives no longer than the cloud; what matters is speed.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def save(self) -> bytes:
        """The whole database, as a file would hold it."""
        return self._connection.serialize()

    def restore(self, saved: bytes) -> None:
        """Come back to what :meth:`save` answered."""
        with contextlib.closing(sqlite3.connect(":memory:")) as memory:
            memory.deserialize(saved)
            memory.backup(self._connection)

    def add(self, users: Iterable[dict[str, Any]], *, now: datetime) -> None:
        """Insert users, who have no password yet."""
        with self._connection as connection:
            for user in users:
                values = (user["id"], _extra(user), user["enabled"], user.get("default_project_id"))
                connection.execute(
                    "INSERT INTO user (id, extra, enabled, default_project_id, created_at, domain_id)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (*values, _moment(now), user["domain_id"]),
                )
                connection.execute(
                    "INSERT INTO local_user (user_id, domain_id, name, failed_auth_count)"
                    " VALUES (?, ?, ?, 0)",
                    (user["id"], user["domain_id"], user["name"]),
                )

    def update(self, user: dict[str, Any]) -> None:
        """Write a user's changed fields."""
        with self._connection as connection:
            connection.execute(
                "UPDATE user SET extra = ?, enabled = ?, default_project_id = ? WHERE id = ?",
                (_extra(user), user["enabled"], user.get("default_project_id"), user["id"]),
            )
            connection.execute("UPDATE local_user SET name = ? WHERE user_id = ?", (user["name"], user["id"]))

    def remove(self, user_id: str) -> None:
        """Delete a user with the passwords."""
        with self._connection as connection:
            connection.execute("DELETE FROM user WHERE id = ?", (user_id,))

    def set_password(self, user_id: str, password: str, *, now: datetime, self_service: bool = False) -> None:
        """Replace a user's password."""
        with self._connection as connection:
            (local_id,) = connection.execute(
                "SELECT id FROM local_user WHERE user_id = ?", (user_id,)
            ).fetchone()
            connection.execute("DELETE FROM password WHERE local_user_id = ?", (local_id,))
            connection.execute(
                "INSERT INTO password"
                " (local_user_id, self_service, password_hash, created_at_int, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    local_id,
                    self_service,
                    hash_password(password),
                    int(now.timestamp() * 1_000_000),
                    _moment(now),
                ),
            )

    def check(self, user_id: str, password: str, *, now: datetime, expired: bool = False) -> bool:
        """Whether this is the user's newest password, and not an expired one (unless ``expired``)."""
        row = self._newest(user_id)
        if row is None or row[0] is None:
            return False
        expires = row[1]
        if not expired and expires is not None and expires <= now.timestamp() * 1_000_000:
            return False
        return verify_password(password, row[0])

    def expires_at(self, user_id: str) -> str | None:
        """When the password ends, as Keystone writes it; None: never."""
        row = self._newest(user_id)
        if row is None or row[1] is None:
            return None
        return datetime.fromtimestamp(row[1] / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")

    def _newest(self, user_id: str) -> tuple[str | None, int | None] | None:
        found: tuple[str | None, int | None] | None = self._connection.execute(
            "SELECT p.password_hash, p.expires_at_int FROM password p"
            " JOIN local_user l ON l.id = p.local_user_id"
            " WHERE l.user_id = ? ORDER BY p.created_at_int DESC, p.id DESC LIMIT 1",
            (user_id,),
        ).fetchone()
        return found


def _extra(user: dict[str, Any]) -> str:
    return json.dumps(
        {key: value for key, value in user.items() if key not in _COLUMNS and value is not None}
    )


def _moment(now: datetime) -> str:
    return now.strftime("%Y-%m-%d %H:%M:%S.%f")


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")


def _decode(text: str) -> bytes:
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))


def hash_password(password: str) -> str:
    """``$pbkdf2-sha512$rounds$salt$digest``, as passlib and Keystone write it."""
    salt = os.urandom(16)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return f"$pbkdf2-sha512${ROUNDS}${_encode(salt)}${_encode(digest)}"


def verify_password(password: str, hashed: str) -> bool:
    """Whether a ``$pbkdf2-sha512$`` or ``$scrypt$`` hash is that of the password; False for other schemes."""
    parts = hashed.split("$")
    if len(parts) != 5:
        return False
    _, scheme, parameters, salt, digest = parts
    expected = _decode(digest)
    if scheme == "pbkdf2-sha512":
        actual = hashlib.pbkdf2_hmac("sha512", password.encode(), _decode(salt), int(parameters))
    elif scheme == "scrypt":
        numbers = dict(pair.split("=") for pair in parameters.split(","))
        cost, block, lanes = 1 << int(numbers["ln"]), int(numbers["r"]), int(numbers["p"])
        actual = hashlib.scrypt(
            password.encode(),
            salt=_decode(salt),
            n=cost,
            r=block,
            p=lanes,
            dklen=len(expected),
            maxmem=256 * cost * block * lanes,
        )
    else:
        return False
    return hmac.compare_digest(actual, expected)
