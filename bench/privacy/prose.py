"""Texts that hold little or no personal data, for false alarms and for speed."""

import gzip
import json
import random
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

_SEED = 5
# Long texts are cut at blank lines into parts of about this many characters, so that each part
# costs the same and Presidio's default does not pay for their length.
_PART = 10_000


def medquad(data: Path) -> list[str]:
    """Return answers to health questions (CC BY 4.0), in a fixed random order."""
    path = data / "medquad" / "corpus.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return _shuffled(json.loads(line)["answer"] for line in lines)


def sec(data: Path) -> list[str]:
    """Return parts of annual reports to the SEC, in a fixed random order.

    They name officers, sign, and give telephone numbers: not every finding is false.
    """
    with zipfile.ZipFile(data / "sec_edgar" / "EXTRACTED_FILINGS_10-K.zip") as archive:
        filings = (json.loads(archive.read(name)) for name in sorted(archive.namelist()))
        items = [
            text
            for filing in filings
            for name, text in filing.items()
            if name.startswith("item_") and text
        ]
    return _shuffled(part for item in items for part in parts(item))


def mtsamples(data: Path) -> list[str]:
    """Return transcribed medical reports, in a fixed random order."""
    path = data / "mtsamples" / "notes.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    return _shuffled(json.loads(line)["text"] for line in lines)


def sentences(data: Path) -> list[str]:
    """Return presidio-research's sentences (MIT), in a fixed random order: full of finds."""
    path = data / "pii" / "presidio_research" / "generated_large.json"
    return _shuffled(one["full_text"] for one in json.loads(path.read_text(encoding="utf-8")))


SOURCES: Mapping[str, Callable[[Path], list[str]]] = {
    "sec": sec,
    "medquad": medquad,
    "mtsamples": mtsamples,
    "sentences": sentences,
}


def upto(texts: list[str], characters: int) -> list[str]:
    """Return the first texts, as many as together have at least so many characters."""
    total = 0
    for number, text in enumerate(texts):
        total += len(text)
        if total >= characters:
            return list(islice(texts, number + 1))
    return texts


def parts(text: str) -> Iterator[str]:
    """Yield the text in parts, each cut at a line's end as far as there is one."""
    start = 0
    while start + _PART < len(text):
        cut = text.rfind("\n", start, start + _PART)
        end = cut + 1 if cut > start else start + _PART
        yield text[start:end]
        start = end
    if text[start:].strip():
        yield text[start:]


def _shuffled(texts: Iterator[str]) -> list[str]:
    chosen = [text for text in texts if text.strip()]
    random.Random(_SEED).shuffle(chosen)
    return chosen
