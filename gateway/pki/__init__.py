"""Trust: certificate paths, revocation lists, the opposition list."""

from gateway.pki.certificate import Certificate, Purpose
from gateway.pki.opposition import Opposition, OppositionList
from gateway.pki.trust import Trust
from gateway.pki.vitale import VitaleAuthority, VitaleCertificate

__all__ = [
    "Certificate",
    "Opposition",
    "OppositionList",
    "Purpose",
    "Trust",
    "VitaleAuthority",
    "VitaleCertificate",
]
