"""Ways for an image's data to get from cloud to cloud, found by the entry point ``pumphouse.movers``.

The plan chooses one for each image and disk, by what both clouds can do. A way that turns out not to be open
leaves the destination's image queued; the data then go through this process, which is always possible.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, ClassVar

from pumphouse import errors
from pumphouse.transfer import ImageCloud, Lane, Transfer

GROUP = "pumphouse.movers"
STREAM = "glance-stream"
"""The one that is always possible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What a cloud's image service offers, and whether its volume service ``manages`` what its storage has.

    ``addresses`` are those of the catalogue, by region; the image service's own one is under "".
    """

    methods: frozenset[str] = frozenset()
    addresses: Mapping[str, str] = field(default_factory=dict)
    manages: bool = False

    @classmethod
    def of(cls, facts: Mapping[str, Mapping[str, Any]]) -> Offers:
        """From the facts of an inventory."""
        images, volumes = facts.get("image", {}), facts.get("volume", {})
        return cls(
            methods=frozenset(images.get("import_methods", ())),
            addresses=images.get("addresses", {}),
            manages=bool(volumes.get("manages")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """What is known of both ends. ``is_open`` data the source gives to everybody, without logging in."""

    source: Offers
    destination: Offers
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One image's data to be moved.

    ``image`` is the source's image as its API gives it; ``there`` is the id of a queued one of the
    destination. Times are in seconds.
    """

    source: ImageCloud
    destination: ImageCloud
    image: Mapping[str, Any]
    there: str
    lane: Lane
    progress: Callable[[int, int], None]
    timeout: float
    interval: float

    @property
    def size(self) -> int:
        """In bytes."""
        return int(self.image["size"])


class CannotMove(Exception):
    """This way is not open after all, and the destination's image is still queued. The text says why."""


class Way(ABC):
    """From cloud to cloud. Stateless. One that is no mover is only taken where it is asked for."""

    name: ClassVar[str]
    rank: ClassVar[int]
    """The lowest that can do it is taken."""

    @abstractmethod
    def unfit(self, between: Between) -> str:
        """Why it is not open between these clouds; "" if it is. Pure."""


class Mover(Way):
    """One for an image's data, which is also that of disks."""

    passes_here: ClassVar[bool] = False
    """Whether the data pass through this process, which then can keep to a bandwidth."""

    @abstractmethod
    def move(self, job: Job) -> Transfer:
        """Do it, and prove that what arrived is what was sent.

        :raises CannotMove: see there.
        :raises pumphouse.transfer.SpoiltImage: the destination's image must be deleted and created again.
        """


@cache
def ways() -> tuple[Way, ...]:
    """All that are installed, the preferred ones first."""
    found: list[Way] = [entry.load()() for entry in entry_points(group=GROUP)]
    return tuple(sorted(found, key=lambda one: (one.rank, one.name)))


def movers() -> tuple[Mover, ...]:
    """Those of them that move an image's data."""
    return tuple(one for one in ways() if isinstance(one, Mover))


def choose(between: Between) -> Mover:
    """The preferred one of those that can do it. Raises BadConfig if none is installed that can."""
    for one in movers():
        if not one.unfit(between):
            return one
    raise errors.BadConfig(
        f"no way to move data is installed (entry points {GROUP}): the installation is older than the code",
        next_step="Install Pumphouse again.",
    )


def asked(name: str, between: Between) -> str:
    """Why a way that is asked for is not open; "" if it is. Pure."""
    found = next((one for one in ways() if one.name == name), None)
    return found.unfit(between) if found is not None else f"no way of the name {name} is installed"


def named(name: str) -> Mover:
    """The one of this name; if it is not installed (any longer), the one that is always possible."""
    by_name = {one.name: one for one in movers()}
    return by_name.get(name) or by_name[STREAM]


def direct_url(image: Mapping[str, Any]) -> str:
    """Where an image's data can be had over HTTP without logging in, as far as its body tells.

    One with a password in it is not told to anybody.
    """
    places = [image.get("direct_url"), *(one.get("url") for one in image.get("locations") or ())]
    urls = (str(one) for one in places if str(one).startswith(("http://", "https://")))
    return next((url for url in urls if "@" not in url), "")


def region_of(source: Mapping[str, str], destination: Mapping[str, str]) -> str:
    """Under which other region the destination's catalogue has the source's image service; "" if under none.

    :param source: the addresses of the source's catalogue, as in :class:`Offers`; so is ``destination``.
    """
    own = source.get("")
    named = (region for region, address in destination.items() if region and address == own)
    return next(named, "") if own != destination.get("") else ""
