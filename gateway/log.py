"""What the gateway says while it works: one event a line, as text or as JSON, with no personal data.

    2026-11-23T09:30:00Z info lot-sealed practice=cabinet lot=… : lot 3 sealed: 2 FSE for 01349@…
    {"time": "2026-11-23T09:30:00Z", "level": "info", "event": "lot-sealed", "says": "lot 3 …", "lot": "…"}

An event is a sentence for people with a name and ids for programs: a practice, a lot, the number of an FSE;
never a NIR, a name or a PIN. That holds because no sentence is built from one; what looks like a NIR is taken
out all the same (gateway.redact). Of what other libraries say, and of mistakes of the program, only the place
is told: their words may quote anything. Under systemd's journal each line begins with its level
(sd-daemon(3)) and has no time of its own.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TextIO

from gateway.clock import Clock
from gateway.redact import redact
from reader.console import plain

LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""The words of the settings, and what the journal calls them (syslog priorities)."""

FORMATS = ("plain", "text", "json")
"""`plain`: the sentence alone, for a person at a terminal."""

Id = str | int


class Event(str):
    """A sentence with the name of what happened (words with hyphens), its level, and ids.

    It is a text like any other for whoever does not look closer: a test, a page, a terminal.
    """

    __slots__ = ("ids", "level", "name")

    name: str
    level: str
    ids: dict[str, Id]

    def __new__(cls, sentence: str, name: str, level: str = "info", **ids: Id) -> Event:
        """`ids` with an empty value are left out."""
        made = super().__new__(cls, sentence)
        made.name, made.level = str(_clean(name)), level
        made.ids = {key: value for key, value in ids.items() if value != ""}
        return made


def about(sentence: str, practice: str) -> Event:
    """The same event, said of this practice."""
    event = sentence if isinstance(sentence, Event) else Event(sentence, "said")
    ids = {**event.ids, "practice": practice}
    return Event(f"practice {practice}: {event}", event.name, event.level, **ids)


class Log:
    """Writes events to one stream; called with a sentence or an Event, from any thread. Never raises OSError.

    `level`: events below it are left out. `journal`: the lines are read by systemd's journal.
    """

    def __init__(
        self,
        stream: TextIO,
        clock: Clock,
        *,
        format: str = "plain",  # noqa: A002 - the word of the settings
        level: str = "info",
        journal: bool = False,
    ) -> None:
        self._stream, self._clock, self._guard = stream, clock, threading.Lock()
        self._format, self._least, self._journal = format, LEVELS[level], journal

    def __call__(self, sentence: str) -> None:
        """Tell one thing."""
        event = sentence if isinstance(sentence, Event) else Event(sentence, "said")
        if LEVELS[event.level] > self._least:
            return
        line = self._line(event)
        with self._guard, suppress(OSError, ValueError):  # nobody reads any more: no reason to stop working
            self._stream.write(line)
            self._stream.flush()

    def _line(self, event: Event) -> str:
        says = plain(redact(str(event)))
        ids = {name: _clean(value) for name, value in event.ids.items()}
        if self._format == "json":
            fields = {"time": self._time(), "level": event.level, "event": event.name, "says": says}
            return json.dumps({**fields, **ids}, ensure_ascii=False) + "\n"
        lead = f"<{LEVELS[event.level]}>" if self._journal else ""
        if self._format == "plain":
            return f"{lead}{says}\n"
        time = "" if self._journal else f"{self._time()} "
        named = "".join(f" {name}={value}" for name, value in ids.items())
        return f"{lead}{time}{event.level} {event.name}{named} : {says}\n"

    def _time(self) -> str:
        return f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}"


def _clean(value: Id) -> Id:
    """An id as it may stand in a line: one word, without anything of the form of a NIR."""
    return value if isinstance(value, int) else plain(redact(value)).replace(" ", "_")


def in_journal(stream: TextIO) -> bool:
    """Whether systemd reads this stream: JOURNAL_STREAM names its device and inode."""
    try:
        seen = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{seen.st_dev}:{seen.st_ino}"


@contextmanager
def in_charge(log: Log) -> Iterator[None]:
    """While the block runs, libraries and mistakes of the program are told through this log alone."""
    handler, root = _FromLibraries(log), logging.getLogger()
    before = root.handlers[:], sys.excepthook, threading.excepthook, sys.unraisablehook
    root.handlers[:] = [handler]
    sys.excepthook = lambda kind, mistake, trace: log(mistake_of(kind, trace))
    threading.excepthook = lambda seen: log(mistake_of(seen.exc_type, seen.exc_traceback))
    sys.unraisablehook = lambda seen: log(mistake_of(seen.exc_type, seen.exc_traceback))
    try:
        yield
    finally:
        root.handlers[:], sys.excepthook, threading.excepthook, sys.unraisablehook = before


def mistake_of(kind: type[BaseException], trace: TracebackType | None) -> Event:
    """A mistake of the program: what kind and where, never its words nor what was being worked on."""
    frames = traceback.extract_tb(trace)
    where = f" at {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return Event(f"the program made a mistake ({kind.__name__}{where}): please report it", "mistake", "error")


class _FromLibraries(logging.Handler):
    """What a library has to say: which one, how bad, and where; its words may quote a value."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        why = f" ({kind.__name__})" if kind is not None else ""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        says = f"{record.name} reports {level}{why} in {record.funcName}, line {record.lineno}"
        self._log(Event(says, "library", level))
