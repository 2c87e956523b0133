"""The bytes of images, volumes and root disks, one sparse file each."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

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


def sha256(path: Path) -> str:
    """The digest of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
