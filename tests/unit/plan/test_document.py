"""The plan as a document, and its graph as text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from toys import destination, one, plan

from pumphouse import errors
from pumphouse.model import Action
from pumphouse.plan.document import Plan, changes, require_fresh
from pumphouse.plan.render import dot, mermaid
from pumphouse.resource import Problem, Severity


def test_a_saved_plan_is_the_same_when_loaded(tmp_path):
    made = plan()
    made.save(tmp_path / "plan.json")
    loaded = Plan.load(tmp_path / "plan.json")
    assert loaded == made
    assert changes(made, loaded) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is damaged"),
        ("[]", "is not a plan"),
        ('{"format": "pumphouse-plan", "version": 9}', "format version 9"),
        ('{"format": "pumphouse-plan", "version": 1}', "is damaged: KeyError"),
    ],
)
def test_a_damaged_plan_is_refused_in_one_line(tmp_path, text, reason):
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(errors.BadPlan, match=reason) as caught:
        Plan.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_plan_file_is_named(tmp_path):
    with pytest.raises(errors.BadPlan, match=r"cannot read .*nowhere\.json: No such file"):
        Plan.load(tmp_path / "nowhere.json")


def test_a_stale_plan_says_what_changed():
    there = destination(one("flavor", "F", name="small", ram=512, access=[]))
    with pytest.raises(errors.StalePlan, match=r"flavor 'small' \(f1\): create has become reuse"):
        require_fresh(plan(), plan(there=there))


def test_a_changed_field_is_named():
    made = plan()
    network = next(found for found in made.resources if found.ref.type == "network")
    later = replace(
        network, resource=replace(network.resource, fields={**network.resource.fields, "mtu": 9000})
    )
    other = replace(made, resources=tuple(later if found is network else found for found in made.resources))
    assert changes(made, other) == ["network 'web' (n1): mtu changed"]


def test_the_graph_as_text_is_stable_and_quoted():
    odd = plan()
    first = odd.resources[0]
    odd = replace(
        odd,
        resources=(replace(first, resource=replace(first.resource, name='a "b"\n\\c')), *odd.resources[1:]),
    )
    text = dot(odd)
    assert text == dot(odd)
    assert '\\"b\\"' in text
    assert text.count("->") == sum(len(found.needs) for found in odd.resources)
    assert mermaid(odd).startswith("flowchart LR\n")
    assert json.dumps(odd.to_dict())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("overrides",), None),
        (("overrides",), "x"),
        (("resources", 0, "resource", "ref"), 5),
        (("resources", 0, "resource", "fields"), None),
        (("resources", 0, "before"), [1]),
        (("resources", 0, "needs"), None),
        (("scope",), []),
    ],
)
def test_a_plan_whose_parts_are_of_the_wrong_kind_is_called_damaged(place, value):
    data = json.loads(json.dumps(plan().to_dict()))
    part = data
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    with pytest.raises(errors.BadPlan, match="damaged"):
        Plan.from_dict(data)


def test_the_error_of_a_blocked_plan_tells_the_first_causes_cut_short():
    """What needs something blocked is no cause."""
    made = plan()
    problem = Problem(severity=Severity.BLOCK, summary="no" * 200, next_step="Mend it.")
    needing = {found.ref for found in made.resources if found.ref.type in {"port", "server"}}
    resources = tuple(
        replace(
            found,
            action=Action.BLOCKED,
            reason="no" * 200,
            problems=(problem,),
            needs=found.needs if found.ref in needing else (),
        )
        for found in made.resources
    )
    with pytest.raises(errors.PlanBlocked) as caught:
        replace(made, resources=resources).require_unblocked(see_all="pumphouse plan tenant shop")
    told = str(caught.value)
    assert told.startswith("10 of 10 resources are blocked: domain ")
    assert told.endswith("; and 3 more. Mend it. See all with: pumphouse plan tenant shop")
    assert len(told) < 3 * 200 + 150
    assert not any(f"({ref.id})" in told for ref in needing)
