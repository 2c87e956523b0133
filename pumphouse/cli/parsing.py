"""What parsers of the command line share."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from pumphouse.errors import UsageError
from pumphouse.text import one_line

P = TypeVar("P", bound=argparse.ArgumentParser)


def plain_errors(parser: P) -> P:
    """Let the parser say what is wrong in one line, without repeating its usage, and exit with 2."""

    def error(message: str) -> NoReturn:
        print(f"{parser.prog}: {one_line(message)} (see {parser.prog} --help)", file=sys.stderr)
        raise SystemExit(2)

    parser.error = error  # type: ignore[method-assign]  # cliff makes the parsers, of a class of its own
    return parser


def whole(least: int, most: int) -> Callable[[str], int]:
    """A type of arguments: whole numbers from ``least`` to ``most``."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return number

    return parse


def size(text: str) -> int:
    """A type of arguments: a number of bytes, as ``1048576``, ``1M``, ``1MiB`` or ``0.5G``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes, such as 50M")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def seconds(text: str) -> float:
    """A type of arguments: a time in seconds."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def name(text: str) -> str:
    """A type of arguments: a name of something, which is never empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a name must not be empty")
    return text


def writable(path: Path | None) -> Path | None:
    """The same path, when a file can be written there; found out before the work, rather than after it.

    Raises UsageError.
    """
    if path is None:
        return None
    directory = path.absolute().parent
    if str(path) == "-":
        why = "it must be the name of a file"  # standard output has the listing
    elif path.is_dir():
        why = "it is a directory"
    elif not directory.is_dir():
        why = f"there is no directory {directory}"
    elif not os.access(path if path.exists() else directory, os.W_OK):
        why = "permission denied"
    else:
        return path
    raise UsageError(f"cannot write {path}: {why}", next_step="Name a place where you may write.")
