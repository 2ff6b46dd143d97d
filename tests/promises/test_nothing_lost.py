"""Promise 7: what was acknowledged survives kill -9, and running again mends what was not.

``RAGPLATFORM_KILLS`` sets how many real runs are killed (4 by default); with 20 or more, the
in-process points are all tried as well. ``RAGPLATFORM_SEED`` repeats the moments of a failure.
"""

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from ingest.ledger import State
from ragplatform import identities, openers
from ragplatform.audit import query
from ragplatform.config import Settings
from tests.stored import Stored, copy_data, look

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "demo" / "corpus" / "mercy"
KILLS = int(os.environ.get("RAGPLATFORM_KILLS", "4"))
SEED = int(os.environ.get("RAGPLATFORM_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
EVERY = KILLS >= 20
DIM = 384
FOLDERS = ("labs", "referrals", "portal")
CHANGED, HOSTILE, ADDED = "labs/inr-register-q1.csv", "referrals/sleep-clinic.txt", "notes"


@pytest.mark.parametrize(
    ("then", "stride"),
    [
        ("again", 1),
        ("leave", 1 if EVERY else 9),
        ("back", 1 if EVERY else 3),
        ("erase", 1 if EVERY else 4),
    ],
)
def test_wherever_between_two_writes_the_job_dies_nothing_is_lost_doubled_or_left_over(
    memory: Path, then: str, stride: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.ingest_crash", memory, then, str(stride)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    points = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [point for point in points if point["wrong"]] == []
    assert [point["ended"] for point in points] == [-9] * (len(points) - 1) + [0]
    assert len(points) > 30 // stride


@dataclass(frozen=True, slots=True)
class Run:
    """One process of the job: what it said of each file, and how long it worked."""

    code: int
    lines: list[dict[str, object]]
    worked_s: float


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill: so long after the first sign of work, or after so many files are done."""

    after_s: float
    files: int = 0


def run_job(files: Path, data: Path, moment: Moment | None = None) -> Run:
    """Run ``ragplatform-ingest run`` over the files; kill it at the moment, if one is given."""
    script = Path(sys.executable).with_name("ragplatform-ingest")
    options = ["--tenant", "mercy", "--collection", "clinical", "--json"]
    process = subprocess.Popen(
        [script, "run", files, *options],
        cwd=ROOT, env=_environment(data), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as pipe:
        while not (data / "catalog.db-wal").exists() and process.poll() is None:
            time.sleep(0.005)
        began = time.monotonic()
        said = _read(pipe.fileno(), moment, began)
        children = psutil.Process(process.pid).children(recursive=True) if moment else []
        if moment:
            process.send_signal(signal.SIGKILL)
        said += _read(pipe.fileno(), None, began)
        code = process.wait(60)
    _, left = psutil.wait_procs(children, timeout=10)
    assert left == [], "the parser outlived the job"
    whole = said.decode().split("\n")[:-1]
    return Run(code, [json.loads(line) for line in whole], time.monotonic() - began)


def _read(pipe: int, moment: Moment | None, began: float) -> bytes:
    """Return what comes out of the pipe until the moment has come, or to its end."""
    said, due = b"", None if moment is None or moment.files else began + moment.after_s
    while True:
        wait = None if due is None else max(0.0, due - time.monotonic())
        if not select.select([pipe], [], [], wait)[0]:
            return said
        # One line at a time: more would let the moment pass unseen.
        block = os.read(pipe, 1 if due is None and moment else 65_536)
        if not block:
            return said
        said += block
        if moment and moment.files and due is None and said.count(b"\n") == moment.files:
            due = time.monotonic() + moment.after_s


def _environment(data: Path) -> dict[str, str]:
    ours = {name: v for name, v in os.environ.items() if not name.startswith("RAGPLATFORM_")}
    return {
        **ours,
        "RAGPLATFORM_DATA_DIR": str(data),
        "RAGPLATFORM_MODELS_DIR": str(ROOT / "var" / "models"),
        "RAGPLATFORM_POLICIES_DIR": str(ROOT / "policies"),
    }


@dataclass(frozen=True, slots=True)
class Story:
    """A deployment at rest, the files that a run then finds, and what that run makes of them."""

    data: Path
    files: Path
    worked_s: float
    end: Stored
    lines: int


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, Story]:
    """Return a first ingest and one over changed files, each with its end without any kill."""
    _provision()
    home = tmp_path_factory.mktemp("nothing-lost")
    first, second = home / "first", home / "second"
    for folder in FOLDERS:
        shutil.copytree(CORPUS / folder, first / folder)
    shutil.copy(CORPUS / "labels.toml", first)
    shutil.copytree(first, second)
    rows = (first / CHANGED).read_text().splitlines(keepends=True)
    (second / CHANGED).write_text("".join(rows[:-3]))
    (second / HOSTILE).write_bytes(b"MZ" + bytes(100))
    shutil.copytree(CORPUS / ADDED, second / ADDED)
    empty = home / "empty"
    identities.create_keys(Settings(data_dir=empty))
    one = _story(home, empty, first)
    return one, _story(home, home / f"end-of-{first.name}", second)


def _provision() -> None:
    """Put the encoder in place where the demo or the set-up has not done so yet."""
    script = Path(sys.executable).with_name("ragplatform")
    subprocess.run(
        [script, "models", "provision", "all-minilm-l6-v2"],
        cwd=ROOT, env=_environment(ROOT / "var" / "data"), check=True, capture_output=True,
    )  # fmt: skip


def _story(home: Path, data: Path, files: Path) -> Story:
    end = copy_data(data, home / f"end-of-{files.name}")
    run = run_job(files, end)
    assert run.code in {0, 1}, run
    return Story(data, files, run.worked_s, stored(end), len(run.lines) - 1)


def stored(data: Path) -> Stored:
    """Read a deployment that no process has open, its logs verified under its own key."""
    settings = Settings(data_dir=data)
    for log in query.find_logs(settings.audit_dir):
        report = openers.verify_audit(settings, log)
        assert report.ok, report
    return look(data, dim=DIM, master=settings.master_key())


def moments(story: Story, chance: random.Random) -> Iterator[Moment]:
    """Yield random moments: anywhere in the work, and in the short time when stores are written."""
    while True:
        yield Moment(chance.uniform(0, story.worked_s))
        yield Moment(chance.uniform(0, 0.03), files=chance.randrange(1, story.lines))


@dataclass(frozen=True, slots=True)
class Trial:
    """One killed run, what it left, and the run that mended it."""

    moment: Moment
    story: Story
    killed: Run
    left: Stored
    again: Run
    end: Stored

    @property
    def acknowledged(self) -> set[str]:
        """The documents that the killed process said were in."""
        return {str(x["document"]) for x in self.killed.lines if x.get("state") == "indexed"}

    def wrong(self) -> list[str]:
        """Return what may not be so."""
        wrong = self.left.wrong_at_any_moment() + self.end.wrong_after_a_run()
        kept = {d for d, (state, _, _) in self.left.ledger.items() if state is State.INDEXED}
        wrong += [f"acknowledged and lost: {document}" for document in self.acknowledged - kept]
        if self.again.code not in {0, 1}:
            wrong.append(f"the run after the kill ended with {self.again.code}")
        if not self.end.same_as(self.story.end):
            wrong.append("differs from the run that was not killed")
        return wrong


def try_once(story: Story, moment: Moment, data: Path) -> Trial:
    """Kill a run at the moment, look, run again, and look."""
    copy_data(story.data, data)
    killed = run_job(story.files, data, moment)
    left = stored(data)
    again = run_job(story.files, data)
    end = stored(data)
    shutil.rmtree(data)
    return Trial(moment, story, killed, left, again, end)


# Each trial starts the program twice, at some 12 s of one core.
@pytest.mark.timeout(300 + 60 * KILLS)
def test_a_job_killed_at_a_random_moment_is_mended_by_running_it_again(
    stories: tuple[Story, Story], tmp_path: Path
) -> None:
    chance, began = random.Random(SEED), time.monotonic()
    when = [moments(story, chance) for story in stories]
    plan = [(stories[n // 2 % 2], next(when[n // 2 % 2]), tmp_path / str(n)) for n in range(KILLS)]

    with ThreadPoolExecutor(2) as two:
        trials = list(two.map(lambda one: try_once(*one), plan))

    amid = [
        trial
        for trial in trials
        if any(state is State.PENDING for state, _, _ in trial.left.ledger.values())
    ]
    print(
        f"kill -9 of ingest: {sum(t.killed.code == -signal.SIGKILL for t in trials)} of {KILLS} "
        f"runs died at work, {len(amid)} amid a file's writes, seed {SEED}, "
        f"{time.monotonic() - began:.0f} s; {sum(len(t.acknowledged) for t in trials)} files were "
        f"acknowledged before; ends have "
        f"{sorted({(len(t.end.catalog), t.end.count) for t in trials})} documents and chunks"
    )
    wrong = [(number, t.moment, t.wrong()) for number, t in enumerate(trials) if t.wrong()]
    assert wrong == [], f"seed {SEED}"
    assert sum(trial.killed.code == -signal.SIGKILL for trial in trials) > KILLS // 2


def test_a_changed_file_replaces_its_chunks_and_one_turned_hostile_takes_its_own_out(
    stories: tuple[Story, Story],
) -> None:
    before, after = (story.end for story in stories)

    gone = before.catalog.keys() - after.catalog.keys()
    stayed = before.catalog.keys() & after.catalog.keys()
    (changed,) = (d for d in stayed if before.catalog[d] != after.catalog[d])
    generations = {p.generation for p in after.passages.values() if p.document == changed}
    assert [after.ledger[document][0] for document in gone] == [State.QUARANTINED]
    assert generations == {after.catalog[changed][0]} != {before.catalog[changed][0]}
