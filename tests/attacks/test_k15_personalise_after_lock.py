"""K15: personalisation after the lock. ISO 7816-9:2004 (CREATE, DELETE, ACTIVATE), IAS-ECC PUT DATA and
GENERATE: on an operational card they want secure messaging with issuer keys, which nobody has here: 6982.

The lock is one byte of the image, written once; torn or refused by the disk it never opens again, and a card
that is still open cannot be filled or described until it no longer mounts.
"""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.applets.assembly import assemble
from card.iso7816 import tlv
from card.kernel.memory import Memory
from card.kernel.storage import MAX_IMAGE, MemoryStorage
from tests.card.bench import AID_CONTACT, AID_VITALE, PIN_1234, Host, cps_items, powered, vitale_items
from tests.card.test_card_objects import FCP_TRANSPARENT, create
from tests.card.test_card_tearing import CutStorage, PowerCut, mount, values

PUT_PIN = "00DB3FFF167014BF8101107F410D800105820835363738FFFFFFFF"


@pytest.mark.parametrize("card_of", ["cps", "vitale"])
@pytest.mark.parametrize(
    "command",
    [
        create(FCP_TRANSPARENT),
        "00E40000",
        "00D7000009540100530441414141",
        PUT_PIN,
        "00DB3FFF0D700BBF9001077F480492020102",
        "00470000057003BF9001",
        "00440000",
        "00040000",
    ],
)
def test_k15_nothing_is_personalised_after_the_lock(card_of, command):
    """CREATE, DELETE, PUT DATA, GENERATE, ACTIVATE, DEACTIVATE are refused and change nothing."""
    host = powered((cps_items if card_of == "cps" else vitale_items)())
    host.ok("00A4040C0D" + AID_CONTACT.hex() if card_of == "cps" else "00A4040C0B" + AID_VITALE.hex())
    host.ok("00A4020C025031" if card_of == "cps" else "00A4020C022010")
    if command == "00E40000":  # the DF itself; the file just selected is a target of its own
        assert host.sw(command) == 0x6982
        host.ok("00A4040C0D" + AID_CONTACT.hex() if card_of == "cps" else "00A4040C0B" + AID_VITALE.hex())
    memory = host.card.memory
    before = {key: memory.get(key) for key in memory.keys("")}
    foreign = card_of == "vitale" and command[2:4] in ("DB", "47")  # instructions a Vitale does not have
    assert host.sw(command) == (0x6D00 if foreign else 0x6982)
    host.card.power_on()
    assert {key: memory.get(key) for key in memory.keys("")} == before


@pytest.mark.parametrize("proof", ["PIN", "PUK", "both"])
def test_k15_no_code_of_the_holder_opens_the_lock(proof):
    """PIN and PUK are the holder's: with both verified personalisation stays refused."""
    card = powered(cps_items()).contact()
    if proof != "PUK":
        assert card.verify(PIN_1234) == 0x9000
    if proof != "PIN":
        card.ok("002000020831323334 35363738".replace(" ", ""))
    for command in (create(FCP_TRANSPARENT), PUT_PIN, "00470000057003BF9001", "00E40000", "00440000"):
        assert card.sw(command) == 0x6982
    assert card.sw("00200001") == (0x63C3 if proof == "PUK" else 0x9000)


@pytest.mark.parametrize("tail", ["", "00", "0000"])
def test_k15_malformed_or_chained_forms_are_no_way_round(tail):
    """The lock is asked before the parameters: broken, empty, chained and extended forms answer 6982 too."""
    card = powered(cps_items()).contact()
    before = values(card.card.memory._storage.read())
    for ins in ("DB3FFF", "DB0000", "470000", "47FFFF"):
        assert card.sw("00" + ins + "02", b"\x70\x00", tail[:2]) == 0x6982
    link = bytes.fromhex(PUT_PIN)[5:]
    assert card.sw("10DB3FFF0A", link[:10]) == 0x9000
    assert card.sw("00DB3FFF0C", link[10:], tail[:2]) == 0x6982
    assert values(card.card.memory._storage.read()) == before


def test_k15_twin_the_same_commands_before_the_lock():
    """Twin: in personalisation the same CREATE is accepted, and locked out once operational."""
    host = powered(cps_items(operational=False)).contact()
    host.ok(create(FCP_TRANSPARENT))
    host.ok("00A4000C023F00")
    host.ok(PUT_PIN)
    assert host.verify(b"5678" + b"\xff" * 4) == 0x9000
    host.ok("00440000")
    assert host.sw(create(FCP_TRANSPARENT)) == 0x6982
    assert host.sw(PUT_PIN) == 0x6982
    host.card.power_on()
    assert host.sw(create(FCP_TRANSPARENT)) == 0x6982


def test_k15_a_torn_lock_is_open_or_shut_and_once_shut_for_ever():
    """Cut at every write of the locking ACTIVATE: open or shut, and a shut one stays shut."""
    storage = MemoryStorage()
    powered(cps_items(operational=False), storage)
    image = storage.read()
    whole = CutStorage(image)
    mount(whole).ok("00440000")
    seen = set()
    for cut, behaviour in itertools.product(range(1, whole.calls + 1), ("nothing", "half", "all", "garbage")):
        torn = CutStorage(image, cut, behaviour)
        with pytest.raises(PowerCut):
            mount(torn).ok("00440000")
        life = values(torn.read())["card/life"]
        seen.add(life)
        host = mount(MemoryStorage(torn.read())).contact()
        assert host.sw(create(FCP_TRANSPARENT)) == (0x6982 if life == b"\x05" else 0x9000)
    assert seen == {b"\x01", b"\x05"}


def test_k15_a_lock_that_cannot_be_written_is_not_announced():
    """When the disk refuses, ACTIVATE says 6581 and the card is still open; the next one shuts it (twin)."""

    class Failing(MemoryStorage):
        failing = False

        def append(self, data: bytes) -> None:
            if self.failing:
                raise OSError(28, "No space left on device")
            super().append(data)

        def replace(self, data: bytes) -> None:
            if self.failing:
                raise OSError(28, "No space left on device")
            super().replace(data)

    storage = Failing()
    card = powered(cps_items(operational=False), storage)
    storage.failing = True
    assert card.sw("00440000") == 0x6581
    storage.failing = False
    assert card.sw(PUT_PIN) == 0x9000
    card.ok("00440000")
    assert card.sw(PUT_PIN) == 0x6982


def test_k15_no_tree_grows_for_ever():
    """DFs inside DFs come to an end (6A84), and the image still mounts."""
    storage = MemoryStorage()
    card = powered(cps_items(operational=False), storage).contact()
    answers = [card.sw(create(f"620A8201388302{0x4000 + level:04X}8C0100")) for level in range(50)]
    assert answers[:3] == [0x9000] * 3
    assert answers[-1] == 0x6A84
    wide = []
    for level in range(5):
        card.ok("00A4000C023F00")
        fid = f"{0x5000 + level:04X}"
        wide.append(card.sw(create(f"620A8201388302{fid}8C0100")))
        wide += [card.sw(create(f"620A8201018302{0x6000 + file:04X}8C0100")) for file in range(300)]
    assert 0 < wide.count(0x9000) < 1100
    assert wide[-1] == 0x6A84
    mount(MemoryStorage(storage.read())).contact().ok("00B0870001")


def test_k15_a_card_has_an_end():
    """Files are created until the card is full (6A84), long before its image could no longer be opened."""
    storage = MemoryStorage()
    card = powered(cps_items(operational=False), storage).contact()
    status = 0x9000
    for number in range(1000):
        fcp = tlv.encode(0x80, b"\x7f\xff") + tlv.encode(0x83, (0x4000 + number).to_bytes(2, "big"))
        body = tlv.encode(0x82, b"\x01") + fcp + bytes.fromhex("8C0100")
        status = card.sw(create(tlv.encode(0x62, body).hex()))
        if status != 0x9000:
            break
    assert status == 0x6A84
    assert len(storage.read()) < MAX_IMAGE // 8
    again = mount(MemoryStorage(storage.read())).contact()
    assert again.sw("00A4020C024000") == 0x9000
    again.ok("00E4000002" + "4000")  # twin: room that was freed can be used again
    again.ok(create(FCP_TRANSPARENT))


FIELDS = st.fixed_dictionaries(
    {0x83: st.integers(0, 0xFFFF).map(lambda fid: fid.to_bytes(2, "big")) | st.binary(max_size=3)},
    optional={
        0x80: st.binary(max_size=4),
        0x81: st.binary(max_size=3),
        0x82: st.sampled_from([b"\x01", b"\x02\x21\x00\x0a", b"\x06\x21\x00\x00", b"\x38", b"\x78", b""])
        | st.binary(max_size=5),
        0x84: st.binary(max_size=20),
        0x88: st.binary(max_size=2),
        0x8A: st.binary(max_size=2),
        0x8C: st.binary(max_size=9),
        0xA1: st.binary(max_size=9),
        0xA5: st.binary(max_size=9),
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=4))
def test_k15_no_file_description_breaks_the_card(files):
    """Whatever an open card is told to CREATE: a status word, and the image mounts."""
    storage = MemoryStorage()
    card = powered(cps_items(operational=False), storage).contact()
    for fields in files:
        body = b"".join(tlv.encode(tag, value) for tag, value in fields.items())
        assert card.sw(create(tlv.encode(0x62, body).hex())) != 0x6F00
    again = Host(assemble(Memory(MemoryStorage(storage.read()))))
    again.card.power_on()
    again.contact().ok("00B0870001")
