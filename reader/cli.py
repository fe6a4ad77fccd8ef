"""`vitale-reader`: card readers on the command line, emulated ones and those of this machine.

The one place of this room that builds a card. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from reader import emulate_cli
from reader.console import finish
from reader.errors import ReaderError

if TYPE_CHECKING:
    from card.iso7816.apdu import CommandAPDU
    from reader.connected import Row
    from reader.emulated import EmulatedReader
    from reader.reader import Reader
    from reader.slot import Card, Slot


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
    parser = argparse.ArgumentParser(
        prog="vitale-reader", description="Card readers: emulated, PC/SC, serial."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the slots, the card in each and its answer to reset")
    listing.set_defaults(run=_list)
    listing.add_argument("--json", action="store_true", help="one JSON list")
    sending = commands.add_parser(
        "apdu", help="send commands to one card; one answer a line, data then status"
    )
    sending.set_defaults(run=_apdu)
    tracing = commands.add_parser("trace", help="send commands and print the redacted trace of each exchange")
    tracing.set_defaults(run=_trace)
    for command in (listing, sending, tracing):
        _add_sources(command, required=command is not listing)
    for command in (sending, tracing):
        command.add_argument(
            "--to", metavar="NAME", help="the slot to speak to (default: the first with a card)"
        )
        command.add_argument(
            "apdus",
            nargs="+",
            type=_command,
            metavar="HEX",
            help="a command APDU; - reads more from standard input, one a line: PINs go there, not here",
        )
    emulate_cli.add_commands(commands, _open_image)
    return parser


def _add_sources(command: argparse.ArgumentParser, *, required: bool) -> None:
    sources = command.add_mutually_exclusive_group(required=required)
    sources.add_argument(
        "--slot",
        action="append",
        dest="images",
        metavar="[NAME=]IMAGE",
        help="a card image for the next slot (Vitale, then CPS), or for the slot NAME; repeatable",
    )
    sources.add_argument(
        "--reader",
        metavar="[DRIVER:]NAME",
        help="a connected reader: part of a PC/SC name, gempc:TTY, phoenix:PORT, galss:HOST:PORT",
    )


def _open(options: argparse.Namespace) -> Reader:
    """The reader that the options name."""
    if options.images:
        return open_emulated(options.images)
    from reader.connected import open_connected  # noqa: PLC0415 - start-up time

    return open_connected(options.reader)


def _command(text: str) -> CommandAPDU | None:
    """One command in hex, or None for "-"."""
    from card.iso7816.apdu import ApduError, CommandAPDU  # noqa: PLC0415 - start-up time

    if text == "-":
        return None
    try:
        return CommandAPDU.parse(bytes.fromhex(text))
    except ApduError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None
    except ValueError:
        raise argparse.ArgumentTypeError("an APDU is written as pairs of hexadecimal digits") from None


def _list(options: argparse.Namespace) -> None:
    from reader.connected import rows_of, survey  # noqa: PLC0415 - start-up time

    if options.images:
        with open_emulated(options.images) as reader:
            rows = rows_of(reader)
    else:
        rows = survey(options.reader)
    if options.json:
        from dataclasses import asdict  # noqa: PLC0415

        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False))
        return
    if not rows:
        raise ReaderError("No such reader is connected: plug one in, or start vitale-reader emulate.")
    width = max(7, *(len(row.reader) for row in rows))
    for row in rows:
        print(f"{row.reader:<{width}} {_contents(row)}")


def _contents(row: Row) -> str:
    notes = "".join(
        f"  ({note})" for note, told in (("PIN pad", row.pin_pad), ("in use", row.in_use)) if told
    )
    if row.state != "card":
        return row.state + notes
    kind = "other card" if row.kind == "other" else row.kind
    return f"{kind:<12}{bytes.fromhex(row.atr).hex(' ').upper()}{notes}"


def _apdu(options: argparse.Namespace) -> None:
    with _open(options) as reader:
        _send(_chosen(reader, options.to), options.apdus, show=True)


def _trace(options: argparse.Namespace) -> None:
    from reader.trace import Trace  # noqa: PLC0415 - start-up time

    with _open(options) as reader:
        reader.observe(Trace(print))
        _send(_chosen(reader, options.to), options.apdus, show=False)


def _commands(written: Sequence[CommandAPDU | None]) -> Iterator[CommandAPDU]:
    """The commands of the command line; in the place of "-" those of standard input, one a line."""
    for command in written:
        if command is not None:
            yield command
            continue
        for line in sys.stdin:
            try:
                read = _command(line.strip()) if line.strip() else None
            except argparse.ArgumentTypeError as wrong:
                raise ReaderError(f"A line of standard input is no command: {wrong}.") from None
            if read is not None:
                yield read


def _chosen(reader: Reader, name: str | None) -> Slot:
    if name:
        return reader.slot(name)
    return next((slot for slot in reader.slots if slot.is_present), reader.slots[0])


def _send(slot: Slot, commands: Sequence[CommandAPDU | None], *, show: bool) -> None:
    connection = slot.connect()
    for command in _commands(commands):
        connection.extended = command.is_extended
        answer = connection.transmit(command)
        if show:
            print(f"{answer.data.hex().upper()} {answer.sw.to_bytes().hex().upper()}".strip())


if __name__ == "__main__":
    sys.exit(main())
