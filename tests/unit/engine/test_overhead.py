"""What the engine costs for each step: counted, not timed, so that it holds on any machine."""

from __future__ import annotations

from overhead import run


def test_statements_for_each_step_are_few_and_do_not_grow_with_the_plan(tmp_path):
    small = run(tmp_path / "small", servers=10, networks=4)
    large = run(tmp_path / "large", servers=60, networks=24)
    # Two commits of the step's state, two of its journal, one of its id, and its unit's share.
    assert large.statements / large.steps < 20
    assert large.statements / large.steps < small.statements / small.steps * 1.1
    assert large.events >= 2 * large.steps
