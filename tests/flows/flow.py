"""A practice and its receiver in one process, on one simulated clock: what each flow does end to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.billing.request import Act
from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.care import CareAct
from gateway.clock import SimulatedClock
from gateway.delivery import collect, send_due
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.pipeline import Billed, bill, make_lots
from gateway.pki import OppositionList
from gateway.practice import Practice
from gateway.returns import opener
from gateway.store.rows import FseRow, LotRow
from gateway.store.store import Store
from reader.emulated import EmulatedReader
from tools.bench import PRACTICE, TEST_PIN, Bench
from tools.receiver.answers import Answer
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import Parts, assemble

DOCTOR, PHARMACIST = "cps-gp-sector1", "cps-pharmacist"
PROFILES = (
    DOCTOR, PHARMACIST, "cps-gp-sector2", "vitale-single", "vitale-msa", "vitale-special",
    "vitale-complementary", "vitale-css-contribution", "vitale-css-insurer", "vitale-ald-ended",
    "vitale-maternity",
)  # fmt: skip
START = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)  # a Monday


@dataclass
class Flow:
    """One practice with a reader, and a receiver that gets its mails directly."""

    bench: Bench
    clock: SimulatedClock
    practice: Practice
    reader: EmulatedReader
    desk: Desk
    config: ReceiverConfig
    parts: Parts
    answers: list[Answer] = field(default_factory=list)

    def unlock(self, profile: str = DOCTOR) -> CpsSession:
        """Put this CPS in and give its PIN."""
        self.put("CPS", profile)
        return self.desk.unlock(TEST_PIN)

    def put(self, slot: str, profile: str = "") -> None:
        """Change the card in a slot; no profile takes it out."""
        if slot == "CPS":
            self.desk.lock()
        if self.reader.slot(slot).is_present:
            self.reader.slot(slot).remove()
        if profile:
            self.reader.insert(slot, self.bench.card(profile))

    @contextmanager
    def patient(self, profile: str = "vitale-single") -> Iterator[VitaleSession]:
        """This patient's card in its slot."""
        self.put("Vitale", profile)
        with self.desk.vitale() as vitale:
            yield vitale

    def act(self, *codes: str, **changes: object) -> CareAct:
        """Care of today."""
        acts = tuple(Act(code) for code in codes or ("G",))
        return CareAct(**{"date": self.today, "acts": acts, "third_party": "amo", **changes})  # type: ignore[arg-type]

    def bill(self, profile: str = "vitale-single", **changes: object) -> Billed:
        """One secured sheet, kept."""
        with self.patient(profile) as vitale:
            return bill(self.practice, self.desk.cps, vitale, self.act(**changes))

    @property
    def today(self):  # type: ignore[no-untyped-def]
        """The day in France."""
        return legal_day(self.clock.now())

    def lots(self) -> list[LotRow]:
        """Make the lots that are due, and send them."""
        make_lots(self.practice, self.desk.cps)
        send_due(self.practice.store, self, self.clock, self.practice.rng)
        self.collect()
        return self.practice.store.lot_list()

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """The relay: the receiver has it at once."""
        self.answers.append(self.parts.receiver.handle(raw))

    def days(self, count: int) -> None:
        """Let time pass; what is due is paid, delivered and posted."""
        for _ in range(count):
            self.clock.advance(timedelta(days=1))
            self.bench.write_opposition([])
            self.practice = replace(self.practice, opposition=OppositionList.load(self.bench.opposition_file))
            self.parts.paymaster.pay_due()
            self.collect()

    def collect(self) -> None:
        """Deliver what the receiver has for the practice, and post it."""
        self.parts.postman.deliver()
        box = Maildir(self.bench.directory("mailbox"), clock=self.clock)
        collect(self.practice.store, box, opener(self.practice), PRACTICE)

    def files_say(self, overrides: str = "") -> None:
        """Change what caisses and insurers have on file (tools/receiver/insured.py), for what comes next."""
        path = self.bench.root / "overrides.toml"
        path.write_text(overrides, encoding="utf-8")
        self.parts.ledger.close()
        self.parts = assemble(replace(self.config, overrides=path))

    def row(self, number: int) -> FseRow:
        """One sheet as lists show it."""
        return next(row for row in self.practice.store.fse_list() if row.number == number)


def open_flow(root: Path, *, policy: str = "modern", profiles: Sequence[str] = ()) -> Flow:
    """A flow on a world that was made in `root`; `profiles`: what the receiver knows beside the shipped."""
    clock = SimulatedClock(START)
    bench = Bench(root, clock, policy)
    config = ReceiverConfig(
        authority=bench.directory("authority"), state=bench.directory("receiver"),
        maildir=bench.directory("mailbox"), policy=policy, practice=PRACTICE, profiles=profiles, clock=clock,
        payment_days=3, say=lambda _: None,
    )  # fmt: skip
    reader = EmulatedReader()
    store = Store(f"sqlite:///{root / 'gateway.db'}", clock)
    return Flow(bench, clock, bench.practice(store), reader, Desk(reader), config, assemble(config))


def close_flow(flow: Flow) -> None:
    """End everything of a flow."""
    flow.desk.lock()
    flow.reader.close()
    flow.practice.store.close()
    flow.parts.ledger.close()
