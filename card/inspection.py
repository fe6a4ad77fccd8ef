"""What is on a card, in words: the files of an image decoded into plain values ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from card.kernel.errors import ImageError
from card.layout import cps, ssv, vitale
from card.layout.ssv import Group
from card.layout.tree import LayoutError

if TYPE_CHECKING:
    from card.kernel.memory import Memory

_SITUATION_WORDS = {
    ssv.SITUATION_PLAIN: "plain",
    ssv.SITUATION_ALSACE_MOSELLE: "alsace-moselle",
    ssv.SITUATION_MATERNITY: "maternity",
    ssv.SITUATION_ASPA: "aspa",
}


def read_memory(memory: Memory) -> dict[str, object]:
    """The card in `memory` as plain values; raises ImageError when a file cannot be understood."""
    readers = {b"vitale": _vitale, b"cps": _cps}
    kind = memory.get("card/kind") or b""
    if kind not in readers:
        raise ImageError("The card image does not say whether it is a CPS or a Vitale; make the card again.")
    try:
        return readers[kind](memory)
    except LayoutError as wrong:
        raise ImageError(
            f"The card image holds a file that cannot be read ({wrong}); make the card again."
        ) from None


def file_content(memory: Memory, *path: int, tree: str = "ias") -> bytes:
    """The bytes of the file at `path` (identifiers from 3F00); raises ImageError when it is absent."""
    key = "/".join((tree, *(f"{fid:04X}" for fid in path))) + "#"
    content = memory.get(key)
    if content is None:
        raise ImageError(f"The card image lacks file {path[-1]:04X}; make the card again.")
    return content


def _vitale(memory: Memory) -> dict[str, object]:
    def mf(fid: int) -> bytes:
        return file_content(memory, vitale.FID_MF, fid)

    def application(fid: int) -> bytes:
        return file_content(memory, vitale.FID_MF, vitale.FID_DF_VITALE, fid)

    groups = vitale.decode_rights({fid: application(fid) for fid in vitale.RIGHTS_FILES})
    certificate = vitale.Certificate.decode(mf(vitale.FID_CERTIFICATE))
    return {
        "kind": "vitale",
        "serial": vitale.Pan.decode(mf(vitale.FID_PAN)),
        "validity_start": vitale.Validity.decode(mf(vitale.FID_VALIDITY)).isoformat(),
        "validity_end": certificate.expiry.isoformat(),
        "issuer": certificate.issuer.decode("ascii", "replace"),
        "insured": _insured(groups),
        "beneficiaries": _beneficiaries(groups, vitale.NirList.decode(application(vitale.FID_NIR))),
    }


def _insured(groups: Iterable[Group]) -> dict[str, object]:
    for group in groups:
        if group.number == ssv.INSURED:
            names = ("card_type", "regime", "caisse", "centre", "management_code")
            return {
                "nir": group.get("nir") + group.get("nir_key"),
                **{name: group.get(name) for name in names},
            }
    raise LayoutError("the insured person is missing")


def _beneficiaries(groups: Iterable[Group], nirs: tuple[str, ...]) -> list[dict[str, object]]:
    people: list[dict[str, object]] = []
    for group in groups:
        if group.number == ssv.BENEFICIARY:
            nir = nirs[len(people)] if len(people) < len(nirs) else ""
            people.append(_beneficiary(group, nir))
        elif people:
            _add_right(people[-1], group)
    return people


def _beneficiary(group: Group, nir: str) -> dict[str, object]:
    person: dict[str, object] = {
        "name": group.get("name"),
        "first_name": group.get("first_name"),
        "birth_date": _day(group.get("birth_date")),
        "nir": nir,
        "rank": int(group.get("birth_rank") or "1"),
        "quality": group.get("quality"),
        "css": None,
        "rights": [],
        "coverage": [],
        "mutuelle": None,
        "amc": None,
    }
    if (service := group.get("amo_service")) in ssv.CSS_SERVICES:
        start, end = group.get("amo_service_start"), group.get("amo_service_end")
        run_by, contribution = ssv.CSS_SERVICES[service]
        css: dict[str, object] = {"start": _day(start), "end": _day(end)}
        if service != ssv.AMO_SERVICE_CSS:
            css |= {"run_by": run_by, "contribution": contribution}
        person["css"] = css
    return person


def _add_right(person: dict[str, object], group: Group) -> None:
    """Put a group that follows 104 where it belongs."""
    rights, coverage, mutuelle = person["rights"], person["coverage"], person["mutuelle"]
    if group.number == ssv.AMO_RIGHTS and isinstance(rights, list):
        rights.append(_period(group))
    elif group.number == ssv.COVERAGE and isinstance(coverage, list):
        situation = group.get("situation")
        coverage.append(
            {
                **_period(group),
                "ald": group.get("ald") == ssv.ALD_EXEMPTING,
                "situation": _SITUATION_WORDS.get(situation, situation),
            }
        )
    elif group.number == ssv.MUTUELLE:
        person["mutuelle"] = {
            "number": group.get("number"),
            "contract": group.get("guarantees"),
            "periods": [],
        }
    elif group.number == ssv.MUTUELLE_RIGHTS and isinstance(mutuelle, dict):
        mutuelle["periods"].append(_period(group))
    elif group.number == ssv.AMC:
        names = {"number": group.get("b2_number"), "contract": group.get("services")}
        person["amc"] = {**names, **_period(group)}


def _cps(memory: Memory) -> dict[str, object]:
    def application(fid: int) -> bytes:
        return file_content(memory, cps.FID_MF, cps.FID_DF_CONTACT, fid)

    card = cps.CardIdFile.decode(application(cps.FID_ID_CARD))
    situations = cps.SituationFile.decode(application(cps.FID_SIT_FACT))
    certificates = (
        ("signature", application(cps.FID_CERT_SIGNATURE)),
        ("authentication", application(cps.FID_CERT_AUTHENTICATION)),
    )
    return {
        "kind": "cps",
        "serial": cps.SerialNumber.decode(file_content(memory, cps.FID_MF, cps.FID_SN)),
        "number": card.number,
        "category": card.category,
        "validity_start": card.valid_from.isoformat(),
        "validity_end": card.valid_to.isoformat(),
        "practitioner": _practitioner(
            cps.HolderNameFile.decode(application(cps.FID_NAME_PS)),
            cps.ProfessionalInfoFile.decode(application(cps.FID_INFO_PS)),
        ),
        "situations": [_named(group) for group in situations],
        "certificates": [_certificate(use, der) for use, der in certificates],
    }


def _practitioner(holder: cps.HolderName, info: cps.ProfessionalInfo) -> dict[str, object]:
    return {
        "national_id": holder.national_id,
        "civility": holder.civility,
        "name": holder.name,
        "first_name": holder.first_name,
        "profession": holder.profession,
        "specialty": info.specialty,
    }


def _named(group: Group) -> dict[str, object]:
    """All fields of a group by name; the two entitlements as true or false."""
    values: Mapping[str, str] = dict(zip(ssv.field_names(group.number), group.fields, strict=True))
    return {name: value == "1" if name.startswith("may_") else value for name, value in values.items()}


def _certificate(use: str, der: bytes) -> dict[str, object]:
    from cryptography import x509  # noqa: PLC0415 - start-up time of the command line
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    try:
        certificate = x509.load_der_x509_certificate(der)
    except ValueError:
        raise LayoutError(f"the {use} certificate is not X.509") from None
    issuer = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return {
        "use": use,
        "serial": f"{certificate.serial_number:X}",
        "issuer": issuer[0].value if issuer else "",
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
    }


def _period(group: Group) -> dict[str, object]:
    return {"start": _day(group.get("start")), "end": _day(group.get("end"))}


def _day(text: str) -> str | None:
    """AAAAMMJJhhmm as an ISO date; None for none."""
    if not text or text == ssv.NO_DATE:
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])).isoformat()
    except ValueError:
        raise LayoutError("a date is not AAAAMMJJhhmm") from None
