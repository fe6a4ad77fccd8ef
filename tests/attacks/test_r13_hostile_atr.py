"""R13: hostile answers to reset. ISO/IEC 7816-3:2006, 8.2 (33 characters, TD chain, TCK).

Too long, TD bytes that announce each other for ever, wrong or missing TCK, historical bytes that do not come,
conventions that do not exist: one error, at most 33 bytes kept, no waiting beyond the limit. Their honest
neighbours are taken (twin).
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.atr import MAX_LENGTH, Atr, AtrError
from card.iso7816.contacts import CardContacts, TpduLink
from card.iso7816.reset import AtrCollector
from reader.errors import CardMute, CardProtocolError
from reader.serial.phoenix import ATR_TIME
from reader.slot import Slot
from tests.reader.byte_cards import EchoCard, with_tck
from tests.reader.phoenix_lines import listening

CHAIN = b"\x3b\x80" + b"\x80" * 60
FULL = b"\x3b\xff" + b"\x11\x00\x00\xf0" * 8


@pytest.mark.parametrize(
    ("atr", "why"),
    [
        (CHAIN, "33 bytes"),
        (FULL, "33 bytes"),
        (b"\x3b\x0f" + bytes(14), "mute"),
        (b"\x3b\xf0\x11", "mute"),
        (b"\x3b", "mute"),
        (b"", "mute"),
        (b"\x00" * 40, "does not begin"),
        (b"\x3f\x00", "does not begin"),
        (b"\xff\x3b\x00", "does not begin"),
        (b"\x3b\x80\x01\x00", "TCK"),
        (b"\x3b\x80\x01", "mute"),
    ],
)
def test_r13_the_host_is_not_held(atr, why):
    """Every one of them: one error, no more than the time of an ATR (twice: there is a second try)."""
    held, line = listening(atr)
    with pytest.raises(OSError, match=why):
        held.power_on()
    assert line.clock.now <= 2 * (ATR_TIME + 1)


def test_r13_twins():
    """Twins: a TD chain that ends, all historical bytes, the right TCK, an inverse TS as on the line."""
    for atr in (
        b"\x3b\0",
        b"\x3b\x0f" + bytes(15),
        with_tck("3B80808001"),
        with_tck("3B8001"),
        b"\x3b\x80\x00",
    ):
        held, _line = listening(atr)
        assert held.power_on() == atr
    held, _line = listening(b"\x03\xff")
    assert held.power_on() == b"\x3f\0"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300).map(lambda tail: b"\x3b" + tail))
def test_r13_any_atr(raw):
    """Any bytes after TS: at most 33 are kept; what the collector calls whole has the length it announces."""
    collector = AtrCollector()
    collector.feed(raw)
    assert len(collector.atr) <= MAX_LENGTH
    assert not (collector.is_done and collector.failure)
    if collector.is_done:
        try:
            Atr.parse(collector.atr)
        except AtrError as wrong:
            assert "TCK" in str(wrong)


@pytest.mark.parametrize("atr", [CHAIN[:33], CHAIN, FULL, b"\x3b", b"", b"\x12\x34", b"\x3b\xff"])
def test_r13_contacts_and_links_survive(atr):
    """An emulated card with such an ATR: contacts and link do not fall; a slot refuses what is no ATR."""
    contacts = CardContacts(EchoCard(atr))
    assert contacts.reset() == atr
    assert contacts.feed(b"\0\xb0\0\0\1") == b"\xb0\x03\x90\0"
    link = TpduLink(EchoCard(atr))
    link.power_on()
    assert link.exchange(b"\0\xb0\0\0\1") == b"\x03\x90\0"
    slot = Slot("CPS")
    slot.insert(EchoCard(atr))
    if not 2 <= len(atr) <= MAX_LENGTH or atr[0] != 0x3B:
        with pytest.raises(CardProtocolError, match="CPS"):
            slot.connect()


def test_r13_a_slot_names_what_is_wrong():
    """Through a slot the person is told which slot it is, and what to do."""
    held, _line = listening(CHAIN)
    slot = Slot("Vitale")
    slot.insert(held)
    with pytest.raises(CardMute, match="Vitale"):
        slot.connect()
