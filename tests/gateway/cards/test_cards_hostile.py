"""A card that lies about its files ends in one CardProtocolError naming the slot, after few exchanges."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from card.layout import vitale as layout
from gateway.cards.access import read_file
from gateway.cards.vitale import VitaleSession
from gateway.errors import CardRefusal
from reader.errors import CardProtocolError, ReaderError

SERIAL = "99250000000000000018"
CERTIFICATE = layout.VitaleCertificate(
    b"VITTEST1", bytes.fromhex(SERIAL), date(2030, 12, 31), b"\xc3" * 256, b"\x5a" * 256
)


def tree(**other: bytes):
    """The free files of a Vitale, some replaced by name."""
    files = {
        "pan": layout.Pan.encode(SERIAL),
        "identity": layout.Identity.encode((layout.Holder("TESTON", "ZOE", date(2001, 2, 3)),)),
        "certificate": layout.Certificate.encode(CERTIFICATE),
    } | other
    return {
        layout.AID_MF: {
            layout.FID_PAN: files["pan"],
            layout.FID_IDENTITY: files["identity"],
            layout.FID_CERTIFICATE: files["certificate"],
        },
        layout.AID_VITALE: {},
    }


def test_an_honest_tiny_card_opens(tiny):
    """Positive twin: the same card without a lie gives serial, end of validity and holders."""
    _card, connection = tiny(tree())
    with VitaleSession.open(connection) as session:
        assert (session.serial, session.validity_end) == (SERIAL, date(2030, 12, 31))
        assert session.holders[0].first_name == "ZOE"
        assert session.certificate == layout.Certificate.encode(CERTIFICATE)


def answer_to(ins: int, lie: bytes):
    return lambda command, answer: lie if command[1] == ins else answer


TWISTS = {
    "file information cut short": answer_to(0xA4, bytes.fromhex("62058002009000")),
    "file information empty": lambda c, a: b"\x90\x00" if c[1] == 0xA4 else a,
    "file without a size": lambda c, a: (
        bytes.fromhex("620283002F029000")[:4] + b"\x90\x00" if len(a) > 2 else a
    ),
    "file of 16 megabytes": lambda c, a: bytes.fromhex("62058003FFFFFF9000") if c[1:3] == b"\xa4\x02" else a,
    "file longer than it is": lambda c, a: (
        bytes.fromhex("620480021000") + b"\x90\x00" if c[1:3] == b"\xa4\x02" else a
    ),
    "reads give nothing": answer_to(0xB0, b"\x90\x00"),
    "reads give an error": answer_to(0xB0, b"\x6f\x00"),
    "reads give the end of file": answer_to(0xB0, b"\x62\x82"),
    "reads give too much": answer_to(0xB0, bytes(300) + b"\x90\x00"),
    "61xx for ever": answer_to(0xB0, b"\x00\x61\x01"),
    "6Cxx ping-pong": answer_to(0xB0, b"\x6c\x03"),
    "no answer": answer_to(0xB0, b""),
    "one byte": answer_to(0xB0, b"\x90"),
    "files are missing": lambda c, a: b"\x6a\x82" if c[1:3] == b"\xa4\x02" else a,
    "no application": lambda c, a: b"\x6a\x82" if layout.AID_VITALE in c else a,
}


@pytest.mark.parametrize("name", TWISTS)
def test_lying_card(tiny, name):
    """Every lie is refused in one sentence, within 400 exchanges."""
    card, connection = tiny(tree(), TWISTS[name])
    with pytest.raises(
        CardProtocolError, match=r"card in the Vitale slot .*: insert it again, then try another"
    ):
        VitaleSession.open(connection)
    assert card.exchanges <= 400


FILES = {
    "PAN cut in its length": {"pan": b"\x5a"},
    "PAN of another tag": {"pan": b"\x5b\x01\x00"},
    "PAN too short": {"pan": b"\x5a\x02\x12\x34"},
    "PAN not decimal": {"pan": b"\x5a\x0a" + b"\xaa" * 10},
    "identity cut short": {"identity": bytes.fromhex("651C8006544553")},
    "identity with indefinite length": {"identity": bytes.fromhex("65800000")},
    "identity with an impossible date": {"identity": bytes.fromhex("650A8208") + b"20011332"},
    "identity of other objects": {"identity": bytes.fromhex("66028001")},
    "certificate empty": {"certificate": b"\x00"},
    "certificate cut short": {"certificate": layout.Certificate.encode(CERTIFICATE)[:300]},
    "certificate of another card": {
        "certificate": layout.Certificate.encode(
            layout.VitaleCertificate(b"VITTEST1", bytes(10), date(2030, 12, 31), bytes(256), bytes(256))
        )
    },
    "certificate with month 13": {
        "certificate": layout.Certificate.encode(CERTIFICATE).replace(b"\x30\x12\x31", b"\x30\x13\x31")
    },
}


@pytest.mark.parametrize("name", FILES)
def test_broken_files(tiny, name):
    """Truncated or senseless TLV in a file is refused; the sentence shows nothing of the file."""
    _card, connection = tiny(tree(**FILES[name]))
    with pytest.raises(CardProtocolError, match="card in the Vitale slot") as refused:
        VitaleSession.open(connection)
    assert "TES" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_huge_file_is_not_read(tiny):
    """A file of 16 megabytes whose bytes never end is refused before its first byte is read."""
    card, connection = tiny(
        tree(),
        lambda c, a: (
            bytes.fromhex("62058003FFFFFF9000") if c[1:3] == b"\xa4\x02" else bytes(256) + b"\x90\x00"
        ),
    )
    with pytest.raises(CardProtocolError, match="too large"):
        read_file(connection, layout.FID_PAN)
    assert card.exchanges == 1


def test_protected_file_says_what_to_do(tiny):
    """6982 on a file is a refusal that names the slot and the next action, not a protocol error."""
    _card, connection = tiny(tree(), answer_to(0xB0, b"\x69\x82"))
    with pytest.raises(
        CardRefusal, match=r"card in the Vitale slot refuses reading file .*present the PIN or the CPS"
    ) as no:
        VitaleSession.open(connection)
    assert no.value.code == "access-refused"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 1300, 0x7FFF])
def test_files_are_read_by_steps_of_256(tiny, size):
    """A file of any size comes back whole, in as few reads as its size needs."""
    content = bytes(at % 253 for at in range(size))
    card, connection = tiny({layout.AID_MF: {0x2F02: content}})
    assert read_file(connection, 0x2F02) == content
    assert card.exchanges == 1 + (size + 255) // 256


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files_open_or_one_sentence(tiny, data):
    """A Vitale whose files hold any bytes opens or is refused in one ReaderError (promise A10)."""
    files = {fid: bytearray(content) for fid, content in tree()[layout.AID_MF].items()}
    for _ in range(data.draw(st.integers(1, 4))):
        content = files[data.draw(st.sampled_from(sorted(files)))]
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    mutated = {fid: bytes(content) for fid, content in files.items()}
    card, connection = tiny({layout.AID_MF: mutated, layout.AID_VITALE: {}})
    with suppress(ReaderError):
        VitaleSession.open(connection).close()
    assert card.exchanges < 50
