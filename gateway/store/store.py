"""The one durable state of a gateway: each method that changes something is one durable transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gateway.audit import AuditRecord
from gateway.clock import Clock, Rng, system_rng
from gateway.errors import StoreError
from gateway.exchange.breaker import Breaker, Lane
from gateway.lots.numbering import LotNumbers
from gateway.store import (
    answers,
    breakers,
    clock_step,
    flows,
    late,
    numbers,
    outbox,
    purge,
    readers,
    restored,
    returns,
    shares,
    sheets,
    tallies,
    trail,
)
from gateway.store.database import Database, Transaction
from gateway.store.late import LateFse
from gateway.store.looking import Looking
from gateway.store.rows import (
    AwaitingFse,
    KeptAnswer,
    LotRow,
    NumberGiven,
    Payment,
    PaymentOutcome,
    ReceiptOutcome,
    StoredFse,
    WaitingGroup,
)
from gateway.store.schema import stamp
from gateway.store.tallies import Marks, Queue, Tally

if TYPE_CHECKING:
    from gateway.lots.sealing import SealedLot
    from gateway.records.arl import Arl

LEGAL_RETENTION_DAYS = 90
"""The electronic double and its receipt are kept at least this long (CSS R161-47 I)."""


class Store(Looking):
    """Opens (and creates at need) the store at an SQLAlchemy URL such as `sqlite:///var/gateway.db`.

    Safe to share between threads. `read_only` takes no lock, so that people may look while the
    gateway works. Every refusal is a StoreError with one sentence.

    `owner`: the name under which this gateway claims lots and readers. A gateway that is given the same name
    after a stop takes up at once what it had claimed; without a name it gets a new one each time.
    `key`: the file of the key of bodies and trail, or "keyring:NAME"; beside an SQLite file unless said.
    """

    owner: str
    """The name under which this gateway claims."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        rng: Rng = system_rng,
        read_only: bool = False,
        owner: str = "",
        key: str = "",
    ) -> None:
        super().__init__()
        self.owner = owner or f"gateway-{rng(6).hex()}"
        self._database = Database(url, clock, rng, read_only=read_only, owner=self.owner, key=key)
        if not read_only:
            with self._database.step("recover") as tx:
                outbox.recover(tx, self.owner, alone=self._database.backend.alone)
                restored.settle(tx)

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
        return self._database.do("reserve-fse", lambda tx: numbers.reserve_fse(tx, practice, count))

    def reserve_lot(self, practice: str, destination: str, lot_date: date) -> LotNumbers:
        """Lot number, file id and compostage for one lot."""
        return self.reserve_lots(practice, [destination], lot_date)[0]

    def reserve_lots(self, practice: str, destinations: Sequence[str], lot_date: date) -> list[LotNumbers]:
        """The numbers of several lots, one per destination named, in one transaction."""
        self._refuse_in_batch()
        return self._database.do(
            "reserve-lot",
            lambda tx: [
                numbers.reserve_lot(tx, practice, destination, lot_date) for destination in destinations
            ],
        )

    def _refuse_in_batch(self) -> None:
        if self._database.in_batch:
            sentence = "numbers must be durable before they are used: reserve them before the batch begins"
            raise StoreError(sentence, code="batch")

    def numbers_given(self) -> list[NumberGiven]:
        """The last number of each kind that each practice was given."""
        with self._database.reading() as tx:
            return numbers.given(tx)

    # FSE and lots

    def keep_fse(self, fse: StoredFse) -> None:
        """Keep one signed FSE; the same bytes under the same number again change nothing."""
        self._database.do("keep-fse", lambda tx: sheets.keep(tx, fse))

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

    def sealing(self, practice: str) -> AbstractContextManager[None]:
        """Held by who makes lots of a practice: another desk or gateway waits, then sees what is left.

        StoreError (busy) when it waits for too long. A sheet is in one lot also without this.
        """
        return self._database.backend.alone_with(practice)

    def keep_lot(
        self, practice: str, sealed: SealedLot, fse_numbers: Sequence[int], *, demands: bool = False
    ) -> None:
        """Keep a sealed lot, queue it at once, and put its FSE IN_LOT; the same lot again changes nothing.

        `demands`: it holds the DRE of these FSE.
        """
        self._database.do(
            "keep-lot", lambda tx: outbox.keep(tx, practice, sealed, fse_numbers, demands=demands)
        )

    # Beside the straight line

    def fse_awaiting(self, practice: str) -> list[AwaitingFse]:
        """FSE that wait for the signature of a CPS, most urgent first."""
        with self._database.reading() as tx:
            return flows.awaiting(tx, practice)

    def sign_fse(self, practice: str, number: int, body: bytes, share: bytes = b"") -> None:
        """An FSE that waited is signed: `body` is all of it, `share` its DRE; refused when it is signed."""
        self._database.do("sign-fse", lambda tx: flows.sign(tx, practice, number, body, share))

    def cancel(self, practice: str, number: int, reason: str) -> None:
        """Withdraw an FSE that is in no lot yet; StoreError (state) when it is."""
        self._database.do("cancel", lambda tx: flows.cancel(tx, practice, number, reason))

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
        self._database.do("twin-written", lambda tx: flows.twin_written(tx, practice, number))

    def keep_place(self, practice: str, practitioner: str, body: bytes) -> None:
        """Keep what a CPS says of one place of practice, for FSE made while it is away."""
        self._database.do("keep-place", lambda tx: flows.keep_place(tx, practice, practitioner, body))

    def place_of(self, practice: str, practitioner: str) -> bytes:
        """What is kept of a place of practice; b"" for one never seen."""
        with self._database.reading() as tx:
            return flows.place_of(tx, practice, practitioner)

    def claim_due(
        self, now: datetime, limit: int, lease: timedelta, relay: str = "", lane: Lane = Lane.ALL
    ) -> list[LotRow]:
        """Take up to `limit` lots whose turn has come, new ones first: SENDING until told or `lease` ends.

        Lines that fail hold their lots back (gateway.exchange.breaker); `relay`: the line of all of them.
        """
        return self._database.do(
            "claim", lambda tx: outbox.claim(tx, now, limit, lease, self.owner, relay, lane)
        )

    def breakers(self) -> list[Breaker]:
        """Every line that has failed since it last worked: the relay, domains that lots go to."""
        with self._database.reading() as tx:
            return breakers.every(tx)

    def note_line(self, name: str, line: Breaker | None) -> None:
        """A line has failed once more; None: it works again."""
        self._database.do("line", lambda tx: breakers.note(tx, name, line))

    def sent(self, lot_id: str, ack_due: datetime) -> None:
        """The relay took the lot; a receipt is expected before `ack_due`."""
        self._database.do("sent", lambda tx: outbox.sent(tx, lot_id, ack_due, self.owner))

    def failed(self, lot_id: str, reason: str, next_attempt_at: datetime, *, counted: bool = True) -> None:
        """This attempt failed; the same bytes go again then. `counted`: it may be the fault of the lot."""
        self._database.do(
            "failed",
            lambda tx: outbox.failed(tx, lot_id, reason, next_attempt_at, self.owner, counted=counted),
        )

    def give_back(self, lot_ids: Sequence[str]) -> None:
        """These claimed lots were not tried: they are due again at once, and no attempt is counted."""
        self._database.do("give-back", lambda tx: outbox.give_back(tx, lot_ids, self.owner))

    def park(self, lot_id: str, reason: str) -> None:
        """Take a lot out of the queue for a person to look at; nothing is deleted."""
        self._database.do("park", lambda tx: outbox.park(tx, lot_id, reason, self.owner))

    def release(self, lot_id: str, reason: str) -> None:
        """A person puts a parked lot back into the queue: the same bytes, counters afresh."""
        self._database.do("release", lambda tx: outbox.release(tx, lot_id, reason))

    def overdue(self, now: datetime, limit: int = 1000) -> list[LotRow]:
        """Sent lots whose receipt is late: OVERDUE and due again, or PARKED after MAX_SENDS sends."""
        return self._database.do("overdue", lambda tx: outbox.overdue(tx, now, limit))

    def line_took_another(self, lot_id: str, since: datetime) -> bool:
        """Whether another lot for the same domain left since then (so that this one is itself to blame)."""
        with self._database.reading() as tx:
            return outbox.line_took_another(tx, lot_id, since)

    # One owner per card reader

    def take_reader(self, name: str, owner: str, lease: timedelta) -> datetime:
        """This gateway is the reader's owner until the moment returned, longer when it keeps it in time.

        StoreError (reader-taken), naming the other owner and the end of its lease, while there is one.
        """
        return self._database.do("take-reader", lambda tx: readers.take(tx, name, owner, lease))

    def keep_reader(self, name: str, owner: str, lease: timedelta) -> datetime:
        """Renew the lease; StoreError (reader-taken) when another gateway took the reader over meanwhile."""
        return self.take_reader(name, owner, lease)

    def give_reader_back(self, name: str, owner: str) -> None:
        """Another gateway may take the reader at once; nothing when it is another's already."""
        self._database.do("take-reader", lambda tx: readers.give_back(tx, name, owner))

    # Answers under an idempotency key

    def keep_answer(self, kept: KeptAnswer) -> None:
        """Keep what a program is answered; inside `batch()`, together with what was done for it."""
        self._database.do("keep-answer", lambda tx: answers.keep(tx, kept))

    def kept_answer(self, practice: str, client: str, key: str) -> KeptAnswer | None:
        """What this program was answered under this key, or None."""
        with self._database.reading() as tx:
            return answers.find(tx, practice, client, key)

    # Returns

    def post_receipt(self, arl: Arl, raw: bytes, message_key: str, practice: str) -> ReceiptOutcome:
        """Post one ARL that came to this practice; idempotent, and about its own lots only.

        `raw` is the returned file as verified: it is kept as proof.
        """
        return self._database.do(
            "post-receipt",
            lambda tx: returns.post_receipt(tx, arl, returns.Return(raw, message_key, practice)),
        )

    def post_payment(
        self, payments: Sequence[Payment], raw: bytes, message_key: str, practice: str
    ) -> list[PaymentOutcome]:
        """Post every payment of one NOEMIE return; idempotent."""
        return self._database.do(
            "post-payment",
            lambda tx: returns.post_payments(tx, payments, returns.Return(raw, message_key, practice)),
        )

    def post_unreadable(self, raw: bytes, message_key: str, reason: str, practice: str = "") -> bool:
        """Keep a message that could not be opened or believed, with the reason; False when known already."""
        with self._database.step("post-unreadable") as tx:
            back = returns.Return(raw, message_key, practice)
            return returns.keep_message(tx, back, returns.UNREADABLE, reason)[1]

    # Retention and audit

    def forget_bodies(self, now: datetime, days: int = LEGAL_RETENTION_DAYS) -> int:
        """Delete bodies of what ended more than `days` days ago; how many. Numbers and history stay.

        In slices: others who work on this store wait for one of them at most.
        """
        if days < LEGAL_RETENTION_DAYS:
            raise StoreError(
                f"the law asks for {LEGAL_RETENTION_DAYS} days of doubles, not {days}", code="retention"
            )
        before, so_far = stamp(now - timedelta(days=days)), purge.Purge()
        while not so_far.is_done:
            so_far = self._database.do("purge", partial(purge.forget_slice, before=before, so_far=so_far))
            purge.let_others()
        return so_far.forgotten

    def audit(self, what: str, ref: str, detail: str = "", who: str = "", *, practice: str = "") -> None:
        """Chain one record of something that happened outside the store. Ids only, never a NIR or a name.

        `who`: whoever acts now, when nobody is named; `practice`: whose chain it belongs to, the gateway's
        own without one.
        """
        self._database.do("audit", lambda tx: tx.audit(what, ref, detail, who, practice=practice))

    def note_late(self) -> list[LateFse]:
        """Record each FSE whose legal day has passed since the last look; which ones they are."""
        return self._database.do("audit", late.note)

    def clock_stepped(
        self, now: datetime, latest_receipt: datetime, seconds: float = 0.0, practices: Sequence[str] = ()
    ) -> int:
        """The clock was set by so many `seconds`, or may have been while the gateway was stopped (0).

        Recorded for these `practices`; what a clock that was ahead left far in the future is brought back, a
        receipt to `latest_receipt`. How much there was.
        """

        def work(tx: Transaction) -> int:
            clock_step.record(tx, seconds, practices)
            return clock_step.bring_back(tx, now, latest_receipt)

        return self._database.do("audit", work)

    def audit_records(self, practice: str | None = None) -> list[AuditRecord]:
        """The whole trail, or the chain of one practice, oldest first."""
        with self._database.reading() as tx:
            tx.finish()
            return list(trail.read_records(tx, practice))

    def verify_audit(self, practice: str | None = None) -> int:
        """Check the whole trail, or one practice's chain and the gateway's own; how many records there are.

        StoreError (audit) when it was tampered with.
        """
        with self._database.reading() as tx:
            tx.finish()
            return trail.verify_trail(tx, tx.vault.audit_key, practice)

    # What watches a gateway

    def queue(self) -> Queue:
        """What waits, of all practices together: counts and ages."""
        with self._database.reading() as tx:
            return tallies.queue(tx)

    def marks(self) -> Marks:
        """As far as everything that has happened yet: for `tally`."""
        with self._database.reading() as tx:
            return tallies.now_marks(tx)

    def tally(self, since: Marks) -> Tally:
        """How often what happened since those marks, of all practices together."""
        with self._database.reading() as tx:
            return tallies.since(tx, since)

    def check_writable(self) -> None:
        """Take the place of a writer for a moment and change nothing; StoreError says why that cannot be."""
        with self._database.step("line") as tx:
            breakers.note(tx, "", None)

    @property
    def folder(self) -> Path | None:
        """Where the file of a SQLite store lies; None for a database elsewhere."""
        backend = self._database.backend
        return Path(backend.place).parent if backend.alone else None
