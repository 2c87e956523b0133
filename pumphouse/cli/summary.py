"""What a plan comes to, for a person: counts by type and action, and what to know before applying it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from pumphouse.health import OF_TYPE, SECTION, parse
from pumphouse.model import Action
from pumphouse.resource import Severity
from pumphouse.text import counted, duration, listed, one_line, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pumphouse.plan.document import Plan, PlannedResource

STYLES: Final = {
    Action.CREATE: "green",
    Action.UPDATE: "blue",
    Action.REUSE: "dim",
    Action.SKIP: "dim",
    Action.BLOCKED: "bold red",
}
_HEADINGS: Final = (
    (Severity.BLOCK, "Blocked", "bold red"),
    (Severity.WARNING, "Warnings", "yellow"),
    (Severity.LOST, "Lost on the way", "yellow"),
)


def show(plan: Plan, console: Console) -> None:
    """Print the summary."""
    from rich.text import Text

    console.print(
        Text.assemble(
            ("Plan ", "bold"),
            f"{plan.id}: {one_line(plan.scope)}, ",
            f"from {one_line(plan.source)} to {one_line(plan.destination)}",
        )
    )
    console.print()
    if plan.resources:
        console.print(_counts(plan))
        console.print()
    for severity, heading, style in _HEADINGS:
        lines = list(_problems(plan, severity))
        if lines:
            console.print(Text(f"{heading}:", style=style))
            _bullets(lines, console)
            console.print()
    _checks(plan, console)
    doing = plan.doing(Action.CREATE, Action.UPDATE)
    modes = Counter(one.mode for one in plan.doing(Action.CREATE) if one.mode)
    if modes:
        told = ", ".join(f"{count} as {name}" for name, count in sorted(modes.items()))
        console.print(f"Root disks of servers: {told}.")
    ways = Counter(one.mover for one in doing if one.mover)
    if ways:
        told = ", ".join(f"{count} by {name}" for name, count in sorted(ways.items()))
        console.print(f"Images and disks: {told}.")
    if doing:
        data, seconds = sum(one.bytes for one in doing), sum(one.seconds for one in doing)
        copied = f"{size(data)} to copy" if data else "no data to copy"
        # The steps run side by side, so what they take one by one is the most it can take.
        work = f"{counted(len(doing), 'resource')} to work on, {copied}"
        console.print(f"{work}, an estimated {duration(seconds)} at most.")


def _counts(plan: Plan) -> Table:
    from rich import box
    from rich.table import Table

    by_type: dict[str, Counter[Action]] = defaultdict(Counter)
    for one in plan.resources:
        by_type[one.ref.type][one.action] += 1
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, show_edge=False)
    table.add_column("Type", footer="all", no_wrap=True)
    totals = plan.counts()
    for action in Action:
        style = STYLES[action] if totals[action] else "dim"
        table.add_column(
            str(action), footer=str(totals[action]), justify="right", style=style, footer_style=style
        )
    for name, counts in by_type.items():
        table.add_row(name, *(str(counts[action] or "") for action in Action))
    return table


def _checks(plan: Plan, console: Console) -> None:
    """Print the health checks, each with the servers that are to pass it, or that there are none."""
    checks = parse(plan.overrides.get(SECTION, []), where="the plan")
    if not checks:
        return
    moving = [one for one in plan.doing(Action.CREATE) if one.ref.type == OF_TYPE]
    lines = []
    for check in checks:
        those = [name_of(one) for one in moving if dict(check.given) in one.resource.facts.get(SECTION, ())]
        whose = listed(those, most=3) if those else f"no server is called {check.server!r}"
        lines.append(one_line(f"{check}, within {check.timeout:g} s: {whose}"))
    console.print("Checked before the source is shut down:")
    _bullets(lines, console)
    console.print()


def _problems(plan: Plan, severity: Severity) -> Iterator[str]:
    """One line for each distinct problem, with the resources that have it."""
    from pumphouse.plan.document import gathered

    for problem, those in gathered(plan, severity):
        names = listed((f"{one.ref.type} {name_of(one)}" for one in those), most=3)
        field, summary = problem.field, problem.summary
        about = f" ({field})" if field and field not in summary else ""
        advice = f". {problem.next_step}" if problem.next_step else ""
        yield one_line(f"{names}{about}: {summary}{advice}")


def _bullets(lines: Iterable[str], console: Console) -> None:
    """One below the other; on a terminal a long one goes on below its beginning."""
    from rich.table import Table
    from rich.text import Text

    if not console.is_terminal:
        for line in lines:
            console.print(Text(f"  - {line}"), soft_wrap=True)
        return
    table = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        table.add_row("  -", Text(line))
    console.print(table)


def name_of(one: PlannedResource) -> str:
    """A resource's name; ports and volumes often have none, and are known by their ids."""
    return one.resource.name or one.ref.id
