"""What the data of sparse volumes cost: downtime, bytes on the way, and the time that they share.

``PUMPHOUSE_BENCHMARK_DISK_MIB`` sets how much is written into each volume of 10 GiB. A bandwidth stands for
the wire between two clouds, which loopback has not.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from sites import Site, open_site

from pumphouse.events import StepChanged
from pumphouse.report.model import Report
from pumphouse.transfer import Lane

MIB = 1 << 20
WRITTEN = int(os.environ.get("PUMPHOUSE_BENCHMARK_DISK_MIB", "32")) * MIB
SIZE = 10
"""GiB of each volume."""
BANDWIDTH = WRITTEN // 2
"""Bytes per second: each volume takes two seconds of it."""
ATTACHED, DETACHED, MANY = 4, 8, 20


def description(*, attached: int, detached: int) -> dict[str, Any]:
    """A server for each volume that is attached, and one without."""
    volumes = [f"data-{number}" for number in range(attached)]
    own = {name: {"volumes": [name]} for name in volumes} | ({"bare": {}} if attached else {})
    volumes += [f"shelf-{number}" for number in range(detached)]
    one = {"flavor": "tiny", "image": "linux", "ports": [{"network": "web"}]}
    return {
        "flavors": [{"name": "tiny", "ram": 256, "vcpus": 1, "disk": 1}],
        "images": [{"name": "linux", "visibility": "public", "content": {"seed": "linux", "kib": 64}}],
        "tenants": {
            "shop": {
                "users": [{"name": "ann", "password": "ann-secret", "roles": ["member"]}],
                "quotas": {"volume": {"volumes": 100, "gigabytes": 10000}},
                "networks": [{"name": "web", "subnets": [{"name": "web", "cidr": "10.1.0.0/22"}]}],
                "volumes": [{"name": name, "size": SIZE} for name in volumes],
                "servers": [{"name": f"web-{name}", **one, **has} for name, has in own.items()],
            }
        },
    }


def write(site: Site) -> int:
    """Write into all volumes, a MiB here and there; the bytes that they then have in use."""
    used = 0
    for path in sorted((site.folder / "source" / "files" / "volumes").iterdir()):
        content = random.Random(path.name)
        with path.open("r+b") as file:
            for piece in range(0, WRITTEN, MIB):
                file.seek(piece * (SIZE << 30) // WRITTEN)
                file.write(content.randbytes(MIB))
        used += path.stat().st_blocks * 512
    return used


@pytest.fixture
def passed(monkeypatch) -> Iterator[list[int]]:
    """The size of each block that has passed here on its way to a cloud, also of what was sent in vain."""
    sizes: list[int] = []
    take = Lane.take

    def counted(lane: Lane, size: int) -> None:
        sizes.append(size)
        take(lane, size)

    monkeypatch.setattr(Lane, "take", counted)
    return sizes


def downtimes(report: Report) -> Mapping[str, float]:
    return {one.name: one.downtime for one in report.resources if one.downtime is not None}


@pytest.mark.timeout(900)
def test_the_downtime_with_and_without_copying_before(tmp_path, record, passed):
    """Copied before is what nobody uses: then it does not share the wire with what a server waits for."""
    found = {}
    for prepare in (False, True):
        with open_site(
            tmp_path / f"prepare-{prepare}", description(attached=ATTACHED, detached=DETACHED)
        ) as site:
            used = write(site)
            plan = site.plan()
            options = {"bandwidth": BANDWIDTH, "prepare": prepare}
            id = site.app.start(plan, check_fresh=False, options=options).id
            passed.clear()
            ended = site.app.run(id, jobs=64)
            if prepare:
                assert ended.prepared, ended.reason
                ended = site.app.cut_over(id, jobs=64)
            assert str(ended.state) == "SUCCEEDED", ended.reason
            found[prepare] = downtimes(site.app.report(id))
            moved = sum(passed)
    direct, prepared = (max(found[prepare].values()) for prepare in (False, True))
    bare = found[True]["web-bare"]
    data = ATTACHED * WRITTEN / BANDWIDTH
    what = f"{ATTACHED} servers with a volume of {SIZE} GiB each"
    how = (
        f"{WRITTEN // MIB} MiB written in each, {DETACHED} more such volumes that nobody uses, "
        f"{BANDWIDTH // MIB} MiB/s: the longest downtime"
    )
    record(f"{what}, downtime", direct, "s", how=how)
    record(f"{what}, downtime after pumphouse migrate --prepare", prepared, "s", how="the same")
    record(
        "downtime with what nobody uses copied before, against without", prepared / direct, "times", limit=0.7
    )
    record(
        "downtime after --prepare, against the time of the data and that of a server without volumes",
        prepared / (bare + data),
        "times",
        limit=1.6,
        how=f"{data:.1f} s for {ATTACHED * WRITTEN // MIB} MiB, {bare:.1f} s without volumes",
    )
    record(
        f"bytes moved for volumes of {SIZE} GiB, against the bytes in use",
        moved / used,
        "times",
        limit=1.1,
        how=f"{moved / MIB:.0f} MiB moved, {used / MIB:.0f} MiB in use, "
        f"{(ATTACHED + DETACHED) * SIZE} GiB the size",
    )


@pytest.mark.timeout(900)
def test_many_volumes_side_by_side_use_the_bandwidth_and_keep_to_it(tmp_path, record, passed):
    with open_site(tmp_path / "many", description(attached=0, detached=MANY)) as site:
        write(site)
        options = {"bandwidth": BANDWIDTH, "transfers": MANY}
        id = site.app.start(site.plan(), check_fresh=False, options=options).id
        passed.clear()
        ended = site.app.run(id, jobs=64)
        assert str(ended.state) == "SUCCEEDED", ended.reason
        transfers = [
            event
            for event in (one.event() for one in site.events(id))
            if isinstance(event, StepChanged)
            and event.resource.startswith("volume:")
            and event.step == "transfer"
        ]
    seconds = (transfers[-1].at - transfers[0].at).total_seconds()
    at_once = most_at_once(transfers)
    allowed = sum(passed) / BANDWIDTH
    how = (
        f"{sum(passed) / MIB:.0f} MiB, {BANDWIDTH // MIB} MiB/s allowed, {at_once} copies at the same time: "
        f"{seconds:.1f} s"
    )
    what = f"{MANY} volumes side by side"
    record(
        f"{what}, time against that of the bandwidth allowed", seconds / allowed, "times", limit=1.15, how=how
    )
    record(
        f"{what}, rate against the bandwidth allowed",
        allowed / seconds,
        "times",
        limit=1.02,
        how="the same run",
    )
    record(f"{what}, all of them against the most at the same time", MANY / at_once, "times", limit=1.0)


def most_at_once(transfers: list[StepChanged]) -> int:
    running, most = set[str](), 0
    for event in transfers:
        (running.add if event.state == "RUNNING" else running.discard)(event.resource)
        most = max(most, len(running))
    return most
