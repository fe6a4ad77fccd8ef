"""Tokens: shown once, kept as a digest, taken back at once; and the command that makes them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.api.tokens import Tokens
from gateway.cli import main
from gateway.clock import SystemClock, system_rng
from gateway.config import example_config
from gateway.errors import InputError


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """An empty file of tokens, not made yet."""
    return Tokens(tmp_path / "var" / "tokens.json")


def new(tokens: Tokens, name: str) -> str:
    """A token for this program."""
    return tokens.new(name, "demo", SystemClock(), system_rng)


def test_the_file_holds_no_token(tokens: Tokens, tmp_path: Path) -> None:
    """What is kept is a digest, readable by its owner only; the token itself opens the door."""
    token = new(tokens, "soft")
    file = tmp_path / "var" / "tokens.json"
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    caller = tokens.caller(token)
    assert caller is not None
    assert (caller.name, caller.practice) == ("soft", "demo")


def test_another_process_sees_changes_at_once(tokens: Tokens, tmp_path: Path) -> None:
    """A token made, then taken back, by another process is known, then unknown, without a restart."""
    here = Tokens(tmp_path / "var" / "tokens.json")
    assert here.caller("vgt_x") is None
    token = new(tokens, "soft")
    assert here.caller(token) is not None
    tokens.revoke("soft")
    assert here.caller(token) is None


def test_nearly_a_token_is_none(tokens: Tokens) -> None:
    """A token cut short, longer, in other case or the digest itself is nobody's."""
    token = new(tokens, "soft")
    digest = tokens.entries()[0].digest
    for wrong in (token[:-1], token + "x", token.upper(), digest, "", "\ud800"):
        assert tokens.caller(wrong) is None, wrong
    assert tokens.caller(token)


def test_names_are_taken_once(tokens: Tokens) -> None:
    """A second token of one name is refused; taken back, the name is free again; a stranger is not there."""
    new(tokens, "soft")
    with pytest.raises(InputError, match="there is a token called soft"):
        new(tokens, "soft")
    tokens.revoke("soft")
    assert new(tokens, "soft")
    with pytest.raises(InputError, match="no token has this name"):
        tokens.revoke("other")


@pytest.mark.parametrize(
    "content", ["{", "[1]", '[{"name": "x"}]', '{"a": 1}', '[{"name":1,"practice":2,"digest":3,"made":4}]']
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    """A damaged file lets nobody in, and the sentence names it."""
    file = tmp_path / "tokens.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"tokens\.json is not a file of tokens"):
        Tokens(file).caller("vgt_x")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings with the example's section [api] in force."""
    head, _, api = example_config().partition("# [api]")
    lines = ("# [api]" + api).splitlines()
    file = tmp_path / "vitale-gateway.toml"
    file.write_text(head + "\n".join(line.removeprefix("# ") for line in lines), encoding="utf-8")
    return file


def test_the_command_makes_lists_and_takes_back(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`token new` prints the token once on standard output, `list` shows its name, `revoke` ends it."""
    where = ["--config", str(settings)]
    assert main(["token", "new", "soft", *where]) == 0
    token = capsys.readouterr().out.strip()
    tokens = Tokens(settings.parent / "var" / "tokens.json")
    assert tokens.caller(token)
    assert main(["token", "list", *where]) == 0
    shown = capsys.readouterr().out
    assert "soft" in shown
    assert token not in shown
    assert main(["token", "revoke", "soft", *where]) == 0
    assert tokens.caller(token) is None
    assert main(["token", "new", "b<a>d", *where]) == 1
    assert "name has 1 to 40" in capsys.readouterr().err


def test_without_a_section_there_is_no_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings without [api]: one sentence says to add it."""
    file = tmp_path / "vitale-gateway.toml"
    file.write_text(example_config(), encoding="utf-8")
    assert main(["token", "list", "--config", str(file)]) == 1
    assert "there is no section [api]" in capsys.readouterr().err
