"""The databases under the store: SQLite files, and servers of PostgreSQL and MariaDB that the tests start.

A server runs in a directory of its own and listens on a Unix socket there, so that test runs do not disturb
each other. It starts when the first test asks for it and ends with the session; should the session be killed,
the kernel ends it. Each test has a database of its own.

Where a server is not installed its tests are skipped, but in CI they fail.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

_NOBODY = ("--reuid=nobody", "--regid=nogroup", "--clear-groups")
"""Neither server runs as root."""
_START_SECONDS = 60


class Databases(ABC):
    """Makes databases."""

    @abstractmethod
    def new(self) -> str:
        """The URL of a new, empty database."""

    @abstractmethod
    def stop(self) -> None:
        """End, and remove all."""


class SQLite(Databases):
    """Files."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pumphouse-sqlite-"))
        self._numbers = count()

    def new(self) -> str:
        return f"sqlite:///{self._folder}/{next(self._numbers)}.db"

    def stop(self) -> None:
        shutil.rmtree(self._folder)


class Server(Databases):
    """A server in a temporary directory."""

    programs: tuple[str, ...]
    package: str
    socket: str
    """Its socket's name in the directory."""
    end: signal.Signals
    """What ends it at once."""

    def __init__(self) -> None:
        missing = [name for name in ("setpriv", *self.programs) if _program(name) is None]
        if missing:
            told = f"{', '.join(missing)} not found; install them with: apt-get install {self.package}"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(told)
        self._folder = Path(tempfile.mkdtemp(prefix="pumphouse-db-"))
        self._numbers = count()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if os.geteuid() == 0:
                shutil.chown(self._folder, "nobody")
            self._log = (self._folder / "log").open("ab")
            self._run(*self.set_up())
            self._process = subprocess.Popen(
                self._command(*self.serve()), stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL
            )
            self._wait()
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def set_up(self) -> tuple[str, ...]:
        """The command that makes the server's files."""

    @abstractmethod
    def serve(self) -> tuple[str, ...]:
        """The command that runs it."""

    @abstractmethod
    def url(self, database: str) -> str:
        """The URL of a database."""

    @property
    @abstractmethod
    def admin(self) -> str:
        """A database that is always there."""

    def new(self) -> str:
        name = f"test{next(self._numbers)}"
        with self.connect(self.admin) as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(self.end)
            self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder)

    @contextmanager
    def connect(self, database: str) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self.url(database), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection

    def _run(self, *command: str) -> None:
        done = subprocess.run(self._command(*command), check=False, stdout=self._log, stderr=self._log)
        if done.returncode:
            raise RuntimeError((self._folder / "log").read_text()[-2000:])

    def _command(self, program: str, *arguments: str) -> list[str]:
        """As an ordinary user, and no longer than this process lives."""
        user = _NOBODY if os.geteuid() == 0 else ()
        return ["setpriv", *user, "--pdeathsig", self.end.name, str(_program(program)), *arguments]

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            # A driver that cannot connect might leave its socket open.
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(f"{self._folder}/{self.socket}")
            with self.connect(self.admin):
                return True
        except (OSError, sa.exc.OperationalError):
            return False


class PostgreSQL(Server):
    """PostgreSQL, without care for what a crash of the machine would do."""

    programs = ("initdb", "postgres")
    package = "postgresql"
    socket = ".s.PGSQL.5432"
    end = signal.SIGQUIT
    admin = "postgres"

    def set_up(self) -> tuple[str, ...]:
        return ("initdb", "--pgdata", f"{self._folder}/data", "--username=pumphouse", "--auth=trust",
                "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def serve(self) -> tuple[str, ...]:
        settings = ("listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=400")
        return ("postgres", "-D", f"{self._folder}/data", "-k", str(self._folder),
                *(word for setting in settings for word in ("-c", setting)))  # fmt: skip

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://pumphouse@/{database}?host={self._folder}"


class MariaDB(Server):
    """MariaDB, as carefree; as it comes, its tables tell no case apart."""

    programs = ("mariadb-install-db", "mariadbd", "my_print_defaults")
    package = "mariadb-server-core mariadb-client-core"
    socket = "sock"
    end = signal.SIGKILL
    admin = "mysql"

    def set_up(self) -> tuple[str, ...]:
        return ("mariadb-install-db", "--no-defaults", f"--datadir={self._folder}/data",
                "--auth-root-authentication-method=normal", "--skip-test-db")  # fmt: skip

    def serve(self) -> tuple[str, ...]:
        return ("mariadbd", "--no-defaults", f"--datadir={self._folder}/data", "--skip-networking",
                f"--socket={self._folder}/sock", f"--pid-file={self._folder}/pid", "--skip-log-bin",
                "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M", "--max-connections=400",
                "--innodb-buffer-pool-size=32M")  # fmt: skip

    def url(self, database: str) -> str:
        return f"mysql+pymysql://root@localhost/{database}?unix_socket={self._folder}/sock"


KINDS: dict[str, Callable[[], Databases]] = {"sqlite": SQLite, "postgresql": PostgreSQL, "mariadb": MariaDB}


def _program(name: str) -> str | None:
    """Where a program is; Debian keeps PostgreSQL's out of the PATH."""
    newest = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *newest, "/usr/sbin"]))


@pytest.fixture(scope="session")
def all_databases() -> Iterator[Callable[[str], Databases]]:
    """Starts what is asked for, once."""
    running: dict[str, Databases] = {}

    def of(kind: str) -> Databases:
        if kind not in running:
            running[kind] = KINDS[kind]()
        return running[kind]

    yield of
    for one in running.values():
        one.stop()


@pytest.fixture(
    params=["sqlite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "mariadb"))]
)
def databases(request: pytest.FixtureRequest, all_databases: Callable[[str], Databases]) -> Databases:
    """Each kind of database in turn."""
    return all_databases(request.param)
