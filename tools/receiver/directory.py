"""Who may be answered: sender number → encryption certificate and mailbox (the bench's small directory).

A directory file is TOML: one `[[practice]]` table each, with `sender` (14 digits), `certificate` (PEM or
DER file) and `maildir`, paths relative to the file. A sender that is not named gets the default entry, if
there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import InputError, TrustError
from gateway.exchange.mailbox import Maildir
from gateway.pki import Purpose, Trust
from tools.receiver.config import read_rows

_SENDER = re.compile(r"\d{14}")


@dataclass(frozen=True)
class Entry:
    """One practice: its encryption certificate (DER) and its mailbox directory."""

    certificate: bytes = field(repr=False)
    maildir: Path


class PracticeDirectory:
    """The practices known to the receiver. Certificates are validated at use, mailboxes opened once."""

    def __init__(self, entries: Mapping[str, Entry], default: Entry | None = None) -> None:
        self._entries, self._default = dict(entries), default
        self._boxes: dict[Path, Maildir] = {}

    @classmethod
    def load(cls, path: Path, default: Entry | None = None) -> PracticeDirectory:
        """Read a directory file; InputError names the entry that is wrong."""
        return cls(dict(_entry(path, row) for row in read_rows(path, "directory", "practice")), default)

    def open_default(self) -> None:
        """Open the mailbox of who is not named here now: StoreError at the start, not at the first answer."""
        if self._default is not None:
            self._boxes[self._default.maildir] = Maildir(self._default.maildir)

    def entry(self, sender: str) -> Entry | None:
        """The practice behind a sender number, or None."""
        return self._entries.get(sender, self._default)

    def certificate(self, sender: str, trust: Trust, when: datetime) -> bytes | None:
        """The practice's encryption certificate, trusted at `when`; None when nobody can be answered."""
        entry = self.entry(sender)
        if entry is None:
            return None
        try:
            return trust.validate(entry.certificate, when, Purpose.PRACTICE_ENCRYPTION).der
        except TrustError:
            return None

    def mailbox(self, sender: str) -> Maildir | None:
        """The mailbox of a sender, opened at first use."""
        entry = self.entry(sender)
        if entry is None:
            return None
        if entry.maildir not in self._boxes:
            self._boxes[entry.maildir] = Maildir(entry.maildir)
        return self._boxes[entry.maildir]


def _entry(path: Path, row: Mapping[str, object]) -> tuple[str, Entry]:
    sender, certificate, maildir = (str(row.get(key, "")) for key in ("sender", "certificate", "maildir"))
    if not _SENDER.fullmatch(sender) or not certificate or not maildir:
        raise InputError(
            f"directory {path.name}: a practice needs sender (14 digits), certificate and maildir"
        )
    return sender, Entry(read_certificate(path.parent / certificate), path.parent / maildir)


def read_certificate(path: Path) -> bytes:
    """A certificate file, PEM or DER, as DER; InputError names the file."""
    try:
        data = path.read_bytes()
        return x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER) if b"-----" in data else data
    except (OSError, ValueError):
        raise InputError(f"certificate {path.name} cannot be read; make it again with tools.pki") from None
