"""Kills the ingest job at each of its writes in turn, with SIGKILL, in processes of its own.

``python -m tests.ingest_crash FOLDER THEN STRIDE [SEED]`` works through the points and prints one
JSON line for each. It imports no model and starts no thread, so that it can fork. Stores, policies
and audit log are the real ones; parser, detector and encoder are small and deterministic.

With a seed it dies before each stage as well, not only before writes, the runs that mend are killed
too, and half of the deaths are power cuts: of what the audit log and the sealed files had not
synced only a part is left.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ingest import sources
from ingest.aside import Aside
from ingest.attendance import attended
from ingest.changes import Retry
from ingest.consistency import Survey
from ingest.engine import Engine
from ingest.forget import Eraser
from ingest.holds import Holds
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ingest.parse.document import ParsedDocument, Part
from ingest.parse.interchange import split
from ingest.parse.route import parse
from ingest.parse.unpack import Allowance, Opened, unpack
from ingest.report import FileResult, Report
from ingest.stages import Stages, pipeline
from ingest.sweep import Guard, Sweep
from ingest.work import Target
from ragplatform.access.register import Register
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.archive import SealedArchive
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.sealed_about import SealedTexts
from ragplatform.audit.seeds import SealSeeds
from ragplatform.audit.storage import Disk
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import DetectorError, ParseError
from ragplatform.model import Principal, Purpose, Sensitivity, Span
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.ports import Vectors
from ragplatform.privacy.gate import Privacy, Treatment
from ragplatform.privacy.keys import Keys
from ragplatform.privacy.pseudonyms import DOCUMENT_KEYS, Pseudonyms
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.vault import Vault
from ragplatform.sealed_files import SealedFiles
from tests.containers import register, zipped
from tests.fakes_audit import open_logs
from tests.fakes_disk import JournalDisk
from tests.fakes_privacy import RegexDetector
from tests.jobs import UNGUARDED, job_here, stages_of
from tests.sealed import archive_of
from tests.state import keeping_of
from tests.stored import Stored, copy_data, look

POLICIES = Path(__file__).parents[1] / "policies"
DIM = 16
MASTER = bytes(32)
LARGEST = 20_000
BROKEN = "The detector stumbles here."

_WRITES = {
    "ledger": {"begin", "commit_indexed", "commit_quarantined", "commit_unpacked",
               "commit_gone", "close_container", "put_in_place", "forget"},
    "runs": {"start", "finish"},
    "catalog": {"register", "put_document", "delete_document", "drop_labels", "scrub"},
    "audit": {"append"},
    "vault": {"store", "file_key", "destroy_subject"},
    "register": {"forget"},
    "index": {"upsert", "retire", "remove", "scrub"},
    "archive": {"keep", "retire", "forget"},
    "holds": set(),
    "aside": {"keep", "done", "reject"},
}  # fmt: skip
_STAGES = {
    "parser": {"parse", "split", "unpack"},
    "detector": {"detect"},
    "policies": {"decide"},
    "embedder": {"embed"},
    "weigher": {"weigh_document"},
}

_NOTE = "Maria Lopez, MRN 4471230, SSN 078-05-1120, called (212) 555-0143 about {}. "
_ALL_ABOUT_ONE = '[[rule]]\nmatch = "*"\nsubjects = ["mrn:1"]\n'


def first_version(folder: Path) -> None:
    """Write the files as they first were."""
    folder.mkdir(exist_ok=True)
    long = "".join(_NOTE.format(f"day {day} of her stay") for day in range(40))
    texts = {
        "stays.txt": _NOTE.format("her tablets"),
        "changes.txt": long,
        "hostile.txt": _NOTE.format("a bill"),
        "grows.txt": _NOTE.format("a referral"),
        "stumbles.txt": _NOTE.format("her knee"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "labels.toml").write_text(_ALL_ABOUT_ONE)


def second_version(folder: Path) -> None:
    """Change one file, turn two hostile, let one fail in the detector, and add one.

    The changed one is about another patient now.
    """
    (folder / "changes.txt").write_text(_NOTE.format("going home") * 12)
    (folder / "hostile.txt").write_bytes(b"MZ\0\0 not a note")
    (folder / "grows.txt").write_text("x" * (LARGEST + 1))
    (folder / "stumbles.txt").write_text(BROKEN)
    (folder / "new.txt").write_text(_NOTE.format("a new patient, Anna Müller"))
    rule = '[[rule]]\nmatch = "changes.txt"\nsubjects = ["mrn:2"]\n'
    (folder / "labels.toml").write_text(_ALL_ABOUT_ONE + rule)


def first_holdings(folder: Path) -> None:
    """Write what the first version is joined by when things come to leave their places."""
    (folder / "leaves.txt").write_text(_NOTE.format("a rash"))
    (folder / "people.ndjson").write_bytes(register("anna", "bert", "carl"))
    (folder / "grows.ndjson").write_bytes(register("dora"))
    (folder / "shrinks.ndjson").write_bytes(register("emil", "fred"))
    deep = zipped(("deep.txt", _NOTE.format("her heart").encode()), ("bad.txt", b"MZ\0\0"))
    stays = ("stays.txt", _NOTE.format("her eyes").encode())
    leaves = ("leaves.txt", _NOTE.format("her ears").encode())
    (folder / "sheaf.zip").write_bytes(zipped(stays, leaves, ("deep.zip", deep)))
    (folder / "goes.zip").write_bytes(zipped(("x.txt", _NOTE.format("her nose").encode())))


def second_holdings(folder: Path) -> None:
    """Let things leave the folder, an archive and a bulk export, and two files change their kind.

    One file of several people comes to be about one, and one about one comes to hold two.
    """
    (folder / "leaves.txt").unlink(missing_ok=True)
    (folder / "goes.zip").unlink(missing_ok=True)
    (folder / "people.ndjson").write_bytes(register("anna", "carl"))
    (folder / "grows.ndjson").write_bytes(register("dora", "gina"))
    (folder / "shrinks.ndjson").write_bytes(register("emil"))
    stays = ("stays.txt", _NOTE.format("her eyes").encode())
    comes = ("comes.txt", _NOTE.format("her hands").encode())
    (folder / "sheaf.zip").write_bytes(zipped(stays, comes))


class PlainParser:
    """Takes UTF-8 text and refuses what looks like a program."""

    version = "plain-1"
    walls = ""

    def parse(self, data: bytes, name: str) -> ParsedDocument:
        if b"\0" in data:
            raise ParseError("type_mismatch", f"{Path(name).suffix} holds a program")
        return ParsedDocument(text=data.decode(), media_type="text/plain")

    def split(self, data: bytes, name: str) -> tuple[Part, ...]:
        return split(data, name)

    def unpack(self, data: bytes, name: str, allowance: Allowance) -> Opened:
        return unpack(data, name, allowance)


class StumblingDetector(RegexDetector):
    """Fails on one sentence."""

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        if any(BROKEN in text for text in texts):
            raise DetectorError("the fake fails as told")
        return super().detect(texts)


class DigestEmbedder:
    """Gives each text a direction of its own."""

    version = "digest-1"
    dim = DIM

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = [hashlib.sha256(text.encode()).digest()[:DIM] for text in texts]
        found = np.array([list(row) for row in rows], dtype=np.float32).reshape(-1, DIM) + 1
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@dataclass(slots=True)
class Fuse:
    """Counts writes; the process dies instead of making write number ``at``.

    With ``stages`` it counts those as well, and with ``cut`` the death is a power cut.
    """

    at: int = 0
    told: Callable[[str], None] = lambda name: None
    stages: bool = False
    cut: random.Random | None = None
    disks: list[JournalDisk] = field(default_factory=list, init=False)
    count: int = field(default=0, init=False)

    def burn(self, name: str) -> None:
        self.count += 1
        if self.count == self.at:
            self.told(name)
            for disk in self.disks:
                assert self.cut is not None
                disk.image(len(disk.journal), self.cut, _left_by_cut(disk.root))
            os.kill(os.getpid(), signal.SIGKILL)

    def disk(self, folder: Path) -> Disk:
        """Return the disk under a folder."""
        if self.cut is None:
            return Disk()
        folder.mkdir(parents=True, exist_ok=True)
        self.disks.append(JournalDisk(folder))
        return self.disks[-1]


def _left_by_cut(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.left")


def after_cut(data: Path) -> bool:
    """Put what a power cut left in place of what was written; return whether there was one."""
    cut = False
    for folder in (data / "audit", data / "sealed"):
        if (left := _left_by_cut(folder)).exists():
            shutil.rmtree(folder)
            left.rename(folder)
            cut = True
    return cut


class Fused:
    """A store whose writes burn the fuse first."""

    def __init__(self, name: str, store: object, fuse: Fuse) -> None:
        self._name = name
        self._store = store
        self._fuse = fuse

    def __getattr__(self, method: str) -> object:
        act = getattr(self._store, method)
        if (self._name, method) == ("ledger", "runs"):
            return Fused("runs", act, self._fuse)
        counted = _WRITES.get(self._name) or (self._fuse.stages and _STAGES.get(self._name)) or ()
        if method not in counted:
            return act

        def fused(*args: object, **named: object) -> object:
            self._fuse.burn(f"{self._name}.{method}")
            return act(*args, **named)

        return fused


@dataclass(frozen=True, slots=True)
class Parts:
    """The stores of one deployment, fused."""

    ledger: Ledger
    catalog: SqlCatalog
    register: Register
    audit: TenantLogs
    vault: Vault
    index: EdgeIndex
    archive: SealedArchive
    policies: Policies
    privacy: Privacy
    keeping: Keeping
    aside: Aside


@contextmanager
def opened(data: Path, fuse: Fuse) -> Iterator[Parts]:
    """Open the stores in a folder."""
    data.mkdir(exist_ok=True)
    with ExitStack() as closing:

        def fused(name: str, store: object) -> object:
            closing.callback(store.close)
            return Fused(name, store, fuse)

        url = f"sqlite:///{data / 'catalog.db'}"
        vault = fused("vault", Vault(f"sqlite:///{data / 'vault.db'}", master=MASTER))
        sealed = fuse.disk(data / "sealed")
        files = SealedFiles(data / "sealed", keys=vault, name_key=MASTER, storage=sealed)
        log = open_logs(data / "audit", kind="ingest", storage=fuse.disk(data / "audit"))
        yield Parts(
            ledger=fused("ledger", Ledger(url)),
            catalog=fused("catalog", SqlCatalog(url, access_class=access_class)),
            register=fused("register", _register(url, vault)),
            audit=fused("audit", log),
            vault=vault,
            index=fused("index", EdgeIndex(folder=data / "index", dim=DIM)),
            archive=Fused("archive", archive_of(files), fuse),
            policies=Fused("policies", Policies.load(POLICIES), fuse),
            privacy=Privacy(
                detector=Fused("detector", StumblingDetector(), fuse),
                rules=PrivacyRules.load(POLICIES / "privacy.toml"),
                vault=vault,
            ),
            aside=fused("aside", Aside(url, files=files, most_bytes=LARGEST)),
            keeping=keeping_of(fused("holds", Holds(url, derive=Keys(MASTER).derive))),
        )


def _register(url: str, vault: Vault) -> Register:
    return Register(
        url,
        subject_ref=vault.subject_ref,
        directories=(),
        now=lambda: datetime(2026, 11, 26, tzinfo=UTC),
    )


def _who(role: str) -> Principal:
    return Principal(f"{role}-mercy", "mercy", frozenset({role}), clearance=Sensitivity.RESTRICTED)


TARGET = Target(_who("ingest"), Purpose.HOPERAT, "clinical")


def pipeline_of(parts: Parts, parser: "PlainParser | RecordParser") -> str:
    """Return the version of the stages that a job of these parts has."""
    return pipeline(parser=parser, privacy=parts.privacy)


class RecordParser:
    """Reads records in this process: what the sandbox would answer, without it."""

    version = "records-1"
    walls = ""

    def parse(self, data: bytes, name: str) -> ParsedDocument:
        return parse(data, name, LARGEST)

    def split(self, data: bytes, name: str) -> tuple[Part, ...]:
        return split(data, name)

    def unpack(self, data: bytes, name: str, allowance: Allowance) -> Opened:
        return unpack(data, name, allowance)


def worker_stages() -> Stages:
    """Return the stages as a worker of another process has them: with few keys and no store."""
    return stages_of(
        target=TARGET,
        parser=PlainParser(),
        privacy=Treatment(
            detector=StumblingDetector(),
            rules=PrivacyRules.load(POLICIES / "privacy.toml"),
            pseudonyms=Pseudonyms(Keys(MASTER).only(DOCUMENT_KEYS, "mercy")),
        ),
        policies=Policies.load(POLICIES),
        embedder=DigestEmbedder(),
        weigher=Bm25Weigher(),
        largest_file=LARGEST,
    )


def ingest(
    files: Path,
    data: Path,
    fuse: Fuse,
    *,
    parser: PlainParser | RecordParser | None = None,
    sweeping: bool = False,
    guard: Guard = UNGUARDED,
    retry: Retry | None = None,
    stop: Callable[[Report], bool] = lambda report: False,
    engine: Engine | None = None,
    on_result: Callable[[FileResult], None] = lambda result: None,
) -> Report:
    """Run the job over the files, in this process unless an engine is given.

    With ``sweeping`` it takes out what is not there any more.
    """
    report = Report(run=os.urandom(8).hex())
    with opened(data, fuse) as parts, attended(parts.ledger, report, TARGET) as attendance:
        job = job_here(
            run=report.run,
            target=TARGET,
            parser=Fused("parser", parser or PlainParser(), fuse),
            privacy=parts.privacy,
            policies=parts.policies,
            embedder=Fused("embedder", DigestEmbedder(), fuse),
            weigher=Fused("weigher", Bm25Weigher(), fuse),
            index=parts.index,
            archive=parts.archive,
            catalog=parts.catalog,
            ledger=parts.ledger,
            keeping=parts.keeping,
            audit=parts.audit,
            aside=parts.aside,
            name_key=MASTER,
            largest_file=LARGEST,
            on_result=on_result,
            engine=engine,
            guard=guard,
            retry=retry,
            stop=lambda: attendance.asked_to_end() or stop(report),
        )
        found = list(sources.find([files], sources.GivenLabels()))
        sweep = Sweep("", lambda: [one.name for one in found])
        job.run(found, report, sweep=sweep if sweeping else None)
    return report


def erase(data: Path, fuse: Fuse) -> None:
    """Erase all about the one patient of the files."""
    with opened(data, fuse) as parts:
        Eraser(
            principal=_who("erasure"),
            purpose=Purpose.COMPLIANCE,
            policies=parts.policies,
            privacy=parts.privacy,
            index=parts.index,
            archive=parts.archive,
            catalog=parts.catalog,
            ledger=parts.ledger,
            register=parts.register,
            audit=parts.audit,
            seals=SealedTexts(data / "audit", lambda origin: SealSeeds(data / f"{origin}.json")),
            keeping=parts.keeping,
        ).subject("mrn:1", dry_run=False)


def apart(act: Callable[[], object]) -> int:
    """Run the act in a process of its own; return how it ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            if code:
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]  # there is one
                sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def first_files(folder: Path, then: str) -> None:
    """Write the files of the first run."""
    first_version(folder)
    if then == "leave":
        first_holdings(folder)


def second_files(folder: Path, then: str) -> None:
    """Change them for the second run."""
    second_version(folder)
    if then == "leave":
        second_holdings(folder)


def run_over(files: Path, data: Path, fuse: Fuse, then: str) -> None:
    """Run the job, and let what is gone leave where that is the story."""
    ingest(files, data, fuse, sweeping=then == "leave")


def main(folder: Path, then: str, stride: int, start: int = 0) -> None:
    """Kill at every ``stride``-th write of the second run, then print what is wrong.

    What follows the kill is ``then``:
    ``again``: the same run once more. ``back``: the files are as they were first, then a run.
    ``leave``: as ``again``, with things that left the folder, archives and bulk exports.
    ``erase``: the patient is erased; then points lie in the erasure too.
    The run that mends is itself killed at a random write, and once more, where ``start`` is not 0:
    it is the seed then.
    """
    files, base = folder / "files", folder / "base"
    first_files(files, then)
    assert apart(lambda: run_over(files, base, Fuse(), then)) == 0
    reference = copy_data(base, folder / "reference")
    if then in {"again", "leave"}:
        second_files(files, then)
        assert apart(lambda: run_over(files, reference, Fuse(), then)) == 0
    chance = random.Random(start) if start else None
    # Other seeds try other points of the stride.
    point, died = 1 - stride + (chance.randrange(stride) if chance else 0), True
    while died:
        point += stride
        data = copy_data(base, folder / f"at-{point}")
        died = one_point(point, then, files, data, reference, chance)
        shutil.rmtree(data)


def one_point(
    point: int,
    then: str,
    files: Path,
    data: Path,
    reference: Path,
    chance: random.Random | None,
) -> bool:
    """Kill at one write and see it through; return whether there was such a write."""
    place, note = data.with_suffix(".write"), data.with_suffix(".wrong")
    note.write_text('["no judgement"]')

    def act(fuse: Fuse) -> None:
        run_over(files, data, fuse, then)
        if then == "erase":
            erase(data, fuse)

    def told(name: str) -> None:
        with place.open("a") as file:
            file.write(f"{name}\n")

    second_files(files, then)
    ended = apart(lambda: act(_fuse(point, told, chance)))
    cuts = int(after_cut(data))
    for _ in range(2 if chance else 0):
        # Every start looks at what the kill before it left.
        fuse = _fuse(chance.randrange(1, 60) if chance else 0, told, chance)
        apart(lambda fuse=fuse: run_over(files, data, fuse, then))
        cuts += after_cut(data)
    apart(lambda: note.write_text(json.dumps(judge(then, files, data, reference))))
    killed = place.read_text().split() if place.exists() else []
    line = {
        "point": point,
        "ended": ended,
        "killed": killed,
        "cuts": cuts,
        "wrong": json.loads(note.read_text()),
    }
    print(json.dumps(line), flush=True)
    return ended == -signal.SIGKILL


def _fuse(at: int, told: Callable[[str], None], chance: random.Random | None) -> Fuse:
    cut = random.Random(chance.random()) if chance and chance.random() < 0.5 else None
    return Fuse(at, told, stages=chance is not None, cut=cut)


def judge(then: str, files: Path, data: Path, reference: Path) -> list[str]:
    """Look at what the kill left, do what comes then, and return what is wrong."""
    wrong = look(data, dim=DIM, master=MASTER).wrong_at_any_moment()
    if then == "back":
        first_files(files, then)
    if then == "erase":
        # An erasure that was killed may leave the ledger behind; only what it leaves now counts.
        erase(data, Fuse())
        after = look(data, dim=DIM, master=MASTER)
        return after.wrong_at_any_moment() + _about("mrn:1", after)
    run_over(files, data, Fuse(), then)
    after = look(data, dim=DIM, master=MASTER)
    wrong += [f"after: {one}" for one in (*after.wrong_after_a_run(), *_differences(data))]
    expected = look(reference, dim=DIM, master=MASTER)
    if then in {"again", "leave"} and not after.same_as(expected):
        wrong.append("differs from the run that was not killed")
    if then == "back":
        wrong += [
            f"lost: {document} was put back and is not there"
            for document in expected.catalog
            if after.catalog.get(document) != expected.catalog[document]
        ]
    return wrong


def _differences(data: Path) -> list[str]:
    """Return in what ledger, catalog, archive and index differ."""
    with opened(data, Fuse()) as parts:
        survey = Survey(
            ledger=parts.ledger, catalog=parts.catalog, archive=parts.archive, index=parts.index
        )
        found = list(survey.findings(survey.stock("mercy"), deep=True))
    return [f"{one.fault}: {one.document} {one.generation}" for one in found]


def _about(raw_id: str, stored: Stored) -> list[str]:
    """Return what is still there about one person."""
    ref = Pseudonyms(Keys(MASTER)).subject_ref("mercy", raw_id)
    return [f"left: {p.document}" for p in stored.passages.values() if ref in p.subjects]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
