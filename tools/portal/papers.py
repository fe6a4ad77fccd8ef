"""What stands on the two papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from tools.portal import words
from tools.portal.accounts import Sheet
from tools.portal.paper import Paper
from tools.portal.register import Family
from tools.portal.standing import Standing
from tools.portal.yearly import Year, YearLine

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
        f"Versé sur votre compte : {words.euros(totals['paid'])}, "
        f"à verser : {words.euros(totals['awaited'])}. "
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


_YEAR_HEADS = ("Bénéficiaire", "Soins", "Dépense", "AMO", "AMC", "Retenues", "Reste à charge")


def yearly_paper(family: Family, year: Year, made: datetime) -> bytes:
    """The statement for taxes."""
    paper, holder = Paper(f"Relevé fiscal {year.year}", made), family.profile.people[0]
    paper.paragraph(f"{holder.first_name} {holder.name}, n° {words.spaced(family.profile.nir)}", bold=True)
    if not year.is_whole:
        since = words.french_day(year.since)
        paper.paragraph(f"Les comptes sont gardés 27 mois : cette année est connue depuis le {since}.")
    paper.grid(
        (46, 14, 24, 24, 24, 22, 28), [_YEAR_HEADS, *map(_year_row, (*year.lines, year.total))], right_from=1
    )
    paper.paragraph(
        f"Versé sur votre compte ou à verser : {words.euros(year.total.to_insured)}. "
        f"À votre charge : {words.euros(year.total.left)}, dont "
        f"{words.euros(year.total.deducted)} de participations forfaitaires et de franchises.",
        bold=True,
    )
    paper.paragraph(
        "Soins traités par la caisse pendant l'année. AMO : assurance maladie ; AMC : complémentaire. "
        f"Feuilles refusées, non comptées : {year.total.refused}."
    )
    return paper.to_bytes()


def _year_row(one: YearLine) -> tuple[str, ...]:
    cents = (one.charged, one.amo, one.amc, one.deducted, one.left)
    return (one.beneficiary, str(one.sheets), *map(words.euros, cents))


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
    held = words.situations(one)
    return (
        one.name, words.french_day(one.birth_date), "\n".join(periods) or "fermés",
        "\n".join(held) or "-", "\n".join(one.insurers) or "-",
    )  # fmt: skip
