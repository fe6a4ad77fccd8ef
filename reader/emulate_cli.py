"""`vitale-reader emulate` and `vitale-reader control`: an emulated reader that other programs open."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reader.errors import ReaderError

if TYPE_CHECKING:
    from reader.emulate import Emulator, OpenCard
    from reader.serial.gempc import Variant

VARIANT_NAMES = ("gempctwin", "gempcpinpad", "gemcorepospro", "gemcoresimpro2", "sec1210")
ORDERS = ("status", "insert", "remove", "pin", "cancel")
CONTROL_SECONDS = 70.0
"""Digits may wait a minute for being asked for."""

Commands = Any  # argparse does not name the type of add_subparsers()


def add_commands(commands: Commands, open_card: OpenCard) -> None:
    """Both commands, for the parser of `vitale-reader`; `open_card` makes a card of an image."""
    _add_emulate(commands, open_card)
    _add_control(commands)


def _add_emulate(commands: Commands, open_card: OpenCard) -> None:
    parser = commands.add_parser(
        "emulate",
        help="a reader that pcscd and other software open, with emulated cards in it",
        description="An emulated reader at work until Ctrl-C: on a serial line, behind vpcd, on a byte-level "
        "line, or behind the GALSS stand-in.",
    )
    parser.add_argument(
        "--slot",
        action="append",
        default=[],
        dest="images",
        metavar="[NAME=]IMAGE",
        help="a card image for the next slot (Vitale, then CPS), or for the slot NAME; repeatable",
    )
    parser.add_argument("--serial", choices=VARIANT_NAMES, help="the model (default: one with enough slots)")
    parser.add_argument("--link", type=Path, metavar="PATH", help="the serial line's name, as /dev/ttyS0")
    parser.add_argument("--pcscd-conf", type=Path, metavar="DIR", help="write the reader.conf entry there")
    parser.add_argument("--vpcd", metavar="HOST:PORT", help="the vpcd driver of pcscd; slot n is PORT + n")
    parser.add_argument(
        "--reverse", action="store_true", help="with --vpcd: wait at HOST:PORT for vpcd to connect"
    )
    parser.add_argument(
        "--rfc2217", metavar="HOST:PORT", help="byte-level cards behind RFC 2217; slot n is PORT + n"
    )
    parser.add_argument(
        "--wiring", help="with --rfc2217: phoenix (default), phoenix6, smartmouse, smartmouse6"
    )
    parser.add_argument("--galss", metavar="HOST:PORT", help="behind the stand-in for the GALSS line")
    parser.add_argument("--trace", action="store_true", help="print the redacted trace of each exchange")
    parser.set_defaults(run=lambda options: _emulate(options, open_card))


def _add_control(commands: Commands) -> None:
    parser = commands.add_parser(
        "control",
        help="tell a running emulated reader: status, insert, remove, pin, cancel",
        description="Orders for a running emulated reader. `pin` reads the digits from standard input, one "
        "line each: the PIN, or the current, the new and the new one again.",
    )
    parser.add_argument("link", type=Path, metavar="LINK", help="the --link of the emulated reader")
    parser.add_argument("order", choices=ORDERS)
    parser.add_argument("slot", nargs="?", metavar="SLOT", help="Vitale, CPS or a number (insert, remove)")
    parser.add_argument(
        "image", nargs="?", metavar="IMAGE", help="the card to insert (default: the last one)"
    )
    parser.set_defaults(run=_control)


# ---- emulate

Connect = Callable[["Emulator"], list[str]]
"""Plugs the emulator in; what to tell the person."""


def _emulate(options: argparse.Namespace, open_card: OpenCard) -> None:
    from reader.emulate import Emulator, Orders  # noqa: PLC0415 - start-up time
    from reader.transport.loop import Loop  # noqa: PLC0415

    connect, slots = _mode(options)
    observer = None
    if options.trace:
        from reader.trace import Trace  # noqa: PLC0415

        observer = Trace(_say)
    loop = Loop()
    emulator = Emulator(loop, slots, open_card, _say, observer)
    images = _placed(emulator, options.images)
    control = None
    try:
        hints = connect(emulator)
        if options.link is not None:
            control = Orders(emulator).serve(control_path(options.link))
        for number, image in images.items():
            emulator.insert(emulator.bays[number], image)
        for bay in emulator.bays:
            emulator.show(bay.number)
        for line in hints:
            _say(line)
        _say("Ready. Ctrl-C ends.")
        loop.run()
    finally:
        emulator.close()
        if control is not None:
            control.close()
        loop.close()
    if loop.signal == signal.SIGINT:
        raise KeyboardInterrupt


def _mode(options: argparse.Namespace) -> tuple[Connect, int]:
    """How to connect, and how many slots there are."""
    ways = {"vpcd": _virtual, "rfc2217": _byte_level, "galss": _historic}
    chosen = [way for way in ways if getattr(options, way) is not None]
    if len(chosen) + (options.serial is not None) > 1:
        names = ", ".join(f"--{name}" for name in ("serial", *ways))
        raise ReaderError(f"A reader is connected in one way only: choose one of {names}.")
    if options.reverse and chosen != ["vpcd"]:
        raise ReaderError("--reverse belongs to --vpcd.")
    if options.wiring is not None and chosen != ["rfc2217"]:
        raise ReaderError("--wiring belongs to --rfc2217.")
    if options.pcscd_conf is not None and chosen in (["rfc2217"], ["galss"]):
        raise ReaderError(f"pcscd does not drive a reader on --{chosen[0]}: drop --pcscd-conf.")
    if chosen:
        return ways[chosen[0]](options)
    if options.link is None:
        raise ReaderError("Say where the reader is to be found: --link PATH, or --vpcd HOST:PORT.")
    return _serial(options)


def _serial(options: argparse.Namespace) -> tuple[Connect, int]:
    from reader.serial.gempc import VARIANTS  # noqa: PLC0415 - start-up time

    variant = VARIANTS[options.serial or ("gempctwin" if len(options.images) < 2 else "gemcoresimpro2")]
    if any(letter in str(options.link) for letter in ':" \n'):
        raise ReaderError("The path of --link is written into reader.conf: no colon, space or quote in it.")

    def connect(emulator: Emulator) -> list[str]:
        return _connect_serial(emulator, variant, options)

    return connect, variant.slots


def _connect_serial(emulator: Emulator, variant: Variant, options: argparse.Namespace) -> list[str]:
    from reader.emulate import SerialPad  # noqa: PLC0415 - start-up time
    from reader.keypad import Keypad  # noqa: PLC0415
    from reader.readerconf import FRIENDLY_NAME, reader_names, serial_entry, write_entry  # noqa: PLC0415
    from reader.serial.gempc import GemPcDevice  # noqa: PLC0415
    from reader.transport.pty import Pty  # noqa: PLC0415
    from reader.transport.serial_plug import SerialPlug  # noqa: PLC0415
    from reader.transport.terminal import Terminal  # noqa: PLC0415

    link: Path = options.link.absolute()
    line = Pty(link)
    plug = SerialPlug(emulator.loop, line, GemPcDevice(variant), emulator.show)
    emulator.plug = plug
    if variant.pad:
        pad = SerialPad(emulator, plug)
        plug.keypad = emulator.keypad = Keypad(emulator.loop, Terminal(emulator.loop), pad, _say)
    entry = serial_entry(link, variant.device)
    hints = [f"Line: {link} ({variant.device}, now {line.device})"]
    if options.pcscd_conf is None:
        return [*hints, "For pcscd: give --pcscd-conf DIR, or connect a program that drives serial readers."]
    folder: Path = options.pcscd_conf.absolute()
    write_entry(folder, entry)
    return [*hints, *_pcscd_hints(folder, reader_names(FRIENDLY_NAME, variant.slots))]


def _virtual(options: argparse.Namespace) -> tuple[Connect, int]:
    from reader.readerconf import FRIENDLY_VIRTUAL_NAME, reader_names, virtual_entry, write_entry  # noqa: PLC0415
    from reader.transport.tcp import VpcdPlug  # noqa: PLC0415 - start-up time
    from reader.vpcd import MAX_SLOTS  # noqa: PLC0415

    host, port = _address(options.vpcd, "--vpcd")

    def connect(emulator: Emulator) -> list[str]:
        emulator.plug = VpcdPlug(emulator.loop, host, port, MAX_SLOTS, emulator.show, reverse=options.reverse)
        if options.pcscd_conf is None or options.reverse:
            return []
        folder: Path = options.pcscd_conf.absolute()
        write_entry(folder, virtual_entry(port))
        return _pcscd_hints(folder, reader_names(FRIENDLY_VIRTUAL_NAME, MAX_SLOTS))

    return connect, MAX_SLOTS


def _byte_level(options: argparse.Namespace) -> tuple[Connect, int]:
    from reader.reader import SLOT_NAMES  # noqa: PLC0415 - start-up time
    from reader.serial.phoenix import WIRINGS  # noqa: PLC0415

    host, port = _address(options.rfc2217, "--rfc2217")
    wiring = WIRINGS.get(options.wiring or "phoenix")
    if wiring is None:
        raise ReaderError(f"There is no wiring {options.wiring}: choose one of {', '.join(WIRINGS)}.")

    def connect(emulator: Emulator) -> list[str]:
        from reader.transport.rfc2217_plug import Rfc2217Plug  # noqa: PLC0415 - start-up time

        slots = len(emulator.bays)
        plug = Rfc2217Plug(emulator.loop, host, port, slots, emulator.show, wiring)
        emulator.plug = plug
        return [f"Byte-level {bay.name}: {url}" for bay, url in zip(emulator.bays, plug.urls, strict=True)]

    return connect, len(SLOT_NAMES)


def _historic(options: argparse.Namespace) -> tuple[Connect, int]:
    from reader.galss import loopback_address  # noqa: PLC0415 - start-up time
    from reader.reader import SLOT_NAMES  # noqa: PLC0415

    host, port = loopback_address(options.galss)

    def connect(emulator: Emulator) -> list[str]:
        from reader.transport.galss_plug import GalssPlug  # noqa: PLC0415 - start-up time

        plug = GalssPlug(host, port, SLOT_NAMES)
        emulator.plug = plug
        return [f"GALSS stand-in: {host}:{plug.port}, LAD 0 is Vitale, LAD 1 is CPS"]

    return connect, len(SLOT_NAMES)


def _address(text: str, option: str) -> tuple[str, int]:
    host, mark, port = text.rpartition(":")
    if not mark or not host or not port.isdecimal() or not 0 < int(port) < 65_535:
        raise ReaderError(f"{option} wants HOST:PORT, for example 127.0.0.1:35963.")
    return host.strip("[]"), int(port)


def _pcscd_hints(folder: Path, names: Sequence[str]) -> list[str]:
    import os  # noqa: PLC0415 - start-up time

    sudo = "" if os.geteuid() == 0 else "sudo "
    return [
        f"Next: {sudo}pcscd --foreground -c {shlex.quote(str(folder))}",
        f"Reader{'s' if len(names) > 1 else ''}: {', '.join(names)}",
    ]


def _placed(emulator: Emulator, images: Sequence[str]) -> dict[int, str]:
    """Which image goes where: in order, or where its name says. An empty one leaves the slot empty."""
    placed: dict[int, str] = {}
    for place, image in enumerate(images):
        name, mark, path = image.partition("=")
        named = bool(mark) and name.replace(" ", "").isalnum()
        if not named and place >= len(emulator.bays):
            raise ReaderError(
                f"This reader has {len(emulator.bays)} slot{'s' if len(emulator.bays) > 1 else ''} and "
                f"{len(images)} cards are given: drop one, or choose --serial gemcoresimpro2 (two slots)."
            )
        number = emulator.bay(name).number if named else place
        path = path if named else image
        if number in placed:
            raise ReaderError(f"Two cards are given for the slot {emulator.name(number)}: drop one.")
        if path:
            placed[number] = str(Path(path).absolute())
    return placed


def _say(line: str) -> None:
    print(line, flush=True)


# ---- control


def control_path(link: Path) -> Path:
    """Where the emulator at `link` takes orders."""
    return link.with_name(link.name + ".control")


def _control(options: argparse.Namespace) -> None:
    from reader.transport.control import ask  # noqa: PLC0415 - start-up time

    request: dict[str, Any] = {"do": options.order}
    if options.order in ("insert", "remove"):
        if options.slot is None:
            raise ReaderError(f"Say which slot: vitale-reader control {options.link} {options.order} SLOT.")
        request["slot"] = options.slot
    elif options.slot is not None:
        hint = "digits come from standard input" if options.order == "pin" else "it takes nothing more"
        raise ReaderError(f"Too much after {options.order}: {hint}.")
    if options.image is not None:
        request["image"] = str(Path(options.image).absolute())
    if options.order == "pin":
        request["lines"] = _digits()
    answer = ask(control_path(options.link.absolute()), request, CONTROL_SECONDS)
    text = str(answer.get("text", ""))
    if not answer.get("ok"):
        raise ReaderError(text or "The emulated reader refused.")
    print(text)


def _digits() -> list[str]:
    """Lines of digits: typed without being shown, or from a pipe."""
    if sys.stdin.isatty():
        from getpass import getpass  # noqa: PLC0415 - start-up time

        return [getpass("PIN: ")]
    return [line for line in sys.stdin.read(4096).split("\n") if line]
