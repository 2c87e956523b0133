"""What standard output and error are while a migration runs: a reader that goes away must not stop it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from pumphouse.cli.app import Application


class _Patient:
    """A stream that drops what nobody reads any longer."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            drop(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            drop(self._stream)


@contextmanager
def patient(app: Application) -> Iterator[None]:
    """While the body runs, the process's output and the application's outlast their reader."""
    before = sys.stdout, sys.stderr, app.stdout, app.stderr
    out, err = (cast("TextIO", _Patient(one)) for one in before[:2])
    sys.stdout, sys.stderr = app.stdout, app.stderr = out, err
    try:
        yield
    finally:
        for one in (out, err):
            one.flush()
        sys.stdout, sys.stderr, app.stdout, app.stderr = before


def drop(stream: TextIO) -> None:
    """Nobody reads on: what is still buffered, and what comes, must not fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
