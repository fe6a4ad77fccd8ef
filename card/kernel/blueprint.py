"""What a new card is made of, and the memory items that hold it. Personalisation starts here.

    spec = CardSpec(kind="cps", atr=CPS3_ATR, serial=..., root=DfSpec(...), pins=..., keys=..., objects=...)
    Memory.create(storage, image_items(spec))
    card = assemble(Memory(storage))            # card.applets.assembly: the CardOS for a reader slot

Keys in the memory (files are named in `card.kernel.filesystem`):
    card/kind  card/atr  card/serial  card/life (01 personalisation, 05 operational)
    pin/01  pin/01/rule  pin/01/tries  pin/01/uses       value (8 bytes), constants, counters
    key/3F00/0001/81  …/rule  …/count                    PKCS#8 DER, uses and condition, signatures made
    object/3F00/BFFB05/7B                                 other security data objects (facts 3.5)
    trust/0 …                                             DER certificates whose signature the card accepts
"""

from __future__ import annotations

from dataclasses import dataclass, field

from card.kernel.access import USER_PIN, read_rules
from card.kernel.filesystem import DfSpec, file_items

PERSONALISATION, OPERATIONAL = 0x01, 0x05

SIGN, AUTHENTICATE, DECIPHER = 0x01, 0x02, 0x04  # what a private key may do

# ACL of the two PINs of a CPS3, access mode byte F3 (facts 3.5).
PIN_ACL = bytes.fromhex("F3000013FF00")
PUK_ACL = bytes.fromhex("F3FF00FFFF00")


@dataclass(frozen=True)
class PinSpec:
    """One secret code: ASCII digits, stored padded with FF to 8 bytes.

    uses: how often a PUK may still unblock (None: no limit). left: tries left now (None: all).
    acl: change, verify, reset, put, get.
    """

    reference: int
    value: bytes = field(repr=False)
    max_tries: int = 3
    acl: bytes = PIN_ACL
    uses: int | None = None
    left: int | None = None

    def __post_init__(self) -> None:
        if not (self.value.isdigit() and 4 <= len(self.value) <= 8):
            raise ValueError(f"PIN {self.reference:02X}: 4 to 8 digits are needed")
        if not 1 <= self.max_tries <= 15:
            raise ValueError(f"PIN {self.reference:02X}: 1 to 15 tries are possible")
        if self.left is not None and not 0 <= self.left <= self.max_tries:
            raise ValueError(f"PIN {self.reference:02X}: no more than {self.max_tries} tries can be left")
        read_rules(self.acl)


@dataclass(frozen=True)
class KeySpec:
    """One RSA private key (PKCS#8 DER), in the DF of `path`, usable for `uses` under `condition`.

    object_id: its security data object, e.g. 0x9001 for BF 90 01, with `acl`; None when it has none.
    """

    reference: int
    pkcs8: bytes = field(repr=False)
    uses: int
    condition: int = USER_PIN
    path: tuple[int, ...] = (0x3F00,)
    object_id: int | None = None
    acl: bytes = b""

    @property
    def key(self) -> str:
        """The memory key, e.g. key/3F00/0001/81."""
        return f"key/{path_text(self.path)}/{self.reference:02X}"


@dataclass(frozen=True)
class ObjectSpec:
    """A security data object answered as it is by GET DATA: BF `object_id`, inner `tag`, value."""

    path: tuple[int, ...]
    object_id: int
    tag: int
    value: bytes

    @property
    def key(self) -> str:
        """The memory key, e.g. object/3F00/BFFB05/7B."""
        return f"object/{path_text(self.path)}/BF{self.object_id:04X}/{self.tag:02X}"


@dataclass(frozen=True)
class CardSpec:
    """A whole card. `kind` is "cps" or "vitale"; `second_face` is the CPS2ter tree of a CPS."""

    kind: str
    atr: bytes
    serial: bytes
    root: DfSpec
    pins: tuple[PinSpec, ...] = ()
    keys: tuple[KeySpec, ...] = ()
    objects: tuple[ObjectSpec, ...] = ()
    trust: tuple[bytes, ...] = ()
    second_face: DfSpec | None = None
    operational: bool = True


def path_text(path: tuple[int, ...]) -> str:
    """3F00/0001 for (0x3F00, 0x0001)."""
    return "/".join(f"{fid:04X}" for fid in path)


def image_items(spec: CardSpec) -> dict[str, bytes]:
    """Everything `Memory.create` has to write for this card."""
    items = {
        "card/kind": spec.kind.encode("ascii"),
        "card/atr": spec.atr,
        "card/serial": spec.serial,
        "card/life": bytes((OPERATIONAL if spec.operational else PERSONALISATION,)),
        **file_items(spec.root, "ias"),
    }
    if spec.second_face is not None:
        items.update(file_items(spec.second_face, "2ter"))
    for pin in spec.pins:
        items.update(pin_items(pin))
    for key in spec.keys:
        items.update(key_items(key))
    items.update({item.key: item.value for item in spec.objects})
    items.update({f"trust/{index}": certificate for index, certificate in enumerate(spec.trust)})
    return items


def pin_items(spec: PinSpec) -> dict[str, bytes]:
    """A PIN in memory: padded value, rule = tries, digits, ACL; counters full if not told."""
    key = f"pin/{spec.reference:02X}"
    items = {
        key: spec.value.ljust(8, b"\xff"),
        f"{key}/rule": bytes((spec.max_tries, len(spec.value))) + spec.acl,
        f"{key}/tries": bytes((spec.max_tries if spec.left is None else spec.left,)),
    }
    if spec.uses is not None:
        items[f"{key}/uses"] = spec.uses.to_bytes(2, "big")
    return items


def key_items(spec: KeySpec) -> dict[str, bytes]:
    """A private key in memory: PKCS#8, rule = uses, condition, object id, ACL."""
    rule = bytes((spec.uses, spec.condition)) + (spec.object_id or 0).to_bytes(2, "big") + spec.acl
    return {spec.key: spec.pkcs8, f"{spec.key}/rule": rule}
