"""Who an invoice is about: the identifiers that B2 records and the security header need."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True)
class PractitionerIds:
    """The professional as written into an invoice.

    `billing_number`: 9 digits (8 and a key), B2 positions 2-10. `national_id`: as in the CPS certificate,
    a type digit and the number ("8" and 11 digits of RPPS). `specialty`, `convention`, `zone`: SSV group 2.
    """

    billing_number: str
    national_id: str = field(repr=False)
    name: str = field(repr=False)
    specialty: str = "01"
    convention: str = "1"
    zone: str = ""


@dataclass(frozen=True, slots=True)
class InsuredIds:
    """The insured person and the beneficiary as written into an invoice.

    `nir` 13 characters and `nir_key` 2: the insured. `own_nir`, `own_key`: the beneficiary's own, "" if none.
    `rank`: B2 27-29 ("000" in the general scheme). `birth_rank`: 1 for a single birth.
    `proof_nature`, `proof_date`: how the rights were shown (B2 58, 59-64). `contract_type` and
    `complementary_number` (10 digits): B2 117-128, "" when there is no complementary insurance.
    """

    nir: str = field(repr=False)
    nir_key: str = field(repr=False)
    regime: str
    caisse: str
    centre: str
    birth_date: date | None = field(repr=False)
    rank: str = "000"
    birth_rank: str = "1"
    own_nir: str = field(default="", repr=False)
    own_key: str = field(default="", repr=False)
    proof_nature: str = ""
    proof_date: date | None = None
    contract_type: str = ""
    complementary_number: str = ""
