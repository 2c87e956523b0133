"""Log records on standard error: one line each, secrets masked, other packages silent unless asked for."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Final

from pumphouse.errors import BadConfig
from pumphouse.text import one_line

_NAMES: Final = (
    r"(?:\w*password\w*|\w*passwd|admin_?pass|user_?data|private_key|secret\w*|"
    r"(?:auth|subject|x-auth|x-subject)[_-]token)"
)
_MASKS: Final = (
    # "password": "...", 'password': '...' in bodies and in what Python prints of them
    (
        re.compile(rf"(['\"]{_NAMES}['\"]\s*:\s*)(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')", re.IGNORECASE),
        r"\1'***'",
    ),
    # password=..., X-Auth-Token: ...
    (re.compile(rf"(\b{_NAMES}\s*[=:]\s*)(?!['\"]?\*\*\*)([^\s'\"&,;]+)", re.IGNORECASE), r"\1***"),
    # scheme://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@", re.IGNORECASE), r"\1***@"),
)
_DEBUGGED: Final = ("pumphouse", "keystoneauth", "openstack", "taskflow", "py.warnings")


def masked(text: str) -> str:
    """The text without the secrets that it may hold."""
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


class _Masking(logging.Formatter):
    """Masks secrets. A message stays on its line; a traceback keeps its own."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the overridden method's name
        record.message = one_line(record.message)
        return super().formatMessage(record)


class _Console(logging.Handler):
    """Writes to what standard error is at the time: live progress redirects it so that lines stay whole."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr)
        except OSError:
            self.handleError(record)


def configure(*, level: int, debug: bool, file: str | None) -> None:
    """Send log records of ``level`` and above to standard error, and all of ours to the file.

    With ``debug`` the requests to the clouds are among them. Raises BadConfig if the file cannot be written.
    """
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    ours = logging.getLogger("pumphouse")
    ours.setLevel(logging.DEBUG if debug or file else level)
    for name in _DEBUGGED[1:]:
        # What they have to say reaches the operator as an error of ours, with what to do.
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.CRITICAL)
    logging.captureWarnings(True)
    console = _Console(logging.DEBUG if debug else level)
    console.setFormatter(_Masking("pumphouse: %(levelname)s: %(message)s"))
    root.addHandler(console)
    if file:
        try:
            handler = logging.FileHandler(Path(file), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise BadConfig(f"cannot write the log file {file}: {error.strerror}") from None
        handler.setFormatter(_Masking("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
