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
# INVENTED(return-code-death): no public code says that the person had died before the care: 0250 052 does.
CARE_AFTER_DEATH = "0250052"
# INVENTED(return-code-number): no public code says that the caisse replaced a number: 0250 053 does.
NUMBER_REPLACED = "0250053"
# INVENTED(return-code-doctor): no public code says that no médecin traitant is declared: 0250 054 does.
NO_ATTENDING_DOCTOR = "0250054"
# INVENTED(return-code-other-doctor): no public code says that another doctor is declared: 0250 056 does.
OTHER_ATTENDING_DOCTOR = "0250056"
# INVENTED(return-code-accident): no public code says that a work accident is not known: 0250 055 does.
UNKNOWN_ACCIDENT = "0250055"
# INVENTED(return-code-practitioner): no public code says that no caisse knows a practitioner: 0250 070 does.
UNKNOWN_PRACTITIONER = "0250070"
# INVENTED(return-code-suspended): no public code says that a practitioner is suspended: 0250 071 does.
SUSPENDED_PRACTITIONER = "0250071"

# INVENTED(return-code-member): no public code says that an insurer does not know a member: 0250 060 does.
UNKNOWN_MEMBER = "0250060"
# INVENTED(return-code-contract): no public code says that a contract was closed at the care: 0250 061 does.
CONTRACT_CLOSED = "0250061"
# INVENTED(return-code-link): no public code says that a caisse hands nothing on to an insurer: 0250 062 does.
NOT_LINKED = "0250062"
# INVENTED(return-code-dre): no public code says that an insurer takes no DRE for a contract: 0250 063 does.
DRE_NOT_TAKEN = "0250063"
# INVENTED(return-code-solidarity): no public code says that an insurer runs a CSS: 0250 064 does.
SOLIDARITY_BY_INSURER = "0250064"
# INVENTED(return-code-share): no public code says that a contract gives another amount: 0500 003 does.
OTHER_SHARE = "0500003"
# INVENTED(return-code-refused): no public code says that an insurer refuses a share: 0900 001 does.
SHARE_REFUSED = "0900001"

TEXTS = {
    ALREADY_PAID: "FACTURE DEJA PAYEE",
    UNKNOWN_INSURED: "ASSURE ABSENT DE NOTRE BASE",
    EXEMPTION_NOT_ON_FILE: "EXONERATION DE LA CARTE ABSENTE DE NOTRE FICHIER A LA DATE DES SOINS",
    NATURE_INCOMPATIBLE: "INCOMPATIBILITE AVEC LA NATURE D'ASSURANCE",
    RIGHTS_CLOSED: "DROITS FERMES A LA DATE DES SOINS",
    OTHER_AMOUNT: "MONTANT DIFFERENT DU MONTANT RECALCULE",
    UNKNOWN_ACT: "ACTE NON TARIFABLE A LA DATE DES SOINS",
    CARE_AFTER_DEATH: "ASSURE DECEDE AVANT LA DATE DES SOINS",
    NUMBER_REPLACED: "NUMERO D'IMMATRICULATION REMPLACE, CARTE A METTRE A JOUR",
    NO_ATTENDING_DOCTOR: "MEDECIN TRAITANT NON DECLARE",
    OTHER_ATTENDING_DOCTOR: "UN AUTRE MEDECIN TRAITANT EST DECLARE",
    UNKNOWN_ACCIDENT: "ACCIDENT DU TRAVAIL INCONNU",
    UNKNOWN_PRACTITIONER: "PROFESSIONNEL DE SANTE INCONNU",
    SUSPENDED_PRACTITIONER: "PROFESSIONNEL DE SANTE SUSPENDU PAR LA CAISSE",
    UNKNOWN_MEMBER: "ADHERENT INCONNU DE L'ORGANISME COMPLEMENTAIRE",
    CONTRACT_CLOSED: "CONTRAT COMPLEMENTAIRE FERME A LA DATE DES SOINS",
    NOT_LINKED: "PAS DE LIAISON AVEC L'ORGANISME COMPLEMENTAIRE",
    DRE_NOT_TAKEN: "DRE NON PREVUE PAR LE CONTRAT",
    SOLIDARITY_BY_INSURER: "COMPLEMENTAIRE SANTE SOLIDAIRE GEREE PAR UN ORGANISME COMPLEMENTAIRE",
    OTHER_SHARE: "PART COMPLEMENTAIRE DIFFERENTE DE CELLE DU CONTRAT",
    SHARE_REFUSED: "PART COMPLEMENTAIRE REFUSEE PAR L'ORGANISME",
}

RIGHTS = frozenset(
    {
        UNKNOWN_INSURED, EXEMPTION_NOT_ON_FILE, NATURE_INCOMPATIBLE, RIGHTS_CLOSED, NUMBER_REPLACED,
        NO_ATTENDING_DOCTOR, OTHER_ATTENDING_DOCTOR, UNKNOWN_ACCIDENT, SOLIDARITY_BY_INSURER,
    }
)  # fmt: skip
"""Differences between card and base: never a reject of a secured FSE with third-party payment (1.3)."""
