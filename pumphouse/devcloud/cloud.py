"""A cloud: the tables of its services, one lock, a clock with scheduled changes, and its server."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from pumphouse.devcloud import services
from pumphouse.devcloud.dispatch import Dispatcher
from pumphouse.devcloud.faults import Counts, FaultBook, Holds
from pumphouse.devcloud.files import Files
from pumphouse.devcloud.http import Server
from pumphouse.devcloud.passwords import PasswordDatabase
from pumphouse.devcloud.router import Service, Version
from pumphouse.devcloud.saved import Saved
from pumphouse.devcloud.state import State, snapshot
from pumphouse.devcloud.table import Table
from pumphouse.devcloud.tokens import TokenStore
from pumphouse.devcloud.volume_driver import VolumeDriver
from pumphouse.devcloud.work import Work

# Seconds that each kind of change takes, unless the cloud is told otherwise.
TIMINGS: Mapping[str, float] = {
    "build": 1.0,
    "suspend": 0.5,
    "resume": 0.5,
    "power": 0.5,
    "shelve": 0.5,
    "delete": 0.2,
    "attach": 0.2,
    "snapshot": 0.5,
    "image": 0.5,
    "volume": 0.5,
    "upload": 0.5,
    "network": 0.0,
}
ADMIN_PASSWORD = "admin-secret"  # noqa: S105 - the embedded clouds' well-known password


class DevCloud:
    """An OpenStack-compatible cloud on loopback.

    ``timings`` overrides the seconds of :data:`TIMINGS` by kind; ``seed`` makes ids repeatable;
    ``microversions`` lowers a service's newest microversion (``{"compute": "2.60"}``) to play an older cloud;
    ``port`` 0 picks a free one. With ``image_urls`` Glance keeps images in a store that is open over HTTP,
    and tells where. ``same_storage`` are the clouds whose volumes lie where this one's do, and
    ``volume_driver`` is what it reaches them by. State lives in
    memory, bytes and the Keystone database below ``directory``.
    """

    def __init__(
        self,
        name: str,
        *,
        directory: Path | str,
        region: str = "RegionOne",
        timings: Mapping[str, float] | None = None,
        seed: int | None = None,
        admin_password: str = ADMIN_PASSWORD,
        microversions: Mapping[str, str] | None = None,
        token_seconds: float = 3600,
        port: int = 0,
        image_urls: bool = False,
    ) -> None:
        unknown = set(timings or {}) - set(TIMINGS)
        if unknown:
            raise ValueError(f"unknown timings {sorted(unknown)}: the kinds are {sorted(TIMINGS)}")
        self.name = name
        self.region = region
        self.image_urls = image_urls
        self.same_storage: list[DevCloud] = []
        self.volume_driver = VolumeDriver()
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.admin_password = admin_password
        self.timings: dict[str, float] = {**TIMINGS, **(timings or {})}
        self.newest: dict[str, Version] = {
            service: _version(text) for service, text in sorted((microversions or {}).items())
        }
        self.lock = threading.RLock()
        self.tokens = TokenStore()
        self.token_seconds = token_seconds
        self.passwords = PasswordDatabase(self.keystone_database)
        self.files = Files(self.directory / "files")
        self.last_request = time.monotonic()
        self.faults = FaultBook()
        self.holds = Holds()
        self.counts = Counts()
        self.work = Work()
        self.random = random.Random(seed)  # noqa: S311 - ids, not secrets
        self._settling: datetime | None = None
        self._sequence = itertools.count()
        self._changes: list[tuple[datetime, int, Callable[[], None]]] = []
        self.services: tuple[Service, ...] = services.load()
        self._tables = {spec.name: Table(spec) for service in self.services for spec in service.tables}
        self._server = Server(Dispatcher(self), port=port)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        for service in self.services:
            for setup in service.setups:
                setup(self)

    # -- life

    def start(self) -> str:
        """Serve; the cloud's base URL."""
        self._server.start()
        return self.url

    def stop(self) -> None:
        """Stop serving, let go of held and stalled requests, free the port."""
        self.holds.release()
        self.faults.clear()
        self._server.stop()
        with self.lock:
            self.passwords.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def auth_url(self) -> str:
        """The identity service."""
        return f"{self.url}/identity/v3"

    @property
    def keystone_database(self) -> Path:
        """The file with the tables ``user``, ``local_user`` and ``password``."""
        return self.directory / "keystone.db"

    @property
    def keystone_database_url(self) -> str:
        """The same as a URL for SQLAlchemy."""
        return f"sqlite:///{self.keystone_database}"

    # -- state

    def table(self, name: str) -> Table:
        """A declared table; KeyError when no service declares it."""
        return self._tables[name]

    @property
    def tables(self) -> Mapping[str, Table]:
        """All tables by name."""
        return self._tables

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock, with all changes that are due applied.

        Handlers run inside one, unless ``locked=False``.
        """
        with self.lock:
            self.settle()
            yield

    def new_id(self) -> str:
        """A UUID with dashes, as Nova, Neutron, Cinder and Glance use."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def new_hex(self) -> str:
        """A UUID without dashes, as Keystone uses."""
        return uuid.UUID(int=self.random.getrandbits(128), version=4).hex

    # -- time

    def now(self) -> datetime:
        """The time, UTC. While a change is applied it is the time at which the change was due."""
        return self._settling or datetime.now(UTC)

    def later(self, kind: str, change: Callable[[], None], *, at_least: float = 0.0) -> None:
        """Apply ``change`` after the seconds of this kind (:data:`TIMINGS`).

        It is applied before the first request that could see it.

        The change must look again whether its row is still there and still as expected. One that puts itself
        off needs ``at_least`` some seconds, or it would be due for ever.
        """
        due = self.now() + timedelta(seconds=max(at_least, self.timings[kind]))
        heapq.heappush(self._changes, (due, next(self._sequence), change))

    def settle(self) -> None:
        """Apply the changes that are due, in order. Called under the lock."""
        if not self._changes or self._settling is not None:
            return
        now = datetime.now(UTC)
        try:
            while self._changes and self._changes[0][0] <= now:
                self._settling, _, change = heapq.heappop(self._changes)
                change()
        finally:
            self._settling = None

    def calm(self, seconds: float = 30.0) -> None:
        """Block until no request is under way, nothing goes on beside them, and no change is to come.

        TimeoutError if that takes longer, as with a request that is held.
        """
        end = time.monotonic() + seconds
        while True:
            self.work.wait(end - time.monotonic())
            with self.transaction():
                if not self._changes:
                    break
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self._changes)} changes are still to come")
            time.sleep(0.005)
        self.work.wait(end - time.monotonic())  # the last change may have begun some

    # -- saving

    def save(self, directory: Path) -> Saved:
        """What the cloud holds now, to come back to: rows, files, passwords and tokens.

        The cloud must be calm. The copies of the files go into ``directory``, which is made.
        """
        with self.transaction():
            return Saved.of(self, directory)

    def restore(self, saved: Saved) -> None:
        """Come back to what :meth:`save` answered. The cloud must be calm."""
        with self.transaction():
            self._tables = saved.back(self)

    # -- looking in

    def state(self, *, raw: bool = False) -> State:
        """Everything the cloud holds, normalised (see state.py); ``raw`` keeps ids and times."""
        with self.transaction():
            return snapshot(self, raw=raw)

    def expire_tokens(self) -> None:
        """Every token handed out so far ends now."""
        with self.lock:
            self.tokens.clear()


def _version(text: str) -> Version:
    major, minor = text.split(".")
    return int(major), int(minor)


def clouds_yaml(clouds: Mapping[str, DevCloud]) -> str:
    """A clouds.yaml with the admin of every cloud."""
    import yaml

    def entry(cloud: DevCloud) -> dict[str, Any]:
        return {
            "region_name": cloud.region,
            "identity_api_version": "3",
            "auth": {
                "auth_url": cloud.auth_url,
                "username": "admin",
                "password": cloud.admin_password,
                "project_name": "admin",
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
        }

    return yaml.safe_dump(
        {"clouds": {name: entry(cloud) for name, cloud in sorted(clouds.items())}}, sort_keys=False
    )
