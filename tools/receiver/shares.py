"""What a complementary insurer decides about one share: its own members, contracts and computation.

The insurer owes nothing to the card: a member it does not know, a closed contract, a DRE where the contract
has none, or another amount than the contract gives is a reject, and the share stays to be asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

from gateway.billing.engine import price
from gateway.billing.request import Practitioner
from gateway.billing.tables import Tables
from gateway.errors import InputError
from gateway.lots.fse import FseView
from tools.receiver import codes
from tools.receiver.adjudication import NOTHING, PAID, REJECTED, Decision, day, readings
from tools.receiver.book import FROM_DRE
from tools.receiver.insurers import Contract, InsurerBase, insurer_number


class ShareJudge:
    """Decides for every insurer. Stateless: any thread may call it."""

    def __init__(
        self, insurers: InsurerBase, practitioners: Mapping[str, Sequence[Practitioner]], tables: Tables
    ) -> None:
        self._insurers, self._practitioners, self._tables = insurers, practitioners, tables

    def with_tables(self, tables: Tables) -> ShareJudge:
        """The same insurers under other dated tables."""
        other = copy(self)
        other._tables = tables
        return other

    def contract(self, view: FseView) -> Contract | None:
        """The contract that an invoice names, as its insurer knows it."""
        insurer = insurer_number(view.complementary_number)
        return self._insurers.find(insurer, view.nir, view.birth_date)

    def hands_on(self, view: FseView, outcome: str) -> bool:
        """Whether the caisse hands the share on: accepted there, linked, and no DRE is to be expected."""
        contract = self.contract(view)
        return (
            outcome in (PAID, NOTHING)
            and view.amc_cents > 0
            and contract is not None
            and contract.linked
            and not contract.is_asked_by_dre(view.third_party, view.mode)
        )

    def decide(self, view: FseView, origin: str) -> Decision:
        """P with the share asked, or R with its code. `origin`: as a claim has it."""
        code = self._refusal(view, origin)
        return Decision(REJECTED, code=code) if code else Decision(PAID, amc_paid=view.amc_cents)

    def _refusal(self, view: FseView, origin: str) -> str:
        contract = self.contract(view)
        if contract is None:
            return codes.UNKNOWN_MEMBER
        if not contract.is_open(day(view.care_date)):
            return codes.CONTRACT_CLOSED
        if origin == FROM_DRE and not contract.takes_dre(view.third_party):
            return codes.DRE_NOT_TAKEN
        if contract.refuses:
            return codes.SHARE_REFUSED
        return "" if self._is_due(view, contract) else codes.OTHER_SHARE

    def _is_due(self, view: FseView, contract: Contract) -> bool:
        """Whether one reading of the invoice gives this share under the contract."""
        found = True
        for situation in self._practitioners.get(view.billing_number, ()):
            for request in readings(view, situation, contract.name):
                try:
                    if price(request, self._tables).amc_cents == view.amc_cents:
                        return True
                except InputError:
                    pass
                found = False
        return found
