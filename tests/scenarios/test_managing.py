"""Volumes that change hands on one storage: no byte moves, and none is ever lost, whatever comes."""

from __future__ import annotations

import json

import pytest

from pumphouse.devcloud import volume_storage
from pumphouse.devcloud.volume_storage import share_storage
from pumphouse.errors import WrongState
from pumphouse.events import Noted
from pumphouse.model import Action
from pumphouse.moving import managing
from pumphouse.resource import Severity
from pumphouse.service.finalizable import Part
from pumphouse.store.states import MigrationState

CHOSEN = ("backup", "notes")
"""The tenant's detached volume, and that of a smaller tenant."""
RULE = {
    "rules": [
        {"type": "volume", "when": {"name": name}, "set": {"mover": "cinder-manage"}} for name in CHOSEN
    ]
}
UNMANAGE = "POST /volume/v3/volumes/{volume_id}/action os-unmanage"
MANAGE = "POST /volume/v3/manageable_volumes"
UNMARK = "DELETE /volume/v3/volumes/{one_id}/metadata/{key}"


@pytest.fixture
def shared(site):
    """Both clouds are on one storage."""
    share_storage(site.source, site.destination)
    return site


def volumes(cloud, name="backup"):
    with cloud.transaction():
        return [dict(row) for row in cloud.table("volumes").find(name=name)]


def content(cloud, name="backup"):
    """The bytes of the one volume of this name."""
    (row,) = volumes(cloud, name)
    return cloud.files.path("volumes", row["id"]).read_bytes()


def states(site):
    """What both clouds hold. Who has created a volume, no request to manage one can say."""
    found = site.states()
    for state in found:
        for row in state["tables"].get("volumes", ()):
            if row["name"] in CHOSEN:
                del row["user_id"]
    return found


def planned(plan):
    (one,) = [one for one in plan.resources if one.ref.type == "volume" and one.resource.name == "backup"]
    return one


def start(site, *names, **options):
    return site.app.start(site.plan(*names, overrides=RULE), check_fresh=True, options=options).id


def test_the_plan_says_in_plain_words_what_it_means(shared):
    one = planned(shared.plan(overrides=RULE))
    assert (one.action, one.mover, one.bytes) == (Action.CREATE, "cinder-manage", 0)
    told = " ".join(problem.summary for problem in one.problems if problem.severity is Severity.WARNING)
    assert "the source lets go of it, and no longer lists it" in told
    assert "with a new id" in told
    assert planned(shared.plan()).mover == "glance-stream"


def test_it_changes_hands_and_comes_back_with_the_same_bytes(shared):
    before, data = states(shared), content(shared.source)
    (was,) = volumes(shared.source)
    record = shared.app.run(start(shared))
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    assert volumes(shared.source) == []
    (there,) = volumes(shared.destination)
    assert content(shared.destination) == data
    for name in ("name", "description", "size", "readonly", "bootable", "image_metadata"):
        assert there[name] == was[name]
    report = shared.app.report(record.id)
    assert report.verified
    (told,) = [one for one in report.resources if one.name == "backup"]
    assert (told.mover, told.bytes) == ("cinder-manage", 0)
    assert shared.plan(overrides=RULE).nothing_to_do
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert states(shared) == before
    assert content(shared.source) == data
    (again,) = volumes(shared.source)
    assert again["id"] != was["id"]
    told = [one.event() for one in shared.app.store.events.read(migration=record.id, limit=10000)]
    assert any(isinstance(one, Noted) and again["id"] in one.text for one in told)


def test_it_stays_the_sources_until_the_cutover(shared):
    id = start(shared, prepare=True)
    assert shared.app.run(id).prepared
    (row,) = volumes(shared.source)
    assert row["status"] == "available"
    assert volumes(shared.destination) == []
    assert shared.app.cut_over(id).state is MigrationState.SUCCEEDED
    assert volumes(shared.source) == []
    assert len(volumes(shared.destination)) == 1


def test_on_another_storage_the_source_keeps_it(site):
    before, data = site.states(), content(site.source)
    record = site.app.run(start(site))
    assert record.state is MigrationState.PARTIAL
    assert "does not see" in record.reason
    assert content(site.source) == data
    assert not [write for write in site.source.counts.writes if write["kind"] == UNMANAGE]
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


@pytest.mark.parametrize("fault", ["refused", "failed", "unseen"])
def test_what_the_destination_cannot_take_is_given_back(shared, fault):
    before, data = states(shared), content(shared.source)
    id = start(shared)
    if fault == "refused":
        shared.destination.faults.add("status", kind=MANAGE, code=403)
    elif fault == "failed":
        shared.destination.volume_driver.breaks = True
    else:
        shared.destination.same_storage.clear()  # another storage, from when it looked on
        shared.destination.same_storage.append(_Vanishing(shared))
    record = shared.app.run(id)
    assert record.state is MigrationState.PARTIAL
    assert content(shared.source) == data
    assert volumes(shared.destination) == []
    shared.destination.faults.clear()
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert states(shared) == before


class _Vanishing:
    """A storage that shows what the source manages, and not what it has let go of."""

    def __init__(self, site):
        self.files = self
        self._site = site

    def all(self):
        return ((kind, id, path) for kind, id, path in self._site.source.files.all() if kind == "volumes")


def test_what_was_copied_before_is_never_let_go_of(shared):
    shared.migrate("lab")
    there = volumes(shared.destination, "notes")
    with shared.source.transaction():
        (row,) = shared.source.table("volumes").find(name="notes")
        shared.source.table("volumes").update(row["id"], {"description": "once more"})
    plan = shared.plan("lab", overrides=RULE)
    (one,) = [one for one in plan.resources if one.resource.name == "notes" and one.ref.type == "volume"]
    assert one.action is Action.UPDATE
    record = shared.app.run(shared.app.start(plan, check_fresh=False).id)
    assert volumes(shared.destination, "notes")[0]["description"] == "once more"
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    (now,) = volumes(shared.destination, "notes")
    assert [{**row, "updated_at": now["updated_at"]} for row in there] == [now]


@pytest.mark.parametrize("driver", [{"renames": True}, {"page": 1}], ids=str)
def test_whatever_it_is_called_and_however_the_list_is_cut(shared, driver):
    for cloud in (shared.source, shared.destination):
        for name, value in driver.items():
            setattr(cloud.volume_driver, name, value)
    before, data = states(shared), content(shared.source, "notes")
    record = shared.app.run(start(shared, "lab"))
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    assert content(shared.destination, "notes") == data
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert states(shared) == before
    assert content(shared.source, "notes") == data


def test_what_comes_onto_the_storage_while_it_is_listed_is_no_trouble(shared, monkeypatch):
    """Each page begins at a number, so that what is new puts others onto the next page once more."""
    listing, came = volume_storage._listing, []

    def grows(cloud, request, *, detail):
        if cloud is shared.destination and len(came) < 3 and (offset := int(request.arg("offset") or 0)):
            came.append(offset)
            for number in range(offset - 1):
                cloud.files.create("unmanaged", f"a-{len(came)}-{number}", size=1)
        return listing(cloud, request, detail=detail)

    monkeypatch.setattr(volume_storage, "_listing", grows)
    record = shared.app.run(start(shared, "lab"))
    assert len(came) > 1
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")


def test_what_the_destination_says_is_unsafe_stays_the_sources(shared):
    shared.destination.volume_driver.unsafe = "in a pod"
    record = shared.app.run(start(shared, "lab"))
    assert record.state is MigrationState.PARTIAL
    assert "cannot manage it: in a pod" in record.reason
    assert not [write for write in shared.source.counts.writes if write["kind"] == UNMANAGE]


def test_a_take_back_that_fails_is_tried_again_and_cannot_be_finalised_away(shared):
    before, data = states(shared), content(shared.source, "notes")
    shared.source.volume_driver.breaks = True
    shared.destination.volume_driver.breaks = True
    record = shared.app.run(start(shared, "lab"))
    assert record.state is MigrationState.PARTIAL
    (row,) = volumes(shared.source, "notes")
    assert row["status"] == "error_managing", shared.app.units(record.id)
    with pytest.raises(WrongState, match="could not be taken back: volume"):
        shared.app.finalizable(record.id, [Part.MARKERS])
    assert shared.app.rollback(record.id).state is MigrationState.ROLLBACK_INCOMPLETE
    shared.source.volume_driver.breaks = False
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert states(shared) == before
    assert content(shared.source, "notes") == data


def operators_roles(site):
    """Those that the operator has in the tenant's project, on either side."""
    return [
        one["role_id"]
        for state in site.states()
        for one in state["tables"]["role_assignments"]
        if one["actor_id"] == "users:default/admin" and one["target_id"].endswith("/lab")
    ]


@pytest.mark.parametrize("back", [True, False])
def test_the_roles_that_taking_it_back_needs_do_not_move_with_the_tenant(shared, back):
    """A retry takes back first, and then plans. Where it comes no further, they do not stay either."""
    shared.source.volume_driver.breaks = True
    shared.destination.volume_driver.breaks = True
    record = shared.app.run(start(shared, "lab"))
    assert record.state is MigrationState.PARTIAL
    shared.source.volume_driver.breaks = not back
    shared.destination.volume_driver.breaks = False
    end = MigrationState.SUCCEEDED if back else MigrationState.PARTIAL
    assert shared.app.retry(record.id).state is end
    assert operators_roles(shared) == []


@pytest.mark.crash
def test_a_plan_leaves_out_the_roles_that_a_migration_has_for_the_time_being(shared):
    record = shared.app.run(start(shared, "lab"))
    shared.killed("migration", "rollback", record.id, side="source", kind=MANAGE, when="before")
    assert operators_roles(shared)
    planned = [one for one in shared.plan("lab").resources if one.ref.type == "role_assignment"]
    assert planned
    assert [one.resource.name for one in planned if "admin on lab" in one.resource.name] == []
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert operators_roles(shared) == []


@pytest.mark.faults
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_on_the_way_back_is_got_over(shared, when):
    before, data = states(shared), content(shared.source, "notes")
    record = shared.app.run(start(shared, "lab"))
    lost = shared.destination.faults.add("drop", kind=UNMANAGE, when=when)
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert lost.hits
    assert states(shared) == before
    assert content(shared.source, "notes") == data


def test_what_was_managed_twice_is_let_go_of_twice(shared):
    """A request whose answer was lost was applied after it was looked for, and sent again."""
    before, data = states(shared), content(shared.source, "notes")
    record = shared.app.run(start(shared, "lab"))
    (row,) = volumes(shared.destination, "notes")
    with shared.destination.transaction():
        more = {"id": "0f0f0f0f-0000-4000-8000-000000000000", "status": "error_managing"}
        shared.destination.table("volumes").add({**row, **more})
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert states(shared) == before
    assert content(shared.source, "notes") == data


def test_a_volume_that_is_used_there_is_neither_deleted_nor_lost_by_a_roll_back(shared):
    before, data = states(shared), content(shared.source)
    record = shared.app.run(start(shared))
    with shared.destination.transaction():
        (row,) = shared.destination.table("volumes").find(name="backup")
        shared.destination.table("volumes").update(row["id"], {"status": "in-use"})
    assert shared.app.rollback(record.id).state is MigrationState.ROLLBACK_INCOMPLETE
    assert content(shared.destination) == data
    assert volumes(shared.source) == []
    with shared.destination.transaction():
        shared.destination.table("volumes").update(row["id"], {"status": "available"})
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert states(shared) == before
    assert content(shared.source) == data


def test_what_is_attached_or_has_snapshots_does_not_change_hands(shared):
    every = {"rules": [{"type": "volume", "set": {"mover": "cinder-manage"}}]}
    plan = shared.plan(overrides=every)
    attached = next(one for one in plan.resources if one.resource.name == "db-data")
    assert attached.action is Action.BLOCKED
    assert "never detached" in attached.reason


def test_a_service_that_cannot_list_its_storage_is_found_out_by_the_plan(shared):
    shared.destination.newest["volume"] = (3, 7)
    one = planned(shared.plan(overrides=RULE))
    assert one.action is Action.BLOCKED
    assert "does not list what lies on its storage" in one.reason


@pytest.mark.crash
@pytest.mark.parametrize("end", ["resume", "rollback"])
@pytest.mark.parametrize(
    ("side", "kind", "when"),
    [
        ("source", UNMANAGE, "after"),
        ("destination", MANAGE, "after"),
        pytest.param("source", UNMANAGE, "before", marks=pytest.mark.slow),
        pytest.param("destination", MANAGE, "before", marks=pytest.mark.slow),
    ],
    ids=lambda value: value.rpartition("/")[2],
)
def test_a_kill_while_it_changes_hands_loses_nothing(shared, tmp_path, side, kind, when, end):
    before, data = states(shared), content(shared.source, "notes")
    (tmp_path / "rules.yaml").write_text(json.dumps(RULE))
    words = ("migrate", "tenant", "lab", "--override", str(tmp_path / "rules.yaml"))
    record = shared.killed(*words, side=side, kind=kind, when=when)
    if end == "resume":
        assert shared.app.resume(record.id).state is MigrationState.SUCCEEDED
        assert volumes(shared.source, "notes") == []
        assert content(shared.destination, "notes") == data
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert states(shared) == before
    assert content(shared.source, "notes") == data


@pytest.mark.crash
@pytest.mark.parametrize(
    ("side", "kind", "when"),
    [
        ("destination", UNMANAGE, "after"),
        ("source", MANAGE, "after"),
        pytest.param("destination", UNMANAGE, "before", marks=pytest.mark.slow),
        pytest.param("source", MANAGE, "before", marks=pytest.mark.slow),
        pytest.param("source", UNMARK, "before", marks=pytest.mark.slow),
        pytest.param("source", UNMARK, "after", marks=pytest.mark.slow),
    ],
    ids=lambda value: value.rpartition("/")[2],
)
def test_a_kill_while_it_comes_back_loses_nothing(shared, side, kind, when):
    before, data = states(shared), content(shared.source, "notes")
    shared.app.run(start(shared, "lab"))
    record = shared.killed("migration", "rollback", "last", side=side, kind=kind, when=when)
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert states(shared) == before
    assert content(shared.source, "notes") == data


@pytest.mark.crash
def test_a_repeated_request_that_is_refused_since_it_was_applied_meanwhile(shared, tmp_path, monkeypatch):
    before, data = states(shared), content(shared.source, "notes")
    (tmp_path / "rules.yaml").write_text(json.dumps(RULE))
    words = ("migrate", "tenant", "lab", "--override", str(tmp_path / "rules.yaml"))
    record = shared.killed(*words, side="source", kind=UNMANAGE, when="after")
    shared.source.calm()
    assert volumes(shared.source, "notes") == []
    looks = iter(["available"])  # as it was when the run looked, a moment before
    really = managing.status_of
    monkeypatch.setattr(managing, "status_of", lambda *what: next(looks, None) or really(*what))
    assert shared.app.resume(record.id).state is MigrationState.SUCCEEDED
    assert content(shared.destination, "notes") == data
    assert shared.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert states(shared) == before


@pytest.mark.crash
def test_what_the_source_could_not_let_go_of_is_told(shared, tmp_path):
    before = states(shared)
    (tmp_path / "rules.yaml").write_text(json.dumps(RULE))
    words = ("migrate", "tenant", "lab", "--override", str(tmp_path / "rules.yaml"))
    record = shared.killed(*words, side="source", kind=UNMANAGE, when="before")
    (row,) = volumes(shared.source, "notes")
    for status, end in (
        ("error_unmanaging", MigrationState.ROLLBACK_INCOMPLETE),
        ("available", MigrationState.ROLLED_BACK),
    ):
        with shared.source.transaction():
            shared.source.table("volumes").update(row["id"], {"status": status})
        assert shared.app.rollback(record.id).state is end
    assert states(shared) == before
