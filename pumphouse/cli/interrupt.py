"""Ctrl-C while a migration runs: the first asks for an orderly pause, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import Any, Protocol

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 2.0
"""Seconds that putting the terminal in order may take."""
_SHOW_CURSOR = b"\x1b[?25h"


class Stoppable(Protocol):
    """What is asked to stop."""

    why: str

    def pause(self) -> None: ...
    def on_stop(self, listener: Callable[[], None]) -> None: ...
    def stop_now(self) -> None:
        """Does not return."""


class Interrupts:
    """How many there were."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def pausing(
    control: Stoppable, *, say: Callable[[str], None], restore: Callable[[], None], resume: str
) -> Iterator[Interrupts]:
    """Handle signals while the body runs. SIGTERM and a closed terminal are as good as Ctrl-C.

    A stop that another process asked for, or that has another reason, is told too.

    :param say: shows a line.
    :param restore: puts the terminal in order before the process ends at once.
    :param resume: the command that carries on afterwards.
    """
    seen = Interrupts()
    # The one thing that a handler may do whatever it has interrupted, which may hold the screen's lock.
    asked: SimpleQueue[bool] = SimpleQueue()

    def handle(_number: int, _frame: FrameType | None) -> None:
        seen.count += 1
        asked.put(True)

    def answer() -> None:
        if not asked.get():
            return
        control.pause()
        say("Pausing when the steps under way are done. Press Ctrl-C again to stop at once.")
        if asked.get():
            _stop_at_once(control, restore, resume)

    answering = threading.Thread(target=answer, name="pumphouse-interrupts", daemon=True)
    answering.start()

    def tell() -> None:
        if not seen.count:
            why = control.why or "Another process asked for a stop"
            say(f"{why}: stopping when the steps under way are done.")

    control.on_stop(tell)
    before: dict[signal.Signals, Any] = {}
    for number in _SIGNALS:
        # What the parent had ignored (nohup) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(False)
        answering.join()


def _stop_at_once(control: Stoppable, restore: Callable[[], None], resume: str) -> None:
    """Put the terminal in order, as far as nothing stands in the way of that, and end."""
    ending = threading.Thread(target=restore, name="pumphouse-restore", daemon=True)
    ending.start()
    ending.join(_PATIENCE)
    if ending.is_alive() and os.isatty(1):
        os.write(1, _SHOW_CURSOR)
    text = f"\nStopped at once. What was under way is looked for on resuming: {resume}\n"
    os.write(2, text.encode(errors="backslashreplace"))
    control.stop_now()
