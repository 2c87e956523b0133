"""Progress as lines: for logs, pipes and terminals that cannot do better."""

from __future__ import annotations

from pumphouse.cli.progress.base import Progress
from pumphouse.cli.progress.tally import FAILED, STARTED
from pumphouse.events import Event, MigrationChanged, Noted, StepChanged, StepProgressed, UnitChanged
from pumphouse.text import duration, explain_dict, one_line

_TOLD = 0.25
"""Of how much more of a step's work a new line tells."""


class PlainProgress(Progress):
    """A line for each resource that is done, for each long step that starts, and for all that goes wrong."""

    def show(self, event: Event) -> None:
        text = self._text(event)
        if text:
            self.line(f"{event.at.astimezone():%H:%M:%S} {text}")

    def line(self, text: str) -> None:
        print(text, file=self.out, flush=True)

    def begin(self) -> None:
        self._told: dict[tuple[str, str], float] = {}

    def _text(self, event: Event) -> str:
        if isinstance(event, StepChanged):
            return self._step(event)
        if isinstance(event, StepProgressed):
            return self._progressed(event)
        return story(event, self)

    def _step(self, event: StepChanged) -> str:
        title = one_line(self.tally.title(event.resource))
        if event.state in STARTED:
            # The short steps are told by their resource's end.
            long = len(self.tally.steps.get(event.resource.partition(":")[0], ())) > 2
            told = long and event.state != "REVERTING"
            return (
                f"{title}: {one_line(self.tally.running[event.resource, event.step].doing)}" if told else ""
            )
        if event.state in FAILED:
            return f"{title}: {event.step} failed: {explain_dict(event.error or {'message': event.state})}"
        if self.tally.is_taken_back(event):
            return f"{title}: {event.step} taken back"
        if self.tally.is_complete(event):
            seconds = self.tally.seconds.get(event.resource, 0.0)
            return f"{self._count()}{title}: done in {duration(seconds)}"
        return ""

    def _count(self) -> str:
        of = f"/{self.tally.resources}" if self.tally.resources else ""
        width = len(str(self.tally.resources))
        return f"[{len(self.tally.complete):>{width}}{of}] "

    def _progressed(self, event: StepProgressed) -> str:
        key = (event.resource, event.step)
        if event.share - self._told.get(key, 0.0) < _TOLD:
            return ""
        self._told[key] = event.share
        title = one_line(self.tally.title(event.resource))
        running = self.tally.running.get(key)
        return f"{title}: {one_line(running.doing if running else event.step)}, {event.share:.0%}"


def story(event: Event, view: Progress) -> str:
    """What is told of an event of no step; empty for what needs no words."""
    if isinstance(event, Noted):
        return f"{one_line(view.tally.title(event.resource))}: note: {one_line(event.text)}"
    if isinstance(event, UnitChanged) and event.state in {"FAILED", "SKIPPED", "ROLLED_BACK"}:
        why = explain_dict(event.error) if event.error else one_line(event.reason)
        words = {"FAILED": "failed and was taken back", "SKIPPED": "left out", "ROLLED_BACK": "taken back"}
        text = f"{one_line(view.tally.unit(event.unit))}: {words[event.state]}"
        return f"{text}: {why}" if why else text
    if isinstance(event, MigrationChanged):
        text = f"migration {event.migration}: {event.state}"
        return f"{text}: {one_line(event.reason)}" if event.reason else text
    return ""
