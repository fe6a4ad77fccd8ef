"""A gateway's store with made-up sheets, lots, receipts, a relay and a mailbox around it, for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zlib import crc32

import sqlalchemy as sa

from gateway.clock import SimulatedClock
from gateway.lots.sealing import SealedLot
from gateway.records.arl import Arl
from gateway.store.rows import Payment, StoredFse
from gateway.store.schema import metadata
from gateway.store.store import Store

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
PRACTICE, DOCTOR, CAISSE = "cabinet", "810000000000", "01-999-349"
LEASE = timedelta(minutes=10)


@dataclass
class Line:
    """The store under test. Everything made here follows from its numbers alone."""

    root: Path
    clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(START))
    url: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        self.url = self.url or f"sqlite:///{self.root / 'gateway.db'}"
        self.store = self.open()

    @property
    def on_server(self) -> bool:
        """Whether the store is in PostgreSQL."""
        return self.url.startswith("postgresql")

    def open(self, *, read_only: bool = False, owner: str = "desk") -> Store:
        """The store, opened once more."""
        return Store(self.url, self.clock, read_only=read_only, owner=owner, key=self.key)

    def everything(self) -> bytes:
        """All that is kept, as it lies on the disk; the store is closed for it."""
        self.store.close()
        if not self.on_server:
            return b"".join(path.read_bytes() for path in self.root.iterdir() if path.is_file())
        engine = sa.create_engine(self.url.replace("postgresql", "postgresql+psycopg", 1))
        with engine.connect() as connection:
            rows = [row for table in metadata.tables.values() for row in connection.execute(sa.select(table))]
        engine.dispose()
        return b" ".join(
            value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
        )

    def reopen(self) -> None:
        """Close and open again."""
        self.store.close()
        self.store = self.open()

    def sql(self, text: str) -> None:
        """Change the open store behind its back, as with a database tool."""
        with self.store._database.backend.connect() as connection, connection.begin():
            connection.exec_driver_sql(text)

    def fse(self, number: int, **changes: object) -> StoredFse:
        """A sheet whose body follows from its number."""
        values: dict[str, object] = {
            "practice": PRACTICE, "number": number, "practitioner": DOCTOR, "destination": CAISSE, "mode": 3,
            "third_party": "full", "elaborated": START, "deadline": date(2026, 3, 12),
            "body": body_of(number),
            "base_cents": 3000, "amo_cents": 2100, "patient_cents": 900, "label": "G",
        }  # fmt: skip
        return StoredFse(**{**values, **changes})  # type: ignore[arg-type]

    def keep(self, count: int = 1, **changes: object) -> list[int]:
        """Reserve and keep sheets."""
        numbers = list(self.store.reserve_fse_numbers(str(changes.get("practice", PRACTICE)), count))
        for number in numbers:
            self.store.keep_fse(self.fse(number, **changes))
        return numbers

    def seal(self, numbers: list[int], practice: str = PRACTICE) -> SealedLot:
        """Reserve the numbers of a lot and seal these sheets."""
        day = self.clock.now().date()
        reserved = self.store.reserve_lot(practice, CAISSE, day)
        content = f"lot {practice} {reserved.compostage} {numbers}".encode()
        sender = 0 if practice == PRACTICE else crc32(practice.encode())
        return SealedLot(
            f"{sender:014d}-{reserved.file_id}-{reserved.compostage}",
            reserved.lot_number, reserved.lot_date, reserved.file_id, reserved.compostage, len(numbers),
            "cabinet@practice.test", "01349@349.01.rss.fr", hashlib.sha256(content).digest(),
            b"mail " + content,
        )  # fmt: skip

    def lot(self, count: int = 1, **changes: object) -> SealedLot:
        """Keep sheets and a lot of them."""
        numbers = self.keep(count, **changes)
        practice = str(changes.get("practice", PRACTICE))
        sealed = self.seal(numbers, practice)
        self.store.keep_lot(practice, sealed, numbers)
        return sealed

    def send(self, sealed: SealedLot) -> None:
        """Claim everything due and send this lot."""
        self.store.claim_due(self.clock.now(), 100, LEASE)
        self.store.sent(sealed.id, self.clock.now() + timedelta(days=3))

    def arl(self, sealed: SealedLot, *, positive: bool = True, **changes: object) -> Arl:
        """The receipt that a receiver would write for this lot."""
        values: dict[str, object] = {
            "sender": "0" * 14, "destination": "0" * 14, "created": START, "lot_date": sealed.lot_date,
            "lot_number": sealed.lot_number, "file_id": sealed.file_id, "compostage": sealed.compostage,
            "received_at": START, "positive": positive, "invoices": sealed.count, "digest": sealed.digest,
        }  # fmt: skip
        if not positive:
            values |= {"error_class": "F", "error_code": "0101"}
        return Arl(**{**values, **changes})  # type: ignore[arg-type]

    def lot_state(self, lot_id: str) -> str:
        """The state of one lot."""
        return next(row.state.value for row in self.store.lot_list(limit=10_000) if row.id == lot_id)

    def fse_state(self, number: int, practice: str = PRACTICE) -> str:
        """The state of one sheet."""
        return next(
            row.state.value for row in self.store.fse_list(practice, limit=10_000) if row.number == number
        )


def body_of(number: int) -> bytes:
    """The records of a sheet (nobody's)."""
    return f"FSE {number} ".encode() * 40


def raw_of(arl: Arl) -> bytes:
    """The file that carries a receipt."""
    return f"ARL {arl.compostage} {arl.lot_number} {arl.positive} {arl.digest.hex()}".encode()


def payment(number: int, sealed: SealedLot, **changes: object) -> Payment:
    """What a return says of one sheet of a lot."""
    values: dict[str, object] = {
        "number": number, "lot_number": sealed.lot_number, "lot_date": sealed.lot_date, "paid": True,
        "amo_cents": 2100,
    }  # fmt: skip
    return Payment(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class Relay:
    """A relay that notes what it took; `mood` may raise for a message."""

    mood: Callable[[bytes], None] = lambda raw: None
    taken: list[tuple[str, str, bytes]] = field(default_factory=list)
    asked: int = 0

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Take one message, unless the mood is against it."""
        self.asked += 1
        self.mood(raw)
        self.taken.append((envelope_from, envelope_to, raw))


@dataclass
class Box:
    """A mailbox in memory."""

    waiting: dict[str, bytes] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)

    def pending(self, limit: int | None = None) -> list[tuple[str, bytes]]:
        """What is not done."""
        return list(self.waiting.items())[:limit]

    def done(self, *keys: str) -> None:
        """Take these out."""
        for key in keys:
            self.waiting.pop(key, None)
            self.finished.append(key)
