"""python -m tools.receiver: serve the mock national side, and ask its ledger."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType

from card.issuer import IssuerError
from card.profile_toml import ProfileError
from gateway.errors import GatewayError, StoreError
from reader.console import finish, plain
from tools.receiver.faults import FAULTS
from tools.receiver.ledger import LEDGER_FILE, Ledger

MAX_SPAN = 366 * 86_400.0
MAX_LINES = 100_000


def main(arguments: list[str] | None = None) -> int:
    """0 done, 1 refused with one sentence, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    return finish("receiver", lambda: int(options.work(options)), (GatewayError, IssuerError, ProfileError))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.receiver", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _serve_options(commands.add_parser("serve", help="receive lots by SMTP on loopback until Ctrl-C"))
    status = _state_command(commands, "status", "count lots, invoices, payments")
    status.set_defaults(work=_status)
    lots = _state_command(commands, "lots", "list lots and refused messages, newest first")
    lots.add_argument("--limit", type=_count, default=20, help="at most this many of each (20)")
    lots.set_defaults(work=_lots)
    arl = _state_command(commands, "arl", "read the ARL of one mail, for people or for programs")
    arl.add_argument("compostage", help="the 19 digits of the mail that brought the lot")
    arl.add_argument("--json", action="store_true", help="one JSON object a line")
    arl.set_defaults(work=_arl)
    codes = _state_command(commands, "codes", "show the access codes of the web portal")
    codes.add_argument(
        "--profile", action="append", default=[], metavar="NAME|FILE", help="as given to serve"
    )
    codes.set_defaults(work=_codes)
    advance = _state_command(commands, "advance", "bring the payments still to come nearer")
    advance.add_argument("--days", type=_span, default=5, help="how many days (5)")
    advance.add_argument("--day", type=_span, default=86_400, metavar="SECONDS", help="as given to serve")
    advance.set_defaults(work=_advance)
    return parser


def _serve_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--authority", type=Path, required=True, metavar="DIR", help="made by python -m tools.pki")
    add("--state", type=Path, required=True, metavar="DIR", help="where the ledger lives")
    add("--maildir", type=Path, required=True, metavar="DIR", help="the practice's mailbox")
    add("--host", default="127.0.0.1", help="a loopback address (127.0.0.1)")
    add("--port", type=int, default=2525, help="SMTP port, 0 for a free one (2525)")
    add("--api", type=int, metavar="PORT", help="listen for the local API there, 0 for a free port (no API)")
    add(
        "--portal", type=int, metavar="PORT", help="listen for the web portal there, 0 for a free port (none)"
    )
    add("--policy", choices=("modern", "sesam"), default="modern", help="crypto profile (modern)")
    add("--practice", default="practice", help="whose encryption certificate answers are sealed to")
    add(
        "--parties", action="store_true",
        help="each organism and insurer has its own encryption certificate, and reads only its own mail",
    )  # fmt: skip
    add("--directory", type=Path, metavar="FILE", help="TOML: several practices, by sender number")
    add("--day", type=_span, default=86_400, metavar="SECONDS", help="how long a simulated day lasts")
    add("--profile", action="append", default=[], metavar="NAME|FILE", help="a card profile the caisse knows")
    add("--overrides", type=Path, metavar="FILE", help="TOML: what the caisse knows differently")
    add("--opposition", type=Path, metavar="FILE", help="opposition list of Vitale cards")
    known = "; ".join(f"{name}: {what}" for name, what in FAULTS.items())
    add("--fault", action="append", default=[], metavar="NAME[=VALUE][:COUNT]", help=known)
    parser.set_defaults(work=_serve)


def _state_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text)
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="where the ledger lives")
    return parser


def _span(text: str) -> float:
    """Days, or seconds of a day: a number that a calendar can take."""
    value = float(text)
    if not 0 <= value <= MAX_SPAN:
        raise argparse.ArgumentTypeError(f"give a number from 0 to {MAX_SPAN:g}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= MAX_LINES:
        raise argparse.ArgumentTypeError(f"give a number from 1 to {MAX_LINES}")
    return value


def _serve(options: argparse.Namespace) -> int:
    from tools.pki import Authority  # noqa: PLC0415
    from tools.receiver.api import TOKEN_FILE  # noqa: PLC0415
    from tools.receiver.config import ReceiverConfig  # noqa: PLC0415
    from tools.receiver.service import start_receiver  # noqa: PLC0415

    ended = threading.Event()
    _end_on_signals(ended)
    config = ReceiverConfig(
        authority=options.authority,
        state=options.state,
        maildir=options.maildir,
        host=options.host,
        port=options.port,
        api_port=options.api,
        portal_port=options.portal,
        policy=options.policy,
        practice=options.practice,
        parties=options.parties,
        directory=options.directory,
        day_seconds=options.day,
        profiles=options.profile,
        overrides=options.overrides,
        opposition=options.opposition,
        faults=options.fault,
        say=_say,
    )
    Authority.load(options.authority).renew_crls(config.clock.now())
    running = start_receiver(config)
    print(f"receiver: {options.policy}, listening on {options.host} port {running.port}", flush=True)
    if running.api_port is not None:
        token = options.state / TOKEN_FILE
        print(
            f"receiver: API on http://{options.host}:{running.api_port}, token in {plain(str(token))}",
            flush=True,
        )
    if running.portal_port is not None:
        print(f"receiver: portal on http://{options.host}:{running.portal_port}/", flush=True)
    ended.wait()
    running.stop()
    print("receiver: ended, everything received is in the ledger", flush=True)
    return 0


def _say(line: str) -> None:
    with suppress(OSError):  # nobody reads any more: no reason to stop serving
        print(plain(line), flush=True)


def _end_on_signals(ended: threading.Event) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # who asks again to stop changes nothing
            signal.signal(number, signal.SIG_IGN)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _status(options: argparse.Namespace) -> int:
    from tools.receiver.listing import status_lines  # noqa: PLC0415

    with _ledger(options.state) as ledger:
        print(*status_lines(ledger), sep="\n")
    return 0


def _lots(options: argparse.Namespace) -> int:
    from tools.receiver.listing import lot_lines, refusal_lines  # noqa: PLC0415

    with _ledger(options.state) as ledger:
        for line in (*lot_lines(ledger, options.limit), *refusal_lines(ledger, options.limit)):
            print(line)
    return 0


def _arl(options: argparse.Namespace) -> int:
    from tools.receiver.listing import arls  # noqa: PLC0415
    from tools.receiver.reading import arl_json, arl_lines  # noqa: PLC0415

    with _ledger(options.state) as ledger:
        for arl in arls(ledger, options.compostage):
            print(json.dumps(arl_json(arl)) if options.json else "\n".join(arl_lines(arl)))
    return 0


def _codes(options: argparse.Namespace) -> int:
    from tools.portal.register import code_lines  # noqa: PLC0415

    print(*code_lines(options.state, options.profile), sep="\n")
    return 0


def _advance(options: argparse.Namespace) -> int:
    with _ledger(options.state) as ledger:
        moved = ledger.advance(options.days * options.day)
    print(f"{moved} payments are {options.days:g} days nearer; a running receiver returns those that are due")
    return 0


def _ledger(state: Path) -> Ledger:
    path = state / LEDGER_FILE
    if not path.exists():
        raise StoreError(f"{state}: no ledger here; give the --state of a receiver that has served")
    return Ledger(path)


if __name__ == "__main__":
    sys.exit(main())
