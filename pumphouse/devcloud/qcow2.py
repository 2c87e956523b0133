"""Disks in the qcow2 format: only the clusters in use lie in the file.

The layout is that of QEMU's docs/interop/qcow2.txt; all numbers are big-endian. `pack` writes version 3 with
clusters of 64 KiB. `unpack` reads versions 2 and 3 with clusters of any size, deflated ones too; it takes no
file that is encrypted or needs a second file.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from io import BufferedWriter, FileIO
from pathlib import Path

from pumphouse.devcloud import blobs

SECTOR = 512
CLUSTER = 1 << 16
"""Bytes of a cluster that `pack` writes."""

_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_HEADER_3 = struct.Struct(">QQQII")
_ENTRIES = CLUSTER // 8
_COUNTS = CLUSTER // 2
_COPIED = 1 << 63
_COMPRESSED = 1 << 62
_ZERO = 1
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_DIRTY = 1
_MOST_L1 = 32 << 20
"""Bytes of the largest L1 table, as QEMU has it: a broken header must not take all memory."""
_ZEROS = bytes(CLUSTER)


def is_qcow2(path: Path) -> bool:
    """Whether a file begins as one of version 2 or 3 does. The first qcow had the same magic number."""
    with path.open("rb") as file:
        start = file.read(8)
    return start[:4] == _MAGIC and int.from_bytes(start[4:], "big") in (2, 3)


def virtual_size(path: Path) -> int:
    """The size of the disk in bytes; ValueError when the header is not one that can be read."""
    with path.open("rb", buffering=0) as file:
        return _Disk(file).size


# Packing


def pack(source: Path, target: Path) -> int:
    """Write the clusters of a raw (sparse) file that are not all zeros; return the bytes of the qcow2 file.

    The disk's size is the source's, up to the next sector. Equal disks make equal files. It costs what is in
    use: holes are not read.
    """
    length = source.stat().st_size
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb", buffering=0) as reader, target.open("wb") as writer:
        # The data first, as it is read, and the tables behind it: one pass will do.
        writer.seek(CLUSTER)
        tables: defaultdict[int, list[int]] = defaultdict(lambda: [0] * _ENTRIES)
        for index, cluster in _in_use(reader.fileno(), length):
            tables[index // _ENTRIES][index % _ENTRIES] = writer.tell() | _COPIED
            writer.write(cluster)
        first = [0] * -(-length // (CLUSTER * _ENTRIES))
        for number, entries in tables.items():
            first[number] = writer.tell() | _COPIED
            _write_table(writer, entries)
        first_offset = writer.tell()
        _write_table(writer, first)
        counts_offset = writer.tell()
        counts_clusters = _write_counts(writer)
        size = writer.tell()
        writer.seek(0)
        disk_size = -(-length // SECTOR) * SECTOR
        tail = (counts_offset, counts_clusters, 0, 0)
        bits = CLUSTER.bit_length() - 1
        writer.write(_HEADER.pack(_MAGIC, 3, 0, 0, bits, disk_size, 0, len(first), first_offset, *tail))
        # No features; counts of 1 << 4 bits.
        writer.write(_HEADER_3.pack(0, 0, 0, 4, _HEADER.size + _HEADER_3.size))
    return size


def _in_use(descriptor: int, length: int) -> Iterator[tuple[int, bytes]]:
    """(index, bytes) of the clusters that are not all zeros; the last one is filled up."""
    following = 0
    for start, end in blobs.extents(descriptor, length):
        # Two extents may share a cluster.
        begin, following = max(following, start // CLUSTER), -(-end // CLUSTER)
        for index in range(begin, following):
            cluster = os.pread(descriptor, CLUSTER, index * CLUSTER).ljust(CLUSTER, b"\0")
            if cluster != _ZEROS:
                yield index, cluster


def _write_table(writer: BufferedWriter, entries: list[int]) -> None:
    """Whole clusters of entries, none for none."""
    clusters = -(-len(entries) // _ENTRIES)
    writer.write(struct.pack(f">{len(entries)}Q", *entries).ljust(clusters * CLUSTER, b"\0"))


def _write_counts(writer: BufferedWriter) -> int:
    """The table of reference counts and its blocks: one for each cluster up to here and for their own.

    Returns the clusters of the table.
    """
    before = writer.tell() // CLUSTER
    table = blocks = 0
    while (needed := -(-(before + table + blocks) // _COUNTS)) != blocks or table * _ENTRIES < blocks:
        table, blocks = -(-needed // _ENTRIES), needed
    _write_table(writer, [(before + table + number) * CLUSTER for number in range(blocks)])
    writer.write((b"\0\1" * (before + table + blocks)).ljust(blocks * CLUSTER, b"\0"))
    return table


# Unpacking


def unpack(source: Path, target: Path, *, size: int | None = None) -> None:
    """Write the disk as a raw, sparse file of `size` bytes, or of its own size.

    ValueError when the file is ill-formed or the disk is larger than `size`; the target is removed then.
    """
    with source.open("rb", buffering=0) as file:
        disk = _Disk(file)
        if size is not None and size < disk.size:
            raise ValueError(f"a disk of {disk.size} bytes does not fit into {size} bytes")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("wb") as writer:
                writer.truncate(disk.size if size is None else size)
                for place, data in disk.clusters():
                    writer.seek(place)
                    writer.write(data)
        except BaseException:
            target.unlink()
            raise


class _Disk:
    """A qcow2 file that is being read. Whatever is wrong with it raises ValueError."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._length = os.fstat(file.fileno()).st_size
        if self._length < _HEADER.size + 8:
            raise ValueError("the file is too short for a qcow2 header")
        magic, version, backing, _, bits, size, encryption, *first, _, _, _, _ = _HEADER.unpack(
            file.read(_HEADER.size)
        )
        features = int.from_bytes(file.read(8), "big") if version == 3 else 0
        if magic != _MAGIC or version not in (2, 3):
            raise ValueError("the file is not qcow2 of version 2 or 3")
        if not 9 <= bits <= 21:
            raise ValueError(f"qcow2 has no clusters of 1 << {bits} bytes")
        if backing or encryption or features & ~_DIRTY:
            raise ValueError("the qcow2 file is corrupt, or needs a key, another file or another reader")
        self.size: int = size
        self._bits: int = bits
        self._first_size: int
        self._first_offset: int
        self._first_size, self._first_offset = first
        if self._first_size * 8 > _MOST_L1 or self._first_size << (2 * bits - 3) < size:
            raise ValueError("the qcow2 file's L1 table does not fit its size")

    def clusters(self) -> Iterator[tuple[int, bytes]]:
        """(place on the disk, bytes) of the clusters in use, in order."""
        cluster = 1 << self._bits
        entries = cluster // 8
        for number, first in enumerate(self._table(self._first_offset, self._first_size)):
            if not first & _OFFSET:
                continue
            for index, entry in enumerate(self._table(first & _OFFSET, entries), number * entries):
                wanted = min(cluster, self.size - index * cluster)
                if entry and wanted > 0:
                    data = self._cluster(entry, wanted)
                    if data and data != bytes(wanted):
                        yield index * cluster, data

    def _cluster(self, entry: int, wanted: int) -> bytes:
        if entry & _COMPRESSED:
            return self._inflated(entry)[:wanted]
        if entry & _ZERO or not entry & _OFFSET:
            return b""
        return self._read(entry & _OFFSET, wanted)

    def _inflated(self, entry: int) -> bytes:
        shift = 70 - self._bits
        offset = entry & ((1 << shift) - 1)
        sectors = 1 + ((entry & ~(_COPIED | _COMPRESSED)) >> shift)
        data = os.pread(self._file.fileno(), sectors * SECTOR - offset % SECTOR, offset)
        try:
            found = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, 1 << self._bits)
        except zlib.error as error:
            raise ValueError(f"a cluster of the qcow2 file cannot be inflated: {error}") from error
        if len(found) < 1 << self._bits:
            raise ValueError("a deflated cluster of the qcow2 file is too short")
        return found

    def _table(self, offset: int, entries: int) -> tuple[int, ...]:
        return struct.unpack(f">{entries}Q", self._read(offset, entries * 8))

    def _read(self, offset: int, length: int) -> bytes:
        if offset % (1 << self._bits):
            raise ValueError(f"the qcow2 file points to {offset}, where no cluster begins")
        if offset + length > self._length:
            raise ValueError(f"the qcow2 file ends at {self._length} and points behind it")
        return os.pread(self._file.fileno(), length, offset)
