"""How single servers' root disks travel, in a form and in overrides."""

from __future__ import annotations

from pumphouse.api.dashboard import modes

OTHER = {"type": "server", "when": {"name": "a"}, "set": {"disk_mode": "image", "description": "x"}}


def rule(name, mode):
    return {"type": "server", "when": {"name": name}, "set": {"disk_mode": mode}}


def test_what_the_form_says_comes_last_and_back():
    form = {"disk_mode-image": " db-1 \n\ncache", "disk_mode-volume": "web"}
    given = {"projects": {"shop": "market"}, "rules": [OTHER]}
    found = modes.add(given, form)
    assert found == {
        "projects": {"shop": "market"},
        "rules": [OTHER, rule("db-1", "image"), rule("cache", "image"), rule("web", "volume")],
    }
    assert given["rules"] == [OTHER]
    rest, fields = modes.part(found)
    assert rest == given
    assert {name: text for name, text in fields.items() if text} == {
        "disk_mode-image": "db-1\ncache",
        "disk_mode-volume": "web",
    }


def test_without_any_the_overrides_stay_as_they_are():
    assert modes.add({}, {}) == {}
    assert modes.add({"rules": "wrong"}, {"disk_mode-image": "a"}) == {"rules": "wrong"}
    assert modes.part({})[0] == {}
