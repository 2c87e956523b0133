"""When Python looks for cycles of garbage."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_was_on = False


@contextmanager
def kept_from_collecting() -> Iterator[None]:
    """Keep the collector of cycles from running, while many objects are made that stay.

    While their number grows, it goes through all of them again and again, and finds nothing: what clouds
    answer is JSON, which has no cycles. That costs more than to read and to decode it. All else is freed as
    ever, when its last reference goes. Threads may overlap: the last one out starts the collector again.
    """
    global _inside, _was_on  # noqa: PLW0603 -- there is one collector in a process
    with _lock:
        if not _inside:
            _was_on = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _was_on:
                gc.enable()
