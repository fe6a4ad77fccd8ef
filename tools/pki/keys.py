"""Keys for tests: made once per process and handed out again, because making them is slow."""

from __future__ import annotations

from functools import cache
from itertools import count

from cryptography.hazmat.primitives.asymmetric import rsa

from card.issuer import KeySource, generate_key


@cache
def numbered_key(number: int) -> rsa.RSAPrivateKey:
    """The process's n-th RSA-2048 test key."""
    return generate_key()


@cache
def weak_key(bits: int, exponent: int) -> rsa.RSAPrivateKey:
    """A key that no policy allows: 1024 bits, or e = 3."""
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits)


def pooled_keys(start: int = 0) -> KeySource:
    """A source that hands out numbered keys, from `start` on, each once."""
    numbers = count(start)
    return lambda: numbered_key(next(numbers))
