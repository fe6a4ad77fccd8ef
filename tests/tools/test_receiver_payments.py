"""What the caisse decides and what it returns: rights, amounts, and a NOEMIE file that adds up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.billing.request import Act, Beneficiary, Practitioner
from gateway.errors import InputError
from gateway.records.noemie_file import NoemieReturn, Payment, parse_noemie
from tools.receiver.adjudication import Adjudicator, birthday
from tools.receiver.insured import Insured, InsuredBase

if TYPE_CHECKING:
    from conftest import Bench, Practice

BORN = date(1980, 3, 1)
DAYS = timedelta(days=5, seconds=1)


def paid(bench: Bench) -> NoemieReturn:
    """The one return made after five days, read back from the practice's mailbox."""
    bench.clock.advance(DAYS)
    assert len(bench.parts.paymaster.pay_due()) == 1
    raw = bench.deliver()[-1]
    opened = bench.open(raw)
    assert opened.envelope.description == "NOEMIE/578/Z"
    return parse_noemie(opened.payload)


def one(bench: Bench, **changes: object) -> Payment:
    """What is returned for one invoice."""
    assert bench.handle(bench.practice.message(1, **changes)).positive
    [payment] = paid(bench).payments
    return payment


def nothing_returned(bench: Bench) -> bool:
    """No line is due, whenever that is asked."""
    bench.clock.advance(timedelta(days=400))
    return bench.parts.paymaster.pay_due() == []


def test_a_third_party_invoice_is_paid_as_asked(bench: Bench) -> None:
    """AMO share asked by third-party payment: paid to the professional on the fifth day, not before."""
    bench.handle(bench.practice.message(1))
    bench.clock.advance(timedelta(days=4, hours=23))
    assert bench.parts.paymaster.pay_due() == []
    bench.clock.advance(timedelta(hours=2))
    [answer] = bench.parts.paymaster.pay_due()
    [payment] = answer.payments
    assert (payment.amo.asked_cents, payment.amo.paid_cents, payment.amo.state) == (2100, 2100, "P")
    assert (payment.amc, payment.rejects, payment.remarks) == (None, (), ())
    assert bench.parts.paymaster.pay_due() == []


def test_a_solidarity_cover_is_paid_whole_by_the_caisse(build: Callable[..., Bench]) -> None:
    """CSS without another insurer: AMO and AMC come back in the same return, the lines carry both amounts."""
    bench = build(people=InsuredBase([replace(KNOWN, exemptions=frozenset({"css"}))]))
    payment = one(bench, third_party="full", beneficiary=Beneficiary(BORN, css=True), pathway="S1")
    assert payment.amc is not None
    assert (payment.amo.paid_cents, payment.amc.paid_cents) == (
        payment.amo.asked_cents,
        payment.amc.asked_cents,
    )
    [line] = payment.lines
    assert (line.paid_cents, line.amc_cents) == (payment.amo.paid_cents, payment.amc.paid_cents)
    assert line.amc_cents > 0


def test_without_third_party_there_is_no_line(bench: Bench) -> None:
    """An accepted invoice that the patient paid gets its ARL and no line in any return."""
    assert bench.handle(bench.practice.message(1, third_party="none")).positive
    assert nothing_returned(bench)


def test_totals_of_a_return(bench: Bench) -> None:
    """A return of many invoices adds up: its sums are those of its payments, and of the ledger."""
    bench.handle(bench.practice.message(*range(1, 21)))
    bench.handle(bench.practice.message(21, 5, 22))
    answer = paid(bench)
    assert len(answer.payments) == 23
    assert answer.total_cents == 22 * 2100 == sum(payment.paid_cents for payment in answer.payments)
    assert sum(payment.is_rejected for payment in answer.payments) == 1
    assert bench.rows("SELECT sum(amo_paid + amc_paid) FROM claim") == [(answer.total_cents,)]
    assert bench.rows("SELECT paid, invoices, rejects FROM noemie") == [(22 * 2100, 23, 1)]


def test_returns_are_bounded(build: Callable[..., Bench]) -> None:
    """More invoices than one return may hold are answered by several, each invoice once."""
    from tools.receiver.config import Limits

    bench = build(limits=Limits(return_invoices=4))
    bench.handle(bench.practice.message(*range(1, 11)))
    bench.clock.advance(DAYS)
    answers = bench.parts.paymaster.pay_due()
    assert [len(answer.payments) for answer in answers] == [4, 4, 2]
    assert sorted(p.invoice for answer in answers for p in answer.payments) == list(range(1, 11))
    assert [answer.file_id for answer in answers] == ["000001", "000002", "000003"]


RIGHTS = ((date(2020, 1, 1), date(2030, 12, 31)),)
KNOWN = Insured("2801962643002", f"{BORN:%y%m%d}", RIGHTS)
DIFFERENCES = {
    "unknown": (None, {}, "0250050"),
    "rights closed": (replace(KNOWN, rights=((date(2020, 1, 1), date(2021, 1, 1)),)), {}, "0250051"),
    "exemption not on file": (KNOWN, {"beneficiary": Beneficiary(BORN, aspa=True)}, "0450072"),
    "local scheme": (KNOWN, {"beneficiary": Beneficiary(BORN, alsace_moselle=True)}, "0317051"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_signalled_never_rejected_when_secured(
    build: Callable[..., Bench], name: str
) -> None:
    """Secured, third-party, card not opposed: paid on the card's rights, the difference is only a remark."""
    person, changes, code = DIFFERENCES[name]
    bench = build(people=InsuredBase([person] if person else []))
    payment = one(bench, **changes)
    assert payment.amo.state == "P"
    assert payment.paid_cents == payment.amo.asked_cents > 0
    assert [remark.code for remark in payment.remarks] == [code]
    assert payment.rejects == ()


@pytest.mark.parametrize("name", DIFFERENCES)
@pytest.mark.parametrize("way", [{"third_party": "none"}, {"mode": 1}])
def test_a_difference_is_rejected_otherwise(
    build: Callable[..., Bench], name: str, way: dict[str, object]
) -> None:
    """Without third-party payment, or without the Vitale card, the same difference is a reject line."""
    person, changes, code = DIFFERENCES[name]
    bench = build(people=InsuredBase([person] if person else []))
    payment = one(bench, **changes, **way)
    assert [(reject.code, reject.level, reject.share) for reject in payment.rejects] == [(code, "F", "O")]
    assert (payment.amo.state, payment.paid_cents) == ("R", 0)


@pytest.mark.parametrize("name", [name for name in DIFFERENCES if name not in ("unknown", "rights closed")])
def test_what_is_on_file_is_paid(build: Callable[..., Bench], name: str) -> None:
    """The positive twin: the same claims, known to the caisse, are paid without a remark."""
    _, changes, _ = DIFFERENCES[name]
    person = replace(KNOWN, exemptions=frozenset({"aspa"}), alsace_moselle=True)
    payment = one(build(people=InsuredBase([person])), **changes)
    assert (payment.amo.state, payment.remarks, payment.rejects) == ("P", (), ())


def test_ald_obliges_to_third_party_and_is_signalled(bench: Bench) -> None:
    """A secured ALD invoice is third-party payment by law, so an ALD unknown to the caisse is a remark."""
    payment = one(bench, third_party="none", beneficiary=Beneficiary(BORN, ald=True))
    assert (payment.amo.state, [remark.code for remark in payment.remarks]) == ("P", ["0450072"])


def test_another_amount_than_the_caisse_computes(build: Callable[..., Bench]) -> None:
    """A tariff that the caisse does not know for this professional is rejected, secured or not."""
    bench = build(practitioners={"991000009": (Practitioner(specialty="24"),)})
    payment = one(bench)
    assert payment.amo.state == "R"
    assert payment.rejects[0].code in ("0500001", "0500002")


REQUESTS: dict[str, dict[str, object]] = {
    "plain": {},
    "out of pathway": {"pathway": "S1"},
    "pathway not respected": {"pathway": "S2"},
    "ald": {"beneficiary": Beneficiary(BORN, ald=True)},
    "ald out of pathway": {"beneficiary": Beneficiary(BORN, ald=True), "pathway": "S1"},
    "css": {"beneficiary": Beneficiary(BORN, css=True), "third_party": "full"},
    "ame": {"beneficiary": Beneficiary(BORN, ame=True), "third_party": "full"},
    "css out of pathway": {
        "beneficiary": Beneficiary(BORN, css=True),
        "third_party": "full",
        "pathway": "S1",
    },
    "alsace": {"beneficiary": Beneficiary(BORN, alsace_moselle=True)},
    "alsace and ald": {"beneficiary": Beneficiary(BORN, alsace_moselle=True, ald=True)},
    "aspa": {"beneficiary": Beneficiary(BORN, aspa=True)},
    "maternity": {"beneficiary": Beneficiary(BORN, pregnancy_month=7), "nature": "maternite"},
    "accident": {"nature": "at"},
    "complementary": {"beneficiary": Beneficiary(BORN, complementary="tm100"), "complementary": "0099999996"},
    "two acts": {"acts": (Act("G"), Act("MCG")), "pathway": "M"},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_caisse_finds_the_amounts_of_every_kind_of_request(practice: Practice, name: str) -> None:
    """An honest invoice of each kind is recomputed to the cent from its records alone."""
    changes = {"third_party": "amo"} | REQUESTS[name]
    view = practice.fse(1, **changes).view()
    everything = replace(
        KNOWN, exemptions=frozenset({"ald", "css", "ame", "aspa", "maternity"}), alsace_moselle=True
    )
    judge = Adjudicator(InsuredBase([everything]), {"991000009": (Practitioner(),)}, practice.tables)
    decision = judge.decide(view)
    assert (decision.outcome, decision.code, decision.remarks) == ("P", "", ())
    assert decision.amo_paid == view.amo_cents


def test_a_wrong_amount_is_found(practice: Practice) -> None:
    """One cent more than the rules give is another amount; a rate that does not fit its line too."""
    view = practice.fse(1).view()
    judge = Adjudicator(InsuredBase([KNOWN]), {"991000009": (Practitioner(),)}, practice.tables)
    [line] = view.lines
    dearer = replace(line, base_cents=3010, charged_cents=3010, amo_cents=2107)
    wrong = replace(line, amo_cents=2101)
    for bad in (dearer, wrong):
        lying = replace(view, lines=(bad,), base_cents=bad.base_cents, amo_cents=bad.amo_cents)
        assert judge.decide(lying).code == "0500001"
    unknown = replace(view, lines=(replace(line, code="ZZZ", coefficient=Decimal(1)),))
    assert judge.decide(unknown).code == "0500002"
    assert judge.decide(view).outcome == "P"


def test_birthdays_are_never_in_the_future() -> None:
    """Two digits of a year: the last such day before the care."""
    care = date(2026, 11, 19)
    assert birthday("261118", care) == date(2026, 11, 18)
    assert birthday("261120", care) == date(1926, 11, 20)
    assert birthday("800301", care) == date(1980, 3, 1)


def test_overrides(tmp_path: Path) -> None:
    """An overrides file changes one person, and a wrong one is refused in a sentence without the number."""
    base = InsuredBase([KNOWN])
    path = tmp_path / "overrides.toml"
    head = f'[[insured]]\nnir = "{KNOWN.nir}"\n'
    path.write_text(f'{head}exemptions = ["ald"]\nrights = [[2020-01-01, 2020-02-01]]\n')
    changed = base.overridden(path).find(KNOWN.nir, KNOWN.birth_date)
    assert changed is not None
    assert (changed.exemptions, changed.has_rights(date(2026, 1, 1))) == (frozenset({"ald"}), False)
    path.write_text(f"{head}known = false\n")
    assert base.overridden(path).find(KNOWN.nir, KNOWN.birth_date) is None
    for bad in ('nir = "1"', f'nir = "{KNOWN.nir}"\nage = 3', f'nir = "{KNOWN.nir}"\nexemptions = ["x"]'):
        path.write_text(f"[[insured]]\n{bad}\n")
        with pytest.raises(InputError) as caught:
            base.overridden(path)
        assert KNOWN.nir not in str(caught.value)


@pytest.mark.parametrize(
    ("run_by", "mode", "decision", "code"),
    [("", 1, "P", ""), ("0099999997", 1, "R", "0250064"), ("0099999997", 3, "P", "")],
)
def test_who_runs_a_solidarity_cover_decides(
    build: Callable[..., Bench], run_by: str, mode: int, decision: str, code: str
) -> None:
    """Asked whole of the caisse: paid where it runs the cover, refused or signalled where not."""
    person = Insured(
        "2801962643002", "800301", ((date(2020, 1, 1), date(2030, 12, 31)),),
        exemptions=frozenset({"css"}), css_insurer=run_by,
    )  # fmt: skip
    bench = build(people=InsuredBase([person]))
    rights = Beneficiary(date(1980, 3, 1), css=True)
    message = bench.practice.message(1, mode=mode, third_party="full", beneficiary=rights)
    assert bench.handle(message).positive
    assert bench.rows("SELECT decision, code, amo_paid + amc_paid FROM claim") == [
        (decision, code, 3000 if decision == "P" else 0)
    ]
