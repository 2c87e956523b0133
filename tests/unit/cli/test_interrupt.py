"""Signals while a migration runs."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from pumphouse.cli.interrupt import pausing
from pumphouse.engine.control import Control


@pytest.fixture(autouse=True)
def not_ignored():
    """Tests that run in a shell's background were told to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Stopped(Control):
    """Notes that it should end at once, instead of ending the tests."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def stop_now(self) -> None:
        self.ended.set()


def test_a_signal_that_interrupts_who_holds_the_screen_is_heard_and_does_not_hang():
    screen, said, control = threading.Lock(), [], Stopped()

    def say(text: str) -> None:
        with screen:
            said.append(text)

    # This thread has the screen whenever it writes a line.
    with pausing(control, say=say, restore=lambda: None, resume="resume"), screen:
        os.kill(os.getpid(), signal.SIGTERM)
        assert control.stop.wait(10)
        assert said == []
    assert said == ["Pausing when the steps under way are done. Press Ctrl-C again to stop at once."]
    assert not control.ended.is_set()


def test_a_second_signal_ends_at_once_whoever_holds_the_screen():
    screen, control = threading.Lock(), Stopped()

    def restore() -> None:
        with screen:
            pass

    with pausing(control, say=lambda _: None, restore=restore, resume="resume"), screen:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert control.ended.wait(10)
