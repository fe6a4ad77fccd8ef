"""R13 at a reader: hostile answers to reset. CVE-2010-4531 (pcsc-lite overran on a long ATR), CVE-2025-66038.

The same ATRs wherever one is read: parser, slot, driver, emulated reader, trace. Refused in one sentence, and
the reader serves the next card; ISO 7816-3:2006, clause 8.
"""

import random

import pytest

from card.iso7816.atr import Atr, AtrError
from card.iso7816.contacts import CardContacts, TpduLink
from card.iso7816.t1 import ifsc_of
from reader.ccid.device import CcidDevice
from reader.ccid.events import Send
from reader.ccid.frames import Answer, Command, Error, Type, power_on
from reader.errors import CardMute, CardProtocolError, ReaderError
from reader.slot import Slot
from reader.trace import Trace
from tests.reader.byte_cards import BOTH, T1_CRC, T1_IFSC_254, EchoCard
from tests.reader.host_bench import card_in, emulated, reader_on

GOOD = [bytes.fromhex("3B00"), bytes.fromhex("3B751300004309EA9000"), BOTH, T1_CRC, T1_IFSC_254]
HOSTILE = {
    "empty": "",
    "TS only": "3B",
    "wrong TS": "0000",
    "a status word": "6A82",
    "history missing": "3B0F",
    "history cut": "3B0541",
    "TA missing": "3B10",
    "TD chain to the end": "3B" + "80" * 32,
    "TD chain beyond 33": "3B" + "80" * 60,
    "all interface bytes": "3BF0" + "FF" * 31,
    "34 bytes": "3B0F" + "41" * 32,
    "300 bytes": "3B00" + "00" * 298,
    "TCK wrong": "3B800100",
    "TCK missing": "3B8001",
    "TCK too many": "3B0000",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_r13_the_parser_refuses(name):
    """Each is an AtrError with words; the good ones parse (twin)."""
    with pytest.raises(AtrError):
        Atr.parse(bytes.fromhex(HOSTILE[name]))
    for raw in GOOD:
        assert Atr.parse(raw).raw == raw


@pytest.mark.parametrize("name", HOSTILE)
def test_r13_a_slot_refuses_the_card(name):
    """What cannot be an ATR by length and TS is refused naming the slot; then the next card is served."""
    slot, raw = Slot("Vitale"), bytes.fromhex(HOSTILE[name])
    slot.insert(EchoCard(raw))
    if not 2 <= len(raw) <= 33 or raw[0] != 0x3B:
        with pytest.raises(ReaderError, match="Vitale slot"):
            slot.connect()
    slot.remove()
    slot.insert(EchoCard())
    assert slot.connect().atr == b"\x3b\x00"


@pytest.mark.parametrize("name", HOSTILE)
def test_r13_the_driver_refuses_the_card(name):
    """A card with such an ATR in a CCID reader: refused in one sentence; a good one works (twin)."""
    card, _ask = card_in(EchoCard(bytes.fromhex(HOSTILE[name])))
    slot = Slot("CPS")
    slot.insert(card)
    with pytest.raises((CardMute, CardProtocolError), match="CPS slot"):
        slot.connect()
    for raw in GOOD:
        card, _ask = card_in(EchoCard(raw))
        slot = Slot("CPS")
        slot.insert(card)
        assert slot.connect().atr == raw


@pytest.mark.parametrize("auto", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_r13_the_emulated_reader_passes_on_or_refuses(name, auto):
    """IccPowerOn: at most 33 bytes or a failure; further commands to such a card do not fall over."""
    device, raw = CcidDevice(1, auto=auto), bytes.fromhex(HOSTILE[name])
    device.insert(0, TpduLink(EchoCard(raw)))
    said = next(event for event in device.feed(power_on(0, 0).to_bytes()) if isinstance(event, Send))
    answer = Answer.parse(said.data)
    if 2 <= len(raw) <= 33 and raw[0] == 0x3B:
        assert answer.data == raw
    else:
        assert answer.error in (Error.ICC_MUTE, Error.BAD_ATR_TS)
    for kind, data in (
        (Type.XFR_BLOCK, b"\0\xb0\0\0\1"),
        (Type.GET_PARAMETERS, b""),
        (Type.SET_PARAMETERS, bytes(5)),
    ):
        assert device.feed(Command(kind, 0, 1, data=data).to_bytes())
    device.insert(0, TpduLink(EchoCard()))
    events = device.feed(power_on(0, 2).to_bytes())
    assert any(isinstance(event, Send) and event.data.endswith(b"\x3b\x00") for event in events)


@pytest.mark.parametrize("name", HOSTILE)
def test_r13_at_the_contacts_and_in_the_trace(name):
    """The byte-level card and the trace take any ATR: no exception, and the trace stays on one line."""
    raw = bytes.fromhex(HOSTILE[name])
    contacts = CardContacts(EchoCard(raw))
    assert contacts.reset() == raw
    contacts.feed(b"\xff\x10\x13\xfc\0\xb0\0\0\1")
    trace = Trace()
    trace("CPS", b"", raw)
    (line,) = trace.lines()
    assert "\n" not in line


def test_r13_any_bytes_at_all():
    """Twenty thousand random ATRs: parsed, or AtrError; every property of a parsed one can be asked."""
    rng, parsed = random.Random(11), 0
    for _ in range(20_000):
        raw = rng.choice((b"\x3b", b"\x3f")) + rng.randbytes(rng.randrange(1, 12))
        try:
            atr = Atr.parse(raw)
        except AtrError:
            continue
        parsed += 1
        assert atr.protocols
        assert min(atr.fi, atr.di, atr.waiting_integer) >= 1
        assert 0 <= atr.extra_guard_time <= 255
        assert atr.wants_pps in (True, False)
        assert 1 <= ifsc_of(atr) <= 254
    assert parsed > 10


@pytest.mark.parametrize("variant", ["gempctwin", "sec1210"])
def test_r13_a_hostile_card_beside_a_good_one(variant):
    """The hostile card is refused while the other slot works; in one slot the next card works (twin)."""
    stream = emulated(variant, EchoCard(bytes.fromhex(HOSTILE["TD chain to the end"])))
    with reader_on(stream) as reader:
        with pytest.raises(ReaderError):
            reader.slots[0].connect()
        slots = stream.device.variant.slots
        if slots > 1:
            stream.insert(1, EchoCard())
        stream.remove(0)
        stream.insert(0, EchoCard())
        for watch in reader._watches:
            watch._look()
        assert [slot.connect().atr for slot in reader.slots[:slots]] == [b"\x3b\x00"] * slots
