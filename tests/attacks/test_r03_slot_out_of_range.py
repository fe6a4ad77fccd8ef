"""R3: a slot number the reader does not have. CCID 1.10, 6.2.6 (bError 05, slot does not exist).

Every command to every number beyond the last slot: refused without a look at any card; the host takes no
answer from a slot it did not ask.
"""

import pytest

from card.iso7816.contacts import TpduLink
from reader.ccid.device import CcidDevice
from reader.ccid.events import Send
from reader.ccid.frames import Answer, Command, Error, Icc, Type, power_on, secure, transfer
from reader.ccid.host import Answered, CcidHost, Strange
from reader.errors import ReaderError
from reader.galss import LadDevice, Report
from reader.pinpad import CANCELLED, PinEntry
from reader.reader import Reader
from reader.serial.gempc import VARIANTS, GemPcDevice, framed
from tests.reader.byte_cards import EchoCard


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_r03_every_command_to_every_other_slot(slots):
    """All kinds of commands to all numbers beyond the last slot: bError 05, "absent", nothing else."""
    device, cards = CcidDevice(slots, pad=True), [EchoCard() for _ in range(slots)]
    for number, card in enumerate(cards):
        device.insert(number, TpduLink(card))
    for slot in range(slots, 256):
        for kind in (*Type, 0x00, 0xFF):
            (event,) = device.feed(Command(kind, slot, 9).to_bytes())
            said = Answer.parse(event.data)
            assert (said.failed, said.error, said.icc) == (True, Error.BAD_SLOT, Icc.ABSENT)
            assert (said.slot, said.seq) == (slot, 9)
    assert not any(card.log for card in cards)
    for slot in range(slots):  # twin
        (_power, event) = device.feed(power_on(slot, 1).to_bytes())
        assert Answer.parse(event.data).data == b"\x3b\x00"


def test_r03_a_pin_is_never_asked_for_a_slot_that_is_not_there():
    """Secure PIN entry for slot 7 of 2: refused, no person is asked; for slot 0 the keypad is (twin)."""
    device = CcidDevice(2, pad=True)
    device.insert(0, TpduLink(EchoCard()))
    device.feed(power_on(0, 0).to_bytes())
    entry = PinEntry.for_cps().to_ccid()
    assert [type(event) for event in device.feed(secure(7, 1, entry).to_bytes())] == [Send]
    assert device.feed(secure(0, 2, entry).to_bytes())[0].slot == 0
    assert device.enter(0, CANCELLED)


@pytest.mark.parametrize("variant", VARIANTS)
def test_r03_on_the_line_of_every_variant(variant):
    """Each model has exactly its slots: the number after the last is refused in a frame of its own."""
    line = GemPcDevice(VARIANTS[variant])
    count = line.variant.slots
    for slot in range(count + 2):
        message = Command(Type.GET_SLOT_STATUS, slot, 1).to_bytes()
        (sent,) = line.feed(framed(message))
        said = Answer.parse(sent.data[-len(message) - 1 : -1])
        assert said.failed == (slot >= count)


@pytest.mark.parametrize("lad", [2, 3, 0x7F, 0xFF])
def test_r03_a_lad_that_is_not_there(lad):
    """GALSS: a LAD beyond 1 is CR 15 for every order; LAD 0 answers (twin)."""
    device = LadDevice(Reader().slots)
    for order in (0x00, 0x01, 0x14, 0x15, 0x16, 0x77):
        assert device.answer(bytes((0, lad, order))) == bytes((Report.VALUE_REFUSED,))
    assert device.answer(b"\0\0\x16") == b"\0\0\0"


@pytest.mark.parametrize("slot", [1, 2, 255])
def test_r03_the_host_takes_no_answer_from_another_slot(slot):
    """An answer with the right number from the wrong slot is dropped; the right one is taken (twin)."""
    host = CcidHost()
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", b"\0\xb0\0\0\1")
    strange, answered = host.feed(
        Answer(Type.DATA_BLOCK, slot, 0, data=b"WRONG\x90\x00").to_bytes()
        + Answer(Type.DATA_BLOCK, 0, 0, data=b"\x90\x00").to_bytes()
    )
    assert isinstance(strange, Strange)
    assert isinstance(answered, Answered)
    assert answered.answer.data == b"\x90\x00"


def test_r03_names_are_slots_too():
    """A reader of ours refuses a slot name it does not have; the two it has are found (twin)."""
    reader = Reader()
    with pytest.raises(ReaderError, match="has no Third slot: use one of Vitale, CPS"):
        reader.slot("Third")
    assert reader.slot("cps").name == "CPS"
    assert transfer(0, 0, b"").slot == 0
