from __future__ import annotations

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds import Clouds

from .conftest import QUICK

DOCUMENTS = {
    Service.IDENTITY: "GET /identity/v3",
    Service.COMPUTE: "GET /compute/v2.1",
    Service.IMAGE: "GET /image",
    Service.VOLUME: "GET /volume/v3",
}
LISTS = {
    Service.IDENTITY: ("/projects", "projects"),
    Service.COMPUTE: ("/servers", "servers"),
    Service.IMAGE: ("/images", "images"),
    Service.VOLUME: ("/volumes", "volumes"),
}
PASSING = {
    "503": {"action": "status", "code": 503},
    "500": {"action": "status", "code": 500},
    "drop": {"action": "drop"},
    "half-body": {"action": "half_body"},
}


@pytest.fixture
def here(make_cloud, write_clouds_yaml):
    cloud = make_cloud("here")
    write_clouds_yaml(here=cloud)
    return cloud


@pytest.mark.faults
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("service", DOCUMENTS)
def test_a_version_document_that_fails_for_a_moment_is_asked_for_again(here, service, fault):
    injected = here.faults.add(kind=DOCUMENTS[service], times=2, **fault)
    cloud = Clouds(settings=QUICK).open("here")
    path, key = LISTS[service]
    assert isinstance(cloud.list(service, path, key), list)
    assert injected.hits == 2
    if service in {Service.COMPUTE, Service.VOLUME}:
        oldest, newest = cloud.versions(service) or ((), ())
        assert newest > oldest
    cloud.close()


@pytest.mark.faults
@pytest.mark.parametrize("code", [403, 404, 503])
@pytest.mark.parametrize("service", [Service.COMPUTE, Service.IMAGE, Service.VOLUME])
def test_a_service_that_does_not_tell_its_version_is_not_spoken_to(here, service, code):
    """Without its microversions a migration would leave out fields; without its version, nothing is there."""
    for kind in (DOCUMENTS[service], DOCUMENTS[service].rpartition("/")[0]):
        here.faults.add("status", kind=kind, code=code, times=0)
    cloud = Clouds(settings=QUICK).open("here")
    here.counts.reset()
    with pytest.raises(errors.CloudError) as caught:
        cloud.get(service, f"{LISTS[service][0]}/none")
    assert not isinstance(caught.value, errors.NotFound)
    assert caught.value.cloud == "here"
    assert caught.value.request_id.startswith("req-")
    assert caught.value.next_step
    assert not any("{" in kind for kind in here.counts.requests)
    cloud.close()


@pytest.mark.faults
@pytest.mark.parametrize("code", [400, 404, 409, 413])
def test_what_is_said_of_a_token_is_not_taken_for_a_word_on_the_resource(here, code):
    cloud = Clouds(settings=QUICK).open("here")
    cloud.list(Service.COMPUTE, "/servers", "servers")
    here.expire_tokens()
    here.faults.add("status", kind="POST /identity/v3/auth/tokens", code=code, times=0)
    with pytest.raises(errors.Unavailable) as caught:
        cloud.get(Service.COMPUTE, "/servers/none")
    assert caught.value.request_id.startswith("req-")
    cloud.close()


@pytest.mark.faults
def test_an_identity_service_that_wants_a_token_for_its_version_does_not_hang(here):
    here.faults.add("status", kind="GET /identity/v3", code=401, times=0)
    with pytest.raises(errors.Unauthorized, match=r"injected fault .*cloud here, request req-"):
        Clouds(settings=QUICK).open("here")
