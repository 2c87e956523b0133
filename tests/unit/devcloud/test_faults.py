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


@pytest.mark.parametrize(("when", "applied"), [("before", set()), ("after", {"shop"})])
def test_a_connection_is_dropped_before_or_after_the_request_is_applied(cloud, admin, when, applied):
    cloud.faults.add("drop", method="POST", path=PROJECTS, when=when)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        admin("POST", PROJECTS, project("shop"))
    assert names(cloud) == applied
    assert admin("GET", PROJECTS)[0] == 200, "the next request finds the cloud well"


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
    threading.Timer(0.2, cloud.faults.clear).start()
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        admin("GET", PROJECTS)


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
        {"method": "POST", "path": PROJECTS, "status": 201},
        {"method": "POST", "path": PROJECTS, "status": 409},
    ]


def test_tokens_expire_by_order(admin):
    assert admin("POST", "/_devcloud/expire-tokens")[0] == 204
    assert admin("GET", PROJECTS)[0] == 401


def test_writes_of_one_kind_can_be_counted_for_a_hold(cloud, admin, http_client):
    cloud.holds.set(2, "before", method="POST", path="/identity/*/projects")
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
