"""What is not a migration's own is never changed and never removed: other people's, other migrations'."""

from __future__ import annotations

import openstack
import pytest

from pumphouse import errors
from pumphouse.model import ScopeKind
from pumphouse.store.states import MigrationState


@pytest.fixture
def there(site):
    """The destination, as its own operators see it."""
    return openstack.connect(cloud="destination")


@pytest.mark.parametrize("what", ["user", "project", "flavor"])
def test_what_others_make_between_plan_and_run_outlives_the_failure(site, there, what):
    record = site.app.start(site.plan(), check_fresh=False)
    if what == "user":
        theirs = there.identity.create_user(name="anna", email="anna@elsewhere.example", domain_id="default")
    elif what == "project":
        theirs = there.identity.create_project(name="shop", domain_id="default")
    else:
        theirs = there.compute.create_flavor(name="m1.small", ram=64, vcpus=1, disk=1)
    record = site.app.run(record.id)
    assert record.state in {MigrationState.FAILED, MigrationState.PARTIAL}
    assert "409" in record.reason
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    find = {
        "user": there.identity.get_user,
        "project": there.identity.get_project,
        "flavor": there.compute.get_flavor,
    }
    assert find[what](theirs.id).name == theirs.name


def test_a_user_who_was_there_is_used_and_not_changed_by_a_second_run_either(site, there):
    theirs = there.identity.create_user(name="anna", email="anna@elsewhere.example", domain_id="default")
    assert site.migrate().state is MigrationState.SUCCEEDED
    assert site.plan().nothing_to_do
    assert there.identity.get_user(theirs.id).email == "anna@elsewhere.example"


@pytest.fixture
def shared(site):
    """A role that users of both tenants have, and a flavor that servers of both have."""
    here = openstack.connect(cloud="source")
    role = here.identity.create_role(name="operator")
    for tenant, user in (("shop", "anna"), ("lab", "lena")):
        project = here.identity.find_project(tenant)
        here.identity.assign_project_role_to_user(project, here.identity.find_user(user), role)
    here.compute.flavor_add_tenant_access(
        here.compute.find_flavor("db.large").id, here.identity.find_project("lab").id
    )


@pytest.mark.slow
def test_what_another_migration_uses_outlives_the_roll_back_of_the_one_that_made_it(site, there, shared):
    before = site.states()
    first, second = site.migrate("shop"), site.migrate("lab")
    assert (first.state, second.state) == (MigrationState.SUCCEEDED,) * 2
    assert site.app.rollback(first.id).state is MigrationState.ROLLED_BACK
    assert there.identity.find_role("operator") is not None
    assert site.app.verify(second.id).verified
    stays = [
        one for one in site.app.events(first.id) if one.kind == "noted" and second.id in str(one.payload)
    ]
    assert stays
    assert site.app.rollback(second.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


@pytest.mark.slow
def test_the_maker_removes_what_another_one_has_used_once_that_is_rolled_back(site, there, shared):
    before = site.states()
    first, second = site.migrate("shop"), site.migrate("lab")
    assert site.app.rollback(second.id).state is MigrationState.ROLLED_BACK
    assert there.identity.find_role("operator") is not None
    assert site.app.verify(first.id).verified
    assert site.app.rollback(first.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


@pytest.mark.slow
def test_an_image_without_its_data_is_not_taken_for_migrated_by_another_store(site, there):
    here = openstack.connect(cloud="source")
    image = here.image.find_image("shop-app")
    there.image.create_image(
        "shop-app",
        disk_format="qcow2",
        container_format="bare",
        pumphouse_source=image.id,
        allow_duplicates=True,
    )
    with pytest.raises(errors.PlanBlocked, match="is not whole: its status is queued"):
        site.plan("shop-app", kind=ScopeKind.IMAGE).require_unblocked()
