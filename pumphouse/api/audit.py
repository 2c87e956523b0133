"""Who did what: one event for each request that changed something, or asked for it."""

from __future__ import annotations

import logging

from flask import Flask, Response, g, request

from pumphouse.api.routes import service
from pumphouse.errors import StoreError
from pumphouse.events import Audited

LOG = logging.getLogger(__name__)


def install(app: Flask) -> None:
    """Write down what is granted."""
    app.after_request(_write)


def concerns(migration: str) -> None:
    """Say which migration this request is about."""
    g.migration = migration


def _write(response: Response) -> Response:
    user = g.get("user")
    if user is None or request.method in {"GET", "HEAD", "OPTIONS"} or response.status_code >= 400:
        return response
    event = Audited(
        migration=g.get("migration", ""),
        who=user.name,
        rule=g.get("rule", ""),
        path=request.path,
        status=response.status_code,
        address=request.remote_addr or "",
    )
    try:
        service().store.events.append([event])
    except StoreError as error:
        # What was asked for is done or will be: to refuse it now would be a lie.
        LOG.error("not written down: %s %s by %s: %s", request.method, request.path, user.name, error)  # noqa: TRY400
    return response
