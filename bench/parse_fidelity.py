"""Compares the text of real files with that of a second parser, and PDFs in speed as well.

    python -m bench.parse_fidelity [--data DIR] [--pdfs 50] [--office 20] [--json]

The second parser is poppler's ``pdftotext`` for PDF (Debian: poppler-utils), and for Office files
``docx2txt``, ``openpyxl``, ``python-pptx``, ``odfpy`` and ``striprtf``, each where it is installed.
None of them is part of the product.

Recall is that of characters: of the letters and digits of the second parser's words, the share in
words that ours has as often. Words broken at a line's end are joined in both. PDFs are read in
turns by both; speeds are pages per second, of the parser alone in processor time and of the whole
way in wall time: ours into the confined process and back, the second parser's process and its pipe.
Scanned pages are left out: they are OCR's work.
"""

import argparse
import importlib
import json
import re
import resource
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench._setting import ROOT, machine
from ingest.parse.document import ParsedDocument
from ingest.parse.pdf import parse_pdf
from ingest.parse.route import parse
from ingest.parse.sandbox import Limits, Sandbox
from ragplatform.errors import ParseError, QuarantinedError

_BROKEN = re.compile(r"(?<=\w)[-\u2010\u00ad]\s*\n\s*(?=\w)")
_WORD = re.compile(r"[^\W_]+")
# Below this a page holds a stamp or a page number over a picture: no text to compare.
_FEWEST_CHARACTERS = 200
_MAX_CHARS = 50_000_000


@dataclass(frozen=True)
class Compared:
    """One file: the share of the second parser's characters that ours has, and the reverse."""

    name: str
    kind: str
    recall: float
    precision: float
    characters: int


@dataclass
class Speeds:
    """Pages and seconds of each way to read the same PDFs: of processor, then of the wall."""

    pages: int = 0
    ours_cpu: float = 0.0
    second_cpu: float = 0.0
    ours_wall: float = 0.0
    second_wall: float = 0.0


def words(text: str) -> Counter[str]:
    """Return the words of a text, in lower case, with those broken at a line's end made whole."""
    return Counter(_WORD.findall(_BROKEN.sub("", text).lower()))


def shared(ours: Counter[str], theirs: Counter[str]) -> float:
    """Return the share of the characters of ``theirs`` that stand in words of ``ours``."""
    whole = sum(len(word) * count for word, count in theirs.items())
    found = sum(len(word) * min(count, ours[word]) for word, count in theirs.items())
    return found / whole if whole else 1.0


def cpu(who: int) -> float:
    """Return the processor seconds of this process or its ended children."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def pdftotext(path: Path) -> tuple[str, float, float]:
    """Return poppler's text of a PDF and the seconds it took, of processor and of the wall."""
    before, began = cpu(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        ["pdftotext", "-q", "-enc", "UTF-8", str(path), "-"], capture_output=True, check=False
    )
    wall = time.perf_counter() - began
    return done.stdout.decode("utf-8", "replace"), cpu(resource.RUSAGE_CHILDREN) - before, wall


def compare_pdfs(paths: list[Path], wanted: int) -> tuple[list[Compared], Speeds]:
    """Read PDFs in turns by both parsers until ``wanted`` of them held text."""
    compared: list[Compared] = []
    speeds = Speeds()
    with Sandbox(limits=Limits(max_bytes=200_000_000, timeout_s=120)) as sandbox:
        for path in paths:
            if len(compared) >= wanted:
                break
            theirs, *second = pdftotext(path)
            if len("".join(theirs.split())) < _FEWEST_CHARACTERS:
                continue
            data = path.read_bytes()
            began = cpu(resource.RUSAGE_SELF)
            try:
                ours = parse_pdf(data, max_chars=_MAX_CHARS)
            except ParseError:
                continue
            if {"read_by_ocr", "pages_need_ocr"} & set(ours.warnings):
                continue
            speeds.ours_cpu += cpu(resource.RUSAGE_SELF) - began
            speeds.second_cpu += second[0]
            speeds.second_wall += second[1]
            speeds.ours_wall += confined_seconds(sandbox, data, path.name)
            speeds.pages += len(ours.pages)
            compared.append(result(path, "pdf", ours.text, theirs))
    return compared, speeds


def confined_seconds(sandbox: Sandbox, data: bytes, name: str) -> float:
    """Return the wall seconds of one document through the confined parser."""
    began = time.perf_counter()
    sandbox.parse(data, name)
    return time.perf_counter() - began


def result(path: Path, kind: str, ours: str, theirs: str) -> Compared:
    """Compare two texts of one file."""
    mine, other = words(ours), words(theirs)
    return Compared(path.name, kind, shared(mine, other), shared(other, mine), len(theirs))


def docx(path: Path) -> str:
    """Read a Word file by docx2txt."""
    return str(importlib.import_module("docx2txt").process(str(path)))


def xlsx(path: Path) -> str:
    """Read the visible sheets of a workbook by openpyxl, values as they were last computed."""
    book = importlib.import_module("openpyxl").load_workbook(path, data_only=True)
    return "\n".join(
        " ".join(str(cell) for cell in row if cell is not None)
        for sheet in book.worksheets
        if sheet.sheet_state == "visible"
        for row in sheet.iter_rows(values_only=True)
    )


def pptx(path: Path) -> str:
    """Read a presentation's text frames and tables by python-pptx."""
    deck = importlib.import_module("pptx").Presentation(str(path))
    return "\n".join(text for slide in deck.slides for text in _frames(slide.shapes))


def _frames(shapes: Any) -> Iterator[str]:  # python-pptx's, untyped
    for shape in shapes:
        if shape.has_text_frame:
            yield shape.text_frame.text
        if getattr(shape, "has_table", False):
            yield "\n".join(cell.text for row in shape.table.rows for cell in row.cells)
        if hasattr(shape, "shapes"):
            yield from _frames(shape.shapes)


def odt(path: Path) -> str:
    """Read the body of an OpenDocument text by odfpy."""
    teletype = importlib.import_module("odf.teletype")
    document = importlib.import_module("odf.opendocument").load(str(path))
    return "\n".join(teletype.extractText(node) for node in document.text.childNodes)


def rtf(path: Path) -> str:
    """Read an RTF file by striprtf."""
    text = path.read_bytes().decode("cp1252", "replace")
    return str(importlib.import_module("striprtf.striprtf").rtf_to_text(text, errors="ignore"))


READERS: dict[str, Callable[[Path], str]] = {
    ".docx": docx,
    ".xlsx": xlsx,
    ".pptx": pptx,
    ".odt": odt,
    ".rtf": rtf,
}


def compare_office(paths: list[Path], wanted: int) -> list[Compared]:
    """Compare as many files of each kind, up to ``wanted`` in all, that both parsers can read."""
    compared: list[Compared] = []
    for suffix, read in READERS.items():
        kept = 0
        for path in (path for path in paths if path.suffix.lower() == suffix):
            if kept >= -(-wanted // len(READERS)):
                break
            try:
                ours: ParsedDocument = parse(path.read_bytes(), path.name, max_chars=_MAX_CHARS)
                theirs = read(path)
            except ModuleNotFoundError as error:
                print(f"{suffix} left out: {error.name} is not installed")
                break
            except (ParseError, QuarantinedError, OSError, ValueError, KeyError) as error:
                # Files that neither of the two is made for: protected, damaged.
                print(f"{path.name} left out: {type(error).__name__}")
                continue
            if len("".join(theirs.split())) >= _FEWEST_CHARACTERS:
                compared.append(result(path, suffix, ours.text, theirs))
                kept += 1
    return compared


def report(title: str, compared: list[Compared]) -> dict[str, Any]:
    """Return the medians and the worst of a set of files."""
    recalls = sorted(one.recall for one in compared)
    return {
        "set": title,
        "files": len(compared),
        "recall_median": round(statistics.median(recalls), 4) if recalls else None,
        "recall_tenth": round(recalls[len(recalls) // 10], 4) if recalls else None,
        "precision_median": round(statistics.median(one.precision for one in compared), 4)
        if compared
        else None,
        "worst": [
            (one.name, one.kind, round(one.recall, 3), one.characters)
            for one in sorted(compared, key=lambda one: one.recall)[:6]
        ],
    }


def main() -> None:
    """Compare and report."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=ROOT / "demo")
    arguments.add_argument("--pdfs", type=int, default=50)
    arguments.add_argument("--office", type=int, default=20)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    files = sorted(path for path in given.data.rglob("*") if path.is_file())
    # A stride over all folders, so that no one producer of files makes up the sample.
    pdfs = [path for path in files if path.suffix.lower() == ".pdf"]
    pdfs = [path for start in range(7) for path in pdfs[start::7]]
    compared, speeds = compare_pdfs(pdfs, given.pdfs)
    reports = [report("pdf", compared), report("office", compare_office(files, given.office))]
    reports[0]["pages"] = speeds.pages
    for name in ("ours_cpu", "second_cpu", "ours_wall", "second_wall"):
        spent = getattr(speeds, name)
        reports[0][f"pages_per_second_{name}"] = round(speeds.pages / spent, 1) if spent else None
    if given.json:
        print(json.dumps({"machine": machine(), "reports": reports}))
        return
    print(machine())
    for one in reports:
        for key, value in one.items():
            print(f"{key}: {value}")


if __name__ == "__main__":
    main()
