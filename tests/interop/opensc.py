"""OpenSC's programs, unmodified, before one slot of a reader: what they are asked and how they answer."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.interop.bench_pcscd import Pcscd

MODULE = "opensc-pkcs11.so"
SIGNATURE = "e828bd080f8025000001ff001001"
AUTHENTICATION = "e828bd080f8025000001ff001002"
PIN, WRONG_PIN, NEW_PIN = "1234", "9998", "4321"
PUK, WRONG_PUK = "12345678", "12345679"
DATA = b"TEST PAS UNE VRAIE FEUILLE"
DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420") + hashlib.sha256(DATA).digest()

Said = subprocess.CompletedProcess[str]


def words(said: Said) -> str:
    """Everything a program wrote."""
    return said.stdout + said.stderr


@dataclass
class OpenSC:
    """The programs, told to use the reader with this number."""

    pcscd: Pcscd
    reader: int = 1

    def tool(self, *words: str) -> Said:
        """opensc-tool."""
        return self.pcscd.run("opensc-tool", "-r", str(self.reader), *words)

    def pkcs15(self, *words: str) -> Said:
        """pkcs15-tool."""
        return self.pcscd.run("pkcs15-tool", "-r", str(self.reader), *words)

    def pkcs11_command(self, *words: str) -> list[str]:
        """A command line of pkcs11-tool."""
        return ["pkcs11-tool", "--module", MODULE, "--slot-index", str(self.reader), *words]

    def pkcs11(self, *words: str, settings: str = "") -> Said:
        """pkcs11-tool; `settings` are lines of opensc.conf for the module."""
        more = {}
        if settings:
            file = self.pcscd.folder / "opensc.conf"
            file.write_text(f"app default {{}}\napp opensc-pkcs11 {{ pkcs11 {{ {settings} }} }}\n")
            more["OPENSC_CONF"] = str(file)
        return self.pcscd.run(*self.pkcs11_command(*words), more=more)

    def explorer(self, *lines: str) -> Said:
        """opensc-explorer, fed with these lines."""
        script = "".join(f"{line}\n" for line in (*lines, "quit")).encode()
        return self.pcscd.run("opensc-explorer", "-r", str(self.reader), stdin=script)

    def login(self, pin: str) -> bool:
        """Whether PKCS#11 opens the card with this PIN."""
        return self.pkcs11("--login", "--pin", pin, "--list-objects").returncode == 0

    def status(self, command: str) -> str:
        """The status word of one raw command, as four hexadecimal digits."""
        found = re.findall(r"SW1=0x(..), SW2=0x(..)", self.tool("-s", command).stdout)
        return "".join(found[-1])

    def tries(self) -> int:
        """Tries left for the PIN: an empty VERIFY after a reset, for OpenSC leaves the PIN verified."""
        return self.tries_of("01")

    def tries_of(self, reference: str) -> int:
        """The same for the PUK, reference 02."""
        self.tool("--reset")
        status = self.status(f"002000{reference}00")
        return 0 if status == "6983" else int(status[3], 16)

    def flags(self) -> list[str]:
        """The token flags in the list of slots, for the slot of this reader."""
        listed = self.pkcs11("--list-slots").stdout
        part = re.split(r"^Slot \d+", listed, flags=re.MULTILINE)[self.reader + 1]
        line = re.search(r"token flags\s*: (.*)", part)
        return line[1].split(", ") if line else []

    def certificate(self, key: str) -> Path:
        """The certificate of a key as the card gives it, a PEM file."""
        file = self.pcscd.folder / f"{key}.pem"
        said = self.pkcs15("--read-certificate", key)
        assert said.returncode == 0, words(said)
        file.write_text(said.stdout)
        return file

    def sign(self, key: str, *login: str, name: str = "signature") -> tuple[Said, Path]:
        """Sign the digest of DATA with RSA-PKCS; what pkcs11-tool says, and the file of the signature."""
        return self.pcscd.run(*self.sign_command(key, *login, name=name)), self.pcscd.folder / name

    def sign_command(self, key: str, *login: str, name: str = "signature") -> list[str]:
        """The command line of `sign`; the signature goes to the file `name`, removed before."""
        (self.pcscd.folder / name).unlink(missing_ok=True)
        (self.pcscd.folder / "digest").write_bytes(DIGEST_INFO)
        files = ("-i", str(self.pcscd.folder / "digest"), "-o", str(self.pcscd.folder / name))
        return self.pkcs11_command("--login", *login, "--sign", "-m", "RSA-PKCS", "--id", key, *files)

    def verifies(self, signature: Path, certificate: Path) -> bool:
        """Whether OpenSSL takes the signature for one of DATA under the certificate's key."""
        folder = self.pcscd.folder
        (folder / "data").write_bytes(DATA)
        public = self.pcscd.run("openssl", "x509", "-in", certificate, "-pubkey", "-noout")
        (folder / "public.pem").write_text(public.stdout)
        check = ("-verify", folder / "public.pem", "-signature", signature, folder / "data")
        done = self.pcscd.run("openssl", "dgst", "-sha256", *check)
        return (done.returncode, done.stdout.strip()) == (0, "Verified OK")
