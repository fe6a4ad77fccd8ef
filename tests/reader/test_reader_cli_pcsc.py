"""`vitale-reader` on connected readers: listed without touching a card, spoken to by name."""

from __future__ import annotations

import json

import pytest

import reader.pcsc
import reader.transport.pcsc
from reader.cli import main
from reader.connected import split
from reader.errors import ReaderError
from tests.reader.fake_scard import ATR_CPS, ATR_VITALE, FakeCard, FakeScard

FIRST, SECOND, THIRD = "Twin 00 00", "Twin 00 01", "Pad 01 00"
PAD = {0x42000000 + 3400: bytes.fromhex("060442330006")}


@pytest.fixture
def scard(monkeypatch):
    """Three readers: a Vitale, a CPS in use elsewhere, and an empty one with a PIN pad."""
    fake = FakeScard()
    fake.plug(
        FIRST, FakeCard(ATR_VITALE, rule=lambda c: b"\x01\x02\x63\xc2" if c[1] == 0x84 else b"\x90\x00")
    )
    fake.plug(SECOND, FakeCard(ATR_CPS))
    fake.plug(THIRD, controls=PAD)
    for module in (reader.transport.pcsc, reader.pcsc):
        monkeypatch.setattr(module, "library", lambda: fake)
    return fake


def test_list(scard, capsys):
    """Every PC/SC reader, the card in it, and its PIN pad; no card is reset for that."""
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Twin 00 00 Vitale      3B 75 13 00 00 43 09 EA 90 00",
        "Twin 00 01 CPS         3B AC 00 40 2A 00 12 25 00 64 80 00 03 10 00 90 00",
        "Pad 01 00  empty  (PIN pad)",
    ]
    assert scard.readers[FIRST].card.resets == 0
    assert not scard.readers[FIRST].handles


def test_list_json(scard, capsys):
    """The same as one JSON list; a name chooses."""
    assert main(["list", "--json", "--reader", "pad"]) == 0
    row = {"reader": THIRD, "state": "empty", "kind": "", "atr": "", "pin_pad": True, "in_use": False}
    assert json.loads(capsys.readouterr().out) == [row]
    assert main(["list", "--json", "--reader", "pcsc:Twin 00 01"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["atr"] == ATR_CPS.hex()


def test_list_while_others_work(scard, capsys, monkeypatch):
    """A card that another program keeps is listed all the same; its reader's pad is not known then."""
    monkeypatch.setattr(reader.pcsc, "ASK_SECONDS", 0.05)
    other = scard.other(SECOND)
    other.begin()
    assert main(["list", "--json", "--reader", SECOND]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert (row["kind"], row["pin_pad"]) == ("CPS", None)
    other.end()


def test_list_of_nothing(scard, capsys):
    """No reader: one sentence, or an empty JSON list."""
    assert main(["list", "--reader", "Omnikey"]) == 1
    assert "No such reader is connected: plug one in" in capsys.readouterr().err
    assert main(["list", "--json", "--reader", "Omnikey"]) == 0
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize("name", ["Twin 00 00", "pcsc:twin.*0$", "00 00"])
def test_apdu(scard, capsys, name):
    """A command to a PC/SC reader by part of its name; the connection is closed afterwards."""
    assert main(["apdu", "--reader", name, "0084000008", "00A40000"]) == 0
    assert capsys.readouterr().out.splitlines() == ["0102 63C2", "9000"]
    assert not scard.readers[FIRST].handles


def test_trace(scard, capsys):
    """The trace of a PC/SC card: decoded, redacted."""
    assert main(["trace", "--reader", FIRST, "0084000008", "002000010831323334FFFFFFFF"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "PC/SC  POWER ON → ATR 3B 75 13 00 00 43 09 EA 90 00",
        "PC/SC  GET CHALLENGE 0000 Le 8 → 63C2 2 tries left, 2 bytes",
        "PC/SC  VERIFY 0001 data **** → 9000 normal processing",
    ]


def test_refused(scard, capsys):
    """Several readers, none, an empty slot, no service: one sentence each, exit code 1."""
    sentences = {
        "Twin": "Several readers are called Twin (Twin 00 00; Twin 00 01): write more of the name",
        "Omnikey": "No reader is called Omnikey: plug in",
        "Pad": "The PC/SC slot is empty: insert the card and try again.",
        "pcsc: ": "The name of the reader is empty: see vitale-reader list.",
    }
    for name, sentence in sentences.items():
        assert main(["apdu", "--reader", name, "00A40000"]) == 1
        assert sentence in capsys.readouterr().err
    scard.stop()
    assert main(["list"]) == 1
    assert "The PC/SC service is not running: start it" in capsys.readouterr().err


def test_drivers_by_name():
    """A driver before the colon is taken as one; a colon in a reader's name is not."""
    assert split("galss:127.0.0.1:4000") == ("galss", "127.0.0.1:4000")
    assert split("gempc:/dev/ttyS0:GemPCTwin") == ("gempc", "/dev/ttyS0:GemPCTwin")
    assert split("ACME: Twin") == ("pcsc", "ACME: Twin")
    assert split("emulated:x") == ("pcsc", "emulated:x")
    with pytest.raises(ReaderError):
        split("")
