"""How a migration stands, as its pages tell it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pumphouse.api.dashboard.situation import Situation
from pumphouse.api.dashboard.states import Progress
from pumphouse.model import Action, Ref, Resource, Scope, ScopeKind
from pumphouse.plan.document import Plan, PlannedResource
from pumphouse.service.steps import StepRecord
from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.units import UnitRecord

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
GIB = 2**30


def planned(kind, *needs, action=Action.CREATE, **values):
    return PlannedResource(
        resource=Resource(ref=Ref(kind, "1"), name=f"the {kind}"),
        action=action,
        reason="because",
        selected="asked for",
        needs=tuple(Ref(need, "1") for need in needs),
        **values,
    )


def step(kind, name, state, *, begun=None, ended=None, unit=None, **values):
    def at(seconds):
        return None if seconds is None else NOW + timedelta(seconds=seconds)

    return StepRecord(
        resource=f"{kind}:1",
        name=f"the {kind}",
        step=name,
        doing=name,
        state=state,
        unit=unit or kind,
        started_at=at(begun),
        ended_at=at(ended),
        **values,
    )


def situation(resources, steps, units=(), state=MigrationState.RUNNING):
    record = MigrationRecord(
        id="m-1",
        name="",
        state=state,
        plan_id="p-1",
        source="source",
        destination="destination",
        subjects=(),
        options={},
        created_at=NOW,
        started_at=NOW,
        run_started_at=NOW,
        ended_at=None,
        owner=None,
        heartbeat_at=None,
        epoch=1,
        request=None,
        wanted=None,
        wanted_at=None,
        reason="",
        summary=None,
    )
    scope = Scope(kind=ScopeKind.TENANT, names=("shop",))
    plan = Plan(source="source", destination="destination", scope=scope, resources=tuple(resources))
    records = [
        UnitRecord(migration="m-1", name=name, kind=name, state=one, **values) for name, one, values in units
    ]
    return Situation(record, plan, steps, records, now=NOW)


@pytest.mark.parametrize(
    ("states", "unit", "migration", "progress"),
    [
        (("PENDING", "PENDING"), "PENDING", "RUNNING", Progress.PENDING),
        (("RUNNING", "PENDING"), "RUNNING", "RUNNING", Progress.RUNNING),
        (("SUCCESS", "PENDING"), "RUNNING", "RUNNING", Progress.RUNNING),
        (("SUCCESS", "SUCCESS"), "SUCCEEDED", "RUNNING", Progress.DONE),
        # What was only for the time of the migration is removed at its end.
        (("REVERTING", "SUCCESS"), "SUCCEEDED", "RUNNING", Progress.DONE),
        (("REVERTED", "SUCCESS"), "SUCCEEDED", "SUCCEEDED", Progress.DONE),
        # An interrupted wait stays as it was.
        (("RUNNING", "PENDING"), "PENDING", "PAUSED", Progress.PENDING),
        (("REVERTED", "REVERTED"), "FAILED", "PARTIAL", Progress.FAILED),
        (("REVERTED", "PENDING"), "ROLLED_BACK", "CANCELLED", Progress.UNDONE),
        (("REVERTING", "SUCCESS"), "SUCCEEDED", "ROLLING_BACK", Progress.UNDOING),
        (("SUCCESS", "SUCCESS"), "SUCCEEDED", "ROLLING_BACK", Progress.DONE),
        # The last step only looks, and so is not taken back.
        (("REVERTED", "SUCCESS"), "ROLLED_BACK", "ROLLED_BACK", Progress.UNDONE),
        (("REVERT_FAILURE", "SUCCESS"), "ROLLED_BACK", "ROLLBACK_INCOMPLETE", Progress.FAILED),
    ],
)
def test_how_far_a_resource_has_come(states, unit, migration, progress):
    names = ("create", "verify")
    steps = [step("server", name, state, begun=-9) for name, state in zip(names, states, strict=True)]
    found = situation(
        [planned("server")], steps, [("server", UnitState(unit), {})], state=MigrationState(migration)
    )
    assert found.members[0].progress is progress
    assert found.letters == progress.value


def test_what_is_not_worked_on_is_told_by_its_action():
    found = situation(
        [planned("role", action=Action.REUSE), planned("trunk", action=Action.SKIP), planned("server")], []
    )
    assert found.letters == "esd"
    assert [one.name for one in found.types] == ["server"]


def test_of_a_failed_unit_only_what_failed_is_shown_as_failed():
    resources = [planned("port"), planned("server", "port")]
    error = {"message": "no host", "resource": str(resources[1].resource)}
    steps = [step("port", "create", "REVERTED", unit="u"), step("server", "create", "REVERTED", unit="u")]
    found = situation(
        resources, steps, [("u", UnitState.FAILED, {"error": error})], state=MigrationState.FAILED
    )
    assert [one.progress for one in found.members] == [Progress.UNDONE, Progress.FAILED]
    assert [unit.name for unit in found.failed_units] == ["u"]


def test_what_waits_and_for_what():
    resources = [
        planned("image"),
        planned("port", action=Action.REUSE),
        planned("server", "image", "port"),
        planned("floating_ip", "server"),
    ]
    steps = [
        step("image", "copy", "RUNNING", begun=-4, share=0.5),
        step("server", "create", "PENDING"),
        step("floating_ip", "create", "PENDING"),
    ]
    found = situation(resources, steps, [("image", UnitState.RUNNING, {})])
    waiting = {
        tuple(one.title for one in them.members): [one.title for one in them.needs] for them in found.waiting
    }
    assert waiting == {
        ("server the server",): ["image the image"],
        ("floating ip the floating_ip",): ["server the server"],
    }
    (image,) = found.running
    assert found.held_up(image) == 2


def test_data_under_way_has_a_rate_and_counts_as_far_as_it_came():
    resources = [planned("volume", bytes=4 * GIB), planned("image", bytes=GIB)]
    steps = [
        step("volume", "copy", "RUNNING", begun=-16, share=0.25),
        step("image", "copy", "SUCCESS", begun=-20, ended=-10),
    ]
    found = situation(resources, steps, [("volume", UnitState.RUNNING, {})])
    assert found.running[0].rate(NOW) == pytest.approx(GIB / 16)
    assert found.bytes == (2 * GIB, 5 * GIB)


def test_the_expected_end_follows_from_the_time_at_work_without_pauses():
    resources = [planned("volume", seconds=10), planned("image", seconds=10)]
    steps = [
        step("volume", "copy", "SUCCESS", begun=-5000, ended=-4990),
        step("image", "copy", "PENDING"),
    ]
    found = situation(resources, steps, [("image", UnitState.PENDING, {})])
    assert found.share == pytest.approx(0.5)
    assert found.seconds_left == pytest.approx(10)
    early = situation(resources, [step("volume", "copy", "PENDING"), step("image", "copy", "PENDING")])
    assert early.seconds_left is None
