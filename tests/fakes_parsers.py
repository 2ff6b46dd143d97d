"""Parsers that misbehave, and builders of hostile files. Loaded by name inside the sandbox."""

import ctypes
import io
import os
import socket
import time
import urllib.request
import zipfile
from pathlib import Path

import docx

from ingest.parse.document import Claims, ParsedDocument
from ragplatform.errors import ParseError


def by_order(data: bytes, name: str, max_chars: int) -> ParsedDocument:
    """Do what the document says: each order is one way to misbehave."""
    orders = {
        b"spin": _spin,
        b"sleep": _sleep,
        b"allocate": _allocate,
        b"segfault": _segfault,
        b"exit": lambda: os._exit(0),
        b"recurse": _recurse,
        b"raise": _raise,
        b"socket": _socket,
        b"download": _download,
        b"read": _read,
        b"write": _write,
        b"fork": _fork,
        b"execute": _execute,
        b"kill": lambda: os.kill(os.getppid(), 9),
        b"environment": lambda: "\n".join(f"{key}={value}" for key, value in os.environ.items()),
        b"pid": lambda: f"{os.getppid()} {os.getpid()}",
        b"hang": lambda: _hang(name),
        b"lie": lambda: _lie("a\x00b"),
        b"flood": lambda: "x" * (max_chars * 8),
    }
    order = orders.get(data)
    text = "well" if order is None else order()
    document = object.__new__(ParsedDocument)
    for field, value in {
        "text": str(text),
        "media_type": "text/plain",
        "pages": (),
        "headings": (),
        "warnings": (),
        "claims": Claims(),
    }.items():
        object.__setattr__(document, field, value)
    return document


def _spin() -> None:
    while True:
        pass


def _sleep() -> None:
    time.sleep(600)


def _hang(name: str) -> None:
    # Blocks the alarm, as a parser that was taken over would.
    import signal

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    _sleep()


def _allocate() -> None:
    blocks = []
    while True:
        blocks.append(bytearray(64 * 1024 * 1024))


def _segfault() -> None:
    ctypes.string_at(0)


def _recurse() -> None:
    _recurse()


def _raise() -> None:
    raise ParseError("malformed", "on order")


def _lie(text: str) -> str:
    return text


def _tell(error: OSError) -> str:
    return f"refused {type(error).__name__}"


def _socket() -> str:
    """Go past Python: ask the C library itself."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    if handle < 0:
        return "refused by the kernel"
    address = b"\x02\x00\x00\x35\x01\x01\x01\x01" + bytes(8)
    return "reached" if libc.connect(handle, address, 16) == 0 else "refused on connecting"


def _download() -> str:
    try:
        urllib.request.urlopen("http://127.0.0.1:9/", timeout=2)
    except OSError as error:
        return _tell(error)
    return "reached"


def _read() -> str:
    try:
        return Path("/etc/passwd").read_text()
    except OSError as error:
        return _tell(error)


def _write() -> str:
    told = []
    for folder in (Path("/tmp"), Path("/var/tmp"), Path.cwd()):
        try:
            (folder / "left-by-a-parser").write_text("x")
            told.append("written")
        except OSError as error:
            told.append(_tell(error))
    return " ".join(told)


def _fork() -> str:
    # Straight to the kernel, past the tripwire inside Python.
    return "refused" if ctypes.CDLL(None, use_errno=True).fork() < 0 else "forked"


def _execute() -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_char_p * 2)(b"true", None)
    libc.execv(b"/bin/true", arguments)
    return "refused"


def zip_bomb_docx() -> bytes:
    """Return a DOCX of a few hundred kilobytes that unpacks to some hundred megabytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", b" " * (300 * 1024 * 1024))
    return target.getvalue()


def simple_docx(*paragraphs: str) -> bytes:
    """Return a sound DOCX with these paragraphs."""
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def rewritten_docx(data: bytes, part: str, old: bytes, new: bytes) -> bytes:
    """Return the DOCX with bytes of one part replaced."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            body = source.read(entry)
            if entry.filename == part:
                assert old in body
                body = body.replace(old, new)
            archive.writestr(entry, body)
    return target.getvalue()


def billion_laughs_docx() -> bytes:
    """Return a DOCX whose text is an entity of entities."""
    entities = ['<!ENTITY a0 "ha">']
    entities += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)]
    declaration = f"<!DOCTYPE w [{''.join(entities)}]>".encode()
    data = rewritten_docx(simple_docx("laugh"), "word/document.xml", b"laugh", b"&a9;")
    return rewritten_docx(data, "word/document.xml", b"<w:document", declaration + b"<w:document")


def xlsx(
    sheets: dict[str, list[list[object]]], *, hidden: frozenset[str] | set[str] = frozenset(),
    extra: str = "",
) -> bytes:  # fmt: skip
    """Return a workbook of these rows; ``extra`` is XML that follows the rows of each sheet."""
    names = list(sheets)
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"'
        f"{' state=' + chr(34) + 'hidden' + chr(34) if name in hidden else ''}/>"
        for n, name in enumerate(names, 1)
    )
    parts = {
        "[Content_Types].xml": _types("spreadsheetml.sheet.main+xml", "/xl/workbook.xml"),
        "_rels/.rels": _relations(("rId1", f"{kind}/officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{kind}"><sheets>{listed}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": _relations(
            *((f"rId{n}", f"{kind}/worksheet", f"worksheets/sheet{n}.xml")
              for n in range(1, len(names) + 1)),
        ),
    }  # fmt: skip
    for number, name in enumerate(names, 1):
        rows = "".join(_row(r, row) for r, row in enumerate(sheets[name], 1))
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{rows}{extra}</sheetData></worksheet>'
        )
    return _zipped(parts)


def _row(number: int, cells: list[object]) -> str:
    written = []
    for index, cell in enumerate(cells):
        place = f"{chr(65 + index)}{number}"
        if isinstance(cell, str):
            written.append(f'<c r="{place}" t="inlineStr"><is><t>{cell}</t></is></c>')
        else:
            written.append(f'<c r="{place}"><v>{cell}</v></c>')
    return f'<row r="{number}">{"".join(written)}</row>'


def pptx(slides: list[tuple[str, str, str]]) -> bytes:
    """Return a presentation; each slide is its title, its text and its notes."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    spaces = (
        f'xmlns:r="{kind}" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
        'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
    )
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in range(1, len(slides) + 1))
    parts = {
        "[Content_Types].xml": _types("presentationml.presentation.main+xml", "/ppt/p.xml"),
        "ppt/presentation.xml": f"<p:presentation {spaces}><p:sldIdLst>{ids}</p:sldIdLst>"
        "</p:presentation>",
        "ppt/_rels/presentation.xml.rels": _relations(
            *((f"rId{n}", f"{kind}/slide", f"slides/slide{n}.xml")
              for n in range(1, len(slides) + 1)),
        ),
    }  # fmt: skip
    for number, (title, text, notes) in enumerate(slides, 1):
        shapes = _shape("title", title) + _shape("body", text)
        parts[f"ppt/slides/slide{number}.xml"] = f"<p:sld {spaces}>{shapes}</p:sld>"
        if notes:
            parts[f"ppt/slides/_rels/slide{number}.xml.rels"] = _relations(
                ("rId1", f"{kind}/notesSlide", f"../notesSlides/n{number}.xml")
            )
            parts[f"ppt/notesSlides/n{number}.xml"] = (
                f"<p:notes {spaces}>{_shape('sldNum', '7')}{_shape('body', notes)}</p:notes>"
            )
    return _zipped(parts)


def _shape(role: str, text: str) -> str:
    return (
        f'<p:sp><p:nvSpPr><p:nvPr><p:ph type="{role}"/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r>'
        f"<a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
    )


def odf(kind: str, body: str) -> bytes:
    """Return an OpenDocument file (``text``, ``presentation``) with this XML as its body."""
    names = ("office", "text", "table", "drawing", "presentation")
    spaces = " ".join(
        f'xmlns:{"draw" if n == "drawing" else n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"'
        for n in names
    )
    return _zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f"<office:document-content {spaces}><office:body><office:{kind}>{body}"
            f"</office:{kind}></office:body></office:document-content>",
        }
    )


def _types(kind: str, part: str) -> str:
    return (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/><Override '
        f'PartName="{part}" ContentType="application/vnd.openxmlformats-officedocument.{kind}"/>'
        "</Types>"
    )


def _relations(*rows: tuple[str, str, str]) -> str:
    listed = "".join(f'<Relationship Id="{a}" Type="{b}" Target="{c}"/>' for a, b, c in rows)
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{space}">{listed}</Relationships>'


def _zipped(parts: dict[str, str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return target.getvalue()
