"""What one reply is worth, against what the question's line says should come."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from ragplatform.answer import support
from ragplatform.evaluation import metrics
from ragplatform.evaluation.questions import EvalQuestion, Expected, Item

_MARK: Final = re.compile(r"\[(\d{1,3})\]")
# Masked words and line ends differ between a file and its index: this share has to be there.
_ENOUGH: Final = 0.8
# Fewer words than this may stand anywhere.
_FEW: Final = 4
NDCG_AT: Final = 10
RECALL_AT: Final = (5, 10)

METRICS: Final[Mapping[str, str]] = {
    "ndcg@10": "normalised discounted gain of the first ten passages",
    **{f"recall@{k}": f"share of the evidence among the first {k} passages" for k in RECALL_AT},
    "mrr": "one over the rank of the first relevant passage",
    "answered": "questions with an answer that got one",
    "answer_match": "answers that hold the words of a right one",
    "answer_f1": "overlap of the words with the nearest right answer",
    "citation_precision": "citations that point at relevant evidence",
    "citation_recall": "share of the evidence that is cited",
    "support": "cited sentences that their citation supports",
    "whole_citations": "marks in the text that have their citation",
    "abstained": "questions without an answer that got none",
    "denied": "questions that policy should deny, and does",
}


class Outcome(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    REFUSED = "refused"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a passage or a citation stands, and its text as the asker sees it."""

    document: str
    file: str
    page: int | None
    page_end: int | None
    start: int
    end: int
    text: str = field(repr=False)
    number: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the platform said: ranked passages, and an answer unless only a search was asked.

    ``took_s`` is how long the answer took, ``search_s`` the search.
    """

    outcome: Outcome
    ranked: tuple[Place, ...] = ()
    answer: str | None = field(default=None, repr=False)
    citations: tuple[Place, ...] = ()
    search_s: float | None = None
    took_s: float | None = None
    request_id: str = ""
    mode: str = ""
    model: str = ""
    policy: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """One question's scores; a measure that does not apply to it is not among them."""

    id: str
    reply: Reply
    scores: Mapping[str, float]


def is_at(item: Item, place: Place) -> bool:
    """Return whether the place holds the piece of evidence."""
    if item.document is not None and item.document != place.document:
        return False
    if item.file is not None and PurePath(item.file).name != PurePath(place.file).name:
        return False
    if item.page is not None and not _has_page(place, item.page):
        return False
    if not _overlaps(item, place):
        return False
    return item.quote is None or _says(item.quote, place.text)


def _overlaps(item: Item, place: Place) -> bool:
    if item.start is None or item.end is None:
        return True
    return item.start < place.end and place.start < item.end


def _has_page(place: Place, page: int) -> bool:
    if place.page is None:
        return False
    return place.page <= page <= (place.page_end or place.page)


def _says(quote: str, text: str) -> bool:
    if metrics.share_of(quote, text) >= _ENOUGH:
        return True
    # A citation may quote one sentence of the evidence.
    return len(metrics.words(text)) >= _FEW and metrics.share_of(text, quote) >= _ENOUGH


def judge(question: EvalQuestion, reply: Reply) -> Judged:
    """Return the scores of a reply."""
    scores: dict[str, float] = {}
    asked_for_answer = reply.answer is not None or reply.outcome is not Outcome.ANSWERED
    if question.relevant:
        scores |= _of_ranking(question.relevant, reply.ranked)
    if asked_for_answer:
        scores |= _of_outcome(question.expected, reply.outcome)
    if reply.answer is not None and reply.outcome is Outcome.ANSWERED:
        scores |= _of_answer(question, reply, reply.answer)
    return Judged(question.id, reply, scores)


def _of_ranking(items: Sequence[Item], ranked: Sequence[Place]) -> dict[str, float]:
    left = list(items)
    gains: list[float] = []
    for place in ranked:
        # A piece of evidence counts once, however many passages repeat it. A passage that holds
        # several is worth all of them, so that the ideal can be surpassed: it stays at 1.
        here = [item for item in left if is_at(item, place)]
        gains.append(sum(item.grade for item in here))
        left = [item for item in left if item not in here]
    ranks = [_rank(item, ranked) for item in items]
    return {
        f"ndcg@{NDCG_AT}": min(1.0, metrics.ndcg(gains, [item.grade for item in items], NDCG_AT)),
        **{f"recall@{k}": metrics.recall(ranks, k) for k in RECALL_AT},
        "mrr": metrics.reciprocal_rank(ranks),
    }


def _rank(item: Item, ranked: Sequence[Place]) -> int | None:
    return next((rank for rank, place in enumerate(ranked, 1) if is_at(item, place)), None)


def _of_outcome(expected: Expected, outcome: Outcome) -> dict[str, float]:
    if expected is Expected.ANSWER:
        return {"answered": float(outcome is Outcome.ANSWERED)}
    if expected is Expected.DENIED:
        return {"denied": float(outcome is Outcome.DENIED)}
    return {"abstained": float(outcome in {Outcome.REFUSED, Outcome.DENIED})}


def _of_answer(question: EvalQuestion, reply: Reply, answer: str) -> dict[str, float]:
    cited = reply.citations
    scores: dict[str, float] = {}
    marks = [int(mark) for mark in _MARK.findall(answer)]
    known = {place.number for place in cited}
    if marks:
        scores["whole_citations"] = sum(mark in known for mark in marks) / len(marks)
    if pairs := _claims(answer):
        held = [_supported(claim, number, cited, question.question) for claim, number in pairs]
        scores["support"] = sum(held) / len(held)
    if question.expected is not Expected.ANSWER:
        return scores
    if question.relevant and cited:
        right = [any(is_at(item, place) for item in question.relevant) for place in cited]
        scores["citation_precision"] = sum(right) / len(right)
    if question.relevant:
        found = [any(is_at(item, place) for place in cited) for item in question.relevant]
        scores["citation_recall"] = sum(found) / len(found)
    if question.answers:
        plain = _MARK.sub(" ", answer)
        scores["answer_match"] = float(
            any(metrics.share_of(wanted, plain) >= _ENOUGH for wanted in question.answers)
        )
        scores["answer_f1"] = max(metrics.f1(plain, wanted) for wanted in question.answers)
    return scores


def _claims(answer: str) -> list[tuple[str, int]]:
    """Return what stands before each mark, with the mark's number."""
    parts = _MARK.split(answer)
    claims = zip(parts[::2], parts[1::2], strict=False)
    return [(claim.strip(), int(number)) for claim, number in claims if metrics.words(claim)]


def _supported(claim: str, number: int, cited: Sequence[Place], question: str) -> bool:
    quotes = [[place.text] for place in cited if place.number == number]
    _, verdict = support.best(claim, quotes, question)
    return verdict.supported
