"""Ctrl-C, a second one, kill -9, and a migration that another process pauses and watches."""

import os
import pty
import re
import signal
import time

import pytest

pytestmark = pytest.mark.crash


@pytest.fixture
def shop(cloud_pair, operator, make_tenant):
    return make_tenant(cloud_pair.source)


@pytest.fixture
def stuck(process, cloud_pair, shop):
    """A migration whose sixth writing request the destination holds back."""
    cloud_pair.destination.holds.set(6)
    with process("migrate", "tenant", "shop", "--yes") as started:
        cloud_pair.destination.holds.wait_held(60)
        lines = iter(started.stdout.readline, "")
        id = next(found[0] for line in lines if (found := re.match(r"Migration (m-\w{6})$", line)))
        yield started, id.split()[1]
        cloud_pair.destination.holds.release()
        started.kill()


def wait_for(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def state(pumphouse, id):
    return pumphouse("migration", "show", id, "-f", "value", "-c", "state").stdout.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_pauses_in_order_and_says_how_to_resume(pumphouse, cloud_pair, stuck, number):
    """So do a request to end and a terminal that is closed."""
    started, id = stuck
    started.send_signal(number)
    wait_for(lambda: "Press Ctrl-C again" in started.stdout.readline())
    cloud_pair.destination.holds.release()  # the step under way may end
    out, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (130, "")
    assert f"pumphouse migration resume {id}" in out
    assert state(pumphouse, id) == "PAUSED"
    assert pumphouse("migration", "resume", id).returncode == 0
    assert state(pumphouse, id) == "SUCCEEDED"


def test_one_that_was_told_to_outlive_its_terminal_does(process, cloud_pair, shop):
    """As with nohup."""
    cloud_pair.destination.holds.set(6)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with process("migrate", "tenant", "shop", "--yes") as started:
        cloud_pair.destination.holds.wait_held(60)
        started.send_signal(signal.SIGHUP)
        cloud_pair.destination.holds.release()
        out, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (0, "")
    assert "Press Ctrl-C" not in out


def test_a_second_ctrl_c_stops_at_once(pumphouse, cloud_pair, stuck):
    started, id = stuck
    started.send_signal(signal.SIGINT)
    wait_for(lambda: "Press Ctrl-C again" in started.stdout.readline())
    begun = time.monotonic()
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=30)
    assert time.monotonic() - begun < 5
    assert started.returncode == 130
    assert f"pumphouse migration resume {id}" in err
    cloud_pair.destination.holds.release()
    watched = pumphouse("migration", "watch", id)
    assert watched.returncode == 1
    assert "No process is at work on it." in watched.stdout
    assert pumphouse("migration", "resume", id).returncode == 0


def test_kill_9_is_survived(pumphouse, cloud_pair, stuck):
    started, id = stuck
    started.kill()
    started.communicate(timeout=30)
    cloud_pair.destination.holds.release()
    assert pumphouse("migration", "resume", id).returncode == 0
    assert pumphouse("migration", "verify", id).returncode == 0


def test_a_roll_back_that_was_killed_is_gone_on_with(pumphouse, process, cloud_pair, stuck):
    started, id = stuck
    started.kill()
    started.communicate(timeout=30)
    cloud_pair.destination.holds.release()
    cloud_pair.destination.holds.set(2)
    with process("migration", "rollback", id, "--yes") as taking_back:
        cloud_pair.destination.holds.wait_held(60)
        taking_back.kill()
        taking_back.communicate(timeout=30)
    cloud_pair.destination.holds.release()
    assert pumphouse("migration", "resume", id).returncode == 0
    assert state(pumphouse, id) == "ROLLED_BACK"


def test_another_process_pauses_it(pumphouse, process, cloud_pair, stuck):
    started, id = stuck
    busy = pumphouse("migration", "resume", id)
    assert busy.returncode == 2
    assert "already at work" in busy.stderr
    with process("migration", "watch", id) as watching:
        asked = pumphouse("migration", "pause", id)
        assert (asked.returncode, asked.stderr) == (0, "")
        assert "will pause" in asked.stdout
        wait_for(lambda: "Another process asked for a stop" in started.stdout.readline())
        cloud_pair.destination.holds.release()
        out, _ = started.communicate(timeout=60)
        assert started.returncode == 3
        assert "is paused" in out
        seen, _ = watching.communicate(timeout=60)
    assert watching.returncode == 3
    assert "project shop: done" in seen
    assert "is paused" in seen


def test_another_process_cancels_it(pumphouse, cloud_pair, stuck):
    started, id = stuck
    asked = pumphouse("migration", "cancel", id)
    assert "will be cancelled" in asked.stdout
    wait_for(lambda: "Another process asked for a stop" in started.stdout.readline())
    cloud_pair.destination.holds.release()
    started.communicate(timeout=60)
    assert started.returncode == 1
    assert state(pumphouse, id) == "CANCELLED"
    again = pumphouse("migration", "cancel", id)
    assert again.returncode == 2
    assert f"has ended already: it is CANCELLED. See it with: pumphouse migration show {id}" in again.stderr


def test_ctrl_c_while_it_plans_ends_it_and_nothing_was_written(process, cloud_pair, shop):
    before = len(cloud_pair.destination.counts.writes)
    fault = cloud_pair.destination.faults.add("stall", method="GET", path="/compute/*")
    with process("migrate", "tenant", "shop", "--yes") as started:
        wait_for(lambda: fault.hits)
        started.send_signal(signal.SIGINT)
        cloud_pair.destination.faults.clear()
        out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err) == (130, "", "pumphouse: interrupted\n")
    assert len(cloud_pair.destination.counts.writes) == before


@pytest.fixture
def on_a_terminal(process, cloud_pair, shop):
    """A migration with bars, held at its sixth writing request; its process, and what comes on the screen."""
    cloud_pair.destination.holds.set(6)
    ours, theirs = pty.openpty()
    with (
        os.fdopen(ours, "rb", buffering=0) as terminal,
        process(
            "migrate",
            "tenant",
            "shop",
            "--yes",
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm"},
        ) as started,
    ):
        os.close(theirs)
        yield started, iter(lambda: read_some(terminal), b"")
        cloud_pair.destination.holds.release()


HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"  # the cursor


def test_on_a_terminal_there_are_bars_and_ctrl_c_leaves_it_in_order(cloud_pair, on_a_terminal):
    started, screen = on_a_terminal
    seen = next_with(screen, HIDDEN)  # while there are bars
    cloud_pair.destination.holds.wait_held(60)
    started.send_signal(signal.SIGINT)
    seen += next_with(screen, b"Press Ctrl-C again")
    cloud_pair.destination.holds.release()
    seen += b"".join(screen)
    assert started.wait(60) == 130
    assert "━".encode() in seen
    assert b" resources" in seen
    _, shown, after = seen.rpartition(SHOWN)
    assert shown
    assert "is paused" in after.decode()
    assert "pumphouse migration resume" in after.decode()


def test_a_second_ctrl_c_leaves_the_terminal_in_order(cloud_pair, on_a_terminal):
    started, screen = on_a_terminal
    seen = next_with(screen, HIDDEN)
    cloud_pair.destination.holds.wait_held(60)
    started.send_signal(signal.SIGINT)
    seen += next_with(screen, b"Press Ctrl-C again")
    started.send_signal(signal.SIGINT)
    seen += b"".join(screen)
    assert started.wait(60) == 130
    _, shown, after = seen.rpartition(SHOWN)
    assert shown
    assert "pumphouse migration resume" in after.decode()


def read_some(terminal):
    try:
        return terminal.read(4096)
    except OSError:  # the other end is closed
        return b""


def next_with(screen, words):
    seen = b""
    while words not in seen:
        more = next(screen, b"")
        assert more, f"the screen ended without {words!r}: {seen!r}"
        seen += more
    return seen
