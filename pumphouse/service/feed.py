"""All new events, read once and given to everybody in this process who follows them.

One thread reads the store while somebody follows; each event is put into the form in which it is sent once,
however many follow. A follower names the last event that it has seen. What is newer and still kept here it
gets from here; what is older it reads from the store, page by page. So nothing is lost and nothing comes
twice, also over a reconnect, and the memory is bounded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from pumphouse.errors import StoreError, TooMany
from pumphouse.store.events import EventRecord, Events

LOG = logging.getLogger(__name__)
EVERY = 0.5
"""Seconds between two readings: each wakes every follower, so a shorter one costs more than it shows."""
_KEPT = 20_000
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as it is sent."""

    seq: int
    migration: str
    data: bytes


class Feed:
    """The newest events, and those who wait for more.

    :param form: puts an event into the form in which it is sent.
    """

    def __init__(
        self, events: Events, *, form: Callable[[EventRecord], bytes], every: float = EVERY, kept: int = _KEPT
    ) -> None:
        self._events = events
        self._form = form
        self._every = every
        self._changed = threading.Condition()
        self._frames: deque[Frame] = deque(maxlen=kept)
        self._from = 0
        """All events numbered higher, up to ``_last``, are among the frames."""
        self._last = 0
        self._followers = 0
        self._closed = False
        self._begun = False
        self._thread = threading.Thread(target=self._run, name="pumphouse-feed", daemon=True)

    @property
    def followers(self) -> int:
        """How many follow now."""
        return self._followers

    def close(self) -> None:
        """Let everybody go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._begun:
            self._thread.join()

    def follow(
        self, *, after: int, migration: str | None = None, patience: float = 15.0, most: int | None = None
    ) -> Following:
        """The events numbered above ``after``, as they come. Counts as a follower until it closes.

        :param migration: only its events.
        :param patience: after so many seconds of silence it gives an empty sequence.
        :param most: how many may follow at once; None is any number.
        :raises pumphouse.errors.TooMany: so many follow already.
        :raises pumphouse.errors.StoreError: the store could not be read.
        """
        with self._changed:
            if most is not None and self._followers >= most:
                raise TooMany(f"{self._followers} follow the events already")
            if not self._followers:
                # What happened while nobody followed is the store's to tell.
                self._frames.clear()
                self._last = self._from = self._events.last()
            self._followers += 1
            if not self._begun:
                self._begun = True
                self._thread.start()
            self._changed.notify_all()
        return Following(self, after, migration, patience)

    def leave(self) -> None:
        """One follower less."""
        with self._changed:
            self._followers -= 1

    @property
    def closed(self) -> bool:
        """Whether everybody was let go."""
        return self._closed

    def next(self, after: int, migration: str | None, patience: float) -> tuple[Sequence[Frame], int]:
        """What a follower gets now, and the number of the last event that it has seen then."""
        until = time.monotonic() + patience
        while True:
            with self._changed:
                if after >= self._from:
                    found = self._newer(after, migration)
                    after = max(after, self._last)
                    if found or self._closed:
                        return found, after
                    left = until - time.monotonic()
                    if not self._changed.wait_for(partial(self._has_more, after), left):
                        return (), after
                    continue
                known = self._last
            page = self._events.read(after=after, migration=migration, limit=_PAGE)
            if page:
                return [self._frame(one) for one in page], page[-1].seq
            after = max(after, known)

    def _has_more(self, after: int) -> bool:
        return self._closed or self._last > after

    def _newer(self, after: int, migration: str | None) -> Sequence[Frame]:
        found: list[Frame] = []
        for frame in reversed(self._frames):
            if frame.seq <= after:
                break
            if migration is None or frame.migration == migration:
                found.append(frame)
        found.reverse()
        return found

    def _frame(self, one: EventRecord) -> Frame:
        return Frame(one.seq, one.migration, self._form(one))

    # -- the one reader

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._followers)
                if self._changed.wait_for(lambda: self._closed, self._every):
                    return
            try:
                self._read()
            except StoreError as error:
                LOG.warning("events cannot be read: %s", error)

    def _read(self) -> None:
        while page := self._events.read(after=self._last, limit=_PAGE):
            frames = [self._frame(one) for one in page]
            with self._changed:
                for frame in frames:
                    if len(self._frames) == self._frames.maxlen:
                        self._from = self._frames[0].seq
                    self._frames.append(frame)
                self._last = page[-1].seq
                self._changed.notify_all()
            if len(page) < _PAGE:
                return


class Following(Iterator[Sequence[Frame]]):
    """One who follows a feed. Ends when the feed is closed; ``close`` leaves earlier.

    Iterating raises pumphouse.errors.StoreError when what is older than the feed could not be read.
    """

    def __init__(self, feed: Feed, after: int, migration: str | None, patience: float) -> None:
        self._feed = feed
        self._after = after
        self._migration = migration
        self._patience = patience
        self._left = False

    def __next__(self) -> Sequence[Frame]:
        if self._left or self._feed.closed:
            raise StopIteration
        frames, self._after = self._feed.next(self._after, self._migration, self._patience)
        return frames

    def close(self) -> None:
        """Leave; a second time does nothing."""
        if not self._left:
            self._left = True
            self._feed.leave()
