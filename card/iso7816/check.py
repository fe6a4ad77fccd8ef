"""The check byte of ISO 7816-3, exclusive-or of all bytes: TCK (8.2.5), PCK (9.2) and LRC (11.4.4)."""

from __future__ import annotations


def exclusive_or(data: bytes | bytearray) -> int:
    """Exclusive-or of all bytes, 0 of none; 0 also of data that ends with its own check byte."""
    value, width = int.from_bytes(data), 256
    if len(data) > 32:
        while width < 8 * len(data):
            width *= 2
    while width > 8:  # the upper half onto the lower one, down to one byte
        width //= 2
        value ^= value >> width
    return value & 0xFF
