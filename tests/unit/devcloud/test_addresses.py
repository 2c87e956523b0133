"""Arithmetic on addresses, and files with holes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pumphouse.devcloud import addresses, blobs

POOL = [{"start": "10.0.0.2", "end": "10.0.0.3"}, {"start": "10.0.0.9", "end": "10.0.0.9"}]


@pytest.mark.parametrize(
    ("taken", "skip", "found"),
    [
        (set(), 0, "10.0.0.2"),
        ({"10.0.0.2", "10.0.0.3"}, 0, "10.0.0.9"),
        (set(), 2, "10.0.0.9"),
        ({"10.0.0.9"}, 2, "10.0.0.2"),
        ({"10.0.0.2", "10.0.0.3", "10.0.0.9"}, 1, None),
    ],
)
def test_free(taken: set[str], skip: int, found: str | None) -> None:
    assert addresses.free(POOL, taken, version=4, skip=skip) == found


@pytest.mark.parametrize(
    ("cidr", "gateway", "pools"),
    [
        ("10.0.0.0/29", "10.0.0.1", [("10.0.0.2", "10.0.0.6")]),
        ("10.0.0.0/29", None, [("10.0.0.1", "10.0.0.6")]),
        ("10.0.0.0/29", "10.0.0.4", [("10.0.0.1", "10.0.0.3"), ("10.0.0.5", "10.0.0.6")]),
        ("10.0.0.0/29", "192.0.2.1", [("10.0.0.1", "10.0.0.6")]),
        ("10.0.0.0/31", None, [("10.0.0.0", "10.0.0.1")]),
        ("fd00::/126", "fd00::1", [("fd00::2", "fd00::3")]),
    ],
)
def test_default_pools(cidr: str, gateway: str | None, pools: list[tuple[str, str]]) -> None:
    expected = [{"start": start, "end": end} for start, end in pools]
    assert addresses.default_pools(cidr, gateway) == expected


@pytest.mark.parametrize(
    ("taken", "length", "found"),
    [
        ([], 24, "10.0.0.0/24"),
        (["10.0.0.0/25"], 24, "10.0.1.0/24"),
        (["10.0.0.0/24", "10.0.2.0/24"], 23, None),
        (["10.0.1.128/25"], 25, "10.0.0.0/25"),
        (["10.0.0.0/24"], 22, None),
    ],
)
def test_free_subnet(taken: list[str], length: int, found: str | None) -> None:
    assert addresses.free_subnet(["10.0.0.0/22"], length, taken) == found


def test_copies_keep_holes_and_bytes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    parts = iter([b"a" * blobs.BLOCK, bytes(blobs.BLOCK), bytes(blobs.BLOCK), b"end", b""])
    size, digests = blobs.receive(lambda _: next(parts), source)
    expected = b"a" * blobs.BLOCK + bytes(2 * blobs.BLOCK) + b"end"
    assert size == len(expected)
    assert digests.result() == (hashlib.md5(expected).hexdigest(), hashlib.sha512(expected).hexdigest())
    blobs.copy(source, target, size=1 << 30)
    assert target.stat().st_size == 1 << 30
    assert target.stat().st_blocks * 512 < 2 * blobs.BLOCK
    with target.open("rb") as file:
        assert file.read(size) == expected


def test_a_broken_stream_leaves_no_file(tmp_path: Path) -> None:
    def read(size: int) -> bytes:
        if next(calls):
            raise ConnectionError("gone")
        return b"x" * size

    calls = iter([False, True])
    with pytest.raises(ConnectionError):
        blobs.receive(read, tmp_path / "disk")
    assert list(tmp_path.iterdir()) == []
