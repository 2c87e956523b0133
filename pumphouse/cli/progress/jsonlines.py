"""Progress as JSON lines: each event as it is, for programs."""

from __future__ import annotations

import json
import sys

from pumphouse.cli.progress.base import Progress
from pumphouse.events import Event


class JsonProgress(Progress):
    """An event a line on standard output, which holds nothing else; words for people go to standard error."""

    def show(self, event: Event) -> None:
        data = {
            "migration": event.migration,
            "at": event.at.isoformat(),
            "kind": event.kind,
            **event.payload(),
        }
        print(json.dumps(data, default=str), file=self.out, flush=True)

    def line(self, text: str) -> None:
        print(text, file=sys.stderr)
