"""Files of a card: MF, DF and EF, in memory as they are on the card (ISO 7816-4, 5.3).

Personalisation describes files with `DfSpec` and `EfSpec` and writes them with `file_items`.
A mounted `FileSystem` keeps every header parsed in RAM; only contents change afterwards.

Keys in the memory, for tree "ias" (or "2ter"), path = FIDs from 3F00, in hex:
    ias/3F00/0001/D107     header (the TLV of `_header`)
    ias/3F00/0001/D107#    content of an EF: its bytes, or its records one after the other
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from card.iso7816 import tlv
from card.kernel.access import Conditions, read_rules
from card.kernel.errors import ImageError
from card.kernel.memory import Memory

MF = 0x3F00

TRANSPARENT, LINEAR, CYCLIC = "transparent", "linear", "cyclic"
_DESCRIPTOR = {TRANSPARENT: 0x01, LINEAR: 0x02, CYCLIC: 0x06}
_KIND = {code: kind for kind, code in _DESCRIPTOR.items()}
_DF_DESCRIPTOR = 0x38

ACTIVATED, DEACTIVATED = 0x05, 0x04


@dataclass(frozen=True)
class EfSpec:
    """One elementary file to be written. Raises ValueError when the parts do not fit together.

    size: bytes of a transparent file (content is padded with 00), or room for records;
    acl: access mode byte and conditions for the contact interface;
    fcp: the exact FCP to answer, instead of the one built from the rest.
    """

    fid: int
    kind: str = TRANSPARENT
    size: int = 0
    record_size: int = 0
    content: bytes = field(default=b"", repr=False)
    acl: bytes = bytes.fromhex("7BFFFFFFFFFF00")
    sfi: int | None = None
    name: bytes | None = None
    fcp: bytes | None = None

    def __post_init__(self) -> None:
        if self.kind not in _DESCRIPTOR:
            raise ValueError(f"file {self.fid:04X}: kind {self.kind!r} is none of {', '.join(_DESCRIPTOR)}")
        if len(self.content) > (self.size or len(self.content)) or self.size > 0x7FFF:
            raise ValueError(f"file {self.fid:04X}: {len(self.content)} bytes do not fit into {self.size}")
        if self.kind != TRANSPARENT and (self.record_size < 1 or len(self.content) % self.record_size):
            raise ValueError(f"file {self.fid:04X}: the content is not a whole number of records")
        read_rules(self.acl)


@dataclass(frozen=True)
class DfSpec:
    """One dedicated file (or the MF) to be written, with everything in it."""

    fid: int
    name: bytes | None = None
    acl: bytes = bytes.fromhex("7AFFFFFFFF45")
    children: tuple[DfSpec | EfSpec, ...] = ()
    sfi: int | None = None
    fcp: bytes | None = None

    def __post_init__(self) -> None:
        read_rules(self.acl)
        fids = [child.fid for child in self.children]
        if len(set(fids)) != len(fids):
            raise ValueError(f"DF {self.fid:04X}: two files have the same identifier")


def file_items(root: DfSpec, tree: str = "ias") -> dict[str, bytes]:
    """The memory items that hold `root` and all below it."""
    return dict(_items(root, f"{tree}/{root.fid:04X}"))


def _items(spec: DfSpec | EfSpec, path: str) -> Iterator[tuple[str, bytes]]:
    yield path, _header(spec)
    if isinstance(spec, EfSpec):
        yield path + "#", _padded(spec)
        return
    for child in spec.children:
        yield from _items(child, f"{path}/{child.fid:04X}")


def _padded(spec: EfSpec) -> bytes:
    return spec.content.ljust(spec.size, b"\0") if spec.kind == TRANSPARENT else spec.content


def _header(spec: DfSpec | EfSpec, life: int = ACTIVATED) -> bytes:
    parts = [tlv.encode(0x83, spec.fid.to_bytes(2, "big")), tlv.encode(0x8C, spec.acl)]
    if isinstance(spec, EfSpec):
        size = spec.size or len(spec.content)
        parts.append(tlv.encode(0x82, bytes((_DESCRIPTOR[spec.kind],)) + spec.record_size.to_bytes(2, "big")))
        parts.append(tlv.encode(0x80, size.to_bytes(2, "big")))
    else:
        parts.append(tlv.encode(0x82, bytes((_DF_DESCRIPTOR,))))
    if spec.name is not None:
        parts.append(tlv.encode(0x84, spec.name))
    if spec.sfi is not None:
        parts.append(tlv.encode(0x88, bytes((spec.sfi,))))
    if spec.fcp is not None:
        parts.append(tlv.encode(0xA5, spec.fcp))
    return b"".join((*parts, tlv.encode(0x8A, bytes((life,)))))


class Ef:
    """A mounted elementary file. `content` is the live value; `FileSystem.write` changes it."""

    __slots__ = (
        "content",
        "fcp",
        "fid",
        "key",
        "kind",
        "life",
        "parent",
        "record_size",
        "rules",
        "sfi",
        "size",
    )

    def __init__(self, key: str, parent: Df, spec: EfSpec, life: int, content: bytes) -> None:
        self.key, self.parent, self.life, self.content = key, parent, life, content
        self.fid, self.kind, self.sfi = spec.fid, spec.kind, spec.sfi
        self.size, self.record_size = spec.size, spec.record_size
        self.rules: Conditions = read_rules(spec.acl)
        self.fcp = spec.fcp or _fcp(spec, life)

    @property
    def capacity(self) -> int:
        """How many records the file can hold; P1 counts to 254."""
        return min(254, self.size // self.record_size)

    def records(self) -> list[bytes]:
        """The records, number 1 first (the newest one in a cyclic file)."""
        size = self.record_size
        return [self.content[at : at + size] for at in range(0, len(self.content), size)]


class Df:
    """A mounted dedicated file with its children by FID and by short EF identifier."""

    __slots__ = ("children", "fcp", "fid", "key", "life", "name", "parent", "rules", "short")

    def __init__(self, key: str, parent: Df | None, spec: DfSpec, life: int) -> None:
        self.key, self.parent, self.life = key, parent, life
        self.fid, self.name = spec.fid, spec.name
        self.children: dict[int, Df | Ef] = {}
        self.short: dict[int, Ef] = {}
        self.rules: Conditions = read_rules(spec.acl)
        self.fcp = spec.fcp or _fcp(spec, life)

    @property
    def fci(self) -> bytes:
        """The same information as an FCI template, '6F' (ISO 7816-4, table 10)."""
        return b"\x6f" + self.fcp[1:]


def _fcp(spec: DfSpec | EfSpec, life: int) -> bytes:
    """File control parameters, in the order of the real card (facts 3.2)."""
    parts = []
    if isinstance(spec, EfSpec):
        parts.append(tlv.encode(0x80, (spec.size or len(spec.content)).to_bytes(2, "big")))
        parts.append(tlv.encode(0x82, _descriptor(spec)))
    else:
        parts.append(tlv.encode(0x82, bytes((_DF_DESCRIPTOR,))))
    parts.append(tlv.encode(0x83, spec.fid.to_bytes(2, "big")))
    if spec.name is not None:
        parts.append(tlv.encode(0x84, spec.name))
    if spec.sfi is not None:
        parts.append(tlv.encode(0x88, bytes((spec.sfi << 3,))))
    parts.append(tlv.encode(0xA1, tlv.encode(0x8C, spec.acl)))
    return tlv.encode(0x62, *parts, tlv.encode(0x8A, bytes((life,))))


def _descriptor(spec: EfSpec) -> bytes:
    code = _DESCRIPTOR[spec.kind]
    if spec.kind == TRANSPARENT:
        return bytes((code,))
    records = min(0xFF, spec.size // spec.record_size)
    return bytes((code, 0x21)) + spec.record_size.to_bytes(2, "big") + bytes((records,))


class FileSystem:
    """One mounted tree. Raises ImageError when a header in memory cannot be understood."""

    def __init__(self, memory: Memory, tree: str = "ias") -> None:
        self._memory = memory
        self._tree = tree
        self.names: list[Df] = []
        self._nodes: dict[str, Df | Ef] = {}
        self.mf = self._mount()

    def write(self, ef: Ef, content: bytes) -> None:
        """Put new content into an EF, durable before it can be read."""
        self._memory.put(ef.key + "#", content)
        ef.content = content

    def rewrite(self, contents: Mapping[Ef, bytes]) -> None:
        """Give transparent files new contents and sizes, all of them durable together or none."""
        with self._memory.transaction():
            for ef, content in contents.items():
                spec, life = _parse_header(self._memory.get(ef.key) or b"")
                assert isinstance(spec, EfSpec)  # noqa: S101 - made from the header of an EF
                self._memory.put(ef.key, _header(replace(spec, size=len(content)), life))
                self._memory.put(ef.key + "#", content)
        for ef in contents:
            self._attach(ef.key)

    def create(self, parent: Df, spec: DfSpec | EfSpec) -> Df | Ef:
        """Add a file (and what is below it), durable; the caller has checked that it may."""
        path = f"{parent.key}/{spec.fid:04X}"
        with self._memory.transaction():
            for key, value in _items(spec, path):
                self._memory.put(key, value)
        return self._attach(path)

    @property
    def count(self) -> int:
        """How many files the tree has, the MF and all DFs included."""
        return len(self._nodes)

    @property
    def room_taken(self) -> int:
        """Bytes that the files of this tree hold or may come to hold."""
        return sum(max(node.size, len(node.content)) for node in self._nodes.values() if isinstance(node, Ef))

    def delete(self, node: Df | Ef) -> None:
        """Remove a file and all below it, durable."""
        parent = node.parent
        if parent is None:
            raise ValueError("the MF stays")
        with self._memory.transaction():
            for key in self._memory.keys(node.key):
                if key[len(node.key) :][:1] in ("", "/", "#"):
                    self._memory.delete(key)
        parent.children.pop(node.fid)
        self._nodes = {
            path: kept for path, kept in self._nodes.items() if kept is not node and not _is_below(kept, node)
        }
        parent.short = {sfi: ef for sfi, ef in parent.short.items() if ef is not node}
        self.names = [df for df in self.names if not df.key.startswith(node.key)]

    def set_life(self, node: Df | Ef, life: int) -> None:
        """Activate or deactivate a file, durable."""
        header = self._memory.get(node.key) or b""
        self._memory.put(node.key, header[:-1] + bytes((life,)))
        node.life = life
        node.fcp = node.fcp[:-1] + bytes((life,)) if node.fcp[-3:-1] == b"\x8a\x01" else node.fcp

    def _mount(self) -> Df:
        paths = [key for key in self._memory.keys(f"{self._tree}/") if not key.endswith("#")]
        if f"{self._tree}/{MF:04X}" not in paths:
            raise ImageError("The card image holds no file system; make the card again.")
        nodes: dict[str, Df | Ef] = {}
        for path in sorted(paths, key=lambda path: path.count("/")):
            self._attach(path, nodes)
        mf = nodes[f"{self._tree}/{MF:04X}"]
        assert isinstance(mf, Df)  # noqa: S101 - _attach made it from a DF header
        self._nodes = nodes
        return mf

    def _attach(self, path: str, nodes: dict[str, Df | Ef] | None = None) -> Df | Ef:
        nodes = self._nodes if nodes is None else nodes
        try:
            spec, life = _parse_header(self._memory.get(path) or b"")
            parent = nodes.get(path.rpartition("/")[0])
            node = self._node(path, spec, life, parent)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ImageError(
                f"The card image has a damaged file header ({path}); make the card again."
            ) from error
        nodes[path] = node
        return node

    def _node(self, path: str, spec: DfSpec | EfSpec, life: int, parent: Df | Ef | None) -> Df | Ef:
        if isinstance(spec, DfSpec):
            df = Df(path, parent if isinstance(parent, Df) else None, spec, life)
            if df.name is not None:
                self.names.append(df)
            node: Df | Ef = df
        else:
            if not isinstance(parent, Df):
                raise ValueError("an EF outside any DF")
            node = Ef(path, parent, spec, life, self._memory.get(path + "#") or b"")
            if spec.sfi:
                parent.short[spec.sfi] = node
        if isinstance(parent, Df):
            parent.children[spec.fid] = node
        return node


def _is_below(node: Df | Ef, top: Df | Ef) -> bool:
    return node.key.startswith(top.key + "/")


def _parse_header(header: bytes) -> tuple[DfSpec | EfSpec, int]:
    found = {item.tag: item.value for item in tlv.walk(header)}
    descriptor = found[0x82]
    fid = int.from_bytes(found[0x83], "big")
    life, name, fcp = found[0x8A][0], found.get(0x84), found.get(0xA5)
    sfi = found[0x88][0] if 0x88 in found else None
    if descriptor[0] == _DF_DESCRIPTOR:
        return DfSpec(fid, name, found[0x8C], (), sfi, fcp), life
    kind, record_size = _KIND[descriptor[0]], int.from_bytes(descriptor[1:3], "big")
    size = int.from_bytes(found[0x80], "big")
    return EfSpec(fid, kind, size, record_size, b"", found[0x8C], sfi, name, fcp), life
