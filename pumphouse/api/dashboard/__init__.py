"""The dashboard: pages that the server renders, kept live by a few small scripts.

A page asks the same use cases as the API, and what it writes goes through the API. What is shown live is a
*part* of a page: the server renders it, at first within the page and later alone, and a script puts it in
the old one's place.
"""

from pumphouse.api.dashboard import (
    clouds,
    finalizing,
    graph,
    history,
    hosts,
    migration,
    operations,
    planning,
    report,
    types,
    waves,
)
from pumphouse.api.dashboard.pages import blueprint

PAGES = (
    clouds,
    finalizing,
    graph,
    history,
    hosts,
    migration,
    operations,
    planning,
    report,
    types,
    waves,
)
"""The modules whose views the blueprint has."""

__all__ = ["PAGES", "blueprint"]
