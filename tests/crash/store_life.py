"""A child process that lives through every durable step of the store, and can be killed at each of them.

    python -m tests.crash.store_life DIRECTORY

Run again after a kill it goes on where it was. It writes down, outside the store, what a caller was
told (`told.log`) and what the relay took (`relay.log`): the judge compares the three.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.clock import SimulatedClock
from gateway.delivery import Opened, collect, send_due
from gateway.errors import TrustError
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import Permanent, Transient
from gateway.lots.sealing import SealedLot
from gateway.store.rows import KeptAnswer, StoredFse
from tests.gateway.store.line import CAISSE, LEASE, PRACTICE, Line, body_of, payment, raw_of

SHEETS = 10
PER_LOT = 2
OTHER = "other"


def place_of_store(root: Path) -> dict[str, str]:
    """Address and key of the store: those that the file `store` names, or a file of this folder."""
    named = root / "store"
    if not named.exists():
        return {"url": f"sqlite:///{root / 'var' / 'gateway.db'}", "key": ""}
    url, key = named.read_text().split("\n")
    return {"url": url, "key": key}


class Life:
    """One run of the child."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Each run starts later than the one before: the clock does not stand still between them.
        runs = len(self.lines("told.log", "run"))
        start = datetime(2026, 3, 2, 9, 0, tzinfo=UTC) + timedelta(hours=2 * runs)
        self.tell("run", str(runs))
        self.line = Line(root / "var", SimulatedClock(start), **place_of_store(root))
        self.box = Maildir(root / "mail", clock=self.line.clock)

    def lines(self, name: str, kind: str) -> list[str]:
        """What was written down of one kind."""
        path = self.root / name
        found = path.read_text().splitlines() if path.exists() else []
        return [line.split(" ", 1)[1] for line in found if line.startswith(kind + " ")]

    def tell(self, kind: str, what: str, name: str = "told.log") -> None:
        """Write down one thing, as another party would remember it."""
        descriptor = os.open(self.root / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{kind} {what}\n".encode())
        os.close(descriptor)

    def run(self) -> None:
        """Everything, until every sheet has ended."""
        self.line.store.take_reader("pcsc", "desk", LEASE)
        self.keep_sheets()
        self.sign_sheets()
        self.beside()
        self.close_lots()
        self.park_one()
        while any(row.state != "PAID" for row in self.line.store.fse_list(PRACTICE)):
            send_due(self.line.store, self, self.line.clock, os.urandom, limit=4)
            self.answer()
            collect(self.line.store, self.box, self.open_message, PRACTICE)
            self.release()
            self.line.clock.advance(timedelta(hours=7))
        self.line.store.give_reader_back("pcsc", "desk")
        self.line.store.audit("run ended", "")
        self.line.clock.advance(timedelta(days=200))
        self.line.store.forget_bodies(self.line.clock.now() - timedelta(days=300))
        self.line.store.close()

    def keep_sheets(self) -> None:
        """Reserve, keep, and only then tell the caller."""
        while len(self.line.store.fse_list(PRACTICE)) < SHEETS:
            number = self.line.store.reserve_fse_number(PRACTICE)
            self.tell("number", str(number))
            if number % 2:
                self.line.store.keep_fse(self.sheet(number))
            else:
                self.keep_with_answer(number)
            self.tell("kept", str(number))

    def keep_with_answer(self, number: int) -> None:
        """As the API does: the sheet and what its program is answered, together or not at all."""
        with self.line.store.batch():
            self.line.store.keep_fse(self.sheet(number))
            self.line.store.keep_answer(answer(number))

    def sheet(self, number: int) -> StoredFse:
        """One in four waits for the CPS, all have a paper twin."""
        half = {"waits": True, "body": b"sealed, not signed"} if number % 4 == 0 else {}
        return self.line.fse(number, twin=b"paper", **half)

    def sign_sheets(self) -> None:
        """The CPS signs what waits, and the paper twins are written."""
        store = self.line.store
        for waiting in store.fse_awaiting(PRACTICE):
            store.sign_fse(PRACTICE, waiting.number, body_of(waiting.number))
        for number in store.twins_unwritten(PRACTICE):
            (self.root / f"paper-{number}").write_text(store.twin_of(PRACTICE, number))
            store.twin_written(PRACTICE, number)

    def beside(self) -> None:
        """Another practice of the same store keeps what a CPS says, and withdraws a sheet."""
        store = self.line.store
        store.keep_place(OTHER, "990000000", b"a place of practice")
        if not store.fse_list(OTHER):
            store.keep_fse(self.line.fse(store.reserve_fse_number(OTHER), practice=OTHER))
        [row] = store.fse_list(OTHER)
        if row.state == "SIGNED":
            store.cancel(OTHER, row.number, "billed by mistake")

    def close_lots(self) -> None:
        """Lots of two."""
        for group in self.line.store.fse_waiting(PRACTICE):
            for first in range(0, len(group.numbers), PER_LOT):
                numbers = list(group.numbers[first : first + PER_LOT])
                sealed = self.seal(numbers)
                self.line.store.keep_lot(PRACTICE, sealed, numbers)

    def seal(self, numbers: list[int]) -> SealedLot:
        """Seal under new numbers, and tell which."""
        reserved = self.line.store.reserve_lot(PRACTICE, CAISSE, self.line.clock.now().date())
        self.tell("lot", f"{reserved.lot_number} {reserved.lot_date} {reserved.compostage}")
        content = f"{reserved.compostage} {','.join(map(str, numbers))}".encode()
        return SealedLot(
            f"00000000000000-{reserved.file_id}-{reserved.compostage}", reserved.lot_number,
            reserved.lot_date, reserved.file_id, reserved.compostage, len(numbers), "cabinet@practice.test",
            "01349@349.01.rss.fr", hashlib.sha256(content).digest(), content,
        )  # fmt: skip

    def park_one(self) -> None:
        """A person looks at one lot; another one is given back untried."""
        store = self.line.store
        rows = store.claim_due(self.line.clock.now(), 2, LEASE)
        if rows:
            store.park(rows[0].id, "looked at by hand")
            store.give_back([row.id for row in rows[1:]])

    def release(self) -> None:
        """A person releases what is parked."""
        for row in self.line.store.lot_list():
            if row.state == "PARKED":
                self.line.store.release(row.id, "looked at")

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """The relay: refuses some first attempts, loses a reply, takes the rest."""
        tries = self.lines("relay.log", "asked").count(raw.decode())
        self.tell("asked", raw.decode(), "relay.log")
        place = int(raw.split()[1].split(b",")[0]) // PER_LOT % 5
        if place == 0 and not tries:
            raise Transient("451 not now")
        if place == 1 and not tries:
            raise Permanent("550 not ever")
        self.tell("took", raw.decode(), "relay.log")
        if place == 2 and not tries:
            raise Transient("the reply was lost", uncertain=True)

    def answer(self) -> None:
        """The receiver: one receipt per lot taken, late for some, with noise and payments between."""
        taken = self.lines("relay.log", "took")
        answered = self.lines("relay.log", "answered")
        for raw in dict.fromkeys(taken):
            place = int(raw.split()[1].split(",")[0]) // PER_LOT % 5
            if raw in answered or (place == 3 and taken.count(raw) < 2):
                continue
            for kind in (b"arl ", b"pay ", b"noise "):
                self.box.deliver(kind + raw.encode())
            self.tell("answered", raw, "relay.log")

    def open_message(self, raw: bytes) -> Opened:
        """What a message says: the kind, and the lot it is about."""
        kind, _, rest = raw.partition(b" ")
        if kind == b"noise":
            raise TrustError("noise")
        row = next(row for row in self.line.store.lot_list() if row.compostage == rest.split()[0].decode())
        sealed = SealedLot(
            row.id, row.lot_number, row.lot_date, row.file_id, row.compostage, row.count, row.sender,
            row.recipient, hashlib.sha256(rest).digest(), rest,
        )  # fmt: skip
        if kind == b"arl":
            arl = self.line.arl(sealed)
            return Opened(raw_of(arl), receipts=(arl,))
        numbers = [int(number) for number in rest.split()[1].split(b",")]
        return Opened(raw, payments=tuple(payment(number, sealed) for number in numbers))


def answer(number: int) -> KeptAnswer:
    """What a program is answered for this sheet."""
    return KeptAnswer(PRACTICE, "software", f"key-{number}", bytes(32), 201, str(number).encode())


if __name__ == "__main__":
    with suppress(FileExistsError):
        Path(sys.argv[1]).mkdir(parents=True)
    Life(Path(sys.argv[1])).run()
