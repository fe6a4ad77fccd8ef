"""NOEMIE entities: type (3), level of break (2), fixed zones, "@" (billing facts, section 3).

000 and 999 are 128-byte records without "@". Sizes count the "@". Where only the size of a zone is public,
its division is the project's own.
"""

from __future__ import annotations

from gateway.records import b2
from gateway.records.fields import Field, Record, code, const, day, num, text
from gateway.records.noemie_examples import EXAMPLES

_START = b2.file_zone("999")


def _entity(kind: str, size: int, *fields: Field) -> tuple[Field, ...]:
    return (const(1, kind), code("level", 4, 2), *fields, const(size, "@"))


class ComplementaryOrganism(Record):
    """010: the complementary organism and its key."""

    NAME, SIZE = "010", 14
    EXAMPLES = EXAMPLES["010"]
    FIELDS = _entity("010", 14, code("number", 6, 7), text("key", 13, 1))


class Mandatary(Record):
    """020: who receives for somebody else."""

    NAME, SIZE = "020", 21
    EXAMPLES = EXAMPLES["020"]
    FIELDS = _entity("020", 21, text("number", 6, 15))


class Payee(Record):
    """040: who is paid."""

    NAME, SIZE = "040", 21
    EXAMPLES = EXAMPLES["040"]
    FIELDS = _entity("040", 21, text("number", 6, 15))


class AccountingDate(Record):
    """070: the accounting date."""

    NAME, SIZE = "070", 12
    EXAMPLES = EXAMPLES["070"]
    FIELDS = _entity("070", 12, day("date", 6))


class TransferLabel(Record):
    """071: the bank transfer as the account statement shows it."""

    NAME, SIZE = "071", 86
    EXAMPLES = EXAMPLES["071"]
    FIELDS = _entity(
        "071",
        86,
        day("date", 6),
        text("label", 12, 32),
        text("second_label", 44, 32),
        text("organism", 76, 10),
    )


class LotReference(Record):
    """080: the lot."""

    NAME, SIZE = "080", 15
    EXAMPLES = EXAMPLES["080"]
    FIELDS = _entity("080", 15, day("date", 6), num("number", 12, 3))


class ReturnType(Record):
    """081: 01 electronic flows, 02 paper, 03 flat-rate payments, 04 rappels, 05 retenues."""

    NAME, SIZE = "081", 22
    EXAMPLES = EXAMPLES["081"]
    FIELDS = _entity("081", 22, code("type", 6, 2), text("place", 8, 14))


class InvoiceNumber(Record):
    """100: the invoice, short form."""

    NAME, SIZE = "100", 15
    EXAMPLES = EXAMPLES["100"]
    FIELDS = _entity("100", 15, num("invoice", 6, 9))


class InvoiceReference(Record):
    """102: the invoice. `type`: F FSE, B degraded, D DRE, A AMC, P C paper, E, L, R. `nature`: AS AM AT."""

    NAME, SIZE = "102", 40
    EXAMPLES = EXAMPLES["102"]
    FIELDS = _entity(
        "102",
        40,
        num("invoice", 6, 9),
        text("complement", 15, 6),
        num("lot", 21, 3),
        day("lot_date", 24),
        text("type", 30, 1),
        day("date", 31),
        text("amc_treatment", 37, 1),
        text("nature", 38, 2),
    )


# INVENTED(noemie-103-names): positions 21-85 of entity 103 hold names, how they are divided is not public.
class Persons(Record):
    """103: the insured person, then the beneficiary."""

    NAME, SIZE = "103", 152
    EXAMPLES = EXAMPLES["103"]
    FIELDS = _entity(
        "103",
        152,
        code("nir", 6, 13),
        code("nir_key", 19, 2),
        text("insured_name", 21, 25),
        text("insured_first_name", 46, 15),
        text("insured_birth_name", 61, 25),
        code("own_nir", 86, 13),
        code("own_key", 99, 2),
        day("birth_date", 101),
        text("birth_rank", 107, 1),
        text("name", 108, 25),
        text("first_name", 133, 15),
        text("unit", 148, 4),
    )


# INVENTED(noemie-110-120-zones): only the sizes of entities 110 and 120 are public, zones follow entity 103.
class Insured(Record):
    """110: the insured person."""

    NAME, SIZE = "110", 88
    EXAMPLES = EXAMPLES["110"]
    FIELDS = _entity(
        "110",
        88,
        code("nir", 6, 13),
        code("nir_key", 19, 2),
        text("name", 21, 25),
        text("first_name", 46, 15),
        text("birth_name", 61, 25),
    )


class Patient(Record):
    """120: the beneficiary."""

    NAME, SIZE = "120", 57
    EXAMPLES = EXAMPLES["120"]
    FIELDS = _entity(
        "120",
        57,
        text("name", 6, 25),
        text("first_name", 31, 15),
        day("birth_date", 46),
        text("birth_rank", 52, 1),
        text("unit", 53, 4),
    )


class Nature(Record):
    """150: AS maladie, AM maternité, AT accident."""

    NAME, SIZE = "150", 8
    EXAMPLES = EXAMPLES["150"]
    FIELDS = _entity("150", 8, text("nature", 6, 2))


class Archiving(Record):
    """160: the archiving number."""

    NAME, SIZE = "160", 23
    EXAMPLES = EXAMPLES["160"]
    FIELDS = _entity("160", 23, text("number", 6, 17))


_SHARE = (num("asked", 6, 8), text("state", 14, 1), num("paid", 15, 8), text("sign", 23, 1, "P"))


class AmoShare(Record):
    """198: the obligatory share. `state`: blank, D deferred, P paid, R rejected. `sign`: P or N."""

    NAME, SIZE = "198", 24
    EXAMPLES = EXAMPLES["198"]
    FIELDS = _entity("198", 24, *_SHARE)


class AmcShare(Record):
    """199: the complementary share."""

    NAME, SIZE = "199", 49
    EXAMPLES = EXAMPLES["199"]
    FIELDS = _entity("199", 49, *_SHARE, text("number", 24, 10), text("member", 34, 15))


class ActPaid(Record):
    """210: one act. `coefficient` in hundredths; amounts in cents."""

    NAME, SIZE = "210", 118
    EXAMPLES = EXAMPLES["210"]
    FIELDS = _entity(
        "210",
        118,
        num("line", 6, 2),
        day("start", 8),
        day("end", 14),
        num("unit", 34, 8),
        num("base", 42, 8),
        num("rate", 50, 3),
        num("paid", 53, 8),
        text("sign", 61, 1, "P"),
        text("act", 62, 3),
        text("complement", 65, 2),
        num("quantity", 67, 3),
        num("coefficient", 70, 5),
        num("count", 75, 3),
        num("charged", 78, 8),
        text("qualifier", 86, 2),
        num("local_rate", 88, 3),
        num("local_amount", 91, 8),
        num("amc_rate", 99, 3),
        num("amc_amount", 102, 8),
        num("amc_base", 110, 8),
    )


# INVENTED(noemie-220-zones): only the size of entity 220 is public, its zones follow entity 210.
class HospitalPaid(Record):
    """220: one service of an establishment."""

    NAME, SIZE = "220", 118
    EXAMPLES = EXAMPLES["220"]
    FIELDS = _entity(
        "220",
        118,
        num("line", 6, 2),
        day("start", 8),
        day("end", 14),
        code("dmt", 20, 3),
        code("mode", 23, 2),
        num("unit", 34, 8),
        num("base", 42, 8),
        num("rate", 50, 3),
        num("paid", 53, 8),
        text("sign", 61, 1, "P"),
        text("act", 62, 5),
        num("quantity", 67, 3),
        num("coefficient", 70, 5),
        num("charged", 78, 8),
    )


# INVENTED(noemie-flat-rates): sizes of 250, 261 and 262 are public, not where their zones begin.
class Withholding(Record):
    """250: a debt taken from the payment."""

    NAME, SIZE = "250", 47
    EXAMPLES = EXAMPLES["250"]
    FIELDS = _entity(
        "250",
        47,
        text("debt", 6, 15),
        text("nature", 21, 2),
        text("operation", 23, 8),
        num("amount", 31, 8),
        num("balance", 39, 8),
    )


class FlatRate(Record):
    """261: a flat-rate payment."""

    NAME, SIZE = "261", 19
    EXAMPLES = EXAMPLES["261"]
    FIELDS = _entity("261", 19, text("kind", 6, 4), num("amount", 10, 8), text("sign", 18, 1, "P"))


class FlatRateDetail(Record):
    """262: what the flat-rate payment is for."""

    NAME, SIZE = "262", 134
    EXAMPLES = EXAMPLES["262"]
    FIELDS = _entity("262", 134, text("detail", 6, 128))


class Signal(Record):
    """290: a reject or signalement with a long code."""

    NAME, SIZE = "290", 98
    EXAMPLES = EXAMPLES["290"]
    FIELDS = _entity("290", 98, num("line", 6, 2), text("code", 8, 10), text("text", 18, 80))


class Reject(Record):
    """294: `level` F invoice, L line, C refined code; `share` O obligatory or both, C complementary."""

    NAME, SIZE = "294", 153
    EXAMPLES = EXAMPLES["294"]
    FIELDS = _entity(
        "294",
        153,
        code("code", 6, 4),
        text("text", 10, 86),
        text("level_of", 96, 1),
        text("share", 97, 1),
        text("act", 98, 5),
        day("date", 103),
        code("executor", 109, 9),
        num("line", 118, 3),
        text("rank", 121, 2),
        text("info", 123, 30),
    )


class Comment(Record):
    """295: free text; `rank` numbers the comments of an invoice from 1."""

    NAME, SIZE = "295", 135
    EXAMPLES = EXAMPLES["295"]
    FIELDS = _entity("295", 135, num("rank", 6, 1), text("text", 7, 128))


class Break(Record):
    """990: closes a level: its id, how many things of the level below, their sum and its sign."""

    NAME, SIZE = "990", 43
    EXAMPLES = EXAMPLES["990"]
    FIELDS = _entity(
        "990", 43, text("id", 6, 17), num("count", 23, 8), num("sum", 31, 11), text("sign", 42, 1, "P")
    )


# INVENTED(arl-layout): the ARL layout is not public, only the fields it must carry; NOEMIE syntax is used.
class Acknowledged(Record):
    """901: one lot acknowledged. `sign` + or -; `digest`: SHA-256 (hex) of the file as received."""

    NAME, SIZE = "901", 129
    EXAMPLES = EXAMPLES["901"]
    FIELDS = _entity(
        "901",
        129,
        day("lot_date", 6),
        num("lot", 12, 3),
        code("file_id", 15, 6),
        code("compostage", 21, 19),
        code("received", 40, 14),
        text("sign", 54, 1),
        num("invoices", 55, 5),
        text("error_class", 60, 1),
        text("code", 61, 4),
        text("digest", 65, 64),
    )


class Refused(Record):
    """902: one reason. `invoice` 0 means the whole lot; `position` counts from 1 in the record."""

    NAME, SIZE = "902", 114
    EXAMPLES = EXAMPLES["902"]
    FIELDS = _entity(
        "902",
        114,
        num("rank", 6, 3),
        num("record", 9, 8),
        num("invoice", 17, 9),
        num("position", 26, 3),
        text("error_class", 29, 1),
        code("code", 30, 4),
        text("text", 34, 80),
    )


class ReturnEnd(Record):
    """999 of a return: entities (000 and 999 included), flow type, lots, total and its sign."""

    NAME = "999"
    EXAMPLES = EXAMPLES["999N"]
    FIELDS = (
        *_START,
        num("records", 56, 8),
        text("flow_type", 64, 1),
        num("lots", 83, 3),
        num("total", 86, 11),
        text("sign", 97, 1, "P"),
    )


ENTITIES: tuple[type[Record], ...] = (
    ComplementaryOrganism, Mandatary, Payee, AccountingDate, TransferLabel, LotReference, ReturnType,
    InvoiceNumber, InvoiceReference, Persons, Insured, Patient, Nature, Archiving, AmoShare, AmcShare,
    ActPaid, HospitalPaid, Withholding, FlatRate, FlatRateDetail, Signal, Reject, Comment, Acknowledged,
    Refused, Break,
)  # fmt: skip
RECORDS: tuple[type[Record], ...] = (*ENTITIES, ReturnEnd)
