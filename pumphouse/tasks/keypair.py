"""Key pairs: users' public keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.identity import folded, one_name, projects_of, projects_of_actor, users_within
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Adopt, Problem, Reach, ResourceType, ScopeLevel, Severity, Want
from pumphouse.steps import Create, Verify

_UP_TO = "2.10"
_PATH = "/os-keypairs"


class Keypair(ResourceType):
    """A user's public key, SSH or X.509. Its id here is ``<user's id>/<name>``.

    The administrator reads and creates those of others by ``user_id``, which microversion 2.10 brought.
    """

    name = "keypair"
    service = Service.COMPUTE
    scope = ScopeLevel.USER
    adopt = Adopt.SAME
    marked = False
    after = ("user", "group", "role_assignment", "server")
    fields = (
        ref("user_id", to="user", key=True),
        key("name", mapping="keypairs"),
        copy("type", fixed=True, default="ssh"),
        copy("public_key", fixed=True),
        drop("fingerprint", why="computed from the public key, which is compared as a whole"),
        drop("private_key", why="the service never keeps it"),
        drop("id", why="a number inside the service"),
        drop("created_at", why="the destination's own"),
        drop("updated_at", why="the destination's own"),
        drop("deleted", why="the destination's own"),
        drop("deleted_at", why="the destination's own"),
    )
    steps = (Create, Verify)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """There is no list for all users: a call for each that is within reach."""
        if not cloud.supports(self.service, _UP_TO):
            return
        for user_id in sorted(_users(seen, reach)):
            try:
                found = cloud.list(self.service, _PATH, "keypairs", params={"user_id": user_id}, up_to=_UP_TO)
            except errors.NotFound:
                continue  # a user that was deleted, and still has servers
            for entry in found:
                yield self._read(user_id, entry["keypair"])

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """One key pair by its synthetic id."""
        user_id, path = _place(identity)
        try:
            body = cloud.get(self.service, path, params={"user_id": user_id}, up_to=_UP_TO)
        except errors.NotFound:
            return None
        return self._read(user_id, body["keypair"])

    def _read(self, user_id: str, body: Mapping[str, Any]) -> Resource:
        return Resource(
            ref=Ref(self.name, f"{user_id}/{body['name']}"),
            name=str(body["name"]),
            fields=self.pick({**body, "user_id": user_id}),
        )

    # -- deciding

    def tenants(self, resource: Resource, inventory: Inventory) -> Iterable[str]:
        """The projects in which its user has a role, and those of the servers that name it."""
        user = inventory.get(Ref("user", resource.fields["user_id"]))
        roles = projects_of_actor(user, inventory.derived(projects_of)) if user is not None else frozenset()
        servers = inventory.derived(_projects_by_keypair).get(resource.ref.id, set())
        return sorted(roles | servers)

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Names that some databases take for one."""
        alike = source.derived(_by_folded_name)[_folded(resource.fields)]
        yield from one_name(resource, alike, "of its user")

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """Whether the destination lets an administrator create it, and can tell its name from others."""
        if not exists and want.fields["user_id"]:
            there = destination.derived(_by_folded_name).get(_folded(want.fields), ())
            yield from one_name(want.source, there, "that its user has on the destination")
        newest = destination.facts.get("cloud", {}).get("microversions", {}).get(str(self.service))
        if newest and tuple(map(int, newest.split("."))) < (2, 10):
            yield Problem(
                severity=Severity.BLOCK,
                summary="the destination's compute service is too old (before 2.10) to create it",
                next_step="Leave key pairs out; each user creates them by hand.",
            )

    # -- writing

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """As the administrator, in the user's name."""
        body = {name: want.fields[name] for name in ("name", "type", "public_key", "user_id")}
        cloud.post(self.service, _PATH, {"keypair": body}, up_to=_UP_TO)
        return f"{want.fields['user_id']}/{want.fields['name']}"

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """By user and name, which the service keeps unique; another key is not ours."""
        found = self.show(cloud, f"{want.fields['user_id']}/{want.fields['name']}", project_id=None)
        ours = found is not None and found.fields["public_key"] == want.fields["public_key"]
        return found.ref.id if found is not None and ours and found.ref.id not in want.others else None

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Servers keep the keys that they were created with."""
        user_id, path = _place(identity)
        return cloud.delete(self.service, path, params={"user_id": user_id}, up_to=_UP_TO)


def _folded(fields: Mapping[str, Any]) -> tuple[str, str]:
    return str(fields["user_id"]), folded(fields["name"])


def _by_folded_name(inventory: Inventory) -> Mapping[tuple[str, str], list[Resource]]:
    found: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for keypair in inventory.of_type("keypair"):
        found[_folded(keypair.fields)].append(keypair)
    return found


def _place(identity: str) -> tuple[str, str]:
    """The user's id, and the path of the key pair."""
    user_id, _, name = identity.partition("/")
    return user_id, f"{_PATH}/{quote(name, safe='')}"


def _users(seen: Inventory, reach: Reach) -> set[str]:
    """The users that have a role in a project within reach, or a server there."""
    servers = (one for one in seen.of_type("server") if reach.covers(one.project_id))
    return users_within(seen, reach) | {str(server.facts["user_id"]) for server in servers}


def _projects_by_keypair(inventory: Inventory) -> Mapping[str, set[str]]:
    """The projects of the servers that name a key pair, by its id."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for server in inventory.of_type("server"):
        if server.project_id and server.facts.get("keypair"):
            found[server.facts["keypair"]].add(server.project_id)
    return found
