"""vitale-gateway: bill care acts, run the gateway, look at it. One sentence says what is wrong."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import GatewayError, InputError
from reader.console import finish, plain
from reader.errors import ReaderError

if TYPE_CHECKING:
    from threading import Event

    from gateway.cards.cps import CpsSession
    from gateway.config import Config
    from gateway.daemon import Daemon
    from gateway.desk import Desk
    from gateway.practice import Practice
    from gateway.secret import Secret
    from gateway.store.store import Store

SETTINGS = "vitale-gateway.toml"
MAX_PIN_LINE = 256


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 refused with one sentence, 2 wrong usage, 130 interrupted."""

    def work() -> int:
        options = _parser().parse_args(arguments)
        chosen: Callable[[argparse.Namespace], int] = options.work
        return chosen(options)

    refusals = (GatewayError, ReaderError)
    return finish("vitale-gateway", work, refusals, "interrupted; what was accepted is kept.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vitale-gateway", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    init = commands.add_parser("init", help=f"write an example {SETTINGS} into a folder")
    init.add_argument("folder", nargs="?", type=Path, default=Path(), help="where (default: here)")
    init.set_defaults(work=_init)
    price = commands.add_parser("price", help="price one care request offline: who pays what, and why")
    price.add_argument("request", metavar="FILE", help="the request, one JSON object; - reads standard input")
    price.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    price.set_defaults(work=_price)
    bill = commands.add_parser("bill", help="bill one care act: price, sign with both cards, keep")
    bill.add_argument("act", type=Path, metavar="ACT.json", help="the care act, one JSON object")
    serve = commands.add_parser("serve", help="take care acts, make lots, send, collect, until stopped")
    status = commands.add_parser("status", help="what is kept, sent, acknowledged, paid, refused")
    status.add_argument("--json", action="store_true", help="one JSON object")
    release = commands.add_parser(
        "release", help="put a parked lot back into the queue: the same bytes again"
    )
    release.add_argument("lot", metavar="LOT", help="its id, as status shows it")
    sign = commands.add_parser("sign", help="the CPS signs every FSE that waits for it (desynchronised)")
    rectify = commands.add_parser("rectify", help="make a refused FSE anew, under a new number")
    cancel = commands.add_parser("cancel", help="withdraw an FSE that is in no lot yet")
    paper = commands.add_parser("paper", help="print the paper twin of an FSE made without a Vitale")
    for command, what in ((rectify, "refused"), (cancel, "kept"), (paper, "kept")):
        command.add_argument("number", type=int, metavar="NUMBER", help=f"the number of the {what} FSE")
    rectify.add_argument("act", type=Path, nargs="?", metavar="ACT.json", help="the corrected care act")
    for command, work in (
        (bill, _bill),
        (serve, _serve),
        (status, _status),
        (release, _release),
        (sign, _sign),
        (rectify, _rectify),
        (cancel, _cancel),
        (paper, _paper),
    ):
        command.add_argument("--config", type=Path, default=Path(SETTINGS), metavar="FILE", help="settings")
        command.set_defaults(work=work)
    for command in (bill, serve, sign, rectify):
        ways = command.add_mutually_exclusive_group()
        ways.add_argument(
            "--pin-stdin",
            action="store_true",
            help="read the PIN from standard input, never from an argument",
        )
        ways.add_argument(
            "--pin-pad", action="store_true", help="the PIN is typed on the reader's own pad, unseen here"
        )
        if command is serve:
            ways.add_argument(
                "--pin-later", action="store_true", help="the PIN is given later, through the HTTP API"
            )
    _add_token(commands)
    return parser


def _add_token(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`token new NAME`, `token list`, `token revoke NAME`."""
    token = commands.add_parser("token", help="who may use the HTTP API: new, list, revoke")
    actions = token.add_subparsers(required=True, metavar="ACTION")
    for action, what in (
        ("new", "make a token for one practice software and print it, once"),
        ("list", "names, practices and days of the tokens"),
        ("revoke", "take a token back"),
    ):
        one = actions.add_parser(action, help=what)
        if action != "list":
            one.add_argument("name", metavar="NAME", help="the name of the software")
        if action == "new":
            one.add_argument("--practice", metavar="ID", help="another practice of this store")
        one.add_argument("--config", type=Path, default=Path(SETTINGS), metavar="FILE", help="settings")
        one.set_defaults(work=_token, action=action)


def _init(options: argparse.Namespace) -> int:
    from gateway.config import example_config  # noqa: PLC0415

    target: Path = options.folder / SETTINGS
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(example_config())
    except FileExistsError:
        raise InputError(f"{target} exists: edit it, or choose another folder.") from None
    except OSError as problem:
        raise InputError(f"{target} cannot be written ({problem.strerror}).") from None
    print(f"{target} written: edit it, then run vitale-gateway serve --config {target}")
    return 0


def _price(options: argparse.Namespace) -> int:
    from gateway.billing.engine import price  # noqa: PLC0415
    from gateway.billing.request import CareRequest  # noqa: PLC0415
    from gateway.billing.show import as_text  # noqa: PLC0415
    from gateway.billing.tables import Tables  # noqa: PLC0415

    data = _read_stdin() if options.request == "-" else _read_act(Path(options.request))
    priced = price(CareRequest.from_json(data), Tables.load())
    print(json.dumps(priced.to_json()) if options.json else as_text(priced))
    return 0


def _bill(options: argparse.Namespace) -> int:
    from gateway.care import CareAct  # noqa: PLC0415
    from gateway.office import accepted, bill_act  # noqa: PLC0415

    data = _read_act(options.act)
    act = CareAct.from_json(data)  # what is wrong with it is said before a PIN is asked
    with _at_work(options) as (config, practice, desk):
        if act.mode != "degraded" or not act.place:
            _unlock(desk, options)
        try:
            billed = bill_act(practice, desk, data)
        finally:
            desk.lock()
        _write_twins(config, practice)
    print(json.dumps(accepted(billed), ensure_ascii=False, indent=1))
    return 0


def _write_twins(config: Config, practice: Practice) -> None:
    from gateway.paper import write_twins  # noqa: PLC0415

    for path in write_twins(practice.store, practice.id, config.paper):
        print(f"vitale-gateway: the paper twin is in {path}", file=sys.stderr)


def _sign(options: argparse.Namespace) -> int:
    from gateway.later import sign_waiting  # noqa: PLC0415

    with _at_work(options) as (_, practice, desk):
        cps = _unlock(desk, options)
        try:
            count = sign_waiting(practice, cps, lambda number: _say(f"FSE {number} signed"))
        finally:
            desk.lock()
    print(f"{count} FSE signed; they leave when vitale-gateway serve runs")
    return 0


def _rectify(options: argparse.Namespace) -> int:
    from gateway.later import rectify  # noqa: PLC0415
    from gateway.office import accepted  # noqa: PLC0415

    data = None if options.act is None else _read_act(options.act)
    with _at_work(options) as (config, practice, desk):
        practice.store.check_rectifiable(practice.id, options.number)
        _unlock(desk, options)
        try:
            billed = rectify(practice, desk, options.number, data)
        finally:
            desk.lock()
        _write_twins(config, practice)
    print(json.dumps({**accepted(billed), "rectifies": options.number}, ensure_ascii=False, indent=1))
    return 0


def _cancel(options: argparse.Namespace) -> int:
    config, store = _store_of(options, read_only=False)
    with closing(store):
        store.cancel(config.practice.id, options.number, "cancelled by hand")
    print(f"FSE {options.number} is cancelled; its number is not used again")
    return 0


def _paper(options: argparse.Namespace) -> int:
    config, store = _store_of(options, read_only=True)
    with closing(store):
        print(store.twin_of(config.practice.id, options.number), end="")
    return 0


def _store_of(options: argparse.Namespace, *, read_only: bool) -> tuple[Config, Store]:
    """The settings and the store that is there; one that is not there is not made."""
    from gateway.clock import SystemClock  # noqa: PLC0415
    from gateway.config import load_config  # noqa: PLC0415
    from gateway.store.store import Store  # noqa: PLC0415

    config, clock = load_config(options.config), SystemClock()
    if not read_only:
        Store(config.store_url, clock, read_only=True).close()
    return config, Store(config.store_url, clock, read_only=read_only)


def _serve(options: argparse.Namespace) -> int:
    from threading import Event  # noqa: PLC0415

    from gateway.start import open_daemon  # noqa: PLC0415

    stop = Event()
    with _at_work(options) as (config, practice, desk):
        daemon = open_daemon(config, practice, desk, _say)
        daemon.pin_pad = options.pin_pad
        with _offered_api(config, daemon, options):
            if not options.pin_later:
                cps = _unlock(desk, options)
                practice.admit(cps.holder.national_id, cps.connection.slot_name)
            _end_on_signals(stop)
            locked = "locked" if options.pin_later else "unlocked"
            _say(f"reader: {config.reader.driver}, CPS {locked}; care acts are taken from {config.inbox}")
            for line in practice.store.status().splitlines():
                _say(line)
            daemon.run(stop)
    _say("stopped in good order; what was accepted is kept.")
    return 0


@contextmanager
def _offered_api(config: Config, daemon: Daemon, options: argparse.Namespace) -> Iterator[None]:
    """The HTTP API beside the daemon when the settings have a section [api]."""
    if config.api is None:
        if options.pin_later:
            raise InputError("--pin-later needs the HTTP API: add a section [api] to the settings")
        yield
        return
    from gateway.api.tokens import Tokens  # noqa: PLC0415
    from gateway.start import api_beside  # noqa: PLC0415

    tokens = Tokens(config.api.tokens)
    with api_beside(config, daemon, tokens) as port:
        made = len(tokens.entries())
        known = "1 token" if made == 1 else f"{made} tokens"
        _say(f"API: http://{config.api.address}:{port}/v1 ({known}; vitale-gateway token new NAME makes one)")
        yield


def _token(options: argparse.Namespace) -> int:
    from gateway.api.tokens import Tokens  # noqa: PLC0415
    from gateway.clock import SystemClock, system_rng  # noqa: PLC0415
    from gateway.config import load_config  # noqa: PLC0415

    config = load_config(options.config)
    if config.api is None:
        raise InputError(f"there is no section [api] in {options.config}: add it, with its port and tokens")
    tokens = Tokens(config.api.tokens)
    if options.action == "new":
        practice = options.practice or config.practice.id
        print(tokens.new(options.name, practice, SystemClock(), system_rng))
        print("vitale-gateway: this token is shown once; keep it in the software.", file=sys.stderr)
    elif options.action == "revoke":
        tokens.revoke(options.name)
        print(f"the token of {options.name} is taken back")
    else:
        for entry in tokens.entries():
            print(f"{entry.name:40} {entry.practice:20} {entry.made[:10]}")
    return 0


def _end_on_signals(stop: Event) -> None:
    """SIGTERM and Ctrl-C stop the work in good order; who asks again to stop changes nothing."""
    import signal  # noqa: PLC0415

    asked = (signal.SIGTERM, signal.SIGINT)

    def end(*_: object) -> None:
        for number in asked:
            signal.signal(number, signal.SIG_IGN)
        stop.set()

    for number in asked:
        signal.signal(number, end)


def _say(text: str) -> None:
    """One line for whoever looks at the daemon, without anything of the form of a NIR."""
    from gateway.redact import redact  # noqa: PLC0415

    with suppress(OSError):  # nobody reads any more: no reason to stop working
        print(plain(redact(text)), flush=True)


def _status(options: argparse.Namespace) -> int:
    from dataclasses import asdict  # noqa: PLC0415

    from gateway.clock import SystemClock  # noqa: PLC0415
    from gateway.config import load_config  # noqa: PLC0415
    from gateway.store.store import Store  # noqa: PLC0415

    with closing(Store(load_config(options.config).store_url, SystemClock(), read_only=True)) as store:
        print(json.dumps(asdict(store.counts())) if options.json else store.status())
    return 0


def _release(options: argparse.Namespace) -> int:
    _, store = _store_of(options, read_only=False)
    with closing(store):
        store.release(options.lot, "released by hand")
    print(f"lot {options.lot} leaves again when vitale-gateway serve runs")
    return 0


@contextmanager
def _at_work(options: argparse.Namespace) -> Iterator[tuple[Config, Practice, Desk]]:
    """Settings read, reader and store open; all closed on the way out."""
    from gateway.clock import SystemClock, system_rng  # noqa: PLC0415
    from gateway.config import load_config  # noqa: PLC0415
    from gateway.desk import Desk  # noqa: PLC0415
    from gateway.start import open_practice, open_reader  # noqa: PLC0415

    config = load_config(options.config)
    desk = Desk(open_reader(config.reader))
    practice = open_practice(config, SystemClock(), system_rng)
    with closing(practice.store):
        yield config, practice, desk


def _unlock(desk: Desk, options: argparse.Namespace) -> CpsSession:
    """The CPS, its PIN given here or typed on the reader's own pad."""
    if not options.pin_pad:
        return desk.unlock(_ask_pin(options))
    print("vitale-gateway: type the PIN of the CPS on the pad of its reader.", file=sys.stderr, flush=True)
    return desk.unlock()


def _ask_pin(options: argparse.Namespace) -> Secret:
    from gateway.secret import Secret  # noqa: PLC0415

    if options.pin_stdin and sys.stdin is not None:
        return Secret(sys.stdin.buffer.readline(MAX_PIN_LINE).rstrip(b"\r\n"))
    if sys.stdin is None or not sys.stdin.isatty():
        raise InputError("the PIN of the CPS is needed: run this on a terminal, or give it with --pin-stdin.")
    import getpass  # noqa: PLC0415

    try:
        return Secret(getpass.getpass("PIN of the CPS: "))
    except EOFError:
        raise InputError("no PIN was given: nothing was sent to the CPS.") from None
    except UnicodeError:
        raise InputError("the PIN of a CPS has 4 digits: nothing was sent to the CPS.") from None


def _read_stdin() -> Mapping[str, object]:
    from gateway.care import MAX_ACT, parse_act  # noqa: PLC0415

    if sys.stdin is None:
        raise InputError("standard input is closed: give the request as a JSON file.")
    return parse_act(sys.stdin.buffer.read(MAX_ACT + 1), "standard input")


def _read_act(path: Path) -> Mapping[str, object]:
    from gateway.care import MAX_ACT, parse_act  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_ACT + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}: give the care act as a JSON file.") from None
    except OSError as problem:
        raise InputError(
            f"{path} cannot be read ({problem.strerror}): give the care act as a JSON file."
        ) from None
    return parse_act(raw, str(path))


if __name__ == "__main__":
    sys.exit(main())
