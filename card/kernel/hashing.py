"""Finish a SHA-1 or SHA-256 that was begun elsewhere (PSO HASH with an intermediate state, facts 3.7).

The host hashes all but the last block and hands over the state and the number of bits done.
No library can resume from a state, hence these few lines (FIPS 180-4, sections 5 and 6).
A hash without state takes the ordinary way through hashlib.
"""

from __future__ import annotations

import hashlib
import struct

BLOCK = 64
STATE_SIZE = {"sha1": 20, "sha256": 32}

_MASK = 0xFFFFFFFF


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _cube_root_fraction(prime: int) -> int:
    """The first 32 bits of the fractional part of the cube root (FIPS 180-4, 4.2.2), exactly."""
    scaled, low, high = prime << 96, 0, 1 << 36
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= scaled else (low, middle)
    return low & _MASK


_K256 = [_cube_root_fraction(prime) for prime in _primes(64)]
_K1 = (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6)


def digest(algorithm: str, data: bytes) -> bytes:
    """The whole hash at once; algorithm is "sha1" or "sha256"."""
    return hashlib.new(algorithm, data, usedforsecurity=algorithm != "sha1").digest()


def finish(algorithm: str, state: bytes, bits: int, tail: bytes) -> bytes:
    """The hash of a message whose first `bits` bits left `state` and whose rest is `tail`.

    Raises ValueError when `bits` is not a whole number of blocks or the state has a wrong size.
    """
    if len(state) != STATE_SIZE[algorithm]:
        raise ValueError(f"a {algorithm} state has {STATE_SIZE[algorithm]} bytes")
    total = bits + 8 * len(tail)
    if bits % (8 * BLOCK) or total >> 64:
        raise ValueError("the bit count is not a whole number of blocks")
    padded = tail + b"\x80" + bytes(-(len(tail) + 9) % BLOCK) + total.to_bytes(8, "big")
    words = list(struct.unpack(f">{len(state) // 4}I", state))
    compress = _sha1_block if algorithm == "sha1" else _sha256_block
    for at in range(0, len(padded), BLOCK):
        mixed = compress(words, padded[at : at + BLOCK])
        words = [(old + new) & _MASK for old, new in zip(words, mixed, strict=True)]
    return struct.pack(f">{len(words)}I", *words)


def _rotate_right(word: int, count: int) -> int:
    return (word >> count | word << (32 - count)) & _MASK


def _rotate_left(word: int, count: int) -> int:
    return _rotate_right(word, 32 - count)


def _sha256_block(state: list[int], block: bytes) -> list[int]:
    w = list(struct.unpack(">16I", block))
    for t in range(16, 64):
        s0 = _rotate_right(w[t - 15], 7) ^ _rotate_right(w[t - 15], 18) ^ w[t - 15] >> 3
        s1 = _rotate_right(w[t - 2], 17) ^ _rotate_right(w[t - 2], 19) ^ w[t - 2] >> 10
        w.append((w[t - 16] + s0 + w[t - 7] + s1) & _MASK)
    a, b, c, d, e, f, g, h = state
    for t in range(64):
        big1 = _rotate_right(e, 6) ^ _rotate_right(e, 11) ^ _rotate_right(e, 25)
        first = h + big1 + (e & f ^ ~e & g) + _K256[t] + w[t]
        big0 = _rotate_right(a, 2) ^ _rotate_right(a, 13) ^ _rotate_right(a, 22)
        second = big0 + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (first + second) & _MASK, a, b, c, (d + first) & _MASK, e, f, g
    return [a, b, c, d, e, f, g, h]


def _sha1_block(state: list[int], block: bytes) -> list[int]:
    w = list(struct.unpack(">16I", block))
    for t in range(16, 80):
        w.append(_rotate_left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1))
    a, b, c, d, e = state
    for t in range(80):
        mixed = (b & c | ~b & d, b ^ c ^ d, b & c | b & d | c & d, b ^ c ^ d)[t // 20]
        a, b, c, d, e = (
            (_rotate_left(a, 5) + mixed + e + _K1[t // 20] + w[t]) & _MASK,
            a,
            _rotate_left(b, 30),
            c,
            d,
        )
    return [a, b, c, d, e]
