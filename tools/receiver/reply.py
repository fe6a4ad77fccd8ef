"""Writes what the receiver answers: ARL and payment returns, sealed to the practice under the same policy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gateway.clock import Rng
from gateway.cms.policy import Policy
from gateway.cms.signed import Signer
from gateway.lots.numbering import compostage
from gateway.lots.organism import Organism, destination_of
from gateway.lots.refusal import LotRefusal
from gateway.lots.sealing import Envelope, seal_content
from gateway.pki import Trust
from gateway.records.arl import MAX_REJECTS, Arl, ArlReject, write_arl
from tools.receiver.directory import PracticeDirectory
from tools.receiver.opening import Named

NATIONAL = Organism("01", "999", "996")
"""Who answers when the lot does not say whom it was for: the transport test organism 01/996."""


@dataclass(frozen=True)
class Reply:
    """An answer twice: in clear for the ledger, sealed for the mailbox (empty: nobody to seal to)."""

    clear: bytes = field(repr=False)
    message: bytes = field(repr=False)


@dataclass(frozen=True)
class Address:
    """From which organism (14 digits) to which practice (14 digits), with the count and kind of the mail."""

    organism: str
    practice: str
    count: int
    description: str


class Secretary:
    """Seals answers. One per receiver; thread-safe (the mail counter is atomic)."""

    def __init__(
        self,
        policy: Policy,
        signer: Signer,
        trust: Trust,
        directory: PracticeDirectory,
        rng: Rng,
        stale_signer: Callable[[datetime], Signer] | None = None,
    ) -> None:
        self._policy, self._trust, self._rng = policy, trust, rng
        self._signer = signer if policy.signed else None
        self._stale_signer = stale_signer if policy.signed else None
        self._directory = directory
        self._counter: Iterator[int] = itertools.count(1)

    def arl(self, arl: Arl, *, stale: bool = False) -> Reply:
        """One acknowledgement as a file and as a mail; `stale`: signed with an expired certificate."""
        clear = write_arl(arl)
        address = Address(arl.sender, arl.destination, max(arl.invoices, 1), "SESAM/ARL/Z")
        return Reply(clear, self.seal(clear, address, arl.created, stale=stale))

    def seal(self, payload: bytes, address: Address, when: datetime, *, stale: bool = False) -> bytes:
        """A payload as a mail to one practice; empty when the directory has no usable certificate for it."""
        certificate = self._directory.certificate(address.practice, self._trust, when)
        if certificate is None:
            return b""
        number = address.organism
        signer = self._stale_signer(when) if stale and self._stale_signer else self._signer
        envelope = Envelope(
            sender=destination_of(number).address,
            recipient=f"{address.practice}@practice.test",
            sender_number=number,
            compostage=compostage(when, next(self._counter)),
            count=address.count,
            description=address.description,
        )
        return seal_content(
            payload,
            envelope,
            recipient_certificate=certificate,
            policy=self._policy,
            signer=signer,
            rng=self._rng,
            now=when,
        )


def acknowledge(named: Named, when: datetime, refusals: tuple[LotRefusal, ...] = ()) -> Arl:
    """The ARL of a lot: positive without refusals; the first refusal gives class and code of the 901."""
    first = refusals[0] if refusals else None
    sender = named.organism or NATIONAL.number
    return Arl(
        sender=sender,
        destination=named.sender,
        created=when,
        lot_date=named.lot_date,
        lot_number=named.lot_number,
        file_id=named.file_id,
        compostage=named.compostage,
        received_at=when,
        positive=first is None,
        invoices=named.invoices,
        digest=named.digest,
        error_class=first.error_class if first else "",
        error_code=first.error_code if first else "",
        rejects=tuple(map(_reject, refusals[:MAX_REJECTS])),
        sender_type=destination_of(sender).destination_type,
    )


def _reject(refusal: LotRefusal) -> ArlReject:
    return ArlReject(
        record=refusal.record,
        invoice=refusal.invoice,
        position=refusal.position,
        error_class=refusal.error_class,
        code=refusal.error_code,
        text=str(refusal)[:80].upper(),
    )
