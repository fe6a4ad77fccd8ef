"""Faults on demand: what a bad network or a bad day on the national side looks like, one name each.

A fault is written `name`, `name=value` or `name=value:count`: `slow=5`, `drop-arl:2`. Without a count it
lasts until it is taken away. The control file holds one fault a line (`#` starts a comment) and is read
again whenever it changes, so that a fault can be set while the receiver runs; the API (api.py) does the same.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gateway.clock import Clock
from gateway.errors import InputError
from gateway.lots.refusal import CODES

FAULTS = {
    "refuse": "every connection is answered 421 and closed",
    "reply-connect": "every connection is answered `value` (400 to 599; 421 unless told) and closed",
    "reply-mail": "MAIL is answered `value` (451 unless told)",
    "reply-rcpt": "RCPT is answered `value` (451 unless told)",
    "reply-data": "DATA is answered `value` (451 unless told)",
    "reply-end": "the end of the message is answered `value` (451 unless told); nothing is kept",
    "reply-kept": "the lot is kept, and its end is answered `value` all the same (451 unless told)",
    "slow": "the reply to DATA waits `value` seconds (2 unless told)",
    "close-at": "the connection is closed when `value` octets of it were read (1 unless told)",
    "close-mid-message": "the connection is closed in the middle of DATA; nothing is kept",
    "reply-lost": "the lot is kept, but its 250 is never sent: the connection is closed (RFC 1047)",
    "duplicate-delivery": "the network hands a message over twice",
    "drop-arl": "the ARL is kept but not delivered; sending the lot again delivers it",
    "late-arl": "the ARL leaves `value` seconds late (a day unless told); a lot sent again brings it",
    "duplicate-arl": "the ARL is delivered twice",
    "arl-wrong-digest": "an ARL that names another digest goes out; sending the lot again gets the true one",
    "arl-other-lot": "an ARL that names another lot goes out; sending the lot again gets the true one",
    "negative-arl": "a conform lot is refused with the ARL code `value` (2003 unless told)",
    "late-noemie": "the payment return leaves `value` seconds late (a day unless told)",
    "duplicate-noemie": "the payment return is delivered twice",
    "noemie-wrong-total": "a payment return with a wrong total goes out; `resend` brings the true one",
    "stale-certificate": "the answer is signed with a certificate that has expired (profile modern)",
    "clock-shift": "the receiver's clock is `value` seconds ahead, behind when negative (a day unless told)",
}

_FORM = re.compile(r"([a-z-]+)(?:=(-?\d{1,9}(?:\.\d{1,3})?))?(?::([1-9]\d{0,8}))?")
_MAX_CONTROL = 64 * 1024
_SIGNED = frozenset({"clock-shift"})
_NO_VALUE = frozenset(name for name, what in FAULTS.items() if "`value`" not in what)
_DAY = 86_400.0


@dataclass
class Fault:
    """One fault: its value (its meaning is the fault's own) and how many times are left (None: for ever)."""

    name: str
    value: float | None = None
    left: int | None = None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `name[=value][:count]`; InputError names what is wrong."""
        match = _FORM.fullmatch(text.strip())
        name = text.strip()[:80] if match is None else match[1]
        if match is None and name.partition("=")[0].partition(":")[0] in FAULTS:
            raise InputError(f"fault {name!r}: write NAME, NAME=VALUE or NAME=VALUE:COUNT, a count from 1 on")
        if match is None or name not in FAULTS:
            raise InputError(f"unknown fault {name!r}: use one of {', '.join(FAULTS)}")
        value, count = match[2], match[3]
        fault = cls(name, float(value) if value else None, int(count) if count else None)
        fault._check()
        return fault

    def _check(self) -> None:
        name, value = self.name, self.value
        if value is None:
            return
        if name in _NO_VALUE:
            raise InputError(f"fault {name} takes no value; write {name} or {name}:COUNT")
        if name.startswith("reply-") and value not in range(400, 600):
            raise InputError(f"fault {name}: an SMTP error is a number from 400 to 599")
        if name == "negative-arl" and f"{value:04.0f}" not in CODES:
            raise InputError(f"fault {name}: {value:04.0f} is no ARL code; use one of {', '.join(CODES)}")
        if value < 0 and name not in _SIGNED:
            raise InputError(f"fault {name}: the value is not negative")

    def __str__(self) -> str:
        value = "" if self.value is None else f"={self.value:g}"
        return f"{self.name}{value}" + ("" if self.left is None else f":{self.left}")


class Faults:
    """The faults in force. Thread-safe; `take` counts."""

    def __init__(self, faults: Iterable[str] = (), control: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._set = {fault.name: fault for fault in map(Fault.parse, faults)}
        self.fired: dict[str, int] = {}
        self._control, self._stamp = control, None if control is None else self._look(control)
        if self._stamp is not None:
            self._read()

    @staticmethod
    def _look(control: Path) -> tuple[int, int] | None:
        try:
            seen = control.stat()
        except FileNotFoundError:
            return None
        return seen.st_mtime_ns, seen.st_size

    def _read(self) -> None:
        assert self._control is not None
        try:
            text = self._control.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise InputError(f"{self._control.name}: not a text in UTF-8; write one fault a line") from None
        if len(text) > _MAX_CONTROL:
            raise InputError(f"{self._control.name}: larger than {_MAX_CONTROL} characters; shorten it")
        lines = (line.split("#")[0].strip() for line in text.splitlines())
        self._set = {fault.name: fault for fault in map(Fault.parse, filter(None, lines))}

    def refresh(self) -> None:
        """Read the control file again if it changed; a file taken away ends its faults."""
        if self._control is None:
            return
        with self._lock:
            stamp = self._look(self._control)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            if stamp is None:
                self._set = {}
            else:
                self._read()

    def set(self, *faults: str) -> None:
        """Replace the faults in force: for a receiver that runs in this process."""
        parsed = [Fault.parse(text) for text in faults]
        with self._lock:
            self._set = {fault.name: fault for fault in parsed}

    def add(self, *faults: str) -> None:
        """Set these faults beside the others; all of them, or none when one is wrong."""
        parsed = [Fault.parse(text) for text in faults]
        with self._lock:
            self._set = self._set | {fault.name: fault for fault in parsed}

    def remove(self, name: str) -> bool:
        """End one fault; False when it was not in force."""
        with self._lock:
            return self._set.pop(name, None) is not None

    def in_force(self) -> list[Fault]:
        """Copies of the faults that are set, in the order of their names."""
        with self._lock:
            return [Fault(one.name, one.value, one.left) for _, one in sorted(self._set.items())]

    def take(self, name: str) -> Fault | None:
        """The fault of this name if it is in force, counted once."""
        if not self._set:
            return None
        with self._lock:
            fault = self._set.get(name)
            if fault is None:
                return None
            self.fired[name] = self.fired.get(name, 0) + 1
            if fault.left is not None:
                fault.left -= 1
                if fault.left <= 0:
                    del self._set[name]
            return fault

    def seconds(self, name: str, unless_told: float) -> float:
        """The value of a fault of time, counted once; 0 when it is not in force."""
        fault = self.take(name)
        if fault is None:
            return 0.0
        return unless_told if fault.value is None else fault.value

    def clock(self, true: Clock) -> Clock:
        """The clock that the receiver goes by: the true one, shifted while `clock-shift` is in force."""
        return _ShiftedClock(true, self)

    def shift(self) -> timedelta:
        """By how much the receiver's clock is wrong now; looking at it uses up no count."""
        fault = self._set.get("clock-shift")
        if fault is None:
            return timedelta()
        return timedelta(seconds=_DAY if fault.value is None else fault.value)


class _ShiftedClock:
    def __init__(self, true: Clock, faults: Faults) -> None:
        self._true, self._faults = true, faults

    def now(self) -> datetime:
        return self._true.now() + self._faults.shift()

    def monotonic(self) -> float:
        return self._true.monotonic()

    def sleep(self, seconds: float) -> None:
        self._true.sleep(seconds)
