"""What an undisturbed migration does: its writes, its steps, and the end that others must come to."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from states import differences

from pumphouse.devcloud import DevCloud

from .harness import OVERRIDES, TENANT, Moment, Pair, States
from .tenant import CHANGES_HANDS, DESCRIBED_ANEW, change_source, changed_at

MIGRATE = ("migrate", "tenant", TENANT, "--override", OVERRIDES, "--yes")
RESUME = ("migration", "resume", "last")
ROLL_BACK = ("migration", "rollback", "last", "--yes")
ALONE = ("--jobs", "1")
"""One step at a time, so that the writes of one kind come in about the same order each time."""

TOLD = ("--progress", "json")


@dataclass(frozen=True, order=True)
class Write:
    """The nth writing request of one kind that a run sends to a cloud.

    The requests of one kind come in an order of their own, but which kind comes next is up to the moment: a
    number among all would not name the same request twice.
    """

    cloud: str
    kind: str
    nth: int

    def __str__(self) -> str:
        kind = re.sub(r"{.*?}", "id", re.sub(r"/v[0-9.]+", "", self.kind))
        return f"{self.cloud}-{kind.replace(' ', '-')}-{self.nth}"


@dataclass(frozen=True, order=True)
class Begun:
    """The nth step of this name, for a resource of this type and name, that a run begins."""

    type: str
    name: str
    step: str
    nth: int

    def __str__(self) -> str:
        return re.sub(r"[^\w.-]+", "_", f"{self.type}-{self.name}-{self.step}-{self.nth}")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One migration that nothing disturbed, and its roll-back.

    :ivar begin: the moment before it, when the clouds were as ``before`` says.
    :ivar end: the moment after it, when the clouds were as ``migrated`` says.
    """

    begin: Moment
    before: States
    end: Moment
    migrated: States
    writes: tuple[Write, ...]
    undo_writes: tuple[Write, ...]
    steps: tuple[Begun, ...]

    @property
    def slow_writes(self) -> tuple[Write, ...]:
        """Those that ask for something that a cloud does in its own time."""
        return tuple(filter(_is_slow, self.writes))

    @property
    def slow_undo_writes(self) -> tuple[Write, ...]:
        """Those of the roll-back."""
        return tuple(filter(_is_slow, self.undo_writes))


def _is_slow(write: Write) -> bool:
    return bool(re.search(r"/(servers|volumes|snapshots|images)\b(?!.*image_metadata)", write.kind))


def make_reference(pair: Pair) -> Reference:
    """Migrate the tenant and take it back."""
    return _make(pair, pair.begin)


def make_change(pair: Pair, first: Reference) -> Reference:
    """Change what was migrated already, on the source; migrate it again, and take that back."""
    pair.restore(first.end)
    change_source(pair.source)
    # Its time tells no new description from a use, so that the operator has to.
    vouched = {"copied_until": changed_at(pair.source, DESCRIBED_ANEW)}
    pair.choose({CHANGES_HANDS: {"mover": "cinder-manage"}, DESCRIBED_ANEW: vouched})
    return _make(pair, pair.save())


def _make(pair: Pair, begin: Moment) -> Reference:
    pair.restore(begin)
    before = pair.states()
    shown = pair.run(*MIGRATE, *ALONE, *TOLD).output
    writes = tuple(write for cloud in pair.clouds for write in _writes(cloud))
    migrated, end = pair.states(), pair.save()
    for cloud in pair.clouds:
        cloud.counts.reset()
    pair.run(*ROLL_BACK, *ALONE)
    assert differences(before, pair.states()) == []
    return Reference(
        begin=begin,
        before=before,
        end=end,
        migrated=migrated,
        writes=writes,
        undo_writes=tuple(write for cloud in pair.clouds for write in _writes(cloud)),
        steps=tuple(steps_begun(shown)),
    )


def _writes(cloud: DevCloud) -> Iterator[Write]:
    counts: Counter[str] = Counter()
    for kind in (write["kind"] for write in cloud.counts.writes):
        counts[kind] += 1
        yield Write(cloud.name, kind, counts[kind])


def steps_begun(output: str) -> Iterator[Begun]:
    """The steps that a run with ``--progress json`` has begun, in their order, as far as told whole."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in output.splitlines(keepends=True):
        if line.startswith("{") and line.endswith("}\n"):
            event = json.loads(line)
            if event["kind"] == "step_changed" and event["state"] == "RUNNING":
                what = event["resource"].partition(":")[0], event["name"], event["step"]
                counts[what] += 1
                yield Begun(*what, counts[what])
