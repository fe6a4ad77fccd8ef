"""R1, a reader that lies to its host: dwLength of an answer is not the number of bytes that follow.

CCID 1.10, 6.2. Nothing beyond one message is kept, the exchange ends in time, the other slot works on.
"""

from __future__ import annotations

import pytest

from card.iso7816.apdu import CommandAPDU
from reader.ccid.frames import MAX_DATA
from reader.errors import CardMute, ReaderError
from reader.serial.gempc import OVERHEAD, framed
from reader.slot import Slot
from tests.reader.byte_cards import EchoCard, pattern
from tests.reader.host_bench import LyingStream, emulated, reader_on, settled

READ = CommandAPDU(0, 0xB0, 0, 0, b"", 16)
TRUE = 18


def claiming(length: int):
    """Answers of the card in slot 0 say that they have this many bytes; their LRC is right."""

    def lie(frame: bytes) -> bytes:
        message = frame[2:-1]
        if message[0] != 0x80 or message[5] != 0 or len(message) <= 12:
            return frame
        return framed(message[:1] + length.to_bytes(4, "little") + message[5:])

    return lie


@pytest.mark.parametrize(
    "length", [0, 1, TRUE - 1, TRUE + 1, MAX_DATA, MAX_DATA + 1, 65_535, 2**31, 2**32 - 1]
)
def test_a_length_that_lies(length):
    """Mute for its session, in time; the other slot goes on; a new session on an honest line works."""
    stream = emulated("gemcoresimpro2", EchoCard(), EchoCard(), kind=LyingStream)
    with reader_on(stream, every=0.01) as reader:  # bytes left over may look like notices: it looks again
        vitale, cps = (reader.slot(name).connect() for name in ("Vitale", "CPS"))
        stream.lie, stream.now = claiming(length), 0.0
        with pytest.raises(CardMute):
            vitale.transmit(READ)
        assert stream.now <= 21.0
        for line in reader._lines:
            assert len(line._host._buffer) <= MAX_DATA + OVERHEAD
        assert cps.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 16)).data == pattern(16)
        del stream.lie
        assert settled(lambda: works(reader.slot("Vitale")))


def works(slot: Slot) -> bool:
    try:
        return slot.connect().transmit(READ).data == pattern(16)
    except ReaderError:
        return False


def test_the_true_length_is_believed():
    """Positive twin: the same way of writing the true length changes nothing."""
    stream = emulated("gemcoresimpro2", EchoCard(), kind=LyingStream)
    with reader_on(stream) as reader:
        connection = reader.slot("Vitale").connect()
        stream.lie = claiming(TRUE)
        assert connection.transmit(READ).data == pattern(16)
