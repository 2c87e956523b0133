"""What resource types and steps need of a cloud: raw JSON calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Protocol, Self

from pumphouse import errors


class Service(StrEnum):
    """The OpenStack service that keeps a resource, by its service type."""

    IDENTITY = "identity"
    COMPUTE = "compute"
    IMAGE = "image"
    NETWORK = "network"
    VOLUME = "block-storage"


def remove(
    cloud: CloudAPI,
    service: Service,
    path: str,
    *,
    up_to: str | None = None,
    there: Callable[[], bool] | None = None,
) -> bool:
    """Remove it for certain: a 404 is only believed if looking for it gives one, too.

    :param there: looks whether it is there, of what has no path of its own to be looked at.
    :returns: whether it was there.
    :raises pumphouse.errors.CloudError: also if it is still there.
    """
    removed = cloud.delete(service, path, up_to=up_to)
    if not removed and (there() if there else cloud.exists(service, path)):
        raise errors.Unavailable(
            f"{service} DELETE {path}: answered 404, and yet it is there",
            service=service,
            method="DELETE",
            path=path,
            status=404,
            cloud=cloud.name,
        )
    return removed


class CloudAPI(Protocol):
    """What a type needs of a cloud: raw JSON calls, with microversions negotiated and errors made ours.

    ``path`` is below the service's endpoint, such as ``/servers/detail``; ``up_to`` is the newest
    microversion that the caller understands: the call uses that or the cloud's newest, whichever is older.
    Every method raises :class:`pumphouse.errors.CloudError`. ``list`` reads a whole collection;
    ``each`` gives its entries while it reads, page by page, and so never holds more than one page.
    """

    @property
    def name(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def project_id(self) -> str: ...
    def list(
        self,
        service: Service,
        path: str,
        key: str,
        *,
        params: Mapping[str, Any] | None = None,
        up_to: str | None = None,
    ) -> list[dict[str, Any]]: ...
    def each(
        self,
        service: Service,
        path: str,
        key: str,
        *,
        params: Mapping[str, Any] | None = None,
        up_to: str | None = None,
    ) -> Iterator[dict[str, Any]]: ...
    def get(
        self,
        service: Service,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        up_to: str | None = None,
    ) -> dict[str, Any]: ...
    def exists(self, service: Service, path: str) -> bool: ...
    def post(
        self,
        service: Service,
        path: str,
        body: Any,
        *,
        up_to: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]: ...
    def put(
        self,
        service: Service,
        path: str,
        body: Any = None,
        *,
        up_to: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]: ...
    def patch(
        self,
        service: Service,
        path: str,
        body: Any,
        *,
        up_to: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]: ...
    def delete(
        self,
        service: Service,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        up_to: str | None = None,
    ) -> bool: ...
    def addresses(self, service: Service) -> Mapping[str, str]: ...
    def microversion(self, service: Service, up_to: str) -> str: ...
    def supports(self, service: Service, version: str) -> bool: ...
    def has_extension(self, alias: str) -> bool: ...
    def within(self, project_id: str, *, fresh: bool = False) -> Self: ...
