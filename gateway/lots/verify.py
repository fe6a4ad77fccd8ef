"""One verifier for both ends: the gateway checks what it just made, the receiver checks what it got."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.lots.fse import Fse
from gateway.lots.lot_file import BillingFile, ReadLot

if TYPE_CHECKING:
    from gateway.pki.trust import Certificate, Trust
    from gateway.pki.vitale import VitaleAuthority


@dataclass(frozen=True, slots=True)
class VerifiedLot:
    """A lot whose signer is known: `certificate` is the CPS certificate of the one who signed everything."""

    file: BillingFile = field(repr=False)
    lot: ReadLot
    certificate: Certificate

    @property
    def fses(self) -> tuple[Fse, ...]:
        """The verified invoices, in order."""
        return self.lot.fses


def verify_fse(fse: Fse, cps_certificate: bytes, vitale_authority: VitaleAuthority) -> None:
    """Both card signatures stand over the same digest and the practitioner inside is the signer (A8).

    `cps_certificate`: DER of the CPS signature certificate, already trusted by the caller (path, validity).
    Raises LotRefusal of class S.
    """
    raise NotImplementedError


def verify_lot(
    file_bytes: bytes, trust: Trust, vitale_authority: VitaleAuthority, when: datetime
) -> VerifiedLot:
    """Parse, check the certificate path at `when`, the lot signature, then every invoice; LotRefusal else."""
    raise NotImplementedError
