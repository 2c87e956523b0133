from __future__ import annotations

import pytest
import requests
import urllib3.exceptions

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds.failures import Place, clean, from_exception, never_sent

from .conftest import Reply

GLANCE_HTML = b"""<html>
 <head>
  <title>409 Conflict</title>
 </head>
 <body>
  <h1>409 Conflict</h1>
  Image i already exists, &amp; is &quot;active&quot;.<br /><br />



 </body>
</html>"""
NOVA_QUOTA = "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"
NEUTRON_QUOTA = {"type": "OverQuota", "message": "Quota exceeded for resources: ['network'].", "detail": ""}
CINDER_QUOTA = "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'."
POLICY = "Policy doesn't allow os_compute_api:os-quota-sets:update to be performed."


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (400, {"badRequest": {"code": 400, "message": "Bad networks"}}, errors.BadRequest, "Bad networks"),
        (401, {"error": {"code": 401, "message": "Log in"}}, errors.Unauthorized, "Log in"),
        (403, {"error": {"code": 403, "message": "Not you"}}, errors.Forbidden, "Not you"),
        (403, {"forbidden": {"code": 403, "message": NOVA_QUOTA}}, errors.QuotaExceeded, "Quota exceeded"),
        (403, {"forbidden": {"code": 403, "message": POLICY}}, errors.Forbidden, "Policy doesn't"),
        (409, {"NeutronError": NEUTRON_QUOTA}, errors.QuotaExceeded, "['network']"),
        (413, {"overLimit": {"message": CINDER_QUOTA, "code": 413}}, errors.QuotaExceeded, "Maximum number"),
        (413, b"Request Entity Too Large", errors.BadRequest, "Too Large"),
        (404, {"NeutronError": {"type": "NetworkNotFound", "message": "No net"}}, errors.NotFound, "No net"),
        (409, {"NeutronError": "in use"}, errors.Conflict, "in use"),
        (409, GLANCE_HTML, errors.Conflict, 'Image i already exists, & is "active"'),
        (409, {"message": "Taken.<br /><br />\n", "code": "409 Conflict"}, errors.Conflict, "Taken"),
        (410, {}, errors.NotFound, "answered 410"),
        (415, b"Unsupported", errors.BadRequest, "Unsupported"),
        (400, {"errors": [{"title": "Bad", "detail": "worse"}]}, errors.BadRequest, "worse"),
        (501, {}, errors.Unavailable, "answered 501"),
    ],
)
def test_every_failure_becomes_one_error_with_the_services_own_words(cloud, server, status, body, kind, text):
    server.on("POST", "/network/v2.0/networks", Reply(status, body, {"x-openstack-request-id": "req-5"}))
    with pytest.raises(errors.CloudError) as caught:
        cloud.post(Service.NETWORK, "/networks", {})
    error = caught.value
    assert type(error) is kind
    assert text in error.message
    assert "<" not in error.message
    assert (error.cloud, error.service, error.method, error.path) == ("here", "network", "POST", "/networks")
    assert (error.status, error.request_id) == (status, "req-5")


def test_the_older_name_of_computes_request_id(cloud, server):
    server.on("GET", "/compute/v2.1/servers/s", Reply(404, {}, {"x-compute-request-id": "req-9"}))
    with pytest.raises(errors.NotFound) as caught:
        cloud.get(Service.COMPUTE, "/servers/s")
    assert caught.value.request_id == "req-9"


def test_secrets_that_a_service_quotes_are_taken_out(cloud, server):
    message = "Invalid input for field/attribute user_data. Value: c2VjcmV0. 'c2VjcmV0' is too long"
    server.on("POST", "/compute/v2.1/servers", Reply(400, {"badRequest": {"message": message}}))
    with pytest.raises(errors.BadRequest) as caught:
        cloud.post(Service.COMPUTE, "/servers", {"server": {"user_data": "c2VjcmV0", "name": "n"}})
    assert "c2VjcmV0" not in str(caught.value)
    assert "is too long" in str(caught.value)


def test_the_query_is_left_out(cloud, server):
    with pytest.raises(errors.NotFound) as caught:
        cloud.get(Service.COMPUTE, "/servers", params={"name": "private"})
    assert "private" not in str(caught.value)


def test_long_messages_are_cut():
    assert len(clean("word " * 1000)) < 700


def test_the_reason_is_that_of_this_failure_not_of_one_that_was_being_handled():
    place = Place(cloud="here", service=Service.IMAGE, method="POST", path="/images")
    spoilt = errors.ResourceFailed("is killed", next_step="Delete this image and create it again.")
    lost = requests.ConnectionError(ConnectionResetError(104, "Connection reset by peer"))
    lost.__context__ = spoilt
    told = from_exception(place, lost)
    assert "Connection reset by peer" in told.message
    assert "killed" not in told.message
    refused = urllib3.exceptions.NewConnectionError(None, "refused")
    lost.__context__ = refused
    assert never_sent(lost)
    wrapper = requests.ReadTimeout("no answer")
    spoilt.__context__ = refused
    wrapper.__context__ = spoilt
    assert not never_sent(wrapper)
