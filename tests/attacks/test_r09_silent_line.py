"""R9: a line that falls silent, anywhere. ISO/IEC 7816-3:2006, 8.1, 10.2 and 11.4.3 (waiting times).

The host is released in time wherever the silence begins; the card forgets what was half said; a reset makes
everything whole again (twin).
"""

import pytest

from card.iso7816.contacts import CardContacts
from card.iso7816.t1block import Codec
from reader.serial.phoenix import ATR_TIME, BUDGET
from tests.reader.byte_cards import T1_DEFAULT, EchoCard
from tests.reader.phoenix_lines import listening, phoenix

READ = bytes.fromhex("00B0000004")
VITALE_ATR = bytes.fromhex("3B751300004309EA9000")
CODEC = Codec()


def after(count):
    """A line on which only the first `count` bytes of the card arrive."""
    left = count

    def spoil(data):
        nonlocal left
        kept, left = data[:left], max(0, left - len(data))
        return kept

    return spoil


@pytest.mark.parametrize("atr", [VITALE_ATR, b"\x3b\0", T1_DEFAULT])
def test_r09_silence_after_any_byte(atr):
    """The card's bytes stop after n, for every n of reset and command: an error in time; a reset heals."""
    for count in range(40):
        held, line = phoenix(EchoCard(atr))
        line.spoil = after(count)
        begun = line.clock.now
        try:
            held.power_on()
            assert held.transmit(READ)[-2:] == b"\x90\0"
            whole = True
        except OSError:
            whole = False
        assert line.clock.now - begun <= ATR_TIME * 2 + BUDGET
        line.spoil = lambda data: data
        held.power_on()
        assert held.transmit(READ)[-2:] == b"\x90\0"
    assert whole


def test_r09_a_dead_line():
    """Nothing at all, not even the echo: said within the initial waiting time."""
    held, line = listening(b"", echo=False)
    with pytest.raises(TimeoutError):
        held.power_on()
    assert line.clock.now <= 3


def test_r09_a_byte_every_now_and_then():
    """One byte of ATR every 1.4 s: the whole has a limit of its own."""
    held, line = listening(b"")
    byte = iter(b"\x3b\xff" + bytes(40))

    def slowly(seconds):
        line.clock.now += min(1.4, seconds)
        return bytes((next(byte),)) if seconds >= 1.4 else b""

    line.receive = slowly
    with pytest.raises(TimeoutError):
        held.power_on()
    assert line.clock.now <= 2 * ATR_TIME + 2


@pytest.mark.parametrize(
    ("atr", "message"), [(b"\x3b\0", b"\0\xd6\0\0\x04data"), (T1_DEFAULT, CODEC.encode(0, READ))]
)
def test_r09_a_host_that_stops(atr, message):
    """The host stops after n bytes, for every n: after a silence the card takes the next command whole."""
    for count in range(len(message)):
        contacts = CardContacts(EchoCard(atr))
        contacts.reset()
        contacts.feed(message[:count])
        contacts.silence()
        assert contacts.feed(message)[-2:] not in (b"", b"\x6d\0")
        assert contacts.command is None
        assert contacts._card.log == [message if atr == b"\x3b\0" else READ]
