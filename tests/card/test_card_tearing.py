"""Power cut at every write of the storage (promises A5 and A6, attacks K2 and K16).

The bench counts the storage calls of a scenario, then replays it with a cut at each of them, in
several behaviours: nothing of the write arrives, half of it, all of it, garbage in its place.
"""

import itertools
from collections.abc import Callable, Iterator

import pytest

from card.applets.assembly import assemble
from card.kernel.memory import Memory
from card.kernel.storage import MemoryStorage
from tests.card.bench import PIN_1234, PIN_9999, PUK_GOOD, Host, cps_items, powered

PIN_5678 = b"5678" + b"\xff" * 4
BEHAVIOURS = ("nothing", "half", "all", "garbage")


class PowerCut(BaseException):
    """The card is out of the reader; no code of the card may catch this."""


class CutStorage(MemoryStorage):
    """Dies at the `cut`-th call. What was appended and not synced may be torn."""

    def __init__(self, initial: bytes, cut: int = 0, behaviour: str = "nothing") -> None:
        super().__init__(initial)
        self.left, self.behaviour, self.calls = cut, behaviour, 0

    def append(self, data: bytes) -> None:
        super().append(self._pass(data))
        self._die()

    def replace(self, data: bytes) -> None:
        self._pass(data)
        if self.left != -1 or self.behaviour == "all":
            super().replace(data)
        self._die()

    def sync(self) -> None:
        self._pass(b"")
        self._die()

    def _pass(self, data: bytes) -> bytes:
        self.calls += 1
        if self.left == 0:
            return data
        self.left -= 1
        if self.left:
            return data
        self.left = -1
        return {
            "nothing": b"",
            "half": data[: len(data) // 2],
            "all": data,
            "garbage": bytes(byte ^ 0x5A for byte in data),
        }[self.behaviour]

    def _die(self) -> None:
        if self.left == -1:
            raise PowerCut


def mount(storage: MemoryStorage) -> Host:
    """Put the card back into the reader."""
    card = assemble(Memory(storage))
    card.power_on()
    return Host(card)


def cuts(image: bytes, scenario: Callable[[Host], object]) -> Iterator[bytes]:
    """The image left behind by a cut at every storage call of the scenario, in every behaviour."""
    whole = CutStorage(image)
    scenario(mount(whole))
    for cut, behaviour in itertools.product(range(1, whole.calls + 1), BEHAVIOURS):
        storage = CutStorage(image, cut, behaviour)
        with pytest.raises(PowerCut):
            scenario(mount(storage))
        yield storage.read()


def image_of(items: dict[str, bytes], *commands: bytes) -> bytes:
    storage = MemoryStorage()
    host = powered(items, storage)
    for command in commands:
        host.send(command)
    return storage.read()


def values(image: bytes) -> dict[str, bytes]:
    memory = Memory(MemoryStorage(image))
    return {key: memory.get(key) or b"" for key in memory.keys("")}


def tries(image: bytes) -> int:
    return values(image)["pin/01/tries"][0]


VERIFY_WRONG = b"\x00\x20\x00\x01\x08" + PIN_9999
VERIFY_RIGHT = b"\x00\x20\x00\x01\x08" + PIN_1234
CHANGE = b"\x00\x24\x00\x01\x10" + PIN_1234 + PIN_5678
CHANGE_WRONG = b"\x00\x24\x00\x01\x10" + PIN_9999 + PIN_5678
UNBLOCK = b"\x00\x2c\x00\x01\x10" + PUK_GOOD + PIN_5678
PIN_COMMANDS = (VERIFY_WRONG, VERIFY_RIGHT, CHANGE, CHANGE_WRONG, UNBLOCK)


def in_contact(*commands: str) -> Callable[[Host], object]:
    def run(host: Host) -> None:
        host.contact()
        for command in commands:
            host.ok(command)

    return run


OPERATIONAL = {
    "update binary": in_contact("00D6870003AABBCC"),
    "update record": in_contact("00DC02140A" + "41" * 10),
    "append linear": in_contact("00E200100A" + "42" * 10),
    "append cyclic": in_contact("00E200180A" + "43" * 10),
    "two updates": in_contact("00D6870001AA", "00D6870001BB"),
    "verify": lambda host: host.ok(VERIFY_RIGHT),
    "change": lambda host: host.ok(CHANGE),
    "unblock": lambda host: host.ok(UNBLOCK),
}
PERSONALISATION = {
    "create": in_contact("00E0000011620F8002000A8201018302D3008C020100"),
    "delete": in_contact("00E4000002D107"),
    "deactivate": in_contact("00A4020C02D107", "00040000"),
    "put pin": lambda host: host.ok("00DB3FFF16", "7014BF8101107F410D8001048208", PIN_5678),
    "make operational": lambda host: host.ok("00440000"),
}


def steps(image: bytes, scenario: Callable[[Host], object]) -> list[dict[str, bytes]]:
    """Every state the scenario passes through when nothing fails."""
    seen = [values(image)]
    storage = MemoryStorage(image)
    host = mount(storage)
    real = host.card.transmit

    def watched(apdu: bytes) -> bytes:
        answer = real(apdu)
        seen.append(values(storage.read()))
        return answer

    host.card.transmit = watched
    scenario(host)
    return seen


@pytest.mark.parametrize("name", [*OPERATIONAL, *PERSONALISATION])
def test_image_is_always_old_or_new(name):
    """After a cut anywhere the image opens, and each command is whole or absent, tries apart."""
    scenario = OPERATIONAL.get(name) or PERSONALISATION[name]
    image = image_of(cps_items(operational=name in OPERATIONAL))
    allowed = [
        {k: v for k, v in state.items() if not k.endswith(("tries", "uses"))}
        for state in steps(image, scenario)
    ]
    for torn in cuts(image, scenario):
        found = {k: v for k, v in values(torn).items() if not k.endswith(("tries", "uses"))}
        assert found in allowed
        assert mount(MemoryStorage(torn)).sw("00A40004023F0000") == 0x9000


def test_depth_two_cut_while_recovering():
    """A cut during the first write after a cut: still old or new (littlefs, depth 2)."""
    update = OPERATIONAL["update binary"]
    image = image_of(cps_items())
    key = "ias/3F00/0001/D107#"
    for torn in cuts(image, update):
        for again in cuts(torn, update):
            assert values(again)[key][:3] in (bytes(3), bytes.fromhex("AABBCC"))


@pytest.mark.parametrize("left", [1, 2, 3])
def test_a_cut_never_gives_a_try_back(left):
    """Wrong PIN, cut at every write: the counter is never higher than before, and lower once compared."""
    items = cps_items() | {"pin/01/tries": bytes((left,))}
    for command in (VERIFY_WRONG, CHANGE_WRONG):
        for torn in cuts(image_of(items), lambda host, command=command: host.send(command)):
            assert tries(torn) in (left, left - 1)


def test_a_cut_after_the_right_pin_costs_at_most_one_try():
    """The honest holder whose card is torn out loses one try at most (positive twin)."""
    for torn in cuts(image_of(cps_items()), lambda host: host.send(VERIFY_RIGHT)):
        assert tries(torn) in (2, 3)
        assert mount(MemoryStorage(torn)).verify() == 0x9000


def comparisons(image: bytes, fruitless: int, made: list[int], total: int = 0) -> int:
    """The most wrong comparisons an attacker gets who chooses commands and cuts as he likes.

    fruitless: how many cuts without a comparison he may still spend. Stops at 4: promise broken.
    """
    best = total
    for command in (VERIFY_WRONG, CHANGE_WRONG):
        for left_behind, compared in branches(image, command, made):
            if best > 3 or not (compared or fruitless):
                continue
            spent = 0 if compared else 1
            best = max(best, comparisons(left_behind, fruitless - spent, made, total + compared))
    return best


def branches(image: bytes, command: bytes, made: list[int]) -> set[tuple[bytes, int]]:
    """All (image, comparisons) one command can lead to: undisturbed, or cut anywhere."""
    whole = CutStorage(image)
    made[0] = 0
    mount(whole).send(command)
    found = {(whole.read(), made[0])}
    for cut, behaviour in itertools.product(range(1, whole.calls + 1), ("nothing", "all")):
        storage = CutStorage(image, cut, behaviour)
        made[0] = 0
        with pytest.raises(PowerCut):
            mount(storage).send(command)
        found.add((storage.read(), made[0]))
    return found


def test_attacker_never_gets_more_than_three_comparisons(monkeypatch):
    """Every choice of commands and cuts, two of them fruitless (depth 2): three comparisons, never four."""
    import hmac as real

    made = [0]

    def counting(a: bytes, b: bytes) -> bool:
        made[0] += 1
        return real.compare_digest(a, b)

    class Counting:
        compare_digest = staticmethod(counting)

    monkeypatch.setattr("card.kernel.pin.hmac", Counting)
    small = {
        k: v for k, v in cps_items().items() if not k.startswith(("key/", "ias/3F00/", "2ter", "object"))
    }
    assert comparisons(image_of(small), 2, made) == 3


@pytest.mark.parametrize("command", PIN_COMMANDS)
def test_unblock_and_change_are_whole(command):
    """After any cut exactly one of the old and the new PIN opens the card, or the PUK still helps."""
    for torn in cuts(image_of(cps_items()), lambda host: host.send(command)):
        state = values(torn)
        assert state["pin/01"] in (PIN_1234, PIN_5678)
        host = mount(MemoryStorage(torn))
        assert host.sw("002C000110", PUK_GOOD, PIN_5678) == 0x9000
        assert host.verify(PIN_5678) == 0x9000


def test_unblocking_use_is_paid_before_it_is_had():
    """A cut never unblocks without paying: uses fall by one at least when the PIN changed."""
    blocked = cps_items() | {"pin/01/tries": b"\0"}
    for torn in cuts(image_of(blocked), lambda host: host.send(UNBLOCK)):
        state = values(torn)
        paid = int.from_bytes(state["pin/02/uses"], "big") == 99
        assert paid or state["pin/01/tries"] == b"\0"


def test_signature_counter_never_falls_behind():
    """However often the power goes, the counter says at least the signatures made (promise B15)."""
    image = image_of(cps_items())
    made = 0
    for _ in range(3):
        storage = MemoryStorage(image)
        host = mount(storage).contact()
        host.verify()
        host.ok("002241B606800142840181")
        for _ in range(5):
            host.ok("002A9E9A20", bytes(32), "00")
            made += 1
        assert int.from_bytes(host.ok("00CA018100"), "big") >= made
        image = storage.read()
