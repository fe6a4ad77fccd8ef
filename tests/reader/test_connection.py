"""A connection turns any command into one whole answer, and cannot be held by a hostile card."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from reader.connection import MAX_ANSWER, MAX_EXCHANGES
from reader.errors import CardProtocolError, ReaderError
from reader.slot import Slot

READ = CommandAPDU(0, 0xB0, 0, 0, b"", 256)


def connected(card):
    slot = Slot("Vitale")
    slot.insert(card)
    return slot.connect()


def test_collects_what_61xx_announces(scripted):
    """Answers are put together over several GET RESPONSE, asked with the announced length."""
    card = scripted(["AA6102", "BBCC6101", "DD9000"])
    assert connected(card).transmit(READ) == ResponseAPDU(bytes.fromhex("AABBCCDD"), 0x9000)
    assert [command.hex() for command in card.commands] == ["00b0000000", "00c0000002", "00c0000001"]


def test_61xx_to_a_command_without_le(scripted):
    """A case 3 command answered 61xx gets its answer fetched (the T=0 way)."""
    card = scripted(["6103", "0102039000"])
    answer = connected(card).transmit(CommandAPDU(0, 0xA4, 4, 0, b"\xa0\x00"))
    assert answer == ResponseAPDU(b"\1\2\3", 0x9000)


@pytest.mark.parametrize(
    ("cla", "expected"), [(0x00, 0x00), (0x01, 0x01), (0x80, 0x00), (0x42, 0x42), (0x11, 0x01)]
)
def test_get_response_stays_on_the_channel(scripted, cla, expected):
    """GET RESPONSE keeps the logical channel and drops chaining and proprietary bits."""
    card = scripted(["6101", "AA9000"])
    connected(card).transmit(CommandAPDU(cla, 0xCA, 0, 0, b"", 256))
    assert card.commands[1][0] == expected


def test_a_warning_ends_the_collection(scripted):
    """The status of the last GET RESPONSE is the status of the answer."""
    assert connected(scripted(["6102", "AABB6282"])).transmit(READ) == ResponseAPDU(b"\xaa\xbb", 0x6282)


def test_corrects_the_length_once(scripted):
    """6Cxx makes the same command go again with the exact length."""
    card = scripted(["6C02", "AABB9000"])
    assert connected(card).transmit(READ) == ResponseAPDU(b"\xaa\xbb", 0x9000)
    assert card.commands[1].hex() == "00b0000002"


def test_corrects_get_response_too(scripted):
    """6Cxx on a GET RESPONSE is corrected as well."""
    assert connected(scripted(["6105", "6C02", "AABB9000"])).transmit(READ).data == b"\xaa\xbb"


@pytest.mark.parametrize("size", [255, 256, 510, 511, 1200])
def test_long_data_is_chained(scripted, size):
    """Data beyond 255 bytes goes in links of 255, all but the last with CLA b5, Le on the last only."""
    card = scripted(lambda _c: b"\x90\x00")
    data = bytes(at % 251 for at in range(size))
    connected(card).transmit(CommandAPDU(0, 0x2A, 0, 0xAE, data, 0))
    links = [CommandAPDU.parse(raw) for raw in card.commands]
    assert b"".join(link.data for link in links) == data
    assert [link.cla for link in links] == [0x10] * (len(links) - 1) + [0x00]
    assert all(len(link.data) == 255 for link in links[:-1])


def test_a_refused_link_ends_the_chain(scripted):
    """The status of a refused link is the answer and nothing more is sent."""
    card = scripted(["9000", "6884", "9000"])
    assert connected(card).transmit(CommandAPDU(0, 0x2A, 0, 0xAE, bytes(700))).sw == 0x6884
    assert len(card.commands) == 2


def test_extended_when_the_card_allows(scripted):
    """A card that takes extended lengths gets one command, and may answer more than 256 bytes at once."""
    card = scripted(lambda _c: bytes(600) + b"\x90\x00")
    connection = connected(card)
    connection.extended = True
    assert len(connection.transmit(CommandAPDU(0, 0x2A, 0, 0xAE, bytes(700), 1024)).data) == 600
    assert len(card.commands) == 1
    assert CommandAPDU.parse(card.commands[0]).ne == 1024


def test_short_card_is_asked_short(scripted):
    """Without extended lengths a large expected answer is asked as 256 and collected."""
    card = scripted(["11" * 256 + "6102", "22229000"])
    assert len(connected(card).transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 1000)).data) == 258
    assert card.commands[0].hex() == "00b0000000"


HOSTILE = {
    "61xx for ever with data": lambda _c: b"\x00\x61\x01",
    "61xx for ever with much data": lambda c: (b"" if c[1] != 0xC0 else bytes(c[-1] or 256)) + b"\x61\x00",
    "61xx for ever without data": lambda _c: b"\x61\x10",
    "6Cxx ping": lambda c: b"\x6c\x05" if c[-1] != 5 else b"\x6c\x06",
    "6Cxx same": lambda _c: b"\x6c\x05",
    "no answer at all": lambda _c: b"",
    "half a status": lambda _c: b"\x90",
    "more than asked": lambda _c: bytes(300) + b"\x90\x00",
    "a megabyte": lambda _c: bytes(1 << 20) + b"\x90\x00",
    "procedure byte as status": lambda _c: b"\x60\x00",
    "status of nowhere": lambda _c: b"\x12\x34",
    "status 7xxx": lambda _c: b"\x70\x00",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_cards_are_bounded(scripted, name):
    """Each hostile card ends in one CardProtocolError naming the slot, after few exchanges."""
    card = scripted(HOSTILE[name])
    with pytest.raises(
        CardProtocolError, match=r"^The card in the Vitale slot does not speak.*: insert it again"
    ):
        connected(card).transmit(READ)
    assert len(card.commands) <= MAX_EXCHANGES + 1


def test_no_progress_is_seen_at_once(scripted):
    """61xx followed by nothing but 61xx ends after two exchanges, not after the budget."""
    card = scripted(lambda _c: b"\x61\x10")
    with pytest.raises(CardProtocolError):
        connected(card).transmit(READ)
    assert len(card.commands) == 2


def test_memory_is_bounded_with_extended_lengths(scripted):
    """A card with extended lengths cannot make the host keep more than MAX_ANSWER and one answer."""
    card = scripted(lambda c: (bytes(60_000) if c[1] == 0xB0 else bytes(256)) + b"\x61\x00")
    connection = connected(card)
    connection.extended = True
    with pytest.raises(CardProtocolError, match="never comes to an end"):
        connection.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 65_536))
    assert len(card.commands) <= 1 + (MAX_ANSWER - 60_000) // 256 + 1


def test_the_largest_honest_answer_passes(scripted):
    """Twin of the bounds: 65,536 bytes fetched by 256 are not taken for an attack."""
    left = [MAX_ANSWER]

    def honest(command: bytes) -> bytes:
        if command[1] != 0xC0:
            return b"\x61\x00"
        left[0] -= 256
        return bytes(256) + (b"\x61\x00" if left[0] else b"\x90\x00")

    assert len(connected(scripted(honest)).transmit(READ).data) == MAX_ANSWER


@settings(max_examples=300, deadline=None)
@given(
    answers=st.lists(st.binary(max_size=260), max_size=12),
    data=st.binary(max_size=600),
    ne=st.sampled_from([0, 1, 8, 255, 256, 1000]),
)
def test_no_list_of_answers_hurts_the_host(answers, data, ne):
    """Whatever a card answers, the host has an answer or one ReaderError soon (promise A10)."""

    class Listed:
        count = 0

        def power_on(self):
            return b"\x3b\x00"

        def power_off(self):
            pass

        def transmit(self, _apdu):
            self.count += 1
            return answers[self.count - 1] if self.count <= len(answers) else b"\x6f\x00"

    card = Listed()
    try:
        answer = connected(card).transmit(CommandAPDU(0, 0xCA, 0, 0, data, ne))
    except ReaderError:
        pass
    else:
        assert answer.sw >> 8 not in (0x61, 0x6C)
        assert len(answer.data) <= MAX_ANSWER
    assert card.count <= len(answers) + 4
