"""What people say of the answers they got: on record, and read by reviewers.

The audit log is where it is kept, and there is no second copy. Ratings and reasons are details of
a record; a comment is sealed inside it, without the personal data that was found in it. It goes
when a person is erased whom the answer was about.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from ragplatform.audit.details import unverified_id
from ragplatform.audit.events import MOST_NAMED, Action, Outcome, event_of
from ragplatform.audit.index_query import MOST_PER_PAGE, AuditQuery
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import NotFoundError, PlatformError, UnavailableError
from ragplatform.model import Json, Principal
from ragplatform.policy.engine import Policies
from ragplatform.privacy.gate import Privacy
from ragplatform.reviewing import AuditReader, AuditReviewer, Listed

LONGEST_COMMENT: Final = 2000
# Each round takes another part of the log into the index; a log that grows faster is not caught up.
_MOST_ROUNDS: Final = 50
MOST_COUNTED: Final = 10_000
# What gives an answer or passages. Nothing else has a result that could be rated.
_RATED: Final = frozenset({Action.ASKED, Action.SEARCHED, Action.SOURCE_VIEWED})


class Rating(StrEnum):
    """What somebody thought of an answer as a whole."""

    HELPFUL = "helpful"
    UNHELPFUL = "unhelpful"


class Reason(StrEnum):
    """Why. Closed, so that it can be counted and holds no text."""

    CORRECT = "correct"
    CLEAR = "clear"
    WRONG = "wrong"
    INCOMPLETE = "incomplete"
    OUTDATED = "outdated"
    WRONG_CITATION = "wrong_citation"
    WRONG_PERSON = "wrong_person"
    NOT_FOUND = "not_found"
    SHOWS_TOO_MUCH = "shows_too_much"
    SLOW = "slow"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody says of the request ``about``, which was their own."""

    about: str
    rating: Rating
    reasons: frozenset[Reason] = frozenset()
    comment: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Given:
    """One opinion as it is on record; ``origin`` and ``index`` say where its comment is sealed.

    ``rating`` and ``reasons`` are those words of the log, which may be older than this program.
    """

    origin: str
    index: int
    time: datetime
    actor: str
    purpose: str | None
    about: str
    rating: str
    reasons: tuple[str, ...]
    commented: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """How many requests were rated how, and for which reasons; of each person the last word.

    ``complete`` is False where there was more than was counted.
    """

    requests: int
    ratings: Mapping[str, int]
    reasons: Mapping[str, int]
    complete: bool


@dataclass(frozen=True, slots=True)
class GivenPage:
    """Opinions, newest first; ``cursor`` asks for the next, None: there is none."""

    given: tuple[Given, ...]
    cursor: str | None
    complete: bool


class FeedbackDesk:
    """Takes opinions, and shows them to reviewers. Safe to use from several threads."""

    def __init__(
        self,
        *,
        policies: Policies,
        privacy: Privacy,
        audit: TenantLogs,
        reader: AuditReader,
        reviewer: AuditReviewer,
    ) -> None:
        self._policies = policies
        self._privacy = privacy
        self._audit = audit
        self._reader = reader
        self._reviewer = reviewer

    def give(self, who: Principal, opinion: Opinion, request_id: str, trace: str = "") -> None:
        """Keep what the caller says of a request of its own.

        1. The request is in the log as the caller's. 2. The comment loses what is personal in it.
        3. The opinion is recorded, durable, and names whom the answer was about.

        Raises ``NotFoundError`` alike for a request that there never was and for one of somebody
        else, ``UnavailableError`` for a comment on what another host has on record,
        ``DetectorError`` rather than keep a comment unsearched, ``AuditError``.
        """
        found = self._own(who, opinion.about)  # 1
        if not found:
            denied: dict[str, Json] = {"about": unverified_id(opinion.about)}
            self._record(who, Outcome.DENIED, request_id, trace, denied)
            raise NotFoundError("no such request of yours: give the request_id of its answer")
        about = opinion.about
        try:
            _require_whole(found, opinion)
            comment, replaced = self._screened(opinion.comment)  # 2
        except PlatformError as error:
            failed: dict[str, Json] = {"about": about, "code": error.code}
            self._record(who, Outcome.FAILURE, request_id, trace, failed)
            raise
        details: dict[str, Json] = {
            "about": about,
            "rating": str(opinion.rating),
            "reasons": sorted(map(str, opinion.reasons)),
            "replaced": replaced,
        }
        everybody = sorted({one for row in found if row.record for one in row.record.subjects})
        # Erasing a person destroys what is sealed in each request that names the person: whom one
        # record has no room for is named before there is anything to destroy.
        for start in range(MOST_NAMED, len(everybody), MOST_NAMED):  # 3
            part: dict[str, Json] = {"about": about, "part": start // MOST_NAMED + 1}
            some = everybody[start : start + MOST_NAMED]
            self._record(who, Outcome.SUCCESS, request_id, trace, part, subjects=some)
        self._record(
            who,
            Outcome.SUCCESS,
            request_id,
            trace,
            details,
            {"comment": comment} if comment else {},
            everybody[:MOST_NAMED],
            found[0].entry.purpose,
        )

    def listed(
        self,
        who: Principal,
        request_id: str,
        *,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        cursor: str | None,
    ) -> GivenPage:
        """Return the opinions of the reviewer's tenant, after recording the look.

        Raises ``DeniedError``.
        """
        asked = _asked(who.tenant, since, until)
        found = self._reviewer.events(who, request_id, asked, limit=limit, cursor=cursor)
        return GivenPage(given_in(found.rows), found.cursor, found.complete)

    def counted(
        self, who: Principal, request_id: str, *, since: datetime | None, until: datetime | None
    ) -> Counts:
        """Return how many were rated how, of the newest ``MOST_COUNTED``; errors as ``listed``."""
        rows: list[Given] = []
        cursor, complete = None, True
        while len(rows) < MOST_COUNTED:
            page = self.listed(
                who, request_id, since=since, until=until, limit=MOST_PER_PAGE, cursor=cursor
            )
            rows += page.given
            cursor, complete = page.cursor, complete and page.complete
            if cursor is None:
                break
        return counts_of(rows, complete=complete and cursor is None)

    def _own(self, who: Principal, about: str) -> Sequence[Listed]:
        """Return the records of the request, if the caller asked it; else nothing."""
        asked = AuditQuery(who.tenant, actor=who.id, request=about)
        for _ in range(_MOST_ROUNDS):
            found = self._reader.events(asked, limit=MOST_PER_PAGE, cursor=None)
            rated = any(row.entry.action in _RATED for row in found.rows)
            if rated:
                return found.rows
            if found.complete:
                return ()
        raise UnavailableError("the index over the audit log is behind: try again in a while")

    def _screened(self, comment: str) -> tuple[str, dict[str, Json]]:
        text = comment.strip()
        if not text:
            return "", {}
        (spans,) = self._privacy.inspect([text])
        counts = Counter(span.entity for span in self._privacy.acted_on(spans))
        return self._privacy.masked(text, spans), dict(counts)

    def _record(
        self,
        who: Principal,
        outcome: Outcome,
        request_id: str,
        trace: str,
        details: Mapping[str, Json],
        sealed: Mapping[str, str] | None = None,
        subjects: Sequence[str] = (),
        purpose: str | None = None,
    ) -> None:
        self._audit.append(
            event_of(
                who,
                Action.FEEDBACK_GIVEN,
                outcome,
                request_id=request_id,
                trace=trace,
                purpose=purpose,
                policy=self._policies.digest,
                subjects=subjects,
                details=details,
                sealed=sealed,
            )
        )


def _require_whole(found: Sequence[Listed], opinion: Opinion) -> None:
    """Refuse a comment where it is not known whom the answer was about: none could erase it."""
    if opinion.comment.strip() and any(row.record is None for row in found):
        raise UnavailableError(
            "the answer is on record at another host: comment there, or rate without a comment"
        )


def _asked(tenant: str, since: datetime | None, until: datetime | None) -> AuditQuery:
    return AuditQuery(
        tenant,
        since=since,
        until=until,
        action=Action.FEEDBACK_GIVEN,
        outcome=Outcome.SUCCESS,
    )


def given_in(rows: Iterable[Listed]) -> tuple[Given, ...]:
    """Return the opinions among records, in their order; those archived elsewhere are left out."""
    found = []
    for row in rows:
        record = row.record
        if record is None or "rating" not in record.details:
            continue
        reasons = record.details.get("reasons")
        found.append(
            Given(
                origin=row.entry.origin,
                index=row.entry.index,
                time=row.entry.time,
                actor=row.entry.actor,
                purpose=row.entry.purpose,
                about=str(record.details["about"]),
                rating=str(record.details["rating"]),
                reasons=tuple(map(str, reasons)) if isinstance(reasons, list) else (),
                commented=record.sealed is not None and bool(record.sealed.parts),
            )
        )
    return tuple(found)


def counts_of(newest_first: Iterable[Given], *, complete: bool) -> Counts:
    """Return the counts over opinions, the newest first; an earlier word of the same is over."""
    last: dict[tuple[str, str], Given] = {}
    for one in newest_first:
        last.setdefault((one.actor, one.about), one)
    return Counts(
        requests=len(last),
        ratings=dict(sorted(Counter(one.rating for one in last.values()).items())),
        reasons=dict(sorted(Counter(r for one in last.values() for r in one.reasons).items())),
        complete=complete,
    )
