"""What a PC/SC reader can do beyond exchanging commands: the answers of PC/SC part 10, taken apart.

A reader is asked for its features by the control code CM_IOCTL_GET_FEATURE_REQUEST (2.2); each feature has a
control code of its own. Nothing here fails on what a reader says: what cannot be read is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

CONTROL_BASE = 0x42000000
"""SCARD_CTL_CODE(n) of pcsc-lite is this plus n."""

GET_FEATURE_REQUEST = CONTROL_BASE + 3400

VERIFY_PIN_DIRECT, MODIFY_PIN_DIRECT = 0x06, 0x07
IFD_PIN_PROPERTIES, GET_TLV_PROPERTIES = 0x0A, 0x12

MAX_ITEMS = 64

MINIMUM_PIN_SIZE, MAXIMUM_PIN_SIZE = 0x06, 0x07
"""Tags of bMinPINSize and bMaxPINSize (2.6.14)."""


@dataclass(frozen=True, slots=True)
class PinPad:
    """What is known of a reader's PIN pad. Controls are 0 when the reader has no such feature.

    `display` is (lines, characters a line), zeros when it has none or does not say;
    `digits` is (fewest, most) that it takes, zeros when it does not say.
    """

    verify: int = 0
    modify: int = 0
    display: tuple[int, int] = (0, 0)
    digits: tuple[int, int] = (0, 0)


def parse_features(raw: bytes) -> dict[int, int]:
    """Feature → control code, from the answer to GET_FEATURE_REQUEST: tag, length 4, code (big-endian)."""
    return {tag: int.from_bytes(value, "big") for tag, value in _items(raw) if len(value) == 4}


def pin_pad(features: dict[int, int], pin_properties: bytes = b"", tlv_properties: bytes = b"") -> PinPad:
    """The pad these answers describe (2.5.5: wLcdLayout first, little-endian; 2.6.14: little-endian TLV)."""
    said = {tag: int.from_bytes(value, "little") for tag, value in _items(tlv_properties)}
    layout = pin_properties[:2].ljust(2, b"\0")
    return PinPad(
        verify=features.get(VERIFY_PIN_DIRECT, 0),
        modify=features.get(MODIFY_PIN_DIRECT, 0),
        display=(layout[1], layout[0]),
        digits=(said.get(MINIMUM_PIN_SIZE, 0), said.get(MAXIMUM_PIN_SIZE, 0)),
    )


def _items(raw: bytes) -> list[tuple[int, bytes]]:
    """(tag, value) of one-byte tags and lengths, up to the first that is cut short."""
    items: list[tuple[int, bytes]] = []
    at = 0
    while at + 2 <= len(raw) and len(items) < MAX_ITEMS:
        end = at + 2 + raw[at + 1]
        if end > len(raw):
            break
        items.append((raw[at], raw[at + 2 : end]))
        at = end
    return items
