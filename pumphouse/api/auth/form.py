"""The page on which people log in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from flask import Blueprint, make_response, render_template
from werkzeug.wrappers import Response

from pumphouse.api.auth import open_to_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the form. A secret is not shown while it is written."""

    name: str
    label: str
    secret: bool = False
    autocomplete: str = "off"
    value: str = ""


def form(
    fields: Sequence[Field],
    *,
    hint: str,
    complaint: str = "",
    status: int = 403,
    given: Mapping[str, str] | None = None,
) -> Response:
    """The page; one that complains has this status, and what was given before, but for secrets."""
    shown = [
        one if one.secret else replace(one, value=(given or {}).get(one.name, one.value)) for one in fields
    ]
    text = render_template("login.html", fields=shown, hint=hint, complaint=complaint)
    return make_response(text, status if complaint else 200)


def inside(where: str | None) -> str:
    """A path of this server to go on to; never another server's."""
    parts = urlsplit(where or "")
    if not parts.scheme and not parts.netloc and parts.path.startswith("/") and "\\" not in parts.path:
        return parts._replace(fragment="").geturl()
    return "/"


def add_views(
    blueprint: Blueprint,
    show_login: Callable[[], Response],
    log_in: Callable[[], Response],
    log_out: Callable[[], Response],
) -> None:
    """Put the views of logging in and out where everybody finds them."""
    for rule, method, view in (
        ("/login", "GET", show_login),
        ("/login", "POST", log_in),
        ("/logout", "POST", log_out),
    ):
        blueprint.add_url_rule(rule, view_func=open_to_all(view), methods=[method])
