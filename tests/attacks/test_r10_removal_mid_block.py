"""R10: the card is pulled out in the middle of a byte exchange, at every byte of it.

ISO/IEC 7816-3:2006, 6.4 (deactivation). The host gets one error that names the slot, in time; the card that
is put in next is a new card and owes nothing to the old exchange; the other slot goes on (twin).
"""

import pytest

from card.iso7816.apdu import CommandAPDU
from card.iso7816.contacts import CardContacts
from card.iso7816.t1block import Codec
from reader.errors import CardMute, CardRemoved
from reader.serial.phoenix import BUDGET, WIRINGS, PhoenixCard
from reader.serial.phoenix_device import PhoenixDevice
from reader.slot import Slot
from tests.card.bench import PIN_1234, cps_items, powered
from tests.reader.byte_cards import T1_DEFAULT, EchoCard
from tests.reader.phoenix_lines import DeviceLine, SlowClock

UPDATE = CommandAPDU(0, 0xD6, 0, 0, b"data")


class Pulled(DeviceLine):
    """The card leaves after so many bytes of the host, or of the card."""

    def __init__(self, device, clock, at):
        super().__init__(device, clock)
        self.left, self.armed = at, False

    def send(self, data):
        for byte in data:
            super().send(bytes((byte,)))
            self._count()

    def receive(self, seconds):
        got, self.waiting = self.waiting[:1], self.waiting[1:]
        if not got:
            return super().receive(seconds)
        self._count()
        return got

    def _count(self):
        self.left -= self.armed
        if self.armed and self.left == 0:
            contacts = self.device.remove()
            if contacts is not None:
                contacts.power_off()
            self.waiting = b""


@pytest.mark.parametrize("atr", [b"\x3b\0", T1_DEFAULT])
def test_r10_at_every_byte(atr):
    """Pulled after byte n of a command, for every n: CardMute in time; the next card is reset and works."""
    for at in range(1, 80):
        clock, device = SlowClock(), PhoenixDevice()
        line, slot, other = Pulled(device, clock, at), Slot("CPS"), Slot("Vitale")
        device.insert(EchoCard(atr))
        slot.insert(PhoenixCard(line, WIRINGS["phoenix"], clock, clock.sleep))
        other.insert(EchoCard())
        neighbour = other.connect()
        session = slot.connect()
        line.armed, begun = True, clock.now
        try:
            assert session.transmit(UPDATE).sw == 0x9000
            whole = True
        except CardMute as refusal:
            assert "CPS" in str(refusal)
            whole = False
        assert clock.now - begun <= BUDGET + 2
        assert neighbour.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4)).sw == 0x9000
        line.armed = False
        slot.remove()
        with pytest.raises(CardRemoved):
            session.transmit(UPDATE)
        fresh = EchoCard(atr)
        if device.cts:
            device.insert(fresh)
        slot.insert(PhoenixCard(line, WIRINGS["phoenix"], clock, clock.sleep))
        assert slot.connect().transmit(UPDATE).sw == 0x9000
    assert whole


def test_r10_half_a_command_is_no_command():
    """Power cut after every byte of a VERIFY: no comparison before the last byte; three tries are left."""
    verify = b"\0\x20\0\1\x08" + PIN_1234
    for count in range(len(verify)):
        card = powered(cps_items()).card
        contacts = CardContacts(card)
        contacts.reset()
        contacts.feed(verify[:count])
        contacts.power_off()
        contacts.reset()
        assert contacts.feed(bytes.fromhex("0020000100")) == b"\x63\xc3"


def test_r10_half_a_block_is_no_command():
    """T=1: power cut inside a chain: nothing of it is left after the next reset."""
    card, codec = EchoCard(T1_DEFAULT), Codec()
    contacts = CardContacts(card)
    contacts.reset()
    contacts.feed(codec.encode(0x20, b"\0\xd6\0\0\x04da"))
    contacts.feed(codec.encode(0x40, b"ta")[:4])
    contacts.reset()
    assert card.log == []
    assert contacts.feed(codec.encode(0, b"\0\xd6\0\0\x01x")) == codec.encode(0, b"\x90\0")
    assert card.log == [b"\0\xd6\0\0\x01x"]


def test_r10_the_old_answer_is_not_the_new_cards():
    """A card pulled while it works: its answer is dropped, the new card's host never sees it."""
    device = PhoenixDevice()
    device.insert(EchoCard())
    device.set_mode(9600, "E")
    device.set_reset(True)
    device.set_reset(False)
    device.feed(b"\0\xb0\0\0\4")
    assert device.command is not None
    device.remove()
    device.insert(EchoCard())
    assert device.answer(b"OLD!\x90\0") == b""
    device.set_reset(True)
    assert device.set_reset(False) == b"\x3b\0"
    assert device.feed(b"\0\xd6\0\0\0") == b"\0\xd6\0\0\0"
