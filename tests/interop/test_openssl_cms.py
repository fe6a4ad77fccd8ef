"""OpenSSL's `cms` command, which nobody here wrote, judges our messages, and we read its messages (B14)."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from card.issuer import private_pem
from gateway.cms.enveloped import Refused, decrypt, encrypt
from gateway.cms.policy import MODERN, SESAM, Policy
from gateway.cms.signed import sign, verify
from gateway.pki import Purpose
from tools.pki.broken import HOLDER
from tools.pki.workbench import Workbench

pytestmark = pytest.mark.interop
CONTENTS = {"short": b"T", "text": b"TEST 128 " * 700, "binary": bytes(range(256)) * 240}
OAEP = ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")


@dataclass(frozen=True)
class Judge:
    """A folder with the files OpenSSL needs, and the command."""

    folder: Path
    bench: Workbench

    def openssl(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["openssl", "cms", *arguments]
        return subprocess.run(
            command, cwd=self.folder, input=stdin, capture_output=True, timeout=60, check=False
        )

    def says(self, *arguments: str, stdin: bytes) -> bytes:
        done = self.openssl(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def verify(self, signed: bytes, *more: str) -> bytes:
        trust = ("-CAfile", "ca.pem", "-purpose", "any", "-attime", str(int(self.bench.now.timestamp())))
        return self.says("-verify", "-binary", "-inform", "DER", *trust, *more, stdin=signed)

    def sign(self, content: bytes, *more: str) -> bytes:
        fixed = ("-sign", "-binary", "-nodetach", "-outform", "DER", "-md", "sha256")
        return self.says(*fixed, "-signer", "cps.pem", "-inkey", "cps.key", *more, stdin=content)

    def encrypt(self, content: bytes, *more: str, options: tuple[str, ...] = ()) -> bytes:
        fixed = ("-encrypt", "-binary", "-outform", "DER", *more)
        return self.says(*fixed, "-recip", "receiver.pem", *options, stdin=content)

    def decrypt(self, message: bytes) -> bytes:
        keys = ("-recip", "receiver.pem", "-inkey", "receiver.key")
        return self.says("-decrypt", "-binary", "-inform", "DER", *keys, stdin=message)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    if shutil.which("openssl") is None:
        assert not os.environ.get("CI"), "CI must install the openssl command: it judges our messages"
        pytest.skip("the openssl command is not installed")
    folder = tmp_path_factory.mktemp("openssl")
    bench = Workbench.make(folder, now=datetime.now(UTC).replace(microsecond=0))
    issuer = bench.authority.issuer
    chain = (issuer.root.certificate, issuer.cps.certificate)
    (folder / "ca.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    (folder / "cps.key").write_bytes(private_pem(bench.key))
    (folder / "receiver.key").write_bytes(private_pem(bench.receiver.decryption.private_key))
    certificates = {"cps": bench.cps.certificate, "receiver": bench.receiver.decryption.certificate}
    for name, der in certificates.items():
        convert = ["openssl", "x509", "-inform", "DER", "-out", folder / f"{name}.pem"]
        subprocess.run(convert, input=der, check=True, capture_output=True, timeout=60)
    return Judge(folder, bench)


def ours(judge: Judge, signed: bytes) -> bytes:
    """What we read in a message that OpenSSL has just stamped with the machine's clock."""
    who = verify(signed, judge.bench.trust, datetime.now(UTC), purpose=Purpose.CPS_SIGNATURE)
    assert who.certificate.national_id == HOLDER
    return who.content


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_openssl_verifies_what_we_sign(judge: Judge, content: bytes) -> None:
    """Signature, path and, as CAdES, signingCertificateV2; with and without the chain inside."""
    issuing = judge.bench.authority.issuer.cps.certificate.public_bytes(Encoding.DER)
    for chain in ((), (issuing,)):
        signed = sign(content, judge.bench.cps, judge.bench.now, chain)
        assert judge.verify(signed) == content
        assert judge.verify(signed, "-cades") == content


def test_openssl_refuses_what_we_refuse(judge: Judge) -> None:
    """The twin of the above: a changed content is refused by both."""
    signed = sign(CONTENTS["text"], judge.bench.cps, judge.bench.now)
    evil = signed.replace(b"TEST 128", b"TEST 821", 1)
    done = judge.openssl("-verify", "-inform", "DER", "-CAfile", "ca.pem", "-purpose", "any", stdin=evil)
    assert done.returncode != 0
    with pytest.raises(Refused):
        verify(evil, judge.bench.trust, judge.bench.now, purpose=Purpose.CPS_SIGNATURE)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("options", [("-cades",), ("-cades", "-nosmimecap")], ids=["capabilities", "plain"])
def test_we_verify_what_openssl_signs(judge: Judge, content: bytes, options: tuple[str, ...]) -> None:
    """OpenSSL's CAdES signature is read by the strict reader."""
    assert ours(judge, judge.sign(content, *options)) == content


def test_openssl_signatures_outside_the_profile(judge: Judge) -> None:
    """Without signingCertificateV2, named by key identifier, with SHA-1, or detached: refused here."""
    text = CONTENTS["text"]
    assert ours(judge, judge.sign(text, "-cades")) == text
    for options in (
        ("-nocerts", "-cades"),
        (),
        ("-cades", "-keyid"),
        ("-cades", "-md", "sha1"),
        ("-noattr",),
    ):
        with pytest.raises(Refused):
            verify(
                judge.sign(text, *options),
                judge.bench.trust,
                judge.bench.now,
                purpose=Purpose.CPS_SIGNATURE,
            )


@pytest.mark.parametrize("policy", [MODERN, SESAM], ids=lambda policy: policy.name)
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_openssl_decrypts_what_we_encrypt(judge: Judge, content: bytes, policy: Policy) -> None:
    """Both profiles are opened by OpenSSL."""
    certificate = judge.bench.receiver.decryption.certificate
    assert judge.decrypt(encrypt(content, certificate, policy, os.urandom)) == content


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_we_decrypt_what_openssl_encrypts(judge: Judge, content: bytes) -> None:
    """AES-256-GCM with OAEP in `modern`; AES-128-CBC, and 3DES for reading, in `sesam`."""
    key = judge.bench.receiver.decryption
    assert decrypt(judge.encrypt(content, "-aes-256-gcm", options=OAEP), key, MODERN) == content
    assert decrypt(judge.encrypt(content, "-aes-128-cbc"), key, SESAM) == content
    assert decrypt(judge.encrypt(content, "-des3"), key, SESAM) == content


@pytest.mark.parametrize(
    ("policy", "cipher", "options"),
    [
        (MODERN, "-aes-256-gcm", ()),
        (MODERN, "-aes-256-gcm", ("-keyopt", "rsa_padding_mode:oaep")),
        (MODERN, "-aes-128-gcm", OAEP),
        (MODERN, "-aes-256-cbc", OAEP),
        (MODERN, "-aes-128-cbc", ()),
        (SESAM, "-aes-256-gcm", OAEP),
        (SESAM, "-aes-128-cbc", OAEP),
        (SESAM, "-aes-256-cbc", ()),
    ],
)
def test_openssl_envelopes_outside_the_profile(
    judge: Judge, policy: Policy, cipher: str, options: tuple[str, ...]
) -> None:
    """Good messages of the other profile, or of none: refused, though the key would open them."""
    message = judge.encrypt(CONTENTS["text"], cipher, options=options)
    assert judge.decrypt(message) == CONTENTS["text"]
    with pytest.raises(Refused):
        decrypt(message, judge.bench.receiver.decryption, policy)


def test_a_lot_and_back(judge: Judge) -> None:
    """Signed by us, encrypted by OpenSSL, and the other way round."""
    bench, text = judge.bench, CONTENTS["text"]
    inner = sign(text, bench.cps, bench.now)
    opened = decrypt(judge.encrypt(inner, "-aes-256-gcm", options=OAEP), bench.receiver.decryption, MODERN)
    assert verify(opened, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE).content == text
    sealed = encrypt(judge.sign(text, "-cades"), bench.receiver.decryption.certificate, MODERN, os.urandom)
    assert ours(judge, judge.decrypt(sealed)) == text
