"""DER, the strict way: read by offsets, written by splicing (X.690 section 10 and 11).

Only what the profiles of this house need: one-byte tags, definite minimal lengths up to four
octets. Everything else is an error, so two readers can never disagree about the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

INTEGER, OCTETS, NULL, OID, SEQUENCE, SET = 0x02, 0x04, 0x05, 0x06, 0x30, 0x31
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18


class DerError(ValueError):
    """Bytes that are not the expected DER. The text says what was expected, never the content."""


def read(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """One element at `at`, inside `end`: its tag, and where its value starts and stops."""
    start = at + 2
    if start > end:
        raise DerError("an element is cut short")
    tag, length = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise DerError("a tag of several octets")
    if length >= 0x80:
        length, start = _long_length(data, start, end, length & 0x7F)
    stop = start + length
    if stop > end:
        raise DerError("a length goes beyond its container")
    return tag, start, stop


def _long_length(data: bytes, at: int, end: int, count: int) -> tuple[int, int]:
    """A length of `count` octets: definite, minimal, at most 4 octets (X.690 10.1)."""
    start = at + count
    if not 1 <= count <= 4 or start > end:
        raise DerError("an indefinite or oversized length")
    length = int.from_bytes(data[at:start], "big")
    if length < 0x80 or data[at] == 0:
        raise DerError("a length that is not minimal")
    return length, start


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Where the value of the element at `at` starts and stops; its tag must be `tag`."""
    found, start, stop = read(data, at, end)
    if found != tag:
        raise DerError(f"tag {found:02X} where {tag:02X} was expected")
    return start, stop


def enter(data: bytes, at: int, end: int, tag: int) -> int:
    """Start of the value of an element that must fill `at` to `end` exactly."""
    start, stop = expect(data, at, end, tag)
    if stop != end:
        raise DerError("bytes after the last element")
    return start


def skip(data: bytes, at: int, end: int, constant: bytes) -> int:
    """The offset after `constant`, which must stand at `at`, inside `end`."""
    after = at + len(constant)
    if after > end or not data.startswith(constant, at):
        raise DerError("a fixed part is different")
    return after


def skip_one_of(data: bytes, at: int, end: int, constants: Iterable[bytes]) -> int:
    """The offset after whichever of `constants` stands at `at`."""
    for constant in constants:
        if data.startswith(constant, at) and at + len(constant) <= end:
            return at + len(constant)
    raise DerError("a fixed part is none of those allowed")


def elements(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Every element between `at` and `end`: tag, where it begins, where its value starts and stops."""
    while at < end:
        tag, start, stop = read(data, at, end)
        yield tag, at, start, stop
        at = stop


def set_of(data: bytes, at: int, end: int, *, limit: int) -> list[bytes]:
    """The SEQUENCE elements of a SET OF: at most `limit`, in strictly ascending DER order."""
    found: list[bytes] = []
    for tag, begin, _start, stop in elements(data, at, end):
        if tag != SEQUENCE or len(found) == limit:
            raise DerError("a set with foreign or too many elements")
        found.append(data[begin:stop])
        if len(found) > 1 and found[-2] >= found[-1]:
            raise DerError("a set that is not in DER order")
    return found


def length_of(size: int) -> bytes:
    """The length octets for a value of `size` octets."""
    if size < 0x80:
        return bytes((size,))
    count = (size.bit_length() + 7) // 8
    return bytes((0x80 | count,)) + size.to_bytes(count, "big")


def head(tag: int, size: int) -> bytes:
    """Tag and length octets of an element whose value has `size` octets."""
    return bytes((tag,)) + length_of(size)


def wrap(tag: int, *parts: bytes) -> bytes:
    """An element holding the concatenation of `parts`."""
    value = b"".join(parts)
    return head(tag, len(value)) + value


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER element from its dotted form."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return wrap(OID, b"".join(_base128(arc) for arc in (first * 40 + second, *rest)))


def _base128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | (arc & 0x7F))
    return bytes(reversed(octets))
