"""T=0, both ends (ISO/IEC 7816-3:2006, clause 10)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.t0 import BUFFER, MAX_NULLS, T0Card, T0Host
from tests.reader.byte_cards import EchoCard, pattern, run_t0

pieces = st.lists(st.binary(max_size=40), max_size=12)


def told(card: T0Card, data: bytes, size: int) -> tuple[bytes, list[bytes]]:
    """What a card says to bytes that come in pieces of `size`, and what it carries out."""
    said, commands, echo = b"", [], EchoCard()
    for at in range(0, len(data), size):
        said += card.feed(data[at : at + size])
        while card.command is not None:
            commands.append(card.command)
            said += card.answer(echo.transmit(card.command))
    return said, commands


@pytest.mark.parametrize("each_byte", [False, True])
def test_every_length_passes(each_byte):
    """Cases 1, 2, 3 and 4 with all lengths: what the card gets and gives is what was sent and is had."""
    card, echo = T0Card(each_byte=each_byte), EchoCard()
    for size in range(257):
        data = pattern(size)
        if size:
            outgoing = run_t0(bytes((0, 0xB0, 0, 0, size & 0xFF)), card, echo.transmit)
            assert outgoing.answer == data + b"\x90\x00"
        if size == 256:
            break
        body = bytes((size,)) + data if size else b""
        assert run_t0(b"\0\xd6\0\0" + body, card, echo.transmit).answer == b"\x90\x00"
        assert echo.log[-1] == b"\0\xd6\0\0" + body
        if size:
            assert run_t0(b"\0\x88\0\0" + body + b"\0", card, echo.transmit).answer == bytes((0x61, size))
            assert run_t0(bytes((0, 0xC0, 0, 0, size)), card, echo.transmit).answer == data + b"\x90\x00"


def test_what_is_on_the_line():
    """Header, procedure byte, data, status word, byte for byte."""
    card = T0Card()
    assert card.feed(bytes.fromhex("0020000108")) == b"\x20"
    assert card.feed(b"1234\xff\xff\xff\xff") == b""
    assert card.command == bytes.fromhex("0020000108") + b"1234\xff\xff\xff\xff"
    assert card.busy() == b"\x60"
    assert card.answer(b"\x63\xc2") == b"\x63\xc2"
    assert card.busy() == b""
    assert card.feed(bytes.fromhex("00B0820004")) == b""
    assert card.answer(b"abcd\x90\0") == b"\xb0abcd\x90\0"


def test_fewer_bytes_than_p3_come_one_by_one():
    """INS alone promises P3 bytes: a shorter answer with its own status word is acknowledged byte by byte."""
    card = T0Card()
    card.feed(bytes.fromhex("00B09C00C0"))
    assert card.answer(b"ab\x62\x82") == b"\x4fa\x4fb\x62\x82"
    host = run_t0(bytes.fromhex("00B09C00C0"), T0Card(), lambda _: b"ab\x62\x82")
    assert host.answer == b"ab\x62\x82"


@pytest.mark.parametrize(
    ("sent", "carried_out"),
    [
        ("00200001", "00200001"),
        ("0020000100", "00200001"),
        ("00A4040C00", "00A4040C"),
        ("002A9E9A00", "002A9E9A"),
        ("00B0000000", "00B0000000"),
        ("0084000000", "0084000000"),
        ("00C0000000", "00C0000000"),
        ("00B00000", "00B0000000"),
        ("00A4000C023F0000", "00A4000C023F00"),
    ],
)
def test_p3_of_zero(sent, carried_out):
    """P3 00: no data and no Le with an instruction that takes data, Le 256 with one that gives them."""
    seen = []
    run_t0(bytes.fromhex(sent), T0Card(), lambda apdu: seen.append(apdu) or b"\x90\0")
    assert seen == [bytes.fromhex(carried_out)]


def test_what_t0_cannot_carry():
    """Lengths that do not add up: 6700; INS 6x and 9x: 6D00; CLA FF: 6E00; nothing goes on the line."""
    for text, status in (
        ("", "6700"),
        ("00B000", "6700"),
        ("00D600000201", "6700"),
        ("00D60000000102", "6700"),
        ("00B00000000000", "6700"),
        ("0060000000", "6D00"),
        ("00900000", "6D00"),
        ("FFCA000000", "6E00"),
    ):
        host = T0Host()
        assert host.start(bytes.fromhex(text)) == b""
        assert host.answer == bytes.fromhex(status)


@pytest.mark.parametrize(
    "answer", [b"ab\x90\x00", b"abcdef\x90\x00", b"\x60\x00", b"\x12\x34", b"abcd\x60\x00"]
)
def test_a_card_that_breaks_the_rules_is_covered(answer):
    """Data nobody asked for, more than P3, or no status word: 6F00, never a wrong procedure byte."""
    card = T0Card()
    card.feed(bytes.fromhex("0020000101FF" if answer == b"ab\x90\x00" else "00B0000004"))
    assert card.command is not None
    assert card.answer(answer) == b"\x6f\x00"


def test_a_mute_card_says_nothing():
    """An empty answer leaves the line silent; the next command works."""
    card = T0Card()
    card.feed(bytes.fromhex("00B0000004"))
    assert card.answer(b"") == b""
    card.feed(bytes.fromhex("00B0000002"))
    assert card.answer(b"ab\x90\0") == b"\xb0ab\x90\0"


def test_host_takes_nulls_and_both_acknowledgements():
    """60 restarts the wait, INS xor FF one byte, INS the rest, in any mix; both directions."""
    host = T0Host()
    assert host.start(bytes.fromhex("0020000103") + b"abc") == bytes.fromhex("0020000103")
    assert host.feed(b"\x60\x60\xdf") == b"a"
    assert host.feed(b"\x60\x20") == b"bc"
    assert host.feed(b"\x60\x90") == b""
    assert host.answer is None
    host.feed(b"\0rest")
    assert host.answer == b"\x90\0"
    host.start(bytes.fromhex("00B0000004"))
    host.feed(b"\x60\x4fa\xb0bcd\x62\x82")
    assert host.answer == b"abcd\x62\x82"


@pytest.mark.parametrize(
    ("received", "why"),
    [
        ("00", "procedure byte"),
        ("B1", "procedure byte"),
        ("B061626364B0", "more bytes"),
        ("4F614F624F634F644F", "more bytes"),
    ],
)
def test_host_fails_cleanly(received, why):
    """What is no procedure byte, or asks for more than there is, ends the command with a reason."""
    host = T0Host()
    host.start(bytes.fromhex("00B0000004"))
    host.feed(bytes.fromhex(received))
    assert host.answer is None
    assert why in host.failure
    host.feed(b"\x90\x00")
    assert host.answer is None


def test_endless_nulls_end():
    """A card that asks for time for ever is left (twin: a few hundred are fine)."""
    host = T0Host()
    host.start(bytes.fromhex("00B0000001"))
    host.feed(b"\x60" * MAX_NULLS)
    assert not host.failure
    host.feed(b"\x60")
    assert "without end" in host.failure
    host.start(bytes.fromhex("00B0000001"))
    host.feed(b"\x60" * 300 + b"\xb0a\x90\0")
    assert host.answer == b"a\x90\0"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.integers(1, 9), st.booleans())
def test_card_any_bytes_any_chunks(data, size, each_byte):
    """Whatever a host sends, in whatever pieces: no exception, the same commands and the same bytes back."""
    whole = told(T0Card(each_byte=each_byte), data, len(data) or 1)
    assert told(T0Card(each_byte=each_byte), data, size) == whole


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["00B0000004", "0020000103616263", "00A4040C", "00B0000000"]),
    st.lists(
        st.sampled_from([b"\x60", b"\xb0", b"\x4f", b"\x20", b"\xdf", b"\x90", b"\0", b"\xa4"])
        | st.binary(max_size=5)
    ),
)
def test_host_any_bytes_any_chunks(command, parts):
    """Whatever a card sends, in whatever pieces: no exception, at most 258 bytes, the same end."""
    ends = []
    for chunks in ([b"".join(parts)], parts, [bytes((b,)) for b in b"".join(parts)]):
        host = T0Host()
        host.start(bytes.fromhex(command))
        sent = b"".join(host.feed(chunk) for chunk in chunks)
        assert len(host.answer or b"") <= 258
        ends.append((sent, host.answer, host.failure))
    assert ends[0] == ends[1] == ends[2]


def test_a_flood_is_bounded():
    """A card at work keeps at most 64 KiB of what comes in; a forgotten command leaves it usable."""
    card = T0Card()
    card.feed(bytes.fromhex("00B0000004"))
    for _ in range(40):
        card.feed(bytes(4096))
    assert len(card._buffer) == BUFFER
    card = T0Card()
    card.feed(bytes.fromhex("0020000108") + b"12")
    assert card.silence() == b""
    card.feed(bytes.fromhex("00B0000002"))
    assert card.answer(b"ab\x90\0") == b"\xb0ab\x90\0"
