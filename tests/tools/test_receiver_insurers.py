"""Complementary insurers are parties of their own: by relay or by DRE, each share is paid once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from card.personalise import load_profile
from card.profile import InsuredProfile
from gateway.billing.request import Beneficiary
from gateway.errors import InputError
from gateway.lots.organism import Complementary
from gateway.records.noemie_file import NoemieReturn, Payment, parse_noemie
from tools.receiver.insurers import Contract, InsurerBase, insurer_number
from tools.receiver.population import known_contracts

if TYPE_CHECKING:
    from conftest import Bench

INSURER = "0099999996"
BORN = date(1980, 3, 1)
COVERED = Beneficiary(BORN, complementary="tm100")
CONTRACT = Contract(INSURER, "2801962643002", f"{BORN:%y%m%d}", "tm100", "MEMBER1")
BY_DRE = replace(CONTRACT, treatment="22", linked=False)
FULL: dict[str, object] = {"complementary": INSURER, "third_party": "full", "beneficiary": COVERED}

Build = Callable[..., "Bench"]


@pytest.fixture
def with_contract(build: Build) -> Build:
    """Benches whose insurer has this one contract on file."""

    def make(contract: Contract | None = CONTRACT, **changes: object) -> Bench:
        insurers = InsurerBase([contract] if contract else [])
        return build(insurers=insurers, payment_days=3, **changes)

    return make


def send(bench: Bench, *numbers: int, **changes: object) -> None:
    """One lot of FSE with full third-party payment, accepted."""
    assert bench.handle(bench.practice.message(*numbers, **FULL | changes)).positive


def demand(bench: Bench, *numbers: int, **changes: object) -> None:
    """One lot of DRE to the insurer, accepted."""
    practice = bench.practice
    dres = (practice.dre(number, complementary=INSURER, **changes) for number in numbers)
    assert bench.handle(practice.seal(practice.lot(*dres)).message).positive


def returned(bench: Bench, days: int = 6) -> list[NoemieReturn]:
    """What the practice finds in its mailbox after some days, oldest first."""
    bench.clock.advance(timedelta(days=days))
    bench.parts.paymaster.pay_due()
    files = [bench.open(raw).payload for raw in bench.deliver()]
    return [parse_noemie(file) for file in files if file[47:49] == b"NO"]


def lines(returns: list[NoemieReturn]) -> dict[str, Payment]:
    """The one payment of each return, by the type of who sends it (CT a caisse, OC an insurer)."""
    assert len({answer.sender_type for answer in returns}) == len(returns)
    return {answer.sender_type: payment for answer in returns for payment in answer.payments}


def test_a_share_is_handed_on_and_paid_by_its_insurer(with_contract: Build) -> None:
    """Linked contract: the caisse pays AMO and says where the rest went; the insurer returns its share."""
    bench = with_contract()
    send(bench, 1)
    found = returned(bench)
    caisse, insurer = (lines(found)[kind] for kind in ("CT", "OC"))
    assert (caisse.amo.paid_cents, caisse.amo.state) == (2100, "P")
    assert caisse.amc is not None
    assert (caisse.amc.asked_cents, caisse.amc.paid_cents, caisse.amc.state) == (900, 0, "D")
    assert caisse.comments == (f"PART COMPLEMENTAIRE TRANSMISE A L'ORGANISME {INSURER}",)
    assert insurer.amc is not None
    assert (insurer.invoice_type, insurer.amo.asked_cents, insurer.amo.state) == ("A", 0, "")
    assert (insurer.amc.paid_cents, insurer.amc.state) == (900, "P")
    assert (insurer.amc.number, insurer.amc.member) == (INSURER, "MEMBER1")
    [line] = insurer.lines
    assert (line.paid_cents, line.amc_cents, line.amc_base_cents, line.amc_rate) == (0, 900, 900, 100)
    assert [(answer.sender, answer.total_cents) for answer in found] == [
        ("00000001999349", 2100),
        (Complementary(INSURER).number, 900),
    ]


def test_an_insurer_pays_after_the_caisse(with_contract: Build) -> None:
    """Three days here for the caisse, two more for the insurer: the calendar of each is its own."""
    bench = with_contract()
    send(bench, 1)
    assert [answer.sender_type for answer in returned(bench, 4)] == ["CT"]
    assert [answer.sender_type for answer in returned(bench, 1)] == ["CT", "OC"]


@pytest.mark.parametrize("contract", [None, replace(CONTRACT, linked=False)], ids=["no contract", "link off"])
def test_without_a_link_the_share_is_refused(with_contract: Build, contract: Contract | None) -> None:
    """Nobody to hand the share to: AMO is paid, the complementary share is refused with its own code."""
    bench = with_contract(contract)
    send(bench, 1)
    [answer] = returned(bench)
    [payment] = answer.payments
    assert payment.amc is not None
    assert (payment.amo.state, payment.amo.paid_cents, payment.amc.state) == ("P", 2100, "R")
    assert [(reject.code, reject.share) for reject in payment.rejects] == [("0250062", "C")]
    assert bench.rows("SELECT count(*) FROM insurer_claim") == [(0,)]


REFUSED = {
    "closed": (replace(CONTRACT, periods=((date(2020, 1, 1), date(2021, 1, 1)),)), "0250061"),
    "refuses": (replace(CONTRACT, refuses=True), "0900001"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_insurer_refuses(with_contract: Build, name: str) -> None:
    """A closed contract, an insurer that says no: AMO is paid, share C is a reject of the insurer."""
    contract, code = REFUSED[name]
    bench = with_contract(contract)
    send(bench, 1)
    found = lines(returned(bench))
    assert found["CT"].amo.state == "P"
    insurer = found["OC"]
    assert insurer.amc is not None
    assert (insurer.amc.state, insurer.amc.paid_cents) == ("R", 0)
    assert [(reject.code, reject.share, reject.level) for reject in insurer.rejects] == [(code, "C", "F")]


def test_a_demand_is_paid_and_the_caisse_says_so(with_contract: Build) -> None:
    """FSE and DRE of one invoice: AMO from the caisse, the share from the insurer, nothing handed on."""
    bench = with_contract(BY_DRE)
    send(bench, 1)
    demand(bench, 1)
    found = lines(returned(bench))
    assert found["OC"].invoice_type == "D"
    assert found["OC"].amc is not None
    assert (found["OC"].amc.state, found["OC"].amc.paid_cents) == ("P", 900)
    assert found["CT"].amc is not None
    assert (found["CT"].amc.state, found["CT"].rejects) == ("D", ())
    assert bench.rows("SELECT origin, amc_paid FROM insurer_claim") == [("D", 900)]


def test_an_invoice_without_number_awaits_its_demand(with_contract: Build) -> None:
    """A card with an insurer of its own flow only: the FSE names nobody, and the caisse waits for the DRE."""
    bench = with_contract(BY_DRE)
    send(bench, 1, complementary="")
    [answer] = returned(bench)
    assert answer.payments[0].comments == ("PART COMPLEMENTAIRE ATTENDUE PAR DRE",)


@pytest.mark.parametrize(
    ("treatment", "code"), [("", "0250063"), ("00", "0250063"), ("60", "0250063"), ("12", "0250063")]
)
def test_a_demand_needs_the_indicator(with_contract: Build, treatment: str, code: str) -> None:
    """109.4 without a DRE in third-party payment: the demand is a reject. (22, 23, 32… are the twins.)"""
    bench = with_contract(replace(CONTRACT, treatment=treatment))
    demand(bench, 1)
    [answer] = returned(bench)
    assert [reject.code for reject in answer.payments[0].rejects] == [code]


@pytest.mark.parametrize("treatment", ["22", "23", "32", "33", "62", "63", "72", "73"])
def test_indicators_that_allow_a_demand(with_contract: Build, treatment: str) -> None:
    """Every indicator of the public table that has a DRE in third-party payment."""
    bench = with_contract(replace(CONTRACT, treatment=treatment))
    demand(bench, 1)
    [answer] = returned(bench)
    assert answer.total_cents == 900


def test_a_stranger_and_another_amount(with_contract: Build) -> None:
    """A member the insurer does not know, a share its contract does not give: rejects; the twin is paid."""
    bench = with_contract(replace(BY_DRE, insurer="0099999988"))
    demand(bench, 1)
    other = with_contract(BY_DRE)
    practice = other.practice
    dre = practice.forged(practice.dre(2, complementary=INSURER), r4={"amc": 901}, r5={"fees_amc": 901})
    assert other.handle(
        practice.seal(practice.lot(dre, practice.dre(3, complementary=INSURER))).message
    ).positive
    [stranger] = returned(bench)
    payments = returned(other)[-1].payments
    assert [reject.code for reject in stranger.payments[0].rejects] == ["0250060"]
    assert [[reject.code for reject in payment.rejects] for payment in payments] == [["0500003"], []]


def test_a_share_is_paid_once(with_contract: Build) -> None:
    """Demand first, then a relay: nothing more. Relay first, then a demand: 2900 005. One payment each."""
    bench = with_contract(BY_DRE)
    demand(bench, 1)
    both = with_contract(replace(CONTRACT, treatment="22"), state=bench.maildir.parent / "other")
    send(bench, 1)
    demand(bench, 1)
    demand(both, 2)
    send(both, 2)
    codes = [
        (row[0], row[1], row[2]) for row in bench.rows("SELECT origin, code, amc_paid FROM insurer_claim")
    ]
    assert codes == [("D", "", 900), ("D", "2900005", 0)]
    assert both.rows("SELECT origin, amc_paid FROM insurer_claim") == [("D", 900)]


def test_relayed_share_then_demand(build: Build) -> None:
    """A share that was handed on is not paid again to a demand that the contract would allow later."""
    bench = build(insurers=InsurerBase([CONTRACT]))
    send(bench, 1)
    later = build(insurers=InsurerBase([BY_DRE]), state=bench.maildir.parent / "state0")
    bench.parts.ledger.close()
    demand(later, 1)
    rows = later.rows("SELECT origin, first, code, amc_paid FROM insurer_claim ORDER BY id")
    assert rows == [("R", 1, "", 900), ("D", 0, "2900005", 0)]


def test_nothing_is_handed_on_for_a_repeat(with_contract: Build) -> None:
    """The same invoice in another lot: a reject of the caisse, and no second share anywhere."""
    bench = with_contract()
    fse = bench.practice.fse(1, **FULL)  # type: ignore[arg-type]
    for _ in range(2):
        assert bench.handle(bench.practice.seal(bench.practice.lot(fse)).message).positive
    assert bench.rows("SELECT count(*), sum(amc_paid) FROM insurer_claim") == [(1, 900)]
    assert bench.rows("SELECT decision FROM claim ORDER BY id") == [("P",), ("R",)]


@pytest.mark.parametrize("third_party", ["none", "amo"])
def test_the_insured_person_is_repaid(with_contract: Build, third_party: str) -> None:
    """The patient has paid the share: the insurer owes it to the patient, the practice gets no line."""
    bench = with_contract()
    send(bench, 1, third_party=third_party)
    assert [answer.sender_type for answer in returned(bench)] == ["CT"] * (third_party == "amo")
    assert bench.rows("SELECT payee, decision, amc_paid, due_at FROM insurer_claim") == [
        ("I", "P", 900, None)
    ]
    [account] = bench.parts.ledger.insurers.accounts()
    assert (account.to_insured_cents, account.paid_cents, account.waiting) == (900, 0, 0)


def test_what_the_caisse_rejects_is_not_handed_on(with_contract: Build) -> None:
    """An invoice that the caisse refuses creates no debt of the insurer."""
    from tools.receiver.insured import InsuredBase

    bench = with_contract(people=InsuredBase([]))
    send(bench, 1, mode=1)
    assert bench.rows("SELECT decision FROM claim") == [("R",)]
    assert bench.rows("SELECT count(*) FROM insurer_claim") == [(0,)]


def test_contracts_of_the_shipped_cards(tmp_path: Path) -> None:
    """Both contracts of the shipped card are known, and the overrides file changes each in its own way."""
    shipped = load_profile("vitale-complementary")
    assert isinstance(shipped, InsuredProfile)
    base = InsurerBase(one for one in known_contracts() if one.nir == shipped.nir[:13])
    linked, own = sorted(base, key=lambda one: one.treatment)
    assert (linked.linked, linked.takes_dre("full"), own.takes_dre("full")) == (True, False, True)
    path = tmp_path / "overrides.toml"
    head = f'[[contract]]\nnir = "{own.nir}"\ninsurer = "{own.insurer[2:]}"\n'
    path.write_text(f'{head}treatment = "00"\nrefuses = true\nperiods = [[2020-01-01, 2020-02-01]]\n')
    changed = base.overridden(path).find(own.insurer, own.nir, own.birth_date)
    assert changed is not None
    assert (changed.takes_dre("full"), changed.refuses, changed.is_open(date(2026, 1, 1))) == (
        False,
        True,
        False,
    )
    path.write_text(f"{head}known = false\n")
    assert list(base.overridden(path)) == [linked]
    for bad in ('nir = "1"', f'nir = "{own.nir}"\nage = 3', f'nir = "{own.nir}"\nperiods = [1]'):
        path.write_text(f"[[contract]]\n{bad}\n")
        with pytest.raises(InputError) as caught:
            base.overridden(path)
        assert own.nir not in str(caught.value)


def test_numbers_of_insurers() -> None:
    """Eight or ten digits of a card are the ten of B2; zeros and blanks are nobody."""
    assert [insurer_number(text) for text in ("99999996", "0099999996", "", "0000000000")] == [
        INSURER, INSURER, "", "",
    ]  # fmt: skip
