"""A slot: the place where a card is put in, pulled out, and talked to by one owner at a time.

Rules, kept here and nowhere else:
- every insertion and removal counts one event; a connection is bound to the count at which it was made,
  so a card pulled out and put back never continues an old session;
- a new connection resets the card and ends the former one: nobody inherits a verified PIN;
- `exclusive()` gives the slot to one thread; others wait, but not for ever. A card that other programs
  share is kept from them as long (`SharedCard`);
- pulling the card waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from reader.connection import Connection
from reader.errors import (
    CardMute,
    CardProtocolError,
    CardRemoved,
    NoCard,
    NoPinPad,
    ReaderError,
    SlotBusy,
    SlotTaken,
)

if TYPE_CHECKING:
    from reader.pinpad import PinEntry

MAX_ATR = 33
"""An ATR has TS and at most 32 characters (ISO/IEC 7816-3:2006, 8.2.1)."""

OWNER_WAIT = 30.0
"""Seconds a thread waits for a slot another thread keeps."""


class Card(Protocol):
    """Anything a slot can hold: an emulated card, or the link to a real one.

    Every call may raise TimeoutError or another OSError when the card or the link does not answer, or a
    ReaderError when it knows better (CardRemoved, SlotTaken…); either ends the connection.
    """

    def power_on(self) -> bytes:
        """Cold reset; the ATR."""
        ...

    def transmit(self, apdu: bytes) -> bytes:
        """One command, one answer (data and status word)."""
        ...

    def power_off(self) -> None:
        """Take the power away; everything volatile is lost."""
        ...


@runtime_checkable
class SharedCard(Card, Protocol):
    """A card that other programs can reach as well: a slot keeps it from them while it has an owner.

    `power_on` is then a cold reset by itself, also between `begin` and `end`.
    """

    def begin(self) -> None:
        """Keep the card for this program; TimeoutError when others do not let it go.

        Anything else that is wrong ends the connection; the next call through it says what (`Slot.check`).
        """
        ...

    def end(self) -> None:
        """Let others use the card again; never because it has gone is anything raised."""
        ...


@runtime_checkable
class PadCard(Card, Protocol):
    """A card in a reader with a PIN pad of its own; `has_pad`, if there is such an attribute, may deny it."""

    def verify_on_pad(self, entry: PinEntry) -> bytes:
        """Let the reader ask for the PIN and send the command; the status word (2 bytes), nothing else.

        6400 nothing was entered in time, 6401 cancelled (PC/SC part 10, 2.5.2), or the card's own answer.
        """
        ...


Observer = Callable[[str, bytes, bytes], None]
"""Sees (slot name, command, answer) of each exchange; a power-on has an empty command and the ATR."""


class Exclusive:
    """The right to use a slot, for one thread at a time (re-entrant).

    The outermost level also takes the card from other programs: `begin` gives what ends that, or None.
    `tenure` counts how often that was done: others may have used the card in between.
    """

    __slots__ = ("_begin", "_depth", "_held", "_lock", "_slot", "tenure", "wait")

    def __init__(
        self, slot: str, wait: float = OWNER_WAIT, begin: Callable[[], SharedCard | None] = lambda: None
    ) -> None:
        self._lock, self._slot, self.wait, self._begin = threading.RLock(), slot, wait, begin
        self._depth = self.tenure = 0
        self._held: SharedCard | None = None

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self.wait):
            raise SlotBusy(self._slot, self.wait)
        if not self._depth:
            try:
                self._held = self._begin()
                self.tenure += self._held is not None
            except BaseException:
                self._lock.release()
                raise
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        try:
            if not self._depth and self._held is not None:
                held, self._held = self._held, None
                with suppress(OSError, ReaderError):
                    held.end()
        finally:
            self._lock.release()


class Slot:
    """One slot of a reader, empty at first.

    `why_empty`: what a driver knows about a slot that has no card, when it is not that none was put in.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.owner = Exclusive(name, begin=self._begin)
        self._wire = threading.RLock()  # held while the card works, so that power is cut between exchanges
        self._presence = threading.Lock()  # card and event count change together
        self._card: Card | None = None
        self._shared: SharedCard | None = None  # the same card, when other programs can reach it
        self._pad: PadCard | None = None  # the same card, when its reader has a PIN pad
        self._events = 0
        self._connection: Connection | None = None
        self.why_empty: ReaderError | None = None
        self._observers: tuple[Observer, ...] = ()

    def __repr__(self) -> str:
        return f"Slot({self.name!r}, {'card present' if self.is_present else 'empty'})"

    @property
    def is_present(self) -> bool:
        """True while a card is in the slot."""
        return self._card is not None

    def emptiness(self) -> ReaderError:
        """What to say of this slot while it has no card: NoCard, or what the driver knows better."""
        return self.why_empty.with_traceback(None) if self.why_empty else NoCard(self.name)

    @property
    def has_pad(self) -> bool:
        """True when the reader around the card in this slot can ask for the PIN itself."""
        return self._pad is not None and bool(getattr(self._pad, "has_pad", True))

    @property
    def pad_only(self) -> bool:
        """True when the PIN of the card in this slot is entered at its reader and cannot be given here."""
        return bool(getattr(self._card, "pad_only", False))

    @property
    def is_shared(self) -> bool:
        """True when other programs can reach the card in this slot (`SharedCard`)."""
        return self._shared is not None

    @property
    def event_counter(self) -> int:
        """How many times a card was inserted or removed; never goes back."""
        return self._events

    def observe(self, observer: Observer) -> None:
        """Let `observer` see every exchange from now on (a Trace, for example)."""
        self._observers = (*self._observers, observer)

    def insert(self, card: Card) -> None:
        """Put a card in; raises ReaderError when there is one already."""
        with self._wire, self._presence:
            if self._card is not None:
                raise ReaderError(
                    f"There is already a card in the {self.name} slot: take it out first.", slot=self.name
                )
            self._card = card
            self._shared = card if isinstance(card, SharedCard) else None
            self._pad = card if isinstance(card, PadCard) else None
            self._events += 1

    def remove(self) -> None:
        """Pull the card out, whoever is using it; its power is cut. Nothing happens on an empty slot."""
        with self._presence:
            card, self._card = self._card, None
            self._shared = self._pad = None
            if card is None:
                return
            self._events += 1
        with self._wire, suppress(OSError, ReaderError):
            card.power_off()

    def connect(self) -> Connection:
        """Power the card on and talk to it; the former connection to this slot ends here.

        Raises NoCard, CardMute, CardProtocolError (impossible ATR), SlotBusy.
        """
        with self.owner:
            self._connection = None
            connection = Connection(self, self._events, self.power_on())
            self._connection = connection
            return connection

    def power_on(self) -> bytes:
        """Cold reset of the card in the slot; its ATR, 2 to 33 bytes."""
        with self._wire:
            card, events, shared = self._card, self._events, self._shared
            if card is None:
                raise self.emptiness()
            try:
                if shared is None:
                    card.power_off()
                atr = card.power_on()
            except OSError:
                raise CardMute(self.name) from None
            if self._events != events:
                raise CardRemoved(self.name)
        if not 2 <= len(atr) <= MAX_ATR or atr[0] not in (0x3B, 0x3F):
            raise CardProtocolError(self.name, "its answer to reset is not one")
        for observer in self._observers:
            observer(self.name, b"", atr)
        return atr

    def check(self, connection: Connection) -> None:
        """Raise CardRemoved or SlotTaken when `connection` is no longer the one that may speak."""
        if connection.events != self._events:
            raise CardRemoved(self.name)
        if connection is not self._connection:
            raise connection.ended.with_traceback(None) if connection.ended else SlotTaken(self.name)

    def exchange(self, connection: Connection, command: bytes) -> bytes:
        """One raw command and its raw answer, on behalf of `connection`."""
        return self._worked(connection, command, lambda card: card.transmit(command))

    def verify_on_pad(self, connection: Connection, entry: PinEntry) -> bytes:
        """One PIN entry on the reader's own pad, on behalf of `connection`; raises NoPinPad without one."""
        self.check(connection)
        pad = self._pad
        if pad is None or not self.has_pad:
            raise NoPinPad(self.name)
        return self._worked(connection, entry.apdu_template, lambda _card: pad.verify_on_pad(entry))

    def _worked(self, connection: Connection, command: bytes, work: Callable[[Card], bytes]) -> bytes:
        with self._wire:
            self.check(connection)
            card = self._card
            if card is None:
                raise CardRemoved(self.name)
            try:
                answer = work(card)
            except OSError:
                self._end(connection)  # a late answer must never be taken for the next one
                raise CardMute(self.name) from None
            except NoPinPad:
                raise  # nothing was sent
            except ReaderError as wrong:
                self._end(connection, wrong)
                raise
            finally:
                if connection.events != self._events:
                    raise CardRemoved(self.name) from None
        for observer in self._observers:
            observer(self.name, command, answer)
        return answer

    def _begin(self) -> SharedCard | None:
        """Keep a shared card from other programs for this slot's new owner."""
        shared, connection = self._shared, self._connection
        if shared is None:
            return None
        try:
            shared.begin()
        except SlotBusy:
            raise
        except TimeoutError:
            raise SlotBusy(self.name, self.owner.wait) from None
        except OSError:
            self._end(connection, CardMute(self.name))
        except ReaderError as wrong:
            self._end(connection, wrong)
        return shared

    def _end(self, connection: Connection | None, why: ReaderError | None = None) -> None:
        """`connection` is over; whoever uses it again hears why."""
        if connection is not None and connection is self._connection:
            connection.ended, self._connection = why, None

    def release(self, connection: Connection) -> None:
        """End `connection`: the card loses its power, and with it every verified PIN."""
        with self.owner, self._wire:
            if connection is not self._connection:
                return
            self._connection = None
            card = self._card
            if card is not None and connection.events == self._events:
                with suppress(OSError, ReaderError):
                    card.power_off()
