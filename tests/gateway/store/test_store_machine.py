"""The store against a model of a few dictionaries: whatever the order of calls, both say the same."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from gateway.errors import StoreError
from gateway.lots.sealing import SealedLot
from gateway.store.outbox import MAX_SENDS
from gateway.store.states import FSE_CHANGES, LOT_CHANGES, FseState, LotState
from tests.gateway.store.line import LEASE, PRACTICE, Line, body_of, payment, raw_of

_ON_THE_WAY = ("IN_LOT", "SENT", "ACCEPTED")


class StoreMachine(RuleBasedStateMachine):
    """Random lives of sheets and lots; the model knows states only."""

    numbers = Bundle("numbers")
    halves = Bundle("halves")
    sheets = Bundle("sheets")
    lots = Bundle("lots")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.line = self.make(Path(self.folder.name) / "var")
        self.given: list[int] = []
        self.fse: dict[int, str] = {}
        self.lot: dict[str, str] = {}
        self.inside: dict[str, list[int]] = {}
        self.sends: Counter[str] = Counter()
        self.ever_sent: set[str] = set()
        self.claimed: set[str] = set()
        self.pairs: set[tuple[int, str]] = set()

    def make(self, root: Path) -> Line:
        """The store of one life."""
        return Line(root)

    def teardown(self) -> None:
        self.line.store.verify_audit()
        self.line.store.close()
        self.folder.cleanup()

    @rule(target=numbers, count=st.integers(1, 3))
    def reserve(self, count: int) -> object:
        """Numbers are new for ever."""
        given = list(self.line.store.reserve_fse_numbers(PRACTICE, count))
        assert not set(given) & set(self.given)
        self.given += given
        return multiple(*given)

    @rule(target=sheets, number=consumes(numbers))
    def keep(self, number: int) -> int:
        """A reserved number takes one sheet."""
        self.line.store.keep_fse(self.line.fse(number))
        self.fse[number] = "SIGNED"
        return number

    @rule(target=halves, number=consumes(numbers))
    def keep_half(self, number: int) -> int:
        """A reserved number takes a sheet that waits for the CPS."""
        self.line.store.keep_fse(self.line.fse(number, waits=True))
        self.fse[number] = "AWAITING_CPS"
        return number

    @rule(target=sheets, number=consumes(halves))
    def sign(self, number: int) -> int:
        """A sheet that waits is signed, once."""
        assert number in [one.number for one in self.line.store.fse_awaiting(PRACTICE)]
        self.line.store.sign_fse(PRACTICE, number, body_of(number))
        self.fse[number] = "SIGNED"
        self.refused(lambda: self.line.store.sign_fse(PRACTICE, number, body_of(number)))
        return number

    @rule(number=consumes(sheets))
    def cancel(self, number: int) -> None:
        """What is in no lot is withdrawn, and never comes back."""
        self._withdraw(number)

    @rule(number=consumes(halves))
    def cancel_half(self, number: int) -> None:
        """So is what waits for the CPS."""
        self._withdraw(number)

    def _withdraw(self, number: int) -> None:
        self.line.store.cancel(PRACTICE, number, "by mistake")
        self.fse[number] = "CANCELLED"
        self.refused(lambda: self.line.store.cancel(PRACTICE, number, "again"))

    @rule(target=sheets, number=consumes(numbers), data=st.data())
    def rectify(self, number: int, data: st.DataObject) -> object:
        """A refused sheet gives its place to a new one; any other keeps it, and the new one is not there."""
        if not self.fse:
            return multiple()
        old = data.draw(st.sampled_from(sorted(self.fse)))
        new = self.line.fse(number, rectifies=old)
        if self.fse[old] not in ("REJECTED", "PAYMENT_REJECTED"):
            self.refused(lambda: self.line.store.keep_fse(new))
            return multiple()
        self.line.store.keep_fse(new)
        self.fse[old], self.fse[number] = "RECTIFIED", "SIGNED"
        return number

    @staticmethod
    def refused(work: Callable[[], None]) -> None:
        """The store refuses this."""
        try:
            work()
        except StoreError:
            return
        raise AssertionError("the store allowed what its tables do not have")

    @rule(number=sheets)
    def keep_again(self, number: int) -> None:
        """The same sheet again changes nothing; another one is refused."""
        self.line.store.keep_fse(self.line.fse(number))
        try:
            self.line.store.keep_fse(self.line.fse(number, body=b"another"))
        except StoreError:
            return
        raise AssertionError("a number took two sheets")

    @rule(target=lots, together=st.lists(consumes(sheets), min_size=1, max_size=3, unique=True))
    def close_lot(self, together: list[int]) -> SealedLot:
        """Sheets go into one lot under new numbers."""
        sealed = self.line.seal(together)
        pair = (sealed.lot_number, sealed.lot_date.isoformat())
        assert pair not in self.pairs
        self.pairs.add(pair)
        self.line.store.keep_lot(PRACTICE, sealed, together)
        self.lot[sealed.id], self.inside[sealed.id] = "SEALED", together
        self.move(together, "SIGNED", "IN_LOT")
        return sealed

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        """Claimed lots are SENDING; nobody gets one that is held."""
        for row in self.line.store.claim_due(self.line.clock.now(), limit, LEASE):
            assert row.id not in self.claimed
            assert self.lot[row.id] in ("SEALED", "OVERDUE", "SENDING")
            self.lot[row.id] = "SENDING"
            self.claimed.add(row.id)

    @precondition(lambda self: self.claimed)
    @rule(how=st.sampled_from(["sent", "failed", "park", "give_back"]), data=st.data())
    def tell(self, how: str, data: st.DataObject) -> None:
        """The worker says what became of a claimed lot."""
        lot_id = data.draw(st.sampled_from(sorted(self.claimed)))
        self.claimed.discard(lot_id)
        store, now = self.line.store, self.line.clock.now()
        if how == "sent":
            store.sent(lot_id, now + timedelta(days=1))
        elif how == "failed":
            store.failed(lot_id, "tired", now + timedelta(minutes=1))
        elif how == "park":
            store.park(lot_id, "refused")
        else:
            store.give_back([lot_id])
        if self.lot[lot_id] == "SENDING":
            self.told(lot_id, how)

    def told(self, lot_id: str, how: str) -> None:
        """The model's own idea of it."""
        if how == "sent":
            self.sends[lot_id] += 1
            self.ever_sent.add(lot_id)
            self.lot[lot_id] = "SENT"
            self.move(self.inside[lot_id], "IN_LOT", "SENT")
        elif how == "park":
            self.lot[lot_id] = "PARKED"
        else:
            self.lot[lot_id] = "OVERDUE" if lot_id in self.ever_sent else "SEALED"

    @rule(sealed=lots)
    def release(self, sealed: SealedLot) -> None:
        """Only a parked lot can be released."""
        try:
            self.line.store.release(sealed.id, "looked at")
        except StoreError:
            assert self.lot[sealed.id] != "PARKED"
            return
        assert self.lot[sealed.id] == "PARKED"
        self.lot[sealed.id] = "OVERDUE" if sealed.id in self.ever_sent else "SEALED"
        self.sends[sealed.id] = 0

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        """Leases and receipts run out."""
        self.line.clock.advance(timedelta(hours=hours))
        self.claimed.clear()
        for row in self.line.store.overdue(self.line.clock.now()):
            assert self.lot[row.id] == "SENT"
            self.lot[row.id] = "PARKED" if self.sends[row.id] >= MAX_SENDS else "OVERDUE"

    @rule()
    def restart(self) -> None:
        """The gateway stops and starts."""
        self.line.reopen()
        self.claimed.clear()

    @rule(
        sealed=lots,
        positive=st.booleans(),
        truth=st.sampled_from(["true", "digest", "lot_number", "file_id"]),
    )
    def receipt(self, sealed: SealedLot, positive: bool, truth: str) -> None:
        """A true receipt ends an open lot once; a false one moves nothing."""
        lies: dict[str, dict[str, object]] = {
            "true": {}, "digest": {"digest": b"\1" * 32}, "lot_number": {"lot_number": 998},
            "file_id": {"file_id": "ABCDEF"},
        }  # fmt: skip
        arl = self.line.arl(sealed, positive=positive, **lies[truth])
        outcome = self.line.store.post_receipt(
            arl, raw_of(arl) + truth.encode(), "key", PRACTICE
        ).outcome.value
        after = "ACKNOWLEDGED" if positive else "REJECTED"
        if truth != "true":
            assert outcome == "unmatched"
        elif self.lot[sealed.id] in ("ACKNOWLEDGED", "REJECTED"):
            assert outcome == ("repeated" if self.lot[sealed.id] == after else "contradicted")
        else:
            assert outcome == "posted"
            self.lot[sealed.id] = after
            self.move(self.inside[sealed.id], "IN_LOT", "SENT")
            self.move(self.inside[sealed.id], "SENT", "ACCEPTED" if positive else "REJECTED")

    @rule(sealed=lots, paid=st.booleans(), stranger=st.booleans())
    def pay(self, sealed: SealedLot, paid: bool, stranger: bool) -> None:
        """A payment moves its sheet once, and never a stranger's."""
        number = self.inside[sealed.id][0]
        said = payment(number, sealed, paid=paid, **({"lot_number": 997} if stranger else {}))
        raw = f"{number} {paid} {stranger}".encode()
        outcome = self.line.store.post_payment([said], raw, "key", PRACTICE)[0].outcome.value
        after = "PAID" if paid else "PAYMENT_REJECTED"
        if stranger:
            assert outcome == "unmatched"
        elif self.fse[number] in _ON_THE_WAY:
            assert outcome == "posted"
            self.fse[number] = after
        else:
            assert outcome == ("repeated" if self.fse[number] == after else "contradicted")

    def move(self, numbers: list[int], before: str, after: str) -> None:
        """Those that stand at `before` go to `after`."""
        for number in numbers:
            if self.fse[number] == before:
                self.fse[number] = after

    @invariant()
    def same_states(self) -> None:
        """Store and model agree on every sheet and lot, and on the totals."""
        store = self.line.store
        assert {row.number: row.state.value for row in store.fse_list(limit=1000)} == self.fse
        assert {row.id: row.state.value for row in store.lot_list(limit=1000)} == self.lot
        for counts in (store.counts(), store.counts(PRACTICE)):  # counted now, and remembered and moved on
            assert {state: n for state, n in counts.fse.items() if n} == dict(Counter(self.fse.values()))
            assert {state: n for state, n in counts.lots.items() if n} == dict(Counter(self.lot.values()))

    @invariant()
    def history_obeys_the_tables(self) -> None:
        """Each line of history is a step of the tables and starts where the one before ended."""
        for number, state in self.fse.items():
            lines = [row for row in self.line.store.history(number) if row.what == "fse"]
            assert lines[0].after in ("SIGNED", "AWAITING_CPS")
            assert lines[-1].after == state
            for one, two in pairwise(lines):
                assert one.after == two.before
                assert FseState(two.after) in FSE_CHANGES[FseState(two.before)]

    @invariant()
    def bodies_are_whole(self) -> None:
        """Every kept sheet has its bytes."""
        numbers = sorted(self.fse)
        assert self.line.store.fse_bodies(PRACTICE, numbers) == [body_of(number) for number in numbers]


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase


def test_tables_lead_somewhere() -> None:
    """Every state is reachable from the first one, and only answered lots and ended sheets are final."""
    assert _reachable(FSE_CHANGES, FseState.AWAITING_CPS) == set(FseState) - {FseState.RELAYED}
    assert _reachable(FSE_CHANGES, FseState.SIGNED) == set(FseState) - {
        FseState.RELAYED,
        FseState.AWAITING_CPS,
    }
    ended = {FseState.PAID, FseState.PAYMENT_REJECTED, FseState.CANCELLED, FseState.RECTIFIED}
    assert _reachable(FSE_CHANGES, FseState.RELAYED) == {FseState.RELAYED} | ended
    assert _reachable(LOT_CHANGES, LotState.SEALED) == set(LotState)
    assert {state for state, after in LOT_CHANGES.items() if not after} == {
        LotState.ACKNOWLEDGED,
        LotState.REJECTED,
    }


def _reachable(changes: object, start: object) -> set[object]:
    found, new = {start}, {start}
    while new:
        new = {after for state in new for after in changes[state]} - found  # type: ignore[index]
        found |= new
    return found
