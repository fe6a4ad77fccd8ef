"""The card is pulled out of an emulated reader in the middle of a PIN command (promises A5 and A6).

After every byte of the frame, at every write of the card, during a PIN entry on the keypad: no counter rises
but by a right PIN or PUK, the image opens, and the reader serves the card put back.
"""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest

from card.applets.assembly import assemble
from card.iso7816.contacts import TpduLink
from card.kernel.memory import Memory
from card.kernel.storage import MemoryStorage
from reader.ccid.events import Send
from reader.ccid.frames import power_on, secure, transfer
from reader.pinpad import CANCELLED, Digits, Entered, PinEntry
from reader.serial.gempc import VARIANTS, GemPcDevice, framed
from tests.card.test_card_tearing import BEHAVIOURS, CutStorage, PowerCut
from tests.reader.test_contacts_power_cut import RIGHT, WRONG, counters, image

SLOT = 0


def reader(storage: MemoryStorage, variant: str = "gempcpinpad") -> GemPcDevice:
    """The reader with the card in it, under power."""
    device = GemPcDevice(VARIANTS[variant])
    put_in(device, storage)
    return device


def put_in(device: GemPcDevice, storage: MemoryStorage) -> None:
    device.insert(SLOT, TpduLink(assemble(Memory(storage))))
    device.feed(framed(power_on(SLOT, 0).to_bytes()))


def status(device: GemPcDevice, command: bytes) -> bytes:
    """The status word that a host sees."""
    events = device.feed(framed(transfer(SLOT, 1, command).to_bytes()))
    return [event.data for event in events if isinstance(event, Send)][-1][-3:-1]


def modify() -> bytes:
    """A change of the PIN on the keypad: old and new in one template of 16 bytes."""
    template = bytes.fromhex("0024000110") + b"\xff" * 16
    three = {"messages": (0, 1, 2), "message_count": 3}
    return PinEntry("modify", template, block_string=0x08, maximum=4, new_offset=8, **three).to_ccid()


@pytest.mark.parametrize("name", WRONG)
def test_pulled_after_every_byte_of_the_frame(name):
    """The frame of a wrong command, pulled after n bytes, the rest sent: the next card hears nothing."""
    start = image()
    frame = framed(transfer(SLOT, 5, WRONG[name]).to_bytes())
    for size in range(1, len(frame) + 1):
        storage = MemoryStorage(start)
        device = reader(storage, "gempctwin")
        device.feed(frame[:size])
        device.remove(SLOT)
        left = storage.read()
        before, after = counters(start), counters(left)
        assert after[0] <= before[0]
        assert after[1] <= before[1]
        assert after[2:] == before[2:]
        assert (left == start) == (size < len(frame))
        device.insert(SLOT, TpduLink(assemble(Memory(storage))))
        device.feed(frame[size:])
        device.feed(framed(power_on(SLOT, 0).to_bytes()))
        assert counters(storage.read()) == after
    assert status(device, RIGHT["UNBLOCK"]) == b"\x90\x00"  # twin


@pytest.mark.parametrize("name", WRONG)
def test_power_cut_at_every_write_behind_the_reader(name):
    """A wrong command through the serial line, cut at each write, then again: never a free try."""
    start = image()
    frame = framed(transfer(SLOT, 5, WRONG[name]).to_bytes())
    whole = CutStorage(start)
    reader(whole).feed(frame)
    assert whole.calls
    for cut, behaviour in itertools.product(range(1, whole.calls + 1), BEHAVIOURS):
        storage = CutStorage(start, cut, behaviour)
        device = reader(storage)
        with pytest.raises(PowerCut):
            device.feed(frame)
        device.remove(SLOT)
        torn = counters(storage.read())
        assert torn[0] <= 2
        assert torn[1] <= 7
        again = CutStorage(storage.read(), 2, behaviour)
        put_in(device, again)
        with suppress(PowerCut):
            device.feed(frame)
        assert counters(again.read())[0] <= torn[0]
        assert counters(again.read())[1] <= torn[1]


def test_guessing_through_the_reader_with_a_pull_after_each_guess():
    """A host that pulls the card after every guess: 63C1, 63C0, then 6983; the PUK still opens (twin)."""
    storage, said = MemoryStorage(image()), []
    device = reader(storage)
    for _ in range(6):
        said.append(status(device, WRONG["VERIFY"]))
        device.remove(SLOT)
        put_in(device, storage)
    assert said == [b"\x63\xc1", b"\x63\xc0"] + [b"\x69\x83"] * 4
    assert status(device, RIGHT["UNBLOCK"]) == b"\x90\x00"


@pytest.mark.parametrize("typed", ["1234", "9999", None])
def test_pulled_while_digits_are_awaited(typed):
    """Pulled before the digits are there: whatever is typed then compares nothing."""
    storage = MemoryStorage(image())
    device = reader(storage)
    device.feed(framed(secure(SLOT, 3, PinEntry.for_cps().to_ccid()).to_bytes()))
    device.remove(SLOT)
    put_in(device, storage)
    assert device.enter(SLOT, Entered(Digits(typed)) if typed else CANCELLED) == []
    assert counters(storage.read())[:2] == (2, 7)
    device.feed(framed(secure(SLOT, 4, PinEntry.for_cps().to_ccid()).to_bytes()))  # twin
    device.enter(SLOT, Entered(Digits("1234")))
    assert counters(storage.read())[0] == 3


@pytest.mark.parametrize(("digits", "new"), [("9999", None), ("9999", "5678"), ("1234", "5678")])
def test_power_cut_at_every_write_of_a_keypad_command(digits, new):
    """VERIFY and CHANGE typed on the keypad, cut at each write: the counter rises only with the right PIN."""
    start, asked = image(), modify() if new else PinEntry.for_cps().to_ccid()

    def entered() -> Entered:
        return Entered(Digits(digits), *((Digits(new), Digits(new)) if new else ()))

    def attempt(storage: CutStorage) -> None:
        device = reader(storage)
        device.feed(framed(secure(SLOT, 3, asked).to_bytes()))
        device.enter(SLOT, entered())

    whole = CutStorage(start)
    attempt(whole)
    assert whole.calls
    for cut, behaviour in itertools.product(range(1, whole.calls + 1), BEHAVIOURS):
        storage = CutStorage(start, cut, behaviour)
        with pytest.raises(PowerCut):
            attempt(storage)
        pin, puk, uses, value = counters(storage.read())
        assert (puk, uses) == (7, 100)
        assert pin in ((1, 2, 3) if digits == "1234" else (1, 2))
        assert value.startswith(b"1234") or (digits == "1234" and pin == 3)
