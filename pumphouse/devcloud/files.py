"""The bytes of images, volumes and root disks, one sparse file each."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pumphouse.devcloud import blobs

CHUNK = 1 << 20


class Files:
    """Files by kind (``images``, ``volumes``, ``disks``) and id, below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, kind: str, file_id: str) -> Path:
        """Where a file is or would be; its directory is made."""
        directory = self._directory / kind
        directory.mkdir(parents=True, exist_ok=True)
        return directory / file_id

    def exists(self, kind: str, file_id: str) -> bool:
        """Whether there are bytes."""
        return self.path(kind, file_id).exists()

    def create(self, kind: str, file_id: str, *, size: int, source: Path | None = None) -> Path:
        """A file of at least ``size`` bytes that begins with the bytes of ``source``.

        The rest are zeros, a hole.
        """
        target = self.path(kind, file_id)
        if source is None:
            target.write_bytes(b"")
        else:
            shutil.copyfile(source, target)
        if target.stat().st_size < size:
            os.truncate(target, size)
        return target

    def resize(self, kind: str, file_id: str, *, size: int) -> None:
        """Grow or cut a file."""
        os.truncate(self.path(kind, file_id), size)

    def remove(self, kind: str, file_id: str) -> None:
        """Delete a file, if it is there."""
        self.path(kind, file_id).unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, str, Path]]:
        """(kind, id, path) of every file, sorted."""
        for path in sorted(self._directory.glob("*/*")):
            if path.is_file():
                yield path.parent.name, path.name, path

    def take_over(self, other: Files) -> None:
        """Hold what another one holds, and nothing else."""
        shutil.rmtree(self._directory, ignore_errors=True)
        for kind, file_id, path in other.all():
            blobs.copy(path, self.path(kind, file_id))


def sha256(path: Path) -> str:
    """The digest, in hex, of a file's bytes without the zeros at its end.

    So a large sparse file costs what was written into it, and a volume has the digest of the image it was
    made of.
    """
    digest = hashlib.sha256()
    zeros = 0
    with path.open("rb", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        place = _next_data(file.fileno(), 0, end)
        zeros += place
        while place < end:
            file.seek(place)
            block = file.read(CHUNK)
            kept = block.rstrip(b"\0")
            if kept:
                for size in _pieces(zeros):
                    digest.update(bytes(size))
                digest.update(kept)
                zeros = 0
            zeros += len(block) - len(kept)
            following = _next_data(file.fileno(), place + len(block), end)
            zeros += following - place - len(block)
            place = following
    return digest.hexdigest()


def _next_data(descriptor: int, place: int, end: int) -> int:
    """Where data goes on behind ``place``; ``end`` when only a hole is left."""
    if place >= end:
        return end
    try:
        return os.lseek(descriptor, place, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return end
        if error.errno == errno.EINVAL:  # a file system without holes
            return place
        raise


def _pieces(size: int) -> Iterator[int]:
    """A size in parts of at most a chunk."""
    while size > 0:
        yield min(size, CHUNK)
        size -= CHUNK
