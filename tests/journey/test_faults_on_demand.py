"""Each fault of the receiver, one by one: no lot is lost or doubled, and no payment either.

Each test has its twin without any fault, the case "": then nothing shows. Promises A1, A4, B9 and B10.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.lots.refusal import CODES
from tests.journey.day import Day
from tools.receiver.faults import FAULTS

TWIN = ""
ACKNOWLEDGED, SENT = "ACKNOWLEDGED", "SENT"


def with_twin(*faults: str) -> pytest.MarkDecorator:
    """These faults, and the day without any."""
    return pytest.mark.parametrize("fault", [*faults, TWIN])


def begin(day: Day, fault: str) -> bool:
    """A receiver with this fault, or without any; says which."""
    day.start(*([fault] if fault else []))
    return fault != TWIN


def fired(day: Day) -> int:
    """How often faults were really in force."""
    assert day.receiver is not None
    return sum(day.receiver.faults.fired.values())


BROKEN_LINES = (
    "refuse:2",
    "reply-connect=421:2",
    "reply-connect=554:2",
    "reply-mail=451:2",
    "reply-mail=421:2",
    "reply-rcpt=450:2",
    "reply-data=452:2",
    "reply-end=451:2",
    "reply-end=421:2",
    "close-mid-message:2",
)


@with_twin(*BROKEN_LINES)
def test_the_relay_says_later(day: Day, fault: str) -> None:
    """Refused for now, at any step: the same bytes go again until they are taken, each lot once."""
    in_force = begin(day, fault)
    day.lots(2)
    day.until(day.all_are(ACKNOWLEDGED))
    assert (len(day.sent) > 2, fired(day) > 0) == (in_force, in_force)
    day.judge()


@with_twin("reply-lost:1", "reply-kept=451:1", "duplicate-delivery:1", "slow=1:1")
def test_the_lot_is_kept_more_than_once_said(day: Day, fault: str) -> None:
    """Kept, but not said so, or handed over twice: one lot, one claim; the ARL settles it."""
    in_force = begin(day, fault)
    day.lots(2)
    day.until(day.all_are(ACKNOWLEDGED))
    day.turn()
    assert (fired(day) > 0) == in_force
    assert day.receiver is not None
    assert day.receiver.ledger.rows("SELECT count(*) FROM lot") == [(2,)]
    day.judge()


@with_twin("reply-mail=550:1", "reply-rcpt=553:1", "reply-data=554:1", "reply-end=552:1")
def test_the_relay_says_never(day: Day, fault: str) -> None:
    """Refused for good: parked with the reason, nothing kept; released by a person, the same bytes arrive."""
    in_force = begin(day, fault)
    [lot] = day.lots()
    day.until(day.all_are("PARKED" if in_force else ACKNOWLEDGED))
    day.judge(parked=int(in_force))
    if in_force:
        assert fault[-5:-2] in day.practice.store.lot_list()[0].reason
        day.practice.store.release(lot.id, "the relay was mended")
        day.until(day.all_are(ACKNOWLEDGED))
        day.judge()


@with_twin("reply-kept=554:1")
def test_kept_and_refused_for_good(day: Day, fault: str) -> None:
    """The worst reply, 554 for a lot that is kept: parked for a moment, then its ARL settles it."""
    in_force = begin(day, fault)
    day.lots()
    day.until(day.all_are(ACKNOWLEDGED))
    assert (len(day.sent), fired(day)) == (1, int(in_force))
    day.judge()


def test_closed_at_any_octet(day: Day) -> None:
    """The line breaks after any number of octets, before, inside and after the message: each lot once."""
    day.start()
    assert day.receiver is not None
    [lot] = day.lots()
    day.until(day.all_are(ACKNOWLEDGED))
    whole = len(lot.message) + 200
    places = [1, 5, 30, 60, 90, 120, 150, *range(200, whole, whole // 8), whole - 30, whole - 3]
    for place in places:
        day.receiver.faults.set(f"close-at={place}:1")
        day.lots()
        day.until(day.all_are(ACKNOWLEDGED))
    assert day.receiver.faults.fired["close-at"] == len(places)
    assert len(day.sent) > len(places) + 1
    day.judge()


def test_never_closed_when_the_octets_do_not_come(day: Day) -> None:
    """The twin: a place beyond the end of everything breaks nothing."""
    day.start("close-at=99999999")
    day.lots(2)
    day.until(day.all_are(ACKNOWLEDGED))
    assert len(day.sent) == 2
    day.judge()


@with_twin("late-arl=3600:1")
def test_the_arl_is_late(day: Day, fault: str) -> None:
    """An ARL that comes an hour late is waited for: the lot stays SENT and does not go twice."""
    in_force = begin(day, fault)
    day.lots()
    day.until(day.all_are(SENT if in_force else ACKNOWLEDGED))
    for _ in range(5):
        day.turn()
    assert day.states() == [SENT if in_force else ACKNOWLEDGED]
    day.clock.advance(timedelta(hours=1))
    day.until(day.all_are(ACKNOWLEDGED))
    assert len(day.sent) == 1
    day.judge()


@with_twin("late-arl=518400:1")
def test_the_arl_is_later_than_the_law_allows(day: Day, fault: str) -> None:
    """After two working days the lot goes again and gets its ARL; the late one is then a repeat."""
    in_force = begin(day, fault)
    day.lots()
    if in_force:
        day.until(day.all_are(SENT))
        day.pass_silent_days()
    day.until(day.all_are(ACKNOWLEDGED))
    day.clock.advance(timedelta(days=6))
    day.bench.authority.renew_crls(day.clock.now())
    for _ in range(20):
        day.turn()
    assert (len(day.sent), day.seen.posted) == (1 + in_force, 1)
    day.judge()


@with_twin("drop-arl:1", "arl-wrong-digest:1", "arl-other-lot:1")
def test_the_true_arl_does_not_come(day: Day, fault: str) -> None:
    """Lost, of another digest or lot: nothing moves, and after two working days the lot goes again."""
    in_force, unmatched = begin(day, fault), int(fault.startswith("arl"))
    day.lots()
    if in_force:
        day.until(lambda: day.states() == [SENT] and day.seen.unmatched == unmatched)
        day.pass_silent_days()
    day.until(day.all_are(ACKNOWLEDGED))
    assert len(day.sent) == 1 + in_force
    day.judge(unmatched=unmatched)


@with_twin("duplicate-arl:1")
def test_the_arl_is_doubled(day: Day, fault: str) -> None:
    """An ARL that comes twice is posted once."""
    in_force = begin(day, fault)
    day.lots()
    day.until(lambda: day.seen.posted == 1 and day.seen.repeated == in_force)
    assert len(day.sent) == 1
    day.judge()


def test_the_arl_is_negative_with_any_code(day: Day) -> None:
    """Refused with any code: REJECTED says class and code; the next lot, without the fault, is accepted."""
    day.start()
    assert day.receiver is not None
    for code in CODES:
        day.receiver.faults.set(f"negative-arl={code}:1")
        day.lots(1)
        day.until(day.all_are("REJECTED"))
        reason = day.practice.store.lot_list()[0].reason
        assert f"class {CODES[code][0]}, code {code}" in reason
    day.lots(1)
    day.until(day.all_are("REJECTED", ACKNOWLEDGED))
    assert day.states() == ["REJECTED"] * len(CODES) + [ACKNOWLEDGED]
    day.judge(rejected=len(CODES))


@with_twin("stale-certificate:1")
def test_the_certificate_is_stale(day: Day, fault: str) -> None:
    """An ARL signed with an expired certificate is not believed and kept as proof; the next one is true."""
    in_force = begin(day, fault)
    day.lots()
    if in_force:
        day.until(lambda: day.seen.unreadable == 1)
        assert day.states() == [SENT]
        day.pass_silent_days()
    day.until(day.all_are(ACKNOWLEDGED))
    assert len(day.sent) == 1 + in_force
    day.judge(unmatched=int(in_force))


@with_twin(*(f"clock-shift={seconds}" for seconds in (3600, 259_200, -259_200, 2_592_000)))
def test_the_clock_is_shifted(day: Day, fault: str) -> None:
    """Hours do not matter; with days, certificates do not fit: nothing is lost, the lot goes again."""
    in_force = begin(day, fault)
    day.lots()
    day.until(lambda: settled(day))
    day.turn()
    assert day.receiver is not None
    day.receiver.faults.set()
    if day.states() == [SENT]:
        day.pass_silent_days()
    day.until(day.all_are(ACKNOWLEDGED))
    assert (len(day.sent) == 1) or in_force
    day.judge(unmatched=day.practice.store.counts().unmatched)


def settled(day: Day) -> bool:
    """The receiver has dealt with a message, and what it answers is in the mailbox."""
    assert day.receiver is not None
    queries = (
        "SELECT (SELECT count(*) FROM lot) + (SELECT count(*) FROM refusal)",
        "SELECT count(*) FROM outbox WHERE delivered_at IS NULL",
    )
    seen, waiting = (day.receiver.ledger.rows(query)[0][0] for query in queries)
    return bool(seen) and not waiting


@with_twin("late-noemie=3600:1", "duplicate-noemie:1")
def test_the_return_is_late_or_doubled(day: Day, fault: str) -> None:
    """A payment return that comes late, or twice: the sheet is PAID once, when it comes."""
    in_force = begin(day, fault)
    day.lots(2, third_party="amo")
    day.until(day.all_are(ACKNOWLEDGED))
    day.pay()
    if fault.startswith("late") and in_force:
        day.until(lambda: fired(day) == 1)
        day.turn()
        assert "PAID" not in day.sheets()
        day.clock.advance(timedelta(hours=1))
    day.until(lambda: day.sheets() == ["PAID", "PAID"])
    for _ in range(5):
        day.turn()
    assert [row.paid_amo_cents for row in day.practice.store.fse_list()] == [2100, 2100]
    assert fired(day) == in_force
    day.judge()


@with_twin("noemie-wrong-total:1", "stale-certificate:1")
def test_the_return_is_not_to_be_believed(day: Day, fault: str) -> None:
    """A wrong total, an expired certificate: nothing is posted, a person sees it; the true return pays."""
    in_force = fault != TWIN
    day.start()
    assert day.receiver is not None
    day.lots(2, third_party="amo")
    day.until(day.all_are(ACKNOWLEDGED))
    day.receiver.faults.set(*([fault] if in_force else []))
    day.pay()
    if in_force:
        day.until(lambda: day.seen.unreadable == 1)
        assert day.sheets() == ["ACCEPTED", "ACCEPTED"]
        with day.receiver.ledger.transaction():
            assert day.receiver.ledger.post_return(1, day.clock.now().timestamp())
    day.until(lambda: day.sheets() == ["PAID", "PAID"])
    assert [row.paid_amo_cents for row in day.practice.store.fse_list()] == [2100, 2100]
    day.judge(unmatched=int(in_force))


def test_two_payers_answer_for_one_sheet(day: Day) -> None:
    """Full third-party payment with a linked contract: PAID by the caisse, the share added by its insurer."""
    day.start()
    day.lots(1, third_party="full", card="vitale-complementary")
    day.until(day.all_are(ACKNOWLEDGED))
    day.pay()
    day.until(lambda: [row.paid_amc_cents for row in day.practice.store.fse_list()] == [900])
    [row] = day.practice.store.fse_list()
    assert (row.state.value, row.paid_amo_cents) == ("PAID", 2100)
    day.judge()


def test_no_fault_was_forgotten() -> None:
    """Every name that the receiver knows stands in a case of this file."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FAULTS if f'"{name}' not in text] == []
