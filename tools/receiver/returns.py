"""Payment returns: some days after reception the claims of a practitioner on one payer go back as one file.

A payer is a caisse or a complementary insurer; each returns what it pays itself, in its own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gateway.clock import Clock
from gateway.failpoint import failpoint
from gateway.lots.numbering import file_id
from gateway.lots.organism import Complementary, destination_of
from gateway.records.noemie_file import NoemieReturn, Payment, Transfer, write_noemie
from tools.receiver.book import DueClaim
from tools.receiver.claims import claim_label
from tools.receiver.config import Limits
from tools.receiver.detail import decode_payment
from tools.receiver.faults import Faults
from tools.receiver.insured import InsuredBase
from tools.receiver.ledger import Ledger
from tools.receiver.reply import Address, Secretary
from tools.receiver.vault import Vault
from tools.receiver.wrong import wrong_total

_PAPER_TYPES, _ON_PAPER = ("P", "C"), "02"
"""Entity 102, position 30, and 081, position 6: a transfer of its own for paper (billing facts 3)."""
_FIXED, _LINE, _EXTRA = 512, 118, 153
"""Octets of an invoice in a return, never too few: fixed entities, each act, each reject or remark."""


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
        limits: Limits,
        faults: Faults | None = None,
    ) -> None:
        self._ledger, self._vault, self._insured = ledger, vault, insured
        self._secretary, self._clock, self._limits = secretary, clock, limits
        self._faults = faults or Faults()
        self._shown = self._faults.clock(clock)

    def pay_due(self) -> list[NoemieReturn]:
        """Every return that is due now, each durable with its mail before the next one is begun."""
        made = []
        while (answer := self.pay_next()) is not None:
            made.append(answer)
        return made

    def pay_next(self) -> NoemieReturn | None:
        """The next return that is due now, durable with its mail; None when nothing is due."""
        due = self._ledger.due(self._clock.now().timestamp(), self._limits.return_invoices)
        return self._pay(due) if due else None

    def _pay(self, due: Sequence[DueClaim]) -> NoemieReturn:
        failpoint("receiver-return-before")
        now, shown = self._clock.now().timestamp(), self._shown.now()
        number = self._ledger.rows("SELECT coalesce(max(id), 0) + 1 FROM noemie")[0][0]
        payments = self._fitting(due)
        due = due[: len(payments)]
        answer = self._return(due, payments, shown, file_id((number - 1) % 999_999 + 1))
        content = write_noemie(answer)
        message = self._seal(content, due, shown)
        rejects = sum(payment.is_rejected for payment in payments)
        with self._ledger.transaction():
            mail = self._ledger.keep_mail("noemie", due[0].sender, message)
            self._ledger.keep_return(due, now, answer.total_cents, rejects, mail)
            if message:
                self._post(content, due, mail, shown)
            failpoint("receiver-return-inside")
        failpoint("receiver-return-after")
        return answer

    def _fitting(self, due: Sequence[DueClaim]) -> tuple[Payment, ...]:
        """The payments of as many claims as one return may hold, at least one."""
        payments: list[Payment] = []
        room = self._limits.return_bytes
        for claim in due:
            payment = self._payment(claim)
            extras = len(payment.rejects) + len(payment.remarks) + len(payment.comments)
            room -= _FIXED + _LINE * len(payment.lines) + _EXTRA * extras
            if payments and room < 0:
                break
            payments.append(payment)
        return tuple(payments)

    def _seal(self, content: bytes, due: Sequence[DueClaim], when: datetime, *, stale: bool = False) -> bytes:
        address = Address(due[0].claim.payer, due[0].sender, len(due), "NOEMIE/578/Z")
        return self._secretary.seal(content, address, when, stale=stale)

    def _post(self, content: bytes, due: Sequence[DueClaim], mail: int, when: datetime) -> None:
        """Put the return into the outbox, or what a fault makes of it."""
        faults, ledger = self._faults, self._ledger
        if faults.take("noemie-wrong-total"):
            mail = ledger.keep_mail("noemie", due[0].sender, self._seal(wrong_total(content), due, when))
        elif faults.take("stale-certificate"):
            mail = ledger.keep_mail("noemie", due[0].sender, self._seal(content, due, when, stale=True))
        at = self._clock.now().timestamp() + faults.seconds("late-noemie", 86_400.0)
        ledger.post(mail, at, copies=2 if faults.take("duplicate-noemie") else 1)

    def _return(
        self, due: Sequence[DueClaim], payments: tuple[Payment, ...], now: datetime, number: str
    ) -> NoemieReturn:
        head, payer = due[0], destination_of(due[0].claim.payer)
        is_insurer = isinstance(payer, Complementary)
        transfer = Transfer(
            date=datetime.fromtimestamp(max(c.claim.due_at or 0 for c in due), UTC).date(),
            label=f"VIREMENT TEST {'AMC' if is_insurer else 'CAISSE'} {payer.organism}",
            second_label=f"RETOUR {number}",
            paying_organism=head.claim.payer[-10:],
            payments=payments,
        )
        paper = tuple(one for one in payments if one.invoice_type in _PAPER_TYPES)
        mailed = tuple(one for one in payments if one.invoice_type not in _PAPER_TYPES)
        parts = ((mailed, "01"), (paper, _ON_PAPER))
        return NoemieReturn(
            sender=head.claim.payer,
            destination=head.sender,
            file_id=number,
            created=now,
            payee=head.claim.practitioner,
            transfers=tuple(
                replace(transfer, payments=some, return_type=kind) for some, kind in parts if some
            ),
            sender_type=payer.destination_type,
        )

    def _payment(self, due: DueClaim) -> Payment:
        data = self._vault.unseal(due.claim.detail, claim_label(due.claim))
        return decode_payment(due, data, self._insured)
