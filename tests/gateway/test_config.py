"""Settings: the example loads, and every mistake is named with its line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ReaderConfig, example_config, load_config, parse_config
from gateway.errors import InputError

HERE = Path("/practice")


def test_the_example_loads(tmp_path: Path) -> None:
    """What init writes is accepted as it is, with paths relative to the file."""
    file = tmp_path / "gateway.toml"
    file.write_text(example_config(), encoding="utf-8")
    config = load_config(file)
    assert config.practice.id == "cabinet"
    assert config.receiver.port == 2525
    assert config.store_url == f"sqlite:///{tmp_path}/var/gateway.db"
    assert config.reader.slots[0] == str(tmp_path / "cards/vitale.card")
    assert config.retention_days == 90


def test_optional_keys_have_safe_defaults() -> None:
    """Without the optional keys: loopback only, modern profile, every valid CPS, legal retention."""
    text = "\n".join(
        line
        for line in example_config().splitlines()
        if not line.startswith(("zone", "optam", "allow_remote", "policy", "retention_days", "after_minutes"))
    )
    config = parse_config(text, HERE)
    assert not config.receiver.allow_remote
    assert config.receiver.policy == "modern"
    assert config.practice.practitioners == ()
    assert config.retention_days == 90


def test_practitioners_can_be_named() -> None:
    """The list of the practitioners who may bill here is read when there is one."""
    text = example_config().replace("# practitioners", "practitioners")
    practice = parse_config(text, HERE).practice
    assert practice.practitioners == ("810000000000",)


def test_slots_of_the_emulated_reader() -> None:
    """An image may name its slot, an empty slot stays empty, and other drivers get their text unchanged."""
    slots = 'slots = ["CPS=cps.card", ""]'
    text = example_config().replace('slots = ["cards/vitale.card", "cards/cps.card"]', slots)
    assert parse_config(text, HERE).reader.slots == ("CPS=/practice/cps.card", "")
    galss = parse_config(text.replace('"emulated"', '"galss"'), HERE).reader
    assert galss.slots == ("CPS=cps.card", "")


@pytest.mark.parametrize("slots", [("Gemalto",), ("Twin.* 00 00", "Twin.* 00 01")])
def test_pcsc_readers_are_named(slots: tuple[str, ...]) -> None:
    """One name for both cards or one for each, taken as it is written."""
    text = example_config().replace('driver = "emulated"', 'driver = "pcsc"')
    written = "slots = [" + ", ".join(f'"{slot}"' for slot in slots) + "]"
    text = text.replace('slots = ["cards/vitale.card", "cards/cps.card"]', written)
    assert parse_config(text, HERE).reader == ReaderConfig("pcsc", slots)


def test_a_reader_alone() -> None:
    """`alone` is off unless said, and belongs to the driver that can."""
    text = example_config().replace("# alone = true", "alone = true")
    with pytest.raises(InputError, match=r"line \d+, alone of \[reader\] belongs to the driver pcsc"):
        parse_config(text, HERE)
    text = text.replace('driver = "emulated"', 'driver = "pcsc"', 1)
    assert parse_config(text, HERE).reader.alone
    assert not parse_config(example_config(), HERE).reader.alone


@pytest.mark.parametrize("slots", ["[]", '[""]', '["Twin", " "]', '["a", "b", "c"]'])
def test_pcsc_readers_without_a_name(slots: str) -> None:
    """No name, an empty one or too many are refused with the line."""
    text = example_config().replace('driver = "emulated"', 'driver = "pcsc"')
    text = text.replace('slots = ["cards/vitale.card", "cards/cps.card"]', f"slots = {slots}")
    with pytest.raises(InputError, match=r"line \d+, slots of \[reader\] must be part of the name"):
        parse_config(text, HERE)


@pytest.mark.parametrize(
    ("good", "bad", "sentence"),
    [
        ('id = "cabinet"', 'id = "Cabinet du Nord"', "line 4, id of .practice. must be 1 to 40 letters"),
        ('id = "cabinet"', "", "id is missing in .practice."),
        ('address = "cabinet@', 'address = "cabinet', "line 5, address of .practice. must be a mail address"),
        ('zone = "metropole"', 'zone = "moon"', "line 6, zone of .practice. must be one of metropole"),
        ("optam = false", 'optam = "no"', "line 7, optam of .practice. must be true or false"),
        ("port = 2525", "port = 70000", "port of .receiver. must be a whole number from 1 to 65535"),
        ("port = 2525", "port = true", "port of .receiver. must be a whole number"),
        ('policy = "modern"', 'policy = "old"', "policy of .receiver. must be one of modern, sesam"),
        ("retention_days = 90", "retention_days = 30", "retention_days of .store. must be a whole number"),
        ('url = "sqlite:///var/gateway.db"', 'url = "mysql://x"', "url of .store. must be sqlite:///"),
        ("[lots]", "[lots]\ncolour = 1", "colour of .lots. is not a known key"),
        ("[lots]", "[lodz]", "there is no section 'lodz'"),
        ("[inbox]\ndirectory", "[inbox]\nfolder", "directory is missing in .inbox."),
        ('driver = "emulated"', 'driver = " "', "driver of .reader. is empty"),
        ("slots = [", "slots = [1, ", "slots of .reader. must be a list of texts"),
        ("# practitioners = [", 'practitioners = ["12", ', "practitioners of .practice. must be"),
        ("port = 2525", "port = = 2525", "not TOML: .*line 21"),
        ("[lots]\nafter_minutes = 30", "lots = 3", "lots"),
    ],
)  # fmt: skip
def test_mistakes_are_named(good: str, bad: str, sentence: str) -> None:
    """Each mistake is one sentence with the key, and its line where there is one; its twin is accepted."""
    assert good in example_config()
    parse_config(example_config(), HERE)
    with pytest.raises(InputError, match=sentence):
        parse_config(example_config().replace(good, bad), HERE)


def test_a_section_is_not_a_value() -> None:
    """A section written as a value is refused in one sentence."""
    rest = example_config().split("[lots]")[0]
    with pytest.raises(InputError, match="'lots' is a section"):
        parse_config("lots = 3\n" + rest, HERE)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    """A file that is not there, or is no text, is refused with what to do next."""
    with pytest.raises(InputError, match="vitale-gateway init"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        load_config(tmp_path / "binary.toml")


def with_api(*lines: str) -> str:
    """The example with a section [api] of these lines."""
    return example_config() + "\n[api]\nport = 8420\ntokens = 'tokens.json'\n" + "\n".join(lines) + "\n"


def test_the_api_is_on_loopback_by_default(tmp_path: Path) -> None:
    """Without the section there is no API; with it, this machine only, one PIN for 12 hours or 250 sheets."""
    assert parse_config(example_config(), tmp_path).api is None
    api = parse_config(with_api(), tmp_path).api
    assert api is not None
    assert (api.address, api.port, api.tokens) == ("127.0.0.1", 8420, tmp_path / "tokens.json")
    assert (api.session_minutes, api.session_sheets) == (720, 250)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("address = '192.0.2.1'", "is not of this machine"),
        ("address = 'localhost'", "must be an IP address"),
        ("session_sheets = 0", "must be a whole number"),
        ("session_minutes = 1441", "must be a whole number"),
        ("nonsense = 1", "is not a known key"),
    ],
)
def test_wrong_settings_of_the_api_are_named(tmp_path: Path, line: str, said: str) -> None:
    """Each mistake in [api] is one sentence with its line."""
    with pytest.raises(InputError, match=rf"line \d+, .* of \[api\] {said}"):
        parse_config(with_api(line), tmp_path)


def test_another_address_is_taken_on_purpose(tmp_path: Path) -> None:
    """An address of another network, IPv6 included, is fine when `allow_remote` says so."""
    for address in ("192.0.2.1", "::"):
        api = parse_config(with_api(f"address = '{address}'", "allow_remote = true"), tmp_path).api
        assert api is not None
        assert api.address == address
