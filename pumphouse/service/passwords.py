"""Gives the users of the destination their passwords, after the operator's policy."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path

from pumphouse.cloud_api import Service
from pumphouse.clouds.cloud import Cloud
from pumphouse.clouds.keystone_db import PasswordStore, copy_passwords
from pumphouse.config import Config, state_directory
from pumphouse.config import Passwords as Policy


class Keep:
    """Copies the rows of the Keystone databases, so that the old password works."""

    def __init__(self, source: PasswordStore, destination: PasswordStore) -> None:
        self._source = source
        self._destination = destination

    def carry(self, source_id: str, destination_id: str) -> str:
        """Copy the user's password rows. Raises DatabaseError."""
        done = copy_passwords(self._source, self._destination, {source_id: destination_id})
        if done.kept:
            return "keeps its password"
        return f"has no usable password, since it {done.refused[source_id]}: set one before the first login"


class Random:
    """Sets a random password, and writes it once into a file that only the operator reads."""

    def __init__(self, destination: Cloud, path: Path) -> None:
        self._destination = destination
        self._path = path
        self._lock = threading.Lock()

    def carry(self, source_id: str, destination_id: str) -> str:
        """Set it, to be changed at the first login where the cloud demands that. Raises CloudError."""
        del source_id
        password = secrets.token_urlsafe(18)
        user = self._destination.get(Service.IDENTITY, f"/users/{destination_id}")["user"]
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(file, "a", encoding="utf-8") as out:
                out.write(f"{user['name']}\t{destination_id}\t{password}\n")
        self._destination.patch(
            Service.IDENTITY, f"/users/{destination_id}", {"user": {"password": password}}
        )
        return f"has a new random password, in {self._path}"


class NoPasswords:
    """Leaves users with a password that nobody knows."""

    def __init__(self, why: str) -> None:
        self._why = why

    def carry(self, source_id: str, destination_id: str) -> str:
        """Do nothing."""
        del source_id, destination_id
        return self._why


def passwords(
    config: Config, policy: str, source: str, destination: Cloud, migration_id: str
) -> Keep | Random | NoPasswords:
    """The policy, with what it needs. Raises DatabaseError if a Keystone database cannot be reached."""
    if policy == Policy.RANDOM:
        return Random(destination, state_directory() / f"passwords-{migration_id}.tsv")
    if policy == Policy.NONE:
        return NoPasswords("has no usable password: set one before the first login")
    urls = [config.cloud(name).keystone_database for name in (source, destination.name)]
    if not all(urls):
        return NoPasswords(
            "its password could not be kept, since keystone_database is not configured for both clouds: "
            "set a new one before the first login"
        )
    return Keep(PasswordStore(urls[0]), PasswordStore(urls[1]))
