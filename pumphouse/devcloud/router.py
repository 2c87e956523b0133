"""Services and their routes: a tree of path segments, looked up without scanning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Renderer
from pumphouse.devcloud.table import TableSpec

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud

Handler = Callable[..., Any]
Version = tuple[int, int]
_EXTENSIONS = "volume_extension:"  # what Cinder once had beside its core
Setup = Callable[["DevCloud"], None]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation.

    ``role``: what the token must have (None: any token), ``auth`` False: no token asked for, ``locked``
    False: the handler streams and takes the cloud's lock itself, ``since``: the first microversion that has
    it, ``status``: of an answer given as a plain body.
    """

    service: Service
    method: str
    template: str
    handler: Handler
    status: int
    role: str | None
    auth: bool
    locked: bool
    since: Version | None
    policy: str

    @property
    def name(self) -> str:
        """``"GET /compute/v2.1/servers/{server_id}"``."""
        return f"{self.method} {self.service.root}{self.template}"


@dataclass
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    any: _Node | None = None
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Microversions:
    """A service's range, and the headers it reads and echoes."""

    service_type: str
    minimum: Version
    maximum: Version
    legacy_header: str | None = None


@dataclass(eq=False)
class Service:
    """A service: where it is mounted, how it words faults, its tables and its operations."""

    name: str
    mount: str
    version: str
    render: Renderer
    microversions: Microversions | None = None
    read_role: str | None = "reader"
    write_role: str | None = "member"
    policy_prefix: str = ""
    denied: str = "Policy doesn't allow {policy} to be performed."
    tables: list[TableSpec] = field(default_factory=list)
    setups: list[Setup] = field(default_factory=list)
    _tree: _Node = field(default_factory=_Node)

    @property
    def root(self) -> str:
        """The path of the versioned API, e.g. ``/compute/v2.1``."""
        return self.mount + self.version

    def table(self, name: str, **declaration: Any) -> str:
        """Declare a table (see :class:`TableSpec`) and return its name; every cloud gets one of its own."""
        self.tables.append(TableSpec(name=name, **declaration))
        return name

    def setup(self, function: Setup) -> Setup:
        """Decorate a function that fills a new cloud with what the service has from the start."""
        self.setups.append(function)
        return function

    def route(
        self,
        method: str,
        template: str,
        *,
        status: int = 200,
        role: str | None = "",
        auth: bool = True,
        locked: bool = True,
        since: Version | None = None,
        policy: str = "",
    ) -> Callable[[Handler], Handler]:
        """Decorate a handler ``(cloud, request, **path parameters) -> Response | dict | None``.

        ``role`` is the service's ``read_role`` for GET and ``write_role`` otherwise, unless given; None lets
        any token in (the handler decides). ``policy`` is what a refusal names. A handler may carry several
        routes.
        """
        if role == "":
            role = self.read_role if method in ("GET", "HEAD") else self.write_role

        def register(handler: Handler) -> Handler:
            route = Route(
                service=self,
                method=method,
                template=template,
                handler=handler,
                status=status,
                role=role,
                auth=auth,
                locked=locked,
                since=since,
                policy=self._policy(policy or handler.__name__),
            )
            self._insert(route)
            return handler

        return register

    def _policy(self, name: str) -> str:
        """The whole name of a policy, as a refusal tells it."""
        whole = name.startswith((self.policy_prefix, _EXTENSIONS))
        return name if whole else f"{self.policy_prefix}{name}"

    def _insert(self, route: Route) -> None:
        node = self._tree
        names: list[str] = []
        for segment in split(route.template):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.children.setdefault(segment, _Node())
        if route.method in node.routes:
            raise ValueError(f"{route.name} is routed twice")
        node.routes[route.method] = route
        node.names[route.method] = tuple(names)

    def find(self, method: str, segments: list[str]) -> tuple[Route, dict[str, str]] | Iterable[str]:
        """The route and its path parameters, or the methods that the path does have (none: no such path)."""
        allowed: set[str] = set()
        values: list[str] = []
        found = _find(self._tree, method, segments, 0, values, allowed)
        if found is None:
            return allowed
        return found.routes[method], dict(zip(found.names[method], values, strict=True))


def _find(
    node: _Node, method: str, segments: list[str], place: int, values: list[str], allowed: set[str]
) -> _Node | None:
    if place == len(segments):
        if method in node.routes:
            return node
        allowed.update(node.routes)
        return None
    child = node.children.get(segments[place])
    if child is not None:
        found = _find(child, method, segments, place + 1, values, allowed)
        if found is not None:
            return found
    if node.any is not None:
        values.append(segments[place])
        found = _find(node.any, method, segments, place + 1, values, allowed)
        if found is not None:
            return found
        values.pop()
    return None


def split(path: str) -> list[str]:
    """A path's segments; slashes at either end do not count."""
    stripped = path.strip("/")
    return stripped.split("/") if stripped else []


def services_by_mount(services: Iterable[Service]) -> Mapping[str, Service]:
    """The services by the first segment of their paths."""
    return {service.mount.strip("/"): service for service in services}
