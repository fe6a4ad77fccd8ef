"""One professional at work: a reader with two slots, a gateway with its own store, and a cash book.

The straight line is the gateway's own: `bill`, `make_lots`, `send_due`, `collect`; nothing of it is done
here again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from gateway.attestation import Attestation
from gateway.billing.tables import Tables
from gateway.care import CareAct
from gateway.delivery import Opened, Sender, collect, send_due
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.later import rectify, sign_waiting
from gateway.pipeline import Billed, bill, make_lots
from gateway.pki import OppositionList, Trust
from gateway.returns import opener
from gateway.store.rows import Counts, FseRow, Payment
from gateway.store.states import FseState, LotState
from gateway.store.store import Store
from reader.emulated import EmulatedReader
from tools.bench import TEST_PIN, Bench
from tools.scenario.cards import CardBox
from tools.scenario.care import GP, NURSE, PHARMACY, Visit
from tools.scenario.people import Patient

CPS = {GP: "cps-gp-sector1", NURSE: "cps-nurse", PHARMACY: "cps-pharmacist"}
NAMES = {GP: "general practitioner", NURSE: "nurse", PHARMACY: "pharmacy"}
_PAGE = 1_000
_OPEN = (LotState.SEALED, LotState.SENDING, LotState.SENT, LotState.OVERDUE, LotState.PARKED)


@dataclass(frozen=True)
class Seen:
    """One visit that is in the chain, as the receipt says it; amounts in cents.

    `amc_cents`: asked of the insurer, by a demand of its own when `by_dre`; `amo_back_cents` and
    `amc_back_cents`: what the patient advanced for caisse and insurer.
    """

    where: str
    number: int
    day: date
    patient: int
    charged_cents: int
    desk_cents: int
    amc_cents: int
    amo_back_cents: int
    amc_back_cents: int
    third_party: str
    by_dre: bool


class Workplace:
    """One of the three. `billing`: the nine digits under which it is paid."""

    def __init__(self, bench: Bench, where: str, box: CardBox) -> None:
        self.where, self._bench, self._box = where, bench, box
        folder = bench.directory(where)
        folder.mkdir(mode=0o700)
        store = Store(f"sqlite:///{folder / 'gateway.db'}", bench.clock)
        self.mailbox = folder / "mailbox"
        self.practice = bench.practice(store, practice=where)
        self._reader = EmulatedReader()
        self._desk = Desk(self._reader)
        self._reader.insert("CPS", box.cps(CPS[where]))
        self.billing = self._desk.unlock(TEST_PIN).situations[0].identifier

    def close(self) -> None:
        """Lock the CPS and close the store."""
        self._desk.lock()
        self._reader.close()
        self.practice.store.close()

    def refresh(self, trust: Trust, opposition: OppositionList) -> None:
        """What a gateway fetches each day: revocation lists and the opposition list."""
        self.practice = replace(self.practice, trust=trust, opposition=opposition)

    def bill_by(self, tables: Tables) -> None:
        """From now on price by these tables."""
        self.practice = replace(self.practice, tables=tables)

    def see(self, visit: Visit, patient: Patient, mode: str = "secured") -> Seen:
        """The visit through the whole line up to the kept sheet; GatewayError says what the cards refuse.

        `mode`: secured, or desynchronised, which the CPS signs in the evening.
        """
        act = replace(self._act(visit), mode=mode)
        with self._inserted(patient), self._desk.vitale() as vitale:
            billed = bill(self.practice, self._desk.cps, vitale, act)
        return self._seen(visit.patient, act.date, billed)

    @contextmanager
    def _inserted(self, patient: Patient) -> Iterator[None]:
        slot = self._reader.insert("Vitale", self._box.vitale(patient))
        try:
            yield
        finally:
            slot.remove()

    def see_on_paper(self, visit: Visit, shown: Attestation, mode: str = "without-vitale") -> Seen:
        """The same without a Vitale, on an attestation of rights: the CPS signs alone; degraded, nobody."""
        act = replace(self._act(visit), mode=mode, attestation=shown)
        degraded = mode == "degraded"
        act = replace(act, place=self.billing) if degraded else act
        billed = bill(self.practice, None if degraded else self._desk.cps, None, act)
        return self._seen(visit.patient, act.date, billed)

    def make_anew(self, number: int, patient: Patient, old: Seen) -> Seen:
        """A refused sheet once more, under a new number, with the cards that it asks for."""
        with self._inserted(patient):
            billed = rectify(self.practice, self._desk, number)
        return self._seen(old.patient, old.day, billed)

    def refused_lots(self) -> list[int]:
        """The sheets of lots that got a negative receipt, oldest first."""
        if not self.practice.store.counts().fse.get(FseState.REJECTED, 0):
            return []
        return sorted(row.number for row in self.sheets() if row.state is FseState.REJECTED)

    def _act(self, visit: Visit) -> CareAct:
        return CareAct(
            date=legal_day(self.practice.clock.now()),
            acts=visit.acts,
            number=visit.person,
            ald=visit.ald,
            pregnancy_month=visit.pregnancy_month,
            pathway=visit.pathway,
            third_party=visit.third_party,
        )

    def _seen(self, patient: int, day: date, billed: Billed) -> Seen:
        price, full = billed.price, billed.price.third_party == "full"
        return Seen(
            where=self.where,
            number=billed.number,
            day=day,
            patient=patient,
            charged_cents=price.charged_cents,
            desk_cents=price.patient_cents,
            amc_cents=price.amc_cents if full else 0,
            amo_back_cents=price.amo_cents if price.third_party == "none" else 0,
            amc_back_cents=0 if full else price.amc_cents,
            third_party=price.third_party,
            by_dre=bool(billed.demand),
        )

    def send(self, sender: Sender) -> tuple[int, int]:
        """Sign what waits, seal today's lots and send what is due; how many were made, how many go again."""
        sign_waiting(self.practice, self._desk.cps)
        made, again = make_lots(self.practice, self._desk.cps), 0
        while (done := send_due(self.practice.store, sender, self.practice.clock, self.practice.rng)).sent:
            again += done.overdue
        return len(made), again

    def collect(self) -> list[Payment]:
        """Post what came back; what the payment returns said, as the gateway read it."""
        said: list[Payment] = []
        open_return = opener(self.practice)

        def listening(raw: bytes) -> Opened:
            opened = open_return(raw)
            said.extend(opened.payments)
            return opened

        box = Maildir(self.mailbox, clock=self.practice.clock)
        done = collect(self.practice.store, box, listening, self.practice.id)
        if done.unmatched or done.unreadable:
            problem = f"{done.unmatched} returns without a match and {done.unreadable} unreadable"
            raise GatewayError(f"the {NAMES[self.where]} got {problem}: the year cannot go on")
        return said

    @property
    def unanswered(self) -> int:
        """Lots without a receipt, and sheets and demands in no lot."""
        counts = self.practice.store.counts()
        return sum(counts.lots.get(state, 0) for state in _OPEN) + self._unsent(counts)

    @staticmethod
    def _unsent(counts: Counts) -> int:
        waiting = counts.fse.get(FseState.AWAITING_CPS, 0)
        return waiting + counts.fse.get(FseState.SIGNED, 0) + counts.shares.get(FseState.SIGNED, 0)

    def sheets(self) -> list[FseRow]:
        """Every sheet in the gateway's store, oldest last."""
        store, rows = self.practice.store, list[FseRow]()
        while page := store.fse_list(self.practice.id, _PAGE, len(rows)):
            rows += page
        return rows


def directory_file(bench: Bench, places: Sequence[Workplace]) -> Path:
    """The receiver's directory: to whom it answers, with which certificate, into which mailbox."""
    target = bench.root / "practices.toml"
    tables = [
        f'[[practice]]\nsender = "{place.billing.rjust(14, "0")}"\n'
        f'certificate = "authority/practices/{place.where}.cert.pem"\n'
        f'maildir = "{place.where}/mailbox"\n'
        for place in places
    ]
    target.write_text("\n".join(tables), encoding="utf-8")
    return target
