"""The insured person's money: the account it goes to, what is held without one, the year for the taxes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from card.layout.nir import nir_key
from card.personalise import load_profile
from gateway.billing.exemption import Exemption
from gateway.billing.request import Beneficiary
from gateway.errors import InputError
from tests.tools.portal_visitor import Site, serving
from tools.portal.accounts import Sheet
from tools.portal.treasury import Transfer
from tools.portal.yearly import year_of
from tools.receiver.config import ReceiverConfig
from tools.receiver.iban import make_iban, masked, read_iban
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.population import known_contracts, known_insured

if TYPE_CHECKING:
    from conftest import Bench, Practice

WHO, OTHER = "vitale-complementary", "vitale-single"
NIR = load_profile(WHO).nir[:13]  # type: ignore[attr-defined]
IBAN = make_iban(28)


@pytest.fixture
def make(build: Callable[..., Bench], tmp_path: Path, practice: Practice) -> Iterator[Callable[..., Site]]:
    """Portals whose caisse knows one family, with or without an account."""
    stack = []

    def made(iban: str = IBAN, **changes: object) -> Site:
        rights = ((practice.now.date() - timedelta(days=900), practice.now.date() + timedelta(days=900)),)
        person = Insured(NIR, "800301", rights, name="TEST", first_name="ANNE", iban=iban)
        bench = build(people=InsuredBase([replace(person, **changes)]), insurers=known_contracts())
        config = ReceiverConfig(
            practice.authority.directory, tmp_path / "state0", tmp_path / "mail", clock=bench.clock,
            opposition=tmp_path / "opposition.txt",
        )  # fmt: skip
        entered = serving(bench, config, tmp_path / "opposition.txt")
        stack.append(entered)
        return entered.__enter__()

    yield made
    for entered in stack:
        entered.__exit__(None, None, None)


def bill(site: Site, *numbers: int, **changes: object) -> None:
    """Invoices of that person, received and accepted."""
    practice = site.bench.practice
    fses = [practice.fse(number, nir=NIR, **changes) for number in numbers]  # type: ignore[arg-type]
    assert site.bench.handle(practice.seal(practice.lot(*fses)).message).positive


# The account


def test_a_reimbursement_reaches_the_account_on_the_fifth_day(make: Callable[..., Site]) -> None:
    """Before its day it is to come; on the fifth day it has left, to the account of the base."""
    site = make()
    bill(site, 1, third_party="none")
    visitor = site.visitor(WHO)
    visitor.get("/remboursements")
    assert "à verser le 25/11/2026" in visitor.page
    site.bench.clock.advance(timedelta(days=5))
    visitor = site.visitor(WHO)  # five days are longer than a session
    visitor.get("/remboursements")
    assert "versé le 25/11/2026" in visitor.page
    assert re.search(r"Versé à vous</dt><dd>19,00 €", visitor.page)


def test_without_an_account_the_payment_waits_and_says_so(make: Callable[..., Site]) -> None:
    """Rights are open and the sheet is accepted, but the money waits; an account given sends it at once."""
    site = make(iban="")
    bill(site, 1, third_party="none")
    site.bench.clock.advance(timedelta(days=6))
    visitor = site.visitor(WHO)
    visitor.get("/remboursements")
    assert "en attente de votre compte bancaire" in visitor.page
    assert "19,00 € attendent" in visitor.page
    assert visitor.send("/compte", "/compte", iban=IBAN) == 303
    visitor.get("/remboursements")
    assert "versé le 26/11/2026" in visitor.page
    assert "attendent" not in visitor.page


def test_an_account_is_shown_masked_and_kept_sealed(make: Callable[..., Site]) -> None:
    """The page shows its ends only; the ledger holds no digit of it; another family sees nothing."""
    site = make()
    visitor = site.visitor(WHO)
    visitor.get("/compte")
    assert masked(IBAN) in visitor.page
    assert IBAN[8:20] not in visitor.page
    [(kept,)] = site.bench.rows("SELECT iban FROM account")
    assert IBAN.encode() not in bytes(kept)  # type: ignore[arg-type]
    other = site.visitor(OTHER)
    other.get("/compte")
    assert "ne connaît aucun compte" in other.page


def test_an_account_with_a_wrong_digit_is_refused(make: Callable[..., Site]) -> None:
    """One digit off, a wrong RIB key, and what is no number: refused, and the old account stands."""
    site = make()
    visitor = site.visitor(WHO)
    for wrong in (IBAN[:-1] + "0", "FR7612345", "<b>", ""):
        assert visitor.send("/compte", "/compte", iban=wrong) == 400
    visitor.get("/compte")
    assert masked(IBAN) in visitor.page
    spaced = " ".join(make_iban(7)[at : at + 4] for at in range(0, 27, 4)).lower()
    assert visitor.send("/compte", "/compte", iban=spaced) == 303
    assert masked(make_iban(7)) in visitor.page


def test_an_account_changed_at_the_portal_stands_after_a_restart(make: Callable[..., Site]) -> None:
    """The base still has the first account; the one given at the portal is the one that counts."""
    site = make()
    site.visitor(WHO).send("/compte", "/compte", iban=make_iban(9))
    visitor = site.visitor(WHO)
    visitor.send("/compte", "/compte", iban=make_iban(9))
    with serving(site.bench, site.config, site.opposition) as again:
        later = again.visitor(WHO)
        later.get("/compte")
        assert masked(make_iban(9)) in later.page


def test_check_digits_of_accounts() -> None:
    """ISO 13616: accounts of several countries as their registry prints them; each digit counts."""
    for good in ("GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR1420041010050500013M02606"):
        assert read_iban(good) == good.replace(" ", "")
    for at in range(2, 27):
        digit = (int(IBAN[at]) + 1) % 10
        with pytest.raises(InputError, match="IBAN"):
            read_iban(IBAN[:at] + str(digit) + IBAN[at + 1 :])


def test_every_shipped_account_is_of_the_test_bank() -> None:
    """Nobody's account can be meant: each is in the bank 99999, with right digits; one family has none."""
    accounts = {one.iban for group in known_insured()._people.values() for one in group}
    assert "" in accounts
    assert all(one[4:9] == "99999" and read_iban(one) for one in accounts if one)
    assert len(accounts) > 25


# Paper


def test_the_controller_keys_in_paper_and_the_insured_person_sees_it(make: Callable[..., Site]) -> None:
    """A sheet over the counter is the family's, paid on the seventh day; one that is wrong is refused."""
    site = make()
    staff, page = site.visitor("controleur"), "/controle/papier"
    form = {
        "professionnel": "991000009", "nir": f"{NIR} {nir_key(NIR):02d}", "naissance": "1980-03-01",
        "date": "2026-11-18", "third_party": "none", "code1": "g", "montant1": "30,00", "numero": "",
    }  # fmt: skip
    assert staff.send(page, page, **form) == 303
    assert "Feuille 900000001 (21,00 €), remboursée à l'assuré." in staff.page
    assert staff.page.count("remboursée à l'assuré") == 2
    for wrong in ({"montant1": "beaucoup"}, {"nir": "1"}, {"numero": "x"}, {"quantite1": "x"}, {"code1": ""}):
        assert staff.send(page, page, **form | wrong) == 400
    visitor = site.visitor(WHO)
    visitor.get("/remboursements")
    assert "feuille papier" in visitor.page
    assert "à verser le 27/11/2026" in visitor.page
    assert visitor.send("/remboursements", page, **form) == 404


# The year


def sheet(**changes: object) -> Sheet:
    """A consultation of 30.00 paid at the desk: 21.00 back, 2.00 of them kept."""
    base = Sheet(
        care=date(2026, 3, 1), received=date(2026, 3, 2), beneficiary="ANNE TEST", practitioner="Dr TEST",
        acts=("G",), charged=3000, amo=2100, amc=0, deducted=200, withheld=200, to_insured=1900,
        to_professional=0, state="N", by_caisse=1900,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_year_says_by_beneficiary_what_was_paid_and_what_is_left() -> None:
    """Two people, a refused sheet and one of another year: sums, what is left, the refused one counted."""
    child = sheet(beneficiary="LUC TEST", charged=2000, amo=1400, amc=600, deducted=0, to_insured=2000)
    refused = sheet(state="R", amo=0, to_insured=0, deducted=0)
    old = sheet(received=date(2025, 12, 31))
    year = year_of(2026, date(2024, 8, 1), [sheet(), child, refused, old], ["ANNE TEST", "LUC TEST"])
    anne, luc = year.lines
    assert (anne.sheets, anne.charged, anne.amo, anne.deducted, anne.left) == (1, 3000, 2100, 200, 1100)
    assert (luc.charged, luc.amo, luc.amc, luc.left) == (2000, 1400, 600, 0)
    assert (year.total.charged, year.total.left, year.total.refused) == (5000, 1100, 1)
    assert year.is_whole
    assert year.total.charged == year.total.amo + year.total.amc + year.total.left - year.total.deducted


def test_the_year_page_and_its_paper(make: Callable[..., Site]) -> None:
    """This year has the sheet and its sums, as page and PDF; 27 months back is shown, before is refused."""
    site = make()
    bill(site, 1, third_party="none")
    visitor = site.visitor(WHO)
    assert visitor.get("/annuel") == 200
    assert re.search(r"À votre charge</dt><dd>11,00 €", visitor.page)
    assert visitor.get("/annuel.pdf?annee=2026") == 200
    assert visitor.raw.startswith(b"%PDF-")
    assert visitor.get("/annuel?annee=2024") == 200
    assert "connue depuis le 01/08/2024" in visitor.page
    assert re.search(r"À votre charge</dt><dd>0,00 €", visitor.page)
    assert [visitor.get(f"/annuel?annee={year}") for year in ("2023", "2027", "20x6")] == [400, 400, 400]
    other = site.visitor(OTHER)
    other.get("/annuel")
    assert "11,00 €" not in other.page


def test_what_waits_and_what_has_left() -> None:
    """A sheet paid by caisse and insurer: each part leaves on its own day."""
    day = date(2026, 3, 7)
    both = sheet(
        amc=900, to_insured=2800, by_caisse=1900,
        transfers=(Transfer(False, day, day), Transfer(True, date(2026, 3, 9), None)),
    )  # fmt: skip
    assert (both.paid, both.awaited) == (1900, 900)
    assert both.last_transfer == both.transfers[1]
    assert sheet().last_transfer is None


# What the base decides by day


def test_a_declared_doctor_counts_from_that_day(make: Callable[..., Site]) -> None:
    """Nobody declared: a sheet of the médecin traitant is refused; once declared, it is not from that day."""
    site = make(notes=frozenset({"no-doctor"}))
    practice, today = site.bench.practice, site.bench.clock.now().date()
    changes = {"third_party": "none", "pathway": "T"}
    bill(site, 1, **changes)  # type: ignore[arg-type]
    doctor = site.office.register.doctors
    doctor[practice.fse(9).view().billing_number] = doctor["991001017"]
    number = practice.fse(9).view().billing_number
    assert site.visitor(WHO).send("/medecin", "/medecin", medecin=number) == 303
    bill(site, 2, date=today - timedelta(days=1), **changes)  # type: ignore[arg-type]
    bill(site, 3, date=today, **changes)  # type: ignore[arg-type]
    rows = site.bench.rows("SELECT number, decision, code FROM claim ORDER BY id")
    assert rows == [(1, "R", "0250054"), (2, "R", "0250054"), (3, "N", "")]


def test_another_doctor_than_the_declared_one_is_not_the_medecin_traitant(make: Callable[..., Site]) -> None:
    """Declared elsewhere: a sheet as médecin traitant is refused, one of a referral is not."""
    site = make(doctor="991001017")
    bill(site, 1, third_party="none", pathway="T")
    bill(site, 2, third_party="none", pathway="O")
    bill(site, 3, third_party="amo", pathway="T")
    rows = site.bench.rows("SELECT number, decision, code FROM claim ORDER BY id")
    assert rows == [(1, "R", "0250056"), (2, "N", ""), (3, "P", "")]


@pytest.mark.parametrize(("days", "decision"), [(0, "P"), (1, "P"), (2, "R")])
def test_an_exemption_holds_on_its_days(make: Callable[..., Site], days: int, decision: str) -> None:
    """A long illness on file until yesterday: care of that day counts at 100 %, care of today does not."""
    site = make(
        exemptions=frozenset({"ald"}), dated=(Exemption("ald", date(2026, 1, 1), date(2026, 11, 19)),)
    )
    on = site.bench.clock.now().date() + timedelta(days=days - 2)
    born = Beneficiary(date(1980, 3, 1), ald=True)
    bill(site, 1, third_party="amo", mode=1, date=on, beneficiary=born)
    assert site.bench.rows("SELECT decision FROM claim") == [(decision,)]
