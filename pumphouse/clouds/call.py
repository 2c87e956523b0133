"""One request as its caller gives it, and what comes of it."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import requests

from pumphouse.cloud_api import Service

# PUTs by method, yet actions by nature: a second one is refused.
_ACTIONS = ("/add_router_interface", "/remove_router_interface")
# POSTs by method that only set something: a second one changes nothing, or is refused as done already.
_SETTINGS = ("/os-extra_specs", "/actions/deactivate", "/actions/reactivate", "/members")
_SETTING_ACTIONS = frozenset(
    {"addTenantAccess", "removeTenantAccess", "lock", "unlock", "os-resetState", "os-force_delete"}
    | {"os-set_bootable", "os-update_readonly_flag", "os-set_image_metadata", "os-unset_image_metadata"}
)


class Answer(NamedTuple):
    """A response below 300, or the 404 of a DELETE, and whether an earlier attempt may have done it."""

    response: requests.Response
    doubtful: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, as its caller gives it."""

    service: Service
    method: str
    path: str
    params: Mapping[str, Any] | None = None
    body: Any = None
    headers: Mapping[str, str] | None = None
    microversion: str | None = None
    options: Mapping[str, Any] | None = None
    """More for the HTTP library: ``data``, ``stream``, ``redirect``."""
    once: bool = False
    """Never repeat, whatever happens: the body can be read only once."""
    transfer: bool = False
    """The request may take hours: it takes its turn, but no slot."""

    @property
    def repeatable(self) -> bool:
        """Whether doing it twice is the same as doing it once."""
        if self.method == "PATCH":
            # A JSON patch that removes fails the second time; one that sets is the same twice.
            return not (isinstance(self.body, list) and any(op.get("op") == "remove" for op in self.body))
        if self.method == "POST":
            acts = self.path.endswith("/action") and isinstance(self.body, dict)
            return self.path.endswith(_SETTINGS) or (acts and not self.body.keys() - _SETTING_ACTIONS)
        return not self.path.endswith(_ACTIONS)


def retry_after(response: requests.Response) -> float | None:
    """The seconds that a Retry-After header asks for, be it a number or a date; None without one."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
