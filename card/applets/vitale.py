"""The Vitale 2 card: MF_VITALE and the VITALE application (facts 2.3, 2.4).

To personalise one: `vitale_card(...)` gives the `CardSpec`.
"""

from __future__ import annotations

from card.kernel.access import EXTERNAL_CPS
from card.kernel.blueprint import SIGN, CardSpec, KeySpec
from card.kernel.filesystem import DfSpec

ATR = bytes.fromhex("3B751300004309EA9000")

KEY_SEAL = 0x83


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
