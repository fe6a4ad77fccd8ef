"""Small cards for the tests of the kernel: the shapes of the facts, contents and keys of our own."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from card.applets.assembly import assemble
from card.applets.cps import cps_card
from card.applets.vitale import vitale_card
from card.iso7816 import tlv
from card.kernel.blueprint import image_items
from card.kernel.filesystem import CYCLIC, LINEAR, DfSpec, EfSpec
from card.kernel.memory import Memory
from card.kernel.os import CardOS
from card.kernel.storage import MemoryStorage, Storage

AID_MF = bytes.fromhex("80250000 01FF0100")
AID_CONTACT = bytes.fromhex("E828BD080F8025000001FF0010")
AID_CONTACTLESS = bytes.fromhex("E828BD080F8025000001FF0020")
AID_MF_VITALE = bytes.fromhex("D25000000 24D465F564954414C45".replace(" ", ""))
AID_VITALE = bytes.fromhex("D2500000 02564954414C45".replace(" ", ""))
SERIAL_CPS = bytes.fromhex("80250000019999999999")
SERIAL_VITALE = bytes.fromhex("80250099000000000019")

FREE, PIN_READ, CPS_READ, OPEN = (
    bytes.fromhex(text) for text in ("7BFFFFFFFFFF00", "7BFFFFFFFFFF11", "7BFFFFFFFFFF21", "7FFFFFFFFF000000")
)
PIN_1234 = b"1234" + b"\xff" * 4
PIN_9999 = b"9999" + b"\xff" * 4
PUK_GOOD = b"12345678"


@cache
def private_key(number: int) -> rsa.RSAPrivateKey:
    """One of a few RSA-2048 keys, made once per process."""
    return rsa.generate_private_key(65537, 2048)


@cache
def pkcs8(number: int) -> bytes:
    """The same key as PKCS#8 DER."""
    return private_key(number).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def cps_root() -> DfSpec:
    """MF with EF.DIR, EF.SN; DF 0001 with every kind of file; DF 0002."""
    contact = DfSpec(
        0x0001,
        AID_CONTACT,
        children=(
            EfSpec(0x5031, content=bytes(range(100)), acl=FREE),
            EfSpec(0xA001, content=bytes(range(256)) * 5, acl=FREE),
            EfSpec(0xD107, size=64, acl=OPEN, sfi=7),
            EfSpec(0xD120, content=b"situation", acl=PIN_READ),
            EfSpec(0xD200, LINEAR, 40, 10, b"A" * 10 + b"B" * 10, acl=OPEN, sfi=2),
            EfSpec(0xD201, CYCLIC, 30, 10, b"1" * 10, acl=OPEN, sfi=3),
        ),
    )
    return DfSpec(
        0x3F00,
        AID_MF,
        children=(
            EfSpec(0x2F00, content=bytes(101), sfi=0x1E),
            EfSpec(0xD003, content=b"\x5a\x0a" + SERIAL_CPS, sfi=0x1C),
            contact,
            DfSpec(0x0002, AID_CONTACTLESS),
        ),
    )


def second_face() -> DfSpec:
    """The CPS2ter tree of facts 4.1: a free file, PIN-protected situations, a DF."""
    billing = DfSpec(0x7F01, children=(EfSpec(0x4000, content=b"billing", acl=PIN_READ),))
    return DfSpec(
        0x3F00,
        children=(
            EfSpec(0x4010, content=b"activity one", acl=PIN_READ),
            billing,
            EfSpec(0x2F02, content=b"free"),
        ),
    )


def vitale_root() -> DfSpec:
    """MF_VITALE with identity and PAN, the VITALE DF with a free and a protected file."""
    vitale = DfSpec(
        0x2000,
        AID_VITALE,
        children=(
            EfSpec(0x2001, content=tlv.encode(0xE0, b""), sfi=1),
            EfSpec(0x2010, content=b"free here", sfi=2),
            EfSpec(0x2020, content=b"protected rights", acl=CPS_READ),
        ),
    )
    return DfSpec(
        0x3F00,
        AID_MF_VITALE,
        children=(
            EfSpec(0x2F02, content=b"\x5a\x0a" + SERIAL_VITALE),
            EfSpec(0x2F10, content=b"identity", sfi=2),
            vitale,
        ),
    )


def cps_items(*, operational: bool = True, compatible: bool = False) -> dict[str, bytes]:
    """The memory items of the CPS of these tests."""
    spec = cps_card(
        serial=SERIAL_CPS,
        root=cps_root(),
        signature_key=pkcs8(1),
        authentication_key=pkcs8(2),
        second_face=second_face(),
        operational=operational,
        compatible=compatible,
    )
    return image_items(spec)


def vitale_items(trust: tuple[bytes, ...] = (), *, operational: bool = True) -> dict[str, bytes]:
    """The memory items of the Vitale of these tests."""
    spec = vitale_card(
        serial=SERIAL_VITALE,
        root=vitale_root(),
        application=0x2000,
        seal_key=pkcs8(3),
        trust=trust,
        operational=operational,
    )
    return image_items(spec)


def powered(items: dict[str, bytes], storage: Storage | None = None) -> Host:
    """A card made of `items`, powered on, with a hand to send hex commands."""
    card = assemble(Memory.create(storage or MemoryStorage(), items))
    card.power_on()
    return Host(card)


class Host:
    """Sends commands written in hex and splits the answers."""

    def __init__(self, card: CardOS) -> None:
        self.card = card

    def send(self, *parts: str | bytes) -> tuple[bytes, int]:
        """(data, SW) of one command; parts are hex text or bytes."""
        raw = b"".join(bytes.fromhex(part) if isinstance(part, str) else part for part in parts)
        answer = self.card.transmit(raw)
        return answer[:-2], int.from_bytes(answer[-2:], "big")

    def sw(self, *parts: str | bytes) -> int:
        """The status word alone."""
        return self.send(*parts)[1]

    def ok(self, *parts: str | bytes) -> bytes:
        """The data of a command that must succeed."""
        data, sw = self.send(*parts)
        assert sw == 0x9000, f"{sw:04X}"
        return data

    def chained(self, header: str, data: bytes, size: int = 255) -> tuple[bytes, int]:
        """Send `data` in links of `size` bytes; the header is written with CLA 00."""
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        for piece in pieces[:-1]:
            assert self.sw("10" + header[2:], bytes((len(piece),)), piece) == 0x9000
        return self.send(header, bytes((len(pieces[-1]),)), pieces[-1], "00")

    def verify(self, pin: bytes = PIN_1234) -> int:
        """VERIFY of PIN 01."""
        return self.sw("0020000108", pin)

    def contact(self) -> Host:
        """Select the contact application."""
        self.ok("00A4040C0D", AID_CONTACT)
        return self
