"""Tokens that somebody has logged out with.

What checks tokens remembers for some minutes that one is good, also after Keystone has revoked it.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Final

_MOST: Final = 10_000


class Revoked:
    """The newest of them, by their digests. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def add(self, token: str) -> None:
        """Somebody has logged out with this one."""
        with self._lock:
            self._digests[_digest(token)] = None
            while len(self._digests) > _MOST:
                self._digests.popitem(last=False)

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and _digest(token) in self._digests


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
