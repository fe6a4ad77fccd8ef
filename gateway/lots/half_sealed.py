"""A desynchronised FSE between its two signatures: sealed by the Vitale, not signed by the CPS yet.

Both cards sign the same digest (billing facts 10.3), so the records cannot change in between: whatever the
CPS signs later is what the Vitale has sealed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from gateway.errors import InputError
from gateway.lots.fse import Fse, FseDraft
from gateway.lots.invoice import SIZE, kinds_of
from gateway.lots.organism import Organism
from gateway.records import b2, security


# INVENTED(half-sealed): what software keeps between two signatures is not public; records, 7V and 7K are.
@dataclass(frozen=True, slots=True)
class HalfSealed:
    """The draft, and what the Vitale gave for it. `to_bytes` is what is kept until the CPS comes."""

    draft: FseDraft
    seal: bytes = field(repr=False)
    certificate: bytes = field(repr=False)

    @property
    def number(self) -> int:
        """The invoice number."""
        return self.draft.number

    @property
    def records(self) -> bytes:
        """Records 2 to 7H."""
        return self.draft.records

    @property
    def destination(self) -> Organism:
        """Who the invoice will go to."""
        start = b2.InvoiceStart.decode(self.records[:SIZE])
        return Organism.of_insured(start["regime"], start["caisse"], start["centre"])

    @property
    def national_id(self) -> str:
        """The professional who has to sign."""
        return str(security.SecurityStart.decode(self.records[-SIZE:])["national_id"])

    def to_bytes(self) -> bytes:
        """The records, the seal (7V) and the certificate (7K); `parse` reads them back."""
        return self.records + security.split(self.seal, "V") + security.split(self.certificate, "K")

    @classmethod
    def parse(cls, kept: bytes) -> HalfSealed:
        """Read back `to_bytes`; InputError when it is not that."""
        kinds = kinds_of(kept)
        if kinds.count(b"7H") != 1 or b"7P" in kinds or b"7V" not in kinds:
            raise InputError("this is not an FSE that waits for the CPS: it has no seal, or is signed")
        end = (kinds.index(b"7H") // 2 + 1) * SIZE
        seal_end = end + kinds.count(b"7V") * SIZE
        head = security.SecurityStart.decode(kept[end - SIZE : end])
        draft = FseDraft(head["invoice"], head["mode"], kept[:end], sha256(kept[:end]).digest())
        seal = security.join(kept[end:seal_end], "V")
        return cls(draft, seal, security.join(kept[seal_end:], "K"))

    def signed(self, cps_signature: bytes) -> Fse:
        """The whole FSE, with the signature of the professional (256 bytes)."""
        return self.draft.sealed(self.seal, self.certificate, cps_signature)
