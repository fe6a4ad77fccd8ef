"""`vitale-gateway agent`: lends this machine's readers to a gateway elsewhere; there: enrol, list, revoke."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path

from gateway.agent.enrolment import enrol, request
from gateway.agent.files import SHOWN, read_whole, write_file
from gateway.agent.hosted import ending
from gateway.agent.page import LINK_FILE, AgentPage
from gateway.agent.pins import PinQuestions
from gateway.agent.program import Agent
from gateway.agent.register import Register
from gateway.agent.settings import SETTINGS, example_settings, load_settings
from gateway.agent.terminal import PinTerminal
from gateway.clock import SystemClock, system_rng
from gateway.commands.typed import json_option, settings_option
from gateway.config import AgentsConfig, Config, load_config
from gateway.errors import InputError
from gateway.redact import redact
from reader.console import plain


def arguments(parser: argparse.ArgumentParser) -> None:
    """`agent` itself lends; the actions of the agent's machine, then those of the gateway's."""
    _agent_settings(parser)
    parser.add_argument(
        "--pin-terminal", action="store_true", help="ask for the PIN in this terminal as well"
    )
    parser.set_defaults(action=_lend)
    actions = parser.add_subparsers(metavar="ACTION")

    def add(name: str, action: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
        one = actions.add_parser(name, help=what)
        one.set_defaults(action=action)
        return one

    init = add("init", _init, f"write {SETTINGS} into a folder of the machine with the readers")
    init.add_argument("folder", nargs="?", type=Path, default=Path(), help="where (default: here)")
    asking = add("request", _request, "make a key here and a request for its certificate")
    page = add("page", _page, "a link, good once, to the page of the agent that runs here")
    _agent_settings(page)
    enrolling = add("enrol", _enrol, "on the gateway: admit an agent, and write what to copy to its machine")
    enrolling.add_argument(
        "--request", type=Path, metavar="FILE", help="sign this request; the key stays there"
    )
    enrolling.add_argument(
        "--renew", action="store_true", help="a newer certificate for an agent that is enrolled"
    )
    listing = add(
        "list", _list, "on the gateway: the agents, their practices and when their certificates end"
    )
    revoking = add("revoke", _revoke, "on the gateway: send an agent away, now and for good")
    for one in (asking, enrolling, revoking):
        one.add_argument("name", metavar="NAME", help="the agent's name: letters, digits, - or _")
    asking.add_argument("folder", nargs="?", type=Path, default=Path(), help="where (default: here)")
    for one in (asking, enrolling):
        one.add_argument("--practice", metavar="ID", required=True, help="the practice it serves")
    for one in (enrolling, listing, revoking):
        settings_option(one)
    json_option(listing)


def work(options: argparse.Namespace) -> int:
    """What was chosen."""
    chosen: Callable[[argparse.Namespace], int] = options.action
    return chosen(options)


def _agent_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(SETTINGS),
        metavar="FILE",
        help="the agent's settings",
    )


def say(text: str) -> None:
    """One line for whoever looks at the agent, without anything of the form of a NIR."""
    with suppress(OSError):  # nobody reads any more: no reason to stop working
        print(plain(redact(text)), flush=True)


# ---- on the machine with the readers


def _lend(options: argparse.Namespace) -> int:
    """Lend until SIGTERM or Ctrl-C."""
    settings = load_settings(options.config)
    pins = PinQuestions()
    somewhere = bool(settings.page_port) or options.pin_terminal
    agent = Agent(settings, pins if somewhere else None, SystemClock(), system_rng, say)
    pins.told = agent.say
    with ExitStack() as stack:
        if settings.page_port:
            page = AgentPage(agent, pins, system_rng, settings.page_port)
            stack.callback(page.close)
            say(f"page: {page.link} (good once; vitale-gateway agent page gives another)")
        if options.pin_terminal:
            stack.callback(PinTerminal(pins).close)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: agent.stop())
        agent.run()
    say("stopped in good order; the readers are not lent any more.")
    return 0


def _init(options: argparse.Namespace) -> int:
    target: Path = options.folder / SETTINGS
    if target.exists():
        raise InputError(f"{target} exists: edit it, or choose another folder.")
    write_file(target, example_settings().encode("utf-8"), SHOWN)
    print(
        f"{target} written: put the files of the agent beside it, then vitale-gateway agent --config {target}"
    )
    return 0


def _request(options: argparse.Namespace) -> int:
    key, asked = request(options.folder, options.name, options.practice)
    print(f"{key} written: it stays here")
    print(
        f"{asked} written: on the gateway's machine, vitale-gateway agent enrol {options.name} "
        f"--practice {options.practice} --request {asked.name}"
    )
    return 0


def _page(options: argparse.Namespace) -> int:
    link = load_settings(options.config).folder / LINK_FILE
    if not link.is_file():
        raise InputError("no agent with a page runs here: start vitale-gateway agent, with a port in [page]")
    print(read_whole(link, "the link of the page").decode("ascii").strip())
    return 0


# ---- on the gateway's machine


def _enrol(options: argparse.Namespace) -> int:
    config, agents = _hosted(options)
    config.practice_named(options.practice)
    made = enrol(
        agents,
        options.name,
        options.practice,
        SystemClock().now(),
        request=options.request,
        renew=options.renew,
    )
    if made.founded:
        print(
            f"the agent authority was made in {agents.authority.parent}: keep a copy that nobody else reads"
        )
    print(f"agent {options.name} of practice {options.practice}: admitted until {made.entry.ends[:10]}")
    print("copy to a folder of the machine with the readers, then delete here:")
    for file in made.files:
        print(f"  {file}")
    if not any((one.driver, one.slots) == ("agent", (options.name,)) for one in config.readers):
        print(
            f'in {options.config}: [[reader]] with driver = "agent", slots = ["{options.name}"], '
            f'practice = "{options.practice}"'
        )
    return 0


def _list(options: argparse.Namespace) -> int:
    _, agents = _hosted(options)
    entries = Register.beside(agents.authority).entries()
    if options.json:
        print(json.dumps([asdict(entry) for entry in entries]))
        return 0
    for entry in entries:
        state = f"taken back on {entry.revoked[:10]}" if entry.revoked else f"until {entry.ends[:10]}"
        print(f"{entry.name:24} {entry.practice:24} {state}")
    if entries:
        for warning in ending(agents, SystemClock()):
            print(f"vitale-gateway: {warning}", file=sys.stderr)
    return 0


def _revoke(options: argparse.Namespace) -> int:
    _, agents = _hosted(options)
    count = Register.beside(agents.authority).revoke(options.name, SystemClock().now())
    what = "1 certificate" if count == 1 else f"{count} certificates"
    print(f"agent {options.name}: {what} taken back; a gateway at work sends it away now")
    return 0


def _hosted(options: argparse.Namespace) -> tuple[Config, AgentsConfig]:
    config = load_config(options.config)
    if config.agents is None:
        raise InputError(f"there is no section [agents] in {options.config}: add it, with its port")
    return config, config.agents
