"""The only place that makes ``Cleared``: text that may be sent to a model."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, LiteralString

from ragplatform.model import Cleared, Passage, Scope, Span
from ragplatform.privacy import tokens
from ragplatform.privacy.pseudonyms import Tokeniser
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.transform import transform
from ragplatform.privacy.visible import visible

_HOLE: Final = re.compile(r"\{([a-z_]+)\}")
# Numbers and fences of a prompt: too short and too plain to carry anybody's data.
_MARK: Final = re.compile(r"[0-9a-z]{1,8}")
_WORD: Final = re.compile(r"\w+")


def clear_passage(passage: Passage, scope: Scope) -> Cleared:
    """Return the passage's text with everything masked that the scope does not reveal.

    Pseudonyms stay: they say nothing to a model. What no reader would see goes: it could say
    something to a model alone. Raises ``ValueError`` when the spans do not fit
    the text, since an offset that is off by one would show a value.
    """
    chunk = passage.chunk
    return Cleared(visible(_masked(chunk.text, chunk.spans, scope.reveals)))


def clear_sentences(
    passage: Passage, ranges: Sequence[tuple[int, int]], scope: Scope
) -> tuple[Cleared, ...]:
    """Return parts of the passage's text, each cleared as ``clear_passage`` clears the whole.

    A span that reaches over the edge of a part is masked in it as far as it goes.
    """
    chunk = passage.chunk
    hidden = [span for span in chunk.spans if span.entity not in scope.reveals]
    return tuple(
        Cleared(visible(_masked(chunk.text[start:end], _inside(hidden, start, end), frozenset())))
        for start, end in ranges
    )


def _inside(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    """Return what of the spans lies in a part of their text, by the part's own offsets."""
    return [
        replace(span, start=max(span.start, start) - start, end=min(span.end, end) - start)
        for span in spans
        if span.start < end and start < span.end
    ]


def without_tagged(text: str, spans: Sequence[Span]) -> str:
    """Return transformed text with what is still in clear masked, for readers of any kind."""
    return _masked(text, spans, frozenset())


def _masked(text: str, spans: Sequence[Span], reveals: frozenset[str]) -> str:
    parts: list[str] = []
    done = 0
    for span in sorted(spans, key=lambda span: span.start):
        if not done <= span.start < span.end <= len(text):
            raise ValueError("the passage's spans do not fit its text")
        if span.entity not in reveals:
            parts += (text[done : span.start], tokens.mask(span.entity))
            done = span.end
    return "".join(parts) + text[done:]


def clear_question(
    text: str,
    spans: Sequence[Span],
    *,
    rules: PrivacyRules,
    collection: str | None,
    tokeniser: Tokeniser,
    reveals: frozenset[str],
    this_year: int,
) -> Cleared:
    """Return the question as documents are written: the same value gives the same token.

    Values that rules mask or drop go; a type that would keep a document out is masked, for there
    is nothing to keep out. Every value of a type that the asker may not see in clear is masked
    too: a passage found by it would tell whose it is. A date that documents have shifted is masked:
    whose shift would be the right one is not known. Nothing is stored.
    """
    result = transform(
        text,
        spans,
        rules=rules,
        collection=collection,
        tokeniser=tokeniser,
        shift=None,
        this_year=this_year,
    )

    return Cleared(visible(unlinkable(_masked(result.text, result.kept, reveals), reveals)))


def unlinkable(text: str, reveals: frozenset[str]) -> str:
    """Return the text with every pseudonym of a type that is not revealed as a mask.

    A pseudonym tells whoever may choose the value behind it where else that value stands.
    """

    def own(found: re.Match[str]) -> str:
        entity = tokens.entity_of(found[0])
        return found[0] if entity in reveals else tokens.mask(entity)

    return tokens.TOKEN.sub(own, text)


def compose(template: LiteralString, **parts: Cleared | str | int) -> Cleared:
    """Return our constant template with each ``{name}`` filled by the part of that name.

    Parts are ``Cleared``; a number, or up to 8 lower-case letters and digits, may be given plain.
    What a part says is never read as template. Raises ``ValueError`` when names are missing or
    left over, and ``TypeError`` for any other plain text: it has not been through the gate.
    """
    wanted = set(_HOLE.findall(template))
    if wanted != set(parts):
        raise ValueError(f"the template wants {sorted(wanted)}, given were {sorted(parts)}")
    filled = {name: _plain(name, part) for name, part in parts.items()}
    return Cleared(_HOLE.sub(lambda hole: filled[hole[1]], template))


def _plain(name: str, part: Cleared | str | int) -> str:
    if isinstance(part, Cleared):
        return part.text
    if isinstance(part, int) or _MARK.fullmatch(part):
        return str(part)
    raise TypeError(f"part {name!r} is plain text; only cleared text may enter a prompt")


def join(parts: Sequence[Cleared], separator: LiteralString = "") -> Cleared:
    """Return the parts one after the other, our constant separator between them."""
    return Cleared(separator.join(part.text for part in parts))


def excerpt(text: str, source: Cleared) -> Cleared:
    """Return a shortened or re-punctuated form of cleared text as cleared text.

    Every word of ``text`` must stand in ``source``, in the same order: leaving out is allowed,
    adding is not. Raises ``ValueError`` when something was added.
    """
    words = iter(_WORD.findall(source.text))
    if not all(word in words for word in _WORD.findall(text)):
        raise ValueError("an excerpt may only leave words out of its source")
    return Cleared(text)
