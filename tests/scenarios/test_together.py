"""Migrations at once, of tenants that need the same things: each is made once, and none waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from pumphouse.devcloud.client import Client
from pumphouse.devcloud.fill import fill
from pumphouse.events import StepChanged, StepProgressed
from pumphouse.flow.tasks import applying
from pumphouse.model import Action, Scope, ScopeKind

PATCH = "application/openstack-images-v2.1-json-patch"
TEAMS = tuple(f"team-{number}" for number in range(10))


def network(name, cidr, **more):
    return {"name": name, "subnets": [{"name": name, "cidr": cidr}], **more}


def team(name):
    """A tenant that needs what all need: a flavor, an image, a role, a way out, a network of another's."""
    ports = [{"network": name}, {"network": "backbone"}]
    return {
        "users": [{"name": name, "password": f"{name}-secret", "roles": ["member", "auditor"]}],
        "networks": [network(name, "10.1.0.0/24")],
        "routers": [{"name": name, "gateway": "public", "interfaces": [name]}],
        "servers": [{"name": name, "flavor": "tiny", "image": "linux", "ports": ports}],
    }


CORE = {
    "users": [{"name": "core", "password": "core-secret", "roles": ["member"]}],
    "networks": [network("backbone", "10.9.0.0/16")],
    "images": [{"name": "linux", "visibility": "community", "content": {"seed": "linux", "kib": 256}}],
}


def admin(cloud):
    return Client(cloud.url, username="admin", password=cloud.admin_password, project="admin")


@pytest.fixture
def teams(site):
    """Ten tenants, and one that shares a network and an image with them."""
    with admin(site.source) as client:
        client.post("identity", "/roles", {"role": {"name": "auditor"}})
        flavors = [{"name": "tiny", "ram": 256, "vcpus": 1, "disk": 1}]
        fill(site.source, {"flavors": flavors, "tenants": {"core": CORE}})
        (backbone,) = client.get("network", "/networks?name=backbone")["networks"]
        client.put("network", f"/networks/{backbone['id']}", {"network": {"shared": True}})
        (image,) = client.get("image", "/images?visibility=all&name=linux")["images"]
        public = [{"op": "replace", "path": "/visibility", "value": "public"}]
        client.request("image", "PATCH", f"/images/{image['id']}", public, headers={"Content-Type": PATCH})
        fill(site.source, {"tenants": {name: team(name) for name in TEAMS}})
    return site


def begin(site, name):
    plan = site.app.plan(
        Scope(kind=ScopeKind.TENANT, names=(name,)), source="source", destination="destination"
    )
    return site.app.start(plan, check_fresh=False).id


def by_process(site, names):
    """Each by a process of its own, all on one store; each one's exit status and words."""
    words = [sys.executable, "-m", "pumphouse", "--config-file", str(site.config_file), "migrate", "tenant"]
    running = [
        subprocess.Popen(
            [*words, name, "--yes", "--progress", "plain"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OS_ENGINE__JOBS": "3"},
        )
        for name in names
    ]
    try:
        told = [one.communicate(timeout=300)[0] for one in running]
    finally:
        for one in running:
            one.kill()
    return [(one.returncode, text) for one, text in zip(running, told, strict=True) if one.returncode]


def by_thread(site, names):
    """All by this process; what did not succeed."""
    ids = [begin(site, name) for name in names]
    with ThreadPoolExecutor(len(ids)) as pool:
        ended = list(pool.map(lambda id: site.app.run(id, jobs=3), ids))
    return [(str(one.state), one.reason) for one in ended if str(one.state) != "SUCCEEDED"]


def each_once(site, names):
    """Every thing of the destination is there once, and whole."""
    with admin(site.destination) as client:
        for service, path, key, expected in (
            ("identity", "/projects", "projects", {"core", *names}),
            ("identity", "/users", "users", set(names)),
            ("identity", "/roles", "roles", {"auditor"}),
            ("compute", "/flavors", "flavors", {"tiny"}),
            ("network", "/networks", "networks", {"backbone", "public", *names}),
            ("network", "/subnets", "subnets", {"backbone", *names}),
            ("network", "/routers", "routers", set(names)),
            ("image", "/images", "images", {"linux"}),
            ("compute", "/servers/detail?all_tenants=1", "servers", set(names)),
        ):
            found = client.get(service, path)[key]
            count = Counter(one["name"] for one in found)
            assert {name: count[name] for name in expected} == dict.fromkeys(expected, 1), path
            assert {one.get("status") for one in found} <= {None, "ACTIVE", "active"}, path


def no_event_is_lost(site, count):
    """Each step of each plan has begun and ended, and been told."""
    migrations = site.app.migrations()
    assert len(migrations) == count
    for migration in migrations:
        plan = site.app.plan_of(migration.id)
        expected = {
            (str(one.ref), step.name)
            for one in plan.doing(Action.CREATE, Action.UPDATE)
            for step in applying(one, site.app.registry)
        }
        told = [one for one in events_of(site, migration.id) if isinstance(one, StepChanged)]
        for state in ("RUNNING", "SUCCESS"):
            assert {(one.resource, one.step) for one in told if one.state == state} == expected


def events_of(site, id):
    after = 0
    while page := site.app.store.events.read(after=after, migration=id):
        yield from (one.event() for one in page)
        after = page[-1].seq


def waits(site):
    """Whether a step tells that it waits for another migration."""
    told = (one for migration in site.app.migrations() for one in events_of(site, migration.id))
    return any("waits for migration" in one.text for one in told if isinstance(one, StepProgressed))


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("how", [by_thread, pytest.param(by_process, marks=pytest.mark.slow)])
@pytest.mark.parametrize("count", [2, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_what_several_need_is_made_once(teams, how, count):
    assert how(teams, TEAMS[:count]) == []
    each_once(teams, TEAMS[:count])
    no_event_is_lost(teams, count)


@pytest.mark.parametrize("first", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_one_made_for_both_goes_with_the_last_of_them(teams, first):
    """Whichever is taken back first."""
    before = teams.destination.state()
    ids = [begin(teams, name) for name in TEAMS[:2]]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(teams.app.run, ids))
    assert str(teams.app.rollback(ids[first]).state) == "ROLLED_BACK"
    stays = teams.app.verify(ids[1 - first])
    assert stays.verified
    each_once(teams, TEAMS[1 - first : 2 - first])
    assert str(teams.app.rollback(ids[1 - first]).state) == "ROLLED_BACK"
    assert teams.destination.state() == before


@pytest.mark.slow
def test_who_waits_for_what_fails_makes_it(teams):
    """The first cannot copy the image, and takes its record back; the second then makes both."""
    cloud = teams.destination
    fault = cloud.faults.add("status", method="PUT", path="/image/v2/images/*/file", code=403)
    ids = [begin(teams, name) for name in TEAMS[:2]]
    with ThreadPoolExecutor(2) as pool:
        states = Counter(str(one.state) for one in pool.map(teams.app.run, ids))
    assert fault.hits == 1
    assert states == {"SUCCEEDED": 1, "PARTIAL": 1}
    (partial,) = (id for id in ids if str(teams.app.migration(id).state) == "PARTIAL")
    assert str(teams.app.retry(partial).state) == "SUCCEEDED"
    each_once(teams, TEAMS[:2])


def test_what_is_being_made_is_waited_for_by_a_plan_made_meanwhile(teams):
    cloud = teams.destination
    first = begin(teams, TEAMS[0])
    fault = cloud.faults.add("stall", method="PUT", path="/image/v2/images/*/file")
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(teams.app.run, first)
        wait_until(lambda: fault.hits)
        planned = teams.plan(TEAMS[1])
        (image,) = (one for one in planned.resources if one.ref.type == "image")
        assert (str(image.action), image.reason) == (
            "create",
            f"migration {first} is creating it: it is waited for and used",
        )
        second = pool.submit(teams.app.run, teams.app.start(planned, check_fresh=False).id)
        wait_until(lambda: waits(teams))
        cloud.faults.clear()
        assert [str(one.result(120).state) for one in (running, second)] == ["SUCCEEDED"] * 2
    each_once(teams, TEAMS[:2])
