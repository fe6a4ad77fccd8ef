"""The one durable state of a gateway: each public method is one durable transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta

from gateway.clock import Clock
from gateway.store.rows import (
    Counts,
    FseRow,
    HistoryLine,
    LotNumbers,
    LotRow,
    Payment,
    PaymentOutcome,
    ReceiptLike,
    ReceiptOutcome,
    SealedLotLike,
    StoredFse,
    Unmatched,
    WaitingGroup,
)


class Store:
    """Opens (and creates at need) the store at an SQLAlchemy URL such as `sqlite:///var/gateway.db`."""

    def __init__(self, url: str, clock: Clock, *, read_only: bool = False) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Release the database and its lock; closing twice is harmless."""

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Join the calls inside into one transaction: nothing in it is durable before the block ends."""
        raise NotImplementedError
        yield

    # Numbers: durable before they are returned, so never inside batch()

    def reserve_fse_number(self, practice: str) -> int:
        """A number (1 to 999999999) that this practice never had before."""
        raise NotImplementedError

    def reserve_fse_numbers(self, practice: str, count: int) -> range:
        """`count` consecutive numbers in one transaction."""
        raise NotImplementedError

    def reserve_lot(self, practice: str, destination: str, lot_date: date) -> LotNumbers:
        """Lot number, file id and compostage for one lot."""
        raise NotImplementedError

    # FSE and lots

    def keep_fse(self, fse: StoredFse) -> None:
        """Keep one signed FSE; the same bytes under the same number again change nothing."""
        raise NotImplementedError

    def fse_waiting(self, practice: str | None = None, limit: int = 1000) -> list[WaitingGroup]:
        """Signed FSE that are in no lot yet, grouped by what may share a lot."""
        raise NotImplementedError

    def fse_bodies(self, practice: str, numbers: Sequence[int]) -> list[bytes]:
        """The kept bytes of these FSE, in the order asked."""
        raise NotImplementedError

    def keep_lot(self, practice: str, sealed: SealedLotLike, fse_numbers: Sequence[int]) -> None:
        """Keep a sealed lot, queue it at once, and put its FSE IN_LOT."""
        raise NotImplementedError

    def claim_due(self, now: datetime, limit: int, lease: timedelta) -> list[LotRow]:
        """Take up to `limit` lots whose turn has come, new ones first: SENDING until the lease ends."""
        raise NotImplementedError

    def sent(self, lot_id: str, ack_due: datetime) -> None:
        """The relay took the lot; a receipt is expected before `ack_due`."""
        raise NotImplementedError

    def failed(self, lot_id: str, reason: str, next_attempt_at: datetime) -> None:
        """This attempt failed; the same bytes go again at `next_attempt_at`."""
        raise NotImplementedError

    def give_back(self, lot_ids: Sequence[str]) -> None:
        """These claimed lots were not tried: they are due again at once, and no attempt is counted."""
        raise NotImplementedError

    def park(self, lot_id: str, reason: str) -> None:
        """Take a lot out of the queue for a person to look at; nothing is deleted."""
        raise NotImplementedError

    def release(self, lot_id: str, reason: str) -> None:
        """A person puts a parked lot back into the queue."""
        raise NotImplementedError

    def overdue(self, now: datetime, limit: int = 1000) -> list[str]:
        """Mark the sent lots whose receipt is late and queue the same bytes again; their ids."""
        raise NotImplementedError

    # Returns

    def post_receipt(self, arl: ReceiptLike, raw: bytes, message_key: str) -> ReceiptOutcome:
        """Post one ARL; idempotent."""
        raise NotImplementedError

    def post_payment(
        self, payments: Sequence[Payment], raw: bytes, message_key: str, practice: str
    ) -> list[PaymentOutcome]:
        """Post one NOEMIE return; idempotent."""
        raise NotImplementedError

    def post_unreadable(self, raw: bytes, message_key: str, reason: str) -> None:
        """Keep a message that could not be opened, with the reason."""
        raise NotImplementedError

    # What people and programs look at

    def fse_list(self, practice: str | None = None, limit: int = 200, offset: int = 0) -> list[FseRow]:
        """FSE, newest first."""
        raise NotImplementedError

    def lot_list(self, practice: str | None = None, limit: int = 200, offset: int = 0) -> list[LotRow]:
        """Lots, newest first."""
        raise NotImplementedError

    def history(self, number: int, practice: str | None = None) -> list[HistoryLine]:
        """Every change of state of one FSE and of its lot, oldest first."""
        raise NotImplementedError

    def unmatched(self, limit: int = 200) -> list[Unmatched]:
        """Returns that moved nothing and wait for a person, newest first."""
        raise NotImplementedError

    def counts(self) -> Counts:
        """Numbers per state."""
        raise NotImplementedError

    def status(self) -> str:
        """The same in plain words, one line per fact."""
        raise NotImplementedError
