"""Makes the documentation's page about a run on real clouds from what the run recorded.

``python tests/openstack/write_report.py RECORD PAGE``
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

WIDTH = 110
INTRODUCTION = """
The acceptance fills a tenant on one real cloud with every type of resource and every trap that the
services allow, moves it to another through the command line, looks at the result without pumphouse, and
takes all of it back. This page was written by ``tests/openstack/write_report.py`` from what the last run
recorded; :doc:`../contributor/testing` tells how to run it, also on clouds of your own.
"""
CLOUDS = """
All services of both clouds were real ones: Keystone, Glance, Placement, Nova with libvirt and QEMU,
Neutron, Cinder with volumes in files. Both shared one machine with two processor cores, and the guests
were emulated in software, so the times are longer than those of clouds with machines of their own.
"""
DISKS = """
Another tenant was moved with ``--mode auto``, and a rule that has one server boot from a volume. Its guests
count on their disks how often they were booted.
"""
FIELDS = """
What each field of each type came to, in the report that pumphouse made of this run. *Kept* is what was
found on the destination as it was on the source. A field that is not named here, the destination gives
itself: the tables in :doc:`../user/resources` say why.
"""
NOT_COUNTED = """
One thing is not counted as a change: what was made bears pumphouse's mark, the tag
``pumphouse-source=ID`` or the property ``pumphouse_source``.
"""


def page(record: dict[str, Any]) -> str:
    """The page, in reStructuredText."""
    report = record["move"]["report"]
    parts = [
        _title("Tried on real clouds", "="),
        _prose(INTRODUCTION),
        _title("The releases", "-"),
        _prose(CLOUDS),
        _clouds(record["clouds"]),
        _title("What arrived", "-"),
        _prose(_sums(report, record["move"]["seconds"])),
        _prose("Looked at with openstacksdk, as the administrator and as the tenant's users:"),
        _bullets(record["checks"]),
        _title("Disks, byte by byte", "-"),
        _prose(DISKS),
        _bullets(record["disks"]),
        _title("Field by field", "-"),
        _prose(FIELDS),
        _fields(report["resources"]),
        _title("What changed and what cannot be kept", "-"),
        _not_kept(report["resources"]),
        _prose(NOT_COUNTED),
        _title("Downtimes", "-"),
        _prose(
            "From when a server was brought to rest on the source until it was verified on the destination:"
        ),
        _downtimes(report["resources"]),
        _title("Afterwards", "-"),
        _bullets(_afterwards(record)),
        _title("The other way", "-"),
        _prose(
            "A smaller tenant, with its network, its volumes and three servers, moved from the newer "
            "release to the older one, and was taken back. Of its fields, these were not kept:"
        ),
        _not_kept(record["back"]["report"]["resources"]),
    ]
    text = "\n".join(parts).rstrip() + "\n"
    for run in ("move", "back"):
        text = text.replace(record[run]["name"], "tenant")
    return text


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _prose(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, break_on_hyphens=False, break_long_words=False) + "\n"


def _bullets(lines: Iterable[str]) -> str:
    return "".join(
        textwrap.fill(line, WIDTH, initial_indent="* ", subsequent_indent="  ", break_on_hyphens=False) + "\n"
        for line in lines
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        lines += [f"   {'*' if not place else ' '} - {cell}".rstrip() for place, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def _clouds(clouds: dict[str, dict[str, str]]) -> str:
    told = list(clouds["source"])
    return _table(
        ["Cloud", *told], [[side, *(clouds[side][one] for one in told)] for side in ("source", "destination")]
    )


def _sums(report: dict[str, Any], seconds: int) -> str:
    counts, fields = (
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(sums.items(), reverse=True) if count)
        for sums in (report["counts"], report["fields"])
    )
    gib = sum(one["bytes"] for one in report["resources"]) / (1 << 30)
    return (
        f"Pumphouse's own report is {'verified' if report['verified'] else 'not verified'}: "
        f"{len(report['resources'])} resources ({counts}) with {sum(report['fields'].values())} fields "
        f"({fields}), and {gib:.1f} GiB of data, in {seconds} s with the plan and the report."
    )


def _type(resource: dict[str, Any]) -> str:
    return str(resource["ref"]).partition(":")[0]


def _fields(resources: list[dict[str, Any]]) -> str:
    """For each type, how many resources there were, and which fields had which outcome."""
    counts: dict[str, int] = defaultdict(int)
    outcomes: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in resources:
        counts[_type(one)] += 1
        for entry in one["fields"]:
            if entry["field"]:
                outcomes[_type(one)][entry["field"]].add(entry["outcome"])
    rows = []
    for kind, count in counts.items():
        kept = sorted(name for name, found in outcomes[kind].items() if found == {"kept"})
        other = sorted(
            f"{name} ({', '.join(sorted(found - {'kept'}))}{' of some' if 'kept' in found else ''})"
            for name, found in outcomes[kind].items()
            if found != {"kept"}
        )
        rows.append((kind, count, ", ".join(kept), ", ".join(other)))
    return _table(["Type", "How many", "Kept", "Not kept"], rows)


def _not_kept(resources: list[dict[str, Any]]) -> str:
    """One row for each reason, with all whom it concerns."""
    rows: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for one in resources:
        for entry in one["fields"]:
            if entry["outcome"] != "kept":
                what = (_type(one), entry["field"], entry["outcome"], entry["reason"])
                rows[what].append(f"``{one['name']}``")
    return _table(
        ["Type", "Field", "Outcome", "Why", "Names"],
        sorted((*what, ", ".join(sorted(names))) for what, names in rows.items()),
    )


def _downtimes(resources: list[dict[str, Any]]) -> str:
    rows = [(one["name"], f"{one['downtime']:.0f} s") for one in resources if one["downtime"] is not None]
    return _table(["Server", "Downtime"], sorted(rows))


def _afterwards(record: dict[str, Any]) -> Iterator[str]:
    yield "A second run had nothing to do: on both clouds no revision and no time of a change moved."
    changed = ", ".join(f"{action} {kind} ``{name}``" for action, kind, name in record["change"])
    yield f"After two changes on the source a third run did those alone: {changed}."
    entries = record["rolled back"]
    yield (
        "After the roll-back, full listings of both clouds and the users' tables of both Keystones were as "
        f"before the first run ({entries['source']} entries on the source, {entries['destination']} on the "
        "destination), but for the times of changes; the servers of the source ran again."
    )
    times = record["killed"]["times"]
    yield (
        f"Another tenant's migration and its roll-back were ended by ``kill -9`` at {sum(times.values())} "
        f"random moments ({times['migrate']} of them in migrations, {times['rollback']} in roll-backs) and "
        "resumed each time. Every migration ended as if nothing had happened, with nothing there twice, "
        "and every roll-back with both clouds as before."
    )
    yield (
        "Another one was ended by ``kill -9`` while a volume was half copied, and resumed: the volumes had "
        "all their bytes, and of the images, snapshots and volumes that were there for the way only none "
        "was left on either cloud. Another one was prepared, ended there in its cutover, and rolled back at "
        "once: both clouds were as before it was prepared."
    )
    yield (
        "With ``--prepare`` everything but the servers, and the volumes that they have, was on the "
        "destination while the source's servers ran on; nothing had changed on the source. In ``migration "
        "cutover`` a server that failed its health check was taken back, and ran on the source as before. "
        "The others moved, and that one with ``migration retry`` once its check could pass."
    )
    gone = record["finalized"]
    yield (
        "``migration finalize`` alone listed what could go, and changed nothing. With all its options it "
        f"removed {gone['servers']} servers and {gone['volumes']} volumes of the source, which had arrived, "
        "kept a server that had been started again since, and took pumphouse's marks from the destination, "
        "where nothing else changed."
    )
    groups = record["groups"]
    yield (
        f"A wave moved {groups['tenants']} tenants, one after the other, and ``wave rollback`` took "
        "them back."
    )
    if "hosts" in groups:
        yield (
            "``migrate host`` moved all servers of a hypervisor, and of their tenants only what these "
            "servers need. The roll-back took it back."
        )
    if "refused" in record:
        yield (
            "An image that the newer Glance does not take, because its partition table is broken, was "
            "reported with the service's own words; the tenant's other image arrived, and the migration was "
            "``PARTIAL``."
        )


def main() -> int:
    """Parse and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("page", type=Path)
    arguments = parser.parse_args()
    arguments.page.write_text(page(json.loads(arguments.record.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
