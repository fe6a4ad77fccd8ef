"""Isolation: what a practice sees is what it would see if it were alone, whatever the other practices do.

Random histories of two practices are played in one store, with the same numbers, the same returned bytes, the
same keys and each other's receipts. Every method that takes a practice must answer as in a store where only
its own history was played; and nothing that the other practice wrote may stand in the answer.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from gateway.errors import GatewayError, StoreError
from gateway.lots.sealing import SealedLot
from gateway.store.rows import KeptAnswer, StoredShare
from gateway.store.store import Store
from tests.gateway.store import servers
from tests.gateway.store.line import LEASE, START, Line, payment, raw_of

PRACTICES = ("cab", "cabinet")  # the one's id begins like the other's
DAY = START.date()
WRITES = {
    "reserve_fse_number", "reserve_fse_numbers", "reserve_lot", "reserve_lots", "keep_lot", "sign_fse",
    "cancel", "twin_written", "keep_place", "post_receipt", "post_payment", "post_unreadable", "audit",
    "verify_audit", "sealing",
}  # fmt: skip


class World:
    """One store in which histories are played; `mine`: whose steps are played, None for everybody's."""

    def __init__(self, line: Line, mine: str | None) -> None:
        self.line, self.mine = line, mine
        self.lots: dict[str, list[SealedLot]] = {practice: [] for practice in PRACTICES}

    def play(self, practice: str, step: str, which: int) -> None:
        """One step; what the store refuses is refused in every world alike."""
        if step == "send":
            for row in self.line.store.claim_due(self.line.clock.now(), 100, LEASE):
                self.line.store.sent(row.id, self.line.clock.now() + timedelta(days=1))
        elif self.mine in (None, practice):
            with suppress(StoreError):
                getattr(self, f"_{step}")(practice, which)

    def _keep(self, practice: str, which: int) -> None:
        changes: dict[str, object] = [
            {}, {"waits": True, "twin": f"twin of {practice}".encode()},
            {"act": f"act of {practice}".encode()},
            {"share": StoredShare(900, "amc-1", f"amc@{practice}.test", f"DRE of {practice}".encode())},
        ][which % 4]  # fmt: skip
        body = f"body of {practice}".encode()
        self.line.keep(
            practice=practice,
            practitioner=f"doctor of {practice}",
            label=f"G {practice}",
            body=body,
            **changes,
        )

    def _close(self, practice: str, which: int) -> None:
        groups = self.line.store.fse_waiting(practice)
        group = groups[which % len(groups)] if groups else None
        if group is not None:
            demands = group.family == "dre"
            sealed = self.line.seal(list(group.numbers), practice)
            sealed = replace(sealed, id=f"{sealed.id}-{practice}", sender=f"{practice}@practice.test")
            self.line.store.keep_lot(practice, sealed, group.numbers, demands=demands)
            self.lots[practice].append(sealed)

    def _receipt(self, practice: str, which: int) -> None:
        """A receipt about a lot of its own, or (odd) about the other's that has strayed into its mailbox."""
        whose = practice if which % 2 == 0 else next(one for one in PRACTICES if one != practice)
        made = self.lots[whose] or [None]
        sealed = made[which % len(made)]
        if whose != practice:
            # In the world of one practice there is no such lot: it answers for what nobody knows there.
            sealed = self._strange(which)
        if sealed is not None:
            arl = self.line.arl(sealed, positive=which % 3 != 0)
            self.line.store.post_receipt(arl, raw_of(arl), f"key of {practice}", practice)

    def _strange(self, which: int) -> SealedLot:
        """The first lot that the other practice makes: its numbers follow from its place alone."""
        content = b"strange"
        mail = f"{START:%Y%m%d%H%M%S}{which % 3 + 1:05d}"
        place = which % 3 + 1
        return SealedLot(
            "x",
            place,
            DAY,
            f"{place:06d}",
            mail,
            1,
            "a@b.test",
            "c@d.test",
            sha256(content).digest(),
            content,
        )

    def _pay(self, practice: str, which: int) -> None:
        """The same bytes for both practices: a return that names numbers which both of them have."""
        made = self.lots[practice]
        if made:
            said = [payment(n, made[which % len(made)], paid=which % 3 != 1, text=practice) for n in (1, 2)]
            self.line.store.post_payment(said, b"the same bytes", f"key of {practice}", practice)

    def _junk(self, practice: str, which: int) -> None:
        self.line.store.post_unreadable(b"junk %d" % (which % 2), f"key of {practice}", practice, practice)

    def _cancel(self, practice: str, which: int) -> None:
        self.line.store.cancel(practice, which % 3 + 1, f"reason of {practice}")

    def _sign(self, practice: str, which: int) -> None:
        self.line.store.sign_fse(practice, which % 3 + 1, f"body of {practice} signed".encode())
        self.line.store.twin_written(practice, which % 3 + 1)

    def _beside(self, practice: str, which: int) -> None:
        answer = KeptAnswer(practice, "client", f"key {which % 2}", bytes(32), 200, practice.encode())
        self.line.store.audit("seen", f"{practice}/desk", practice=practice)
        self.line.store.keep_place(practice, "place", f"place of {practice}".encode())
        self.line.store.keep_answer(answer)


STEPS = ("keep", "close", "send", "receipt", "pay", "junk", "cancel", "sign", "beside")


def seen(store: Store, practice: str, lots: Sequence[str] = ()) -> dict[str, object]:
    """What every question of a practice answers, without the places that all practices share.

    `lots`: the ids of every lot that there is, its own or not.
    """
    numbers = range(1, 6)
    every: dict[str, Callable[[], object]] = {
        "fse_waiting": lambda: store.fse_waiting(practice),
        "fse_bodies": lambda: [tried(store.fse_bodies, practice, [n]) for n in numbers],
        "demand_insurer": lambda: [store.demand_insurer(practice, n) for n in numbers],
        "demand_recipient": lambda: [store.demand_recipient(practice, n) for n in numbers],
        "fse_awaiting": lambda: store.fse_awaiting(practice),
        "check_rectifiable": lambda: [tried(store.check_rectifiable, practice, n) for n in numbers],
        "act_of": lambda: [tried(store.act_of, practice, n) for n in numbers],
        "twin_of": lambda: [tried(store.twin_of, practice, n) for n in numbers],
        "twins_unwritten": lambda: store.twins_unwritten(practice),
        "place_of": lambda: store.place_of(practice, "place"),
        "kept_answer": lambda: [store.kept_answer(practice, "client", f"key {n}") for n in range(3)],
        "audit_records": lambda: [record.entry for record in store.audit_records(practice)],
        "fse_list": lambda: store.fse_list(practice),
        "lot_list": lambda: store.lot_list(practice),
        "fse": lambda: [tried(store.fse, practice, n) for n in numbers],
        "lot": lambda: [tried(store.lot, practice, lot) for lot in lots],
        "fse_of_lot": lambda: [store.fse_of_lot(practice, lot) for lot in lots],
        "receipts": lambda: [store.receipts(practice, lot) for lot in lots],
        "payments": lambda: store.payments(practice),
        "payments_of": lambda: [store.payments_of(practice, n) for n in numbers],
        "changes_after": lambda: [replace(change, place=0) for change in store.changes_after(practice, 0)],
        "audit_of": lambda: [record.entry for record in store.audit_of(practice)],
        "history": lambda: [tried(store.history, n, practice) for n in numbers],
        "unmatched": lambda: store.unmatched(practice=practice),
        "counts": lambda: store.counts(practice),
        "status": lambda: store.status(practice),
        "fse_page": lambda: store.fse_page(practice).rows,
        "lot_page": lambda: store.lot_page(practice).rows,
        "payments_matched": lambda: store.payments_matched(practice).rows,
        "due": lambda: store.due(practice, DAY),
        "months": lambda: store.months(practice, DAY, 2),
        "late_payments": lambda: store.late_payments(practice, DAY + timedelta(days=60)),
        "refusals": lambda: store.refusals(practice),
        "statement": lambda: store.statement(practice, DAY.year, DAY.month),
    }
    return {name: ask() for name, ask in every.items()}


def tried(ask: Callable[..., object], *given: object) -> object:
    """The answer, or the sentence of a refusal."""
    try:
        return ask(*given)
    except GatewayError as refusal:
        return str(refusal)


@contextmanager
def worlds(kind: str) -> Iterator[list[World]]:
    """One world for both practices, and one for each of them alone."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        made = []
        for mine in (None, *PRACTICES):
            root = Path(folder) / str(mine)
            line = Line(root) if kind == "sqlite" else servers.line_on_postgres(root)
            made.append(World(line, mine))
        try:
            yield made
        finally:
            for world in made:
                world.line.store.close()
                if kind != "sqlite":
                    servers.drop(world.line)


MANY, FEW = 20, 5
HISTORY = st.lists(
    st.tuples(st.sampled_from(PRACTICES), st.sampled_from(STEPS), st.integers(0, 11)), min_size=4, max_size=25
)


def judge(kind: str, history: list[tuple[str, str, int]]) -> None:
    """Play one history in three worlds and compare."""
    with worlds(kind) as (both, *alone):
        for world in (both, *alone):
            for practice in PRACTICES:
                world.play(practice, "keep", 0)
            for step in history:
                world.play(*step)
        lots = [lot.id for practice in PRACTICES for lot in both.lots[practice]]
        for world, other in zip(alone, ("of cabinet", "of cab'"), strict=True):
            assert world.mine is not None
            shared = seen(both.line.store, world.mine, lots)
            for name, own in seen(world.line.store, world.mine, lots).items():
                assert shared[name] == own, name
            assert other not in repr(shared).replace('"', "'")
            both.line.store.verify_audit(world.mine)


@settings(max_examples=MANY, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=HISTORY)
def test_a_practice_is_as_if_alone(history: list[tuple[str, str, int]]) -> None:
    """On SQLite, random histories of two practices do not touch each other."""
    judge("sqlite", history)


@settings(max_examples=FEW, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=HISTORY)
def test_a_practice_is_as_if_alone_on_a_server(history: list[tuple[str, str, int]]) -> None:
    """The same on PostgreSQL."""
    judge("postgresql", history)


def test_every_question_is_asked(tmp_path: Path) -> None:
    """Whatever method takes a practice is either tried above or writes; a new one has to be added."""
    methods = {
        name
        for name, method in inspect.getmembers(Store, inspect.isfunction)
        if not name.startswith("_") and "practice" in inspect.signature(method).parameters
    }
    line = Line(tmp_path / "var")
    tried_above = set(seen(line.store, PRACTICES[0]))
    line.store.close()
    assert methods == tried_above | WRITES


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_receipt_in_the_wrong_mailbox(kind: str) -> None:
    """A true receipt that came to another practice moves nothing and waits for a person; at home it works."""
    with worlds(kind) as (both, *_):
        line, (one, other) = both.line, PRACTICES
        sealed = line.lot(practice=one)
        line.send(sealed)
        arl = line.arl(sealed)
        assert line.store.post_receipt(arl, raw_of(arl), "key", other).outcome == "unmatched"
        assert line.lot_state(sealed.id) == "SENT"
        assert (len(line.store.unmatched(practice=other)), line.store.unmatched(practice=one)) == (1, [])
        assert line.store.post_receipt(arl, raw_of(arl), "key", one).outcome == "posted"
        assert line.lot_state(sealed.id) == "ACKNOWLEDGED"
