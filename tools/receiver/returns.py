"""Payment returns: five days after reception the claims of a practitioner go back as one NOEMIE file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.clock import Clock
from gateway.failpoint import failpoint
from gateway.lots.numbering import file_id
from gateway.records.noemie_file import NoemieReturn, Payment, Transfer, write_noemie
from tools.receiver.core import claim_label
from tools.receiver.detail import decode_payment
from tools.receiver.insured import InsuredBase
from tools.receiver.ledger import DueClaim, Ledger
from tools.receiver.reply import Address, Secretary
from tools.receiver.vault import Vault


class Paymaster:
    """Turns due claims into returns. One thread only: it numbers the files."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        insured: InsuredBase,
        secretary: Secretary,
        clock: Clock,
        limit: int,
    ) -> None:
        self._ledger, self._vault, self._insured = ledger, vault, insured
        self._secretary, self._clock, self._limit = secretary, clock, limit

    def pay_due(self) -> list[NoemieReturn]:
        """Every return that is due now, each durable with its mail before the next one is begun."""
        made = []
        while due := self._ledger.due(self._clock.now().timestamp(), self._limit):
            made.append(self._pay(due))
        return made

    def _pay(self, due: Sequence[DueClaim]) -> NoemieReturn:
        failpoint("receiver-return-before")
        now = self._clock.now()
        number = self._ledger.rows("SELECT coalesce(max(id), 0) + 1 FROM noemie")[0][0]
        answer = self._return(due, now, file_id((number - 1) % 999_999 + 1))
        head = due[0]
        address = Address(head.organism, head.sender, len(due), "NOEMIE/578/Z")
        message = self._secretary.seal(write_noemie(answer), address, now)
        rejects = sum(payment.is_rejected for payment in answer.payments)
        with self._ledger.transaction():
            mail = self._ledger.keep_mail("noemie", head.sender, message)
            self._ledger.keep_return(due, now.timestamp(), answer.total_cents, rejects, mail)
            if message:
                self._ledger.post(mail, now.timestamp())
            failpoint("receiver-return-inside")
        failpoint("receiver-return-after")
        return answer

    def _return(self, due: Sequence[DueClaim], now: datetime, number: str) -> NoemieReturn:
        head = due[0]
        paying = head.organism[11:14]
        transfer = Transfer(
            date=datetime.fromtimestamp(max(c.claim.due_at or 0 for c in due), UTC).date(),
            label=f"VIREMENT TEST CAISSE {paying}",
            second_label=f"RETOUR {number}",
            paying_organism=head.organism[-10:],
            payments=tuple(self._payment(claim) for claim in due),
        )
        return NoemieReturn(
            sender=head.organism,
            destination=head.sender,
            file_id=number,
            created=now,
            payee=head.claim.practitioner,
            transfers=(transfer,),
        )

    def _payment(self, due: DueClaim) -> Payment:
        claim = due.claim
        data = self._vault.unseal(claim.detail, claim_label(claim.practitioner, claim.number))
        return decode_payment(due, data, self._insured)
