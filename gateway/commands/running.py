"""Asking the gateway that runs: its store is its own, so what changes something goes through its HTTP API."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.api.client import NO_ANSWER, ApiProblem, Client
from gateway.commands.opened import store_of
from gateway.commands.typed import practice_of
from gateway.config import load_config
from gateway.errors import GatewayError, InputError, StoreError
from gateway.store.store import Store

MAX_TOKEN = 1024


def token_option(parser: argparse.ArgumentParser) -> None:
    """`--token FILE`."""
    parser.add_argument(
        "--token",
        type=Path,
        metavar="FILE",
        help="ask the gateway that runs, with the token in this file (vitale-gateway token new)",
    )


@contextmanager
def running(options: argparse.Namespace) -> Iterator[Client]:
    """A client of the gateway that runs; its refusals become those of this program."""
    api = load_config(options.config).api
    if api is None:
        raise InputError(f"there is no section [api] in {options.config}: stop vitale-gateway serve instead")
    try:
        with Client(api.address, api.port, _token(options.token)) as client:
            yield client
    except ApiProblem as refused:
        raise GatewayError(str(refused), code=refused.code) from None
    except NO_ANSWER:
        raise InputError(
            f"no gateway answers on port {api.port} of {api.address}: start vitale-gateway serve, "
            "or leave --token out to work on the store itself"
        ) from None


@contextmanager
def alone() -> Iterator[None]:
    """Work on the store itself; when a gateway has it, say how to ask that one."""
    try:
        yield
    except StoreError as refused:
        if refused.code != "in-use":
            raise
        raise StoreError(
            "a gateway works on this store: ask it with --token FILE (vitale-gateway token new makes one), "
            "or stop it first",
            code="in-use",
        ) from None


def change(
    options: argparse.Namespace, asked: Callable[[Client], object], by_hand: Callable[[Store, str], object]
) -> None:
    """Through the gateway that runs when a token is given; else on the store itself, for one practice."""
    if options.token:
        with running(options) as client:
            asked(client)
        return
    with alone():
        config, store = store_of(options, read_only=False)
    with closing(store):
        by_hand(store, practice_of(config, options))


def _token(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii")[:MAX_TOKEN].strip()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path} is no file with a token: make one with vitale-gateway token new") from None
    if not text.isprintable() or not text or " " in text:
        raise InputError(f"{path} holds no token: make one with vitale-gateway token new")
    return text
