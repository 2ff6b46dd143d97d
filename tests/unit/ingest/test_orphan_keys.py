"""Nobody's key outlives all that was kept of them, and no key goes that somebody may need."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.holds import Held, Hold, Holds
from ingest.orphan_keys import OrphanKeys, Retired
from ragplatform.audit import query
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.record import Record
from ragplatform.errors import DeniedError
from ragplatform.model import Purpose
from ragplatform.privacy.keys import Keys
from tests.erasures import who
from tests.ingest_crash import MASTER, Fuse, Parts, first_version, ingest, opened
from tests.sealed import sealed_in
from tests.state import keeping_of

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A deployment from whose source every document left."""
    first_version(tmp_path / "files")
    ingest(tmp_path / "files", tmp_path / "data", Fuse(), sweeping=True)
    for path in (tmp_path / "files").glob("*.txt"):
        path.unlink()
    ingest(tmp_path / "files", tmp_path / "data", Fuse(), sweeping=True)
    return tmp_path / "data"


@contextmanager
def deployment(data: Path) -> Iterator[Parts]:
    with opened(data, Fuse()) as parts:
        yield parts


def retire(parts: Parts, data: Path, now: datetime, *, role: str = "erasure") -> Retired:
    holds = Holds(f"sqlite:///{data / 'catalog.db'}", derive=Keys(MASTER).derive)
    try:
        return OrphanKeys(
            principal=who(role),
            purpose=Purpose.COMPLIANCE,
            policies=parts.policies,
            vault=parts.vault,
            catalog=parts.catalog,
            ledger=parts.ledger,
            files=sealed_in(data, parts.vault),
            aside=lambda: nullcontext(parts.aside),
            keeping=keeping_of(holds),
            audit=parts.audit,
        ).retire(now=now, after=DAY, dry_run=False)
    finally:
        holds.close()


def records(data: Path) -> list[Record]:
    logs = query.find_logs(data / "audit")
    return [one for log in logs for one in query.read(log, action=Action.KEYS_RETIRED)]


def test_a_key_under_which_nothing_is_kept_goes_at_the_second_look(data: Path) -> None:
    with deployment(data) as parts:
        person = parts.vault.subject_ref("mercy", "mrn:1")
        assert parts.vault.kept_of("mercy", person) > 1

        first = retire(parts, data, NOW)
        early = retire(parts, data, NOW + DAY / 2)
        second = retire(parts, data, NOW + DAY)

        assert (first.keys, early.keys, second.keys) == (0, 0, 1)
        assert second.values > 0
        assert parts.vault.kept_of("mercy", person) == 0
    [record] = records(data)
    assert list(record.subjects) == [person]


def test_a_key_that_was_used_between_the_looks_stays(data: Path, tmp_path: Path) -> None:
    with deployment(data) as parts:
        retire(parts, data, NOW)
    (tmp_path / "files" / "comes.txt").write_text("Maria Lopez is back, MRN 4471230.")
    ingest(tmp_path / "files", data, Fuse(), sweeping=True)

    with deployment(data) as parts:
        assert retire(parts, data, NOW + DAY) == Retired()
        assert parts.vault.kept_of("mercy", parts.vault.subject_ref("mercy", "mrn:1")) > 1


def test_a_key_that_is_taken_after_the_second_look_stays(data: Path) -> None:
    with deployment(data) as parts:
        vault, person = parts.vault, parts.vault.subject_ref("mercy", "mrn:1")
        retire(parts, data, NOW)
        vault.file_key("mercy", [person], b"salt", make=True)

        assert vault.retire("mercy", person) is None
        assert vault.kept_of("mercy", person) > 1


def test_who_is_held_keeps_a_key_and_who_may_erase_nobody_retires_none(data: Path) -> None:
    with deployment(data) as parts:
        person = parts.vault.subject_ref("mercy", "mrn:1")
        holds = Holds(f"sqlite:///{data / 'catalog.db'}", derive=Keys(MASTER).derive)
        case = holds.case_ref("mercy", "a case")
        holds.place(Hold("mercy", case, Held.SUBJECT, person, "legal", NOW, "a case", "why"))
        holds.close()
        retire(parts, data, NOW)

        assert retire(parts, data, NOW + DAY) == Retired()
        with pytest.raises(DeniedError):
            retire(parts, data, NOW + DAY, role="physician")
    assert [one.outcome for one in records(data)] == [Outcome.DENIED]
