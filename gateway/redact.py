"""A second net under the rule that no NIR is ever logged: digit runs that look like one are removed.

The first net is that no text is built from a NIR at all. This one catches what a library, a peer's
SMTP answer or an exception of the interpreter may carry.
"""

from __future__ import annotations

import logging
import re

MASK = "[removed]"

# Sex, year, month, department (2A and 2B included), commune, order, and perhaps the two-digit key;
# people group the parts with blanks, dots or hyphens.
_S = r"[\s.\-]{0,2}"
_NIR = re.compile(
    rf"(?<!\d)[1-478]{_S}\d\d{_S}\d\d{_S}(?:\d\d|2[ABab]){_S}\d{{3}}{_S}\d{{3}}(?:{_S}\d\d)?(?!\d)"
)
# Any other free-standing run of 13 or 15 digits: also a NIR with an impossible month or sex.
_RUN = re.compile(r"(?<!\d)(?:\d{15}|\d{13})(?!\d)")


def redact(text: str) -> str:
    """The text without anything of the form of a NIR (13 characters, or 15 with its key)."""
    return _RUN.sub(MASK, _NIR.sub(MASK, text))


class RedactingFilter(logging.Filter):
    """Put on a handler: every record leaves it with its message, arguments and traceback redacted."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; always lets it through."""
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        elif record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True
