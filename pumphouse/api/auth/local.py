"""Users of this machine: everybody who reaches the API, which therefore no other machine must reach."""

from __future__ import annotations

import getpass
import os

from pumphouse.api.auth import User


class LocalLogin:
    """Lets everybody in, as the user who runs the process."""

    def __init__(self) -> None:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            name = str(os.getuid())
        self._user = User(name=name, roles=frozenset({"admin"}))

    def user(self) -> User:
        """The user."""
        return self._user
