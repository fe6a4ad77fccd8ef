"""The operator's agent authority: one folder, made at first use.

    authority.cert.pem, authority.key.pem   signs agents and the gateway, nothing else
    gateway.cert.pem, gateway.key.pem       what agents see when they dial
    agents.json                             the register: who was enrolled, who was taken back

A certificate names one agent (common name) and its practice (organization), and is good for a client only;
that of the gateway is good for a server only: neither can play the other's part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.agent.files import OWN, SHOWN, read_whole, write_file
from gateway.errors import InputError
from reader.transport.tls import GATEWAY_NAME

AUTHORITY_DAYS, AGENT_DAYS, GATEWAY_DAYS = 3650, 730, 1095
BACKDATED = timedelta(hours=1)
"""For machines whose clock is a little behind."""

AUTHORITY_NAME = "Agent authority of vitale-gateway"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key of its own, on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as its file holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """The certificate as its file holds it."""
    return certificate.public_bytes(Encoding.PEM)


class AgentAuthority:
    """Signs agents. `open` finds it in its folder, `found` makes it there when it does not exist yet."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair

    @property
    def certificate(self) -> x509.Certificate:
        """What both ends believe."""
        return self._pair.certificate

    @classmethod
    def open(cls, certificate: Path) -> AgentAuthority:
        """The authority whose certificate is this file, its key beside it; InputError says what is wrong."""
        return cls(load_pair(certificate, key_beside(certificate)))

    @classmethod
    def found(cls, certificate: Path, now: datetime) -> AgentAuthority:
        """The same, made now if there is none."""
        if certificate.exists():
            return cls.open(certificate)
        key = new_key()
        name = _name(AUTHORITY_NAME)
        built = _building(name, name, key.public_key(), now, AUTHORITY_DAYS)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        built = built.add_extension(_usage(signs_certificates=True), critical=True)
        made = Pair(built.sign(key, hashes.SHA256()), key)
        write_file(key_beside(certificate), key_pem(key), OWN)
        write_file(certificate, certificate_pem(made.certificate), SHOWN)
        return cls(made)

    def issue(
        self, agent: str, practice: str, key: ec.EllipticCurvePublicKey, now: datetime
    ) -> x509.Certificate:
        """A certificate for an agent of a practice; never beyond the authority's own end."""
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, practice),
                x509.NameAttribute(NameOID.COMMON_NAME, agent),
            ]
        )
        return self._signed(name, key, now, AGENT_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH)

    def gateway_pair(self, certificate: Path, key: Path, now: datetime) -> bool:
        """The gateway's own pair in these files, made when it is not there; True when it was made."""
        if certificate.exists():
            return False
        made = new_key()
        signed = self._signed(
            _name(GATEWAY_NAME), made.public_key(), now, GATEWAY_DAYS, ExtendedKeyUsageOID.SERVER_AUTH,
            x509.SubjectAlternativeName([x509.DNSName(GATEWAY_NAME)]),
        )  # fmt: skip
        write_file(key, key_pem(made), OWN)
        write_file(certificate, certificate_pem(signed), SHOWN)
        return True

    def _signed(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        now: datetime,
        days: int,
        purpose: x509.ObjectIdentifier,
        *more: x509.ExtensionType,
    ) -> x509.Certificate:
        ours = self._pair.certificate
        left = (ours.not_valid_after_utc - now) // timedelta(days=1)
        if left < 1:
            raise InputError(
                "the agent authority has ended: move its folder away, enrol every agent anew, copy the new "
                "files"
            )
        built = _building(name, ours.subject, key, now, min(days, left))
        built = built.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        built = built.add_extension(_usage(signs_certificates=False), critical=True)
        built = built.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        identifier = ours.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        for extension in (authority, *more):
            built = built.add_extension(extension, critical=False)
        return built.sign(self._pair.key, hashes.SHA256())


def key_beside(certificate: Path) -> Path:
    """The file of the key that belongs to NAME.cert.pem: NAME.key.pem."""
    return certificate.with_name(certificate.name.removesuffix(".pem").removesuffix(".cert") + ".key.pem")


def load_pair(certificate: Path, key: Path) -> Pair:
    """Both files; InputError names the one that is not what it should be."""
    loaded = load_certificate(certificate)
    try:
        found = load_pem_private_key(read_whole(key, "a key"), None)
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or found.public_key() != loaded.public_key():
        raise InputError(f"{key} is not the key of {certificate}: correct one of the two paths")
    return Pair(loaded, found)


def load_certificate(path: Path) -> x509.Certificate:
    """One certificate in PEM; InputError names the file when it is none."""
    try:
        return x509.load_pem_x509_certificate(read_whole(path, "a certificate"))
    except ValueError:
        raise InputError(f"{path} is not a certificate in PEM: correct its path") from None


def request_pem(agent: str, practice: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A request for a certificate: the key never leaves its machine."""
    built = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, practice),
                x509.NameAttribute(NameOID.COMMON_NAME, agent),
            ]
        )
    )
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def read_request(path: Path, agent: str, practice: str) -> ec.EllipticCurvePublicKey:
    """The key of a request for this agent of this practice; InputError when it is for another, or none."""
    raw = read_whole(path, "a request")
    try:
        request = x509.load_pem_x509_csr(raw)
        valid = request.is_signature_valid
    except (ValueError, InvalidSignature):
        raise InputError(f"{path} is not a request: make it with vitale-gateway agent request") from None
    key = request.public_key()
    if not valid or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError(f"{path} is not a request of an agent: make it with vitale-gateway agent request")
    named = {attribute.oid: str(attribute.value) for attribute in request.subject}
    if named != {NameOID.COMMON_NAME: agent, NameOID.ORGANIZATION_NAME: practice}:
        raise InputError(
            f"{path} asks for another agent or practice than {agent} of {practice}: look whose it is"
        )
    return key


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _building(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
