"""The audit index answers alike on SQLite and PostgreSQL, and is found out when it does not."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from ragplatform.audit.archive import FEWEST_KEPT, archive
from ragplatform.audit.disclosures import (
    about_subject,
    under_glass,
    unnamed_disclosures,
    who_saw,
)
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.index import AuditIndex
from ragplatform.audit.index_check import IndexReport, check_index
from ragplatform.audit.index_query import AuditQuery, UnsafeAllTenants, evidence_of, select_page
from ragplatform.audit.note import Signer
from ragplatform.audit.query import find_logs
from ragplatform.audit.verify import verify
from ragplatform.errors import InvalidRequestError, TamperedError, UnavailableError
from tests.audit_story import ANNA, BEGAN, POLICY, STORY, act, passage, write_story
from tests.audit_story import retrieved as shown
from tests.fakes_audit import SIGNING_KEY, open_log, open_logs
from tests.fakes_disk import QuickDisk

ALL = UnsafeAllTenants.ALL


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'index.db'}"
    database: Callable[[], str] = request.getfixturevalue("postgres")
    return database()


@pytest.fixture
def index(url: str) -> Iterator[AuditIndex]:
    opened = AuditIndex(url)
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_story(tmp_path / "audit")
    return tmp_path / "audit"


@pytest.fixture
def story(folder: Path, index: AuditIndex) -> AuditIndex:
    """Return the index after it took in the story."""
    assert index.catch_up(find_logs(folder)).complete
    return index


def mercy(folder: Path) -> Path:
    return folder / "api.mercy"


def found(index: AuditIndex, tenant: str = "mercy", **conditions: object) -> list[int]:
    query = AuditQuery(tenant, **conditions)  # type: ignore[arg-type]
    return sorted(entry.index for entry in select_page(index, query, limit=1000).entries)


def checked(index: AuditIndex, log: Path) -> IndexReport:
    return check_index(index, log, verify(log, public_key=None))


def changed(url: str, statement: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        assert connection.exec_driver_sql(statement).rowcount > 0
    engine.dispose()


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        ({}, list(range(len(STORY)))),
        ({"actor": "res"}, [1]),
        ({"purpose": "ETREAT"}, [5, 6, 7, 8, 9]),
        ({"action": Action.BROKE_GLASS}, [5]),
        ({"outcome": Outcome.DENIED}, [3, 4]),
        ({"policy": POLICY, "actor": "admin"}, [11]),
        ({"policy": "other"}, []),
        ({"request": "r1"}, [0, 2]),
        ({"passage": "p1"}, [0, 1, 2, 4]),
        ({"document": "doc-p2"}, [0, 3, 7]),
        ({"subject": ANNA}, [0, 1, 11]),
        ({"opening": "o1"}, [5, 6, 7, 8, 9, 10]),
        ({"subject": ANNA, "passage": "p1", "actor": "res"}, [1]),
        ({"since": BEGAN + timedelta(minutes=11)}, [11, 12]),
        ({"until": BEGAN + timedelta(minutes=1)}, [0]),
        ({"passage": "p1", "since": BEGAN + timedelta(minutes=2)}, [2, 4]),
        ({"actor": "dr'; DROP TABLE audit_records --"}, []),
        ({"actor": "d%"}, []),
    ],
)
def test_each_condition_narrows(
    story: AuditIndex, conditions: dict[str, object], wanted: list[int]
) -> None:
    assert found(story, **conditions) == wanted


def test_no_query_gives_a_record_of_another_tenant(folder: Path, index: AuditIndex) -> None:
    with open_logs(folder) as logs:
        logs.append(shown("rm", passage("p1", ANNA), tenant="harbor", request_id="r1"))
        logs.append(act(Action.DENIED, "system", tenant=""))
    index.catch_up(find_logs(folder))

    for query in ({"passage": "p1"}, {"subject": ANNA}, {"request": "r1"}, {}):
        assert found(index, "harbor", **query) == [0]
    assert found(index, "nobody") == []
    everything = select_page(index, AuditQuery(ALL), limit=1000).entries
    assert {entry.tenant for entry in everything} == {"", "mercy", "harbor"}


def test_a_log_that_names_another_tenant_is_not_taken_in(folder: Path, index: AuditIndex) -> None:
    log = mercy(folder)
    [segment] = log.glob("segment-*")
    segment.write_bytes(segment.read_bytes().replace(b'"tenant":"mercy"', b'"tenant":"other"', 1))

    with pytest.raises(TamperedError, match="tenant"):
        index.catch_up([log])
    assert found(index, "other") == []


def test_pages_follow_one_another_without_a_gap_also_while_records_are_added(
    story: AuditIndex, folder: Path
) -> None:
    query, cursor, seen = AuditQuery("mercy"), None, list[int]()
    while cursor is not None or not seen:
        page = select_page(story, query, limit=4, cursor=cursor)
        seen += [entry.index for entry in page.entries]
        cursor = page.cursor
        with open_logs(folder) as logs:
            logs.append(act(Action.ASKED))
        story.catch_up(find_logs(folder))

    assert seen == list(range(len(STORY)))[::-1]
    oldest = select_page(story, AuditQuery("mercy", oldest_first=True), limit=3)
    assert [entry.index for entry in oldest.entries] == [0, 1, 2]


def test_a_cursor_serves_its_own_query_alone(story: AuditIndex) -> None:
    cursor = select_page(story, AuditQuery("mercy"), limit=2).cursor
    assert cursor is not None

    for query in (AuditQuery("harbor"), AuditQuery("mercy", actor="dr"), AuditQuery(ALL)):
        with pytest.raises(InvalidRequestError, match="cursor"):
            select_page(story, query, limit=2, cursor=cursor)
    for forged in ("", "x", "e30", cursor[:-3], "é", cursor * 9):
        with pytest.raises(InvalidRequestError, match="cursor"):
            select_page(story, AuditQuery("mercy"), limit=2, cursor=forged)


def test_who_saw_a_passage_is_told_without_whom_it_was_kept_from(story: AuditIndex) -> None:
    shown_to = who_saw(story, AuditQuery("mercy", passage="p1"), limit=10)
    all_of_it = who_saw(story, AuditQuery("mercy", passage="p1"), limit=10, withheld=True)

    assert [(one.entry.actor, one.entry.via, one.entry.purpose) for one in shown_to.found] == [
        ("res", "webui", "HRESCH"),
        ("dr", "", "TREAT"),
    ]
    assert (all_of_it.found[0].entry.actor, all_of_it.found[0].how) == ("dr2", "denied")
    assert shown_to.found[1].documents == ("doc-p1", "doc-p2")


def test_the_accounting_names_every_disclosure_and_which_may_be_left_out(
    story: AuditIndex,
) -> None:
    told = about_subject(story, AuditQuery("mercy", subject=ANNA), limit=10).found
    everything = about_subject(story, AuditQuery("mercy", subject=ANNA), limit=10, everything=True)

    assert [(one.entry.actor, one.exempt, one.passages) for one in told] == [
        ("res", False, ("p1",)),
        ("dr", True, ("p1", "p2")),
    ]
    assert everything.found[0].entry.action == "consent_changed"
    # Records of today name everybody, also where a passage names the first people alone.
    assert unnamed_disclosures(story, AuditQuery("mercy", subject=ANNA)) == 0


def test_what_somebody_did_under_a_broken_glass_is_told_from_opening_to_review(
    story: AuditIndex,
) -> None:
    acts, cursor = under_glass(story, AuditQuery("mercy", glass_of="dr2"), limit=10)

    assert cursor is None
    assert [(one.entry.index, one.how, one.showed) for one in acts] == [
        (5, "opened", False),
        (6, "in_force", True),
        (7, "in_force", False),
        (8, "in_force", True),
        (9, "ended", False),
        (10, "reviewed", False),
    ]
    assert under_glass(story, AuditQuery("mercy", glass_of="dr"), limit=10) == ([], None)
    assert under_glass(story, AuditQuery("harbor", glass_of="dr2"), limit=10) == ([], None)


def test_catching_up_takes_in_each_record_once_however_often_and_in_what_steps(
    folder: Path, index: AuditIndex
) -> None:
    first = index.catch_up(find_logs(folder), most=5)
    assert (first.records, first.complete) == (5, False)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: index.catch_up(find_logs(folder)), range(4)))

    assert sum(one.records for one in done) == len(STORY) - 5
    assert index.catch_up(find_logs(folder)).records == 0
    assert checked(index, mercy(folder)).ok


def test_what_is_not_durable_is_not_taken_in(folder: Path, index: AuditIndex) -> None:
    [segment] = mercy(folder).glob("segment-*")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])

    assert index.catch_up([mercy(folder)]).records == len(STORY) - 1
    segment.write_bytes(whole)
    assert index.catch_up([mercy(folder)]).records == 1


def test_a_log_that_was_put_back_or_replaced_is_not_followed(
    story: AuditIndex, folder: Path
) -> None:
    [segment] = mercy(folder).glob("segment-*")
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:10]))

    with pytest.raises(TamperedError, match="not the one"):
        story.catch_up([mercy(folder)])
    assert story.rebuild([mercy(folder)]).records == 5
    assert found(story) == [0, 1, 2, 3, 4]


def test_an_index_that_was_made_from_the_log_is_equal_to_it(
    story: AuditIndex, folder: Path
) -> None:
    assert checked(story, mercy(folder)) == IndexReport("api.mercy", True, len(STORY), 0)
    with open_logs(folder) as logs:
        logs.append(act(Action.ASKED))
    assert checked(story, mercy(folder)) == IndexReport("api.mercy", True, len(STORY), 1)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit_records SET actor = 'x' WHERE position = 6", "api.mercy/6 in actor"),
        ("UPDATE audit_records SET at = at + 1 WHERE position = 0", "api.mercy/0 in at"),
        ("DELETE FROM audit_records WHERE position = 6", "lost record api.mercy/6"),
        ("DELETE FROM audit_records", "lost record api.mercy/0"),
        ("DELETE FROM audit_passages WHERE position = 6", "api.mercy/6 in audit_passages"),
        ("UPDATE audit_subjects SET subject = 's_x' WHERE position = 1", "api.mercy/1 in audit_su"),
        ("UPDATE audit_openings SET how = 'shown' WHERE position = 5", "api.mercy/5 in audit_op"),
        ("UPDATE audit_documents SET at = 0 WHERE position = 0", "api.mercy/0 in audit_doc"),
        ("UPDATE audit_passages SET position = 99 WHERE position = 12", "api.mercy/12 in audit_pa"),
        ("UPDATE audit_logs SET records = 99 WHERE origin = 'api.mercy'", "holds 99 records"),
        ("UPDATE audit_logs SET records = 12 WHERE origin = 'api.mercy'", "holds record 12"),
        ("UPDATE audit_records SET leaf = segment_leaf WHERE position = 3", "api.mercy/3 in leaf"),
    ],
)
def test_an_altered_index_is_found_and_the_record_named(
    story: AuditIndex, folder: Path, url: str, statement: str, said: str
) -> None:
    other = "(SELECT leaf FROM audit_records WHERE position = 4)"
    changed(url, statement.replace("segment_leaf", other))

    report = checked(story, mercy(folder))

    assert not report.ok
    assert said in report.problem
    story.rebuild([mercy(folder)])
    assert checked(story, mercy(folder)).ok


def test_an_index_of_an_altered_log_is_not_called_equal(story: AuditIndex, folder: Path) -> None:
    [segment] = mercy(folder).glob("segment-*")
    segment.write_bytes(segment.read_bytes().replace(b'"actor":"res"', b'"actor":"ret"', 1))

    assert not checked(story, mercy(folder)).ok


def test_a_row_that_was_moved_to_another_tenant_or_place_leads_to_no_record(
    story: AuditIndex, folder: Path
) -> None:
    [entry, *_] = select_page(story, AuditQuery("mercy"), limit=1, cursor=None).entries
    assert evidence_of(entry, mercy(folder)) is not None

    for moved in (replace(entry, tenant="harbor"), replace(entry, index=entry.index - 1)):
        with pytest.raises(TamperedError):
            evidence_of(moved, mercy(folder))


def test_times_need_a_zone_and_pages_a_size(story: AuditIndex) -> None:
    with pytest.raises(InvalidRequestError, match="zone"):
        found(story, since=BEGAN.replace(tzinfo=None))
    for limit in (0, 1001):
        with pytest.raises(InvalidRequestError, match="limit"):
            select_page(story, AuditQuery("mercy"), limit=limit)


@pytest.fixture
def archived(tmp_path: Path) -> tuple[Path, Path]:
    """Return a log of many segments, the older ones moved to an archive, and the archive."""
    with open_log(tmp_path / "log", origin="log", segment_bytes=1500) as log:
        for number in range(12):
            log.append(act(Action.ASKED, request_id=f"r{number}"))
    moved = archive(
        tmp_path / "log",
        tmp_path / "elsewhere",
        keep=FEWEST_KEPT,
        signer=Signer("log", SIGNING_KEY),
        storage=QuickDisk(),
        record=lambda one: "cli/0",
    )
    assert len(moved) > 1
    return tmp_path / "log", tmp_path / "elsewhere"


def test_archived_records_are_taken_in_from_the_archive_and_are_not_passed_over(
    archived: tuple[Path, Path], index: AuditIndex
) -> None:
    log, elsewhere = archived
    with pytest.raises(UnavailableError, match="archive"):
        index.catch_up([log])

    assert index.catch_up([log], archive=elsewhere).records == 12
    verified = verify(log, public_key=None, archive=elsewhere)
    assert check_index(index, log, verified, archive=elsewhere).records == 12
    # What was taken in before is answered from, and checked as far as it is here.
    assert index.catch_up([log]).complete
    partly = checked(index, log)
    assert partly.ok
    assert (partly.archived > 0, partly.records + partly.archived) == (True, 12)


def test_an_index_of_archived_records_is_not_dropped_where_it_could_not_be_made_anew(
    archived: tuple[Path, Path], index: AuditIndex
) -> None:
    log, elsewhere = archived
    index.catch_up([log], archive=elsewhere)

    with pytest.raises(UnavailableError, match="archive"):
        index.rebuild([log])

    assert len(found(index)) == 12
    assert index.rebuild([log], archive=elsewhere).records == 12
