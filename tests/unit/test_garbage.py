"""The collector rests while many objects are made, and no longer."""

from __future__ import annotations

import gc
import threading

import pytest

from pumphouse.garbage import kept_from_collecting


def test_it_rests_inside_and_works_on_outside():
    with kept_from_collecting():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_starts_it_again():
    with pytest.raises(ValueError, match="broken"), kept_from_collecting():
        raise ValueError("broken")
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off():
    gc.disable()
    try:
        with kept_from_collecting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_of_several_threads_the_last_one_starts_it_again():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with kept_from_collecting():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with kept_from_collecting():
        thread.start()
        assert inside.wait(10)
    assert not gc.isenabled()
    leave.set()
    thread.join(10)
    assert gc.isenabled()
