"""ATR and PPS: the cards of the facts, and hostile bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.aid import Aid, AidError
from card.iso7816.atr import Atr, AtrError
from card.iso7816.pps import Pps, PpsError

CPS3 = "3BAC00402A001225006480000310009000"
VITALE = "3B751300004309EA9000"
CPS3_CONTACTLESS = "3B8F80010031B86404B0ECC17394018082 90000E"
CPS4 = "3B9B18800100122500648004010000 9044"
VITALE_1 = "3F6525002209F69000"


def test_cps3_atr_decodes_as_the_facts_say():
    """CPS3: T=0 alone, default speed, WI 42, no PPS, country 250 in the historical bytes."""
    atr = Atr.parse(bytes.fromhex(CPS3))
    assert (atr.protocols, atr.fi, atr.di, atr.waiting_integer) == ((0,), 372, 1, 42)
    assert atr.historical.hex() == "001225006480000310009000"
    assert not atr.wants_pps


def test_vitale_atr_decodes_as_the_facts_say():
    """Vitale 2: TA1 13 gives Di 4 and a PPS is possible."""
    atr = Atr.parse(bytes.fromhex(VITALE))
    assert (atr.protocols, atr.fi, atr.di, atr.wants_pps, atr.extra_guard_time) == ((0,), 372, 4, True, 0)
    assert atr.historical.hex() == "4309ea9000"


@pytest.mark.parametrize("text", [CPS3_CONTACTLESS, CPS4])
def test_atr_with_check_byte(text):
    """A protocol other than T=0 brings a TCK, and a wrong TCK is refused."""
    raw = bytes.fromhex(text)
    assert Atr.parse(raw).protocols == (0, 1)
    with pytest.raises(AtrError, match="TCK"):
        Atr.parse(raw[:-1] + bytes((raw[-1] ^ 1,)))


def test_inverse_convention():
    """Vitale 1 speaks the inverse convention."""
    assert Atr.parse(bytes.fromhex(VITALE_1)).is_inverse
    assert not Atr.parse(bytes.fromhex(VITALE)).is_inverse


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\x3b", "2 to 33"),
        (b"\x3b" + bytes(33), "2 to 33"),
        (b"\x3c\x00", "TS is"),
        (b"\x3b\x05abc", "historical"),
        (b"\x3b\x10", "TA1 is missing"),
        (b"\x3b" + b"\x80" * 32, "missing"),
        (b"\x3b\x00\x00", "announce"),
    ],
)
def test_hostile_atr_is_refused_with_a_reason(raw, why):
    """Too long, a chain of TD without end, missing or surplus bytes: one clear sentence each."""
    with pytest.raises(AtrError, match=why):
        Atr.parse(raw)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_parse_or_raise_atr_error(raw):
    """No byte string does anything else than parse or raise AtrError."""
    try:
        atr = Atr.parse(raw)
    except AtrError:
        return
    assert atr.fi
    assert atr.di
    assert atr.raw == raw


def test_pps_of_a_vitale():
    """FF 10 13 FC asks T=0 at the speed of TA1 13; the echo agrees, another speed does not."""
    asked = Pps(0, 0x13)
    assert asked.to_bytes() == bytes.fromhex("FF1013FC")
    assert Pps.parse(asked.to_bytes()) == asked
    assert asked.is_agreed_by(asked)
    assert asked.is_agreed_by(Pps(0))
    assert not asked.is_agreed_by(Pps(0, 0x12))
    assert not asked.is_agreed_by(Pps(1, 0x13))


@pytest.mark.parametrize("raw", [b"", b"\xff\x10\x13\xfd", b"\xff\x10\xef", b"\x00\x10\x13\xfc"])
def test_bad_pps_is_refused(raw):
    """Wrong start, length or check byte."""
    with pytest.raises(PpsError):
        Pps.parse(raw)


def test_aid_names():
    """A right-truncated name selects; shorter than five bytes never; RID only where registered."""
    aid = Aid.parse(bytes.fromhex("D25000000256 4954414C45"))
    assert aid.is_selected_by(aid.value)
    assert aid.is_selected_by(aid.value[:5])
    assert not aid.is_selected_by(aid.value[:4])
    assert aid.provider == bytes.fromhex("D250000002")
    assert Aid.parse(bytes.fromhex("8025000001FF0100")).provider is None
    with pytest.raises(AidError):
        Aid.parse(b"four")
