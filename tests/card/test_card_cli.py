"""`vitale-card`: clear work, one sentence on bad input, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import card.issuer
from card import cli
from card.profile_toml import PROFILES
from tests.card.factory import NOW, image, private_key

PIN_QUERY = "00200001"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(card.issuer, "generate_key", lambda: private_key(0))


@pytest.fixture
def cps_image(tmp_path: Path) -> Path:
    """A CPS image file."""
    path = tmp_path / "cps.img"
    path.write_bytes(image("cps-gp-sector1"))
    return path


@pytest.fixture
def authority(tmp_path: Path) -> str:
    """A test authority on the disk."""
    home = tmp_path / "authority"
    card.issuer.TestIssuer.create(home, now=NOW, key_source=lambda: private_key(0))
    return str(home)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence of a refusal: exit code 1, one line on stderr, nothing on stdout."""
    capsys.readouterr()
    assert cli.main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vitale-card: ")
    assert err.count("\n") == 1
    return err


def test_new_show_apdu(tmp_path: Path, authority: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A card is made (0600), shown in words and as JSON, and answers commands."""
    path = tmp_path / "vitale.img"
    assert cli.main(["new", "vitale", "--authority", authority, "-o", str(path)]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert "vitale-family" in capsys.readouterr().out
    assert cli.main(["show", str(path)]) == 0
    assert "first_name: ALICE" in capsys.readouterr().out
    assert cli.main(["show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["kind"], shown["validity_end"]) == ("vitale", "2033-12-31")
    assert [p["first_name"] for p in shown["beneficiaries"]] == ["ALICE", "BASILE", "CLARA"]
    assert shown["beneficiaries"][2]["coverage"][0]["situation"] == "plain"
    assert cli.main(["apdu", str(path), "00 A4 00 0C 02 3F 00", "00b0820002"]) == 0
    assert capsys.readouterr().out == "9000\n65229000\n"


def test_show_a_practitioner(cps_image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A CPS shows practitioner, situations and both certificates."""
    assert cli.main(["show", str(cps_image), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["practitioner"]["national_id"] == "899900000011"
    assert [s["may_sign_lot"] for s in shown["situations"]] == [True, False]
    assert [c["use"] for c in shown["certificates"]] == ["signature", "authentication"]


def test_state_lives_in_the_image(cps_image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A spent PIN try is still spent in the next session, a verified PIN is not verified any more."""
    wrong, right = "002000010839393939FFFFFFFF", "002000010831323334FFFFFFFF"
    assert cli.main(["apdu", str(cps_image), wrong]) == 0
    assert cli.main(["apdu", str(cps_image), PIN_QUERY, right, PIN_QUERY]) == 0
    assert cli.main(["apdu", str(cps_image), PIN_QUERY]) == 0
    assert capsys.readouterr().out.split() == ["63C2", "63C2", "9000", "9000", "63C3"]


def test_default_authority_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At first use the authority is made and said; the second card uses the same one silently."""
    for name, lines in (("a", 2), ("b", 1)):
        assert cli.main(["new", "vitale", "--profile", "vitale-ald", "-o", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out.count("\n") == lines
    assert (tmp_path / "data/vitale-gateway/authority/root.key.pem").is_file()


def test_nothing_is_overwritten(tmp_path: Path, authority: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An existing image is kept, unless --force says otherwise."""
    path = tmp_path / "cps.img"
    path.write_bytes(b"precious")
    new = ["new", "cps", "--authority", authority, "-o", str(path)]
    assert "--force" in refused(capsys, *new)
    assert path.read_bytes() == b"precious"
    assert cli.main([*new, "--force"]) == 0
    assert cli.main(["show", str(path)]) == 0


def test_bad_new(tmp_path: Path, authority: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown or unfit profiles, a missing directory, a damaged authority: one sentence, no image."""
    path = tmp_path / "card.img"
    new = ["new", "vitale", "--authority", authority, "-o", str(path)]
    assert "no profile nobody" in refused(capsys, *new, "--profile", "nobody")
    assert "for a cps card" in refused(capsys, *new, "--profile", "cps-nurse")
    assert "paper attestation" in refused(capsys, *new, "--profile", "ame-attestation")
    assert "--compatible" in refused(capsys, *new, "--compatible")
    assert "does not exist" in refused(capsys, *new[:-1], str(tmp_path / "no" / "card.img"))
    (Path(authority) / "vitale.key.pem").write_text("spoiled", encoding="utf-8")
    assert "vitale.key.pem" in refused(capsys, *new)
    assert not path.exists()


def test_bad_profile_field(tmp_path: Path, authority: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A NIR with a wrong key in one's own profile is named by its field; the right one makes a card."""
    path, mine = tmp_path / "card.img", tmp_path / "mine.toml"
    new = ["new", "vitale", "--authority", authority, "-o", str(path), "--profile", str(mine)]
    text = (PROFILES / "vitale-single.toml").read_text(encoding="utf-8")
    mine.write_text(text.replace("185199934920111", "185199934920112"), encoding="utf-8")
    sentence = refused(capsys, *new)
    assert "insured.nir: the key of the NIR is wrong" in sentence
    assert "185199934920112" not in sentence
    mine.write_text(text, encoding="utf-8")
    assert cli.main(new) == 0


@pytest.mark.parametrize("command", ["show", "apdu"])
def test_bad_images(command: str, cps_image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing, empty, truncated or altered image, a directory: one sentence; the sound image works."""
    more = [PIN_QUERY] if command == "apdu" else []
    sound = cps_image.read_bytes()
    assert cli.main([command, str(cps_image), *more]) == 0
    for content in (b"", sound[:10], sound[:2000], b"x" * 5000, sound[:99] + b"?" + sound[100:]):
        cps_image.write_bytes(content)
        assert refused(capsys, command, str(cps_image), *more)
    assert "no card image" in refused(capsys, command, str(cps_image) + ".gone", *more)
    assert "no card image" in refused(capsys, command, str(cps_image.parent), *more)


def test_bad_commands(cps_image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands that are not hex are refused before any is sent, and may hold a PIN: they are not repeated."""
    wrong_pin = "002000010839393939FFFFFFFF"
    for bad in ("0020000108313233349", "hello", "0020", ""):
        sentence = refused(capsys, "apdu", str(cps_image), wrong_pin, bad)
        assert "command 2" in sentence
        assert "3132" not in sentence
    assert cli.main(["apdu", str(cps_image), PIN_QUERY]) == 0
    assert capsys.readouterr().out == "63C3\n"


def test_commands_a_card_refuses(cps_image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is for the card to answer, with a status word."""
    assert cli.main(["apdu", str(cps_image), "FFFFFFFF", "00A40000FF", "8000000000"]) == 0
    assert all(len(line) == 4 for line in capsys.readouterr().out.split())


def test_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped profiles are listed with kind and label."""
    assert cli.main(["profiles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 14
    assert any(line.startswith("ame-attestation") and "attestation" in line for line in lines)


def test_interrupted(
    cps_image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends with code 130 and one line."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_show", interrupt)
    assert cli.main(["show", str(cps_image)]) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_wrong_usage() -> None:
    """Wrong usage exits with code 2, help with 0."""
    for arguments, code in (([], 2), (["new", "ticket", "-o", "x"], 2), (["fly"], 2), (["--help"], 0)):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == code


def test_help_imports_nothing_heavy() -> None:
    """Help is quick because it loads neither cryptography nor the card."""
    code = (
        "import sys, card.cli\n"
        "try: card.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(any(m.startswith(('cryptography', 'card.kernel')) for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"vitale-card" in done.stdout


def test_closed_pipe(cps_image: Path) -> None:
    """A reader that goes away early gets no traceback from us."""
    command = f"{sys.executable} -m card.cli show {cps_image} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
