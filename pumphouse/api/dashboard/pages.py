"""The blueprint of all pages, and what every one of them has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from flask import (
    Blueprint,
    Response,
    current_app,
    jsonify,
    make_response,
    render_template,
    request,
    send_from_directory,
)
from markupsafe import Markup

from pumphouse import __version__, text
from pumphouse.api import auth, problems
from pumphouse.api.auth import open_to_all
from pumphouse.api.dashboard import kept, states
from pumphouse.api.dashboard.icons import ICONS
from pumphouse.api.problems import Problem

THEME: Final = "pumphouse-theme"
"""The cookie that keeps whether pages are light or dark, where that is not the browser's choice."""
THEMES: Final = ("auto", "light", "dark")
_HERE: Final = Path(__file__).parent

blueprint = Blueprint("dashboard", __name__, template_folder="templates")


@blueprint.get("/static/<path:filename>")
@open_to_all
def static(filename: str) -> Response:
    """A style sheet, a script or a picture. The browser asks whether its copy is still good."""
    response = send_from_directory(_HERE / "static", filename)
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.record_once
def _install(state: Any) -> None:
    app = state.app
    kept.install(app)
    app.jinja_env.filters.update(
        size=text.size,
        duration=text.duration,
        counted=text.counted,
        listed=text.listed,
        one_line=text.one_line,
        moment=moment,
        spaced=spaced,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_common)
    problems.show_pages(app, error_page)


def _common() -> Mapping[str, Any]:
    theme = request.cookies.get(THEME, "")
    return {
        "allowed": auth.allowed,
        "icon_paths": ICONS,
        "known": auth.known(),
        "has_logout": "login.log_out" in current_app.view_functions,
        "theme": theme if theme in THEMES else THEMES[0],
        "version": __version__,
        "looks": states,
    }


def page(template: str, *, status: int = 200, **values: Any) -> Response:
    """A rendered page."""
    return make_response(render_template(template, **values), status)


def part(html: str) -> Response:
    """A part of a page, for a script that puts it in its place."""
    return jsonify(html=html)


def error_page(problem: Problem) -> Response:
    """A problem as a page: what happened, where, and what to do next."""
    return page("error.html", status=problem.status, problem=problem)


def moment(value: datetime | None, *, relative: bool = True) -> Markup:
    """A time, which a script puts into the reader's own zone and words; without it, UTC.

    :param relative: whether it is told as how long ago it was.
    """
    if value is None:
        return Markup("–")  # noqa: RUF001 -- a dash, as in print
    exact = text.when(value)
    shown = exact[:16].replace("T", " ") + " UTC"
    kind = "ago" if relative else "at"
    return Markup('<time datetime="{}" data-time="{}">{}</time>').format(exact, kind, shown)


def spaced(name: object) -> str:
    """A type's or a state's name as people read it: ``security group``."""
    return str(name).replace("_", " ").lower()
