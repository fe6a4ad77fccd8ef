"""What pages ask of a practice's sheets: legal days, months, late payments, refusals, statements."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gateway.errors import InputError
from gateway.lots.sealing import SealedLot
from gateway.store.figures import PAYMENT_DAYS, Sums, Urgency
from gateway.store.rows import StoredShare
from tests.gateway.store.line import LEASE, PRACTICE, START, Line, payment, raw_of

TODAY = START.date()  # a Monday


def accepted(line: Line, count: int, **changes: object) -> SealedLot:
    """A lot of sheets that its caisse has accepted."""
    line.clock.advance(timedelta(seconds=1))  # no other lot has its compostage
    sealed = line.lot(count, **changes)
    line.send(sealed)
    arl = line.arl(sealed)
    line.store.post_receipt(arl, raw_of(arl), f"arl {sealed.id}", str(changes.get("practice", PRACTICE)))
    return sealed


def test_what_is_due(line: Line) -> None:
    """Late, today and soon, sheets and lots by their day, the most urgent first (promise B16)."""
    for back in (-3, 0, 1, 2, 3):
        line.keep(1, deadline=TODAY + timedelta(days=back))
    line.keep(1, deadline=TODAY - timedelta(days=9), waits=True)
    line.keep(1, practice="other", deadline=TODAY - timedelta(days=9))
    cancelled = line.keep(1, deadline=TODAY - timedelta(days=9))
    line.store.cancel(PRACTICE, cancelled[0], "by mistake")
    sealed = line.lot(1, deadline=TODAY + timedelta(days=30))
    line.store.claim_due(line.clock.now(), 9, LEASE)
    line.store.sent(sealed.id, START + timedelta(days=1))
    due = line.store.due(PRACTICE, TODAY)
    assert (due.late, due.today, due.soon) == (2, 1, 3)
    assert [(item.what, item.id, item.urgency) for item in due.items] == [
        ("fse", "6", Urgency.LATE), ("fse", "1", Urgency.LATE), ("fse", "2", Urgency.TODAY),
        ("fse", "3", Urgency.SOON), ("lot", sealed.id, Urgency.SOON), ("fse", "4", Urgency.SOON),
    ]  # fmt: skip
    few = line.store.due(PRACTICE, TODAY, limit=1)
    assert (len(few.items), few.late, few.soon) == (1, 2, 3)
    line.clock.advance(timedelta(days=4))
    line.store.overdue(line.clock.now())
    later = line.store.due(PRACTICE, TODAY + timedelta(days=4))
    [lot] = [item for item in later.items if item.what == "lot"]
    assert (lot.state, lot.urgency, lot.day) == ("OVERDUE", Urgency.LATE, TODAY + timedelta(days=1))


def test_nothing_is_overdue_in_silence(line: Line) -> None:
    """A sheet past its day is late in `due`, in the counts and in the words, until it has left."""
    line.keep(1, deadline=TODAY - timedelta(days=1))
    assert (line.store.due(PRACTICE, TODAY).late, line.store.counts(PRACTICE).late) == (1, 1)
    assert "LATE: 1 FSE" in line.store.status(PRACTICE)
    assert "LATE" not in line.store.status("other")
    sealed = line.seal([1])
    line.store.keep_lot(PRACTICE, sealed, [1])
    assert line.store.due(PRACTICE, TODAY).late == 1
    line.send(sealed)
    assert (line.store.due(PRACTICE, TODAY).late, line.store.counts(PRACTICE).late) == (0, 0)


def test_counts_of_one_practice(line: Line) -> None:
    """Each practice counts its own, the store counts all; unmatched returns belong to one mailbox."""
    line.lot(2)
    line.keep(3, practice="other", share=StoredShare(900))
    line.store.post_unreadable(b"junk", "m1", "no message", PRACTICE)
    mine, others, every = (line.store.counts(one) for one in (PRACTICE, "other", None))
    assert (mine.fse["IN_LOT"], mine.fse["SIGNED"], mine.lots["SEALED"], mine.unmatched) == (2, 0, 1, 1)
    assert (others.fse["SIGNED"], others.shares["RELAYED"], others.lots["SEALED"]) == (3, 3, 0)
    assert (every.fse["SIGNED"], every.fse["IN_LOT"], every.unmatched, others.unmatched) == (3, 2, 1, 0)
    assert len(line.store.unmatched(practice=PRACTICE)) == len(line.store.unmatched()) == 1
    assert line.store.unmatched(practice="other") == []


def test_months(line: Line) -> None:
    """Sums by month of making: asked without what is void, paid, refused, days until payment."""
    february = START - timedelta(days=20)
    sealed = accepted(line, 3, elaborated=february)
    line.clock.advance(timedelta(days=4))
    said = [payment(1, sealed), payment(2, sealed, paid=False, amo_cents=0, code="123"), payment(3, sealed)]
    line.store.post_payment(said[:2], b"noemie 1", "n1", PRACTICE)
    line.clock.advance(timedelta(days=2))
    line.store.post_payment(said[2:], b"noemie 2", "n2", PRACTICE)
    line.keep(2)
    line.store.cancel(PRACTICE, line.keep(1)[0], "by mistake")
    line.keep(4, practice="other")
    january, february_figures, march = line.store.months(PRACTICE, date(2026, 3, 20), 3)
    assert (january.first, january.sheets, january.delay_days) == (date(2026, 1, 1), 0, None)
    assert (february_figures.sheets, february_figures.refused) == (3, 1)
    assert (february_figures.amo_cents, february_figures.paid_amo_cents) == (6300, 4200)
    assert february_figures.delay_days == 25.0
    assert (march.first, march.sheets, march.base_cents) == (date(2026, 3, 1), 2, 6000)
    assert len(line.store.months(PRACTICE, date(2026, 1, 15))) == 12
    for count in (0, 37):
        with pytest.raises(InputError, match="1 to 36"):
            line.store.months(PRACTICE, TODAY, count)


def test_months_are_french(line: Line) -> None:
    """Half past eleven in the evening of a month's last day in UTC is the first of the next in Paris."""
    line.keep(1, elaborated=START.replace(month=3, day=31, hour=21, minute=30))
    line.keep(1, elaborated=START.replace(month=3, day=31, hour=22, minute=30))
    march, april = line.store.months(PRACTICE, date(2026, 4, 2), 2)
    assert (march.sheets, april.sheets) == (1, 1)


def test_late_payments(line: Line) -> None:
    """Accepted in third-party payment and not paid after so many days, both payers, the oldest first."""
    sealed = accepted(line, 2, share=StoredShare(900))
    accepted(line, 1, third_party="none")
    accepted(line, 1, practice="other")
    today = TODAY + timedelta(days=PAYMENT_DAYS)
    late = line.store.late_payments(PRACTICE, today)
    assert [(one.number, one.payer, one.cents, one.days) for one in late] == [
        (1, "amc", 900, PAYMENT_DAYS), (1, "amo", 2100, PAYMENT_DAYS),
        (2, "amc", 900, PAYMENT_DAYS), (2, "amo", 2100, PAYMENT_DAYS),
    ]  # fmt: skip
    assert line.store.late_payments(PRACTICE, today - timedelta(days=1)) == []
    line.store.post_payment([payment(1, sealed)], b"noemie", "n1", PRACTICE)
    assert [(one.number, one.payer) for one in line.store.late_payments(PRACTICE, today)] == [
        (1, "amc"), (2, "amc"), (2, "amo"),
    ]  # fmt: skip
    assert len(line.store.late_payments(PRACTICE, today, limit=1)) == 1


def test_refusals(line: Line) -> None:
    """Refused by receipt or by payment, with who and which code; gone when something takes their place."""
    refused = line.lot(1)
    line.send(refused)
    arl = line.arl(refused, positive=False)
    line.store.post_receipt(arl, raw_of(arl), "m1", PRACTICE)
    sealed = accepted(line, 2)
    line.store.post_payment(
        [payment(2, sealed, paid=False, amo_cents=0, code="0250051", text="rights closed")],
        b"noemie", "n1", PRACTICE,
    )  # fmt: skip
    found = line.store.refusals(PRACTICE)
    assert [(one.sheet.number, one.by, one.code, one.text) for one in found] == [
        (2, "payment", "0250051", "rights closed"),
        (1, "receipt", "F0101", "rejected by the receiver: class F, code 0101"),
    ]
    line.keep(1, rectifies=2)
    assert [one.sheet.number for one in line.store.refusals(PRACTICE)] == [1]
    assert line.store.refusals("other") == []


def test_the_statement_of_a_month(line: Line) -> None:
    """Asked of patient, caisse and insurer, paid, refused, still due, sheet by sheet; totals are sums."""
    sealed = accepted(line, 3, share=StoredShare(900), amc_cents=900, patient_cents=0)
    line.store.post_payment(
        [payment(1, sealed), payment(2, sealed, paid=False, amo_cents=0, code="123", text="rights closed")],
        b"noemie", "n1", PRACTICE,
    )  # fmt: skip
    complementary = payment(1, sealed, complementary=True, amo_cents=0, amc_cents=900)
    line.store.post_payment([complementary], b"noemie amc", "n2", PRACTICE)
    line.keep(1, third_party="none", patient_cents=3000)
    line.store.cancel(PRACTICE, line.keep(1)[0], "by mistake")
    line.keep(1, practitioner="810000000999")
    line.keep(1, elaborated=START + timedelta(days=40))
    whole = line.store.statement(PRACTICE, 2026, 3)
    assert [one.number for one in whole.lines] == [1, 2, 3, 4, 5, 6]
    paid, refused, open_sheet, at_desk, void, _ = (one.sums for one in whole.lines)
    assert paid == Sums(
        base_cents=3000, amo_cents=2100, amc_cents=900, paid_amo_cents=2100, paid_amc_cents=900
    )  # fmt: skip
    assert (refused.refused_cents, refused.due_cents) == (3000, 0)  # its caisse hands nothing on either
    assert (open_sheet.refused_cents, open_sheet.due_cents) == (0, 3000)
    assert (at_desk.patient_cents, at_desk.amo_cents, at_desk.due_cents) == (3000, 0, 0)
    assert void == Sums()
    assert whole.lines[1].reason.startswith("123")
    mine = line.store.statement(PRACTICE, 2026, 3, "810000000999")
    assert [one.number for one in mine.lines] == [6]
    assert whole.totals.due_cents == 3000 + 2100
    asked = whole.totals.amo_cents + whole.totals.amc_cents
    settled = whole.totals.paid_amo_cents + whole.totals.paid_amc_cents + whole.totals.refused_cents
    assert asked == settled + whole.totals.due_cents
    assert line.store.statement("other", 2026, 3).lines == ()
    with pytest.raises(InputError, match="no month 13"):
        line.store.statement(PRACTICE, 2026, 13)


def test_remembered_counts_are_the_counts(line: Line) -> None:
    """What is moved on from the last counting equals counting anew, shares and undone batches included."""

    def same() -> None:
        with line.open(read_only=True) as looking:
            assert line.store.counts(PRACTICE) == looking.counts(PRACTICE)

    same()
    sealed = line.lot(2, share=StoredShare(900))
    same()
    [number] = line.store.reserve_fse_numbers(PRACTICE, 1)
    with pytest.raises(ZeroDivisionError), line.store.batch():  # noqa: PT012 - all of it is undone
        line.store.keep_fse(line.fse(number))
        assert line.store.counts(PRACTICE).fse["SIGNED"] == 1
        raise ZeroDivisionError
    same()
    line.send(sealed)
    line.store.post_payment([payment(1, sealed)], b"noemie", "n1", PRACTICE)
    same()
    assert line.store.counts(PRACTICE).fse["PAID"] == 1
