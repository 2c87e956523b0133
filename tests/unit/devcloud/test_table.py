from __future__ import annotations

import random

import pytest

from pumphouse.devcloud.router import Service
from pumphouse.devcloud.table import Table, TableSpec


@pytest.fixture
def table():
    made = Table(TableSpec(name="things", indexes=("colour",)))
    for number in range(10):
        made.add({"id": number, "colour": "red" if number % 3 == 0 else "blue", "name": f"n{number}"})
    return made


def ids(rows):
    return [row["id"] for row in rows]


def test_rows_keep_their_order_and_are_found_by_index(table):
    assert ids(table.walk()) == list(range(10))
    assert ids(table.walk(reverse=True, after=7)) == [6, 5, 4, 3, 2, 1, 0]
    assert ids(table.find(colour="red")) == [0, 3, 6, 9]
    assert ids(table.find(colour="red", name="n6")) == [6]
    assert table.first(colour="green") is None
    assert ids(table.walk(by=("colour", "red"), after=3)) == [6, 9]
    assert table.count("colour", "red") == 4


def test_changes_move_rows_between_indexes(table):
    table.update(3, colour="blue")
    assert ids(table.find(colour="red")) == [0, 6, 9]
    assert table.count("colour", "blue") == 7
    table.remove(6)
    assert 6 not in table
    assert ids(table.walk(by=("colour", "red"))) == [0, 9]
    assert table.remove(6) is None


def test_unknown_markers_and_taken_keys_are_errors(table):
    with pytest.raises(KeyError):
        next(table.walk(after=99))
    with pytest.raises(KeyError):
        next(table.walk(by=("colour", "red"), after=1))
    with pytest.raises(KeyError):
        next(table.walk(by=("colour", "green"), after=1))
    with pytest.raises(ValueError, match="taken"):
        table.add({"id": 1, "colour": "red"})


@pytest.mark.parametrize("seed", range(5))
def test_order_survives_many_removals(seed):
    chance = random.Random(seed)
    table = Table(TableSpec(name="things", indexes=("half",)))
    model: dict[int, int] = {}
    for number in range(600):
        table.add({"id": number, "half": number % 2})
        model[number] = number % 2
        while model and chance.random() < 0.55:
            gone = chance.choice(sorted(model))
            del model[gone]
            table.remove(gone)
        assert len(table) == len(model)
    assert ids(table.walk()) == list(model)
    for half in (0, 1):
        kept = [number for number, its in model.items() if its == half]
        assert ids(table.walk(by=("half", half))) == kept
    for place, number in enumerate(model):
        assert ids(table.walk(after=number)) == list(model)[place + 1 :]


def test_routes_prefer_words_to_parameters_and_go_back():
    service = Service("s", "/s", "/v1", render=lambda fault: fault)

    def handler(name):
        def call() -> None: ...

        call.__name__ = name
        return call

    for method, path, name in (
        ("GET", "/servers/detail", "detail"),
        ("GET", "/servers/{server_id}", "show"),
        ("DELETE", "/servers/{server_id}", "delete"),
        ("GET", "/{kind}/{thing_id}/tags", "tags"),
    ):
        service.route(method, path)(handler(name))

    def find(method, path):
        route, values = service.find(method, path.strip("/").split("/"))
        return route.handler.__name__, values

    assert find("GET", "/servers/detail") == ("detail", {})
    assert find("GET", "/servers/7") == ("show", {"server_id": "7"})
    assert find("DELETE", "/servers/detail") == ("delete", {"server_id": "detail"})
    assert find("GET", "/servers/7/tags") == ("tags", {"kind": "servers", "thing_id": "7"})
    assert service.find("PUT", ["servers", "7"]) == {"GET", "DELETE"}
    assert service.find("GET", ["nothing"]) == set()
    with pytest.raises(ValueError, match="routed twice"):
        service.route("GET", "/servers/{other}")(handler("again"))
