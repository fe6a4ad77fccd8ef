"""Several gateways on one PostgreSQL store: each lot and number is one gateway's, whoever is faster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import TypeVar

import pytest

from gateway.delivery import Opened, collect, send_due
from gateway.errors import StoreError
from gateway.store import postgres
from gateway.store.database import Transaction
from gateway.store.numbers import LOT
from gateway.store.rows import KeptAnswer
from gateway.store.schema import number
from gateway.store.store import Store
from tests.gateway.store.line import CAISSE, LEASE, PRACTICE, Box, Line, Relay, payment, raw_of

GATEWAYS = 3
_Result = TypeVar("_Result")


@pytest.fixture
def gateways(line_on_server: Line) -> Iterator[list[Store]]:
    """The stores of three gateways, the first of which is the line's own."""
    with ExitStack() as stack:
        others = [line_on_server.open(owner=f"gateway {n}") for n in range(1, GATEWAYS)]
        for other in others:
            stack.enter_context(closing(other))
        yield [line_on_server.store, *others]


def at_once(works: Sequence[Callable[[], _Result]]) -> list[_Result | StoreError]:
    """Run these side by side, begun together; what each gave, or how it was refused."""
    begin = threading.Barrier(len(works))

    def one(work: Callable[[], _Result]) -> _Result | StoreError:
        begin.wait(30)
        try:
            return work()
        except StoreError as refusal:
            return refusal

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def test_a_lot_is_claimed_by_one_gateway(line_on_server: Line, gateways: list[Store]) -> None:
    """Three gateways send what is due at the same time: the relay gets every lot, and each of them once."""
    sealed = [line_on_server.lot() for _ in range(24)]
    relay, clock = Relay(), line_on_server.clock

    def send(store: Store) -> int:
        total = 0
        while sent := send_due(store, relay, clock, bytes, limit=3).sent:
            total += sent
        return total

    counts = at_once([lambda store=store: send(store) for store in gateways])  # type: ignore[misc]
    assert sum(counts) == len(sealed)  # type: ignore[arg-type]
    assert sorted(raw for _, _, raw in relay.taken) == sorted(lot.message for lot in sealed)
    assert gateways[0].counts().lots["SENT"] == len(sealed)
    gateways[0].verify_audit()


def test_numbers_are_given_once(gateways: list[Store]) -> None:
    """FSE and lot numbers asked for by all gateways at once, from the first on: no gap, no number twice."""
    day = gateways[0]._database._clock.now().date()

    def reserve(store: Store) -> list[tuple[int, int, str, str]]:
        found = []
        for _ in range(8):
            lot = store.reserve_lot("new", CAISSE, day)
            found.append((store.reserve_fse_number("new"), lot.lot_number, lot.file_id, lot.compostage))
        return found

    given = at_once([lambda store=store: reserve(store) for store in gateways])  # type: ignore[misc]
    rows = [row for rows in given for row in rows]  # type: ignore[union-attr]
    for place, wanted in ((0, list(range(1, 25))), (1, list(range(1, 25)))):
        assert sorted(row[place] for row in rows) == wanted
    for place in (2, 3):
        assert len({row[place] for row in rows}) == 24


def test_a_sheet_goes_into_one_lot(line_on_server: Line, gateways: list[Store]) -> None:
    """Two gateways seal the same sheets at once: one lot is kept, the other refused, its sheets named."""
    for _ in range(4):
        numbers = line_on_server.keep(3)
        one, two = line_on_server.seal(numbers), line_on_server.seal(numbers)
        done = at_once(
            [
                lambda one=one, numbers=numbers: gateways[0].keep_lot(PRACTICE, one, numbers),  # type: ignore[misc]
                lambda two=two, numbers=numbers: gateways[1].keep_lot(PRACTICE, two, numbers[::-1]),  # type: ignore[misc]
            ]
        )
        [refused] = [answer for answer in done if answer is not None]
        assert "cannot become IN_LOT" in str(refused)
    assert gateways[0].counts().lots["SEALED"] == 4
    gateways[0].verify_audit()


def test_one_gateway_seals_at_a_time(line_on_server: Line, gateways: list[Store]) -> None:
    """All gateways make lots of what waits, at once: the first one does, the others find nothing left."""
    numbers = line_on_server.keep(3)

    def seal(store: Store) -> int:
        with store.sealing(PRACTICE):
            waiting = store.fse_waiting(PRACTICE)
            for group in waiting:
                store.keep_lot(PRACTICE, line_on_server.seal(list(group.numbers)), group.numbers)
            return len(waiting)

    assert sorted(at_once([lambda store=store: seal(store) for store in gateways])) == [0, 0, 1]  # type: ignore[misc, type-var]
    assert gateways[0].fse_of_lot(PRACTICE, gateways[0].lot_list(PRACTICE)[0].id) == numbers
    with gateways[0].sealing(PRACTICE), gateways[1].sealing("other"):
        pass


def test_a_sheet_is_kept_once(line_on_server: Line, gateways: list[Store]) -> None:
    """The same sheet, or two sheets under one number, from two gateways at once: one is kept."""
    for body in (None, b"another"):
        [given] = line_on_server.store.reserve_fse_numbers(PRACTICE, 1)
        same = line_on_server.fse(given)
        other = same if body is None else line_on_server.fse(given, body=body)
        done = at_once([lambda: gateways[0].keep_fse(same), lambda: gateways[1].keep_fse(other)])  # noqa: B023
        refused = [str(answer) for answer in done if answer is not None]
        assert len(refused) == (body is not None)
        assert all("already used by another sheet" in sentence for sentence in refused)
    assert len(gateways[0].fse_list(PRACTICE)) == 2
    assert [line.after for line in gateways[0].history(1, PRACTICE)] == ["SIGNED"]


def test_one_answer_per_key(gateways: list[Store]) -> None:
    """Two gateways answer a request under one idempotency key: one answer is kept, the other refused."""
    answer = KeptAnswer(PRACTICE, "software", "key", bytes(32), 201, b"{}")
    done = at_once([lambda store=store: store.keep_answer(answer) for store in gateways])  # type: ignore[misc]
    codes = [refusal.code for refusal in done if isinstance(refusal, StoreError)]
    assert codes == ["key-reused"] * (GATEWAYS - 1)


def test_a_return_is_posted_once(line_on_server: Line, gateways: list[Store]) -> None:
    """All gateways collect the same receipt and the same payments at once: each is posted by one of them."""
    sealed = line_on_server.lot(3)
    line_on_server.send(sealed)
    arl = line_on_server.arl(sealed)
    payments = [payment(n, sealed) for n in (1, 2, 3)]
    for opened in (Opened(raw_of(arl), receipts=[arl]), Opened(b"noemie", payments=payments)):
        boxes = [Box({"a": b"mail"}) for _ in gateways]
        done = at_once(
            [
                lambda pair=pair, opened=opened: collect(pair[0], pair[1], lambda _: opened, PRACTICE)  # type: ignore[misc]
                for pair in zip(gateways, boxes, strict=True)
            ]
        )
        posted = [found.posted for found in done]  # type: ignore[union-attr]
        assert sorted(posted) == [0] * (GATEWAYS - 1) + [max(posted)]
        assert max(posted) == (len(opened.payments) or 1)
        assert all(not box.waiting for box in boxes)
    store = gateways[0]
    assert len(store.receipts(PRACTICE, sealed.id)) == 1
    assert len(store.payments(PRACTICE)) == 3
    assert [line.after for line in store.history(2, PRACTICE) if line.what == "fse"][-2:] == [
        "ACCEPTED",
        "PAID",
    ]
    store.verify_audit()


def test_only_ones_own_claims_come_back(line_on_server: Line, gateways: list[Store]) -> None:
    """A gateway that starts takes up what its name had claimed; another's claims it leaves alone."""
    sealed, clock = line_on_server.lot(), line_on_server.clock
    assert len(gateways[1].claim_due(clock.now(), 5, LEASE)) == 1
    line_on_server.reopen()
    assert line_on_server.store.claim_due(clock.now(), 5, LEASE) == []
    gateways[1].close()
    with line_on_server.open(owner="gateway 1") as again:
        assert [row.id for row in again.claim_due(clock.now(), 5, LEASE)] == [sealed.id]
    clock.advance(LEASE)
    assert [row.id for row in line_on_server.store.claim_due(clock.now(), 5, LEASE)] == [sealed.id]


@pytest.mark.parametrize("word", ["failed", "park", "give_back", "sent"])
def test_the_word_of_a_gateway_that_was_too_slow(
    line_on_server: Line, gateways: list[Store], word: str
) -> None:
    """Its lease ended and another took the lot: only that the relay took it still counts, and once."""
    slow, other = gateways[:2]
    sealed, clock = line_on_server.lot(), line_on_server.clock
    slow.claim_due(clock.now(), 1, LEASE)
    clock.advance(LEASE)
    assert len(other.claim_due(clock.now(), 1, LEASE)) == 1
    later = clock.now() + timedelta(days=3)
    {
        "failed": lambda: slow.failed(sealed.id, "tired", later),
        "park": lambda: slow.park(sealed.id, "refused"),
        "give_back": lambda: slow.give_back([sealed.id]),
        "sent": lambda: slow.sent(sealed.id, later),
    }[word]()
    assert line_on_server.lot_state(sealed.id) == ("SENT" if word == "sent" else "SENDING")
    other.sent(sealed.id, later)
    [row] = other.lot_list(PRACTICE)
    assert (row.state, row.sends, row.attempts) == ("SENT", 1, 0)
    with pytest.raises(StoreError, match="nobody claimed it"):
        (slow if word == "sent" else other).sent(sealed.id, later)


def test_two_gateways_need_two_names(line_on_server: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second gateway under a name at work is refused in one sentence; under its own it works; then free."""
    monkeypatch.setattr(postgres, "NAME_SECONDS", 1)
    with pytest.raises(StoreError, match="under the name desk: stop that one first, or give") as refused:
        line_on_server.open()
    assert refused.value.code == "in-use"
    line_on_server.open(owner="another").close()
    line_on_server.open(read_only=True).close()
    line_on_server.reopen()


def test_a_gateway_without_a_name_gets_its_own(line_on_server: Line) -> None:
    """Names that nobody chose differ, and say nothing of the host."""
    with ExitStack() as stack:
        stores = [stack.enter_context(line_on_server.open(owner="")) for _ in range(2)]
        assert len({store.owner for store in stores}) == 2
        assert all(store.owner.startswith("gateway-") for store in stores)


def holding(first: str, second: str, met: threading.Barrier) -> Callable[[Transaction], None]:
    """A step that takes one counter, waits until the other step has its own, and wants that one as well."""
    tries = []

    def work(tx: Transaction) -> None:
        tries.append(1)
        tx.run(number.update().where(number.c.kind == first).values(last=number.c.last + 1))
        if len(tries) == 1:
            met.wait(30)
        tx.run(number.update().where(number.c.kind == second).values(last=number.c.last + 1))

    return work


def test_steps_that_hold_each_other_up(line_on_server: Line, gateways: list[Store]) -> None:
    """A deadlock costs one of two steps its turn, and it is done again: both are kept, once."""
    line_on_server.store.reserve_lot(PRACTICE, CAISSE, line_on_server.clock.now().date())
    met = threading.Barrier(2)
    works = (holding("file", "mail", met), holding("mail", "file", met))
    done = at_once(
        [
            lambda store=store, work=work: store._database.do("audit", work)  # type: ignore[misc]
            for store, work in zip(gateways, works, strict=False)
        ]
    )
    assert done == [None, None]
    given = {(row.kind, row.last) for row in gateways[0].numbers_given()}
    assert given == {(LOT, 1), ("file", 3), ("mail", 3)}


def test_a_batch_that_was_held_up_keeps_nothing(line_on_server: Line, gateways: list[Store]) -> None:
    """A batch is not done again by itself: it says that nothing of it was kept, and its caller decides."""
    line_on_server.store.reserve_lot(PRACTICE, CAISSE, line_on_server.clock.now().date())
    met = threading.Barrier(2)

    def batch(store: Store, work: Callable[[Transaction], None]) -> None:
        with store.batch():
            store.audit("begun", "1")
            store._database.do("audit", work)

    works = (holding("file", "mail", met), holding("mail", "file", met))
    done = at_once(
        [
            lambda store=store, work=work: batch(store, work)  # type: ignore[misc]
            for store, work in zip(gateways, works, strict=False)
        ]
    )
    [refused] = [answer for answer in done if answer is not None]
    assert refused.code == "conflict"
    assert "nothing of this step was kept, try again" in str(refused)
    begun = [record for record in gateways[0].audit_records() if record.entry.what == "begun"]
    assert len(begun) == 1
    gateways[0].verify_audit()


def test_chains_that_begin_at_once(gateways: list[Store]) -> None:
    """All gateways write the first records of the same practices at once: one chain each, and all hold."""
    names = [f"practice {n}" for n in range(6)]

    def write(store: Store, order: Sequence[str]) -> None:
        with store.batch():
            for name in order:
                store.audit("seen", f"{name}/1", practice=name)

    orders = (names, names[::-1], names[3:] + names[:3])
    at_once([lambda s=s, o=o: write(s, o) for s, o in zip(gateways, orders, strict=True)])  # type: ignore[misc]
    assert gateways[0].verify_audit() == len(names) * (GATEWAYS + 1)
    assert gateways[0].verify_audit(names[0]) == len(names) + GATEWAYS
    assert {len(gateways[0].audit_records(name)) for name in names} == {GATEWAYS}


def test_threads_share_one_store(line_on_server: Line) -> None:
    """More threads than the pool has connections: each waits for its turn, and every sheet is kept."""

    def work() -> None:
        for _ in range(3):
            line_on_server.keep()

    assert at_once([work] * (postgres.CONNECTIONS + 4)) == [None] * (postgres.CONNECTIONS + 4)
    assert line_on_server.store.counts().fse["SIGNED"] == 3 * (postgres.CONNECTIONS + 4)
