"""Steps 5 and 6 of the line: each mode's own signatures, and the check of what was just made.

Secured: both cards over one digest. Desynchronised: the Vitale now, the CPS later. Without Vitale: the CPS
alone. Degraded: nobody, paper goes with it. The DRE of a sheet is signed by the CPS alone.
"""

from __future__ import annotations

from gateway.billing.engine import Price
from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.care import CareAct, Parties
from gateway.errors import CardRefusal
from gateway.lots.demand import demand_of, is_allowed
from gateway.lots.fse import Fse, FseDraft
from gateway.lots.half_sealed import HalfSealed
from gateway.lots.modes import DEGRADED, DESYNCHRONISED, WITHOUT_VITALE, mode_of
from gateway.lots.organism import Complementary
from gateway.lots.verify import verify_fse, verify_seal
from gateway.pki import VitaleAuthority
from gateway.store.rows import StoredShare

Sheet = Fse | HalfSealed


def sign(draft: FseDraft, cps: CpsSession | None, vitale: VitaleSession | None) -> Sheet:
    """The draft with the signatures of its mode; nobody else gets in between the two cards."""
    if draft.mode == DEGRADED:
        return draft.sealed()
    if draft.mode == WITHOUT_VITALE:
        return draft.sealed(cps_signature=_present(cps).sign_digest(draft.digest))
    if vitale is None:
        raise _absent("Vitale")
    if draft.mode == DESYNCHRONISED:
        with vitale.exclusive():
            return HalfSealed(draft, vitale.seal(draft.digest), vitale.certificate)
    cps = _present(cps)
    with cps.exclusive(), vitale.exclusive():
        return draft.sealed(vitale.seal(draft.digest), vitale.certificate, cps.sign_digest(draft.digest))


def check(sheet: Sheet, cps: CpsSession | None, authority: VitaleAuthority) -> None:
    """Verify what was just made with the receiver's own verifier; LotRefusal of class S."""
    if isinstance(sheet, HalfSealed):
        verify_seal(sheet.draft, sheet.seal, sheet.certificate, authority)
    elif sheet.invoice.mode.cps:
        verify_fse(sheet, _present(cps).certificate, authority)


def insurer_of(parties: Parties, act: CareAct, priced: Price) -> Complementary | None:
    """The insurer that a DRE goes to; None when the caisse hands the share on, or there is none."""
    amc = parties.insurer(act)
    if amc is None or not priced.amc_cents or not mode_of(act.mode_code).cps:
        return None
    if not is_allowed(amc.treatment, priced.third_party):
        return None
    number = amc.b2_number.rjust(10, "0")
    return Complementary(number, amc.domain.lower()) if amc.domain else Complementary(number)


def share_of(
    sheet: Sheet, insurer: Complementary | None, priced: Price, cps: CpsSession | None
) -> StoredShare | None:
    """What is kept of the complementary share: its DRE, or that the caisse hands it on; None without one."""
    if insurer is None:
        relayed = priced.amc_cents and priced.third_party == "full"
        return StoredShare(priced.amc_cents) if relayed else None
    body = b""
    if not isinstance(sheet, HalfSealed):
        body = sign_demand(sheet.records, insurer, _present(cps))
    else:
        demand_of(sheet.records, insurer)  # what cannot be asked later is refused now
    return StoredShare(priced.amc_cents, insurer.key, insurer.address, body)


def sign_demand(records: bytes, insurer: Complementary, cps: CpsSession) -> bytes:
    """The DRE of an FSE, signed by the CPS and read back."""
    draft = demand_of(records, insurer)
    demand = draft.sealed(cps_signature=cps.sign_digest(draft.digest))
    return demand.to_bytes()


def _present(cps: CpsSession | None) -> CpsSession:
    if cps is None:
        raise _absent("CPS")
    return cps


def _absent(card: str) -> CardRefusal:
    return CardRefusal(f"The {card} has to sign this sheet: insert it.", code="card-needed")
