"""One request to a service: limits, time-outs, errors of our tree, and repeats where they are safe.

What is repeated, at most ``attempts`` times (an option), with doubling waits or those of Retry-After:

* anything that did not reach the service: no token, no connection, 429, 503;
* 500, 502, 504, a reset, a silence or half an answer: only if doing it twice is doing it once. Any other
  request ends as :class:`pumphouse.errors.Unsure`, and the caller looks before it repeats.

A 401 is answered by one new token.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import requests
from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ks
from keystoneauth1.discover import EndpointData
from keystoneauth1.identity.base import BaseIdentityPlugin
from openstack import exceptions as sdk
from openstack import proxy
from openstack.config.cloud_region import CloudRegion

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds import failures
from pumphouse.clouds.call import Answer, Call, retry_after
from pumphouse.clouds.discovery import require_version
from pumphouse.clouds.http import Settings
from pumphouse.clouds.throttle import Limiter

LOG = logging.getLogger("pumphouse.clouds.requests")
T = TypeVar("T")

# The major version that this code speaks, per service.
_MAJOR = {
    Service.IDENTITY: "3",
    Service.COMPUTE: "2",
    Service.IMAGE: "2",
    Service.NETWORK: "2",
    Service.VOLUME: "3",
}
_CREDENTIALS = ("password", "application_credential_secret", "token", "passcode", "access_token")
_NOT_APPLIED = frozenset({429, 503})
_MAYBE_APPLIED = frozenset({500, 502, 504})


class Client(proxy.Proxy):
    """The SDK's proxy of one service without the SDK's cache and statistics around each request."""

    url: str
    """The versioned endpoint. Given in full, it saves the SDK going through its discovery each time."""

    def request(self, url: str, method: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Send as keystoneauth's adapter does."""
        return adapter.Adapter.request(self, url, method, **kwargs)


class _Trouble(Exception):
    """An attempt failed. ``wait`` is what the service asked for, in seconds."""

    def __init__(
        self,
        error: errors.CloudError,
        *,
        transient: bool = False,
        maybe_applied: bool = False,
        wait: float | None = None,
        token_refused: bool = False,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.transient = transient
        self.maybe_applied = maybe_applied
        self.wait = wait
        self.token_refused = token_refused


class Sender:
    """Sends requests for one project of one cloud. Threads may share it."""

    def __init__(
        self,
        name: str,
        region: CloudRegion,
        settings: Settings,
        limiters: Mapping[Service, Limiter],
        *,
        discovery: threading.RLock,
        project_id: str = "",
    ) -> None:
        self._name = name
        self._region = region
        self._settings = settings
        self._limiters = limiters
        self._project_id = project_id
        self._clients: dict[Service, Client] = {}
        # One for all projects of a cloud, so that each service is asked for its versions once.
        self._discovery = discovery
        self._renewal = threading.Lock()
        self._tokens_wanted = 0
        self._tokens_had = 0

    @property
    def region(self) -> CloudRegion:
        """The cloud's entry of clouds.yaml, with this project's credentials."""
        return self._region

    def client(self, service: Service) -> Client:
        """The service's client, with its endpoint discovered, so that threads find it warm."""
        ready = self._clients.get(service)
        if ready is not None:
            return ready
        with self._discovery:
            if service not in self._clients:
                if not (
                    self._region.get_endpoint(service) or self._region.get_endpoint_from_catalog(service)
                ):
                    raise ks.EndpointNotFound(service)
                major = _MAJOR[service]
                # A version in clouds.yaml goes first; the adapter takes that or a range, not both.
                wanted = {"min_version": major, "max_version": f"{major}.latest"}
                client = self._region.get_session_client(
                    service,
                    constructor=Client,
                    allow_version_hack=True,
                    **({} if self._region.get_api_version(service) else wanted),
                )
                require_version(client, service)
                client.url = str(client.get_endpoint() or "").rstrip("/")
                self._clients[service] = client
            return self._clients[service]

    def discover(self, service: Service) -> EndpointData | None:
        """What the service says of its versions. The first of the threads that ask finds out for all."""
        with self._discovery:
            return self.client(service).get_endpoint_data()

    def reauthenticate(self) -> None:
        """Have the next request get a new token."""
        with self._renewal:
            self._tokens_wanted += 1

    def send(self, call: Call) -> Answer:
        """Send it, again where that is safe. Raises :class:`pumphouse.errors.CloudError`."""
        return Answer(*self._persist(call, lambda: self._limited(call)))

    def guarded(self, service: Service, what: str, work: Callable[[], T]) -> T:
        """Do something with the SDK (token, catalogue, discovery) under the same rules as a request."""
        call = Call(service=service, method="GET", path=what)
        return self._persist(call, lambda: self._prepare(call, work))[0]

    def _persist(self, call: Call, attempt: Callable[[], T]) -> tuple[T, bool]:
        """What the first attempt that succeeds gives, and whether an earlier one may have been applied."""
        tried, doubtful, new_token = 0, False, False
        while True:
            tried += 1
            try:
                return attempt(), doubtful
            except _Trouble as trouble:
                if trouble.token_refused and not new_token and not call.once:
                    new_token = True
                    tried -= 1
                    self.reauthenticate()
                    continue
                doubtful = doubtful or trouble.maybe_applied
                if trouble.maybe_applied and (call.once or not call.repeatable):
                    raise self._unsure(call, trouble.error) from trouble.__cause__
                if not trouble.transient or call.once or tried >= self._settings.limits.attempts:
                    raise trouble.error from trouble.__cause__
                self._wait(call, trouble, tried)

    def _limited(self, call: Call) -> requests.Response:
        limiter = self._limiters[call.service]
        if call.transfer:
            limiter.turn()
            return self._once(call)
        with limiter.slot():
            return self._once(call)

    def _once(self, call: Call) -> requests.Response:
        """One attempt: everything that comes before the request apart from the request itself."""
        client, token = self._prepare(call, lambda: self._ready(call.service))
        place = self._place(call)
        start = time.monotonic()
        try:
            response = client.request(
                f"{client.url}/{call.path.lstrip('/')}",
                call.method,
                params=call.params,
                json=call.body,
                authenticated=False,
                headers={"Accept": "application/json"} | token | dict(call.headers or {}),
                microversion=call.microversion,
                raise_exc=False,
                log=False,
                connect_retries=0,
                status_code_retries=0,
                **(call.options or {}),
            )
        except ks.ClientException as failure:
            self._log(call, "no answer", start, "")
            reached = not failures.never_sent(failure)
            error = failures.from_exception(place, failure)
            place.mask(failure)
            # A certificate does not become trusted by asking again.
            transient = not isinstance(failure, ks.SSLError)
            raise _Trouble(error, transient=transient, maybe_applied=reached and transient) from failure
        self._log(call, str(response.status_code), start, failures.request_id(response))
        status = response.status_code
        if status < 300 or (status == 404 and call.method == "DELETE"):
            return response
        raise _Trouble(
            failures.from_response(place, response),
            transient=status in _NOT_APPLIED | _MAYBE_APPLIED,
            maybe_applied=status in _MAYBE_APPLIED,
            wait=retry_after(response) if status in _NOT_APPLIED else None,
            token_refused=status == 401,
        )

    def _ready(self, service: Service) -> tuple[Client, dict[str, str]]:
        """The client and the headers with a valid token, had beforehand so that their lack does no harm."""
        client = self.client(service)
        return client, dict(client.session.get_auth_headers() or {})

    def _renew(self) -> None:
        """Get the new token that was asked for.

        It takes the old one's place at once. To invalidate a session leaves a moment without any, in which
        another thread that is given one by keystoneauth fails with an AssertionError.
        """
        with self._renewal:
            if self._tokens_had == self._tokens_wanted:
                return
            session = self._region.get_session()
            if isinstance(session.auth, BaseIdentityPlugin):
                session.auth.auth_ref = session.auth.get_auth_ref(session)
            else:
                session.invalidate()
            self._tokens_had = self._tokens_wanted

    def _prepare(self, call: Call, work: Callable[[], T]) -> T:
        """Token, catalogue and discovery. Whatever fails here, the request itself was not sent."""
        try:
            self._renew()
            return work()
        except (ks.ClientException, sdk.SDKException) as failure:
            cause = failures.root(failure)
            place = self._place(call)
            error = failures.from_exception(place, cause)
            place.mask(failure)
            if error.status == 401 and self._project_id:
                # The credentials were good for the project of clouds.yaml.
                error.next_step = f"Give the operator's user a role in the project {self._project_id}."
            raise _Trouble(
                error,
                transient=error.status in _NOT_APPLIED | _MAYBE_APPLIED
                or (isinstance(cause, ks.ConnectionError) and not isinstance(cause, ks.SSLError)),
                wait=_asked_to_wait(cause),
            ) from failure

    def _unsure(self, call: Call, error: errors.CloudError) -> errors.CloudError:
        return errors.Unsure(
            f"{error.message}; it may have been applied all the same",
            service=call.service,
            method=call.method,
            path=call.path,
            status=error.status,
            cloud=self._name,
            request_id=error.request_id,
        )

    def _wait(self, call: Call, trouble: _Trouble, attempt: int) -> None:
        delay = self._delay(attempt, trouble.wait)
        LOG.info("%s: trying again in %.1f s", trouble, delay)
        if trouble.wait is not None:
            self._limiters[call.service].hold_off(delay)
        if self._settings.observer is not None:
            self._settings.observer.waited(self._name, call.service, delay)
        time.sleep(delay)

    def _delay(self, attempt: int, wanted: float | None) -> float:
        """What the service asked for, or a doubling wait, jittered so that threads do not march in step."""
        doubled: float = self._settings.limits.first_wait * 2 ** (attempt - 1)
        wait = doubled * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        return min(max(wait, wanted or 0.0), self._settings.limits.longest_wait)

    def _place(self, call: Call) -> failures.Place:
        return failures.Place(
            cloud=self._name,
            service=call.service,
            method=call.method,
            path=call.path,
            body=call.body,
            credentials=self._credentials,
        )

    def _credentials(self) -> Iterator[str]:
        """What a service might repeat of who asks: the secrets of clouds.yaml, and the token."""
        auth = self._region.get_auth_args()
        yield from (str(auth[name]) for name in _CREDENTIALS if auth.get(name))
        access = getattr(self._region.get_session().auth, "auth_ref", None)
        if access is not None:
            yield access.auth_token

    def _log(self, call: Call, outcome: str, start: float, request_id: str) -> None:
        seconds = time.monotonic() - start
        if self._settings.observer is not None:
            self._settings.observer.sent(self._name, call.service, call.method, outcome, seconds)
        LOG.debug(
            "%s %s %s %s: %s in %.3f s %s",
            self._name,
            call.service,
            call.method,
            call.path,
            outcome,
            seconds,
            request_id,
        )


def _asked_to_wait(failure: Exception) -> float | None:
    """The seconds that the answer behind a failure asks for."""
    response = failure.response if isinstance(failure, ks.HttpError) else None
    return retry_after(response) if response is not None else None
