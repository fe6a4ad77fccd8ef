"""Lent slots are as slots of this machine: sessions, movements, an agent that goes and comes, slow and
lying ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from card.iso7816.apdu import CommandAPDU
from reader.agent import link as link_module
from reader.agent.borrowed import AgentAway, NotLent
from reader.agent.driver import open_agent
from reader.agent.frames import Flag, Frame, Kind, LentSlot, Outcome, Reason
from reader.agent.lending import Lending
from reader.agent.lobby import MOST_OF_ONE
from reader.agent.machines import Asked, Lender
from reader.connected import open_connected
from reader.emulated import EmulatedReader
from reader.errors import CardMute, CardProtocolError, CardRemoved, NoCard, ReaderError, SlotBusy, SlotTaken
from reader.pinpad import PinEntry
from reader.slot import PadCard, SharedCard
from tests.reader.agent.lines import PATIENCE, PEER, Away, PlainStream, Typist, away, pair, until
from tests.reader.byte_cards import EchoCard
from tests.reader.test_shared_card import Shared

READ = CommandAPDU(0, 0xB0, 0, 0, b"", 4)
PROVE = CommandAPDU(0, 0x88, 0, 0, bytes(range(20)), 20)


@pytest.fixture
def local():
    """A reader at the agent with an echoing card in its CPS slot."""
    with EmulatedReader() as reader:
        reader.insert("CPS", EchoCard())
        yield reader


@pytest.fixture
def agent(local):
    """That agent, connected."""
    with away(local, Typist()) as made:
        made.joined()
        yield made


def test_a_session(agent: Away) -> None:
    """ATR, a command of each case, an answer behind 61xx, a reset: as in a slot of this machine."""
    slot = agent.borrowed.slot("CPS")
    connection = slot.connect()
    assert connection.atr == EchoCard().atr
    assert len(connection.transmit(READ).data) == 4
    assert connection.transmit(PROVE).data == bytes(range(20))
    connection.reset()
    assert connection.transmit(READ).sw == 0x9000
    connection.close()
    with pytest.raises(SlotTaken):
        connection.transmit(READ)
    with pytest.raises(NoCard):
        agent.borrowed.slot("Vitale").connect()


def test_a_command_no_frame_can_carry(agent: Away) -> None:
    """6700 as from a reader that takes short commands only; the session goes on."""
    connection = agent.borrowed.slot("CPS").connect()
    connection.extended = True
    assert connection.transmit(CommandAPDU(0, 0x88, 0, 0, bytes(20_000))).sw == 0x6700
    assert connection.transmit(READ).sw == 0x9000


def test_a_card_pulled_and_put_back(agent: Away) -> None:
    """A card that was out for a moment is a new one, even when nobody looked in between."""
    slot = agent.borrowed.slot("CPS")
    connection = slot.connect()
    card, moves = agent.local.slot("CPS")._card, slot.event_counter
    agent.local.slot("CPS").remove()
    agent.local.insert("CPS", card)
    with pytest.raises(CardRemoved):
        connection.transmit(READ)
    until(lambda: slot.event_counter == moves + 2 and slot.is_present, "the card is found again")
    assert slot.connect().transmit(READ).sw == 0x9000


def test_the_other_slot_fills(agent: Away) -> None:
    """A card put into the empty slot is seen within a moment, and pulled out as well."""
    agent.local.insert("Vitale", EchoCard())
    until(lambda: agent.borrowed.slot("Vitale").is_present)
    assert agent.borrowed.slot("Vitale").connect().transmit(READ).sw == 0x9000
    agent.local.slot("Vitale").remove()
    until(lambda: not agent.borrowed.slot("Vitale").is_present)


def test_somebody_else_takes_the_card_there(agent: Away) -> None:
    """A program of the agent's machine that opens the slot ends our session: SlotTaken, then a new one
    works.
    """
    slot = agent.borrowed.slot("CPS")
    connection = slot.connect()
    agent.local.slot("CPS").connect()
    with pytest.raises(SlotTaken):
        connection.transmit(READ)
    assert slot.connect().transmit(READ).sw == 0x9000


def test_an_agent_that_is_away_is_a_reader_unplugged(agent: Away) -> None:
    """Away: the slots are empty and say which agent is missing; back: they fill by themselves."""
    slot = agent.borrowed.slot("CPS")
    connection = slot.connect()
    agent.cut()
    assert not slot.is_present
    with pytest.raises(CardRemoved):
        connection.transmit(READ)
    with pytest.raises(AgentAway, match="agent desk that lends the CPS slot is not connected"):
        slot.connect()
    assert slot.emptiness().code == "agent-away"
    agent.joined()
    assert slot.connect().transmit(READ).sw == 0x9000


def test_the_power_goes_with_the_connection(agent: Away) -> None:
    """When the line breaks the card loses its power at the agent: what was verified is gone."""
    agent.borrowed.slot("CPS").connect()
    local = agent.local.slot("CPS")
    assert local._connection is not None
    agent.cut()
    until(lambda: local._connection is None, "the card has no power")


def test_a_cut_at_every_frame(local: EmulatedReader) -> None:
    """The network breaks before each frame of a session, on either side: one sentence, and the next one
    works.
    """
    for end in (0, 1):
        reached = set()
        for after in range(12):
            with away(local, Typist()) as agent:
                agent.joined()
                stream: PlainStream = agent.streams[end]
                stream.cut_after = stream.sends + after
                slot = agent.borrowed.slot("CPS")
                try:
                    connection = slot.connect()
                    for _ in range(3):
                        connection.transmit(READ)
                    connection.close()
                except ReaderError as wrong:
                    assert isinstance(wrong, CardRemoved), wrong
                    reached.add(after)
                    agent.cut()
                    agent.joined()
                    assert slot.connect().transmit(READ).sw == 0x9000
        assert {0, 1, 2, 3, 4} <= reached
        assert reached <= set(range(5)), "a session of five requests has no sixth frame"


def test_a_second_connection_never_steals_a_live_one(agent: Away, monkeypatch) -> None:
    """The same certificate twice: the first keeps its slots and its session, the second is told so."""
    monkeypatch.setattr(link_module, "PROBE_SECONDS", 20.0)
    connection = agent.borrowed.slot("CPS").connect()
    agent_end, gateway_end = pair()
    second = threading.Thread(target=agent.lobby.arrived, args=(gateway_end, PEER), daemon=True)
    second.start()
    ended = Lending(agent.local.slots, agent_end, None).run()
    second.join(PATIENCE)
    assert (ended.reason, ended.by_peer) == (Reason.ALREADY_HERE, True)
    assert connection.transmit(READ).sw == 0x9000


def test_a_second_connection_replaces_a_dead_one(local: EmulatedReader, monkeypatch) -> None:
    """An agent whose first connection hangs without a word gets its slots back through the second."""
    monkeypatch.setattr(link_module, "PROBE_SECONDS", 0.2)
    with away(local, Typist()) as agent:
        agent_end, gateway_end = pair()  # greets, then says nothing more
        agent_end.send(Lender(1).hello((LentSlot("CPS", Flag.PRESENT, 1),)))
        first = threading.Thread(target=agent.lobby.arrived, args=(gateway_end, PEER), daemon=True)
        first.start()
        until(lambda: agent.borrowed.slot("CPS").is_present)
        agent.join()
        first.join(PATIENCE)
        assert not first.is_alive()
        until(agent.matches, "the second has the slots")
        assert agent.borrowed.slot("CPS").connect().transmit(READ).sw == 0x9000


def test_a_crowd_with_one_certificate(agent: Away) -> None:
    """Many connections of one agent that say nothing: all but a few are hung up on, the live one works."""
    ends = [pair() for _ in range(12)]
    threads = [
        threading.Thread(target=agent.lobby.arrived, args=(gateway_end, PEER), daemon=True)
        for _agent_end, gateway_end in ends
    ]
    for thread in threads:
        thread.start()
    until(lambda: sum(thread.is_alive() for thread in threads) <= MOST_OF_ONE - 1, "the crowd is sent away")
    assert agent.borrowed.slot("CPS").connect().transmit(READ).sw == 0x9000
    for agent_end, _gateway_end in ends:
        agent_end.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "peer",
    [replace(PEER, practice="other"), replace(PEER, name="unknown")],
)
def test_an_agent_serves_its_own_practice_only(local: EmulatedReader, peer) -> None:
    """Another practice's agent of the same name, or one that no reader waits for: sent away, nothing lent."""
    with away(local, Typist()) as agent:
        agent.join(peer)
        agent.threads[0].join(PATIENCE)
        assert agent.lending is not None
        assert not agent.lending.is_welcome
        assert not agent.borrowed.slot("CPS").is_present


def test_an_agent_that_is_not_admitted_any_more(local: EmulatedReader) -> None:
    """Taken back while it works: the line ends within a second or so, the slots are empty."""
    with away(local, Typist()) as agent:
        agent.joined()
        agent.lobby._admits = lambda _peer: False
        until(lambda: not agent.is_here, "it is sent away")
        assert not agent.borrowed.slot("CPS").is_present
        agent.join()
        agent.threads[-2].join(PATIENCE)
        assert not agent.lending.is_welcome


def test_an_agent_without_one_of_our_slots() -> None:
    """It lends a CPS slot only, and one we have no use for: the Vitale slot says what is missing."""
    with EmulatedReader(("CPS", "SIM")) as local, away(local, None) as agent:
        local.insert("CPS", EchoCard())
        agent.join()
        until(lambda: agent.borrowed.slot("CPS").is_present)
        with pytest.raises(NotLent, match="desk lends no Vitale slot"):
            agent.borrowed.slot("Vitale").connect()


# ---- ends that misbehave


def greeted(agent: Away, flags: Flag = Flag.PRESENT) -> tuple[PlainStream, Lender]:
    """The bytes end of an agent that a test plays itself; it lends a CPS that is in."""
    agent_end, gateway_end = pair()
    thread = threading.Thread(target=agent.lobby.arrived, args=(gateway_end, PEER), daemon=True)
    thread.start()
    agent.threads.append(thread)
    played = Lender(1)
    agent_end.send(played.hello((LentSlot("CPS", flags, 1),)))
    until(lambda: agent.borrowed.slot("CPS").is_present)
    agent.streams = agent_end, gateway_end
    return agent_end, played


def test_an_agent_that_never_answers(local: EmulatedReader, monkeypatch) -> None:
    """B5: a request without answer ends at its deadline; the slot is mute, not stuck."""
    monkeypatch.setattr("reader.agent.borrowed.POWER_SECONDS", 0.3)
    with away(local, None) as agent:
        greeted(agent)
        with pytest.raises(CardMute):
            agent.borrowed.slot("CPS").connect()


def test_an_agent_that_answers_for_another_request(local: EmulatedReader) -> None:
    """A forged answer ends the line; the request it was meant for hears that the card is gone."""
    with away(local, None) as agent:
        stream, _played = greeted(agent)

        def forge() -> None:
            while b"\x11" not in stream.receive(PATIENCE):
                continue
            stream.send(Frame(Kind.ANSWER, 0, 77, b"\0\x3b\0").to_bytes())

        forging = threading.Thread(target=forge, daemon=True)
        forging.start()
        with pytest.raises(CardRemoved):
            agent.borrowed.slot("CPS").connect()
        until(lambda: not agent.is_here)


def playing(stream: PlainStream, played: Lender, answers: Callable[[Asked], tuple[Outcome, bytes]]) -> None:
    """Answer every request as the test says, in a thread."""

    def work() -> None:
        with suppress(OSError):
            while True:
                for event in played.feed(stream.receive(PATIENCE)):
                    if isinstance(event, Asked):
                        stream.send(played.answer(event.request, *answers(event)))

    threading.Thread(target=work, daemon=True).start()


@pytest.mark.parametrize(
    ("outcome", "said", "wrong"),
    [
        (Outcome.DONE, bytes(40), CardProtocolError),
        (Outcome.DONE, b"", CardProtocolError),
        (Outcome.NONSENSE, b"", CardProtocolError),
        (Outcome.GONE, b"", CardRemoved),
        (Outcome.TAKEN, b"", SlotTaken),
        (Outcome.MUTE, b"", CardMute),
        (Outcome.BUSY, b"", SlotBusy),
        (Outcome.BROKEN, b"", CardRemoved),
    ],
)
def test_what_an_agent_may_answer(local: EmulatedReader, outcome: Outcome, said: bytes, wrong: type) -> None:
    """An impossible answer to reset, or any outcome: the error a local reader would raise, and no other."""
    with away(local, None) as agent:
        stream, played = greeted(agent)
        playing(stream, played, lambda asked: (outcome, said))
        with pytest.raises(wrong):
            agent.borrowed.slot("CPS").connect()


def test_an_agent_whose_pin_answer_is_no_status_word(local: EmulatedReader) -> None:
    """More than two bytes after a PIN entry: nothing of it is believed."""
    with away(local, None) as agent:
        stream, played = greeted(agent, Flag.PRESENT | Flag.PIN)
        playing(
            stream, played, lambda asked: (Outcome.DONE, b"\x3b\x00\x90\x00"[asked.kind == Kind.POWER_ON :])
        )
        slot = agent.borrowed.slot("CPS")
        slot._card.power_on = lambda: b"\x3b\x00"
        connection = slot.connect()
        with pytest.raises(CardProtocolError, match="no status word"):
            connection.verify_on_pad(PinEntry.for_cps())


def test_an_agent_that_says_nothing_at_all(local: EmulatedReader, monkeypatch) -> None:
    """B5: a connection without a greeting is over after its time, and holds nobody's place."""
    with away(local, Typist()) as agent:
        _silent, gateway_end = pair()
        with monkeypatch.context() as hurried:
            hurried.setattr(link_module, "GREETING_SECONDS", 0.2)
            agent.lobby.arrived(gateway_end, PEER)
        agent.joined()


def test_a_gateway_that_falls_silent(local: EmulatedReader, monkeypatch) -> None:
    """An agent whose gateway gives no sign of life gives the line up, with a reason."""
    monkeypatch.setattr("reader.agent.lending.WELCOME_SECONDS", 0.2)
    agent_end, _gateway_end = pair()
    with pytest.raises(TimeoutError, match="no sign of life"):
        Lending(local.slots, agent_end, None).run()


def test_signs_of_life(local: EmulatedReader, monkeypatch) -> None:
    """A quiet line is asked whether it lives and goes on; the twin of one that hangs."""
    monkeypatch.setattr(link_module, "ALIVE_SECONDS", 1)
    with away(local, Typist()) as agent:
        agent.joined()
        signs = agent.lobby._links[PEER.name]
        until(lambda: signs._signs >= 1, "a sign of life")


def test_a_slow_card_keeps_nobody_else(scripted) -> None:
    """One card computes for long: the other slot works meanwhile, and the line gives its signs of life."""
    going = threading.Event()
    slow = scripted(lambda _command: b"\x90\x00" if going.wait(PATIENCE) else b"\x6f\x00")
    with EmulatedReader() as local, away(local, Typist()) as agent:
        local.insert("CPS", slow)
        local.insert("Vitale", EchoCard())
        agent.joined()
        connection = agent.borrowed.slot("CPS").connect()
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(connection.transmit(READ).sw))
        thread.start()
        assert agent.borrowed.slot("Vitale").connect().transmit(READ).sw == 0x9000
        assert agent.lobby._links[PEER.name].is_alive()
        assert answers == []
        going.set()
        thread.join(PATIENCE)
        assert answers == [0x9000]


def test_a_card_others_share_is_kept(local: EmulatedReader) -> None:
    """A PC/SC card at the agent: exclusive use here is a transaction there, in order, and ends with the
    line.
    """
    shared = Shared()
    with EmulatedReader() as there, away(there, None) as agent:
        there.insert("CPS", shared)
        agent.joined()
        slot = agent.borrowed.slot("CPS")
        assert isinstance(slot._card, SharedCard)
        assert isinstance(slot._card, PadCard)
        assert not slot.has_pad
        connection = slot.connect()
        shared.diary.clear()
        tenure = connection.tenure
        with connection.exclusive():
            connection.transmit(READ)
            connection.transmit(READ)
            assert connection.tenure == tenure + 1
        assert shared.diary == ["begin", "apdu", "apdu", "end"]
        with connection.exclusive():
            agent.cut()
        until(lambda: shared.diary[-1] == "end", "others may use the card again")


# ---- the driver


def test_the_driver_wants_a_gateway() -> None:
    """Outside a gateway, or with two names: one sentence each. Inside: the reader waits."""
    with pytest.raises(ReaderError, match="works in a gateway only"):
        open_connected("agent:desk")
    with away(EmulatedReader(), None) as agent:
        with pytest.raises(ReaderError, match="the name of one agent"):
            open_agent(["a", "b"], lobby=agent.lobby, practice="cabinet")
        with pytest.raises(ReaderError, match="Two readers of the settings name the agent desk"):
            open_agent(["desk"], lobby=agent.lobby, practice="cabinet")
        assert open_agent(["other"], lobby=agent.lobby, practice="cabinet").slot("CPS").is_present is False
