"""The gateway's view of a lent slot: a card like any other, whose commands travel to its agent.

Nothing here holds a PIN: a command with digits is refused before it leaves, and `verify_on_pad` asks the
agent, which answers a status word.
"""

from __future__ import annotations

from collections.abc import Callable

from reader.agent.allowed import holds_digits
from reader.agent.frames import MAX_FRAME, Flag, Kind, LentSlot, Outcome
from reader.agent.link import Link, LinkEnded
from reader.agent.machines import Moved
from reader.errors import (
    CardProtocolError,
    CardRemoved,
    NoPinPad,
    ReaderError,
    SlotBusy,
    SlotTaken,
)
from reader.pinpad import PinEntry
from reader.reader import SLOT_NAMES, Reader
from reader.slot import OWNER_WAIT, Card, Slot
from reader.watch import Place

POWER_SECONDS, EXCHANGE_SECONDS = 35.0, 35.0
"""What an agent's own reader may take (30 s), and the way."""

TYPING_SECONDS, MARGIN = 60, 15.0
"""An agent gives a person at least this long for a PIN that is typed at its page."""

TOO_LONG = b"\x67\x00"


class AgentAway(ReaderError):
    """The agent that lends this slot is not connected: as a reader that is not plugged in."""

    code = "agent-away"

    def __init__(self, slot: str, agent: str) -> None:
        super().__init__(
            f"The agent {agent} that lends the {slot} slot is not connected: start vitale-gateway agent on "
            f"its "
            "machine; the slot comes back by itself.",
            slot=slot,
        )


class NotLent(ReaderError):
    """The agent is there and lends no slot of this name."""

    code = "slot-not-lent"

    def __init__(self, slot: str, agent: str) -> None:
        super().__init__(f"The agent {agent} lends no {slot} slot: correct slots in its settings.", slot=slot)


class PinStaysLocal(ReaderError):
    """A PIN was given to the gateway for a card that is at an agent; it was sent nowhere."""

    code = "pin-stays-local"

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"The PIN of the card in the {slot} slot is typed where its reader is, never here: ask for it "
            f"on the "
            "PIN pad (nothing was sent).",
            slot=slot,
        )


class NotRelayed(ReaderError):
    """The agent lets no such command through."""

    code = "not-relayed"

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"The agent of the {slot} slot lets only reading, authenticating and signing through: use its "
            f"reader "
            "where it is for anything else.",
            slot=slot,
        )


class BorrowedCard:
    """A card in an agent's slot, from its insertion to its removal. A `PadCard` when its agent takes the
    PIN.
    """

    pad_only = True

    def __init__(self, link: Link, place: int, slot: str, counter: int, flags: Flag) -> None:
        self._link, self._place, self._slot, self.counter = link, place, slot, counter
        self.flags = flags
        self.has_left = False

    @property
    def has_pad(self) -> bool:
        """The PIN can be entered where the card is."""
        return bool(self.flags & Flag.PIN)

    def power_on(self) -> bytes:
        """Cold reset; the ATR."""
        return self._ask(Kind.POWER_ON, b"", POWER_SECONDS)

    def power_off(self) -> None:
        """Take the power away; nothing is sent about a card that has left."""
        if not self.has_left:
            self._ask(Kind.POWER_OFF, b"", POWER_SECONDS)

    def transmit(self, apdu: bytes) -> bytes:
        """One command. PinStaysLocal when it holds digits, 6700 when no frame can carry it."""
        if holds_digits(apdu):
            raise PinStaysLocal(self._slot)
        if len(apdu) > MAX_FRAME - 16:
            return TOO_LONG
        return self._ask(Kind.TRANSMIT, apdu, EXCHANGE_SECONDS)

    def verify_on_pad(self, entry: PinEntry) -> bytes:
        """Have the PIN entered where the card is; the status word."""
        seconds = max(entry.timeout_seconds, TYPING_SECONDS) + MARGIN
        status = self._ask(Kind.ENTER_PIN, entry.to_ccid(), seconds)
        if len(status) != 2:
            raise CardProtocolError(self._slot, "its agent answers no status word")
        return status

    def _ask(self, kind: Kind, body: bytes, seconds: float) -> bytes:
        if self.has_left:
            raise CardRemoved(self._slot)
        try:
            outcome, answer = self._link.ask(kind, self._place, self.counter, body, seconds)
        except LinkEnded:
            raise CardRemoved(self._slot) from None
        return self._checked(outcome, answer)

    def _checked(self, outcome: Outcome, answer: bytes) -> bytes:
        if outcome is Outcome.DONE:
            return answer
        if outcome is Outcome.MUTE:
            raise TimeoutError("the card is mute")
        raise _refusal(outcome, self._slot)


class SharedBorrowedCard(BorrowedCard):
    """The same when other programs of the agent's machine can reach the card (`reader.slot.SharedCard`)."""

    def begin(self) -> None:
        """Keep the card for the gateway."""
        self._ask(Kind.BEGIN, b"", OWNER_WAIT + MARGIN)

    def end(self) -> None:
        """Let others use it again."""
        if not self.has_left:
            self._ask(Kind.END, b"", POWER_SECONDS)


def _refusal(outcome: Outcome, slot: str) -> ReaderError:
    if outcome is Outcome.GONE:
        return CardRemoved(slot)
    if outcome is Outcome.TAKEN:
        return SlotTaken(slot)
    if outcome is Outcome.BUSY:
        return SlotBusy(slot, OWNER_WAIT)
    if outcome is Outcome.NO_PIN:
        return NoPinPad(slot)
    if outcome is Outcome.REFUSED:
        return NotRelayed(slot)
    if outcome is Outcome.NONSENSE:
        return CardProtocolError(slot, "its agent cannot read what it says")
    return CardRemoved(slot)


class _Borrowed:
    """One slot of ours and what its agent says of it."""

    def __init__(self, slot: Slot, agent: str) -> None:
        self._agent, self._slot = agent, slot
        self._card: BorrowedCard | None = None
        self._away: Callable[[str], ReaderError] | None = self._is_away
        self._place = Place(slot, self._look, self._why)
        self.settle()

    def _is_away(self, slot: str) -> ReaderError:
        return AgentAway(slot, self._agent)

    @property
    def slot_name(self) -> str:
        return self._slot.name

    def not_lent(self, slot: str) -> ReaderError:
        return NotLent(slot, self._agent)

    def show(self, card: BorrowedCard | None) -> None:
        """The agent is there; this is in its slot now."""
        self._forsake(card)
        self._card, self._away = card, None
        self.settle()

    def lose(self, why: Callable[[str], ReaderError] | None = None) -> None:
        """The agent is not there, or lends no such slot."""
        self._forsake(None)
        self._card, self._away = None, why or self._is_away
        self.settle()

    def settle(self) -> None:
        """Make our slot as it is there."""
        try:
            self._place.look()
        except OSError:
            return

    def _forsake(self, card: BorrowedCard | None) -> None:
        """From now on the former card answers nobody: whoever uses it stops at once."""
        if self._card is not None and self._card is not card:
            self._card.has_left = True

    def _look(self) -> Card | None:
        if self._away is not None:
            raise OSError("away")
        return self._card

    def _why(self, slot: str) -> ReaderError:
        return (self._away or self._is_away)(slot)


class AgentReader(Reader):
    """The slots of one agent, empty while it is away. Filled by the thread of its connection, one at a
    time.
    """

    def __init__(
        self,
        agent: str,
        practice: str,
        closed: Callable[[], None] = lambda: None,
        slot_names: tuple[str, ...] = SLOT_NAMES,
    ) -> None:
        """closed: told when nobody uses this reader any more."""
        super().__init__(slot_names)
        self.agent, self.practice, self._closed = agent, practice, closed
        self._borrowed = {slot.name.lower(): _Borrowed(slot, agent) for slot in self.slots}
        self._lent: list[_Borrowed | None] = []
        self._cards: list[BorrowedCard | None] = []

    def attach(self, link: Link, lent: tuple[LentSlot, ...]) -> None:
        """The agent is here."""
        self._lent = [self._borrowed.get(slot.name.lower()) for slot in lent]
        self._cards = [None] * len(lent)
        for borrowed in self._borrowed.values():
            if borrowed not in self._lent:
                borrowed.lose(borrowed.not_lent)
        for place, slot in enumerate(lent):
            self.moved(link, Moved(place, slot.flags, slot.counter))

    def moved(self, link: Link, movement: Moved) -> None:
        """A card was put in or pulled out there, or changed what it can do."""
        borrowed, known = self._lent[movement.place], self._cards[movement.place]
        if borrowed is None:
            return
        if not movement.flags & Flag.PRESENT:
            card = None
        elif known is not None and known.counter == movement.counter:
            card, known.flags = known, movement.flags
        else:
            card = self._card(link, movement, borrowed)
        self._cards[movement.place] = card
        link.show(movement.place, card.counter if card else None)
        borrowed.show(card)

    def close(self) -> None:
        """Let the agent and its cards go; safe to call again."""
        self._closed()
        super().close()

    def detach(self) -> None:
        """The agent has gone."""
        for borrowed in self._borrowed.values():
            borrowed.lose()
        self._lent, self._cards = [], []

    @staticmethod
    def _card(link: Link, movement: Moved, borrowed: _Borrowed) -> BorrowedCard:
        kind = SharedBorrowedCard if movement.flags & Flag.SHARED else BorrowedCard
        return kind(link, movement.place, borrowed.slot_name, movement.counter, movement.flags)
