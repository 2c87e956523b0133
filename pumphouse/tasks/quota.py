"""Quotas: how much a project may have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service, remove
from pumphouse.context import JournalEntry
from pumphouse.fields import copy, drop, ref
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Adopt, Problem, Reach, ResourceType, ScopeLevel, Severity, Want
from pumphouse.steps import Create, Verify

UNLIMITED = -1


class _Api(NamedTuple):
    """How one service spells its quotas."""

    service: Service
    path: str
    detail: str
    params: Mapping[str, Any]
    defaults: str
    item: str
    used: str
    limits: frozenset[str]
    up_to: str | None = None
    forced: str | None = None
    """The extension with which ``force`` sets a limit below what is in use; "" where that is always known."""


_COMPUTE = _Api(
    Service.COMPUTE,
    "/os-quota-sets/{}",
    "/os-quota-sets/{}/detail",
    {},
    "/os-quota-sets/{}/defaults",
    "quota_set",
    "in_use",
    frozenset({"instances", "cores", "ram", "metadata_items", "key_pairs"})
    | {"server_groups", "server_group_members"},
    # From here on it has no limits of the network or of injected files.
    up_to="2.57",
    forced="",
)
_NETWORK = _Api(
    Service.NETWORK,
    "/quotas/{}",
    "/quotas/{}/details.json",
    {},
    "/quotas/{}/default",
    "quota",
    "used",
    frozenset({"network", "subnet", "subnetpool", "port", "router", "floatingip"})
    | {"security_group", "security_group_rule", "rbac_policy"},
    forced="quota-check-limit",
)
_VOLUME = _Api(
    Service.VOLUME,
    "/os-quota-sets/{}",
    "/os-quota-sets/{}",
    {"usage": "true"},
    "/os-quota-sets/{}/defaults",
    "quota_set",
    "in_use",
    frozenset({"volumes", "snapshots", "gigabytes", "per_volume_gigabytes"})
    | {"backups", "backup_gigabytes", "groups"},
)
_APIS: Mapping[str, _Api] = MappingProxyType({str(api.service): api for api in (_COMPUTE, _NETWORK, _VOLUME)})
"""By the name of the service, which is that of the field."""

_BY_TYPE = ("volumes_", "snapshots_", "gigabytes_")
"""Volume limits of one volume type: the prefix is followed by the type's name."""


class SetLimits(Create):
    """Set the limits, or put back those that were there."""

    doing = "sets the limits"

    def _make_own(self, cloud: CloudAPI, entry: JournalEntry) -> str:
        """Several requests: if one of them is refused, those before it must be taken back all the same."""
        return self._create(cloud, self.want())

    def _find_lost(self, cloud: CloudAPI, entry: JournalEntry) -> str | None:
        """The project's, whatever of it an attempt has set: no quota tells who set it."""
        project_id: str | None = entry.detail["project_id"]
        return project_id

    def _until_gone(self, cloud: CloudAPI, identity: str, project_id: str | None) -> None:
        """A quota is never gone: after its deletion the defaults hold."""


class Quota(ResourceType):
    """The limits of one project in all services. It is there as soon as its project is.

    Its id is the project's. Only what differs from what the destination's project has is set; -1 is
    unlimited. Volume limits per type are keyed by the type's name.
    """

    name = "quota"
    service = Service.COMPUTE
    scope = ScopeLevel.PROJECT
    adopt = Adopt.SET
    after = ("project",)
    fields = (
        ref("project_id", to="project", key=True, part_of=True),
        *(copy(name, at_least=True, default={}) for name in _APIS),
        drop("id", why="it is the project's"),
        drop("injected_files", why="file injection is gone from compute"),
    )
    steps = (SetLimits, Verify)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """Three calls per project within reach: no service lists the quotas of all projects."""
        for project in seen.of_type("project"):
            if reach.covers(project.ref.id):
                try:
                    yield self._read(cloud, project.ref.id, name=project.name)
                except (errors.NotFound, errors.BadRequest):
                    # Removed since it was listed, perhaps; services differ in how they say so.
                    if cloud.exists(Service.IDENTITY, f"/projects/{project.ref.id}"):
                        raise

    def survey(self, cloud: CloudAPI, *, reach: Reach) -> Mapping[str, Any]:
        """What a new project gets, by service."""
        return {name: self._defaults(cloud, name, cloud.project_id) for name in _APIS}

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """The quota of a project, as long as there is the project."""
        if not cloud.exists(Service.IDENTITY, f"/projects/{identity}"):
            return None
        return self._read(cloud, identity)

    def _read(self, cloud: CloudAPI, project_id: str, *, name: str = "") -> Resource:
        details = {service: self._detail(cloud, service, project_id) for service in _APIS}
        limits = {
            service: {limit: int(one["limit"]) for limit, one in detail.items()}
            for service, detail in details.items()
        }
        used = {
            service: {limit: int(one[_APIS[service].used]) for limit, one in detail.items()}
            for service, detail in details.items()
        }
        return Resource(
            ref=Ref(self.name, project_id),
            name=name or project_id,
            project_id=project_id,
            fields={"project_id": project_id, **limits},
            facts={"used": used},
        )

    def _detail(self, cloud: CloudAPI, name: str, project_id: str) -> dict[str, Any]:
        """What a service says of the limits that are carried: ``{"cores": {"limit": 20, "in_use": 3}}``."""
        api = _APIS[name]
        answer = cloud.get(api.service, api.detail.format(project_id), params=api.params, up_to=api.up_to)
        return {
            limit: one
            for limit, one in sorted(answer[api.item].items())
            if limit in api.limits or (self._of_type(name, limit) and int(one["limit"]) != UNLIMITED)
        }

    def _limits(self, cloud: CloudAPI, name: str, project_id: str) -> dict[str, int]:
        return {limit: int(one["limit"]) for limit, one in self._detail(cloud, name, project_id).items()}

    def _defaults(self, cloud: CloudAPI, name: str, project_id: str) -> dict[str, int]:
        api = _APIS[name]
        answer = cloud.get(api.service, api.defaults.format(project_id), up_to=api.up_to)
        return {
            limit: int(value)
            for limit, value in sorted(answer[api.item].items())
            if limit in api.limits or self._of_type(name, limit)
        }

    @staticmethod
    def _of_type(name: str, limit: str) -> bool:
        return name == Service.VOLUME and limit.startswith(_BY_TYPE)

    # -- deciding

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """No limit below what is used, and none for a volume type that is not there."""
        there = destination.get(Ref(self.name, want.project_id)) if want.project_id else None
        used = there.facts["used"] if there else {}
        known = destination.facts.get(self.name, {}).get(Service.VOLUME, {})
        for service in _APIS:
            for limit, value in want.fields[service].items():
                taken = used.get(service, {}).get(limit, 0)
                if value != UNLIMITED and value < taken:
                    yield Problem(
                        severity=Severity.BLOCK,
                        field=service,
                        summary=f"{service} limit {limit} would be {value}, but {taken} are in use",
                        next_step="Raise it on the source, or by a rule in an override file.",
                    )
                if self._of_type(service, limit) and limit not in known:
                    yield Problem(
                        severity=Severity.BLOCK,
                        field=service,
                        summary=f"limit {limit} is for a volume type that the destination does not have",
                        next_step="Create the volume type there, or take the limit out by a rule.",
                    )

    # -- writing

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """Set what differs from the defaults of the new project."""
        identity = str(want.fields["project_id"])
        self.update(cloud, identity, want, {name: want.fields[name] for name in _APIS})
        return identity

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """Never: setting the limits again is the same as setting them once."""
        return None

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """Set these services' limits. Where that makes them the defaults, nothing of our own stays."""
        for name in [name for name in _APIS if name in changed]:
            have, defaults = self._limits(cloud, name, identity), self._defaults(cloud, name, identity)
            # Unlimited ones of a volume type are not read, so putting back what was there must lift ours.
            ours = dict.fromkeys(want.fields[name].keys() - changed[name].keys(), UNLIMITED)
            wanted = {**have, **ours, **changed[name]}
            if _are_defaults(wanted, defaults):
                self._reset(cloud, name, identity)
            else:
                self._set(cloud, name, identity, _changes(have, wanted))

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Let the defaults hold again."""
        gone = [self._reset(cloud, name, identity) for name in _APIS]
        return any(gone)

    def _set(self, cloud: CloudAPI, name: str, project_id: str, limits: Mapping[str, int]) -> None:
        api = _APIS[name]
        if limits:
            body: dict[str, Any] = dict(limits)
            if api.forced is not None and (not api.forced or cloud.has_extension(api.forced)):
                # The plan looks at what is in use; a limit that was below that is to be put back as it was.
                body["force"] = True
            cloud.put(api.service, api.path.format(project_id), {api.item: body}, up_to=api.up_to)

    def _reset(self, cloud: CloudAPI, name: str, project_id: str) -> bool:
        api = _APIS[name]
        return remove(
            cloud,
            api.service,
            api.path.format(project_id),
            there=lambda: (
                not _are_defaults(
                    self._limits(cloud, name, project_id), self._defaults(cloud, name, project_id)
                )
            ),
        )


def _are_defaults(limits: Mapping[str, int], defaults: Mapping[str, int]) -> bool:
    return all(defaults.get(limit, UNLIMITED) == value for limit, value in limits.items())


def _changes(have: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, int]:
    return {limit: value for limit, value in wanted.items() if have.get(limit) != value}
