"""Prints the OpenAPI document: what ``make openapi`` keeps in ``etc/pumphouse/openapi.json``."""

from __future__ import annotations

import json
import sys

from pumphouse.api.app import create_app
from pumphouse.config import Config, Store
from pumphouse.service import Pumphouse


def document() -> str:
    """The document as text, the same for the same code."""
    with Pumphouse.open(Config(store=Store(url="sqlite://"))) as service:
        return json.dumps(create_app(service).api_doc, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
