"""Reading file content strictly: every failure is a LayoutError that names the file."""

from __future__ import annotations

from datetime import date

from card.iso7816 import tlv
from card.layout.tree import LayoutError


def walk(data: bytes, file: str) -> tuple[tlv.Tlv, ...]:
    """All data objects of `data`."""
    try:
        return tlv.parse(data)
    except tlv.TlvError as wrong:
        raise LayoutError(f"file {file}: {wrong}") from None


def objects(data: bytes, file: str, tag: int, *others: int) -> list[bytes]:
    """The values of all objects `tag`; anything but `tag` and `others` is refused."""
    items = walk(data, file)
    if strange := [item.tag for item in items if item.tag != tag and item.tag not in others]:
        raise LayoutError(f"file {file} holds an unexpected object {strange[0]:X}")
    return [item.value for item in items if item.tag == tag]


def value_of(data: bytes, tag: int, file: str) -> bytes:
    """The value of the first object `tag`."""
    for item in walk(data, file):
        if item.tag == tag:
            return item.value
    raise LayoutError(f"file {file} lacks object {tag:X}")


def ascii_text(data: bytes, file: str) -> str:
    """`data` as text."""
    if not data.isascii():
        raise LayoutError(f"file {file} holds text that is not plain ASCII")
    return data.decode("ascii")


def date8(text: str, file: str) -> date:
    """The date written AAAAMMJJ."""
    try:
        if len(text) != 8 or not text.isdecimal():
            raise ValueError
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise LayoutError(f"file {file} holds a date that is not AAAAMMJJ") from None


def printable(text: str, what: str) -> str:
    """`text` when all its characters are 20..7E, as the public readers need; raises LayoutError."""
    if not all(0x20 <= ord(char) <= 0x7E for char in text):
        raise LayoutError(f"the {what} must be written with plain unaccented characters")
    return text
