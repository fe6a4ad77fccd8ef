"""A family's account, read from the ledger: every sheet with its shares, what was taken off, where it went.

A deduction is kept from what the caisse pays the insured person: from the same reimbursement, or, after
third-party payment, from the next ones; until then it stays owed. All amounts are integer cents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from gateway.billing.tables import Tables
from tools.portal.postings import Facts, claim_facts
from tools.portal.register import Family, Register
from tools.portal.treasury import Transfer, Treasury
from tools.portal.words import MOTIVES
from tools.receiver.adjudication import NOTHING, PAID, REJECTED, day
from tools.receiver.book import TO_INSURED
from tools.receiver.ledger import Ledger
from tools.receiver.vault import Vault

_PAPER = "P"
MONTHS = 27
"""How far back reimbursements are shown."""


@dataclass(frozen=True)
class Sheet:
    """One sheet of a beneficiary in cents. `withheld`: kept from `to_insured` for deductions, old and new.

    `to_insured` is what is for the insured person, `to_professional` what is paid for them. Of `to_insured`
    the caisse's part is `by_caisse`; `transfers` say what has left. `on_paper`: it came over the counter.
    """

    care: date
    received: date
    beneficiary: str = field(repr=False)
    practitioner: str
    acts: tuple[str, ...]
    charged: int
    amo: int
    amc: int
    deducted: int
    withheld: int
    to_insured: int
    to_professional: int
    state: str
    reason: str = ""
    by_caisse: int = 0
    transfers: tuple[Transfer, ...] = ()
    on_paper: bool = False

    @property
    def paid(self) -> int:
        """Cents that have left for the insured person's account."""
        return self.to_insured - self.awaited

    @property
    def awaited(self) -> int:
        """Cents that are still to leave."""
        by_insurer = self.to_insured - self.by_caisse
        return sum(
            by_insurer if one.from_insurer else self.by_caisse for one in self.transfers if not one.paid
        )

    @property
    def last_transfer(self) -> Transfer | None:
        """The transfer that still waits, else the last one; None when nothing goes to the insured person."""
        waiting = [one for one in self.transfers if one.paid is None]
        return next(iter(waiting or self.transfers[-1:]), None)

    @property
    def left(self) -> int:
        """What the insured person bears in the end: neither payer's, and what is deducted."""
        return self.charged - self.amo - self.amc + self.deducted


@dataclass(frozen=True)
class Cap:
    """One beneficiary's yearly account of deductions in cents: taken, and the most that a year may take."""

    beneficiary: str = field(repr=False)
    account: str
    year: int
    taken: int
    cap: int


@dataclass(frozen=True)
class Taking:
    """One deduction: day of care, of whom, for what, cents."""

    care: date
    beneficiary: str = field(repr=False)
    kind: str
    cents: int


class Accounts:
    """Reads the accounts of families."""

    def __init__(
        self, ledger: Ledger, vault: Vault, register: Register, tables: Tables, treasury: Treasury
    ) -> None:
        self._ledger, self._vault, self._register, self._tables = ledger, vault, register, tables
        self._treasury = treasury

    def sheets(self, family: Family) -> list[Sheet]:
        """Every sheet of the family, in the order in which the caisse received them."""
        shares, transfers = self._shares(family), self._treasury.transfers(family)
        owed, found = 0, []
        for claim, practitioner, number, decision, code, received, detail, payer in self._claims(family):
            facts = claim_facts(self._vault, payer, practitioner, number, detail)
            deducted = self._deducted(claim)
            share = shares.get((practitioner, number), (0, 0))
            direct = facts["amo"] if decision == NOTHING else 0
            owed += deducted
            withheld = min(owed, direct)
            owed -= withheld
            sheet = self._sheet(
                family, practitioner, decision, code, received, facts, deducted, withheld, share
            )
            found.append(replace(sheet, transfers=transfers.get((practitioner, number), ())))
        return found

    def _claims(self, family: Family) -> list[tuple[Any, ...]]:
        return self._ledger.rows(
            "SELECT c.id, c.practitioner, c.number, c.decision, c.code, lot.received_at, c.detail, c.payer"
            " FROM posting p JOIN claim c ON c.id = p.claim JOIN lot ON lot.id = c.lot"
            " WHERE p.family = ? AND p.book = 'claim' AND c.first ORDER BY p.id",
            family.tag,
        )

    def _shares(self, family: Family) -> Mapping[tuple[str, int], tuple[int, int]]:
        """What insurers pay of each sheet: to the insured person, to the professional."""
        shares: dict[tuple[str, int], tuple[int, int]] = {}
        for practitioner, number, payee, cents in self._ledger.rows(
            "SELECT c.practitioner, c.number, c.payee, c.amc_paid FROM posting p"
            " JOIN insurer_claim c ON c.id = p.claim"
            " WHERE p.family = ? AND p.book = 'insurer_claim' AND c.first AND c.decision = ?",
            family.tag, PAID,
        ):  # fmt: skip
            mine, other = shares.get((practitioner, number), (0, 0))
            to_insured = payee == TO_INSURED
            shares[practitioner, number] = (mine + cents * to_insured, other + cents * (not to_insured))
        return shares

    def _deducted(self, claim: int) -> int:
        rows = self._ledger.rows("SELECT coalesce(sum(cents), 0) FROM deduction WHERE claim = ?", claim)
        return int(rows[0][0])

    def _sheet(
        self,
        family: Family,
        practitioner: str,
        decision: str,
        code: str,
        received: float,
        facts: Facts,
        deducted: int,
        withheld: int,
        share: tuple[int, int],
    ) -> Sheet:
        is_rejected, is_direct = decision == REJECTED, decision == NOTHING
        amo = 0 if is_rejected else facts["amo"]
        to_professional = amo * (not is_direct and not is_rejected)
        return Sheet(
            care=day(facts["date"]),
            received=datetime.fromtimestamp(received, UTC).date(),
            beneficiary=beneficiary_name(family, facts["person"][4]),
            practitioner=self._practitioner(practitioner),
            acts=tuple(str(line[1]) for line in facts["lines"]),
            charged=sum(int(line[9]) for line in facts["lines"]),
            amo=amo,
            amc=sum(share) or (facts["amc"] if facts["amc_state"] == PAID else 0),
            deducted=deducted,
            withheld=withheld,
            to_insured=(amo - withheld if is_direct else 0) + share[0],
            to_professional=to_professional + share[1] + (facts["amc"] if facts["amc_state"] == PAID else 0),
            state=decision,
            reason=MOTIVES.get(code, code) if is_rejected else "",
            by_caisse=amo - withheld if is_direct else 0,
            on_paper=facts["type"] == _PAPER,
        )

    def _practitioner(self, number: str) -> str:
        doctor = self._register.doctors.get(number)
        return doctor.label.partition(",")[0] if doctor is not None else f"N° {number}"

    def takings(self, family: Family, year: int) -> list[Taking]:
        """Every deduction of a year of care, newest first."""
        names = {self._tag(family, one): name for one, name in people(family)}
        rows = self._ledger.rows(
            "SELECT day, person, kind, cents FROM deduction WHERE family = ? AND day BETWEEN ? AND ?"
            " ORDER BY day DESC, id DESC",
            family.tag, f"{year}-01-01", f"{year}-12-31",
        )  # fmt: skip
        return [
            Taking(date.fromisoformat(on), names.get(who, "?"), kind, cents) for on, who, kind, cents in rows
        ]

    def caps(self, family: Family, on: date) -> list[Cap]:
        """Each beneficiary's two accounts in the year of this day, with the caps in force then."""
        return list(self._caps(family, on))

    def _caps(self, family: Family, on: date) -> Iterator[Cap]:
        rows = self._tables.on(on, "metropole").deductions.values()
        caps = {row.account: row.yearly_cap_cents for row in rows}
        for birth, name in people(family):
            taken = dict(
                self._ledger.rows(
                    "SELECT account, sum(cents) FROM deduction WHERE person = ? AND day BETWEEN ? AND ?"
                    " GROUP BY account",
                    self._tag(family, birth), f"{on.year}-01-01", f"{on.year}-12-31",
                )
            )  # fmt: skip
            for account in sorted(caps, reverse=True):
                yield Cap(name, account, on.year, int(taken.get(account, 0)), caps[account])

    def _tag(self, family: Family, birth: str) -> bytes:
        return self._register.seal.person(family.nir, birth)


def people(family: Family) -> list[tuple[str, str]]:
    """Birth date (AAMMJJ) and name of each beneficiary, as the profile has them."""
    return [(f"{one.birth_date:%y%m%d}", f"{one.first_name} {one.name}") for one in family.profile.people]


def beneficiary_name(family: Family, birth: str) -> str:
    """The name of the beneficiary with this birth date."""
    return dict(people(family)).get(birth, "Bénéficiaire")


def months_back(today: date, months: int = MONTHS) -> date:
    """The first day of the month that many months before."""
    count = today.year * 12 + today.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)
