"""A PC/SC service in memory with the calls of `smartcard.scard`: readers, cards, other programs, bad days."""

from __future__ import annotations

import itertools
import threading
import time

PNP = "\\\\?PnP?\\Notification"
ATR_VITALE = bytes.fromhex("3B751300004309EA9000")
ATR_CPS = bytes.fromhex("3BAC00402A001225006480000310009000")
OK = 0
CANCELLED, INVALID_HANDLE, UNKNOWN_READER, TIMEOUT = 0x80100002, 0x80100003, 0x80100009, 0x8010000A
SHARING, NO_CARD, NO_SERVICE, NO_READERS = 0x8010000B, 0x8010000C, 0x8010001D, 0x8010002E
UNRESPONSIVE, RESET, REMOVED = 0x80100066, 0x80100068, 0x80100069
PRESENT, EMPTY, MUTE, CHANGED, UNAVAILABLE = 0x20, 0x10, 0x200, 0x02, 0x0C


class FakeCard:
    """Echoes the last byte of a command as its status; counts what happens to it."""

    def __init__(self, atr=ATR_CPS, rule=None, mute=False):
        self.atr, self.mute = atr, mute
        self.rule = rule or (lambda _command: b"\x90\x00")
        self.resets, self.commands = 0, []
        self.is_powered = True


class FakeReader:
    """One slot as the service sees it."""

    def __init__(self, controls=None):
        self.card, self.movements = None, 0
        self.controls = controls or {}
        self.locked_by, self.exclusive = None, None
        self.handles = {}  # handle → pending event code

    def state(self):
        if self.card is None:
            return self.movements << 16 | EMPTY
        return self.movements << 16 | PRESENT | (MUTE if self.card.mute else 0)

    def atr(self):
        return [] if self.card is None or self.card.mute else list(self.card.atr)


class FakeScard:
    """Stands for the module. `fail[call]` is a list of codes that call answers first (None: as usual)."""

    SCARD_PCI_T0, SCARD_PCI_T1 = "T0", "T1"

    def __init__(self):
        self.change = threading.Condition(threading.RLock())
        self.readers, self.running = {}, True
        self.fail, self.calls, self.controlled = {}, [], []
        self.waits_long = False  # somebody waits for movements, for more than a second
        self.generation, self.numbers = 0, itertools.count(100)
        self.contexts, self.handles, self.cancelled = {}, {}, set()

    # what a test does to the world

    def plug(self, name, card=None, controls=None):
        with self.change:
            self.readers[name] = FakeReader(controls)
            if card is not None:
                self.readers[name].card, self.readers[name].movements = card, 1
            self.change.notify_all()

    def unplug(self, name):
        with self.change:
            reader = self.readers.pop(name)
            for handle in reader.handles:
                reader.handles[handle] = 0x80100017
            self.change.notify_all()

    def insert(self, name, card):
        with self.change:
            reader = self.readers[name]
            reader.card, reader.movements = card, reader.movements + 1
            self.change.notify_all()

    def pull(self, name):
        with self.change:
            reader = self.readers[name]
            reader.card, reader.movements = None, reader.movements + 1
            reader.handles = dict.fromkeys(reader.handles, REMOVED)
            reader.locked_by = reader.exclusive = None
            self.change.notify_all()

    def swap(self, name, card):
        """Pulled and put back before anybody looks."""
        with self.change:
            self.pull(name)
            self.insert(name, card)

    def stop(self):
        with self.change:
            self.running = False
            self.generation += 1
            for reader in self.readers.values():
                reader.handles, reader.locked_by, reader.exclusive = {}, None, None
            self.change.notify_all()

    def start(self):
        with self.change:
            self.running = True
            for reader in self.readers.values():
                reader.movements = 1 if reader.card else 0
            self.change.notify_all()

    def other(self, name):
        """Another program connects to the card in this reader."""
        return Other(self, name)

    # the calls

    def _noted(self, call):
        self.calls.append(call)
        if self.fail.get(call):
            code = self.fail[call].pop(0)
            if code is not None:
                return code
        return OK if self.running else NO_SERVICE

    def SCardEstablishContext(self, _scope):
        with self.change:
            if code := self._noted("establish"):
                return code, 0
            context = next(self.numbers)
            self.contexts[context] = self.generation
            return OK, context

    def SCardReleaseContext(self, context):
        with self.change:
            self.contexts.pop(context, None)
            for handle in [h for h, (c, _) in self.handles.items() if c == context]:
                self._forget(handle)
            self.change.notify_all()
            return OK

    def SCardListReaders(self, context, _groups):
        with self.change:
            if code := self._noted("list") or self._valid(context):
                return code, []
            return (OK, list(self.readers)) if self.readers else (NO_READERS, [])

    def SCardGetStatusChange(self, context, milliseconds, asked):
        end = time.monotonic() + milliseconds / 1000
        with self.change:
            if code := self._noted("wait"):
                return code, asked_back(asked)
            listed = len(self.readers)
            while True:
                if code := self._valid(context):
                    return code, asked_back(asked)
                if context in self.cancelled:
                    self.cancelled.discard(context)
                    return CANCELLED, asked_back(asked)
                answer, changed = [], False
                for name, known in asked:
                    if name == PNP:
                        moved = len(self.readers) != listed
                        answer.append((name, CHANGED if moved else 0, []))
                    elif name not in self.readers:
                        if not known:
                            return UNKNOWN_READER, asked_back(asked)
                        moved = True
                        answer.append((name, UNAVAILABLE | CHANGED, []))
                    else:
                        reader = self.readers[name]
                        moved = reader.state() != known
                        answer.append((name, reader.state() | (CHANGED if moved else 0), reader.atr()))
                    changed |= moved
                if changed:
                    return OK, answer
                left = end - time.monotonic()
                if left <= 0:
                    return TIMEOUT, answer
                self.waits_long = left > 1
                self.change.wait(left)
                self.waits_long = False

    def SCardCancel(self, context):
        with self.change:
            self.cancelled.add(context)
            self.change.notify_all()
            return OK

    def SCardConnect(self, context, name, share, _protocols):
        with self.change:
            if code := self._noted("connect") or self._valid(context):
                return code, 0, 0
            reader = self.readers.get(name)
            if reader is None:
                return UNKNOWN_READER, 0, 0
            if reader.exclusive:
                return SHARING, 0, 0
            while reader.locked_by and context in self.contexts:  # the service waits without end
                self.change.wait(0.05)
            if share != 3 and reader.card is None:
                return NO_CARD, 0, 0
            if share != 3 and reader.card.mute:
                return UNRESPONSIVE, 0, 0
            if share == 1 and reader.handles:
                return SHARING, 0, 0
            handle = next(self.numbers)
            reader.exclusive = handle if share == 1 else None
            self.handles[handle] = context, name
            reader.handles[handle] = OK
            return OK, handle, 1

    def SCardReconnect(self, handle, share, _protocols, how):
        with self.change:
            if code := self._noted(f"reset{how}") or self._usable(handle, event=False):
                return code, 0
            reader = self._reader(handle)
            if reader.card is None:
                return NO_CARD, 0
            if reader.card.mute:
                return UNRESPONSIVE, 0
            while share == 1 and reader.exclusive != handle:  # as libpcsclite: without end
                self.change.wait(0.05)
            self._reset(reader, handle)
            return OK, 1

    def SCardDisconnect(self, handle, how):
        with self.change:
            if code := self._noted(f"disconnect{how}") or self._known(handle):
                return code
            reader = self._reader(handle)
            while how and reader.locked_by not in (None, handle):
                self.change.wait(0.05)
            if how and reader.card:
                self._reset(reader, handle)
                reader.card.is_powered = how == 1
            self._forget(handle)
            self.change.notify_all()
            return OK

    def SCardBeginTransaction(self, handle):
        with self.change:
            if code := self._noted("begin"):
                return code
            while True:
                if code := self._known(handle):
                    return code
                reader = self._reader(handle)
                if reader.handles[handle]:
                    return reader.handles[handle]
                if reader.locked_by in (None, handle):
                    reader.locked_by = handle
                    return OK
                self.change.wait(0.05)

    def SCardEndTransaction(self, handle, _how):
        with self.change:
            if code := self._noted("end") or self._known(handle):
                return code
            reader = self._reader(handle)
            if reader.locked_by == handle:
                reader.locked_by = None
            self.change.notify_all()
            return OK

    def SCardTransmit(self, handle, _header, command):
        with self.change:
            if code := self._noted("transmit") or self._usable(handle):
                return code, list(b"\xde\xad\x90\x00")  # as pyscard: what the buffer still holds
            card = self._reader(handle).card
            card.commands.append(bytes(command))
        return OK, list(card.rule(bytes(command)))

    def SCardControl(self, handle, number, data):
        with self.change:
            if code := self._noted("control") or self._usable(handle):
                return code, list(b"\x90\x00")
            self.controlled.append((number, bytes(data)))
            answer = self._reader(handle).controls.get(number)
            return (OK, list(answer)) if answer is not None else (0x80100016, [])

    def SCardGetAttrib(self, handle, _number):
        with self.change:
            reader = self._reader(handle)
            locked = reader is not None and reader.locked_by not in (None, handle)
            return (SHARING, []) if locked else (OK, [])

    def SCardStatus(self, handle):
        with self.change:
            if code := self._noted("status") or self._usable(handle):
                return code, "", 0, 0, []
            reader = self._reader(handle)
            return OK, "", 0, 1, list(reader.card.atr)

    # inside

    def _reset(self, reader, handle):
        reader.card.resets += 1
        reader.card.is_powered = True
        for another in reader.handles:
            reader.handles[another] = OK if another == handle else RESET

    def _valid(self, context):
        if not self.running:
            return NO_SERVICE
        return OK if self.contexts.get(context) == self.generation else INVALID_HANDLE

    def _known(self, handle):
        if not self.running:
            return NO_SERVICE
        if handle not in self.handles:
            return INVALID_HANDLE
        context, name = self.handles[handle]
        if self._valid(context):
            return INVALID_HANDLE
        return OK if name in self.readers and handle in self.readers[name].handles else 0x80100017

    def _usable(self, handle, *, event=True):
        if code := self._known(handle):
            return code
        reader = self._reader(handle)
        if reader.locked_by not in (None, handle):
            return SHARING
        return reader.handles[handle] if event else OK

    def _reader(self, handle):
        return self.readers.get(self.handles.get(handle, (0, ""))[1])

    def _forget(self, handle):
        _, name = self.handles.pop(handle, (0, ""))
        reader = self.readers.get(name)
        if reader is not None:
            reader.handles.pop(handle, None)
            if reader.locked_by == handle:
                reader.locked_by = None
            if reader.exclusive == handle:
                reader.exclusive = None


class Other:
    """Another program with a connection to one card."""

    def __init__(self, scard, name):
        self.scard = scard
        _, self.context = scard.SCardEstablishContext(0)
        code, self.handle, _ = scard.SCardConnect(self.context, name, 2, 3)
        assert code == OK

    def begin(self):
        assert self.scard.SCardBeginTransaction(self.handle) == OK

    def end(self):
        assert self.scard.SCardEndTransaction(self.handle, 0) == OK

    def reset(self):
        assert self.scard.SCardReconnect(self.handle, 2, 3, 1)[0] == OK

    def transmit(self, command):
        return self.scard.SCardTransmit(self.handle, "T0", list(command))[0]


def asked_back(asked):
    """The states as they were asked, which is what a call that fails leaves."""
    return [(name, known, []) for name, known in asked]
