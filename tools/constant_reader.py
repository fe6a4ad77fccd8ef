"""A serial reader that answers constants: what pcscd, libccid and a pseudo-terminal cost by themselves.

    python -m tools.constant_reader LINK

The benchmark measures the emulated readers against it: one slot of a GemCoreSIMPro2 that finds every command
good, with no card, no check and no state behind it.
"""

from __future__ import annotations

import os
import sys
import tty
from pathlib import Path

ATR = bytes.fromhex("3B00")
SYNC, ACK = 0x03, 0x06
HEADER = 2 + 10
PRESENT, ABSENT = 0, 2

ANSWERS: dict[int, tuple[int, bytes]] = {
    0x62: (0x80, ATR),
    0x63: (0x81, b""),
    0x65: (0x81, b""),
    0x61: (0x82, bytes.fromhex("1100000A00")),
    0x6C: (0x82, bytes.fromhex("1100000A00")),
    0x6F: (0x80, b"\x90\x00"),
    0x6B: (0x83, b"CONSTANT"),
}
"""Message to the reader -> message from the reader and its data (CCID 1.10, 6.1 and 6.2)."""


def answer(message: bytes) -> bytes:
    """The frame that answers one CCID message: 10 bytes and data."""
    kind, data = ANSWERS.get(message[0], (0x81, b""))
    status = ABSENT if message[5] else PRESENT
    body = (
        bytes((SYNC, ACK, kind, *len(data).to_bytes(4, "little"), message[5], message[6], status, 0, 0))
        + data
    )
    check = 0
    for byte in body:
        check ^= byte
    return body + bytes((check,))


def serve(line: int) -> None:
    """Answer whole frames on the master side of a pseudo-terminal until the process is ended."""
    buffer = b""
    while True:
        buffer += os.read(line, 4096)
        while len(buffer) >= HEADER:
            size = HEADER + int.from_bytes(buffer[3:7], "little") + 1
            if len(buffer) < size:
                break
            os.write(line, answer(buffer[2:size]))
            buffer = buffer[size:]


def main(link: str) -> None:
    """Offer the reader under `link`."""
    master, slave = os.openpty()
    tty.setraw(slave)
    Path(link).symlink_to(os.ttyname(slave))
    print("ready", flush=True)
    serve(master)


if __name__ == "__main__":
    main(sys.argv[1])
