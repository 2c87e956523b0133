"""Clouds: what they offer, and what they held when they were last read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from pumphouse import errors
from pumphouse.api.documents import Document, Id, IdempotencyHeader, Page, Paging
from pumphouse.api.paging import page_of
from pumphouse.api.routes import Reply, Routes, service
from pumphouse.api.v1.operations import ACCEPTED, accepted, asking
from pumphouse.model import Resource
from pumphouse.service.moved import Moved
from pumphouse.store.states import MigrationState

routes = Routes("clouds", __name__, "The clouds of clouds.yaml.")

OF_A_CLOUD = (errors.UnknownCloud, errors.BadConfig)
ASKS_A_CLOUD = (*OF_A_CLOUD, errors.CloudError, errors.Unavailable)


class Cloud(Document):
    """A cloud of clouds.yaml, and what it held when it was last read as a whole."""

    name: str
    read_at: datetime | None = Field(description="When it was last read; null if never.")
    counts: dict[str, int] = Field(description="How many resources of each type it held then.")


class CloudList(Document):
    """All clouds, by name."""

    clouds: list[Cloud]


class CheckedService(Document):
    """One service of a cloud."""

    service: str
    url: str
    version: str
    oldest_microversion: str
    newest_microversion: str
    error: str = Field(description="Why it cannot be used; empty if it can.")


class CloudCheck(Document):
    """What a cloud offers, what the operator's account may do there, and what a migration would lose."""

    name: str
    region: str
    user_id: str
    project_id: str
    roles: list[str]
    services: list[CheckedService]
    extensions: list[str]
    admin: bool = Field(description="Whether the account may do what a migration needs.")
    lists_all_projects: bool
    lists_all_servers: bool
    warnings: list[str]
    usable: bool = Field(description="Whether a migration can be tried at all.")


class TenantChanges(Document):
    """What the source has otherwise than when a tenant was moved: references of its resources."""

    changed: list[str]
    added: list[str]
    gone: list[str]


class TenantMoved(Document):
    """The newest migration that moved a tenant, or tries to."""

    migration: str
    destination: str
    state: MigrationState
    ended_at: datetime | None
    changes: TenantChanges | None = Field(
        description="What has changed since; null where it was not moved, or the cloud was not read since."
    )


class Tenant(Document):
    """A project, and how many resources of each type belong to it."""

    id: str
    name: str
    domain_id: str | None
    enabled: bool
    description: str
    counts: dict[str, int]
    moved: TenantMoved | None = Field(default=None, description="When it was last moved; null if never.")


class TenantPage(Page):
    """Tenants, by name."""

    tenants: list[Tenant]
    read_at: datetime = Field(description="When the cloud was read.")


class CloudResource(Document):
    """A resource as its type reads it: `fields` are carried, `facts` are what planning knows besides."""

    ref: str = Field(description="Type and id: `server:7b…`.")
    type: str
    id: str
    name: str
    project_id: str | None
    fields: dict[str, Any]
    facts: dict[str, Any]
    made_from: str | None = Field(description="The source's id, where a marker on it tells.")

    @classmethod
    def of(cls, one: Resource) -> CloudResource:
        """A resource's document."""
        return cls(type=one.ref.type, id=one.ref.id, **one.to_dict())


class ResourcePage(Page):
    """Resources, by type (needed ones first) and name."""

    resources: list[CloudResource]
    read_at: datetime = Field(description="When the cloud was read.")


class CloudPath(Document):
    """A cloud's name."""

    cloud: Id


class TenantQuery(Paging):
    """Which tenants."""

    name: str = Field(default="", max_length=255, description="Only those with this in their name or id.")


class ResourceQuery(Paging):
    """Which resources."""

    type: list[str] = Field(default=[], description="Only these types; can be repeated.")
    tenant: Id | None = Field(default=None, description="Only this tenant's: id, name or domain/name.")
    name: str = Field(default="", max_length=255, description="Only those with this in their name or id.")


@routes.route_to("get", "/clouds", allow="clouds:read", answer=CloudList, errors=(errors.BadConfig,))
def list_clouds() -> Document:
    """List the clouds, and when each was last read."""
    return CloudList(clouds=[Cloud.model_validate(one) for one in service().cloud_records()])


@routes.route_to("get", "/clouds/<cloud>/check", allow="clouds:check", answer=CloudCheck, errors=ASKS_A_CLOUD)
def check_cloud(path: CloudPath) -> Document:
    """Ask a cloud what it offers, and what the operator's account may do there."""
    return CloudCheck.model_validate(service().check_cloud(path.cloud))


@routes.route_to(
    "post",
    "/clouds/<cloud>/refresh",
    allow="clouds:refresh",
    answer=ACCEPTED,
    errors=(*OF_A_CLOUD, errors.KeyReused),
)
def refresh_cloud(header: IdempotencyHeader, path: CloudPath) -> Reply:
    """Have a cloud read as a whole. Writes nothing to it."""
    return accepted(service().operations.refresh(path.cloud, **asking(header)))


@routes.route_to(
    "get",
    "/clouds/<cloud>/tenants",
    allow="clouds:read",
    answer=TenantPage,
    errors=(*OF_A_CLOUD, errors.NotRead),
)
def list_tenants(path: CloudPath, query: TenantQuery) -> Document:
    """List the tenants that a cloud had when it was last read."""
    snapshot = service().snapshot(path.cloud)
    wanted = query.name.casefold()
    found = [one for one in snapshot.tenants if wanted in one.name.casefold() or wanted in one.id]
    page, marker = page_of(found, query, key=lambda one: one.id)
    moved = service().moved(snapshot, [one.id for one in page])
    tenants = [
        Tenant.model_validate(one).model_copy(update={"moved": _moved(moved.get(one.id))}) for one in page
    ]
    return TenantPage(tenants=tenants, read_at=snapshot.read_at, next_marker=marker)


def _moved(found: Moved | None) -> TenantMoved | None:
    return TenantMoved.model_validate(found) if found is not None else None


@routes.route_to(
    "get",
    "/clouds/<cloud>/resources",
    allow="clouds:read",
    answer=ResourcePage,
    errors=(*OF_A_CLOUD, errors.NotRead, errors.UnknownResource, errors.AmbiguousName),
)
def list_resources(path: CloudPath, query: ResourceQuery) -> Document:
    """List what a cloud held when it was last read."""
    snapshot = service().snapshot(path.cloud)
    found = snapshot.select(types=query.type, tenant=query.tenant, text=query.name)
    page, marker = page_of(found, query, key=lambda one: str(one.ref))
    resources = [CloudResource.of(one) for one in page]
    return ResourcePage(resources=resources, read_at=snapshot.read_at, next_marker=marker)
