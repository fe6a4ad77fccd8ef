"""Security environment and security operations (ISO 7816-4, 11.5; ISO 7816-8; facts 3.7).

MSE chooses algorithm and key per template; PSO and INTERNAL AUTHENTICATE use the choice.
Every use asks in this order: chosen? (6985) · may this key do it? (6985) · condition? (6982) · length (6700).
There is no raw RSA: the card always pads, and signs digests of the exact length only (attacks K13, K14).
"""

from __future__ import annotations

from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel import hashing
from card.kernel.applet import DONE
from card.kernel.blueprint import AUTHENTICATE, DECIPHER, SIGN
from card.kernel.errors import CardError
from card.kernel.keys import KeyRing, PrivateKey
from card.kernel.session import Session

HASH, SIGNATURE, AUTHENTICATION, CONFIDENTIALITY = 0xAA, 0xB6, 0xA4, 0xB8

# Algorithm references of the CPS3 (TokenInfo, facts 3.4).
HASHES = {0x10: "sha1", 0x40: "sha256"}
SIGNATURES = {0x12: "sha1", 0x42: "sha256"}
CPS_ALGORITHMS = {
    HASH: frozenset(HASHES),
    SIGNATURE: frozenset(SIGNATURES),
    AUTHENTICATION: frozenset((0x02,)),
    CONFIDENTIALITY: frozenset((0x1A,)),
}
DIGEST_SIZE = {"sha1": 20, "sha256": 32}

# "input at most 40 % of the modulus" of 256 bytes
_LARGEST_PROOF = 102

_PLAIN_CRYPTOGRAM = 0x81


class CryptoCommands:
    """MSE, PSO and INTERNAL AUTHENTICATE over the keys of the current DF."""

    def __init__(self, session: Session, algorithms: dict[int, frozenset[int]]) -> None:
        self._session = session
        self._algorithms = algorithms
        self._ring = KeyRing(session.memory)

    def keys(self) -> dict[int, PrivateKey]:
        """The private keys of the current DF by reference."""
        return self._ring.in_df(self._session.df.key.partition("/")[2])

    # ---- MANAGE SECURITY ENVIRONMENT

    def manage(self, command: CommandAPDU) -> ResponseAPDU:
        """22: 41 SET one template, F3 RESTORE an (empty) environment."""
        if command.p1 == 0xF3:
            return self._restore(command)
        if command.p1 == 0xC1:
            raise CardError(0x6A88)  # keys for external authentication are issuer secrets
        allowed = self._algorithms.get(command.p2)
        if command.p1 != 0x41 or allowed is None:
            raise CardError(0x6A86)
        algorithm, reference = _template(command.data)
        if algorithm not in allowed:
            raise CardError(0x6A80)
        if command.p2 != HASH and reference not in self.keys():
            raise CardError(0x6A88)
        self._session.environment.templates[command.p2] = (algorithm, reference)
        return DONE

    def _restore(self, command: CommandAPDU) -> ResponseAPDU:
        if command.data:
            raise CardError(0x6700)
        if command.p2 not in (0x01, 0x03, 0x05):
            raise CardError(0x6A88)
        self._session.environment.clear()
        return DONE

    # ---- PERFORM SECURITY OPERATION

    def hash(self, command: CommandAPDU) -> ResponseAPDU:
        """2A 90 A0: the last block of a message, with the state of what came before in '90'."""
        algorithm, _ = self._chosen(HASH)
        name = HASHES[algorithm]
        state, tail = _hash_input(command.data)
        self._session.environment.digest = None
        if not state:
            value = hashing.digest(name, tail)
        else:
            if len(tail) > hashing.BLOCK or len(state) != hashing.STATE_SIZE[name] + 8:
                raise CardError(0x6A80)
            try:
                value = hashing.finish(name, state[:-8], int.from_bytes(state[-8:], "big"), tail)
            except ValueError:
                raise CardError(0x6A80) from None
        self._session.environment.digest = (algorithm, value)
        return DONE

    def sign(self, command: CommandAPDU) -> ResponseAPDU:
        """2A 9E 9A: the hash made before (no data, used up), or a hash made by the host."""
        algorithm, reference = self._chosen(SIGNATURE)
        key = self._key(reference, SIGN)
        name = SIGNATURES[algorithm]
        digest = command.data or self._take_digest(name)
        if len(digest) != DIGEST_SIZE[name]:
            raise CardError(0x6700)
        return ResponseAPDU(key.sign(digest, name))

    def decipher(self, command: CommandAPDU) -> ResponseAPDU:
        """2A 80 86: '81' then one block of the modulus' size."""
        _, reference = self._chosen(CONFIDENTIALITY)
        key = self._key(reference, DECIPHER)
        if len(command.data) != key.size + 1:
            raise CardError(0x6700)
        if command.data[0] != _PLAIN_CRYPTOGRAM:
            raise CardError(0x6A80)
        return ResponseAPDU(key.decipher(command.data[1:]))

    def authenticate(self, command: CommandAPDU) -> ResponseAPDU:
        """88 00 00 INTERNAL AUTHENTICATE: a DigestInfo, padded and signed by the card."""
        if command.p1 or command.p2:
            raise CardError(0x6A86)
        _, reference = self._chosen(AUTHENTICATION)
        key = self._key(reference, AUTHENTICATE)
        if not 0 < len(command.data) <= _LARGEST_PROOF:
            raise CardError(0x6700)
        return ResponseAPDU(key.prove(command.data))

    def challenge(self, command: CommandAPDU, default: int) -> ResponseAPDU:
        """84 00 00: Le random bytes (`default` when Le is 00), kept for one authentication."""
        if command.p1 or command.p2:
            raise CardError(0x6A86)
        if command.data or not command.ne:
            raise CardError(0x6700)
        size = default if command.ne >= 256 else command.ne
        self._session.challenge = self._session.rng(size)
        return ResponseAPDU(self._session.challenge)

    def count(self, command: CommandAPDU) -> ResponseAPDU:
        """CA 01 kk: at least how many signatures key kk has made, 4 bytes."""
        # INVENTED(signature-count): GET DATA 01kk gives the signature counter; no public text has it.
        key = self.keys().get(command.p2)
        if command.p1 != 0x01 or key is None or command.data:
            raise CardError(0x6A88)
        return ResponseAPDU(key.count.to_bytes(4, "big"))

    def _chosen(self, tag: int) -> tuple[int, int]:
        chosen = self._session.environment.templates.get(tag)
        if chosen is None:
            raise CardError(0x6985)
        return chosen

    def _key(self, reference: int, use: int) -> PrivateKey:
        key = self.keys().get(reference)
        if key is None:
            raise CardError(0x6A88)
        if not key.uses & use:
            raise CardError(0x6985)
        if not self._session.security.satisfies(key.condition):
            raise CardError(0x6982)  # in personalisation too: nobody signs without consent (B15)
        return key

    def _take_digest(self, name: str) -> bytes:
        waiting, self._session.environment.digest = self._session.environment.digest, None
        if waiting is None or HASHES[waiting[0]] != name:
            raise CardError(0x6985)
        return waiting[1]


def _template(data: bytes) -> tuple[int, int]:
    """Algorithm '80' and key '84' of a control reference template, in any order (facts 1.2 rule 6)."""
    try:
        items = tlv.parse(data)
    except tlv.TlvError:
        raise CardError(0x6A80) from None
    found = {item.tag: item.value for item in items}
    if len(found) != len(items) or set(found) - {0x80, 0x84} or any(len(v) != 1 for v in found.values()):
        raise CardError(0x6A80)
    if 0x80 not in found:
        raise CardError(0x6A80)
    return found[0x80][0], found.get(0x84, b"\0")[0]


def _hash_input(data: bytes) -> tuple[bytes, bytes]:
    try:
        items = tlv.parse(data)
    except tlv.TlvError:
        raise CardError(0x6A80) from None
    if [item.tag for item in items] not in ([0x90, 0x80], [0x80]):
        raise CardError(0x6A80)
    return (items[0].value if len(items) == 2 else b""), items[-1].value
