"""kill -9 at twenty random moments, in migrations and in roll-backs, and what comes of it."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import time

from checks import check
from listing import changes

KILLS = {"migrate": 14, "rollback": 6}
LONGEST = 15.0
"""Seconds after which a command is killed at the latest."""


def test_killed_at_twenty_random_moments_it_ends_as_if_undisturbed(pair, tenant):
    seed = os.environ.get("PUMPHOUSE_TEST_SEED") or str(time.time_ns())
    logging.getLogger(__name__).warning("PUMPHOUSE_TEST_SEED=%s repeats the moments", seed)
    dice = random.Random(seed)
    name = tenant(pair)
    before = pair.listings()
    killed = dict.fromkeys(KILLS, 0)
    while killed != KILLS:
        first = interrupted(pair, pair.migration(name), "SUCCEEDED", dice, killed, "migrate")
        pair.record["killed"] = {
            "seed": seed,
            "checks": check(pair.moved(name, before["source"], pair.listings())),
        }
        assert "Nothing to do" in pair.migrate(name)
        words = ["migration", "rollback", first, "--yes", "--progress", "none"]
        interrupted(pair, words, "ROLLED_BACK", dice, killed, "rollback")
        back = pair.listings()
        for side in back:
            assert changes(before[side], back[side]) == []
    pair.record["killed"]["times"] = killed


def interrupted(pair, words, end, dice, killed, what):
    """Run a command, kill it and resume it until it has come to its end, or was killed enough; the id."""
    known = pair.last()
    while killed[what] < KILLS[what]:
        process = subprocess.Popen(
            pair.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            output, _ = process.communicate(timeout=dice.uniform(0.5, LONGEST))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed[what] += 1
            last = pair.last()
            if last == known:  # it had not begun
                continue
            if last["State"] != end:
                assert last["State"] in {"PLANNED", "RUNNING", "ROLLING_BACK"}, last
                words = ["migration", "resume", last["ID"], "--progress", "none"]
                continue
            return last["ID"]
        return ended(pair, words, process.returncode, output, end)
    return ended(pair, words, 0, pair.run(*words), end)


def ended(pair, words, status, output, end):
    """The id of a migration that has come to its end."""
    last = pair.last()
    assert (status, last["State"]) == (0, end), f"{' '.join(words)}: exit {status}, {last}\n{output}"
    return last["ID"]
