"""Power cut between any two bytes of a PIN command, at the contacts (promises A5 and A6, attack K2).

The reader sends the command byte by byte, under T=0 and T=1; the card is torn out after each of them or at
any write that a byte sets off. The counter never rises but by a right PIN or PUK; the image always opens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from card.applets.assembly import assemble
from card.iso7816.contacts import CardContacts, TpduLink
from card.iso7816.t1block import S_IFS, S_RESYNCH, Codec
from card.kernel.memory import Memory
from card.kernel.os import CardOS
from card.kernel.storage import MemoryStorage
from tests.card.bench import PIN_1234, PIN_9999, PUK_GOOD, cps_items, powered
from tests.card.test_card_tearing import BEHAVIOURS, CutStorage, PowerCut, values
from tests.reader.byte_cards import T1_IFSC_254

PIN_5678 = b"5678" + b"\xff" * 4
WRONG = {
    "VERIFY": b"\x00\x20\x00\x01\x08" + PIN_9999,
    "CHANGE": b"\x00\x24\x00\x01\x10" + PIN_9999 + PIN_5678,
    "UNBLOCK": b"\x00\x2c\x00\x01\x10" + b"00000000" + PIN_5678,
}
RIGHT = {
    "VERIFY": b"\x00\x20\x00\x01\x08" + PIN_1234,
    "CHANGE": b"\x00\x24\x00\x01\x10" + PIN_1234 + PIN_5678,
    "UNBLOCK": b"\x00\x2c\x00\x01\x10" + PUK_GOOD + PIN_5678,
}


def image(pin_tries: int = 2, puk_tries: int = 7) -> bytes:
    """A card with some tries gone: a counter that rises is seen at once."""
    storage = MemoryStorage()
    items = {k: v for k, v in cps_items().items() if not k.startswith(("key/", "2ter", "object"))}
    powered(items | {"pin/01/tries": bytes((pin_tries,)), "pin/02/tries": bytes((puk_tries,))}, storage)
    return storage.read()


class T1CardOS:
    """The same card behind an ATR that offers T=1 only."""

    def __init__(self, card: CardOS) -> None:
        self.card = card
        self.transmit, self.power_off = card.transmit, card.power_off

    def power_on(self) -> bytes:
        self.card.power_on()
        return T1_IFSC_254


def inserted(storage: MemoryStorage, protocol: int) -> CardContacts:
    """The card in a reader, reset, at the state its image says."""
    card = assemble(Memory(storage))
    contacts = CardContacts(card if protocol == 0 else T1CardOS(card))
    contacts.reset()
    return contacts


def on_the_wire(command: bytes, protocol: int) -> bytes:
    """What the reader sends for a command, all procedure bytes granted."""
    return command if protocol == 0 else Codec().encode(0, command)


def counters(raw: bytes) -> tuple[int, int, int, bytes]:
    """Tries of PIN and PUK, uses of the PUK, the PIN: read by mounting the image, which must open."""
    seen = values(raw)
    card = assemble(Memory(MemoryStorage(raw)))
    card.power_on()
    assert card.transmit(bytes.fromhex("00A4000C023F00")) == b"\x90\x00"
    return (
        seen["pin/01/tries"][0],
        seen["pin/02/tries"][0],
        int.from_bytes(seen["pin/02/uses"], "big"),
        seen["pin/01"],
    )


def torn(raw: bytes, sent: bytes, protocol: int) -> Iterator[bytes]:
    """The image left behind by a cut after each byte, and at each write that a byte sets off."""
    for size in range(len(sent) + 1):
        storage = MemoryStorage(raw)
        contacts = inserted(storage, protocol)
        for at in range(size):
            contacts.feed(sent[at : at + 1])
        yield storage.read()
    counting = CutStorage(raw)
    inserted(counting, protocol).feed(sent)
    for cut, behaviour in itertools.product(range(1, counting.calls + 1), BEHAVIOURS):
        storage = CutStorage(raw, cut, behaviour)
        contacts = inserted(storage, protocol)
        with suppress(PowerCut):
            for byte in sent:
                contacts.feed(bytes((byte,)))
        yield storage.read()


@pytest.mark.parametrize("protocol", [0, 1])
@pytest.mark.parametrize("name", WRONG)
def test_no_cut_gives_a_try_back(name, protocol, record_property):
    """A wrong PIN or PUK, cut anywhere: the counter as it was or one less, the PIN as it was."""
    start = image()
    pin, puk, uses, value = counters(start)
    seen, cuts = set(), 0
    for raw in torn(start, on_the_wire(WRONG[name], protocol), protocol):
        cuts += 1
        after = counters(raw)
        assert after[0] in ((pin, pin - 1) if name != "UNBLOCK" else (pin,))
        assert after[1] in ((puk, puk - 1) if name == "UNBLOCK" else (puk,))
        assert after[2:] == (uses, value)
        seen.add(after[:2])
    assert len(seen) == 2  # some cuts were before the try was counted, some after
    record_property("promise A5 at the contacts", {"cuts": cuts, "free tries": 0})


@pytest.mark.parametrize("protocol", [0, 1])
@pytest.mark.parametrize("name", RIGHT)
def test_only_a_right_code_restores_a_counter(name, protocol):
    """A right code, cut anywhere: the counter is old, one less, or full, after the last byte."""
    start, sent = image(), on_the_wire(RIGHT[name], protocol)
    pin, puk, uses, _value = counters(start)
    for size in range(len(sent)):
        storage = MemoryStorage(start)
        contacts = inserted(storage, protocol)
        for byte in sent[:size]:
            contacts.feed(bytes((byte,)))
        assert storage.read() == start  # no byte but the last sets anything off
    for raw in torn(start, sent, protocol):
        after = counters(raw)
        assert after[0] in (pin, pin - 1, 3)
        assert after[1] in (puk, puk - 1, 10)
        assert after[2] in (uses, uses - 1)
        assert after[3] == PIN_1234 or (name != "VERIFY" and after[0] == 3)
        assert name != "UNBLOCK" or after[0] == pin or after[2] == uses - 1


@pytest.mark.parametrize("protocol", [0, 1])
def test_depth_two_at_the_contacts(protocol):
    """Cut, put back, cut again in the next wrong VERIFY: never more tries than before."""
    sent = on_the_wire(WRONG["VERIFY"], protocol)
    for first in dict.fromkeys(torn(image(), sent, protocol)):
        left = counters(first)[0]
        for second in dict.fromkeys(torn(first, sent, protocol)):
            assert counters(second)[0] in (left, left - 1)


@pytest.mark.parametrize("protocol", [0, 1])
def test_an_attacker_at_the_contacts_gets_what_the_counter_says(protocol):
    """Guessing for ever with a cut after every number of bytes: three answers 63Cx, then 6983."""
    raw, answers, sent = image(3), [], on_the_wire(WRONG["VERIFY"], protocol)
    for size in list(range(len(sent) + 1)) * 6:
        storage = MemoryStorage(raw)
        contacts = inserted(storage, protocol)
        said = b"".join(contacts.feed(bytes((byte,))) for byte in sent[:size])
        status = said[-2:] if protocol == 0 else said[3:5]
        if size == len(sent):
            answers.append(status.hex())
        raw = storage.read()
    assert answers == ["63c2", "63c1", "63c0", "6983", "6983", "6983"]


def test_a_block_sent_again_costs_no_second_try():
    """T=1: the same VERIFY block twice (a lost answer, an attacker) is one comparison; a new one another."""
    storage = MemoryStorage(image(3))
    contacts, codec = inserted(storage, 1), Codec()
    first = codec.encode(0, WRONG["VERIFY"])
    assert contacts.feed(first)[3:5] == b"\x63\xc2"
    for _ in range(20):
        contacts.feed(first)
    assert counters(storage.read())[0] == 2
    contacts.feed(codec.encode(S_RESYNCH))
    assert contacts.feed(first)[3:5] == b"\x63\xc1"
    assert counters(storage.read())[0] == 1


def test_resynchronising_in_the_middle_leaves_no_half_command():
    """T=1: half a PIN command in a chain, RESYNCH, the other half: nothing is compared."""
    storage = MemoryStorage(image(3))
    contacts, codec, command = inserted(storage, 1), Codec(), RIGHT["VERIFY"]
    contacts.feed(codec.encode(0x20, command[:9]))
    contacts.feed(codec.encode(S_RESYNCH))
    answer = contacts.feed(codec.encode(0, command[9:]))
    assert b"\x90\x00" not in answer
    assert counters(storage.read())[0] == 3
    contacts.feed(codec.encode(S_RESYNCH))
    contacts.feed(codec.encode(S_IFS, b"\x20"))
    contacts.feed(codec.encode(0x20, command[:9]))
    assert contacts.feed(codec.encode(0x40, command[9:]))[3:5] == b"\x90\x00"


def pulled(storage: MemoryStorage, act: Callable[[TpduLink], object]) -> None:
    link = TpduLink(assemble(Memory(storage)))
    link.power_on()
    with suppress(PowerCut):
        act(link)


@pytest.mark.parametrize("name", WRONG)
def test_the_same_through_a_reader_of_tpdus(name):
    """A wrong code through TpduLink, cut at each write: the counter never rises."""
    start = image()
    counting = CutStorage(start)
    pulled(counting, lambda link: link.exchange(WRONG[name]))
    for cut, behaviour in itertools.product(range(1, counting.calls + 1), BEHAVIOURS):
        storage = CutStorage(start, cut, behaviour)
        pulled(storage, lambda link: link.exchange(WRONG[name]))
        after = counters(storage.read())
        assert after[0] <= 2
        assert after[1] <= 7
        assert after[3] == PIN_1234
