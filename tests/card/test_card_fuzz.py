"""No byte string and no sequence makes a card fall over (promise A10)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.status import _NAMES
from tests.card.bench import (
    AID_CONTACT,
    AID_MF,
    AID_VITALE,
    PIN_1234,
    PUK_GOOD,
    Host,
    cps_items,
    powered,
    vitale_items,
)

SECOND_FACE = {0x9240, 0x9402, 0x9404, 0x9408, 0x9802, 0x9804, 0x9808, 0x9810, 0x9840}
FACES = ("cps", "blank cps", "vitale", "blank vitale")

# Instructions that exist somewhere, and a few that do not.
INSTRUCTIONS = st.sampled_from(bytes.fromhex("A4B0B1D6D7B2DCE2E0E4440420242C222A888482CACBDB47C010FF70"))
PARAMETER_BYTES = bytes.fromhex(
    "0000040C020C080409049E9A90A0808600AE41AA41B641A441B8F3013FFF00010002018182000014"
)
PARAMETERS = st.sampled_from(
    [PARAMETER_BYTES[at : at + 2] for at in range(0, len(PARAMETER_BYTES), 2)]
) | st.binary(min_size=2, max_size=2)
FIELDS = st.sampled_from(
    [
        *(bytes.fromhex(fid) for fid in ("3F00", "0001", "D107", "D200", "2000", "2020", "4010")),
        *(PIN_1234, PUK_GOOD, AID_CONTACT, AID_MF, AID_VITALE),
        *(bytes.fromhex(text) for text in ("800142840181", "800102840182", "80011A840182", "90008003414243")),
        bytes.fromhex("4D087006BF810102A080"),
        bytes.fromhex("5401005302AABB"),
        bytes.fromhex("620F8002000A8201018302D3008C020100"),
        bytes.fromhex("7014BF8101107F410D8001048208") + PIN_1234,
    ]
)
CLASSES = st.sampled_from([0x00] * 8 + [0xA0, 0xA0, 0x10, 0x0C, 0x01, 0xFF])


@st.composite
def commands(draw):
    """A command that looks right: real instruction and parameters, real or random data, any Le."""
    data = draw(FIELDS | st.binary(max_size=40))
    head = bytes((draw(CLASSES), draw(INSTRUCTIONS))) + draw(PARAMETERS)
    body = bytes((len(data),)) + data if data else b""
    return head + body + draw(st.sampled_from([b"", b"\x00", b"\x10"]))


def card(kind: str) -> Host:
    """One of the four cards under fire."""
    make = cps_items if kind.endswith("cps") else vitale_items
    return powered(make(operational="blank" not in kind))


def check(answer: bytes, apdu: bytes) -> None:
    """An answer ends with a status word of the tables; 6F00 would hide an exception."""
    assert 2 <= len(answer) <= 2049 + 2
    sw = int.from_bytes(answer[-2:], "big")
    second = apdu[:1] == b"\xa0"
    families = sw >> 8 in (0x61, 0x6C) or 0x63C0 <= sw <= 0x63CF
    if second:
        assert sw >> 8 == 0x9F or sw in SECOND_FACE or sw in _NAMES
        assert sw != 0x6F00 or apdu[1:2] == b"\xc0"
    else:
        assert (sw in _NAMES and sw != 0x6F00) or families, f"{sw:04X} to {apdu.hex()}"


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(FACES), apdus=st.lists(st.binary(max_size=270), max_size=8))
def test_any_bytes(kind, apdus):
    """Random strings of 0 to 270 bytes, one after the other."""
    host = card(kind)
    for apdu in apdus:
        check(host.card.transmit(apdu), apdu)


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(FACES), apdus=st.lists(commands(), max_size=25))
def test_any_sequence_of_plausible_commands(kind, apdus):
    """Commands that reach deep: files, PINs, keys, objects, personalisation, both faces."""
    host = card(kind)
    if kind == "cps":
        host.contact()
        host.verify()
    for apdu in apdus:
        check(host.card.transmit(apdu), apdu)
