from __future__ import annotations

import hashlib
import os
import random

import pytest

from pumphouse.devcloud import files as module
from pumphouse.devcloud.files import Files, sha256


def test_files_begin_with_their_source_and_are_sparse(tmp_path):
    files = Files(tmp_path)
    source = tmp_path / "source"
    source.write_bytes(b"boot")
    path = files.create("volumes", "a", size=1 << 30, source=source)
    assert path.stat().st_size == 1 << 30
    assert path.stat().st_blocks * 512 < 1 << 20
    with path.open("rb") as file:
        assert file.read(6) == b"boot\0\0"
    assert [(kind, name) for kind, name, _ in files.all()] == [("volumes", "a")]
    files.remove("volumes", "a")
    assert not files.exists("volumes", "a")
    files.remove("volumes", "a")


def test_a_small_file_is_padded_to_its_size(tmp_path):
    assert Files(tmp_path).create("disks", "a", size=3).read_bytes() == b"\0\0\0"


@pytest.mark.parametrize("seed", range(8))
def test_the_digest_is_that_of_the_bytes_without_the_zeros_at_the_end(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(module, "CHUNK", 4096)
    chance = random.Random(seed)
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        for _ in range(chance.randrange(6)):
            file.seek(chance.randrange(200_000))
            file.write(chance.choice([b"\0" * 5000, b"x" * 3000, b"a\0\0b" * 2000]))
        file.truncate(chance.randrange(200_000, 300_000))
    assert sha256(path) == hashlib.sha256(path.read_bytes().rstrip(b"\0")).hexdigest()


def test_a_terabyte_of_nothing_costs_nothing(tmp_path):
    path = tmp_path / "hole"
    path.touch()
    os.truncate(path, 1 << 40)
    assert sha256(path) == hashlib.sha256().hexdigest()
