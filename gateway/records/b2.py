"""B2 records, norm "CP": 128 bytes, no separator (billing facts, section 2)."""

from __future__ import annotations

from gateway.records.b2_examples import EXAMPLES
from gateway.records.fields import Field, Record, code, const, day, num, text


def file_zone(kind: str) -> tuple[Field, ...]:
    """Positions 1 to 55, common to 000 and 999."""
    return (
        const(1, kind),
        text("sender_type", 4, 2, "TP"),
        code("sender", 6, 14),
        text("sender_program", 20, 6),
        text("destination_type", 26, 2),
        code("destination", 28, 14),
        text("destination_program", 42, 6),
        text("application", 48, 2, "TR"),
        code("file_id", 50, 6),
    )


def _invoice(kind: str, letter: str = " ") -> tuple[Field, ...]:
    """Positions 1 to 38, common to every record of an invoice; 11 is the letter of the sub-record."""
    return (
        const(1, kind),
        code("ps", 2, 9),
        const(11, letter),
        code("nir", 12, 13),
        code("nir_key", 25, 2),
        code("rank", 27, 3),
        num("invoice", 30, 9),
    )


class FileStart(Record):
    """000: who sends what to whom. NOEMIE uses 68-71; in B2 only the flow type (71) is used, T in test."""

    NAME = "000"
    EXAMPLES = EXAMPLES["000"]
    FIELDS = (
        *file_zone("000"),
        day("created", 56),
        text("norm", 62, 4, "CP"),
        text("version", 66, 2, "B2"),
        text("compacting", 68, 1),
        text("encryption", 69, 1),
        text("currency", 70, 1),
        text("flow_type", 71, 1),
        const(83, "128"),
        text("password", 86, 6),
        text("message", 92, 37),
    )


class FileEnd(Record):
    """999 of B2: repeats 000 up to 55, counts records (both ends included) and lots."""

    NAME = "999"
    EXAMPLES = EXAMPLES["999"]
    FIELDS = (*file_zone("999"), num("records", 56, 8), num("lots", 83, 3))


class LotStart(Record):
    """1: one lot of one professional."""

    NAME = "1"
    EXAMPLES = EXAMPLES["1"]
    FIELDS = (
        const(1, "1"),
        code("ps", 2, 9),
        code("organism", 17, 3),
        num("lot", 20, 3),
        code("category", 23, 3),
        code("status", 26, 2),
        code("tariff_mode", 28, 2),
        text("name", 30, 40),
        const(70, "B2"),
        day("created", 72),
        const(79, "CP"),
        const(82, "062007"),
        const(88, "U"),
    )


class InvoiceStart(Record):
    """2: insured, beneficiary, organism, nature of insurance."""

    NAME = "2"
    EXAMPLES = EXAMPLES["2"]
    FIELDS = (
        *_invoice("2"),
        text("operation", 39, 1),
        code("entry", 40, 9),
        code("regime", 49, 2),
        code("caisse", 51, 3),
        code("centre", 54, 4),
        text("proof_nature", 58, 1),
        day("proof_date", 59),
        code("organism", 71, 3),
        code("nature", 77, 2),
        text("exemption", 79, 1),
        day("date", 80),
        code("accident", 86, 9),
        day("birth_date", 96),
        text("birth_rank", 102, 1),
        day("start", 103),
        day("end", 109),
        text("contract_type", 117, 2),
        code("complementary", 119, 10),
    )


class InvoicePathway(Record):
    """2S: the beneficiary's own number and the pathway indicator."""

    NAME = "2S"
    EXAMPLES = EXAMPLES["2S"]
    FIELDS = (*_invoice("2", "S"), code("own_nir", 50, 13), code("own_key", 63, 2), text("pathway", 121, 1))


class InvoicePlace(Record):
    """2C: the postal code."""

    NAME = "2C"
    EXAMPLES = EXAMPLES["2C"]
    FIELDS = (*_invoice("2", "C"), code("postal_code", 91, 5))


class InvoiceCivility(Record):
    """2B: the civility."""

    NAME = "2B"
    EXAMPLES = EXAMPLES["2B"]
    FIELDS = (*_invoice("2", "B"), text("civility", 40, 1))


class HospitalLine(Record):
    """3: a service of an establishment. Coefficients in hundredths (65) and ten-thousandths (71)."""

    NAME = "3"
    EXAMPLES = EXAMPLES["3"]
    FIELDS = (
        *_invoice("3"),
        code("mode", 39, 2),
        code("dmt", 41, 3),
        day("start", 44),
        day("end", 50),
        text("act", 56, 5),
        num("quantity", 61, 3),
        text("exemption", 64, 1),
        num("coefficient", 65, 5),
        num("mco_coefficient", 71, 5),
        num("unit", 76, 7),
        num("base", 83, 8),
        num("rate", 91, 3),
        num("amo", 94, 8),
        num("charged", 102, 8),
        num("amc", 122, 7),
    )


# INVENTED(b2-3f-names): positions of 3F and 3H are public, the meaning of their amounts is read from context.
class HospitalDevice(Record):
    """3F: a device of the LPP list."""

    NAME = "3F"
    EXAMPLES = EXAMPLES["3F"]
    FIELDS = (
        *_invoice("3", "F"),
        text("code", 43, 13),
        num("quantity", 70, 2),
        num("tariff", 72, 7),
        num("tariff_total", 79, 7),
        num("limit", 86, 7),
        num("limit_total", 93, 7),
        num("charged", 100, 7),
    )


class HospitalMedicine(Record):
    """3H: a medicine by its UCD code."""

    NAME = "3H"
    EXAMPLES = EXAMPLES["3H"]
    FIELDS = (
        *_invoice("3", "H"),
        text("code", 49, 8),
        num("coefficient", 57, 10),
        num("price", 67, 7),
        num("margin", 74, 7),
        num("charged_unit", 81, 7),
        num("quantity", 88, 3),
        num("charged", 91, 7),
    )


class FeeLine(Record):
    """4: an act. Coefficient in hundredths; amounts in cents; `charged` includes the excess."""

    NAME = "4"
    EXAMPLES = EXAMPLES["4"]
    FIELDS = (
        *_invoice("4"),
        code("mode", 39, 2),
        code("dmt", 41, 3),
        text("exemption", 54, 1),
        code("specialty", 68, 2),
        day("date", 70),
        text("act", 76, 5),
        num("quantity", 81, 2),
        num("coefficient", 83, 6),
        num("count", 89, 2),
        num("unit", 91, 7),
        num("base", 98, 7),
        num("rate", 105, 3),
        num("amo", 108, 7),
        num("charged", 115, 7),
        num("amc", 123, 6),
    )


class FeeCcam(Record):
    """4M: the CCAM detail of the line before it."""

    NAME = "4M"
    EXAMPLES = EXAMPLES["4M"]
    FIELDS = (
        *_invoice("4", "M"),
        text("code", 43, 13),
        text("extension", 56, 1),
        text("activity", 57, 1),
        text("phase", 58, 1),
        text("modifiers", 59, 4),
        text("association", 63, 1),
        text("conditional", 64, 1),
        text("teeth", 71, 32),
    )


class FeeBiology(Record):
    """4B: up to five biology acts of the line before it."""

    NAME = "4B"
    EXAMPLES = EXAMPLES["4B"]
    FIELDS = (
        *_invoice("4", "B"),
        *(
            field
            for i in range(5)
            for field in (
                day(f"date_{i + 1}", 49 + 16 * i),
                num(f"quantity_{i + 1}", 55 + 16 * i, 2),
                text(f"code_{i + 1}", 57 + 16 * i, 8),
            )
        ),
    )


# INVENTED(b2-4f): 3F is public, for establishments; 4F has the LPP or CIP code of a fee line in its places.
class FeeProduct(Record):
    """4F: the device (LPP) or medicine (CIP) of the line before. `tariff`: of one; `tariff_total`: base."""

    NAME = "4F"
    EXAMPLES = EXAMPLES["4F"]
    FIELDS = (
        *_invoice("4", "F"),
        text("code", 43, 13),
        num("quantity", 70, 2),
        num("tariff", 72, 7),
        num("tariff_total", 79, 7),
        num("charged", 100, 7),
    )


class InvoiceEnd(Record):
    """5: the totals of an invoice. `fees` is the base of reimbursement, as for the hospital total."""

    NAME = "5"
    EXAMPLES = EXAMPLES["5"]
    FIELDS = (
        *_invoice("5"),
        num("lines", 39, 3),
        num("hospital", 42, 8),
        num("hospital_amo", 50, 8),
        num("fees", 58, 8),
        num("fees_amo", 66, 8),
        num("insured_share", 74, 8),
        num("hospital_amc", 82, 8),
        num("fees_amc", 90, 8),
        num("charged", 115, 8),
        # INVENTED(b2-third-party): no public place says it in degraded B2; 5:128: blank AMO, 0 none, 2 full.
        text("third_party", 128, 1),
    )


# INVENTED(b2-lot-end-names): positions of record 6 are public, what they count is chosen here.
class LotEnd(Record):
    """6: invoices, act lines, records of all invoices, invoices with third-party payment, totals."""

    NAME = "6"
    EXAMPLES = EXAMPLES["6"]
    FIELDS = (
        const(1, "6"),
        code("ps", 2, 9),
        num("invoices", 11, 3),
        num("lines", 14, 4),
        num("records", 18, 4),
        num("third_party", 22, 3),
        num("charged", 25, 9),
        num("amo", 34, 9),
        num("amc", 43, 9),
        num("lot", 52, 3),
    )


RECORDS: tuple[type[Record], ...] = (
    FileStart, LotStart, InvoiceStart, InvoicePathway, InvoicePlace, InvoiceCivility, HospitalLine,
    HospitalDevice, HospitalMedicine, FeeLine, FeeCcam, FeeBiology, FeeProduct, InvoiceEnd, LotEnd, FileEnd,
)  # fmt: skip
