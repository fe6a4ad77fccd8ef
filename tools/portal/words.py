"""French words and forms of the pages: money, dates, months, states."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

from gateway.errors import InputError
from gateway.lots.organism import Organism, destination_of

if TYPE_CHECKING:
    from tools.portal.accounts import Sheet

_MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
    "novembre", "décembre",
)  # fmt: skip
STATES = {"P": "payé au professionnel", "N": "remboursé", "R": "refusé"}
KINDS = {
    "visit": "participation forfaitaire (consultation, examen)",
    "box": "franchise médicale (médicament)",
    "care": "franchise médicale (soin d'auxiliaire)",
    "transport": "franchise médicale (transport)",
}
PATHWAYS = {
    "T": "médecin traitant", "R": "remplaçant du médecin traitant", "O": "adressé par le médecin traitant",
    "M": "adressé par un autre médecin", "U": "urgence", "H": "hors résidence",
    "D": "accès direct spécifique", "S1": "hors coordination", "S2": "non respecté",
}  # fmt: skip
ACCOUNTS = {"participation": "Participation forfaitaire", "franchise": "Franchises médicales"}
REASONS = {"P": "perdue", "V": "volée", "R": "remplacée"}
EXEMPTIONS = {
    "ald": "affection de longue durée (100 %)",
    "maternity": "maternité (100 %)",
    "css": "complémentaire santé solidaire",
    "ame": "aide médicale de l'État",
    "aspa": "allocation de solidarité aux personnes âgées",
}


def reason(letter: str) -> str:
    """Why a card is opposed; a letter that only its publisher knows is shown as it is."""
    return REASONS.get(letter, f"motif {letter}")


def payment(sheet: Sheet, held: bool) -> str:
    """Where the money of a sheet is. `held`: the caisse knows no account."""
    transfer = sheet.last_transfer
    if transfer is None:
        return STATES[sheet.state]
    if transfer.paid is not None:
        return f"versé le {french_day(transfer.paid)}"
    return "en attente de votre compte bancaire" if held else f"à verser le {french_day(transfer.due)}"


def euros(cents: int) -> str:
    """1234 → 12,34 €; thousands are set apart."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole:,}".replace(",", " ") + f",{rest:02d} €"


def french_day(on: date) -> str:
    """21/11/2026."""
    return f"{on:%d/%m/%Y}"


def month_name(on: date) -> str:
    """novembre 2026."""
    return f"{_MONTHS[on.month - 1]} {on.year}"


def read_month(text: str) -> date:
    """2026-11 → its first day; InputError for anything else."""
    match = re.fullmatch(r"(20[0-9]{2})-(0[1-9]|1[0-2])", text)
    if match is None:
        raise InputError("Donnez un mois sous la forme 2026-11.")
    return date(int(match[1]), int(match[2]), 1)


def read_euros(text: str) -> int:
    """30, 30,5 or 30,50 → cents; InputError for anything else."""
    match = re.fullmatch(r"([0-9]{1,5})(?:[,.]([0-9]{1,2}))?", text)
    if match is None:
        raise InputError("Donnez un montant en euros sous la forme 30,00.")
    return int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0"))


def read_year(text: str) -> int:
    """2026; InputError for anything else."""
    if not re.fullmatch(r"20[0-9]{2}", text):
        raise InputError("Donnez une année sous la forme 2026.")
    return int(text)


def read_day(text: str) -> date:
    """2026-11-21 → the day; InputError for anything else."""
    try:
        if not re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise InputError("Donnez une date sous la forme 2026-11-21.") from None


def payer(number: str) -> str:
    """Fourteen digits, or a key such as 01-999-349, as the controller reads them."""
    if re.fullmatch(r"[0-9]{14}", number):
        known = destination_of(number)
        number = known.key
    if number.startswith("amc-"):
        return f"complémentaire {number[4:]}"
    one = Organism.parse(number)
    return f"régime {one.regime}, organisme {one.organism}"


def spaced(nir: str) -> str:
    """A NIR as people write it: 2 85 19 99 349 101 61."""
    cuts = (0, 1, 3, 5, 7, 10, 13, 15)
    return " ".join(nir[a:b] for a, b in pairwise(cuts) if nir[a:b])
