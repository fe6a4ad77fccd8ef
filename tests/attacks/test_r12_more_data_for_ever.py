"""R12: 61xx for ever, 6Cxx ping-pong. ISO 7816-4:2005, 5.1.3; CVE-2025-49010 (OpenSC's GET RESPONSE overrun).

A card that always has more, or never likes a length, holds nobody: the loop ends after a bounded number of
exchanges and bytes, on every way a command can take.
"""

import pytest

from card.iso7816.apdu import CommandAPDU
from card.iso7816.contacts import TpduLink
from reader import tpdu
from reader.connection import MAX_ANSWER, MAX_EXCHANGES
from reader.errors import CardMute, CardProtocolError
from reader.galss import LadCard, Order, Report
from reader.slot import Slot
from tests.reader.byte_cards import EchoCard, pattern
from tests.reader.host_bench import card_in


class Never:
    """Says the same to everything, `data` before the status word."""

    def __init__(self, status: str, data: bytes = b"") -> None:
        self.said, self.exchanges = data + bytes.fromhex(status), 0

    def power_on(self) -> bytes:
        return b"\x3b\x00"

    def power_off(self) -> None:
        pass

    def transmit(self, apdu: bytes) -> bytes:
        self.exchanges += 1
        return self.said


def connected(card) -> object:
    slot = Slot("CPS")
    slot.insert(card)
    return slot.connect()


COMMANDS = [
    CommandAPDU(0, 0xB0, 0, 0, b"", 256),
    CommandAPDU(0, 0x88, 0, 0, b"\1\2", 256),
    CommandAPDU(0, 0x2A, 0x80, 0x86, bytes(600), 256),
]


@pytest.mark.parametrize("command", COMMANDS, ids=["case 2", "case 4", "chain"])
@pytest.mark.parametrize(
    ("status", "size"),
    [("6100", 0), ("6101", 0), ("6101", 1), ("6110", 16), ("61FF", 255), ("6100", 256), ("61FF", 1)],
)
def test_r12_more_data_for_ever(command, status, size):
    """61xx to everything, with no, few or all bytes: refused after a bounded number of exchanges."""
    card = Never(status, bytes(size))
    try:
        answer = connected(card).transmit(command)
    except CardProtocolError as refusal:
        assert "CPS slot" in str(refusal)
    else:
        assert answer.sw >> 8 == 0x61  # a link of a chain that is not answered by 9000 ends the command
        assert command.data[:1] == b"\0"
    assert card.exchanges <= MAX_EXCHANGES + 5


@pytest.mark.parametrize("command", COMMANDS[:2], ids=["case 2", "case 4"])
@pytest.mark.parametrize("status", ["6C00", "6C01", "6CFF", "6C10"])
def test_r12_lengths_are_corrected_once(command, status):
    """6Cxx to everything: one correction, then refused."""
    card = Never(status)
    with pytest.raises(CardProtocolError, match="refuses the length it asked for"):
        connected(card).transmit(command)
    assert card.exchanges == 2


class PingPong(Never):
    """61xx and 6Cxx by turns."""

    def transmit(self, apdu: bytes) -> bytes:
        self.exchanges += 1
        return b"\x61\x05" if self.exchanges % 2 else b"\x6c\x04"


def test_r12_by_turns():
    """61xx, then 6Cxx, then 61xx, …: nothing is ever given; refused soon."""
    card = PingPong("9000")
    with pytest.raises(CardProtocolError):
        connected(card).transmit(COMMANDS[0])
    assert card.exchanges <= 20


class Honest(Never):
    """Gives `total` bytes in pieces of at most `piece`, by 61xx."""

    def __init__(self, total: int, piece: int) -> None:
        super().__init__("9000")
        self.left, self.piece, self.whole = pattern(total), piece, pattern(total)

    def transmit(self, apdu: bytes) -> bytes:
        self.exchanges += 1
        size = min(self.piece, apdu[-1] or 256)
        data, self.left = self.left[:size], self.left[size:]
        more = min(256, len(self.left)) & 0xFF
        return data + (bytes((0x61, more)) if self.left else b"\x90\x00")


@pytest.mark.parametrize(("total", "piece"), [(1, 256), (257, 256), (4000, 255), (65_000, 256), (2000, 32)])
def test_r12_twin_a_long_answer_comes_whole(total, piece):
    """Twin: answers of up to 64 KiB, in pieces of 32 bytes and more, are collected to the last byte."""
    card = Honest(total, piece)
    assert connected(card).transmit(COMMANDS[0]).data == card.whole
    assert total <= MAX_ANSWER


def test_r12_at_the_tpdu_level():
    """`tpdu.transmit`: GET RESPONSE with one correction; a card that refuses its own length: OSError."""
    asked: list[bytes] = []

    def exchange(command: bytes, _outgoing: bool) -> bytes:
        asked.append(command)
        return b"\x61\x10" if command[1] == 0x88 else b"\x6c\x10"

    with pytest.raises(OSError, match="refuses the length"):
        tpdu.transmit(bytes.fromhex("00880000011100"), exchange)
    assert len(asked) == 3


@pytest.mark.parametrize("status", ["6101", "6C01", "6100"])
def test_r12_in_a_lad(status):
    """GALSS: the same behind LAD commands: a bounded number of questions."""
    asked: list[bytes] = []

    def exchange(order: Order, question: bytes) -> bytes:
        asked.append(question)
        said = "3B00" if order == Order.POWER_ON else status
        return bytes((Report.DONE, 3, 1)) + bytes.fromhex(said)

    card = LadCard(exchange, 1, 1, lambda: None)
    slot = Slot("CPS")
    slot.insert(card)
    connection = slot.connect()
    for command in COMMANDS[:2]:
        with pytest.raises((CardProtocolError, CardMute), match="CPS slot"):
            connection.transmit(command)
        connection = slot.connect()
    assert len(asked) < 50


@pytest.mark.parametrize("status", ["6101", "6C01"])
def test_r12_through_an_emulated_reader(status):
    """Through CCID and T=0 with our own machines: the same bounds, then another card works (twin)."""
    never = Never(status)
    card, _ask = card_in(never)
    with pytest.raises(CardProtocolError):
        connected(card).transmit(COMMANDS[0])
    assert never.exchanges <= 20
    card, _ask = card_in(EchoCard())
    assert connected(card).transmit(COMMANDS[1]).data == b"\1\2"


def test_r12_a_t0_card_that_gives_more_than_was_asked():
    """At the contacts: an answer longer than P3 never reaches the host as data: 6F00 stands in its place."""
    link = TpduLink(Never("9000", bytes(100)))
    link.power_on()
    assert link.exchange(bytes.fromhex("00B0000004")) == b"\x6f\x00"
    assert link.exchange(bytes.fromhex("00B0000064")) == bytes(100) + b"\x90\x00"
