"""Promise 3 at rest: after ingest no byte of any store, log or temporary file holds a raw value.

Each generated file plants values behind labels, in tables, in its name, and again in prose where
only the reading of the whole document finds them: by surname, in capitals, by initial.
The detector reads labels and nothing else, so what these tests show is our own.
"""

import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest import sources
from ingest.aside import Aside
from ingest.holds import Holds
from ingest.ledger import Ledger
from ingest.report import FileState, Report
from ingest.work import Target
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.audit.storage import Disk
from ragplatform.catalog import SqlCatalog
from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Principal, Purpose, Sensitivity, Span
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.keys import Keys
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.vault import Vault
from ragplatform.sealed_files import SealedFiles
from tests.fakes_audit import open_logs
from tests.ingest_crash import DIM, DigestEmbedder, PlainParser
from tests.jobs import job_here
from tests.sealed import archive_in
from tests.state import keeping_of

POLICIES = Path(__file__).resolve().parents[2] / "policies"
MASTER = bytes(range(32))
FILES = 1000
# Stands in every file and is nobody's: proof that a search of the raw bytes sees the text at all.
HARMLESS = b"agreeableness"
SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]

LETTER = """Patient: {given} {family}
MRN: {mrn}
DOB: {dob}
SSN: {ssn}
Phone: {phone}

Mr. {family} was seen for his agreeableness. {upper}, {given_upper} agreed; {initial}. {family}'s
plan stays. {given} may call from {phone}. Record {mrn}, born {dob}, {ssn}. {family}, {given} is
known to us, as is {given}
{family}.

Electronically signed by: {doctor_given} {doctor}, MD
{doctor} will see {given} again.
"""
TABLE = """# Agreeableness round

| Name | MRN | DOB | Phone |
|---|---|---|---|
| {family}, {given} | {mrn} | {dob} | {phone} |

{given} {family} showed agreeableness. Later {family} called from {phone} about {mrn}.
"""
CSV = """name,dob,phone,attending
"{family}, {given}",{dob},{phone},{doctor_given} {doctor}

{given} {family} was born {dob}; {doctor} praised the agreeableness. Call {phone}.
"""
FORMS = (
    ("PERSON", re.compile(r"(?<=Patient: ).+")),
    ("MEDICAL_RECORD_NUMBER", re.compile(r"(?<=MRN: )\d+")),
    ("DATE_OF_BIRTH", re.compile(r"(?<=DOB: )[\d/]+")),
    ("US_SSN", re.compile(r"(?<=SSN: )[\d-]+")),
    ("PHONE_NUMBER", re.compile(r"(?<=Phone: )[\d-]+")),
)


class LabelReader:
    """Finds what stands behind a label, once."""

    version = "labels"

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        return [sorted(self._spans(text), key=lambda span: span.start) for text in texts]

    def _spans(self, text: str) -> Iterator[Span]:
        for entity, form in FORMS:
            for found in form.finditer(text):
                yield Span(*found.span(), entity, CATEGORY_OF[entity], 0.9, "label")


@dataclass(frozen=True, slots=True)
class Planted:
    """One generated file, and the values in it as they are written."""

    name: str
    text: str
    words: frozenset[bytes]
    numbers: frozenset[bytes]


def word(number: int) -> str:
    """Return a name of four syllables, another for each number."""
    number = number * 7919 + 1_234_567
    parts = [SYLLABLES[number // 70**place % 70] for place in range(4)]
    return "".join(parts).capitalize()


def generated(number: int) -> Planted:
    given, family, doctor_given, doctor = (word(number * 4 + n) for n in range(4))
    values = {
        "mrn": f"{7_000_000_000 + number * 104_729}",
        "dob": f"{number % 12 + 1:02d}/{number % 28 + 1:02d}/{1940 + number % 60}",
        "ssn": f"{200 + number % 400}-{10 + number % 80}-{1000 + number * 7 % 9000}",
        "phone": f"{201 + number % 700}-{200 + number * 3 % 700}-{1000 + number * 11 % 9000}",
    }
    text = (LETTER, TABLE, CSV)[number % 3].format(
        given=given,
        family=family,
        doctor=doctor,
        doctor_given=doctor_given,
        initial=given[0],
        upper=family.upper(),
        given_upper=given.upper(),
        **values,
    )
    name = f"{family}_{values['mrn']}_{number}.txt" if number % 3 < 2 else f"round-{number}.txt"
    names = {name.lower() for name in (given, family, doctor, doctor_given)}
    words = frozenset(name.encode() for name in names if name in text.lower())
    numbers = frozenset(value.encode() for value in values.values() if value in text)
    return Planted(name, text, words, numbers)


def left(raw: bytes, words: set[bytes], numbers: set[bytes]) -> set[bytes]:
    """Return the planted values in the bytes, also where each second byte is empty (UTF-16)."""
    found: set[bytes] = set()
    for view in (raw, raw.replace(b"\0", b"")):
        found |= words & {w.lower() for w in re.findall(rb"[A-Za-z]{6,}", view)}
        found |= numbers & set(re.findall(rb"\d[\d/-]{8,}\d", view))
    return found


def bytes_under(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the process also keeps its temporary files."""
    for name in ("data", "temporary", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def ingest(folder: Path, data: Path) -> Report:
    """Take every file of a folder in, with the real stores."""
    report = Report(run="generated")
    vault = Vault(f"sqlite:///{data / 'vault.db'}", master=MASTER)
    rules = PrivacyRules.load(POLICIES / "privacy.toml")
    url = f"sqlite:///{data / 'catalog.db'}"
    catalog, ledger = SqlCatalog(url, access_class=access_class), Ledger(url)
    holds = Holds(url, derive=Keys(MASTER).derive)
    index = EdgeIndex(folder=data / "index", dim=DIM)
    audit = open_logs(data / "audit", kind="ingest")
    files = SealedFiles(data / "sealed", keys=vault, name_key=MASTER, storage=Disk())
    aside = Aside(url, files=files, most_bytes=20_000)
    who = Principal("job", "mercy", frozenset({"ingest"}), clearance=Sensitivity.RESTRICTED)
    job = job_here(
        run=report.run,
        target=Target(who, Purpose.HOPERAT, "clinical"),
        parser=PlainParser(),
        privacy=Privacy(detector=LabelReader(), rules=rules, vault=vault),
        policies=Policies.load(POLICIES),
        embedder=DigestEmbedder(),
        weigher=Bm25Weigher(),
        index=index,
        archive=archive_in(data, vault),
        catalog=catalog,
        ledger=ledger,
        keeping=keeping_of(holds),
        audit=audit,
        aside=aside,
        name_key=MASTER,
        largest_file=20_000,
        on_result=lambda result: None,
    )
    job.run(list(sources.find([folder], sources.GivenLabels())), report)
    for part in (index, catalog, ledger, holds, aside, vault, audit):
        part.close()
    return report


@pytest.mark.slow
def test_a_thousand_files_leave_no_planted_value_in_any_byte(
    apart: Path, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture, capfd
) -> None:
    caplog.set_level(logging.DEBUG)
    source = tmp_path_factory.mktemp("source")
    planted = [generated(number) for number in range(FILES)]
    for one in planted:
        (source / one.name).write_text(one.text)
    words = set().union(*(one.words for one in planted))
    numbers = set().union(*(one.numbers for one in planted))
    written = b"\n".join(one.text.encode() for one in planted)
    assert left(written, words, numbers) == words | numbers

    report = ingest(source, apart / "data")

    assert report.states == {FileState.INDEXED: FILES}
    raw = bytes_under(apart)
    printed = "".join(capfd.readouterr()).encode() + caplog.text.encode()
    assert raw.lower().count(HARMLESS) >= FILES
    assert left(raw + printed, words, numbers) == set()
