"""`make demo`: five care acts go through the whole chain, on loopback, with everything real but the people.

Cards are personalised, a receiver listens on loopback, a reader with two slots is filled; each act is priced,
signed by both cards and kept; lots are sealed and sent by SMTP; ARL and NOEMIE come back and are posted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from card.issuer import IssuerError
from card.kernel.errors import ImageError
from card.personalise import load_profile
from card.profile import InsuredProfile
from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.clock import Clock, SystemClock
from gateway.delivery import collect, send_due
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender
from gateway.pipeline import bill, make_lots
from gateway.practice import Practice
from gateway.returns import opener
from gateway.store.rows import FseRow
from gateway.store.states import FseState, LotState
from reader.console import finish
from reader.errors import ReaderError
from reader.trace import Trace
from tools.bench import PRACTICE, TEST_PIN, Bench
from tools.pcscd import PcscdError
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import RunningReceiver, start_receiver
from tools.two_slots import two_slots

DOCTOR = "cps-gp-sector1"
DAY_SECONDS = 0.4
PATIENCE_SECONDS = 60.0
TRACE_LINES = 16
PLAIN_READING = ("SELECT", "READ BINARY", "GET RESPONSE")

FINAL = {FseState.PAID, FseState.PAYMENT_REJECTED, FseState.REJECTED}


@dataclass(frozen=True)
class Scene:
    """One patient's visit: the card's profile, what was done, and how to tell it."""

    profile: str
    story: str
    number: int = 1
    ald: bool = False
    third_party: str = "none"
    pathway: str = "T"

    def act(self, clock: Clock) -> CareAct:
        """Today's consultation."""
        return CareAct(
            date=legal_day(clock.now()),
            acts=(Act("G"),),
            number=self.number,
            ald=self.ald,
            third_party=self.third_party,
            pathway=self.pathway,
        )


SCENES = (
    Scene("vitale-css", "solidarity cover, third-party payment in full", third_party="full"),
    Scene("vitale-complementary", "AMO and complementary share by third-party payment", third_party="full"),
    Scene(
        "vitale-family", "one child of a family, third-party payment of the AMO share", 3, third_party="amo"
    ),
    Scene("vitale-alsace-moselle", "local scheme, third-party payment of the AMO share", third_party="amo"),
    Scene("vitale-single", "paid at the desk, but the caisse no longer knows the insured person"),
)
REFUSED = "vitale-single"

Say = Callable[[str], None]


class Demo:
    """One run. Everything lives under `root` and ends with the process."""

    def __init__(self, root: Path, policy: str, say: Say, *, pcsc: bool = False) -> None:
        self.clock = SystemClock()
        self.bench = Bench(root, self.clock, policy)
        self.say, self.pcsc = say, pcsc
        self.trace = Trace()
        self.numbers: dict[int, Scene] = {}

    def run(self) -> dict[str, int]:
        """The whole line; returns the figures of the last JSON line."""
        with ExitStack() as stack:
            self.say("personalising six cards (RSA keys, certificates, images)")
            self.bench.make_cards([DOCTOR, *(scene.profile for scene in SCENES)])
            receiver = start_receiver(self._receiver_config())
            stack.callback(receiver.stop)
            self.say(f"receiver listens on 127.0.0.1:{receiver.port}, profile {self.bench.policy}")
            practice = self.bench.practice()
            stack.enter_context(closing(practice.store))
            self._see_patients(practice, stack)
            self._deliver(practice, receiver.port)
            self._print_table(practice)
            return self._figures(practice, receiver)

    def _receiver_config(self) -> ReceiverConfig:
        overrides = self.bench.root / "caisse.toml"
        profile = load_profile(REFUSED)
        assert isinstance(profile, InsuredProfile)
        overrides.write_text(f'[[insured]]\nnir = "{profile.nir[:13]}"\nknown = false\n', encoding="utf-8")
        return ReceiverConfig(
            authority=self.bench.directory("authority"),
            state=self.bench.directory("receiver"),
            maildir=self.bench.directory("mailbox"),
            policy=self.bench.policy,
            practice=PRACTICE,
            day_seconds=DAY_SECONDS,
            overrides=overrides,
            opposition=self.bench.opposition_file,
            say=lambda text: self.say(f"receiver: {text}"),
        )

    def _see_patients(self, practice: Practice, stack: ExitStack) -> None:
        place = stack.enter_context(two_slots(self.bench, self.say, pcsc=self.pcsc))
        place.reader.observe(self.trace)
        place.insert("CPS", DOCTOR)
        desk = Desk(place.reader)
        cps = desk.unlock(TEST_PIN)
        stack.callback(desk.lock)
        self.say("CPS unlocked with its PIN")
        for scene in SCENES:
            place.insert("Vitale", scene.profile)
            with desk.vitale() as vitale:
                billed = bill(practice, cps, vitale, scene.act(self.clock))
            place.remove("Vitale")
            self.numbers[billed.number] = scene
            priced = billed.price
            self.say(
                f"FSE {billed.number} kept: {_euros(priced.charged_cents)}, AMO {_euros(priced.amo_cents)}, "
                f"AMC {_euros(priced.amc_cents)}, at the desk {_euros(priced.patient_cents)} ({scene.story})"
            )
        for lot in make_lots(practice, cps):
            self.say(
                f"lot {lot.lot_number} sealed for {lot.recipient}: {lot.count} FSE, {len(lot.message)} bytes"
            )

    def _deliver(self, practice: Practice, port: int) -> None:
        mailbox = Maildir(self.bench.directory("mailbox"))
        patience = self.clock.monotonic() + PATIENCE_SECONDS
        before: Counter[str] = Counter()
        with closing(SmtpSender("127.0.0.1", port)) as sender:
            while any(map(_is_open, practice.store.fse_list())):
                send_due(practice.store, sender, self.clock, practice.rng)
                collect(practice.store, mailbox, opener(practice), practice.id)
                states = Counter(row.state.value for row in practice.store.fse_list())
                if states != before:
                    self.say(
                        "FSE " + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
                    )
                    before = states
                if self.clock.monotonic() > patience:
                    raise GatewayError(
                        f"After {PATIENCE_SECONDS:.0f} s not every FSE is settled ({dict(states)}): "
                        "look at the lines of the receiver above."
                    )
                threading.Event().wait(0.05)

    def _print_table(self, practice: Practice) -> None:
        receipts = {lot.id: lot for lot in practice.store.lot_list()}
        print()
        for row in sorted(practice.store.fse_list(), key=lambda row: row.number):
            lot = receipts[row.lot_id] if row.lot_id else None
            scene = self.numbers.get(row.number)
            print(f"FSE {row.number}  {row.label}  {scene.story if scene else 'from an earlier run'}")
            print(
                f"  shares   charged {_euros(row.base_cents + row.excess_cents)}   "
                f"AMO {_euros(row.amo_cents)}   AMC {_euros(row.amc_cents)}   "
                f"at the desk {_euros(row.patient_cents)}"
            )
            print("  states   " + " → ".join(self._times(practice, row, "fse")))
            if lot is not None:
                print(f"  lot {lot.lot_number:<4} " + " → ".join(self._times(practice, row, "lot")))
                print(f"  ARL      {'positive' if lot.state is LotState.ACKNOWLEDGED else lot.state.value}")
            print(f"  payment  {_outcome(row)}")
        telling = [line for line in self.trace.lines() if not any(word in line for word in PLAIN_READING)]
        print(
            f"\nAPDU trace, redacted: of {len(self.trace.lines())} exchanges, the first that are not reading:"
        )
        for line in telling[:TRACE_LINES]:
            print(f"  {line}")

    @staticmethod
    def _times(practice: Practice, row: FseRow, what: str) -> list[str]:
        lines = practice.store.history(row.number)
        return [f"{line.after} {line.at:%H:%M:%S}" for line in lines if line.what == what]

    def _figures(self, practice: Practice, receiver: RunningReceiver) -> dict[str, int]:
        rows, lots = practice.store.fse_list(), practice.store.lot_list()
        states = Counter(row.state for row in rows)
        claims = receiver.ledger.rows("SELECT practitioner, number FROM claim")
        return {
            "fse": len(rows),
            "lots": len(lots),
            "arl_positive": sum(lot.state is LotState.ACKNOWLEDGED for lot in lots),
            "arl_negative": sum(lot.state is LotState.REJECTED for lot in lots),
            "paid_fse": states[FseState.PAID],
            "rejected_fse": states[FseState.PAYMENT_REJECTED] + states[FseState.REJECTED],
            "receiver_fse": len(set(claims)),
            "duplicates": len(claims) - len(set(claims)),
        }


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d} €"


def _is_open(row: FseRow) -> bool:
    """Somebody still has to answer: the caisse, or an insurer for its share by third-party payment."""
    awaits_share = row.state is FseState.PAID and row.third_party == "full" and not row.reason
    return row.state not in FINAL or (awaits_share and row.paid_amc_cents < row.amc_cents)


def _outcome(row: FseRow) -> str:
    if row.state is FseState.PAID:
        return f"paid: AMO {_euros(row.paid_amo_cents)}, AMC {_euros(row.paid_amc_cents)}"
    return f"refused by the caisse: {row.reason}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; exit code 0 when every FSE reached its end."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--policy", choices=("modern", "sesam"), default="modern", help="crypto profile")
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="keep everything in DIR (default: thrown away)"
    )
    parser.add_argument(
        "--pcsc", action="store_true", help="the cards in a serial reader, through pcscd and libccid"
    )
    options = parser.parse_args(arguments)
    clock = SystemClock()
    start = clock.monotonic()

    def say(text: str) -> None:
        print(f"{clock.monotonic() - start:6.2f} s  {text}", flush=True)

    def work() -> int:
        with tempfile.TemporaryDirectory(prefix="vitale-demo-") as temporary:
            root = options.dir or Path(temporary)
            figures = Demo(root, options.policy, say, pcsc=options.pcsc).run()
        say("everything settled")
        if options.json:
            print(json.dumps(figures))
        return 0

    refusals = (GatewayError, ReaderError, IssuerError, ImageError, PcscdError)
    return finish("demo", work, refusals, "interrupted; nothing was left running.")


if __name__ == "__main__":
    sys.exit(main())
