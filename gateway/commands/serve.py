"""`vitale-gateway serve`: takes care acts, makes lots, sends, collects, until stopped."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from threading import Event, Thread

from gateway import found
from gateway.agent.hosted import agents_admitted, make_lobby
from gateway.api.tokens import Tokens
from gateway.clock import Clock, SystemClock, system_rng
from gateway.commands.typed import ask_pin, pin_options, settings_option
from gateway.complaints import Say
from gateway.config import Config, LogConfig, load_config
from gateway.daemon import Daemon
from gateway.errors import GatewayError, InputError
from gateway.log import Log, in_charge, in_journal
from gateway.seat import Seat
from gateway.start import api_beside, open_daemon, open_seats, open_store
from reader.agent.driver import AGENT
from reader.agent.lobby import Lobby
from reader.errors import NoCard, ReaderError


def arguments(parser: argparse.ArgumentParser) -> None:
    """How the PIN is given."""
    settings_option(parser)
    pin_options(parser, later=True)


def work(options: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C."""
    stop, clock = Event(), SystemClock()
    config = load_config(options.config)
    if options.pin_later and config.api is None and config.readers:
        raise InputError("--pin-later needs the HTTP API: add a section [api] to the settings")
    with ExitStack() as stack:
        say = stack.enter_context(_log(config.log, clock))
        store = stack.enter_context(closing(open_store(config, clock)))
        lobby = None if config.agents is None else make_lobby(config.agents, clock, say)
        seats = open_seats(config, store, clock, system_rng, say, lobby)
        stack.callback(_leave, seats)
        daemon = open_daemon(config, seats, say)
        _open_desks(seats, options)
        with (
            _door(config, lobby, clock, say, stop),
            _offered_api(config, daemon) as places,
            _ended_by_signals(stop),
        ):
            for line in found.of_seats(seats):
                say(line)
            for line in (*places, *found.of_files([seat.practice for seat in seats], clock.now())):
                say(line)
            for line in found.of_store(store):
                say(line)
            Thread(target=lambda: say(found.of_receiver(config)), name="knock", daemon=True).start()
            daemon.run(stop)
        say("stopped in good order; what was accepted is kept.")
    return 0


def _door(
    config: Config, lobby: Lobby | None, clock: Clock, say: Say, stop: Event
) -> AbstractContextManager[object]:
    """Where reader agents arrive, when the settings have a section [agents]."""
    if config.agents is None or lobby is None:
        return nullcontext()
    return agents_admitted(config.agents, lobby, clock, say, stop)


@contextmanager
def _log(settings: LogConfig, clock: Clock) -> Iterator[Say]:
    """Where the gateway speaks: standard output, or the file of the settings."""
    with ExitStack() as stack:
        stream = sys.stdout
        if settings.file is not None:
            try:
                descriptor = os.open(settings.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            except OSError as problem:
                raise InputError(
                    f"the log {settings.file} cannot be written ({problem.strerror}): correct file of [log]"
                ) from None
            stream = stack.enter_context(os.fdopen(descriptor, "a", encoding="utf-8"))
        log = Log(stream, clock, format=settings.format, level=settings.level, journal=in_journal(stream))
        with in_charge(log):
            yield log


def _open_desks(seats: list[Seat], options: argparse.Namespace) -> None:
    """Open the readers and give the PIN of each CPS. One practice alone: what is wrong ends the start.

    With several, one that cannot begin stops no other: it says why, and goes on as soon as it can.
    """
    manned = [seat for seat in seats if seat.has_reader]
    for seat in manned:
        _open(seat, alone=len(manned) == 1)
    for seat in manned:
        is_lent = seat.driver == AGENT  # its PIN is typed where the agent is, as soon as it is there
        seat.pin_pad = options.pin_pad or (is_lent and not options.pin_later)
        if not options.pin_later and not is_lent:
            _unlock(seat, options, alone=len(manned) == 1)


def _open(seat: Seat, *, alone: bool) -> None:
    """Open the reader; one that is not there is waited for."""
    try:
        seat.open()
    except InputError:
        raise
    except (ReaderError, GatewayError) as problem:
        if alone and (seat.driver == "emulated" or isinstance(problem, GatewayError)):
            raise
        seat.complaints.say(f"the reader {seat.reader} is waited for: {problem}")


def _unlock(seat: Seat, options: argparse.Namespace, *, alone: bool) -> None:
    """The PIN of one CPS, given here or typed on the reader's own pad."""
    if options.pin_pad:
        if (
            alone and seat.desk is not None
        ):  # otherwise each desk asks for itself, as soon as its card is there
            print(
                "vitale-gateway: type the PIN of the CPS on the pad of its reader.",
                file=sys.stderr,
                flush=True,
            )
            seat.unlock()
        return
    if not alone:
        print(f"vitale-gateway: practice {seat.id}, reader {seat.reader}:", file=sys.stderr, flush=True)
    pin = ask_pin(options)
    if not alone and not len(pin):
        return
    try:
        if seat.desk is None:
            seat.hold(pin)
        else:
            seat.unlock(pin)
    except (GatewayError, ReaderError) as problem:
        if alone:
            raise
        if isinstance(problem, NoCard):
            seat.hold(pin)
        seat.complaints.say(str(problem))


@contextmanager
def _offered_api(config: Config, daemon: Daemon) -> Iterator[list[str]]:
    """The HTTP API beside the daemon when the settings have a section [api]; what to say of it."""
    if config.api is None:
        yield []
        return
    tokens = Tokens(config.api.tokens)
    with api_beside(config, daemon, tokens) as port:
        made = len(tokens.entries())
        known = "1 token" if made == 1 else f"{made} tokens"
        place = f"http://{_in_url(config.api.address)}:{port}"
        page = [] if config.page is None else [f"page: {place}/"]
        yield [f"API: {place}/v1 ({known}; vitale-gateway token new NAME makes one)", *page]


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _leave(seats: list[Seat]) -> None:
    for seat in seats:
        seat.leave()


@contextmanager
def _ended_by_signals(stop: Event) -> Iterator[None]:
    """SIGTERM, Ctrl-C and a closed terminal stop the work in good order; asking again changes nothing.

    The event is set by a thread: a handler may interrupt the main thread while that holds the event's lock.
    """
    asked = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        asked.append(signal.SIGHUP)
    reads, writes = os.pipe()
    os.set_blocking(writes, False)

    def heard() -> None:
        os.read(reads, 1)
        stop.set()

    def end(*_: object) -> None:
        with suppress(BlockingIOError):
            os.write(writes, b"!")

    for number in asked:
        signal.signal(number, end)
    Thread(target=heard, name="signals", daemon=True).start()
    try:
        yield
    finally:
        for number in asked:
            signal.signal(number, signal.SIG_IGN)
