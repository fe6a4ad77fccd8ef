"""A11 at the daemon: a day full of accidents, its log at the highest level, nobody in what is left behind.

The people are those of the cards. Accidents carry names and numbers in every text that a library, a relay
or a mistake of the program could hand on. Then the log and every file of the gateway are searched for them in
the forms in which such leaks are found; the same search finds them where they belong, in the cards.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from card.layout.nir import nir_key
from card.personalise import load_profile
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import Transient
from gateway.inbox import Inbox
from gateway.log import Event, Log, in_charge
from gateway.office import unlock
from gateway.practice import Practice
from gateway.seat import Seat
from tools.bench import TEST_PIN, Bench

PIN = TEST_PIN.reveal().decode()


def people(desk: Desk) -> set[str]:
    """What may leave the cards nowhere: the NIR with and without its key, and names."""
    with desk.vitale() as vitale:
        vitale.authenticate(desk.cps)
        rights = vitale.read_rights()
    nir, person, holder = rights.insured_nir, rights.beneficiaries[0], desk.cps.holder
    return {nir, f"{nir}{nir_key(nir):02d}", person.name, person.first_name, holder.full_name}


def forms(canary: str) -> set[bytes]:
    """Twelve ways in which a text shows up where it should not."""
    raw = canary.encode()
    padded = canary + "F" * (len(canary) % 2)
    found = {
        raw, raw.lower(), raw[::-1], raw.hex().encode(), raw.hex().upper().encode(), quote(canary).encode(),
        canary.encode("utf-16-le"), canary.encode("utf-16-be"), hashlib.sha256(raw).hexdigest().encode(),
        hashlib.sha256(raw).digest(),
    }  # fmt: skip
    for offset in range(3):  # base64 of the canary at each place of a group of three
        whole = base64.b64encode(b"\0" * offset + raw + b"\0" * 3)
        found.add(whole[(offset * 8 + 5) // 6 : (offset + len(raw)) * 8 // 6])
    if canary.isdigit():
        found.add(
            " ".join((canary[0], canary[1:3], canary[3:5], canary[5:7], canary[7:10], canary[10:13])).encode()
        )
        found.add(bytes.fromhex(padded))
        found.add(bytes.fromhex("".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2))))
    return {form for form in found if len(form) >= 5}


def leaks(data: bytes, canaries: set[str]) -> list[tuple[str, bytes]]:
    """Which canaries are in there, and in which form."""
    return [(canary, form) for canary in canaries for form in forms(canary) if form in data]


def any_nir(text: str) -> list[str]:
    """Anything of 13 digits whose key agrees with two digits behind it."""
    return [
        found[0] for found in re.finditer(r"(?=([0-9]{13})([0-9]{2}))", text) if _agrees(found[1], found[2])
    ]


def _agrees(nir: str, key: str) -> bool:
    return nir[0] in "123478" and f"{97 - int(nir) % 97:02d}" == key and nir[3:5] != "00"


@dataclass
class Relay:
    """A relay that quotes what it should not."""

    words: str

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Refuse, in its own words, as the sender of the gateway hands them on."""
        raise Transient(
            f"The relay did not take the message at RCPT TO (450 {self.words}); it will be tried again."
        )

    def abort(self) -> None:
        """Nothing is under way."""


@contextmanager
def logged(practice: Practice, form: str) -> Iterator[tuple[Log, io.StringIO]]:
    """A log at its highest level, in charge of everything."""
    stream = io.StringIO()
    log = Log(stream, practice.clock, format=form, level="debug")
    with in_charge(log):
        yield log, stream


@pytest.mark.parametrize("form", ["text", "json"])
def test_nobody_is_in_what_a_bad_day_leaves_behind(
    form: str, practice: Practice, desk: Desk, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good acts, odd acts, junk returns, a rude relay, libraries and threads that fail: 0 hits."""
    unlock(practice, desk, TEST_PIN)
    canaries = people(desk)
    assert len(canaries) == 5
    nir = next(one for one in canaries if len(one) == 13)
    name = " ".join(sorted(one for one in canaries if one.isupper()))
    inbox, box = Inbox(bench.directory("inbox")), Maildir(bench.directory("mailbox"))
    with logged(practice, form) as (log, stream):
        relay = Relay(f"{nir} {nir[0]} {nir[1:3]} {nir[3:5]} {nir[5:7]} {nir[7:10]} {nir[10:]}")
        seat = Seat(practice, desk, inbox, box, log)
        daemon = Daemon([seat], relay, log)
        act = {
            "date": legal_day(practice.clock.now()).isoformat(),
            "acts": [{"code": "G"}],
            "third_party": "amo",
        }
        for count, odd in enumerate(
            (
                {},
                {"date": nir},
                {"acts": [{"code": nir}]},
                {"patient": name},
                {"attestation": {"nir": nir, "name": name}},
            )
        ):
            (bench.directory("inbox") / f"act{count}.json").write_text(
                json.dumps(act | odd), encoding="utf-8"
            )
        (bench.directory("inbox") / "junk.json").write_bytes(f"{{{nir} {name}".encode())
        box.deliver(f"Subject: {nir} {name}\r\n\r\n{nir}".encode())
        daemon.turn()
        seat.close_lots()
        daemon.turn()
        _fail(daemon, f"{nir} {name} {PIN}", monkeypatch)
        log(Event(f"a sentence that was built wrongly: {nir}", "canary", practice=nir))
    text = stream.getvalue()
    assert text.count("\n") >= 10
    assert leaks(text.encode(), canaries) == []
    assert any_nir(text) == []
    assert not re.search(rf"(?<![0-9A-Za-z:.-]){PIN}(?![0-9A-Za-z:.-])", text), "a PIN"
    assert "Traceback" not in text
    if form == "json":
        assert all({"time", "level", "event", "says"} <= set(json.loads(line)) for line in text.splitlines())
    assert {"mistake", "library", "act-billed", "lot-sealed"} <= set(re.findall(r"[a-z]+(?:-[a-z]+)*", text))
    _judge_files(practice, bench, canaries)


def _fail(daemon: Daemon, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistakes of the program and of libraries, with those words in them."""

    def wrong(*_: object, **__: object) -> None:
        raise ValueError(words)

    with monkeypatch.context() as patch:
        patch.setattr("gateway.seat.bill_act", wrong)
        (daemon.seats[0].inbox.path / "last.json").write_text("{}", encoding="utf-8")
        thread = threading.Thread(target=daemon.turn)
        thread.start()
        thread.join()
    for library in ("sqlalchemy.engine", "uvicorn.error", "alembic"):
        logging.getLogger(library).error("failed with %s", words)
        try:
            wrong()
        except ValueError:
            logging.getLogger(library).exception(words)


def _judge_files(practice: Practice, bench: Bench, canaries: set[str]) -> None:
    """The store on the disk, and its audit trail; the positive twin: a card image holds the same people."""
    for path in sorted(bench.root.glob("gateway.db*")):
        assert leaks(path.read_bytes(), canaries) == [], path
    with sqlite3.connect(f"file:{bench.root / 'gateway.db'}?mode=ro", uri=True) as raw:
        columns = "\n".join(str(row) for row in raw.execute("SELECT who, what, ref, detail FROM audit"))
    assert columns
    assert leaks(columns.encode(), canaries) == []
    assert any_nir(columns) == []
    image = Path(bench.card_file("vitale-single")).read_bytes()
    twin = load_profile("vitale-single")
    assert leaks(image, canaries), f"the search finds nobody even on the card {twin.name}"


def test_the_search_finds_every_form() -> None:
    """Each of the forms is seen when it is there, and a text without the canary is clean."""
    canary = "2801962643002"
    for form in forms(canary):
        assert leaks(b"before " + form + b" after", {canary})
    assert leaks(b"2701962643002 and others", {canary}) == []
    assert any_nir(f"x{canary}{97 - int(canary) % 97:02d}y")
