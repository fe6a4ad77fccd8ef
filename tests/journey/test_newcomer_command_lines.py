"""What a newcomer does to the command lines: every mistake ends in one sentence and an exit code."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import card.cli
import gateway.cli
import reader.cli
import tools.bench
import tools.pki.__main__ as pki_cli
import tools.receiver.__main__ as receiver_cli
from tools.bench import Bench

ROOT = Path(__file__).resolve().parents[2]
NIR_LIKE = re.compile(r"(?<!\d)\d{13}(?:\d\d)?(?!\d)")
PROGRAMS = {
    "vitale-card": card.cli.main,
    "vitale-reader": reader.cli.main,
    "vitale-gateway": gateway.cli.main,
    "bench": tools.bench.main,
    "pki": pki_cli.main,
    "receiver": receiver_cli.main,
}


@pytest.fixture
def folder(bench: Bench) -> Path:
    """A practice's folder, settings included."""
    bench.write_settings(2525)
    return bench.root


def run(
    command: str, folder: Path, feed: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    """A shell line in that folder, with an empty home."""
    binaries = Path(sys.executable).parent
    settled = {
        "HOME": str(folder),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, env={**settled, **environment}, input=feed,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def refused(capsys: pytest.CaptureFixture[str], program: str, *arguments: object) -> str:
    """The one sentence with which a program refuses these arguments."""
    capsys.readouterr()
    assert PROGRAMS[program]([str(argument) for argument in arguments]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert said.startswith(f"{program}: ")
    assert not NIR_LIKE.search(said)
    return said


def is_one_sentence(done: subprocess.CompletedProcess[str], code: int) -> bool:
    """Whether a shell line ended with this code and at most one line of complaint."""
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert done.stderr.count("\n") <= 1, done.stderr
    return done.returncode == code


@pytest.mark.parametrize("closed", ["| true", "| head -1", ">&-", ">/dev/full", "2>&-"])
def test_an_output_that_goes_away_is_no_crash(folder: Path, closed: str) -> None:
    """A pipe that closes, a closed or full standard output: no trace, whatever the program."""
    slots = "--slot cards/vitale-single.card --slot cards/cps-gp-sector1.card"
    for command in (
        "vitale-card profiles",
        f"vitale-reader trace {slots} 00A40000023F00 00B0820000",
        "vitale-gateway init new",
    ):
        assert "Traceback" not in run(f"{command} {closed}", folder).stderr


def test_a_terminal_without_arrows_gets_escapes(folder: Path) -> None:
    """A trace on an ASCII terminal is printed whole, the arrow escaped; a UTF-8 terminal gets the arrow."""
    command = "vitale-reader trace --slot 'cards/vitale-single.card' 00A40000023F00"
    poor, rich = (run(command, folder, PYTHONIOENCODING=name) for name in ("ascii", "utf-8"))
    assert (poor.returncode, rich.returncode) == (0, 0)
    assert "\\u2192" in poor.stdout
    assert "→" in rich.stdout


@pytest.mark.parametrize("how", ["--pin-stdin <&-", "<&-", "</dev/null"])
def test_no_input_at_all_asks_for_the_pin(folder: Path, how: str) -> None:
    """A closed standard input: the sentence says how the PIN can be given, and the card hears nothing."""
    (folder / "act.json").write_text(json.dumps({"date": "2026-01-02", "acts": [{"code": "G"}]}))
    done = run(f"vitale-gateway bill act.json {how}", folder)
    assert is_one_sentence(done, 1)
    assert "PIN of the CPS is needed" in done.stderr


@pytest.mark.parametrize("pin", [b"\xff\xfe\n", b"\x00\n", b"abcd\n", b"\n", b"1" * 5000, "é\n".encode()])
def test_a_pin_of_any_bytes_is_refused_and_not_repeated(folder: Path, pin: bytes) -> None:
    """Bytes that are no PIN never reach the card or the screen; afterwards the right one still opens it."""
    (folder / "act.json").write_text(json.dumps({"date": "2026-01-02", "acts": [{"code": "G"}]}))
    done = run("vitale-gateway bill act.json --pin-stdin", folder, pin)
    assert is_one_sentence(done, 1)
    assert "has 4 digits" in done.stderr
    assert pin.decode(errors="replace").strip("\n\0") not in done.stderr or not pin.strip(b"\n\0")


def test_a_pin_from_another_system_s_text_file_opens_the_card(folder: Path) -> None:
    """1234 with CR LF behind it is the PIN 1234."""
    act = {"date": "2026-01-02", "acts": [{"code": "G"}]}
    (folder / "act.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(act).encode())
    done = run("vitale-gateway bill act.json --pin-stdin", folder, b"1234\r\n")
    assert is_one_sentence(done, 0), done.stderr


BAD_ACTS = {
    "nested": b"[" * 50_000,
    "nested objects": b'{"a":' * 10_000,
    "too large": b" " * 70_000,
    "other encoding": '{"date": "2026-01-02"}'.encode("utf-16"),
    "not a number": b'{"date": "2026-01-02", "acts": [{"code": "G", "coefficient": "sNaN"}]}',
    "a NIR as a name": b'{"1990199349012": 1}',
    "a NIR as a code": b'{"date": "2026-01-02", "acts": [{"code": "199019934901234"}]}',
    "a NIR as a pathway": b'{"date": "2026-01-02", "acts": [{"code": "G"}], "pathway": "1990199349012"}',
    "a NIR as a quantity": b'{"date": "2026-01-02", "acts": [{"code": "G", "quantity": 1990199349012}]}',
    "a NIR inside": b'{"date": "2026-01-02", "acts": [{"code": "G"}], "beneficiary": {"1990199349012": 1}}',
    "a NIR as a situation": b'{"date": "2026-01-02", "acts": [{"code": "G"}], '
    b'"practitioner": {"situation": "1990199349012"}}',
    "a line break in a name": b'{"a\\nb": 1}',
    "half a character": b'{"\\ud800": 1}',
    "a situation of the wrong kind": b'{"date": "2026-01-02", "acts": [{"code": "G"}], '
    b'"practitioner": {"situation": null}}',
}


@pytest.mark.parametrize("name", BAD_ACTS)
def test_any_bytes_as_a_care_act_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Whatever is in the file: one line, short, without the digits that were in it."""
    path = tmp_path / "act.json"
    path.write_bytes(BAD_ACTS[name])
    assert len(refused(capsys, "vitale-gateway", "bill", path)) < 300


@pytest.mark.parametrize("what", ["a folder", "no file"])
def test_a_care_act_that_is_no_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """A folder or nothing in the place of the act: the sentence names it."""
    path = tmp_path / "act.json"
    if what == "a folder":
        path.mkdir()
    assert str(path) in refused(capsys, "vitale-gateway", "bill", path)


BAD_SETTINGS = {
    "nested too deeply": ("[practice]", "a = " + "[" * 50_000 + "\n[practice]"),
    "nobody": ('directory = "inbox"', 'directory = "~nobody-here/inbox"'),
    "cannot be seen": ('directory = "mailbox"', 'directory = "a\\u0000b"'),
    "is not the key of": ("authority/practices/demo.key.pem", "authority/root.key.pem"),
    "cannot be read": ("authority/practices/demo.key.pem", "cards"),
    "root.cert.pem: the file is not an opposition list": ('"opposition.txt"', '"authority/root.cert.pem"'),
    "reader driver 'usb' is not known": ('"emulated"', '"usb"'),
}


@pytest.mark.parametrize("words", BAD_SETTINGS)
def test_bad_settings_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """Each mistake in the settings is said before a card is asked; the settings as they were work."""
    path, act = folder / "vitale-gateway.toml", folder / "act.json"
    act.write_text(json.dumps({"date": "2026-01-02", "acts": [{"code": "G"}]}))
    good = path.read_text(encoding="utf-8")
    old, new = BAD_SETTINGS[words]
    path.write_text(good.replace(old, new), encoding="utf-8")
    assert words in refused(capsys, "vitale-gateway", "bill", act, "--config", path)
    path.write_text(good, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", None)
    assert "PIN" in refused(capsys, "vitale-gateway", "bill", act, "--config", path)


def test_a_folder_may_have_any_name(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Spaces, accents, ? and % in the path: the store is made there, and the printed commands quote it."""
    folder = bench.root.rename(bench.root.parent / "l'été 100%41? ici")
    assert tools.bench.main([str(folder)]) == 0
    assert "'\"'\"'été 100%41? ici'/authority" in capsys.readouterr().out
    (folder / "act.json").write_text(json.dumps({"date": "2026-01-02", "acts": [{"code": "G"}]}))
    assert run("vitale-gateway bill act.json --pin-stdin", folder, b"1234\n").returncode == 0
    assert (folder / "gateway.db").is_file()


@pytest.mark.parametrize("umask", ["000", "022"])
def test_what_is_written_is_private(folder: Path, umask: str) -> None:
    """Under any umask, everything that the gateway writes can be read by its owner only."""
    (folder / "act.json").write_text(json.dumps({"date": "2026-01-02", "acts": [{"code": "G"}]}))
    before = set(folder.rglob("*"))
    lines = (
        "vitale-gateway init made",
        "vitale-gateway bill act.json --pin-stdin",
        "vitale-card new cps -o my.card",
    )
    for line in lines:
        assert run(f"umask {umask}; {line}", folder, b"1234\n").returncode == 0
    made = [path for path in folder.rglob("*") if path not in before and ".local" not in path.name]
    assert len(made) > 5
    open_to_all = [
        path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.name != "share"
    ]
    assert open_to_all == []


def card_refusals(folder: Path) -> list[tuple[Sequence[object], str]]:
    """Arguments of vitale-card and words of the refusal."""
    large, nested, sink = folder / "large", folder / "nested.toml", folder / "sink"
    with large.open("wb") as file:
        file.truncate(20_000_000)
    nested.write_text("a = " + "[" * 50_000)
    os.mkfifo(sink)
    authority = ("--authority", folder / "authority")
    return [
        (("show", large), "too large"),
        (("show", nested), "nested.toml: This file is not a card image"),
        (("new", "vitale", "--profile", large, "-o", folder / "x"), "more than"),
        (("new", "vitale", "--profile", nested, "-o", folder / "x"), "nested too deeply"),
        (("new", "vitale", *authority, "-o", folder, "--force"), "is not a file"),
        (("new", "vitale", *authority, "-o", sink, "--force"), "is not a file"),
    ]


def test_a_card_image_or_profile_of_any_kind_is_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Huge, nested, a pipe or a folder: refused by name, and --force replaces nothing but files."""
    for arguments, words in card_refusals(bench.root):
        assert words in refused(capsys, "vitale-card", *arguments)
    assert stat.S_ISFIFO((bench.root / "sink").stat().st_mode)


def test_the_tools_refuse_in_one_sentence(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in the place of a folder, a port out of range, wrong TOML: each tool names what is wrong."""
    root = bench.root
    bench.authority.practice_keys("demo")
    file, nested, wrong = bench.card_file("vitale-single"), root / "nested.toml", root / "wrong.toml"
    nested.write_text("a = " + "[" * 50_000)
    wrong.write_text("insured = 3\npractice = [1]\n")
    serve = (
        "serve",
        "--authority",
        root / "authority",
        "--state",
        root / "s",
        "--practice",
        "demo",
        "--port",
    )
    usual = ("0", "--maildir", root / "m")
    assert str(file) in refused(capsys, "bench", file)
    assert str(file) in refused(capsys, "pki", file)
    assert "missing" in refused(
        capsys, "receiver", "serve", "--authority", root / "cards", "--state", root / "s", "--maildir", root
    )
    crl = root / "authority" / "trust" / "crls" / "cps.crl"
    good = crl.read_bytes()
    crl.write_bytes(b"xx")
    assert "cps.crl is not a revocation list" in refused(capsys, "pki", root / "authority")
    crl.write_bytes(good)
    assert "99999" in refused(capsys, "receiver", *serve, "99999", "--maildir", root / "m")
    assert "mailbox" in refused(capsys, "receiver", *serve, "0", "--maildir", file)
    for option, what in (("--overrides", "overrides"), ("--directory", "directory")):
        assert "nested too deeply" in refused(capsys, "receiver", *serve, *usual, option, nested)
        assert f"{what} wrong.toml" in refused(capsys, "receiver", *serve, *usual, option, wrong)


@pytest.mark.parametrize("days", ["nan", "inf", "-1", "1e308"])
def test_the_receiver_s_calendar_takes_real_numbers_only(tmp_path: Path, days: str) -> None:
    """A number of days that no calendar has is a usage error, never written over a payment date."""
    with pytest.raises(SystemExit) as usage:
        receiver_cli.main(["advance", "--state", str(tmp_path), "--days", days])
    assert usage.value.code == 2
