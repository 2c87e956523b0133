"""Files of bytes: images, volumes and snapshots.

Every byte a cloud serves lies in a file of its directory. Files are kept sparse: a block of zeros becomes a
hole, so that a volume of many gibibytes costs only what was written into it. Nothing here holds more than
one block in memory.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

BLOCK = 1 << 20
"""Bytes moved per step: large enough for more than 1 GB/s, small enough for many streams at once."""

STRIDE = 4 << 20
"""Bytes hashed per step: the threads that hash shall seldom get into the way of the one that writes."""

GIB = 1 << 30

_ZEROS = bytes(BLOCK)


class Digests:
    """The MD5 and SHA-512 of a file that is still being written.

    Two threads follow the writer and read what it wrote from the page cache: hashing costs more than the
    copy, and so the writer never waits for it. Only `result` does.
    """

    def __init__(self, path: Path) -> None:
        self._ready = threading.Condition()
        self._written = 0
        self._finished = False
        self._values: dict[str, str] = {}
        self._threads = [
            # Opened here, not in the thread: a broken upload removes the file, perhaps before the thread
            # runs.
            threading.Thread(target=self._follow, args=(algorithm, path.open("rb", buffering=0)), daemon=True)
            for algorithm in ("md5", "sha512")
        ]
        for thread in self._threads:
            thread.start()

    def advance(self, written: int) -> None:
        """Tell that the first `written` bytes of the file are in place."""
        with self._ready:
            self._written = written
            self._ready.notify_all()

    def finish(self) -> None:
        """Tell that nothing more will be written."""
        with self._ready:
            self._finished = True
            self._ready.notify_all()

    def result(self) -> tuple[str, str]:
        """Wait for both threads; return (md5, sha512) in hexadecimal."""
        for thread in self._threads:
            thread.join()
        return self._values["md5"], self._values["sha512"]

    def _follow(self, algorithm: str, file: FileIO) -> None:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        buffer = memoryview(bytearray(STRIDE))
        done = 0
        with file:
            while (limit := self._wait(done)) > done:
                read = file.readinto(buffer[: min(STRIDE, limit - done)])
                digest.update(buffer[:read])
                done += read
        self._values[algorithm] = digest.hexdigest()

    def _wait(self, done: int) -> int:
        with self._ready:
            while self._written < done + STRIDE and not self._finished:
                self._ready.wait()
            return self._written


def file_digests(path: Path) -> Digests:
    """The digests of a file that is complete."""
    digests = Digests(path)
    digests.advance(path.stat().st_size)
    digests.finish()
    return digests


def receive(read: Callable[[int], bytes], path: Path) -> tuple[int, Digests]:
    """Write the stream behind `read(n)` to `path`, until it returns no bytes.

    Returns the size in bytes and the digests. An exception of `read` (a client that went away) is passed on
    and the file removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with path.open("wb", buffering=0) as file:
        digests = Digests(path)
        try:
            while block := read(BLOCK):
                _write(file.fileno(), block, size)
                size += len(block)
                digests.advance(size)
            file.truncate(size)
        except BaseException:
            path.unlink()
            raise
        finally:
            digests.finish()
    return size, digests


def _write(descriptor: int, block: bytes, offset: int) -> None:
    """Write the whole block, leaving a hole where it is all zeros."""
    if block == _ZEROS or (len(block) < BLOCK and block == _ZEROS[: len(block)]):
        # The digest threads must find these bytes: grow the file, but allocate nothing.
        os.ftruncate(descriptor, offset + len(block))
        return
    view = memoryview(block)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def send(path: Path, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes of a file, block by block."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        left = path.stat().st_size - start if length is None else length
        while left > 0 and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


def create(path: Path, size: int) -> None:
    """An empty (all holes) file of `size` bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def copy(source: Path, target: Path, *, size: int | None = None) -> None:
    """Copy a file, holes as holes; `size` (bytes, not less than the source's) makes the copy longer."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
        length = source.stat().st_size
        writer.truncate(length if size is None else max(size, length))
        for start, end in extents(reader.fileno(), length):
            _copy_extent(reader.fileno(), writer.fileno(), start, end)


def extents(descriptor: int, length: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the parts of a file that are not holes."""
    end = 0
    while end < length:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


def _copy_extent(reader: int, writer: int, start: int, end: int) -> None:
    while start < end:
        os.lseek(writer, start, os.SEEK_SET)
        sent = os.sendfile(writer, reader, start, min(end - start, 64 * BLOCK))
        if not sent:
            return
        start += sent


def extend(path: Path, size: int) -> None:
    """Grow a file to `size` bytes with a hole."""
    os.truncate(path, size)
