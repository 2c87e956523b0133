"""Version documents, each service's in its own form. The SDK reads them before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Fault
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.router import Service

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud

UPDATED = "2026-01-01T00:00:00Z"
_IMAGE_MINORS = range(17, -1, -1)


def catalogue_of_versions(cloud: DevCloud, service: Service, segments: list[str]) -> Response:
    """The document at a service's mount (no segments) or at its version; 404 for another path."""
    if segments and segments != [service.version[1:]]:
        raise Fault(404, "The resource could not be found.")
    single = bool(segments)
    versions = _image_versions(cloud) if service.name == "image" else [_version(cloud, service)]
    if service.name == "identity":
        if single:
            return Response(200, {"version": versions[0]})
        return Response(300, {"versions": {"values": versions}}, {"Location": f"{cloud.url}{service.root}/"})
    if service.name == "compute" and single:
        return Response(200, {"version": versions[0]})
    if service.name == "network" and single:
        return Response(200, {"resources": []})
    status = (
        300 if (service.name == "image" and not single) or (service.name == "volume" and not single) else 200
    )
    return Response(status, {"versions": versions})


def _version(cloud: DevCloud, service: Service) -> dict[str, Any]:
    href = f"{cloud.url}{service.root}/"
    links = [{"rel": "self", "href": href}]
    if service.name == "identity":
        media = [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}]
        return {"id": "v3.14", "status": "stable", "updated": UPDATED, "links": links, "media-types": media}
    document: dict[str, Any] = {
        "id": service.version[1:],
        "status": "CURRENT",
        "updated": UPDATED,
        "links": links,
    }
    span = service.microversions
    if span is not None:
        newest = cloud.newest.get(service.name, span.maximum)
        document["version"] = "{}.{}".format(*newest)
        document["min_version"] = "{}.{}".format(*span.minimum)
    if service.name == "volume":
        document["id"] = "v3.0"
    return document


def _image_versions(cloud: DevCloud) -> list[dict[str, Any]]:
    links = [{"rel": "self", "href": f"{cloud.url}/image/v2/"}]
    return [
        {
            "id": f"v2.{minor}",
            "status": "CURRENT" if minor == _IMAGE_MINORS[0] else "SUPPORTED",
            "links": links,
        }
        for minor in _IMAGE_MINORS
    ]
