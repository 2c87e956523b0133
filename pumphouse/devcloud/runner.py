"""A process that runs embedded clouds: ``python -m pumphouse.devcloud``.

It prints one line of JSON when the clouds are ready, and runs until SIGTERM, SIGINT, or ``--idle-exit``
seconds without a request::

    {"clouds": {"source": {"auth_url": ..., "keystone_database": ...}}, "clouds_yaml": ..., "pid": ...}
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pumphouse.devcloud.cloud import TIMINGS, DevCloud, clouds_yaml

PID_FILE = "devcloud.pid"
POLL_SECONDS = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the clouds that the command line asks for."""
    options = _parser().parse_args(arguments)
    directory: Path = options.directory
    directory.mkdir(parents=True, exist_ok=True)
    ports = dict(options.port)
    unknown = sorted({name for name, _ in (*options.port, *options.fill)} - set(options.cloud))
    if unknown:
        sys.stderr.write(f"no --cloud is named {', '.join(unknown)}\n")
        return 2
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with contextlib.ExitStack() as stack:
        clouds = {
            name: stack.enter_context(
                DevCloud(
                    name,
                    directory=directory / name,
                    timings=dict(options.timing),
                    port=int(ports.get(name, 0)),
                )
            )
            for name in options.cloud
        }
        for name, description in options.fill:
            refused = _fill(clouds[name], Path(description))
            if refused:
                sys.stderr.write(f"{description}: {refused}\n")
                return 2
        stack.enter_context(_pid_file(directory / PID_FILE))
        write_private(options.clouds_yaml, clouds_yaml(clouds))
        sys.stdout.write(json.dumps(ready(clouds, options.clouds_yaml)) + "\n")
        sys.stdout.flush()
        _wait(clouds, stopped, idle=options.idle_exit)
    return 0


def ready(clouds: Mapping[str, DevCloud], path: Path) -> dict[str, object]:
    """What a client needs to know."""
    shown = {
        name: {"auth_url": cloud.auth_url, "keystone_database": cloud.keystone_database_url}
        for name, cloud in sorted(clouds.items())
    }
    return {"clouds": shown, "clouds_yaml": str(path), "pid": os.getpid()}


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner may read; readers see the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    draft.replace(path)


def _fill(cloud: DevCloud, description: Path) -> str:
    """Fill a cloud; what is wrong with the description, or empty."""
    from pumphouse.devcloud.client import ApiError
    from pumphouse.devcloud.description import BadDescription
    from pumphouse.devcloud.fill import fill

    try:
        fill(cloud, description)
    except (ApiError, BadDescription) as error:
        return str(error)
    return ""


def _name(text: str) -> str:
    """A cloud's name, which is a directory's and a configuration group's, too."""
    if not text.isprintable() or text in ("", ".", "..") or set(text) & set("/[]="):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be a cloud's name")
    return text


@contextlib.contextmanager
def _pid_file(path: Path) -> Iterator[None]:
    path.write_text(f"{os.getpid()}\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _wait(clouds: Mapping[str, DevCloud], stopped: threading.Event, *, idle: float | None) -> None:
    while not stopped.wait(POLL_SECONDS):
        quiet = time.monotonic() - max(cloud.last_request for cloud in clouds.values())
        if idle is not None and quiet >= idle:
            return


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value


def _timing(text: str) -> tuple[str, float]:
    name, value = _pair(text)
    if name not in TIMINGS:
        raise argparse.ArgumentTypeError(f"unknown kind {name!r}: the kinds are {', '.join(sorted(TIMINGS))}")
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of seconds")
    return name, seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pumphouse.devcloud", description="Run embedded clouds.")
    parser.add_argument(
        "--cloud",
        action="append",
        required=True,
        type=_name,
        metavar="NAME",
        help="a cloud to run; repeat it",
    )
    parser.add_argument(
        "--fill",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=FILE",
        help="fill a cloud from a description",
    )
    parser.add_argument("--directory", required=True, type=Path, help="where the clouds keep their files")
    parser.add_argument(
        "--clouds-yaml", required=True, type=Path, metavar="FILE", help="the clouds.yaml to write"
    )
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=PORT",
        help="a cloud's port, else any free one",
    )
    parser.add_argument(
        "--idle-exit", type=float, metavar="SECONDS", help="end after so long without a request"
    )
    parser.add_argument(
        "--timing",
        action="append",
        default=[],
        type=_timing,
        metavar="KIND=SECONDS",
        help="how long a change takes",
    )
    return parser
