"""The update kiosk of a pharmacy: a Vitale in a slot gets its new rights from the receiver's base.

    python -m tools.kiosk --state RECEIVER --authority DIR CARD      an image, or what another --driver takes

All rights are written by one command, whole or not at all. Refused with one sentence: a card that is no
Vitale, is opposed, or is unknown to the base. What is shown names nobody: a person is a place on the card.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from card.applets.card_to_card import KIOSK_NAME
from card.applets.rights_update import PUT_DATA, RIGHTS
from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU
from card.issuer import AUTHENTICATION_USAGE, IssuerError, TestIssuer, fake_name, generate_key, serial_number
from card.layout.rights import encode_rights
from card.profile import InsuredProfile
from gateway.cards.cps import CpsSession
from gateway.cards.rights import Beneficiary, Rights
from gateway.cards.vitale import VitaleSession
from gateway.clock import SystemClock
from gateway.config import ReaderConfig
from gateway.errors import CardRefusal, GatewayError, StoreError
from gateway.pki import OppositionList
from gateway.start import open_reader
from reader.connection import Connection
from reader.console import finish
from reader.errors import ReaderError
from tools.pki import Authority
from tools.portal.register import Register, Seal
from tools.portal.standing import present_profile
from tools.portal.state import State
from tools.receiver.insured import InsuredBase
from tools.receiver.ledger import LEDGER_FILE, Ledger
from tools.receiver.population import known_insured

_FILE = 0x53
_LIFETIME = timedelta(days=1)


class KioskKey:
    """A key whose certificate the cards take for a kiosk's; it lives as long as the program."""

    def __init__(self, issuer: TestIssuer, now: datetime) -> None:
        self._key = generate_key()
        self.authentication_certificate = issuer.cps.issue(
            fake_name(KIOSK_NAME),
            self._key.public_key(),
            key_usage=AUTHENTICATION_USAGE,
            not_before=now - _LIFETIME,
            not_after=now + _LIFETIME,
            serial=serial_number(issuer.rng),
        ).public_bytes(Encoding.DER)

    def exclusive(self) -> AbstractContextManager[None]:
        """Nobody else has this key."""
        return nullcontext()

    def authenticate(self, data: bytes) -> bytes:
        """The answer to a card's challenge: 256 bytes."""
        digest = hashlib.sha256(data).digest()
        return self._key.sign(digest, padding.PKCS1v15(), utils.Prehashed(SHA256()))


@dataclass
class Base:
    """What the kiosk asks: the receiver's people, cards and declarations."""

    register: Register
    insured: InsuredBase
    state: State
    opposition: OppositionList | None = None

    def profile(self, serial: str) -> InsuredProfile:
        """What the card of this serial has to carry today; CardRefusal card-opposed or card-unknown."""
        found = self._known(serial)
        listed = self.opposition is not None and self.opposition.lookup(serial) is not None
        if listed or (found is not None and found.opposed) or self.state.opposed_card(serial) is not None:
            raise CardRefusal(
                "this card is declared lost, stolen or replaced: it gets no rights, order a new one",
                code="card-opposed",
            )
        present = None if found is None else present_profile(found, self.insured)
        if present is None:
            raise CardRefusal(
                "the caisse does not know this card: ask it, or give the kiosk its --profile",
                code="card-unknown",
            )
        return present

    def _known(self, serial: str) -> InsuredProfile | None:
        for family in self.register:
            ordered = self.state.ordered(family.tag)
            if serial == (family.profile.serial if ordered is None else ordered[0]):
                return replace(family.profile, serial=serial, key_on_card="")
        return None


@dataclass(frozen=True)
class Update:
    """The rights on a card before and after."""

    before: Rights
    after: Rights

    def lines(self) -> Iterator[str]:
        """What to show, a line a person: place on the card, rights, situation; never a name."""
        for title, rights in (("before", self.before), ("after", self.after)):
            for place, person in enumerate(rights.beneficiaries, 1):
                yield f"{title:7} person {place}: {_describe(person)}"


def update_card(connection: Connection, base: Base, key: KioskKey) -> Update:
    """Bring the card in the slot up to date; CardRefusal says why not, and then nothing was written."""
    with closing(VitaleSession.open(connection)) as session:
        profile = base.profile(session.serial)
        before = _read(session, key)
        _write(session, profile)
        return Update(before, _read(session, key))


def _read(session: VitaleSession, key: KioskKey) -> Rights:
    session.authenticate(cast("CpsSession", key))
    return session.read_rights()


def _write(session: VitaleSession, profile: InsuredProfile) -> None:
    files = encode_rights(profile.groups())
    data = b"".join(tlv.encode(_FILE, fid.to_bytes(2, "big"), content) for fid, content in files.items())
    answer = session.connection.transmit(CommandAPDU(0, PUT_DATA, RIGHTS >> 8, RIGHTS & 0xFF, data))
    if answer.sw != 0x9000:
        raise CardRefusal(
            f"the card takes no new rights ({answer.sw.describe()}): its old ones stand", code="card-refuses"
        )


def _describe(person: Beneficiary) -> str:
    periods = [f"{_day(one.start)} to {_day(one.end)}" for one in person.rights]
    covers = {f"ald {one.ald}, situation {one.situation}" for one in person.coverage}
    service = "css" if person.amo_service.is_css else ""
    return "; ".join(filter(None, ("rights " + (", ".join(periods) or "closed"), *sorted(covers), service)))


def _day(day: date | None) -> str:
    return "…" if day is None else day.isoformat()


def open_base(options: argparse.Namespace) -> Base:
    """The base behind a receiver's state directory; it may be running."""
    path: Path = options.state / LEDGER_FILE
    if not path.exists():
        raise StoreError(f"{options.state}: no ledger here; give the --state of a receiver that has served")
    insured = known_insured(options.profile)
    if options.overrides is not None:
        insured = insured.overridden(options.overrides)
    opposition = None if options.opposition is None else OppositionList.load(options.opposition)
    register = Register(Seal.beside(options.state), options.profile)
    return Base(register, insured, State(Ledger(path)), opposition)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 updated, 1 refused with one sentence."""
    options = _parser().parse_args(arguments)
    return finish("kiosk", lambda: _run(options), (GatewayError, ReaderError, IssuerError))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.kiosk", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("card", nargs="+", help="what the driver takes for its slots: the image of the Vitale first")
    add("--state", type=Path, required=True, metavar="DIR", help="the receiver's")
    add("--authority", type=Path, required=True, metavar="DIR", help="the authority that made the card")
    add("--driver", default="emulated", help="a reader driver, as in the gateway's settings (emulated)")
    add("--slot", default="Vitale", help="the slot's name (Vitale)")
    add("--opposition", type=Path, metavar="FILE", help="the opposition list, as given to the receiver")
    add("--overrides", type=Path, metavar="FILE", help="as given to the receiver")
    add("--profile", action="append", default=[], metavar="NAME|FILE", help="as given to the receiver")
    return parser


def _run(options: argparse.Namespace) -> int:
    base = open_base(options)
    issuer = Authority.load(options.authority).issuer
    reader = open_reader(ReaderConfig(options.driver, tuple(options.card)))
    try:
        key = KioskKey(issuer, SystemClock().now())
        done = update_card(reader.slot(options.slot).connect(), base, key)
        print(*done.lines(), sep="\n")
        print("the card is up to date" if done.before != done.after else "the card was up to date already")
    finally:
        base.state.ledger.close()
        with suppress(AttributeError):
            reader.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
