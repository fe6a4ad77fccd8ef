"""Neutral descriptions of what is on a card: directories, files and the codecs of their content.

Nothing here behaves: `card.personalise` turns a tree into a card image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

FileKind = Literal["transparent", "linear", "cyclic"]


class LayoutError(ValueError):
    """Bytes or values do not fit the layout of a card. The sentence names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Ef:
    """An elementary file.

    `acl` is the contact access rule (access mode byte, then one security condition byte per
    bit set, ISO 7816-4 5.4.3.1); `fcp` the exact FCP bytes when they are known, None to let the card
    build them.
    """

    fid: int
    name: str
    content: bytes
    sfi: int | None = None
    kind: FileKind = "transparent"
    size: int = 0
    record_size: int = 0
    acl: bytes = b""
    fcp: bytes | None = None

    def __post_init__(self) -> None:
        if self.size and len(self.content) > self.size:
            raise LayoutError(
                f"file {self.name} holds {self.size} bytes, its content has {len(self.content)}"
            )

    def __repr__(self) -> str:
        return f"Ef({self.fid:04X} {self.name}, {len(self.content)} bytes)"


@dataclass(frozen=True, slots=True)
class Df:
    """A dedicated file (an application when `aid` is given) and what it holds."""

    fid: int
    name: str
    aid: bytes | None = None
    children: tuple[Df | Ef, ...] = ()
    acl: bytes = b""
    fcp: bytes | None = None

    def files(self, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Ef]]:
        """Every EF below, depth first, with its path of file identifiers from here."""
        here = (*path, self.fid)
        for child in self.children:
            if isinstance(child, Ef):
                yield (*here, child.fid), child
            else:
                yield from child.files(here)


class FileCodec:
    """The codec of one kind of file. Subclasses carry the name and EXAMPLES of value and bytes.

    A generic test walks every subclass: each example must encode to its bytes and decode back.
    """

    NAME: ClassVar[str]
    EXAMPLES: ClassVar[tuple[tuple[Any, bytes], ...]]

    @classmethod
    def encode(cls, value: Any) -> bytes:
        """Value to file bytes; raises LayoutError when the value does not fit."""
        raise NotImplementedError

    @classmethod
    def decode(cls, data: bytes) -> Any:
        """File bytes to value; raises LayoutError when the bytes do not fit."""
        raise NotImplementedError


def file_codecs() -> tuple[type[FileCodec], ...]:
    """Every file codec defined so far, in order of definition."""
    found: list[type[FileCodec]] = []
    waiting = list(FileCodec.__subclasses__())
    while waiting:
        codec = waiting.pop(0)
        waiting.extend(codec.__subclasses__())
        if "NAME" in codec.__dict__:
            found.append(codec)
    return tuple(found)
