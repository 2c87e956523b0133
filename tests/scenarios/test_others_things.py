"""What is not a migration's own is never changed and never removed: other people's, other migrations'."""

from __future__ import annotations

import openstack
import pytest

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
