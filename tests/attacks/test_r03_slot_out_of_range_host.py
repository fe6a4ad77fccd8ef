"""R3, a reader that lies to its host: answers for a slot that does not exist, or too few slots.

CCID 1.10, 6.2 (bSlot) and table 6.2-2 (error 05).
"""

from __future__ import annotations

import pytest

from card.iso7816.apdu import CommandAPDU
from reader.ccid.frames import FAILED, Answer, Error, Icc, Type
from reader.errors import CardMute, CardProtocolError, CardRemoved, ReaderError
from reader.serial.gempc import VARIANTS, framed
from tests.reader.byte_cards import EchoCard, pattern
from tests.reader.host_bench import LyingStream, emulated, reader_on

READ = CommandAPDU(0, 0xB0, 0, 0, b"", 4)
SLOT = 5


@pytest.mark.parametrize("slot", [1, 2, 5, 127, 255])
def test_an_answer_for_another_slot(slot):
    """Answers of slot 0 come under another number: the card is mute in time, the other slot works on."""
    stream = emulated("gemcoresimpro2", EchoCard(), EchoCard(), kind=LyingStream)
    with reader_on(stream) as reader:
        vitale, cps = (reader.slot(name).connect() for name in ("Vitale", "CPS"))

        def elsewhere(frame: bytes) -> bytes:
            message = bytearray(frame[2:-1])
            if message[0] == 0x80 and message[SLOT] == 0:
                message[SLOT] = slot
            return framed(bytes(message))

        stream.lie, stream.now = elsewhere, 0.0
        with pytest.raises(CardMute):
            vitale.transmit(READ)
        assert stream.now <= 21.0
        assert cps.transmit(READ).data == pattern(4)
        del stream.lie
        assert reader.slot("Vitale").connect().transmit(READ).data == pattern(4)


@pytest.mark.parametrize("icc", [Icc.ACTIVE, Icc.INACTIVE, Icc.ABSENT])
def test_a_slot_the_reader_denies(icc):
    """Error 05 in the middle of a session ends it in one sentence; the other slot works on."""
    stream = emulated("gemcoresimpro2", EchoCard(), EchoCard(), kind=LyingStream)
    with reader_on(stream) as reader:
        vitale, cps = (reader.slot(name).connect() for name in ("Vitale", "CPS"))

        def denied(frame: bytes) -> bytes:
            if frame[2] != 0x80 or frame[2 + SLOT]:
                return frame
            return framed(Answer(Type.SLOT_STATUS, 0, frame[8], FAILED | icc, Error.BAD_SLOT).to_bytes())

        stream.lie = denied
        with pytest.raises((CardProtocolError, CardRemoved)):
            vitale.transmit(READ)
        assert cps.transmit(READ).data == pattern(4)


def test_fewer_slots_than_the_variant_has():
    """A reader with one slot that is called a two-slot reader is refused when it is opened."""
    stream = emulated("gempctwin", EchoCard())
    stream.device.variant = VARIANTS["gemcoresimpro2"]
    with pytest.raises(ReaderError, match=r"has no slot 1"):
        reader_on(stream)


def test_the_right_slots():
    """Positive twin: both slots of an honest reader answer under their own numbers."""
    stream = emulated("gemcoresimpro2", EchoCard(), EchoCard())
    with reader_on(stream) as reader:
        for slot in reader.slots:
            assert slot.connect().transmit(READ).data == pattern(4)
