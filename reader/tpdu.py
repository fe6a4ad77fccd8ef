"""Short APDUs as T=0 commands (ISO 7816-3:2006, 12.2): what a host says to a reader at TPDU level."""

from __future__ import annotations

from collections.abc import Callable

from card.iso7816.apdu import ApduError, CommandAPDU

WRONG_LENGTH = b"\x67\x00"

Exchange = Callable[[bytes, bool], bytes]
"""A T=0 command (CLA INS P1 P2 P3, data) and whether data is wanted back; data and status word."""


def transmit(apdu: bytes, exchange: Exchange) -> bytes:
    """One APDU through T=0: case 1 and 3 incoming, case 2 outgoing, case 4 collected with GET RESPONSE.

    6700 without an exchange for what T=0 cannot carry (lengths that do not add up, extended lengths).
    61xx and 6Cxx of case 2 are left to the caller. Raises what `exchange` raises, OSError on nonsense.
    """
    try:
        command = CommandAPDU.parse(apdu)
    except ApduError:
        return WRONG_LENGTH
    if command.is_extended:
        return WRONG_LENGTH  # P3 has one byte
    header = apdu[:4]
    if not command.data:
        return _whole(exchange(header + bytes((command.ne & 0xFF,)), command.ne > 0))
    answer = _whole(exchange(header + bytes((len(command.data),)) + command.data, False))
    if not command.ne or len(answer) != 2 or answer[0] != 0x61:
        return answer
    return _collected(exchange, command.cla, min(command.ne, answer[1] or 256))


def _collected(exchange: Exchange, cla: int, length: int) -> bytes:
    """GET RESPONSE on the channel of `cla`, its length corrected once."""
    channel = cla & 0x4F if cla & 0xC0 == 0x40 else cla & 0x03
    for _ in range(2):
        answer = _whole(exchange(bytes((channel, 0xC0, 0, 0, length & 0xFF)), True))
        if answer[-2] != 0x6C:
            return answer
        length = answer[-1] or 256
    raise OSError("the card refuses the length it asked for itself")


def _whole(answer: bytes) -> bytes:
    if len(answer) < 2:
        raise OSError("an answer without a status word")
    return answer
