"""K16: READ while a transaction is torn. Hubbers and Poll on Java Card transactions; Pillai et al., "All File
Systems Are Not Created Equal" (OSDI 2014); littlefs and SQLite test the same way.

A write that failed shows the old bytes in the same session, old or new after reset, never a mixture; the
counter that could not be written means no comparison.
"""

import errno
import itertools

import pytest

from card.kernel.memory import Memory
from card.kernel.storage import FileStorage, MemoryStorage
from tests.card.bench import PIN_1234, PIN_9999, cps_items, powered
from tests.card.test_card_tearing import BEHAVIOURS, CutStorage, PowerCut, mount, values

DATA = "ias/3F00/0001/D107#"
NAMES = {1: "EIO", 28: "ENOSPC", 122: "EDQUOT"}


class Sick(MemoryStorage):
    """Fails the k-th call from now with OSError, once or for good, after a part of the bytes has arrived."""

    def __init__(self, initial: bytes = b"") -> None:
        super().__init__(initial)
        self.at, self.lasting, self.part, self.calls = 0, False, 0.0, 0

    def fail(self, at: int, part: float = 0.0, *, lasting: bool = False) -> None:
        self.at, self.part, self.lasting = at, part, lasting

    def heal(self) -> None:
        self.at = 0

    def _sick(self) -> bool:
        self.calls += 1
        if not self.at:
            return False
        self.at -= 1
        if self.at:
            return False
        self.at = int(self.lasting)
        return True

    def append(self, data: bytes) -> None:
        if self._sick():
            super().append(data[: int(len(data) * self.part)])
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(data)

    def replace(self, data: bytes) -> None:
        if self._sick():
            raise OSError(errno.EIO, "Input/output error")
        super().replace(data)

    def sync(self) -> None:
        if self._sick():
            raise OSError(errno.EIO, "Input/output error")


def disk(storage: MemoryStorage) -> bytes:
    return values(storage.read())[DATA][:3]


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_k16_reading_while_a_write_is_torn(at, part):
    """Each call of a write fails: 6581, old bytes in this session, old or new on the disk; it heals."""
    storage = Sick()
    card = powered(cps_items(), storage).contact()
    card.ok("00D6870003414141")
    storage.fail(at, part)
    assert card.sw("00D6870003424242") == 0x6581
    assert card.ok("00B0870003") == b"AAA"
    assert disk(storage) in (b"AAA", b"BBB")
    assert mount(MemoryStorage(storage.read())).contact().ok("00B0870003") == disk(storage)
    card.ok("00D6870003434343")
    assert disk(storage) == b"CCC"
    assert card.ok("00B0870003") == b"CCC"


def test_k16_a_disk_that_stays_sick():
    """Every write fails from now on: all refused, all reads as before, the image opens."""
    storage = Sick()
    card = powered(cps_items(), storage).contact()
    card.ok("00D6870003414141")
    storage.fail(1, 0.3, lasting=True)
    for _ in range(20):
        assert card.sw("00D6870003424242") == 0x6581
        assert card.sw("00E200180A" + "43" * 10) == 0x6581
        assert card.ok("00B0870003") == b"AAA"
        assert card.ok("00B2011C00") == b"1" * 10
    assert disk(storage) == b"AAA"
    storage.heal()
    card.ok("00D6870003424242")
    assert disk(storage) == b"BBB"


@pytest.mark.parametrize(
    ("command", "read", "old", "new"),
    [
        ("00D6870003424242", "00B0870003", b"\0\0\0", b"BBB"),
        ("00DC02140A" + "42" * 10, "00B2021400", b"B" * 10, b"B" * 10),
        ("00DC01140A" + "43" * 10, "00B2011400", b"A" * 10, b"C" * 10),
        ("00E200180A" + "44" * 10, "00B2011C00", b"1" * 10, b"D" * 10),
    ],
)
def test_k16_every_write_cut_at_every_moment_reads_old_or_new(command, read, old, new):
    """Binary, record and cyclic writes, cut at every call in every behaviour, and again while recovering."""
    storage = MemoryStorage()
    powered(cps_items(), storage)
    image = storage.read()
    whole = CutStorage(image)
    mount(whole).contact().ok(command)
    assert mount(MemoryStorage(whole.read())).contact().ok(read) == new
    for cut, behaviour in itertools.product(range(1, whole.calls + 1), BEHAVIOURS):
        torn = CutStorage(image, cut, behaviour)
        with pytest.raises(PowerCut):
            mount(torn).contact().ok(command)
        seen = mount(MemoryStorage(torn.read())).contact().ok(read)
        assert seen in (old, new)
        again = CutStorage(torn.read(), 1, behaviour)
        with pytest.raises(PowerCut):
            mount(again).contact().ok(command)
        assert mount(MemoryStorage(again.read())).contact().ok(read) in (seen, new)


def test_k16_a_torn_cyclic_write_never_shows_half_a_turn():
    """The whole cyclic file is old or new: no record twice, none lost."""
    storage = MemoryStorage()
    host = powered(cps_items(), storage).contact()
    for letter in b"abc":
        host.ok("00E200180A", bytes((letter,)) * 10)
    image = storage.read()
    states = {b"c" * 10 + b"b" * 10 + b"a" * 10, b"d" * 10 + b"c" * 10 + b"b" * 10}
    seen = set()
    for cut, behaviour in itertools.product(range(1, 5), BEHAVIOURS):
        torn = CutStorage(image, cut, behaviour)
        with pytest.raises(PowerCut):
            mount(torn).contact().ok("00E200180A", b"d" * 10)
        seen.add(mount(MemoryStorage(torn.read())).contact().ok("00B2011D00"))
    assert seen == states


def test_k16_a_second_reader_of_the_image_sees_old_or_new(tmp_path):
    """Another program that opens the file between any two writes of the first one never sees a mixture."""
    path, seen = tmp_path / "card.img", set()

    class Watched(FileStorage):
        def append(self, data: bytes) -> None:
            super().append(data)
            seen.add((Memory(FileStorage(path)).get(DATA) or b"")[:3])

        def sync(self) -> None:
            super().sync()
            seen.add((Memory(FileStorage(path)).get(DATA) or b"")[:3])

    card = powered(cps_items(), Watched(path)).contact()
    for letters in (b"AAA", b"BBB", b"CCC"):
        card.ok("00D6870003", letters)
    assert seen == {b"\0\0\0", b"AAA", b"BBB", b"CCC"}


def test_k16_a_try_that_cannot_be_counted_is_not_made():
    """When the counter cannot be written the PIN is not compared at all, right or wrong."""
    storage = Sick()
    card = powered(cps_items(), storage)
    storage.fail(1, lasting=True)
    assert [card.verify(pin) for pin in (PIN_9999, PIN_1234)] == [0x6581, 0x6581]
    assert card.sw("00200001") == 0x63C3
    storage.heal()
    assert card.verify() == 0x9000


@pytest.mark.parametrize("at", range(1, 9))
def test_k16_a_sick_disk_gives_no_status_and_no_free_try(at):
    """The right PIN with the k-th call failing: verified only with 9000; a wrong one never free."""
    storage = Sick()
    card = powered(cps_items(), storage)
    storage.fail(at)
    sw = card.verify()
    assert sw in (0x9000, 0x6581)
    assert (card.sw("00200001") == 0x9000) == (sw == 0x9000)
    storage = Sick()
    card = powered(cps_items(), storage)
    storage.fail(at)
    assert (card.verify(PIN_9999), values(storage.read())["pin/01/tries"]) in (
        (0x63C2, b"\2"),
        (0x6581, b"\2"),
        (0x6581, b"\3"),
    )
