"""PIN pad, unmodified OpenSC: nobody gives a PIN to the computer, the digits are entered at the reader."""

from __future__ import annotations

import pytest

from tests.interop.bench_pcscd import needs, wait_for
from tests.interop.conftest import CardFile
from tests.interop.desk import Desk, Put
from tests.interop.opensc import AUTHENTICATION, NEW_PIN, PIN, PUK, WRONG_PIN, WRONG_PUK, words

pytestmark = pytest.mark.interop
ASKED = "the host asks for a PIN"
CANCEL = ""


@pytest.fixture(autouse=True)
def _programs() -> None:
    needs("opensc-tool", "pkcs11-tool", "pkcs15-tool", "openssl")


@pytest.fixture
def desk(put: Put, card_file: CardFile) -> Desk:
    """A CPS in a reader with one slot and a PIN pad."""
    return put(card_file("cps-gp-sector1"), serial="gempcpinpad")


def entering(desk: Desk, command: list[str], *entries: str) -> tuple[int, str]:
    """Run a client; each time the pad asks, type the next entry there (lines; CANCEL is the red key)."""
    asked = desk.reader.log.count(ASKED)
    client = desk.pcscd.start_client(*command)
    for entry in entries:
        asked += 1
        wait_for(
            lambda now=asked: client.poll() is not None or desk.reader.log.count(ASKED) >= now,
            lambda: f"the pad was not asked:\n{desk.reader.log}",
        )
        if client.poll() is not None:
            break
        typed = desk.reader.control("pin", digits=entry) if entry else desk.reader.control("cancel")
        assert typed.returncode == 0, words(typed)
    said, _ = client.communicate(timeout=60)
    assert desk.reader.log.count(ASKED) == asked, said
    return client.returncode, said


def login(desk: Desk, *entries: str) -> tuple[int, str]:
    """`pkcs11-tool --login` without `--pin`."""
    return entering(desk, desk.cps.pkcs11_command("--login", "--list-objects"), *entries)


def test_the_pad_is_offered(desk: Desk) -> None:
    """OpenSC lists the reader with its PIN pad; PKCS#11 says that the login happens there."""
    assert "PIN pad" in desk.pcscd.readers()[0]
    assert "PIN pad present" in desk.cps.flags()


def test_login_on_the_pad_signs(desk: Desk) -> None:
    """`--login` without `--pin`: digits on the pad, then a signature that OpenSSL verifies."""
    code, said = entering(desk, desk.cps.sign_command(AUTHENTICATION), PIN)
    assert code == 0, said
    assert desk.cps.verifies(desk.pcscd.folder / "signature", desk.cps.certificate(AUTHENTICATION))


def test_the_host_never_sees_the_digits(desk: Desk) -> None:
    """The log of pcscd, at its most talkative, has the command with its blanks and never the digits."""
    assert login(desk, PIN)[0] == 0
    log = desk.pcscd.log.upper()
    assert "00 20 00 01 08 FF FF FF FF FF FF FF FF" in log
    assert PIN.encode().hex(" ").upper() not in log
    assert PIN not in desk.reader.log


def test_a_wrong_pin_on_the_pad_is_counted(desk: Desk) -> None:
    """The host hears of a wrong PIN as if it had sent it itself; the right one gives the tries back."""
    code, said = login(desk, WRONG_PIN)
    assert (code, "CKR_PIN_INCORRECT" in said) == (1, True), said
    assert desk.cps.tries() == 2
    assert "user PIN count low" in desk.cps.flags()
    assert login(desk, PIN)[0] == 0
    assert desk.cps.tries() == 3


def test_the_red_key_costs_no_try(desk: Desk) -> None:
    """A cancelled entry is an error of its own; nothing reached the card, and the next login works."""
    code, said = login(desk, CANCEL)
    assert (code, "CKR_FUNCTION_CANCELED" in said) == (1, True), said
    assert desk.cps.tries() == 3
    assert login(desk, PIN)[0] == 0


def test_pin_changed_on_the_pad(desk: Desk) -> None:
    """Old PIN, new PIN, new PIN again; the new one opens and the old one does not."""
    change = desk.cps.pkcs11_command("--login", "--change-pin")
    code, said = entering(desk, change, PIN, f"{PIN}\n{NEW_PIN}\n{NEW_PIN}\n")
    assert code == 0, said
    assert login(desk, PIN)[0] == 1
    assert login(desk, NEW_PIN)[0] == 0


def test_two_new_pins_that_differ_change_nothing(desk: Desk) -> None:
    """The twin: the pad compares the new PIN with its repetition."""
    change = desk.cps.pkcs11_command("--login", "--change-pin")
    code, said = entering(desk, change, PIN, f"{PIN}\n{NEW_PIN}\n5678\n")
    assert code != 0, said
    assert login(desk, PIN)[0] == 0


UNBLOCK = ["pkcs15-tool", "-r", "0", "--unblock-pin", "--auth-id", "01"]


def test_compatible_card_is_unblocked_on_the_pad(put: Put, card_file: CardFile) -> None:
    """The PUK, then the new PIN twice, all on the pad; a wrong PUK before that costs one of its tries."""
    desk = put(card_file("cps-gp-sector1", compatible=True), serial="gempcpinpad")
    for _ in range(3):
        assert login(desk, WRONG_PIN)[0] == 1
    assert desk.cps.tries() == 0
    assert entering(desk, UNBLOCK, WRONG_PUK)[0] != 0
    assert desk.cps.tries_of("02") == 9
    code, said = entering(desk, UNBLOCK, PUK, f"{NEW_PIN}\n{NEW_PIN}\n")
    assert code == 0, said
    assert login(desk, NEW_PIN)[0] == 0


def test_faithful_card_is_not_unblocked_on_the_pad(desk: Desk) -> None:
    """The twin: the directory of a real card names a PUK that OpenSC does not find."""
    for _ in range(3):
        assert login(desk, WRONG_PIN)[0] == 1
    said = desk.pcscd.run(*UNBLOCK)
    assert "Failed to find PUK object" in words(said)
    assert desk.cps.tries() == 0
