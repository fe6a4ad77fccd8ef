"""Frames and bodies of the agents' line: their examples, any content, limits, what ends the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader.agent import frames
from reader.agent.frames import Flag, Frame, FrameError, Frames, Kind, LentSlot, Outcome, Reason
from reader.agent.machines import (
    MOST_ASKED,
    MOST_UNASKED,
    Answered,
    Asked,
    Borrower,
    Cancelled,
    Ended,
    Greeted,
    Lender,
    Moved,
    Welcomed,
)

SLOTS = (LentSlot("Vitale", Flag(0), 4), LentSlot("CPS", Flag.PRESENT | Flag.PIN, 9))
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@pytest.mark.parametrize(("frame", "text"), frames.EXAMPLES)
def test_examples(frame: Frame, text: str) -> None:
    """The frames beside the codec are these bytes, both ways."""
    assert frame.to_bytes() == bytes.fromhex(text)
    assert Frames().feed(bytes.fromhex(text)) == [frame]


@given(st.sampled_from(Kind), st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=600))
def test_every_frame_comes_back(kind: Kind, slot: int, request: int, body: bytes) -> None:
    """Whatever a frame holds, what is read is what was written."""
    frame = Frame(kind, slot, request, body)
    assert Frames().feed(frame.to_bytes()) == [frame]


@given(st.lists(NAMES, min_size=1, max_size=8, unique_by=str.lower), st.data())
def test_every_greeting_comes_back(names: list[str], data: st.DataObject) -> None:
    """Slots with any flags and counters are read as they were written."""
    flags, counters = st.integers(0, 7).map(Flag), st.integers(0, 2**32 - 1)
    slots = tuple(LentSlot(name, data.draw(flags), data.draw(counters)) for name in names)
    assert frames.read_hello(frames.hello(slots)) == (frames.VERSION, slots)


@given(st.binary(max_size=80))
def test_a_body_that_is_none_is_refused(body: bytes) -> None:
    """Any bytes as a body: read, or FrameError; never another exception."""
    for read in (frames.read_hello, frames.read_moved, frames.read_asked, frames.read_answer):
        try:
            read(body)
        except FrameError:
            continue
    assert isinstance(frames.read_reason(body), Reason)


@pytest.mark.parametrize("size", [0, 5, frames.MAX_FRAME + 1, 0xFFFF])
def test_impossible_lengths(size: int) -> None:
    """A length that no frame has ends the stream at its second byte; nothing is kept."""
    reading = Frames()
    with pytest.raises(FrameError):
        reading.feed(size.to_bytes(2, "big"))
    assert not reading.is_partial
    with pytest.raises(FrameError):
        reading.feed(Frame(Kind.PING).to_bytes())


def test_the_longest_frame() -> None:
    """Twin: 16,384 bytes pass, one more cannot be made."""
    whole = Frame(Kind.TRANSMIT, 0, 1, bytes(frames.MAX_FRAME - frames.HEAD))
    assert Frames().feed(whole.to_bytes()) == [whole]
    with pytest.raises(ValueError, match="16378 bytes"):
        Frame(Kind.TRANSMIT, 0, 1, bytes(frames.MAX_FRAME)).to_bytes()


@pytest.mark.parametrize(
    "slots", [(), (LentSlot("a\nb", Flag(0), 0),), (LentSlot("", Flag(0), 0),), SLOTS * 5]
)
def test_slots_that_cannot_be_lent(slots: tuple[LentSlot, ...]) -> None:
    """No slots, too many, a name with a line break or none: refused before anything is sent."""
    with pytest.raises(ValueError, match="plain names"):
        frames.hello(slots)


def test_two_slots_of_one_name() -> None:
    """A greeting with CPS and cps says nothing that can be used."""
    with pytest.raises(FrameError):
        frames.read_hello(frames.hello((LentSlot("CPS", Flag(0), 0), LentSlot("cps", Flag(0), 0))))


# ---- the two ends


def both() -> tuple[Borrower, Lender]:
    """Two ends that have greeted each other."""
    gateway, agent = Borrower(), Lender(2)
    assert gateway.feed(agent.hello(SLOTS)) == [Greeted(SLOTS)]
    assert agent.feed(gateway.welcome(10)) == [Welcomed(10)]
    return gateway, agent


def test_a_request_and_its_answer() -> None:
    """A command goes there and its answer comes back under the same number, once."""
    gateway, agent = both()
    number, data = gateway.ask(Kind.TRANSMIT, 1, 9, b"\0\xb0\0\0\4")
    assert agent.feed(data) == [Asked(number, Kind.TRANSMIT, 1, 9, b"\0\xb0\0\0\4")]
    answer = agent.answer(number, Outcome.DONE, b"\x90\x00")
    assert gateway.feed(answer) == [Answered(number, Outcome.DONE, b"\x90\x00")]
    assert agent.answer(number, Outcome.DONE) == b""
    assert gateway.feed(answer) == [Ended(Reason.BROKE_RULES, by_peer=False)]


def test_an_answer_nobody_waits_for_any_more() -> None:
    """Given up: the agent hears it, its late answer is dropped, the line goes on."""
    gateway, agent = both()
    number, data = gateway.ask(Kind.ENTER_PIN, 1, 9)
    agent.feed(data)
    assert agent.feed(gateway.give_up(number)) == [Cancelled(number)]
    assert gateway.give_up(number) == b""
    assert gateway.feed(agent.answer(number, Outcome.TAKEN)) == []
    assert gateway.feed(agent.moved(1, Flag(0), 10)) == [Moved(1, Flag(0), 10)]


LIES = {
    "an answer for another slot": lambda number: Frame(Kind.ANSWER, 0, number, b"\0\x90\0"),
    "an answer for another request": lambda number: Frame(Kind.ANSWER, 1, number + 1, b"\0\x90\0"),
    "an answer without outcome": lambda number: Frame(Kind.ANSWER, 1, number),
    "a slot that is not lent": lambda _number: Frame(Kind.MOVED, 2, 0, frames.moved(Flag(0), 5)),
    "a counter that goes back": lambda _number: Frame(Kind.MOVED, 1, 0, frames.moved(Flag(0), 8)),
    "features that do not exist": lambda _number: Frame(Kind.MOVED, 1, 0, b"\xff\0\0\0\x0a"),
    "a second greeting": lambda _number: Frame(Kind.HELLO, body=frames.hello(SLOTS)),
    "a sign of life nobody asked for": lambda _number: Frame(Kind.PONG),
    "what only a gateway says": lambda number: Frame(Kind.TRANSMIT, 1, number, bytes(9)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_agent_is_left(lie: str) -> None:
    """Each lie ends the line at once, and nothing that follows is read."""
    gateway, agent = both()
    number, _data = gateway.ask(Kind.TRANSMIT, 1, 9)
    frame = LIES[lie](number)
    assert gateway.feed(frame.to_bytes() + agent.moved(1, Flag(0), 11)) == [
        Ended(Reason.BROKE_RULES, by_peer=False)
    ]
    assert gateway.feed(agent.moved(1, Flag(0), 12)) == []


ORDERS = {
    "no request number": Frame(Kind.TRANSMIT, 1, 0, bytes(9)),
    "no counter": Frame(Kind.TRANSMIT, 1, 5, b"\0"),
    "a slot that is not lent": Frame(Kind.POWER_ON, 2, 5, bytes(4)),
    "what only an agent says": Frame(Kind.MOVED, 1, 0, frames.moved(Flag(0), 12)),
    "a second welcome": Frame(Kind.WELCOME, body=b"\1\x0a"),
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_gateway_that_breaks_the_rules_is_left(order: str) -> None:
    """What no gateway sends ends the agent's line."""
    _gateway, agent = both()
    assert agent.feed(ORDERS[order].to_bytes()) == [Ended(Reason.BROKE_RULES, by_peer=False)]


def test_floods_end_the_line() -> None:
    """Movements, signs of life, requests without end: cut off at a number; a second later they may go on."""
    gateway, agent = both()
    for counter in range(10, 10 + MOST_UNASKED):
        assert gateway.feed(agent.moved(1, Flag(0), counter)) != []
    gateway.tick()
    assert gateway.feed(agent.moved(1, Flag(0), 999)) == [Moved(1, Flag(0), 999)]
    _, flooded = both()
    assert flooded.feed(Frame(Kind.PING).to_bytes() * (MOST_UNASKED + 1))[-1] == Ended(
        Reason.BROKE_RULES, by_peer=False
    )
    gateway, agent = both()
    for _ in range(MOST_ASKED):
        agent.feed(gateway.ask(Kind.TRANSMIT, 1, 9)[1])
    with pytest.raises(ValueError, match="too many requests"):
        gateway.ask(Kind.TRANSMIT, 1, 9)
    assert agent.ended is None
    one_more = Frame(Kind.TRANSMIT, 1, 999, bytes(4)).to_bytes()
    assert agent.feed(one_more) == [Ended(Reason.BROKE_RULES, by_peer=False)]


def test_another_version_is_told_so() -> None:
    """An agent of another version hears why, and nothing of it is used."""
    gateway, agent = Borrower(), Lender(2)
    other = bytearray(agent.hello(SLOTS))
    other[frames.LENGTH + frames.HEAD + len(frames.MAGIC)] = 9
    told = gateway.feed(bytes(other))
    assert told[-1] == Ended(Reason.VERSION, by_peer=False)
    assert agent.feed(told[0].data) == [Ended(Reason.VERSION, by_peer=True)]


def test_an_answer_too_long_for_a_frame() -> None:
    """A card that says more than a frame holds is reported as talking nonsense."""
    gateway, agent = both()
    number, data = gateway.ask(Kind.TRANSMIT, 1, 9)
    agent.feed(data)
    answer = agent.answer(number, Outcome.DONE, bytes(20_000))
    assert gateway.feed(answer) == [Answered(number, Outcome.NONSENSE, b"")]
