"""Both ends of the line as machines: bytes in, events and bytes out; no socket, clock or thread.

Each end believes nothing: a frame that the other may not send now, a slot that does not exist, an answer
nobody asked for, a counter that goes back or more frames than work explains end the line with one event,
`Ended`.
"""

from __future__ import annotations

from dataclasses import dataclass

from reader.agent import frames
from reader.agent.frames import (
    COUNTERS,
    REQUESTS,
    VERSION,
    Flag,
    Frame,
    FrameError,
    Frames,
    Kind,
    LentSlot,
    Outcome,
    Reason,
)

MOST_ASKED = 32
"""Requests that may wait for an answer at one time, those given up included."""

MOST_UNASKED = 200
"""Frames that no work explains, between two calls of `tick`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes to send now."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Greeted:
    """To the gateway: these slots are lent."""

    slots: tuple[LentSlot, ...]


@dataclass(frozen=True, slots=True)
class Welcomed:
    """To the agent: its slots are taken; the gateway is heard at least every `alive` seconds."""

    alive: int


@dataclass(frozen=True, slots=True)
class Moved:
    """To the gateway: a card moved in slot number `place`."""

    place: int
    flags: Flag
    counter: int


@dataclass(frozen=True, slots=True)
class Alive:
    """To the gateway: the agent answered a PING."""


@dataclass(frozen=True, slots=True)
class Answered:
    """To the gateway: what became of a request."""

    request: int
    outcome: Outcome
    body: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """To the agent: a request for the card that was in slot `place` when its counter was `counter`."""

    request: int
    kind: Kind
    place: int
    counter: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Cancelled:
    """To the agent: the PIN of this request is not awaited any more."""

    request: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The line is over. `by_peer`: the other end said so; else it broke the rules."""

    reason: Reason
    by_peer: bool


Event = Send | Greeted | Welcomed | Moved | Alive | Answered | Asked | Cancelled | Ended


class _End:
    """What both ends do alike: frames, the count of unasked ones, the end."""

    def __init__(self) -> None:
        self._frames = Frames()
        self._unasked = 0
        self.ended: Ended | None = None

    @property
    def is_partial(self) -> bool:
        """True in the middle of a frame."""
        return self._frames.is_partial

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes mean; nothing after an `Ended`."""
        if self.ended is not None:
            return []
        events: list[Event] = []
        try:
            for frame in self._frames.feed(data):
                events += self._read(frame)
                if self.ended is not None:
                    return events
            if self._frames.is_broken:
                raise FrameError("broken")
        except FrameError:
            events.append(self._end(Reason.BROKE_RULES, by_peer=False))
        return events

    def tick(self) -> None:
        """A second has passed: the other end may send unasked frames again."""
        self._unasked = 0

    def bye(self, reason: Reason) -> bytes:
        """Say goodbye; nothing is read after it."""
        self._end(reason, by_peer=False)
        return Frame(Kind.BYE, body=bytes((reason,))).to_bytes()

    def _read(self, frame: Frame) -> list[Event]:
        raise NotImplementedError

    def _end(self, reason: Reason, *, by_peer: bool) -> Ended:
        self.ended = Ended(reason, by_peer)
        return self.ended

    def _farewell(self, frame: Frame) -> list[Event]:
        return [self._end(frames.read_reason(frame.body), by_peer=True)]

    def _count(self) -> None:
        self._unasked += 1
        if self._unasked > MOST_UNASKED:
            raise FrameError("too many frames that nobody asked for")


class Borrower(_End):
    """The gateway's end. `ask` gives a request its number; `give_up` no longer waits for its answer."""

    def __init__(self) -> None:
        super().__init__()
        self._slots: list[LentSlot] = []
        self._asked: dict[int, int] = {}  # request → slot
        self._given_up: set[int] = set()
        self._last = self._pings = 0

    def welcome(self, alive: int) -> bytes:
        """Take the slots of a greeting."""
        return Frame(Kind.WELCOME, body=bytes((VERSION, alive))).to_bytes()

    def ping(self) -> bytes:
        """Ask for a sign of life."""
        self._pings += 1
        return Frame(Kind.PING).to_bytes()

    def ask(self, kind: Kind, place: int, counter: int, body: bytes = b"") -> tuple[int, bytes]:
        """The number of a new request and its bytes; ValueError when too many wait or the body is too
        long.
        """
        if len(self._asked) >= MOST_ASKED:
            raise ValueError("too many requests wait for an answer")
        number = self._last % (COUNTERS - 1) + 1
        content = (counter % COUNTERS).to_bytes(4, "big") + body
        data = Frame(kind, place, number, content).to_bytes()
        self._last = number
        self._asked[number] = place
        return number, data

    def give_up(self, request: int) -> bytes:
        """Nobody waits for this answer any more; what to send. The answer may still come, once."""
        place = self._asked.get(request)
        if place is None or request in self._given_up:
            return b""
        self._given_up.add(request)
        return Frame(Kind.CANCEL, place, request).to_bytes()

    def _read(self, frame: Frame) -> list[Event]:
        if frame.kind is Kind.BYE:
            return self._farewell(frame)
        if not self._slots:
            return self._greeting(frame)
        if frame.kind is Kind.PONG and not frame.body and self._pings:
            self._pings -= 1
            return [Alive()]
        if frame.kind is Kind.MOVED and frame.slot < len(self._slots):
            return self._movement(frame)
        if frame.kind is Kind.ANSWER and self._asked.get(frame.request) == frame.slot:
            return self._answer(frame)
        raise FrameError("a frame that an agent does not send now")

    def _greeting(self, frame: Frame) -> list[Event]:
        if frame.kind is not Kind.HELLO:
            raise FrameError("the first frame is a greeting")
        version, slots = frames.read_hello(frame.body)
        if version != VERSION:
            return [Send(self.bye(Reason.VERSION)), Ended(Reason.VERSION, by_peer=False)]
        self._slots = list(slots)
        return [Greeted(slots)]

    def _movement(self, frame: Frame) -> list[Event]:
        self._count()
        flags, counter = frames.read_moved(frame.body)
        known = self._slots[frame.slot]
        if counter < known.counter:
            raise FrameError("a counter never goes back")
        self._slots[frame.slot] = LentSlot(known.name, flags, counter)
        return [Moved(frame.slot, flags, counter)]

    def _answer(self, frame: Frame) -> list[Event]:
        outcome, body = frames.read_answer(frame.body)
        del self._asked[frame.request]
        if frame.request in self._given_up:
            self._given_up.remove(frame.request)
            return []
        return [Answered(frame.request, outcome, body)]


class Lender(_End):
    """The agent's end of `count` slots."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count_of_slots = count
        self._open: dict[int, int] = {}  # request → slot
        self._welcomed = False

    def hello(self, slots: tuple[LentSlot, ...]) -> bytes:
        """The first frame of a line."""
        return Frame(Kind.HELLO, body=frames.hello(slots)).to_bytes()

    def moved(self, place: int, flags: Flag, counter: int) -> bytes:
        """A card was put in or pulled out."""
        return Frame(Kind.MOVED, place, body=frames.moved(flags, counter)).to_bytes()

    def answer(self, request: int, outcome: Outcome, body: bytes = b"") -> bytes:
        """What became of a request; nothing when it was answered already. NONSENSE: too long to be sent."""
        place = self._open.pop(request, None)
        if place is None:
            return b""
        try:
            return Frame(Kind.ANSWER, place, request, bytes((outcome,)) + body).to_bytes()
        except ValueError:
            return Frame(Kind.ANSWER, place, request, bytes((Outcome.NONSENSE,))).to_bytes()

    def _read(self, frame: Frame) -> list[Event]:
        if frame.kind is Kind.BYE:
            return self._farewell(frame)
        if not self._welcomed:
            return self._greeting(frame)
        if frame.kind is Kind.PING and not frame.body:
            self._count()
            return [Send(Frame(Kind.PONG).to_bytes())]
        if frame.kind is Kind.CANCEL and not frame.body:
            self._count()
            return [Cancelled(frame.request)] if frame.request in self._open else []
        if frame.kind in REQUESTS and frame.slot < self._count_of_slots and frame.request:
            return self._request(frame)
        raise FrameError("a frame that a gateway does not send now")

    def _greeting(self, frame: Frame) -> list[Event]:
        if frame.kind is not Kind.WELCOME or len(frame.body) != 2 or not frame.body[1]:
            raise FrameError("the first frame is a welcome")
        if frame.body[0] != VERSION:
            return [self._end(Reason.VERSION, by_peer=False)]
        self._welcomed = True
        return [Welcomed(frame.body[1])]

    def _request(self, frame: Frame) -> list[Event]:
        counter, body = frames.read_asked(frame.body)
        if frame.request in self._open or len(self._open) >= MOST_ASKED:
            raise FrameError("a request that waits already, or one too many")
        self._open[frame.request] = frame.slot
        return [Asked(frame.request, frame.kind, frame.slot, counter, body)]
