"""Pages of listings: a marker is the id of the last item of the page before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pumphouse import errors
from pumphouse.api.documents import Paging

T = TypeVar("T")


def page_of(found: Sequence[T], query: Paging, *, key: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """One page of a whole listing, and the marker of the next. Raises InvalidRequest."""
    begin = 0
    if query.marker is not None:
        at = next((number for number, one in enumerate(found) if key(one) == query.marker), None)
        if at is None:
            raise errors.InvalidRequest(
                f"marker: the listing has no {query.marker!r}",
                next_step="Begin again without a marker: what was listed may be gone.",
            )
        begin = at + 1
    page = found[begin : begin + query.limit]
    return page, key(page[-1]) if begin + query.limit < len(found) else None


def cut(found: Sequence[T], limit: int, *, key: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """The page of a listing that was asked for one item more than it holds, and the marker of the next."""
    page = found[:limit]
    return page, key(page[-1]) if len(found) > limit else None
