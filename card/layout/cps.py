"""What is on a CPS3: file identifiers, the files of the MF, and the whole tree of both faces.

Directory files are in `card.layout.pkcs15`, business data in `card.layout.cps_data`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from card.iso7816 import tlv
from card.layout import pkcs15
from card.layout.cps_data import (
    Activities,
    Activity,
    CardId,
    CardIdFile,
    HolderName,
    HolderNameFile,
    LanguageFile,
    ProfessionalInfo,
    ProfessionalInfoFile,
    SituationFile,
)
from card.layout.der import oid
from card.layout.identifiers import luhn_digit, passes_luhn
from card.layout.pkcs15 import ConstantFile
from card.layout.reading import value_of
from card.layout.ssv import Group
from card.layout.tree import Df, Ef, FileCodec, LayoutError

__all__ = [  # business data are part of the card: their names are read from here too
    "Activities",
    "Activity",
    "CardId",
    "CardIdFile",
    "HolderName",
    "HolderNameFile",
    "LanguageFile",
    "ProfessionalInfo",
    "ProfessionalInfoFile",
    "SituationFile",
]

# CPS3 contact: T=0, WI 42, country 250.
ATR = bytes.fromhex("3BAC00402A00" + "1225006480000310009000")

AID_MF = bytes.fromhex("8025000001FF0100")
AID_CONTACT = bytes.fromhex("E828BD080F8025000001FF0010")
AID_CONTACTLESS = bytes.fromhex("E828BD080F8025000001FF0020")

FID_MF = 0x3F00
FID_DIR = 0x2F00
FID_ATR = 0x2F01
FID_SN = 0xD003
FID_DF_CONTACT = 0x0001
FID_DF_CONTACTLESS = 0x0002

FID_ODF = pkcs15.FID_ODF
FID_TOKEN_INFO = pkcs15.FID_TOKEN_INFO
FID_AODF = pkcs15.FID_AODF
FID_PRKDF = pkcs15.FID_PRKDF
FID_CDF = pkcs15.FID_CDF
FID_DODF = pkcs15.FID_DODF

FID_DATA = 0xD107
FID_ACTIVITY_FIRST = 0xD120  # to D12F: sixteen activities
MAX_ACTIVITIES = 16

# INVENTED(cps-fids): only D107 and D120 to D12F are known; these identifiers are carried by the CDF and DODF.
FID_CERT_SIGNATURE = 0xA001
FID_CERT_AUTHENTICATION = 0xA002
FID_ID_CARD = 0xD101
FID_NAME_PS = 0xD102
FID_LANG_PS = 0xD103
FID_INFO_PS = 0xD104

# INVENTED(cps-billing-situation): readers find the billing situations in the IAS face too, in file D110.
FID_SIT_FACT = 0xD110

# The CPS2ter face: 3F00/7F01/4000 and 3F00/4010 to 401F.
FID_2TER_DF = 0x7F01
FID_2TER_SIT_FACT = 0x4000
FID_2TER_ACTIVITY_FIRST = 0x4010

SFI_DIR, SFI_ATR, SFI_SN = 0x1E, 0x1D, 0x1C

KEY_SIGNATURE = 0x81
KEY_AUTHENTICATION = 0x82
ID_SIGNATURE = AID_CONTACT + b"\x01"
ID_AUTHENTICATION = AID_CONTACT + b"\x02"

ISSUER = bytes.fromhex("8025000001")

_NEVER = bytes.fromhex("7BFFFFFFFFFF00")
_BY_ISSUER = bytes.fromhex("7B45FFFFFF4500")
_READ_WITH_PIN = bytes.fromhex("7B45FFFFFF4511")
_UPDATE_WITH_PIN = bytes.fromhex("7B45FFFFFF1100")
_DF_ACL = bytes.fromhex("7AFFFFFFFF45")

_DATA_SIZE = 256
_CERTIFICATE_SIZE = 2048


class EfDir(ConstantFile):
    """EF.DIR (2F00): 101 bytes, the contactless application first, each with the path the Cryptolib needs."""

    NAME = "CPS EF.DIR"
    CONTENT = b"".join(
        tlv.encode(
            0x61,
            tlv.encode(0x4F, aid),
            tlv.encode(0x50, label),
            tlv.encode(0x51, bytes.fromhex("3F00") + fid.to_bytes(2, "big")),
            tlv.encode(0x73, tlv.encode(0x4F, AID_CONTACT)),
        )
        for aid, label, fid in (
            (AID_CONTACTLESS, b"CPX IAS CL", FID_DF_CONTACTLESS),
            (AID_CONTACT, b"CPX IAS", FID_DF_CONTACT),
        )
    )
    EXAMPLES = (
        (
            None,
            bytes.fromhex(
                "61324F0DE828BD080F8025000001FF0020500A4350582049415320434C51043F000002"
                "730F4F0DE828BD080F8025000001FF0010"
                "612F4F0DE828BD080F8025000001FF001050074350582049415351043F000001"
                "730F4F0DE828BD080F8025000001FF0010"
            ),
        ),
    )


class EfAtr(ConstantFile):
    """EF.ATR (2F01): 57 bytes, as read on real cards; its first byte 80 stands before the data objects."""

    NAME = "CPS EF.ATR"
    CONTENT = b"\x80" + b"".join(
        (
            tlv.encode(0x43, b"\xb8"),  # card services
            tlv.encode(0x46, bytes.fromhex("04B0ECC1")),  # pre-issuing data
            tlv.encode(0x47, bytes.fromhex("940180")),  # capabilities: chaining, extended lengths
            tlv.encode(0x4F, AID_MF),
            tlv.encode(0xE0, *(tlv.encode(0x02, size.to_bytes(2, "big")) for size in (260, 260, 256, 256))),
            tlv.encode(0x78, oid("1.3.162.15480.2")),
            tlv.encode(0x82, bytes.fromhex("9000")),
        )
    )
    EXAMPLES = (
        (
            None,
            bytes.fromhex(
                "804301B8460404B0ECC147039401804F088025000001FF0100"
                "E010020201040202010402020100020201007808060 62B8122F8780282029000".replace(" ", "")
            ),
        ),
    )


class SerialNumber(FileCodec):
    """EF.SN (D003): 12 bytes, issuer, 8 digits, one Luhn digit over the 18 before it, filler F."""

    NAME = "CPS EF.SN"
    EXAMPLES = (("99213845", bytes.fromhex("5A0A8025000001992138450F")),)

    @classmethod
    def encode(cls, value: str) -> bytes:
        """8 digits to bytes."""
        return tlv.encode(0x5A, serial_object(value))

    @classmethod
    def decode(cls, data: bytes) -> str:
        """Bytes to the 8 digits; raises LayoutError when issuer, key or filler are wrong."""
        digits = value_of(data, 0x5A, "EF.SN").hex()
        wrong = len(digits) != 20 or digits[-1] != "f" or not passes_luhn(digits[:-1])
        if wrong or not digits.startswith(ISSUER.hex()):
            raise LayoutError("file EF.SN does not hold the serial number of a CPS")
        return digits[10:18]


def serial_object(serial: str) -> bytes:
    """The 10 bytes of object 5A for a serial of 8 digits."""
    if len(serial) != 8 or not (serial.isascii() and serial.isdecimal()):
        raise LayoutError("a CPS serial number has 8 digits")
    digits = ISSUER.hex() + serial
    return bytes.fromhex(f"{digits}{luhn_digit(digits)}F")


@dataclass(frozen=True, slots=True)
class CpsContent:
    """All that one card carries, before it becomes files. Certificates are DER."""

    serial: str
    card: CardId
    holder: HolderName
    info: ProfessionalInfo
    activities: tuple[Activity, ...]
    situations: tuple[Group, ...]
    signature_certificate: bytes = field(repr=False)
    authentication_certificate: bytes = field(repr=False)


def keys(*, compatible: bool = False) -> tuple[pkcs15.KeyEntry, ...]:
    """The two keys of the PrKDF. `compatible` adds the algorithm that lets OpenSC use the signature key.

    Real cards name no algorithm here: OpenSC concludes from the rules of the key, and so do we.
    """
    return (
        pkcs15.KeyEntry(
            "CPS_PRIV_SIG",
            ID_SIGNATURE,
            KEY_SIGNATURE,
            (0,),
            (pkcs15.rule(pkcs15.PSO_CDS, pkcs15.PIN_ID),),
            (pkcs15.USE_NON_REPUDIATION,),
            (5,) if compatible else (),
        ),
        pkcs15.KeyEntry(
            "CPS_PRIV_AUT",
            ID_AUTHENTICATION,
            KEY_AUTHENTICATION,
            (0, 1, 2),
            (
                pkcs15.rule(pkcs15.PSO_DECRYPT, pkcs15.PIN_ID),
                pkcs15.rule(pkcs15.INT_AUTH, pkcs15.PIN_ID),
            ),
            (pkcs15.USE_DECRYPT, pkcs15.USE_SIGN),
        ),
    )


CERTIFICATES = (
    pkcs15.CertificateEntry("Certificat de Signature CPS", ID_SIGNATURE, FID_CERT_SIGNATURE),
    pkcs15.CertificateEntry("Certificat d'Authentification CPS", ID_AUTHENTICATION, FID_CERT_AUTHENTICATION),
)


def data_entries(activities: int) -> tuple[pkcs15.DataEntry, ...]:
    """The DODF of a card with that many activities."""
    free = (
        ("CPS_DATA", FID_DATA),
        ("CPS_ID_CARD", FID_ID_CARD),
        ("CPS_NAME_PS", FID_NAME_PS),
        ("CPS_LANG_PS", FID_LANG_PS),
        ("CPS_INFO_PS", FID_INFO_PS),
    )
    protected = [
        *((f"CPS_ACTIVITY_{at + 1:02}_PS", (FID_ACTIVITY_FIRST + at,)) for at in range(activities)),
        ("CPS_SIT_FACT", (FID_MF, FID_2TER_DF, FID_2TER_SIT_FACT)),
        *(
            (f"CPS2TER_ACTIVITY_{at + 1:02}_PS", (FID_MF, FID_2TER_ACTIVITY_FIRST + at))
            for at in range(activities)
        ),
    ]
    return (
        *(pkcs15.DataEntry(label, (fid,), False) for label, fid in free),
        *(pkcs15.DataEntry(label, path, True) for label, path in protected),
    )


def cps_tree(content: CpsContent, *, compatible: bool = False) -> Df:
    """The IAS-ECC face: MF, contact application, empty contactless application."""
    if not 1 <= len(content.activities) <= MAX_ACTIVITIES:
        raise LayoutError(f"a CPS holds 1 to {MAX_ACTIVITIES} activities, not {len(content.activities)}")
    return Df(
        FID_MF,
        "MF",
        AID_MF,
        (
            _mf_file(FID_DIR, "EF.DIR", EfDir.CONTENT, SFI_DIR, _BY_ISSUER),
            _mf_file(FID_ATR, "EF.ATR", EfAtr.CONTENT, SFI_ATR, _BY_ISSUER),
            _mf_file(FID_SN, "EF.SN", SerialNumber.encode(content.serial), SFI_SN, _NEVER),
            Df(FID_DF_CONTACT, "CPX IAS", AID_CONTACT, _contact(content, compatible=compatible), _DF_ACL),
            Df(FID_DF_CONTACTLESS, "CPX IAS CL", AID_CONTACTLESS, (), _DF_ACL),
        ),
        _DF_ACL,
    )


def second_face(content: CpsContent) -> Df:
    """The CPS2ter face (CLA A0): copies of the activities, and the billing situations in 7F01/4000."""
    copies = tuple(
        Ef(FID_2TER_ACTIVITY_FIRST + at, f"CPS2TER_ACTIVITY_{at + 1:02}", data, acl=_READ_WITH_PIN)
        for at, data in enumerate(Activities.encode(content.activities))
    )
    billing = Ef(
        FID_2TER_SIT_FACT, "CPS_SIT_FACT", SituationFile.encode(content.situations), acl=_READ_WITH_PIN
    )
    return Df(FID_MF, "MF", None, (*copies, Df(FID_2TER_DF, "SESAM", None, (billing,), _DF_ACL)), _DF_ACL)


def _contact(content: CpsContent, *, compatible: bool) -> tuple[Ef, ...]:
    """The files of the contact application."""
    activities = tuple(
        _file(FID_ACTIVITY_FIRST + at, f"CPS_ACTIVITY_{at + 1:02}", data, _READ_WITH_PIN)
        for at, data in enumerate(Activities.encode(content.activities))
    )
    return (
        _file(FID_ODF, "ODF", pkcs15.Odf.CONTENT),
        _file(FID_TOKEN_INFO, "TokenInfo", pkcs15.TokenInfo.encode(content.card.number)),
        _file(FID_AODF, "AODF", pkcs15.Aodf.COMPATIBLE if compatible else pkcs15.Aodf.CONTENT),
        _file(FID_PRKDF, "PrKDF", pkcs15.PrKdf.encode(keys(compatible=compatible))),
        _file(FID_CDF, "CDF", pkcs15.Cdf.encode(CERTIFICATES)),
        _file(FID_DODF, "DODF", pkcs15.Dodf.encode(data_entries(len(content.activities)))),
        _file(FID_CERT_SIGNATURE, "CERT_SIG", content.signature_certificate),
        _file(FID_CERT_AUTHENTICATION, "CERT_AUT", content.authentication_certificate),
        _file(FID_DATA, "CPS_DATA", bytes(_DATA_SIZE), _UPDATE_WITH_PIN),
        _file(FID_ID_CARD, "CPS_ID_CARD", CardIdFile.encode(content.card)),
        _file(FID_NAME_PS, "CPS_NAME_PS", HolderNameFile.encode(content.holder)),
        _file(FID_LANG_PS, "CPS_LANG_PS", LanguageFile.encode(("fr",))),
        _file(FID_INFO_PS, "CPS_INFO_PS", ProfessionalInfoFile.encode(content.info)),
        _file(FID_SIT_FACT, "CPS_SIT_FACT", SituationFile.encode(content.situations), _READ_WITH_PIN),
        *activities,
    )


def _file(fid: int, name: str, content: bytes, acl: bytes = _BY_ISSUER) -> Ef:
    return Ef(fid, name, content, acl=acl)


def _mf_file(fid: int, name: str, content: bytes, sfi: int, acl: bytes) -> Ef:
    """A file below the MF, with the exact FCP of the real card: nothing but reading without contact."""
    fcp = tlv.encode(
        0x62,
        tlv.encode(0x80, len(content).to_bytes(2, "big")),
        tlv.encode(0x82, b"\x01"),
        tlv.encode(0x83, fid.to_bytes(2, "big")),
        tlv.encode(0x88, bytes((sfi << 3,))),
        tlv.encode(0xA1, tlv.encode(0x8C, acl), tlv.encode(0x9C, _NEVER)),
        tlv.encode(0x8A, b"\x05"),
    )
    return Ef(fid, name, content, sfi=sfi, acl=acl, fcp=fcp)
