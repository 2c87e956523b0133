"""``/_devcloud``: faults, holds, counts, writes, state, filling and expired tokens, for other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.services import ADMIN

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest


@ADMIN.route("POST", "/faults", status=201)
def add_fault(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """Arm a fault: the fields of :class:`pumphouse.devcloud.faults.Injection`."""
    options = request.json_object()
    try:
        injection = cloud.faults.add(**options)
    except (TypeError, ValueError) as error:
        raise bad_request(str(error)) from error
    return {"id": injection.id}


@ADMIN.route("GET", "/faults")
def list_faults(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """Armed and spent faults."""
    return {"faults": cloud.faults.list()}


@ADMIN.route("DELETE", "/faults")
def clear_faults(cloud: DevCloud, request: ApiRequest) -> None:
    """Disarm all."""
    cloud.faults.clear()


@ADMIN.route("POST", "/holds", status=201)
def set_hold(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """``{"nth": N, "when": "before" | "after", "kind": ...}``: hold the Nth write (of a kind) from now on."""
    options = request.json_object()
    nth, when, kind = options.get("nth", 1), options.get("when", "before"), str(options.get("kind", ""))
    try:
        cloud.holds.set(int(nth), when, kind=kind)
    except (TypeError, ValueError) as error:
        raise bad_request(str(error)) from error
    return cloud.holds.status()


@ADMIN.route("GET", "/holds", locked=False)
def show_hold(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """What is held now."""
    return cloud.holds.status()


@ADMIN.route("POST", "/holds/release", locked=False)
def release_hold(cloud: DevCloud, request: ApiRequest) -> None:
    """Let the held request go."""
    cloud.holds.release()


@ADMIN.route("GET", "/images/{image_id}/data", locked=False)
def image_store(cloud: DevCloud, request: ApiRequest, image_id: str) -> Response:
    """The bytes of an image, for everybody: the store of a Glance that keeps images behind plain HTTP."""
    path = cloud.files.path("images", image_id)
    if not (cloud.image_urls and path.exists()):
        raise not_found("There is no such image.")
    return Response(200, path.open("rb", buffering=0), {"Content-Type": "application/octet-stream"})


@ADMIN.route("GET", "/counts")
def counts(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """Requests by operation, and how many writes."""
    return {"requests": cloud.counts.requests, "writes": len(cloud.counts.writes)}


@ADMIN.route("DELETE", "/counts")
def reset_counts(cloud: DevCloud, request: ApiRequest) -> None:
    """Count from nothing again."""
    cloud.counts.reset()


@ADMIN.route("GET", "/writes")
def writes(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The writing requests in order."""
    return {"writes": cloud.counts.writes}


@ADMIN.route("GET", "/state")
def state(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The whole state; ``?raw=1`` keeps ids and times."""
    return cloud.state(raw=request.arg("raw") in ("1", "true", ""))


@ADMIN.route("POST", "/expire-tokens")
def expire_tokens(cloud: DevCloud, request: ApiRequest) -> None:
    """Every token ends now."""
    cloud.expire_tokens()


@ADMIN.route("POST", "/fill", status=204, locked=False)
def fill_cloud(cloud: DevCloud, request: ApiRequest) -> None:
    """Make all that a description names (see fill.py); 400 with what the cloud refuses of it."""
    # fill.py needs the services, which need this module's neighbours.
    from pumphouse.devcloud.client import ApiError
    from pumphouse.devcloud.description import BadDescription
    from pumphouse.devcloud.fill import fill

    try:
        fill(cloud, request.json_object())
    except (ApiError, BadDescription) as error:
        raise bad_request(str(error)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad_request(f"the description is wrong: {error!r}") from error
