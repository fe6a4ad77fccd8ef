"""The operating system: class bytes, chaining, GET RESPONSE, lengths, several applets."""

from typing import ClassVar

import pytest

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.errors import CardError
from card.kernel.memory import Memory
from card.kernel.os import CHAIN_LIMIT, CardOS
from card.kernel.storage import MemoryStorage
from tests.card.bench import Host, cps_items, powered, vitale_items


class Toy:
    """An applet with one status bit: INS 20 sets it, INS 01 asks for it, INS 02 gives P1 × P2 bytes."""

    proprietary_classes: ClassVar[frozenset[int]] = frozenset({0x80})
    chained_instructions: ClassVar[frozenset[int]] = frozenset({0x10})

    def __init__(self, name: bytes) -> None:
        self.name, self.verified, self.saved = name, False, 0

    def owns(self, name: bytes) -> bool:
        return name == self.name

    def interrupted(self) -> None:
        pass

    def deselect(self) -> None:
        self.verified = False

    def reset(self) -> None:
        self.verified = False

    def process(self, command: CommandAPDU) -> ResponseAPDU:
        if command.ins == 0x20:
            self.verified = True
            self.saved += 1
        elif command.ins == 0x01:
            return ResponseAPDU(bytes((self.verified, self.saved)))
        elif command.ins == 0x02:
            return ResponseAPDU(bytes(command.p1 * command.p2))
        elif command.ins == 0x10:
            return ResponseAPDU(len(command.data).to_bytes(2, "big"))
        elif command.ins == 0xA4 and not self.owns(command.data):
            raise CardError(0x6A82)
        elif command.ins == 0x66:
            raise ZeroDivisionError
        return ResponseAPDU()


@pytest.fixture
def toys():
    applets = (Toy(b"first applet"), Toy(b"other applet"))
    card = CardOS(Memory.create(MemoryStorage(), {}), applets, b"\x3b\x00", max_length=2048)
    assert card.power_on() == b"\x3b\x00"
    return Host(card)


def test_selecting_another_applet_ends_the_status_of_the_first(toys):
    """After SELECT B nothing of A's status remains, and what A stores is intact (promises 2.3)."""
    toys.ok("0020000000")
    assert toys.ok("0001000002") == b"\1\1"
    toys.ok("00A404000C", b"other applet")
    assert toys.ok("0001000002") == b"\0\0"
    toys.ok("00A404000C", b"first applet")
    assert toys.ok("0001000002") == b"\0\1"


def test_a_refused_select_keeps_the_current_applet(toys):
    """An unknown name leaves status and applet as they are (positive twin: SELECT of its own name)."""
    toys.ok("0020000000")
    assert toys.sw("00A404000C", b"nobody there") == 0x6A82
    assert toys.ok("0001000002") == b"\1\1"


def test_any_fault_inside_becomes_a_status_word(toys):
    """An exception inside an applet is 6F00, and the card goes on."""
    assert toys.sw("00660000") == 0x6F00
    toys.ok("0020000000")


@pytest.mark.parametrize(
    ("cla", "sw"),
    [
        ("00", 0x9000), ("80", 0x9000), ("01", 0x6881), ("03", 0x6881), ("40", 0x6881), ("4F", 0x6881),
        ("04", 0x6882), ("0C", 0x6882), ("20", 0x6E00), ("3F", 0x6E00), ("A0", 0x6E00), ("FF", 0x6E00),
        ("10", 0x6884),
    ],
)  # fmt: skip
def test_class_bytes(toys, cla, sw):
    """Channels 6881, secure messaging 6882, reserved and foreign 6E00, chaining only where it is known."""
    assert toys.sw(cla + "200000") == sw


@pytest.mark.parametrize(
    "raw", ["", "00", "00A404", "00A404000201", "00A4040000", "0020000105 31".replace(" ", "")]
)
def test_lengths_that_do_not_add_up(toys, raw):
    """Bytes that are no APDU: 6700; a header with Le (the twin) is one."""
    assert toys.sw(raw) in ((0x6A82,) if raw == "00A4040000" else (0x6700,))


def test_le_rules(toys):
    """Exact or larger Le: data at once. Smaller in case 2: 6Cxx. None: 61xx."""
    assert len(toys.ok("0002040500")) == 20
    assert len(toys.ok("0002040514")) == 20
    assert toys.send("000204050A") == (b"", 0x6C14)
    assert toys.sw("00020405") == 0x6114
    assert len(toys.ok("00C0000014")) == 20


def test_long_answers_come_in_pieces(toys):
    """More than 256 bytes: 256 and 61xx, piece by piece to the end."""
    data, sw = toys.send("0002640700")
    assert (len(data), sw) == (256, 0x6100)
    data, sw = toys.send("00C0000000")
    assert (len(data), sw) == (256, 0x61BC)
    assert toys.sw("00C00000FF") == 0x6CBC
    assert len(toys.ok("00C00000BC")) == 188
    assert toys.sw("00C0000000") == 0x6985


def test_get_response_checks_its_header(toys):
    """P1-P2 are 0000; nothing waits after a malformed GET RESPONSE."""
    toys.send("00020405")
    assert toys.sw("00C0000100") == 0x6A86
    assert toys.sw("00C0000014") == 0x6985


def test_extended_length(toys):
    """A card that offers it takes 2048 bytes in one APDU and refuses more."""
    assert toys.ok("00100000000800", bytes(2048), "0000") == b"\x08\x00"
    assert toys.sw("00100000000801", bytes(2049), "0000") == 0x6700
    assert len(toys.ok("00026407 000000".replace(" ", ""))) == 700


def test_vitale_refuses_extended_length():
    """A Vitale does not offer extended lengths: 6700, also for tiny ones; the short twin works."""
    host = powered(vitale_items())
    assert host.sw("00A4000C0000023F00") == 0x6700
    assert host.sw("00B08200000000") == 0x6700
    host.ok("00A4000C023F00")


def test_cps_takes_extended_length():
    """A CPS takes the same SELECT in extended form."""
    host = powered(cps_items())
    host.ok("00A4000C0000023F00")
    host.ok("00A4000C023F00")


def test_chaining_collects_the_data(toys):
    """Links with CLA 10, the last one with CLA 00; the applet sees one command."""
    assert toys.chained("00100000", bytes(600)) == (b"\x02\x58", 0x9000)
    assert toys.chained("00100000", bytes(CHAIN_LIMIT)) == (b"\x10\x00", 0x9000)


def test_before_power_on_the_card_does_nothing():
    """Without power every command gives 6F00."""
    card = CardOS(Memory.create(MemoryStorage(), {}), (Toy(b"first applet"),), b"\x3b\x00")
    assert Host(card).sw("00200000") == 0x6F00
