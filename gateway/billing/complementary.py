"""What the complementary insurer pays: the ticket modérateur, and of the excess what its contract says."""

from __future__ import annotations

from gateway.billing.amounts import euros, share
from gateway.billing.case import Case
from gateway.billing.rows import ContractRow
from gateway.billing.tariff import Tariff


def complementary(case: Case, one: Tariff, amo: int, copayment: int) -> int:
    """The share of the contract that pays most, in cents, with its reason; 0 without a contract.

    `copayment`: the ticket modérateur counted from the normal rate; leaving the pathway costs more than that,
    and responsible contracts never pay the difference (CSS L871-1, R871-1).
    """
    best: tuple[int, str] | None = None
    for contract in case.contracts:
        cents, words = _pays(case, one, contract, amo, copayment)
        if best is None or cents > best[0]:
            best = cents, f"{one.act.code}: {contract.name} pays {words} = {euros(cents)}."
    if best is None:
        return 0
    case.why.append(best[1])
    return best[0]


def _pays(case: Case, one: Tariff, contract: ContractRow, amo: int, copayment: int) -> tuple[int, str]:
    rest = one.charged_cents - amo
    if contract.basket and one.row.basket:
        return rest, "the whole rest of a 100 % Santé act"
    if contract.increase:
        copayment = one.base_cents - amo
    cents = share(copayment, contract.copayment_percent)
    words = f"{contract.copayment_percent} % of the ticket modérateur {euros(copayment)}"
    excess = one.charged_cents - one.base_cents
    if excess and contract.excess_percent:
        paid = share(excess, contract.excess_percent)
        cap = contract.outside_cap_percent if case.tariff == "free" else contract.cap_percent
        words += f" and {contract.excess_percent} % of the excess"
        if cap is not None and paid > (most := share(one.base_cents, cap)):
            paid, words = most, f"{words}, at most {cap} % of the base"
        cents += paid
    return min(cents, rest), words
