"""An answer's text taken apart into its sentences, as their reader sees them."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from ragplatform.answer.judging import UNSUPPORTED, Sentence
from ragplatform.model import AnswerSentence, SentenceKind

_MARK: Final = re.compile(rf"\[\d{{1,3}}\]|{re.escape(UNSUPPORTED)}")


def of(text: str, sentences: Sequence[Sentence], refusal: str | None) -> tuple[AnswerSentence, ...]:
    """Return the sentences of a released text, each with what vouches for it.

    The text is cut behind the mark that ends each sentence but a gap: screening masks and reveals
    values and so moves every offset, but leaves marks. Should it ever not, the whole text is
    returned as one, with all that is cited.
    """
    if refusal:
        return (AnswerSentence(text, SentenceKind.REFUSAL),)
    ends = [found.end() for found in _MARK.finditer(text)]
    if len(ends) == len(sentences) - 1 and sentences[-1].kind is SentenceKind.GAP:
        ends.append(len(text))
    if not sentences or len(ends) != len(sentences):
        kind = sentences[0].kind if sentences else SentenceKind.GAP
        numbers = [c.number for one in sentences for c in one.citations]
        return (AnswerSentence(text, kind, tuple(dict.fromkeys(numbers))),)
    parts = [text[start:end].strip() for start, end in pairwise([0, *ends])]
    return tuple(
        AnswerSentence(
            part,
            one.kind,
            tuple(citation.number for citation in one.citations),
            one.coverage,
            one.failed,
        )
        for part, one in zip(parts, sentences, strict=True)
    )
