"""Estimate bytes and seconds of what will be done. Last, since it changes nothing but what is shown."""

from __future__ import annotations

from pumphouse.model import Action
from pumphouse.plan.draft import Draft

SECONDS_PER_RESOURCE = 0.5
SECONDS_PER_SERVER = 30.0
BYTES_PER_SECOND = 100 * 2**20
"""Deliberately modest: a plan that promises too little disappoints nobody."""


def apply(draft: Draft) -> None:
    """Fill in what each created resource moves, and how long that may take."""
    for node in draft.nodes.values():
        if node.action in {Action.CREATE, Action.UPDATE}:
            kind = draft.kind(node.resource.ref)
            node.bytes = kind.size(node.resource) if node.action is Action.CREATE else 0
            fixed = SECONDS_PER_SERVER if kind.name == "server" else SECONDS_PER_RESOURCE
            node.seconds = fixed + node.bytes / BYTES_PER_SECOND
