"""What the types of the identity service share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Adopt, Policy, Problem, Reach, Severity, Want
from pumphouse.rest import MARKER_TAG, RestType

IMMUTABLE = "immutable"
"""The option of domains, projects and roles that forbids to change and to delete them."""


class KeystoneType(RestType):
    """A resource that is known by its name, alone or in its domain. One that is there already is used.

    Its description is the marker until it is finished, so that one of the same name which somebody else has
    made meanwhile is not taken for ours.
    """

    service = Service.IDENTITY
    adopt = Adopt.ALWAYS
    update_method = "patch"

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """By marker, among those of its name."""
        params = {"name": want.fields["name"], "domain_id": want.fields.get("domain_id")}
        for body in cloud.each(self.service, self.path, self.items, params=params):
            if self.made_from(body) == want.marker:
                return str(body["id"])
        return None

    def made_from(self, body: Mapping[str, Any]) -> str | None:
        """The id in the marker."""
        description = str(body.get("description") or "")
        return description.removeprefix(MARKER_TAG) if description.startswith(MARKER_TAG) else None

    def body(self, want: Want) -> dict[str, Any]:
        """The body with the marker. An immutable one becomes so only when it is finished."""
        options = {name: one for name, one in (want.fields.get("options") or {}).items() if name != IMMUTABLE}
        body = {**super().body(want), "description": f"{MARKER_TAG}{want.marker}"}
        return {**body, "options": options} if "options" in body else body

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Set the description, and that it is immutable."""
        wanted = want.fields["description"]
        done = there is not None and there.made_from is None and there.fields["description"] == wanted
        KeystoneType.update(self, cloud, identity, want, {} if done else {"description": wanted})

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """PATCH, options last. An immutable resource takes nothing but the option that makes it one."""
        rest = {name: value for name, value in changed.items() if name != "options"}
        if rest:
            self.release(cloud, identity)
            self.update_body(cloud, identity, rest)
        there = self.show(cloud, identity, project_id=None)
        have = there.fields.get("options") if there is not None else None
        wanted = changed.get("options", want.fields.get("options"))
        if wanted is not None and wanted != have:
            gone = dict.fromkeys(have or ())  # null takes an option away
            self.update_body(cloud, identity, {"options": {**gone, **wanted}})

    def release(self, cloud: CloudAPI, identity: str) -> None:
        """Make it deletable. The service takes the option only when it is changed alone."""
        there = self.show(cloud, identity, project_id=None)
        if there is not None and (there.fields.get("options") or {}).get(IMMUTABLE):
            self.update_body(cloud, identity, {"options": {IMMUTABLE: False}})

    def update_body(self, cloud: CloudAPI, identity: str, changed: Mapping[str, Any]) -> None:
        """PATCH these fields."""
        cloud.patch(self.service, f"{self.path}/{identity}", {self.item: dict(changed)})


class TaggedKeystoneType(KeystoneType):
    """A domain or a project: its tags hold the marker, from the first request on."""

    def read(self, body: Mapping[str, Any]) -> Resource:
        """The body without our marker among its tags."""
        tags = [tag for tag in body.get("tags") or [] if not tag.startswith(MARKER_TAG)]
        return Resource(
            ref=Ref(self.name, str(body["id"])),
            name=str(body["name"]),
            fields=self.pick({**body, "tags": sorted(tags)}),
            made_from=self.made_from(body),
        )

    def made_from(self, body: Mapping[str, Any]) -> str | None:
        """The id in the marker."""
        marks = (str(tag) for tag in body.get("tags") or () if str(tag).startswith(MARKER_TAG))
        return next((mark.removeprefix(MARKER_TAG) for mark in marks), None)

    def body(self, want: Want) -> dict[str, Any]:
        """The body with the marker."""
        return {**RestType.body(self, want), "tags": self._tags(want.fields["tags"], want)}

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """Nothing: it was whole from the first request on."""

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """PATCH; the marker stays among the tags."""
        if "tags" in changed:
            changed = {**changed, "tags": self._tags(changed["tags"], want)}
        super().update(cloud, identity, want, changed)

    def unmark(self, cloud: CloudAPI, identity: str) -> None:
        """PATCH of the other tags; what is immutable is so again afterwards."""
        there = self.show(cloud, identity, project_id=None)
        if there is None or there.made_from is None:
            return
        self.release(cloud, identity)
        self.update_body(cloud, identity, {"tags": list(there.fields["tags"])})
        options = there.fields.get("options") or {}
        if options.get(IMMUTABLE):
            self.update_body(cloud, identity, {"options": {IMMUTABLE: True}})

    def _tags(self, tags: Iterable[str], want: Want) -> list[str]:
        return sorted({*tags, f"{MARKER_TAG}{want.marker}"})


class ActorType(KeystoneType):
    """A user or a group: somebody who may hold roles."""

    after: ClassVar[tuple[str, ...]] = ("domain",)

    def bodies(self, cloud: CloudAPI, seen: Inventory) -> Iterator[dict[str, Any]]:
        """All of them. A domain with a backend of its own (LDAP) answers only when it is asked by its id."""
        answered = set()
        for body in cloud.each(self.service, self.path, self.items):
            answered.add(body["domain_id"])
            yield body
        for domain in seen.of_type("domain"):
            if domain.ref.id not in answered:
                yield from cloud.each(
                    self.service, self.path, self.items, params={"domain_id": domain.ref.id}
                )

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterable[Resource]:
        """One list, and one for each domain that it left out."""
        for body in self.bodies(cloud, seen):
            yield self.read({**body, "domain": domain_name(seen, body["domain_id"])})

    def policy(self, resource: Resource) -> Policy:
        """Accounts that the service reads from elsewhere (LDAP, an identity provider) are never created."""
        return Policy.MAP if resource.facts["foreign"] else Policy.MOVE

    def tenants(self, resource: Resource, inventory: Inventory) -> Iterable[str]:
        """The projects where it holds a role, by itself or as a member of a group."""
        return projects_of_actor(resource, inventory.derived(projects_of))

    def identity(self, fields: Mapping[str, Any], *, policy: Policy = Policy.MOVE) -> tuple[Any, ...] | None:
        """Domain and name. A mapped one is told by its domain's name, for its domain need not be planned."""
        if policy is Policy.MAP:
            return (fields.get("domain"), fields["name"])
        return (fields["domain_id"], fields["name"])

    def pick(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The domain's name is known only where domains were read."""
        fields = super().pick(body)
        return fields if "domain" in body else {name: one for name, one in fields.items() if name != "domain"}

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Names that some databases take for one."""
        alike = source.derived(_by_folded_name)[_folded(resource)]
        yield from one_name(resource, alike, "in the same domain")

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """The same, where the destination has one of them."""
        if not exists:
            known = destination.derived(_by_folded_name)
            there = known.get((self.name, str(want.fields["domain_id"]), folded(want.fields["name"])), ())
            yield from one_name(want.source, there, "of the destination")

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Whether it is kept elsewhere: ids that the SQL backend makes are 32 hexadecimal digits."""
        identity = str(body["id"])
        own = len(identity) == 32 and all(digit in "0123456789abcdef" for digit in identity)
        return {"foreign": not own or bool(body.get("federated"))}

    def body(self, want: Want) -> dict[str, Any]:
        """The body without the domain's name, which only tells mapped ones apart."""
        return {name: value for name, value in super().body(want).items() if name not in {"domain", "groups"}}


def folded(name: str) -> str:
    """A name as databases compare it that know neither case nor spaces at the end."""
    return name.rstrip(" ").casefold()


def one_name(resource: Resource, alike: Iterable[Resource], where: str) -> Iterable[Problem]:
    """Block a resource whose name many tools, and some databases, take for that of another."""
    others = sorted(repr(one.name) for one in alike if one.name != resource.name)
    if others:
        yield Problem(
            severity=Severity.BLOCK,
            field="name",
            summary=f"its name differs only by case, or spaces at its end, from {', '.join(others)} {where}",
            next_step="Rename all but one, or map their names in an override file.",
        )


def _folded(actor: Resource) -> tuple[str, str, str]:
    return actor.ref.type, str(actor.fields["domain_id"]), folded(actor.name)


def _by_folded_name(inventory: Inventory) -> Mapping[tuple[str, str, str], list[Resource]]:
    found: dict[tuple[str, str, str], list[Resource]] = defaultdict(list)
    for kind in ("user", "group"):
        for actor in inventory.of_type(kind):
            found[_folded(actor)].append(actor)
    return found


def domain_name(seen: Inventory, domain_id: str) -> str:
    """The name of a domain that was read before, else its id."""
    domain = seen.get(Ref("domain", domain_id))
    return domain.name if domain else domain_id


def users_within(seen: Inventory, reach: Reach) -> set[str]:
    """The users that hold a role in a project within reach, by themselves or as members of a group."""
    held = projects_of(seen)  # not derived: more is being read meanwhile
    return {
        user.ref.id
        for user in seen.of_type("user")
        if reach.projects is None or reach.projects & projects_of_actor(user, held)
    }


def projects_of_actor(actor: Resource, held: Mapping[Ref, frozenset[str]]) -> frozenset[str]:
    """The projects where a user or a group holds a role, by itself or as a member of a group."""
    groups = (Ref("group", group) for group in actor.fields.get("groups", ()))
    return frozenset[str]().union(*(held.get(one, frozenset()) for one in (actor.ref, *groups)))


def projects_of(inventory: Inventory) -> Mapping[Ref, frozenset[str]]:
    """The projects where each user and group holds a role by itself."""
    held: dict[Ref, set[str]] = defaultdict(set)
    for assignment in inventory.of_type("role_assignment"):
        fields = assignment.fields
        if fields["project_id"]:
            actor = Ref("user", fields["user_id"]) if fields["user_id"] else Ref("group", fields["group_id"])
            held[actor].add(fields["project_id"])
    return {actor: frozenset(projects) for actor, projects in held.items()}
