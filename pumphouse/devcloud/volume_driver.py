"""How a cloud's driver of volumes behaves."""

from __future__ import annotations

from dataclasses import dataclass

PAGE = 1000


@dataclass
class VolumeDriver:
    """As most drivers do, unless told otherwise.

    One that ``renames`` a volume when it lets go of it gives its name an ending. ``unsafe`` is why nothing
    can be managed, as its listing tells; one that ``breaks`` tells nothing of it. A listing has no more than
    ``page`` entries.
    """

    renames: bool = False
    unsafe: str = ""
    breaks: bool = False
    page: int = PAGE
