"""The one durable state of a gateway: each method that changes something is one durable transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Self

from gateway.audit import AuditRecord, verify
from gateway.clock import Clock, Rng, system_rng
from gateway.errors import StoreError
from gateway.lots.numbering import LotNumbers
from gateway.store import (
    answers,
    details,
    flows,
    numbers,
    outbox,
    purge,
    returns,
    shares,
    sheets,
    views,
)
from gateway.store.database import Database
from gateway.store.rows import (
    AwaitingFse,
    Change,
    Counts,
    FseRow,
    HistoryLine,
    KeptAnswer,
    LotRow,
    Payment,
    PaymentLine,
    PaymentOutcome,
    ReceiptLine,
    ReceiptOutcome,
    StoredFse,
    Unmatched,
    WaitingGroup,
)
from gateway.store.schema import stamp
from gateway.store.states import FseState

if TYPE_CHECKING:
    from gateway.lots.sealing import SealedLot
    from gateway.records.arl import Arl

LEGAL_RETENTION_DAYS = 90
"""The electronic double and its receipt are kept at least this long (CSS R161-47 I)."""


class Store:
    """Opens (and creates at need) the store at an SQLAlchemy URL such as `sqlite:///var/gateway.db`.

    Safe to share between threads. `read_only` takes no lock, so that people may look while the
    gateway works. Every refusal is a StoreError with one sentence.
    """

    def __init__(self, url: str, clock: Clock, *, rng: Rng = system_rng, read_only: bool = False) -> None:
        self._database = Database(url, clock, rng, read_only=read_only)
        if not read_only:
            with self._database.step("recover") as tx:
                outbox.recover(tx)

    def close(self) -> None:
        """Release the database and its lock; closing twice is harmless."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def batch(self) -> AbstractContextManager[None]:
        """Join the calls inside into one transaction: nothing in it is durable before the block ends.

        A refused call inside undoes the whole batch, even when its error is caught.
        """
        return self._database.batch()

    # Numbers: durable before they are returned, so never inside batch()

    def reserve_fse_number(self, practice: str) -> int:
        """A number (1 to 999999999) that this practice never had before."""
        return self.reserve_fse_numbers(practice, 1)[0]

    def reserve_fse_numbers(self, practice: str, count: int) -> range:
        """`count` consecutive numbers in one transaction."""
        self._refuse_in_batch()
        with self._database.step("reserve-fse") as tx:
            return numbers.reserve_fse(tx, practice, count)

    def reserve_lot(self, practice: str, destination: str, lot_date: date) -> LotNumbers:
        """Lot number, file id and compostage for one lot."""
        return self.reserve_lots(practice, [destination], lot_date)[0]

    def reserve_lots(self, practice: str, destinations: Sequence[str], lot_date: date) -> list[LotNumbers]:
        """The numbers of several lots, one per destination named, in one transaction."""
        self._refuse_in_batch()
        with self._database.step("reserve-lot") as tx:
            return [numbers.reserve_lot(tx, practice, destination, lot_date) for destination in destinations]

    def _refuse_in_batch(self) -> None:
        if self._database.in_batch:
            sentence = "numbers must be durable before they are used: reserve them before the batch begins"
            raise StoreError(sentence, code="batch")

    # FSE and lots

    def keep_fse(self, fse: StoredFse) -> None:
        """Keep one signed FSE; the same bytes under the same number again change nothing."""
        with self._database.step("keep-fse") as tx:
            sheets.keep(tx, fse)

    def fse_waiting(self, practice: str | None = None, limit: int = 1000) -> list[WaitingGroup]:
        """Signed FSE that are in no lot yet, grouped by what may share a lot, most urgent group first.

        Signed DRE stand in groups of their own (family "dre"), under the numbers of their FSE.
        """
        with self._database.reading() as tx:
            groups = sheets.waiting(tx, practice, limit) + shares.waiting(tx, practice, limit)
            return sorted(groups, key=lambda group: group.deadline)

    def fse_bodies(self, practice: str, fse_numbers: Sequence[int], *, demands: bool = False) -> list[bytes]:
        """The kept bytes of these FSE, or of their DRE, in the order asked."""
        with self._database.reading() as tx:
            if demands:
                return shares.bodies(tx, practice, fse_numbers)
            return sheets.bodies(tx, practice, fse_numbers)

    def demand_insurer(self, practice: str, number: int) -> str:
        """The key of the insurer that this FSE's DRE goes to, such as amc-0099999998; "" without one."""
        with self._database.reading() as tx:
            return shares.insurer(tx, practice, number)

    def demand_recipient(self, practice: str, number: int) -> str:
        """The mail address that the DRE of this FSE goes to."""
        with self._database.reading() as tx:
            return shares.recipient(tx, practice, number)

    def keep_lot(
        self, practice: str, sealed: SealedLot, fse_numbers: Sequence[int], *, demands: bool = False
    ) -> None:
        """Keep a sealed lot, queue it at once, and put its FSE IN_LOT; the same lot again changes nothing.

        `demands`: it holds the DRE of these FSE.
        """
        with self._database.step("keep-lot") as tx:
            outbox.keep(tx, practice, sealed, fse_numbers, demands=demands)

    # Beside the straight line

    def fse_awaiting(self, practice: str) -> list[AwaitingFse]:
        """FSE that wait for the signature of a CPS, most urgent first."""
        with self._database.reading() as tx:
            return flows.awaiting(tx, practice)

    def sign_fse(self, practice: str, number: int, body: bytes, share: bytes = b"") -> None:
        """An FSE that waited is signed: `body` is all of it, `share` its DRE; refused when it is signed."""
        with self._database.step("sign-fse") as tx:
            flows.sign(tx, practice, number, body, share)

    def cancel(self, practice: str, number: int, reason: str) -> None:
        """Withdraw an FSE that is in no lot yet; StoreError (state) when it is."""
        with self._database.step("cancel") as tx:
            flows.cancel(tx, practice, number, reason)

    def check_rectifiable(self, practice: str, number: int) -> bool:
        """Whether a new FSE may ask for the complementary share again; StoreError when none may be made."""
        with self._database.reading() as tx:
            return flows.check_rectifiable(tx, practice, number)

    def act_of(self, practice: str, number: int) -> bytes:
        """The care act an FSE was made from, as JSON; b"" when it is not kept any more."""
        with self._database.reading() as tx:
            return flows.act_of(tx, practice, number)

    def twin_of(self, practice: str, number: int) -> str:
        """The paper twin of an FSE made without one of the cards."""
        with self._database.reading() as tx:
            return flows.twin_of(tx, practice, number)

    def twins_unwritten(self, practice: str) -> list[int]:
        """FSE whose paper twin is not in its folder yet."""
        with self._database.reading() as tx:
            return flows.twins_unwritten(tx, practice)

    def twin_written(self, practice: str, number: int) -> None:
        """The paper twin of this FSE is durably in its folder."""
        with self._database.step("twin-written") as tx:
            flows.twin_written(tx, practice, number)

    def keep_place(self, practice: str, practitioner: str, body: bytes) -> None:
        """Keep what a CPS says of one place of practice, for FSE made while it is away."""
        with self._database.step("keep-place") as tx:
            flows.keep_place(tx, practice, practitioner, body)

    def place_of(self, practice: str, practitioner: str) -> bytes:
        """What is kept of a place of practice; b"" for one never seen."""
        with self._database.reading() as tx:
            return flows.place_of(tx, practice, practitioner)

    def claim_due(self, now: datetime, limit: int, lease: timedelta) -> list[LotRow]:
        """Take up to `limit` lots whose turn has come, new ones first: SENDING until told or `lease` ends."""
        with self._database.step("claim") as tx:
            return outbox.claim(tx, now, limit, lease)

    def sent(self, lot_id: str, ack_due: datetime) -> None:
        """The relay took the lot; a receipt is expected before `ack_due`."""
        with self._database.step("sent") as tx:
            outbox.sent(tx, lot_id, ack_due)

    def failed(self, lot_id: str, reason: str, next_attempt_at: datetime, *, counted: bool = True) -> None:
        """This attempt failed; the same bytes go again then. `counted`: it may be the fault of the lot."""
        with self._database.step("failed") as tx:
            outbox.failed(tx, lot_id, reason, next_attempt_at, counted=counted)

    def give_back(self, lot_ids: Sequence[str]) -> None:
        """These claimed lots were not tried: they are due again at once, and no attempt is counted."""
        with self._database.step("give-back") as tx:
            outbox.give_back(tx, lot_ids)

    def park(self, lot_id: str, reason: str) -> None:
        """Take a lot out of the queue for a person to look at; nothing is deleted."""
        with self._database.step("park") as tx:
            outbox.park(tx, lot_id, reason)

    def release(self, lot_id: str, reason: str) -> None:
        """A person puts a parked lot back into the queue: the same bytes, counters afresh."""
        with self._database.step("release") as tx:
            outbox.release(tx, lot_id, reason)

    def overdue(self, now: datetime, limit: int = 1000) -> list[LotRow]:
        """Sent lots whose receipt is late: OVERDUE and due again, or PARKED after MAX_SENDS sends."""
        with self._database.step("overdue") as tx:
            return outbox.overdue(tx, now, limit)

    def relay_took_another(self, lot_id: str, since: datetime) -> bool:
        """Whether the relay took some other lot since then (so that this one is itself to blame)."""
        with self._database.reading() as tx:
            return outbox.relay_took_another(tx, lot_id, since)

    # Answers under an idempotency key

    def keep_answer(self, kept: KeptAnswer) -> None:
        """Keep what a program is answered; inside `batch()`, together with what was done for it."""
        with self._database.step("keep-answer") as tx:
            answers.keep(tx, kept)

    def kept_answer(self, practice: str, client: str, key: str) -> KeptAnswer | None:
        """What this program was answered under this key, or None."""
        with self._database.reading() as tx:
            return answers.find(tx, practice, client, key)

    # Returns

    def post_receipt(self, arl: Arl, raw: bytes, message_key: str) -> ReceiptOutcome:
        """Post one ARL; idempotent. `raw` is the returned file as verified: it is kept as proof."""
        with self._database.step("post-receipt") as tx:
            return returns.post_receipt(tx, arl, raw, message_key)

    def post_payment(
        self, payments: Sequence[Payment], raw: bytes, message_key: str, practice: str
    ) -> list[PaymentOutcome]:
        """Post every payment of one NOEMIE return; idempotent."""
        with self._database.step("post-payment") as tx:
            return returns.post_payments(tx, payments, raw, message_key, practice)

    def post_unreadable(self, raw: bytes, message_key: str, reason: str) -> bool:
        """Keep a message that could not be opened or believed, with the reason; False when known already."""
        with self._database.step("post-unreadable") as tx:
            return returns.keep_message(tx, raw, message_key, returns.UNREADABLE, reason)[1]

    # Retention and audit

    def forget_bodies(self, now: datetime, days: int = LEGAL_RETENTION_DAYS) -> int:
        """Delete bodies of what ended more than `days` days ago; how many. Numbers and history stay."""
        if days < LEGAL_RETENTION_DAYS:
            raise StoreError(
                f"the law asks for {LEGAL_RETENTION_DAYS} days of doubles, not {days}", code="retention"
            )
        with self._database.step("purge") as tx:
            return purge.forget_bodies(tx, stamp(now - timedelta(days=days)))

    def audit(self, what: str, ref: str, detail: str = "", who: str = "gateway") -> None:
        """Chain one record of something that happened outside the store. Ids only, never a NIR or a name."""
        with self._database.step("audit") as tx:
            tx.audit(what, ref, detail, who)

    def audit_records(self) -> list[AuditRecord]:
        """The whole trail, oldest first."""
        with self._database.reading() as tx:
            return list(tx.audit_records())

    def verify_audit(self) -> int:
        """Check the whole trail and return its length; raises StoreError when it was tampered with."""
        with self._database.reading() as tx:
            return verify(tx.audit_records(), tx.audit_head(), tx.vault.audit_key)

    # What people and programs look at

    def fse_list(
        self,
        practice: str | None = None,
        limit: int = 200,
        offset: int = 0,
        states: Sequence[FseState] = (),
    ) -> list[FseRow]:
        """FSE, newest first, those in one of `states` when any is named."""
        with self._database.reading() as tx:
            return views.fse_list(tx, practice, limit, offset, states)

    def lot_list(self, practice: str | None = None, limit: int = 200, offset: int = 0) -> list[LotRow]:
        """Lots, newest first."""
        with self._database.reading() as tx:
            return views.lot_list(tx, practice, limit, offset)

    def fse(self, practice: str, number: int) -> FseRow:
        """One FSE of this practice; StoreError (code unknown) when there is none."""
        with self._database.reading() as tx:
            return details.one_fse(tx, practice, number)

    def lot(self, practice: str, lot_id: str) -> LotRow:
        """One lot of this practice; StoreError (code unknown) when there is none."""
        with self._database.reading() as tx:
            return details.one_lot(tx, practice, lot_id)

    def fse_of_lot(self, practice: str, lot_id: str) -> list[int]:
        """The numbers of the FSE in a lot of this practice."""
        with self._database.reading() as tx:
            return details.fse_of_lot(tx, practice, lot_id)

    def receipts(self, practice: str, lot_id: str) -> list[ReceiptLine]:
        """The ARL of a lot of this practice, oldest first."""
        with self._database.reading() as tx:
            return details.receipts(tx, practice, lot_id)

    def payments(self, practice: str, limit: int = 200, offset: int = 0) -> list[PaymentLine]:
        """What payment returns said of this practice's FSE, newest first."""
        with self._database.reading() as tx:
            return details.payments(tx, practice, limit, offset)

    def payments_of(self, practice: str, number: int) -> list[PaymentLine]:
        """What payment returns said of one FSE of this practice, oldest first."""
        with self._database.reading() as tx:
            return details.payments_of(tx, practice, number)

    def last_change(self) -> int:
        """The place of the newest change of state, 0 before the first."""
        with self._database.reading() as tx:
            return details.last_change(tx)

    def changes_after(self, practice: str, after: int, limit: int = 200) -> list[Change]:
        """This practice's changes of state behind that place, oldest first."""
        with self._database.reading() as tx:
            return details.changes_after(tx, practice, after, limit)

    def audit_of(self, practice: str, after: int = 0, limit: int = 200) -> list[AuditRecord]:
        """The trail of this practice behind record `after`, oldest first."""
        with self._database.reading() as tx:
            return details.audit_of(tx, practice, after, limit)

    def history(self, number: int, practice: str | None = None) -> list[HistoryLine]:
        """Every change of state of one FSE and of its lot, oldest first."""
        with self._database.reading() as tx:
            return views.history(tx, number, practice)

    def unmatched(self, limit: int = 200) -> list[Unmatched]:
        """Returns that moved nothing and wait for a person, newest first."""
        with self._database.reading() as tx:
            return views.unmatched(tx, limit)

    def counts(self) -> Counts:
        """Numbers per state, late FSE and unmatched returns."""
        with self._database.reading() as tx:
            return views.counts(tx)

    def status(self) -> str:
        """The same in plain words, one line per fact."""
        with self._database.reading() as tx:
            return views.status(tx)
