"""Several programs and two cards at once, and cards that are pulled out while a program reads them."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from tests.interop.bench_pcscd import needs, wait_for
from tests.interop.conftest import CardFile
from tests.interop.desk import VPCD, Desk, Put
from tests.interop.opensc import AUTHENTICATION, PIN, OpenSC, words

pytestmark = pytest.mark.interop
ROUNDS = 6
READ = "00:B0:9C:00:0C"  # EF.SN of the CPS by its short identifier
READ_VITALE = "00:B0:82:00:00"
MANY = 4000  # commands of a client that is surely not done when the card is pulled


@pytest.fixture(autouse=True)
def _programs() -> None:
    needs("opensc-tool", "pkcs11-tool", "pkcs15-tool", "openssl")


@pytest.fixture(params=["gemcoresimpro2", "sec1210", VPCD])
def desk(request: pytest.FixtureRequest, put: Put, card_file: CardFile) -> Desk:
    """A Vitale and a CPS in one reader."""
    return put(card_file("vitale-family"), card_file("cps-gp-sector1"), serial=request.param)


def loop(cps: OpenSC, name: str) -> subprocess.Popen[str]:
    """A program that signs again and again, each time with a login of its own."""
    command = cps.sign_command(AUTHENTICATION, "--pin", PIN, name=name)
    script = f'for turn in $(seq {ROUNDS}); do "$@" && mv {name} {name}.$turn || exit 9; done'
    return cps.pcscd.start_client("sh", "-c", script, "sh", *command)


def test_two_programs_sign_at_once(desk: Desk) -> None:
    """Two PKCS#11 clients on one card, side by side: every signature of both is right."""
    cps = desk.cps
    clients = [loop(cps, name) for name in ("left", "right")]
    for client in clients:
        said, _ = client.communicate(timeout=60)
        assert client.returncode == 0, said
    certificate = cps.certificate(AUTHENTICATION)
    for name, turn in itertools.product(("left", "right"), range(1, ROUNDS + 1)):
        assert cps.verifies(cps.pcscd.folder / f"{name}.{turn}", certificate)


def test_two_cards_are_used_at_once(desk: Desk) -> None:
    """One program signs with the CPS while another reads the Vitale: neither disturbs the other."""
    signing = loop(desk.cps, "signature")
    read = desk.vitale.tool("-s", "00A40000023F00", *["-s", READ_VITALE] * 100)
    assert read.stdout.count("(SW1=0x90, SW2=0x00)") == 101
    assert read.stdout.count("TEST-ALPHA"[:4]) == read.stdout.count("TEST")
    said, _ = signing.communicate(timeout=60)
    assert signing.returncode == 0, said
    assert desk.cps.verifies(
        desk.cps.pcscd.folder / f"signature.{ROUNDS}", desk.cps.certificate(AUTHENTICATION)
    )


def pull_while_reading(desk: Desk) -> str:
    """Pull the CPS while a client reads it; what the client says at its end."""
    client = desk.pcscd.start_client("opensc-tool", "-r", "1", "-s", "00A4000C00", *["-s", READ] * MANY)
    assert client.stdout is not None
    for _ in range(100):
        assert client.stdout.readline()
    pulled = desk.reader.control("remove", "CPS")
    assert pulled.returncode == 0, words(pulled)
    said, _ = client.communicate(timeout=60)
    assert 0 < client.returncode < 128, said[-500:]
    return said


def test_a_card_pulled_while_a_program_reads(desk: Desk) -> None:
    """The program gets a clean error, the other slot works on, and the card put back is a card again."""
    said = pull_while_reading(desk)
    assert said.count("SW1=0x90") < MANY
    assert "transmit failed" in said.lower() or "removed" in said.lower()
    assert desk.vitale.status("00A40000023F00") == "9000"
    wait_for(lambda: desk.cps.tool("--atr").returncode != 0, lambda: desk.pcscd.log[-2000:])
    back = desk.reader.control("insert", "CPS")
    assert back.returncode == 0, words(back)
    desk.pcscd.wait_for_cards(2)
    assert desk.cps.tool("-n").stdout.strip() == "IAS-ECC"
    assert desk.cps.login(PIN)


def test_another_card_in_the_same_slot(desk: Desk, card_file: CardFile) -> None:
    """Pull one CPS, insert another one: programs see the other practitioner, and no PIN is inherited."""
    assert desk.cps.login(PIN)
    before = desk.cps.certificate(AUTHENTICATION).read_text()
    assert desk.reader.control("remove", "CPS").returncode == 0
    desk.pcscd.wait_for_cards(1)
    assert desk.reader.control("insert", "CPS", card_file("cps-gp-sector2")).returncode == 0
    desk.pcscd.wait_for_cards(2)
    assert desk.cps.status("0020000100") == "63C3"
    assert desk.cps.certificate(AUTHENTICATION).read_text() != before
