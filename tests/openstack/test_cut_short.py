"""kill -9 in the middle of the copying of a volume: what is resumed, and what is taken back."""

from __future__ import annotations

import json
import subprocess

from checks import images, servers, volumes
from listing import changes
from tenant import fill_with_volumes

SLOWLY = ("--bandwidth", "2M")
"""Bytes per second, so that the copying of eight MiB has a middle."""
CHECKS = (
    images.images,
    volumes.volumes,
    servers.servers,
    servers.source_untouched,
)
WAY = "pumphouse-carrier-"
"""How the names begin of what is there for the way only."""


def test_killed_while_a_volume_is_copied_it_is_resumed_or_taken_back_whole(pair, tenant):
    name = tenant(pair, fill_with_volumes)
    before = pair.listings()
    first = killed_while_copying(pair, pair.migration(name, more=SLOWLY))
    pair.run("migration", "resume", first, "--progress", "none")
    assert (pair.last()["ID"], pair.last()["State"]) == (first, "SUCCEEDED")
    now = pair.listings()
    moved = pair.moved(name, before["source"], now)
    for one in CHECKS:
        one(moved)
    assert not any(on_the_way(now).values())
    pair.roll_back(first)
    equal(before, pair.listings())

    pair.migrate(name, more=("--prepare", *SLOWLY))
    second = killed_while_copying(pair, ["migration", "cutover", pair.last()["ID"]])
    assert second != first
    pair.roll_back(second)
    equal(before, pair.listings())
    pair.record["cut short"] = True


def killed_while_copying(pair, words):
    """Run a command, and kill it when a part of a volume has been copied; the migration."""
    with (pair.directory / "stderr").open("w+") as errors:
        process = subprocess.Popen(
            pair.command(*words, "--progress", "json"), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            event = next(filter(in_the_middle, map(json.loads, process.stdout)), None)
        finally:
            process.kill()
            process.communicate()
        errors.seek(0)
        assert event, f"no volume was half copied:\n{errors.read()}"
    assert all(on_the_way(pair.listings()).values())
    return event["migration"]


def in_the_middle(event):
    """Whether it tells of a volume that is being copied from cloud to cloud."""
    return (
        event["kind"] == "step_progressed"
        and event["step"] == "transfer"
        and event["resource"].startswith("volume")
        and 0 < event["share"] < 1
    )


def on_the_way(listings):
    """What is there for the way only, on each side."""
    return {
        side: [
            one["name"]
            for kind in ("images", "volumes", "snapshots")
            for one in listed[kind].values()
            if str(one["name"]).startswith(WAY)
        ]
        for side, listed in listings.items()
    }


def equal(before, after):
    for side in after:
        assert changes(before[side], after[side]) == []
