"""One token for all who may use the API: in a file that only its owner reads, as notebooks do it.

Programs send it in a header. A browser is given it once, by a link or a form, and has a cookie from then on,
which holds a proof of the token and not the token itself. Both end when the file is removed and the server
started again.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from pumphouse.api.auth import User
from pumphouse.api.auth.form import Field, add_views, form, inside
from pumphouse.errors import BadConfig

COOKIE = "pumphouse"
_DAYS = 30


def read_token(path: Path) -> str:
    """The token of a file, which is made if it is not there. Raises BadConfig."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _existing(path)
        with os.fdopen(file, "w") as out:
            token = secrets.token_urlsafe(32)
            out.write(f"{token}\n")
    except OSError as error:
        raise BadConfig(f"the token cannot be kept in {path}: {error.strerror}") from None
    return token


def _existing(path: Path) -> str:
    with path.open() as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise BadConfig(f"others may read the token in {path}", next_step=f"chmod 600 {path}")
        token = file.read().strip()
    if len(token) < 16:
        raise BadConfig(f"{path} holds no token", next_step="Remove it; a new one is made then.")
    return token


class TokenLogin:
    """Knows the one user by the token, or by the cookie."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._proof = hmac.new(self._token, b"pumphouse cookie", hashlib.sha256).hexdigest()
        self._name = getpass.getuser()

    def user(self) -> User | None:
        """The holder of the token."""
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return User(name=self._name, roles=frozenset({"admin"}))
        cookie = request.cookies.get(COOKIE, "")
        if hmac.compare_digest(cookie.encode(), self._proof.encode()):
            return User(name=self._name, roles=frozenset({"admin"}), by_cookie=True)
        return None

    def is_token(self, given: str) -> bool:
        """Whether it is the token; the time taken tells nothing."""
        return hmac.compare_digest(given.encode(), self._token)

    def let_in(self, response: Response) -> Response:
        """Give the browser the cookie."""
        response.set_cookie(
            COOKIE,
            self._proof,
            max_age=_DAYS * 24 * 3600,
            httponly=True,
            samesite="Strict",
            secure=request.is_secure,
        )
        return response


def pages(login: TokenLogin) -> Blueprint:
    """The page that takes the token, and the way out."""
    blueprint = Blueprint("login", __name__)

    def show_login() -> Response:
        token = request.args.get("token")
        if token is None:
            return _form("")
        return _answer(token, request.args.get("next"))

    def log_in() -> Response:
        return _answer(request.form.get("token", ""), request.args.get("next"))

    def log_out() -> Response:
        response = redirect(url_for("login.show_login"), 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
        return response

    def _form(complaint: str) -> Response:
        return form(_FIELDS, hint=_HINT, complaint=complaint)

    def _answer(token: str, where: str | None) -> Response:
        if login.is_token(token.strip()):
            return login.let_in(redirect(inside(where), 303))
        return _form("This is not the token of this server.")

    add_views(blueprint, show_login, log_in, log_out)
    return blueprint


_FIELDS = (Field(name="token", label="Token", secret=True),)
_HINT = "It is in the file that “pumphouse api” has named when it was started."
