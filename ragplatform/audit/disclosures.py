"""Reports over the index: who saw a passage, who learnt what of a person, what a glass was for."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from ragplatform.audit.index import AuditIndex
from ragplatform.audit.index_links import DISCLOSED, UNNAMED, How, plain
from ragplatform.audit.index_query import (
    AuditQuery,
    Entry,
    count_of,
    key_of,
    links_of,
    of_tenant,
    openings_by,
    select_page,
)
from ragplatform.audit.index_tables import DOCUMENTS, OPENINGS, PASSAGES, SUBJECTS
from ragplatform.errors import InvalidRequestError
from ragplatform.model import Purpose

# Source: 45 CFR 164.528(a)(1): an accounting covers up to six years before the request.
YEARS: Final = 6
# Source: 45 CFR 164.528(a)(1)(i): treatment, payment and health care operations need not be in it.
_EXEMPT: Final = frozenset({Purpose.TREAT, Purpose.ETREAT, Purpose.HPAYMT, Purpose.HOPERAT})


@dataclass(frozen=True, slots=True)
class Disclosure:
    """That somebody was shown something, or that something was withheld from them.

    The date, the recipient (``entry.actor``, by the client ``entry.via``), what, and the purpose
    are what 45 CFR 164.528(b)(2) asks of each disclosure. ``how`` says it of the person or passage
    that was asked about. Of an answer the passages put before the model are named, whether the
    answer cites them or not.
    """

    entry: Entry
    how: How
    passages: tuple[str, ...]
    documents: tuple[str, ...]

    @property
    def exempt(self) -> bool:
        """Whether the purpose is one that the accounting of 45 CFR 164.528 may leave out."""
        return self.entry.purpose in _EXEMPT


@dataclass(frozen=True, slots=True)
class Disclosures:
    """A page of disclosures; ``cursor`` asks for the next, None: there is none."""

    found: tuple[Disclosure, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class UnderGlass:
    """One act in the story of a broken glass.

    ``how`` says what the act has to do with the opening. ``showed`` is True where the act showed
    something of the person whose records were opened.
    """

    opening: str
    entry: Entry
    how: How
    showed: bool


def six_years_before(moment: datetime) -> datetime:
    """Return the moment six years earlier; 29 February becomes the 28th."""
    try:
        return moment.replace(year=moment.year - YEARS)
    except ValueError:
        return moment.replace(year=moment.year - YEARS, day=28)


def who_saw(
    index: AuditIndex,
    query: AuditQuery,
    *,
    limit: int,
    cursor: str | None = None,
    withheld: bool = False,
) -> Disclosures:
    """Return to whom the passage of the query was shown; ``withheld``: also from whom it was kept.

    Raises ``InvalidRequestError`` for a query that names no passage.
    """
    if query.passage is None:
        raise InvalidRequestError("passage: wanted the id of one")
    kept = frozenset({How.DROPPED, How.DENIED}) if withheld else frozenset[How]()
    return _disclosures(index, replace(query, how=DISCLOSED | kept), limit, cursor)


def about_subject(
    index: AuditIndex,
    query: AuditQuery,
    *,
    limit: int,
    cursor: str | None = None,
    everything: bool = False,
) -> Disclosures:
    """Return to whom something of the query's subject was shown: the accounting of disclosures.

    ``everything`` adds whatever else names the subject: consents, relations, denials, erasure.
    Raises ``InvalidRequestError`` for a query that names no subject.
    """
    if query.subject is None:
        raise InvalidRequestError("subject: wanted the reference of one")
    wanted = query if everything else replace(query, how=DISCLOSED)
    return _disclosures(index, wanted, limit, cursor)


def unnamed_disclosures(index: AuditIndex, query: AuditQuery) -> int:
    """Return how many disclosures may be about the subject without naming it.

    A record names the first people of a passage that is about many, and counts the others.
    """
    unnamed = replace(query, subject=UNNAMED, how=DISCLOSED)
    with index.reading() as connection:
        return connection.execute(count_of(unnamed)).scalar_one()


def under_glass(
    index: AuditIndex, query: AuditQuery, *, limit: int, cursor: str | None = None
) -> tuple[list[UnderGlass], str | None]:
    """Return what ``query.glass_of`` did under broken glasses, oldest first, and a cursor.

    Each act during which an opening of that person's was in force is there, and how it was opened,
    ended and reviewed, which others may have done.
    """
    page = select_page(index, replace(query, oldest_first=True), limit=limit, cursor=cursor)
    with index.reading() as connection:
        openings = links_of(connection, OPENINGS, page.entries)
        people = links_of(connection, SUBJECTS, page.entries)
        opened = _opened(connection, query)
    acts = [
        UnderGlass(
            opening=opening,
            entry=entry,
            how=how,
            showed=people.get(key_of(entry), {}).get(opened[opening]) in DISCLOSED,
        )
        for entry in page.entries
        for opening, how in openings.get(key_of(entry), {}).items()
        if opening in opened
    ]
    return acts, page.cursor


def _disclosures(
    index: AuditIndex, query: AuditQuery, limit: int, cursor: str | None
) -> Disclosures:
    page = select_page(index, query, limit=limit, cursor=cursor)
    asked = PASSAGES if query.passage is not None else SUBJECTS
    wanted = query.passage if query.passage is not None else query.subject
    with index.reading() as connection:
        passages = links_of(connection, PASSAGES, page.entries)
        documents = links_of(connection, DOCUMENTS, page.entries)
        hows = links_of(connection, asked, page.entries)
    found = tuple(
        Disclosure(
            entry=entry,
            how=hows[key_of(entry)][plain(wanted or "")],
            passages=tuple(sorted(passages.get(key_of(entry), {}))),
            documents=tuple(sorted(documents.get(key_of(entry), {}))),
        )
        for entry in page.entries
    )
    return Disclosures(found, page.cursor)


def _opened(connection: sa.Connection, query: AuditQuery) -> dict[str, str]:
    """Return the openings of the person, and about whom each was; "" where that is not said."""
    about = (SUBJECTS.c.origin == OPENINGS.c.origin) & (SUBJECTS.c.position == OPENINGS.c.position)
    rows = connection.execute(
        sa.select(OPENINGS.c.opening, SUBJECTS.c.subject)
        .select_from(OPENINGS.outerjoin(SUBJECTS, about))
        .where(OPENINGS.c.opening.in_(openings_by(query)))
        .where(OPENINGS.c.how == How.OPENED, *of_tenant(query, OPENINGS))
    )
    return {opening: subject or "" for opening, subject in rows}
