"""`make run`: a practice with its page and a receiver on loopback, kept between runs, and a prompt beside.

Care acts can also be dropped as JSON files into the inbox folder, as practice software would do.
"""

from __future__ import annotations

import argparse
import cmd
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from card.issuer import IssuerError
from card.kernel.errors import ImageError
from card.personalise import list_outcomes, list_profiles, load_profile
from gateway.api.server import serving
from gateway.api.service import Service
from gateway.api.tokens import Tokens
from gateway.clock import SystemClock, system_rng
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.errors import GatewayError, InputError
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender
from gateway.inbox import Inbox
from gateway.office import unlock
from gateway.page.codes import Codes
from gateway.page.site import Site
from gateway.pki import OppositionList
from gateway.redact import redact
from gateway.seat import Seat
from gateway.sitting import Sitting
from reader.console import finish, plain, said
from reader.errors import ReaderError
from reader.trace import Trace
from tools.bench import PRACTICE, TEST_PIN, Bench
from tools.bench_panel import BenchPanel
from tools.pcscd import PcscdError
from tools.portal.register import CONTROLLER, Register, Seal, code_lines
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import start_receiver
from tools.two_slots import TwoSlots, two_slots

REFUSALS = (GatewayError, ReaderError, IssuerError, ImageError, PcscdError)
MAX_DAY_SECONDS = 366 * 86_400.0
SOFTWARE = "make-run"
SITTING_SHEETS = 250
"""How many sheets one PIN is good for."""

DOCTOR, PATIENT = "cps-gp-sector1", "vitale-single"
HELP = """\
  cards                     the cards that can be inserted, and what those with one outcome always bring
  insert NAME               put a Vitale or a CPS into its slot (the one inside is taken out)
  remove                    take the Vitale out
  bill CODE [none|amo|full] bill one act for the first person on the card, today
  list                      the last FSE and their states
  status                    counts, in plain words
  trace                     the last APDU exchanges, redacted
  codes                     the access codes of the web portal
  quit                      stop in good order"""


class Prompt(cmd.Cmd):
    """One line, one command. Every refusal is one sentence."""

    prompt = "vitale> "

    def __init__(self, bench: Bench, daemon: Daemon, place: TwoSlots, trace: Trace) -> None:
        super().__init__()
        self.bench, self.daemon, self.place, self.trace = bench, daemon, place, trace
        self._count = 0

    def do_help(self, arg: str) -> None:
        """The commands."""
        print(HELP)

    def do_cards(self, arg: str) -> None:
        """Profiles with a card."""
        for name in (*list_profiles(), *list_outcomes()):
            profile = load_profile(name)
            if profile.kind != "attestation":
                print(f"  {name:32} {profile.outcome.says if profile.outcome else profile.label}")

    def do_insert(self, arg: str) -> None:
        """Put a card in, made at first use."""
        kind = load_profile(arg).kind if arg in (*list_profiles(), *list_outcomes()) else ""
        if kind not in ("vitale", "cps"):
            print(f"there is no card called {arg!r}: see `cards`")
            return
        self.bench.make_cards([arg])
        if kind == "vitale":
            self.place.insert("Vitale", arg)
            return
        self.daemon.desk.lock()
        self.place.insert("CPS", arg)
        unlock(self.daemon.practice, self.daemon.desk, TEST_PIN)

    def do_remove(self, arg: str) -> None:
        """Take the Vitale out."""
        self.place.remove("Vitale")

    def do_bill(self, arg: str) -> None:
        """Drop one care act into the inbox, as practice software does."""
        code, _, third_party = arg.partition(" ")
        today = legal_day(self.bench.clock.now())
        act = {
            "date": today.isoformat(),
            "acts": [{"code": code}],
            "third_party": third_party.strip() or "none",
        }
        self._count += 1
        inbox = self.bench.directory("inbox")
        name = f"prompt-{self.bench.clock.now():%H%M%S}-{self._count}.json"
        partial = inbox / f".{name}"
        partial.write_text(json.dumps(act), encoding="utf-8")
        partial.rename(inbox / name)

    def do_codes(self, arg: str) -> None:
        """Access codes of the portal."""
        print("\n".join(f"  {line}" for line in code_lines(self.bench.directory("receiver"))))

    def do_list(self, arg: str) -> None:
        """The last FSE."""
        for row in self.daemon.practice.store.fse_list(limit=20):
            print(
                f"  FSE {row.number:6} {row.label:8} AMO {row.amo_cents / 100:8.2f} "
                f"AMC {row.amc_cents / 100:8.2f}  {row.state.value:17} {row.reason}"
            )

    def do_status(self, arg: str) -> None:
        """Counts."""
        print(self.daemon.practice.store.status())

    def do_trace(self, arg: str) -> None:
        """Exchanges with the cards."""
        print("\n".join(self.trace.lines()[-30:]))

    def do_quit(self, arg: str) -> bool:
        """End."""
        return True

    do_EOF = do_quit  # noqa: N815 - the name cmd gives to the end of input

    def onecmd(self, line: str) -> bool:
        """One command; what it cannot do is said in one sentence."""
        try:
            return super().onecmd(line)
        except REFUSALS as refusal:
            print(plain(str(refusal)))
        except OSError as problem:
            print(plain(said(problem)))
        return False

    def emptyline(self) -> bool:
        """Nothing on an empty line."""
        return False

    def default(self, line: str) -> None:
        """Unknown words."""
        print(f"unknown command {line.split(maxsplit=1)[0]!r}:\n{HELP}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more: no reason to stop working
        print(f"  · {plain(redact(text))}", flush=True)


def _serve(root: Path, policy: str, day_seconds: float, *, pcsc: bool, portal: int, api: int) -> None:
    bench = Bench(root, SystemClock(), policy)
    bench.make_cards([DOCTOR, PATIENT])
    with ExitStack() as stack:
        receiver = start_receiver(
            ReceiverConfig(
                authority=bench.directory("authority"),
                state=bench.directory("receiver"),
                maildir=bench.directory("mailbox"),
                policy=policy,
                practice=PRACTICE,
                day_seconds=day_seconds,
                opposition=bench.opposition_file,
                portal_port=portal,
                say=lambda text: _say(f"receiver: {text}"),
            )
        )
        stack.callback(receiver.stop)
        practice = bench.practice()
        stack.enter_context(closing(practice.store))
        place, trace = stack.enter_context(two_slots(bench, _say, pcsc=pcsc)), Trace()
        place.reader.observe(trace)
        place.insert("CPS", DOCTOR)
        place.insert("Vitale", PATIENT)
        desk = Desk(place.reader)
        desk.sitting = Sitting(practice.clock, timedelta(hours=12), SITTING_SHEETS)
        desk.unlock(TEST_PIN)
        seat = Seat(
            practice, desk, Inbox(bench.directory("inbox")), Maildir(bench.directory("mailbox")), _say,
            lot_after=timedelta(seconds=2),
            refresh=lambda present: replace(present, opposition=OppositionList.load(bench.opposition_file)),
        )  # fmt: skip
        daemon = Daemon([seat], SmtpSender("127.0.0.1", receiver.port), _say, pause=0.2)
        stop = threading.Event()
        thread = threading.Thread(target=daemon.run, args=(stop,), name="gateway")
        thread.start()
        stack.callback(thread.join)
        stack.callback(stop.set)
        print(f"receiver on 127.0.0.1:{receiver.port} ({policy}), one day lasts {day_seconds:g} s")
        codes = Register(Seal.beside(bench.directory("receiver"))).seal.code
        portal_at = f"http://127.0.0.1:{receiver.portal_port}/"
        print(f"portal on {portal_at} with the code {codes(PATIENT)} of {PATIENT}")
        print(f"or {codes(CONTROLLER)} of the controller; more: the command codes")
        panel = BenchPanel(
            bench, place, lambda days: receiver.advance(days, day_seconds),
            (("portal", portal_at, codes(PATIENT)),), _locks(desk), {"vitale": PATIENT, "cps": DOCTOR},
        )  # fmt: skip
        at = _page(bench, daemon, api, panel, stack)
        print(f"care acts are taken from {bench.directory('inbox')}; everything is kept in {root}\n{HELP}")
        print(at, flush=True)
        _converse(Prompt(bench, daemon, place, trace))
        print("stopping …")


def _locks(desk: Desk) -> Callable[[str], None]:
    """Before another CPS goes in, the session with the one inside ends."""
    return lambda slot: desk.lock() if slot == "CPS" else None


def _page(bench: Bench, daemon: Daemon, port: int, panel: BenchPanel, stack: ExitStack) -> str:
    """Offer the page and the HTTP API until the stack ends; says where, how to enter, and the API's token."""
    tokens = Tokens(bench.directory("tokens.json"))
    with contextlib.suppress(InputError):
        tokens.revoke(SOFTWARE)
    token = tokens.new(SOFTWARE, PRACTICE, bench.clock, system_rng)
    daemon.seats[0].has_api = True
    service, codes = Service(daemon, tokens), Codes.beside(bench.directory("tokens.json"))
    code = codes.new(PRACTICE, bench.clock, system_rng)
    site = Site(service, codes, guest=panel)
    found = stack.enter_context(serving(service, "127.0.0.1", port, site.door()))
    where = f"http://127.0.0.1:{found}"
    return (
        f"API on {where}/v1 with the token {token}\n"
        f"page on {where}/ with the code {code}\n"
        f"open it now, once, without a code: {where}{site.link(PRACTICE)}"
    )


def _converse(prompt: Prompt) -> None:
    """The prompt on a terminal; without one, wait for Ctrl-C or SIGTERM."""
    if sys.stdin.isatty():
        prompt.cmdloop()
    else:
        signal.pause()


def _interrupt(*_: object) -> None:
    """End in good order; who asks again meanwhile changes nothing."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until `quit`, Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tools.run", description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path("var/run"), help="kept between runs")
    parser.add_argument("--policy", choices=("modern", "sesam"), default="modern", help="crypto profile")
    parser.add_argument(
        "--day", type=float, default=5.0, metavar="SECONDS", help="how long a simulated day lasts"
    )
    parser.add_argument(
        "--pcsc", action="store_true", help="the cards in a serial reader, through pcscd and libccid"
    )
    parser.add_argument(
        "--portal", type=int, default=0, metavar="PORT", help="where the web portal listens (a free port)"
    )
    parser.add_argument(
        "--api",
        type=int,
        default=0,
        metavar="PORT",
        help="where the page and the gateway's HTTP API listen (a free port)",
    )
    options = parser.parse_args(arguments)
    if not 0 < options.day < MAX_DAY_SECONDS:
        parser.error("--day is a number of seconds above 0")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)

    def work() -> int:
        with contextlib.suppress(KeyboardInterrupt):
            ports = {"portal": options.portal, "api": options.api}
            _serve(options.dir, options.policy, options.day, pcsc=options.pcsc, **ports)
        print("stopped in good order; everything accepted is kept.")
        return 0

    return finish("run", work, REFUSALS)


if __name__ == "__main__":
    sys.exit(main())
