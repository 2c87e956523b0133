"""Override files, good and bad."""

from __future__ import annotations

import pytest
from toys import registry

from pumphouse import errors
from pumphouse.plan.overrides import load, parse


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("projects: {a: b", "is not YAML"),
        ("- a", "must hold a mapping"),
        ("projcts: {a: b}", "unknown keys: projcts"),
        ("projects: [a]", "projects must map names to names"),
        ("rules: {}", "rules must be a list"),
        ("rules: [{type: network}]", "a rule has type, set"),
        ("rules: [{type: nothing, set: {a: 1}}]", "unknown type 'nothing'"),
        ("rules: [{type: network, set: {colour: red}}]", "network has no field colour"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path, text, reason):
    path = tmp_path / "override.yaml"
    path.write_text(text)
    with pytest.raises(errors.BadOverride, match=reason) as caught:
        load(path, registry())
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(errors.BadOverride, match="cannot read"):
        load(tmp_path / "none.yaml", registry())


def test_a_file_and_its_plan_form_are_the_same():
    data = {"flavors": {"a": "b"}, "rules": [{"type": "network", "when": {"name": "x"}, "set": {"mtu": 1}}]}
    made = parse(data, registry(), where="test")
    assert parse(made.to_dict(), registry(), where="again") == made
