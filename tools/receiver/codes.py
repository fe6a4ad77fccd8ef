"""The codes of a payment return: four digits and three, with the text that a NOEMIE entity carries."""

from __future__ import annotations

ALREADY_PAID = "2900005"
UNKNOWN_INSURED = "0250050"
EXEMPTION_NOT_ON_FILE = "0450072"
NATURE_INCOMPATIBLE = "0317051"
# INVENTED(return-code-rights): no public code says that rights were closed at the care date: 0250 051 does.
RIGHTS_CLOSED = "0250051"
# INVENTED(return-code-tariff): no public code says that the caisse computes another amount: 0500 001 does.
OTHER_AMOUNT = "0500001"
# INVENTED(return-code-act): no public code says that the caisse cannot price an act: 0500 002 does.
UNKNOWN_ACT = "0500002"

TEXTS = {
    ALREADY_PAID: "FACTURE DEJA PAYEE",
    UNKNOWN_INSURED: "ASSURE ABSENT DE NOTRE BASE",
    EXEMPTION_NOT_ON_FILE: "EXONERATION DE LA CARTE ABSENTE DE NOTRE FICHIER A LA DATE DES SOINS",
    NATURE_INCOMPATIBLE: "INCOMPATIBILITE AVEC LA NATURE D'ASSURANCE",
    RIGHTS_CLOSED: "DROITS FERMES A LA DATE DES SOINS",
    OTHER_AMOUNT: "MONTANT DIFFERENT DU MONTANT RECALCULE",
    UNKNOWN_ACT: "ACTE NON TARIFABLE A LA DATE DES SOINS",
}

RIGHTS = frozenset({UNKNOWN_INSURED, EXEMPTION_NOT_ON_FILE, NATURE_INCOMPATIBLE, RIGHTS_CLOSED})
"""Differences between card and base: never a reject of a secured FSE with third-party payment (1.3)."""
