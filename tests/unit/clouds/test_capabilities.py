from __future__ import annotations

import dataclasses

import pytest

from pumphouse.cloud_api import Service
from pumphouse.clouds.capabilities import check

from .conftest import Reply

ALIASES = (
    "standard-attr-tag",
    "port-security",
    "net-mtu-writable",
    "address-scope",
    "stateful-security-group",
    "allowed-address-pairs",
    "dns-integration",
    "quota_details",
)


@pytest.fixture
def complete(server):
    server.versions["compute"] = ("2.1", "2.96")
    server.on("GET", "/compute/v2.1/flavors", Reply(body={"flavors": []}))
    server.on("GET", "/compute/v2.1/servers", Reply(body={"servers": []}))
    server.on("GET", "/image/v2/images", Reply(body={"images": []}))
    server.on("GET", "/volume/v3/volumes", Reply(body={"volumes": []}))
    server.on("GET", "/identity/v3/projects", Reply(body={"projects": []}))
    found = [{"alias": alias} for alias in ALIASES]
    server.on("GET", "/network/v2.0/extensions", Reply(body={"extensions": found}))
    return server


def by_service(found):
    return {each.service: each for each in found.services}


def test_a_cloud_that_lacks_nothing(cloud, complete):
    found = check(cloud)
    assert found.usable
    assert found.admin
    assert found.warnings == ()
    assert (found.name, found.region, found.user_id, found.roles) == ("here", "RegionOne", "u1", ("admin",))
    assert found.extensions == tuple(sorted(ALIASES))
    compute = by_service(found)[Service.COMPUTE]
    assert compute.url.startswith(f"{complete.url}/compute/v2.1")
    assert (compute.version, compute.oldest_microversion, compute.newest_microversion) == (
        "2.1",
        "2.1",
        "2.96",
    )
    assert [each.service for each in found.services] == list(Service)
    assert dataclasses.is_dataclass(found)


def test_an_older_cloud_says_what_is_lost(cloud, complete):
    complete.versions["compute"] = ("2.1", "2.51")
    complete.on("GET", "/network/v2.0/extensions", Reply(body={"extensions": []}))
    found = check(cloud)
    assert found.usable
    assert any("older than 2.52" in warning and "tags" in warning for warning in found.warnings)
    assert not any("2.19" in warning for warning in found.warnings)
    assert sum("no extension" in warning for warning in found.warnings) == len(ALIASES)


def test_an_account_that_may_see_nothing_of_others(cloud, complete):
    complete.on("GET", "/identity/v3/projects", Reply(403, {"error": {"message": "no", "code": 403}}))
    complete.on("GET", "/compute/v2.1/servers", Reply(403, {"forbidden": {"message": "no", "code": 403}}))
    found = check(cloud)
    assert not found.admin
    assert not found.usable
    assert sum("admin role" in warning for warning in found.warnings) == 2


@pytest.mark.faults
def test_a_service_that_is_down_is_told_and_the_others_are_asked(cloud, complete):
    complete.on("GET", "/volume/v3/volumes", Reply(503, {"message": "closed for repair"}))
    found = check(cloud)
    assert "closed for repair" in by_service(found)[Service.VOLUME].error
    assert not by_service(found)[Service.COMPUTE].error
    assert not found.usable


def test_a_service_that_is_missing_is_told(cloud, complete):
    del complete.services["network"]
    found = check(cloud.within("p2"))
    assert "no network service" in by_service(found)[Service.NETWORK].error
    assert found.extensions == ()
