"""K2: power cut during VERIFY to get tries back (promise A5; Trezor's storage counts before it compares).

Order on the card: count, commit, compare, mark. Whoever pulls the card at any write, in any state of the
disk, again while the card recovers, compares at most three times; the honest holder still gets in.
"""

import contextlib
import itertools

import pytest

from card.kernel.storage import MemoryStorage
from tests.card.bench import PIN_1234, PIN_9999, PUK_GOOD, cps_items, powered
from tests.card.test_card_tearing import (
    BEHAVIOURS,
    CHANGE_WRONG,
    PIN_COMMANDS,
    UNBLOCK,
    VERIFY_RIGHT,
    VERIFY_WRONG,
    CutStorage,
    PowerCut,
    cuts,
    mount,
    tries,
    values,
)

PIN_5678 = b"5678" + b"\xff" * 4
VERIFY_PUK_WRONG = b"\x00\x20\x00\x02\x08" + b"00000000"
UNBLOCK_WRONG = b"\x00\x2c\x00\x01\x10" + b"00000000" + PIN_5678


def small(left: int = 3) -> bytes:
    """A card image with the PINs and what a card cannot mount without."""
    kept = {
        key: value
        for key, value in cps_items().items()
        if not key.startswith(("key/", "ias/3F00/", "2ter", "object"))
    }
    storage = MemoryStorage()
    powered(kept | {"pin/01/tries": bytes((left,))}, storage)
    return storage.read()


def uses(image: bytes) -> int:
    return int.from_bytes(values(image)["pin/02/uses"], "big")


def puk_tries(image: bytes) -> int:
    return values(image)["pin/02/tries"][0]


def test_k02_cut_at_every_moment_of_a_guess():
    """A guesser who pulls the card before he is counted tries at most three PINs; the holder gets in."""
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


@pytest.mark.parametrize("left", [1, 2, 3])
@pytest.mark.parametrize("command", [VERIFY_WRONG, CHANGE_WRONG], ids=["verify", "change"])
def test_k02_the_counter_never_rises_at_depth_two(left, command):
    """Cut at every write in every behaviour, then again during the next command: never above the start."""
    for torn in cuts(small(left), lambda host: host.send(command)):
        after = tries(torn)
        assert after in (left, left - 1)
        for again in cuts(torn, lambda host: host.send(command)):
            assert tries(again) in ({after, after - 1} if after else {0})


def test_k02_no_comparison_without_a_try_paid_on_disk(monkeypatch):
    """Whenever the comparison ran, the disk had already said so, whatever was torn after it."""
    import hmac as real

    compared: list[int] = []
    storage = CutStorage(b"")

    class Watching:
        @staticmethod
        def compare_digest(one: bytes, other: bytes) -> bool:
            compared.append(tries(storage.read()))
            return real.compare_digest(one, other)

    monkeypatch.setattr("card.kernel.pin.hmac", Watching)
    image = small()
    whole = CutStorage(image)
    storage = whole
    mount(whole).send(VERIFY_WRONG)
    seen = list(compared)
    for cut, behaviour in itertools.product(range(1, whole.calls + 1), BEHAVIOURS):
        storage = CutStorage(image, cut, behaviour)
        with pytest.raises(PowerCut):
            mount(storage).send(VERIFY_WRONG)
        seen += compared[len(seen) :]
    assert seen
    assert set(seen) == {2}


@pytest.mark.parametrize("command", [VERIFY_PUK_WRONG, UNBLOCK_WRONG], ids=["verify", "unblock"])
def test_k02_the_puk_is_counted_the_same_way(command):
    """The unblocking code pays before it is compared too, and a wrong one changes no PIN."""
    for torn in cuts(small(), lambda host: host.send(command)):
        assert puk_tries(torn) in (9, 10)
        assert values(torn)["pin/01"] == PIN_1234
        for again in cuts(torn, lambda host: host.send(command)):
            assert puk_tries(again) in (puk_tries(torn), puk_tries(torn) - 1)


def test_k02_a_blocked_pin_is_opened_by_the_puk_only():
    """Blocked: cuts in VERIFY and CHANGE at depth two leave it blocked; a cut unblocking has paid its use."""
    blocked = small(0)
    for command in (VERIFY_WRONG, VERIFY_RIGHT, CHANGE_WRONG):
        whole = CutStorage(blocked)
        assert mount(whole).send(command)[1] == 0x6983
        assert whole.calls == 0  # nothing is written, so there is nothing to tear
    for torn in cuts(blocked, lambda host: host.send(UNBLOCK)):
        assert tries(torn) == 0 or uses(torn) == 99
        for again in cuts(torn, lambda host: host.send(UNBLOCK)):
            assert tries(again) == 0 or uses(again) < 100
    assert mount(MemoryStorage(blocked)).send(UNBLOCK)[1] == 0x9000


def test_k02_the_holder_gets_in_after_any_cut():
    """Twin: after any cut of any PIN command the PUK still helps, and the PIN that then stands opens."""
    for command in PIN_COMMANDS:
        for torn in cuts(small(), lambda host, command=command: host.send(command)):
            host = mount(MemoryStorage(torn))
            assert host.sw("002C000110", PUK_GOOD, PIN_5678) == 0x9000
            assert host.verify(PIN_5678) == 0x9000


def test_k02_right_pin_with_one_try_left_survives_its_own_cut():
    """Twin: with one try left, the right PIN cut at any write: never a free try, and it still opens."""
    for torn in cuts(small(1), lambda host: host.send(VERIFY_RIGHT)):
        assert tries(torn) in (0, 1, 3)
        host = mount(MemoryStorage(torn))
        assert host.verify() == (0x9000 if tries(torn) else 0x6983)
