"""Promise B3's bench: a card that answers every length in a known way, the commands, and two programs.

python -m tests.interop.b3_bench serial LINK CONF_DIR     the card (T=0, and T=1) in an emulated reader
python -m tests.interop.b3_bench vpcd PORT                the same behind vpcd
python -m tests.interop.b3_bench client PATTERN PATTERN   all commands through PC/SC; answers as JSON
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.iso7816.status import StatusWord
from card.kernel.applet import DONE
from card.kernel.errors import CardError
from card.kernel.memory import Memory
from card.kernel.os import CardOS
from card.kernel.storage import MemoryStorage
from reader.connection import Connection
from reader.errors import ReaderError
from reader.reader import Reader
from tests.reader.byte_cards import T1_IFSC_254, pattern

ATR_T0 = bytes.fromhex("3B1213") + b"B3"
"""TA1 13: the speed is negotiated. Two historical bytes."""

ATR_T1 = T1_IFSC_254

NOTHING, READ, READ_LONG, WARN, TAKE, ANSWER, ANSWER_LONG = 0x44, 0xB0, 0xB2, 0xB6, 0xD6, 0x88, 0x2A
"""Case 1; case 2 with P1-P2 bytes of answer, with one more, and with a warning; case 3; case 4 likewise."""

WARNED = StatusWord(0x6282)


class Lengths:
    """An applet that gives P1-P2 bytes and takes only data of the known pattern."""

    proprietary_classes: ClassVar[frozenset[int]] = frozenset()
    chained_instructions: ClassVar[frozenset[int]] = frozenset()

    def owns(self, _name: bytes) -> bool:
        return True

    def interrupted(self) -> None:
        """Nothing is kept."""

    deselect = reset = interrupted

    def process(self, command: CommandAPDU) -> ResponseAPDU:
        if command.data != pattern(len(command.data)):
            raise CardError(0x6A80)
        wants_data = command.ins in (TAKE, ANSWER, ANSWER_LONG)
        if bool(command.data) != wants_data:
            raise CardError(0x6700)
        if command.ins in (NOTHING, TAKE):
            return DONE if not command.ne else ResponseAPDU(b"", StatusWord(0x6700))
        count = (command.p1 << 8 | command.p2) + (command.ins in (READ_LONG, ANSWER_LONG))
        answer = pattern(count)
        if wants_data:
            answer = answer[::-1]
        return ResponseAPDU(answer, WARNED if command.ins == WARN else StatusWord(0x9000))


def length_card(atr: bytes = ATR_T0, *, extended: bool = False) -> CardOS:
    """The card; `extended`: it understands extended lengths."""
    memory = Memory.create(MemoryStorage(), {})
    return CardOS(memory, [Lengths()], atr, max_length=65_535 if extended else 255)


def _command(ins: int, count: int, data: bytes = b"", ne: int = 0) -> CommandAPDU:
    return CommandAPDU(0, ins, count >> 8, count & 0xFF, data, ne)


def commands() -> Iterator[CommandAPDU]:
    """Cases 1 to 4 and every length from 0 to 256, asked exactly, too much and too little."""
    yield _command(NOTHING, 0)
    for count in range(257):
        yield _command(READ, count, ne=count or 1)
        yield _command(READ, count, ne=256)
        yield _command(WARN, count, ne=256)
        yield _command(ANSWER, count, b"\x03", 256)
        yield _command(ANSWER, count, pattern(255), count or 1)
    for size in range(1, 256):
        yield _command(TAKE, size, pattern(size))
        yield _command(ANSWER, size, pattern(size), 256)
        yield _command(READ, size, ne=max(1, size - 1))
        yield _command(ANSWER, size, pattern(size), max(1, size - 1))


def extended_commands(most: int = 65_536) -> Iterator[CommandAPDU]:
    """The edges of extended lengths, up to `most` bytes of answer and of data."""
    for count in (257, 258, 512, 32_767, 65_535, 65_536):
        if count <= most:
            yield _command(READ_LONG, count - 1, ne=count)
            yield _command(READ_LONG, count - 1, ne=65_536)
            yield _command(ANSWER_LONG, count - 1, pattern(min(count, 65_535)), count)
            yield _command(ANSWER_LONG, count - 1, pattern(1), 65_536)
    for size in (256, 257, 258, 511, 32_767, 65_535):
        if size <= most:
            yield _command(TAKE, size, pattern(size))
            yield _command(ANSWER, 0, pattern(size), 256)


def expected(command: CommandAPDU) -> ResponseAPDU:
    """What a connection gives for one of these commands, whatever is in between."""
    return Lengths().process(command)


def answers(connection: Connection, asked: Iterator[CommandAPDU]) -> list[str]:
    """What the card says to each, in hex; the sentence of a refusal of the reader."""
    said = []
    for command in asked:
        connection.extended = command.is_extended
        try:
            said.append(connection.transmit(command).to_bytes().hex())
        except ReaderError as wrong:
            said.append(f"{command.ins:02X} {len(command.data)} {command.ne}: {wrong}")
            if len(said) > 3 and " " in said[-3]:
                break
    return said


# ---- programs


def _serve_serial(link: Path, folder: Path) -> None:
    from reader.readerconf import serial_entry, write_entry
    from reader.serial.gempc import VARIANTS, GemPcDevice
    from reader.transport.loop import Loop
    from reader.transport.pty import Pty
    from reader.transport.serial_plug import SerialPlug

    loop, variant = Loop(), VARIANTS["gemcoresimpro2"]
    plug = SerialPlug(loop, Pty(link), GemPcDevice(variant), lambda _slot: None)
    plug.insert(0, length_card())
    plug.insert(1, length_card(ATR_T1, extended=True))
    write_entry(folder, serial_entry(link, variant.device))
    print("ready", flush=True)
    loop.run()
    plug.close()


def _serve_vpcd(port: int) -> None:
    from reader.transport.loop import Loop
    from reader.transport.tcp import VpcdPlug

    loop = Loop()
    plug = VpcdPlug(loop, "127.0.0.1", port, 2, lambda _slot: None)
    plug.insert(0, length_card())
    plug.insert(1, length_card(ATR_T1, extended=True))
    print("ready", flush=True)
    loop.run()
    plug.close()


def _client(patterns: list[str], most: int) -> None:
    from reader.pcsc import open_pcsc

    said: dict[str, object] = {}
    with open_pcsc(patterns) as reader:
        for name in ("Vitale", "CPS"):
            connection = _connected(reader, name)
            begun = time.perf_counter()
            said[name] = answers(connection, commands())
            said[f"{name} seconds"] = time.perf_counter() - begun
            if connection.atr == ATR_T1:
                said[f"{name} extended"] = answers(connection, extended_commands(most))
    print(json.dumps(said))


def _connected(reader: Reader, name: str, seconds: float = 20.0) -> Connection:
    """A connection, once the card has been seen."""
    end = time.monotonic() + seconds
    while not reader.slot(name).is_present and time.monotonic() < end:
        time.sleep(0.02)
    return reader.slot(name).connect()


if __name__ == "__main__":
    if sys.argv[1] == "serial":
        _serve_serial(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] == "vpcd":
        _serve_vpcd(int(sys.argv[2]))
    else:
        _client(sys.argv[2:4], int(sys.argv[4]))
