"""Makes the Flask application."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flask import Blueprint, Response, jsonify
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from prometheus_client import CollectorRegistry

from pumphouse import __version__
from pumphouse.api import audit, auth, dashboard, health, metrics, problems, security, stream, v1
from pumphouse.api.auth import Login, Policy, open_to_all
from pumphouse.api.auth.local import LocalLogin
from pumphouse.api.auth.policy import AllowAll
from pumphouse.api.auth.token import COOKIE
from pumphouse.api.problems import Problem
from pumphouse.api.routes import EXTENSION
from pumphouse.api.v1 import (
    actions,
    clouds,
    events,
    finalizing,
    hosts,
    migrations,
    operations,
    plans,
    reports,
    types,
    waves,
)
from pumphouse.service import Pumphouse

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes of a request's body. Override files are the largest of them, but for saved plans."""
_SCHEMES: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "The token of the server's file."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A browser's, for the token.",
    },
    "keystone": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "Of Keystone."},
}
VERSION_ONE = (
    clouds.routes,
    types.routes,
    operations.routes,
    plans.routes,
    migrations.routes,
    actions.routes,
    finalizing.routes,
    hosts.routes,
    waves.routes,
    reports.routes,
    events.routes,
)


def create_app(
    service: Pumphouse,
    *,
    login: Login | None = None,
    policy: Policy | None = None,
    hosts: Sequence[str] = (),
    registry: CollectorRegistry | None = None,
    blueprints: Iterable[Blueprint] = (),
) -> OpenAPI:
    """The application on these use cases, which must stay open for as long as it serves.

    Close its feed (:func:`pumphouse.api.stream.feed_of`) before them.

    :param login: how users are known; without one, whoever reaches it may do everything.
    :param policy: what they may do; without one, everything.
    :param hosts: the only names by which it may be called; all if there are none.
    :param registry: metrics that are told besides the store's own.
    :param blueprints: what is served besides the API and the dashboard, such as a page to log in.
    """
    app = OpenAPI(
        "pumphouse.api",
        info=Info(title="Pumphouse", version=__version__, description=v1.__doc__),
        security_schemes=_SCHEMES,
        openapi_extensions={"security": [{name: []} for name in _SCHEMES]},
        doc_ui=False,
        validation_error_status=400,
        validation_error_model=Problem,
        validation_error_callback=problems.invalid,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    # Threads share them, so they are there before the first request.
    _ = service.store, service.registry, service.clouds, service.snapshots
    app.extensions[EXTENSION] = service
    security.install(app, hosts=hosts, saved_plans={"plans.take_plan_file", "dashboard.take_plan"})
    auth.install(app, login or LocalLogin(), policy or AllowAll())
    audit.install(app)
    stream.install(app, service.feed(events.frame), most=service.config.api.followers)
    problems.install(app)
    for routes in VERSION_ONE:
        app.register_api(routes)
    app.register_blueprint(health.blueprint)
    metrics.install(app, registry or CollectorRegistry())
    app.register_blueprint(dashboard.blueprint)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    app.add_url_rule("/v1/openapi.json", "openapi", _document_of(app))
    return app


def _document_of(app: OpenAPI) -> Any:
    document: dict[str, Any] = app.api_doc

    def show_openapi() -> Response:
        return jsonify(document)

    return open_to_all(show_openapi)
