"""Faults on demand: what a bad network or a bad day on the national side looks like, one name each.

A fault is written `name`, `name=value` or `name=value:count`: `slow=5`, `drop-arl:2`. Without a count it
lasts until it is taken away. The control file holds one fault a line (`#` starts a comment) and is read
again whenever it changes, so that a fault can be set while the receiver runs.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import InputError

FAULTS = {
    "refuse": "every connection is answered 421 and closed",
    "slow": "the reply to DATA waits `value` seconds (2 unless told)",
    "close-mid-message": "the connection is closed in the middle of DATA; nothing is kept",
    "reply-lost": "the lot is kept, but its 250 is never sent: the connection is closed (RFC 1047)",
    "drop-arl": "the ARL is kept but not delivered; sending the lot again delivers it",
    "duplicate-arl": "the ARL is delivered twice",
    "arl-wrong-digest": "an ARL that names another digest goes out; sending the lot again gets the true one",
    "arl-other-lot": "an ARL that names another lot goes out; sending the lot again gets the true one",
    "negative-arl": "a conform lot is refused",
}

_FORM = re.compile(r"([a-z-]+)(?:=(\d+(?:\.\d+)?))?(?::(\d+))?")


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
        if match is None or match[1] not in FAULTS:
            raise InputError(f"unknown fault {text.strip()!r}: use one of {', '.join(FAULTS)}")
        value, count = match[2], match[3]
        return cls(match[1], float(value) if value else None, int(count) if count else None)


class Faults:
    """The faults in force. Thread-safe; `take` counts."""

    def __init__(self, faults: Iterable[str] = (), control: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._set = {fault.name: fault for fault in map(Fault.parse, faults)}
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
        lines = (line.split("#")[0].strip() for line in self._control.read_text("utf-8").splitlines())
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

    def take(self, name: str) -> Fault | None:
        """The fault of this name if it is in force, counted once."""
        if not self._set:
            return None
        with self._lock:
            fault = self._set.get(name)
            if fault is None or fault.left is None:
                return fault
            fault.left -= 1
            if fault.left <= 0:
                del self._set[name]
            return fault
