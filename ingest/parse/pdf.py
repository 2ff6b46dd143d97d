"""PDF by PDFium: the text of each page, so that a citation can name it."""

import ctypes
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ingest.parse.scans import Scans
from ragplatform.errors import ParseError
from ragplatform.page_labels import LONGEST

# PDFium writes U+FFFE (older versions U+0002) for the hyphen at a broken line's end, and then
# leaves out the line end itself.
_BROKEN: Final = re.compile("(\\w+)(?:[\ufffe\x02]\r?\n?|[-\u2010\u00ad]\r?\n)(\\w+)")
_WORD: Final = re.compile(r"\w+(?:-\w+)*")
_LAUNCH: Final = re.compile(rb"/S\s*/Launch\b")
_SCRIPT: Final = re.compile(rb"/S\s*/JavaScript\b")
_OPENING: Final = re.compile(
    rb"/OpenAction\s*(?:<<[^<>]{0,400}?/S\s*/JavaScript\b|(\d{1,10})\s+\d{1,5}\s+R)"
)
_EXECUTABLE: Final = (b"MZ", b"\x7fELF", b"#!", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_MAX_OUTLINE: Final = 5_000
_MAX_TITLE: Final = 300
# UTF-16, with room for the white space that is taken out of a label.
_MOST_LABEL_BYTES: Final = 4 * LONGEST


def parse_pdf(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return the text of all pages, with the page map and the outline's headings.

    Scanned pages are read by OCR, where it is installed and while the time lasts. Raises
    ``ParseError``: ``encrypted``; ``malformed``; ``needs_ocr`` where there are only pictures and no
    OCR; ``no_text``; ``active_content`` for what runs by itself when opened; ``resource_limit``.
    """
    document = _open(data)
    try:
        warnings = _screen(document, data)
        pages, unread = _pages(document, max_chars)
        joined = _join_lines(pages)
        scans = Scans(document)
        for index, page in enumerate(joined):
            joined[index] = scans.text(index, page)
        warnings += scans.warnings
        builder = TextBuilder(max_chars=max_chars)
        starts = [
            builder.page(page, index + 1, _label(document, index))
            for index, page in enumerate(joined)
        ]
        _mark_outline(document, joined, starts, builder)
        for word in warnings:
            builder.warn(word)
        if unread:
            builder.warn("pages_unreadable")
        if any(not page.strip() for page in joined):
            builder.warn("pages_without_text")
        if builder.blank:
            scans.explain()
        return builder.finish(Kind.PDF.value)
    finally:
        document.close()


def _open(data: bytes) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(data)
        pages = len(document)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
            raise ParseError("encrypted", "the PDF needs a password") from error
        raise ParseError("malformed", "PDFium cannot open this PDF") from error
    if not pages:
        document.close()
        raise ParseError("malformed", "the PDF has no page")
    if document.get_formtype() != pdfium.FORMTYPE_NONE:
        document.init_forms()
    return document


def _screen(document: pypdfium2.PdfDocument, data: bytes) -> list[str]:
    """Return warnings about passive extras; refuse what acts when a reader opens the file.

    A field's own script (a form that adds up its lines) waits for a person and is common in bank
    forms: it is a warning. A launch action, a script of the whole document or one that runs on
    opening has no business in a record.
    """
    if pdfium.FPDFDoc_GetJavaScriptActionCount(document) > 0:
        raise ParseError("active_content", "the PDF holds a script of the whole document")
    plain = _plain_objects(document, data)
    if _LAUNCH.search(plain):
        raise ParseError("active_content", "the PDF holds an action that starts a program")
    if any(_is_script(plain, found[1]) for found in _OPENING.finditer(plain)):
        raise ParseError("active_content", "the PDF runs a script when it is opened")
    warnings = ["field_scripts"] if _SCRIPT.search(plain) else []
    attachments = document.count_attachments()
    for index in range(min(attachments, 100)):
        if _attachment_start(document, index).startswith(_EXECUTABLE):
            raise ParseError("active_content", "the PDF holds an attached program or archive")
    return [*warnings, "attachments_left_out"] if attachments > 0 else warnings


def _plain_objects(document: pypdfium2.PdfDocument, data: bytes) -> bytes:
    """Return the file with its objects in plain sight.

    Objects may lie in compressed streams, and a name may be written ``/J#61vaScript``: PDFium's own
    copy of the file undoes both.
    """
    if b"/ObjStm" not in data and b"#" not in data:
        return data
    copy = io.BytesIO()
    try:
        document.save(copy)
    except pypdfium2.PdfiumError:
        return data
    return copy.getvalue()


def _is_script(plain: bytes, number: bytes | None) -> bool:
    if number is None:
        return True
    start = re.search(rb"(?<!\d)" + number + rb"\s+\d{1,5}\s+obj\b", plain)
    return bool(
        start and _SCRIPT.search(plain[start.end() : start.end() + 400].split(b"endobj")[0])
    )


def _attachment_start(document: pypdfium2.PdfDocument, index: int) -> bytes:
    """Return the first bytes of an attachment, without copying all of it into Python."""
    handle = pdfium.FPDFDoc_GetAttachment(document, index)
    size = ctypes.c_ulong()
    if not handle or not pdfium.FPDFAttachment_GetFile(handle, None, 0, size) or not size.value:
        return b""
    if size.value > 64 * 1024 * 1024:
        raise ParseError("resource_limit", "the PDF holds a very large attachment")
    buffer = ctypes.create_string_buffer(size.value)
    pdfium.FPDFAttachment_GetFile(handle, buffer, size.value, size)
    return buffer.raw[:8]


def _pages(document: pypdfium2.PdfDocument, max_chars: int) -> tuple[list[str], int]:
    """Return the raw text of each page, ``""`` where it cannot be read, and how many could not."""
    texts: list[str] = []
    size = unread = 0
    forms = document.formenv is not None
    for index in range(len(document)):
        try:
            texts.append(_page_text(document, index, forms=forms))
        except pypdfium2.PdfiumError:
            # One damaged page does not take the others with it.
            texts.append("")
            unread += 1
        size += len(texts[-1])
        if size > max_chars:
            raise ParseError("resource_limit", f"the text exceeds {max_chars} characters")
    if unread == len(texts):
        raise ParseError("malformed", "no page of this PDF can be read")
    return texts, unread


def _page_text(document: pypdfium2.PdfDocument, index: int, *, forms: bool) -> str:
    page = document.get_page(index)
    if forms:
        # What was typed into a form is drawn apart from the page: flattening makes it its text.
        flat = pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)
        if flat == pdfium.FLATTEN_SUCCESS:
            page.close()
            page = document.get_page(index)
    words = page.get_textpage()
    text: str = words.get_text_bounded()
    words.close()
    page.close()
    return text


def _label(document: pypdfium2.PdfDocument, index: int) -> str:
    """Return the page's own label, or "" where it has none or one that is too long to be one."""
    buffer = ctypes.create_string_buffer(_MOST_LABEL_BYTES)
    size = pdfium.FPDF_GetPageLabel(document, index, buffer, _MOST_LABEL_BYTES)
    # PDFium writes nothing where there is no room. The last two bytes end the text.
    if not 2 < size <= _MOST_LABEL_BYTES:
        return ""
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")


def _join_lines(pages: list[str]) -> list[str]:
    """Return the pages cleaned, words that were broken at a line's end made whole.

    A hyphen goes only where the document elsewhere writes the word in one piece, or where neither
    half is a word of it: "non-\\nGAAP" and "123-45-\\n6789" keep theirs.
    """
    seen = Counter(word.lower() for page in pages for word in _WORD.findall(page))

    def join(found: re.Match[str]) -> str:
        left, right = found[1], found[2]
        whole = (left + right).lower()
        if not (left + right).isalpha() or not right[0].islower():
            return f"{left}-{right}"
        if seen[whole]:
            return left + right
        # Each half was counted once by this very break.
        compound = seen[f"{left}-{right}".lower()] or (
            seen[left.lower()] > 1 and seen[right.lower()] > 1
        )
        return f"{left}-{right}" if compound else left + right

    return [clean(_BROKEN.sub(join, page)).strip("\n") for page in pages]


def _mark_outline(
    document: pypdfium2.PdfDocument, pages: list[str], starts: list[int], builder: TextBuilder
) -> None:
    """Note each bookmark whose title stands on the page that it leads to."""
    for level, title, page in _bookmarks(document):
        if not 0 <= page < len(pages):
            continue
        pattern = r"\s+".join(re.escape(word) for word in title.split())
        found = re.search(pattern, pages[page], re.IGNORECASE)
        if found is not None:
            builder.mark_heading(starts[page] + found.start(), level, found[0])


def _bookmarks(document: pypdfium2.PdfDocument) -> Iterator[tuple[int, str, int]]:
    """Yield the level (from 1), title and page index (from 0) of each usable bookmark."""
    for count, bookmark in enumerate(document.get_toc(max_depth=6)):
        if count >= _MAX_OUTLINE:
            return
        title = " ".join(clean(bookmark.get_title()).split())
        target = bookmark.get_dest()
        page = target.get_index() if target is not None else None
        if title and len(title) <= _MAX_TITLE and page is not None:
            yield bookmark.level + 1, title, page
