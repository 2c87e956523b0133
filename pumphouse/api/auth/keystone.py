"""Users of Keystone: keystonemiddleware checks their tokens, oslo.policy says what they may do.

Programs send a token of theirs. A browser is given one for a name and a password, in a cookie that no script
reads and no other site's page makes it send; whatever checks tokens then checks that one, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from flask import Blueprint, Flask, redirect, request, url_for
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3
from oslo_config import cfg
from werkzeug.http import parse_cookie
from werkzeug.wrappers import Response

from pumphouse.api.auth import User, same_origin_only
from pumphouse.api.auth.form import Field, add_views, form, inside
from pumphouse.api.auth.revoked import Revoked
from pumphouse.errors import BadConfig

LOG = logging.getLogger(__name__)
GROUP = "keystone_authtoken"
COOKIE = "pumphouse"
_BY_COOKIE = "pumphouse.by_cookie"
_SECONDS = 30.0


class KeystoneLogin:
    """Knows users by what keystonemiddleware has found out about their token."""

    def user(self) -> User | None:
        """The token's user."""
        if request.headers.get("X-Identity-Status") != "Confirmed":
            return None
        headers = request.headers
        return User(
            name=headers.get("X-User-Name", headers.get("X-User-Id", "")),
            id=headers.get("X-User-Id", ""),
            project_id=headers.get("X-Project-Id", ""),
            roles=frozenset(filter(None, headers.get("X-Roles", "").split(","))),
            by_cookie=_BY_COOKIE in request.environ,
        )


class KeystonePolicy:
    """oslo.policy, with the rules of a file where it has some.

    :param policy_file: rules that differ from the defaults; empty for ``policy.yaml`` in the places where
        oslo.policy looks, such as ``/etc/pumphouse``, if it is there.
    """

    def __init__(self, policy_file: str) -> None:
        from oslo_policy.policy import Enforcer

        from pumphouse.api.auth.policy import PREFIX, list_rules

        path = Path(policy_file).expanduser().absolute() if policy_file else None
        if path is not None and not path.is_file():
            raise BadConfig(f"there is no policy file {path}")
        self._prefix = PREFIX
        self._enforcer = Enforcer(_options([]), policy_file=str(path) if path else None)
        self._enforcer.register_defaults(list_rules())
        self._enforcer.load_rules()

    def allows(self, user: User, rule: str) -> bool:
        """Whether the policy says so."""
        credentials = {
            "user_id": user.id,
            "project_id": user.project_id,
            "roles": sorted(user.roles),
        }
        return bool(self._enforcer.enforce(f"{self._prefix}{rule}", {}, credentials))


def guard(app: Flask, files: Sequence[Path], revoked: Revoked) -> None:
    """Let keystonemiddleware look at each request before the application does.

    :param files: where its options are, in the group ``keystone_authtoken``.
    :param revoked: tokens that are no good any longer, whatever it remembers of them.
    """
    from keystonemiddleware.auth_token import AuthProtocol

    options = {"oslo_config_config": _options(files), "delay_auth_decision": True}
    checked = AuthProtocol(app.wsgi_app, options)

    def with_cookie(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_X_AUTH_TOKEN" not in environ:
            token = parse_cookie(environ).get(COOKIE)
            if token:
                environ |= {"HTTP_X_AUTH_TOKEN": token, _BY_COOKIE: True}
        if environ.get("HTTP_X_AUTH_TOKEN") in revoked:
            del environ["HTTP_X_AUTH_TOKEN"]
        found: Iterable[bytes] = checked(environ, _relative(environ, start))
        return found

    app.wsgi_app = with_cookie  # type: ignore[assignment,method-assign]  # as Flask documents it


def _relative(environ: dict[str, Any], start: Callable[..., Any]) -> Callable[..., Any]:
    """Let redirections stay paths: the middleware makes URLs of them, with http where a proxy speaks TLS."""
    here = f"{environ.get('wsgi.url_scheme')}://{environ.get('HTTP_HOST')}"

    def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        told = [
            (name, value.removeprefix(here) if name.lower() == "location" else value)
            for name, value in headers
        ]
        return start(status, told, *rest)

    return begin


def pages(files: Sequence[Path], revoked: Revoked) -> Blueprint:
    """The page on which people log in, and the way out, on which Keystone revokes their token.

    :param files: where Keystone's address is, in the group ``keystone_authtoken``.
    :param revoked: where tokens are put that somebody has logged out with.
    """
    options = _options(files)
    addresses = ("auth_url", "www_authenticate_uri")
    options.register_opts([cfg.StrOpt(name) for name in (*addresses, "cafile")], group=GROUP)
    options.register_opts([cfg.BoolOpt("insecure", default=False)], group=GROUP)
    found = options[GROUP]
    verify = False if found.insecure else found.cafile or True
    blueprint = Blueprint("login", __name__)

    @contextmanager
    def keystone() -> Iterator[session.Session]:
        with requests.Session() as connections:
            yield session.Session(session=connections, verify=verify, timeout=_SECONDS)

    def token_of(given: dict[str, str]) -> str | None:
        password = v3.Password(
            auth_url=address(),
            username=given["user"],
            password=given["password"],
            user_domain_name=given["domain"],
            project_name=given["project"],
            project_domain_name=given["domain"],
        )
        with keystone() as connection:
            return password.get_token(connection)

    def address() -> str:
        return str(found.auth_url or found.www_authenticate_uri or "").rstrip("/")

    def revoke(token: str) -> None:
        base = address() if address().endswith("v3") else f"{address()}/v3"
        with keystone() as connection:
            # Not logged: the headers hold the token.
            connection.delete(
                f"{base}/auth/tokens",
                headers={"X-Auth-Token": token, "X-Subject-Token": token},
                authenticated=False,
                log=False,
            )

    def show_login() -> Response:
        return form(_FIELDS, hint=_HINT)

    def log_in() -> Response:
        same_origin_only(strictly=False)
        given = {field.name: request.form.get(field.name, "") for field in _FIELDS}
        try:
            token = token_of(given)
        except exceptions.Unauthorized:
            return form(_FIELDS, hint=_HINT, complaint="Keystone does not accept this.", given=given)
        except exceptions.ClientException:
            complaint = "Keystone cannot be asked now. Try again later."
            return form(_FIELDS, hint=_HINT, complaint=complaint, given=given)
        response = redirect(inside(request.args.get("next")), 303)
        response.set_cookie(COOKIE, token or "", httponly=True, samesite="Strict", secure=request.is_secure)
        return response

    def log_out() -> Response:
        same_origin_only(strictly=False)
        token = request.cookies.get(COOKIE, "")
        response = redirect(url_for("login.show_login"), 303)
        if token:
            revoked.add(token)
            try:
                revoke(token)
            except (exceptions.NotFound, exceptions.Unauthorized):
                LOG.info("a token was not revoked: it had ended already")
            except exceptions.ClientException as error:
                LOG.warning("a token was not revoked: %s", type(error).__name__)
                response = form(_FIELDS, hint=_HINT, complaint=_NOT_REVOKED, status=502)
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
        return response

    add_views(blueprint, show_login, log_in, log_out)
    return blueprint


_FIELDS = (
    Field(name="user", label="User name", autocomplete="username"),
    Field(name="password", label="Password", secret=True, autocomplete="current-password"),
    Field(name="project", label="Project"),
    Field(name="domain", label="Domain", value="Default"),
)
_NOT_REVOKED = (
    "You are logged out here. Keystone could not be asked to revoke your token: elsewhere it is good until "
    "it ends."
)
_HINT = "As in Keystone. What you may do follows from your roles in the project."


def _options(files: Sequence[Path]) -> cfg.ConfigOpts:
    options: Any = cfg.ConfigOpts()
    options(
        [], project="pumphouse", default_config_files=[str(path) for path in files], default_config_dirs=[]
    )
    found: cfg.ConfigOpts = options
    return found
