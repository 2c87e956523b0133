"""What the matrices stand on: two filled clouds that come back to what they were, and ``pumphouse`` beside.

Filling the clouds and importing pumphouse cost more than most cases do. So the clouds are filled once, saved
and restored (:meth:`Pair.restore`), and processes are forked from one that has imported everything
(:class:`Zygote`). They are processes all the same: they talk HTTP to the clouds and can be killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pumphouse.devcloud import TIMINGS, DevCloud, clouds_yaml
from pumphouse.devcloud.saved import Saved
from pumphouse.devcloud.volume_storage import share_storage

from .tenant import CHANGES_HANDS, fill_destination, fill_source

QUICK = dict.fromkeys(TIMINGS, 0.02) | {"network": 0.0}
TENANT = "corp/shop"
OVERRIDES = "overrides.yaml"
"""What the operator wants otherwise, in the directory in which the processes run."""
SECONDS = 60.0
"""How long a command may take. They take about one second."""

States = dict[str, Any]
"""What a cloud holds, by its name; two are equal if no user of the clouds could tell them apart."""


class Process:
    """A running ``pumphouse``."""

    def __init__(self, connection: socket.socket, output: Path) -> None:
        self._connection = connection
        self._lines = connection.makefile("r")
        self._output = output
        self.pid = int(self._lines.readline())
        self._status: int | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._status is None and not select.select([self._connection], [], [], 0)[0]

    @property
    def output(self) -> str:
        """What it has written so far, to standard output and standard error."""
        return self._output.read_text() if self._output.exists() else ""

    def wait(self, seconds: float = SECONDS) -> int:
        """Its exit status; minus the signal's number if one killed it. Raises TimeoutError."""
        if self._status is None:
            # Not by the socket's own timeout, after which nothing more could be read of it.
            if not select.select([self._connection], [], [], seconds)[0]:
                raise TimeoutError(f"it still runs after {seconds} s:\n{self.output}")
            self._status = int(self._lines.readline())
            self._lines.close()
            self._connection.close()
        return self._status

    def kill(self) -> None:
        """SIGKILL, if it still runs, and wait until it is dead."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


class Zygote:
    """Starts processes of ``pumphouse`` (see zygote.py)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # The path of a socket must be short, and pytest's are not.
        self._place = tempfile.TemporaryDirectory(prefix="pumphouse-")
        self._path = Path(self._place.name, "socket")
        command = [sys.executable, str(Path(__file__).with_name("zygote.py")), str(self._path)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=directory
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self._count = 0

    def start(self, *words: str, environment: Mapping[str, str], commits: int = 0) -> Process:
        """A new process of ``pumphouse`` with these words.

        :param commits: it dies, as by SIGKILL, when it is about to commit so many transactions; 0: it lives.
        """
        self._count += 1
        output = self._directory / f"output-{self._count}"
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self._path))
        request = {
            "words": words,
            "environment": dict(environment),
            "output": str(output),
            "commits": commits,
        }
        connection.sendall(f"{json.dumps(request)}\n".encode())
        return Process(connection, output)

    def close(self) -> None:
        """End the zygote."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(10)
        self._place.cleanup()


@dataclass(frozen=True)
class Moment:
    """What both clouds and pumphouse's store held at one moment."""

    clouds: Mapping[str, Saved]
    store: Path


class Pair:
    """The tenant's clouds, an operator's configuration for them, and the command line.

    :ivar source: the cloud with the tenant.
    :ivar destination: the cloud that it moves to.
    :ivar begin: the moment before any migration.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._store = directory / "store"
        self._moments = 0
        self._running: list[Process] = []
        self.source, self.destination = (
            DevCloud(name, directory=directory / name, timings=QUICK) for name in ("source", "destination")
        )
        self._zygote = Zygote(directory)

    def prepare(self) -> None:
        """Fill the clouds, and keep the moment."""
        for cloud in self.clouds:
            cloud.start()
        share_storage(*self.clouds)
        fill_source(self.source)
        fill_destination(self.destination)
        self._configure()
        self.run("migration", "list")  # makes the store
        self.begin = self.save()

    @property
    def clouds(self) -> tuple[DevCloud, DevCloud]:
        """Source and destination."""
        return self.source, self.destination

    def cloud(self, name: str) -> DevCloud:
        """One of them."""
        return {cloud.name: cloud for cloud in self.clouds}[name]

    def close(self) -> None:
        """End all processes, and the clouds."""
        self.kill()
        self._zygote.close()
        for cloud in self.clouds:
            cloud.stop()

    def _configure(self) -> None:
        home = self._directory / "home"
        home.mkdir()
        (self._directory / "clouds.yaml").write_text(
            clouds_yaml({cloud.name: cloud for cloud in self.clouds})
        )
        databases = "".join(
            f"[cloud:{cloud.name}]\nkeystone_database = {cloud.keystone_database_url}\n"
            for cloud in self.clouds
        )
        (self._directory / "pumphouse.conf").write_text(
            f"[store]\nurl = sqlite:///{self._store}/pumphouse.db\n"
            f"[engine]\npoll_interval = 0.02\n[migration]\ndisk_mode = auto\n{databases}"
        )
        self.overrides = self._directory / OVERRIDES
        self.choose({CHANGES_HANDS: {"mover": "cinder-manage"}})
        self.environment = {
            "HOME": str(home),
            "OS_CLIENT_CONFIG_FILE": str(self._directory / "clouds.yaml"),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def choose(self, choices: Mapping[str, Mapping[str, str]]) -> None:
        """Have rules choose so for volumes, by their names."""
        rules = [{"type": "volume", "when": {"name": name}, "set": one} for name, one in choices.items()]
        self.overrides.write_text(json.dumps({"rules": rules}))

    @property
    def config_file(self) -> Path:
        """The operator's configuration."""
        return self._directory / "pumphouse.conf"

    # -- the command line

    def start(self, *words: str, commits: int = 0) -> Process:
        """Start ``pumphouse`` with these words; see :meth:`Zygote.start`."""
        words = ("--config-file", str(self._directory / "pumphouse.conf"), *words)
        process = self._zygote.start(*words, environment=self.environment, commits=commits)
        self._running.append(process)
        return process

    def run(self, *words: str, status: int | None = 0) -> Process:
        """Run ``pumphouse`` to its end, which must be with this status; None: with any."""
        process = self.start(*words)
        ended = process.wait()
        assert status is None or ended == status, f"{' '.join(words)} ended with {ended}:\n{process.output}"
        return process

    def kill(self) -> None:
        """Kill what still runs, with SIGKILL. A request that is held never comes to anything further."""
        for process in self._running:
            process.kill()
        self._running.clear()
        for cloud in self.clouds:
            cloud.holds.drop()
            cloud.faults.clear()

    # -- the clouds

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Changes that begin meanwhile take so long."""
        for cloud in self.clouds:
            cloud.timings.update(dict.fromkeys(QUICK, seconds))
        yield
        for cloud in self.clouds:
            cloud.timings.update(QUICK)

    def states(self) -> States:
        """What both clouds hold once they are calm.

        Nobody can say who has created the volume that changes hands, so that is left out.
        """
        for cloud in self.clouds:
            cloud.calm()
        states = {cloud.name: cloud.state() for cloud in self.clouds}
        for state in states.values():
            for row in state["tables"].get("volumes", ()):
                if row["name"] == CHANGES_HANDS:
                    del row["user_id"]
        return states

    def save(self) -> Moment:
        """This moment, to come back to."""
        self._moments += 1
        place = self._directory / f"moment-{self._moments}"
        for cloud in self.clouds:
            cloud.calm()
        saved = {cloud.name: cloud.save(place / cloud.name) for cloud in self.clouds}
        if self._store.exists():
            shutil.copytree(self._store, place / "store")
        return Moment(clouds=saved, store=place / "store")

    def restore(self, moment: Moment) -> None:
        """Kill what runs, and come back to a moment. Nothing is counted, held or made to fail."""
        self.kill()
        for cloud in self.clouds:
            cloud.calm()
            cloud.restore(moment.clouds[cloud.name])
            cloud.counts.reset()
        shutil.rmtree(self._store, ignore_errors=True)
        if moment.store.exists():
            shutil.copytree(moment.store, self._store)


@contextmanager
def open_pair(directory: Path) -> Iterator[Pair]:
    """The clouds, filled; all is ended afterwards."""
    pair = Pair(directory)
    try:
        pair.prepare()
        yield pair
    finally:
        pair.close()
