"""Nothing of anybody leaves the reader room but in card images (promise A11): a campaign with canaries.

Cards with names, NIRs and PINs that exist nowhere else; every command of `vitale-reader` on them, traced,
with wrong input, ended by a crash; then output, logs, files, command lines and environments are searched in
the forms a value can take. `apdu` prints what a card answers; there the PIN and the rest are searched.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from card.kernel.storage import FileStorage, MemoryStorage
from card.personalise import load_profile, open_card, personalise
from card.profile_toml import PROFILES
from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.secret import Secret
from reader.ccid import frames
from reader.connected import open_connected
from reader.pinpad import PinEntry
from tests.card.factory import NOW, issuer, private_key
from tests.interop.bench_pcscd import free_ports
from tests.reader.test_emulate import PROGRAM, SECONDS, Emulator, wait_for

PIN, NEW_PIN, PUK = "7391", "8264", "12345678"
NAMES = {
    "TEST-ALPHA": "TEST-QUETZAL",
    "ALICE": "XANTHIPPE",
    "BASILE": "WOLFRAMINE",
    "CLARA": "YGERNETTE",
    "TEST-MEDECIN": "TEST-ZWORYKIN",
    "MARTHE": "KUNEGONDE",
}
NIRS = ("2851999349101", "1841999349102")
WORDS = tuple(name.removeprefix("TEST-") for name in NAMES.values()) + NIRS


# ---- the scanner


def forms(secret: str) -> set[str]:
    """The ways a name or a number could be written into text or bytes."""
    text = secret.encode()
    found = {
        secret,
        secret.lower(),
        secret.title(),
        secret[::-1],
        " ".join(secret),
        secret.encode("utf-16-le").decode("latin-1"),
    }
    for raw in (text, text[::-1], secret.encode("utf-16-le"), secret.encode("utf-16-be")):
        found |= {raw.hex(), raw.hex(" "), raw.hex(":")}
    for shift in range(3):
        found.add(base64.b64encode(bytes(shift) + text).decode()[(4 if shift else 0) : -4])
    if secret.isdecimal():
        packed = bytes.fromhex(secret if len(secret) % 2 == 0 else secret + "0")
        swapped = bytes(byte >> 4 | (byte & 15) << 4 for byte in packed)
        for raw in (packed, swapped):
            found |= {raw.hex()[: len(secret)], raw.hex(" ")[: len(secret) * 3 // 2 - 1]}
    found.add(hashlib.sha256(text).hexdigest())
    return {form for form in found if len(form) >= 6} | {form.upper() for form in found if len(form) >= 6}


def leaks(data: bytes, words: tuple[str, ...] = WORDS) -> list[str]:
    """Which canaries are in these bytes. A PIN counts when it stands alone, or as ASCII in hex."""
    text = data.decode("latin-1")
    found = [word for word in words if any(form in text for form in forms(word))]
    for pin in (PIN, NEW_PIN):
        raw = pin.encode()
        swapped = pin[1] + pin[0] + pin[3] + pin[2]
        alone = "|".join((pin, swapped, f"{pin[:2]} {pin[2:]}", " ".join(pin)))
        inside = "|".join((raw.hex(), raw.hex(" "), raw.hex(":"), hashlib.sha256(raw).hexdigest()))
        if re.search(rf"(?<![0-9A-Fa-f])({alone})(?![0-9A-Fa-f])|({inside})", text, re.IGNORECASE):
            found.append(pin)
    return found


@pytest.mark.parametrize("secret", [*WORDS, PIN, NEW_PIN])
def test_the_scanner_finds_what_is_planted(secret):
    """Twin: each canary in each form inside a log line is found."""
    line = b"Vitale READ BINARY 0000 Le 256 \xe2\x86\x92 9000 normal processing, 256 bytes pid 41773 %s\n"
    assert leaks(line % b"-") == []
    planted = (
        forms(secret)
        if len(secret) > 4
        else {secret, secret.encode().hex(), secret.encode().hex(" ").upper()}
    )
    for form in planted:
        assert secret in leaks(line % form.encode("latin-1")), form


# ---- the bench


@dataclass
class Watch:
    """Everything the programs under test let out."""

    folder: Path
    heard: dict[str, bytes] = field(default_factory=dict)

    def keep(self, what: str, data: bytes) -> None:
        self.heard[what] = self.heard.get(what, b"") + data

    def look_at(self, pid: int, what: str) -> None:
        """Command line and environment of a running program, as any user or its owner can read them."""
        for part in ("cmdline", "environ"):
            path = Path(f"/proc/{pid}/{part}")
            wait_for(path.read_bytes)  # empty until the program is loaded
            self.keep(f"{what} {part}", path.read_bytes())

    def files(self) -> None:
        """Every file that is no card image: logs, configuration, what was left behind."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path.suffix != ".img":
                self.keep(str(path.relative_to(self.folder)), path.read_bytes())

    def found(self, words: tuple[str, ...] = WORDS) -> dict[str, list[str]]:
        self.files()
        return {what: hits for what, data in self.heard.items() if (hits := leaks(data, words))}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> dict[str, bytes]:
    """A family's Vitale and a practitioner's CPS with canary names, the CPS with a canary PIN."""
    folder, made, numbers = tmp_path_factory.mktemp("canaries"), {}, itertools.count(1)
    for kind, profile in (("vitale", "vitale-family"), ("cps", "cps-gp-sector1")):
        text = (PROFILES / f"{profile}.toml").read_text()
        for plain, canary in NAMES.items():
            text = text.replace(f'"{plain}"', f'"{canary}"')
        path = folder / f"{kind}.toml"
        path.write_text(text)
        storage = MemoryStorage()
        personalise(load_profile(path), storage, issuer(), NOW, key_source=lambda: private_key(next(numbers)))
        card = open_card(storage)
        card.power_on()
        change = bytes.fromhex("0024000110") + b"1234\xff\xff\xff\xff" + PIN.encode() + b"\xff" * 4
        if kind == "cps":
            assert card.transmit(change) == b"\x90\x00"
        made[kind] = storage.read()
    return made


@pytest.fixture
def bench(images, tmp_path, monkeypatch) -> tuple[Watch, dict[str, str]]:
    """Fresh images in a folder of their own; programs tell everything they can when they crash."""
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    paths = {}
    for kind, data in images.items():
        (tmp_path / f"{kind}.img").write_bytes(data)
        paths[kind] = str(tmp_path / f"{kind}.img")
    return Watch(tmp_path), paths


def test_the_images_do_hold_the_canaries(images):
    """Twin: names and PIN are on the cards (that is what images are for), so there is something to leak."""
    assert {"QUETZAL", "XANTHIPPE", *NIRS} <= set(leaks(images["vitale"]))
    assert {"ZWORYKIN", "KUNEGONDE"} <= set(leaks(images["cps"]))
    assert PIN.encode() + b"\xff" * 4 in images["cps"]


def run(watch: Watch, name: str, *words: str, lines: str = "") -> str:
    """One command to its end; its command line and environment are looked at while it waits for its input."""
    process = subprocess.Popen(
        [*PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    watch.look_at(process.pid, name)
    out, err = process.communicate(lines.encode(), timeout=SECONDS)
    watch.keep(f"{name} stderr", err)
    if not name.startswith("apdu"):
        watch.keep(f"{name} stdout", out)
    return out.decode()


def visit(address: str) -> None:
    """Everything the gateway does with both cards, through one of its drivers."""
    with open_connected(address) as reader:
        cps = CpsSession.open(reader.slot("CPS").connect())
        vitale = VitaleSession.open(reader.slot("Vitale").connect())
        cps.verify_pin(Secret(PIN))
        vitale.authenticate(cps)
        rights = vitale.read_rights()
        assert {person.name for person in rights.beneficiaries} == {"TEST-QUETZAL"}
        vitale.seal(bytes(32))
        cps.sign_digest(bytes(32))
        cps.close()
        vitale.close()


# ---- the campaign


@pytest.mark.parametrize("way", ["serial", "galss"])
def test_emulate_with_a_trace_during_a_whole_visit(bench, way, record_property):
    """Two cards, every exchange traced, a crash with its dump at the end: the story, and nobody in it."""
    watch, cards = bench
    port = f"127.0.0.1:{free_ports()}"
    options = ["--serial", "gemcoresimpro2"] if way == "serial" else ["--galss", port]
    with Emulator(
        watch.folder, *options, "--trace", "--slot", cards["vitale"], "--slot", cards["cps"]
    ) as reader:
        watch.look_at(reader.process.pid, "emulate")
        visit(f"gempc:{reader.link}:GemCoreSIMPro2" if way == "serial" else f"galss:{port}")
        status = reader.control("status")
        watch.keep("control status", (status.stdout + status.stderr).encode())
        watch.look_at(reader.process.pid, "emulate")
        reader.end(signal.SIGABRT)
        assert "Current thread" in reader.said() or "Fatal Python error" in reader.said()
    assert "VERIFY 0001 data ****" in reader.said()
    assert "EXTERNAL AUTHENTICATE" in reader.said()
    assert watch.found() == {}
    record_property("promise A11 readers", {"places": len(watch.heard), "hits": 0})


def modification() -> bytes:
    template = bytes.fromhex("0024000110") + b"\xff" * 16
    three = {"messages": (0, 1, 2), "message_count": 3}
    return PinEntry("modify", template, block_string=0x08, maximum=4, new_offset=8, **three).to_ccid()


def asked(reader: Emulator, command: frames.Command) -> frames.Answer:
    """The answer of a reader that echoes."""
    reader.write(command)
    assert reader.answer().type == command.type
    return reader.answer()


def test_digits_on_the_keypad(bench):
    """PIN typed through `control pin`, right and wrong, a change of PIN, nonsense: no digit anywhere."""
    watch, cards = bench
    with Emulator(watch.folder, "--serial", "gempcpinpad", "--trace", "--slot", cards["cps"]) as reader:
        assert asked(reader, frames.power_on(0, 0)).data[:1] == b"\x3b"
        typed = (
            (PinEntry.for_cps().to_ccid(), NEW_PIN, b"\x63\xc2"),
            (PinEntry.for_cps().to_ccid(), PIN, b"\x90\x00"),
            (modification(), f"{PIN}\n{NEW_PIN}\n{NEW_PIN}", b"\x90\x00"),
        )
        for number, (entry, digits, status) in enumerate(typed):
            command = [*PROGRAM, "control", str(reader.link), "pin"]
            control = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            watch.look_at(control.pid, "control pin")
            reader.write(frames.secure(0, 3 + number, entry))
            assert reader.answer().type == frames.Type.SECURE  # this model echoes
            control.stdin.write(digits.encode() + b"\n")
            control.stdin.close()
            wait_for(lambda: "keypad" in reader.said())
            watch.look_at(reader.process.pid, "emulate")
            answer = reader.answer()
            while answer.wants_time:
                answer = reader.answer()
            watch.keep("control pin said", control.stdout.read())
            control.wait(SECONDS)
            assert answer.data == status
        wrong = reader.control("pin", digits=f"{PIN}x\n{NEW_PIN}\n")
        watch.keep("control pin refused", (wrong.stdout + wrong.stderr).encode())
        assert wrong.returncode == 1
        reader.end(signal.SIGABRT)
    assert watch.found() == {}
    assert open_card(FileStorage(Path(cards["cps"]))).power_on()


def test_trace_list_and_apdu(bench):
    """Commands on images: `trace` and `list` say nothing of anybody; `apdu` what was asked."""
    watch, cards = bench
    verify = "0020000108" + PIN.encode().hex() + "FFFFFFFF"
    wrong = "0020000108" + NEW_PIN.encode().hex() + "FFFFFFFF"
    change = "0024000110" + PIN.encode().hex() + "FFFFFFFF" + NEW_PIN.encode().hex() + "FFFFFFFF"
    both = ["--slot", cards["vitale"], "--slot", cards["cps"]]
    reading = [
        "00A4040C0BD250000002564954414C45",
        "00A4020C022001",
        "00B0000000",
        "00A4000C023F00",
        "00B0820000",
    ]
    said = run(watch, "trace Vitale", "trace", *both, "--to", "Vitale", *reading)
    assert "READ BINARY" in said
    said = run(
        watch, "trace CPS", "trace", *both, "--to", "CPS", "-", lines=f"{wrong}\n{verify}\n\n{change}\n"
    )
    assert said.count("data ****") == 3
    rows = run(watch, "list", "list", "--json", *both) + run(watch, "list", "list", *both)
    assert '"kind": "CPS"' in rows
    said = run(watch, "apdu CPS", "apdu", *both, "--to", "CPS", "-", lines=verify + "\n" + verify[:-2] + "\n")
    watch.keep("apdu CPS answers", said.encode())
    assert "63C2" in said  # the PIN is another one by now
    said = run(watch, "apdu Vitale", "apdu", *both, "--to", "Vitale", *reading)
    assert "QUETZAL" in leaks(
        bytes.fromhex("".join(re.findall(r"\b[0-9A-F]{40,}\b", said)))
    )  # it was asked for
    assert watch.found() == {}


def test_wrong_input_is_not_repeated(bench):
    """What is refused is not quoted: lines of standard input, digits in the wrong place, broken hex."""
    watch, cards = bench
    for lines in (f"{PIN}\n", f"0020000108{PIN.encode().hex()}\n", f"PIN {PIN}\n"):
        run(watch, "trace refused", "trace", "--slot", cards["cps"], "-", lines=lines)
    with Emulator(watch.folder, "--serial", "gempctwin", "--slot", cards["cps"]) as reader:
        refused = reader.control("pin", digits=f"{PIN}\n")  # this one has no keypad
        watch.keep("control refused", (refused.stdout + refused.stderr).encode())
        assert "no keypad" in refused.stderr
    damaged = watch.folder / "damaged.img"
    damaged.write_bytes(Path(cards["vitale"]).read_bytes()[:-40])
    run(watch, "list damaged", "list", "--slot", str(damaged))
    assert any(b"damaged.img" in data for data in watch.heard.values())
    assert watch.found() == {}


def test_a_leak_would_be_seen(bench):
    """Twin of the whole bench: a program that prints, logs or carries a canary is caught in each place."""
    watch, _cards = bench
    code = f"import sys; print('{PIN}'); print('QUETZAL', file=sys.stderr); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={"CANARY": NIRS[0]},
    )  # fmt: skip
    watch.look_at(process.pid, "leaking")
    out, err = process.communicate(timeout=SECONDS)
    watch.keep("stdout", out)
    watch.keep("stderr", err)
    (watch.folder / "left.log").write_text(f"rights of {NIRS[1]}")
    found = watch.found()
    assert set(found) == {"leaking cmdline", "leaking environ", "stdout", "stderr", "left.log"}
