"""The way of a request: count, faults, service, token, microversion, policy, handler, answer."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pumphouse.devcloud.errors import Fault, unauthenticated
from pumphouse.devcloud.faults import Injection
from pumphouse.devcloud.http import Request, Response, Wire
from pumphouse.devcloud.router import Route, Service, Version, services_by_mount, split
from pumphouse.devcloud.tokens import Token
from pumphouse.devcloud.versions import catalogue_of_versions

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud

TOKEN_PATH = "/identity/v3/auth/tokens"  # noqa: S105 - a path
_PROJECT = re.compile(r"^[0-9a-f]{32}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_MICROVERSION = re.compile(r"^(\d+)\.(\d+)$")


class ApiRequest(Request):
    """A request on its way to a handler."""

    cloud: DevCloud
    service: Service
    request_id: str
    kind: str = ""
    """What is asked for: ``"GET /compute/v2.1/servers/{server_id}"``; "" for what there is not."""
    caller: Token | None = None
    microversion: Version = (0, 0)

    @property
    def token(self) -> Token:
        """The caller. Only for routes that ask for a token."""
        assert self.caller is not None, "a route without auth has no caller"  # noqa: S101 - a programming error
        return self.caller

    @property
    def url(self) -> str:
        """The base of the service's versioned API, for links."""
        return self.cloud.url + self.service.root

    def at_least(self, major: int, minor: int) -> bool:
        """Whether the negotiated microversion is this or newer."""
        return self.microversion >= (major, minor)

    def member(self, key: str) -> dict[str, Any]:
        """The object under ``key`` of the JSON body; 400 when there is none."""
        value = self.json_object().get(key)
        if not isinstance(value, dict):
            raise Fault(400, f"Invalid input for field/attribute {key}. '{key}' is a required property")
        return cast("dict[str, Any]", value)

    def json_object(self) -> dict[str, Any]:
        """The body, which must be a JSON object; 400 when it is not."""
        try:
            value = self.json()
        except ValueError as error:
            raise Fault(400, "The request body is not valid JSON.") from error
        if not isinstance(value, dict):
            raise Fault(400, "The request body must be a JSON object.")
        return value


class Dispatcher:
    """The application behind a cloud's server."""

    def __init__(self, cloud: DevCloud) -> None:
        self._cloud = cloud
        self._mounts = services_by_mount(cloud.services)

    def __call__(self, plain: Request) -> Response:
        """Answer one request, with faults and holds as they were asked for."""
        request = cast("ApiRequest", plain)
        request.__class__ = ApiRequest
        cloud = request.cloud = self._cloud
        cloud.last_request = time.monotonic()
        request.request_id = f"req-{cloud.new_id()}"
        if request.path.startswith("/_devcloud"):
            return self._answer(request)
        with cloud.work.under_way():
            return self._held_or_answered(request)

    def _held_or_answered(self, request: ApiRequest) -> Response:
        cloud = request.cloud
        request.kind = self._kind(request)
        if request.kind:
            cloud.counts.request(request.kind)
        writes = request.method not in ("GET", "HEAD", "OPTIONS") and request.path.rstrip("/") != TOKEN_PATH
        nth = cloud.counts.begin_write() if writes else None
        written = request.method, request.path, request.kind
        if nth is not None and not cloud.holds.wait(nth, "before", *written):
            return Response(wire=Wire.RESET)
        injection = cloud.faults.match(request.method, request.path, request.kind)
        response = self._with_injection(request, injection)
        if writes:
            cloud.counts.write(*written, response.status)
        if nth is not None and not cloud.holds.wait(nth, "after", *written):
            response.wire = Wire.RESET
        return response

    def _with_injection(self, request: ApiRequest, injection: Injection | None) -> Response:
        if injection is None or injection.action == "server_error":
            return self._answer(request)
        if injection.action == "status":
            return injection.answer(request.request_id)
        if injection.action == "drop" and injection.when == "before":
            return Response(wire=Wire.RESET)
        if injection.action == "stall":
            injection.stall()
            return Response(wire=Wire.RESET)
        if injection.action == "delay":
            injection.pause()
        if injection.action == "expire":
            request.cloud.expire_tokens()
        if injection.action == "drop" and injection.when == "middle":
            request.body.cut()
        try:
            response = self._answer(request)
        except ConnectionError:  # the body was cut
            return Response(wire=Wire.RESET)
        if injection.action == "drop":
            response.wire = Wire.RESET
        elif injection.action == "half_body":
            response.wire = Wire.HALF
        return response

    def _answer(self, request: ApiRequest) -> Response:
        segments = split(request.path)
        service = self._mounts.get(segments[0]) if segments else None
        if service is None:
            return Response(404, b"there is no such service\n", {"Content-Type": "text/plain"})
        request.service = service
        try:
            response = self._serve(request, service, segments[1:])
        except Fault as fault:
            response = service.render(fault)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug in a handler must look like a 500, as in the real services
            traceback.print_exc()
            response = service.render(Fault(500, f"Unexpected API Error. {type(error).__name__}"))
        self._add_headers(request, service, response)
        return response

    def _serve(self, request: ApiRequest, service: Service, segments: list[str]) -> Response:
        found = _target(request.method, service, segments)
        if isinstance(found, list):
            return catalogue_of_versions(self._cloud, service, found)
        if service.microversions:
            request.microversion = self._negotiate(request, service)
        route, values = found
        return self._call(route, request, values)

    def _kind(self, request: ApiRequest) -> str:
        """The operation's name, with the action of a body that holds one: ``... /action os-stop``."""
        mount, *segments = split(request.path) or [""]
        service = self._mounts.get(mount)
        if service is None:
            return ""
        try:
            found = _target(request.method, service, segments)
            if isinstance(found, list):
                return f"{request.method} {'/'.join((service.mount.rstrip('/'), *found))}"
            route, _ = found
            acts = route.template.endswith("/action")
            return f"{route.name} {next(iter(request.json_object()), '')}" if acts else route.name
        except Fault:
            return ""

    def _call(self, route: Route, request: ApiRequest, values: Mapping[str, str]) -> Response:
        cloud = self._cloud
        if route.since and request.microversion < route.since:
            raise Fault(404, "The resource could not be found.")
        if route.service.name != "admin" and route.auth:
            with cloud.lock:
                request.caller = cloud.tokens.get(request.headers.get("X-Auth-Token"), cloud.now())
            if request.caller is None:
                return unauthenticated(cloud.auth_url)
            if route.role is not None and not request.caller.has(route.role):
                raise denied(route.service, route.policy)
        if not route.locked:
            return _response(route.handler(cloud, request, **values), route.status)
        request.content()  # a slow client must not hold the lock
        with cloud.transaction():
            return _response(route.handler(cloud, request, **values), route.status)

    def _negotiate(self, request: ApiRequest, service: Service) -> Version:
        span = service.microversions
        assert span is not None  # noqa: S101 - the caller has looked
        newest = self._cloud.newest.get(service.name, span.maximum)
        text = None
        for part in request.headers.get("OpenStack-API-Version", "").split(","):
            kind, _, wanted = part.strip().partition(" ")
            if kind == span.service_type:
                text = wanted.strip()
        if text is None and span.legacy_header:
            text = request.headers.get(span.legacy_header)
        if text is None:
            return span.minimum
        if text == "latest":
            return newest
        match = _MICROVERSION.match(text)
        if match is None:
            raise Fault(
                400, f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
            )
        version = int(match[1]), int(match[2])
        if not span.minimum <= version <= newest:
            low, high = (f"{major}.{minor}" for major, minor in (span.minimum, newest))
            raise Fault(
                406, f"Version {text} is not supported by the API. Minimum is {low} and maximum is {high}."
            )
        return version

    @staticmethod
    def _add_headers(request: ApiRequest, service: Service, response: Response) -> None:
        headers = response.headers
        headers["x-openstack-request-id"] = request.request_id
        if service.name in ("compute", "volume"):
            headers["x-compute-request-id"] = request.request_id
        span = service.microversions
        if span is not None and request.microversion != (0, 0):
            text = "{}.{}".format(*request.microversion)
            headers["OpenStack-API-Version"] = f"{span.service_type} {text}"
            headers["Vary"] = "OpenStack-API-Version"
            if span.legacy_header:
                headers[span.legacy_header] = text
                headers["Vary"] = f"OpenStack-API-Version, {span.legacy_header}"


def _target(method: str, service: Service, segments: list[str]) -> tuple[Route, dict[str, str]] | list[str]:
    """What a path below a service's mount names: an operation, or a version document. Raises Fault."""
    if service.version:
        if not segments or segments[0] != service.version[1:]:
            return segments
        segments = segments[1:]
        # Nova and Cinder take the project's id in front of every path.
        if service.microversions and segments and _PROJECT.match(segments[0]):
            segments = segments[1:]
        if not segments:
            return [service.version[1:]]
    found = service.find(method, segments)
    if not isinstance(found, tuple) and method == "HEAD":
        found = service.find("GET", segments)
    if isinstance(found, tuple):
        return found
    if found:
        allowed = ", ".join(found)
        raise Fault(405, "The method is not allowed for the requested URL.", headers={"Allow": allowed})
    raise Fault(404, "The resource could not be found.")


def denied(service: Service, policy: str) -> Fault:
    """The 403 of a service for a policy that the caller does not meet."""
    return Fault(403, service.denied.format(policy=policy))


def _response(result: Any, status: int) -> Response:
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(204 if status == 200 else status)
    return Response(status, result)
