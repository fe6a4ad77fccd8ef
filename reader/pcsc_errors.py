"""What PC/SC answers when it does not do what was asked, in sentences (PC/SC part 5; pcsclite.h)."""

from __future__ import annotations

from reader.errors import CardProtocolError, CardRemoved, ReaderError, SlotTaken

CANCELLED = 0x80100002
INVALID_HANDLE = 0x80100003
INSUFFICIENT_BUFFER = 0x80100008
UNKNOWN_READER = 0x80100009
TIMEOUT = 0x8010000A
SHARING_VIOLATION = 0x8010000B
NO_SMARTCARD = 0x8010000C
NOT_TRANSACTED = 0x80100016
READER_UNAVAILABLE = 0x80100017
NO_SERVICE = 0x8010001D
NO_READERS_AVAILABLE = 0x8010002E
RESET_CARD = 0x80100068
REMOVED_CARD = 0x80100069

GONE = frozenset({NO_SMARTCARD, REMOVED_CARD})

MUTE = frozenset({0x80100007, TIMEOUT, NOT_TRANSACTED, 0x8010002F, 0x80100066, 0x80100067})
"""Waited too long, timeout, transaction failed, data lost, unresponsive card, unpowered card."""

STOPPED = frozenset(
    {CANCELLED, INVALID_HANDLE, 0x80100001, 0x80100012, 0x80100013, 0x80100018, NO_SERVICE, 0x8010001E}
)
"""Cancelled, a context of before a restart, internal error, no link, shutdown, no service."""

NO_READER = frozenset({UNKNOWN_READER, 0x80100010, READER_UNAVAILABLE, 0x8010001A, NO_READERS_AVAILABLE})

FOREIGN = frozenset({0x8010000D, 0x8010000F, 0x80100015, 0x8010001C, 0x80100065})
"""Unknown card, no common protocol, invalid ATR, unsupported card (twice)."""

DENIED = frozenset({0x80100027, 0x8010006A})


class ServiceStopped(ReaderError):
    """There is no PC/SC service to speak to, or no longer the one that was spoken to."""

    code = "pcsc-stopped"

    def __init__(self, slot: str = "") -> None:
        super().__init__(
            "The PC/SC service is not running: start it (systemctl start pcscd) and try again.", slot=slot
        )


class ReaderGone(ReaderError):
    """The reader behind a slot is not connected."""

    code = "reader-gone"

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"The reader of the {slot} slot is not connected: plug it in and try again.", slot=slot
        )


class CardInUse(ReaderError):
    """Another program keeps the card for itself alone."""

    code = "card-in-use"

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"Another program keeps the card in the {slot} slot for itself: end that program and try again.",
            slot=slot,
        )


class PcscError(Exception):
    """A call of PC/SC that failed; `code` is its unsigned return code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code:08X}")
        self.code = code


def failure(code: int, slot: str) -> ReaderError | OSError:
    """What a slot's user hears of the return code `code`. An OSError is a card or a link that is silent."""
    if code in GONE:
        return CardRemoved(slot)
    if code in MUTE:
        return OSError(f"PC/SC {code:08X}")
    if code in STOPPED:
        return ServiceStopped(slot)
    if code in NO_READER:
        return ReaderGone(slot)
    if code in FOREIGN:
        return CardProtocolError(slot, "PC/SC finds no protocol to speak with it")
    return _other(code, slot)


def _other(code: int, slot: str) -> ReaderError:
    if code == RESET_CARD:
        return SlotTaken(slot)
    if code == SHARING_VIOLATION:
        return CardInUse(slot)
    if code == INSUFFICIENT_BUFFER:
        return CardProtocolError(slot, "an answer longer than any can be")
    if code in DENIED:
        return ReaderError(
            "This user may not use the card readers: ask the administrator for access to pcscd (polkit).",
            slot=slot,
        )
    return ReaderError(
        f"PC/SC stops the work on the {slot} slot (code {code:08X}): "
        "insert the card again, then restart pcscd.",
        slot=slot,
    )
