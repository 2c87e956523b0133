"""A cloud as resource types see it: raw JSON calls in one project's name.

Objects of the SDK are left out: a listing through them costs a hundred times the CPU of its JSON.
Authentication, catalogue, discovery and microversions stay the SDK's.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from keystoneauth1 import discover
from keystoneauth1.access import AccessInfo
from keystoneauth1.identity.base import BaseIdentityPlugin

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds import image_data, paging
from pumphouse.clouds.call import Answer, Call
from pumphouse.clouds.http import Settings
from pumphouse.clouds.image_data import ImageStream
from pumphouse.clouds.sender import Sender
from pumphouse.clouds.waiting import Waiter
from pumphouse.transfer import Readable

_JSON_PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
_Range = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(kw_only=True)
class Shared:
    """What all projects of one cloud have in common."""

    settings: Settings
    http: requests.Session
    sender_for: Callable[[str], Sender]
    """Makes the sender for a project's id."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    projects: dict[str, Cloud] = field(default_factory=dict)
    ranges: dict[Service, _Range | None] = field(default_factory=dict)
    extensions: frozenset[str] | None = None
    waiter: Waiter | None = None


class Cloud:
    """One named cloud, in the name of one project. Threads may share it.

    Paths are below the service's versioned endpoint, as in ``/servers/detail`` or ``/networks``; a segment
    that is no id must be quoted by the caller. Every method raises :class:`pumphouse.errors.CloudError`.
    """

    def __init__(self, name: str, sender: Sender, shared: Shared) -> None:
        self.name = name
        self._sender = sender
        self._shared = shared

    def __repr__(self) -> str:
        return f"Cloud({self.name!r})"

    def close(self) -> None:
        """Close the kept connections. The cloud stays usable: a later request opens new ones."""
        self._shared.http.close()

    # -- who and what

    @property
    def settings(self) -> Settings:
        """The settings that this cloud was opened with."""
        return self._shared.settings

    @property
    def user_id(self) -> str:
        """The operator's user."""
        return self.access().user_id or ""

    @property
    def project_id(self) -> str:
        """The project of the token; "" when it is scoped to a domain or to the system."""
        return self.access().project_id or ""

    @property
    def region(self) -> str:
        """The region of clouds.yaml; "" for none."""
        return self._sender.region.get_region_name() or ""

    @property
    def waiter(self) -> Waiter:
        """The shared waiting of this cloud."""
        with self._shared.lock:
            if self._shared.waiter is None:
                self._shared.waiter = Waiter(self, interval=self.settings.poll_interval)
            return self._shared.waiter

    def access(self) -> AccessInfo:
        """The token's content: user, project, roles and catalogue."""
        session = self._sender.region.get_session()
        auth = session.auth
        if not isinstance(auth, BaseIdentityPlugin):
            raise errors.BadConfig(
                "the auth_type of clouds.yaml gets no token from an identity service",
                cloud=self.name,
                next_step="Use password, token or v3applicationcredential.",
            )
        return self._sender.guarded(Service.IDENTITY, "/auth/tokens", lambda: auth.get_access(session))

    def identity_of(self) -> str:
        """What two names of the same cloud have in common: its services' ids, and the region.

        Keystone gives every service a random id. A catalogue from a template has none; then it is the
        address that the token came from.
        """
        catalogue = self.access().service_catalog.catalog
        ids = sorted(str(entry["id"]) for entry in catalogue if len(str(entry.get("id", ""))) >= 32)
        if ids:
            return f"{ids[0]}/{self.region}"
        address = str(self._sender.region.config.get("auth", {}).get("auth_url", ""))
        return f"{address.rstrip('/').removesuffix('/v3')}/{self.region}"

    def endpoint(self, service: Service) -> str:
        """The address of a service in the catalogue. Asks the service for its versions."""
        return str(self._sender.guarded(service, "/", lambda: self._sender.client(service).get_endpoint()))

    def addresses(self, service: Service) -> Mapping[str, str]:
        """The public addresses of a service in the catalogue, by region; the one of this cloud under ""."""
        found: dict[str, str] = {}
        for entry in self.access().service_catalog.catalog:
            if entry.get("type") == str(service):
                for one in entry.get("endpoints", ()):
                    if one.get("interface") == "public":
                        region = str(one.get("region_id") or one.get("region") or "")
                        found[region] = re.sub(r"/(v\d[\d.]*)?/?$", "", str(one["url"]))
        own = self.region if self.region in found else next(iter(found), "")
        return {**found, "": found[own]} if found else {}

    def within(self, project_id: str, *, fresh: bool = False) -> Cloud:
        """The same cloud in another project's name; limits, pool and what is known are shared.

        :param fresh: get a new token, since the operator's roles in the project have changed.
        """
        with self._shared.lock:
            cloud = self._shared.projects.get(project_id)
            if cloud is None:
                sender = self._shared.sender_for(project_id)
                cloud = Cloud(self.name, sender, self._shared)
                self._shared.projects[project_id] = cloud
                return cloud
        if fresh:
            cloud._sender.reauthenticate()
        return cloud

    # -- versions

    def version(self, service: Service) -> str:
        """The major version of a service's API, such as ``2.1``."""
        client = self._sender.client
        found = self._sender.guarded(service, "/", lambda: client(service).get_api_major_version())
        return ".".join(map(str, found)) if found else ""

    def versions(self, service: Service) -> _Range | None:
        """The oldest and the newest microversion, or None for a service without them."""
        with self._shared.lock:
            if service in self._shared.ranges:
                return self._shared.ranges[service]
        data = self._sender.guarded(service, "/", lambda: self._sender.discover(service))
        found = None
        if data is not None and data.max_microversion:
            found = (_version(data.min_microversion), _version(data.max_microversion))
        with self._shared.lock:
            self._shared.ranges[service] = found
        return found

    def microversion(self, service: Service, up_to: str) -> str:
        """``up_to`` or the cloud's newest, whichever is older; "" for a service without microversions."""
        found = self.versions(service)
        if found is None:
            return ""
        oldest, newest = found
        return _text(max(oldest, min(_version(up_to), newest)))

    def supports(self, service: Service, version: str) -> bool:
        """Whether the cloud offers this microversion."""
        found = self.versions(service)
        return found is not None and found[0] <= _version(version) <= found[1]

    def has_extension(self, alias: str) -> bool:
        """Whether the network service has an extension."""
        return alias in self.extensions()

    def extensions(self) -> frozenset[str]:
        """The aliases of the network service's extensions."""
        if self._shared.extensions is None:
            found = self.list(Service.NETWORK, "/extensions", "extensions")
            self._shared.extensions = frozenset(str(entry["alias"]) for entry in found)
        return self._shared.extensions

    # -- reading

    def pages(
        self,
        service: Service,
        path: str,
        key: str,
        *,
        params: Mapping[str, Any] | None = None,
        up_to: str | None = None,
    ) -> Iterator[list[dict[str, Any]]]:
        """A collection, page by page. Raises ``Unavailable`` when the service goes round in circles."""
        query: dict[str, Any] | None = paging.first_query(service, path, params)
        asked: list[dict[str, Any]] = []
        first = ""
        while query is not None:
            asked.append(query)
            data = self.get(service, path, params=query, up_to=up_to)
            if key not in data:
                raise self._odd(service, path, f"the answer has no {key!r}")
            items = data[key]
            head = paging.identity(items[0]) if items else ""
            if head and head == first:
                raise self._odd(
                    service, path, "the service ignores the marker and sends its first page again"
                )
            first = first or head
            if items:
                yield items
            following = paging.next_query(path, data, key, query)
            if following is None and data.get("truncated"):
                raise self._odd(service, path, f"the service cut the list after {len(items)} entries")
            if following in asked:
                raise self._odd(service, path, "the links to the next page go round in circles")
            query = following

    def list(
        self,
        service: Service,
        path: str,
        key: str,
        *,
        params: Mapping[str, Any] | None = None,
        up_to: str | None = None,
    ) -> list[dict[str, Any]]:
        """A whole collection."""
        return list(self.each(service, path, key, params=params, up_to=up_to))

    def each(
        self,
        service: Service,
        path: str,
        key: str,
        *,
        params: Mapping[str, Any] | None = None,
        up_to: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The entries of a collection, while it is read."""
        for page in self.pages(service, path, key, params=params, up_to=up_to):
            yield from page

    def get(
        self,
        service: Service,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        up_to: str | None = None,
    ) -> dict[str, Any]:
        """The JSON at a path. Raises :class:`pumphouse.errors.NotFound`."""
        return self._json(self._send(service, "GET", path, params=params, up_to=up_to))

    def exists(self, service: Service, path: str) -> bool:
        """Whether there is something at a path. Only the identity service answers HEAD everywhere."""
        try:
            self._send(service, "HEAD" if service is Service.IDENTITY else "GET", path)
        except errors.NotFound:
            return False
        return True

    # -- writing

    def post(
        self,
        service: Service,
        path: str,
        body: Any,
        *,
        up_to: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Create or act. Never sent twice where the first may have been applied: raises ``Unsure``."""
        return self._json(self._send(service, "POST", path, body=body, up_to=up_to, headers=headers))

    def put(
        self,
        service: Service,
        path: str,
        body: Any = None,
        *,
        up_to: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Set."""
        return self._json(self._send(service, "PUT", path, body=body, up_to=up_to, headers=headers))

    def patch(
        self,
        service: Service,
        path: str,
        body: Any,
        *,
        up_to: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Change. For the image service a list is a JSON patch."""
        if service is Service.IMAGE and isinstance(body, list):
            headers = _JSON_PATCH | dict(headers or {})
        return self._json(self._send(service, "PATCH", path, body=body, up_to=up_to, headers=headers))

    def delete(
        self,
        service: Service,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        up_to: str | None = None,
    ) -> bool:
        """Remove. False if it was already gone."""
        answer = self._send(service, "DELETE", path, params=params, up_to=up_to)
        # Gone at the second attempt means that the first one was applied and its answer lost.
        return answer.response.status_code != 404 or answer.doubtful

    # -- image data

    def open_image(self, image_id: str) -> ImageStream:
        """The data of an image, as a context manager with ``read(n)``."""
        return image_data.open_image(self._sender, self.name, image_id)

    def put_image(self, image_id: str, body: Readable, size: int) -> None:
        """Send an image's data with exactly one request; see :func:`image_data.put_image`."""
        image_data.put_image(self._sender, self.name, image_id, body, size)

    # -- below

    def _send(
        self,
        service: Service,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        up_to: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return self._sender.send(
            Call(
                service=service,
                method=method,
                path=path,
                params=params,
                body=body,
                headers=headers,
                microversion=(self.microversion(service, up_to) or None) if up_to else None,
            )
        )

    def _json(self, answer: Answer) -> dict[str, Any]:
        """The body. An empty one is {}, or where the new resource is (createImage before 2.45)."""
        response = answer.response
        if not response.content:
            where = response.headers.get("Location")
            return {"location": where} if where else {}
        try:
            data = response.json()
        except ValueError as failure:
            # What wrote may have been applied, whoever answered so.
            read = response.request.method in {"GET", "HEAD"}
            kind = errors.Unavailable if read else errors.Unsure
            raise kind(
                f"{response.request.method} {str(response.url).partition('?')[0]} answered "
                f"{response.status_code} with something that is not JSON",
                cloud=self.name,
                status=response.status_code,
                path=str(response.request.path_url).partition("?")[0],
                next_step="See whether the endpoint in the catalogue is that of the service.",
            ) from failure
        return data if isinstance(data, dict) else {"body": data}

    def _odd(self, service: Service, path: str, what: str) -> errors.CloudError:
        return errors.Unavailable(
            f"{service} GET {path}: {what}; the list is not complete",
            service=service,
            method="GET",
            path=path,
            cloud=self.name,
            next_step="Have the service's paging limits looked at.",
        )


def _version(version: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in discover.normalize_version_number(version)) if version else (0,)


def _text(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
