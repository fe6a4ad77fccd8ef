"""Secret codes: VERIFY, CHANGE, RESET RETRY COUNTER; and a small model of a PIN beside the card."""

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from card.applets.assembly import assemble
from card.kernel.blueprint import image_items
from card.kernel.filesystem import DfSpec
from card.kernel.memory import Memory
from tests.card.bench import PIN_1234, PIN_9999, PUK_GOOD, Host, cps_items, powered

PIN_5678 = b"5678" + b"\xff" * 4
WRONG_PUK = b"87654321"


@pytest.fixture
def card():
    return powered(cps_items())


def test_verify_counts_down_and_restores(card):
    """63C2, 63C1, then the right PIN fills the counter again."""
    assert card.verify(PIN_9999) == 0x63C2
    assert card.verify(PIN_9999) == 0x63C1
    assert card.verify() == 0x9000
    assert card.sw("00200001") == 0x9000
    card.card.power_on()
    assert card.sw("0020000100") == 0x63C3


def test_three_wrong_ones_block(card):
    """63C0, then 6983 even for the right PIN, also after reset."""
    assert [card.verify(PIN_9999) for _ in range(4)] == [0x63C2, 0x63C1, 0x63C0, 0x6983]
    card.card.power_on()
    assert card.verify() == 0x6983
    assert card.sw("00200001") == 0x6983


def test_a_wrong_pin_ends_a_verified_status(card):
    """After a right and then a wrong PIN nothing is verified any more."""
    card.contact()
    card.ok("00A4020C02D120")
    assert card.verify() == 0x9000
    card.ok("00B0000000")
    assert card.verify(PIN_9999) == 0x63C2
    assert card.sw("00B0000000") == 0x6982


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("0020000104" + "31323334", 0x6700),
        ("0020000108" + "3132333435FFFFFF", 0x6A80),
        ("0020000108" + "31323334FFFFFF00", 0x6A80),
        ("0020000108" + "3132AA34FFFFFFFF", 0x6A80),
        ("0020010108" + "31323334FFFFFFFF", 0x6A86),
        ("0020000308" + "31323334FFFFFFFF", 0x6A88),
        ("002000020831323334FFFFFFFF", 0x6A80),
    ],
)
def test_malformed_verify_costs_no_try(card, command, sw):
    """Wrong length, padding, digits or reference: refused before the counter is touched."""
    assert card.sw(command) == sw
    assert card.sw("00200001") == 0x63C3


def test_change(card):
    """The old PIN is asked; afterwards only the new one works."""
    assert card.sw("0024000110", PIN_9999, PIN_5678) == 0x63C2
    card.ok("0024000110", PIN_1234, PIN_5678)
    assert card.verify(PIN_1234) == 0x63C2
    assert card.verify(PIN_5678) == 0x9000


def test_change_refuses_a_malformed_new_pin(card):
    """A bad new PIN is refused before the old one is compared."""
    assert card.sw("0024000110", PIN_9999, b"12345678") == 0x6A80
    assert card.sw("0024000118", PIN_1234, PIN_5678, PIN_5678) == 0x6700
    assert card.sw("0024000110", PIN_1234, b"123A\xff\xff\xff\xff") == 0x6A80
    assert card.sw("00200001") == 0x63C3


def test_puk_is_not_changed(card):
    """The rule of the PUK says change never (F3 FF ...)."""
    assert card.sw("0024000210", PUK_GOOD, WRONG_PUK) == 0x6982


@pytest.mark.parametrize("form", ["two commands", "one command", "counter only", "puk only"])
def test_unblock(card, form):
    """All four forms of RESET RETRY COUNTER bring a blocked PIN back, and leave it unverified."""
    for _ in range(3):
        card.verify(PIN_9999)
    if form in ("two commands", "counter only"):
        assert card.sw("0020000208", PUK_GOOD) == 0x9000
    command = {
        "two commands": b"\x00\x2c\x02\x01\x08" + PIN_5678,
        "one command": b"\x00\x2c\x00\x01\x10" + PUK_GOOD + PIN_5678,
        "counter only": b"\x00\x2c\x03\x01",
        "puk only": b"\x00\x2c\x01\x01\x08" + PUK_GOOD,
    }[form]
    assert card.sw(command) == 0x9000
    assert card.sw("00200001") == 0x63C3
    assert card.verify(PIN_5678 if PIN_5678 in command else PIN_1234) == 0x9000


def test_unblock_needs_the_puk(card):
    """Without PUK 6982; a wrong PUK counts its own tries; one proof serves once."""
    assert card.sw("002C020108", PIN_5678) == 0x6982
    assert card.sw("002C000110", WRONG_PUK, PIN_5678) == 0x63C9
    assert card.sw("0020000208", PUK_GOOD) == 0x9000
    card.ok("002C020108", PIN_5678)
    assert card.sw("002C020108", PIN_1234) == 0x6982
    assert card.sw("002C020208", PIN_5678) == 0x6A88


def test_puk_use_counter():
    """Each unblocking pays one use; at zero the PUK answers 6984 and unblocks nothing."""
    items = cps_items() | {"pin/02/uses": b"\0\1"}
    card = powered(items)
    card.ok("002C000110", PUK_GOOD, PIN_5678)
    assert card.sw("0020000208", PUK_GOOD) == 0x6984
    assert card.sw("002C000110", PUK_GOOD, PIN_1234) == 0x6984
    assert card.verify(PIN_5678) == 0x9000


def test_lost_counter_means_blocked():
    """An image without counter gives no tries at all."""
    items = cps_items()
    del items["pin/01/tries"]
    assert powered(items).verify() == 0x6983


def test_a_card_without_pins_says_so():
    """VERIFY on a card that has no secret code: 6A88."""
    items = image_items(_bare())
    assert powered(items).verify() == 0x6A88


def _bare():
    from card.applets.cps import ATR
    from card.kernel.blueprint import CardSpec

    return CardSpec("cps", ATR, b"", DfSpec(0x3F00))


@dataclass
class PinModel:
    """What a secret code must do, in a few lines and in other words than the card's."""

    value: bytes = PIN_1234
    wrong_in_a_row: int = 0
    verified: bool = False

    def present(self, candidate: bytes) -> int:
        self.verified = False
        if self.wrong_in_a_row == 3:
            return 0x6983
        if candidate == self.value:
            self.wrong_in_a_row, self.verified = 0, True
            return 0x9000
        self.wrong_in_a_row += 1
        return 0x63C0 | (3 - self.wrong_in_a_row)


class PinMachine(RuleBasedStateMachine):
    """The card against the model, with resets and remounts of the image at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.host = powered(cps_items())
        self.model = PinModel()

    pins = st.sampled_from([PIN_1234, PIN_5678, PIN_9999])

    @rule(pin=pins)
    def verify(self, pin):
        was_blocked = self.model.wrong_in_a_row == 3
        verified = self.model.verified
        assert self.host.verify(pin) == self.model.present(pin)
        if was_blocked:
            self.model.verified = False
            assert not verified

    @rule(old=pins, new=pins)
    def change(self, old, new):
        sw = self.model.present(old)
        assert self.host.sw("0024000110", old, new) == sw
        if sw == 0x9000:
            self.model.value = new

    @rule(new=pins)
    def unblock(self, new):
        self.host.ok("002C000110", PUK_GOOD, new)
        self.model = PinModel(new)

    @rule()
    def malformed(self):
        assert self.host.sw("0020000108", b"1234567\xff") == 0x6A80

    @rule()
    def reset(self):
        self.host.card.power_on()
        self.model.verified = False

    @rule()
    def remount(self):
        storage = self.host.card.memory._storage
        self.host = Host(assemble(Memory(storage)))
        self.host.card.power_on()
        self.model.verified = False

    @invariant()
    def status_agrees(self):
        left = 3 - self.model.wrong_in_a_row
        expected = 0x6983 if left == 0 else 0x9000 if self.model.verified else 0x63C0 | left
        assert self.host.sw("00200001") == expected

    @invariant()
    def protected_file_agrees(self):
        self.host.ok("00A4040C0DE828BD080F8025000001FF0010")
        self.host.ok("00A4020C02D120")
        assert self.host.sw("00B0000000") == (0x9000 if self.model.verified else 0x6982)


TestPinMachine = PinMachine.TestCase
TestPinMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
