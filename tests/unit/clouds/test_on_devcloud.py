"""The same calls against the embedded clouds, which keep the services' own rules."""

from __future__ import annotations

import hashlib
import os

import pytest
import yaml

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds import Clouds
from pumphouse.clouds.capabilities import check
from pumphouse.clouds.keystone_db import PasswordStore, copy_passwords
from pumphouse.transfer import copy_image_data

from .conftest import QUICK


@pytest.fixture
def clouds(cloud_pair):
    return Clouds(settings=QUICK)


@pytest.fixture
def source(clouds):
    opened = clouds.open("source")
    yield opened
    opened.close()


@pytest.fixture
def destination(clouds):
    opened = clouds.open("destination")
    yield opened
    opened.close()


def test_two_clouds_are_two(clouds, source, destination):
    assert clouds.names() == ["destination", "source"]
    assert source.identity_of() != destination.identity_of()
    assert clouds.open("source").identity_of() == source.identity_of()


def test_a_cloud_that_is_fit_for_a_migration(source):
    found = check(source)
    assert [each.error for each in found.services] == [""] * len(Service)
    assert found.usable


def test_acting_in_a_project_needs_a_role_there(source):
    made = source.post(Service.IDENTITY, "/projects", {"project": {"name": "tenant", "domain_id": "default"}})
    project_id = made["project"]["id"]
    with pytest.raises(errors.Unauthorized):
        assert source.within(project_id).project_id
    (role,) = source.list(Service.IDENTITY, "/roles", "roles", params={"name": "member"})
    grant = f"/projects/{project_id}/users/{source.user_id}/roles/{role['id']}"
    assert not source.exists(Service.IDENTITY, grant)
    source.put(Service.IDENTITY, grant)
    assert source.exists(Service.IDENTITY, grant)
    assert source.within(project_id, fresh=True).project_id == project_id
    assert source.delete(Service.IDENTITY, grant) is True


def test_a_user_logs_into_the_destination_with_the_old_password(cloud_pair, source, destination, tmp_path):
    ids = []
    for cloud, password in ((source, "old Passw0rd é"), (destination, "throw-away")):
        body = {"user": {"name": "mover", "password": password, "domain_id": "default"}}
        user_id = cloud.post(Service.IDENTITY, "/users", body)["user"]["id"]
        (role,) = cloud.list(Service.IDENTITY, "/roles", "roles", params={"name": "member"})
        cloud.put(Service.IDENTITY, f"/projects/{cloud.project_id}/users/{user_id}/roles/{role['id']}")
        ids.append(user_id)
    stores = [
        PasswordStore(f"sqlite:///{cloud.keystone_database}")
        for cloud in (cloud_pair.source, cloud_pair.destination)
    ]
    assert copy_passwords(*stores, {ids[0]: ids[1]}).kept == (ids[0],)
    assert login(cloud_pair, tmp_path, "old Passw0rd é") == ids[1]
    with pytest.raises(errors.Unauthorized):
        login(cloud_pair, tmp_path, "throw-away")


def login(cloud_pair, tmp_path, password):
    """The user id that Keystone knows a person by who types this password."""
    data = yaml.safe_load(cloud_pair.clouds_yaml.read_text())
    data["clouds"]["destination"]["auth"] |= {"username": "mover", "password": password}
    cloud_pair.clouds_yaml.write_text(yaml.safe_dump(data))
    cloud = Clouds(settings=QUICK).open("destination")
    cloud.close()
    return cloud.user_id


def test_image_data_arrive(source, destination):
    data = os.urandom(3_000_001)
    record = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    ours = source.post(Service.IMAGE, "/images", record)["id"]
    source.put_image(ours, Body(data), len(data))
    theirs = destination.post(Service.IMAGE, "/images", record)["id"]
    moved = copy_image_data(source, ours, destination, theirs, size=len(data))
    assert moved.digest == f"sha512:{hashlib.sha512(data).hexdigest()}"
    with destination.open_image(theirs) as stream:
        assert stream.length == len(data)
        assert stream.read() == data


class Body:
    def __init__(self, data):
        self._data = data

    def read(self, size=-1):
        taken, self._data = self._data[:size], self._data[size:]
        return taken
