"""The few DER values that the PKCS#15 files of a card are made of (X.690)."""

from __future__ import annotations

from card.iso7816 import tlv


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return tlv.encode(0x30, *parts)


def utf8(text: str) -> bytes:
    """UTF8String."""
    return tlv.encode(0x0C, text.encode("utf-8"))


def octets(data: bytes) -> bytes:
    """OCTET STRING."""
    return tlv.encode(0x04, data)


def integer(value: int) -> bytes:
    """INTEGER, not negative."""
    return tlv.encode(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bits(*numbers: int) -> bytes:
    """BIT STRING with the named bits set, without trailing zero bits (X.690, 11.2.2)."""
    size = max(numbers) // 8 + 1
    value = sum(1 << (8 * size - 1 - number) for number in numbers)
    return tlv.encode(0x03, bytes((8 * size - 1 - max(numbers),)), value.to_bytes(size, "big"))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    out = bytearray((40 * first + second,))
    for part in rest:
        groups = [part & 0x7F]
        while part := part >> 7:
            groups.append(part & 0x7F | 0x80)
        out += bytes(reversed(groups))
    return tlv.encode(0x06, bytes(out))


NULL = b"\x05\x00"
