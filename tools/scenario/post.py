"""Paper on its way: who could show neither card nor attestation sends the sheet of care to the caisse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from gateway.billing.engine import price
from gateway.billing.request import Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.lots.fse import FseView
from tools.receiver.insurers import insurer_number
from tools.receiver.paper import PaperSheet
from tools.scenario.care import Visit
from tools.scenario.people import Patient

BY_POST = timedelta(days=3)
"""From the patient's letter box to the caisse's counter."""


@dataclass(frozen=True)
class Receipt:
    """What the desk gave with the paper: all that was paid, and what is to come back; in cents."""

    charged: int
    amo: int
    amc: int


@dataclass(frozen=True)
class Arrived:
    """A paper sheet at the counter: as the caisse read it, its decision, the insurer's share."""

    view: FseView
    decision: str
    code: str
    share_cents: int
    share_code: str


@dataclass
class Post:
    """The letters under way."""

    tables: Tables
    _bags: list[tuple[date, PaperSheet, Receipt]] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Sheets that have not arrived."""
        return len(self._bags)

    def receipt(self, visit: Visit, patient: Patient, practitioner: Practitioner, today: date) -> Receipt:
        """What care without third-party payment costs, and who gives how much of it back."""
        computed = price(_request(visit, patient, practitioner, today), self.tables)
        return Receipt(computed.charged_cents, computed.amo_cents, computed.amc_cents)

    def send(self, visit: Visit, patient: Patient, billing: str, today: date, receipt: Receipt) -> None:
        """The patient puts the sheet into an envelope."""
        person = patient.profile.people[visit.person - 1]
        cover = person.mutuelle or person.amc
        sheet = PaperSheet(
            practitioner=billing,
            number=0,
            nir=patient.profile.nir[:13],
            birth_date=person.birth_date,
            care=_request(visit, patient, Practitioner(), today),
            ald=visit.ald,
            complementary="" if cover is None else insurer_number(cover.number),
        )
        self._bags.append((today + BY_POST, sheet, receipt))

    def arriving(self, today: date) -> Iterator[tuple[PaperSheet, Receipt]]:
        """What comes on this day."""
        due = [one for one in self._bags if one[0] <= today]
        self._bags = [one for one in self._bags if one[0] > today]
        for _, sheet, receipt in due:
            yield sheet, receipt


def _request(visit: Visit, patient: Patient, practitioner: Practitioner, today: date) -> CareRequest:
    """The care as who knows all rights prices it."""
    person = patient.profile.people[visit.person - 1]
    css = person.css is not None
    rights = Beneficiary(
        birth_date=person.birth_date,
        regime=patient.profile.regime,
        alsace_moselle=patient.scheme == "alsace-moselle",
        ald=visit.ald,
        css=css,
        pregnancy_month=visit.pregnancy_month,
        complementary=None if css else patient.contract or None,
    )
    maternity = visit.pregnancy_month is not None and visit.pregnancy_month >= _FREE_FROM
    return CareRequest(
        today, practitioner, rights, visit.acts, pathway=visit.pathway,
        nature="maternite" if maternity else "maladie", third_party="none",
    )  # fmt: skip


_FREE_FROM = 6
"""The month of a pregnancy from which care is at 100 % (L160-9)."""
