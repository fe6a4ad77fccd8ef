"""Values and bytes of every B2 and security record: invented people, NIR of the public test data."""

from __future__ import annotations

from typing import Any

Example = tuple[dict[str, Any], bytes]

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "000": (
        (
            {"sender_type": "TP", "sender": "00000991234564", "sender_program": "VITGTW",
            "destination_type": "CT", "destination": "00000001999349", "destination_program": "",
            "application": "TR", "file_id": "000042", "created": "261123", "norm": "CP", "version": "B2",
            "compacting": "", "encryption": "", "currency": "", "flow_type": "T", "password": "",
            "message": "VITALE GATEWAY"},
            b"000TP00000991234564VITGTWCT00000001999349      TR000042261123CP  B2   T           128     "
            b" VITALE GATEWAY                       ",
        ),
    ),
    "1": (
        (
            {"ps": "991234564", "organism": "349", "lot": 7, "category": "000", "status": "00",
            "tariff_mode": "00", "name": "TEST MEDECIN UN", "created": "261123"},
            b"1991234564      3490070000000TEST MEDECIN UN                         B2261123 CP 062007U  "
            b"                                      ",
        ),
    ),
    "2": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "operation": "1", "entry": "000000005", "regime": "01", "caisse": "349", "centre": "0349",
            "proof_nature": "1", "proof_date": "261101", "organism": "349", "nature": "10",
            "exemption": "0", "date": "261120", "accident": "261019000", "birth_date": "500131",
            "birth_rank": "1", "start": "261120", "end": "261121", "contract_type": "12",
            "complementary": "0099999997"},
            b"2991234564 25019626430026800000000012310000000050134903491261101      349   10026112026101"
            b"9000 5001311261120261121  120099999997",
        ),
    ),
    "2S": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "own_nir": "2501962643502", "own_key": "53", "pathway": "T"},
            b"2991234564S250196264300268000000000123           250196264350253                          "
            b"                              T       ",
        ),
    ),
    "2C": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "postal_code": "99123"},
            b"2991234564C250196264300268000000000123                                                    "
            b"99123                                 ",
        ),
    ),
    "2B": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "civility": "1"},
            b"2991234564B250196264300268000000000123 1                                                  "
            b"                                      ",
        ),
    ),
    "3": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "mode": "07", "dmt": "175", "start": "261120", "end": "261121", "act": "GHS", "quantity": 2,
            "exemption": "1", "coefficient": 125, "mco_coefficient": 10070, "unit": 91234, "base": 228085,
            "rate": 80, "amo": 182468, "charged": 240000, "amc": 45617},
            b"3991234564 25019626430026800000000012307175261120261121GHS  002100125 10070009123400228085"
            b"0800018246800240000            0045617",
        ),
    ),
    "3F": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "code": "9999999", "quantity": 1, "tariff": 1500, "tariff_total": 1500, "limit": 1600,
            "limit_total": 1600, "charged": 1550},
            b"3991234564F250196264300268000000000123    9999999                    010001500000150000016"
            b"0000016000001550                      ",
        ),
    ),
    "3H": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "code": "9999998", "coefficient": 1000, "price": 2100, "margin": 120, "charged_unit": 2220,
            "quantity": 3, "charged": 6660},
            b"3991234564H250196264300268000000000123          9999998 0000001000000210000001200002220003"
            b"0006660                               ",
        ),
    ),
    "4": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "mode": "19", "dmt": "175", "exemption": "4", "specialty": "01", "date": "261120", "act": "G",
            "quantity": 1, "coefficient": 150, "count": 2, "unit": 3000, "base": 4500, "rate": 70,
            "amo": 3150, "charged": 5000, "amc": 1350},
            b"4991234564 25019626430026800000000012319175          4             01261120G    0100015002"
            b"0003000000450007000031500005000 001350",
        ),
    ),
    "4M": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "code": "ZZZZ001", "extension": "1", "activity": "4", "phase": "0", "modifiers": "AB12",
            "association": "2", "conditional": "O", "teeth": "1112131415161718"},
            b"4991234564M250196264300268000000000123    ZZZZ001      140AB122O      1112131415161718    "
            b"                                      ",
        ),
    ),
    "4B": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "date_1": "261120", "quantity_1": 1, "code_1": "0000123", "date_2": "261121", "quantity_2": 2,
            "code_2": "0001123", "date_3": "261122", "quantity_3": 3, "code_3": "0002123",
            "date_4": "261123", "quantity_4": 4, "code_4": "0003123", "date_5": "261124", "quantity_5": 5,
            "code_5": "0004123"},
            b"4991234564B250196264300268000000000123          261120010000123 261121020001123 2611220300"
            b"02123 261123040003123 261124050004123 ",
        ),
    ),
    "4F": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "code": "3400936485464", "quantity": 2, "tariff": 116, "tariff_total": 232, "charged": 232},
            b"4991234564F250196264300268000000000123    3400936485464              0200001160000232     "
            b"         0000232                      ",
        ),
    ),
    "5": (
        (
            {"ps": "991234564", "nir": "2501962643002", "nir_key": "68", "rank": "000", "invoice": 123,
            "lines": 2, "hospital": 228085, "hospital_amo": 182468, "fees": 4500, "fees_amo": 3150,
            "insured_share": 46967, "hospital_amc": 45617, "fees_amc": 1350, "charged": 245000,
            "third_party": "2"},
            b"5991234564 2501962643002680000000001230020022808500182468000045000000315000046967000456170"
            b"0001350                 00245000     2",
        ),
    ),
    "6": (
        (
            {"ps": "991234564", "invoices": 50, "lines": 63, "records": 912, "third_party": 12,
            "charged": 150000, "amo": 105000, "amc": 31500, "lot": 7},
            b"699123456405000630912012000150000000105000000031500007                                    "
            b"                                      ",
        ),
    ),
    "999": (
        (
            {"sender_type": "TP", "sender": "00000991234564", "sender_program": "VITGTW",
            "destination_type": "CT", "destination": "00000001999349", "destination_program": "",
            "application": "TR", "file_id": "000042", "records": 23, "lots": 1},
            b"999TP00000991234564VITGTWCT00000001999349      TR00004200000023                   001     "
            b"                                      ",
        ),
    ),
    "7H": (
        (
            {"ps": "991234564", "national_id": "899000000012", "invoice": 123, "mode": 3,
            "elaborated": "20261120101500", "vitale_serial": "80250990000000000017",
            "cps_serial": "8025099900001234", "third_party": 1, "pathway": "S1", "centre": "999",
            "organism": "349", "rectifies": "000000097", "rectified_date": "261112"},
            b"7991234564H899000000012      000000123320261120101500S256802509900000000000178025099900001"
            b"234    1S1999349000000097261112      1",
        ),
    ),
    "7L": (
        (
            {"ps": "991234564", "national_id": "899000000012", "compostage": "2026112318300000042",
            "invoices": "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"},
            b"7991234564L89900000001220261123183000000420123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"
            b"0123456789ABCDEF                     1",
        ),
    ),
    "7*": (
        (
            {"index": 2, "total": 3, "size": 344, "letter": "V",
            "body": "TestOnlyTestOnlyTestOnlyTestOnlyTestOnlyTestOnlyTestOnlyTestOnly"},
            b"7020300344VTestOnlyTestOnlyTestOnlyTestOnlyTestOnlyTestOnlyTestOnlyTestOnly               "
            b"                                      ",
        ),
    ),
}  # fmt: skip
