"""Delivers events to the operator's URLs: signed, in order, again until they are taken.

Each URL has a thread and a place in the store up to which its events have been taken, so that nothing is lost
over a restart. A delivery whose answer was lost is sent again: events have numbers, by which the receiver
knows them. No migration waits for any of this.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import requests

from pumphouse.errors import StoreError
from pumphouse.store.events import EventRecord, Events

LOG = logging.getLogger(__name__)
EVERY = 1.0
"""Seconds between two looks for new events."""
_MOST = 100
"""Events in one delivery."""
_TIMEOUT = (5.0, 30.0)
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 300.0
SIGNATURE = "X-Pumphouse-Signature"


def sign(secret: str, at: int, body: bytes) -> str:
    """The signature: a time (seconds since 1970), and HMAC-SHA256 of it, a full stop and the body."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Webhook:
    """The deliveries to one URL.

    :param secret: what signs them.
    """

    def __init__(self, events: Events, url: str, *, secret: str, every: float = EVERY) -> None:
        self._events = events
        self._url = url
        self._secret = secret
        self._every = every
        # The URL itself may hold a secret, and the store keeps none.
        self._place = f"webhook-{hashlib.sha256(url.encode()).hexdigest()[:20]}"
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pumphouse-webhook", daemon=True)

    def start(self) -> None:
        """Begin to deliver; the first time, with what happens from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Deliver nothing more; returns at once."""
        self._end.set()

    def close(self) -> None:
        """Stop, and wait until nothing is under way."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        wait = _FIRST_WAIT
        with requests.Session() as session:
            while not self._end.is_set():
                try:
                    done = self._deliver(session)
                except (StoreError, requests.RequestException) as error:
                    # Neither the URL nor the answer: either may hold a secret.
                    LOG.warning("events wait to be delivered: %s", type(error).__name__)
                    self._end.wait(wait)
                    wait = min(2 * wait, _LONGEST_WAIT)
                    continue
                wait = _FIRST_WAIT
                if not done:
                    self._end.wait(self._every)

    def _deliver(self, session: requests.Session) -> bool:
        """Deliver the next events; whether there were any. Raises RequestException if they are not taken."""
        after = self._events.place(self._place)
        found = self._events.read(after=after, limit=_MOST)
        if not found:
            return False
        body = json.dumps({"events": [_document(one) for one in found]}).encode()
        headers = {
            "Content-Type": "application/json",
            SIGNATURE: sign(self._secret, int(time.time()), body),
        }
        answer = session.post(
            self._url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False, stream=True
        )
        answer.close()
        if not 200 <= answer.status_code < 300:
            raise requests.HTTPError(str(answer.status_code))
        self._events.set_place(self._place, found[-1].seq)
        return True


class Webhooks:
    """The deliveries to all URLs."""

    def __init__(self, events: Events, urls: Sequence[str], *, secret: str) -> None:
        self._hooks = [Webhook(events, url, secret=secret) for url in dict.fromkeys(urls)]

    def start(self) -> None:
        """Begin."""
        for one in self._hooks:
            one.start()

    def stop(self) -> None:
        """Deliver nothing more; returns at once."""
        for one in self._hooks:
            one.stop()

    def close(self) -> None:
        """Stop, and wait until nothing is under way."""
        self.stop()
        for one in self._hooks:
            one.close()


def _document(one: EventRecord) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "migration": one.migration,
        "at": one.at.isoformat(),
        "kind": one.kind,
        "payload": dict(one.payload),
    }
