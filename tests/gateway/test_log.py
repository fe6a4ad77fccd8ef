"""The log: one event a line, in three forms, and nothing personal in any of them."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SimulatedClock
from gateway.log import FORMATS, LEVELS, Event, Log, in_charge, in_journal

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
NIR = "2801962643002"
SEALED = Event("lot 3 sealed: 2 FSE", "lot-sealed", practice="cabinet", lot="00-1", fse=17, nothing="")


def written(*said: str, **how: object) -> list[str]:
    """The lines of these events."""
    stream = io.StringIO()
    log = Log(stream, SimulatedClock(NOW), **how)  # type: ignore[arg-type]
    for one in said:
        log(one)
    return stream.getvalue().splitlines()


def test_three_forms_of_one_event() -> None:
    """Plain is the sentence; text has time, level, name and ids; JSON has them as fields."""
    assert written(SEALED) == ["lot 3 sealed: 2 FSE"]
    assert written(SEALED, format="text") == [
        "2026-11-23T09:30:00Z info lot-sealed practice=cabinet lot=00-1 fse=17 : lot 3 sealed: 2 FSE"
    ]
    assert json.loads(written(SEALED, format="json")[0]) == {
        "time": "2026-11-23T09:30:00Z", "level": "info", "event": "lot-sealed",
        "says": "lot 3 sealed: 2 FSE", "practice": "cabinet", "lot": "00-1", "fse": 17,
    }  # fmt: skip
    assert json.loads(written("a plain sentence", format="json")[0])["event"] == "said"


def test_an_event_is_its_sentence() -> None:
    """Whoever does not look closer has a text."""
    assert SEALED == "lot 3 sealed: 2 FSE"
    assert SEALED.upper() == "LOT 3 SEALED: 2 FSE"


def test_the_journal_gets_levels_and_no_time() -> None:
    """sd-daemon(3): <4> is a warning; the journal knows the time itself."""
    bad = Event("the relay is away", "line", "warning")
    assert written(bad, format="text", journal=True) == ["<4>warning line : the relay is away"]
    assert written(bad, journal=True) == ["<4>the relay is away"]


@pytest.mark.parametrize("least", LEVELS)
def test_a_level_leaves_out_what_is_below(least: str) -> None:
    """From that level upwards everything is written, below it nothing."""
    said = [Event(level, "x", level) for level in LEVELS]
    assert written(*said, level=least) == list(LEVELS)[list(LEVELS).index(least) :]


@pytest.mark.parametrize("form", FORMATS)
def test_no_text_makes_a_line_of_its_own_or_carries_a_nir(form: str) -> None:
    """Line ends, escapes and a NIR in a sentence or an id: one line, and no NIR; its twin keeps its words."""
    bad = Event(f"a\r\n<3>forged \x1b[2J of {NIR} \u2028", "x\n", practice=f"b\n{NIR} c")
    (line,) = written(bad, format=form)
    assert NIR not in line
    assert not re.search("[\r\n\x1b\u2028]", line)
    assert "forged" in line
    assert "forged" in written(Event("forged", "x"), format=form)[0]


@given(st.text(), st.text(), st.sampled_from(FORMATS))
def test_any_text_is_one_line(sentence: str, practice: str, form: str) -> None:
    """Whatever is said, one line comes out, and JSON can be read again."""
    (line,) = written(Event(sentence, "x", practice=practice), format=form)
    if form == "json":
        assert json.loads(line)["event"] == "x"


def test_nobody_reads_any_more() -> None:
    """A stream that is closed or broken stops nothing."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    Log(Broken(), SimulatedClock(NOW))("x")
    closed = io.StringIO()
    closed.close()
    Log(closed, SimulatedClock(NOW))("x")


def test_threads_do_not_mix_lines() -> None:
    """A thousand events of four threads are a thousand whole lines."""
    stream = io.StringIO()
    log = Log(stream, SimulatedClock(NOW), format="json")
    threads = [
        threading.Thread(target=lambda: [log(Event("x" * 200, "x", n=n)) for n in range(250)])
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len([json.loads(line) for line in stream.getvalue().splitlines()]) == 1000


def test_mistakes_and_libraries_are_told_by_their_place_alone() -> None:
    """An exception in a thread, one nobody caught, a library's warning: kind and place, no word of theirs."""
    stream = io.StringIO()

    def wrong() -> None:
        raise ValueError(f"BERTRAND {NIR}")

    hooks = sys.excepthook, threading.excepthook, logging.getLogger().handlers[:]
    with in_charge(Log(stream, SimulatedClock(NOW), format="text", level="debug")):
        thread = threading.Thread(target=wrong)
        thread.start()
        thread.join()
        try:
            wrong()
        except ValueError as mistake:
            sys.excepthook(ValueError, mistake, mistake.__traceback__)
            logging.getLogger("some.library").warning("BERTRAND %s", NIR)
            logging.getLogger("some.library").error("BERTRAND", exc_info=True)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert not re.search(f"BERTRAND|{NIR}", stream.getvalue())
    assert [line.split()[2] for line in lines] == ["mistake", "mistake", "library", "library"]
    assert all("ValueError at wrong" in line for line in lines[:2])
    assert "some.library reports error (ValueError)" in lines[3]
    assert hooks == (sys.excepthook, threading.excepthook, logging.getLogger().handlers[:])


def test_the_journal_is_recognised(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Only when JOURNAL_STREAM names the very stream."""
    with open(f"{tmp_path}/out", "w", encoding="utf-8") as stream:
        import os

        seen = os.fstat(stream.fileno())
        assert not in_journal(stream)
        monkeypatch.setenv("JOURNAL_STREAM", f"{seen.st_dev}:{seen.st_ino}")
        assert in_journal(stream)
        assert not in_journal(io.StringIO())
