"""What both sessions do with a card: select an application, read a whole file, name the card in the slot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.layout import cps as cps_layout
from card.layout import vitale as vitale_layout
from card.layout.tree import LayoutError
from gateway.errors import CardRefusal
from reader.connection import SLOWEST, Connection
from reader.errors import CardProtocolError

S = TypeVar("S")
T = TypeVar("T")

STEP = 256
"""Bytes per READ BINARY: the most a short Le can ask."""

MAX_FILE = 0x7FFF
"""Offsets of READ BINARY have 15 bits (ISO/IEC 7816-4:2005, 7.2.3)."""

_KINDS = (("CPS", cps_layout.AID_MF), ("Vitale", vitale_layout.AID_MF))


def select_application(connection: Connection, aid: bytes) -> bool:
    """SELECT by name, no answer data wanted; False when the card has no such application."""
    return connection.transmit(CommandAPDU(0, 0xA4, 0x04, 0x0C, aid)).sw == 0x9000


def require_card(connection: Connection, expected: str) -> None:
    """Select the master file of the `expected` card ("CPS" or "Vitale").

    Raises CardRefusal (wrong-card) naming the slot, what it holds and what to do.
    """
    aids = dict(_KINDS)
    if select_application(connection, aids.pop(expected)):
        return
    slot = connection.slot_name
    for kind, aid in aids.items():
        if select_application(connection, aid):
            raise CardRefusal(
                f"The {slot} slot holds a {kind}, a {expected} is expected there: swap the cards.",
                code="wrong-card",
            )
    raise CardRefusal(
        f"The {slot} slot holds a card that is not a {expected}: insert a {expected}.", code="wrong-card"
    )


def read_file(connection: Connection, fid: int) -> bytes:
    """The whole content of the EF `fid` under the current directory.

    Raises CardRefusal (access-refused) when the card wants something first, CardProtocolError when the file
    is missing or its lengths do not add up.
    """
    with connection.exclusive():
        answer = connection.transmit(CommandAPDU(0, 0xA4, 0x02, 0x04, fid.to_bytes(2, "big"), 256))
        if answer.sw != 0x9000:
            raise unexpected(connection, f"SELECT of file {fid:04X}", answer)
        size = _size(connection, fid, answer.data)
        content, steps = b"", 0
        while len(content) < size:
            content += _read(connection, fid, len(content), min(STEP, size - len(content)))
            steps += 1
            if steps > 8 + len(content) // SLOWEST:
                raise CardProtocolError(connection.slot_name, f"it gives file {fid:04X} in crumbs")
        return content


def decoded(connection: Connection, decode: Callable[[S], T], content: S) -> T:
    """`decode(content)`, a refusal becoming a CardProtocolError that names the slot and the file."""
    try:
        return decode(content)
    except (LayoutError, tlv.TlvError) as wrong:
        raise CardProtocolError(connection.slot_name, str(wrong)) from None


def unexpected(connection: Connection, what: str, answer: ResponseAPDU) -> CardRefusal | CardProtocolError:
    """The error for a status that stops `what`: a refusal of access, or a card that does not fit."""
    if answer.sw in (0x6982, 0x6985):
        return CardRefusal(
            f"The card in the {connection.slot_name} slot refuses {what} ({answer.sw.describe()}): "
            "present the PIN or the CPS first.",
            code="access-refused",
        )
    return CardProtocolError(connection.slot_name, f"{what} is answered {answer.sw.describe()}")


def _size(connection: Connection, fid: int, fcp: bytes) -> int:
    """The file size announced by the answer to SELECT (ISO/IEC 7816-4:2005, table 12: tags 80, 81)."""
    try:
        objects = tlv.parse(tlv.find(fcp, 0x62) or tlv.find(fcp, 0x6F) or b"")
    except tlv.TlvError as wrong:
        raise CardProtocolError(connection.slot_name, f"the description of file {fid:04X}: {wrong}") from None
    for item in objects:
        if item.tag in (0x80, 0x81):
            size = int.from_bytes(item.value, "big")
            if size > MAX_FILE:
                break
            return size
    raise CardProtocolError(connection.slot_name, f"file {fid:04X} has no size or one that is too large")


def _read(connection: Connection, fid: int, offset: int, count: int) -> bytes:
    answer = connection.transmit(CommandAPDU(0, 0xB0, offset >> 8, offset & 0xFF, b"", count))
    if answer.sw != 0x9000:
        raise unexpected(connection, f"reading file {fid:04X}", answer)
    if not 0 < len(answer.data) <= count:
        raise CardProtocolError(connection.slot_name, f"file {fid:04X} is not as long as the card says")
    return answer.data
