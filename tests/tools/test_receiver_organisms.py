"""Several organisms at once: each has its own insured people, its own account and its own returns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.lots.organism import destination_of
from gateway.records.noemie_file import parse_noemie
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.listing import status, status_lines

if TYPE_CHECKING:
    from conftest import Bench

BORN = date(1980, 3, 1)
RIGHTS = ((date(2020, 1, 1), date(2030, 12, 31)),)
WHERE = {
    "general": (("01", "349", "0349"), "01-999-349"),
    "general, another caisse": (("01", "996", "0996"), "01-999-996"),
    "agricultural": (("02", "349", "0000"), "02-999-349"),
    "agricultural, code ending in 5": (("02", "345", "0000"), "02-999-341"),
    "railways": (("04", "349", "0000"), "04-999-110"),
    "military": (("08", "996", "0000"), "08-999-996"),
    "mutual of teachers": (("91", "751", "0501"), "91-999-999"),
    "mutual of the police, Paris": (("93", "751", "0123"), "93-999-123"),
    "mutual of the hospitals, Paris": (("95", "921", "0000"), "95-999-751"),
}


def nirs(count: int) -> list[str]:
    """Numbers that can belong to nobody."""
    return [f"28019626430{number:02d}" for number in range(10, 10 + count)]


@pytest.fixture
def spread(build: Callable[..., Bench]) -> tuple[Bench, dict[str, str]]:
    """A bench with one insured person at each organism, and who is where."""
    people = dict(zip(WHERE, nirs(len(WHERE)), strict=True))
    known = [
        Insured(nir, f"{BORN:%y%m%d}", RIGHTS, organism=f"{WHERE[name][1][:2]}-{WHERE[name][1][-3:]}")
        for name, nir in people.items()
    ]
    return build(people=InsuredBase(known)), people


def test_each_organism_pays_its_own(spread: tuple[Bench, dict[str, str]]) -> None:
    """One lot and one return for each organism of the routing tables, and accounts that keep them apart."""
    bench, people = spread
    practice = bench.practice
    for number, (name, nir) in enumerate(people.items(), 1):
        fses = [practice.fse(100 * number + n, nir=nir, where=WHERE[name][0]) for n in range(number)]
        assert fses[0].destination.key == WHERE[name][1]
        assert bench.handle(practice.seal(practice.lot(*fses)).message).positive
    bench.clock.advance(timedelta(days=5, seconds=1))
    answers = bench.parts.paymaster.pay_due()
    paid = {destination_of(answer.sender).key: answer.total_cents for answer in answers}
    wanted = {WHERE[name][1]: 2100 * number for number, name in enumerate(WHERE, 1)}
    assert paid == wanted
    assert all(not p.remarks and not p.rejects for answer in answers for p in answer.payments)
    accounts = status(bench.parts.ledger)["accounts"]
    assert {one["payer"]: one["paid_cents"] for one in accounts} == wanted
    assert {one["payer"]: one["invoices"] for one in accounts} == {k: v // 2100 for k, v in wanted.items()}
    assert any(line.startswith("02-999-349: 3 invoices") for line in status_lines(bench.parts.ledger))


def test_another_organism_does_not_know_them(spread: tuple[Bench, dict[str, str]]) -> None:
    """Who has changed organism is absent from the old base: paid and signalled; the new one is silent."""
    bench, people = spread
    practice, nir = bench.practice, people["agricultural"]
    for number, name in enumerate(("general", "agricultural"), 1):
        fse = practice.fse(number, nir=nir, where=WHERE[name][0])
        assert bench.handle(practice.seal(practice.lot(fse)).message).positive
    bench.clock.advance(timedelta(days=5, seconds=1))
    old, new = sorted(bench.parts.paymaster.pay_due(), key=lambda answer: answer.sender)
    assert [[remark.code for remark in answer.payments[0].remarks] for answer in (old, new)] == [
        ["0250050"],
        [],
    ]
    assert old.payments[0].amo.state == new.payments[0].amo.state == "P"


def test_a_lot_has_one_organism(spread: tuple[Bench, dict[str, str]]) -> None:
    """Two organisms in one lot are not even built; one lot each is accepted, and each is acknowledged."""
    from gateway.errors import InputError

    bench, people = spread
    practice = bench.practice
    names = ("general", "agricultural")
    fses = [practice.fse(n, nir=people[name], where=WHERE[name][0]) for n, name in enumerate(names, 1)]
    with pytest.raises(InputError, match="another destination"):
        practice.lot(*fses)
    answers = [bench.handle(practice.seal(practice.lot(fse)).message) for fse in fses]
    assert [answer.positive for answer in answers] == [True, True]
    assert [answer.arl[3:5] for answer in answers] == [b"CT", b"MA"]


def test_the_mail_comes_from_who_answers(spread: tuple[Bench, dict[str, str]]) -> None:
    """ARL and return carry the address of their organism, as the transport note writes it."""
    bench, people = spread
    practice = bench.practice
    fse = practice.fse(1, nir=people["military"], where=WHERE["military"][0])
    bench.handle(practice.seal(practice.lot(fse)).message)
    bench.clock.advance(timedelta(days=5, seconds=1))
    bench.parts.paymaster.pay_due()
    opened = [bench.open(raw) for raw in bench.deliver()]
    assert [one.envelope.sender for one in opened] == ["08996@996.08.rss.fr"] * 2
    assert parse_noemie(opened[1].payload).transfers[0].paying_organism == "0008999996"[-10:]
