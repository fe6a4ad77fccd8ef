"""A card at its contacts: reset, PPS, and our own cards through T=0 and T=1."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU
from card.iso7816.contacts import CardContacts, TpduLink
from card.iso7816.pps import Pps
from card.iso7816.t1block import BUFFER, S_RESYNCH, Codec
from card.iso7816.t1host import T1Host
from reader.slot import Slot
from tests.card.bench import AID_CONTACT, AID_MF
from tests.card.factory import card
from tests.reader.byte_cards import BOTH, T1_CRC, T1_DEFAULT, T1_IFSC_254, EchoCard, pattern, with_tck

CPS, VITALE = "cps-gp-sector1", "vitale-family"
SPECIFIC = with_tck("3B90139101" + "01")


def contacts(atr: str | bytes) -> CardContacts:
    """A card with this ATR, reset."""
    made = CardContacts(EchoCard(bytes.fromhex(atr) if isinstance(atr, str) else atr))
    made.reset()
    return made


# ---- reset and PPS


def test_before_power_nothing():
    """Without power the contacts say nothing; after reset the ATR is there, after power off it is gone."""
    dead = CardContacts(EchoCard())
    assert (dead.feed(b"\0\xb0\0\0\1"), dead.atr, dead.command) == (b"", b"", None)
    assert dead.reset() == dead.atr == bytes.fromhex("3B00")
    assert dead.feed(b"\0\xb0\0\0\1") == b"\xb0\x03\x90\0"
    dead.power_off()
    assert (dead.feed(b"\0\xb0\0\0\1"), dead.busy(), dead.silence(), dead.answer(b"\x90\0")) == (b"",) * 4


def test_pps_of_the_vitale():
    """FF 10 13 FC is echoed and the speed is 372/4; a warm reset brings the default speed back."""
    vitale = contacts("3B751300004309EA9000")
    assert vitale.feed(bytes.fromhex("FF1013FC")) == bytes.fromhex("FF1013FC")
    assert (vitale.speed, vitale.protocol, vitale.negotiable) == ((372, 4), 0, False)
    assert vitale.feed(b"\0\xb0\0\0\1") == b"\xb0\x03\x90\0"
    vitale.reset()
    assert vitale.speed == (372, 1)


@pytest.mark.parametrize(
    ("asked", "answered", "speed"),
    [
        (Pps(0, 0x11), Pps(0, 0x11), (372, 1)),
        (Pps(0, 0x12), Pps(0, 0x12), (372, 2)),
        (Pps(0), Pps(0), (372, 1)),
        (Pps(0, 0x18), Pps(0), (372, 1)),
        (Pps(0, 0x95), Pps(0), (372, 1)),
        (Pps(0, 0x7F), Pps(0), (372, 1)),
        (Pps(0, 0x13, 0x40, 0x01), Pps(0, 0x13), (372, 4)),
    ],
)
def test_what_a_card_can_follow(asked, answered, speed):
    """A speed up to the one of TA1 is accepted; another is left out of the response, PPS2 and PPS3 always."""
    vitale = contacts("3B751300004309EA9000")
    assert Pps.parse(vitale.feed(asked.to_bytes())) == answered
    assert vitale.speed == speed


@pytest.mark.parametrize("bad", ["FF1013FD", "FF0100", "FF0FF0", "FF01FE", "FF7013000000FF"])
def test_a_pps_that_cannot_be_read_or_followed(bad):
    """Wrong PCK, or a protocol the card has not: mute, and still ready for a good one (twin)."""
    vitale = contacts("3B751300004309EA9000")
    assert vitale.feed(bytes.fromhex(bad)) + vitale.silence() == b""
    assert vitale.feed(bytes.fromhex("FF1013FC")) == bytes.fromhex("FF1013FC")


def test_pps_chooses_the_protocol():
    """A card of both protocols: T=0 is first; PPS may choose T=1; without PPS the first byte chooses T=0."""
    both = contacts(BOTH)
    assert both.protocol == 0
    assert both.feed(Pps(1).to_bytes()) == Pps(1).to_bytes()
    assert both.protocol == 1
    assert both.feed(Codec().encode(S_RESYNCH)) == Codec().encode(0xE0)
    both = contacts(BOTH)
    assert both.feed(b"\0\xb0\0\0\1") == b"\xb0\x03\x90\0"
    assert both.feed(Pps(1).to_bytes()) == b""


def test_no_pps_in_specific_mode():
    """TA2 fixes protocol and speed: FF is not a PPS any more."""
    fixed = contacts(SPECIFIC)
    assert (fixed.protocol, fixed.negotiable, fixed.speed) == (1, False, (372, 4))
    assert fixed.feed(Pps(1).to_bytes()) == b""


def test_an_atr_nobody_can_read():
    """A card with an impossible ATR is still a T=0 card at the default speed."""
    odd = contacts("3BFF")
    assert odd.feed(bytes.fromhex("FF1013FC")) == Pps(0).to_bytes()
    assert odd.feed(b"\0\xb0\0\0\1") == b"\xb0\x03\x90\0"


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["3B751300004309EA9000", BOTH.hex(), T1_DEFAULT.hex(), "3B00"]),
    st.lists(
        st.binary(max_size=20)
        | st.sampled_from(
            [b"\xff\x10\x13\xfc", b"\xff\x01\xfe", b"\xff\0\xff", b"\0\xb0\0\0\4", b"\0\xd6\0\0\1x"]
        ),
        max_size=8,
    ),
    st.integers(1, 5),
)
def test_any_bytes_any_chunks(atr, parts, size):
    """Whatever a reader sends, in whatever pieces: no exception and the same bytes back."""
    whole = b"".join(parts)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    said = [
        b"".join(made.feed(chunk) for chunk in chunks)
        for chunks in ([whole], parts, pieces)
        for made in [contacts(atr)]
    ]
    assert said[0] == said[1] == said[2]


def test_the_link_of_the_card_may_fail():
    """OSError of the card's own link passes; the contacts are usable afterwards."""
    broken = contacts("3B00")

    def gone(_apdu):
        raise BrokenPipeError

    broken._card.transmit = gone
    with pytest.raises(BrokenPipeError):
        broken.feed(b"\0\xb0\0\0\1")
    del broken._card.transmit
    assert broken.feed(b"\0\xb0\0\0\1") == b"\xb0\x03\x90\0"


# ---- TPDU link


def test_link_takes_what_libccid_sends():
    """PPS, then TPDUs of 4, 5 and 5 + Lc bytes, a case 4 with its Le; 6700 when lengths do not add up."""
    link = TpduLink(card(VITALE))
    assert link.power_on() == bytes.fromhex("3B751300004309EA9000")
    assert link.exchange(bytes.fromhex("FF1013FC")) == bytes.fromhex("FF1013FC")
    for sent, status in (
        ("00A4000C023F00", "9000"),
        ("00A4000C023F0000", "9000"),
        ("00A4040C", "6A82"),
        ("00A40000", "6126"),
        ("00A4000C033F00", "6700"),
        ("00", "6700"),
        ("FFCA000000", "6E00"),
    ):
        assert link.exchange(bytes.fromhex(sent))[-2:] == bytes.fromhex(status), sent
    assert len(link.exchange(bytes.fromhex("00B0820008"))) == 10


def test_link_speaks_t1():
    """A T=1 card: the host's blocks go through as they are, a spoilt or cut block is asked for again."""
    link = TpduLink(EchoCard(T1_IFSC_254))
    link.power_on()
    assert link.protocol == 1
    host = T1Host(254)
    sent = host.start(b"\0\xb0\0\0\0")
    while host.answer is None:
        sent = host.feed(link.exchange(sent))
    assert host.answer == pattern(256) + b"\x90\0"
    again = Codec().encode(0x92)
    assert link.exchange(b"\0\0\5abc") == again
    assert link.exchange(b"\0\0\1a\0") == Codec().encode(0x91)


def test_link_changes_protocol_by_pps():
    """A PPS for T=1 makes the link speak T=1; parameters alone do not tell the card."""
    link = TpduLink(EchoCard(BOTH))
    link.power_on()
    assert link.exchange(Pps(1).to_bytes()) == Pps(1).to_bytes()
    assert link.protocol == 1
    link.power_on()
    assert link.protocol == 0
    link.set_protocol(1)
    assert link.exchange(Codec().encode(0xC1, b"\xfe")) == b"\x6d\0"  # five bytes are a T=0 header to it


@pytest.mark.parametrize("sent", ["FF1013FD", "0020000108", ""])
def test_a_mute_card_is_a_timeout(sent):
    """A bad PPS, or data announced that never come: TimeoutError, and the next command works."""
    link = TpduLink(card(CPS))
    link.power_on()
    link.exchange(bytes.fromhex("00A4000C023F00"))
    if sent.startswith("FF"):
        link.power_on()
    if sent:
        with pytest.raises(TimeoutError):
            link.exchange(bytes.fromhex(sent))
    assert link.exchange(bytes.fromhex("00A4000C023F00")) == b"\x90\0"


def test_no_power_is_a_timeout():
    """A link without power stays mute."""
    link = TpduLink(card(CPS))
    with pytest.raises(TimeoutError):
        link.exchange(bytes.fromhex("00A4000C023F00"))


# ---- our own cards through every protocol


class T0Way:
    """A card in a slot, through both ends of T=0."""

    def __init__(self, inner) -> None:
        self.link = TpduLink(inner)
        self.power_on, self.power_off, self.transmit = (
            self.link.power_on,
            self.link.power_off,
            self.link.exchange,
        )


class T1Way:
    """The same card as it would be with a T=1 ATR, through both ends of T=1."""

    atr = T1_DEFAULT

    def __init__(self, inner) -> None:
        self.inner = inner
        inner_on = inner.power_on
        inner.power_on = lambda: inner_on() and self.atr
        self.link = TpduLink(inner)
        self.power_off = self.link.power_off

    def power_on(self):
        atr = self.link.power_on()
        self.host = T1Host(254 if self.atr != T1_DEFAULT else 32, use_crc=self.atr == T1_CRC)
        return atr

    def transmit(self, apdu):
        sent = self.host.start(apdu)
        while self.host.answer is None:
            sent = self.host.feed(self.link.exchange(sent))
        return self.host.answer


class T1CrcWay(T1Way):
    atr = T1_CRC


def connection(profile, way=None):
    """A connection to a personalised card, straight or through a protocol."""
    made, slot = card(profile), Slot("CPS")
    slot.insert(way(made) if way else made)
    return slot.connect()


CPS_DIALOGUE = (
    "00A4040408" + AID_MF.hex() + "00",
    "00200001",
    "0020000100",
    "00B09C00C0",
    "00A40904023F0000",
    "00A4040C0D" + AID_CONTACT.hex(),
    "00A4040C0D" + AID_CONTACT.hex() + "00",
    "0020000108313233FFFFFFFFFF",
    "00200001083132333502FFFFFF",
    "002000010831323335FFFFFFFF",
    "002000010831323334FFFFFFFF",
    "00200001",
    "00CB3FFF0B4D097007BF8101037F418000",
    "00CB3FFF0A4D087006BF810102A08000",
    "002241AA03800140",
    "002A90A0079000" + "8003" + b"lot".hex(),
    "002241B606800142840181",
    "002A9E9A00",
    "002A9E9A20" + bytes(range(32)).hex() + "00",
    "102A9E9A10" + bytes(16).hex(),
    "002A9E9A10" + bytes(16).hex() + "00",
    "00CA9F7F00",
    "00FF0000",
    "A0A40000023F00",
    "A0C000000F",
    "00A4040C08" + AID_MF.hex(),
)
VITALE_DIALOGUE = (
    "00A4000C023F00",
    "00B0820008",
    "00B0820000",
    "00B08200FF",
    "00A40000",
    "00A4000000",
    "00A4040C0BD250000002564954414C45",
    "00B0820000",
    "00B0FF0000",
    "00C0000010",
)


@pytest.mark.parametrize("way", [T0Way, T1Way, T1CrcWay])
@pytest.mark.parametrize(("profile", "dialogue"), [(CPS, CPS_DIALOGUE), (VITALE, VITALE_DIALOGUE)])
def test_our_cards_answer_the_same(way, profile, dialogue):
    """What clients send, through T=0 and T=1: the answers a Connection gets straight from the card."""
    straight, through = connection(profile), connection(profile, way)
    for text in dialogue:
        command = CommandAPDU.parse(bytes.fromhex(text))
        assert through.transmit(command) == straight.transmit(command), text


def test_t0_shows_61xx_and_6cxx():
    """Case 4 leaves its answer behind 61xx; too small an Le gets 6Cxx; a signature comes by GET RESPONSE."""
    link = TpduLink(card(CPS))
    link.power_on()
    assert link.exchange(bytes.fromhex("00A4090402" + "3F00" + "00")) == b"\x61\x20"
    assert len(link.exchange(bytes.fromhex("00C0000020"))) == 34
    assert link.exchange(bytes.fromhex("00B09C0004"))[-2:] == b"\x90\0"
    link.exchange(bytes.fromhex("00A4040C0D") + AID_CONTACT)
    link.exchange(bytes.fromhex("002000010831323334FFFFFFFF"))
    link.exchange(bytes.fromhex("002241B606800142840181"))
    assert link.exchange(bytes.fromhex("002A9E9A20") + bytes(32)) == b"\x61\0"
    assert link.exchange(bytes.fromhex("00C0000080"))[-2:] == b"\x61\x80"


def test_a_flood_is_bounded():
    """A card at work keeps 64 KiB at most of what a reader sends meanwhile."""
    for atr in (b"\x3b\0", T1_DEFAULT):
        busy = contacts(atr)
        busy.receive(b"\0\xb0\0\0\1" if atr == b"\x3b\0" else Codec().encode(0, b"\0\xb0\0\0\1"))
        for _ in range(40):
            assert busy.receive(bytes(4096)) == b""
        assert busy.command is not None
        engine = busy._engine
        held = engine._buffer if hasattr(engine, "_buffer") else engine._codec._buffer
        assert len(held) <= BUFFER
