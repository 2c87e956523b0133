from __future__ import annotations

import http.client
import threading
import time

import pytest

PROJECTS = "/identity/v3/projects"


def project(name):
    return {"project": {"name": name, "domain_id": "default"}}


def names(cloud):
    return {row["name"] for row in cloud.table("projects")} - {"admin", "service"}


def test_an_answer_is_injected_after_some_and_so_many_times(admin):
    rule = {"action": "status", "path": "/identity/*/projects", "after": 1, "times": 2, "code": 429}
    rule |= {"method": "GET", "headers": {"Retry-After": "1"}, "body": {"slow": "down"}}
    assert admin("POST", "/_devcloud/faults", rule)[0] == 201
    answers = [admin("GET", PROJECTS) for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 429, 429, 200]
    assert (answers[1][1], answers[1][2]["retry-after"]) == ({"slow": "down"}, "1")
    assert admin("GET", "/_devcloud/faults")[1]["faults"][0]["hits"] == 2
    assert admin("DELETE", "/_devcloud/faults")[0] == 204
    assert admin("GET", "/_devcloud/faults")[1]["faults"] == []
    assert admin("POST", "/_devcloud/faults", {"action": "explode"})[0] == 400
    assert admin("POST", "/_devcloud/faults", {"action": "drop", "colour": "red"})[0] == 400


def test_a_fault_hits_one_method_and_one_path(cloud, admin):
    groups = "/identity/v3/groups"
    fault = cloud.faults.add("status", method="POST", path="/identity/*/groups", code=418, times=0)
    assert admin("POST", PROJECTS, project("shop"))[0] == 201
    assert admin("GET", groups)[0] == 200
    assert fault.hits == 0
    assert admin("POST", groups, {"group": {"name": "staff", "domain_id": "default"}})[0] == 418


@pytest.mark.parametrize(("when", "applied"), [("before", set()), ("after", {"shop"})])
def test_a_connection_is_dropped_before_or_after_the_request_is_applied(cloud, admin, when, applied):
    cloud.faults.add("drop", method="POST", path=PROJECTS, when=when)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        admin("POST", PROJECTS, project("shop"))
    assert names(cloud) == applied
    assert admin("GET", PROJECTS)[0] == 200, "the next request finds the cloud well"


def test_a_connection_is_dropped_in_the_middle_of_an_upload(cloud, admin):
    record = {"name": "disk", "disk_format": "raw", "container_format": "bare"}
    image = admin("POST", "/image/v2/images", record)[1]
    path = f"/image/v2/images/{image['id']}/file"
    cloud.faults.add("drop", kind="PUT /image/v2/images/{image_id}/file", when="middle")
    headers = {"Content-Type": "application/octet-stream"}
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        admin("PUT", path, b"x" * 5_000_000, headers)
    assert admin("GET", f"/image/v2/images/{image['id']}")[1]["status"] == "queued"
    assert not cloud.files.exists("images", image["id"])
    assert admin("PUT", path, b"x" * 5_000_000, headers)[0] == 204
    assert admin("GET", f"/image/v2/images/{image['id']}")[1]["size"] == 5_000_000


def test_an_answer_without_a_body_is_cut_off_in_its_status(cloud, admin):
    made = admin("POST", PROJECTS, project("shop"))[1]["project"]["id"]
    cloud.faults.add("half_body", method="DELETE")
    with pytest.raises(http.client.HTTPException):
        admin("DELETE", f"{PROJECTS}/{made}")
    assert names(cloud) == set()


def test_a_fault_hits_one_kind_of_request(cloud, admin):
    kind = "POST /compute/v2.1/servers/{server_id}/action os-stop"
    fault = cloud.faults.add("status", kind=kind, code=418, times=0)
    path = "/compute/v2.1/servers/none/action"
    assert admin("POST", path, {"os-start": None})[0] == 404
    assert admin("POST", path, {"os-stop": None})[0] == 418
    assert fault.hits == 1
    assert cloud.counts.requests[kind] == 1


def test_version_documents_are_counted_and_can_fail(cloud, admin):
    cloud.faults.add("status", kind="GET /image", code=503)
    assert [admin("GET", "/image/")[0] for _ in range(2)] == [503, 300]
    assert cloud.counts.requests["GET /image"] == 2


def test_tokens_end_before_a_request_of_a_kind(cloud, admin):
    cloud.faults.add("expire", kind="GET /identity/v3/projects")
    assert admin("GET", "/identity/v3/users")[0] == 200
    assert admin("GET", PROJECTS)[0] == 401
    assert admin("GET", "/identity/v3/users")[0] == 401
    admin.login()
    assert admin("GET", PROJECTS)[0] == 200


def test_half_a_body_arrives(cloud, admin):
    cloud.faults.add("half_body", method="GET", path=PROJECTS)
    with pytest.raises(http.client.IncompleteRead) as caught:
        admin("GET", PROJECTS)
    assert len(caught.value.partial) > 0
    assert admin("GET", PROJECTS)[0] == 200


def test_answers_are_late_or_never_come(cloud, admin):
    cloud.faults.add("delay", path=PROJECTS, seconds=0.2)
    begin = time.monotonic()
    assert admin("GET", PROJECTS)[0] == 200
    assert time.monotonic() - begin >= 0.2
    cloud.faults.add("stall", path=PROJECTS)
    begin = time.monotonic()
    threading.Timer(0.2, cloud.faults.clear).start()
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        admin("GET", PROJECTS)
    assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize(("when", "applied"), [("before", {"a"}), ("after", {"a", "b"})])
def test_the_nth_write_is_held_until_it_is_released(cloud, admin, http_client, when, applied):
    assert admin("POST", "/_devcloud/holds", {"nth": 2, "when": when})[0] == 201
    other = http_client().login()
    assert other("GET", PROJECTS)[0] == 200
    answers = []

    def write() -> None:
        answers.extend(other("POST", PROJECTS, project(name))[0] for name in ("a", "b", "c"))

    thread = threading.Thread(target=write)
    thread.start()
    held = cloud.holds.wait_held(10)
    assert held == {"nth": 2, "when": when, "method": "POST", "path": PROJECTS}
    assert admin("GET", "/_devcloud/holds")[1]["held"] == held
    assert names(cloud) == applied
    assert admin("GET", PROJECTS)[0] == 200, "others go on"
    assert admin("POST", "/_devcloud/holds/release")[0] == 204
    thread.join(10)
    assert answers == [201, 201, 201]
    assert names(cloud) == {"a", "b", "c"}
    assert admin("GET", "/_devcloud/holds")[1] == {"wanted": None, "held": None}
    assert admin("POST", "/_devcloud/holds", {"nth": 0})[0] == 400


def test_requests_and_writes_are_counted(cloud, admin):
    admin("DELETE", "/_devcloud/counts")
    admin.login()
    admin("POST", PROJECTS, project("shop"))
    admin("POST", PROJECTS, project("shop"))
    admin("GET", f"{PROJECTS}/{next(iter(cloud.table('projects')))['id']}")
    found = admin("GET", "/_devcloud/counts")[1]
    assert found["requests"]["POST /identity/v3/projects"] == 2
    assert found["requests"]["GET /identity/v3/projects/{project_id}"] == 1
    assert found["writes"] == 2, "taking a token is no write"
    written = admin("GET", "/_devcloud/writes")[1]["writes"]
    assert written == [
        {"method": "POST", "path": PROJECTS, "kind": f"POST {PROJECTS}", "status": 201},
        {"method": "POST", "path": PROJECTS, "kind": f"POST {PROJECTS}", "status": 409},
    ]


def test_tokens_expire_by_order(admin):
    assert admin("POST", "/_devcloud/expire-tokens")[0] == 204
    assert admin("GET", PROJECTS)[0] == 401


def test_writes_of_one_kind_can_be_counted_for_a_hold(cloud, admin, http_client):
    cloud.holds.set(2, "before", kind="POST /identity/v3/projects")
    other = http_client().login()
    thread = threading.Thread(
        target=lambda: [
            other("POST", path, body)
            for path, body in (
                (PROJECTS, project("a")),
                ("/identity/v3/groups", {"group": {"name": "staff", "domain_id": "default"}}),
                (PROJECTS, project("b")),
            )
        ]
    )
    thread.start()
    assert cloud.holds.wait_held(10)["path"] == PROJECTS
    assert names(cloud) == {"a"}
    cloud.holds.release()
    thread.join(10)
    assert names(cloud) == {"a", "b"}


@pytest.mark.parametrize(("when", "applied"), [("before", set()), ("after", {"a"})])
def test_a_held_request_that_is_dropped_stays_as_it_is(cloud, http_client, when, applied):
    cloud.holds.set(1, when)
    other = http_client().login()
    broken = []

    def write() -> None:
        try:
            other("POST", PROJECTS, project("a"))
        except (ConnectionError, http.client.HTTPException) as error:
            broken.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    cloud.holds.wait_held(10)
    with pytest.raises(TimeoutError):
        cloud.calm(0.05)
    cloud.holds.drop()
    cloud.calm()
    thread.join(10)
    assert broken
    assert names(cloud) == applied
