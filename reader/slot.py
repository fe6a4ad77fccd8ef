"""A slot: the place where a card is put in, pulled out, and talked to by one owner at a time.

Rules, kept here and nowhere else:
- every insertion and removal counts one event; a connection is bound to the count at which it was made,
  so a card pulled out and put back never continues an old session;
- a new connection resets the card and ends the former one: nobody inherits a verified PIN;
- `exclusive()` gives the slot to one thread; others wait, but not for ever;
- pulling the card waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol

from reader.connection import Connection
from reader.errors import CardMute, CardProtocolError, CardRemoved, NoCard, ReaderError, SlotBusy, SlotTaken

MAX_ATR = 33
"""An ATR has TS and at most 32 characters (ISO/IEC 7816-3:2006, 8.2.1)."""

OWNER_WAIT = 30.0
"""Seconds a thread waits for a slot another thread keeps."""


class Card(Protocol):
    """Anything a slot can hold: an emulated card, or the link to a real one.

    `transmit` may raise TimeoutError or another OSError when the card or the link does not answer.
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


Observer = Callable[[str, bytes, bytes], None]
"""Sees (slot name, command, answer) of each exchange; a power-on has an empty command and the ATR."""


class Exclusive:
    """The right to use a slot, for one thread at a time (re-entrant)."""

    __slots__ = ("_lock", "_slot", "wait")

    def __init__(self, slot: str, wait: float = OWNER_WAIT) -> None:
        self._lock, self._slot, self.wait = threading.RLock(), slot, wait

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self.wait):
            raise SlotBusy(self._slot, self.wait)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


class Slot:
    """One slot of a reader, empty at first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.owner = Exclusive(name)
        self._wire = threading.RLock()  # held while the card works, so that power is cut between exchanges
        self._presence = threading.Lock()  # card and event count change together
        self._card: Card | None = None
        self._events = 0
        self._connection: Connection | None = None
        self._observers: tuple[Observer, ...] = ()

    def __repr__(self) -> str:
        return f"Slot({self.name!r}, {'card present' if self.is_present else 'empty'})"

    @property
    def is_present(self) -> bool:
        """True while a card is in the slot."""
        return self._card is not None

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
            self._events += 1

    def remove(self) -> None:
        """Pull the card out, whoever is using it; its power is cut. Nothing happens on an empty slot."""
        with self._presence:
            card, self._card = self._card, None
            if card is None:
                return
            self._events += 1
        with self._wire, suppress(OSError):
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
            card, events = self._card, self._events
            if card is None:
                raise NoCard(self.name)
            try:
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
            raise SlotTaken(self.name)

    def exchange(self, connection: Connection, command: bytes) -> bytes:
        """One raw command and its raw answer, on behalf of `connection`."""
        with self._wire:
            self.check(connection)
            card = self._card
            if card is None:
                raise CardRemoved(self.name)
            try:
                answer = card.transmit(command)
            except OSError:
                answer = None
            if connection.events != self._events:
                raise CardRemoved(self.name)
            if answer is None:
                self._connection = None  # a late answer must never be taken for the next one
                raise CardMute(self.name)
        for observer in self._observers:
            observer(self.name, command, answer)
        return answer

    def release(self, connection: Connection) -> None:
        """End `connection`: the card loses its power, and with it every verified PIN."""
        with self.owner, self._wire:
            if connection is not self._connection:
                return
            self._connection = None
            card = self._card
            if card is not None and connection.events == self._events:
                with suppress(OSError):
                    card.power_off()
