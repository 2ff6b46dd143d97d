"""Scanned pages of a PDF: found by what is drawn on them, and read by OCR where it is installed."""

from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from ingest.parse import ocr
from ingest.parse.document import clean
from ragplatform.errors import ParseError

# A scan may bear a stamped number as text; below this, a picture of a page is taken for the page.
_FEW: Final = 40
# The part of the page that its pictures cover together, at least, on a scan.
_COVERED: Final = 0.4
# The same for a page that has no text at all: less than this is a rule or a logo.
_COVERED_ALONE: Final = 0.02
# Dots an inch at which pages are drawn: what the models were made for is a letter page at 200.
_DOTS: Final = 200
_LONGEST: Final = 2_200


class Scans:
    """Reads the pages that are pictures; notes what it could not read."""

    def __init__(self, document: pypdfium2.PdfDocument) -> None:
        self._document = document
        self._reader: ocr.PageReader | None = None
        self._read = self._missing = self._late = 0

    def text(self, index: int, found: str) -> str:
        """Return the page's text: ``found``, or what stands in its picture where that is little."""
        if len(found.strip()) >= _FEW or not self._is_picture(index, found):
            return found
        if not ocr.is_installed():
            self._missing += 1
            return found
        if not ocr.has_time():
            self._late += 1
            return found
        self._reader = self._reader or ocr.PageReader()
        text = clean(self._reader.read(self._picture(index)))
        self._read += 1
        return f"{found}\n{text}".strip("\n")

    @property
    def warnings(self) -> list[str]:
        """Words for what was read by OCR and what was not read at all."""
        told = {
            "read_by_ocr": self._read,
            "pages_need_ocr": self._missing,
            "pages_not_read": self._late,
        }
        return [word for word, count in told.items() if count]

    def explain(self) -> None:
        """Raise the ``ParseError`` that says why no page has text, if scans are the reason."""
        if self._missing:
            raise ParseError("needs_ocr", "a scanned page, and OCR is not installed (extra `ocr`)")
        if self._late:
            raise ParseError("resource_limit", "the scanned pages take longer than allowed")

    def _is_picture(self, index: int, found: str) -> bool:
        least = _COVERED if found.strip() else _COVERED_ALONE
        try:
            page = self._document.get_page(index)
        except pypdfium2.PdfiumError:
            return False
        try:
            width, height = page.get_size()
            covered = 0.0
            for drawn in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
                left, bottom, right, top = drawn.get_bounds()
                covered += max(right - left, 0) * max(top - bottom, 0)
            return bool(covered >= least * width * height)
        except pypdfium2.PdfiumError:
            return False
        finally:
            page.close()

    def _picture(self, index: int) -> Image.Image:
        page = self._document.get_page(index)
        try:
            longest = max(*page.get_size(), 1.0)
            scale = min(_DOTS / 72, _LONGEST / longest)
            picture: Image.Image = page.render(scale=scale).to_pil()
        except (pypdfium2.PdfiumError, ValueError, MemoryError) as error:
            raise ParseError("resource_limit", "a scanned page is too large to draw") from error
        finally:
            page.close()
        return picture
