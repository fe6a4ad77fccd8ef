"""Where the key of a store stands: a file, another file, or the keyring (here one in memory)."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from gateway.errors import StoreError
from gateway.store.store import Store
from tests.gateway.store.line import PRACTICE, Line, body_of


class InMemory(KeyringBackend):
    """A keyring that forgets everything with the test."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        """What is kept."""
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep it."""
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        """Forget it."""
        del self.kept[service, username]


@pytest.fixture
def ring() -> Iterator[InMemory]:
    """The keyring of this test."""
    before = keyring.get_keyring()
    made = InMemory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def open_with(line: Line, key: str) -> Store:
    """The store of this line, with its key there."""
    return Store(f"sqlite:///{line.root / 'other' / 'gateway.db'}", line.clock, key=key)


def test_the_key_in_the_keyring(line: Line, ring: InMemory) -> None:
    """No key file is written; the store opens with its entry again, and with no other."""
    with open_with(line, "keyring:practice") as store:
        store.reserve_fse_number(PRACTICE)
        store.keep_fse(line.fse(1))
    assert {path.suffix for path in (line.root / "other").iterdir()} == {".db", ".lock"}
    assert set(ring.kept) == {("vitale-gateway", "practice")}
    with open_with(line, "keyring:practice") as store:
        assert store.fse_bodies(PRACTICE, [1]) == [body_of(1)]
    with pytest.raises(StoreError, match="the entry another of the keyring is missing"):
        open_with(line, "keyring:another")
    ring.kept["vitale-gateway", "another"] = "00" * 32
    with pytest.raises(StoreError, match="belongs to another store"):
        open_with(line, "keyring:another")


def test_a_making_that_was_interrupted_finds_its_entry(line: Line, ring: InMemory) -> None:
    """Stopped after the tables and before the entry had its name, the store opens and settles it."""
    open_with(line, "keyring:practice").close()
    ring.kept["vitale-gateway", "practice.new"] = ring.kept.pop(("vitale-gateway", "practice"))
    open_with(line, "keyring:practice").close()
    assert set(ring.kept) == {("vitale-gateway", "practice")}


@pytest.mark.parametrize("text", ["", "zz", "00" * 31])
def test_a_keyring_that_does_not_help(line: Line, ring: InMemory, text: str) -> None:
    """A locked keyring, a damaged entry and a missing name are each said in one sentence, without the key."""
    open_with(line, "keyring:practice").close()
    good = ring.kept["vitale-gateway", "practice"]
    ring.kept["vitale-gateway", "practice"] = text
    with pytest.raises(StoreError, match="damaged") as refusal:
        open_with(line, "keyring:practice")
    assert refusal.value.code == "key"
    ring.kept["vitale-gateway", "practice"] = good
    ring.locked = True
    with pytest.raises(StoreError, match="unlock the keyring") as refusal:
        open_with(line, "keyring:practice")
    assert good not in str(refusal.value)
    with pytest.raises(StoreError, match="has no name"):
        open_with(line, "keyring:")
    ring.locked = False
    open_with(line, "keyring:practice").close()


def test_a_key_file_that_the_settings_name(line: Line, tmp_path: Path) -> None:
    """The key stands where the settings say, for its owner only, and not beside the store."""
    elsewhere = tmp_path / "safe.key"
    with open_with(line, str(elsewhere)) as store:
        store.reserve_fse_number(PRACTICE)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o600
    assert not (line.root / "other" / "gateway.db.key").exists()
    with open_with(line, str(elsewhere)) as store:
        assert store.reserve_fse_number(PRACTICE) == 2
    with pytest.raises(StoreError, match="is missing"):
        open_with(line, "")


def test_without_the_extra(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the keyring library one sentence says how to have it."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(StoreError, match=r"pip install 'vitale-gateway\[keyring\]'"):
        open_with(line, "keyring:practice")
