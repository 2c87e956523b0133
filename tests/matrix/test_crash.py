"""The crash matrix: whenever a run dies or is paused, nothing is lost and nothing is left.

Each case is one moment: ``make test-crash`` runs them all, ``make test`` some of them. What was interrupted
ends twice. Once it is resumed, to exactly what an undisturbed migration comes to, and taken back after that;
once it is taken back at once, to exactly what the clouds were.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from states import differences

from .harness import Pair, Process
from .reference import (
    ALONE,
    MIGRATE,
    RESUME,
    ROLL_BACK,
    TOLD,
    Reference,
    Write,
    steps_begun,
)

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]
WHENS = ("before", "after")
WHEN = pytest.mark.parametrize("when", WHENS)
INTERRUPTED = 130


# -- the ends


def goes_on(pair: Pair, reference: Reference) -> None:
    """Resumed, it comes to the same end; and then it can be taken back as a whole."""
    pair.run(*RESUME)
    assert differences(reference.migrated, pair.states()) == []
    is_taken_back(pair, reference)


def is_taken_back(pair: Pair, reference: Reference) -> None:
    pair.run(*ROLL_BACK)
    assert differences(reference.before, pair.states()) == []


def both_ways(pair: Pair, reference: Reference, subtests: pytest.Subtests) -> None:
    """What stands now can go on, and can be taken back."""
    moment = pair.save()
    with subtests.test("resume"):
        goes_on(pair, reference)
    pair.restore(moment)
    with subtests.test("rollback"):
        is_taken_back(pair, reference)


def goes_on_backwards(pair: Pair, reference: Reference, subtests: pytest.Subtests) -> None:
    """A roll-back that was cut short is completed, whichever way it is asked for."""
    moment = pair.save()
    for words in (RESUME, ROLL_BACK):
        pair.restore(moment)
        with subtests.test(words[1]):
            pair.run(*words, status=None)
            assert differences(reference.before, pair.states()) == []
            assert "ROLLED_BACK" in pair.run("migration", "list").output


# -- the moments


def hold(pair: Pair, write: Write, when: str) -> None:
    pair.cloud(write.cloud).holds.set(write.nth, when, kind=write.kind)


def is_held(pair: Pair, process: Process) -> bool:
    """Wait until a request is held; False if the process ends before."""
    while not any(cloud.holds.status()["held"] for cloud in pair.clouds):
        if not process.running:
            return False
        time.sleep(0.005)
    return True


def run_until(pair: Pair, write: Write, when: str, *words: str) -> Process:
    """Run a command with one job until it has sent this request, which is held."""
    hold(pair, write, when)
    process = pair.start(*words, *ALONE)
    assert is_held(pair, process), f"it ended before it sent that request:\n{process.output}"
    return process


def die_while_the_cloud_works(pair: Pair, write: Write, *words: str) -> None:
    """Kill a command right after this request, of which what it asks for takes a while."""
    process = run_until(pair, write, "before", *words)
    cloud = pair.cloud(write.cloud)
    answered = len(cloud.counts.writes)
    with pair.slow(4.0):
        cloud.holds.release()
        while len(cloud.counts.writes) == answered:
            assert process.running
            time.sleep(0.002)
        pair.kill()


@WHEN
@pytest.mark.cases("writes", sample=1)
def test_a_killed_migration(pair, reference, case, when, subtests):
    run_until(pair, case, when, *MIGRATE)
    pair.kill()
    both_ways(pair, reference, subtests)


@WHEN
@pytest.mark.cases("writes", every=4)
def test_a_killed_migration_that_does_much_at_once(pair, reference, case, when, subtests):
    """The nth request is whichever comes then, and others are under way."""
    earlier = [one for one in reference.writes if one.cloud == case.cloud]
    pair.cloud(case.cloud).holds.set(earlier.index(case) + 1, when)
    process = pair.start(*MIGRATE, "--jobs", "6")
    assert is_held(pair, process), f"it has fewer writes than the reference:\n{process.output}"
    pair.kill()
    both_ways(pair, reference, subtests)


@pytest.mark.cases("writes", every=2, sample=1)
def test_a_resumed_migration_that_is_killed_too(pair, reference, case, subtests):
    """Killed at one request, and its resumption at one of the next."""
    chosen = random.Random(str(case))
    run_until(pair, case, chosen.choice(WHENS), *MIGRATE)
    pair.kill()
    pair.cloud(case.cloud).holds.set(chosen.randint(1, 4), chosen.choice(WHENS))
    if is_held(pair, pair.start(*RESUME, *ALONE)):
        pair.kill()
        both_ways(pair, reference, subtests)
    else:  # so few were left
        assert differences(reference.migrated, pair.states()) == []


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("step", [2, 7, 19])
@pytest.mark.cases("once")
def test_a_migration_that_is_killed_again_and_again(pair, reference, case, step):
    """Each attempt comes only to its second (seventh, nineteenth) request to either cloud."""
    words, attempts = MIGRATE, 0
    while True:
        for cloud in pair.clouds:
            cloud.holds.set(step, WHENS[attempts % 2])
        if not is_held(pair, pair.start(*words, *ALONE)):
            break
        pair.kill()
        words, attempts = RESUME, attempts + 1
        assert attempts < 4 * len(reference.writes), "it does not get on"
    pair.kill()  # the last attempt sent too few requests to be held: none shall be held on the way back
    assert attempts >= len(reference.writes) // (2 * step)
    assert differences(reference.migrated, pair.states()) == []
    is_taken_back(pair, reference)


@pytest.mark.parametrize("end", ["resume", "rollback"])
@pytest.mark.cases("slow_writes")
def test_a_migration_that_is_killed_while_the_cloud_still_works_on_it(pair, reference, case, end):
    """What was asked for takes a moment, and is half done when the next attempt looks."""
    die_while_the_cloud_works(pair, case, *MIGRATE)
    (goes_on if end == "resume" else is_taken_back)(pair, reference)


@pytest.mark.cases("commits", sample=1)
def test_a_migration_that_dies_between_two_requests(pair, reference, case, subtests):
    """At one of the moments at which it writes into its store."""
    process = pair.start(*MIGRATE, commits=case)
    status = process.wait()
    assert status in {0, -signal.SIGKILL}, process.output
    listed = pair.run("migration", "list").output
    if "RUNNING" in listed:
        both_ways(pair, reference, subtests)
    elif "SUCCEEDED" not in listed:  # it died while it planned
        assert differences(reference.before, pair.states()) == []


@WHEN
@pytest.mark.cases("undo_writes", sample=1)
def test_a_killed_roll_back(pair, reference, case, when, subtests):
    pair.restore(reference.end)
    run_until(pair, case, when, *ROLL_BACK)
    pair.kill()
    goes_on_backwards(pair, reference, subtests)


@pytest.mark.cases("steps", sample=1)
def test_a_paused_migration(pair, reference, case, subtests):
    process = pair.start(*MIGRATE, *TOLD)
    while case not in steps_begun(process.output):
        assert process.running, f"it ended before that step:\n{process.output}"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    if process.wait() == 0:  # the last steps were done before it heard of it
        assert differences(reference.migrated, pair.states()) == []
    else:
        assert process.wait() == INTERRUPTED, process.output
        both_ways(pair, reference, subtests)


@pytest.mark.cases("undo_writes")
def test_a_paused_roll_back(pair, reference, case, subtests):
    pair.restore(reference.end)
    process = run_until(pair, case, "before", *ROLL_BACK)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.2)  # it hears of it while the request is under way
    for cloud in pair.clouds:
        cloud.holds.release()
    assert process.wait() in {0, INTERRUPTED}, process.output
    goes_on_backwards(pair, reference, subtests)


@WHEN
@pytest.mark.cases("changes", sample=1)
def test_a_killed_migration_of_changes(pair, change, case, when, subtests):
    """The tenant was migrated before. What has changed since is changed there too, or put back."""
    pair.restore(change.begin)
    run_until(pair, case, when, *MIGRATE)
    pair.kill()
    both_ways(pair, change, subtests)


@WHEN
@pytest.mark.cases("undo_changes")
def test_a_killed_roll_back_of_changes(pair, change, case, when, subtests):
    pair.restore(change.end)
    run_until(pair, case, when, *ROLL_BACK)
    pair.kill()
    goes_on_backwards(pair, change, subtests)


@pytest.mark.cases("slow_undo_writes")
def test_a_roll_back_that_is_killed_while_the_cloud_still_works_on_it(pair, reference, case):
    pair.restore(reference.end)
    die_while_the_cloud_works(pair, case, *ROLL_BACK)
    pair.run(*RESUME, status=None)
    assert differences(reference.before, pair.states()) == []
    assert "ROLLED_BACK" in pair.run("migration", "list").output
