"""How two states of clouds differ, in lines that a person can read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

State = Mapping[str, Any]
"""What DevCloud.state() gives."""
States = Mapping[str, State]
"""By the names of the clouds."""


def differences(expected: States, found: States) -> list[str]:
    """What one has and the other has not, a line each; nothing if they are equal."""
    lines: list[str] = []
    for sign, these, those in (("-", expected, found), ("+", found, expected)):
        for cloud, state in these.items():
            other = set(_facts(those[cloud]))
            lines += [f"{sign} {cloud} {fact}" for fact in _facts(state) if fact not in other]
    return lines


def _facts(state: State) -> list[str]:
    rows = [
        (name, json.dumps(row, sort_keys=True)) for name, table in state["tables"].items() for row in table
    ]
    rows += [(name, json.dumps(file)) for name, file in state["files"].items()]
    counts: Counter[tuple[str, str]] = Counter()
    facts: list[str] = []
    for row in rows:
        counts[row] += 1
        facts.append(f"{row[0]} {row[1]}" + (f" (no. {counts[row]})" if counts[row] > 1 else ""))
    return facts
