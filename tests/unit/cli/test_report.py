"""The report's summary, as a person reads it."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from pumphouse.cli.report import summarise
from pumphouse.model import Action, Ref
from pumphouse.report.model import FieldReport, Outcome, Report, ResourceReport


def of(action: Action, outcome: Outcome) -> Report:
    resource = ResourceReport(
        ref=Ref("application_credential", "1"),
        name="deploy",
        action=action,
        destination_id=None,
        fields=(FieldReport(field="", outcome=outcome, reason="its secret cannot be read. Anna makes one"),),
    )
    return Report(
        migration="m", source="a", destination="b", made_at=datetime.now(UTC), resources=(resource,)
    )


@pytest.mark.parametrize(
    ("action", "outcome", "shown"),
    [
        (Action.SKIP, Outcome.IMPOSSIBLE, True),
        (Action.SKIP, Outcome.CHANGED, False),  # left out by an option
        (Action.CREATE, Outcome.IMPOSSIBLE, False),
    ],
)
def test_what_people_must_do_is_said(action, outcome, shown):
    out = io.StringIO()
    summarise(of(action, outcome), Console(file=out, width=200))
    line = "left to do: application_credential deploy: its secret cannot be read. Anna makes one"
    assert (line in out.getvalue()) is shown
