"""What payment returns cost, and whether a FSE costs the same beside a small and a large ledger.

    python -m tools.load noemie              100,000 invoices returned: seconds, peak memory
    python -m tools.load_noemie ledger [N]   the cost of a FSE beside 1,000 and beside N (1,000,000) FSE

Claims are real: one lot is signed, received and decided, then kept under many numbers. What is measured is
the receiver's own code, in a process of its own where memory counts.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.clock import SystemClock, system_rng
from tools.bench import PRACTICE
from tools.measure import seconds_once
from tools.receiver.answers import LotKey
from tools.receiver.book import Claim
from tools.receiver.claims import claim_label
from tools.receiver.config import ReceiverConfig
from tools.receiver.ledger import Ledger, LotRecord
from tools.receiver.service import Parts, assemble
from tools.receiver.vault import Vault

if TYPE_CHECKING:
    from tools.load import Rig

INVOICES, LOT = 100_000, 50
SMALL, LARGE = 1_000, 1_000_000
PRACTITIONERS = 400
"""Over how many professionals the claims of a large ledger are spread."""
ROUNDS = 9
_FIRST_NUMBER = 100_000_000


def noemie(rig: Rig) -> dict[str, float]:
    """100,000 due invoices answered, sealed, stored, delivered; the peak memory of that process."""
    root = rig.bench.directory("noemie")
    config = _config(rig.bench.directory("authority"), root)
    with closing(assemble(config).ledger) as ledger:
        _fill(ledger, config, _templates(rig, config, ledger), INVOICES, practitioners=1, is_due=True)
    command = [sys.executable, "-m", "tools.load_noemie", "pay", str(config.authority), str(root)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert said["invoices"] == INVOICES + LOT, f"{said['invoices']} invoices answered"
    return {"noemie_100k_s": said["seconds"], "noemie_100k_peak_mb": said["peak_mb"]}


def ledger(rig: Rig, size: int = LARGE) -> dict[str, float]:
    """Seconds of one FSE beside few and beside many others, in turns on the same machine; their ratio."""
    messages = [rig.seal(rig.lot(LOT)).message for _ in range(ROUNDS + 1)]
    with ExitStack() as stack:
        few, many = (_filled(rig, stack, count) for count in (SMALL, size))
        times = [
            [seconds_once(lambda m=message, p=parts: p.receiver.handle(m)) for parts in (few, many)]  # type: ignore[misc]
            for message in messages
        ]
    small, large = (sorted(column)[len(column) // 2] / LOT for column in zip(*times[1:], strict=True))
    return {
        "fse_beside_few_us": small * 1e6,
        "fse_beside_many_us": large * 1e6,
        "fse_cost_ratio": large / small,
    }


def _config(authority: Path, root: Path) -> ReceiverConfig:
    return ReceiverConfig(
        authority=authority,
        state=root / "state",
        maildir=root / "mailbox",
        practice=PRACTICE,
        say=lambda _text: None,
    )


def _filled(rig: Rig, stack: ExitStack, count: int) -> Parts:
    config = _config(rig.bench.directory("authority"), rig.bench.directory(f"ledger-{count}"))
    parts = assemble(config)
    stack.enter_context(closing(parts.ledger))
    templates = _templates(rig, config, parts.ledger)
    _fill(parts.ledger, config, templates, count - LOT, practitioners=PRACTITIONERS, is_due=False)
    assert parts.ledger.rows("SELECT count(*) FROM claim") == [(count,)]
    return parts


def _templates(rig: Rig, config: ReceiverConfig, ledger: Ledger) -> list[tuple[Claim, bytes]]:
    """The claims of one real lot and their details, opened."""
    parts = assemble(config)
    with closing(parts.ledger):
        assert parts.receiver.handle(rig.seal(rig.lot(LOT)).message).positive
    vault = Vault.open(config.state / "ledger.key", system_rng)
    ledger.advance(400 * 86_400)
    claims = [due.claim for due in ledger.due(SystemClock().now().timestamp(), LOT)]
    return [(claim, vault.unseal(claim.detail, claim_label(claim))) for claim in claims]


def _fill(
    ledger: Ledger,
    config: ReceiverConfig,
    templates: Sequence[tuple[Claim, bytes]],
    count: int,
    *,
    practitioners: int,
    is_due: bool,
) -> None:
    """Keep `count` claims in lots of fifty, spread over `practitioners`."""
    vault = Vault.open(config.state / "ledger.key", system_rng)
    lots = -(-count // LOT)
    with ledger.transaction():
        mail = ledger.keep_mail("arl", "", bytes(4000))
        for at in range(lots):
            number = (
                templates[0][0].practitioner if practitioners == 1 else f"{992_000_000 + at % practitioners}"
            )
            claims = _copies(vault, templates, number, _FIRST_NUMBER + at * LOT, is_due=is_due)
            kept = list(claims)[: count - at * LOT]
            ledger.keep_lot(_lot(at, number, kept[0].payer), kept, (), mail)


def _copies(
    vault: Vault, templates: Sequence[tuple[Claim, bytes]], practitioner: str, first: int, *, is_due: bool
) -> Iterator[Claim]:
    for at, (claim, detail) in enumerate(templates):
        due = claim.due_at if is_due else None
        copy = replace(claim, practitioner=practitioner, number=first + at, due_at=due)
        yield replace(copy, detail=vault.seal(detail, claim_label(copy)))


def _lot(at: int, practitioner: str, payer: str) -> LotRecord:
    sender = practitioner.rjust(14, "0")
    day = f"20{20 + at // 999 // 300:02d}-{at // 999 // 25 % 12 + 1:02d}-{at // 999 % 25 + 1:02d}"
    return LotRecord(
        key=LotKey(sender, f"{at % 999_999:06d}", f"{at:019d}"),
        digest=bytes(32),
        positive=True,
        error_class="",
        code="",
        practitioner=practitioner,
        organism=payer,
        number=at % 999 + 1,
        date=day,
        invoices=LOT,
        received_at=0.0,
        content=b"",
        arl=b"",
    )


def pay(authority: Path, root: Path) -> dict[str, float]:
    """Pay everything that is due in this ledger and deliver it: for a process of its own."""
    parts = assemble(_config(authority, root))
    answered = 0

    def work() -> None:
        nonlocal answered
        while (answer := parts.paymaster.pay_next()) is not None:
            answered += len(answer.payments)
        parts.postman.deliver()

    with closing(parts.ledger):
        seconds = seconds_once(work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak, "invoices": answered}


def main(arguments: Sequence[str] | None = None) -> int:
    """`ledger [N]`, or `pay AUTHORITY ROOT` for the process that `noemie` starts."""
    parser = argparse.ArgumentParser(prog="python -m tools.load_noemie", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("ledger").add_argument("size", nargs="?", type=int, default=LARGE)
    child = commands.add_parser("pay")
    child.add_argument("authority", type=Path)
    child.add_argument("root", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "pay":
        print(json.dumps(pay(options.authority, options.root)))
        return 0
    from tools.load import Rig  # noqa: PLC0415 - tools.load imports this file

    with tempfile.TemporaryDirectory(prefix="vitale-load-") as root, ExitStack() as stack:
        for name, value in ledger(Rig(Path(root), stack), options.size).items():
            print(f"{name:24} {value:12,.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
