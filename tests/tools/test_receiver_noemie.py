"""Returns judged by a reader that knows only the public record tables: hierarchy, counters, totals."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.billing.request import Act, Beneficiary
from gateway.records.noemie_file import write_noemie
from tests.gateway.records.test_records_files import RETURNS
from tests.tools.noemie_reader import Invoice, Read, read
from tools.receiver.config import Limits
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.insurers import Contract, InsurerBase

if TYPE_CHECKING:
    from conftest import Bench

    from gateway.records.noemie_file import NoemieReturn

BORN = date(1980, 3, 1)
NIR = "2801962643002"
INSURER = "0099999996"
RIGHTS = ((date(2020, 1, 1), date(2030, 12, 31)),)


@settings(max_examples=150, deadline=None)
@given(RETURNS)
def test_any_return_adds_up_for_a_stranger(answer: NoemieReturn) -> None:
    """Whatever is put into a return: sizes, breaks, counters and totals hold for a reader of the tables."""
    found = read(write_noemie(answer))
    assert found.total == answer.total_cents
    numbers = [[payment.invoice for payment in transfer.payments] for transfer in answer.transfers]
    assert [[invoice.number for invoice in transfer] for transfer in found.transfers] == numbers


WAYS: dict[str, dict[str, object]] = {
    "paid": {},
    "local scheme": {"beneficiary": Beneficiary(BORN, alsace_moselle=True)},
    "signalled": {"beneficiary": Beneficiary(BORN, aspa=True)},
    "at the desk": {"third_party": "none"},
    "handed on": {
        "complementary": INSURER,
        "third_party": "full",
        "beneficiary": Beneficiary(BORN, complementary="tm100"),
    },
    "two acts": {"acts": (Act("G"), Act("MCG")), "pathway": "M"},
    "rejected": {"mode": 1, "beneficiary": Beneficiary(BORN, aspa=True)},
}
MIXES = st.lists(st.sampled_from(sorted(WAYS)), min_size=1, max_size=8)


def collected(bench: Bench) -> list[Read]:
    """Every return that is due within six days, read by the stranger from the practice's mailbox."""
    bench.clock.advance(timedelta(days=6))
    bench.parts.paymaster.pay_due()
    files = (bench.open(raw).payload for raw in bench.deliver())
    return [read(file) for file in files if file[47:49] == b"NO"]


def send(bench: Bench, ways: Sequence[str], first: int = 1) -> None:
    """One lot for each mode, of an invoice for each way."""
    practice = bench.practice
    fses = [practice.fse(number, **WAYS[way]) for number, way in enumerate(ways, first)]  # type: ignore[arg-type]
    for family in ("signed", "without-vitale"):
        if lot := [fse for fse in fses if fse.invoice.mode.family == family]:
            assert bench.handle(practice.seal(practice.lot(*lot)).message).positive


@pytest.fixture
def world(build: Callable[..., Bench], tmp_path: Path) -> Callable[..., Bench]:
    """Benches whose caisse knows an insured person of the local scheme with a linked contract.

    Each has a mailbox of its own: hypothesis makes many of them in one test.
    """
    boxes = (tmp_path / f"mail{number}" for number in itertools.count())
    person = Insured(NIR, f"{BORN:%y%m%d}", RIGHTS, alsace_moselle=True)
    contract = Contract(INSURER, NIR, f"{BORN:%y%m%d}")

    def make(**changes: object) -> Bench:
        people, insurers = InsuredBase([person]), InsurerBase([contract])
        return build(people=people, insurers=insurers, payment_days=3, maildir=next(boxes), **changes)

    return make


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mix=MIXES, most=st.integers(1, 5))
def test_the_receivers_returns_add_up(world: Callable[..., Bench], mix: list[str], most: int) -> None:
    """Any mix of outcomes, cut into returns of any size: each adds up, together they are the ledger."""
    bench = world(limits=Limits(return_invoices=most))
    send(bench, mix)
    answers = collected(bench)
    invoices = [one for answer in answers for transfer in answer.transfers for one in transfer]
    assert all(sum(len(t) for t in answer.transfers) <= most for answer in answers)
    paid = bench.rows("SELECT coalesce(sum(amo_paid + amc_paid), 0) FROM claim WHERE noemie IS NOT NULL")
    shares = bench.rows("SELECT coalesce(sum(amc_paid), 0) FROM insurer_claim WHERE noemie IS NOT NULL")
    assert sum(answer.total for answer in answers) == paid[0][0] + shares[0][0]  # type: ignore[operator]
    for one in invoices:
        assert sum(amo for amo, _ in one.acts) == one.amo_paid
        assert sum(amc for _, amc in one.acts) == one.amc_paid
    wanted = sorted(n for n, way in enumerate(mix, 1) if way != "at the desk")
    assert sorted(one.number for one in invoices if one.kind == "F") == wanted
    assert sorted(one.number for one in invoices if one.kind == "A") == [
        n for n, way in enumerate(mix, 1) if way == "handed on"
    ]


def test_what_each_way_looks_like(world: Callable[..., Bench]) -> None:
    """Paid, signalled (290), rejected (294), handed on (199 D, 295): each at its public position."""
    bench = world()
    ways = ("paid", "signalled", "handed on", "rejected")
    send(bench, ways)
    answers = collected(bench)
    found: dict[tuple[str, int], Invoice] = {
        (one.kind, one.number): one for answer in answers for transfer in answer.transfers for one in transfer
    }
    assert (found["F", 1].amo_state, found["F", 1].amo_paid, found["F", 1].signals) == ("P", 2100, [])
    assert found["F", 2].signals == ["0450072"]
    assert (found["F", 3].amc_asked, found["F", 3].amc_paid, found["F", 3].amc_state) == (900, 0, "D")
    assert found["F", 3].comments == [f"PART COMPLEMENTAIRE TRANSMISE A L'ORGANISME {INSURER}"]
    assert (found["F", 4].amo_state, found["F", 4].rejects) == ("R", [("0450", "F", "O")])
    assert (found["A", 3].amc_paid, found["A", 3].amc_state, found["A", 3].acts) == (900, "P", [(0, 900)])
    assert {answer.sender_type for answer in answers} == {"CT", "OC"}


def test_a_wrong_act_is_named(bench: Bench) -> None:
    """One act of two with another amount than the caisse computes: a reject of level L that names it."""
    practice = bench.practice
    fse = practice.fse(1, acts=(Act("G"), Act("MCG")), pathway="M")
    first, second = (fse.records[at : at + 128] for at in range(256, 512, 128))
    dearer = {"unit": 600, "base": 600, "amo": 420, "charged": 600}
    records = [fse.records[at : at + 128] for at in range(0, 128 * 6, 128)]
    records[3] = practice.changed(second, r4=dearer)
    records[4] = practice.changed(
        records[4], r5={"fees": 3600, "fees_amo": 2520, "insured_share": 1080, "charged": 3600}
    )
    bad = practice.signed(b"".join(records), with_seal=True)
    assert first != second
    assert bench.handle(practice.seal(practice.lot(bad, practice.fse(2))).message).positive
    bench.clock.advance(timedelta(days=5))
    [answer] = bench.parts.paymaster.pay_due()
    rejected, paid = answer.payments
    [reject] = rejected.rejects
    assert (reject.code, reject.level, reject.act, reject.line) == ("0500001", "L", "MCG", 2)
    assert (reject.date, reject.executor) == (practice.request().date, "991000009")
    assert (paid.rejects, paid.amo.state) == ((), "P")
    assert read(write_noemie(answer)).transfers[0][0].rejects == [("0500", "L", "O")]


def test_what_the_local_scheme_adds(world: Callable[..., Bench]) -> None:
    """Alsace-Moselle: 210 has rate 90 and 27.00, of which the local scheme adds 20 points and 6.00."""
    bench = world()
    send(bench, ("local scheme", "paid"))
    bench.clock.advance(timedelta(days=3))
    [answer] = bench.parts.paymaster.pay_due()
    lines = [payment.lines[0] for payment in answer.payments]
    assert [(line.rate, line.paid_cents, line.local_rate, line.local_cents) for line in lines] == [
        (90, 2700, 20, 600),
        (70, 2100, 0, 0),
    ]


def test_a_return_never_passes_what_a_gateway_opens(build: Callable[..., Bench]) -> None:
    """Bounded in octets too: many acts make more, smaller returns, each invoice once."""
    tight, roomy = build(limits=Limits(return_bytes=5000)), build()
    for bench in (tight, roomy):
        bench.handle(bench.practice.message(*range(1, 21)))
        bench.clock.advance(timedelta(days=5))
    small, large = tight.parts.paymaster.pay_due(), roomy.parts.paymaster.pay_due()
    assert len(large) == 1
    assert len(small) > 2
    assert all(len(write_noemie(answer)) <= 5000 + 3 * 128 for answer in small)
    assert sorted(p.invoice for answer in small for p in answer.payments) == list(range(1, 21))


def test_senders_are_named_by_their_kind(build: Callable[..., Bench]) -> None:
    """000 of a return says CT for the general scheme, MA for the agricultural one, as in B2."""
    bench = build()
    practice = bench.practice
    for number, where in enumerate((("01", "349", "0349"), ("02", "349", "0000")), 1):
        assert bench.handle(practice.seal(practice.lot(practice.fse(number, where=where))).message).positive
    answers = {answer.sender_type: answer for answer in collected(replace(bench))}
    assert {kind: answer.sender[6:8] for kind, answer in answers.items()} == {"CT": "01", "MA": "02"}
