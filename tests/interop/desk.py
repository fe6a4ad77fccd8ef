"""A desk with an emulated reader on it: cards in their slots, a pcscd that sees them, programs before it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.interop.bench_pcscd import DRIVERS, Emulated, Pcscd, free_ports, needs, vpcd_conf
from tests.interop.opensc import OpenSC

VPCD = "vpcd"
VARIANTS = ("gemcoresimpro2", "sec1210", VPCD)
"""The readers with two slots: two serial ones of libccid, and the virtual one of vsmartcard."""


@dataclass
class Desk:
    """Vitale in slot 0, CPS in slot 1 (a reader with one slot has the first card given)."""

    pcscd: Pcscd
    reader: Emulated
    vitale: OpenSC
    cps: OpenSC

    def name(self, slot: int) -> str:
        """The PC/SC name of a slot."""
        return self.pcscd.readers()[slot].split(maxsplit=2)[2].removeprefix("PIN pad").strip()


class Put:
    """Puts cards into a reader and starts everything behind it; ends it with its `stack`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack

    def __call__(self, *images: Path, serial: str = "gemcoresimpro2", level: str = "--debug") -> Desk:
        """Cards for slot 0, 1…; `serial` is a variant, or `vpcd`. Returns when pcscd sees the cards.

        `level` is what pcscd writes to its log.
        """
        folder = self._folder / f"{serial}-{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        if serial == VPCD:
            pcscd, reader = self._virtual(folder, images, level)
        else:
            pcscd, reader = self._serial(folder, images, level, serial)
        pcscd.wait_for_cards(len(images))
        return Desk(pcscd, reader, OpenSC(pcscd, 0), OpenSC(pcscd, min(1, len(images) - 1)))

    def _serial(
        self, folder: Path, images: tuple[Path, ...], level: str, serial: str
    ) -> tuple[Pcscd, Emulated]:
        needs("pcscd", files=(DRIVERS / "libccidtwin.so",))
        reader = self._stack.enter_context(Emulated(folder / "reader", images, serial=serial))
        pcscd = Pcscd(folder, conf_dir=reader.conf_dir, level=level)
        return self._stack.enter_context(pcscd), reader

    def _virtual(self, folder: Path, images: tuple[Path, ...], level: str) -> tuple[Pcscd, Emulated]:
        needs("pcscd", files=(DRIVERS / "libifdvpcd.so",))
        port = free_ports(2)
        pcscd = self._stack.enter_context(Pcscd(folder, reader_conf=vpcd_conf(port), level=level))
        return pcscd, self._stack.enter_context(Emulated(folder / "reader", images, vpcd=port))
