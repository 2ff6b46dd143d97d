import io
import re
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from demo.dialect import read_sources
from demo.gold import read_cast
from demo.hostile import HOSTILE
from demo.make_corpus import build
from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Mode
from ragplatform.privacy.rules import PrivacyRules
from tests.unit.demo.demo_reading import CORPUS, DEMO, pages, rows

# No recogniser may find these by accident: they look alike from one format to the next.
_TELLTALES = {
    "US_SSN or US_ITIN": r"\b\d{3}-\d{2}-\d{4}\b",
    "EMAIL_ADDRESS": r"[\w.]+@[\w.-]+\w",
    "PHONE_NUMBER": r"\(?\b\d{3}\)?[- ]\d{3}-\d{4}\b",
    "MEDICAL_RECORD_NUMBER": r"\bMH-\d{6}\b",
    "IP_ADDRESS": r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
    "US_BANK_NUMBER": r"\b0044\d{8}\b",
    "ACCOUNT_NUMBER": r"\b(?:LN-\d\d|HB-\d{4})-\d+\b",
}
# The demo's records hold none of these: tests/unit/adapters/rules has their forms.
NOT_PLANTED = {"US_EIN", "USERNAME", "POLICY_NUMBER", "SWIFT_CODE"}


@pytest.fixture(scope="module")
def built() -> dict[str, bytes]:
    return build()


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    files = (p.relative_to(CORPUS).as_posix() for p in CORPUS.rglob("*.*"))
    return {
        file: " ".join(pages(file))
        for file in files
        if not file.endswith(".toml") and file not in HOSTILE
    }


def test_no_generated_file_is_missing_or_left_over(built: dict[str, bytes]) -> None:
    committed = {p.relative_to(DEMO).as_posix() for p in CORPUS.rglob("*") if p.is_file()}

    assert committed | {"planted.jsonl"} == set(built)


def test_what_is_committed_is_what_the_sources_give(built: dict[str, bytes]) -> None:
    changed = [path for path, made in built.items() if not _same(path, made)]

    assert changed == []


def _same(path: str, made: bytes) -> bool:
    committed = (DEMO / path).read_bytes()
    # Builds of zlib may pack the same bytes differently, so archives are compared unpacked.
    if path.endswith(".docx"):
        return _members(committed) == _members(made)
    return committed == made


def _members(archive: bytes) -> list[tuple[str, tuple[int, ...], int, int]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return [(e.filename, e.date_time, e.CRC, e.file_size) for e in opened.infolist()]


def test_the_corpus_is_large_and_mixed_enough(texts: dict[str, str]) -> None:
    formats = Counter(Path(file).suffix for file in texts)
    long_pdfs = [f for f in texts if f.endswith(".pdf") and len(pages(f)) >= 2]

    assert len(texts) >= 64
    wanted = {".pdf": 14, ".docx": 8, ".html": 8, ".csv": 6, ".md": 5, ".txt": 10}
    assert all(formats[suffix] >= least for suffix, least in wanted.items())
    assert len(long_pdfs) >= 10
    assert sum(p.stat().st_size for p in CORPUS.rglob("*") if p.is_file()) < 3_000_000


def test_every_document_has_something_to_say(texts: dict[str, str]) -> None:
    prose = {f: len(t.split()) for f, t in texts.items() if not f.endswith(".csv")}

    assert {f: n for f, n in prose.items() if not 150 <= n <= 750} == {}


def test_every_planted_value_is_in_its_files_text(texts: dict[str, str]) -> None:
    gold = [row for row in rows("planted.jsonl") if row["file"] not in HOSTILE]

    missing = [(r["file"], r["value"]) for r in gold if r["value"] not in texts[r["file"]]]

    assert missing == []


def test_no_identifier_of_a_known_shape_is_left_out_of_the_gold(texts: dict[str, str]) -> None:
    gold = {(row["file"], row["value"]) for row in rows("planted.jsonl")}

    forgotten = [
        (file, found)
        for file, text in texts.items()
        for shape in _TELLTALES.values()
        for found in re.findall(shape, text)
        if (file, found) not in gold
    ]

    assert forgotten == []


def test_every_kind_of_identifier_that_the_platform_knows_is_planted() -> None:
    planted = {row["entity"] for row in rows("planted.jsonl")}

    # What the rules leave alone is planted nowhere on purpose: every text is full of it.
    rules = PrivacyRules.load(DEMO.parent / "policies" / "privacy.toml")
    left = {entity for entity in CATEGORY_OF if rules.mode(entity, None) is Mode.KEEP}
    assert set(CATEGORY_OF) - left - planted == NOT_PLANTED


def test_every_patient_and_client_recurs_over_several_documents() -> None:
    cast = read_cast(DEMO / "source" / "cast.toml")
    files = {(row["person"], row["file"]) for row in rows("planted.jsonl")}
    recurring = Counter(person for person, _ in files)

    few = {key for key in cast.person_of.values() if recurring[key] < 2}

    # A part 2 record stands alone: no other paper may tell that its patient is in treatment.
    assert few == {"abernathy"}


def test_policies_name_no_patient_and_no_client() -> None:
    staff = {"mercy-hospital", "mercy-staff", "harbor-bank", "harbor-staff", None}

    people = {row["person"] for row in rows("planted.jsonl") if "/policies/" in row["file"]}

    assert people <= staff


def test_only_one_file_name_names_a_person() -> None:
    cast = read_cast(DEMO / "source" / "cast.toml")
    names = {k.value.lower() for k in cast.values if k.entity == "PERSON" and len(k.value) > 4}

    told = [
        s.path for s in read_sources(DEMO / "source") if any(n in s.path.lower() for n in names)
    ]

    assert told == ["discharge/discharge_Whitfield_Eleanor.pdf"]


@pytest.mark.parametrize("tenant", ["mercy", "harbor"])
def test_every_document_about_somebody_lists_its_subjects(tenant: str) -> None:
    labels = tomllib.loads((CORPUS / tenant / "labels.toml").read_text("utf-8"))
    listed = {r["match"]: set(r["subjects"]) for r in labels["rule"] if "subjects" in r}
    person_of = read_cast(DEMO / "source" / "cast.toml").person_of

    for row in rows("planted.jsonl"):
        owner, _, path = row["file"].partition("/")
        if owner == tenant and row["person"] in person_of.values():
            assert row["person"] in {person_of[subject] for subject in listed[path]}


@pytest.mark.parametrize("tenant", ["mercy", "harbor"])
def test_every_label_rule_matches_a_file_and_every_file_a_rule(tenant: str) -> None:
    folder = CORPUS / tenant
    labels = tomllib.loads((folder / "labels.toml").read_text("utf-8"))
    matched = {r["match"]: set(folder.glob(r["match"])) for r in labels["rule"]}

    documents = {p for p in folder.rglob("*") if p.is_file() and p.name != "labels.toml"}

    assert [match for match, found in matched.items() if not found] == []
    assert documents <= set().union(*matched.values())


def test_the_special_records_carry_their_restrictions() -> None:
    rules = tomllib.loads((CORPUS / "mercy/labels.toml").read_text("utf-8"))["rule"]

    restricted = {
        r["match"]: r["restrictions"] for r in rules if "restrictions" in r and "*" in r["match"]
    }

    assert restricted == {
        "notes/psychotherapy-*": ["psychotherapy"],
        "notes/recovery-program-*": ["part2"],
    }


@pytest.mark.parametrize("tenant", ["mercy", "harbor"])
def test_a_page_about_several_people_is_labelled_as_such(tenant: str) -> None:
    rules = tomllib.loads((CORPUS / tenant / "labels.toml").read_text("utf-8"))["rule"]

    several = [rule for rule in rules if len(rule.get("subjects", ())) > 1]

    assert several
    assert all(rule["restrictions"] == ["mixed-subjects"] for rule in several)


def test_the_bomb_is_small_on_disk_and_huge_unpacked() -> None:
    path = CORPUS / "mercy/inbox/visitor-guide-final.docx"
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())

    assert path.stat().st_size < 200_000
    assert unpacked / path.stat().st_size > 500
