"""Once and only once: repeats get the stored ARL, other content is refused, no invoice is paid twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.errors import StoreError
from gateway.records.noemie_file import parse_noemie
from tools.receiver.core import Receiver

if TYPE_CHECKING:
    from conftest import Bench

DAYS = timedelta(days=5, seconds=1)


def test_the_same_lot_again_gets_the_same_arl(bench: Bench) -> None:
    """A repeat is answered by the stored ARL, byte for byte, and changes nothing in the ledger."""
    raw = bench.practice.message(1, 2)
    first = bench.handle(raw)
    bench.clock.advance(timedelta(days=3))
    again = [bench.handle(raw) for _ in range(3)]
    assert {(answer.arl, answer.message, answer.positive) for answer in again} == {
        (first.arl, first.message, True)
    }
    assert [answer.repeated for answer in (first, *again)] == [False, True, True, True]
    assert bench.rows("SELECT count(*) FROM lot") == [(1,)]
    assert bench.rows("SELECT count(*) FROM claim") == [(2,)]
    assert set(bench.deliver()) == {first.message}


def test_the_same_lot_sealed_anew_is_the_same_lot(bench: Bench) -> None:
    """Identity is the lot's, not the envelope's: another encryption of the same file is a repeat."""
    lot = bench.practice.lot(bench.practice.fse(1))
    first, again = (bench.handle(bench.practice.seal(lot).message) for _ in range(2))
    assert again.repeated
    assert again.message == first.message


def test_the_same_id_with_other_content_is_refused(bench: Bench) -> None:
    """Same sender, file and compostage, other invoices: negative D, an alarm, and the first lot stays."""
    practice = bench.practice
    numbers = practice.numbers()
    first = bench.handle(practice.seal(practice.lot(practice.fse(1), numbers=numbers)).message)
    raw = practice.seal(practice.lot(practice.fse(2), numbers=numbers)).message
    other, repeated = bench.handle(raw), bench.handle(raw)
    assert first.positive
    assert (other.positive, other.error_class, other.code, other.alarm) == (False, "D", "3003", True)
    assert repeated.arl == other.arl
    assert bench.rows("SELECT number FROM claim") == [(1,)]


def test_a_lot_number_is_used_once(bench: Bench) -> None:
    """The same lot number and date under another file id is refused; the next number is accepted."""
    practice = bench.practice
    numbers = practice.numbers(1)
    fresh = practice.numbers(2)
    again = replace(numbers, file_id=fresh.file_id, compostage=fresh.compostage)
    answers = [
        bench.handle(practice.seal(practice.lot(practice.fse(number), numbers=numbers)).message)
        for number, numbers in ((1, numbers), (2, again), (2, practice.numbers(3)))
    ]
    assert [(answer.positive, answer.code) for answer in answers] == [(True, ""), (False, "3004"), (True, "")]


def test_an_invoice_is_paid_once(bench: Bench) -> None:
    """The same invoice number in a later lot is rejected 2900 005 in the return, and paid only once."""
    practice = bench.practice
    fse = practice.fse(7)
    for _ in range(3):
        assert bench.handle(practice.seal(practice.lot(fse)).message).positive
    bench.clock.advance(DAYS)
    [answer] = bench.parts.paymaster.pay_due()
    codes = [reject.code for payment in answer.payments for reject in payment.rejects]
    assert codes == ["2900005", "2900005"]
    assert [payment.paid_cents for payment in answer.payments] == [2100, 0, 0]
    assert answer.total_cents == 2100


def test_repeats_in_one_group(bench: Bench) -> None:
    """Repeats and double invoices that share one transaction are found there too."""
    practice = bench.practice
    receiver: Receiver = bench.parts.receiver
    fse = practice.fse(3)
    one = practice.seal(practice.lot(fse)).message
    two = practice.seal(practice.lot(fse)).message
    answers = receiver.record([receiver.examine(raw) for raw in (one, two, one, b"junk", b"junk")])
    assert [answer.positive for answer in answers] == [True, True, True, False, False]
    assert [answer.repeated for answer in answers] == [False, False, True, False, True]
    assert bench.rows("SELECT decision, amo_paid FROM claim ORDER BY id") == [("P", 2100), ("R", 0)]


def test_an_invoice_without_third_party_is_rejected_when_it_comes_twice(bench: Bench) -> None:
    """Without third-party payment the first yields no line, the second a reject line."""
    practice = bench.practice
    fse = practice.fse(4, third_party="none")
    for _ in range(2):
        bench.handle(practice.seal(practice.lot(fse)).message)
    bench.clock.advance(DAYS)
    [answer] = bench.parts.paymaster.pay_due()
    assert [payment.rejects[0].code for payment in answer.payments] == ["2900005"]


def test_a_failing_disk_keeps_nothing_and_promises_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that cannot write raises, nothing of the group is kept, and the same message works later."""
    raw = bench.practice.message(1)
    with monkeypatch.context() as patch:

        def full(*_: object) -> int:
            raise StoreError("ledger: the disk is full; make room")

        patch.setattr(bench.parts.ledger, "keep_lot", full)
        with pytest.raises(StoreError):
            bench.handle(raw)
    assert bench.rows("SELECT count(*) FROM lot") == [(0,)]
    assert bench.rows("SELECT count(*) FROM outbox") == [(0,)]
    answer = bench.handle(raw)
    assert (answer.positive, answer.repeated) == (True, False)


def test_ledger_itself_forbids_a_second_payment(bench: Bench) -> None:
    """Even a faulty receiver could not pay twice: the unique index and the check of the table refuse it."""
    bench.handle(bench.practice.message(1))
    copy = (
        "INSERT INTO claim (lot, record, payer, origin, payee, practitioner, number, first, decision, code,"
        " amo_paid, amc_paid, detail)"
        " SELECT lot, record, payer, origin, payee, practitioner, number, ?, decision, code, amo_paid,"
        " amc_paid, detail FROM claim"
    )
    for first in (1, 0):
        with pytest.raises(StoreError, match="nothing was kept"), bench.parts.ledger.transaction():
            bench.rows(copy, first)
    assert bench.rows("SELECT count(*) FROM claim") == [(1,)]


def test_state_survives_a_restart(build: Callable[..., Bench]) -> None:
    """A receiver opened again on the same ledger knows the lot, gives the same ARL and pays what was due."""
    bench = build()
    raw = bench.practice.message(1)
    first = bench.handle(raw)
    bench.parts.ledger.close()
    later = build(state=next(bench.maildir.parent.glob("state0")))
    again = later.handle(raw)
    later.clock.advance(DAYS)
    [answer] = later.parts.paymaster.pay_due()
    assert (again.repeated, again.message) == (True, first.message)
    assert answer.total_cents == 2100
    mails = [later.open(raw).payload for raw in later.deliver()]
    assert [parse_noemie(mail).total_cents for mail in mails if mail[47:49] == b"NO"] == [2100]
