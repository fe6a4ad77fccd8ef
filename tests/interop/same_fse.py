"""A day of care acts with everything injected but the reader: the bytes that come out, as JSON.

`python -m tests.interop.same_fse WORLD` works in process, with `--pcsc` through the PC/SC of its environment,
the Vitale moved by orders to the emulated reader at LINK: `--pcsc LINK`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.clock import SimulatedClock
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.lots.fse import Fse
from gateway.lots.lot import LotHeader, build_lot
from gateway.pipeline import bill
from reader.emulated import EmulatedReader
from reader.pcsc import PcscReader
from reader.reader import Reader
from reader.transport.control import ask
from tools.bench import PRACTICE, TEST_PIN, Bench

MOMENT = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
DOCTOR, PATIENTS = "cps-gp-sector1", ("vitale-family", "vitale-css", "vitale-ald")
NUMBERS = {"vitale-family": 3}
PATIENCE = 20.0


def seeded() -> Any:
    """Random bytes that are the same every time."""
    blocks = count()

    def rng(size: int) -> bytes:
        made = b""
        while len(made) < size:
            made += hashlib.sha256(str(next(blocks)).encode()).digest()
        return made[:size]

    return rng


class Moves:
    """Puts cards into the slots, in process or by orders to the emulated reader."""

    def __init__(self, bench: Bench, reader: Reader, control: Path | None) -> None:
        self.bench, self.reader, self.control = bench, reader, control

    def insert(self, slot: str, profile: str) -> None:
        place = self.reader.slot(slot)
        if self.control is None:
            place.remove()
            place.insert(self.bench.card(profile))
            return
        if place.is_present:
            self._order(place, False, do="remove", slot=slot)
        self._order(place, True, do="insert", slot=slot, image=str(self.bench.card_file(profile)))

    def _order(self, place: Any, present: bool, **request: str) -> None:
        assert self.control is not None
        answer = ask(self.control, request, PATIENCE)
        assert answer.get("ok"), answer
        end = time.monotonic() + PATIENCE
        while place.is_present != present:
            assert time.monotonic() < end, f"{request} was not seen: {place.emptiness()}"
            time.sleep(0.01)


def work(world: Path, reader: Reader, control: Path | None) -> dict[str, list[str]]:
    """Bill, keep, and make a signed lot; FSE and lot file in hex."""
    clock = SimulatedClock(MOMENT)
    bench = Bench(world, clock)
    practice = replace(bench.practice(), rng=seeded())
    moves = Moves(bench, reader, control)
    with closing(practice.store):
        moves.insert("CPS", DOCTOR)
        desk = Desk(reader)
        cps = desk.unlock(TEST_PIN)
        numbers = []
        for profile in PATIENTS:
            moves.insert("Vitale", profile)
            act = CareAct(
                date=legal_day(clock.now()), acts=(Act("G"),), number=NUMBERS.get(profile, 1),
                third_party="amo",
            )  # fmt: skip
            with desk.vitale() as vitale:
                numbers.append(bill(practice, cps, vitale, act).number)
        bodies = practice.store.fse_bodies(PRACTICE, numbers)
        first = Fse.parse(bodies[0])
        header = LotHeader(
            billing_number=first.view().billing_number, national_id=cps.holder.national_id,
            name=cps.holder.full_name, destination=first.destination,
            numbers=practice.store.reserve_lot(PRACTICE, first.destination.key, legal_day(clock.now())),
            created=clock.now(),
        )  # fmt: skip
        draft = build_lot(header, [first])
        lot = draft.signed(cps.sign_digest(draft.digest), cps.certificate)
        desk.lock()
    return {"fse": [body.hex() for body in bodies], "lot": [lot.file.hex()]}


def main() -> None:
    """See the top of this file."""
    world, *way = sys.argv[1:]
    with ExitStack() as stack:
        if way:
            assert "PCSCLITE_CSOCK_NAME" in os.environ
            reader: Reader = stack.enter_context(PcscReader(["Vitale Gateway"]))
            done = work(Path(world), reader, Path(f"{way[1]}.control"))
        else:
            done = work(Path(world), stack.enter_context(EmulatedReader()), None)
    print(json.dumps(done))


if __name__ == "__main__":
    main()
