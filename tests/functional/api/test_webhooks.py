"""Events delivered to the operator's URLs."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pumphouse import config
from pumphouse.errors import BadConfig
from pumphouse.events import Noted
from pumphouse.service import Pumphouse
from pumphouse.service.webhooks import SIGNATURE, Webhook
from pumphouse.store.opening import open_store


class Receiver(ThreadingHTTPServer):
    """Takes deliveries, or answers with the next of ``refuse`` first."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken, self.refuse, self.tries = [], [], 0
        self.url = f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tries += 1
        status = self.server.refuse.pop(0) if self.server.refuse else 204
        if status == 204:
            self.server.taken.append((self.headers[SIGNATURE], body))
        self.send_response(status)
        if status == 307:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()

    def log_message(self, *_args):
        pass


@pytest.fixture
def receiver():
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/hooks.db") as opened:
        yield opened


def note(store, *texts):
    store.events.append([Noted(migration="m-1", resource="server:1", text=text) for text in texts])


def texts(receiver):
    return [one["payload"]["text"] for _, body in receiver.taken for one in json.loads(body)["events"]]


@pytest.fixture
def hook(store, receiver, monkeypatch):
    monkeypatch.setattr("pumphouse.service.webhooks._FIRST_WAIT", 0.05)
    started = []

    def start():
        one = Webhook(store.events, receiver.url, secret="shared", every=0.02)
        one._events.place(one._place)  # begins now
        one.start()
        started.append(one)
        return one

    yield start
    for one in started:
        one.close()


def test_events_are_delivered_in_order_and_signed(store, receiver, hook, wait_for):
    note(store, "before anybody asked")
    hook()
    note(store, "one", "two")
    note(store, "three")
    wait_for(lambda: texts(receiver) == ["one", "two", "three"])
    for signature, body in receiver.taken:
        at, _, digest = signature.removeprefix("t=").partition(",v1=")
        expected = hmac.new(b"shared", f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(digest, expected)


@pytest.mark.parametrize("refusal", [500, 404, 307])
def test_what_is_not_taken_comes_again(store, receiver, hook, wait_for, refusal):
    receiver.refuse = [refusal, refusal]
    hook()
    note(store, "one")
    wait_for(lambda: texts(receiver) == ["one"])
    assert receiver.tries == 3


def test_a_restart_loses_nothing_and_repeats_nothing(store, receiver, hook, wait_for):
    first = hook()
    note(store, "one")
    wait_for(lambda: texts(receiver) == ["one"])
    first.close()
    note(store, "two", "three")
    hook()
    wait_for(lambda: texts(receiver) == ["one", "two", "three"])


def test_urls_are_not_shown_and_need_a_secret(config_file):
    text = config_file.read_text()
    config_file.write_text(f"{text}\n[webhooks]\nurls = https://hooks.example/in?key=hidden\n")
    loaded = config.load([config_file])
    assert "hidden" not in repr(loaded)
    with Pumphouse.open(loaded) as service, pytest.raises(BadConfig, match="secret"):
        service.webhooks()
