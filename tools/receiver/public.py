"""What the national side publishes for everybody, over plain HTTP on loopback and without a token.

    GET /opposition              the complete list of opposed cards
    GET /opposition?after=12     the update that follows version 12; 204 when 12 is the present one
    GET /certificates            encryption certificates of organisms and insurers, ?cn=ADDRESS for one
    GET /crls                    names of the revocation lists; /crls/NAME is one of them, DER

A list comes as CMS SignedData (DER) of the receiver's signer, so that no line needs to be trusted: the body
is the file of `gateway.pki.opposition`, its version stands in X-Opposition-Number and in the file itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gateway.clock import Clock
from gateway.cms.signed import Signer, sign
from gateway.errors import InputError
from gateway.pki.certificate import Certificate
from tools.receiver.parties import Party
from tools.receiver.publishing import OppositionPublisher

SIGNED = "application/pkcs7-mime; smime-type=signed-data"
CRL = "application/pkix-crl"
NUMBER_HEADER = "X-Opposition-Number"
MOST_CERTIFICATES = 10
"""Of one address in one answer, as the real directory gives (billing facts 4)."""


@dataclass(frozen=True)
class Document:
    """An answer that is no JSON; `status` 204 has no body."""

    body: bytes = field(default=b"", repr=False)
    media: str = SIGNED
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


class NotPublishedError(Exception):
    """There is no such thing here: one sentence, and a word for programs."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Publications:
    """Everything that is published. `publisher` is None without `--opposition`."""

    publisher: OppositionPublisher | None
    signer: Signer = field(repr=False)
    clock: Clock
    parties: Sequence[Party] = ()
    crls: Path | None = None

    # INVENTED(opposition-publication): how the list travels is not public; a signed file over HTTP stands in.
    def opposition(self, after: str = "") -> Document:
        """The list, or the update after a version; NotPublishedError `complete-list` when there is no way."""
        publisher = self.publisher
        if publisher is None:
            raise NotPublishedError("unknown", "this receiver keeps no list: start it with --opposition FILE")
        if not after:
            present = publisher.complete()
            return self._signed(present.to_bytes(), present.number)
        if not re.fullmatch(r"[1-9][0-9]{0,8}", after):
            raise InputError("after: give the number of the list that you have")
        number = int(after)
        try:
            update = publisher.update_after(number)
        except InputError as refusal:
            raise NotPublishedError("complete-list", str(refusal)) from None
        if update is None:
            return Document(status=HTTPStatus.NO_CONTENT, headers={NUMBER_HEADER: after})
        return self._signed(update, number + 1)

    def _signed(self, content: bytes, number: int) -> Document:
        return Document(
            sign(content, self.signer, self.clock.now()),
            headers={NUMBER_HEADER: str(number), "ETag": f'"{number}"'},
        )

    def certificates(self, address: str = "") -> dict[str, Any]:
        """The directory; of one address at most ten, the one to take first."""
        found = [_row(one) for one in self.parties if address in ("", one.address)]
        newest = sorted(found, key=lambda row: int(row["serial"], 16), reverse=True)
        return {"certificates": newest[:MOST_CERTIFICATES] if address else found}

    def revocation_lists(self) -> dict[str, Any]:
        """Their names."""
        return {"crls": [] if self.crls is None else sorted(one.stem for one in self.crls.glob("*.crl"))}

    def revocation_list(self, name: str) -> Document:
        """One of them, DER."""
        if self.crls is None or name not in self.revocation_lists()["crls"]:
            raise NotPublishedError("unknown", "no revocation list has this name: GET /crls")
        return Document((self.crls / f"{name}.crl").read_bytes(), CRL)


def _row(party: Party) -> dict[str, Any]:
    certificate = Certificate.parse(party.key.certificate)
    return {
        "address": party.address,
        "number": party.number,
        "certificate": base64.b64encode(certificate.der).decode("ascii"),
        "serial": f"{certificate.serial:x}",
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
    }
