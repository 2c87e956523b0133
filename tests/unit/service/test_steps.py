"""The steps of a migration, as its events tell them."""

from __future__ import annotations

from pumphouse.events import MigrationChanged, StepChanged, StepProgressed
from pumphouse.model import Action, Ref, Resource, Scope, ScopeKind
from pumphouse.plan.document import Plan, PlannedResource
from pumphouse.registry import Registry
from pumphouse.service.steps import Steps

PLAN = Plan(
    source="source",
    destination="destination",
    scope=Scope(kind=ScopeKind.TENANT, names=("shop",)),
    resources=(
        PlannedResource(
            resource=Resource(ref=Ref("network", "1"), name="web"),
            action=Action.CREATE,
            reason="because",
            selected="asked for",
        ),
    ),
)


def steps():
    return Steps(PLAN, Registry.load())


def changed(step, state):
    return StepChanged(migration="m", unit="u", resource="network:1", name="web", step=step, state=state)


def states(found):
    return {one.step: one.state for one in found}


def test_a_step_tells_how_far_it_is_while_it_runs():
    found = steps()
    found.take(
        [
            changed("create", "RUNNING"),
            StepProgressed(migration="m", unit="u", resource="network:1", step="create", share=0.25),
        ]
    )
    assert next(iter(found)).share == 0.25
    found.take([changed("create", "SUCCESS")])
    assert next(iter(found)).share is None


def test_a_retry_begins_anew_and_a_resume_does_not():
    found = steps()
    done = [changed(step.step, "SUCCESS") for step in found]
    found.take([MigrationChanged(migration="m", state="RUNNING"), *done])
    found.take([MigrationChanged(migration="m", state=state) for state in ("PAUSED", "RUNNING")])
    assert set(states(found).values()) == {"SUCCESS"}
    found.take([MigrationChanged(migration="m", state=state) for state in ("ROLLED_BACK", "RUNNING")])
    assert set(states(found).values()) == {"PENDING"}
