"""One process of several that use a store at once: ``URL MIGRATION COUNT``."""

from __future__ import annotations

import sys

from pumphouse.engine.backend import open_persistence
from pumphouse.events import Noted
from pumphouse.store.opening import open_store


def main(url: str, migration: str, count: int) -> None:
    with open_store(url) as store:
        open_persistence(store.engine, guard=store.guard())
        for number in range(count):
            store.events.append([Noted(migration=migration, resource="server:1", text=str(number))])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
