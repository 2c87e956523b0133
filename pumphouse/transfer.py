"""Image data from Glance to Glance: streamed, never in a file, never whole in memory, and proved afterwards.

A try is one GET on the source and one PUT on the destination. When a try breaks, the destination's image is
looked at before anything else is done:

* ``queued``: nothing was kept; try again, the source opened anew.
* ``active`` with the size and the hash of the source: only the answer was lost.
* anything else: the image is spoilt and cannot take data again. :class:`SpoiltImage` asks the caller to
  delete and create it.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Self

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service

TRIES = 3
_BLOCK = 2 * 1024 * 1024
_QUEUED_BLOCKS = 8
_SETTLE_SECONDS = 30.0
_POLL_SECONDS = 0.5
_USUAL_ALGORITHM = "sha512"
"""Glance's own default. Taken where the source has no hash to compare with."""

_PASSING = (errors.Unavailable, errors.Unsure, errors.Unauthorized)
"""Failures that another try, with the source opened anew and a new token, may get over."""

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many have been read, of the try that is under way."""


class Readable(Protocol):
    """Something that gives its bytes block by block."""

    def read(self, size: int = -1, /) -> bytes: ...


class SourceStream(Readable, Protocol):
    """The data of an image and how long it says it is."""

    @property
    def length(self) -> int | None: ...


class Lane:
    """The way that all transfers of a migration share: so many at the same time, so many bytes per second.

    :param transfers: how many. Others wait for their turn.
    :param bandwidth: bytes per second of all of them together; 0 is no limit.
    """

    def __init__(
        self,
        *,
        transfers: int,
        bandwidth: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.bandwidth = bandwidth
        self._slots = threading.BoundedSemaphore(transfers)
        self._lock = threading.Lock()
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()

    @property
    def block(self) -> int:
        """How many bytes to take at once: no more than pass in a quarter of a second."""
        return max(1, self.bandwidth // 4) if self.bandwidth else _BLOCK

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for one's turn, and have it inside."""
        with self._slots:
            yield

    def take(self, size: int) -> None:
        """Wait until so many bytes more may pass."""
        if not self.bandwidth:
            return
        with self._lock:
            now = self._clock()
            start = max(self._free_at, now)
            self._free_at = start + size / self.bandwidth
        if start > now:
            self._sleep(start - now)


class ImageCloud(CloudAPI, Protocol):
    """A cloud that gives and takes image data."""

    def open_image(self, image_id: str) -> AbstractContextManager[SourceStream]: ...
    def put_image(self, image_id: str, body: Readable, size: int) -> None: ...


class SpoiltImage(errors.ResourceFailed):
    """The destination's image holds the wrong data or none for good: delete it and create it again."""

    advice = "Delete this image and create it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What was moved. ``digest`` is what both sides agree on, as ``algorithm:value``.

    ``bytes`` and ``tries`` are 0 when the data were there already.
    """

    bytes: int
    seconds: float
    tries: int
    digest: str

    @property
    def rate(self) -> float:
        """Bytes per second, of all tries together."""
        return self.bytes / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Whether two images hold the same bytes. ``same`` is None when nothing comparable is known of both."""

    same: bool | None
    by: str
    """What was compared: ``sha512``, ``checksum`` or ``size``."""
    digest: str = ""


def compare_image_data(source: Mapping[str, Any], destination: Mapping[str, Any]) -> Comparison:
    """Compare what two Glances say about their data: size, then the hash they share, else the checksum.

    :param source: the body of an image, as the API gives it; so is ``destination``.
    """
    if source.get("size") != destination.get("size"):
        return Comparison(same=False, by="size")
    algorithm = source.get("os_hash_algo")
    if algorithm and algorithm == destination.get("os_hash_algo"):
        ours, theirs, by = source.get("os_hash_value"), destination.get("os_hash_value"), str(algorithm)
        if ours and theirs:
            return Comparison(same=ours == theirs, by=by, digest=f"{by}:{theirs}")
    ours, theirs = source.get("checksum"), destination.get("checksum")
    if ours and theirs:
        return Comparison(same=ours == theirs, by="checksum", digest=f"md5:{theirs}")
    return Comparison(same=None, by="size")


def copy_image_data(
    source: ImageCloud,
    source_id: str,
    destination: ImageCloud,
    destination_id: str,
    *,
    size: int,
    progress: Progress | None = None,
    lane: Lane | None = None,
    tries: int = TRIES,
) -> Transfer:
    """Move the data of an image into a queued image of another cloud, and prove that it is the same.

    Safe to repeat: data that are there already are proved, not sent again.

    :param size: the source's size in bytes.
    :param lane: whose bandwidth it keeps to.
    :raises SpoiltImage: the destination's image cannot be used; delete it and create it again.
    :raises pumphouse.errors.CloudError: the source cannot be read, or the destination does not take it; the
        destination's image is still ``queued`` then.
    """
    start = time.monotonic()
    origin = _image(source, source_id)
    if origin.get("size") not in {None, size}:
        raise errors.VerificationFailed(
            f"the image now has {origin['size']} bytes, not {size}",
            resource=f"image:{source_id}",
            cloud=source.name,
        )
    # Not "queued" at once means that an earlier run was cut off, perhaps after the data had arrived.
    status, digest, number = _settled(destination, destination_id), "", 0
    while status == "queued":
        number += 1
        with _Hashing(_USUAL_ALGORITHM if not origin.get("os_hash_value") else "") as hashing:
            body = _Watched(size, progress, hashing, lane)
            status = _one_try(source, source_id, destination, destination_id, body, last=number >= tries)
            digest = hashing.digest()
    if status != "active":
        raise spoilt(destination, destination_id, f"is {status}, so that it takes no data")
    proof = prove(source, origin | {"size": size}, destination, destination_id, digest)
    moved = size if number else 0
    return Transfer(bytes=moved, seconds=time.monotonic() - start, tries=number, digest=proof)


def _one_try(
    source: ImageCloud,
    source_id: str,
    destination: ImageCloud,
    destination_id: str,
    body: _Watched,
    *,
    last: bool,
) -> str:
    """Send the data once. The status of the destination's image afterwards: ``active`` or ``queued``."""
    try:
        with source.open_image(source_id) as stream:
            if stream.length not in {None, body.size}:
                raise errors.VerificationFailed(
                    f"the image's data has {stream.length} bytes, not {body.size}",
                    resource=f"image:{source_id}",
                    cloud=source.name,
                )
            body.stream = stream
            destination.put_image(destination_id, body, body.size)
    except errors.CloudError as failure:
        status = _settled(destination, destination_id)
        if status == "queued":
            if last or not isinstance(failure, _PASSING):
                raise
            time.sleep(_POLL_SECONDS)
        elif status != "active":
            raise spoilt(destination, destination_id, f"is {status} after: {failure}") from failure
        return status
    return "active"


class _Watched:
    """The source's data on its way: counted, and hashed beside the way where that is needed."""

    def __init__(
        self, size: int, progress: Progress | None, hashing: _Hashing, lane: Lane | None = None
    ) -> None:
        self.size = size
        self.stream: Readable | None = None
        self._progress = progress
        self._hashing = hashing
        self._lane = lane
        self._done = 0

    def read(self, size: int = -1, /) -> bytes:
        if self._lane is not None and self._lane.bandwidth:
            size = min(size, self._lane.block) if size > 0 else self._lane.block
        block = self.stream.read(size) if self.stream else b""
        if self._lane is not None:
            self._lane.take(len(block))
        self._done += len(block)
        self._hashing.update(block)
        if self._progress is not None:
            self._progress(self._done, self.size)
        return block


class _Hashing:
    """Hashes in a thread of its own: it takes several times as long as the copy. A context manager.

    Without an algorithm it does nothing.
    """

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm) if algorithm else None
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_QUEUED_BLOCKS)
        self._thread = threading.Thread(target=self._run, name="pumphouse-hash", daemon=True)

    def update(self, block: bytes) -> None:
        """Take a block. Waits when the hash is far behind, so that memory stays bounded."""
        if self._hash is not None and block:
            self._blocks.put(block)

    def digest(self) -> str:
        """The hash of all blocks, as ``algorithm:value``; "" without an algorithm."""
        self._finish()
        return f"{self._algorithm}:{self._hash.hexdigest()}" if self._hash is not None else ""

    def __enter__(self) -> Self:
        if self._hash is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()

    def _finish(self) -> None:
        if self._thread.is_alive():
            self._blocks.put(None)
            self._thread.join()

    def _run(self) -> None:
        while self._hash is not None and (block := self._blocks.get()) is not None:
            self._hash.update(block)


def prove(
    source: ImageCloud, origin: Mapping[str, Any], destination: ImageCloud, destination_id: str, digest: str
) -> str:
    """The digest that both sides agree on. Raises SpoiltImage if they do not.

    :param origin: the source's image, as its API gives it.
    :param digest: what was hashed on the way, as ``algorithm:value``; "" if nothing was.
    """
    made = _image(destination, destination_id)
    if made.get("status") != "active":
        raise spoilt(destination, destination_id, f"is {made.get('status')} after its data was sent")
    found = compare_image_data(origin, made)
    if found.same is None:
        found = _by_hashing(source, origin, made, digest)
    if not found.same:
        raise spoilt(destination, destination_id, f"has other data than its source (compared by {found.by})")
    return found.digest


def _by_hashing(
    source: ImageCloud, origin: Mapping[str, Any], made: Mapping[str, Any], digest: str
) -> Comparison:
    """Compare with what was hashed on the way, or by reading the source again with their algorithm."""
    algorithm, value = ("md5", made.get("checksum")) if not made.get("os_hash_value") else (
        str(made["os_hash_algo"]), made["os_hash_value"]
    )  # fmt: skip
    if not value:
        # A Glance that tells no hash at all leaves the size alone.
        return Comparison(same=True, by="size", digest=f"size:{made.get('size')}")
    if not digest.startswith(f"{algorithm}:"):
        digest = _hash_source(source, str(origin["id"]), algorithm)
    return Comparison(same=digest == f"{algorithm}:{value}", by=algorithm, digest=digest)


def _hash_source(source: ImageCloud, source_id: str, algorithm: str) -> str:
    summed = hashlib.new(algorithm)
    with source.open_image(source_id) as stream:
        while block := stream.read(_BLOCK):
            summed.update(block)
    return f"{algorithm}:{summed.hexdigest()}"


def _settled(cloud: ImageCloud, image_id: str) -> str:
    """The image's status once it is no longer ``saving``: half a body takes Glance a moment to notice."""
    until = time.monotonic() + _SETTLE_SECONDS
    while True:
        try:
            status = str(_image(cloud, image_id).get("status"))
        except errors.NotFound:
            return "gone"
        if status != "saving" or time.monotonic() > until:
            return status
        time.sleep(_POLL_SECONDS)


def _image(cloud: ImageCloud, image_id: str) -> dict[str, Any]:
    return cloud.get(Service.IMAGE, f"/images/{image_id}")


def spoilt(cloud: ImageCloud, image_id: str, what: str) -> SpoiltImage:
    """The error for an image of the destination that cannot be used."""
    return SpoiltImage(f"the image {what}", resource=f"image:{image_id}", cloud=cloud.name)
