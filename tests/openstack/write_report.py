"""Makes the documentation's page about a run on real clouds from what ``test_move.py`` recorded.

``python tests/openstack/write_report.py RECORD PAGE --releases SOURCE DESTINATION``
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

WIDTH = 110
INTRODUCTION = """
Pumphouse's acceptance run moves a tenant between two real clouds through the command line, looks at the
result without pumphouse, and takes all of it back. This page was written by
``tests/openstack/write_report.py`` from what the last run recorded; :doc:`../contributor/testing` tells how
to do it on clouds of your own.
"""
CLOUDS = """
All services of both clouds were real ones: Keystone, Glance, Placement, Nova with libvirt and QEMU, Neutron,
Cinder with volumes in files. Both shared one machine with two processor cores, which had other work to do
besides, and the guests were emulated in software, so the times are longer than those of clouds with machines
of their own.
"""
NOT_COUNTED = """
One thing is not counted as a change: what was made bears pumphouse's mark, the tag ``pumphouse-source=ID`` or
the property ``pumphouse_source``.
"""


def page(record: dict[str, Any], releases: Sequence[str]) -> str:
    """The page, in reStructuredText."""
    report = record["move"]["report"]
    parts = [
        _title("A run on real clouds", "="),
        _prose(INTRODUCTION),
        _title("The clouds", "-"),
        _prose(CLOUDS),
        _clouds(record["clouds"], releases),
        _title("What arrived", "-"),
        _prose(_sums(report, record["move"]["seconds"])),
        _arrived(report["resources"]),
        _prose("Looked at with openstacksdk, as the tenant's users and as the administrator:"),
        _bullets(record["checks"]),
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
    ]
    return "\n".join(parts).rstrip() + "\n"


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


def _clouds(clouds: dict[str, dict[str, str]], releases: Sequence[str]) -> str:
    services = sorted(clouds["source"])
    rows = [
        [side, release, *(clouds[side][service] for service in services)]
        for side, release in zip(("source", "destination"), releases, strict=True)
    ]
    return _table(["Cloud", "Release", *(f"Newest version of {service}" for service in services)], rows)


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


def _arrived(resources: list[dict[str, Any]]) -> str:
    actions = ("create", "update", "reuse")
    counts = Counter((_type(one), one["action"]) for one in resources)
    types = list(dict.fromkeys(_type(one) for one in resources))
    return _table(
        ["Type", *actions], [[kind, *(counts[kind, one] or "" for one in actions)] for kind in types]
    )


def _type(resource: dict[str, Any]) -> str:
    return str(resource["ref"]).partition(":")[0]


def _not_kept(resources: list[dict[str, Any]]) -> str:
    rows = [
        (_type(one), f"``{one['name']}``", entry["field"], entry["outcome"], entry["reason"])
        for one in resources
        for entry in one["fields"]
        if entry["outcome"] != "kept"
    ]
    return _table(["Type", "Name", "Field", "Outcome", "Why"], sorted(rows))


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
    steps = ", and after a resume again at ".join(f"``{step}``" for step in record["killed"]["steps"])
    yield (
        f"A second tenant's migration was ended by ``kill -9`` at the step {steps}. Resumed once more, it "
        "succeeded; everything above was found of that tenant, nothing was there twice, and the roll-back "
        "took all of it back."
    )


def main() -> int:
    """Parse and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--releases", nargs=2, required=True, metavar=("SOURCE", "DESTINATION"))
    arguments = parser.parse_args()
    text = page(json.loads(arguments.record.read_text(encoding="utf-8")), arguments.releases)
    arguments.page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
