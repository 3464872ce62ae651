"""A card as a PDF page to print: the doses for people, the QR code (60 mm) for verifiers.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#via-qr-print-or-scan

Drawn with reportlab (docs/decisions/0012-pdf.md). The fonts every reader has hold the letters of Western Europe;
the setting `card_font` names a font for others.
"""

import io
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from reportlab.lib.pagesizes import LETTER
from reportlab.lib.units import mm as _mm
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas

from fhir_server.http.card_face import Face
from smart_health_cards.fast_qr import matrix
from smart_health_cards.qr import numeric

_WIDTH, _HEIGHT = LETTER
mm: float = _mm
_MARGIN = 18 * mm
_CODE = 60 * mm
_QUIET = 4
_WIDTHS = (30 * mm, 36 * mm, 60 * mm, 22 * mm, 31 * mm)
_LEADING = 1.3
_STROKES = dict(zip("ŁłĐđĦħŦŧı", "LlDdHhTti", strict=True))
"""Letters whose stroke Unicode does not take for a mark."""


def pdf(face: Face, jws: str, font_file: Path | None = None) -> bytes:
    """The PDF of a card; one page, more where the doses need them. The same card gives the same bytes."""
    regular, bold, drawable = _fonts(font_file)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=LETTER, invariant=1, lang=face.language)
    canvas.setTitle(face.title)
    top = _HEIGHT - _MARGIN

    def write(text: str, font: str, size: float, x: float = _MARGIN, width: float = _WIDTH - 2 * _MARGIN) -> None:
        nonlocal top
        top = _lines(canvas, drawable(text), font, size, x, top, width)

    write(face.title, bold, 12)
    write(face.name, bold, 20)
    write(face.born, regular, 12)
    if face.warning is not None:
        write(face.warning, bold, 12)
    top -= 4 * mm
    _code(canvas, jws, _MARGIN, top - _CODE)
    top -= _CODE + 6 * mm
    for number, row in enumerate((face.columns, *face.doses)):
        if top < _MARGIN + 30 * mm:
            canvas.showPage()
            top = _HEIGHT - _MARGIN
        top = _row(canvas, [drawable(cell) for cell in row], bold if number == 0 else regular, top)
    top -= 4 * mm
    for note in (*face.notes, face.scan):
        write(note, regular, 9)
    canvas.save()
    return buffer.getvalue()


def _row(canvas: Canvas, cells: Sequence[str], font: str, top: float) -> float:
    """Draw a row of the table; the height it ends at."""
    x: float = _MARGIN
    lowest: float = top
    for cell, width in zip(cells, _WIDTHS, strict=True):
        lowest = min(lowest, _lines(canvas, cell, font, 9, x, top, width - 2 * mm))
        x += width
    canvas.setLineWidth(0.4)
    canvas.line(_MARGIN, lowest - 1 * mm, _WIDTH - _MARGIN, lowest - 1 * mm)
    return lowest - 2.5 * mm


def _lines(canvas: Canvas, text: str, font: str, size: float, x: float, top: float, width: float) -> float:
    """Draw a text within a width; the height it ends at."""
    canvas.setFont(font, size)
    for line in simpleSplit(text, font, size, width):
        top -= size * _LEADING
        canvas.drawString(x, top, line)
    return top


def _code(canvas: Canvas, jws: str, x: float, y: float) -> None:
    """The QR code as one path of black runs, its quiet zone within the 60 mm."""
    dark = matrix(numeric(jws))
    module = _CODE / (len(dark) + 2 * _QUIET)
    path = canvas.beginPath()
    for line, row in enumerate(dark):
        bottom = y + _CODE - (line + 1 + _QUIET) * module
        start = None
        for column, module_dark in enumerate([*row, False]):
            if module_dark and start is None:
                start = column
            elif not module_dark and start is not None:
                path.rect(x + (start + _QUIET) * module, bottom, (column - start) * module, module)
                start = None
    canvas.setFillGray(0)
    canvas.drawPath(path, stroke=0, fill=1)


@cache
def _fonts(path: Path | None) -> tuple[str, str, Callable[[str], str]]:
    """Names of the regular and the bold font, and what makes a text one they can draw."""
    if path is None:
        return "Helvetica", "Helvetica-Bold", _western
    try:
        font = TTFont("card", str(path))
    except (TTFError, OSError):
        return _fonts(None)
    pdfmetrics.registerFont(font)
    glyphs = font.face.charToGlyph
    return "card", "card", lambda text: "".join(_nearest(char, lambda c: ord(c) in glyphs) for char in text)


def _western(text: str) -> str:
    return "".join(_nearest(char, _is_western) for char in unicodedata.normalize("NFC", text))


def _is_western(char: str) -> bool:
    try:
        return bool(char.encode("cp1252"))
    except UnicodeEncodeError:
        return False


def _nearest(char: str, known: Callable[[str], bool]) -> str:
    """The character, else the letter without its marks, else a question mark: never an empty box."""
    if known(char):
        return char
    bare = "".join(
        part for part in unicodedata.normalize("NFKD", _STROKES.get(char, char)) if not unicodedata.combining(part)
    )
    return bare if bare and all(known(part) for part in bare) else "?"
