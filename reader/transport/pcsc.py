"""PC/SC through pyscard: the only file that imports `smartcard`, and of it the plain calls (`scard`) alone.

A card has a context of its own, since pcsc-lite lets one call at a time through a context. Three calls of
pcsc-lite wait without end while another program has a transaction with the card; each is kept in bounds here:
- SCardBeginTransaction: the lock is looked at first (SCardGetAttrib answers at once); who comes in between
  is waited for until `PcscCard.expire` lets the context go, which ends the call;
- SCardConnect: made by a thread that is not waited for longer than allowed; what it gets later is given back;
- SCardDisconnect with a reset: made inside a transaction only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from reader.errors import CardProtocolError, CardRemoved, NoPinPad, ReaderError, SlotBusy, SlotTaken
from reader.pcsc_errors import (
    GONE,
    MUTE,
    NO_READERS_AVAILABLE,
    SHARING_VIOLATION,
    STOPPED,
    TIMEOUT,
    PcscError,
    failure,
)
from reader.pcsc_features import (
    GET_FEATURE_REQUEST,
    GET_TLV_PROPERTIES,
    IFD_PIN_PROPERTIES,
    PinPad,
    parse_features,
    pin_pad,
)
from reader.pcsc_slots import ReaderState
from reader.slot import OWNER_WAIT
from reader.stream import Clock

if TYPE_CHECKING:
    from reader.pinpad import PinEntry

T = TypeVar("T")

EXCLUSIVE, SHARED, DIRECT = 1, 2, 3
ANY_PROTOCOL, T1 = 3, 2
LEAVE, RESET, UNPOWER = 0, 1, 2
ATR_STRING = 0x00090303
"""Constants of winscard.h that have one value everywhere."""

MAX_RAW = 65_538
"""Bytes of an answer of extended length and its status word."""

LOOK_AGAIN = 0.02
CLOSE_WAIT = 2.0
"""Seconds: between two looks at a lock; to give a card back in good order."""


def library() -> Any:
    """The module `smartcard.scard`; ReaderError says how to install it."""
    try:
        from smartcard import scard  # noqa: PLC0415 - an extra
    except (ImportError, OSError):
        raise ReaderError(
            "PC/SC readers need pyscard, which is not installed: pip install 'vitale-gateway[pcsc]' "
            "(Debian: swig and libpcsclite-dev first)."
        ) from None
    return scard


class Service:
    """One context of the PC/SC service. Raises PcscError with the code of the call that failed."""

    def __init__(self) -> None:
        self._scard = library()
        code, self._context = self._scard.SCardEstablishContext(0)
        checked(code)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def readers(self) -> list[str]:
        """The names of the readers that are connected."""
        code, names = self._scard.SCardListReaders(self._context, [])
        if code & 0xFFFFFFFF == NO_READERS_AVAILABLE:
            return []
        checked(code)
        return list(names)

    def wait(self, known: Mapping[str, int], milliseconds: int) -> list[ReaderState]:
        """Wait until a reader is no longer in its `known` state; how all of them are then.

        The states that are known when nothing changed in time.
        """
        asked = list(known.items())
        code, states = self._scard.SCardGetStatusChange(self._context, milliseconds, asked)
        if code & 0xFFFFFFFF != TIMEOUT:
            checked(code)
        return [ReaderState(name, state, bytes(atr)) for name, state, atr in states]

    def cancel(self) -> None:
        """End a `wait` in another thread. One that begins only now is not ended: ask again."""
        self._scard.SCardCancel(self._context)

    def connect(self, reader: str, share: int = SHARED) -> Handle:
        """A connection to the card in `reader`; with EXCLUSIVE for us alone, with DIRECT to the reader."""
        protocols = 0 if share == DIRECT else ANY_PROTOCOL
        code, handle, protocol = self._scard.SCardConnect(self._context, reader, share, protocols)
        checked(code)
        return Handle(self._scard, handle, protocol)

    def release(self) -> None:
        """Let the context go, and with it every connection and every wait."""
        self._scard.SCardReleaseContext(self._context)


class Handle:
    """One connection to one card."""

    def __init__(self, scard: Any, handle: int, protocol: int) -> None:
        self._scard, self._handle = scard, handle
        self._speak_as(protocol)

    def _speak_as(self, protocol: int) -> None:
        self._header = self._scard.SCARD_PCI_T1 if protocol == T1 else self._scard.SCARD_PCI_T0

    def transmit(self, command: bytes) -> bytes:
        """One raw command, its raw answer."""
        code, answer = self._scard.SCardTransmit(self._handle, self._header, list(command))
        checked(code)  # before a look at the answer: a call that fails gives bytes of the one before
        return bytes(answer)

    def control(self, number: int, data: bytes = b"") -> bytes:
        """One control command to the reader (PC/SC part 10), its answer."""
        code, answer = self._scard.SCardControl(self._handle, number, list(data))
        checked(code)
        return bytes(answer)

    def reset(self, how: int, share: int = SHARED) -> None:
        """UNPOWER: off and on again; RESET: as the driver likes. Selection, PIN and keys are forgotten.

        EXCLUSIVE is for a connection that is so already: on another one the call waits without end.
        """
        code, protocol = self._scard.SCardReconnect(self._handle, share, ANY_PROTOCOL, how)
        checked(code)
        self._speak_as(protocol)

    def atr(self) -> bytes:
        """The answer to the last reset."""
        code, _reader, _state, _protocol, atr = self._scard.SCardStatus(self._handle)
        checked(code)
        return bytes(atr)

    def is_kept(self) -> bool:
        """True while another program has a transaction with this card; answers at once."""
        code, _ = self._scard.SCardGetAttrib(self._handle, ATR_STRING)
        return bool(code & 0xFFFFFFFF == SHARING_VIOLATION)

    def begin(self) -> None:
        """Begin a transaction; waits for that of another program."""
        checked(self._scard.SCardBeginTransaction(self._handle))

    def end(self) -> None:
        """End the transaction; the card stays as it is."""
        checked(self._scard.SCardEndTransaction(self._handle, LEAVE))

    def disconnect(self, how: int) -> None:
        """End the connection; with RESET only inside a transaction, or it may wait without end."""
        checked(self._scard.SCardDisconnect(self._handle, how))

    def pin_pad(self) -> PinPad:
        """What the reader says of its PIN pad; an empty PinPad when it says nothing."""
        try:
            features = parse_features(self.control(GET_FEATURE_REQUEST))
        except PcscError:
            return PinPad()
        return pin_pad(
            features,
            self._said(features.get(IFD_PIN_PROPERTIES)),
            self._said(features.get(GET_TLV_PROPERTIES)),
        )

    def _said(self, number: int | None) -> bytes:
        try:
            return self.control(number) if number else b""
        except PcscError:
            return b""


def checked(code: int) -> None:
    """Raise PcscError unless the call succeeded; pyscard gives codes with and without sign."""
    if code:
        raise PcscError(code & 0xFFFFFFFF)


class PcscCard:
    """The card in one PC/SC reader, shared with other programs (`SharedCard`), perhaps before a PIN pad.

    Every new PcscCard is one stay of a card in a reader: who watches makes another when the card was moved,
    and calls `forsake` on this one. `pads` remembers what readers said of their pads. `alone`: other programs
    cannot even connect from a power-on to the end of the session.
    """

    def __init__(
        self,
        reader: str,
        slot: str,
        pads: dict[str, PinPad] | None = None,
        wait: float = OWNER_WAIT,
        clock: Clock = time.monotonic,
        *,
        alone: bool = False,
    ) -> None:
        self._share = EXCLUSIVE if alone else SHARED
        self.reader, self.slot, self.wait, self._clock = reader, slot, wait, clock
        self._pads = {} if pads is None else pads
        self._service: Service | None = None
        self._handle: Handle | None = None
        self._wanted = self._held = self._forsaken = False
        self._waiting_since: float | None = None

    def __repr__(self) -> str:
        return f"PcscCard({self.reader!r})"

    @property
    def has_pad(self) -> bool:
        """True when the reader can verify a PIN on its own pad; known once the card was powered on."""
        return bool(self._pads.get(self.reader, PinPad()).verify)

    def power_on(self) -> bytes:
        """A cold reset, whoever used the card before; its ATR."""
        try:
            if self._handle is None:
                self._connect()
            if self._wanted and not self._held:
                self._take(self.wait)
            handle = self._connected()
            self._cold_reset(handle)
            if self.reader not in self._pads:
                self._pads[self.reader] = handle.pin_pad()
            return handle.atr()
        except PcscError as wrong:
            self._abandon()
            raise self._failed(wrong) from None

    def transmit(self, apdu: bytes) -> bytes:
        """One command, one answer."""
        try:
            answer = self._connected().transmit(apdu)
        except PcscError as wrong:
            raise self._failed(wrong) from None
        if len(answer) > MAX_RAW:
            raise CardProtocolError(self.slot, "an answer longer than any can be")
        return answer

    def verify_on_pad(self, entry: PinEntry) -> bytes:
        """The reader asks for the PIN and sends the command; the status word (PC/SC part 10, 2.5.2)."""
        pad = self._pads.get(self.reader, PinPad())
        number = pad.modify if entry.operation == "modify" else pad.verify
        if not number:
            raise NoPinPad(self.slot)
        try:
            answer = self._connected().control(number, entry.to_part10())
        except PcscError as wrong:
            raise self._failed(wrong) from None
        if len(answer) != 2:
            raise CardProtocolError(self.slot, "its PIN pad gives more than a status word")
        return answer

    def power_off(self) -> None:
        """End the connection; the card is reset unless it has gone or others keep it.

        Not unpowered: another program with an open connection could not take it up again (pcscd calls a card
        without power unresponsive). pcscd takes the power away when nobody is connected any more.
        """
        handle = self._handle
        if handle is not None:
            self._disconnect(handle)
        if self._forsaken:
            self._let_go()

    def _disconnect(self, handle: Handle) -> None:
        if not self._forsaken and not self._held:
            with suppress(PcscError, SlotBusy):
                self._take(CLOSE_WAIT)
        how = RESET if self._held and not self._forsaken else LEAVE
        self._handle, self._held = None, False
        self._end_with(lambda: handle.disconnect(how))

    def begin(self) -> None:
        """Begin a transaction; a card that is not connected is kept as soon as it is powered on."""
        self._wanted = True
        if self._handle is None:
            return
        try:
            self._take(self.wait)
        except PcscError as wrong:
            self._abandon()  # what was said over this connection is over; power_on makes another
            raise self._failed(wrong) from None

    def end(self) -> None:
        """End the transaction."""
        held, self._wanted, self._held = self._held, False, False
        if held and self._handle is not None:
            self._end_with(self._handle.end)

    def forsake(self) -> None:
        """The card has left its reader, or the service has: nothing is waited for any more."""
        self._forsaken = True
        if self._waiting_since is not None:
            self._let_go()

    def expire(self) -> None:
        """Called every few seconds: end a wait for another program that lasts longer than allowed."""
        since = self._waiting_since
        if since is not None and self._clock() - since > self.wait:
            self._let_go()

    def _connect(self) -> None:
        if self._forsaken:
            raise CardRemoved(self.slot)
        if self._service is None:
            self._service = Service()
        service = self._service

        def late(handle: Handle) -> None:
            handle.disconnect(LEAVE)
            service.release()

        self._handle = bounded(lambda: service.connect(self.reader, self._share), self.wait, late)
        if self._handle is None:
            self._service = None  # the thread that still waits lets it go
            raise SlotBusy(self.slot, self.wait)

    def _connected(self) -> Handle:
        if self._handle is None:
            raise CardRemoved(self.slot) if self._forsaken else SlotTaken(self.slot)
        return self._handle

    def _take(self, patience: float) -> None:
        """Begin the transaction within `patience` seconds, or raise SlotBusy."""
        handle, start = self._connected(), self._clock()
        while handle.is_kept():
            if self._clock() - start > patience:
                raise SlotBusy(self.slot, patience)
            time.sleep(LOOK_AGAIN)
        self._waiting_since = self._clock()
        try:
            handle.begin()
        except PcscError:
            if self._clock() - start > self.wait and not self._forsaken:
                raise SlotBusy(self.slot, self.wait) from None
            raise
        finally:
            self._waiting_since = None
        self._held = True

    def _cold_reset(self, handle: Handle) -> None:
        """Power off and on; a reader that cannot do that resets the card in its own way."""
        try:
            handle.reset(UNPOWER, self._share)
        except PcscError as wrong:
            if wrong.code in GONE | STOPPED | MUTE | {SHARING_VIOLATION}:
                raise
            handle.reset(RESET, self._share)

    def _failed(self, wrong: PcscError) -> ReaderError | OSError:
        """What to raise. A context that has gone with its service is forgotten: the next one may live."""
        if wrong.code in STOPPED:
            self._let_go()
        return CardRemoved(self.slot) if self._forsaken else failure(wrong.code, self.slot)

    def _abandon(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            self._end_with(lambda: handle.disconnect(LEAVE))

    def _end_with(self, call: Callable[[], None]) -> None:
        """End something. What cannot be ended goes with its context: no lock is left behind."""
        try:
            call()
        except PcscError:
            self._let_go()

    def _let_go(self) -> None:
        service, self._service = self._service, None
        self._handle, self._held = None, False
        if service is not None:
            with suppress(PcscError):
                service.release()


def bounded(call: Callable[[], T], seconds: float, late: Callable[[T], None]) -> T | None:
    """What `call` gives, or None when that takes longer than `seconds`; `late` undoes what it gives then."""
    outcome: Future[T] = Future()
    lock = threading.Lock()

    def work() -> None:
        try:
            given = call()
        except BaseException as wrong:
            with lock:
                if not outcome.cancelled():
                    outcome.set_exception(wrong)
            return
        with lock:
            if not outcome.cancelled():
                outcome.set_result(given)
                return
        with suppress(PcscError):
            late(given)

    threading.Thread(target=work, name="pcsc-connect", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        with lock:
            if not outcome.cancel():
                return outcome.result()
    return None
