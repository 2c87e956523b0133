from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
import time
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pumphouse.devcloud import qcow2
from pumphouse.devcloud.qcow2 import CLUSTER, is_qcow2, pack, unpack, virtual_size

TIB, GIB, MIB = 1 << 40, 1 << 30, 1 << 20
COPIED, COMPRESSED, OFFSET = 1 << 63, 1 << 62, 0x00FF_FFFF_FFFF_FE00


def sparse(path, size, pieces=()):
    """A raw file of this size with (place, bytes) written into it; what reaches beyond is cut off."""
    with path.open("wb") as file:
        file.truncate(size)
        for place, data in pieces:
            file.seek(place)
            file.write(data)
        file.truncate(size)
    return path


def alike(raw, back):
    """Whether two raw files are the same disk: the second may have more zeros."""
    with raw.open("rb") as one, back.open("rb") as other:
        while data := other.read(MIB):
            if data != one.read(MIB).ljust(len(data), b"\0"):
                return False
        return one.read() == b""


def words(path, offset, count, size):
    with path.open("rb") as file:
        file.seek(offset)
        return struct.unpack(f">{count}{'HQ'[size == 8]}", file.read(count * size))


def check_by_hand(raw, packed):
    """Every cluster of the file has one use, its reference count is one, and the clusters are the disk's."""
    head = struct.unpack(">4sIQIIQIIQQIIQQQQII", packed.read_bytes()[:104])
    (_, version, _, _, bits, size, _, first_size, first_at, counts_at, counts_clusters, *_, order, length) = (
        head
    )
    assert (version, 1 << bits, 1 << order, length) == (3, CLUSTER, 16, 104)
    assert size == -(-raw.stat().st_size // 512) * 512
    assert first_size * CLUSTER * 8192 >= size
    total, odd = divmod(packed.stat().st_size, CLUSTER)
    assert odd == 0
    uses = [0, *((first_at // CLUSTER) + n for n in range(-(-first_size // 8192)))]
    uses += [counts_at // CLUSTER + n for n in range(counts_clusters)]
    blocks = [entry for entry in words(packed, counts_at, counts_clusters * 8192, 8) if entry]
    uses += [block // CLUSTER for block in blocks]
    data = {}
    for number, first in enumerate(words(packed, first_at, first_size, 8)):
        if first:
            assert first & COPIED
            uses.append((first & OFFSET) // CLUSTER)
            for index, entry in enumerate(words(packed, first & OFFSET, 8192, 8)):
                if entry:
                    assert entry == (entry & OFFSET) | COPIED
                    uses.append((entry & OFFSET) // CLUSTER)
                    data[number * 8192 + index] = entry & OFFSET
    assert sorted(uses) == list(range(total))
    counts = [count for block in blocks for count in words(packed, block, CLUSTER // 2, 2)]
    assert counts[:total] == [1] * total
    assert not any(counts[total:])
    with raw.open("rb") as disk, packed.open("rb") as file:
        for index in range(-(-size // CLUSTER)):
            disk.seek(index * CLUSTER)
            wanted = disk.read(CLUSTER).ljust(CLUSTER, b"\0")
            assert (index in data) == (wanted != bytes(CLUSTER)), "only what is not all zeros is in the file"
            if index in data:
                file.seek(data[index])
                assert file.read(CLUSTER) == wanted


def check_by_unpacking(raw, packed):
    back = raw.with_suffix(".back")
    unpack(packed, back)
    assert virtual_size(packed) == back.stat().st_size == -(-raw.stat().st_size // 512) * 512
    assert alike(raw, back)
    assert back.stat().st_blocks <= raw.stat().st_blocks + 2 * CLUSTER // 512 * -(
        -packed.stat().st_size // CLUSTER
    )
    larger = back.stat().st_size + 3 * MIB
    unpack(packed, back, size=larger)
    assert back.stat().st_size == larger
    assert alike(raw, back)


def check_by_qemu(raw, packed):
    run("qemu-img", "check", "-f", "qcow2", packed)
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, packed)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


NEEDS_QEMU = pytest.mark.skipif(
    shutil.which("qemu-img") is None and os.environ.get("CI") != "true", reason="qemu-img is not installed"
)
EACH_READER = pytest.mark.parametrize(
    "check", [check_by_hand, check_by_unpacking, pytest.param(check_by_qemu, marks=NEEDS_QEMU)]
)
NOISE = random.Random(1).randbytes(3 * CLUSTER)


@EACH_READER
@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        pytest.param(0, [], id="empty"),
        pytest.param(64 * MIB, [], id="all-holes"),
        pytest.param(512, [(0, b"boot")], id="one-sector"),
        pytest.param(5 * CLUSTER + 1536, [(5 * CLUSTER, NOISE[:1536])], id="last-cluster-partial"),
        pytest.param(CLUSTER + 700, [(CLUSTER + 600, b"end")], id="no-whole-sector"),
        pytest.param(8 * MIB, [(0, NOISE), (4 * MIB + 100, NOISE), (8 * MIB - 1, b"x")], id="scattered"),
        pytest.param(8 * MIB, [(MIB, bytes(MIB)), (3 * MIB, NOISE)], id="zeros-written"),
        pytest.param(
            513 * MIB, [(512 * MIB - 10, NOISE[:20]), (513 * MIB - 512, NOISE[:512])], id="two-tables"
        ),
    ],
)
def test_disks_are_packed(tmp_path, size, pieces, check):
    raw, packed = sparse(tmp_path / "raw", size, pieces), tmp_path / "packed"
    assert pack(raw, packed) == packed.stat().st_size
    assert is_qcow2(packed)
    check(raw, packed)


@EACH_READER
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sectors=st.integers(1, 1200),
    pieces=st.lists(
        st.tuples(st.integers(0, 600_000), st.sampled_from([b"x", NOISE[:4096], NOISE, bytes(2 * CLUSTER)]))
    ),
)
def test_small_layouts_come_back(tmp_path, sectors, pieces, check):
    raw, packed = sparse(tmp_path / "raw", sectors * 512, pieces), tmp_path / "packed"
    pack(raw, packed)
    check(raw, packed)


def ends_alike(raw, packed):
    unpack(packed, raw.with_suffix(".back"))
    for path in (raw, raw.with_suffix(".back")):
        with path.open("rb") as file:
            file.seek(-3, os.SEEK_END)
            assert (file.tell(), file.read()) == (5 * TIB - 3, b"end")
            assert os.lseek(file.fileno(), 0, os.SEEK_DATA) >= 5 * TIB - CLUSTER


@pytest.mark.parametrize("check", [ends_alike, pytest.param(check_by_qemu, marks=NEEDS_QEMU)])
def test_a_first_table_of_several_clusters(tmp_path, check):
    raw, packed = sparse(tmp_path / "raw", 5 * TIB, [(5 * TIB - 3, b"end")]), tmp_path / "packed"
    pack(raw, packed)
    check(raw, packed)


@pytest.mark.parametrize("before", [1, 3, 32765, 32766, 32767, 32768, 65530, 65534, 65535, 100_000])
def test_every_cluster_is_counted_those_of_the_counts_too(tmp_path, before):
    with (tmp_path / "file").open("wb") as file:
        file.seek(before * CLUSTER)
        table = qcow2._write_counts(file)
        total, odd = divmod(file.tell(), CLUSTER)
    assert (table, odd) == (1, 0)
    blocks = total - before - table
    places = [(before + table + number) * CLUSTER for number in range(blocks)]
    assert words(tmp_path / "file", before * CLUSTER, 8192, 8) == (*places, *[0] * (8192 - blocks))
    counts = [count for place in places for count in words(tmp_path / "file", place, CLUSTER // 2, 2)]
    assert counts == [1] * total + [0] * (len(counts) - total)
    assert len(counts) - total < CLUSTER // 2


def test_it_costs_what_is_in_use(tmp_path):
    data = random.Random(2).randbytes(MIB)
    raw = sparse(tmp_path / "raw", GIB, [(300 * MIB, data)])
    before = time.process_time()
    size = pack(raw, tmp_path / "packed")
    unpack(tmp_path / "packed", tmp_path / "back", size=GIB)
    assert time.process_time() - before < 0.5
    assert size < 2 * MIB
    assert (tmp_path / "back").stat().st_blocks * 512 < 2 * MIB
    with (tmp_path / "back").open("rb") as file:
        assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == 300 * MIB
        assert file.read(MIB) == data
        assert os.lseek(file.fileno(), 300 * MIB, os.SEEK_HOLE) == 301 * MIB


def test_equal_disks_make_equal_files(tmp_path):
    pieces = [(0, NOISE), (40 * MIB, b"x")]
    pack(sparse(tmp_path / "a", 64 * MIB, pieces), tmp_path / "packed-a")
    pack(sparse(tmp_path / "b", 64 * MIB, [*pieces, (MIB, bytes(MIB))]), tmp_path / "packed-b")
    assert (tmp_path / "packed-a").read_bytes() == (tmp_path / "packed-b").read_bytes()


def made_by_hand(*, version, bits, entry, data, size):
    """A file of one L1 entry and one L2 entry (whose offset is added to `entry`), without counts."""
    cluster = 1 << bits
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, 0, 0, bits, size, 0, 1, cluster, 0, 0, 0, 0)
    head += struct.pack(">QQQII", 0, 0, 0, 4, 104) if version == 3 else b""
    first = struct.pack(">Q", 2 * cluster)
    second = struct.pack(">QQ", 0, entry + 3 * cluster)
    return b"".join(part.ljust(cluster, b"\0") for part in (head, first, second)) + data


@pytest.mark.parametrize("bits", [9, 12, 16, 21])
@pytest.mark.parametrize("version", [2, 3])
def test_other_versions_and_sizes_of_clusters_are_read(tmp_path, version, bits):
    cluster = 1 << bits
    packed = tmp_path / "packed"
    data = random.Random(bits).randbytes(cluster)
    packed.write_bytes(made_by_hand(version=version, bits=bits, entry=0, data=data, size=4 * cluster))
    unpack(packed, tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == bytes(cluster) + data + bytes(2 * cluster)


def deflated(data, bits):
    """The deflated cluster in whole sectors, and what its entry says beside the offset."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    packed = packer.compress(data) + packer.flush()
    sectors = -(-len(packed) // 512)
    return packed.ljust(sectors * 512, b"\0"), COMPRESSED | (sectors - 1) << (70 - bits)


@pytest.mark.parametrize("bits", [12, 16])
def test_deflated_clusters_are_read(tmp_path, bits):
    cluster = 1 << bits
    data = (b"the same again and again " * cluster)[:cluster]
    held, entry = deflated(data, bits)
    packed = tmp_path / "packed"
    packed.write_bytes(made_by_hand(version=3, bits=bits, entry=entry, data=held, size=4 * cluster))
    unpack(packed, tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == bytes(cluster) + data + bytes(2 * cluster)


def test_a_cluster_can_be_said_to_be_zero_whatever_it_holds(tmp_path):
    packed = tmp_path / "packed"
    held = b"old".ljust(CLUSTER, b"\0")
    packed.write_bytes(made_by_hand(version=3, bits=16, entry=1, data=held, size=4 * CLUSTER))
    unpack(packed, tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == bytes(4 * CLUSTER)


@NEEDS_QEMU
@pytest.mark.parametrize(
    "options",
    [("-c",), ("-o", "compat=0.10"), ("-o", "cluster_size=4096"), ("-o", "preallocation=metadata")],
)
def test_what_qemu_packs_is_read(tmp_path, options):
    pieces = [(0, NOISE), (3 * MIB + 17, b"words " * 9000), (9 * MIB, NOISE)]
    raw, packed = sparse(tmp_path / "raw", 9 * MIB + 100 * 512, pieces), tmp_path / "packed"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, packed)
    unpack(packed, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == raw.read_bytes()


def replaced(at, form, value):
    def change(data):
        struct.pack_into(form, data, at, value)

    return change


def cut(size):
    def change(data):
        del data[size:]

    return change


ENTRY = 2 * CLUSTER + 8
ILL_FORMED = {
    "nothing": cut(0),
    "half a header": cut(50),
    "another magic": replaced(0, ">4s", b"qfi\xfb"),
    "version 1": replaced(4, ">I", 1),
    "a backing file": replaced(8, ">Q", 104),
    "clusters of 1 << 8": replaced(20, ">I", 8),
    "clusters of 1 << 22": replaced(20, ">I", 22),
    "a disk larger than its table": replaced(24, ">Q", 1 << 40),
    "encryption": replaced(32, ">I", 1),
    "a table without end": replaced(36, ">I", 0xFFFFFFFF),
    "a first table behind the end": replaced(40, ">Q", 1 << 30),
    "a first table in a cluster's midst": replaced(40, ">Q", CLUSTER + 512),
    "a mark that it is corrupt": replaced(72, ">Q", 2),
    "an external data file": replaced(72, ">Q", 4),
    "a second table behind the end": replaced(CLUSTER, ">Q", 1 << 30),
    "data behind the end": replaced(ENTRY, ">Q", 1 << 30),
    "data in a cluster's midst": replaced(ENTRY, ">Q", 3 * CLUSTER + 512),
    "deflated data that is none": replaced(ENTRY, ">Q", COMPRESSED | 3 * CLUSTER),
    "deflated data behind the end": replaced(ENTRY, ">Q", COMPRESSED | 1 << 30),
    "data cut short": cut(4 * CLUSTER - 512),
    "no data": cut(3 * CLUSTER),
    "half a table": cut(2 * CLUSTER + 512),
}


@pytest.mark.parametrize("change", ILL_FORMED.values(), ids=[name.replace(" ", "-") for name in ILL_FORMED])
def test_ill_formed_files_are_refused_and_leave_nothing(tmp_path, change):
    data = bytearray(made_by_hand(version=3, bits=16, entry=0, data=b"\xff" * CLUSTER, size=4 * CLUSTER))
    packed, target = tmp_path / "packed", tmp_path / "raw"
    packed.write_bytes(data)
    unpack(packed, target)  # as it is, it is right
    target.unlink()
    change(data)
    packed.write_bytes(data)
    with pytest.raises(ValueError, match="qcow2"):
        unpack(packed, target)
    assert not target.exists()


def test_a_disk_must_fit(tmp_path):
    pack(sparse(tmp_path / "raw", 2 * MIB), tmp_path / "packed")
    with pytest.raises(ValueError, match="does not fit"):
        unpack(tmp_path / "packed", tmp_path / "back", size=MIB)


def test_other_files_are_not_qcow2(tmp_path):
    path = tmp_path / "file"
    for data in (b"", b"QFI", b"QFI\xfb\0\0\0\1", b"\0" * 512):
        path.write_bytes(data)
        assert not is_qcow2(path)
    os.truncate(path, 0)
    with pytest.raises(ValueError, match="too short"):
        virtual_size(path)
