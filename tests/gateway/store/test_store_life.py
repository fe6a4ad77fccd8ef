"""The life of sheets and lots in the store: states, numbers, idempotency, refusals."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, timedelta

import pytest

from gateway.errors import InputError, StoreError
from gateway.records.arl import ArlReject
from gateway.store.outbox import MAX_SENDS
from gateway.store.rows import Outcome
from tests.gateway.store.line import CAISSE, LEASE, PRACTICE, Line, body_of, payment, raw_of


def test_whole_life(line: Line) -> None:
    """A sheet goes from SIGNED to PAID and its lot from SEALED to ACKNOWLEDGED, each step in the history."""
    sealed = line.lot(2)
    line.send(sealed)
    arl = line.arl(sealed)
    assert line.store.post_receipt(arl, raw_of(arl), "m1", PRACTICE).outcome is Outcome.POSTED
    line.store.post_payment([payment(1, sealed)], b"noemie", "m2", PRACTICE)
    assert (line.fse_state(1), line.fse_state(2)) == ("PAID", "ACCEPTED")
    assert line.lot_state(sealed.id) == "ACKNOWLEDGED"
    after = [row.after for row in line.store.history(1) if row.what == "fse"]
    assert after == ["SIGNED", "IN_LOT", "SENT", "ACCEPTED", "PAID"]
    lot_after = [row.after for row in line.store.history(1) if row.what == "lot"]
    assert lot_after == ["SEALED", "SENDING", "SENT", "ACKNOWLEDGED"]


def test_kept_bytes_come_back(line: Line) -> None:
    """The bytes of a sheet come back as they were kept, in the order asked; the mail too."""
    sealed = line.lot(3)
    assert line.store.fse_bodies(PRACTICE, [3, 1]) == [body_of(3), body_of(1)]
    assert line.store.claim_due(line.clock.now(), 5, LEASE)[0].message == sealed.message


def test_keeping_twice_changes_nothing(line: Line) -> None:
    """The same sheet or lot again is recognised; other bytes under the same number are refused."""
    sealed = line.lot(1)
    before = line.store.audit_records()
    line.store.keep_fse(line.fse(1))
    line.store.keep_lot(PRACTICE, sealed, [1])
    assert line.store.audit_records() == before
    with pytest.raises(StoreError, match="already used by another sheet"):
        line.store.keep_fse(line.fse(1, body=b"other"))
    with pytest.raises(StoreError, match="other bytes"):
        line.store.keep_lot(PRACTICE, replace(sealed, message=b"other"), [1])


def test_only_reserved_numbers(line: Line) -> None:
    """A sheet or a lot under numbers that were not reserved here is refused; reserved ones are kept."""
    with pytest.raises(StoreError, match="was not reserved"):
        line.store.keep_fse(line.fse(1))
    numbers = line.keep()
    sealed = line.seal(numbers)
    with pytest.raises(StoreError, match="not reserved here"):
        line.store.keep_lot(PRACTICE, replace(sealed, lot_number=77), numbers)
    line.store.keep_lot(PRACTICE, sealed, numbers)


def test_numbers_never_come_back(line: Line) -> None:
    """Numbers go on after the store was closed, and every practice has its own."""
    first = [line.store.reserve_fse_number(PRACTICE) for _ in range(3)]
    line.reopen()
    assert first == [1, 2, 3]
    assert list(line.store.reserve_fse_numbers(PRACTICE, 2)) == [4, 5]
    assert line.store.reserve_fse_number("other") == 1


def test_lot_numbers_wrap_but_pairs_do_not_repeat(line: Line) -> None:
    """After 999 comes 001; on one day the 1000th lot is refused, on the next day it is lot 001."""
    day = date(2026, 3, 2)
    first = line.store.reserve_lots(PRACTICE, [CAISSE] * 999, day)
    assert [one.lot_number for one in first] == list(range(1, 1000))
    with pytest.raises(StoreError, match="wait for the next day"):
        line.store.reserve_lot(PRACTICE, CAISSE, day)
    after = line.store.reserve_lot(PRACTICE, CAISSE, day + timedelta(days=1))
    assert (after.lot_number, after.file_id) == (1, "001000")
    every = [*first, after]
    assert len({one.compostage for one in every}) == len({one.file_id for one in every}) == 1000


def test_a_day_that_comes_back_gives_no_pair_twice(line: Line) -> None:
    """A clock that went back a day cannot make the store give a pair of lot number and day again."""
    day = date(2026, 3, 2)
    line.store.reserve_lots(PRACTICE, [CAISSE] * 5, day)
    line.store.reserve_lots(PRACTICE, [CAISSE] * 994, day + timedelta(days=1))
    assert line.store.reserve_lot(PRACTICE, CAISSE, day).lot_number == 6


def test_groups_share_what_a_lot_must_share(line: Line) -> None:
    """Waiting sheets are grouped by practitioner, destination and family, the most urgent group first."""
    line.keep(2)
    line.keep(1, destination="01-999-996", deadline=date(2026, 3, 5))
    line.keep(1, mode=5)
    groups = line.store.fse_waiting(PRACTICE)
    assert [(group.destination, group.family, group.numbers) for group in groups] == [
        ("01-999-996", "signed", (3,)), (CAISSE, "degraded", (4,)), (CAISSE, "signed", (1, 2)),
    ]  # fmt: skip
    assert line.store.fse_waiting("nobody") == []


def test_a_sheet_is_in_one_lot_only(line: Line) -> None:
    """A sheet that is in a lot is refused by another lot, and so are mixed or uncounted sheets."""
    line.lot(1)
    with pytest.raises(StoreError, match="cannot become IN_LOT"):
        line.store.keep_lot(PRACTICE, line.seal([1]), [1])
    mixed = [*line.keep(1), *line.keep(1, destination="01-999-996")]
    with pytest.raises(StoreError, match="mixes destinations"):
        line.store.keep_lot(PRACTICE, line.seal(mixed), mixed)
    with pytest.raises(StoreError, match="build the lot again"):
        line.store.keep_lot(PRACTICE, line.seal(mixed), mixed[:1])


def test_claimed_lots_come_back_when_the_lease_ends(line: Line) -> None:
    """A claimed lot is left alone during its lease and comes back after it, and at once after a restart."""
    sealed = line.lot()
    assert [row.id for row in line.store.claim_due(line.clock.now(), 9, LEASE)] == [sealed.id]
    assert line.store.claim_due(line.clock.now(), 9, LEASE) == []
    line.clock.advance(LEASE)
    assert [row.id for row in line.store.claim_due(line.clock.now(), 9, LEASE)] == [sealed.id]
    line.reopen()
    assert [row.id for row in line.store.claim_due(line.clock.now(), 9, LEASE)] == [sealed.id]


def test_new_lots_go_before_old_failures(line: Line) -> None:
    """A lot that failed does not hold up one that was never tried."""
    old = line.lot()
    line.store.claim_due(line.clock.now(), 1, LEASE)
    line.store.failed(old.id, "relay is tired", line.clock.now())
    line.clock.advance(timedelta(seconds=1))
    fresh = line.lot()
    assert [row.id for row in line.store.claim_due(line.clock.now(), 1, LEASE)] == [fresh.id]
    row = line.store.claim_due(line.clock.now(), 1, LEASE)[0]
    assert (row.id, row.attempts, row.reason) == (old.id, 1, "relay is tired")


def test_given_back_lots_count_no_attempt(line: Line) -> None:
    """A claimed lot that was not tried is due again at once with nothing held against it."""
    sealed = line.lot()
    line.store.claim_due(line.clock.now(), 1, LEASE)
    line.store.give_back([sealed.id])
    row = line.store.claim_due(line.clock.now(), 1, LEASE)[0]
    assert (row.id, row.attempts) == (sealed.id, 0)


def test_parked_lots_stay_until_released(line: Line) -> None:
    """A parked lot keeps its reason and its bytes, is not sent, and goes again when a person releases it."""
    sealed = line.lot()
    line.store.claim_due(line.clock.now(), 1, LEASE)
    line.store.park(sealed.id, "550 no such organism")
    line.clock.advance(timedelta(days=30))
    assert line.store.claim_due(line.clock.now(), 1, LEASE) == []
    assert "PARKED: 550 no such organism" in line.store.status()
    line.store.release(sealed.id, "the address is right again")
    assert line.store.claim_due(line.clock.now(), 1, LEASE)[0].message == sealed.message


def test_only_the_right_lot_is_told_or_released(line: Line) -> None:
    """A lot that nobody claimed takes no answer, and only a parked lot is released."""
    sealed = line.lot()
    now = line.clock.now()
    for tell in (lambda: line.store.sent(sealed.id, now), lambda: line.store.failed(sealed.id, "no", now)):
        with pytest.raises(StoreError, match="nobody claimed it"):
            tell()
    for refused_in in ("SEALED", "SENDING", "SENT"):
        assert line.lot_state(sealed.id) == refused_in
        with pytest.raises(StoreError, match="only a parked lot"):
            line.store.release(sealed.id, "by mistake")
        if refused_in == "SEALED":
            line.store.claim_due(now, 1, LEASE)
        elif refused_in == "SENDING":
            line.store.sent(sealed.id, now)
    with pytest.raises(StoreError, match="nobody claimed it"):
        line.store.failed(sealed.id, "too late", now)
    line.store.park(sealed.id, "by hand")
    line.store.sent(sealed.id, now)
    assert line.lot_state(sealed.id) == "PARKED"
    line.store.release(sealed.id, "on purpose")


def test_silence_makes_a_lot_overdue_and_then_parked(line: Line) -> None:
    """A lot without receipt is due again with the same bytes; after five sends a person must look."""
    sealed = line.lot()
    for send in range(1, MAX_SENDS + 1):
        row = line.store.claim_due(line.clock.now(), 1, LEASE)[0]
        assert row.message == sealed.message
        line.store.sent(sealed.id, line.clock.now() + timedelta(days=3))
        assert line.store.overdue(line.clock.now()) == []
        line.clock.advance(timedelta(days=3))
        states = [late.state.value for late in line.store.overdue(line.clock.now())]
        assert states == (["OVERDUE"] if send < MAX_SENDS else ["PARKED"])


@pytest.mark.parametrize("before", ["SEALED", "SENDING", "SENT", "OVERDUE", "PARKED"])
@pytest.mark.parametrize("positive", [True, False])
def test_a_good_receipt_is_believed_in_every_open_state(line: Line, before: str, positive: bool) -> None:
    """A receipt that names our digest ends the lot wherever it stands, and its sheet with it."""
    sealed = line.lot()
    if before != "SEALED":
        line.store.claim_due(line.clock.now(), 1, LEASE)
    if before in ("SENT", "OVERDUE"):
        line.store.sent(sealed.id, line.clock.now())
    if before == "OVERDUE":
        line.store.overdue(line.clock.now())
    if before == "PARKED":
        line.store.park(sealed.id, "refused")
    assert line.lot_state(sealed.id) == before
    arl = line.arl(sealed, positive=positive)
    line.store.post_receipt(arl, raw_of(arl), "m", PRACTICE)
    assert line.lot_state(sealed.id) == ("ACKNOWLEDGED" if positive else "REJECTED")
    assert line.fse_state(1) == ("ACCEPTED" if positive else "REJECTED")
    line.clock.advance(timedelta(days=9))
    assert line.store.claim_due(line.clock.now(), 9, LEASE) == []


def test_a_receipt_faster_than_the_relay(line: Line) -> None:
    """When the receipt is posted before the relay's answer, the answer changes no state any more."""
    sealed = line.lot()
    line.store.claim_due(line.clock.now(), 1, LEASE)
    arl = line.arl(sealed)
    line.store.post_receipt(arl, raw_of(arl), "m", PRACTICE)
    line.store.sent(sealed.id, line.clock.now())
    line.store.failed(sealed.id, "reply lost", line.clock.now())
    assert line.lot_state(sealed.id) == "ACKNOWLEDGED"


@pytest.mark.parametrize(
    "lie",
    [
        {"digest": bytes(32)}, {"lot_number": 998}, {"file_id": "999999"}, {"compostage": "1" * 19},
        {"lot_date": date(2026, 1, 1)},
    ],
)  # fmt: skip
def test_a_receipt_for_something_else_moves_nothing(line: Line, lie: dict[str, object]) -> None:
    """An ARL with one wrong number or digest is kept, shown and moves no lot; the true one does."""
    sealed = line.lot()
    line.send(sealed)
    false, true = line.arl(sealed, **lie), line.arl(sealed)
    for _ in range(2):
        assert line.store.post_receipt(false, raw_of(false), "m1", PRACTICE).outcome is Outcome.UNMATCHED
    assert line.lot_state(sealed.id) == "SENT"
    assert (line.store.counts().unmatched, len(line.store.unmatched())) == (1, 1)
    assert line.store.post_receipt(true, raw_of(true), "m2", PRACTICE).outcome is Outcome.POSTED


def test_a_mail_that_could_not_be_opened(line: Line) -> None:
    """A class E receipt names the mail, not the file: ours is rejected by it, no other digest does."""
    sealed = line.lot()
    line.send(sealed)
    seen = {"error_class": "E", "error_code": "1000", "file_id": "000000", "lot_number": 0}
    false = line.arl(sealed, positive=False, **seen, digest=sealed.digest)
    assert line.store.post_receipt(false, b"E of another mail", "m1", PRACTICE).outcome is Outcome.UNMATCHED
    assert line.lot_state(sealed.id) == "SENT"
    true = line.arl(sealed, positive=False, **seen, digest=hashlib.sha256(sealed.message).digest())
    assert line.store.post_receipt(true, b"E of our mail", "m2", PRACTICE).outcome is Outcome.POSTED
    assert line.lot_state(sealed.id) == "REJECTED"


def test_receipts_are_posted_once(line: Line) -> None:
    """The same receipt again, or in a new envelope, changes nothing; an opposite one waits for a person."""
    sealed = line.lot()
    line.send(sealed)
    arl, opposite = line.arl(sealed), line.arl(sealed, positive=False)
    assert line.store.post_receipt(arl, raw_of(arl), "m1", PRACTICE).outcome is Outcome.POSTED
    assert line.store.post_receipt(arl, raw_of(arl), "m2", PRACTICE).outcome is Outcome.REPEATED
    assert line.store.post_receipt(arl, b"new envelope", "m3", PRACTICE).outcome is Outcome.REPEATED
    assert line.store.post_receipt(opposite, raw_of(opposite), "m4", PRACTICE).outcome is Outcome.CONTRADICTED
    assert line.lot_state(sealed.id) == "ACKNOWLEDGED"
    assert line.store.unmatched()[0].outcome == "contradicted"


def test_payments_are_posted_once(line: Line) -> None:
    """Paid and rejected lines move their sheets once; strangers and contradictions wait for a person."""
    sealed = line.lot(3)
    line.send(sealed)
    arl = line.arl(sealed)
    line.store.post_receipt(arl, raw_of(arl), "m", PRACTICE)
    rejected = payment(2, sealed, paid=False, amo_cents=0, code="2900005", text="FACTURE DEJA PAYEE")
    lines = [payment(1, sealed), rejected, payment(3, sealed, deferred=True), payment(9, sealed)]
    outcomes = [one.outcome.value for one in line.store.post_payment(lines, b"file", "k", PRACTICE)]
    assert outcomes == ["posted", "posted", "deferred", "unmatched"]
    again = [one.outcome.value for one in line.store.post_payment(lines, b"file", "k", PRACTICE)]
    assert again == ["repeated", "repeated", "repeated", "unmatched"]
    assert [line.fse_state(number) for number in (1, 2, 3)] == ["PAID", "PAYMENT_REJECTED", "ACCEPTED"]
    row = next(row for row in line.store.fse_list() if row.number == 2)
    assert row.reason == "2900005 FACTURE DEJA PAYEE"
    other = [
        one.outcome.value
        for one in line.store.post_payment([replace(lines[0], paid=False)], b"2", "k", PRACTICE)
    ]
    assert other == ["contradicted"]


def test_a_payment_proves_what_a_lost_receipt_did_not_say(line: Line) -> None:
    """A payment for a sheet whose receipt was lost moves it through ACCEPTED to PAID."""
    sealed = line.lot()
    line.send(sealed)
    line.store.post_payment([payment(1, sealed)], b"file", "k", PRACTICE)
    assert [row.after for row in line.store.history(1) if row.what == "fse"][-2:] == ["ACCEPTED", "PAID"]
    wrong_day = payment(1, sealed, lot_date=date(2020, 1, 1))
    assert line.store.post_payment([wrong_day], b"3", "k", PRACTICE)[0].outcome is Outcome.UNMATCHED


def test_unreadable_messages_are_kept(line: Line) -> None:
    """A message that nobody could open is kept once, counted and shown with its reason."""
    assert line.store.post_unreadable(b"noise", "k1", "not a mail")
    assert not line.store.post_unreadable(b"noise", "k2", "not a mail")
    shown = line.store.unmatched()
    assert [(one.reason, one.message_key) for one in shown] == [("not a mail", "k1")]


def test_late_sheets_are_said_aloud(line: Line) -> None:
    """A sheet past its legal day and not sent is counted and named in the status; a sent one is not."""
    line.keep(1)
    sealed = line.lot(1)
    line.send(sealed)
    assert line.store.counts().late == 0
    line.clock.advance(timedelta(days=20))
    assert line.store.counts().late == 1
    assert "LATE: 1 FSE" in line.store.status()


def test_history_of_an_unknown_or_ambiguous_number(line: Line) -> None:
    """Asking for a number that nobody has, or that two practices have, says so in one sentence."""
    with pytest.raises(InputError, match="not in the store"):
        line.store.history(1)
    line.keep(1)
    line.keep(1, practice="other")
    with pytest.raises(InputError, match="say which of cabinet, other"):
        line.store.history(1)
    assert line.store.history(1, "other")[0].after == "SIGNED"


def test_batch_is_all_or_nothing(line: Line) -> None:
    """Several steps share one transaction; a refusal inside undoes them all, even when it is caught."""
    numbers = line.store.reserve_fse_numbers(PRACTICE, 3)
    with line.store.batch():
        line.store.keep_fse(line.fse(numbers[0]))
        line.store.keep_fse(line.fse(numbers[1]))
    with pytest.raises(StoreError, match="nothing of this batch"):
        _batch_with_a_caught_refusal(line, numbers)
    assert line.store.counts().fse["SIGNED"] == 2
    with pytest.raises(StoreError, match="before the batch begins"), line.store.batch():
        line.store.reserve_fse_number(PRACTICE)
    line.store.verify_audit()


def _batch_with_a_caught_refusal(line: Line, numbers: range) -> None:
    with line.store.batch():
        line.store.keep_fse(line.fse(numbers[2]))
        with pytest.raises(StoreError, match="already used"):
            line.store.keep_fse(line.fse(numbers[0], body=b"other"))


def test_bodies_are_forgotten_after_ninety_days(line: Line) -> None:
    """What ended is forgotten after its legal time, what is still open is not, and 89 days are refused."""
    ended, waiting = line.lot(1, third_party="none"), line.lot(1)
    for sealed in (ended, waiting):
        line.send(sealed)
        arl = line.arl(sealed)
        line.store.post_receipt(arl, raw_of(arl), "m", PRACTICE)
    assert line.store.forget_bodies(line.clock.now()) == 0
    line.clock.advance(timedelta(days=91))
    with pytest.raises(StoreError, match="90 days"):
        line.store.forget_bodies(line.clock.now(), days=89)
    assert line.store.forget_bodies(line.clock.now()) == 1 + 2 + 2
    assert line.store.fse_bodies(PRACTICE, [2]) == [body_of(2)]
    with pytest.raises(StoreError, match="not in the store"):
        line.store.fse_bodies(PRACTICE, [1])
    assert len(line.store.history(1)) > 4


def test_an_insurers_share_is_added_once(line: Line) -> None:
    """The caisse pays AMO, the insurer its share, in any order: both stand, nothing is added twice."""
    sealed = line.lot(2)
    line.send(sealed)
    amo = [payment(number, sealed, amc_cents=0) for number in (1, 2)]
    amc = [replace(one, amo_cents=0, amc_cents=900, complementary=True) for one in amo]
    for lines, name in (([amc[0]], b"1"), (amo, b"2"), ([amc[1]], b"3"), (amc, b"4"), (amc, b"4")):
        outcomes = [one.outcome.value for one in line.store.post_payment(lines, name, "k", PRACTICE)]
        assert outcomes == (["repeated"] * 2 if name == b"4" else ["posted"] * len(lines))
    rows = {row.number: row for row in line.store.fse_list()}
    assert [(row.state.value, row.paid_amo_cents, row.paid_amc_cents) for row in rows.values()] == [
        ("PAID", 2100, 900)
    ] * 2
    stranger = replace(amc[0], number=9)
    assert line.store.post_payment([stranger], b"5", "k", PRACTICE)[0].outcome is Outcome.UNMATCHED


def test_an_insurer_that_refuses_leaves_what_is_paid(line: Line) -> None:
    """The share refused by its insurer, or not handed on by the caisse: PAID stays, the reason is said."""
    sealed = line.lot(2)
    line.send(sealed)
    no_link = payment(1, sealed, amc_cents=0, code="0250062", text="PAS DE LIAISON")
    line.store.post_payment([no_link, payment(2, sealed, amc_cents=0)], b"1", "k", PRACTICE)
    refused = payment(2, sealed, amo_cents=0, paid=False, code="0900001", text="REFUSEE", complementary=True)
    assert line.store.post_payment([refused], b"2", "k", PRACTICE)[0].outcome is Outcome.POSTED
    rows = {row.number: row for row in line.store.fse_list()}
    assert [(rows[n].state.value, rows[n].paid_amo_cents, rows[n].reason) for n in (1, 2)] == [
        ("PAID", 2100, "0250062 PAS DE LIAISON"),
        ("PAID", 2100, "0900001 REFUSEE"),
    ]


def test_a_share_of_a_sheet_that_was_refused(line: Line) -> None:
    """An insurer that pays for a REJECTED sheet contradicts its receipt: a person looks at it."""
    sealed = line.lot()
    line.send(sealed)
    arl = line.arl(sealed, positive=False)
    line.store.post_receipt(arl, raw_of(arl), "m", PRACTICE)
    share = payment(1, sealed, amo_cents=0, amc_cents=900, complementary=True)
    assert line.store.post_payment([share], b"1", "k", PRACTICE)[0].outcome is Outcome.CONTRADICTED


def test_a_refused_lot_says_why(line: Line) -> None:
    """The reason kept with lot and sheets has the code, the place and the words of the first 902."""
    sealed = line.lot()
    line.send(sealed)
    reject = ArlReject(3, 1, 80, "F", "2007", "THE DATE OF THE CARE IS NOT A DAY OF THE CALENDAR")
    arl = line.arl(sealed, positive=False, rejects=(reject,))
    line.store.post_receipt(arl, raw_of(arl), "m", PRACTICE)
    [row] = line.store.lot_list()
    assert row.reason.endswith(
        "(invoice 1, record 3, position 80): THE DATE OF THE CARE IS NOT A DAY OF THE CALENDAR"
    )
    assert line.store.fse_list()[0].reason == row.reason
