"""The types of resources that are moved, from their declarations."""

from __future__ import annotations

from flask import Response

from pumphouse.api.auth import allow
from pumphouse.api.dashboard.pages import blueprint, page
from pumphouse.api.v1.types import all_types


@blueprint.get("/resource-types")
@allow("types:read")
def show_types() -> Response:
    """The page."""
    return page("types.html", types=all_types())
