"""The PIN stays where the reader is: what an agent lets through, what the gateway sends, what both keep."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU
from reader.agent.allowed import holds_digits, is_relayed, read_entry
from reader.agent.borrowed import NotRelayed, PinStaysLocal
from reader.emulated import EmulatedReader
from reader.errors import CardRemoved, NoPinPad
from reader.pinpad import PIN_INSTRUCTIONS, SW_CANCELLED, SW_LENGTH, SW_TIMED_OUT, PinEntry
from tests.reader.agent.lines import PATIENCE, Typist, away, until
from tests.reader.conftest import ScriptedCard

VERIFY = "0020000108"
TYPED = bytes.fromhex(VERIFY) + b"1234" + b"\xff" * 4


@pytest.mark.parametrize(
    "text",
    ["00A4020402D003", "00B0000010", "00C0000010", "0084000008", "00880000021122", "1022410000", "00200001",
     "002A9E9A20" + "11" * 32 + "00", "002A00AE021122", "0082000000"],
)  # fmt: skip
def test_what_a_session_needs_passes(text: str) -> None:
    """Twin: reading, authenticating, signing, and the number of tries left."""
    assert is_relayed(bytes.fromhex(text))


@pytest.mark.parametrize(
    "text",
    [VERIFY + "31323334FFFFFFFF", "002400010831323334FFFFFFFF", "002C00010831323334FFFFFFFF",
     "00D60000021122", "00DA000002AABB", "00E0000000", "00E4000000", "0044000000", "002A808600", "0047000000",
     "0C20000108" + "31" * 8, "8020000108" + "31" * 8, "1020000104" + "31" * 4, "00200001000008" + "31" * 8,
     "00", "", "00A4"],
)  # fmt: skip
def test_what_writes_or_holds_digits_does_not(text: str) -> None:
    """Digits in any encoding, anything that writes, unblocks, deciphers or is no command: refused."""
    assert not is_relayed(bytes.fromhex(text))


@given(st.binary(max_size=300))
def test_no_relayed_command_holds_digits(apdu: bytes) -> None:
    """Whatever the bytes: what passes is a command without digits, and not one that writes."""
    if is_relayed(apdu):
        assert not holds_digits(apdu)
        assert CommandAPDU.parse(apdu).ins not in PIN_INSTRUCTIONS - {0x20}


def test_only_the_code_porteur_is_asked_for() -> None:
    """The usual entry passes with the time that was asked; another command or file never."""
    usual = PinEntry.for_cps()
    assert read_entry(replace(usual, timeout_seconds=45).to_ccid()) == replace(usual, timeout_seconds=45)
    for template in ("00D6000008" + "FF" * 8, "0024000108" + "FF" * 8, "0020008108" + "FF" * 8, "00A40000"):
        assert read_entry(replace(usual, apdu_template=bytes.fromhex(template)).to_ccid()) is None
    modify = PinEntry("modify", bytes.fromhex("0024000110") + b"\xff" * 16)
    assert read_entry(modify.to_ccid()) is None
    assert read_entry(b"") is None


def lent(card: ScriptedCard) -> EmulatedReader:
    local = EmulatedReader()
    local.insert("CPS", card)
    return local


def test_digits_are_typed_there_and_only_the_status_comes_back(scripted) -> None:
    """The card gets one VERIFY with what was typed at the agent; the gateway gets two bytes."""
    card = scripted(lambda _command: b"\xaa\xbb\x90\x00")
    typist = Typist(["1234"])
    with lent(card) as local, away(local, typist) as agent:
        agent.joined()
        connection = agent.borrowed.slot("CPS").connect()
        assert connection.has_pad
        assert connection.verify_on_pad(PinEntry.for_cps()).sw == 0x9000
        assert card.commands == [TYPED]
        assert typist.asked[0].apdu_template == PinEntry.for_cps().apdu_template


@pytest.mark.parametrize(
    ("typed", "status"), [(None, SW_CANCELLED), ("", SW_TIMED_OUT), ("12345", SW_LENGTH), ("12", SW_LENGTH)]
)
def test_nothing_usable_was_typed(scripted, typed: str | None, status: bytes) -> None:
    """The red key, nobody, too many digits: the card sees nothing, the gateway hears which."""
    card = scripted(lambda _command: b"\x90\x00")
    with lent(card) as local, away(local, Typist([typed])) as agent:
        agent.joined()
        connection = agent.borrowed.slot("CPS").connect()
        assert connection.verify_on_pad(PinEntry.for_cps()).sw == int.from_bytes(status)
        assert card.commands == []
        connection.check()


def test_a_wrong_pin_counts_once(scripted) -> None:
    """63C2 comes back as it is; the card has seen one VERIFY and no other follows."""
    card = scripted(lambda _command: b"\x63\xc2")
    typist = Typist(["9999"])
    with lent(card) as local, away(local, typist) as agent:
        agent.joined()
        connection = agent.borrowed.slot("CPS").connect()
        assert connection.verify_on_pad(PinEntry.for_cps()).sw == 0x63C2
        assert len(card.commands) == 1
        assert typist.said == [b"\x63\xc2"]


def test_the_gateway_sends_no_digits(scripted) -> None:
    """A PIN given to the gateway for a lent card is refused in one sentence before anything leaves."""
    card = scripted(lambda _command: b"\x90\x00")
    with lent(card) as local, away(local, Typist()) as agent:
        agent.joined()
        connection = agent.borrowed.slot("CPS").connect()
        sends = agent.streams[1].sends
        with pytest.raises(PinStaysLocal, match=r"CPS slot is typed where its reader is.*nothing was sent"):
            connection.transmit(CommandAPDU(0, 0x20, 0, 1, b"1234\xff\xff\xff\xff"))
        assert agent.streams[1].sends == sends
        assert card.commands == []


def test_a_hostile_gateway_gets_digits_nowhere(scripted, monkeypatch) -> None:
    """Its own check taken away: VERIFY with digits, writing, digits into a file: the agent refuses each."""
    monkeypatch.setattr("reader.agent.borrowed.holds_digits", lambda _apdu: False)
    card = scripted(lambda _command: b"\x90\x00")
    with lent(card) as local, away(local, Typist(["1234", "1234"])) as agent:
        agent.joined()
        slot = agent.borrowed.slot("CPS")
        for command in (CommandAPDU(0, 0x20, 0, 1, b"1234"), CommandAPDU(0, 0xD6, 0, 0, b"x")):
            with pytest.raises(NotRelayed):
                slot.connect().transmit(command)
        into_a_file = replace(PinEntry.for_cps(), apdu_template=bytes.fromhex("00D6000008") + b"\xff" * 8)
        with pytest.raises(NotRelayed):
            slot.connect().verify_on_pad(into_a_file)
        assert card.commands == []


def test_no_place_to_type(scripted) -> None:
    """An agent without page, terminal or pad: NoPinPad, and the session goes on."""
    card = scripted(lambda _command: b"\x90\x00")
    with lent(card) as local, away(local, None) as agent:
        agent.joined()
        connection = agent.borrowed.slot("CPS").connect()
        assert not connection.has_pad
        with pytest.raises(NoPinPad):
            connection.verify_on_pad(PinEntry.for_cps())
        assert connection.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4)).sw == 0x9000


def test_a_gateway_that_stops_cancels_the_entry(scripted) -> None:
    """Nobody has to type for a gateway that ends: it hears 'cancelled' at once, the prompt goes away."""
    card = scripted(lambda _command: b"\x90\x00")
    typist = Typist(waits=True)
    with lent(card) as local, away(local, typist) as agent:
        agent.joined()
        connection = agent.borrowed.slot("CPS").connect()
        heard: list[int] = []
        import threading

        asking = threading.Thread(
            target=lambda: heard.append(connection.verify_on_pad(PinEntry.for_cps()).sw)
        )
        asking.start()
        until(lambda: typist.asked, "the entry")
        agent.lobby.cancel_entries()
        asking.join(PATIENCE)
        assert heard == [int.from_bytes(SW_CANCELLED)]
        assert card.commands == []
        assert connection.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4)).sw == 0x9000


def test_a_cut_while_somebody_types(scripted) -> None:
    """The network breaks during the entry: the digits are used for nothing, the gateway's call ends."""
    card = scripted(lambda _command: b"\x90\x00")
    typist = Typist(waits=True)
    with lent(card) as local, away(local, typist) as agent:
        agent.joined()
        connection = agent.borrowed.slot("CPS").connect()
        wrong: list[BaseException] = []
        import threading

        def ask() -> None:
            try:
                connection.verify_on_pad(PinEntry.for_cps())
            except CardRemoved as why:
                wrong.append(why)

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: typist.asked, "the entry")
        agent.cut()
        asking.join(PATIENCE)
        assert wrong
        assert card.commands == []
