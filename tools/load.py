"""The benchmark: rates of this project beside the raw primitives of `cryptography`, in the same run.

    python -m tools.load [crypto] [card] [receiver] [gateway] [price] [api] [pcsc] [store] [postgres] [agent]
                              [--json]

Ratios are work done per second here divided by what the raw primitives alone would allow on the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import cycle
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from card.iso7816.apdu import CommandAPDU
from gateway.billing.engine import price
from gateway.billing.request import Act, Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.care import CareAct, Parties
from gateway.clock import SystemClock, system_rng
from gateway.delivery import collect, send_due
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender
from gateway.lots.fse import Fse
from gateway.lots.lot import Lot, LotHeader, build_lot
from gateway.lots.sealing import SealedLot, open_sealed, seal
from gateway.pipeline import Built, build_fse, kept_form, make_lots
from gateway.pki import Purpose
from gateway.places import Place
from gateway.practice import Practice
from gateway.returns import opener
from gateway.store.rows import StoredFse
from reader.emulated import EmulatedReader
from reader.slot import Slot
from tools.bench import PRACTICE, TEST_PIN, Bench
from tools.idle import help_seconds, idle_figures
from tools.load_agent import agent
from tools.load_api import api
from tools.load_noemie import noemie
from tools.load_pcsc import pcsc
from tools.load_postgres import postgres
from tools.load_store import store
from tools.measure import core_seconds_each, in_turns, seconds_once
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import assemble

LOT_SIZE, PATIENTS = 50, 16
"""Sixteen cards in turn: a certificate comes back only beyond the reach of gzip, as in a real lot."""
PAUSE_SECONDS, LANES = 0.005, 4
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
PREHASHED = utils.Prehashed(hashes.SHA256())
END_TO_END_LOTS, BATCH = 400, 20
"""How many one-FSE lots go end to end in one measurement, and how many at a time."""

Figures = dict[str, float]


class Rig:
    """A test world with both cards in a reader, sessions open, and sheets ready to be made."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.clock = SystemClock()
        self.bench = Bench(root, self.clock)
        cards = [f"vitale-single#{number}" for number in range(PATIENTS)]
        self.bench.make_cards(["cps-gp-sector1", *cards])
        self.practice = self.bench.practice()
        stack.enter_context(closing(self.practice.store))
        reader = stack.enter_context(EmulatedReader(("CPS", *cards)))
        cps_slot = reader.insert("CPS", self.bench.card("cps-gp-sector1"))
        self.cps = stack.enter_context(CpsSession.open(cps_slot.connect()))
        self.cps.verify_pin(TEST_PIN)
        self.act = CareAct(date=legal_day(self.clock.now()), acts=(Act("G"),), third_party="amo")
        slots = [reader.insert(card, self.bench.card(card)) for card in cards]
        self.patients = cycle([self._patient(slot, stack) for slot in slots])
        self.number = 0

    def _patient(self, slot: Slot, stack: ExitStack) -> tuple[Parties, VitaleSession]:
        vitale = stack.enter_context(VitaleSession.open(slot.connect()))
        vitale.authenticate(self.cps)
        return Parties.of(self.act, Place.of_card(self.cps, ""), vitale.read_rights()), vitale

    def fse(self) -> Fse:
        """The next patient's FSE under the next number, priced, signed by both cards and verified."""
        self.number += 1
        fse = self._built(self.number)[1].fse
        assert isinstance(fse, Fse)
        return fse

    def _built(self, number: int) -> tuple[Parties, Built]:
        parties, vitale = next(self.patients)
        return parties, build_fse(self.practice, parties, self.cps, vitale, self.act, number)

    def kept(self, number: int) -> StoredFse:
        """One FSE under a reserved number, as the store keeps it."""
        parties, built = self._built(number)
        return kept_form(self.practice, parties, self.act, built)

    def lot(self, size: int) -> Lot:
        """A signed lot of `size` new sheets with numbers of its own."""
        made = [self.fse() for _ in range(size)]
        destination = made[0].destination
        now = self.clock.now()
        header = LotHeader(
            billing_number=made[0].view().billing_number,
            national_id=self.cps.holder.national_id,
            name="TEST",
            destination=destination,
            numbers=self.practice.store.reserve_lot(self.practice.id, destination.key, legal_day(now)),
            created=now,
        )
        draft = build_lot(header, made)
        return draft.signed(self.cps.sign_digest(draft.digest), self.cps.certificate)

    def seal(self, lot: Lot) -> SealedLot:
        """The lot as one mail, profile `modern`, signed by the CPS in its slot."""
        return seal(
            lot, sender=self.practice.address, recipient=lot.header.destination.address,
            recipient_certificate=self.practice.receiver_certificate, policy=self.practice.policy,
            signer=self.cps, rng=system_rng, now=self.clock.now(),
        )  # fmt: skip


def crypto(rig: Rig) -> Figures:
    """FSE against two RSA-2048 signatures; sealing and opening a 50-FSE lot against the bare primitives."""
    key = rsa.generate_private_key(65537, 2048)
    digest = hashlib.sha256(b"digest").digest()
    two_signatures = lambda: [key.sign(digest, padding.PKCS1v15(), PREHASHED) for _ in range(2)]  # noqa: E731
    raw_fse, our_fse = in_turns(two_signatures, rig.fse)
    lot = rig.lot(LOT_SIZE)
    raw = RawLot(lot.file, key)
    receiver = rig.bench.authority.receiver_keys()
    message = rig.seal(lot).message

    def opened() -> object:
        return open_sealed(
            message, key=receiver.decryption, policy=rig.practice.policy, trust=rig.practice.trust,
            purpose=Purpose.CPS_SIGNATURE, when=datetime.now(UTC),
        )  # fmt: skip

    raw_seal, our_seal, raw_open, our_open = in_turns(raw.seal, lambda: rig.seal(lot), raw.open, opened)
    return {
        "rsa_signatures_per_s": 2 / raw_fse,
        "fse_per_s": 1 / our_fse,
        "fse_ratio": raw_fse / our_fse,
        "lot_file_bytes": len(lot.file),
        "seal_per_s": 1 / our_seal,
        "seal_ratio": raw_seal / our_seal,
        "open_per_s": 1 / our_open,
        "open_ratio": raw_open / our_open,
    }


class RawLot:
    """The primitives a lot needs, called directly on the same bytes: no structure is built or parsed."""

    def __init__(self, content: bytes, key: rsa.RSAPrivateKey) -> None:
        self.content, self.key, self.public = content, key, key.public_key()
        self.sealed = self.seal()

    def seal(self) -> tuple[bytes, bytes, bytes, bytes]:
        """zlib, SHA-256, RSA signature, AES-256-GCM, RSA-OAEP."""
        packed = zlib.compress(self.content, 6)
        signature = self.key.sign(hashlib.sha256(packed).digest(), padding.PKCS1v15(), PREHASHED)
        secret, nonce = os.urandom(32), os.urandom(12)
        return (
            signature,
            nonce,
            AESGCM(secret).encrypt(nonce, packed, None),
            self.public.encrypt(secret, OAEP),
        )

    def open(self) -> bytes:
        """The same backwards."""
        signature, nonce, cipher, wrapped = self.sealed
        packed = AESGCM(self.key.decrypt(wrapped, OAEP)).decrypt(nonce, cipher, None)
        self.public.verify(signature, hashlib.sha256(packed).digest(), padding.PKCS1v15(), PREHASHED)
        return zlib.decompress(packed)


def card(rig: Rig) -> Figures:
    """SELECT + READ BINARY pairs in process, and one signature through a whole connection."""
    emulated = rig.bench.card("vitale-single#0")
    emulated.power_on()
    select, read = bytes.fromhex("00A4020C022F02"), bytes.fromhex("00B000000C")

    def pair() -> None:
        emulated.transmit(select)
        emulated.transmit(read)

    signed = lambda: rig.cps.sign_digest(bytes(32))  # noqa: E731
    connection = rig.cps.connection
    challenge = CommandAPDU(0, 0x84, 0, 0, b"", 8)
    pair_time, sign_time, challenge_time = in_turns(pair, signed, lambda: connection.transmit(challenge))
    return {
        "card_apdu_per_s": 2 / pair_time,
        "connection_apdu_per_s": 1 / challenge_time,
        "card_signatures_per_s": 1 / sign_time,
    }


def receiver(rig: Rig) -> Figures:
    """FSE opened, verified, adjudicated and stored per second; one-FSE lots end to end over SMTP."""
    return {"receiver_fse_per_s": _receiver_rate(rig), "lots_end_to_end_per_s": _end_to_end(rig)}


def _receiver_config(rig: Rig, name: str) -> ReceiverConfig:
    return ReceiverConfig(
        authority=rig.bench.directory("authority"),
        state=rig.bench.directory(name),
        maildir=rig.bench.directory(f"{name}-mailbox"),
        practice=PRACTICE,
        opposition=rig.bench.opposition_file,
        say=lambda _text: None,
    )


def _receiver_rate(rig: Rig) -> float:
    parts = assemble(_receiver_config(rig, "receiver-rate"))
    messages = [rig.seal(rig.lot(LOT_SIZE)).message for _ in range(12)]
    waiting = iter(messages)
    with closing(parts.ledger):
        parts.receiver.handle(next(waiting))
        seconds = seconds_once(lambda: [parts.receiver.handle(message) for message in waiting])
        stored = len(parts.ledger.rows("SELECT number FROM claim"))
    assert stored == LOT_SIZE * len(messages), f"{stored} FSE stored"
    return LOT_SIZE * (len(messages) - 1) / seconds


def _end_to_end(rig: Rig) -> float:
    """From care acts to posted ARL, both sides durable: one-FSE lots, the receiver in its own process."""
    practice = replace(rig.practice, lot_size=1)
    mailbox = Maildir(rig.bench.directory("end-to-end-mailbox"))
    with _receiver_process(rig) as port, ExitStack() as stack:
        senders = [stack.enter_context(closing(SmtpSender("127.0.0.1", port))) for _ in range(LANES)]
        return END_TO_END_LOTS / seconds_once(lambda: _whole_line(rig, practice, senders, mailbox))


@contextmanager
def _receiver_process(rig: Rig) -> Iterator[int]:
    """`python -m tools.receiver serve` on a free port, ended on the way out."""
    bench = rig.bench
    command = [sys.executable, "-m", "tools.receiver", "serve", "--port", "0", "--practice", PRACTICE]
    command += [
        "--authority",
        str(bench.directory("authority")),
        "--state",
        str(bench.directory("end-to-end")),
    ]
    command += ["--maildir", str(bench.directory("end-to-end-mailbox"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = next(match for line in process.stdout if (match := re.search(r"port (\d+)", line)))
        threading.Thread(target=process.stdout.read, daemon=True).start()
        try:
            yield int(found[1])
        finally:
            process.terminate()


def _whole_line(rig: Rig, practice: Practice, senders: list[SmtpSender], mailbox: Maildir) -> None:
    """As the daemon works: the desk, sending and collecting side by side over one store."""
    store, open_return = practice.store, opener(practice)
    deadline, finished = rig.clock.monotonic() + 120, threading.Event()

    def desk() -> None:
        for first in range(0, END_TO_END_LOTS, BATCH):
            numbers = store.reserve_fse_numbers(practice.id, min(BATCH, END_TO_END_LOTS - first))
            with store.batch():
                for number in numbers:
                    store.keep_fse(rig.kept(number))
            make_lots(practice, rig.cps)

    def send() -> None:
        while not finished.wait(PAUSE_SECONDS):
            send_due(store, senders[0], rig.clock, system_rng, beside=senders[1:], limit=BATCH)

    def take_in() -> None:
        posted = 0
        try:
            while posted < END_TO_END_LOTS and rig.clock.monotonic() < deadline:
                posted += collect(store, mailbox, open_return, practice.id).posted
                rig.clock.sleep(PAUSE_SECONDS)
        finally:
            finished.set()

    with ThreadPoolExecutor(3) as pool:
        for work in [pool.submit(loop) for loop in (desk, send, take_in)]:
            work.result()
    assert store.counts().lots["ACKNOWLEDGED"] == END_TO_END_LOTS, "not every lot was acknowledged"


def gateway(rig: Rig) -> Figures:
    """What the command and its idle daemon cost."""
    return {"gateway_help_s": help_seconds(), **_idle(rig)}


def hosted(rig: Rig) -> Figures:
    """A sheet through the API, and what a daemon with API and page costs while nothing is asked."""
    return {**api(Bench(rig.bench.directory("api"), rig.clock)), **_idle(rig)}


def _idle(rig: Rig) -> Figures:
    """On a world of its own: the rig's store is in use."""
    world = Bench(rig.bench.directory("idle"), rig.clock)
    world.make_cards(["cps-gp-sector1", "vitale-single"])
    return idle_figures(world)


def prices(rig: Rig) -> Figures:
    """Per core: a consultation, its coordination, a contract, third-party payment; and JSON to JSON."""
    tables, rights = Tables.load(), Beneficiary(date(1980, 5, 1), complementary="tm100")
    request = replace(
        CareRequest(rig.act.date, Practitioner(), rights, (Act("G"), Act("MCG"))),
        pathway="O", third_party="full",
    )  # fmt: skip
    body = json.dumps(request.to_json())

    def from_json() -> str:
        return json.dumps(price(CareRequest.from_json(json.loads(body)), tables).to_json())

    return {
        "prices_per_s": 1 / core_seconds_each(lambda: price(request, tables)),
        "json_prices_per_s": 1 / core_seconds_each(from_json),
    }


PARTS: dict[str, Callable[[Rig], Figures]] = {
    "crypto": crypto,
    "card": card,
    "receiver": receiver,
    "gateway": gateway,
    "price": prices,
    "noemie": noemie,
    "api": hosted,
    "pcsc": lambda rig: pcsc(Bench(rig.bench.directory("readers"), rig.clock)),
    "store": lambda rig: store(Bench(rig.bench.directory("store"), rig.clock)),
    "postgres": lambda _: postgres(),
    "agent": lambda rig: agent(Bench(rig.bench.directory("agent"), rig.clock)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts asked for (all of them when none is named) and print their figures."""
    parser = argparse.ArgumentParser(prog="python -m tools.load", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; all when none")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"no part is called {unknown[0]!r}: use {', '.join(PARTS)}")
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="vitale-load-") as root, ExitStack() as stack:
        rig = Rig(Path(root), stack)
        for part in options.parts or PARTS:
            measured = PARTS[part](rig)
            figures |= measured
            for name, value in measured.items():
                print(f"{part:9} {name:24} {value:12,.2f}", flush=True)
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
