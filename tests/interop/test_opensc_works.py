"""OpenSC, unmodified, works with a CPS through pcscd: login, signatures, wrong PIN, change, unblocking.

Every test has a card of its own. OpenSSL judges the signatures.
"""

from __future__ import annotations

import pytest

from tests.interop.bench_pcscd import needs
from tests.interop.conftest import CardFile
from tests.interop.desk import VARIANTS, VPCD, Desk, Put
from tests.interop.opensc import (
    AUTHENTICATION,
    NEW_PIN,
    PIN,
    PUK,
    SIGNATURE,
    WRONG_PIN,
    WRONG_PUK,
    OpenSC,
    words,
)

pytestmark = pytest.mark.interop
UNBLOCK_BY_SETPIN = "user_pin_unblock_style = set_pin_in_unlogged_session;"
PADDED_PIN, PADDED_NEW = PIN.encode().hex() + "ffffffff", NEW_PIN.encode().hex() + "ffffffff"


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    needs("opensc-tool", "pkcs15-tool", "pkcs11-tool", "opensc-explorer", "openssl")


@pytest.fixture
def desk(put: Put, card_file: CardFile) -> Desk:
    """A Vitale and a faithful CPS in a reader with two slots."""
    return put(card_file("vitale-single"), card_file("cps-gp-sector1"))


@pytest.fixture
def cps(desk: Desk) -> OpenSC:
    """OpenSC before the faithful CPS."""
    return desk.cps


@pytest.fixture
def compatible(put: Put, card_file: CardFile) -> OpenSC:
    """OpenSC before a CPS of the compatible personalisation."""
    return put(card_file("vitale-single"), card_file("cps-gp-sector1", compatible=True)).cps


def block(cps: OpenSC) -> None:
    """Present a wrong PIN until the card is blocked."""
    for left in (2, 1, 0):
        assert not cps.login(WRONG_PIN)
        assert cps.tries() == left


@pytest.mark.parametrize("serial", VARIANTS)
def test_signature_with_the_authentication_key(put: Put, card_file: CardFile, serial: str) -> None:
    """Login and RSA-PKCS; OpenSSL verifies with the certificate that the card gives, and with no other."""
    cps = put(card_file("vitale-single"), card_file("cps-gp-sector1"), serial=serial).cps
    said, signature = cps.sign(AUTHENTICATION, "--pin", PIN)
    assert said.returncode == 0, words(said)
    assert cps.verifies(signature, cps.certificate(AUTHENTICATION))
    assert not cps.verifies(signature, cps.certificate(SIGNATURE))


def test_no_signature_without_the_right_pin(cps: OpenSC) -> None:
    """The twin: a wrong PIN ends in CKR_PIN_INCORRECT and no file of a signature."""
    said, signature = cps.sign(AUTHENTICATION, "--pin", WRONG_PIN)
    assert "CKR_PIN_INCORRECT" in words(said)
    assert not signature.exists()


def test_wrong_pins_are_counted_and_the_right_one_gives_the_tries_back(cps: OpenSC) -> None:
    """PKCS#11 flags, the words of opensc-explorer and a raw empty VERIFY agree on the tries left."""
    warnings = {"user PIN count low", "final user PIN try", "user PIN locked"}
    assert (cps.tries(), warnings & set(cps.flags())) == (3, set())
    assert not cps.login(WRONG_PIN)
    assert (cps.tries(), warnings & set(cps.flags())) == (2, {"user PIN count low"})
    said = cps.explorer("verify CHV1 39393938ffffffff")
    assert "1 tries left" in words(said)
    assert (cps.tries(), warnings & set(cps.flags())) == (1, {"final user PIN try"})
    assert cps.login(PIN)
    assert (cps.tries(), warnings & set(cps.flags())) == (3, set())


def test_three_wrong_pins_block(cps: OpenSC) -> None:
    """Then even the right PIN is refused, with CKR_PIN_LOCKED, and the token says so."""
    block(cps)
    assert "user PIN locked" in cps.flags()
    assert "CKR_PIN_LOCKED" in words(cps.pkcs11("--login", "--pin", PIN, "--list-objects"))
    assert cps.status("0020000108" + PADDED_PIN) == "6983"


def test_pin_changed_by_pkcs11(cps: OpenSC) -> None:
    """The new PIN opens, the old one costs a try; a wrong old PIN changes nothing."""
    change = ("--change-pin", "--new-pin", NEW_PIN)
    refused = cps.pkcs11("--login", "--pin", WRONG_PIN, *change)
    assert "CKR_PIN_INCORRECT" in words(refused)
    assert cps.login(PIN)
    changed = cps.pkcs11("--login", "--pin", PIN, *change)
    assert "PIN successfully changed" in words(changed)
    assert not cps.login(PIN)
    assert cps.tries() == 2
    assert cps.login(NEW_PIN)


def test_pin_of_a_wrong_length_is_refused_before_the_card(cps: OpenSC) -> None:
    """The AODF says four digits: five never reach the card."""
    said = cps.pkcs11("--login", "--pin", PIN, "--change-pin", "--new-pin", "12345")
    assert "CKR_PIN_LEN_RANGE" in words(said)
    assert cps.login(PIN)


def test_pin_changed_by_pkcs15(cps: OpenSC) -> None:
    """The same with pkcs15-tool."""
    said = cps.pkcs15("--change-pin", "--auth-id", "01", "--pin", PIN, "--new-pin", NEW_PIN)
    assert said.returncode == 0, words(said)
    assert cps.login(NEW_PIN)


def test_faithful_card_is_unblocked_by_opensc_explorer(cps: OpenSC) -> None:
    """VERIFY of the PUK, RESET RETRY COUNTER: a wrong PUK changes nothing, the right one sets a new PIN."""
    block(cps)
    wrong = cps.explorer(f"unblock CHV1 {WRONG_PUK.encode().hex()} {PADDED_NEW}")
    assert "Unable to unblock" in words(wrong)
    assert cps.tries() == 0
    assert cps.tries_of("02") == 9
    right = cps.explorer(f"unblock CHV1 {PUK.encode().hex()} {PADDED_NEW}")
    assert "PIN unblocked" in words(right)
    assert cps.tries() == 3
    assert cps.login(NEW_PIN)
    assert not cps.login(PIN)


@pytest.mark.parametrize(
    ("program", "settings", "refusal"),
    [
        (("--unlock-pin", "--puk", PUK), "", "CKR_PIN_LEN_RANGE"),
        (("--unlock-pin", "--puk", PUK), UNBLOCK_BY_SETPIN, "CKR_PIN_LEN_RANGE"),
        (("--login", "--login-type", "so", "--so-pin", PUK, "--init-pin"), "", "CKR_FUNCTION_NOT_SUPPORTED"),
    ],
)
def test_faithful_card_is_not_unblocked_by_pkcs11(
    cps: OpenSC, program: tuple[str, ...], settings: str, refusal: str
) -> None:
    """What OpenSC 0.23 says of a real card's directory: the PIN names code 02, the PUK is called 04.

    It takes the PIN's own length for that of the PUK and stops before the card; C_InitPIN wants a PIN pad.
    """
    block(cps)
    said = cps.pkcs11(*program, "--new-pin", NEW_PIN, settings=settings)
    assert refusal in words(said)
    assert cps.tries() == 0
    by_pkcs15 = cps.pkcs15("--unblock-pin", "--auth-id", "01", "--puk", PUK, "--new-pin", NEW_PIN)
    assert "Invalid PIN length" in words(by_pkcs15)
    assert cps.tries_of("02") == 10


def test_compatible_card_is_unblocked_by_pkcs11(compatible: OpenSC) -> None:
    """The twin, with a documented setting of opensc.conf: C_SetPIN with the PUK as old PIN."""
    block(compatible)
    new = ("--new-pin", NEW_PIN)
    wrong = compatible.pkcs11("--unlock-pin", "--puk", WRONG_PUK, *new, settings=UNBLOCK_BY_SETPIN)
    assert "CKR_PIN_INCORRECT" in words(wrong)
    assert compatible.tries() == 0
    right = compatible.pkcs11("--unlock-pin", "--puk", PUK, *new, settings=UNBLOCK_BY_SETPIN)
    assert "PIN successfully changed" in words(right)
    assert compatible.tries() == 3
    assert compatible.login(NEW_PIN)
    assert not compatible.login(PIN)


def test_compatible_card_is_unblocked_by_pkcs15(compatible: OpenSC) -> None:
    """The same with pkcs15-tool, without any setting."""
    block(compatible)
    options = ("--unblock-pin", "--auth-id", "01", "--new-pin", NEW_PIN)
    assert "PUK code incorrect; tries left: 9" in words(compatible.pkcs15(*options, "--puk", WRONG_PUK))
    assert compatible.tries() == 0
    assert compatible.pkcs15(*options, "--puk", PUK).returncode == 0
    assert compatible.login(NEW_PIN)


def test_signature_key_of_a_compatible_card(compatible: OpenSC) -> None:
    """RSA-PKCS with the signature key, verified with its certificate: what the option is for."""
    said, signature = compatible.sign(SIGNATURE, "--pin", PIN)
    assert said.returncode == 0, words(said)
    assert compatible.verifies(signature, compatible.certificate(SIGNATURE))


def test_signature_key_of_a_faithful_card(cps: OpenSC) -> None:
    """The twin: real cards name no RSA-PKCS for this key, and OpenSC with OpenSSL 3 has no other way."""
    said, signature = cps.sign(SIGNATURE, "--pin", PIN)
    assert "CKR_MECHANISM_INVALID" in words(said)
    assert not signature.exists()


@pytest.mark.parametrize("serial", ["gemcoresimpro2", VPCD])
def test_pkcs11_self_test(put: Put, card_file: CardFile, serial: str) -> None:
    """`--test --login`: everything works but hashing on the card, which this OpenSC does not do."""
    cps = put(card_file("vitale-single"), card_file("cps-gp-sector1"), serial=serial).cps
    said = cps.pkcs11("--test", "--login", "--pin", PIN).stdout
    lines = [line.strip() for line in said.splitlines()]
    assert "all 4 digest functions seem to work" in lines
    assert lines.count("RSA-PKCS: OK") == 2
    assert [line for line in lines if "ERR" in line] == [
        "SHA1-RSA-PKCS:   ERR: C_Sign() returned CKR_FUNCTION_NOT_SUPPORTED (0x54)"
    ]
    assert lines[-1] == "1 errors"
