"""The pages of an insured person about rights, card and choices: of who is signed in, and of nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tools.portal import words
from tools.portal.office import Office
from tools.portal.papers import attestation_paper
from tools.portal.standing import Standing, standings
from tools.portal.views import Views
from tools.portal.visit import INSURED, PDF, Reply, Route, Visit, go
from tools.receiver.insured import InsuredBase


@dataclass
class InsuredPages:
    """Everything behind these pages."""

    office: Office
    insured: InsuredBase
    views: Views

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Method and path → page."""
        pages = {
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
