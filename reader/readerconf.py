"""The entry of reader.conf that makes pcscd open an emulated reader (pcsc-lite, reader.conf(5))."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from reader.errors import ReaderError

FILE_NAME = "vitale-gateway"
FRIENDLY_NAME = "Vitale Gateway Twin"
FRIENDLY_VIRTUAL_NAME = "Vitale Gateway Virtual"
DRIVERS = Path("/usr/lib/pcsc/drivers/serial")
"""Where Debian puts drivers for readers that are not on USB."""

MARK = "# written by vitale-reader emulate; it may be overwritten by it"


def serial_entry(link: Path, device: str) -> str:
    """For libccidtwin: the line at `link`, the variant `device`."""
    return (
        f"{MARK}\n"
        f'FRIENDLYNAME "{FRIENDLY_NAME}"\n'
        f"DEVICENAME {link}:{device}\n"
        f"LIBPATH {DRIVERS / 'libccidtwin.so'}\n"
        "CHANNELID 1\n"
    )


def virtual_entry(port: int) -> str:
    """For libifdvpcd: it waits for cards at TCP `port` (slot 0) and `port` + 1 (slot 1)."""
    return (
        f"{MARK}\n"
        f'FRIENDLYNAME "{FRIENDLY_VIRTUAL_NAME}"\n'
        f"DEVICENAME /dev/null:0x{port:04X}\n"
        f"LIBPATH {DRIVERS / 'libifdvpcd.so'}\n"
        f"CHANNELID 0x{port:04X}\n"
    )


def reader_names(friendly: str, slots: int) -> Sequence[str]:
    """The names PC/SC shows: reader 0 of its kind, then the slot."""
    return [f"{friendly} 00 {slot:02X}" for slot in range(slots)]


def write_entry(folder: Path, entry: str) -> Path:
    """Put the entry into `folder` (made when it is missing); the file. What is not ours is left alone."""
    file = folder / FILE_NAME
    folder.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(file) and not _is_ours(file):
        raise ReaderError(f"{file} was not written by this program: choose another --pcscd-conf.")
    temporary = folder / f".{FILE_NAME}.{os.getpid()}.new"
    temporary.write_text(entry, encoding="utf-8")
    temporary.chmod(0o644)  # a daemon with an account of its own reads it
    temporary.replace(file)
    return file


def _is_ours(file: Path) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as read:
        return read.readline(len(MARK) + 2).rstrip() == MARK.encode()
