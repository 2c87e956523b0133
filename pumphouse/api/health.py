"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from pumphouse.api.auth import open_to_all
from pumphouse.api.routes import service

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@open_to_all
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@open_to_all
def readyz() -> Response:
    """The store answers too. Errors are problem documents, as everywhere."""
    service().store.events.last()
    return jsonify(status="ok")
