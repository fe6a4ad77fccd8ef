"""What to do about a refusal: one sentence for each code of an ARL or a payment return, for a person."""

from __future__ import annotations

from collections.abc import Mapping

_OF_CLASS: Mapping[str, str] = {
    "E": "do not send this lot again: check that [receiver] certificate is the one in force, wait for "
    "payments of these sheets (some organisms process what they reject so), then bill again those not paid",
    "F": "this is a mistake of the software: report it, then bill the sheets of this lot again",
    "D": "look for the earlier receipt of the same sheets first: the organism has this number already",
    "L": "this is a mistake of the software: report it, then bill the sheets of this lot again",
    "S": "check that the CPS is valid and its certificate is not revoked, then bill the sheets again",
    "V": "do not bill with this card again: send the paper sheet, and tell the patient to renew the card",
}

_OF_PAYMENT: Mapping[str, str] = {
    "2900005": "nothing is to be done: the organism has paid this sheet already",
    "0250050": "ask the patient for an attestation of rights, then rectify the sheet",
    "0250051": "have the Vitale updated or ask for an attestation of rights, then rectify the sheet",
    "0450072": "have the Vitale updated, then rectify the sheet without the exemption or with its proof",
    "0317051": "choose the nature of insurance that the acts belong to, then rectify the sheet",
    "0500001": "compare the price with the reasons of the return, then rectify the sheet",
    "0500002": "choose an act that is in the tariff on the day of the care, then rectify the sheet",
    "0250060": "ask the patient for the card of the complementary insurer, then ask for that share again",
    "0250061": "the contract was closed on that day: ask the patient for the complementary share",
    "0250062": "send a demand (DRE) to the complementary insurer, or ask the patient for that share",
    "0250063": "this contract takes no demand (DRE): ask the patient for the complementary share",
    "0500003": "compare the complementary share with the contract, then rectify the sheet",
    "0900001": "ask the insurer for its reason, or ask the patient for the complementary share",
}

_UNKNOWN = "read the reason, ask the organism if it is not clear, then rectify the sheet"


def of_receipt(error_class: str) -> str:
    """What to do about a negative ARL of this class (E, F, D, L, S, V)."""
    return _OF_CLASS.get(error_class, _UNKNOWN)


def of_payment(code: str) -> str:
    """What to do about a payment that was refused with this code (four digits and three, blanks allowed)."""
    return _OF_PAYMENT.get(code.replace(" ", ""), _UNKNOWN)
