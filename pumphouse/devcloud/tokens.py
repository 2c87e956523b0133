"""Tokens: what they say about the caller, and the ways they end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Token:
    """A valid token.

    ``roles`` holds the names of all roles, implied ones included; at most one of ``project_id``,
    ``domain_id`` and ``system`` is set. ``body`` is what Keystone tells about it.
    """

    id: str
    user_id: str
    user_name: str
    user_domain_id: str
    project_id: str | None
    domain_id: str | None
    system: bool
    roles: frozenset[str]
    issued_at: datetime
    expires_at: datetime
    body: dict[str, Any]

    @property
    def is_admin(self) -> bool:
        """Whether the caller is the cloud's operator."""
        return "admin" in self.roles

    def has(self, role: str) -> bool:
        """Whether the caller has a role; an admin has them all."""
        return role in self.roles or "admin" in self.roles


class TokenStore:
    """The tokens that are valid. Not thread-safe: used under the cloud's lock."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._by_user: dict[str, set[str]] = {}
        self._regions: list[TokenStore] = []

    def accept(self, other: TokenStore) -> None:
        """Take the tokens of another region of the same Keystone for good."""
        self._regions.append(other)

    def add(self, token: Token) -> None:
        """Keep a new token."""
        self._tokens[token.id] = token
        self._by_user.setdefault(token.user_id, set()).add(token.id)

    def get(self, token_id: str | None, now: datetime) -> Token | None:
        """The token, if it is valid at ``now``."""
        token = self._tokens.get(token_id) if token_id else None
        if token is None:
            return next((found for one in self._regions if (found := one.get(token_id, now))), None)
        return token if token.expires_at > now else None

    def remove(self, token_id: str) -> None:
        """Revoke one token."""
        token = self._tokens.pop(token_id, None)
        if token is not None:
            self._by_user[token.user_id].discard(token_id)

    def revoke(
        self, *, user_id: str | None = None, project_id: str | None = None, domain_id: str | None = None
    ) -> None:
        """Revoke the tokens that match all that is given."""
        candidates = self._by_user.get(user_id, set()) if user_id is not None else self._tokens
        for token_id in list(candidates):
            token = self._tokens[token_id]
            if project_id is not None and token.project_id != project_id:
                continue
            if domain_id is not None and token.domain_id != domain_id:
                continue
            self.remove(token_id)

    def clear(self) -> None:
        """Every token ends now."""
        self._tokens.clear()
        self._by_user.clear()
