"""Settings: the example loads, and every mistake is named with its line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import (
    LogConfig,
    PageConfig,
    PublisherConfig,
    ReaderConfig,
    example_config,
    load_config,
    parse_config,
)
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


def test_holidays_of_a_territory() -> None:
    """Named when the zone does not tell it; a territory nobody knows is refused with its line."""
    assert parse_config(example_config(), HERE).practice.holidays == ""
    text = example_config().replace("optam = false", 'optam = false\nholidays = "alsace_moselle"')
    assert parse_config(text, HERE).practice.holidays == "alsace_moselle"
    with pytest.raises(
        InputError, match=r"line \d+, holidays of \[practice\] must be one of metropole, alsace"
    ):
        parse_config(text.replace("alsace_moselle", "atlantis"), HERE)


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
    assert parse_config(text, HERE).reader == ReaderConfig("pcsc", slots, practice="cabinet", name="pcsc")


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
        ("port = 2525", "port = = 2525", "not TOML: .*line 28"),
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


SECOND = """
[[practice]]
id = "sud"
address = "sud@practice.test"
certificate = "keys/sud.cert.pem"
key = "keys/sud.key.pem"
"""
READERS = """
[[reader]]
name = "desk-nord"
practice = "nord"
driver = "pcsc"
slots = ["Gemalto 00"]

[[reader]]
name = "desk-sud"
practice = "sud"
driver = "emulated"
slots = ["sud.card", ""]
"""


def many(second: str = SECOND, readers: str = READERS) -> str:
    """The example with two practices, nord and sud, and the readers of both."""
    text = example_config().replace("[practice]", "[[practice]]", 1).replace('id = "cabinet"', 'id = "nord"')
    before, rest = text.split("[reader]", 1)
    after = rest[rest.index("\n[receiver]") :]
    return before + second + readers + after


def test_several_practices_each_with_its_reader_and_folders() -> None:
    """[[practice]] and [[reader]] in their order, a folder for each, each reader at its practice."""
    config = parse_config(many(), HERE)
    assert [practice.id for practice in config.practices] == ["nord", "sud"]
    assert config.practice.id == "nord"
    assert config.practice_named("sud").mailbox == HERE / "var/mailbox/sud"
    assert config.practice_named("sud").inbox == HERE / "var/inbox/sud"
    assert config.practice_named("nord").paper == HERE / "var/paper/nord"
    nord, sud = (config.reader_of(practice) for practice in ("nord", "sud"))
    assert nord == ReaderConfig("pcsc", ("Gemalto 00",), practice="nord", name="desk-nord")
    assert sud == ReaderConfig("emulated", ("/practice/sud.card", ""), practice="sud", name="desk-sud")
    with pytest.raises(InputError, match="no practice 'est' in the settings: they have nord, sud"):
        config.practice_named("est")


def test_without_a_reader_it_is_a_worker() -> None:
    """No [reader] at all is accepted; who asks for the reader hears it in one sentence."""
    config = parse_config(many(readers=""), HERE)
    assert config.readers == ()
    assert config.reader_of("nord") is None
    with pytest.raises(InputError, match=r"no section \[reader\]"):
        _ = config.reader


def test_one_of_several_is_as_one() -> None:
    """A single [[practice]] with a [[reader]] means the same as [practice] with [reader]."""
    text = example_config().replace("[practice]", "[[practice]]", 1).replace("[reader]", "[[reader]]", 1)
    assert parse_config(text, HERE) == parse_config(example_config(), HERE)


@pytest.mark.parametrize(
    ("good", "bad", "line", "sentence"),
    [
        ('id = "sud"', 'id = "Sud!"', 'id = "Sud!"', r"id of \[\[practice\]\] number 2 must be 1 to 40"),
        ('id = "sud"', 'id = "nord"', 3, r"id of \[\[practice\]\] number 2 is that of another practice"),
        ('id = "sud"\n', "", "[[practice]]", r"id is missing in \[\[practice\]\] number 2"),
        ('"sud@practice.test"', '"sud"', 'address = "sud"', r"address of \[\[practice\]\] number 2 must be"),
        ('"keys/sud.key.pem"', "7", "key = 7", r"key of \[\[practice\]\] number 2 must be a text"),
        ('practice = "sud"', 'practice = "est"', 'practice = "est"', "the id of a practice: nord, sud"),
        ('practice = "sud"', 'practice = "nord"', None, "has a reader already: give nord one reader"),
        ('practice = "sud"\n', "", None, r"practice is missing in \[\[reader\]\] number 2"),
        ('"desk-sud"', '"desk-nord"', None, "is needed: another reader is called desk-nord"),
        ('"emulated"\nslots = ["sud.card", ""]', '"pcsc"\nslots = ["Gemalto 00"]', None, "slots .* another"),
        ('"desk-sud"', '"desk-sud"\ncolour = 1', "colour = 1", r"colour of \[\[reader\]\] number 2 is not"),
    ],
)  # fmt: skip
def test_mistakes_in_the_nth_table_are_named(
    good: str, bad: str, line: str | int | None, sentence: str
) -> None:
    """The line, the key and which of the tables; the same without the mistake is accepted."""
    text = many(SECOND, READERS)
    assert good in SECOND + READERS
    wrong = many(SECOND.replace(good, bad), READERS.replace(good, bad))
    parse_config(text, HERE)
    with pytest.raises(InputError, match=sentence) as refused:
        parse_config(wrong, HERE)
    if isinstance(line, str):
        last = max(number for number, found in enumerate(wrong.splitlines(), 1) if found.strip() == line)
        assert f"settings: line {last}, " in str(refused.value)
    assert "line " in str(refused.value)


def test_keys_that_overlap() -> None:
    """An old and a new pair side by side, as lists; a certificate without its key is refused."""
    lists = SECOND.replace('"keys/sud.cert.pem"', '["a.pem", "b.pem"]').replace(
        '"keys/sud.key.pem"', '["a.key", "b.key"]'
    )
    practice = parse_config(many(lists), HERE).practices[1]
    assert (practice.certificate, practice.other_certificates) == (HERE / "a.pem", (HERE / "b.pem",))
    assert (practice.key, practice.other_keys) == (HERE / "a.key", (HERE / "b.key",))
    for wrong in ('["a.key"]', '["a.key", ""]', "[]", "[1, 2]"):
        with pytest.raises(InputError, match=r"line \d+, key of \[\[practice\]\] number 2 must"):
            parse_config(many(lists.replace('["a.key", "b.key"]', wrong)), HERE)


def test_a_publisher_of_opposition_lists() -> None:
    """Off unless named; asked every six hours unless said."""
    assert parse_config(example_config(), HERE).publisher is None
    text = example_config().replace("# opposition_source = ", "opposition_source = ")
    assert parse_config(text, HERE).publisher == PublisherConfig("http://127.0.0.1:8430", False, 10)
    with pytest.raises(InputError, match=r"opposition_minutes of \[trust\] must be a whole number from 0 to"):
        parse_config(text.replace("# opposition_minutes = 10", "opposition_minutes = -1"), HERE)
    elsewhere = text.replace("http://127.0.0.1:8430", "https://lists.example.test")
    with pytest.raises(InputError, match=r"line \d+, opposition_source of \[trust\] is not of this machine"):
        parse_config(elsewhere, HERE)
    assert parse_config(elsewhere.replace("# opposition_remote", "opposition_remote"), HERE).publisher


def with_store(*lines: str) -> str:
    """The example with these lines in [store]."""
    return example_config().replace(
        'url = "sqlite:///var/gateway.db"      # or', "\n".join(lines) + "\n# or", 1
    )


POSTGRES = 'url = "postgresql://gw@127.0.0.1:5433/gateway"'


def test_a_store_on_postgresql(tmp_path: Path) -> None:
    """The URL, the key file and the name of this gateway; SQLite needs neither."""
    store = parse_config(with_store(POSTGRES, 'key = "store.key"', 'owner = "one"'), tmp_path).store
    assert store.url == "postgresql://gw@127.0.0.1:5433/gateway"
    assert (store.key, store.owner, store.is_shared) == (str(tmp_path / "store.key"), "one", True)
    lite = parse_config(example_config(), tmp_path).store
    assert (lite.key, lite.owner, lite.is_shared) == ("", "gateway", False)
    ring = parse_config(with_store(POSTGRES, 'key = "keyring:gw"', 'owner = "one"'), tmp_path).store
    assert ring.key == "keyring:gw"


def test_the_password_of_the_database_is_never_shown(tmp_path: Path) -> None:
    """From a file or in the URL: it is in the URL for the driver, and in nothing that is printed."""
    (tmp_path / "pw").write_text("s3cr:et/@\n", encoding="utf-8")
    (tmp_path / "pw").chmod(0o600)
    named = ('key = "k"', 'owner = "one"')
    config = parse_config(with_store(POSTGRES, 'password_file = "pw"', *named), tmp_path)
    assert config.store_url == "postgresql://gw:s3cr%3Aet%2F%40@127.0.0.1:5433/gateway"
    assert "s3cr" not in repr(config) + config.store.shown_url
    inside = parse_config(with_store(POSTGRES.replace("gw@", "gw:s3cret@"), *named), tmp_path)
    assert "s3cret" in inside.store_url
    assert inside.store.shown_url == "postgresql://gw:…@127.0.0.1:5433/gateway"
    assert "s3cret" not in repr(inside)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ((POSTGRES, 'owner = "one"'), r"key is missing in \[store\]"),
        ((POSTGRES, 'key = "k"'), r"owner is missing in \[store\]"),
        ((POSTGRES, 'key = "keyring:"', 'owner = "one"'), "key of .store. must be a file, or keyring:"),
        ((POSTGRES, 'key = "k"', 'owner = "o n e"'), "owner of .store. must be 1 to 40 letters"),
        (('url = "postgresql://gw@host"',), "url of .store. must be sqlite:/// .* or postgresql://"),
        ((POSTGRES, 'password_file = "none"'), "password_file of .store. cannot be read"),
        ((POSTGRES, 'password_file = "open"'), "password_file of .store. can be read by others: chmod 600"),
        ((POSTGRES, 'password_file = "empty"'), "password_file of .store. is empty"),
        ((POSTGRES.replace("gw@", "gw:x@"), 'password_file = "empty"'), "password_file .* a url with a user"),
        (('url = "sqlite:///x"', 'password_file = "empty"'), "password_file .* belongs to postgresql"),
    ],
)  # fmt: skip
def test_wrong_settings_of_the_store_are_named(tmp_path: Path, lines: tuple[str, ...], sentence: str) -> None:
    """Each mistake in [store] is one sentence, without the password."""
    for name, mode in (("open", 0o604), ("empty", 0o600)):
        (tmp_path / name).write_text("", encoding="utf-8")
        (tmp_path / name).chmod(mode)
    with pytest.raises(InputError, match=rf"line \d+, {sentence}"):
        parse_config(with_store(*lines), tmp_path)


def test_page_and_log(tmp_path: Path) -> None:
    """Both are off or plain unless said; the page needs the API, and can be switched off where it stands."""
    plain = parse_config(example_config(), tmp_path)
    assert (plain.page, plain.log) == (None, LogConfig("info", "plain", None))
    page = with_api() + "[page]\nlanguage = 'en'\n[log]\nlevel = 'debug'\nformat = 'json'\nfile = 'a.log'\n"
    told = parse_config(page, tmp_path)
    assert told.page == PageConfig("en")
    assert told.log == LogConfig("debug", "json", tmp_path / "a.log")
    assert parse_config(page.replace("\n[page]", "\n[page]\nenabled = false"), tmp_path).page is None
    with pytest.raises(InputError, match=r"enabled of \[page\] needs the section \[api\]"):
        parse_config(example_config() + "[page]\nenabled = true\n", tmp_path)
    for line in ("language = 'de'", "colour = 1"):
        with pytest.raises(InputError, match=r"line \d+, .* of \[page\]"):
            parse_config(with_api() + f"[page]\n{line}\n", tmp_path)
    for line in ("level = 'loud'", "format = 'xml'", "file = 3"):
        with pytest.raises(InputError, match=r"line \d+, .* of \[log\]"):
            parse_config(example_config() + f"[log]\n{line}\n", tmp_path)


def test_every_commented_key_of_the_example_is_known(tmp_path: Path) -> None:
    """What the example explains can be switched on as it is written."""
    text = example_config()
    for key in ("practitioners", "name", "practice", "sends", "opposition_source", "opposition_minutes",
                "[api]", "port = 8420", "tokens", "session_minutes", "session_sheets", "[page]", "enabled",
                "language", "[log]", "level", "format", "file"):  # fmt: skip
        assert f"\n# {key}" in text, key
        text = text.replace(f"\n# {key}", f"\n{key}")
    config = parse_config(text, tmp_path)
    assert config.api is not None
    assert config.page is not None
    assert config.log.file is not None
