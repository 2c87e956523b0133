"""Values as a person reads them. Names come from clouds and may hold anything: they stay on one line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pumphouse.errors import PumphouseError

# Control characters, line and paragraph separators, lone surrogates; and what reverses the text after it.
_UNSEEN: Final = frozenset({"Cc", "Zl", "Zp", "Cs"})
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def one_line(value: object) -> str:
    """The text with everything escaped that would break a line or steer a terminal."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _UNSEEN or character in _TURNING
        else character
        for character in text
    )


def explain(error: PumphouseError) -> str:
    """An error in one line."""
    return one_line(" ".join(str(error).splitlines()))


def explain_dict(error: Mapping[str, Any]) -> str:
    """An error's JSON (``PumphouseError.to_dict``) in one line."""
    where = ", ".join(
        part
        for part in (
            error.get("resource"),
            f"cloud {error['cloud']}" if error.get("cloud") else "",
            f"request {error['request_id']}" if error.get("request_id") else "",
        )
        if part
    )
    text = f"{error.get('message', '')}{f' ({where})' if where else ''}"
    return one_line(f"{text}. {error['next_step']}" if error.get("next_step") else text)


def size(count: float) -> str:
    """Bytes: ``1.5 GiB``."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def duration(seconds: float) -> str:
    """Seconds: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def when(moment: datetime | None) -> str:
    """A time in UTC to the second, as RFC 3339 has it; empty for None."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def when_short(moment: datetime | None) -> str:
    """A time in UTC to the minute, for a table that is short of room."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment else ""


def counted(number: int, noun: str) -> str:
    """``1 resource``, ``2 resources``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(words: Iterable[object], *, most: int = 5) -> str:
    """The first few, and how many more: ``a, b, and 3 more``."""
    every = [one_line(word) for word in words]
    if len(every) <= most:
        return ", ".join(every)
    return f"{', '.join(every[:most])}, and {len(every) - most} more"
