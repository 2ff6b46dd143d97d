"""Plants people in a deployment, erases them in random order with kills, and searches every byte.

``python -m tests.erasures FOLDER SUBJECTS CHUNKS BATCHES SEED`` prints one JSON line at the end.
Each order is killed up to three times at random moments with SIGKILL and then run again. Each
person has a name that the index keeps in clear and marked, a social security number that the
detector misses, a record number that is pseudonymised and a telephone number that is masked, in a
document of their own and in one together with somebody else. Some people are on legal hold.
``CHUNKS`` further passages about nobody fill the index. Stores, policies and audit log are the real
ones; it imports no model, so that it can fork.

The search reads every file below the data folder: text in UTF-8, UTF-16 of both byte orders, and
inside base64.
"""

import base64
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from ingest.aside import Aside
from ingest.certificate import Certifier, check_certificate
from ingest.erasure_orders import ErasureOrders, Fate, Kind
from ingest.forget import Eraser
from ingest.holds import Held, Hold, Holds
from ingest.ledger import Ledger
from ingest.many_erasures import ManyErasures
from ingest.places import SealedPlace
from ingest.prepare import Target
from ingest.report import Report
from ingest.sources import GivenLabels, SourceFile
from ragplatform.access.register import Register
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.archive import SealedArchive
from ragplatform.audit.events import Action, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.note import Signer
from ragplatform.audit.sealed_about import SealedTexts
from ragplatform.audit.seeds import SealSeeds
from ragplatform.audit.storage import Disk
from ragplatform.catalog import SqlCatalog
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import DeniedError
from ragplatform.model import Chunk, Labels, Passage, Principal, Purpose, Sensitivity, Span
from ragplatform.model import TermWeights as Terms
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.ports import Entry, Vectors
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.keys import Keys
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.vault import Vault
from ragplatform.sealed_files import Place, SealedFiles
from tests.fakes_audit import key_of, open_logs
from tests.ingest_crash import MASTER, POLICIES, PlainParser
from tests.jobs import job_here
from tests.sealed import archive_in, aside_in, sealed_in
from tests.state import ENTRY, keeping_of

DIM = 384
RULES = """
default = "mask"
[types]
PERSON = "tag"
MEDICAL_RECORD_NUMBER = "pseudonymise"
PHONE_NUMBER = "mask"
"""
FORMS = {
    "PERSON": r"Quillan Vexmoor-(\d{5})",
    "US_SSN": r"931-7(\d{5})-55",
    "MEDICAL_RECORD_NUMBER": r"QV66(\d{5})90",
    "PHONE_NUMBER": r"555-01(\d{5})-77",
}
_NOTE = (
    "Quillan Vexmoor-{0:05}, SSN 931-7{0:05}-55, record QV66{0:05}90, telephone 555-01{0:05}-77, "
    "came about {1}. "
)
_MISSED = "US_SSN"
_PATTERNS = {name: re.compile(form) for name, form in FORMS.items() if name != _MISSED}
_BYTES = re.compile("|".join(FORMS.values()).encode())
# The beginnings of all forms, in UTF-16 of either order without its first or last byte.
_WIDE = [b"\0".join(bytes([c]) for c in form[:4].encode()) for form in FORMS.values()]
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{32,}")


class FormDetector:
    """Finds what was planted, but for one kind."""

    version = "forms-1"

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        return [sorted(self._spans(text), key=lambda span: span.start) for text in texts]

    def _spans(self, text: str) -> Iterator[Span]:
        for entity, pattern in _PATTERNS.items():
            for match in pattern.finditer(text):
                yield Span(*match.span(), entity, CATEGORY_OF[entity], 0.9, "planted")


class ChanceEmbedder:
    """Gives each text some direction."""

    version = "chance-1"
    dim = DIM

    def embed(self, texts: Sequence[str]) -> Vectors:
        found = np.random.default_rng(1).standard_normal((len(texts), DIM)).astype(np.float32)
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Parts:
    """The stores of one deployment."""

    ledger: Ledger
    catalog: SqlCatalog
    register: Register
    audit: TenantLogs
    index: EdgeIndex
    policies: Policies
    privacy: Privacy
    holds: Holds
    files: SealedFiles
    archive: SealedArchive
    aside: Aside
    data: Path

    def eraser(self) -> Eraser:
        """Return what erases."""
        return Eraser(
            principal=who("erasure"),
            purpose=Purpose.COMPLIANCE,
            policies=self.policies,
            privacy=self.privacy,
            index=self.index,
            archive=self.archive,
            catalog=self.catalog,
            ledger=self.ledger,
            register=self.register,
            audit=self.audit,
            seals=SealedTexts(self.data / "audit", partial(_seeds, self.data)),
            keeping=keeping_of(self.holds),
            places=(SealedPlace(self.files),),
        )

    def certifier(self) -> Certifier:
        """Return what certifies."""
        return Certifier(
            principal=who("erasure"),
            purpose=Purpose.COMPLIANCE,
            policies=self.policies,
            privacy=self.privacy,
            index=self.index,
            catalog=self.catalog,
            ledger=self.ledger,
            audit=self.audit,
            logs=self.data / "audit",
            signer=lambda origin: Signer(origin, key_of("sign", origin)),
            folder=self.data / "certificates",
            places=(SealedPlace(self.files),),
        )


def who(role: str) -> Principal:
    """Return somebody of the role."""
    return Principal(f"{role}-mercy", "mercy", frozenset({role}), clearance=Sensitivity.RESTRICTED)


def _seeds(data: Path, origin: str) -> SealSeeds:
    return SealSeeds(data / "seals" / f"{origin}.json")


@contextmanager
def opened(data: Path) -> Iterator[Parts]:
    """Open the stores in a folder."""
    data.mkdir(exist_ok=True)
    url = f"sqlite:///{data / 'catalog.db'}"
    (data.parent / "privacy.toml").write_text(RULES)
    with ExitStack() as closing:
        vault = Vault(f"sqlite:///{data / 'vault.db'}", master=MASTER)
        closing.callback(vault.close)
        audit = open_logs(
            data / "audit", kind="ingest", storage=Disk(), seeds=partial(_seeds, data)
        )
        closing.callback(audit.close)
        parts = Parts(
            ledger=Ledger(url),
            catalog=SqlCatalog(url, access_class=access_class),
            register=Register(
                url,
                subject_ref=vault.subject_ref,
                directories=(),
                now=lambda: datetime(2026, 11, 26, tzinfo=UTC),
            ),
            audit=audit,
            index=EdgeIndex(folder=data / "index", dim=DIM),
            policies=Policies.load(POLICIES),
            privacy=Privacy(
                detector=FormDetector(),
                rules=PrivacyRules.load(data.parent / "privacy.toml"),
                vault=vault,
            ),
            holds=Holds(url, derive=Keys(MASTER).derive),
            files=(files := sealed_in(data, vault)),
            archive=archive_in(data, vault),
            aside=aside_in(data, files),
            data=data,
        )
        for one in (
            parts.ledger,
            parts.catalog,
            parts.register,
            parts.index,
            parts.holds,
            parts.aside,
        ):
            closing.callback(one.close)
        yield parts


def plant(data: Path, subjects: int, chunks: int, held: Sequence[int]) -> None:
    """Take everybody's documents in, ask about them, put some on hold, and fill the index."""
    with opened(data) as parts:
        report = Report(run="planted")
        job = job_here(
            run=report.run,
            target=Target(who("ingest"), Purpose.HOPERAT, "clinical"),
            parser=PlainParser(),
            privacy=parts.privacy,
            policies=parts.policies,
            embedder=ChanceEmbedder(),
            weigher=Bm25Weigher(),
            index=parts.index,
            archive=parts.archive,
            aside=parts.aside,
            catalog=parts.catalog,
            ledger=parts.ledger,
            keeping=keeping_of(parts.holds),
            audit=parts.audit,
            name_key=MASTER,
            largest_file=100_000,
            on_result=lambda result: None,
        )
        job.run(_sources(subjects, set(held)), report)
        assert report.exit_code == 0, report.summary()
        for number in range(subjects):
            _surround(parts, number)
        for number in held:
            _hold(parts, number)
        _fill(parts, chunks)


def _sources(subjects: int, held: set[int]) -> Iterator[SourceFile]:
    for number in range(subjects):
        yield _source(f"own-{number}.txt", _NOTE.format(number, "a knee") * 9, number)
    for number in range(0, subjects - 1, 2):
        # A document that two share goes with either: nobody on hold shares one with others.
        if not held & {number, number + 1}:
            text = "".join(_NOTE.format(one, "a shared room") for one in (number, number + 1))
            yield _source(f"shared-{number}.txt", text, number, number + 1)


def _source(name: str, text: str, *subjects: int) -> SourceFile:
    labels = GivenLabels(subjects=frozenset(f"mrn:{one}" for one in subjects))
    return SourceFile(Path(name), name, labels, text.encode())


def _surround(parts: Parts, number: int) -> None:
    """Leave what there is beside documents: a sealed question, and bytes in quarantine."""
    ref = parts.privacy.subject_ref("mercy", f"mrn:{number}")
    parts.audit.append(
        event_of(
            who("physician"),
            Action.ASKED,
            request_id=f"asked-{number}",
            purpose="TREAT",
            subjects=[ref],
            sealed={"question": _NOTE.format(number, "what?")},
        )
    )
    if number % 10 == 0:
        place = Place("mercy", f"waiting-{number}", "quarantine", "g1")
        parts.files.put(place, _NOTE.format(number, "waits").encode(), subjects=[ref])


def _hold(parts: Parts, number: int) -> None:
    case = parts.holds.case_ref("mercy", f"case {number % 3}")
    ref = parts.privacy.subject_ref("mercy", f"mrn:{number}")
    now = datetime.now(UTC)
    parts.holds.place(Hold("mercy", case, Held.SUBJECT, ref, "legal-mercy", now, "a case", "told"))


def _fill(parts: Parts, chunks: int) -> None:
    labels = Labels("mercy", "papers")
    kind = access_class(labels)
    parts.catalog.register(labels, kind)
    chance = np.random.default_rng(2)
    for start in range(0, chunks, 500):
        entries = []
        for number in range(start, min(start + 500, chunks)):
            text = f"Paper {number} says that visiting hours end at eight. " * 12
            vector = chance.standard_normal(DIM)
            identity = f"10000000-0000-0000-0000-{number:012}"
            passage = Passage(
                Chunk(identity, 0, text, 0, len(text)), f"paper-{number // 20}", "Paper", labels,
                kind, frozenset(), "g1",
            )  # fmt: skip
            unit = (vector / np.linalg.norm(vector)).tolist()
            entries.append(Entry(passage, unit, Terms((1, 2 + number % 5000), (1.0, 2.0))))
        parts.index.upsert(entries)
    for number in range(chunks // 20):
        parts.catalog.put_document(
            replace(ENTRY, document=f"paper-{number}", collection="papers", title="Paper",
                    access_class=kind, subjects=frozenset(), chunks=20)
        )  # fmt: skip


def erase(data: Path, numbers: Sequence[int]) -> None:
    """Erase these people by one order, or what is left of it, and check each one's certificate."""
    purpose, who_asks = Purpose.COMPLIANCE, who("erasure")
    with (
        opened(data) as parts,
        closing(ErasureOrders(f"sqlite:///{data / 'catalog.db'}")) as orders,
    ):
        eraser = parts.eraser()
        refs = eraser.refs(f"mrn:{one}" for one in numbers)
        order = orders.unfinished(who_asks, purpose, refs)
        if order is None:
            order = os.urandom(16).hex()
            eraser.order(order, refs)
            orders.place(order, who_asks, purpose, Kind.SUBJECT, refs)
        many = ManyErasures(
            orders=orders,
            tenant="mercy",
            eraser=eraser,
            certifier=parts.certifier(),
            told=lambda one: None,
            stopped=lambda: False,
        )
        standing = many.run(order)
        named = orders.named(order, after=0, limit=len(refs))
    assert standing.counts[Fate.CERTIFIED] == len(refs)
    for one in named:
        text = (data / "certificates" / f"{one.certificate}.json").read_text()
        assert check_certificate(text).said["subjects"] == [one.id]


def deny(data: Path, numbers: Sequence[int]) -> None:
    """See that nobody erases these people, whatever the role."""
    with opened(data) as parts:
        roles = "erasure legal compliance privacy-officer operator ingest records-officer physician"
        for number in numbers:
            for role in roles.split():
                eraser = parts.eraser()
                eraser._principal = who(role)
                try:
                    eraser.subject(f"mrn:{number}", dry_run=False)
                except DeniedError:
                    continue
                raise AssertionError(f"{role} erased somebody on hold")


def note(data: Path, numbers: Sequence[int], out: Path) -> None:
    """Write all that catalog, index and vault hold about these people."""
    with opened(data) as parts:
        refs = [parts.privacy.subject_ref("mercy", f"mrn:{number}") for number in numbers]
        entries = [e for e in parts.catalog.documents("mercy") if e.subjects & set(refs)]
        passages = [
            repr(passage)
            for e in entries
            for passage in parts.index.passages("mercy", e.document, e.generation, limit=100)
        ]
        values = {ref: parts.privacy.values_of("mercy", ref) for ref in refs}
        assert passages
        assert all(values.values())
        texts = [
            p.chunk.text
            for e in entries
            for p in parts.index.passages("mercy", e.document, e.generation, limit=100)
        ]
        out.write_text(json.dumps([sorted(passages), sorted(texts), values], sort_keys=True))


def found_in(data: Path) -> dict[int, int]:
    """Return how often a value of each person stands in any file, in any of the forms."""
    counts: dict[int, int] = {}
    for path in sorted(data.rglob("*")):
        if path.is_file():
            for text in (one for run in _runs(path) for one in _readings(run)):
                for match in _BYTES.finditer(text):
                    number = int(next(filter(None, match.groups())))
                    counts[number] = counts.get(number, 0) + 1
    return counts


def _runs(path: Path) -> Iterator[bytes]:
    """Yield what a file holds beside its holes: the engine's files are mostly holes."""
    with path.open("rb") as file:
        size, at = path.stat().st_size, 0
        while at < size:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            file.seek(start)
            yield file.read(at - start)


def _readings(raw: bytes) -> Iterator[bytes]:
    yield raw
    if any(mark in raw for mark in _WIDE):
        # Every second byte, from the first and from the second: UTF-16 of either order.
        yield raw[::2]
        yield raw[1::2]
    for run in _BASE64.finditer(raw):
        for start in range(4):
            cut = run[0][start:]
            yield base64.b64decode(cut[: len(cut) // 4 * 4])


def apart(act: Callable[[], None], kill_after_s: float | None = None) -> int:
    """Run the act in a process of its own; kill it after so long. Return how it ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            if code:
                import traceback

                traceback.print_exc()
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _child_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def trial(
    folder: Path, *, subjects: int, chunks: int, batches: int, seed: int
) -> dict[str, object]:
    """Plant, erase with kills, search; return what was done and found."""
    chance = random.Random(seed)
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    held = chance.sample(range(subjects), max(1, subjects // 50))
    going = [number for number in range(subjects) if number not in held]
    chance.shuffle(going)
    assert apart(lambda: plant(data, subjects, chunks, held)) == 0
    before = found_in(data)
    assert apart(lambda: note(data, held, folder / "before.json")) == 0
    kills, singles, work, longest = 0, [], [], 0.0
    # The first few one by one, to see how long one person takes; the others in batches.
    few = min(5, len(going) // 4)
    rest = going[few:]
    size = max(1, -(-len(rest) // batches))
    groups = [[one] for one in going[:few]]
    groups += [rest[start : start + size] for start in range(0, len(rest), size)]
    left_after: list[int] = []
    for number, group in enumerate(groups):
        for _ in range(chance.randrange(1, 4) if number >= few else 0):
            kills += apart(partial(erase, data, group), chance.uniform(0, max(longest, 0.1))) == -9
        began, worked = time.monotonic(), _child_cpu_s()
        assert apart(partial(erase, data, group)) == 0
        took = time.monotonic() - began
        longest = max(longest, took)
        if number < few:
            singles.append(round(took, 2))
            work.append(round(_child_cpu_s() - worked, 2))
        if number in {0, len(groups) - 1}:
            found = found_in(data)
            left_after.append(sum(found.get(one, 0) for one in group))
    assert apart(lambda: deny(data, held)) == 0
    assert apart(lambda: note(data, held, folder / "after.json")) == 0
    after = found_in(data)
    kept = (folder / "before.json").read_bytes() == (folder / "after.json").read_bytes()
    return {
        "subjects": subjects,
        "chunks": chunks,
        "seed": seed,
        "planted_in_clear": sum(number in before for number in going),
        "batches": len(groups),
        "kills": kills,
        "one_subject_s": singles,
        "one_subject_cpu_s": work,
        "longest_batch_s": round(longest, 2),
        "left": sum(after.get(number, 0) for number in going),
        "left_after_each": left_after,
        "held": len(held),
        "held_untouched": kept and all(after.get(one, 0) > 0 for one in held),
        "bytes_searched": sum(len(run) for p in data.rglob("*") if p.is_file() for run in _runs(p)),
    }


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    people, passages, groups_, seed_ = map(int, numbers)
    Path(where).mkdir(parents=True, exist_ok=True)
    result = trial(Path(where), subjects=people, chunks=passages, batches=groups_, seed=seed_)
    print(json.dumps(result))
