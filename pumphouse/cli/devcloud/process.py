"""The process that runs embedded clouds, and the directory in which it keeps everything.

The directory holds ``clouds.yaml``, a ``pumphouse.conf`` with a store of its own, ``env`` (to be read by a
shell), the process' log, and the clouds' files.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from pumphouse.config import CONFIG_FILE_VARIABLE, state_directory
from pumphouse.errors import PumphouseError, UsageError

CLOUDS: Final = ("source", "destination")
READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 15.0
FILL_SECONDS: Final = 600.0
_STATE: Final = "devcloud.json"
_LOG: Final = "devcloud.log"
_BAD_USAGE: Final = 2
_REFUSED: Final = "python -m pumphouse.devcloud: error: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Clouds that run. ``clouds`` tells each one's ``auth_url`` and ``keystone_database``."""

    directory: Path
    pid: int
    clouds: Mapping[str, Mapping[str, str]]

    @property
    def env(self) -> Path:
        """The file that a shell reads to use the clouds."""
        return self.directory / "env"

    @property
    def clouds_yaml(self) -> Path:
        """The credentials."""
        return self.directory / "clouds.yaml"

    @property
    def conf(self) -> Path:
        """Pumphouse's configuration for these clouds."""
        return self.directory / "pumphouse.conf"


def default_directory() -> Path:
    """Where the clouds of ``pumphouse devcloud`` live."""
    return state_directory() / "devcloud"


def find(directory: Path) -> Running | None:
    """The clouds that run there, or None. A number that another process has since got does not count."""
    try:
        data = json.loads((directory / _STATE).read_text(encoding="utf-8"))
        words = psutil.Process(data["pid"]).cmdline()
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    if "pumphouse.devcloud" not in words or str(directory) not in words:
        return None
    return Running(directory=directory, pid=data["pid"], clouds=data["clouds"])


def arguments(
    directory: Path,
    names: Sequence[str],
    *,
    fill: Sequence[str] = (),
    timing: Sequence[str] = (),
    idle_exit: float | None = None,
) -> list[str]:
    """The words after ``python -m pumphouse.devcloud``."""
    words = ["--directory", str(directory), "--clouds-yaml", str(directory / "clouds.yaml")]
    for option, values in (("--cloud", names), ("--fill", fill), ("--timing", timing)):
        words += [word for value in values for word in (option, value)]
    return words if idle_exit is None else [*words, "--idle-exit", str(idle_exit)]


def start(directory: Path, words: Sequence[str]) -> Running:
    """Start the clouds in the background and wait until they are ready.

    :param words: what :func:`arguments` gave for this directory.
    :raises UsageError: clouds run there already, or the words or a description are wrong.
    :raises PumphouseError: they did not start.
    """
    there = find(directory)
    if there is not None:
        raise UsageError(
            f"clouds run in {directory} already: {', '.join(there.clouds)}",
            next_step=f"Stop them with: pumphouse devcloud stop --directory {shlex.quote(str(directory))}",
        )
    make(directory)
    with (directory / _LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pumphouse.devcloud", *words],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # a Ctrl-C in the terminal is not meant for the clouds
        )
    try:
        data = _ready(process, directory / _LOG)
    except BaseException:  # Ctrl-C as well: nobody would know of the clouds
        process.kill()
        process.wait()
        raise
    running = Running(directory=directory, pid=process.pid, clouds=data["clouds"])
    _write(directory / _STATE, json.dumps({"pid": running.pid, "clouds": running.clouds}))
    _write(running.conf, _conf(running))
    _write(running.env, _env(running))
    return running


def make(directory: Path) -> None:
    """Make the directory, if it is not there. Raises UsageError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot keep clouds in {directory}: {error.strerror}", next_step="Name another --directory."
        ) from None


def fill(running: Running, cloud: str, description: Mapping[str, Any]) -> None:
    """Make all that a description names on one of the clouds.

    :raises UsageError: there is no such cloud, or it refuses a part of the description.
    """
    if cloud not in running.clouds:
        raise UsageError(f"there is no cloud {cloud!r}", next_step=f"There is: {', '.join(running.clouds)}.")
    place = urlsplit(running.clouds[cloud]["auth_url"])
    connection = HTTPConnection(place.hostname or "", place.port, timeout=FILL_SECONDS)
    body = json.dumps(description, default=str)
    try:
        connection.request("POST", "/_devcloud/fill", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except OSError as error:
        raise PumphouseError(f"the cloud does not answer: {error}") from None
    finally:
        connection.close()
    if answer.status >= 400:
        raise UsageError(f"{cloud} refuses the description: {_said(text)}", next_step="Correct the file.")


def _said(body: str) -> str:
    """The message of an error that a cloud answered."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (KeyError, TypeError, ValueError):
        return body


def stop(directory: Path) -> bool:
    """End the clouds that run there; False if none do."""
    running = find(directory)
    if running is None:
        return False
    process = psutil.Process(running.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
    (directory / _STATE).unlink(missing_ok=True)
    return True


def _ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    """The line that tells that they are ready. Raises PumphouseError when it does not come."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    timer = threading.Timer(READY_SECONDS, process.kill)
    timer.start()
    try:
        line = process.stdout.readline()
    finally:
        timer.cancel()
        process.stdout.close()
    if line:
        ready: dict[str, Any] = json.loads(line)
        process.returncode = 0  # it goes on without us; else Python would miss the wait for it
        return ready
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    reason = last[0].removeprefix(_REFUSED) if last else f"status {process.returncode}"
    kind = UsageError if process.returncode == _BAD_USAGE else PumphouseError
    raise kind(f"the clouds did not start: {reason}", next_step=f"See {log}")


def _conf(running: Running) -> str:
    # A dollar sign would be taken for the name of another option.
    lines = ["[store]", f"url = sqlite:///{running.directory / 'pumphouse.db'}".replace("$", "$$"), ""]
    lines += ["[engine]", "poll_interval = 0.3", ""]
    for name, about in sorted(running.clouds.items()):
        database = about["keystone_database"].replace("$", "$$")
        lines += [f"[cloud:{name}]", f"keystone_database = {database}", ""]
    return "\n".join(lines)


def _env(running: Running) -> str:
    lines = [
        f"export OS_CLIENT_CONFIG_FILE={shlex.quote(str(running.clouds_yaml))}",
        f"export {CONFIG_FILE_VARIABLE}={shlex.quote(str(running.conf))}",
    ]
    script = Path(sys.executable).with_name("pumphouse")
    if script.exists():  # another terminal may have another one on its path, or none
        lines.append(f"export PATH={shlex.quote(str(script.parent))}:$PATH")
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
