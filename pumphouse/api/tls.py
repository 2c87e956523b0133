"""The certificate with which the API speaks TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from pumphouse.errors import BadConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A file with a certificate, and the one with its key, which may be the same."""

    path: Path
    key: Path

    @classmethod
    def of(cls, certificate: str, key: str) -> Certificate | None:
        """What these options name; None if TLS is not wanted. Raises BadConfig if it cannot be spoken."""
        if not certificate:
            if key:
                raise BadConfig(
                    "tls_key is given and tls_certificate is not, so TLS would not be spoken",
                    next_step="Give both, or neither.",
                )
            return None
        path = Path(certificate).expanduser()
        found = cls(path=path, key=Path(key).expanduser() if key else path)
        found.check()
        return found

    def check(self) -> None:
        """Raise BadConfig unless a server can use it."""
        for path in (self.path, self.key):
            try:
                path.open("rb").close()
            except OSError as error:
                raise BadConfig(f"cannot read {path}: {error.strerror}") from None
        try:
            # Without a passphrase to try, the library would ask for one on the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.path, self.key, password="")
        except ssl.SSLError as error:
            raise BadConfig(
                f"{self.path} and {self.key} are no certificate with its key: {error.reason or error}",
                next_step="Give PEM files that belong together; the key must have no passphrase.",
            ) from None
