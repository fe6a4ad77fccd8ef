"""Why a lot is refused, in the words of an ARL: class, code, record, invoice, position, one sentence."""

from __future__ import annotations

from gateway.errors import GatewayError

CLASSES = {
    "E": "envelope or cryptography, before the signer is known (one code for everything)",
    "F": "format of a record",
    "D": "duplicate number",
    "L": "lot counters and totals",
    "S": "signature or certificate",
    "V": "opposition",
}

# INVENTED(arl-error-codes): the real dictionary is not public; four digits, the first names the class.
CODES = {
    "1000": ("E", "the message cannot be opened"),
    "2001": ("F", "a file is not made of whole 128-byte records"),
    "2002": ("F", "a record is unknown or out of its place"),
    "2003": ("F", "a field of a record is not usable"),
    "2004": ("F", "records of one invoice do not carry the same numbers"),
    "2005": ("F", "a security record is malformed"),
    "2006": ("F", "the key of a person's number is wrong"),
    "2007": ("F", "a date is not a day of the calendar"),
    "3001": ("D", "an invoice number stands twice in the lot"),
    "3002": ("D", "an invoice number was already received"),
    "3003": ("D", "the file was already received with another content"),
    "3004": ("D", "the lot number was already used on this date"),
    "3005": ("D", "the number of the mail (compostage) was already used for another file"),
    "4001": ("L", "the number of records of the file is wrong"),
    "4002": ("L", "the number of lots of the file is wrong"),
    "4003": ("L", "the number of invoices of the lot is wrong"),
    "4004": ("L", "the number of lines is wrong"),
    "4005": ("L", "a total of an invoice is wrong"),
    "4006": ("L", "a total of the lot is wrong"),
    "4007": ("L", "the file passes its limit of records"),
    "4008": ("L", "an invoice does not belong to this lot"),
    "4009": ("L", "the end of the file does not repeat its beginning"),
    "4010": ("L", "the lot passes its limit of records"),
    "4011": ("L", "an invoice is sent to another organism than the insured person's"),
    "4012": ("L", "a demand for the complementary share asks for something else"),
    "5001": ("S", "the signature of the lot is wrong"),
    "5002": ("S", "the certificate of the professional is not to be trusted"),
    "5003": ("S", "the signature of the professional on an invoice is wrong"),
    "5004": ("S", "the seal of the Vitale card on an invoice is wrong"),
    "5005": ("S", "the certificate of the Vitale card is not to be trusted"),
    "5006": ("S", "the professional in the invoice is not the one who signed"),
    "6001": ("V", "the Vitale card is on the opposition list"),
    "6002": ("V", "the card of the professional is on the opposition list"),
}


class LotRefusal(GatewayError):
    """A file, a lot or an invoice in it is refused.

    `error_class` one letter of CLASSES, `error_code` four digits of CODES, `record` the number of the record
    in the file (1 = 000, 0 = not one record), `invoice` the invoice number (0 = the whole lot), `position`
    the first position of the field in the record (0 = the whole record). str() is the sentence.
    `reason`: more words for the local audit only, never for the peer (class E).
    """

    code = "lot-refused"

    def __init__(
        self,
        error_code: str,
        sentence: str,
        *,
        record: int = 0,
        invoice: int = 0,
        position: int = 0,
        reason: str = "",
    ) -> None:
        super().__init__(sentence)
        self.error_class = CODES[error_code][0]
        self.error_code = error_code
        self.record, self.invoice, self.position = record, invoice, position
        self.reason = reason

    @property
    def sentence(self) -> str:
        """What is wrong, in one sentence without personal data."""
        return str(self)
