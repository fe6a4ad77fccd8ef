"""A place of work: one reader with a Vitale slot and a CPS slot, and the sessions with the two cards.

The CPS is unlocked once and stays so until it leaves its slot; a Vitale session lives for one patient, and
keeps both cards from every other program meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol

from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.errors import CardRefusal
from gateway.secret import Secret
from gateway.sitting import Sitting
from reader.errors import NoCard, ReaderError, SlotBusy
from reader.slot import Slot


class Reader(Protocol):
    """Any reader with named slots: emulated, PC/SC or serial."""

    def slot(self, name: str) -> Slot:
        """The slot of this name; ReaderError when there is none."""
        ...

    def close(self) -> None:
        """Let every card go."""
        ...


class Desk:
    """Opens and closes sessions; holds the PIN of nobody."""

    def __init__(self, reader: Reader, *, vitale_slot: str = "Vitale", cps_slot: str = "CPS") -> None:
        self._vitale_slot, self._cps_slot = reader.slot(vitale_slot), reader.slot(cps_slot)
        self._reader = reader
        self._cps: CpsSession | None = None
        self.sitting: Sitting | None = None
        """How long and for how many FSE one PIN is good; None: until the CPS leaves its slot."""
        self.watch: Callable[[str], AbstractContextManager[None]] = lambda operation: nullcontext()
        """Around each work with a card: for whoever counts and times it."""

    @property
    def slots(self) -> tuple[Slot, Slot]:
        """The Vitale slot and the CPS slot."""
        return self._vitale_slot, self._cps_slot

    @property
    def is_unlocked(self) -> bool:
        """True while the CPS that was unlocked is still in its slot, and nobody has reset it."""
        if self.sitting is not None and self.sitting.is_over:
            self.lock()
        session = self._cps
        if session is None:
            return False
        try:
            with session.exclusive():
                session.connection.check()
        except SlotBusy:
            return True  # another program has it for a moment
        except ReaderError:
            self._cps = None
            return False
        return session.pin_verified

    @property
    def has_vitale(self) -> bool:
        """True while a card is in the Vitale slot."""
        return self._vitale_slot.is_present

    @property
    def has_cps(self) -> bool:
        """True while a card is in the CPS slot."""
        return self._cps_slot.is_present

    @property
    def trouble(self) -> ReaderError | None:
        """What keeps a slot from having any card: its reader or the service behind it is not there."""
        for slot in (self._cps_slot, self._vitale_slot):
            if not slot.is_present and not isinstance(why := slot.emptiness(), NoCard):
                return why
        return None

    @property
    def cps_movements(self) -> int:
        """How many times a CPS was put in or taken out."""
        return self._cps_slot.event_counter

    def unlock(self, pin: Secret | None = None) -> CpsSession:
        """Open the CPS and present the PIN, or have it typed on the reader's own pad when none is given.

        CardRefusal or ReaderError says what is wrong.
        """
        self.lock()
        with self.watch("unlock"):
            self._cps = self._opened(pin)
        if self.sitting is not None:
            self.sitting.begin()
        return self._cps

    def _opened(self, pin: Secret | None) -> CpsSession:
        session = CpsSession.open(self._cps_slot.connect())
        try:
            if pin is None:
                session.verify_pin_on_pad()
            else:
                session.verify_pin(pin)
        except (CardRefusal, ReaderError):
            session.close()
            raise
        return session

    def lock(self) -> None:
        """End the CPS session: the card forgets the PIN."""
        session, self._cps = self._cps, None
        if session is not None:
            with suppress(ReaderError):
                session.close()

    def close(self) -> None:
        """The reader lets every card go; nothing is done here any more."""
        self._reader.close()

    @property
    def cps(self) -> CpsSession:
        """The unlocked CPS session; CardRefusal when the PIN has to be given (again)."""
        session = self._cps if self.is_unlocked else None
        if session is None:
            raise CardRefusal(
                f"The CPS in the {self._cps_slot.name} slot is locked: give its PIN.", code="pin-needed"
            )
        return session

    @contextmanager
    def vitale(self) -> Iterator[VitaleSession]:
        """A session with the Vitale in its slot, ended on the way out; both cards are kept until then."""
        held = self._cps
        cps = held.exclusive() if held is not None else nullcontext()
        with self.watch("visit"), cps, self._vitale_slot.owner:
            session = VitaleSession.open(self._vitale_slot.connect())
            try:
                yield session
            finally:
                with suppress(ReaderError):
                    session.close()
