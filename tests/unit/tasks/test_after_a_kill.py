"""A process that is killed between its intent and its request never takes somebody else's thing for its own.

The types that have no marker of their own are told apart by a description, or by what was there before the
intent was written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import openstack
import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.inventory.collect import collect
from pumphouse.model import Ref, Resource, Side
from pumphouse.registry import Registry
from pumphouse.steps import Create

from .harness import Bench

REGISTRY = Registry.load()
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0yUuY5eqBRJH+AQFBcPzyZZ3zRsZxRHNKbf1nGQfQe tester"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHNrA5TXFCdRDLEbJZN0rQ8mCRhrqPwhPnYZBHVEKLyO other"


@dataclass
class Killed:
    """A resource of the source, and how others make one of the same identity on either side."""

    bench: Bench
    kind: str
    make: Callable[[Side], str]

    def resource(self) -> Resource:
        """Made on the source, and read."""
        identity = self.make(Side.SOURCE)
        found = collect(self.bench.source, REGISTRY, types=(self.kind,)).get(Ref(self.kind, identity))
        assert found is not None
        return found

    def step(self, resource: Resource) -> Create:
        kind = REGISTRY[self.kind]
        (step,) = [one for one in kind.steps if issubclass(one, Create)]
        return step(self.bench.context, self.bench.item(kind, resource))

    def intend(self, resource: Resource) -> None:
        """As far as the first attempt came."""
        step = self.step(resource)
        want = step.want()
        step._intend(step.acting(want.project_id), want)

    def is_there(self, identity: str) -> bool:
        kind = REGISTRY[self.kind]
        return kind.show(self.bench.destination, identity, project_id=None) is not None


@pytest.fixture
def killed(bench: Bench, request: pytest.FixtureRequest) -> Killed:
    """For the type that the test names."""
    kind = request.param
    project = bench.project("tenant")
    bench.ids.put(Ref("domain", "default"), "default", made=False)
    name = f"{bench.prefix}-thing"

    def post(side: Side, service: Service, path: str, item: str, body: dict[str, Any], **more: Any) -> str:
        return str(bench.cloud(side).post(service, path, {item: body}, **more)[item]["id"])

    def own(side: Side) -> str:
        return project if side is Side.SOURCE else bench.there("project", project)

    def actor(path: str) -> Callable[[Side], str]:
        return lambda side: post(
            side, Service.IDENTITY, f"/{path}s", path, {"name": name, "domain_id": "default"}
        )

    def flavor(side: Side) -> str:
        body = {"name": name, "ram": 64, "vcpus": 1, "disk": 1}
        return post(side, Service.COMPUTE, "/flavors", "flavor", body)

    def server_group(side: Side) -> str:
        body = {"name": name, "policies": ["affinity"]}
        cloud = bench.scoped(side, own(side))
        return str(
            cloud.post(Service.COMPUTE, "/os-server-groups", {"server_group": body})["server_group"]["id"]
        )

    def address_scope(side: Side) -> str:
        body = {"name": name, "project_id": own(side), "ip_version": 4}
        return post(side, Service.NETWORK, "/address-scopes", "address_scope", body)

    network = ""

    def subnet(side: Side) -> str:
        nonlocal network
        if not network:
            network = post(Side.SOURCE, Service.NETWORK, "/networks", "network", {"project_id": project})
            there = post(
                Side.DESTINATION,
                Service.NETWORK,
                "/networks",
                "network",
                {"project_id": own(Side.DESTINATION)},
            )
            bench.ids.put(Ref("network", network), there, made=True)
        where = network if side is Side.SOURCE else bench.there("network", network)
        body = {"network_id": where, "project_id": own(side), "cidr": "10.0.0.0/24", "ip_version": 4}
        return post(side, Service.NETWORK, "/subnets", "subnet", body)

    makers = {
        "user": actor("user"),
        "group": actor("group"),
        "role": lambda side: post(side, Service.IDENTITY, "/roles", "role", {"name": name}),
        "flavor": flavor,
        "server_group": server_group,
        "address_scope": address_scope,
        "subnet": subnet,
    }
    return Killed(bench, kind, makers[kind])


UNIQUE = ["user", "group", "role", "flavor", "subnet"]
"""The service refuses a second one."""


@pytest.mark.parametrize("killed", UNIQUE, indirect=True)
@pytest.mark.parametrize("made", ["before", "after"])
def test_what_others_made_of_a_unique_name_is_a_conflict_and_stays(killed, made):
    resource = killed.resource()
    theirs = killed.make(Side.DESTINATION) if made == "before" else ""
    killed.intend(resource)
    theirs = theirs or killed.make(Side.DESTINATION)
    with pytest.raises((errors.Conflict, errors.BadRequest)):
        killed.step(resource).run()
    killed.bench.undo(REGISTRY.values(), {resource.ref: resource})
    assert killed.is_there(theirs)


@pytest.mark.parametrize(
    "killed", ["user", "group", "role", "flavor", "server_group", "address_scope", "subnet"], indirect=True
)
def test_what_the_lost_request_made_is_found_and_finished(killed):
    resource = killed.resource()
    killed.intend(resource)
    step = killed.step(resource)
    want = step.want()
    made = step.item.kind.create(step.acting(want.project_id), want)
    assert killed.step(resource).run() == made
    there = step.item.kind.show(killed.bench.destination, made, project_id=None)
    assert there.fields.get("description") in {resource.fields.get("description"), ""}
    killed.bench.undo(REGISTRY.values(), {resource.ref: resource})
    assert not killed.is_there(made)


@pytest.mark.parametrize(
    "killed", ["user", "group", "role", "flavor", "server_group", "address_scope", "subnet"], indirect=True
)
def test_what_an_attempt_has_finished_the_next_one_leaves_alone(killed, cloud_pair):
    """Attempts that all die soon would come to an end at the same request for ever."""
    resource = killed.resource()
    assert killed.step(resource).run()
    assert killed.bench.writes_again(cloud_pair.destination, REGISTRY[killed.kind], resource) == []


@pytest.mark.parametrize("killed", ["server_group", "address_scope"], indirect=True)
def test_what_was_there_of_the_same_name_is_neither_used_nor_removed(killed):
    resource = killed.resource()
    theirs = killed.make(Side.DESTINATION)
    killed.intend(resource)
    made = killed.step(resource).run()
    assert made != theirs
    killed.bench.undo(REGISTRY.values(), {resource.ref: resource})
    assert killed.is_there(theirs)
    assert not killed.is_there(made)


@pytest.mark.parametrize("killed", ["user", "role", "flavor", "server_group"], indirect=True)
def test_a_roll_back_without_resuming_leaves_what_others_made(killed):
    resource = killed.resource()
    killed.intend(resource)
    theirs = _users_own(killed) if killed.kind == "server_group" else killed.make(Side.DESTINATION)
    killed.bench.undo(REGISTRY.values(), {resource.ref: resource})
    assert killed.is_there(theirs)


def _users_own(killed: Killed) -> str:
    """A server group that a user of the tenant makes, of the same name and policy."""
    bench = killed.bench
    user = bench.there("user", bench.user("member"))
    (project,) = [identity for ref, identity in bench.ids.known.items() if ref.type == "project"]
    cloud = openstack.connect(cloud=bench.destination.name)
    cloud.identity.put(f"/projects/{project}/users/{user}/roles/{cloud.identity.find_role('member').id}")
    tenant = cloud.connect_as(
        user_id=user, username=None, password="secret", project_id=project, project_name=None
    )
    body = {"name": f"{bench.prefix}-thing", "policies": ["affinity"]}
    made: str = tenant.compute.post("/os-server-groups", json={"server_group": body}).json()["server_group"][
        "id"
    ]
    return made


@pytest.mark.parametrize(("made", "key"), [("before", SSH), ("before", OTHER), ("after", OTHER)])
def test_a_key_pair_that_the_user_has_by_then_is_the_users(bench, made, key):
    user, kind = bench.user("owner"), REGISTRY["keypair"]
    there = bench.there("user", user)
    body = {"name": "laptop", "type": "ssh"}

    def make(side: Side, public_key: str) -> None:
        owner = user if side is Side.SOURCE else there
        given = {"keypair": {**body, "user_id": owner, "public_key": public_key}}
        bench.cloud(side).post(Service.COMPUTE, "/os-keypairs", given, up_to="2.10")

    make(Side.SOURCE, SSH)
    resource = bench.read(kind, f"{user}/laptop", Side.SOURCE, Resource(ref=Ref("user", user), name=""))
    step = Create(bench.context, bench.item(kind, resource))
    if made == "before":
        make(Side.DESTINATION, key)
    step._intend(bench.destination, step.want())
    if made == "after":
        make(Side.DESTINATION, key)
    with pytest.raises(errors.Conflict):
        step.run()
    bench.undo([kind], {resource.ref: resource})
    assert kind.show(bench.destination, f"{there}/laptop", project_id=None).fields["public_key"] == key


@pytest.mark.parametrize("killed_between", [True, False])
def test_a_role_that_a_user_had_already_is_not_taken_away(bench, killed_between):
    project, user, kind = bench.project("tenant"), bench.user("owner"), REGISTRY["role_assignment"]
    roles = []
    for side in Side:
        cloud = bench.cloud(side)
        roles.append(cloud.list(Service.IDENTITY, "/roles", "roles", params={"name": "member"})[0]["id"])
    bench.ids.put(Ref("role", roles[0]), roles[1], made=False)
    path = f"/projects/{project}/users/{user}/roles/{roles[0]}"
    bench.source.put(Service.IDENTITY, path)
    resource = bench.read(kind, path[1:], Side.SOURCE)
    there = f"/projects/{bench.there('project', project)}/users/{bench.there('user', user)}/roles/{roles[1]}"
    bench.destination.put(Service.IDENTITY, there)
    step = Create(bench.context, bench.item(kind, resource))
    if killed_between:
        step._intend(bench.destination, step.want())
    assert step.run() == there[1:]
    bench.undo([kind], {resource.ref: resource})
    assert bench.destination.exists(Service.IDENTITY, there)


@pytest.mark.parametrize("killed", ["address_scope"], indirect=True)
def test_what_a_cloud_refused_is_not_looked_for_on_the_way_back(killed, cloud_pair):
    """Who makes one of the same name after that has made it for themselves."""
    resource = killed.resource()
    faults = cloud_pair.destination.faults
    faults.add("status", method="POST", path="/network/*/address-scopes", code=409, times=0)
    with pytest.raises(errors.Conflict):
        killed.step(resource).run()
    faults.clear()
    theirs = killed.make(Side.DESTINATION)
    killed.bench.undo([REGISTRY["address_scope"]], {resource.ref: resource})
    assert killed.is_there(theirs)
