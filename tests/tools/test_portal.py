"""The portal's pages: what the ledger says of a family, what is deducted, what people decide."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from card.kernel.storage import FileStorage
from card.personalise import load_profile, read_image
from gateway.billing.request import Act, Practitioner
from gateway.billing.rows import WithdrawalRow
from gateway.pki import OppositionList
from gateway.pki.opposition import encode_base
from tests.tools.portal_visitor import Site, serving
from tools.portal import words
from tools.receiver.codes import TEXTS
from tools.receiver.config import ReceiverConfig
from tools.receiver.faults import FAULTS
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.population import known_contracts

if TYPE_CHECKING:
    from conftest import Bench, Practice

WHO, OTHER = "vitale-complementary", "vitale-single"
PROFILE = load_profile(WHO)
NIR = PROFILE.nir[:13]  # type: ignore[attr-defined]
SERIAL = PROFILE.serial  # type: ignore[attr-defined]
CIP = "3400936485464"


@pytest.fixture
def site(build: Callable[..., Bench], tmp_path: Path, practice: Practice) -> Iterator[Site]:
    """A portal whose caisse knows the shipped families."""
    opposition = tmp_path / "opposition.txt"
    rights = ((practice.now.date() - timedelta(days=900), practice.now.date() + timedelta(days=900)),)
    people = InsuredBase([Insured(NIR, "800301", rights, name="TEST", first_name="ANNE")])
    bench = build(people=people, insurers=known_contracts())
    config = ReceiverConfig(
        practice.authority.directory, tmp_path / "state0", tmp_path / "mail", clock=bench.clock,
        opposition=opposition,
    )  # fmt: skip
    with serving(bench, config, opposition) as made:
        yield made


def bill(site: Site, *numbers: int, **changes: object) -> None:
    """Invoices of that person, received and accepted."""
    practice = site.bench.practice
    fses = [practice.fse(number, nir=NIR, **changes) for number in numbers]  # type: ignore[arg-type]
    assert site.bench.handle(practice.seal(practice.lot(*fses)).message).positive


def test_a_reimbursement_is_shown_less_what_is_deducted(site: Site) -> None:
    """G at 70 %: 21.00, of which 2.00 are kept for the participation forfaitaire; another sees nothing."""
    bill(site, 1, third_party="none")
    visitor = site.visitor(WHO)
    assert visitor.get("/remboursements") == 200
    assert "21,00 €" in visitor.page
    assert "<strong>19,00 €</strong>" in visitor.page
    assert visitor.get("/releve.pdf?mois=2026-11") == 200
    assert visitor.raw.startswith(b"%PDF-")
    other = site.visitor(OTHER)
    other.get("/remboursements")
    assert "21,00 €" not in other.page


def test_after_third_party_payment_a_deduction_waits_for_the_next_reimbursement(site: Site) -> None:
    """Two euros stay owed after third-party payment; the next reimbursement gives 21.00 less 4.00."""
    bill(site, 1, third_party="amo")
    visitor = site.visitor(WHO)
    visitor.get("/retenues")
    assert "prochains remboursements : <strong>2,00 €" in visitor.page
    bill(site, 2, third_party="none", date=site.bench.practice.now.date() - timedelta(days=2))
    visitor.get("/remboursements")
    assert "<strong>17,00 €</strong>" in visitor.page
    visitor.get("/retenues")
    assert "prochains remboursements : <strong>0,00 €" in visitor.page


def test_the_yearly_cap_ends_the_deductions(site: Site) -> None:
    """Of thirty visits in a year twenty-five are deducted, 50.00 in all, and five are not."""
    first = site.bench.practice.now.date() - timedelta(days=40)
    for number in range(1, 31):
        bill(site, number, third_party="none", date=first + timedelta(days=number))
    visitor = site.visitor(WHO)
    visitor.get("/retenues")
    assert visitor.page.count('data-label="Montant" class="n">2,00 €') == 25
    assert sum(cents for (cents,) in site.bench.rows("SELECT cents FROM deduction")) == 5000  # type: ignore[misc]


def test_sheets_are_filtered_and_old_ones_left_out(site: Site) -> None:
    """A month that has no sheet shows none; the month of the sheet shows it; 27 months are shown, no more."""
    bill(site, 1, third_party="none")
    visitor = site.visitor(WHO)
    visitor.get("/remboursements?mois=2026-11&etat=N")
    assert "21,00 €" in visitor.page
    visitor.get("/remboursements?mois=2026-10")
    assert "Aucun soin ne correspond" in visitor.page
    assert visitor.get("/releve?mois=2023-01") == 400
    assert visitor.get("/releve?mois=../../etc") == 400


def test_a_statement_is_of_one_month(site: Site) -> None:
    """November has the sheet and its sums, October none; the 27th month back is shown, the 28th refused."""
    bill(site, 1, third_party="none")
    visitor = site.visitor(WHO)
    visitor.get("/releve?mois=2026-11")
    assert re.search(r"À verser</dt><dd>19,00 €", visitor.page)
    assert re.search(r"Retenu</dt><dd>2,00 €", visitor.page)
    visitor.get("/releve?mois=2026-10")
    assert "Aucun soin n'a été traité ce mois-ci." in visitor.page
    assert [visitor.get(f"/releve?mois={month}") for month in ("2024-08", "2024-07")] == [200, 400]


def test_an_attestation_says_who_is_insured_and_by_whom(
    build: Callable[..., Bench], tmp_path: Path, practice: Practice
) -> None:
    """Identity, number, organism, beneficiary and insurer of who is signed in; to another, nothing of it."""
    (holder,) = PROFILE.people  # type: ignore[attr-defined]
    rights = ((date(2024, 1, 1), date(2027, 12, 31)),)
    people = InsuredBase([Insured(NIR, f"{holder.birth_date:%y%m%d}", rights)])
    bench, opposition = build(people=people, insurers=known_contracts()), tmp_path / "opposition.txt"
    config = ReceiverConfig(
        practice.authority.directory, tmp_path / "state0", tmp_path / "mail", clock=bench.clock,
        opposition=opposition,
    )  # fmt: skip
    own = [
        f"{holder.first_name} {holder.name}</td>", f"{holder.birth_date:%d/%m/%Y}", "2 88 18 99 349 901 68",
        "du 01/01/2024 au 31/12/2027", "99999999", "99999998",
    ]  # fmt: skip
    with serving(bench, config, opposition) as made:
        visitor, other = made.visitor(WHO), made.visitor(OTHER)
        visitor.get("/attestation")
        other.get("/attestation")
    assert [text for text in own if text not in visitor.page] == []
    assert [text for text in own if text in other.page] == []
    for page in (visitor.page, other.page):
        assert "régime 01, caisse 349, centre 0349" in page


def test_a_stolen_card_reaches_the_list_and_the_update(site: Site) -> None:
    """Declared once: the whole list and the daily update name this card and no other."""
    before = OppositionList.load(site.opposition)
    visitor = site.visitor(WHO)
    assert visitor.send("/carte", "/carte/opposition", motif="V") == 303
    assert "en opposition : volée" in visitor.page
    after = OppositionList.load(site.opposition)
    assert after.lookup(SERIAL) is not None
    assert len(after) == 1
    (update,) = site.opposition.parent.glob("opposition-*.update")
    assert before.apply(update.read_bytes()).digest == after.digest
    assert site.bench.parts.receiver.opposition is not None


def test_an_ordered_card_is_made_and_the_old_one_opposed(site: Site) -> None:
    """The folder holds one image for the same person with another serial; the old serial is on the list."""
    visitor = site.visitor(WHO)
    assert visitor.send("/carte", "/carte/commande") == 303
    (image,) = (site.config.state / "cartes-commandees").glob("*.card")
    made = str(read_image(FileStorage(image)))
    assert SERIAL not in made
    assert NIR in made
    assert OppositionList.load(site.opposition).lookup(SERIAL) is not None
    assert "en service" in visitor.page


def test_the_complementary_link_is_the_receivers(site: Site) -> None:
    """Off: the caisse hands nothing on to this insurer; on again: it does. Another's insurer is refused."""
    contracts = site.bench.parts.insurers.of_family(NIR)
    visitor = site.visitor(WHO)
    insurer = contracts[0].insurer
    assert visitor.send("/complementaire", "/complementaire", organisme=insurer, liaison="non") == 303
    assert [one.linked for one in site.bench.parts.insurers.of_family(NIR) if one.insurer == insurer] == [
        False
    ]
    assert visitor.send("/complementaire", "/complementaire", organisme=insurer, liaison="oui") == 303
    assert all(one.linked for one in site.bench.parts.insurers.of_family(NIR))
    other = site.visitor(OTHER)
    assert other.send("/complementaire", "/complementaire", organisme=insurer, liaison="non") == 400


def test_a_medecin_traitant_is_chosen_from_the_list(site: Site) -> None:
    """A number of the list is kept and stands on the attestation; any other is refused."""
    visitor = site.visitor(WHO)
    assert visitor.send("/medecin", "/medecin", medecin="000000000") == 400
    assert visitor.send("/medecin", "/medecin", medecin="991001017") == 303
    visitor.get("/attestation")
    assert "Dr MARTHE TEST-MEDECIN" in visitor.page
    assert visitor.get("/attestation.pdf") == 200
    assert visitor.raw.startswith(b"%PDF-")


def test_a_medicine_is_withdrawn_from_a_day_on(build: Callable[..., Bench], site: Site) -> None:
    """The same box is paid, refused once its withdrawal is in force, and paid again once it is taken back."""
    parts, request = site.bench.parts, site.bench.practice.request()
    staff = site.visitor("controleur")
    day = request.date.isoformat()
    assert staff.send("/controle/medicaments", "/controle/medicaments", code=CIP, depuis=day) == 303
    assert CIP in staff.page
    used = parts.clerk._judge._tables.of_kind(WithdrawalRow)
    assert any(CIP in row.codes and row.since == request.date for row in used)
    again = {"code": CIP, "depuis": day}
    assert staff.send("/controle/medicaments", "/controle/medicaments", code="1", depuis=day) == 400
    assert staff.send("/controle/medicaments", "/controle/medicaments", **again | {"depuis": "hier"}) == 400
    assert staff.send("/controle/medicaments", "/controle/medicaments", action="retablir", code=CIP) == 303
    assert not any(CIP in row.codes for row in parts.clerk._judge._tables.of_kind(WithdrawalRow))


def test_a_withdrawn_medicine_is_refused_by_the_caisse(
    build: Callable[..., Bench], site: Site, practice: Practice
) -> None:
    """A pharmacist's box that the caisse has just taken off is rejected; the day before, it is accepted."""
    bench = build(
        people=InsuredBase(
            [
                Insured(
                    NIR,
                    "800301",
                    ((practice.now.date().replace(year=2020), practice.now.date().replace(year=2030)),),
                )
            ]
        ),
        practitioners={"991000009": (Practitioner("50"),)},
    )
    del site
    request = practice.request(practitioner=Practitioner("50"), acts=(Act(CIP),), third_party="amo")
    changes = {"practitioner": request.practitioner, "acts": request.acts, "third_party": "amo"}
    fse = practice.fse(1, nir=NIR, **changes)  # type: ignore[arg-type]
    assert bench.handle(practice.seal(practice.lot(fse)).message).positive
    row = WithdrawalRow(codes=(CIP,), label="retiré", zones=("metropole",), since=request.date, source="test")
    bench.parts.clerk.use(bench.parts.tables.with_rows([row]))
    fse = practice.fse(2, nir=NIR, **changes)  # type: ignore[arg-type]
    assert bench.handle(practice.seal(practice.lot(fse)).message).positive
    assert bench.rows("SELECT number, decision FROM claim ORDER BY id") == [(1, "P"), (2, "R")]


def test_the_controller_sets_faults_by_the_receivers_own_functions(site: Site) -> None:
    """A fault set on the page is in force in the receiver; a wrong one is refused and changes nothing."""
    staff = site.visitor("controleur")
    assert staff.send("/controle/defauts", "/controle/defauts", defaut="slow", valeur="5", nombre="1") == 303
    assert [str(one) for one in site.bench.parts.faults.in_force()] == ["slow=5:1"]
    assert staff.send("/controle/defauts", "/controle/defauts", defaut="slow", valeur="x") == 400
    assert staff.send("/controle/defauts", "/controle/defauts", defaut="slow", action="retirer") == 303
    assert site.bench.parts.faults.in_force() == []


def test_every_code_of_a_return_is_said_as_people_read_it() -> None:
    """The pages know each code of the returns, and no other."""
    assert set(words.MOTIVES) == set(TEXTS)


def test_every_fault_is_said_in_french_and_stands_in_one_group() -> None:
    """The page knows each fault of the receiver, and no other."""
    grouped = [name for names in words.FAULT_GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(words.FAULTS) == sorted(FAULTS)


def test_the_controller_sees_flows_and_refusals_without_names(site: Site) -> None:
    """An accepted lot and a refused message are listed; no name and no NIR is on these pages."""
    bill(site, 1)
    site.bench.handle(b"Subject: nothing\r\n\r\nnothing")
    staff = site.visitor("controleur")
    for path in ("/controle", "/controle/rejets"):
        assert staff.get(path) == 200
        assert NIR not in staff.page
        assert "ANNE" not in staff.page
    staff.get("/controle")
    assert "000001" in staff.page


def test_everything_decided_is_in_force_again_after_a_restart(site: Site) -> None:
    """A second portal on the same ledger knows the opposed card and the link; codes are the same."""
    visitor = site.visitor(WHO)
    visitor.send("/carte", "/carte/opposition", motif="P")
    with serving(site.bench, site.config, site.opposition) as again:
        assert OppositionList.load(site.opposition).lookup(SERIAL) is not None
        later = again.visitor(WHO)
        later.get("/carte")
        assert "en opposition : perdue" in later.page


def test_a_list_written_anew_gets_the_declared_cards_again(site: Site) -> None:
    """A fresh list without the card is written by somebody else: the card is back on it."""
    visitor = site.visitor(WHO)
    visitor.send("/carte", "/carte/opposition", motif="V")
    fresh = encode_base(7, site.bench.clock.now(), [])
    OppositionList.parse(fresh).save(site.opposition)
    assert OppositionList.load(site.opposition).lookup(SERIAL) is None
    site.bench.parts.publisher.keep()
    again = OppositionList.load(site.opposition)
    assert again.lookup(SERIAL) is not None
    assert again.number == 8
    site.bench.parts.publisher.keep()
    assert OppositionList.load(site.opposition).number == 8
