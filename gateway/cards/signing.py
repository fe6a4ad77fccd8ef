"""Private-key operations of a card with as few exchanges as possible: one MSE SET, then one APDU each."""

from __future__ import annotations

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from gateway.errors import InputError
from reader.connection import Connection
from reader.errors import CardProtocolError

SIGNATURE_LENGTH = 256
"""Both cards hold RSA-2048 keys."""

DIGEST_LENGTH = 32

_ENVIRONMENT_LOST = frozenset({0x6985, 0x6A80, 0x6A88})


class SecurityEnvironment:
    """What MANAGE SECURITY ENVIRONMENT last told the card, so that it is not told again.

    The card forgets it at reset and at SELECT (ISO/IEC 7816-8:2016, 5.2): the session then calls `forget()`.
    """

    __slots__ = ("_connection", "_current")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._current: CommandAPDU | None = None

    def forget(self) -> None:
        """The card was reset or something was selected: tell the card again next time."""
        self._current = None

    def perform(self, template: CommandAPDU, operation: CommandAPDU) -> ResponseAPDU:
        """`operation` under `template` (an MSE SET); the template is sent only when it is not in force.

        A card that has lost its environment is told once more. Any other refusal is given back as it is.
        The caller keeps the card for itself meanwhile (`exclusive()`).
        """
        if self._current is template:
            answer = self._connection.transmit(operation)
            if answer.sw not in _ENVIRONMENT_LOST:
                return answer
        self._current = None
        answer = self._connection.transmit(template)
        if answer.sw != 0x9000:
            return answer
        self._current = template
        return self._connection.transmit(operation)


def mse_set(template: int, algorithm: int, key: int) -> CommandAPDU:
    """MSE SET for computation: `22 41 <template> 06 80 01 alg 84 01 key`."""
    return CommandAPDU(0, 0x22, 0x41, template, bytes((0x80, 1, algorithm, 0x84, 1, key)))


def compute_signature(digest: bytes) -> CommandAPDU:
    """PSO COMPUTE DIGITAL SIGNATURE over a SHA-256 made off the card; raises InputError on another length."""
    if len(digest) != DIGEST_LENGTH:
        raise InputError(
            f"A card signs a SHA-256 digest of {DIGEST_LENGTH} bytes, not {len(digest)}: hash first."
        )
    return CommandAPDU(0, 0x2A, 0x9E, 0x9A, digest, SIGNATURE_LENGTH)


def checked_signature(connection: Connection, answer: ResponseAPDU) -> bytes:
    """The signature in a successful answer; raises CardProtocolError when it has not the key's length."""
    if len(answer.data) != SIGNATURE_LENGTH:
        raise CardProtocolError(connection.slot_name, "a signature that has not the length of its key")
    return answer.data
