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


def boot_sector() -> bytes:
    """Idles, and lets go of the devices that are unplugged.

    It has one valid partition: newer image services refuse a raw disk whose table is broken.
    """
    partition = bytes([0x80, 0, 2, 0, 0x83, 0, 2, 0, 1, 0, 0, 0]) + (2047).to_bytes(4, "little")
    return (_IDLE.ljust(446, b"\0") + partition).ljust(510, b"\0") + b"\x55\xaa"
