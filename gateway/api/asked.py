"""The bodies that the API takes, for the OpenAPI document.

They describe what `CareAct.from_json` and `CareRequest.from_json` accept: those stay the only judges, so that
every entry of the gateway takes the same JSON and says the same sentence. A test compares both.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.billing.request import MAX_ACTS, MAX_CENTS, MAX_QUANTITY

Day = Annotated[date, Field(description="YYYY-MM-DD")]
Pathway = Literal["T", "N", "R", "O", "M", "U", "H", "J", "B", "D", "S1", "S2"]
Nature = Literal["maladie", "maternite", "at"]
ThirdParty = Literal["none", "amo", "full"]
Zone = Literal["metropole", "antilles", "guyane_reunion", "mayotte"]
_CODE = r"^([A-Z][A-Z0-9]{0,4}|[A-Z]{4}[0-9]{3}|[0-9]{4}|[0-9]{7}|34009[0-9]{8})$"
ActCode = Annotated[str, Field(pattern=_CODE)]
Nir = Annotated[str, Field(pattern=r"^[0-9A-B]{15}$")]
Counted = Annotated[
    dict[ActCode, Annotated[int, Field(ge=0, le=999)]],
    Field(max_length=50, description="Acts that this practitioner billed since 1 January, by code."),
]
Coefficient = Annotated[Decimal, Field(gt=0, le=Decimal("9999.99"), description="At most two decimals.")]


class Asked(BaseModel):
    """No field that is not named here."""

    model_config = ConfigDict(extra="forbid")


class ActIn(Asked):
    """One line of the sheet. `charged_cents` is what is asked for the whole line; null = the tariff."""

    code: str = Field(
        pattern=_CODE,
        description="NGAP letters, or a CCAM, NABM, LPP or CIP code.",
    )
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] | None = None
    coefficient: Coefficient | None = None
    charged_cents: Annotated[int, Field(ge=0, le=MAX_CENTS)] | None = None
    activity: Literal["1", "2", "3", "4", "5"] | None = Field(default=None, description="Only for CCAM.")
    modifiers: Annotated[str, Field(pattern=r"^[A-Z0-9]{0,4}$")] | None = None
    association: Annotated[int, Field(ge=1, le=5)] | None = None


class PatientIn(Asked):
    """What a care act may say of the patient; the rest is on the card."""

    number: int = Field(default=1, ge=1, le=99, description="The person's place on the card.")
    ald: bool = False
    pregnancy_month: Annotated[int, Field(ge=1, le=9)] | None = None
    last_seen: Day | None = None
    billed_this_year: Counted | None = None


class PlaceIn(Asked):
    """The place of practice: its logical number on the CPS, or its nine digits when that CPS is away."""

    situation: str = Field(default="", pattern=r"^[0-9]{0,2}$")
    place: str = Field(default="", pattern=r"^([0-9A-Z]{9})?$")


class InsuredIn(Asked):
    """The insured person and organism of an attestation; `nir` with its key, 15 characters."""

    nir: Nir
    regime: str = Field(pattern=r"^[0-9]{2}$")
    caisse: str = Field(pattern=r"^[0-9]{3}$")
    centre: str = Field(pattern=r"^[0-9]{4}$")
    management_code: Annotated[str, Field(max_length=80)] = ""


class SpanIn(Asked):
    """From `start` to `end`, both days included; null leaves that side open."""

    start: Day | None = None
    end: Day | None = None


class CoverIn(SpanIn):
    """One period of cover: long illness, and the code of the situation."""

    ald: bool = False
    situation: Annotated[str, Field(max_length=80)] = "0100"


class CssIn(SpanIn):
    """A solidarity cover: who runs it, and whether the person contributes."""

    run_by: Literal["amo", "convention", "insurer"] = "amo"
    contribution: bool = False


class MutuelleIn(SpanIn):
    """A complementary contract managed with the compulsory scheme."""

    number: str = Field(pattern=r"^([0-9]{8}|[0-9]{10})$")
    contract: str = Field(max_length=80)
    treatment: Annotated[str, Field(max_length=80)] = "01"


class AmcIn(SpanIn):
    """A complementary insurer with its own flow."""

    number: str = Field(pattern=r"^([0-9]{8}|[0-9]{10})$")
    contract: str = Field(max_length=80)
    member: Annotated[str, Field(max_length=80)] = ""
    treatment: Annotated[str, Field(max_length=80)] = "00"
    domain: Annotated[str, Field(max_length=80)] = ""


class PersonIn(Asked):
    """One person of an attestation."""

    name: str = Field(max_length=80)
    first_name: str = Field(max_length=80)
    birth_date: Day
    birth_rank: int = Field(default=1, ge=1, le=9)
    quality: Annotated[str, Field(max_length=80)] = "0"
    nir: Nir | None = None
    address: Annotated[list[Annotated[str, Field(max_length=80)]], Field(max_length=5)] | None = None
    rights: list[SpanIn] = Field(default=[], max_length=20)
    coverage: list[CoverIn] = Field(default=[], max_length=20)
    css: CssIn | None = None
    mutuelle: MutuelleIn | None = None
    amc: AmcIn | None = None


class AttestationIn(Asked):
    """An attestation of rights: what stands in for a Vitale that is not there (gateway/attestation.py)."""

    insured: InsuredIn
    attestation: SpanIn
    ame: bool = False
    beneficiary: list[PersonIn] = Field(min_length=1, max_length=19)


class CareActIn(Asked):
    """A care act; everything else is on the cards, or on the attestation that stands in for one."""

    date: Day
    acts: list[ActIn] = Field(min_length=1, max_length=MAX_ACTS)
    practitioner: PlaceIn = PlaceIn()
    beneficiary: PatientIn = PatientIn()
    pathway: Pathway = "T"
    nature: Nature = "maladie"
    third_party: ThirdParty = "none"
    mode: Literal["secured", "desynchronised", "without-vitale", "degraded"] | None = Field(
        default=None, description="Left out: secured, or without-vitale when there is an attestation."
    )
    attestation: AttestationIn | None = Field(
        default=None, description="The proof of rights of a sheet without a Vitale."
    )
    complementary: Literal["", "mutuelle", "amc"] | None = Field(
        default=None, description="Which of two complementary covers counts."
    )
    accident_date: Day | None = Field(default=None, description="Only with nature at.")


class PractitionerIn(Asked):
    """The billing situation of who gives the care."""

    specialty: str = Field(min_length=1)
    convention: str = Field(min_length=1)
    optam: bool = False
    zone: Zone = "metropole"


class ExemptionIn(Asked):
    """A right with its days, both included; null leaves that side open. It counts on the day it holds."""

    kind: Literal["ald", "maternity", "aspa", "css", "acs", "ame"]
    start: Day | None = None
    end: Day | None = None


class BeneficiaryIn(Asked):
    """The rights that change the price: no identity."""

    birth_date: Day
    regime: str = Field(default="01", min_length=1)
    alsace_moselle: bool = False
    ald: bool = False
    css: bool = False
    ame: bool = False
    aspa: bool = False
    pregnancy_month: Annotated[int, Field(ge=1, le=9)] | None = None
    complementary: Annotated[str, Field(min_length=1)] | None = None
    last_seen: Day | None = None
    css_contribution: bool = False
    css_insurer: bool = False
    acs: bool = False
    foreign: bool = False
    exemptions: Annotated[list[ExemptionIn], Field(max_length=20)] | None = None
    billed_this_year: Counted | None = None


class CareRequestIn(Asked):
    """One sheet to price without any card: the object of `vitale-gateway price`."""

    date: Day
    practitioner: PractitionerIn
    beneficiary: BeneficiaryIn
    acts: list[ActIn] = Field(min_length=1, max_length=MAX_ACTS)
    pathway: Pathway = "T"
    nature: Nature = "maladie"
    third_party: ThirdParty = "none"


class SessionIn(Asked):
    """How the PIN of the CPS is given: here, or on the reader's own pad. `last_try`: even if it may block."""

    pin: str | None = Field(default=None, pattern=r"^[0-9]{4}$", json_schema_extra={"writeOnly": True})
    pin_pad: bool = False
    last_try: bool = False
