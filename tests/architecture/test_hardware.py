"""The files of hardware/ that programs read are written as those programs expect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HARDWARE = Path(__file__).resolve().parents[2] / "hardware"
CONFS = sorted((HARDWARE / "pcscd").glob("*.conf"))
RULES = sorted((HARDWARE / "udev").glob("*.rules"))
KEYS = {"FRIENDLYNAME", "DEVICENAME", "LIBPATH", "CHANNELID"}
VARIANTS = {"GemPCTwin", "GemPCPinPad", "GemCorePOSPro", "GemCoreSIMPro2", "SEC1210"}
RULE_PART = re.compile(r'[A-Z]+(\{[\w./]+\})?(==|!=|\+=|:=|=)"[^"]*"')


def entries(path: Path) -> dict[str, str]:
    """The keys of one reader.conf file, comments left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    assert len({key for key, _ in pairs}) == len(pairs), "a key comes twice"
    return dict(pairs)


@pytest.mark.parametrize("path", CONFS, ids=lambda path: path.stem)
def test_a_reader_conf_has_the_four_keys_of_pcscd(path: Path) -> None:
    """Each file names reader, device, driver and channel, once each, with a variant that libccid knows."""
    found = entries(path)
    assert set(found) == KEYS
    assert re.fullmatch(r'"[^"]+"', found["FRIENDLYNAME"])
    if found["LIBPATH"].endswith("libccidtwin.so"):
        assert found["DEVICENAME"].partition(":")[2] in VARIANTS
    else:
        assert found["DEVICENAME"].partition(":")[2] == found["CHANNELID"]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_udev_rule_is_a_list_of_matches_and_assignments(path: Path) -> None:
    """Each line is KEY, operator, quoted value, as udev(7) says, and something is assigned."""
    rules = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert rules
    for rule in rules:
        parts = rule.split(", ")
        assert all(RULE_PART.fullmatch(part) for part in parts), rule
        assert any("==" not in part for part in parts), "a rule that changes nothing"


def test_each_page_named_in_the_room_exists() -> None:
    """The README of the room names no page that is not there, and forgets no bench."""
    named = set(re.findall(r"\]\((wiring/[\w.-]+)\)", (HARDWARE / "README.md").read_text(encoding="utf-8")))
    assert named == {f"wiring/{page.name}" for page in (HARDWARE / "wiring").glob("*.md")}
