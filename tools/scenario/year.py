"""The year itself, day after day on a simulated clock: care, lots, receipts, payments, and who books what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from gateway.billing.rows import WithdrawalRow
from gateway.billing.tables import Tables
from gateway.clock import SimulatedClock
from gateway.errors import GatewayError
from gateway.exchange.calendar import is_working_day
from gateway.lots.fse import FseView
from gateway.lots.organism import Complementary, destination_of
from gateway.pki import OppositionList
from gateway.pki.opposition import Opposition
from tools.bench import Bench
from tools.receiver.core import Judged
from tools.scenario.attested import attestation
from tools.scenario.caisse import PAYS_PAPER_AFTER, Letter, Office
from tools.scenario.cards import CardBox, key_pool
from tools.scenario.care import GP, NURSE, PHARMACY, Diary, Visit
from tools.scenario.ledgers import (
    BANK,
    BILLS,
    CAISSE,
    COMPLEMENTARY,
    DESK,
    PATIENT,
    PROFESSIONAL,
    SHARE_TO_PROFESSIONAL,
    TO_PROFESSIONAL,
    euros,
    month_of,
    open_ledgers,
)
from tools.scenario.mending import Mender
from tools.scenario.national import LISTS, National, publish_lists
from tools.scenario.outcome import (
    AT_DESK,
    BY_CAISSE,
    BY_COMPLEMENTARY,
    BY_NOBODY,
    SHARE_BY_CAISSE,
    Outcome,
)
from tools.scenario.people import (
    CAISSE_UNKNOWN,
    CARD_STOLEN,
    INSURER_NOT_LINKED,
    INSURER_UNKNOWN,
    Patient,
    population,
)
from tools.scenario.post import Post
from tools.scenario.purse import ACCOUNTS, FLOW_OF, Purse
from tools.scenario.till import Bill, Till
from tools.scenario.workplace import CPS, Seen, Workplace, directory_file

START = date(2025, 1, 1)
MOST_DAYS = 1_000
TAIL_DAYS = 60
"""After the last day of care all that is under way has so many days to arrive."""
STALE_TABLES = (date(2025, 8, 1), date(2025, 9, 15))
"""The pharmacy brings its tables up to date late: what was taken off the list meanwhile is refused."""
INSURER_PAYS_AFTER, INSURER_PAYS_PAPER_AFTER = timedelta(days=7), timedelta(days=9)
RENEWED_AFTER = timedelta(days=14)
_CPS_FORGOTTEN, _SIGNED_LATER = (14, 21), 29
"""Days of the month without the nurse's CPS; one visit of so many at the doctor's is signed later."""
_LATE_ON, _REFUSED_ON, _LATE_DAYS = 7, 14, 2
"""Days of the month: a payment return leaves late, and a lot that is conform is refused."""
_HICCUPS = ("drop-arl:2", "duplicate-arl:3", "duplicate-noemie:2")
"""Each month the national side loses two receipts and says things twice: nothing may be lost or doubled."""

_OPEN_HOURS, _QUIET = timedelta(hours=12), 720
"""A visit a minute, closer together where more come: all are on their day."""

_AT_THE_DESK = {
    "rights-closed": "no open rights on the card",
    "vitale-expired": "card expired",
    "card-opposed": "card on the opposition list",
}

Tell = Callable[[date, int, int], None]
"""Told each day: the day, sheets so far, lots so far."""


class Year:
    """A world in `root`: three practices, their people, the national side, five ledgers."""

    def __init__(self, root: Path, stack: ExitStack, *, seed: int, insured: int, days: int) -> None:
        self._days, self._clock = days, SimulatedClock(_at(START - timedelta(days=1), 6))
        self._people = population(seed, insured, START, days)
        self._diary = Diary(seed, self._people)
        self._tables = Tables.load()
        self._bench = Bench(root, self._clock)
        box = self._box = CardBox(self._bench.authority.issuer, self._clock, key_pool())
        self._places = {where: Workplace(self._bench, where, box) for where in CPS}
        for place in self._places.values():
            stack.callback(place.close)
        where = directory_file(self._bench, list(self._places.values()))
        self._national = National(self._bench, where, self._people)
        stack.callback(self._national.close)
        self._open_books()
        self.outcome = Outcome(insured, self._ledgers, schemes=Counter(one.scheme for one in self._people))

    def _open_books(self) -> None:
        self._ledgers = open_ledgers()
        self._bank, self._purse = self._ledgers[BANK], Purse(self._ledgers[PATIENT])
        self._tills = {where: Till(self._ledgers[PROFESSIONAL]) for where in CPS}
        self._menders = {
            where: Mender(self._places[where], till, self._people.__getitem__, self._updated)
            for where, till in self._tills.items()
        }
        self._post = Post(self._tables)
        self._where = {place.billing: where for where, place in self._places.items()}
        self._office = Office(self._tables, self._national.practitioners)
        self._letters: list[tuple[date, Letter]] = []
        self._bills: list[tuple[str, Bill]] = []
        self._renewals: list[tuple[date, int]] = []
        self._lists_since = date.min

    def run(self, tell: Tell) -> Outcome:
        """Every day of care, then more days until nothing is under way."""
        for number in range(self._days):
            self._day(START + timedelta(days=number), care=True)
            tell(self._today, self.outcome.sheets, self.outcome.lots)
        for number in range(TAIL_DAYS):
            if not self._under_way():
                break
            self._day(START + timedelta(days=self._days + number), care=False)
            tell(self._today, self.outcome.sheets, self.outcome.lots)
        self._close_books()
        return self.outcome

    # One day

    def _day(self, day: date, *, care: bool) -> None:
        self._today = day
        self._move_to(6)
        self._refresh()
        if is_working_day(day):
            self._settle_bills()
            self._mend()
            self._open_letters()
            self._pay()
        if care:
            self.outcome.days += 1
            visits = self._diary.visits(day)
            for visit in visits:
                self._clock.advance(_OPEN_HOURS / max(len(visits), _QUIET))
                self._receive(visit)
        self._move_to(20)
        self._evening()

    def _move_to(self, hour: int) -> None:
        self._clock.advance(max(timedelta(0), _at(self._today, hour) - self._clock.now()))

    def _refresh(self) -> None:
        """What is fetched each morning; the receiver opens anew with each revocation list."""
        stolen = [
            Opposition(one.profile.serial, one.since, "V")
            for one in self._people
            if one.has(CARD_STOLEN, self._today)
        ]
        self._bench.write_opposition(stolen)
        if self._today - self._lists_since >= LISTS - timedelta(days=6):
            self._publish_lists()
        opposition = OppositionList.load(self._bench.opposition_file)
        for place in self._places.values():
            place.refresh(self._trust, opposition)
        self._places[PHARMACY].bill_by(self._tables_of_pharmacy())
        self._renew_cards()

    def _publish_lists(self) -> None:
        self._lists_since = self._today
        publish_lists(self._bench)
        self._trust = self._bench.authority.trust()
        self._national.reopen(_HICCUPS)

    def _tables_of_pharmacy(self) -> Tables:
        if not STALE_TABLES[0] <= self._today < STALE_TABLES[1]:
            return self._tables
        if not hasattr(self, "_stale"):
            self._stale = Tables(row for row in self._tables.rows if not isinstance(row, WithdrawalRow))
        return self._stale

    def _renew_cards(self) -> None:
        for on, index in self._renewals:
            if on == self._today:
                self._people[index] = self._people[index].renewed(on)
                self._box.forget(self._people[index])

    # Care

    def _receive(self, visit: Visit) -> None:
        """The card; when it is refused, an attestation of rights; without one, paper and no third party."""
        patient, place = self._people[visit.patient], self._places[visit.where]
        try:
            if self._is_without_cps(visit):
                seen = place.see_on_paper(visit, attestation(patient, self._today), "degraded")
                self.outcome.degraded += 1
            else:
                later = self._is_signed_later(visit)
                seen = place.see(visit, patient, "desynchronised" if later else "secured")
                self.outcome.desynchronised += later
        except GatewayError as refusal:
            self._refuse(patient, refusal)
            if not _has_attestation(patient):
                self._on_paper(visit, patient)
                return
            seen = place.see_on_paper(visit, attestation(patient, self._today))
            self.outcome.attested += 1
        self._book(visit, seen)

    def _is_without_cps(self, visit: Visit) -> bool:
        """Two days a month the nurse has left the CPS at home: nobody signs, paper goes with the sheet."""
        return visit.where == NURSE and self._today.day in _CPS_FORGOTTEN

    def _is_signed_later(self, visit: Visit) -> bool:
        """Now and then the doctor is away from the reader: the card of the patient seals, the CPS later."""
        return visit.where == GP and (visit.patient + self._today.toordinal()) % _SIGNED_LATER == 0

    def _book(self, visit: Visit, seen: Seen) -> None:
        self.outcome.sheets += 1
        self.outcome.places[visit.where] += 1
        self.outcome.third_party[seen.third_party] += 1
        self._tills[visit.where].sees(seen)
        self._bank.post(seen.day, DESK, seen.desk_cents)
        self._purse.pays(seen.day, seen.desk_cents)
        sheet = self._places[visit.where].billing, seen.number
        self._purse.expects(CAISSE, sheet, seen.amo_back_cents)
        self._purse.expects(COMPLEMENTARY, sheet, seen.amc_back_cents)

    def _refuse(self, patient: Patient, refusal: GatewayError) -> None:
        """The card cannot be used: a new one, or an update of this one, is on its way."""
        if refusal.code not in _AT_THE_DESK:
            raise refusal
        self.outcome.refusals[AT_DESK, _AT_THE_DESK[refusal.code]] += 1
        if all(index != patient.index for _, index in self._renewals):
            self._renewals.append((self._today + RENEWED_AFTER, patient.index))

    def _on_paper(self, visit: Visit, patient: Patient) -> None:
        """No card and no attestation: the patient pays all, and sends the paper sheet to the caisse."""
        billing = self._places[visit.where].billing
        practitioner = self._national.practitioners[billing][0]
        receipt = self._post.receipt(visit, patient, practitioner, self._today)
        self._post.send(visit, patient, billing, self._today, receipt)
        self._tills[visit.where].paper(self._today, receipt.charged)
        self._purse.pays(self._today, receipt.charged)
        self._bank.post(self._today, DESK, receipt.charged)
        self.outcome.paper_sheets += 1

    def _open_letters(self) -> None:
        """The morning at the caisse's counter: what has come by post is keyed in."""
        for sheet, receipt in self._post.arriving(self._today):
            done = self._national.paper(sheet)
            where = sheet.practitioner, done.view.number
            self._purse.expects(CAISSE, where, receipt.amo)
            self._purse.expects(COMPLEMENTARY, where, receipt.amc)
            self._office.book(done.view, done.decision, self._today, PAYS_PAPER_AFTER)
            if done.code:
                self.outcome.refusals[BY_CAISSE, done.code] += 1
                self._purse.is_refused(CAISSE, where)
            if done.share_code:
                self.outcome.refusals[BY_COMPLEMENTARY, done.share_code] += 1
                self._purse.is_refused(COMPLEMENTARY, where)
            elif done.share_cents:
                letter = Letter(where, sheet.care.date, done.share_cents)
                self._letters.append((self._today + INSURER_PAYS_PAPER_AFTER, letter))

    def _mend(self) -> None:
        """Refused sheets are made anew: the same care, another number."""
        for where, mender in self._menders.items():
            billing = self._places[where].billing
            for one in mender.mend():
                old, new = (billing, one.old), (billing, one.seen.number)
                if one.refused_by_caisse:
                    self._purse.expects(CAISSE, new, one.seen.amo_back_cents)
                    self._purse.expects(COMPLEMENTARY, new, one.seen.amc_back_cents)
                else:
                    self._purse.renumbers(old, new)
                self.outcome.rectified += 1

    def _updated(self, index: int) -> Patient:
        """The patient after a visit to the update kiosk: the card names the organism that insures now."""
        if self._people[index].trouble == CAISSE_UNKNOWN:
            self._people[index] = self._people[index].moved(self._today)
            self._box.forget(self._people[index])
        return self._people[index]

    # Lots, receipts and payments

    def _evening(self) -> None:
        if self._today.day == _REFUSED_ON:
            self._national.refuse_one_lot()
        if self._today.day == _LATE_ON:
            self._national.be_late_once(_LATE_DAYS)
        for place in self._places.values():
            made, again = place.send(self._national)
            self.outcome.lots += made
            self.outcome.sent_again += again
        self._book_lots()
        self._national.deliver()
        for where, place in self._places.items():
            bills = self._tills[where].posted(self._today, place.collect())
            self._bills += [(where, bill) for bill in bills]

    def _book_lots(self) -> None:
        """Caisse and insurers put down what has just come, as their own ledger decided."""
        for judged in self._national.taken:
            assert judged.opening.verified is not None
            views = {fse.number: fse.view() for fse in judged.opening.verified.fses}
            for number, decision, code in self._national.decisions(judged):
                self._office.book(views[number], decision, self._today)
                if code:
                    self.outcome.refusals[BY_CAISSE, code] += 1
                    self._purse.is_refused(CAISSE, (views[number].billing_number, number))
            self._book_shares(judged, views)
        self._national.taken.clear()

    def _book_shares(self, judged: Judged, views: dict[int, FseView]) -> None:
        for share in self._national.shares(judged):
            if share.code:
                self.outcome.refusals[BY_COMPLEMENTARY, share.code] += 1
                self._purse.is_refused(COMPLEMENTARY, (views[share.number].billing_number, share.number))
            elif share.to_insured:
                view = views[share.number]
                letter = Letter((view.billing_number, view.number), _care_day(view), share.cents)
                self._letters.append((self._today + INSURER_PAYS_AFTER, letter))

    def _pay(self) -> None:
        """The morning of a working day at the payers: returns to professionals, letters to people."""
        for answer in self._national.pay():
            insurer = isinstance(destination_of(answer.sender), Complementary)
            self._bank.post(
                self._today, SHARE_TO_PROFESSIONAL if insurer else TO_PROFESSIONAL, answer.total_cents
            )
        for letter in self._office.reimburse(self._today):
            self._send_letter(CAISSE, letter)
        for due, letter in self._letters:
            if due <= self._today:
                self._send_letter(COMPLEMENTARY, letter)
        self._letters = [(due, letter) for due, letter in self._letters if due > self._today]

    def _send_letter(self, payer: str, letter: Letter) -> None:
        """The payer orders a transfer, the bank makes it, the patient reads what was withheld."""
        flow = FLOW_OF[payer]
        self._bank.post(self._today, flow, letter.paid_cents)
        self._ledgers[payer].post(self._today, flow, letter.paid_cents)
        for account, cents in letter.withheld.items():
            self._ledgers[payer].post(self._today, ACCOUNTS[account], cents)
        self._purse.reads(self._today, payer, letter)
        self.outcome.payers[month_of(letter.care), flow] += letter.paid_cents
        self.outcome.delays[flow, (self._today - letter.care).days] += 1

    def _settle_bills(self) -> None:
        for where, bill in self._bills:
            self._tills[where].settled(self._today, bill)
            self._purse.settles(self._today, bill.cents)
            self._bank.post(self._today, BILLS, bill.cents)
        self._bills.clear()

    # The end

    def _under_way(self) -> int:
        unanswered = sum(place.unanswered for place in self._places.values()) + self._post.waiting
        mending = sum(mender.waiting for mender in self._menders.values())
        return (
            unanswered
            + mending
            + self._national.waiting
            + self._office.waiting
            + len(self._letters)
            + len(self._bills)
        )

    def _close_books(self) -> None:
        """Caisse and insurers add up their own ledger; then everything that must be nil is looked at."""
        books = ((CAISSE, TO_PROFESSIONAL, "claim"), (COMPLEMENTARY, SHARE_TO_PROFESSIONAL, "insurer_claim"))
        for party, flow, book in books:
            for day, cents in self._national.paid(book):
                self._ledgers[party].post(day, flow, cents)
        outcome = self.outcome
        outcome.lots_refused = self._national.on_purpose
        for till in self._tills.values():
            outcome.charged += till.charged
            outcome.payers += till.payers
            outcome.delays += till.delays
            for code, count in till.refusals.items():
                outcome.refusals[SHARE_BY_CAISSE, code] += count
        for account in self._office.owed.values():
            outcome.owed += account
        if silent := len(self._purse.unanswered(COMPLEMENTARY)):
            outcome.refusals[BY_NOBODY, "never handed on to the complementary"] += silent
        outcome.faults += self._loose_ends()

    def _loose_ends(self) -> Iterator[str]:
        if self._national.refused:
            yield f"{len(self._national.refused)} lots were refused: {self._national.refused[0]}"
        if left := self._under_way():
            yield f"{left} payments or receipts are still under way after {TAIL_DAYS} days"
        for where, till in self._tills.items():
            still = {number: cents for number, cents in till.open.items() if cents}
            for number, cents in sorted(still.items())[:1]:
                yield f"{where}, sheet {number}: {cents} cents are still open"
            yield from self._stores(where, till)
        yield from self._purse.faults
        yield from self._purse.never_came()
        yield from self._lost_shares()
        yield from self._closing()

    def _lost_shares(self) -> Iterator[str]:
        """Shares that nobody answered although the caisse and the insurer know the member and are linked."""
        for billing, number in self._purse.unanswered(COMPLEMENTARY):
            patient = self._people[self._tills[self._where[billing]].patient_of(number)]
            if patient.trouble not in (INSURER_UNKNOWN, INSURER_NOT_LINKED):
                yield f"sheet {number} of {billing}: the complementary share was lost on its way"

    def _closing(self) -> Iterator[str]:
        """What care cost is what four parties have borne."""
        charged, ledgers = sum(self.outcome.charged.values()), self._ledgers
        patient = ledgers[PATIENT].paid - ledgers[PATIENT].received
        borne = patient + ledgers[CAISSE].paid + ledgers[COMPLEMENTARY].paid
        if charged != borne:
            yield f"care cost {euros(charged)}, patient, caisse and complementary have borne {euros(borne)}"

    def _stores(self, where: str, till: Till) -> Iterator[str]:
        """What the gateway's own store says of the same sheets."""
        rows = self._places[where].sheets()
        if len(rows) != len(till.open):
            yield f"{where}: {len(rows)} sheets in the gateway's store, {len(till.open)} in the cash book"
        kept = sum(row.paid_amo_cents + row.paid_amc_cents for row in rows)
        if kept != till.posted_cents:
            yield f"{where}: the gateway's store has {kept} cents paid, the professional {till.posted_cents}"


def _has_attestation(patient: Patient) -> bool:
    """Two people of three have the paper with them."""
    return patient.index % 3 != 0


def _care_day(view: FseView) -> date:
    return datetime.strptime(view.care_date, "%y%m%d").replace(tzinfo=UTC).date()


def _at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), UTC)
