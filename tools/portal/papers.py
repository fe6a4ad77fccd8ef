"""What stands on the two papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from tools.portal import words
from tools.portal.accounts import Sheet
from tools.portal.paper import Paper
from tools.portal.register import Family
from tools.portal.standing import Standing

_HEADS = ("Soins", "Bénéficiaire", "Professionnel", "Actes", "Dépense", "AMO", "AMC", "Retenu", "Versé")


def statement_paper(
    family: Family, month: date, sheets: Sequence[Sheet], totals: Mapping[str, int], made: datetime
) -> bytes:
    """The monthly statement."""
    paper = Paper(f"Relevé de {words.month_name(month)}", made)
    holder = family.profile.people[0]
    paper.paragraph(f"{holder.first_name} {holder.name}, n° {words.spaced(family.profile.nir)}", bold=True)
    if not sheets:
        paper.paragraph("Aucun soin n'a été traité ce mois-ci.")
    else:
        paper.grid((16, 27, 30, 14, 18, 17, 17, 16, 18), [_HEADS, *map(_row, sheets)], right_from=4)
    paper.paragraph(
        f"Versé sur votre compte : {words.euros(totals['to_insured'])}. "
        f"Payé aux professionnels pour vous : {words.euros(totals['to_professional'])}. "
        f"Retenu (participations et franchises) : {words.euros(totals['withheld'])}.",
        bold=True,
    )
    return paper.to_bytes()


def _row(one: Sheet) -> tuple[str, ...]:
    cents = (one.charged, one.amo, one.amc, one.withheld, one.to_insured)
    return (
        words.french_day(one.care), one.beneficiary, one.practitioner, " ".join(one.acts),
        *map(words.euros, cents),
    )  # fmt: skip


def attestation_paper(family: Family, standings: Sequence[Standing], doctor: str, made: datetime) -> bytes:
    """The attestation of rights."""
    profile, paper = family.profile, Paper("Attestation de droits", made)
    holder = profile.people[0]
    paper.paragraph(f"{holder.first_name} {holder.name}", bold=True)
    paper.paragraph("\n".join(holder.address))
    paper.paragraph(
        f"Numéro de sécurité sociale : {words.spaced(profile.nir)}\n"
        f"Organisme : régime {profile.regime}, caisse {profile.caisse}, centre {profile.centre}, "
        f"code gestion {profile.management_code}\n"
        f"Médecin traitant : {doctor}"
    )
    rows = [("Bénéficiaire", "Né(e) le", "Droits", "Situation", "Complémentaire"), *map(_standing, standings)]
    paper.grid((38, 22, 46, 50, 30), rows, right_from=9)
    paper.paragraph(f"Fait le {words.french_day(made.date())}, d'après la base de la caisse à cette date.")
    return paper.to_bytes()


def _standing(one: Standing) -> tuple[str, ...]:
    periods = [f"du {words.french_day(start)} au {words.french_day(end)}" for start, end in one.rights]
    held = [words.EXEMPTIONS[name] for name in one.exemptions]
    held += ["régime local d'Alsace-Moselle"] if one.alsace_moselle else []
    return (
        one.name, words.french_day(one.birth_date), "\n".join(periods) or "fermés",
        "\n".join(held) or "-", "\n".join(one.insurers) or "-",
    )  # fmt: skip
