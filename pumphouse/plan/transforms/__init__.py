"""The transforms that make a plan, in their order. Each does one thing, and says why it stands there."""

from __future__ import annotations

from collections.abc import Callable

from pumphouse.plan.draft import Draft
from pumphouse.plan.transforms import (
    block,
    carry,
    check,
    circles,
    clash,
    close,
    degrade,
    estimate,
    leave,
    match,
    override,
    part,
    quota,
    refuse,
    select,
    untouched,
)

Transform = Callable[[Draft], None]

GATHERING: tuple[Transform, ...] = (
    select.apply,
    close.apply,
    circles.apply,
    leave.apply,
    override.apply,
    match.apply,
)
"""These find out what the plan holds, and what of it the destination has."""

DECIDING: tuple[Transform, ...] = (
    refuse.apply,
    part.apply,
    untouched.apply,
    clash.apply,
    degrade.apply,
    check.apply,
    quota.apply,
    block.apply,
    estimate.apply,
    carry.apply,
)
