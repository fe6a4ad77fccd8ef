"""OpenSC, unmodified, reads our cards through pcscd: it names the CPS and claims no Vitale."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from tests.interop.bench_pcscd import needs
from tests.interop.conftest import CardFile
from tests.interop.desk import VARIANTS, Desk, Put
from tests.interop.opensc import AUTHENTICATION, SIGNATURE, words

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    needs("opensc-tool", "pkcs15-tool", "pkcs11-tool")


@pytest.fixture(scope="module", params=VARIANTS)
def desk(request: pytest.FixtureRequest, put_for_all: Put, card_file: CardFile) -> Desk:
    """A Vitale and a CPS in one reader of each kind with two slots."""
    return put_for_all(card_file("vitale-family"), card_file("cps-gp-sector1"), serial=request.param)


def test_opensc_names_the_cps(desk: Desk) -> None:
    """The CPS is an IAS-ECC card."""
    said = desk.cps.tool("-n")
    assert (said.returncode, said.stdout.strip()) == (0, "IAS-ECC")


def test_opensc_claims_no_vitale(desk: Desk) -> None:
    """The twin: no driver takes the Vitale, neither by its ATR nor by any application it asks for."""
    assert "Unsupported card" in words(desk.vitale.tool("-n"))
    dump = desk.vitale.pkcs15("--dump")
    assert dump.returncode != 0
    assert "invalid or cannot be handled" in words(dump)
    slots = desk.vitale.pkcs11("--list-slots").stdout
    assert slots.count("token not recognized") == 1
    assert slots.count("ASIP SANTE") == 1


def test_both_atrs_are_seen(desk: Desk) -> None:
    """Two cards at once in one reader, each with its own answer to reset."""
    assert desk.vitale.tool("--atr").stdout.strip() == "3b:75:13:00:00:43:09:ea:90:00"
    assert desk.cps.tool("--atr").stdout.strip() == "3b:ac:00:40:2a:00:12:25:00:64:80:00:03:10:00:90:00"


def test_pkcs15_lists_keys_and_certificates(desk: Desk) -> None:
    """Both keys with their use, both certificates under the same identifiers, one PIN and one PUK."""
    dump = desk.cps.pkcs15("--dump")
    assert dump.returncode == 0, words(dump)
    lines = [line.strip() for line in dump.stdout.splitlines()]
    assert [line for line in lines if line.startswith("PIN [")] == [
        "PIN [Code porteur de la carte CPS]",
        "PIN [Code de déblocage de la carte CPS]",
    ]
    assert [line for line in lines if line.startswith("Private RSA Key")] == [
        "Private RSA Key [CPS_PRIV_SIG]",
        "Private RSA Key [CPS_PRIV_AUT]",
    ]
    assert [line for line in lines if line.startswith("X.509")] == [
        "X.509 Certificate [Certificat de Signature CPS]",
        "X.509 Certificate [Certificat d'Authentification CPS]",
    ]
    assert lines.count(f"ID             : {SIGNATURE}") == 2
    assert lines.count(f"ID             : {AUTHENTICATION}") == 2
    assert "Usage          : [0x200], nonRepudiation" in lines
    assert "Usage          : [0x06], decrypt, sign" in lines


@pytest.mark.parametrize(("key", "non_repudiation"), [(SIGNATURE, True), (AUTHENTICATION, False)])
def test_certificates_are_whole(desk: Desk, key: str, non_repudiation: bool) -> None:
    """What OpenSC reads over several READ BINARY is a certificate, with the use of its key."""
    certificate = x509.load_pem_x509_certificate(desk.cps.certificate(key).read_bytes())
    use = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert use.content_commitment is non_repudiation
    assert "TEST" in certificate.subject.rfc4514_string()


def test_data_objects_by_name(desk: Desk) -> None:
    """A free object is read without PIN; a protected one is refused without it and read with it."""
    free = desk.cps.pkcs15("--read-data-object", "CPS_NAME_PS")
    assert b"TEST-MEDECIN".hex(" ").upper() in free.stdout
    refused = desk.cps.pkcs11("--read-object", "--type", "data", "--label", "CPS_ACTIVITY_01_PS")
    assert refused.returncode != 0
    wanted = ("--read-object", "--type", "data", "--label", "CPS_ACTIVITY_01_PS")
    read = desk.cps.pkcs11("--login", "--pin", "1234", *wanted)
    assert "CABINET TEST UN" in read.stdout


def test_raw_commands_reach_the_card(desk: Desk) -> None:
    """SELECT of the MF and READ BINARY by SFI 2 on the Vitale; the same SELECT tells the CPS apart."""
    said = desk.vitale.tool("-s", "00A40000023F00", "-s", "00B0820000").stdout
    assert said.count("(SW1=0x90, SW2=0x00)") == 2
    assert desk.cps.status("00A40000023F00") == "6A86"


def test_random_comes_from_the_card(desk: Desk, tmp_path: Path) -> None:
    """GET CHALLENGE through PKCS#11 gives as many bytes as asked, never the same."""
    draws = []
    for name in ("one", "two"):
        said = desk.cps.pkcs11("--generate-random", "64", "--output-file", str(tmp_path / name))
        assert said.returncode == 0, words(said)
        draws.append((tmp_path / name).read_bytes())
    assert len(draws[0]) == len(draws[1]) == 64
    assert draws[0] != draws[1]
