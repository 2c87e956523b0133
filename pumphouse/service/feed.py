"""All new events, read once and given to everybody in this process who follows them.

One thread reads the store while somebody follows; each event is put into the form in which it is sent once,
however many follow. A follower names the last event that it has seen. What is newer and still kept here it
gets from here; what is older it reads from the store, page by page. So nothing is lost and nothing comes
twice, also over a reconnect, and the memory is bounded.

Who has seen everything so far can have the reader hand over what comes next: then no thread is woken for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pumphouse.errors import StoreError, TooMany
from pumphouse.store.events import EventRecord, Events

LOG = logging.getLogger(__name__)
EVERY = 0.5
"""Seconds between two readings: more often costs more than it shows."""
_SILENCE = 15.0
"""After so many seconds without an event a receiver is told that there is none."""
_KEPT = 20_000
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as it is sent."""

    seq: int
    migration: str
    data: bytes


class Receiver(Protocol):
    """Takes what is new from the one reader, in its thread: it must neither wait nor raise."""

    @property
    def migration(self) -> str | None:
        """The one whose events it wants; None for all."""

    def take(self, data: bytes, last: int) -> bool:
        """The new events up to the one numbered ``last``; empty after a silence. False to take no more."""

    def end(self) -> None:
        """Nothing more comes: the feed is closed."""


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
        self._receivers: set[Receiver] = set()
        self._told_at = 0.0
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

    def hand_over(self, receiver: Receiver, after: int) -> bool:
        """Give a receiver what comes after the event numbered ``after``, until it takes no more.

        False if there is something newer already, or if the feed is closed.
        """
        with self._changed:
            if self._closed or after < self._last:
                return False
            self._receivers.add(receiver)
            return True

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
        try:
            while self._waited():
                try:
                    self._read()
                except StoreError as error:
                    LOG.warning("events cannot be read: %s", error)
                if time.monotonic() - self._told_at > _SILENCE:
                    self._give((), self._last, self._all_receivers())
        finally:
            # Also after a fault: nobody shall wait for a reader that is no more.
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            for receiver in self._all_receivers():
                receiver.end()

    def _all_receivers(self) -> Sequence[Receiver]:
        with self._changed:
            return list(self._receivers)

    def _waited(self) -> bool:
        """Wait until it is time to read; whether the feed goes on."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._followers)
            return not self._changed.wait_for(lambda: self._closed, self._every)

    def _read(self) -> None:
        while page := self._events.read(after=self._last, limit=_PAGE):
            frames = [self._frame(one) for one in page]
            with self._changed:
                for frame in frames:
                    if len(self._frames) == self._frames.maxlen:
                        self._from = self._frames[0].seq
                    self._frames.append(frame)
                self._last = page[-1].seq
                # At once: who comes later has seen these frames.
                receivers = list(self._receivers)
                self._changed.notify_all()
            self._give(frames, self._last, receivers)
            if len(page) < _PAGE:
                return

    def _give(self, frames: Sequence[Frame], last: int, receivers: Sequence[Receiver]) -> None:
        """Hand frames over: put together once for all who want the same."""
        self._told_at = time.monotonic()
        together: dict[str | None, bytes] = {}
        for receiver in receivers:
            wanted = receiver.migration
            if wanted not in together:
                together[wanted] = b"".join(
                    one.data for one in frames if wanted is None or one.migration == wanted
                )
            if (together[wanted] or not frames) and not receiver.take(together[wanted], last):
                with self._changed:
                    self._receivers.discard(receiver)


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
        if self.ended:
            raise StopIteration
        frames, self._after = self._feed.next(self._after, self._migration, self._patience)
        return frames

    def ready(self) -> Sequence[Frame]:
        """What it has not seen yet, without waiting; nothing if that is all."""
        frames, self._after = self._feed.next(self._after, self._migration, 0)
        return frames

    def hand_over(self, receiver: Receiver) -> bool:
        """Have a receiver given what comes next. False if there is something newer, or the feed is closed."""
        return self._feed.hand_over(receiver, self._after)

    def go_on(self, after: int) -> None:
        """Go on after an event that a receiver was given."""
        self._after = max(self._after, after)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to come."""
        return self._left or self._feed.closed

    def close(self) -> None:
        """Leave; a second time does nothing."""
        if not self._left:
            self._left = True
            self._feed.leave()
