"""The two papers an insured person takes away, as PDF: monthly statement and attestation of rights."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fpdf import FPDF
from fpdf.enums import XPos, YPos

_INK, _FAINT, _BAND = (23, 32, 51), (90, 99, 117), (232, 238, 247)
_WARNING = "SPECIMEN - banc d'essai, personnes inventées, aucune valeur"


class Paper(FPDF):
    """A4 with a title, and on each page the word that it is a specimen."""

    def __init__(self, title: str, made: datetime) -> None:
        super().__init__(format="A4")
        self.set_title(_latin(title))
        self.set_creation_date(made)
        self._title = title
        self.set_auto_page_break(True, margin=20)
        self.add_page()

    def header(self) -> None:
        """The caisse of the bench, and what this is."""
        self.set_text_color(*_FAINT)
        self.set_font("Helvetica", size=9)
        self._line("Caisse du banc d'essai", 5)
        self.set_text_color(*_INK)
        self.set_font("Helvetica", "B", 16)
        self._line(self._title, 10)
        self.ln(2)

    def footer(self) -> None:
        """The warning, and the page's number."""
        self.set_y(-15)
        self.set_text_color(*_FAINT)
        self.set_font("Helvetica", size=8)
        self.cell(0, 5, _latin(f"{_WARNING} - page {self.page_no()}"), align="C")

    def paragraph(self, text: str, *, bold: bool = False) -> None:
        """Text over the whole width."""
        self.set_font("Helvetica", "B" if bold else "", 10)
        self.multi_cell(0, 5.5, _latin(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(1)

    def grid(self, widths: Sequence[int], rows: Sequence[Sequence[str]], *, right_from: int) -> None:
        """A table: its first row is the heading; columns from `right_from` on are right-aligned."""
        align = tuple("R" if at >= right_from else "L" for at in range(len(widths)))
        self.set_font("Helvetica", size=8.5)
        with self.table(
            col_widths=tuple(widths), text_align=align, line_height=5, borders_layout="HORIZONTAL_LINES",
            cell_fill_color=_BAND, cell_fill_mode="ROWS",
        ) as table:  # fmt: skip
            for row in rows:
                table.row([_latin(text) for text in row])
        self.ln(3)

    def to_bytes(self) -> bytes:
        """The file."""
        return bytes(self.output())

    def _line(self, text: str, height: float) -> None:
        self.cell(0, height, _latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _latin(text: str) -> str:
    """What the fonts that every reader has can write."""
    plain = text.replace("€", "EUR").replace("’", "'").replace("œ", "oe").replace("\u202f", " ")
    return plain.encode("latin-1", "replace").decode("latin-1")
