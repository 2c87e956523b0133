"""The thread that looks for what there is to do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from pumphouse.errors import DatabaseError
from pumphouse.service.looking import Looker


class Stumbling(Looker):
    """Fails at its first turns."""

    name = "stumbling"

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.turned = threading.Event()
        super().__init__(every=0.01)

    def _turn(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.turned.set()

    def _threads(self) -> Iterable[threading.Thread]:
        return ()


def test_whatever_fails_it_looks_again(caplog) -> None:
    failures = DatabaseError("it is away"), RuntimeError("can't start new thread"), ValueError("'NEWER'")
    with caplog.at_level(logging.WARNING), Stumbling(*failures) as looker:
        assert looker.turned.wait(30)
    told = [(one.levelname, one.exc_info and str(one.exc_info[1])) for one in caplog.records]
    assert told == [("WARNING", None), ("ERROR", "can't start new thread"), ("ERROR", "'NEWER'")]
