"""`vitale-card`: make, show and talk to card images.

Exit codes: 0 done, 1 refused with one sentence, 2 wrong usage. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

    from card.issuer import TestIssuer
    from card.kernel.storage import FileStorage
    from card.profile import Profile

EXIT_REFUSED = 1
EXIT_INTERRUPTED = 130

DEFAULT_PROFILES = {"vitale": "vitale-family", "cps": "cps-gp-sector1"}


class RefusedError(Exception):
    """The work is refused; the text is the sentence to print."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _run(options)
    except RefusedError as refused:
        print(f"vitale-card: {refused}", file=sys.stderr)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        print("vitale-card: interrupted, no image was changed half-way", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_REFUSED
    return 0


def default_authority() -> Path:
    """Where the test authority is kept when --authority is not given."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "vitale-gateway" / "authority"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vitale-card", description="Make, show and talk to software test cards (Carte Vitale, CPS)."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="make a card image from a profile")
    new.add_argument("kind", choices=("vitale", "cps"), help="which card")
    new.add_argument("--profile", metavar="NAME|FILE", help="shipped profile or TOML file (see: profiles)")
    new.add_argument("--authority", metavar="DIR", type=Path, help="test authority, made at first use")
    new.add_argument("-o", "--output", metavar="IMAGE", type=Path, required=True, help="the image to write")
    new.add_argument("--force", action="store_true", help="overwrite an existing image")
    new.add_argument(
        "--compatible",
        action="store_true",
        help="CPS only: let OpenSC use the signature key and the PUK; real cards do not",
    )
    new.set_defaults(run=_new)
    show = commands.add_parser("show", help="say what is on a card image")
    show.add_argument("image", metavar="IMAGE", type=Path)
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(run=_show)
    apdu = commands.add_parser(
        "apdu",
        help="send commands to a card image",
        description="Power the card on and send commands; each answer is one line: data, then status word.",
    )
    apdu.add_argument("image", metavar="IMAGE", type=Path)
    apdu.add_argument("commands", metavar="HEX", nargs="+", help="a command, for example 00A4000C023F00")
    apdu.set_defaults(run=_apdu)
    profiles = commands.add_parser("profiles", help="list the shipped profiles")
    profiles.set_defaults(run=_profiles)
    return parser


def _run(options: argparse.Namespace) -> None:
    """The chosen command, with every expected failure turned into one sentence."""
    from card.issuer import IssuerError  # noqa: PLC0415 - start-up time
    from card.kernel.errors import ImageError  # noqa: PLC0415
    from card.layout.tree import LayoutError  # noqa: PLC0415
    from card.profile_toml import ProfileError  # noqa: PLC0415

    try:
        options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except ImageError as wrong:
        raise RefusedError(f"{vars(options).get('image') or options.output}: {wrong}") from None
    except (ProfileError, IssuerError, LayoutError) as wrong:
        raise RefusedError(str(wrong)) from None
    except BrokenPipeError:
        raise
    except OSError as wrong:
        where = f"{wrong.filename}: " if wrong.filename else ""
        raise RefusedError(f"{where}{wrong.strerror or wrong}") from None


def _new(options: argparse.Namespace) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415 - start-up time

    from card.kernel.storage import FileStorage  # noqa: PLC0415
    from card.personalise import personalise  # noqa: PLC0415

    output: Path = options.output
    if output.exists() and not options.force:
        raise RefusedError(f"{output} exists already; choose another name, or add --force to overwrite it")
    if output.exists() and not output.is_file():
        raise RefusedError(
            f"{output} is not a file, --force overwrites card images only; choose another name"
        )
    if not output.parent.is_dir():
        raise RefusedError(f"the directory {output.parent} does not exist; make it first")
    if options.compatible and options.kind != "cps":
        raise RefusedError("--compatible concerns the keys of a CPS; leave it out for a Vitale")
    now = datetime.now(UTC)
    profile = _profile(options.kind, options.profile, now.date())
    issuer = _issuer(options.authority or default_authority(), now)
    personalise(profile, FileStorage(output), issuer, now, compatible=options.compatible)
    print(f"{output}: {options.kind} card for profile {profile.name} ({profile.label})")


def _profile(kind: str, wanted: str | None, made: date) -> Profile:
    from card.profile_toml import load_profile  # noqa: PLC0415 - start-up time

    profile = load_profile(wanted or DEFAULT_PROFILES[kind], made)
    if profile.kind not in (kind, "attestation"):
        raise RefusedError(f"profile {profile.name} is for a {profile.kind} card, not for a {kind} card")
    return profile


def _issuer(directory: Path, now: datetime) -> TestIssuer:
    from card.issuer import IssuerError, TestIssuer  # noqa: PLC0415 - start-up time

    if directory.is_dir() and any(directory.iterdir()):
        return TestIssuer.load(directory)
    try:
        issuer = TestIssuer.create(directory, now=now)
    except IssuerError:  # another program made it meanwhile
        return TestIssuer.load(directory)
    print(f"A test authority was made in {directory}; it is worth nothing outside this bench.")
    return issuer


def _show(options: argparse.Namespace) -> None:
    import json  # noqa: PLC0415 - start-up time

    from card.personalise import read_image  # noqa: PLC0415

    content = read_image(_storage(options.image))
    if options.json:
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return
    for line in _lines(content, ""):
        print(line)


def _lines(value: object, indent: str) -> list[str]:
    """A nested value as indented lines; what is empty is left out."""
    lines = []
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, dict | list) and inner:
                lines += [f"{indent}{name}:", *_lines(inner, indent + "  ")]
            elif inner not in ("", None, [], {}):
                lines.append(f"{indent}{name}: {_word(inner)}")
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            lines += [f"{indent}{number}.", *_lines(inner, indent + "  ")]
    return lines


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _apdu(options: argparse.Namespace) -> None:
    from card.personalise import open_card  # noqa: PLC0415 - start-up time

    commands = [_bytes(rank, text) for rank, text in enumerate(options.commands, 1)]
    card = open_card(_storage(options.image))
    card.power_on()
    for command in commands:
        print(card.transmit(command).hex().upper(), flush=True)
    card.power_off()


def _bytes(rank: int, text: str) -> bytes:
    """The bytes of one command. It may hold a PIN: refusals give its rank, never its text."""
    try:
        command = bytes.fromhex(text)
    except ValueError:
        raise RefusedError(f"command {rank} is not pairs of hexadecimal digits; nothing was sent") from None
    if len(command) < 4:
        raise RefusedError(f"command {rank} is too short: it needs CLA, INS, P1 and P2; nothing was sent")
    return command


def _storage(image: Path) -> FileStorage:
    from card.kernel.storage import FileStorage  # noqa: PLC0415 - start-up time

    if not image.is_file():
        raise RefusedError(f"there is no card image {image}; make one with: vitale-card new")
    return FileStorage(image)


def _profiles(_options: argparse.Namespace) -> None:
    from card.profile_toml import list_outcomes, list_profiles, load_profile  # noqa: PLC0415 - start-up time

    for name in list_profiles():
        profile = load_profile(name)
        print(f"{name:<26} {profile.kind:<12} {profile.label}")
    print("\nCards that decide the outcome, where, and the code:")
    for name in list_outcomes():
        if (outcome := load_profile(name).outcome) is not None:
            print(f"{name:<32} {outcome.stage:<9} {outcome.code:<20} {outcome.says}")


if __name__ == "__main__":
    sys.exit(main())
