"""Each organism and each insurer as a party of its own: number, address, and a key that opens its mail.

Without `--parties` one key opens everything, as one front end of the national side would. With it a lot has
to be sealed to who it is for: what is sealed to another party cannot be opened, whoever could have read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gateway.cms.enveloped import DecryptionKey
from gateway.lots.organism import Complementary, Destination, Organism
from tools.pki import Authority
from tools.pki.authority import RECEIVER_NAME
from tools.receiver.insured import InsuredBase
from tools.receiver.insurers import InsurerBase

_CENTRE = "999"
"""Centre informatique of every organism that insures test cards (billing facts 1.6)."""


@dataclass(frozen=True)
class Party:
    """Who can be written to. `number`: 14 digits; `number` "" stands for everybody."""

    number: str
    address: str
    key: DecryptionKey = field(repr=False)


def front_end(authority: Authority) -> Party:
    """The one key that opens what is sent to anybody."""
    return Party("", RECEIVER_NAME, authority.receiver_keys().decryption)


def all_parties(authority: Authority, insured: InsuredBase, insurers: InsurerBase) -> tuple[Party, ...]:
    """Every organism that insures somebody and every insurer that takes DRE, each with its own key.

    The caisse whose address the receiver's certificate has keeps that certificate.
    """
    everybody: list[Destination] = [*_organisms(insured), *_insurers(insurers)]
    found = {one.number: one for one in everybody}
    own = authority.receiver_keys().decryption

    def party(one: Destination) -> Party:
        key = own if one.address == RECEIVER_NAME else authority.party_key(one.number, one.address)
        return Party(one.number, one.address, key)

    with ThreadPoolExecutor(2) as pool:  # making keys leaves Python
        return tuple(pool.map(party, (found[number] for number in sorted(found))))


def _organisms(insured: InsuredBase) -> Iterable[Organism]:
    for key in sorted(insured.organisms):
        regime, organism = key.split("-")
        yield Organism(regime, _CENTRE, organism)


def _insurers(insurers: InsurerBase) -> Iterable[Complementary]:
    for one in insurers:
        if one.treatment:
            yield Complementary(one.insurer, one.domain) if one.domain else Complementary(one.insurer)
