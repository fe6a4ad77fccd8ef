"""What the receiver says about one message: values only, no NIR and no name in any of them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LotKey:
    """What makes a lot the same lot: who sent it, its file and its mail. Fixed by the sender at sealing."""

    sender: str
    file_id: str
    compostage: str

    def __str__(self) -> str:
        return f"{self.sender}/{self.file_id}/{self.compostage}"


@dataclass(frozen=True)
class Answer:
    """The outcome of one message.

    `arl` is the ARL file in clear (empty when nobody can be answered), `message` the sealed mail that
    carries it, `reason` stays in the local log. `error_class` and `code` are empty for a positive ARL.
    `repeated` says that the message was known and the stored ARL goes out again.
    """

    key: LotKey | None
    positive: bool
    error_class: str
    code: str
    arl: bytes = field(repr=False)
    message: bytes = field(repr=False)
    reason: str = ""
    repeated: bool = False
    alarm: bool = False
    invoices: int = 0
