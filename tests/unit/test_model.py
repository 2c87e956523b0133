"""Pure values."""

from __future__ import annotations

from pumphouse.model import Inventory, Ref, Resource

CALLS: list[int] = []


def count(inventory: Inventory) -> int:
    CALLS.append(1)
    return len(inventory)


def test_what_is_derived_of_an_inventory_is_made_once_until_it_grows():
    CALLS.clear()
    inventory = Inventory("source", [Resource(ref=Ref("project", "a"), name="a")])
    assert [inventory.derived(count), inventory.derived(count)] == [1, 1]
    assert len(CALLS) == 1
    inventory.add(Resource(ref=Ref("project", "b"), name="b"))
    assert inventory.derived(count) == 2
    inventory.add(Resource(ref=Ref("project", "b"), name="again"))
    assert inventory.derived(count) == 2
    assert len(CALLS) == 2
