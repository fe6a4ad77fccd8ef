"""R2, a reader that lies to its host: an answer with another sequence number than the command's.

CCID 1.10, 6.2: bSeq of the answer is that of the command. An answer that comes late is never taken for the
next one.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU
from reader.errors import CardMute
from reader.serial.gempc import framed
from tests.reader.byte_cards import EchoCard, pattern
from tests.reader.host_bench import LyingStream, emulated, reader_on

SEQ = 6


def read(count: int) -> CommandAPDU:
    return CommandAPDU(0, 0xB0, 0, 0, b"", count)


def renumbered(frame: bytes, by: int) -> bytes:
    message = bytearray(frame[2:-1])
    message[SEQ] = (message[SEQ] + by) & 0xFF
    return framed(bytes(message))


@pytest.mark.parametrize("by", [1, 2, 128, 255])
def test_an_answer_to_another_command(by):
    """Only answers with a wrong number come: the card is mute in time, the other slot works on."""
    stream = emulated("gemcoresimpro2", EchoCard(), EchoCard(), kind=LyingStream)
    with reader_on(stream) as reader:
        vitale, cps = (reader.slot(name).connect() for name in ("Vitale", "CPS"))
        stream.lie = lambda frame: renumbered(frame, by) if frame[2] == 0x80 and not frame[7] else frame
        stream.now = 0.0
        with pytest.raises(CardMute):
            vitale.transmit(read(4))
        assert stream.now <= 21.0
        assert cps.transmit(read(4)).data == pattern(4)


def test_a_late_answer_is_not_the_next_one():
    """The answer to a command that was given up comes just before the next answer: it is dropped."""
    stream = emulated("gemcoresimpro2", EchoCard(), kind=LyingStream)
    with reader_on(stream) as reader:
        connection = reader.slot("Vitale").connect()
        held: list[bytes] = []

        def late(frame: bytes) -> bytes:
            if frame[2] == 0x80 and not held:
                held.append(frame)
                return b""
            return (held[0] if frame[2] == 0x80 else b"") + frame

        stream.lie = late
        with pytest.raises(CardMute):
            connection.transmit(read(9))
        del stream.lie
        connection = reader.slot("Vitale").connect()
        stream.lie = late
        assert connection.transmit(read(5)).data == pattern(5)


@given(st.lists(st.tuples(st.integers(1, 250), st.lists(st.integers(0, 6), max_size=4)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_old_answers_before_the_true_one(commands):
    """Whatever earlier answers a reader repeats before the true one, the true one is the answer."""
    stream = emulated("gemcoresimpro2", EchoCard(), kind=LyingStream)
    with reader_on(stream) as reader:
        connection = reader.slot("Vitale").connect()
        past: list[bytes] = []
        for count, repeated in commands:

            def stale(frame: bytes, repeated: list[int] = repeated) -> bytes:
                before = b"".join(past[-1 - back] for back in repeated if back < len(past))
                past.append(frame)
                return before + frame

            stream.lie = stale
            assert connection.transmit(read(count)).data == pattern(count)
