"""French words and forms of the pages: money, dates, months, states."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from gateway.errors import InputError
from gateway.lots.organism import Organism, destination_of

if TYPE_CHECKING:
    from gateway.billing.exemption import Exemption
    from tools.portal.accounts import Sheet
    from tools.portal.standing import Standing

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


MOTIVES = {
    "2900005": "facture déjà payée",
    "0250050": "assuré absent de notre base",
    "0450072": "exonération absente de notre fichier à la date des soins",
    "0317051": "incompatibilité avec la nature d'assurance",
    "0250051": "droits fermés à la date des soins",
    "0500001": "montant différent du montant recalculé",
    "0500002": "acte non tarifable à la date des soins",
    "0250052": "assuré décédé avant la date des soins",
    "0250053": "numéro d'immatriculation remplacé, carte à mettre à jour",
    "0250054": "médecin traitant non déclaré",
    "0250056": "un autre médecin traitant est déclaré",
    "0250055": "accident du travail inconnu",
    "0250070": "professionnel de santé inconnu",
    "0250071": "professionnel de santé suspendu par la caisse",
    "0250060": "adhérent inconnu de l'organisme complémentaire",
    "0250061": "contrat complémentaire fermé à la date des soins",
    "0250062": "pas de liaison avec l'organisme complémentaire",
    "0250063": "demande directe non prévue par le contrat",
    "0250064": "complémentaire santé solidaire gérée par un organisme complémentaire",
    "0500003": "part complémentaire différente de celle du contrat",
    "0900001": "part complémentaire refusée par l'organisme",
}
"""The codes of a return as people read them."""
FAULT_GROUPS = {
    "Réception du courrier": (
        "refuse", "reply-connect", "reply-mail", "reply-rcpt", "reply-data", "reply-end", "reply-kept",
        "slow", "close-at", "close-mid-message", "reply-lost", "duplicate-delivery",
    ),
    "Accusés de réception": (
        "negative-arl", "late-arl", "drop-arl", "duplicate-arl", "arl-other-lot", "arl-wrong-digest",
    ),
    "Retours de paiement": ("late-noemie", "duplicate-noemie", "noemie-wrong-total"),
    "Confiance": ("stale-certificate", "clock-shift"),
}  # fmt: skip
FAULTS = {
    "refuse": "chaque connexion reçoit 421 et se ferme",
    "reply-connect": "chaque connexion reçoit la valeur (400 à 599 ; 421 d'usage) et se ferme",
    "reply-mail": "MAIL reçoit la valeur (451 d'usage)",
    "reply-rcpt": "RCPT reçoit la valeur (451 d'usage)",
    "reply-data": "DATA reçoit la valeur (451 d'usage)",
    "reply-end": "la fin du message reçoit la valeur (451 d'usage), rien n'est gardé",
    "reply-kept": "le lot est gardé, mais sa fin reçoit la valeur (451 d'usage)",
    "slow": "la réponse à DATA attend la valeur en secondes (2 d'usage)",
    "close-at": "la connexion se ferme après la valeur en octets (1 d'usage)",
    "close-mid-message": "la connexion se ferme au milieu du message, rien n'est gardé",
    "reply-lost": "le lot est gardé, mais son 250 ne part jamais",
    "duplicate-delivery": "le réseau remet un message deux fois",
    "drop-arl": "l'ARL est gardé mais pas remis ; renvoyer le lot le remet",
    "late-arl": "l'ARL part en retard de la valeur en secondes (un jour d'usage)",
    "duplicate-arl": "l'ARL est remis deux fois",
    "arl-wrong-digest": "un ARL qui nomme une autre empreinte part",
    "arl-other-lot": "un ARL qui nomme un autre lot part",
    "negative-arl": "un lot conforme est refusé avec le code de la valeur (2003 d'usage)",
    "late-noemie": "le retour part en retard de la valeur en secondes (un jour d'usage)",
    "duplicate-noemie": "le retour est remis deux fois",
    "noemie-wrong-total": "un retour dont le total est faux part",
    "stale-certificate": "la réponse est signée avec un certificat périmé (profil modern)",
    "clock-shift": "l'horloge avance de la valeur en secondes, retarde si négative (un jour d'usage)",
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


def situations(one: Standing) -> list[str]:
    """What is on file of a beneficiary beside the rights, with its days."""
    found = []
    for name in one.exemptions:
        days = [_days(exemption) for exemption in one.dated if exemption.kind == name]
        found.append(EXEMPTIONS[name] + _solidarity(name, one) + "".join(days))
    return found + (["régime local d'Alsace-Moselle"] if one.alsace_moselle else [])


def _solidarity(name: str, one: Standing) -> str:
    if name != "css":
        return ""
    kind = " avec participation" if one.css_contribution else ""
    return kind + (f" (organisme {one.css_insurer})" if one.css_insurer else "")


def _days(one: Exemption) -> str:
    start = f" du {french_day(one.start)}" if one.start else ""
    return start + (f" au {french_day(one.end)}" if one.end else "")


def iso_day(text: str) -> str:
    """2026-11-21 → 21/11/2026."""
    return french_day(date.fromisoformat(text))


def moment(at: str | float) -> str:
    """Seconds since the epoch, or an ISO moment → 21/11/2026 à 14:05 UTC."""
    when = datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at, UTC)
    return f"{when.astimezone(UTC):%d/%m/%Y à %H:%M} UTC"


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
