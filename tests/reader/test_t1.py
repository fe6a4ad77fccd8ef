"""T=1, both ends (ISO/IEC 7816-3:2006, clause 11)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.atr import Atr
from card.iso7816.t1 import MAX_COMMAND, MAX_TRIES, T1Card, ifsc_of, uses_crc
from card.iso7816.t1block import (
    BUFFER,
    S_ABORT,
    S_IFS,
    S_RESPONSE,
    S_RESYNCH,
    S_WTX,
    Block,
    Codec,
    crc,
    i_pcb,
    lrc,
    r_pcb,
)
from card.iso7816.t1host import T1Host
from tests.reader.byte_cards import BOTH, T1_CRC, T1_DEFAULT, T1_IFSC_254, pattern, run_t1

CODEC = Codec()


def block(pcb: int, inf: bytes = b"", nad: int = 0) -> bytes:
    """A block with an LRC."""
    return CODEC.encode(pcb, inf, nad)


def echo(command: bytes) -> bytes:
    """A card that gives back what it got."""
    return command + b"\x90\0"


def spoken(host: T1Host, command: bytes) -> bytes:
    """The first I-block of a command, sizes agreed."""
    asked = host.start(command)
    if asked[1] == S_IFS:
        return host.feed(block(S_IFS | S_RESPONSE, asked[3:-1]))
    return asked


# ---- blocks


def test_check_bytes():
    """LRC is the exclusive-or; CRC the one of ISO 13239 as readers compute it ("123456789" gives 6F91)."""
    assert lrc(bytes.fromhex("00C101FE")) == b"\x3e"
    assert crc(b"123456789") == bytes.fromhex("6F91")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=254), st.integers(0, 255), st.booleans(), st.integers(1, 300))
def test_blocks_come_back(pcb, inf, nad, use_crc, size):
    """Encode and read back, in any pieces; one flipped bit is never a block."""
    codec = Codec(use_crc=use_crc)
    raw, found = codec.encode(pcb, inf, nad), []
    for at in range(0, len(raw), size):
        codec.feed(raw[at : at + size])
        found.append(codec.next())
    assert found[-1] == Block(pcb, inf, nad)
    assert set(found[:-1]) <= {None}
    spoiled = bytearray(raw)
    spoiled[size % len(raw)] ^= 1 << size % 8
    codec.feed(bytes(spoiled))
    assert not isinstance(codec.next(), Block)


def test_atr_says_how_t1_is_spoken():
    """IFSC and the kind of check bytes come from the first bytes about T=1; 32 and LRC by default."""
    for atr, ifsc, with_crc in (
        (T1_DEFAULT, 32, False),
        (T1_IFSC_254, 254, False),
        (T1_CRC, 254, True),
        (BOTH, 32, False),
    ):
        parsed = Atr.parse(atr)
        assert (ifsc_of(parsed), uses_crc(parsed)) == (ifsc, with_crc)
    assert ifsc_of(Atr.parse(bytes.fromhex("3B00"))) == 32


# ---- whole exchanges


@pytest.mark.parametrize(
    ("ifsc", "ifsd", "use_crc"),
    [(32, 32, False), (254, 254, False), (254, 254, True), (1, 1, False), (5, 200, True)],
)
def test_every_length_passes(ifsc, ifsd, use_crc):
    """Commands and answers of all lengths 1 to 261, chained both ways, arrive as they were."""
    host = T1Host(ifsc, use_crc=use_crc, ifsd=ifsd)
    card = T1Card(ifsc, use_crc=use_crc)
    for size in range(1, 262):
        assert run_t1(host, card, pattern(size), echo).answer == pattern(size) + b"\x90\0"


def test_extended_lengths_pass():
    """The longest command and the longest answer (twin of the bounds)."""
    host, card = T1Host(254), T1Card(254)
    assert run_t1(host, card, pattern(MAX_COMMAND), lambda _: pattern(65_538)).answer == pattern(65_538)


def test_the_card_may_ask_for_a_larger_size():
    """S(IFS request) of the card: granted once, then the host sends larger blocks."""
    host, card = T1Host(32), T1Card(32, wanted_ifsc=250)
    assert run_t1(host, card, pattern(100), echo).answer == echo(pattern(100))
    first = host.start(pattern(200))
    assert first[2] == 200
    assert card.feed(first) == b""
    assert card.command == pattern(200)


def test_what_is_on_the_line():
    """IFS first, then I(0,0) and I(0,0), then I(1,0)...: numbers alternate, byte for byte."""
    host = T1Host(32, ifsd=254)
    assert host.start(b"\0\xa4\0\0").hex() == "00c101fe3e"
    assert host.feed(bytes.fromhex("00E101FE1E")).hex() == "00000400a40000a0"
    host.feed(block(i_pcb(0, more=False), b"\x90\0"))
    assert host.answer == b"\x90\0"
    assert host.start(b"\0\xb0\0\0\0")[:3].hex() == "004005"


# ---- errors


def test_host_asks_again_for_a_bad_block():
    """EDC error: R(N(R)) with error 1; another error: 2; silence: 2; the repeated block ends the exchange."""
    for bad, error in (
        (block(0, b"\x90\0")[:-1] + b"\xff", 1),
        (block(0x40, b"\x90\0"), 2),
        (block(0x85), 2),
    ):
        host = T1Host()
        spoken(host, b"\0\xa4\0\0")
        assert host.feed(bad) == block(r_pcb(0, error))
        host.feed(block(0, b"\x90\0"))
        assert host.answer == b"\x90\0"
    host = T1Host()
    spoken(host, b"\0\xa4\0\0")
    assert host.feed(b"\0\0") == b""
    assert host.timeout() == block(r_pcb(0, 2))
    assert not host.failure


def test_card_asks_again_and_repeats():
    """The card: R with the error; asked for its last block, that block, at most three times in a row."""
    card = T1Card()
    good = block(i_pcb(0, more=False), b"\0\xa4\0\0")
    assert card.feed(good[:-1] + b"\0") == block(r_pcb(0, 1))
    assert card.feed(good[:-2]) == b""
    assert card.silence() == block(r_pcb(0, 2))
    assert card.feed(good) == b""
    said = card.answer(b"\x90\0")
    assert said == block(0, b"\x90\0")
    for _ in range(MAX_TRIES):
        assert card.feed(block(r_pcb(0, 1))) == said
    assert card.feed(block(r_pcb(0, 1))) == b""
    assert card.feed(block(S_RESYNCH)) == block(S_RESYNCH | S_RESPONSE)


def test_lost_acknowledgement_of_a_link():
    """A lost R of a chain is asked for with an R; the link is not taken twice."""
    card = T1Card(4)
    assert card.feed(block(i_pcb(0, more=True), b"abcd")) == block(r_pcb(1))
    assert card.feed(block(r_pcb(0, 1))) == block(r_pcb(1))
    card.feed(block(i_pcb(1, more=False), b"ef"))
    assert card.command == b"abcdef"


def test_host_resynchronises_then_gives_up():
    """Four bad answers: S(RESYNCH); three more silences: the card is mute; the next command begins afresh."""
    host = T1Host()
    spoken(host, b"\0\xa4\0\0")
    sent = [host.timeout() for _ in range(8)]
    assert sent[:3] == [block(r_pcb(0, 2))] * 3
    assert sent[3:7] == [block(S_RESYNCH)] * 4
    assert sent[7] == b""
    assert "does not answer" in host.failure
    assert host.start(b"\0\xb0\0\0\0") == block(S_RESYNCH)
    assert host.feed(block(S_RESYNCH | S_RESPONSE)) == block(i_pcb(0, more=False), b"\0\xb0\0\0\0")
    host.feed(block(0, b"\x90\0"))
    assert host.answer == b"\x90\0"


def test_a_command_that_may_have_run_is_not_sent_twice():
    """After a resynchronisation the host starts again only if the last byte had not gone (PIN tries)."""
    host = T1Host(4)
    spoken(host, b"abcdef")
    for _ in range(4):
        sent = host.timeout()
    assert sent == block(S_RESYNCH)
    assert host.feed(block(S_RESYNCH | S_RESPONSE)) == block(i_pcb(0, more=True), b"abcd")
    assert host.feed(block(r_pcb(1))) == block(i_pcb(1, more=False), b"ef")
    for _ in range(4):
        sent = host.timeout()
    assert sent == block(S_RESYNCH)
    assert host.feed(block(S_RESYNCH | S_RESPONSE)) == b""
    assert "may have carried out" in host.failure
    assert host.start(b"gh")[1] == i_pcb(0, more=False)


def test_a_card_that_does_not_know_ifs():
    """S(IFS) is never answered: resynchronise and speak with the default sizes."""
    host = T1Host()
    assert host.start(b"\0\xa4\0\0") == block(S_IFS, b"\xfe")
    for _ in range(4):
        sent = host.timeout()
    assert sent == block(S_RESYNCH)
    assert host.feed(block(S_RESYNCH | S_RESPONSE))[1] == i_pcb(0, more=False)


# ---- S-blocks


def test_waiting_time_extension_both_ends():
    """S(WTX) while the card works, once at a time; granted with the same multiple; then the answer comes."""
    host, card = T1Host(), T1Card()
    first = spoken(host, b"\0\xa4\0\0")
    assert card.feed(first) == b""
    asked = card.busy(3)
    assert asked == block(S_WTX, b"\x03")
    assert card.busy() == b""
    assert card.answer(b"\x90\0") == b""
    granted = host.feed(asked)
    assert (granted, host.extension) == (block(S_WTX | S_RESPONSE, b"\x03"), 3)
    host.feed(card.feed(granted))
    assert (host.answer, host.extension) == (b"\x90\0", 3)
    host.start(b"\0")
    assert host.extension == 1


def test_a_host_that_never_grants_time():
    """A WTX request that is never granted is repeated three times; then the card gives its answer."""
    card = T1Card()
    card.feed(block(i_pcb(0, more=False), b"\0\xa4\0\0"))
    asked = card.busy()
    card.answer(b"\x90\0")
    for _ in range(MAX_TRIES):
        assert card.feed(block(r_pcb(0, 2))) == asked
    assert card.feed(block(r_pcb(0, 2))) == block(0, b"\x90\0")


def test_abort_both_ways():
    """S(ABORT) of the host drops a chain in the card; S(ABORT) of the card ends the command at the host."""
    card = T1Card(4)
    card.feed(block(i_pcb(0, more=True), b"abcd"))
    assert card.feed(block(S_ABORT)) == block(S_ABORT | S_RESPONSE)
    card.feed(block(i_pcb(1, more=False), b"ef"))
    assert card.command == b"ef"
    host = T1Host(4)
    spoken(host, b"abcdef")
    assert host.feed(block(S_ABORT)) == block(S_ABORT | S_RESPONSE)
    assert "aborted" in host.failure
    assert host.start(b"\0") == block(S_RESYNCH)


def test_a_command_without_end_is_aborted():
    """A chain longer than any command: S(ABORT request), R after the response, and the card goes on."""
    card, number = T1Card(254), 0
    for _ in range(300):
        said = card.feed(block(i_pcb(number, more=True), bytes(254)))
        number ^= 1
        if said == block(S_ABORT):
            break
    else:
        pytest.fail("no end")
    assert card.feed(block(S_ABORT | S_RESPONSE)) == block(r_pcb(number))
    card.feed(block(i_pcb(number, more=False), b"ok"))
    assert card.command == b"ok"


def test_resynch_makes_an_answer_void():
    """A RESYNCH while the card waits to be granted time: the old answer is dropped, numbers start at 0."""
    card = T1Card()
    card.feed(block(i_pcb(0, more=False), b"old"))
    card.busy()
    assert card.feed(block(S_RESYNCH)) == block(S_RESYNCH | S_RESPONSE)
    assert card.answer(b"old\x90\0") == b""
    card.feed(block(i_pcb(0, more=False), b"new"))
    assert card.command == b"new"


def test_addresses_are_mirrored():
    """A host that uses node addresses gets them back swapped."""
    card = T1Card()
    card.feed(block(i_pcb(0, more=False), b"x", nad=0x21))
    assert card.answer(b"\x90\0") == block(0, b"\x90\0", nad=0x12)
    assert card.feed(block(i_pcb(1, more=False), b"x", nad=0x88))[1] & 0xC0 == 0x80


# ---- bad lines, bad peers


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30), st.booleans())
def test_a_lossy_line(seed, one_in, use_crc):
    """Flipped bits, lost bytes and blocks: a command runs at most once, an answer is right or missing."""
    rng = random.Random(seed)

    def spoil(data: bytes) -> bytes:
        if not data or rng.randrange(one_in):
            return data
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind < 2:
            return data[:at] + data[at + 1 :] if kind else data[: at // 2]
        if kind == 2:
            return b""
        return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]

    carried_out = []
    host, card = T1Host(20, use_crc=use_crc, ifsd=40), T1Card(20, use_crc=use_crc)
    for number in range(4):
        command = bytes((number,)) + pattern(rng.randrange(1, 120))

        def execute(got: bytes) -> bytes:
            carried_out.append(got)
            return echo(got)

        run_t1(host, card, command, execute, spoil, spoil)
        assert host.answer in (None, echo(command))
        assert carried_out.count(command) <= 1
        assert host.answer is None or carried_out.count(command) == 1
    assert len(carried_out) <= 4


def test_a_lost_byte_does_not_make_another_block():
    """00 00 01 00 01 without its first byte has a right LRC, but bits no I-block has: asked for again."""
    host = T1Host()
    spoken(host, b"\0\xa4\0\0")
    assert host.feed(block(0, b"\0")[1:]) == block(r_pcb(0, 2))
    host.feed(block(0, b"\x90\0"))
    assert host.answer == b"\x90\0"


def test_the_rest_of_a_block_never_comes_from_later():
    """Half a block, silence, our block, its answer: two halves with a right LRC together are no block."""
    host = T1Host()
    spoken(host, b"\0\xa4\0\0")
    assert host.feed(block(0x82)[:4] + b"\0\x40")
    assert host.is_partial
    host.forget_partial()
    host.feed(block(0, b"\x90\0"))
    assert host.answer == b"\x90\0"
    card = T1Card()
    card.feed(b"\0\x40")
    assert card.silence() == block(r_pcb(0, 2))
    assert not card.is_partial


any_block = st.builds(
    block,
    st.sampled_from(
        [0x00, 0x20, 0x40, 0x60, 0x80, 0x90, 0x81, 0x92, 0xC0, 0xC1, 0xC2, 0xC3, 0xE0, 0xE1, 0xE2, 0xE3]
    )
    | st.integers(0, 255),
    st.binary(max_size=6),
    st.sampled_from([0, 0, 0, 0x12, 0xFF]),
)
streams = st.lists(any_block | st.binary(max_size=8), max_size=14)


def card_says(chunks) -> tuple:
    """What a card says and carries out."""
    card, said, commands = T1Card(4), b"", []
    for chunk in chunks:
        said += card.feed(chunk)
        while card.command is not None:
            commands.append(card.command)
            said += card.answer(card.command[:9] + b"\x90\0")
    return said, commands


def host_says(chunks) -> tuple:
    """What a host says, and how it ends."""
    host = T1Host(4)
    said = host.start(b"abcdefgh")
    for chunk in chunks:
        said += host.feed(chunk)
    return said, host.answer, host.failure, host.extension


@settings(max_examples=300, deadline=None)
@given(streams, st.integers(1, 7))
def test_any_bytes_any_chunks(parts, size):
    """Whatever arrives, in whatever pieces: no exception, and both ends say the same."""
    whole = b"".join(parts)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert card_says(pieces) == card_says([whole]) == card_says(parts)
    assert host_says(pieces) == host_says([whole]) == host_says(parts)


def test_a_flood_is_bounded():
    """A card at work keeps at most 64 KiB of what comes in."""
    card = T1Card()
    card.feed(block(i_pcb(0, more=False), b"x"))
    for _ in range(40):
        card.feed(bytes(4096))
    assert len(card._codec._buffer) == BUFFER


def test_empty_links_end():
    """A chain of empty blocks is not followed for ever, by either end."""
    host = T1Host()
    spoken(host, b"\0\xa4\0\0")
    number = 0
    for _ in range(40):
        host.feed(block(i_pcb(number, more=True)))
        number ^= 1
    assert "never comes to an end" in host.failure


def test_impossible_commands():
    """No command, or one longer than any: a failure, nothing sent."""
    for command in (b"", bytes(MAX_COMMAND + 1)):
        host = T1Host()
        assert host.start(command) == b""
        assert host.failure
