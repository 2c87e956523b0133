"""Version documents. keystoneauth passes over whatever goes wrong with one, and goes on without it.

A service would then be spoken to at an address without a version, or as if it had no microversions: fields
would be left out of a migration without a word. So what may pass is let out of keystoneauth, to be tried
again, and a service whose version is not known in the end is an error.
"""

from __future__ import annotations

import threading
from typing import Any

import requests
from keystoneauth1 import adapter, session
from keystoneauth1 import exceptions as ks

from pumphouse.cloud_api import Service
from pumphouse.clouds import failures

_PASSING = frozenset({429, 500, 502, 503, 504})
_WITH_MICROVERSIONS = frozenset({Service.COMPUTE, Service.VOLUME})


class Session(session.Session):
    """A session whose version documents do not fail in silence."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._local = threading.local()

    def request(self, url: str, method: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Send as keystoneauth does."""
        # Requests of our own bring their token and raise nothing for a status.
        document = method == "GET" and kwargs.get("raise_exc", True)
        if document and kwargs.get("authenticated") and self._of_identity(url):
            # A token for it would be waited for by the one who is just getting it, for ever.
            raise self.refusal() or ks.Unauthorized("the identity service tells its version to nobody")
        try:
            return super().request(url, method, **kwargs)
        except (ks.HttpError, ks.ConnectionError) as failure:
            if not document:
                raise
            self._local.refusal = failure
            if failures.never_sent(failure):
                raise  # whatever is asked for next fails as well, and tells more
            if isinstance(failure, ks.ConnectionError) or failure.http_status in _PASSING:
                raise failures.Interrupted(str(failure)) from failure
            raise

    def _of_identity(self, url: str) -> bool:
        """Whether it is a document of the service that tokens come from."""
        tokens = str(getattr(self.auth, "auth_url", None) or "").rstrip("/")
        return tokens.startswith(url.rstrip("/")) or (bool(tokens) and url.startswith(tokens))

    def refusal(self) -> Exception | None:
        """The last refusal of a version document to this thread, told once."""
        found: Exception | None = getattr(self._local, "refusal", None)
        self._local.refusal = None
        return found


def require_version(client: adapter.Adapter, service: Service) -> None:
    """See that the service has told which version it speaks. Raises ClientException."""
    data = client.get_endpoint_data()
    refusal = client.session.refusal() if isinstance(client.session, Session) else None
    if data is None or data.api_version is None:
        raise ks.DiscoveryFailure(f"the service tells no version at {client.get_endpoint()}") from refusal
    if service in _WITH_MICROVERSIONS and not data.max_microversion:
        raise ks.DiscoveryFailure(f"the service tells no microversions at {data.url}") from refusal
