"""The base of what goes over the wire, and pages of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LARGEST_PAGE = 1000
"""How many items one page may have."""

Id = Annotated[str, Field(min_length=1, max_length=255)]
Limit = Annotated[int, Field(ge=1, le=LARGEST_PAGE, description="At most so many.")]


class Document(BaseModel):
    """JSON with exactly these keys. Made from a record of the service by its attributes."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", frozen=True)


class Page(Document):
    """The base of a listing's pages."""

    next_marker: str | None = Field(
        default=None, description="Give it as `marker` for the next page; null on the last one."
    )


class Paging(Document):
    """The query of a listing."""

    limit: Limit = 100
    marker: Id | None = Field(default=None, description="The `next_marker` of the page before.")


class IdempotencyHeader(Document):
    """What tells a request that is sent again from a new one."""

    model_config = ConfigDict(extra="ignore")

    idempotency_key: str | None = Field(
        default=None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same request gives the same operation, however often it is sent.",
    )
