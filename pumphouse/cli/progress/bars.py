"""Progress on a terminal: a bar for the whole, a line for each step under way, above them what is done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TextIO

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pumphouse.cli.progress.base import Progress
from pumphouse.cli.progress.plain import story
from pumphouse.cli.progress.tally import FAILED, ROLLING_BACK, Running, Tally
from pumphouse.events import Event, MigrationChanged, StepChanged, UnitChanged
from pumphouse.text import counted, duration, explain_dict, one_line

_BAR = 24
_LEAST_LINES = 3


class BarProgress(Progress):
    """Bars. What is done scrolls up; colours are rich's to leave out (NO_COLOR, terminals without)."""

    def __init__(self, out: TextIO, tally: Tally) -> None:
        super().__init__(out, tally)
        self.console = Console(file=out, highlight=False)
        self._since = datetime.now(UTC)
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(self, console=self.console, refresh_per_second=8, transient=True)

    def begin(self) -> None:
        self._since = datetime.now(UTC)
        self._live.start()

    def end(self) -> None:
        self._live.stop()

    def line(self, text: str) -> None:
        self.console.print(Text(text))

    def show(self, event: Event) -> None:
        if isinstance(event, StepChanged):
            self._step(event)
        elif isinstance(event, MigrationChanged):
            return  # the command says how it ended
        elif isinstance(event, UnitChanged) and event.state == "SUCCEEDED":
            self._unit_done(event)
        else:
            text = story(event, self)
            if text:
                bad = isinstance(event, UnitChanged) and event.state == "FAILED"
                self._mark("✗" if bad else "•", "red" if bad else "yellow", text)

    def _step(self, event: StepChanged) -> None:
        title = one_line(self.tally.title(event.resource))
        if event.state in FAILED:
            why = explain_dict(event.error or {"message": event.state})
            self._mark("✗", "red", f"{title}: {event.step} failed: {why}")
        elif self.tally.is_taken_back(event):
            self._mark("↶", "yellow", f"{title}: {event.step} taken back")

    def _unit_done(self, event: UnitChanged) -> None:
        """One line for a unit rather than for each resource: a tenant has hundreds of them."""
        members = len(self.tally.members.get(event.unit, ()))
        text = one_line(self.tally.unit(event.unit))
        if ":" not in event.unit:
            text += f": {counted(members, 'resource')}"
        elif members > 1:
            text += f" and {counted(members - 1, 'resource')} of its own"
        took = (event.at - self.tally.begun.get(event.unit, event.at)).total_seconds()
        self._mark("✓", "green", text, duration(took))

    def _mark(self, mark: str, colour: str, text: str, after: str = "") -> None:
        line = Text.assemble((mark, colour), " ", text)
        if after:
            line.append(f"  {after}", style="dim")
        self.console.print(line)

    # -- the live part, drawn anew several times a second in rich's own thread

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it. The dictionary is copied first: the other thread changes it."""
        running = sorted(dict(self.tally.running).values(), key=lambda one: one.since)
        room = max(_LEAST_LINES, (options.max_height or console.height) // 2)
        steps = Table.grid(padding=(0, 1), expand=False)
        steps.add_column(no_wrap=True, width=1)
        steps.add_column(no_wrap=True, overflow="ellipsis", max_width=max(12, console.width // 3))
        steps.add_column(no_wrap=True, overflow="ellipsis")
        steps.add_column(no_wrap=True, justify="right")
        for one in running[:room]:
            steps.add_row(self._spinner, one_line(one.title), self._doing(one), self._elapsed(one.since))
        if len(running) > room:
            steps.add_row("", Text(f"and {len(running) - room} more", style="dim"))
        yield Group(self._whole(), steps)

    def _whole(self) -> Table:
        whole = Table.grid(padding=(0, 1))
        total, done = self.tally.total, len(self.tally.finished)
        if self.tally.state == ROLLING_BACK:
            counts = f"{len(self.tally.reverted)} resources taken back"
            whole.add_row(ProgressBar(None, pulse=True, width=_BAR), counts, self._elapsed(self._since))
        elif total and done >= total:
            counts = f"all {self.tally.resources} resources done; compares both clouds"
            whole.add_row(ProgressBar(total, total, width=_BAR), counts, self._elapsed(self._since))
        elif total:
            share = Text(f"{min(done / total, 1):>4.0%}")
            counts = f"{len(self.tally.complete)} of {self.tally.resources} resources"
            whole.add_row(ProgressBar(total, done, width=_BAR), share, counts, self._elapsed(self._since))
        else:
            counts = f"{len(self.tally.complete)} resources done"
            whole.add_row(ProgressBar(None, pulse=True, width=_BAR), counts, self._elapsed(self._since))
        return whole

    @staticmethod
    def _doing(one: Running) -> Text:
        text = Text(one_line(one.doing), style="dim")
        if one.share is not None:
            filled = round(one.share * 10)
            text.append(f" {'━' * filled}{'╌' * (10 - filled)} {one.share:.0%}", style="cyan")
        return text

    @staticmethod
    def _elapsed(since: datetime) -> Text:
        return Text(duration(max(0.0, (datetime.now(UTC) - since).total_seconds())), style="dim")
