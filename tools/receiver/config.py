"""What a receiver is started with. Every limit of the service stands here, once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.clock import Clock, Rng, SystemClock, system_rng
from gateway.errors import InputError

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Limits:
    """Bounds that no peer can push: sizes in bytes, times in seconds, counts of objects.

    `file_bytes` is above the 999 records of a file, so that one record too many is told as such.
    `return_bytes` is below what a gateway opens (gateway.lots.sealing.MAX_PAYLOAD).
    """

    message_bytes: int = 4 * 1024 * 1024
    file_bytes: int = 1024 * 1024
    connections: int = 64
    waiting: int = 256
    idle_seconds: float = 30.0
    session_seconds: float = 300.0
    group: int = 64
    return_invoices: int = 2_000
    return_bytes: int = 3 * 1024 * 1024


@dataclass(frozen=True)
class ReceiverConfig:
    """Where the receiver finds its keys, keeps its state and delivers its answers.

    `authority`: directory made by `python -m tools.pki`; `state`: directory of the ledger and the fault
    control file; `maildir`: the practice's mailbox, used for every sender the `directory` file does not
    name. `port` 0 takes a free one. `day_seconds`: how long one day lasts for the payment calendar: a caisse
    pays after `payment_days`, paper after `paper_days`, an insurer `insurer_days` later. `api_port`: where
    the API listens (api.py), None for no API; `portal_port`: the same for the web portal (tools/portal).
    `parties`: each organism and insurer has an encryption certificate of its own (parties.py).
    `profiles`: card profiles (name or file) that the caisse knows beside the shipped ones.
    """

    authority: Path
    state: Path
    maildir: Path
    host: str = "127.0.0.1"
    port: int = 0
    policy: str = "modern"
    practice: str = "practice"
    day_seconds: float = DAY_SECONDS
    payment_days: int = 5
    insurer_days: int = 2
    paper_days: int = 7
    api_port: int | None = None
    portal_port: int | None = None
    parties: bool = False
    faults: Sequence[str] = ()
    profiles: Sequence[str] = ()
    overrides: Path | None = None
    directory: Path | None = None
    opposition: Path | None = None
    threads: int = 2
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=SystemClock)
    rng: Rng = system_rng
    say: Callable[[str], None] = print


def read_rows(path: Path, what: str, name: str) -> list[Mapping[str, Any]]:
    """The tables [[name]] of a TOML file that `what` calls; InputError says what is wrong with the file."""
    try:
        rows = tomllib.loads(path.read_text("utf-8")).get(name, [])
    except (OSError, ValueError) as error:
        raise InputError(f"{what} {path.name} cannot be read ({error}); correct the file") from None
    except RecursionError:
        raise InputError(f"{what} {path.name} is nested too deeply; correct the file") from None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise InputError(f"{what} {path.name}: write each entry under a line [[{name}]]")
    return rows
