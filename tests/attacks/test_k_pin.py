"""K1, K2, K3, K16: attacks on the secret code and on torn writes (promises, section 4)."""

import contextlib

import pytest

from card.kernel.memory import Memory
from card.kernel.storage import MemoryStorage
from tests.card.bench import PIN_1234, PIN_9999, cps_items, powered
from tests.card.test_card_tearing import CutStorage, PowerCut, mount

PIN_5678 = b"5678" + b"\xff" * 4


@pytest.mark.parametrize("empty", ["00200001", "0020000100"])
def test_k1_an_empty_verify_proves_nothing(empty):
    """K1 (CVE-2023-40660): VERIFY without data is a question; the protected file stays closed."""
    card = powered(cps_items()).contact()
    card.ok("00A4020C02D120")
    assert card.sw(empty) == 0x63C3
    assert card.sw("00B0000000") == 0x6982
    assert card.verify() == 0x9000
    card.ok("00B0000000")


def test_k2_cut_at_every_moment_of_a_guess():
    """K2: a guesser who pulls the card before he is counted tries at most three PINs; the holder gets in."""
    image = MemoryStorage()
    powered(cps_items(), image)
    storage, guesses = image.read(), 0
    for cut in range(1, 40):
        torn = CutStorage(storage, 1 + cut % 4, "all")
        host = mount(torn)
        with contextlib.suppress(PowerCut):
            guesses += host.verify(PIN_9999) & 0xFFF0 == 0x63C0
        storage = torn.read()
    assert guesses <= 3
    assert mount(MemoryStorage(storage)).verify() in (0x6983, 0x9000)
    assert powered(cps_items()).verify() == 0x9000


@pytest.mark.parametrize(
    ("command", "data"),
    [
        ("0024010108", PIN_5678),
        ("0024000108", PIN_5678),
        ("0024000110", b"\xff" * 8 + PIN_5678),
        ("002C020108", PIN_5678),
        ("002C030108", PIN_5678),
    ],
)
def test_k3_no_new_pin_without_the_old_one(command, data):
    """K3: no form of CHANGE or RESET sets a PIN without old PIN or PUK, not even after VERIFY."""
    for verified in (False, True):
        card = powered(cps_items())
        if verified:
            card.verify()
        assert card.sw(command, data) in (0x6A86, 0x6700, 0x6A80, 0x6982)
        card.card.power_on()
        assert card.verify(PIN_5678) == 0x63C2
        assert card.verify(PIN_1234) == 0x9000
        card.ok("0024000110", PIN_1234, PIN_5678)


def test_k16_reading_while_a_write_is_torn():
    """K16: a failed write shows the old bytes in the same session, and old or new after reset."""

    class Failing(MemoryStorage):
        failing = False

        def sync(self) -> None:
            if self.failing:
                raise OSError(5, "Input/output error")

    storage = Failing()
    card = powered(cps_items(), storage).contact()
    card.ok("00D6870003414141")
    storage.failing = True
    assert card.sw("00D6870003424242") == 0x6581
    assert card.ok("00B0870003") == b"AAA"
    storage.failing = False
    assert Memory(MemoryStorage(storage.read())).get("ias/3F00/0001/D107#")[:3] in (b"AAA", b"BBB")
    card.ok("00D6870003434343")
    assert Memory(MemoryStorage(storage.read())).get("ias/3F00/0001/D107#")[:3] == b"CCC"


def test_k16_a_try_that_cannot_be_counted_is_not_made():
    """K16: when the counter cannot be written the PIN is not compared at all, right or wrong."""

    class Full(MemoryStorage):
        full = False

        def append(self, data: bytes) -> None:
            if self.full:
                raise OSError(28, "No space left on device")
            super().append(data)

        def replace(self, data: bytes) -> None:
            if self.full:
                raise OSError(28, "No space left on device")
            super().replace(data)

    storage = Full()
    card = powered(cps_items(), storage)
    storage.full = True
    assert [card.verify(pin) for pin in (PIN_9999, PIN_1234)] == [0x6581, 0x6581]
    assert card.sw("00200001") == 0x63C3
    storage.full = False
    assert card.verify() == 0x9000
