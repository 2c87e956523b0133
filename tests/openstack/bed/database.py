"""A cloud's MariaDB."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from processes import Processes, wait

USER = "openstack"


class Database:
    """One MariaDB with a database for each service. Its files are in ``home / "mysql"``."""

    def __init__(self, home: Path, processes: Processes, *, address: str, password: str) -> None:
        self.files = home / "mysql"
        self._socket = home / "mysql.sock"
        self._processes = processes
        self._address = address
        self._password = password

    def url(self, name: str) -> str:
        """SQLAlchemy's URL of one service's database."""
        return f"mysql+pymysql://{USER}:{self._password}@{self._address}/{name}?charset=utf8"

    def up(self, names: Iterable[str]) -> None:
        """Start it, made first if it is not there."""
        fresh = not self.files.exists()
        if fresh:
            self._install()
        self._processes.start(
            "mariadb",
            [
                "/usr/sbin/mariadbd",
                "--no-defaults",
                f"--datadir={self.files}",
                f"--socket={self._socket}",
                f"--bind-address={self._address}",
                "--user=root",
                "--port=3306",
                "--skip-log-bin",
                "--performance-schema=OFF",
                "--max-connections=600",
                "--innodb-buffer-pool-size=128M",
                "--innodb-flush-log-at-trx-commit=0",
                "--character-set-server=utf8mb3",
                "--skip-name-resolve",
            ],
        )
        wait(f"the database at {self._address}", lambda: self.sql("select 1"), seconds=60)
        if fresh:
            self.sql(f"create user {USER}@'%' identified by '{self._password}'")
            for name in names:
                self.sql(f"create database {name}; grant all on {name}.* to {USER}@'%'")

    def down(self) -> None:
        """End it."""
        self._processes.stop(["mariadb"], seconds=30)

    def sql(self, statement: str) -> str:
        """What its client prints for a statement."""
        command = ["mariadb", "--no-defaults", f"--socket={self._socket}", "-uroot", "-N"]
        done = subprocess.run(command, text=True, input=statement, check=True, capture_output=True)
        return done.stdout or "done"

    def _install(self) -> None:
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.files}",
                "--user=root",
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
