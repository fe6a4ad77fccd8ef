"""The CPS3 card: IAS-ECC face (CLA 00) and CPS2ter face (CLA A0) over one set of PINs.

Facts 3 and 4.3. To personalise one: `cps_card(...)` gives the `CardSpec`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.access import NEVER, USER_PIN
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
from card.kernel.filesystem import DfSpec
from card.kernel.memory import Memory

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
    second_face: DfSpec | None = None,
    compatible: bool = False,
    operational: bool = True,
) -> CardSpec:
    """A whole CPS3: files from `root` (which has DF 0001), keys as PKCS#8 DER.

    serial: the 10 bytes of object 5A in EF.SN. compatible: gives the signature key INTERNAL
    AUTHENTICATE too, so that OpenSC built on OpenSSL 3 can sign with it (facts 1.2 rule 7).
    """
    sign_uses = SIGN | AUTHENTICATE if compatible else SIGN
    # Access mode bits of a private key: sign, authenticate, decipher, generate, -, put, get.
    sign_acl = bytes.fromhex("E31111FF00" if compatible else "C311FF00")
    return CardSpec(
        kind="cps",
        atr=ATR,
        serial=serial,
        root=root,
        pins=(PinSpec(PIN, pin), PinSpec(PUK, puk, max_tries=10, acl=PUK_ACL, uses=100)),
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
    return tuple(
        ObjectSpec((0x3F00,), 0xFB00 | number, 0x7B, tlv.encode(0x80, bytes((number,))) + value)
        for number, value in values.items()
    )
