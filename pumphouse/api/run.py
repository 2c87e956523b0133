"""Runs the API until it is told to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flask_openapi3.openapi import OpenAPI
from prometheus_client import CollectorRegistry

from pumphouse.api.app import create_app
from pumphouse.api.auth.revoked import Revoked
from pumphouse.api.auth.token import TokenLogin, pages, read_token
from pumphouse.api.listen import Address, address_of
from pumphouse.api.metrics import CloudMetrics
from pumphouse.api.security import LOCAL_HOSTS
from pumphouse.api.server import Server
from pumphouse.api.stream import feed_of
from pumphouse.api.tls import Certificate
from pumphouse.config import Auth, Config
from pumphouse.errors import BadConfig
from pumphouse.service import Pumphouse


class Host:
    """The application and its use cases, in the process that serves."""

    def __init__(self, config: Config, *, hosts: Sequence[str]) -> None:
        requests = CloudMetrics()
        self._service = Pumphouse.open(config, observer=requests)
        app = _app(self._service, hosts, requests.registry)
        self._feed = feed_of(app)
        self.wsgi: Callable[..., Any] = app
        self._supervisor = self._service.supervise(at_once=config.api.migrations)
        self._runner = self._service.runner()
        self._webhooks = self._service.webhooks()
        self._supervisor.start()
        self._runner.start()
        self._webhooks.start()

    def stopping(self) -> None:
        """Begin to stop; once is enough."""
        self._supervisor.stop()
        self._runner.stop()
        self._webhooks.stop()
        self._feed.close()

    def close(self) -> None:
        """Wait until all has stopped, and close the store."""
        self._supervisor.close()
        self._runner.close()
        self._webhooks.close()
        self._service.close()


def serve(config: Config, *, say: Callable[[str], None], secrets: bool) -> None:
    """Serve until a signal ends it; then this process ends, too.

    :param say: told the address once the server can be reached, and how to log in.
    :param secrets: whether that may be told with the token: nobody but the operator will see it.
    :raises pumphouse.errors.BadConfig: it cannot listen there, or must not.
    :raises pumphouse.errors.StoreError: the store cannot be used.
    """
    address = Address.parse(config.api.listen)
    if config.api.auth is Auth.NONE and not address.local:
        raise BadConfig(
            f"{address} can be reached from other machines, and auth = none asks nobody who they are",
            next_step="Listen on a loopback address or a unix socket, or choose another auth.",
        )
    hosts = list(config.api.hosts)
    if address.local and address.path is None:
        hosts += [*LOCAL_HOSTS, address.host]
    certificate = Certificate.of(config.api.tls_certificate, config.api.tls_key)
    # What is wrong is told here, in a line; the process that serves would only fail to start.
    with Pumphouse.open(config) as service:
        service.store.events.last()
        service.cloud_names()
        service.webhooks()
        feed_of(_app(service, hosts)).close()
    listener = address.listen()
    _tell(config, address_of(listener), say, secrets=secrets)
    Server(
        lambda: Host(config, hosts=hosts),
        listener=listener,
        followers=config.api.followers,
        certificate=certificate,
    ).run()


def _app(service: Pumphouse, hosts: Sequence[str], registry: CollectorRegistry | None = None) -> OpenAPI:
    """The application, with the login that is configured. Raises BadConfig."""
    options = service.config.api
    create = partial(create_app, service, hosts=hosts, registry=registry)
    match options.auth:
        case Auth.NONE:
            return create()
        case Auth.TOKEN:
            login = TokenLogin(read_token(Path(options.token_file).expanduser()))
            return create(login=login, blueprints=[pages(login)])
        case Auth.KEYSTONE:
            try:
                from pumphouse.api.auth import keystone

                policy = keystone.KeystonePolicy(options.policy_file)
                revoked = Revoked()
                pages_of_keystone = keystone.pages(service.config.files, revoked)
                app = create(login=keystone.KeystoneLogin(), policy=policy, blueprints=[pages_of_keystone])
                keystone.guard(app, service.config.files, revoked)
            except ImportError as error:
                raise BadConfig(
                    f"auth = keystone needs {error.name}", next_step="Install pumphouse[keystone]."
                ) from None
            return app


def _tell(config: Config, at: Address, say: Callable[[str], None], *, secrets: bool) -> None:
    url = f"http{'s' if config.api.tls_certificate else ''}://{at}"
    say(f"Serving on {at if at.path is not None else url}")
    if config.api.auth is Auth.TOKEN:
        path = Path(config.api.token_file).expanduser()
        if secrets and at.path is None:
            say(f"Log in with {url}/login?token={read_token(path)}")
        else:
            say(f"Log in with the token in {path}")
