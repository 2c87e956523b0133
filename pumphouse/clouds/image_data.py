"""Bytes out of one Glance, and into another."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import requests
import urllib3.exceptions

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds import failures
from pumphouse.clouds.call import Call
from pumphouse.clouds.sender import Sender
from pumphouse.transfer import Readable


class ImageStream:
    """The data of an image, to be read once from its beginning. A context manager.

    ``length`` is the number of bytes that the service announced, or None. A read raises
    :class:`pumphouse.errors.Unavailable` when the data ends early, so that a short image never looks whole.
    """

    def __init__(self, response: requests.Response, place: failures.Place) -> None:
        self._response = response
        self._place = place
        length = response.headers.get("Content-Length")
        self.length = int(length) if length is not None else None
        self.request_id = failures.request_id(response)
        self.position = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most ``size`` of them; b"" at the end."""
        try:
            block = self._response.raw.read(None if size < 0 else size)
        except (urllib3.exceptions.HTTPError, OSError) as failure:
            raise self._broken(f"broke off after {self.position} bytes") from failure
        self.position += len(block)
        if not block and size != 0 and self.length is not None and self.position < self.length:
            raise self._broken(f"ended after {self.position} of {self.length} bytes")
        return bytes(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()

    def _broken(self, what: str) -> errors.CloudError:
        return self._place.error(errors.Unavailable, what, request_id=self.request_id)


class _Upload:
    """A body of known size: the HTTP library reads it block by block and sends a Content-Length.

    It offers no iterator, since the library would send an iterator in chunks, at three times the CPU.
    """

    def __init__(self, body: Readable, size: int, place: failures.Place) -> None:
        self._body = body
        self._size = size
        self._left = size
        self._place = place

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1, /) -> bytes:
        if not self._left:
            return b""
        block = self._body.read(self._left if size < 0 else min(size, self._left))
        if not block:
            # Raised in the middle of the request, so that the service sees half a body and no more.
            raise self._place.error(
                errors.Unavailable, f"the data ended {self._left} bytes before its announced {self._size}"
            )
        self._left -= len(block)
        return block


def open_image(sender: Sender, cloud: str, image_id: str) -> ImageStream:
    """The data of an image. Raises :class:`pumphouse.errors.Conflict` if it has none."""
    path = f"/images/{image_id}/file"
    place = failures.Place(cloud=cloud, service=Service.IMAGE, method="GET", path=path)
    call = Call(
        service=Service.IMAGE,
        method="GET",
        path=path,
        # Glance may sit behind a proxy that compresses; the bytes must be the image's own.
        headers={"Accept": "application/octet-stream", "Accept-Encoding": "identity"},
        options={"stream": True},
        transfer=True,
    )
    response = sender.send(call).response
    if response.status_code == 204:
        response.close()
        raise place.error(errors.Conflict, "the image has no data", status=204)
    return ImageStream(response, place)


def put_image(sender: Sender, cloud: str, image_id: str, body: Readable, size: int) -> None:
    """Send an image's data with exactly one request.

    Any repeat by the libraries below would send the rest of a half-read body, and Glance would call the stump
    ``active``. So: a fresh token first, no retry, no new token on the way, no redirect.

    :param body: read from where it stands; ``size`` bytes are taken.
    :raises pumphouse.errors.Unsure: the answer was lost; look at the image before anything else.
    """
    path = f"/images/{image_id}/file"
    place = failures.Place(cloud=cloud, service=Service.IMAGE, method="PUT", path=path)
    sender.reauthenticate()
    sender.send(
        Call(
            service=Service.IMAGE,
            method="PUT",
            path=path,
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
            options={"data": _Upload(body, size, place), "redirect": False},
            once=True,
            transfer=True,
        )
    )
