"""Security data objects: GET DATA always, PUT DATA and GENERATE in personalisation (facts 3.5, 7.2).

ask     00 CB 3F FF   4D L 70 L BF cc rr L tag 80
answer                70 L BF cc rr L tag L value
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.applet import DONE
from card.kernel.crypto import CryptoCommands
from card.kernel.errors import CardError
from card.kernel.keys import PrivateKey
from card.kernel.pin import SIZE, Pin, PinCommands
from card.kernel.session import Session

_PIN_CLASS, _KEY_CLASS = 0x81, 0x90
_PARAMETERS, _PIN_VALUE, _KEY_VALUE, _PUBLIC_VALUE = 0xA0, 0x7F41, 0x7F48, 0x7F49
_EXPONENT = 65537
_KEY_BITS = 2048


class ObjectCommands:
    """GET DATA, PUT DATA and GENERATE KEY PAIR over PINs, private keys and stored objects."""

    def __init__(self, session: Session, pins: PinCommands, crypto: CryptoCommands) -> None:
        self._session = session
        self._pins = pins.pins
        self._crypto = crypto
        # PUT DATA brings a private key in several commands: the parts that came since power on.
        self._parts: dict[PrivateKey, dict[int, bytes]] = {}

    def reset(self) -> None:
        """Power came on: parts of a key brought before never join parts brought after (attack K4)."""
        self._parts.clear()

    # ---- GET DATA

    def get(self, command: CommandAPDU) -> ResponseAPDU:
        """CB 3F FF: one tag of one object; 6A88 when there is none here."""
        if (command.p1, command.p2) != (0x3F, 0xFF):
            raise CardError(0x6A86)
        object_tag, tag = _request(command.data)
        value = self._value(object_tag, tag)
        return ResponseAPDU(tlv.encode(0x70, tlv.encode(object_tag, tlv.encode(tag, value))))

    def _value(self, object_tag: int, tag: int) -> bytes:
        kind, reference = object_tag >> 8 & 0xFF, object_tag & 0xFF
        if kind == _PIN_CLASS and (pin := self._pins.get(reference)) is not None:
            return _pin_parameters(pin, tag)
        if kind == _KEY_CLASS:
            return _key_parameters(self._key(object_tag), tag)
        path = self._session.df.key.partition("/")[2]
        value = self._session.memory.get(f"object/{path}/{object_tag:06X}/{tag:02X}")
        if value is None:
            raise CardError(0x6A88)
        return value

    def _key(self, object_tag: int) -> PrivateKey:
        wanted = object_tag & 0xFFFF
        for key in self._crypto.keys().values():
            if key.object_id == wanted:
                return key
        raise CardError(0x6A88)

    # ---- PUT DATA and GENERATE

    def put(self, command: CommandAPDU) -> ResponseAPDU:
        """DB 3F FF: PIN value 7F41, private key 7F48 or public key 7F49; issuer only."""
        self._session.require_personalising()
        if (command.p1, command.p2) != (0x3F, 0xFF):
            raise CardError(0x6A86)
        object_tag, tag, fields = _new_value(command.data)
        kind = object_tag >> 8 & 0xFF
        if kind == _PIN_CLASS and tag == _PIN_VALUE:
            self._put_pin(object_tag & 0xFF, fields)
        elif kind == _KEY_CLASS and tag == _KEY_VALUE:
            self._put_key(self._key(object_tag), fields)
        elif kind == _KEY_CLASS and tag == _PUBLIC_VALUE:
            self._key(object_tag)  # the public half follows from the private one
        else:
            raise CardError(0x6A88)
        return DONE

    def generate(self, command: CommandAPDU) -> ResponseAPDU:
        """47 00 00: a new RSA-2048 pair in an existing key object; answers modulus and exponent."""
        self._session.require_personalising()
        if command.p1 or command.p2:
            raise CardError(0x6A86)
        try:
            body = tlv.find(command.data, 0x70) or b""
        except tlv.TlvError:
            body = b""
        if len(body) < 3 or body[:2] != b"\xbf\x90":
            raise CardError(0x6A80)
        holder = self._key(0xBF9000 | body[2])
        key = rsa.generate_private_key(_EXPONENT, _KEY_BITS)
        holder.load(_pkcs8(key))
        modulus = key.public_key().public_numbers().n.to_bytes(_KEY_BITS // 8, "big")
        public = tlv.encode(0x81, modulus) + tlv.encode(0x82, _EXPONENT.to_bytes(3, "big"))
        return ResponseAPDU(tlv.encode(_PUBLIC_VALUE, public))

    def _put_pin(self, reference: int, fields: dict[int, bytes]) -> None:
        pin, value = self._pins.get(reference), fields.get(0x82, b"")
        if pin is None:
            raise CardError(0x6A88)
        tries = int.from_bytes(fields.get(0x80, bytes((pin.max_tries,))), "big")
        digits = value.rstrip(b"\xff")
        if len(value) != SIZE or not digits.isdigit() or len(digits) < 4 or not 1 <= tries <= 15:
            raise CardError(0x6A80)
        pin.set(value, tries)

    def _put_key(self, key: PrivateKey, fields: dict[int, bytes]) -> None:
        parts = self._parts.setdefault(key, {})
        parts.update({tag: value for tag, value in fields.items() if 0x92 <= tag <= 0x96})
        if len(parts) < 5:
            return
        del self._parts[key]
        try:
            key.load(_pkcs8(_from_parts(parts)))
        except ValueError:
            raise CardError(0x6A80) from None


def _request(data: bytes) -> tuple[int, int]:
    """The object tag (BFccrr) and the tag wanted from it; 80 in place of a length means "all"."""
    try:
        items = tlv.parse(tlv.find(data, 0x4D, 0x70) or b"")
    except tlv.TlvError:
        raise CardError(0x6A80) from None
    if len(items) != 1 or items[0].tag >> 16 != 0xBF or len(items[0].value) not in (2, 3):
        raise CardError(0x6A80)
    wanted = items[0].value
    if wanted[-1] != 0x80:
        raise CardError(0x6A80)
    return items[0].tag, int.from_bytes(wanted[:-1], "big")


def _new_value(data: bytes) -> tuple[int, int, dict[int, bytes]]:
    try:
        (target,) = tlv.parse(tlv.find(data, 0x70) or b"")
        (value,) = target.children()
        return target.tag, value.tag, {item.tag: item.value for item in value.children()}
    except (tlv.TlvError, ValueError):
        raise CardError(0x6A80) from None


def _pin_parameters(pin: Pin, tag: int) -> bytes:
    if tag != _PARAMETERS:
        raise CardError(0x6A80 if tag == _PIN_VALUE else 0x6A88)  # OpenSC bears 6A80 only
    parts = [tlv.encode(0x9A, bytes((pin.max_tries,))), tlv.encode(0x9B, bytes((pin.tries_left,)))]
    if (uses := pin.uses_left) is not None:
        parts.append(tlv.encode(0x9D, uses.to_bytes(2, "big")))
    return b"".join((*parts, tlv.encode(0xA1, tlv.encode(0x8C, pin.acl))))


def _key_parameters(key: PrivateKey, tag: int) -> bytes:
    if tag != _PARAMETERS:
        raise CardError(0x6A80 if tag == _KEY_VALUE else 0x6A88)
    return tlv.encode(0x80, key.size.to_bytes(2, "big")) + tlv.encode(0xA1, tlv.encode(0x8C, key.acl))


def _from_parts(parts: dict[int, bytes]) -> rsa.RSAPrivateKey:
    """92 P, 93 Q, 94 Q⁻¹ mod P, 95 D mod P-1, 96 D mod Q-1; raises ValueError when they disagree."""
    p, q, iqmp, dmp1, dmq1 = (int.from_bytes(parts[tag], "big") for tag in range(0x92, 0x97))
    if p < 3 or q < 3 or (p * q).bit_length() != _KEY_BITS:
        raise ValueError("not an RSA-2048 key")
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, iqmp, public).private_key()


def _pkcs8(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
