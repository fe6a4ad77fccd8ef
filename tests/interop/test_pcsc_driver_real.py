"""Our PC/SC driver through an unmodified pcscd: visits, other programs, pulled cards, restarts."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from tests.interop.bench_pcscd import BINARIES, DRIVERS, Emulated, Pcscd, needs, wait_for
from tests.interop.conftest import CardFile
from tests.interop.desk import VPCD, Desk, Put
from tests.interop.pcsc_client import Client, Refused
from tools.pcscd import RUN

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("pyscard")]
NAME = "Vitale Gateway"
VIRTUAL = "Virtual PCD"
SIGN = ("00A4040C0DE828BD080F8025000001FF0010", "002241B606800142840181", "002A9E9A20" + "00" * 32 + "00")


@pytest.fixture(autouse=True)
def _programs() -> None:
    needs("pcscd", "opensc-tool")


@pytest.fixture
def start() -> Iterator[Callable[[Pcscd], Client]]:
    """`start(pcscd)`: one more program before this daemon."""
    with ExitStack() as stack:
        yield lambda pcscd: stack.enter_context(Client(pcscd.environment))


@pytest.fixture
def desk(put: Put, card_file: CardFile) -> Desk:
    """A family's Vitale and a CPS in one reader with two slots."""
    return put(card_file("vitale-family"), card_file("cps-gp-sector1"))


class Traced(Emulated):
    """The emulated reader with its trace in its log."""

    def __init__(self, folder: Path, images: list[Path]) -> None:
        super().__init__(folder, images)
        self._where.append("--trace")


@pytest.mark.parametrize("serial", ["gemcoresimpro2", "sec1210", VPCD])
def test_a_complete_visit(
    put: Put, card_file: CardFile, start: Callable[[Pcscd], Client], serial: str,
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    """Rights of three people, PIN, card to card, two signatures; found by one name, cards told apart."""
    desk = put(card_file("vitale-family"), card_file("cps-gp-sector1"), serial=serial)
    client = start(desk.pcscd)
    assert client("open", VIRTUAL if serial == VPCD else NAME) == [True, True]
    done = client("visit", 7)
    assert done["beneficiaries"] == 3
    key = x509.load_der_x509_certificate(bytes.fromhex(done["certificate"])).public_key()
    key.verify(bytes.fromhex(done["signature"]), b"digest", padding.PKCS1v15(), SHA256())
    record_property(f"visit through {serial}", {"milliseconds": round(sorted(done["milliseconds"])[3])})


def test_a_name_for_each_slot(desk: Desk, start: Callable[[Pcscd], Client]) -> None:
    """Regular expressions for each slot; the wrong way round, the cards say which they are."""
    client = start(desk.pcscd)
    assert client("open", f"{NAME}.* 00 00", f"{NAME}.* 00 01") == [True, True]
    assert client("visit")["beneficiaries"] == 3
    swapped = start(desk.pcscd)
    swapped("open", f"{NAME}.* 00 01", f"{NAME}.* 00 00")
    with pytest.raises(Refused, match="The CPS slot holds a Vitale, a CPS is expected there: swap the cards"):
        swapped("unlock", "1234")


def test_nobody_between_pin_and_signature(
    tmp_path: Path, card_file: CardFile, start: Callable[[Pcscd], Client]
) -> None:
    """Two programs on one CPS: as the card sees it, none of B is between A's VERIFY and A's sign (B7)."""
    needs("pcscd", files=(DRIVERS / "libccidtwin.so",))
    images = [card_file("vitale-family"), card_file("cps-gp-sector1")]
    with Traced(tmp_path / "reader", images) as reader, Pcscd(tmp_path, conf_dir=reader.conf_dir) as pcscd:
        pcscd.wait_for_cards(2)
        honest, other = start(pcscd), start(pcscd)
        honest("open", NAME)
        assert other("raw_open", "00 01") == 0
        honest.ask("sign_many", 15)
        other.ask("raw_many", 60)
        assert honest.answer() == 15
        assert other.answer() == 60
        lines = [line for line in reader.log.splitlines() if line.split()[:1] == ["CPS"]]
    inside, strangers, blocks = False, 0, 0
    for line in lines:
        if "VERIFY 0001" in line:
            inside = True
        elif "GET CHALLENGE" in line:
            strangers += 1
            assert not inside, lines
        elif "COMPUTE DIGITAL SIGNATURE" in line:
            inside, blocks = False, blocks + 1
    assert blocks == 15
    assert strangers > 0


def test_others_go_on_after_a_visit(desk: Desk, start: Callable[[Pcscd], Client]) -> None:
    """A program that was connected takes the card up again after our session: reset, nothing open."""
    client, other = start(desk.pcscd), start(desk.pcscd)
    assert other("raw_open", "00 01") == 0
    client("open", NAME)
    client("sign_many", 1)
    assert other("raw_transmit", "0084000008")[0] == "80100068"
    assert other("raw_take_up") == 0
    assert [other("raw_transmit", command)[1] for command in SIGN] == ["9000", "9000", "6982"]


def test_alone_nobody_else_connects(desk: Desk, start: Callable[[Pcscd], Client]) -> None:
    """`alone`: nobody can connect while the CPS is unlocked; after a kill the card is reset at once (B7)."""
    client, other = start(desk.pcscd), start(desk.pcscd)
    client("open_alone", NAME)
    client("unlock", "1234")
    assert other("raw_open", "00 01") == 0x8010000B
    assert len(client("sign")) == 512
    assert client("visit")["beneficiaries"] == 3
    client("unlock", "1234")
    client.process.kill()
    client.process.wait()
    wait_for(lambda: other("raw_open", "00 01") == 0, lambda: "the dead still have the card")
    assert [other("raw_transmit", command)[1] for command in SIGN] == ["9000", "9000", "6982"]
    again = start(desk.pcscd)
    again("open_alone", NAME)
    with pytest.raises(Refused) as refused:
        again("unlock", "1234")
    assert refused.value.code == "card-in-use"


@pytest.mark.parametrize("block", [True, False])
def test_no_signature_after_a_crash(desk: Desk, start: Callable[[Pcscd], Client], block: bool) -> None:
    """The holder of a verified PIN is killed: the next program finds a card that wants its PIN (B7).

    pcscd resets the card of a client that dies in a transaction; of another one it only takes the power
    away some seconds after the last client has left.
    """
    client, other = start(desk.pcscd), start(desk.pcscd)
    client("open", NAME)
    client("unlock", "1234")
    if block:
        client.ask("hang_in_block")
        wait_for(lambda: "SCardBeginTransaction" in desk.pcscd.log[-3000:], lambda: desk.pcscd.log[-3000:])
        time.sleep(0.2)
    client.process.kill()
    client.process.wait()
    if not block:
        said = len(desk.reader.log)
        wait_for(lambda: "CPS" in (log := desk.reader.log[said:]) and "no power" in log, lambda: "powered")
    assert other("raw_open", "00 01") == 0
    assert [other("raw_transmit", command)[1] for command in SIGN] == ["9000", "9000", "6982"]


def test_no_signature_after_the_session(desk: Desk, start: Callable[[Pcscd], Client]) -> None:
    """A session that ends takes the power away: another program cannot go on with its PIN (B7)."""
    client, other = start(desk.pcscd), start(desk.pcscd)
    client("open", NAME)
    client("unlock", "1234")
    client("lock")
    assert other("raw_open", "00 01") == 0
    assert [other("raw_transmit", command)[1] for command in SIGN] == ["9000", "9000", "6982"]


def test_a_reset_by_another_program(desk: Desk, start: Callable[[Pcscd], Client]) -> None:
    """Noticed before anything is signed; unlocked again, everything works."""
    client, other = start(desk.pcscd), start(desk.pcscd)
    client("open", NAME)
    client("unlock", "1234")
    assert client("is_unlocked")
    other("raw_open", "00 01")
    other("raw_reset")
    assert not client("is_unlocked")
    client("unlock", "1234")
    assert client("is_unlocked")
    assert client("visit")["beneficiaries"] == 3


def test_a_card_that_another_program_keeps(desk: Desk, start: Callable[[Pcscd], Client]) -> None:
    """Waiting has an end and a sentence; when the other lets go, the session goes on without the PIN."""
    client, other = start(desk.pcscd), start(desk.pcscd)
    client("open", NAME)
    client("unlock", "1234")
    other("raw_open", "00 01")
    other("raw_begin")
    assert client("is_unlocked")
    with pytest.raises(Refused, match="The CPS slot is still in use") as refused:
        client("sign")
    assert refused.value.code == "slot-busy"
    other("raw_end")
    assert len(client("sign")) == 512


@pytest.mark.parametrize("slot", ["CPS", "Vitale"])
def test_a_card_is_pulled_while_it_is_read(desk: Desk, start: Callable[[Pcscd], Client], slot: str) -> None:
    """The reading ends in a sentence that names the slot; the other card stays; put back is new."""
    client = start(desk.pcscd)
    client("open", NAME)
    client.ask("ask_for_ever", slot)
    time.sleep(0.3)
    desk.reader.control("remove", slot)
    with pytest.raises(Refused, match=f"{slot} slot") as refused:
        client.answer()
    assert refused.value.code in ("card-removed", "card-mute")
    gone = [slot != "Vitale", slot != "CPS"]
    assert client("settle", *gone) == gone
    desk.reader.control("insert", slot)
    assert client("settle", True, True) == [True, True]
    assert client("visit")["beneficiaries"] == 3


def in_the_end(client: Client, *words: object) -> Any:
    """Ask again while the host has still to notice that a card was pulled out and put back."""
    for _ in range(20):
        try:
            return client(*words)
        except Refused as refused:
            assert refused.code in ("card-removed", "card-mute", "no-card", "slot-taken"), refused
            time.sleep(0.1)
    return client(*words)


def test_pulled_and_put_back_at_once(desk: Desk, start: Callable[[Pcscd], Client]) -> None:
    """However quick the hand, the session with the card of before is over."""
    client = start(desk.pcscd)
    client("open", NAME)
    for _ in range(3):
        in_the_end(client, "unlock", "1234")
        desk.reader.control("remove", "CPS")
        desk.reader.control("insert", "CPS")
        wait_for(lambda: not client("is_unlocked"), lambda: "the session outlived its card")
        assert client("settle", True, True) == [True, True]
    assert in_the_end(client, "visit")["beneficiaries"] == 3


def test_pulled_at_any_moment(desk: Desk, start: Callable[[Pcscd], Client]) -> None:
    """A dozen moments of a visit, both cards: a sentence that names a slot, and the next visit works (B6)."""
    client = start(desk.pcscd)
    client("open", NAME)
    total = client("exchanges")
    for slot in ("CPS", "Vitale"):
        for after in range(1, total, total // 6):
            pull = (str(BINARIES / "vitale-reader"), "control", str(desk.reader.link), "remove", slot)
            client.ask("pulled_visit", slot, after, *pull)
            try:
                client.answer()
            except Refused as refused:
                assert " slot" in str(refused)
            client("settle", slot != "Vitale", slot != "CPS")
            desk.reader.control("insert", slot)
            assert client("settle", True, True) == [True, True]
    assert client("visit")["beneficiaries"] == 3


class Movable:
    """A name for the daemon's socket that stays when the daemon is another."""

    def __init__(self, pcscd: Pcscd, folder: Path) -> None:
        self.pcscd, self.link = pcscd, folder / "comm"
        self.point()
        self.environment = pcscd.environment | {"PCSCLITE_CSOCK_NAME": str(self.link)}

    def point(self) -> None:
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(self.pcscd.socket_name)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_pcscd_ends_and_starts_again(desk: Desk, tmp_path: Path, number: int) -> None:
    """Killed or stopped: slots are empty and say why; started again: cards are back, sessions are not."""
    movable = Movable(desk.pcscd, tmp_path)
    with Client(movable.environment) as client:
        client("open", NAME)
        for _ in range(2):
            client("unlock", "1234")
            os.kill(desk.pcscd.pid, number)
            desk.pcscd.stop()
            assert client("settle", False, False) == [False, False]
            assert "The PC/SC service is not running: start it" in client("trouble")
            with pytest.raises(Refused) as refused:
                client("unlock", "1234")
            assert refused.value.code == "pcsc-stopped"
            desk.pcscd.start()
            movable.point()
            assert client("settle", True, True) == [True, True]
            assert not client("is_unlocked")
            assert client("visit")["beneficiaries"] == 3
            desk.pcscd.wait_for_cards(2)


def test_a_pcscd_that_comes_later(desk: Desk, tmp_path: Path) -> None:
    """The driver starts before the service and finds it."""
    movable = Movable(desk.pcscd, tmp_path)
    desk.pcscd.stop()
    with Client(movable.environment) as client:
        assert client("open", NAME) == [False, False]
        desk.pcscd.start()
        movable.point()
        assert client("settle", True, True) == [True, True]
        assert client("visit")["beneficiaries"] == 3


def test_pin_pad(put: Put, card_file: CardFile, start: Callable[[Pcscd], Client]) -> None:
    """Typed on the reader: right, wrong, cancelled, too short; nobody here ever sees a digit."""
    desk = put(card_file("cps-gp-sector1"), serial="gempcpinpad")
    client = start(desk.pcscd)
    assert client("open", NAME) == [False, True]
    asked = 0

    def typed(*words: str, digits: str = "") -> str:
        nonlocal asked
        client.ask("unlock_on_pad")
        asked += 1
        wait_for(lambda: desk.reader.log.count("asks for a PIN") >= asked, lambda: desk.reader.log)
        assert desk.reader.control(*words, digits=digits).returncode == 0
        try:
            return str(client.answer())
        except Refused as refused:
            return refused.code

    assert typed("pin", digits="9876\n") == "wrong-pin"
    assert typed("cancel") == "pin-cancelled"
    assert not client("is_unlocked")
    assert len(typed("pin", digits="1234\n")) == 8
    assert client("is_unlocked")
    assert "1234" not in desk.reader.log
    assert "31 32 33 34" not in desk.pcscd.log


def test_no_pad_no_entry(desk: Desk, start: Callable[[Pcscd], Client]) -> None:
    """A reader without a pad says to use the keyboard, and the keyboard works."""
    client = start(desk.pcscd)
    client("open", NAME)
    with pytest.raises(Refused, match="has no PIN pad: type the PIN on the keyboard"):
        client("unlock_on_pad")
    client("unlock", "1234")


def test_on_the_command_line(desk: Desk) -> None:
    """list, apdu and trace on a reader of the machine."""
    run = desk.pcscd.run
    rows = json.loads(run(BINARIES / "vitale-reader", "list", "--json").stdout)
    assert [(row["reader"], row["kind"], row["pin_pad"]) for row in rows] == [
        (desk.name(0), "Vitale", False),
        (desk.name(1), "CPS", False),
    ]
    answer = run(
        BINARIES / "vitale-reader", "apdu", "--reader", f"{NAME}.* 00 01", "00A4040C088025000001FF0100"
    ).stdout
    assert answer == "9000\n"
    said = run(
        BINARIES / "vitale-reader", "trace", "--reader", "00 00", "00A4040C0ED2500000024D465F564954414C45"
    ).stdout
    assert "SELECT 040C D2500000024D465F564954414C45 → 9000 normal processing" in said
    refused = run(BINARIES / "vitale-reader", "apdu", "--reader", "Omnikey", "00A40000")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"choose among {desk.name(0)}; {desk.name(1)}" in refused.stderr


def test_the_socket_is_where_the_harness_says() -> None:
    """Guard of the restart tests: a name of the socket that fits into an address."""
    assert len(f"/proc/{2**22}/root{RUN}/pcscd.comm") < 108
