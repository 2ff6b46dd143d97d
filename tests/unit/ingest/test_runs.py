"""A run can be foreseen, followed, ended, taken up again, and narrowed to what did not go in."""

import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ingest import calls
from ingest.aside_run import AsideOfRun
from ingest.attendance import attended
from ingest.changes import Retry
from ingest.commands import calling
from ingest.commands.run import Tried
from ingest.ledger import Ledger
from ingest.members import Members
from ingest.plan import Estimate, Foreseen, Plan, estimate, planner_of
from ingest.quarantine_rules import QuarantineRules
from ingest.report import Report
from ingest.runs import Progress, Run
from ingest.sources import GivenLabels, find
from ingest.sweep import Guard, Sweep
from ingest.work import Fingerprinter
from ragplatform import identities
from ragplatform.config import Settings
from ragplatform.errors import InvalidRequestError, TamperedError, UnavailableError
from ragplatform.model import Purpose
from tests import ingest_crash
from tests.containers import register, zipped
from tests.ingest_crash import BROKEN, DIM, LARGEST, MASTER, Fuse, RecordParser, ingest
from tests.jobs import UNGUARDED
from tests.stored import look

WHERE = ingest_crash.TARGET
NO_RULES = QuarantineRules((), expecting=frozenset(), today=lambda: date(2026, 11, 26))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.txt").write_text(f"text {number}")
    return folder


@pytest.fixture
def data(files: Path) -> Path:
    return files.parent / "data"


def latest(data: Path) -> Run:
    ledger = Ledger(f"sqlite:///{data / 'catalog.db'}")
    [run, *_] = ledger.runs.latest()
    ledger.close()
    return run


def foresee(files: Path, data: Path, guard: Guard = UNGUARDED) -> tuple[Plan, dict[str, Foreseen]]:
    """Return what a run with a sweep would do."""
    made, parser = Plan(), RecordParser()
    with ingest_crash.opened(data, Fuse()) as parts:
        version = ingest_crash.pipeline_of(parts, parser)
        planner = planner_of(
            target=WHERE,
            fingerprint=Fingerprinter(
                target=WHERE,
                subject_ref=parts.privacy.subject_ref,
                pipeline=version,
                name_key=MASTER,
                largest_file=LARGEST,
            ),
            members=Members(parser=parser),
            privacy=parts.privacy,
            index=parts.index,
            archive=parts.archive,
            catalog=parts.catalog,
            ledger=parts.ledger,
            aside=AsideOfRun(
                run="", target=WHERE, aside=parts.aside, rules=NO_RULES, silence_documents=20
            ),
            keeping=parts.keeping,
            guard=guard,
            retry=None,
        )
        found = list(find([files], GivenLabels()))
        sweep = Sweep("", lambda: [one.name for one in found])
        return made, {one.name: one.foreseen for one in planner.plan(found, sweep, made)}


def test_a_plan_says_what_is_new_changed_gone_and_changes_nothing(files: Path, data: Path) -> None:
    (files / "a.zip").write_bytes(zipped(("one.txt", b"one"), ("bad.txt", b"MZ\0\0")))
    ingest(files, data, Fuse(), parser=RecordParser())
    before = look(data, dim=DIM, master=MASTER)
    (files / "0.txt").write_text("another text")
    (files / "1.txt").unlink()
    (files / "new.txt").write_text("a new text")
    (files / "a.zip").write_bytes(zipped(("bad.txt", b"MZ\0\0"), ("p.ndjson", register("a", "b"))))

    plan, foreseen = foresee(files, data)

    assert foreseen["0.txt"] is Foreseen.CHANGED
    people = {what for name, what in foreseen.items() if name.startswith("a.zip/p.ndjson#")}
    assert {foreseen["new.txt"]} == people == {Foreseen.NEW}
    assert foreseen["a.zip/bad.txt"] is Foreseen.QUARANTINED
    assert (plan.counts[Foreseen.GONE], plan.to_do, plan.exit_code) == (2, 4, 1)
    assert look(data, dim=DIM, master=MASTER).same_as(before)


def test_what_a_plan_foresees_is_what_a_run_does(files: Path, data: Path) -> None:
    ingest(files, data, Fuse(), parser=RecordParser())
    (files / "0.txt").write_text("another text")
    (files / "1.txt").unlink()
    plan, _ = foresee(files, data)

    report = ingest(files, data, Fuse(), parser=RecordParser(), sweeping=True)

    assert plan.bytes == report.bytes
    assert dict(report.states) == {"indexed": 1, "unchanged": 2, "removed": 1}
    assert dict(plan.counts) == {"changed": 1, "unchanged": 2, "gone": 1}


def test_a_plan_says_that_a_run_would_take_out_nothing(files: Path, data: Path) -> None:
    ingest(files, data, Fuse(), parser=RecordParser())
    for number in range(3):
        (files / f"{number}.txt").unlink()

    plan, _ = foresee(files, data, Guard(percent=20, documents=2))

    assert (plan.counts[Foreseen.GONE], plan.refused["gone"], plan.exit_code) == (0, 3, 2)


def test_time_is_guessed_from_earlier_runs(files: Path, data: Path) -> None:
    ingest(files, data, Fuse(), parser=RecordParser())
    plan = Plan(bytes=100)
    plan.counts[Foreseen.NEW] = 8
    run = latest(data)

    guessed = estimate(plan, [run])

    pace = run.progress.elapsed_s / run.progress.documents
    assert guessed == Estimate(pytest.approx(max(8 * pace, 100 * run.progress.elapsed_s / 24)), 1)
    assert estimate(plan, []) is None


def test_runs_without_work_and_runs_of_long_ago_say_nothing_of_the_time(
    files: Path, data: Path
) -> None:
    ingest(files, data, Fuse(), parser=RecordParser())
    plan = Plan(bytes=100)
    plan.counts[Foreseen.NEW] = 8
    run = latest(data)
    idle = replace(run, progress=Progress(files=3, elapsed_s=1.0))
    slow = replace(run, progress=replace(run.progress, elapsed_s=1e6))

    guessed = estimate(plan, [*[idle] * 30, *[run] * 10, slow])

    assert guessed is not None
    assert (guessed.runs, guessed.seconds < 1e4) == (10, True)


def test_a_run_says_at_its_end_what_it_did_and_how_long_each_stage_took(
    files: Path, data: Path
) -> None:
    ingest(files, data, Fuse())

    run = latest(data)

    assert run.standing == "done"
    assert (run.progress.files, run.progress.documents, run.progress.bytes) == (4, 4, 24)
    assert {"fingerprint", "ledger", "audit", "index"} <= run.progress.seconds.keys()


def test_a_cancelled_run_ends_after_what_it_has_in_hand_and_sweeps_nothing(
    files: Path, data: Path
) -> None:
    ingest(files, data, Fuse())
    for number in range(3):
        (files / f"{number}.txt").write_text(f"other {number}")
    (files / "3.txt").unlink()

    report = ingest(files, data, Fuse(), sweeping=True, stop=lambda report: report.bytes > 0)

    assert dict(report.states) == {"indexed": 1}
    assert (report.exit_code, latest(data).standing) == (3, "cancelled")
    after = ingest(files, data, Fuse(), sweeping=True)
    assert dict(after.states) == {"unchanged": 1, "indexed": 2, "removed": 1}


def test_another_process_can_ask_a_run_to_end_and_sees_its_progress(tmp_path: Path) -> None:
    ledger, other = (Ledger(f"sqlite:///{tmp_path / 'catalog.db'}") for _ in range(2))
    report = Report(run="r1", seen=7)
    with attended(ledger, report, WHERE, every_s=0.01) as attendance:
        assert other.runs.cancel("r1")
        deadline = time.monotonic() + 30
        while not attendance.asked_to_end() and time.monotonic() < deadline:
            time.sleep(0.01)

        run = other.runs.find("r1")

    assert attendance.asked_to_end()
    assert run is not None
    assert (run.standing, run.progress.files) == ("cancelling", 7)
    ledger.close()
    other.close()


def test_a_run_that_breaks_off_says_so_and_may_be_taken_up(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'catalog.db'}")
    with (
        pytest.raises(UnavailableError),
        attended(ledger, Report(run="r1"), WHERE, arguments="sealed"),
    ):
        raise UnavailableError("the index is away")

    [run] = ledger.runs.latest()

    assert (run.standing, run.arguments) == ("failed", "sealed")
    ledger.runs.close_off("r1")
    assert ledger.runs.latest()[0].arguments == ""
    ledger.close()


def test_a_retry_touches_only_what_failed(files: Path, data: Path) -> None:
    (files / "bad.txt").write_text(BROKEN)
    (files / "a.zip").write_bytes(zipped(("in.txt", BROKEN.encode()), ("good.txt", b"good")))
    ingest(files, data, Fuse(), parser=RecordParser())
    (files / "0.txt").write_text("changed meanwhile")
    (files / "bad.txt").write_text("mended")

    report = ingest(files, data, Fuse(), parser=RecordParser(), retry=Retry())

    assert dict(report.states) == {"indexed": 1, "failed": 1, "unchanged": 1, "unpacked": 1}


def test_a_retry_of_the_quarantine_may_be_narrowed_to_a_reason(files: Path, data: Path) -> None:
    (files / "program.txt").write_bytes(b"MZ\0\0")
    (files / "large.txt").write_text("x" * (LARGEST + 1))
    ingest(files, data, Fuse())

    narrowed = ingest(files, data, Fuse(), retry=Retry(quarantined=True, reason="too_large"))

    assert dict(narrowed.quarantined) == {"too_large": 1}
    assert ingest(files, data, Fuse(), retry=Retry()).seen == 0


def words(*given: str) -> list[str]:
    """Return what is kept of a call."""
    kept: list[str] = []
    app = typer.Typer()

    @app.command()
    def command(
        context: typer.Context,
        paths: list[Path],
        label: list[str] = [],  # noqa: B006  # Typer copies it
        purpose: Purpose = Purpose.HOPERAT,
        workers: int | None = None,
        many: bool = False,
        retry: Tried | None = None,
        as_json: bool = False,
    ) -> None:
        kept.extend(calling.words_of(context))

    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    return kept


def test_a_call_is_kept_so_that_it_can_be_made_again_from_anywhere() -> None:
    given = ("a", "--label", "subject=mrn:1", "--label", "x=y", "--purpose", "TREAT", "--many")

    kept = words(*given, "--as-json", "--retry", "failed")

    assert kept[-2:] == ["--", str(Path("a").absolute())]
    assert words(*kept) == kept
    assert [one for one in kept if "json" in one or "retry" in one] == []


def test_what_a_run_was_called_with_is_sealed_for_that_run_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    identities.create_keys(settings)
    ledger = Ledger(settings.catalog_url)
    call = calling.Call(["--", "/share/lopez-maria.pdf"])
    for run in ("r1", "r2"):
        sealed = call.sealed(settings, "mercy", "r1")
        ledger.runs.start(run, tenant="mercy", collection="clinical", arguments=sealed)
    second, first = ledger.runs.latest()

    assert calls.unsealed(settings, first) == call.words
    with pytest.raises(TamperedError):
        calls.unsealed(settings, second)
    assert b"lopez" not in b"".join(one.read_bytes() for one in tmp_path.glob("catalog*"))
    ledger.runs.finish("r1", {})
    with pytest.raises(InvalidRequestError, match="not kept"):
        calls.unsealed(settings, ledger.runs.latest()[1])
    ledger.close()
