"""Processes with a file each that says which they are, so that another command can end them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path


class Processes:
    """The processes of one directory. Every one leads a session of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def log(self, name: str) -> Path:
        """Where a process writes to."""
        return self._home / "log" / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The process of this name, if it lives. A number that has gone to another process is none."""
        try:
            pid, began = self._file(name).read_text().split()
            state, now = _stat(int(pid))
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return int(pid) if now == began and state != "Z" else None

    def running(self) -> dict[str, int]:
        """All that live, by name."""
        names = sorted(path.name for path in (self._home / "pid").glob("*"))
        return {name: pid for name in names if (pid := self.pid(name))}

    def start(self, name: str, command: Sequence[object], env: Mapping[str, str] | None = None) -> None:
        """Start it, unless it runs."""
        if self.pid(name):
            return
        for directory in ("pid", "log"):
            (self._home / directory).mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._home,
                env={**os.environ, **(env or {})},
            )
        self._file(name).write_text(f"{process.pid} {_stat(process.pid)[1]}")

    def stop(self, names: Iterable[str], *, seconds: float = 15) -> None:
        """End these and what they started: asked first, killed if they do not hear."""
        found = {name: pid for name in names if (pid := self.pid(name))}
        for sign, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5)):
            for name, pid in found.items():
                if self.pid(name):
                    os.killpg(pid, sign)
            end = time.monotonic() + patience
            while any(self.pid(name) for name in found) and time.monotonic() < end:
                time.sleep(0.1)
        for name in found:
            self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._home / "pid" / name


def _stat(pid: int) -> tuple[str, str]:
    """A process's state, and when it began."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], fields[19]


def wait(what: str, until: Callable[[], object], *, seconds: float = 180) -> None:
    """Wait until it is so. An error meanwhile says only that it is not there yet."""
    end, last = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            if until():
                return
        except Exception as error:  # noqa: BLE001 -- whatever it is, it may be over in a moment
            last = f": {error}"
        time.sleep(0.25)
    raise SystemExit(f"{what} did not come about in {seconds:.0f} s{last}")
