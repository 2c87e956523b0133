"""The types of resources that are moved."""

from __future__ import annotations

import inspect

from pydantic import Field

from pumphouse.api.documents import Document
from pumphouse.api.routes import Routes, service
from pumphouse.registry import targets

routes = Routes("resource types", __name__, "The types of resources that are moved.")


class TypeStep(Document):
    """One step of carrying a resource over."""

    name: str
    doing: str
    writes: str | None = Field(description="The side that it writes to, `source` or `destination`.")


class TypeField(Document):
    """One field of a type, and what happens to it: `copy`, `secret` or `drop`."""

    name: str
    role: str
    key: bool = Field(description="Whether it is part of the identity.")
    refers_to: list[str] = Field(description="The types whose ids it holds.")
    why: str


class Type(Document):
    """A type of resources."""

    name: str
    about: str
    service: str
    scope: str
    workload: bool = Field(description="Whether tenants run it, rather than need it.")
    refers_to: list[str]
    steps: list[TypeStep]
    fields: list[TypeField]


class TypeList(Document):
    """All types, needed ones first."""

    resource_types: list[Type]


@routes.route_to("get", "/resource-types", allow="types:read", answer=TypeList)
def list_resource_types() -> Document:
    """List the types of resources that are moved, needed ones first."""
    return TypeList(resource_types=all_types())


def all_types() -> list[Type]:
    """The types of the registry, as they are declared."""
    return [
        Type(
            name=name,
            about=(inspect.getdoc(type(kind)) or "").partition("\n")[0],
            service=str(kind.service),
            scope=str(kind.scope),
            workload=kind.workload,
            refers_to=sorted(targets(kind)),
            steps=[TypeStep(name=one.name, doing=one.doing, writes=one.writes) for one in kind.steps],
            fields=[
                TypeField(
                    name=one.name,
                    role=str(one.role),
                    key=one.key,
                    refers_to=sorted(set(one.refs.values())),
                    why=one.why,
                )
                for one in kind.fields
            ],
        )
        for name, kind in service().registry.items()
    ]
