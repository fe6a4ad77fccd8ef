"""Values and bytes of every NOEMIE and ARL entity: invented people, NIR of the public test data."""

from __future__ import annotations

from typing import Any

Example = tuple[dict[str, Any], bytes]

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "010": (
        (
            {"level": "01", "number": "9999999", "key": "8"},
            b"0100199999998@",
        ),
    ),
    "020": (
        (
            {"level": "01", "number": "991234572"},
            b"02001991234572      @",
        ),
    ),
    "040": (
        (
            {"level": "01", "number": "991234564"},
            b"04001991234564      @",
        ),
    ),
    "070": (
        (
            {"level": "02", "date": "261125"},
            b"07002261125@",
        ),
    ),
    "071": (
        (
            {"level": "02", "date": "261125", "label": "VIREMENT TEST CAISSE 349",
            "second_label": "RETOUR 000001", "organism": "0199900349"},
            b"07102261125VIREMENT TEST CAISSE 349        RETOUR 000001                   0199900349@",
        ),
    ),
    "080": (
        (
            {"level": "02", "date": "261123", "number": 7},
            b"08002261123007@",
        ),
    ),
    "081": (
        (
            {"level": "02", "type": "01", "place": "349"},
            b"0810201349           @",
        ),
    ),
    "100": (
        (
            {"level": "03", "invoice": 123},
            b"10003000000123@",
        ),
    ),
    "102": (
        (
            {"level": "03", "invoice": 123, "complement": "A", "lot": 7, "lot_date": "261123", "type": "F",
            "date": "261120", "amc_treatment": "1", "nature": "AS"},
            b"10203000000123A     007261123F2611201AS@",
        ),
    ),
    "103": (
        (
            {"level": "03", "nir": "2501962643002", "nir_key": "68", "insured_name": "TEST ASSUREE",
            "insured_first_name": "ALPHA", "insured_birth_name": "TEST NEE", "own_nir": "2501962643502",
            "own_key": "53", "birth_date": "500131", "birth_rank": "1", "name": "TEST BENEFICIAIRE",
            "first_name": "BETA", "unit": "0001"},
            b"10303250196264300268TEST ASSUREE             ALPHA          TEST NEE                 25019"
            b"62643502535001311TEST BENEFICIAIRE        BETA           0001@",
        ),
    ),
    "110": (
        (
            {"level": "03", "nir": "2501962643002", "nir_key": "68", "name": "TEST ASSUREE",
            "first_name": "ALPHA", "birth_name": "TEST NEE"},
            b"11003250196264300268TEST ASSUREE             ALPHA          TEST NEE                   @",
        ),
    ),
    "120": (
        (
            {"level": "03", "name": "TEST BENEFICIAIRE", "first_name": "BETA", "birth_date": "500131",
            "birth_rank": "1", "unit": "0001"},
            b"12003TEST BENEFICIAIRE        BETA           50013110001@",
        ),
    ),
    "150": (
        (
            {"level": "03", "nature": "AM"},
            b"15003AM@",
        ),
    ),
    "160": (
        (
            {"level": "03", "number": "ARCHIVE0000000001"},
            b"16003ARCHIVE0000000001@",
        ),
    ),
    "198": (
        (
            {"level": "03", "asked": 2100, "state": "P", "paid": 2050, "sign": "P"},
            b"1980300002100P00002050P@",
        ),
    ),
    "199": (
        (
            {"level": "03", "asked": 900, "state": "D", "paid": 850, "sign": "N", "number": "0099999997",
            "member": "TESTMEMBER00001"},
            b"1990300000900D00000850N0099999997TESTMEMBER00001@",
        ),
    ),
    "210": (
        (
            {"level": "03", "line": 1, "start": "261120", "end": "261121", "unit": 3000, "base": 4500,
            "rate": 70, "paid": 3150, "sign": "P", "act": "G", "complement": "", "quantity": 1,
            "coefficient": 150, "count": 2, "charged": 5000, "qualifier": "DE", "local_rate": 20,
            "local_amount": 900, "amc_rate": 30, "amc_amount": 1350, "amc_base": 4400},
            b"2100301261120261121              000030000000450007000003150PG    0010015000200005000DE020"
            b"000009000300000135000004400@",
        ),
    ),
    "220": (
        (
            {"level": "03", "line": 1, "start": "261120", "end": "261121", "dmt": "175", "mode": "07",
            "unit": 91234, "base": 228085, "rate": 80, "paid": 182468, "sign": "P", "act": "GHS",
            "quantity": 2, "coefficient": 125, "charged": 240000},
            b"220030126112026112117507         000912340022808508000182468PGHS  00200125   00240000     "
            b"                           @",
        ),
    ),
    "250": (
        (
            {"level": "02", "debt": "DETTE0000000001", "nature": "TP", "operation": "OP000001",
            "amount": 1234, "balance": 5678},
            b"25002DETTE0000000001TPOP0000010000123400005678@",
        ),
    ),
    "261": (
        (
            {"level": "02", "kind": "FMT1", "amount": 50000, "sign": "P"},
            b"26102FMT100050000P@",
        ),
    ),
    "262": (
        (
            {"level": "02", "detail": "FORFAIT TEST"},
            b"26202FORFAIT TEST                                                                         "
            b"                                           @",
        ),
    ),
    "290": (
        (
            {"level": "03", "line": 1, "code": "0450072", "text": "EXONERATION ABSENTE DE NOTRE FICHIER"},
            b"29003010450072   EXONERATION ABSENTE DE NOTRE FICHIER                                     "
            b"       @",
        ),
    ),
    "294": (
        (
            {"level": "03", "code": "2900", "text": "FACTURE DEJA PAYEE", "level_of": "F", "share": "O",
            "act": "G", "date": "261120", "executor": "991234564", "line": 1, "rank": "1",
            "info": "2900005"},
            b"294032900FACTURE DEJA PAYEE                                                               "
            b"     FOG    2611209912345640011 2900005                       @",
        ),
    ),
    "295": (
        (
            {"level": "03", "rank": 1, "text": "COMMENTAIRE DE TEST"},
            b"295031COMMENTAIRE DE TEST                                                                 "
            b"                                            @",
        ),
    ),
    "901": (
        (
            {"level": "01", "lot_date": "261123", "lot": 7, "file_id": "000042",
            "compostage": "2026112318300000042", "received": "20261123183105", "sign": "-", "invoices": 50,
            "error_class": "L", "code": "4003",
            "digest": "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"},
            b"90101261123007000042202611231830000004220261123183105-00050L40030123456789ABCDEF0123456789"
            b"ABCDEF0123456789ABCDEF0123456789ABCDEF@",
        ),
    ),
    "902": (
        (
            {"level": "02", "rank": 1, "record": 912, "invoice": 123, "position": 11, "error_class": "L",
            "code": "4003", "text": "RECORD 6 SAYS 49 FOR INVOICES, THE INVOICES MAKE 50"},
            b"9020200100000912000000123011L4003RECORD 6 SAYS 49 FOR INVOICES, THE INVOICES MAKE 50      "
            b"                       @",
        ),
    ),
    "990": (
        (
            {"level": "03", "id": "000000123", "count": 7, "sum": 2950, "sign": "N"},
            b"99003000000123        0000000700000002950N@",
        ),
    ),
    "999N": (
        (
            {"sender_type": "TP", "sender": "00000991234564", "sender_program": "VITGTW",
            "destination_type": "CT", "destination": "00000001999349", "destination_program": "",
            "application": "NO", "file_id": "000042", "records": 12, "flow_type": "T", "lots": 1,
            "total": 2950, "sign": "N"},
            b"999TP00000991234564VITGTWCT00000001999349      NO00004200000012T                  00100000"
            b"002950N                               ",
        ),
    ),
}  # fmt: skip
