"""The pages of an insured person about money: reimbursements, statements, deductions, the bank account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from gateway.errors import InputError
from tools.portal import words
from tools.portal.accounts import Accounts, Sheet, months_back, people
from tools.portal.office import Office
from tools.portal.papers import statement_paper, yearly_paper
from tools.portal.postings import Follower
from tools.portal.treasury import Treasury
from tools.portal.views import Views
from tools.portal.visit import INSURED, PDF, Reply, Route, Visit, go
from tools.portal.yearly import Year, year_of
from tools.receiver.iban import masked, read_iban


@dataclass
class MoneyPages:
    """Everything behind these pages."""

    office: Office
    accounts: Accounts
    treasury: Treasury
    views: Views
    follower: Follower

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Method and path → page."""
        pages = {
            ("GET", "/remboursements"): self.reimbursements,
            ("GET", "/releve"): self.statement,
            ("GET", "/releve.pdf"): self.statement_file,
            ("GET", "/annuel"): self.yearly,
            ("GET", "/annuel.pdf"): self.yearly_file,
            ("GET", "/retenues"): self.deductions,
            ("GET", "/compte"): self.account,
            ("POST", "/compte"): self.change_account,
        }
        return {key: Route(INSURED, page) for key, page in pages.items()}

    def reimbursements(self, visit: Visit) -> Reply:
        """Every sheet of 27 months, newest first, narrowed by month, beneficiary and state."""
        first = months_back(self.office.today)
        kept = [one for one in self._sheets(visit) if one.care >= first]
        months = sorted({one.care.replace(day=1) for one in kept}, reverse=True)
        shown = sorted(filter(_wanted(visit.query), kept), key=lambda one: one.care, reverse=True)
        return self.views.page(
            visit, "remboursements", sheets=shown, months=months, first=first, query=visit.query,
            people=[name for _, name in people(visit.family)], totals=_totals(shown), held=self._held(visit),
        )  # fmt: skip

    def _sheets(self, visit: Visit) -> list[Sheet]:
        self.follower.catch_up()
        self.treasury.pay()
        return self.accounts.sheets(visit.family)

    def _held(self, visit: Visit) -> bool:
        """Whether reimbursements wait because the caisse knows no account."""
        return not self.treasury.iban(visit.family)

    def statement(self, visit: Visit) -> Reply:
        """The sheets that the caisse dealt with in one month."""
        month, sheets = self._month(visit)
        first = months_back(self.office.today)
        months = [months_back(self.office.today, back) for back in range(28)]
        return self.views.page(
            visit, "releve", month=month, sheets=sheets, months=months, first=first, totals=_totals(sheets),
            held=self._held(visit),
        )  # fmt: skip

    def statement_file(self, visit: Visit) -> Reply:
        """The same as PDF."""
        month, sheets = self._month(visit)
        body = statement_paper(visit.family, month, sheets, _totals(sheets), self.office.clock.now())
        return Reply(body, media=PDF, filename=f"releve-{month:%Y-%m}.pdf")

    def _month(self, visit: Visit) -> tuple[date, list[Sheet]]:
        text = visit.query.get("mois", "")
        month = words.read_month(text) if text else self.office.today.replace(day=1)
        if not months_back(self.office.today) <= month <= self.office.today:
            raise InputError("Les relevés vont de 27 mois en arrière jusqu'à ce mois-ci.")
        sheets = [one for one in self._sheets(visit) if one.received.replace(day=1) == month]
        return month, sheets

    def deductions(self, visit: Visit) -> Reply:
        """What was deducted this year, with the caps."""
        today, owed = self.office.today, _owed(self._sheets(visit))
        return self.views.page(
            visit, "retenues", year=today.year, caps=self.accounts.caps(visit.family, today), owed=owed,
            takings=self.accounts.takings(visit.family, today.year),
        )  # fmt: skip

    def yearly(self, visit: Visit) -> Reply:
        """What a year cost and what came back, by beneficiary: the statement for taxes."""
        year = self._year(visit)
        years = range(self.office.today.year, months_back(self.office.today).year - 1, -1)
        return self.views.page(visit, "annuel", year=year, years=years)

    def yearly_file(self, visit: Visit) -> Reply:
        """The same as PDF."""
        year = self._year(visit)
        body = yearly_paper(visit.family, year, self.office.clock.now())
        return Reply(body, media=PDF, filename=f"releve-fiscal-{year.year}.pdf")

    def _year(self, visit: Visit) -> Year:
        first, today = months_back(self.office.today), self.office.today
        text = visit.query.get("annee", "")
        number = words.read_year(text) if text else today.year
        if not first.year <= number <= today.year:
            raise InputError("Le relevé fiscal ne remonte pas à plus de 27 mois.")
        names = [name for _, name in people(visit.family)]
        return year_of(number, first, self._sheets(visit), names)

    # The account

    def account(self, visit: Visit) -> Reply:
        """The account, masked, and the form to give another."""
        sheets, iban = self._sheets(visit), self.treasury.iban(visit.family)
        waiting = sum(one.awaited for one in sheets)
        return self.views.page(visit, "compte", iban=masked(iban) if iban else "", waiting=waiting)

    def change_account(self, visit: Visit) -> Reply:
        """Another account, checked by its digits."""
        iban = read_iban(visit.form.get("iban", ""))
        self.follower.catch_up()
        self.treasury.change(visit.family, iban)
        return go(visit, "/compte", "Vos remboursements iront désormais sur ce compte.")


def _wanted(query: Mapping[str, str]) -> Callable[[Sheet], bool]:
    month = words.read_month(query["mois"]) if query.get("mois") else None
    person, state = query.get("beneficiaire", ""), query.get("etat", "")

    def wanted(one: Sheet) -> bool:
        return (
            month in (None, one.care.replace(day=1))
            and person in ("", one.beneficiary)
            and state in ("", one.state)
        )

    return wanted


def _totals(sheets: list[Sheet]) -> dict[str, int]:
    names = ("charged", "amo", "amc", "withheld", "to_insured", "to_professional", "paid", "awaited")
    return {name: sum(getattr(one, name) for one in sheets) for name in names}


def _owed(sheets: list[Sheet]) -> int:
    """Deductions that no reimbursement has covered yet."""
    return sum(one.deducted - one.withheld for one in sheets)
