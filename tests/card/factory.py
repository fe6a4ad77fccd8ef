"""Cards of the shipped profiles for the tests: keys and issuer are made once per process."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import count

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from card.issuer import TestIssuer, generate_key
from card.kernel.os import CardOS
from card.kernel.storage import MemoryStorage
from card.personalise import load_profile, open_card, personalise

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@cache
def private_key(number: int) -> RSAPrivateKey:
    """One of a few RSA-2048 keys."""
    return generate_key()


@cache
def issuer() -> TestIssuer:
    """An issuer in memory."""
    return TestIssuer.make(now=NOW, key_source=lambda: private_key(0))


@cache
def image(profile: str, *, compatible: bool = False) -> bytes:
    """The image of a card made for a shipped profile."""
    storage, numbers = MemoryStorage(), count(1)
    personalise(
        load_profile(profile),
        storage,
        issuer(),
        NOW,
        key_source=lambda: private_key(next(numbers)),
        compatible=compatible,
    )
    return storage.read()


def card(profile: str, *, compatible: bool = False) -> CardOS:
    """A card of its own, powered."""
    made = open_card(MemoryStorage(image(profile, compatible=compatible)))
    made.power_on()
    return made


def send(powered: CardOS, *commands: str) -> list[str]:
    """The answers to commands in hex, in upper-case hex."""
    return [powered.transmit(bytes.fromhex(command)).hex().upper() for command in commands]
