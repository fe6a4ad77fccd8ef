"""French sentences for what the gateway says in English: the reasons of a price, and refusals of a form.

The reasons have few shapes (`billing/engine.py` writes them); each shape has its French here. What has no
shape here is shown as it is: a sentence in English is better than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from gateway.page.texts import Texts
from gateway.page.texts.labels_fr import label_fr
from gateway.page.words import NARROW, NO_BREAK

_AMOUNT = re.compile(r"(\d+)\.(\d\d) EUR")
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_THIRD_PARTY = {"none": "aucun", "amo": "part obligatoire", "full": "parts obligatoire et complémentaire"}

Shape = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _shape(pattern: str, french: str, *translated: int) -> Shape:
    """A pattern and its French; the groups numbered in `translated` are labels of the tables."""

    def write(match: re.Match[str]) -> str:
        groups = [label_fr(text) if at in translated else text for at, text in enumerate(match.groups(""), 1)]
        return french.format(*groups)

    return re.compile(pattern), write


_WHY: Sequence[Shape] = (
    _shape(
        r"(\S+): base (\S+ EUR), (.+?) (as charged|at (?:.+? EUR))((?: x \S+)*)(.*?) since (\S+) \((.+)\)\.",
        "{0} : base de remboursement {1}. {2}, {3}{4}{5}, depuis le {6} ({7}).",
        3,
    ),
    _shape(r"(\S+): excess (.+ EUR) above the base, never paid by AMO(.*)\.",
           "{0} : dépassement de {1}, jamais pris en charge par l'assurance maladie{2}."),
    _shape(r"(\S+): rate (\d+) % \((\w+ acts), (.+?): (.+)\)\.",
           "{0} : taux de remboursement {1} % ({2}, {3} ; {4}).", 3, 4),
    _shape(r"(\S+): rate (\d+) % \(instead of (\d+) %, pathway (\S+) is out of the coordinated pathway, (.+)\)\.",
           "{0} : taux de remboursement {1} % au lieu de {2} % : parcours de soins non respecté ({3} ; {4})."),
    _shape(r"(\S+): rate 0 % \(not reimbursed, (.+)\)\.", "{0} : non remboursé ({1})."),
    _shape(r"(\S+): rate (\d+) % \((.+?): (.+)\)\.", "{0} : taux de remboursement {1} % ({2} ; {3}).", 3),
    _shape(r"(\S+): AMO pays (\d+) % of (.+ EUR) = (.+ EUR)\.",
           "{0} : l'assurance maladie paie {1} % de {2}, soit {3}."),
    _shape(r"(\S+): heavy act, AMO pays (.+ EUR) and leaves the flat-rate participation of (.+ EUR) \((.+)\)\.",
           "{0} : acte lourd, l'assurance maladie paie {1} et laisse la participation forfaitaire de {2} ({3})."),
    _shape(r"(\S+): (\S+) pays (\d+) % of the ticket modérateur (.+? EUR)(.*) = (.+ EUR)\.",
           "{0} : la complémentaire ({1}) paie {2} % du ticket modérateur de {3}{4}, soit {5}."),
    _shape(r"(\S+): (\S+) pays the whole rest of a 100 % Santé act = (.+ EUR)\.",
           "{0} : la complémentaire ({1}) paie tout le reste (100 % Santé), soit {2}."),
    _shape(r"(\S+): on condition that the patient was seen since (\S+), which was not said\.",
           "{0} : à condition que le patient ait été vu depuis le {1}, ce qui n'est pas renseigné."),
    _shape(r"(\S+): at most (\d+) a year for one patient; how many were billed was not said\.",
           "{0} : au plus {1} par an et par patient ; le nombre déjà facturé n'est pas renseigné."),
    _shape(r"(\S+): on condition that (.+)\.", "{0} : à condition que : {1}.", 2),
    _shape(r"(.+): (.+), not counted on (\S+)\.", "{0} : non retenu le {2} ({1}).", 1),
    _shape(r"Later, not on this sheet: (.+?) (\S+ EUR), kept by the caisse \((.+)\)\.",
           "Plus tard, hors de cette feuille : {0} de {1}, retenue par la caisse ({2}).", 1),
    _shape(r"Patient pays (.+? EUR) of (.+? EUR) at the desk \(third-party payment \w+, due by law: (.+)\)\.",
           "Le patient règle {0} sur {1} (tiers payant de droit : {2}).", 3),
)  # fmt: skip
_PATIENT = re.compile(
    r"Patient pays (.+? EUR) of (.+? EUR) at the desk \(third-party payment (none|amo|full)\)\."
)

_WORDS = (
    ("as charged", "au prix facturé"),
    ("at ", "à "),
    (" and 100 % of the excess", " et 100 % du dépassement"),
    (", at most ", ", au plus "),
    (" of the base", " de la base"),
    ("; sector 1: particular demand only", " (secteur 1 : exigence particulière seulement)"),
    (
        "; with CSS or AME it is lawful only for a particular demand of the patient",
        " (avec la CSS ou l'AME : exigence particulière du patient seulement)",
    ),
    (" of the zone", " de la zone"),
)

_REFUSALS: Sequence[Shape] = (
    _shape(r"(\S+) is not an act of the tables; check the code\.",
           "« {0} » n'est pas un acte des tables : vérifiez le code."),
    _shape(r".* is not an act code; .*", "ce n'est pas un code d'acte : lettre-clé NGAP, code CCAM, NABM, LPP ou CIP."),
    _shape(r"(\S+) is not billed by specialty (\S+); check the code\.",
           "{0} n'est pas facturé par cette spécialité : vérifiez le code."),
    _shape(r"(\S+) is not valid on (\S+) \(first tariff: (\S+)\); check code and date\.",
           "{0} n'est pas valable le {1} : vérifiez le code et la date."),
    _shape(r"(\S+) is for a patient under (\d+); remove it\.", "{0} est réservé aux moins de {1} ans : retirez-le."),
    _shape(r"(\S+) is for a patient of (\d+) or more; remove it\.",
           "{0} est réservé aux patients d'au moins {1} ans : retirez-le."),
    _shape(r"(\S+) needs pathway (.+) on (\S+); remove it or correct the pathway\.",
           "{0} demande le parcours {1} : retirez-le ou corrigez le parcours."),
    _shape(r"(\S+) goes with one of (.+); add it\.", "{0} accompagne l'un de ces actes : {1}. Ajoutez-le."),
    _shape(r"(\S+) takes no coefficient; give 1\.", "{0} n'a pas de coefficient : laissez 1."),
    _shape(r"(\S+) has no tariff; give what is charged\.", "{0} n'a pas de tarif : indiquez le montant facturé."),
    _shape(r"(\S+) has no activity (\S+); check the activity\.", "{0} n'a pas d'activité {1} : vérifiez l'activité."),
    _shape(r"(\S+) is not billed together with an excess; .*",
           "{0} ne se facture pas avec un dépassement : retirez-le ou facturez le tarif."),
    _shape(r"(\S) does not go with (\S+) on (\S+); .*", "le modificateur {0} ne va pas avec {1} : retirez-le."),
    _shape(r"activity, modifiers and association are for CCAM acts; leave them out\.",
           "activité, modificateurs et association sont réservés aux actes CCAM : videz ces champs."),
    _shape(r"care on (\S+) is in the future .*", "la date des soins ({0}) est à venir : corrigez-la."),
    _shape(r"the Vitale shows no long illness for beneficiary .*",
           "la carte ne porte pas d'ALD pour cette personne : décochez, ou faites mettre la carte à jour."),
    _shape(r"no act was chosen; .*", "aucun acte n'est choisi : choisissez-en au moins un."),
    _shape(r"(\S+) may not be charged above (.+ EUR) each; correct it\.",
           "{0} ne peut dépasser {1} : corrigez le montant."),
    _shape(r"the birth is after the care; .*", "la naissance est après les soins : corrigez l'une des deux dates."),
    _shape(r"a day after the care; .*", "ce jour est après les soins : corrigez l'une des deux dates."),
    _shape(r"give the NIR with its key, .*", "donnez le numéro de sécurité sociale avec sa clé, 15 caractères."),
    _shape(r"(?:is not usable; )?give a whole number\.", "donnez un nombre entier."),
    _shape(r"is not usable; give a number with at most two decimals\.", "donnez un nombre, deux décimales au plus."),
    _shape(r"is not usable; give an amount in euros, .*", "donnez un montant en euros, par exemple 35,00."),
    _shape(r"(?:.* )?(?:is missing|is not usable); give a date .*", "donnez une date qui existe."),
    _shape(r"give a date as YYYY-MM-DD\.", "donnez une date qui existe."),
    _shape(r".* is out of range; give 1 to (\d+)\.", "donnez un nombre de 1 à {0}."),
    _shape(r"more than two CCAM acts at once; .*",
           "plus de deux actes CCAM : indiquez le code d'association de chacun."),
    _shape(r"give a month as .*", "donnez un mois passé, par exemple 2026-11."),
)  # fmt: skip


def why(t: Texts, sentence: str) -> str:
    """A reason of a price in the language of the page."""
    if t.language == "en":
        return sentence
    if match := _PATIENT.fullmatch(sentence):
        paid, charged, third = match.groups()
        return _figures(f"Le patient règle {paid} sur {charged} (tiers payant : {_THIRD_PARTY[third]}).")
    return _figures(_first(_WHY, sentence, words=True) or sentence)


def refusal(t: Texts, sentence: str) -> str:
    """What is wrong with a field, without its name, in the language of the page; "" when nothing fits."""
    if t.language == "en":
        return sentence
    return _figures(_first(_REFUSALS, sentence) or "")


def label(t: Texts, english: str) -> str:
    """What an act is, in the language of the page."""
    return english if t.language == "en" else label_fr(english)


def _first(shapes: Sequence[Shape], sentence: str, *, words: bool = False) -> str:
    for pattern, write in shapes:
        if match := pattern.fullmatch(sentence):
            text = write(match)
            for english, french in _WORDS if words else ():
                text = text.replace(english, french) if english != "at " else text.replace(", at ", ", à ")
            return text
    return ""


def _figures(text: str) -> str:
    """Amounts and days as French people write them."""
    text = _AMOUNT.sub(lambda m: f"{int(m[1]):,}".replace(",", NARROW) + f",{m[2]}{NO_BREAK}€", text)
    return _DAY.sub(r"\3/\2/\1", text)
