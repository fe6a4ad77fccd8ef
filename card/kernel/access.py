"""Access rules in compact form: an access mode byte, then one condition per action (ISO 7816-4, 5.4.3.1).

IAS-ECC reads the condition byte so: 00 always, FF never, b8 all (else any) of b7 secure messaging,
b6 external authentication, b5 user authentication; the low nibble is the security environment
that names the key or the PIN. An action without a condition is never allowed.
"""

from __future__ import annotations

ALWAYS = 0x00
NEVER = 0xFF
ALL_CONDITIONS, SECURE_MESSAGING, EXTERNAL, USER = 0x80, 0x40, 0x20, 0x10

USER_PIN = 0x11  # user authentication, environment 1: the "code porteur"
USER_PUK = 0x13  # user authentication, environment 3: the unblocking code
EXTERNAL_CPS = 0x21  # external authentication, environment 1: a CPS in the other slot

# Which bit of the access mode byte speaks of which action (b7 first).
DELETE, TERMINATE, ACTIVATE, DEACTIVATE, WRITE, UPDATE, READ = range(7)  # on an EF
CREATE_DF, CREATE_EF, DELETE_CHILD = 4, 5, 6  # on a DF
PIN_CHANGE, PIN_VERIFY, PIN_RESET = 0, 1, 2  # on a PIN
KEY_SIGN, KEY_AUTHENTICATE, KEY_DECIPHER = 0, 1, 2  # on a private key

Conditions = tuple[int, ...]

_PIN_OF_ENVIRONMENT = {0: 0x01, 1: 0x01, 3: 0x02}
_NOTHING: Conditions = (NEVER,) * 7


def read_rules(acl: bytes) -> Conditions:
    """Seven conditions, b7 to b1 of the access mode byte; raises ValueError when bytes are missing."""
    if not acl:
        return _NOTHING
    mode, conditions = acl[0], iter(acl[1:])
    if len(acl) - 1 < (mode & 0x7F).bit_count():
        raise ValueError("an access rule has fewer conditions than its mode byte announces")
    return tuple(next(conditions) if mode & (0x40 >> bit) else NEVER for bit in range(7))


class SecurityStatus:
    """What has been proved since the last reset: which PINs, and who authenticated from outside.

    PINs are global to the card; an external authentication belongs to the current application
    and ends when it is left (promise: after SELECT B nothing of A's status remains).
    """

    def __init__(self) -> None:
        self._pins: set[int] = set()
        self._external: set[int] = set()

    def reset(self) -> None:
        """Cold and warm reset, and another applet: nothing is proved any more."""
        self._pins.clear()
        self._external.clear()

    def leave_application(self) -> None:
        """The current DF was selected anew or left: external authentications end."""
        self._external.clear()

    def set_pin(self, reference: int, verified: bool) -> None:
        """Note the result of a comparison."""
        (self._pins.add if verified else self._pins.discard)(reference)

    def has_pin(self, reference: int) -> bool:
        """True after a successful VERIFY of this PIN."""
        return reference in self._pins

    def grant_external(self, environment: int) -> None:
        """Note a successful EXTERNAL AUTHENTICATE for a security environment."""
        self._external.add(environment)

    def satisfies(self, condition: int) -> bool:
        """Does the present status fulfil one condition byte?"""
        if condition == ALWAYS:
            return True
        if condition == NEVER:
            return False
        environment = condition & 0x0F
        proofs = []
        if condition & SECURE_MESSAGING:
            proofs.append(False)  # secure messaging keys are issuer secrets: nobody has them here
        if condition & EXTERNAL:
            proofs.append((environment or 1) in self._external)
        if condition & USER:
            proofs.append(_PIN_OF_ENVIRONMENT.get(environment) in self._pins)
        return bool(proofs) and (all(proofs) if condition & ALL_CONDITIONS else any(proofs))
