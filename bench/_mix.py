"""A mix of real documents of any size for measuring ingest: reports, notes, answers, records."""

import json
import random
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import pypdfium2

from bench.privacy import prose
from bench.privacy.fhir import synthea

_SEED = 11
_PAGES = 10
_DIGITS = "0123456789"


def reports(data: Path) -> list[str]:
    """Return the text of annual reports, ten pages a document."""
    texts = []
    for path in sorted((data / "financebench" / "pdfs").glob("*.pdf")):
        document = pypdfium2.PdfDocument(path)
        pages = [page.get_textpage().get_text_bounded() for page in document]
        texts += ["\n".join(pages[at : at + _PAGES]) for at in range(0, len(pages), _PAGES)]
    return texts


def visits(data: Path) -> list[str]:
    """Return dialogues of doctors with patients, each with its note."""
    lines = (data / "aci_bench" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    read = (json.loads(line) for line in lines)
    return [
        "\n".join(str(value) for value in one.values() if len(str(value)) > 200) for one in read
    ]


def records(data: Path) -> list[str]:
    """Return records of invented patients, in many layouts, full of what names them."""
    views = synthea(data / "synthea_fhir_r4", None)
    return [example.text for example in next(iter(views.values()))]


SOURCES: dict[str, Callable[[Path], list[str]]] = {
    "reports": reports,
    "answers": prose.medquad,
    "notes": prose.mtsamples,
    "visits": visits,
    "records": records,
}


def documents(data: Path, size: int) -> Iterator[tuple[str, str]]:
    """Yield names and texts of together at least ``size`` bytes, of each source as many bytes.

    What a source has is used up before it comes again, then with other digits everywhere: a
    document that was there already would cost less.
    """
    queues = {name: _endless(read(data)) for name, read in SOURCES.items()}
    given = dict.fromkeys(SOURCES, 0)
    number = 0
    while sum(given.values()) < size:
        source = min(given, key=lambda name: given[name])
        text = next(queues[source])
        yield f"{source}-{number:06}.txt", text
        given[source] += len(text.encode())
        number += 1


def write(data: Path, folder: Path, size: int) -> int:
    """Write the documents into the folder, a hundred in each folder below; return their bytes."""
    total = 0
    for number, (name, text) in enumerate(documents(data, size)):
        below = folder / f"{number // 100:04}"
        below.mkdir(parents=True, exist_ok=True)
        total += (below / name).write_bytes(text.encode("utf-8", "replace"))
    return total


def _endless(texts: list[str]) -> Iterator[str]:
    chosen = [text for text in texts if text.strip()]
    random.Random(_SEED).shuffle(chosen)
    for again, text in enumerate(cycle(chosen)):
        turn = again // len(chosen)
        yield text if not turn else _other(text, turn)


def _other(text: str, turn: int) -> str:
    """Return the text with every digit moved on, and a line of its own before each paragraph."""
    by = 1 + turn % 9
    moved = text.translate(str.maketrans(_DIGITS, "".join(islice(cycle(_DIGITS), by, by + 10))))
    return moved.replace("\n", f"\nCopy {turn}. ")
