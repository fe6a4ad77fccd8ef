"""The PC/SC driver: slots filled by a thread that watches the readers, cards shared with other programs.

A card that was pulled out and put back is a new card even when nobody looked in between: PC/SC counts the
movements of every reader. The service itself may stop and start again, readers may come and go: the slots
are empty meanwhile and say why.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from reader.errors import NoCard, ReaderError
from reader.pcsc_errors import UNKNOWN_READER, PcscError, ServiceStopped, failure
from reader.pcsc_features import PinPad
from reader.pcsc_slots import CHANGED, ReaderState, Verdict, assign, matching
from reader.reader import SLOT_NAMES, Reader
from reader.slot import OWNER_WAIT, Slot
from reader.transport.pcsc import DIRECT, PcscCard, Service, bounded, library

NOTIFICATION = "\\\\?PnP?\\Notification"
"""The reader of that name changes when a reader is plugged in or out (PC/SC part 5; pcsc-lite)."""

PATIENCE_MS = 5_000
"""The watch looks at everything again after that long, whatever it was told."""

RETRY_SECONDS = 1.0
"""Between two tries to reach a service that is not there."""

ASK_SECONDS = 2.0
FIRST_LOOK_SECONDS = 5.0
CANCELS, CANCEL_SECONDS = 250, 0.02
BREATH = 0.01
"""Seconds between two looks, however often the service says that something changed."""


def open_pcsc(slots: Sequence[str], *, alone: bool = False) -> PcscReader:
    """The driver `pcsc`: one pattern for each slot (Vitale, then CPS), or one for both.

    A pattern is a part of the reader's name, or a regular expression. `alone`: other programs cannot connect
    to a card that has a session. Raises ReaderError when pyscard is not installed or the patterns cannot be
    used; a service or a reader that is not there may still come.
    """
    return PcscReader(slots, alone=alone)


def look(pattern: str = "") -> list[tuple[ReaderState, bool | None]]:
    """The readers whose name fits (all: ""), as they are now, and whether each has a PIN pad.

    No card is touched. None: the reader would not say, another program keeps its card. Raises ReaderError.
    """
    try:
        with Service() as service:
            names = service.readers()
            if pattern:
                names = matching(pattern, names)
            states = service.wait(dict.fromkeys(names, 0), 0) if names else []
            return [(state, _has_pad(state.name)) for state in states]
    except PcscError as wrong:
        raise _sentence(wrong) from None


def _has_pad(reader: str) -> bool | None:
    def ask() -> bool:
        with Service() as service:  # of its own: a context lets one call at a time through
            return bool(service.connect(reader, DIRECT).pin_pad().verify)

    try:
        return bounded(ask, ASK_SECONDS, lambda _has_pad: None)
    except PcscError:
        return None


def _sentence(wrong: PcscError) -> ReaderError:
    """What a person hears when the service itself does not do what it is asked."""
    why = failure(wrong.code, "")
    return why if isinstance(why, ReaderError) else ServiceStopped()


class PcscReader(Reader):
    """Slots behind PC/SC readers. `close()` ends the watch and gives the cards back."""

    def __init__(
        self,
        patterns: Sequence[str],
        slot_names: Sequence[str] = SLOT_NAMES,
        *,
        wait: float = OWNER_WAIT,
        alone: bool = False,
    ) -> None:
        library()
        if len(patterns) not in (1, len(slot_names)) or not all(pattern.strip() for pattern in patterns):
            names = " and ".join(slot_names)
            raise ReaderError(
                f"PC/SC slots are given as part of a reader's name: one for each of {names}, or one for all."
            )
        super().__init__(slot_names)
        for slot in self.slots:
            slot.owner.wait = wait
        self._filler = _Filler(self.slots, patterns, wait, alone=alone)
        self._watch = _Watch(self._filler)

    def close(self) -> None:
        """End the watch, let every card go; safe to call again."""
        self._watch.close()
        super().close()


class _Filler:
    """Keeps slots as the readers are. Used by one thread at a time."""

    def __init__(self, slots: Sequence[Slot], patterns: Sequence[str], wait: float, *, alone: bool) -> None:
        self._slots, self._patterns, self._wait, self._alone = slots, patterns, wait, alone
        self._pads: dict[str, PinPad] = {}
        self._cards: dict[str, tuple[PcscCard, int, int]] = {}  # slot → card, service, movements

    def fill(self, states: Sequence[ReaderState], service: int) -> None:
        """Put into the slots what `states` of the service number `service` say."""
        for name in self._pads.keys() - {state.name for state in states}:
            del self._pads[name]
        held = {slot: card.reader for slot, (card, _, _) in self._cards.items()}
        names = [slot.name for slot in self._slots]
        verdicts = assign(self._patterns, names, states, held)
        for slot in self._slots:
            self._settle(slot, verdicts[slot.name], service)

    def empty(self, why: ReaderError) -> None:
        """No service, no readers, no cards."""
        self._pads.clear()
        for slot in self._slots:
            self._settle(slot, why, 0)

    def expire(self) -> None:
        """End waits for other programs that last too long."""
        for card, _, _ in self._cards.values():
            card.expire()

    def _settle(self, slot: Slot, verdict: Verdict, service: int) -> None:
        found = self._cards.get(slot.name)
        if isinstance(verdict, ReaderState) and found is not None:
            card, its_service, movements = found
            if (card.reader, its_service, movements) == (verdict.name, service, verdict.movements):
                return
        if found is not None:
            del self._cards[slot.name]
            found[0].forsake()
            slot.remove()
        if isinstance(verdict, ReaderState):
            slot.why_empty = None
            card = PcscCard(verdict.name, slot.name, self._pads, self._wait, alone=self._alone)
            self._cards[slot.name] = card, service, verdict.movements
            slot.insert(card)
        else:
            slot.why_empty = None if isinstance(verdict, NoCard) else verdict


class _Watch:
    """The thread that waits for changes and has the slots filled."""

    def __init__(self, filler: _Filler) -> None:
        self._filler = filler
        self._stop, self._looked = threading.Event(), threading.Event()
        self._service: Service | None = None
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="pcsc-watch", daemon=True)
        self._thread.start()
        self._looked.wait(FIRST_LOOK_SECONDS)

    def close(self) -> None:
        """End the thread. A cancel is lost when the wait begins just after it, so it is asked again."""
        self._stop.set()
        for _ in range(CANCELS):
            if not self._thread.is_alive():
                return
            service = self._service
            if service is not None:
                service.cancel()
            self._thread.join(CANCEL_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._number += 1
            try:
                with Service() as self._service:
                    self._follow(self._service)
            except PcscError as wrong:
                self._filler.empty(_sentence(wrong))
            finally:
                self._service = None
            self._looked.set()
            self._stop.wait(RETRY_SECONDS)

    def _follow(self, service: Service) -> None:
        """Look at all readers, wait for a change, and again. PcscError when the service has gone."""
        known: dict[str, int] | None = None
        while not self._stop.is_set():
            names = service.readers()
            if known is None or list(known) != names:
                known = dict.fromkeys(names, 0)  # a state nobody is in: answered at once
                if not names:
                    self._show([])
            try:
                states = service.wait(known | {NOTIFICATION: 0}, PATIENCE_MS)
            except PcscError as wrong:
                if wrong.code != UNKNOWN_READER:  # it left between the list and the question
                    raise
                known = None
            else:
                known = {state.name: state.state & ~CHANGED for state in states if state.name in known}
                self._show([state for state in states if state.name in known])
            self._filler.expire()
            self._stop.wait(BREATH)

    def _show(self, states: Sequence[ReaderState]) -> None:
        self._filler.fill(states, self._number)
        self._looked.set()
