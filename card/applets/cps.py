"""The CPS3 card: IAS-ECC face (CLA 00) and CPS2ter face (CLA A0) over one set of PINs.

Facts 3 and 4.3. To personalise one: `cps_card(...)` gives the `CardSpec`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from card.applets.cps2ter import SecondFace
from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.access import USER_PIN
from card.kernel.applet import Handler, dispatch
from card.kernel.blueprint import (
    AUTHENTICATE,
    DECIPHER,
    PUK_ACL,
    SIGN,
    CardSpec,
    KeySpec,
    ObjectSpec,
    PinSpec,
)
from card.kernel.commands import file_handlers
from card.kernel.crypto import CPS_ALGORITHMS, CryptoCommands
from card.kernel.errors import CardError
from card.kernel.filesystem import DfSpec, FileSystem
from card.kernel.memory import Memory
from card.kernel.objects import ObjectCommands
from card.kernel.pin import PinCommands
from card.kernel.selection import FCP, NOTHING, Selection
from card.kernel.session import Session

ATR = bytes.fromhex("3BAC00402A001225006480000310009000")

PIN, PUK = 0x01, 0x02
KEY_SIGNATURE, KEY_AUTHENTICATION = 0x81, 0x82
CONTACT_DF = (0x3F00, 0x0001)


def cps_card(
    *,
    serial: bytes,
    root: DfSpec,
    signature_key: bytes,
    authentication_key: bytes,
    pin: bytes = b"1234",
    puk: bytes = b"12345678",
    pin_tries: int | None = None,
    second_face: DfSpec | None = None,
    compatible: bool = False,
    operational: bool = True,
) -> CardSpec:
    """A whole CPS3: files from `root` (which has DF 0001), keys as PKCS#8 DER.

    serial: the 10 bytes of object 5A in EF.SN. compatible: gives the signature key INTERNAL
    AUTHENTICATE too, so that OpenSC built on OpenSSL 3 can sign with it (facts 1.2 rule 7).
    pin_tries: how many tries of the PIN are left on the new card, None for all.
    """
    sign_uses = SIGN | AUTHENTICATE if compatible else SIGN
    # Access mode bits of a private key: sign, authenticate, decipher, generate, -, put, get.
    sign_acl = bytes.fromhex("E31111FF00" if compatible else "C311FF00")
    return CardSpec(
        kind="cps",
        atr=ATR,
        serial=serial,
        root=root,
        pins=(PinSpec(PIN, pin, left=pin_tries), PinSpec(PUK, puk, max_tries=10, acl=PUK_ACL, uses=100)),
        keys=(
            KeySpec(KEY_SIGNATURE, signature_key, sign_uses, USER_PIN, CONTACT_DF, 0x9001, sign_acl),
            KeySpec(
                KEY_AUTHENTICATION,
                authentication_key,
                AUTHENTICATE | DECIPHER,
                USER_PIN,
                CONTACT_DF,
                0x9002,
                bytes.fromhex("B31111FF00"),
            ),
        ),
        objects=_environments(),
        second_face=second_face,
        operational=operational,
    )


def _environments() -> tuple[ObjectSpec, ...]:
    """Security environments 1 (PIN), 3 (PUK) and 5 (issuer keys), found under the MF only."""

    def user(reference: int) -> bytes:
        return tlv.encode(0xA4, tlv.encode(0x83, bytes((reference,))), tlv.encode(0x95, b"\x08"))

    # INVENTED(cps-issuer-environment): the template of environment 5 (issuer key set 05) is not public.
    issuer = tlv.encode(0xB4, tlv.encode(0x83, b"\x05"), tlv.encode(0x95, b"\x30"))
    values = {1: user(PIN), 3: user(PUK), 5: issuer}
    return tuple(ObjectSpec((0x3F00,), 0xFB00 | number, 0x7B, value) for number, value in values.items())


class CpsApplet:
    """Everything a CPS3 answers. PINs are global: both faces and all DFs share them."""

    MAX_LENGTH: ClassVar[int] = 2048
    """Longest command data of an extended APDU; the card advertises them in EF.ATR (47 03 94 01 80)."""

    proprietary_classes: ClassVar[frozenset[int]] = frozenset((0xA0,))
    chained_instructions: ClassVar[frozenset[int]] = frozenset((0x2A, 0xDB))

    def __init__(self, memory: Memory, rng: Callable[[int], bytes]) -> None:
        session = self._session = Session(memory, rng)
        self._selection = Selection(session, frozenset((FCP, NOTHING)), any_fid=False)
        self._pins = PinCommands(session)
        self._crypto = CryptoCommands(session, CPS_ALGORITHMS)
        self._face = _second_face(memory, session)
        self._in_second_face = False
        self._objects = ObjectCommands(session, self._pins, self._crypto)
        self._handlers = file_handlers(session, self._selection) | self._own_handlers()

    def _own_handlers(self) -> dict[int, Handler]:
        pins, crypto, objects = self._pins, self._crypto, self._objects
        return {
            0x20: pins.verify,
            0x24: pins.change,
            0x2C: pins.reset,
            0x22: crypto.manage,
            0x2A: self._security_operation,
            0x88: crypto.authenticate,
            0x84: self._challenge,
            0xCA: crypto.count,
            0xCB: objects.get,
            0xDB: objects.put,
            0x47: objects.generate,
        }

    def owns(self, name: bytes) -> bool:
        """Does SELECT by this DF name lead into this card's files?"""
        return self._selection.owns(name)

    def reset(self) -> None:
        """Power came on: IAS-ECC face, MF current, nothing proved."""
        self._session.reset()
        self._objects.reset()
        self._in_second_face = False
        if self._face is not None:
            self._face.reset()

    def interrupted(self) -> None:
        """Another command than GET RESPONSE came: what waits behind 9Fxx is forgotten (attack K9)."""
        if self._face is not None:
            self._face.waiting = b""

    def deselect(self) -> None:
        """Another applet was selected: nothing of this one's status remains."""
        self.reset()

    def process(self, command: CommandAPDU) -> ResponseAPDU:
        """One command; the class decides which face answers (facts 1.2 rule 8)."""
        if command.cla == 0xA0:
            return self._process_second(command)
        if self._in_second_face:
            if command.ins != 0xA4 or command.p1 != 0x04:
                raise CardError(0x6E00)
            response = dispatch(self._handlers, command)
            self._in_second_face = False
            return response
        return dispatch(self._handlers, command)

    def _process_second(self, command: CommandAPDU) -> ResponseAPDU:
        if self._face is None:
            raise CardError(0x6E00)
        if not self._in_second_face:
            self._in_second_face = True
            self._session.enter(self._session.files.mf)
            self._face.reset()
        return self._face.process(command)

    def _security_operation(self, command: CommandAPDU) -> ResponseAPDU:
        operation = command.p1 << 8 | command.p2
        if operation == 0x9E9A:
            return self._crypto.sign(command)
        if operation == 0x90A0:
            return self._crypto.hash(command)
        if operation == 0x8086:
            return self._crypto.decipher(command)
        raise CardError(0x6A86)

    def _challenge(self, command: CommandAPDU) -> ResponseAPDU:
        return self._crypto.challenge(command, default=8)


def _second_face(memory: Memory, session: Session) -> SecondFace | None:
    if not memory.get("2ter/3F00"):
        return None
    return SecondFace(FileSystem(memory, "2ter"), session.security)
