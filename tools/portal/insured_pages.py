"""The pages of an insured person. Each shows the family that is signed in: none takes a name or a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from gateway.errors import InputError
from tools.portal import words
from tools.portal.accounts import Accounts, Sheet, months_back, people
from tools.portal.office import Office
from tools.portal.papers import attestation_paper, statement_paper
from tools.portal.postings import Follower
from tools.portal.standing import Standing, standings
from tools.portal.views import Views
from tools.portal.visit import INSURED, PDF, Reply, Route, Visit, go
from tools.receiver.insured import InsuredBase


@dataclass
class InsuredPages:
    """Everything behind these pages."""

    office: Office
    accounts: Accounts
    insured: InsuredBase
    views: Views
    follower: Follower

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Method and path → page."""
        pages = {
            ("GET", "/remboursements"): self.reimbursements,
            ("GET", "/releve"): self.statement,
            ("GET", "/releve.pdf"): self.statement_file,
            ("GET", "/retenues"): self.deductions,
            ("GET", "/attestation"): self.attestation,
            ("GET", "/attestation.pdf"): self.attestation_file,
            ("GET", "/carte"): self.card,
            ("POST", "/carte/opposition"): self.declare,
            ("POST", "/carte/commande"): self.order,
            ("GET", "/medecin"): self.doctor,
            ("POST", "/medecin"): self.choose_doctor,
            ("GET", "/complementaire"): self.complementary,
            ("POST", "/complementaire"): self.link,
        }
        return {key: Route(INSURED, page) for key, page in pages.items()}

    # Money

    def reimbursements(self, visit: Visit) -> Reply:
        """Every sheet of 27 months, newest first, narrowed by month, beneficiary and state."""
        first = months_back(self.office.today)
        kept = [one for one in self._sheets(visit) if one.care >= first]
        months = sorted({one.care.replace(day=1) for one in kept}, reverse=True)
        shown = sorted(filter(_wanted(visit.query), kept), key=lambda one: one.care, reverse=True)
        return self.views.page(
            visit, "remboursements", sheets=shown, months=months, first=first, query=visit.query,
            people=[name for _, name in people(visit.family)], total=sum(one.to_insured for one in shown),
        )  # fmt: skip

    def _sheets(self, visit: Visit) -> list[Sheet]:
        self.follower.catch_up()
        return self.accounts.sheets(visit.family)

    def statement(self, visit: Visit) -> Reply:
        """The sheets that the caisse dealt with in one month."""
        month, sheets = self._month(visit)
        first = months_back(self.office.today)
        months = [months_back(self.office.today, back) for back in range(28)]
        return self.views.page(
            visit, "releve", month=month, sheets=sheets, months=months, first=first, totals=_totals(sheets)
        )

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

    # Rights

    def attestation(self, visit: Visit) -> Reply:
        """What the caisse's base says of the family today."""
        family = visit.family
        return self.views.page(
            visit, "attestation", family=family, standings=self._standings(visit), today=self.office.today,
            doctor=self._doctor_label(visit),
        )  # fmt: skip

    def attestation_file(self, visit: Visit) -> Reply:
        """The same as PDF."""
        body = attestation_paper(
            visit.family, self._standings(visit), self._doctor_label(visit), self.office.clock.now()
        )
        return Reply(body, media=PDF, filename="attestation-de-droits.pdf")

    def _standings(self, visit: Visit) -> list[Standing]:
        return standings(visit.family, self.insured, self.office.insurers)

    def _doctor_label(self, visit: Visit) -> str:
        chosen = self.office.state.doctor(visit.family.tag)
        doctor = self.office.register.doctors.get(chosen[0]) if chosen else None
        return "aucun" if doctor is None else doctor.label

    # Card

    def card(self, visit: Visit) -> Reply:
        """The present card, what was declared, and the two forms."""
        serial = self.office.present_serial(visit.family)
        return self.views.page(
            visit, "carte", serial=serial, opposed=self.office.opposition_of(serial),
            ordered=self.office.state.ordered(visit.family.tag),
        )  # fmt: skip

    def declare(self, visit: Visit) -> Reply:
        """A lost or stolen card goes onto the opposition list."""
        card = self.office.declare(visit.family, visit.form.get("motif", ""))
        said = f"Votre carte est déclarée {words.REASONS[card.reason]} : elle est refusée partout désormais."
        return go(visit, "/carte", said)

    def order(self, visit: Visit) -> Reply:
        """A new card is made."""
        self.office.order(visit.family)
        return go(visit, "/carte", "Votre nouvelle carte est fabriquée ; l'ancienne est en opposition.")

    # Choices

    def doctor(self, visit: Visit) -> Reply:
        """The médecin traitant and the list to choose from."""
        chosen = self.office.state.doctor(visit.family.tag)
        doctors = sorted(self.office.register.doctors.values(), key=lambda one: one.label)
        return self.views.page(
            visit, "medecin", doctors=doctors, chosen=chosen, label=self._doctor_label(visit)
        )

    def choose_doctor(self, visit: Visit) -> Reply:
        """The choice."""
        self.office.choose_doctor(visit.family, visit.form.get("medecin", ""))
        return go(visit, "/medecin", "Votre médecin traitant est déclaré.")

    def complementary(self, visit: Visit) -> Reply:
        """Each insurer with its link."""
        return self.views.page(visit, "complementaire", contracts=self.office.contracts(visit.family))

    def link(self, visit: Visit) -> Reply:
        """The link turned on or off."""
        linked = visit.form.get("liaison", "") == "oui"
        self.office.link(visit.family, visit.form.get("organisme", ""), linked=linked)
        said = "Vos décomptes sont transmis" if linked else "Vos décomptes ne sont plus transmis"
        return go(visit, "/complementaire", f"{said} à cet organisme.")


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
    names = ("charged", "amo", "amc", "withheld", "to_insured", "to_professional")
    return {name: sum(getattr(one, name) for one in sheets) for name in names}


def _owed(sheets: list[Sheet]) -> int:
    """Deductions that no reimbursement has covered yet."""
    return sum(one.deducted - one.withheld for one in sheets)
