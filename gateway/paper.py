"""The paper twin of a sheet that was made without one of the cards: a text for the insured person.

Without a Vitale the electronic sheet proves nothing of the patient, and a degraded one nothing of anybody:
paper with the same number, signed by hand, goes to the caisse (billing facts 1.2, 1.3). The text is kept
with the sheet and written to a folder; it names the person, and its file is readable by its owner only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gateway.billing.engine import Price
from gateway.care import CareAct, Parties
from gateway.errors import StoreError
from gateway.folder import sync_folder
from gateway.store.store import Store

WIDTH = 70
_MODES = {"without-vitale": "SESAM sans Vitale", "degraded": "flux B2 (mode dégradé)"}
_THIRD_PARTY = {"none": "aucun", "amo": "part obligatoire", "full": "parts obligatoire et complémentaire"}


# INVENTED(paper-twin): the official paper sheet is a form of its own; this text has what R161-42 asks for.
def paper_twin(parties: Parties, act: CareAct, priced: Price, number: int) -> str:
    """The text, in French, lines of at most 70 characters; amounts in euros."""
    who, insured = parties.practitioner, parties.insured(act)
    person = parties.person
    lines = [
        "FEUILLE DE SOINS - DOUBLE PAPIER (SPECIMEN DE TEST)".center(WIDTH).rstrip(),
        "",
        f"Facture n° {number:09d} du {act.date:%d/%m/%Y} - {_MODES.get(act.mode, act.mode)}",
        "",
        f"Professionnel : {who.name}",
        f"                n° {who.billing_number}, spécialité {who.specialty}",
        f"Assuré        : {insured.nir} {insured.nir_key}",
        f"                régime {insured.regime}, caisse {insured.caisse}, centre {insured.centre}",
        f"Bénéficiaire  : {person.name} {person.first_name}, né(e) le {person.birth_date:%d/%m/%Y}",
        "Droits        : attestation" + (", AME" if parties.ame else ""),
        "",
        *act_lines(priced),
        "",
        *amounts(priced),
        *_who_asks(parties, act, priced),
        "",
        "Signature de l'assuré :                Signature du professionnel :",
        "",
    ]
    return "\n".join(lines)


def act_lines(priced: Price) -> Iterator[str]:
    """A heading, and one line for each act."""
    yield f"{'Acte':<14}{'Qté':>4}{'Base':>11}{'Taux':>6}{'AMO':>11}{'AMC':>11}{'Honoraires':>12}"
    for line in priced.lines:
        yield (
            f"{line.code:<14}{line.quantity:>4}{_euros(line.base_cents):>11}{line.rate:>5}%"
            f"{_euros(line.amo_cents):>11}{_euros(line.amc_cents):>11}{_euros(line.charged_cents):>12}"
        )


def amounts(priced: Price) -> Iterator[str]:
    """The sums, who is asked for them, and what the patient has paid at the desk."""
    yield (
        f"Total {_euros(priced.charged_cents)} EUR, dont AMO {_euros(priced.amo_cents)} "
        f"et AMC {_euros(priced.amc_cents)} EUR."
    )
    yield f"Tiers payant : {_THIRD_PARTY[priced.third_party]}."
    yield f"Payé par l'assuré : {_euros(priced.patient_cents)} EUR."


def _who_asks(parties: Parties, act: CareAct, priced: Price) -> Iterator[str]:
    """Nobody signs a degraded sheet, so no DRE goes with it: the caisse hands the complementary share on."""
    if act.mode == "degraded" and priced.third_party == "full" and priced.amc_cents:
        number = parties.insured(act).complementary_number
        yield f"Part complémentaire : transmise par la caisse{f' à {number}' if number else ''}, sans DRE."


def write_twins(store: Store, practice: str, folder: Path) -> list[Path]:
    """Write every paper twin that is not in its folder yet; the files that were written.

    Safe to be killed anywhere: a twin is marked when its file is durable, and the same file is written again.
    """
    written = []
    for number in store.twins_unwritten(practice):
        written.append(_write(folder / f"fse-{number:09d}.txt", store.twin_of(practice, number)))
        store.twin_written(practice, number)
    return written


def _write(target: Path, text: str) -> Path:
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
        sync_folder(target.parent)
    except OSError as problem:
        raise StoreError(
            f"the paper twin {target} cannot be written ({problem.strerror}): the sheet is kept; free the "
            "disk or correct its rights, and the twin is written with the next sheet"
        ) from None
    return target


def _euros(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02d}"
