"""The cards of a year: personalised when they are first needed, from a small pool of keys made beforehand.

Every card has a serial number, a certificate and an image of its own; only the RSA keys come back, because
making a thousand of them would take longer than the year. They live in memory and end with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING

from card.issuer import generate_key
from card.kernel.storage import MemoryStorage
from card.personalise import load_profile, open_card, personalise
from gateway.clock import Clock
from tools.scenario.people import Patient

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from card.issuer import TestIssuer
    from card.kernel.os import CardOS
    from card.profile import Profile

POOL = 12


def key_pool(count: int = POOL) -> Callable[[], RSAPrivateKey]:
    """A source of `count` RSA-2048 keys in turn, made side by side on two cores."""
    with ThreadPoolExecutor(2) as pool:
        keys = cycle(list(pool.map(lambda _: generate_key(), range(count))))
    return lambda: next(keys)


class CardBox:
    """Makes the card of a person or a professional, and keeps it for the next visit."""

    def __init__(self, issuer: TestIssuer, clock: Clock, keys: Callable[[], RSAPrivateKey]) -> None:
        self._issuer, self._made, self._keys = issuer, clock.now(), keys
        self._images: dict[str, MemoryStorage] = {}

    def vitale(self, patient: Patient) -> CardOS:
        """The Vitale of this person, ready for a slot."""
        return open_card(self._image(patient.profile.name, patient.profile))

    def cps(self, profile: str) -> CardOS:
        """The CPS of this shipped profile."""
        return open_card(self._image(profile, load_profile(profile)))

    def forget(self, patient: Patient) -> None:
        """The person's card is made anew at the next visit."""
        self._images.pop(patient.profile.name, None)

    def _image(self, name: str, profile: Profile) -> MemoryStorage:
        if name not in self._images:
            storage = MemoryStorage()
            # Made before the year: a card that ends in it was good then.
            personalise(profile, storage, self._issuer, self._made, key_source=self._keys)
            self._images[name] = storage
        return self._images[name]
