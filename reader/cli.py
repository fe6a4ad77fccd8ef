"""`vitale-reader`: an emulated two-slot reader on the command line.

The one place of this room that builds a card. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reader import emulate_cli
from reader.console import finish
from reader.errors import ReaderError

if TYPE_CHECKING:
    from card.iso7816.apdu import CommandAPDU
    from reader.emulated import EmulatedReader
    from reader.slot import Card, Slot

CPS_ATR_MARK = bytes.fromhex("12250064")
"""Country 250 and the issuer data in the historical bytes of every CPS."""


def open_emulated(images: Sequence[str]) -> EmulatedReader:
    """An emulated reader with the cards of these image files in it, in slot order: Vitale, then CPS.

    `NAME=PATH` chooses the slot by its name; an empty string leaves the slot empty. Raises ReaderError, one
    sentence, when an image is missing or damaged, or has no slot left.
    """
    from reader.emulated import EmulatedReader  # noqa: PLC0415 - start-up time

    reader = EmulatedReader()
    try:
        for place, image in enumerate(images):
            _insert(reader, place, image)
    except BaseException:
        reader.close()
        raise
    return reader


def _insert(reader: EmulatedReader, place: int, image: str) -> None:
    """Open one image and put its card into the slot it names, or into the slot of its place."""
    name, mark, path = image.partition("=")
    if not (mark and name.isalnum()):
        name, path = "", image
    if not path:
        return
    if not name and place >= len(reader.slots):
        names = " and ".join(slot.name for slot in reader.slots)
        raise ReaderError(f"The emulated reader has only the slots {names}: give at most two images.")
    slot = reader.slot(name) if name else reader.slots[place]
    slot.insert(_open_image(path, slot.name))


def _open_image(path: str, slot: str) -> Card:
    from pathlib import Path  # noqa: PLC0415 - start-up time

    from card.kernel.errors import ImageError  # noqa: PLC0415
    from card.kernel.storage import FileStorage  # noqa: PLC0415
    from card.personalise import open_card  # noqa: PLC0415

    if not Path(path).is_file():
        raise ReaderError(
            f"There is no card image {path} for the {slot} slot: make one with vitale-card new.", slot=slot
        )
    try:
        return open_card(FileStorage(Path(path)))
    except (ImageError, OSError) as wrong:
        raise ReaderError(
            f"The card image {path} for the {slot} slot cannot be used ({wrong}): make a new one.", slot=slot
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 refused with one sentence, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = options.run

    def work() -> int:
        run(options)
        return 0

    return finish("vitale-reader", work, (ReaderError,))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vitale-reader", description="An emulated two-slot card reader.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the slots, the card in each and its answer to reset")
    listing.set_defaults(run=_list)
    sending = commands.add_parser(
        "apdu", help="send commands to one card; one answer a line, data then status"
    )
    sending.set_defaults(run=_apdu)
    tracing = commands.add_parser("trace", help="send commands and print the redacted trace of each exchange")
    tracing.set_defaults(run=_trace)
    for command in (listing, sending, tracing):
        command.add_argument(
            "--slot",
            action="append",
            required=True,
            dest="images",
            metavar="[NAME=]IMAGE",
            help="a card image for the next slot (Vitale, then CPS), or for the slot NAME; repeatable",
        )
    for command in (sending, tracing):
        command.add_argument(
            "--to", metavar="NAME", help="the slot to speak to (default: the first with a card)"
        )
        command.add_argument("apdus", nargs="+", type=_command, metavar="HEX", help="a command APDU")
    emulate_cli.add_commands(commands, _open_image)
    return parser


def _command(text: str) -> CommandAPDU:
    from card.iso7816.apdu import ApduError, CommandAPDU  # noqa: PLC0415 - start-up time

    try:
        return CommandAPDU.parse(bytes.fromhex(text))
    except ApduError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None
    except ValueError:
        raise argparse.ArgumentTypeError("an APDU is written as pairs of hexadecimal digits") from None


def _list(options: argparse.Namespace) -> None:
    with open_emulated(options.images) as reader:
        for slot in reader.slots:
            print(f"{slot.name:<8}{_contents(slot)}")


def _contents(slot: Slot) -> str:
    if not slot.is_present:
        return "empty"
    atr = slot.connect().atr
    kind = "CPS" if CPS_ATR_MARK in atr else "Vitale" if atr.startswith(b"\x3b\x75\x13") else "other card"
    return f"{kind:<12}{atr.hex(' ').upper()}"


def _apdu(options: argparse.Namespace) -> None:
    with open_emulated(options.images) as reader:
        _send(_chosen(reader, options.to), options.apdus, show=True)


def _trace(options: argparse.Namespace) -> None:
    from reader.trace import Trace  # noqa: PLC0415 - start-up time

    with open_emulated(options.images) as reader:
        reader.observe(Trace(print))
        _send(_chosen(reader, options.to), options.apdus, show=False)


def _chosen(reader: EmulatedReader, name: str | None) -> Slot:
    if name:
        return reader.slot(name)
    return next((slot for slot in reader.slots if slot.is_present), reader.slots[0])


def _send(slot: Slot, commands: Sequence[CommandAPDU], *, show: bool) -> None:
    connection = slot.connect()
    for command in commands:
        connection.extended = command.is_extended
        answer = connection.transmit(command)
        if show:
            print(f"{answer.data.hex().upper()} {answer.sw.to_bytes().hex().upper()}".strip())


if __name__ == "__main__":
    sys.exit(main())
