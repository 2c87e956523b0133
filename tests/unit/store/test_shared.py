"""What migrations share: ids, claims, inventories; and the units of each."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime, timedelta

import pytest

from pumphouse.errors import Fenced, UnknownResource
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.store.owner import Owner
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.units import UnitRecord

FLAVOR, KEY = Ref("flavor", "f-1"), Ref("keypair", "user/Ключ: ' \" 🔑")


def test_an_id_is_put_replaced_and_removed(store, migration) -> None:
    ids = store.ids_of(migration)
    assert ids.get(FLAVOR) is None
    ids.put(FLAVOR, "there-1", made=True)
    ids.put(KEY, "there-2", made=False)
    ids.put(FLAVOR, "there-3", made=False)
    assert ids.get(FLAVOR) == "there-3"
    assert ids.get(KEY) == "there-2"
    everything = store.ids.all("from", "to")
    assert {ref: (r.destination_id, r.made, r.migration) for ref, r in everything.items()} == {
        FLAVOR: ("there-3", False, migration.id),
        KEY: ("there-2", False, migration.id),
    }
    ids.remove(FLAVOR)
    ids.remove(FLAVOR)
    assert ids.get(FLAVOR) is None


def test_ids_differ_by_case_and_by_pair_of_clouds(store, migration, make_migration) -> None:
    ids, other = store.ids_of(migration), store.ids_of(make_migration(destination="third"))
    ids.put(Ref("keypair", "u/Key"), "1", made=True)
    ids.put(Ref("keypair", "u/key"), "2", made=True)
    assert ids.get(Ref("keypair", "u/Key")) == "1"
    assert other.get(Ref("keypair", "u/Key")) is None


def test_many_threads_put_ids(store, migration) -> None:
    ids = store.ids_of(migration)

    def put(number: int) -> None:
        for count in range(20):
            ids.put(Ref("port", str(count)), f"{number}", made=True)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(store.ids.all("from", "to")) == 20


def test_the_first_claim_holds_until_its_migration_ends(store, make_migration) -> None:
    first, second = make_migration(), make_migration()
    assert store.claims.claim("to", FLAVOR, first.id) == first.id
    assert store.claims.claim("to", FLAVOR, second.id) == first.id
    assert store.claims.claim("to", FLAVOR, first.id) == first.id
    assert store.claims.claim("third", FLAVOR, second.id) == second.id
    store.migrations.set_state(first.id, MigrationState.CANCELLED)
    assert store.claims.claim("to", FLAVOR, second.id) == second.id


def test_a_claim_can_be_given_up(store, make_migration) -> None:
    first, second = make_migration(), make_migration()
    for ref in (FLAVOR, KEY):
        store.claims.claim("to", ref, first.id)
    store.claims.release("to", FLAVOR, second.id)
    assert store.claims.claim("to", FLAVOR, second.id) == first.id
    store.claims.release("to", FLAVOR, first.id)
    assert store.claims.claim("to", FLAVOR, second.id) == second.id
    assert store.claims.claim("to", KEY, second.id) == first.id


def test_who_has_lost_a_migration_gives_up_none_of_its_claims(store, make_migration) -> None:
    first, second = make_migration(), make_migration()
    lost = store.migrations.take(first.id, Owner(host="elsewhere", pid=1, started=0.0))
    store.migrations.set_state(first.id, MigrationState.RUNNING, epoch=lost)
    assert store.claims.claim("to", FLAVOR, first.id) == first.id
    store.migrations.release(first.id, lost)
    epoch = store.migrations.take(first.id, Owner.this_process())
    with pytest.raises(Fenced):
        store.migrations.set_state(first.id, MigrationState.PARTIAL, epoch=lost)
    assert store.claims.claim("to", FLAVOR, second.id) == first.id
    store.migrations.set_state(first.id, MigrationState.PARTIAL, epoch=epoch)
    store.migrations.set_state(first.id, MigrationState.RUNNING, epoch=epoch)
    assert store.claims.claim("to", FLAVOR, second.id) == second.id, "its end had given it up"


def test_who_waits_goes_on_as_soon_as_the_claim_is_given_up(store, make_migration) -> None:
    """That its id is known is not enough: an image has its id before its data."""
    first, second = make_migration(), make_migration()
    mine, theirs = store.claims_of(first), store.claims_of(second)
    assert mine.claim(FLAVOR) is None
    store.ids_of(first).put(FLAVOR, "made-1", made=True)
    assert theirs.claim(FLAVOR) == first.id
    theirs.release(FLAVOR)
    assert theirs.claim(FLAVOR) == first.id
    mine.release(FLAVOR)
    assert theirs.claim(FLAVOR) is None


def test_of_many_that_claim_at_once_one_has_it(store, make_migration) -> None:
    migrations = [make_migration() for _ in range(6)]
    begin, owners = threading.Barrier(6), []

    def claim(id: str) -> None:
        begin.wait(10)
        owners.append(store.claims.claim("to", FLAVOR, id))

    threads = [threading.Thread(target=claim, args=(m.id,)) for m in migrations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(owners) == 6
    assert len(set(owners)) == 1


def test_an_inventory_comes_back_as_it_was(store) -> None:
    taken = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    resource = Resource(
        ref=KEY,
        name="é\u0000🔑",
        project_id="p",
        fields={"a": [1, None, {"b": True}]},
        facts={"size": 3},
        made_from="x",
    )
    store.inventories.save(Inventory("from", [resource], facts={"quota": {"cores": -1}}, taken_at=taken))
    found = store.inventories.latest("from")
    assert list(found) == [resource]
    assert (found.cloud, found.taken_at, found.facts) == ("from", taken, {"quota": {"cores": -1}})
    assert store.inventories.latest("to") is None


def test_a_large_inventory_comes_back(store) -> None:
    """Six megabytes as it is kept, which MariaDB takes without being configured for more."""
    names = [secrets.token_hex(1000) for _ in range(6000)]
    resources = [Resource(ref=Ref("server", str(number)), name=name) for number, name in enumerate(names)]
    store.inventories.save(Inventory("from", resources, taken_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert [one.name for one in store.inventories.latest("from")] == names


def test_only_the_newest_inventories_of_a_cloud_are_kept(store) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for day in range(4):
        resources = [Resource(ref=Ref("server", str(n)), name="s") for n in range(day)]
        taken = begin + timedelta(days=day)
        store.inventories.save(Inventory("from", resources, taken_at=taken), keep=2)
    store.inventories.save(Inventory("to", taken_at=begin), keep=2)
    assert [record.counts for record in store.inventories.list("from")] == [{"server": 3}, {"server": 2}]
    assert len(store.inventories.list()) == 3
    assert store.inventories.clouds() == ("from", "to")


def test_units_keep_their_order_and_their_times(store, migration) -> None:
    def unit(name: str) -> UnitRecord:
        return UnitRecord(migration=migration.id, name=name, kind="workload")

    store.units.replace(migration.id, [unit("shared"), unit("b"), unit("a")])
    assert [u.name for u in store.units.of(migration.id)] == ["shared", "b", "a"]
    store.units.set_flow(migration.id, "a", "flow-1")
    running = store.units.set_state(migration.id, "a", UnitState.RUNNING)
    assert running.started_at is not None
    assert running.flow == "flow-1"
    failed = store.units.set_state(
        migration.id, "a", UnitState.FAILED, reason="no room", error={"error": "QuotaExceeded"}
    )
    assert failed.ended_at is not None
    assert store.units.get(migration.id, "a") == failed
    assert failed.error == {"error": "QuotaExceeded"}
    again = store.units.set_state(migration.id, "a", UnitState.RUNNING)
    assert (again.ended_at, again.error, again.reason) == (None, None, "")


def test_a_unit_is_called_what_its_server_is_called(store, migration) -> None:
    called = f"server {'Ключ🔑' * 51}"
    store.units.replace(migration.id, [UnitRecord(migration=migration.id, name="server:1", kind=called)])
    assert store.units.get(migration.id, "server:1").kind == called


def test_units_are_replaced_by_a_new_plans(store, migration) -> None:
    for names in (["a", "b"], ["b", "c"], []):
        store.units.replace(
            migration.id, [UnitRecord(migration=migration.id, name=n, kind="workload") for n in names]
        )
        assert [u.name for u in store.units.of(migration.id)] == names


def test_an_unknown_unit_is_named(store, migration) -> None:
    with pytest.raises(UnknownResource, match="'nosuch'"):
        store.units.get(migration.id, "nosuch")
