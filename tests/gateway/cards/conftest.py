"""A tiny card made of files, for what a real card would never do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from card.iso7816 import tlv
from reader.connection import Connection
from reader.slot import Slot

Twist = Callable[[bytes, bytes], bytes]
Tree = Mapping[bytes, Mapping[int, bytes]]


class TinyCard:
    """Applications (AID → FID → content), SELECT and READ BINARY; `twist(command, answer)` makes it lie."""

    def __init__(self, tree: Tree, twist: Twist = lambda _command, answer: answer) -> None:
        self.tree, self.twist = tree, twist
        self.exchanges = 0
        self.power_on()

    def power_on(self) -> bytes:
        self.files: Mapping[int, bytes] = next(iter(self.tree.values()), {})
        self.content = b""
        return b"\x3b\x00"

    def power_off(self) -> None:
        self.content = b""

    def transmit(self, apdu: bytes) -> bytes:
        self.exchanges += 1
        return self.twist(apdu, self._honest(apdu))

    def _honest(self, apdu: bytes) -> bytes:
        ins, p1, data = apdu[1], apdu[2], apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""
        if ins == 0xA4 and p1 == 4:
            self.files = self.tree.get(data, self.files)
            return b"\x90\x00" if data in self.tree else b"\x6a\x82"
        if ins == 0xA4 and (fid := int.from_bytes(data, "big")) in self.files:
            self.content = self.files[fid]
            return tlv.encode(0x62, tlv.encode(0x80, len(self.content).to_bytes(2, "big"))) + b"\x90\x00"
        if ins == 0xB0:
            at = apdu[2] << 8 | apdu[3]
            return self.content[at : at + (apdu[4] or 256)] + b"\x90\x00"
        return b"\x6a\x82" if ins == 0xA4 else b"\x6d\x00"


@pytest.fixture
def tiny() -> Callable[..., tuple[TinyCard, Connection]]:
    """Builds a tiny card and a connection to it in the slot of that name."""

    def build(
        tree: Tree, twist: Twist = lambda _c, a: a, slot: str = "Vitale"
    ) -> tuple[TinyCard, Connection]:
        card, place = TinyCard(tree, twist), Slot(slot)
        place.insert(card)
        return card, place.connect()

    return build
