"""The documentation's tables: whatever is declared is in them."""

import dataclasses
import importlib.util
import inspect
import json
from pathlib import Path

import pytest

from pumphouse import errors
from pumphouse.events import Event
from pumphouse.registry import Registry

EXTENSION = Path(__file__).parents[3] / "doc" / "_ext" / "pumphouse_tables.py"


@pytest.fixture(scope="module")
def tables():
    """The Sphinx extension, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("pumphouse_tables", EXTENSION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(directive):
    """What a directive stands for; its lines need nothing of Sphinx."""
    return "\n".join(directive.lines(object()))


def section(shown, name):
    """The text below a heading, up to the next one's underline."""
    below = f"\n{shown}".partition(f"\n{name}\n{'-' * len(name)}\n")[2]
    assert below, f"{name} has no section"
    return below.partition("\n--")[0]


def test_every_error_is_listed_with_its_exit_status_and_advice(tables):
    shown = text(tables.ErrorTree)
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.PumphouseError):
            row = shown.partition(f"``{name}``")[2].partition("   * - ")[0]
            assert f"- {kind.exit_status}" in row, name
            assert kind.advice in row, name


def test_every_event_is_listed_with_its_fields(tables):
    shown = text(tables.EventKinds)
    for name, kind in Event.kinds.items():
        for field in dataclasses.fields(kind):
            assert f"- ``{field.name}``\n" in section(shown, name), (name, field.name)


def test_every_resource_type_is_listed_with_its_fields(tables):
    shown = text(tables.ResourceTypes)
    for name, kind in Registry.load().items():
        for field in kind.fields:
            assert f"- ``{field.name}``\n" in section(shown, name), (name, field.name)
            assert field.why in section(shown, name), (name, field.name)


def test_every_section_of_an_override_file_is_listed(tables):
    shown = text(tables.OverrideSections)
    declared = {field.mapping for kind in Registry.load().values() for field in kind.carried()} - {None}
    assert declared
    for name in declared:
        assert f"* - ``{name}``" in shown


def test_every_figure_is_shown_and_none_hides_that_it_was_missed(tables, tmp_path, monkeypatch):
    shown = text(tables.Figures)
    for row in json.loads(tables.FIGURES.read_text()):
        assert f"* - {row['what']}\n" in shown
    rows = [
        {
            "what": what,
            "value": value,
            "unit": "ms",
            "limit": 5,
            "how": "",
            "date": "2026-01-01",
            "python": "3",
        }
        for what, value in (("one", 5), ("other", 5.01))
    ]
    monkeypatch.setattr(tables, "FIGURES", tmp_path / "figures.json")
    tables.FIGURES.write_text(json.dumps(rows))
    assert [line for line in text(tables.Figures).splitlines() if "missed" in line] == ["     - 5 **missed**"]
