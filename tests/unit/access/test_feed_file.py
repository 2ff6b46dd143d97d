"""A feed of relations is taken whole or not at all."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragplatform.access.feed_file import read_feed
from ragplatform.errors import InvalidRequestError

HEAD = "principal,subject,starts,ends\n"


def feed(folder: Path, text: str) -> Path:
    path = folder / "feed.csv"
    path.write_bytes(text.encode())
    return path


def test_a_feed_gives_its_relations_in_order(tmp_path: Path) -> None:
    path = feed(
        tmp_path,
        "\ufeff" + HEAD + "lee,mrn:1,,\r\n"
        'adams,"mrn:2",2026-01-31T08:00:00Z,2026-02-01T08:00:00+01:00\r\n',
    )

    one, other = read_feed(path)

    assert (one.principal, one.subject, one.starts, one.ends) == ("lee", "mrn:1", None, None)
    assert other.starts == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert other.ends == datetime(2026, 2, 1, 7, tzinfo=UTC)


def test_what_ends_on_a_day_still_holds_on_it(tmp_path: Path) -> None:
    [one] = read_feed(feed(tmp_path, HEAD + "lee,mrn:1,2026-01-31,2026-01-31\n"))

    assert one.starts == datetime(2026, 1, 31, tzinfo=UTC)
    assert one.ends == datetime(2026, 2, 1, tzinfo=UTC)


def test_the_last_day_of_all_calendars_is_no_end(tmp_path: Path) -> None:
    [one] = read_feed(feed(tmp_path, HEAD + "lee,mrn:1,2026-01-31,9999-12-31\n"))

    assert one.ends is None


def test_what_starts_on_the_last_day_of_all_calendars_has_not_started(tmp_path: Path) -> None:
    [one] = read_feed(feed(tmp_path, HEAD + "lee,mrn:1,9999-12-31,\n"))

    assert one.starts == datetime(9999, 12, 31, tzinfo=UTC)


def test_dates_may_be_left_out(tmp_path: Path) -> None:
    [one] = read_feed(feed(tmp_path, "subject,principal\nmrn:1,lee\n"))

    assert (one.principal, one.subject, one.ends) == ("lee", "mrn:1", None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "first line"),
        ("principal,patient\nlee,1\n", "first line"),
        ("principal,subject,subject\nlee,1,2\n", "first line"),
        (HEAD + "lee,mrn:1,,\nadams,mrn:2\n", "line 3"),
        (HEAD + "lee,mrn:1,,,\n", "line 2"),
        (HEAD + ",mrn:1,,\n", "line 2"),
        (HEAD + "lee, ,,\n", "line 2"),
        (HEAD + "lee,mrn:1,31.01.2026,\n", "line 2"),
        (HEAD + "lee,mrn:1,2026-01-31T08:00:00,\n", "line 2"),
        (HEAD + 'lee,"mrn:1,,\n', "CSV"),
    ],
)
def test_one_wrong_line_refuses_the_whole_feed(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        read_feed(feed(tmp_path, text))


def test_a_feed_that_is_not_there_or_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(HEAD.encode() + b"m\xfcller,mrn:1,,\n")

    for name in ("latin", "none"):
        with pytest.raises(InvalidRequestError, match="CSV"):
            read_feed(tmp_path / name)
