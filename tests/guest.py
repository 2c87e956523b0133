"""The disk of a guest that runs anywhere: half a kilobyte of machine code, and no operating system."""

from __future__ import annotations

_IDLE = bytes.fromhex(
    "fb"  # sti
    "f4"  # idle: hlt, until the timer ticks
    "ba10ae"  # mov dx, 0xae10: choose the bus at QEMU's PCI hot-plug controller (machine type pc)
    "6631c0"  # xor eax, eax
    "66ef"  # out dx, eax
    "b204"  # mov dl, 4: which devices the host wants to unplug
    "66ed"  # in eax, dx
    "6685c0"  # test eax, eax
    "74ee"  # jz idle
    "b208"  # mov dl, 8: let go of them
    "66ef"  # out dx, eax
    "ebe8"  # jmp idle
)


_COUNT = bytes.fromhex(
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax: where this sector lies, at 0x7c00
    "ff06807d"  # inc word [0x7d80]: one boot more
    "be907d"  # mov si, 0x7d90: the first of two packets that say where to write it
    "b80043"  # mov ax, 0x4300: have the firmware write
    "cd13"  # int 0x13
    "bea07d"  # mov si, 0x7da0
    "b80043"  # mov ax, 0x4300
    "cd13"  # int 0x13
)
_COUNTER, _PACKETS = 0x180, 0x190
FAR = 16 << 20
"""Where on its disk a guest that counts writes besides: behind what its image holds."""


def boot_sector(boots: int | None = None) -> bytes:
    """Idles, and lets go of the devices that are unplugged.

    It has one valid partition: newer image services refuse a raw disk whose table is broken.

    With ``boots`` it counts, from there on, how often it was booted, and writes itself with that number to
    its disk, over itself and to ``FAR``. So what a guest has written can be told from what its image held.
    """
    code = _IDLE
    if boots is not None:
        code = (_COUNT + _IDLE).ljust(_COUNTER, b"\0") + boots.to_bytes(2, "little")
        # Each packet: its size, one sector, from 0000:7c00, to a number of 64 bits.
        packets = (
            bytes.fromhex("10000100007c0000") + place.to_bytes(8, "little") for place in (0, FAR // 512)
        )
        code = code.ljust(_PACKETS, b"\0") + b"".join(packets)
    partition = bytes([0x80, 0, 2, 0, 0x83, 0, 2, 0, 1, 0, 0, 0]) + (2047).to_bytes(4, "little")
    return (code.ljust(446, b"\0") + partition).ljust(510, b"\0") + b"\x55\xaa"
