"""What an agent lets through from the network: reading, selecting, authenticating, signing. Nothing that
writes, no digits.

A hosted gateway that was taken over could otherwise try PINs, or have digits written into a file and read
them there.
"""

from __future__ import annotations

from dataclasses import replace

from card.iso7816.apdu import ApduError, CommandAPDU
from reader.pinpad import PIN_INSTRUCTIONS, PinEntry

READING = frozenset({0xA4, 0xB0, 0xB1, 0xB2, 0xC0, 0xCA, 0xCB})
"""SELECT, READ BINARY, READ RECORD, GET RESPONSE, GET DATA (ISO/IEC 7816-4:2005, 5.1.2)."""

PROVING = frozenset({0x22, 0x82, 0x84, 0x88})
"""MANAGE SECURITY ENVIRONMENT, EXTERNAL AUTHENTICATE, GET CHALLENGE, INTERNAL AUTHENTICATE."""

OPERATIONS = frozenset({0x9E9A, 0x00AE})
"""PERFORM SECURITY OPERATION: compute a signature, verify a certificate. No deciphering."""

CHAINED = 0x10
"""CLA without secure messaging on channels 0 to 3, with or without chaining: 00 to 03 and 10 to 13."""


def holds_digits(apdu: bytes) -> bool:
    """True for a PIN command with anything in it; without data it only asks how many tries are left."""
    return len(apdu) > 4 and apdu[1] in PIN_INSTRUCTIONS


def is_relayed(apdu: bytes) -> bool:
    """True for the commands of a session with a Vitale or a CPS."""
    try:
        command = CommandAPDU.parse(apdu)
    except ApduError:
        return False
    if command.cla & ~(CHAINED | 0x03):
        return False
    if command.ins == 0x2A:
        return command.p1 << 8 | command.p2 in OPERATIONS
    if command.ins == 0x20:
        return not holds_digits(apdu)
    return command.ins in READING | PROVING


def read_entry(body: bytes) -> PinEntry | None:
    """The PIN entry a gateway asks for; None when it is not the code porteur of a CPS.

    The time is the gateway's to choose, the command never is: VERIFY is built here, from `PinEntry.for_cps`.
    """
    ours = PinEntry.for_cps()
    try:
        asked = PinEntry.parse_ccid(body)
    except ValueError:
        return None
    same = (asked.operation, asked.apdu_template) == (ours.operation, ours.apdu_template)
    return replace(ours, timeout_seconds=asked.timeout_seconds) if same else None
