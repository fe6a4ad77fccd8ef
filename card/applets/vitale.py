"""The Vitale 2 card: MF_VITALE and the VITALE application (facts 2.3, 2.4).

To personalise one: `vitale_card(...)` gives the `CardSpec`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from card.applets.card_to_card import CHALLENGE_SIZE, CardToCard
from card.applets.rights_update import PUT_DATA, RightsUpdate
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.access import EXTERNAL_CPS
from card.kernel.applet import Handler, dispatch
from card.kernel.blueprint import SIGN, CardSpec, KeySpec
from card.kernel.commands import file_handlers
from card.kernel.crypto import SIGNATURE, CryptoCommands
from card.kernel.errors import CardError
from card.kernel.filesystem import DfSpec
from card.kernel.memory import Memory
from card.kernel.selection import FCI, FCP, NOTHING, Selection
from card.kernel.session import Session

ATR = bytes.fromhex("3B751300004309EA9000")

# INVENTED(vitale-seal-key): key 83 of VITALE signs digests with RSA-2048; the real seal is not public.
KEY_SEAL = 0x83

_ALGORITHMS = {SIGNATURE: frozenset((0x42,))}


def vitale_card(
    *,
    serial: bytes,
    root: DfSpec,
    application: int,
    seal_key: bytes,
    trust: tuple[bytes, ...],
    operational: bool = True,
) -> CardSpec:
    """A whole Vitale: files from `root`; `application` is the FID of the VITALE DF below the MF.

    serial: the 10 bytes of object 5A in the PAN file. seal_key: PKCS#8 DER. trust: DER certificates
    of the authorities that issue CPS authentication certificates. Protected EFs carry the
    read condition EXTERNAL_CPS (21), for example acl 7B FF FF FF FF FF 21.
    """
    return CardSpec(
        kind="vitale",
        atr=ATR,
        serial=serial,
        root=root,
        keys=(KeySpec(KEY_SEAL, seal_key, SIGN, EXTERNAL_CPS, (0x3F00, application)),),
        trust=trust,
        operational=operational,
    )


class VitaleApplet:
    """Everything a Vitale 2 answers: free files always, rights and seal after a CPS authenticated."""

    proprietary_classes: ClassVar[frozenset[int]] = frozenset()
    chained_instructions: ClassVar[frozenset[int]] = frozenset((0x2A, 0x82, PUT_DATA))

    def __init__(self, memory: Memory, rng: Callable[[int], bytes]) -> None:
        session = self._session = Session(memory, rng)
        self._selection = Selection(session, frozenset((FCI, FCP, NOTHING)), any_fid=True)
        self._crypto = CryptoCommands(session, _ALGORITHMS)
        self._card_to_card = CardToCard(session)
        self._update = RightsUpdate(session, self._card_to_card)
        self._handlers: dict[int, Handler] = file_handlers(session, self._selection) | {
            0x22: self._crypto.manage,
            0x2A: self._security_operation,
            0x82: self._in_application(self._card_to_card.authenticate),
            0x84: self._challenge,
            0xCA: self._crypto.count,
            PUT_DATA: self._in_application(self._update.put),
        }

    def owns(self, name: bytes) -> bool:
        """Does SELECT by this DF name lead into this card's files?"""
        return self._selection.owns(name)

    def reset(self) -> None:
        """Power came on: MF_VITALE is current, nothing proved."""
        self._session.reset()

    def interrupted(self) -> None:
        """Nothing is kept back here: answers wait in `CardOS`."""

    def deselect(self) -> None:
        """Another applet was selected: nothing of this one's status remains."""
        self._session.reset()

    def process(self, command: CommandAPDU) -> ResponseAPDU:
        """One command."""
        return dispatch(self._handlers, command)

    def _security_operation(self, command: CommandAPDU) -> ResponseAPDU:
        operation = command.p1 << 8 | command.p2
        if operation == 0x9E9A:
            return self._crypto.sign(command)
        if operation == 0x00AE:
            return self._in_application(self._card_to_card.verify_certificate)(command)
        raise CardError(0x6A86)

    def _in_application(self, handler: Handler) -> Handler:
        """Card-to-card authentication belongs to the DF that holds the seal key; elsewhere 6985."""

        def guarded(command: CommandAPDU) -> ResponseAPDU:
            if not self._crypto.keys():
                raise CardError(0x6985)
            return handler(command)

        return guarded

    def _challenge(self, command: CommandAPDU) -> ResponseAPDU:
        return self._crypto.challenge(command, default=CHALLENGE_SIZE)
