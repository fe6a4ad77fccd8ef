"""Refusals in the language of the page: what is wrong and what to do, never a NIR, a PIN or a name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway import remedies
from gateway.errors import GatewayError, InputError
from gateway.page import french
from gateway.page.texts import Texts
from gateway.redact import redact
from reader.console import plain
from reader.errors import ReaderError

_PATH = re.compile(r"(acts\[(\d+)\]\.(\w+)|[a-z_]+(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)*): (.+)", re.DOTALL)
_FIELDS = {
    "quantity": "quantite", "charged_cents": "montant", "modifiers": "modificateurs", "activity": "activite",
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """A refusal for a person. `field`: the id of the field of the form at fault; `code` is for programs."""

    text: str
    field: str = ""
    code: str = ""


def say(t: Texts, error: GatewayError | ReaderError) -> Said:
    """A refusal in words."""
    sentence = plain(redact(str(error)))
    if isinstance(error, InputError) and (match := _PATH.fullmatch(sentence)):
        return _of_field(t, match, error.code)
    if t.language == "en":
        return Said(sentence, code=error.code)
    known = t.of("problem", error.code)
    return Said(known or t("problem.other", sentence=sentence), code=error.code)


def _of_field(t: Texts, match: re.Match[str], code: str) -> Said:
    path, at, name, rest = match.groups()
    if at is not None:
        where = t("field.act", n=int(at) + 1, field=t.of("field", name, name))
        return Said(_joined(t, where, rest), f"a{at}-{_FIELDS.get(name, name)}", code)
    words = t.of("field", re.sub(r"\[\d+\]", "", path), path)
    return Said(_joined(t, words, rest), _ids(path), code)


def _joined(t: Texts, where: str, rest: str) -> str:
    words = french.refusal(t, rest)
    return t("problem.field", field=where, what=words) if words else t("problem.field-other", field=where)


def _ids(path: str) -> str:
    """The id of the form's field that a path of a care act names."""
    return {
        "date": "date", "beneficiary.number": "personne-1", "beneficiary.ald": "ald", "pathway": "parcours",
        "beneficiary.last_seen": "vu", "beneficiary.pregnancy_month": "grossesse", "acts": "a0-code",
        "accident_date": "accident",
        "attestation.insured.nir": "at-nir", "attestation.insured.regime": "at-regime",
        "attestation.insured.caisse": "at-caisse", "attestation.insured.centre": "at-centre",
        "attestation.beneficiary[0].birth_date": "at-naissance", "attestation.attestation.start": "at-debut",
        "attestation.attestation.end": "at-fin", "practitioner.place": "lieu", "mode": "mode",
    }.get(path, "")  # fmt: skip


def receipt_remedy(t: Texts, error_class: str) -> str:
    """What to do about a negative ARL."""
    return t.of("remedy", f"class-{error_class}") or _otherwise(t, remedies.of_receipt(error_class))


def payment_remedy(t: Texts, code: str) -> str:
    """What to do about a payment that was refused."""
    return t.of("remedy", code.replace(" ", "")) or _otherwise(t, remedies.of_payment(code))


def _otherwise(t: Texts, english: str) -> str:
    return english if t.language == "en" else t("remedy.other")
