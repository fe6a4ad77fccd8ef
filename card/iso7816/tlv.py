"""BER-TLV data objects (ISO 7816-4, 5.2; X.690 8.1): definite lengths, tags up to three bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class TlvError(ValueError):
    """The bytes are not a sequence of BER-TLV data objects."""


@dataclass(frozen=True, slots=True)
class Tlv:
    """One data object: tag as an integer (0x7F49 for '7F 49') and its value bytes."""

    tag: int
    value: bytes

    @property
    def is_constructed(self) -> bool:
        """True when the value is itself a sequence of data objects (bit 6 of the first tag byte)."""
        first = self.tag
        while first > 0xFF:
            first >>= 8
        return bool(first & 0x20)

    def children(self) -> tuple[Tlv, ...]:
        """The data objects inside a constructed one; raises TlvError when they do not parse."""
        return parse(self.value)

    def to_bytes(self) -> bytes:
        """Tag, length, value."""
        return encode(self.tag, self.value)


def encode_length(length: int) -> bytes:
    """The shortest definite length field (X.690 8.1.3)."""
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def encode(tag: int, *values: bytes) -> bytes:
    """One data object whose value is the concatenation of `values`."""
    value = b"".join(values)
    tag_bytes = tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big")
    return tag_bytes + encode_length(len(value)) + value


def walk(data: bytes) -> Iterator[Tlv]:
    """Data objects one after the other; '00' bytes between them are padding and skipped."""
    at, end = 0, len(data)
    while at < end:
        if data[at] == 0:
            at += 1
            continue
        tag, at = _read_tag(data, at)
        length, at = _read_length(data, at)
        if at + length > end:
            raise TlvError(f"object {tag:X} says {length} bytes but {end - at} remain")
        yield Tlv(tag, data[at : at + length])
        at += length


def parse(data: bytes) -> tuple[Tlv, ...]:
    """All data objects of `data`; raises TlvError on anything that does not fit."""
    return tuple(walk(data))


def find(data: bytes, *path: int) -> bytes | None:
    """The value found by following `path` tag by tag (first match at each level), or None."""
    value = data
    for tag in path:
        for item in walk(value):
            if item.tag == tag:
                value = item.value
                break
        else:
            return None
    return value


def _read_tag(data: bytes, at: int) -> tuple[int, int]:
    tag = data[at]
    at += 1
    if tag & 0x1F != 0x1F:
        return tag, at
    for _ in range(2):
        if at >= len(data):
            raise TlvError("the data ends inside a tag")
        byte = data[at]
        tag = tag << 8 | byte
        at += 1
        if not byte & 0x80:
            return tag, at
    raise TlvError("a tag has more than three bytes")


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise TlvError("the data ends before a length")
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    size = first & 0x7F
    if not 1 <= size <= 3 or at + size > len(data):
        raise TlvError("a length field is indefinite, too long or cut short")
    return int.from_bytes(data[at : at + size], "big"), at + size
