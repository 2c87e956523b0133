"""The views of progress, fed with events as a run emits them."""

import io
import json

import pytest

from pumphouse.cli import progress
from pumphouse.cli.progress import Style, Tally
from pumphouse.events import MigrationChanged, Noted, StepChanged, StepProgressed, UnitChanged

STEPS = {"network": ["create", "verify"], "server": ["quiesce", "create", "verify"]}


def step(resource, name, step, state, **more):
    return StepChanged(
        migration="m-1", unit="tenant 1.0", resource=resource, name=name, step=step, state=state, **more
    )


def moved(resource, name):
    for one in STEPS[resource.partition(":")[0]]:
        yield step(resource, name, one, "RUNNING", doing=f"does {one}")
        yield step(resource, name, one, "SUCCESS", seconds=0.5)


def tally(**more):
    return Tally(steps=STEPS, resources=2, total=5, **more)


def shown(style, events, counts=None):
    out = io.StringIO()
    with progress.make(style, out, counts or tally()) as view:
        for event in events:
            view(event)
        view.say("a word")
    return out.getvalue()


def test_plain_tells_each_resource_that_is_done_and_long_steps_as_they_start():
    lines = shown(Style.PLAIN, [*moved("network:1", "web"), *moved("server:2", "web\n1")]).splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        "[1/2] network web: done in 1.0 s",
        "server web\\n1: does quiesce",
        "server web\\n1: does create",
        "server web\\n1: does verify",
        "[2/2] server web\\n1: done in 1.5 s",
        "word",
    ]


def test_plain_tells_failures_notes_and_what_is_taken_back():
    text = shown(
        Style.PLAIN,
        [
            *moved("network:1", "web"),
            step(
                "server:2", "db", "create", "FAILURE", error={"message": "no host", "next_step": "Add one."}
            ),
            Noted(migration="m-1", resource="server:2", text="kept its address"),
            step("network:1", "web", "verify", "REVERTED"),
            step("network:1", "web", "create", "REVERTED"),
            UnitChanged(migration="m-1", unit="server:2", state="FAILED", reason="no host"),
            MigrationChanged(migration="m-1", state="FAILED", reason="all failed"),
        ],
    )
    assert "server db: create failed: no host. Add one." in text
    assert "server db: note: kept its address" in text
    assert "network web: create taken back" in text
    assert "verify taken back" not in text
    assert "server db: failed and was taken back: no host" in text
    assert "migration m-1: FAILED: all failed" in text


def test_plain_tells_quarters_of_a_long_step():
    events = [step("server:2", "db", "create", "RUNNING", doing="copies")]
    events += [
        StepProgressed(
            migration="m-1", unit="u", resource="server:2", step="create", share=n / 100, text="copies"
        )
        for n in range(101)
    ]
    lines = [line for line in shown(Style.PLAIN, events).splitlines() if "%" in line]
    assert [line.rpartition(" ")[2] for line in lines] == ["25%", "50%", "75%", "100%"]


def test_json_lines_hold_the_events_and_nothing_else(capsys):
    events = [*moved("network:1", "web"), MigrationChanged(migration="m-1", state="SUCCEEDED")]
    lines = [json.loads(line) for line in shown(Style.JSON, events).splitlines()]
    assert [line["kind"] for line in lines] == ["step_changed"] * 4 + ["migration_changed"]
    assert lines[0]["resource"] == "network:1"
    assert capsys.readouterr().err == "a word\n"


def test_bars_leave_a_line_for_each_unit_behind():
    def unit(name, state):
        return UnitChanged(migration="m-1", unit=name, state=state)

    text = shown(
        Style.BARS,
        [
            unit("tenant 1.0", "RUNNING"),
            *moved("network:1", "web"),
            *moved("server:2", "[bold]"),
            unit("tenant 1.0", "SUCCEEDED"),
            unit("server:2", "SUCCEEDED"),
        ],
        tally(names={"project:1": "shop"}),
    )
    assert "✓ tenant shop: 2 resources  0.0 s" in text
    assert "✓ server [bold]  0.0 s" in text


def test_what_is_cleaned_up_after_does_not_count_as_undone():
    counts = tally()
    for event in [*moved("server:2", "db"), step("server:2", "db", "quiesce", "REVERTED")]:
        counts.take(event)
    assert counts.complete == {"server:2"}
    counts.take(MigrationChanged(migration="m-1", state="ROLLING_BACK"))
    counts.take(step("server:2", "db", "create", "REVERTED"))
    assert (counts.complete, counts.reverted) == (set(), {"server:2"})


def test_a_reader_that_went_away_stops_nothing():
    class Closed(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    counts = tally()
    with progress.make(Style.PLAIN, Closed(), counts) as view:
        for event in moved("network:1", "web"):
            view(event)


@pytest.mark.parametrize(
    ("unit", "label"),
    [("server:2", "server db"), ("tenant 7.1", "tenant shop"), ("shared.0", "shared")],
)
def test_units_are_named_for_people(unit, label):
    assert tally(names={"server:2": "db", "project:7": "shop"}).unit(unit) == label


def test_auto_is_plain_unless_the_terminal_can_do_better(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "dumb")
    assert progress.choose("auto", Terminal()) is Style.PLAIN
    monkeypatch.setenv("TERM", "xterm-256color")
    assert progress.choose("auto", Terminal()) is Style.BARS
    assert progress.choose("auto", io.StringIO()) is Style.PLAIN
