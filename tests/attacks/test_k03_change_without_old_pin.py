"""K3: a new PIN without the old one. ISO 7816-4:2005, 7.5.7 and 7.5.10 (CHANGE REFERENCE DATA P1 01 "first
code", RESET RETRY COUNTER P1 02 and 03) know forms without proof; this card has none of them.
"""

import itertools

import pytest

from card.kernel.storage import MemoryStorage
from tests.card.bench import PIN_1234, PIN_9999, PUK_GOOD, cps_items, powered
from tests.card.test_card_tearing import CutStorage, PowerCut, mount, values

PIN_5678 = b"5678" + b"\xff" * 4


def fresh(card):
    """The old PIN still opens the card, the new one does not."""
    card.card.power_on()
    assert card.verify(PIN_5678) == 0x63C2
    assert card.verify(PIN_1234) == 0x9000


@pytest.mark.parametrize(
    ("command", "data"),
    [
        ("0024010108", PIN_5678),
        ("0024000108", PIN_5678),
        ("0024000110", b"\xff" * 8 + PIN_5678),
        ("0024000110", bytes(8) + PIN_5678),
        ("0024000118", PIN_1234 + PIN_1234 + PIN_5678),
        ("002400010C", b"1234" + PIN_5678),
        ("0024000210", PUK_GOOD + b"87654321"),
        ("002C020108", PIN_5678),
        ("002C030108", PIN_5678),
        ("002C0001", b""),
        ("002C0301", b""),
        ("002C010108", PIN_1234),
        ("002C000110", PIN_1234 + PIN_5678),
        ("002C000210", PUK_GOOD + b"87654321"),
    ],
)
def test_k03_no_new_pin_without_the_old_one(command, data):
    """No form of CHANGE or RESET sets a PIN without old PIN or PUK, not even after VERIFY."""
    for verified in (False, True):
        card = powered(cps_items())
        if verified:
            card.verify()
        assert card.sw(command, data) in (0x6A86, 0x6700, 0x6A80, 0x6982, 0x6A88)
        fresh(card)
        card.ok("0024000110", PIN_1234, PIN_5678)


@pytest.mark.parametrize("p1", [p1 for p1 in range(256) if p1])
def test_k03_no_parameter_opens_a_side_door(p1):
    """CHANGE has P1 00 only, with one or two codes."""
    card = powered(cps_items())
    card.verify()
    assert card.sw("0024", bytes((p1, 1, 8)), PIN_5678) == 0x6A86
    assert card.sw("0024", bytes((p1, 1, 16)), PIN_1234, PIN_5678) == 0x6A86
    fresh(card)


def test_k03_a_wrong_old_pin_costs_a_try_and_the_status():
    """CHANGE is no way to guess for free: three wrong old PINs block, and a former VERIFY is forgotten."""
    card = powered(cps_items())
    card.verify()
    assert card.sw("0024000110", PIN_9999, PIN_5678) == 0x63C2
    assert card.sw("00200001") == 0x63C2
    assert card.sw("0024000110", PIN_9999, PIN_5678) == 0x63C1
    assert card.sw("0024000110", PIN_9999, PIN_5678) == 0x63C0
    assert card.sw("0024000110", PIN_1234, PIN_5678) == 0x6983
    assert card.sw("002C000110", PUK_GOOD, PIN_5678) == 0x9000
    assert card.verify(PIN_5678) == 0x9000


def test_k03_one_proof_of_the_puk_serves_once():
    """A verified PUK sets one new PIN (twin) and nothing more: the second needs the PUK again."""
    card = powered(cps_items())
    card.ok("0020000208", PUK_GOOD)
    card.ok("002C020108", PIN_5678)
    assert card.sw("002C020108", PIN_9999) == 0x6982
    assert card.sw("002C0301") == 0x6982
    assert card.sw("00200001") == 0x63C3  # unblocking is no login
    assert card.verify(PIN_5678) == 0x9000


def test_k03_a_malformed_new_pin_costs_nothing():
    """The new code is checked before the old one is compared: 6A80, three tries left, old PIN in place."""
    card = powered(cps_items())
    for bad in (b"123" + b"\xff" * 5, b"12345678", b"12A4" + b"\xff" * 4, b"1234" + bytes(4)):
        assert card.sw("0024000110", PIN_1234, bad) == 0x6A80
        assert card.sw("002C000110", PUK_GOOD, bad) == 0x6A80
        assert card.sw("00200001") == 0x63C3
    fresh(card)


@pytest.mark.parametrize("old", [PIN_1234, PIN_9999], ids=["right", "wrong"])
def test_k03_torn_change_never_sets_a_pin_it_should_not(old):
    """Cut at every write: the new PIN stands only when the old one was right; never a third value."""
    storage = MemoryStorage()
    powered(cps_items(), storage)
    image, command = storage.read(), b"\x00\x24\x00\x01\x10" + old + PIN_5678
    whole = CutStorage(image)
    mount(whole).send(command)
    found = set()
    for cut, behaviour in itertools.product(range(1, whole.calls + 1), ("nothing", "half", "all", "garbage")):
        torn = CutStorage(image, cut, behaviour)
        with pytest.raises(PowerCut):
            mount(torn).send(command)
        found.add(values(torn.read())["pin/01"])
    assert found == ({PIN_1234, PIN_5678} if old == PIN_1234 else {PIN_1234})
