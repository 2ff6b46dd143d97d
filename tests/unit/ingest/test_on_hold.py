"""What is on hold is not replaced, and labels given by hand outlive a new version."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.holds import Held, Hold
from ingest.prepare import Target
from ingest.relabel import Relabeller
from ingest.report import Report
from ingest.sources import GivenLabels, SourceFile
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.catalog import DocumentEntry
from ragplatform.model import Purpose, Sensitivity
from tests.erasures import ChanceEmbedder, Parts, opened, who
from tests.ingest_crash import MASTER, PlainParser
from tests.jobs import job_here
from tests.state import keeping_of


@contextmanager
def deployment(folder: Path) -> Iterator[Parts]:
    with opened(folder / "data") as parts:
        yield parts


def take_in(parts: Parts, text: str, run: str, restrictions: Collection[str] = ()) -> Report:
    report = Report(run=run)
    job = job_here(
        run=run,
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
        largest_file=10_000,
        on_result=lambda result: None,
    )
    labels = GivenLabels(subjects=frozenset({"mrn:1"}), restrictions=frozenset(restrictions))
    job.run([SourceFile(Path("note.txt"), "note.txt", labels, text.encode())], report)
    return report


def only(parts: Parts) -> DocumentEntry:
    [entry] = parts.catalog.documents("mercy")
    return entry


def texts(parts: Parts) -> list[str]:
    entry = only(parts)
    found = parts.index.passages("mercy", entry.document, entry.generation, limit=9)
    return [passage.chunk.text for passage in found]


@pytest.mark.parametrize("new", ["A second version.", "MZ\0 no longer a note"])
def test_a_new_version_of_what_is_held_waits_and_goes_in_when_the_last_case_ends(
    tmp_path: Path, new: str
) -> None:
    with deployment(tmp_path) as parts:
        take_in(parts, "The first version.", "r1")
        case = parts.holds.case_ref("mercy", "Smith v. Mercy")
        ref = parts.privacy.subject_ref("mercy", "mrn:1")
        now = datetime.now(UTC)
        parts.holds.place(Hold("mercy", case, Held.SUBJECT, ref, "legal", now, "Smith", "told"))

        waiting = take_in(parts, new, "r2")

        assert (waiting.summary()["on_hold"], waiting.exit_code) == (1, 1)
        assert texts(parts) == ["The first version."]
        assert take_in(parts, "The first version.", "r3").summary()["unchanged"] == 1
        parts.holds.release("mercy", case)
        assert take_in(parts, new, "r4").summary()["on_hold"] == 0
        held = [e.chunks for e in parts.catalog.documents("mercy")]
        assert held == ([1] if "\0" not in new else [])


def test_labels_given_by_hand_are_undone_by_no_run_and_cost_no_embedding(tmp_path: Path) -> None:
    with deployment(tmp_path) as parts:
        take_in(parts, "The first version.", "r1")
        desk = Relabeller(
            principal=who("compliance"),
            purpose=Purpose.COMPLIANCE,
            policies=parts.policies,
            index=parts.index,
            catalog=parts.catalog,
            keeping=keeping_of(parts.holds),
            audit=parts.audit,
        )
        first = only(parts)
        desk.document(first.document, {"sensitivity": "restricted"})

        again = take_in(parts, "The first version.", "r2")
        after = only(parts)
        changed = take_in(parts, "A second version.", "r3")

        assert (again.summary()["unchanged"], changed.summary()["indexed"]) == (1, 1)
        assert after.generation == first.generation
        labels = parts.catalog.classes("mercy")[only(parts).access_class]
        assert labels.sensitivity is Sensitivity.RESTRICTED
        assert texts(parts) == ["A second version."]


@pytest.mark.parametrize("lifted", [False, True])
def test_what_a_source_comes_to_restrict_stays_beside_what_was_given_by_hand(
    tmp_path: Path, lifted: bool
) -> None:
    with deployment(tmp_path) as parts:
        take_in(parts, "The first version.", "r1", {"employee"} if lifted else set())
        desk = Relabeller(
            principal=who("compliance"),
            purpose=Purpose.COMPLIANCE,
            policies=parts.policies,
            index=parts.index,
            catalog=parts.catalog,
            keeping=keeping_of(parts.holds),
            audit=parts.audit,
        )
        desk.document(only(parts).document, {"restrictions": ["vip"]})

        take_in(parts, "A second version.", "r2", {"employee", "legal-hold"})

        labels = parts.catalog.classes("mercy")[only(parts).access_class]
        # What people took away stays away; what they never saw was not theirs to take.
        more = set() if lifted else {"employee"}
        assert labels.restrictions == {"vip", "legal-hold"} | more
