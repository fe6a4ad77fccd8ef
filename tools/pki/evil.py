"""The evil factory for SignedData: a valid message taken apart, so that a test can edit one place.

`Message` and `SignerBlock` hold every element as encoded bytes; `render` signs what is to be signed
and joins. Nothing is checked here on purpose: any nonsense can be written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway.cms import attributes, oids, signed
from gateway.cms.signed import SoftwareSigner
from gateway.pki import Certificate, der
from tools.pki.workbench import CONTENT, Workbench

NULL = b"\x05\x00"


def attribute(kind: bytes, *values: bytes) -> bytes:
    """An attribute with any number of values."""
    return der.wrap(der.SEQUENCE, kind, der.wrap(der.SET, *values))


def algorithm(dotted: str, parameters: bytes = NULL) -> bytes:
    """An AlgorithmIdentifier."""
    return der.wrap(der.SEQUENCE, der.oid(dotted), parameters)


@dataclass(frozen=True)
class SignerBlock:
    """One SignerInfo; `sign` turns the to-be-signed bytes into a signature."""

    sid: bytes = field(repr=False)
    attributes: tuple[bytes, ...] | None = field(repr=False)
    sign: Callable[[bytes], bytes] = field(repr=False)
    version: bytes = signed.VERSION_1
    digest: bytes = signed.SHA256_BARE
    signature_algorithm: bytes = signed.RSA_PLAIN
    unsigned: bytes = b""

    def signed_attributes(self) -> bytes:
        """The value of the attributes' SET, in the order they are held."""
        return b"".join(self.attributes or ())

    def render(self, content: bytes) -> bytes:
        """The SignerInfo; without attributes the signature is over the content."""
        if self.attributes is None:
            block, to_be_signed = b"", content
        else:
            block = der.wrap(0xA0, self.signed_attributes())
            to_be_signed = der.wrap(der.SET, self.signed_attributes())
        signature = der.wrap(der.OCTETS, self.sign(to_be_signed))
        parts = (
            self.version,
            self.sid,
            self.digest,
            block,
            self.signature_algorithm,
            signature,
            self.unsigned,
        )
        return der.wrap(der.SEQUENCE, *parts)

    def with_attribute(self, kind: bytes, *values: bytes) -> SignerBlock:
        """One attribute replaced (or, without values, removed); the order is made right again."""
        kept = [one for one in self.attributes or () if not one[2:].startswith(kind)]
        new = [attribute(kind, *values)] if values else []
        return replace(self, attributes=tuple(sorted(kept + new)))


@dataclass(frozen=True)
class Message:
    """A SignedData in pieces."""

    content: bytes = field(repr=False)
    signers: tuple[SignerBlock, ...]
    certificates: tuple[bytes, ...] = field(repr=False)
    content_type: bytes = oids.DATA
    outer_type: bytes = oids.SIGNED_DATA
    version: bytes = signed.VERSION_1
    digests: bytes = signed.DIGEST_SETS[0]
    attached: bytes | None = field(default=None, repr=False)
    """What stands after the content type; None means the content, properly wrapped."""
    inside_tail: bytes = b""
    trailing: bytes = b""

    def render(self) -> bytes:
        """The ContentInfo."""
        attached = self.attached
        if attached is None:
            attached = der.wrap(0xA0, der.wrap(der.OCTETS, self.content))
        body = der.wrap(
            der.SEQUENCE,
            self.version,
            self.digests,
            der.wrap(der.SEQUENCE, self.content_type, attached),
            der.wrap(0xA0, *sorted(self.certificates)) if self.certificates else b"",
            der.wrap(der.SET, *(signer.render(self.content) for signer in self.signers)),
            self.inside_tail,
        )
        return der.wrap(der.SEQUENCE, self.outer_type, der.wrap(0xA0, body)) + self.trailing

    def edit_signer(self, edit: Callable[[SignerBlock], SignerBlock]) -> Message:
        """The first signer changed."""
        return replace(self, signers=(edit(self.signers[0]), *self.signers[1:]))


def rsa_signature(signer: SoftwareSigner) -> Callable[[bytes], bytes]:
    """The honest way to sign: PKCS#1 v1.5 over SHA-256."""
    return lambda data: signer.sign_digest(hashlib.sha256(data).digest())


def block(signer: SoftwareSigner, content: bytes, bench: Workbench) -> SignerBlock:
    """A good SignerInfo of this signer over this content."""
    certificate = Certificate.parse(signer.certificate)
    return block_for(certificate, rsa_signature(signer), content, bench)


def block_for(
    certificate: Certificate, sign: Callable[[bytes], bytes], content: bytes, bench: Workbench
) -> SignerBlock:
    """A SignerInfo that names `certificate`, signed by whatever `sign` does."""
    naming = attributes.signing_certificate(certificate)
    whole = attributes.encode(hashlib.sha256(content).digest(), bench.now, naming)
    held = tuple(whole[begin:stop] for _tag, begin, _start, stop in der.elements(whole, 0, len(whole)))
    return SignerBlock(certificate.issuer_and_serial, held, sign)


def message(bench: Workbench, content: bytes = CONTENT, signer: SoftwareSigner | None = None) -> Message:
    """A valid message in pieces; rendered, it is byte for byte what `sign` writes."""
    signer = signer or bench.cps
    return Message(content, (block(signer, content, bench),), (signer.certificate,))


def unchecked_block(bench: Workbench, certificate: bytes, content: bytes) -> SignerBlock:
    """A SignerInfo naming a certificate this house would not even parse (weak or foreign keys)."""
    at, end = der.expect(certificate, 0, len(certificate), der.SEQUENCE)
    at, end = der.expect(certificate, at, end, der.SEQUENCE)
    parts = [certificate[begin:stop] for _tag, begin, _start, stop in der.elements(certificate, at, end)]
    name = der.wrap(der.SEQUENCE, parts[3], parts[1])
    identity = der.wrap(der.OCTETS, hashlib.sha256(certificate).digest())
    nested = der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, identity)))
    good = block(bench.cps, content, bench)
    return replace(good.with_attribute(oids.SIGNING_CERTIFICATE_V2, nested), sid=name)
