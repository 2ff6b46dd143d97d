"""A passage as the payload of a Qdrant point, and back: the same for the engine and the server.

Reading is strict. A payload is either exactly what ``encode_payload`` writes or it is refused
whole: a passage with a guessed label would be judged by policy as something it is not.
"""

import json
import math
import uuid
from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeVar

from ragplatform.adapters.fact_words import FACTS, fact_words, facts_of
from ragplatform.adapters.filters import CLASS_NUMBER, class_number, tenant_class
from ragplatform.errors import InvalidRequestError, TamperedError
from ragplatform.model import Category, Chunk, Facts, Json, Labels, Passage, Sensitivity, Span
from ragplatform.page_labels import page_label
from ragplatform.ports import Entry
from ragplatform.recent import Recent

FORMAT: Final = 1
_HIGHEST_TERM: Final = 2**32 - 1

_T = TypeVar("_T")

# As many classes as a corpus of millions has; about 2 kB each. Labels say nothing of a text.
_READ: Final[Recent[str, tuple[Labels, str]]] = Recent(4096)

_KEYS: Final = frozenset(
    "format tenant tenant_class collection access_class subjects document generation title "
    "media_type labels ordinal text start end page page_end page_breaks heading spans".split()
)
_LABELLED: Final = frozenset("tenant tenant_class collection access_class labels".split())
_LABELLED_IN_ORDER: Final = tuple(sorted(_LABELLED))
_LABEL_KEYS: Final = frozenset(
    "tenant collection sensitivity department categories restrictions state".split()
)
_RETAINED: Final = "retain_until"
# What passages stored before it was kept do not have, and passages without any still do not.
_PAGE_LABELS: Final = "page_labels"
# And what only the embedded index writes, beside the class that it is the number of.
_SOMETIMES: Final = frozenset({FACTS, _PAGE_LABELS, CLASS_NUMBER})


def encode_payload(passage: Passage) -> dict[str, Json]:
    """Return all of the passage but the id of its chunk, which is the id of the point."""
    chunk = passage.chunk
    words = fact_words(passage.facts)
    return {
        "format": FORMAT,
        "subjects": [*sorted(passage.subjects)],
        "document": passage.document,
        "generation": passage.generation,
        "title": passage.title,
        "media_type": passage.media_type,
        "ordinal": chunk.ordinal,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "page": chunk.page,
        "page_end": chunk.page_end,
        "page_breaks": [list(pair) for pair in chunk.page_breaks],
        "heading": list(chunk.heading),
        "spans": [
            [span.start, span.end, span.entity, span.category.value, span.score, span.source]
            for span in chunk.spans
        ],
        **({_PAGE_LABELS: [list(one) for one in chunk.page_labels]} if chunk.page_labels else {}),
        **({FACTS: [*words]} if words else {}),
        **encode_labels(passage.labels, passage.access_class),
    }


def encode_labels(labels: Labels, access_class: str) -> dict[str, Json]:
    """Return the part of a payload that changes when a document is labelled anew."""
    return {
        "tenant": labels.tenant,
        "collection": labels.collection,
        "access_class": access_class,
        "tenant_class": tenant_class(labels.tenant, access_class),
        "labels": {
            "tenant": labels.tenant,
            "collection": labels.collection,
            "sensitivity": int(labels.sensitivity),
            "department": labels.department,
            "categories": [*sorted(category.value for category in labels.categories)],
            "restrictions": [*sorted(labels.restrictions)],
            "state": labels.state,
            # Only where there is one: passages stored before labels had it stay as they are.
            **({_RETAINED: labels.retain_until} if labels.retain_until else {}),
        },
    }


def checked_payload(entry: Entry, dim: int) -> dict[str, Json]:
    """Return the payload of an entry that the engine can store as it stands.

    Qdrant Edge 0.9.0 takes NaN, repeated terms and unequal lengths without a word, and then finds
    something else than was stored. Raises ``InvalidRequestError`` naming the chunk.
    """
    chunk = entry.passage.chunk.id
    if not is_chunk_id(chunk):
        raise InvalidRequestError(f"chunk id {chunk!r} is not a UUID in its usual lower-case form")
    require_vector(entry.vector, dim, f"of chunk {chunk}")
    indices, values = entry.terms.indices, entry.terms.values
    if len(indices) != len(values) or len(set(indices)) != len(indices):
        raise InvalidRequestError(f"the term weights of chunk {chunk} are not one per term")
    if not all(0 <= term <= _HIGHEST_TERM for term in indices) or not all(map(_finite, values)):
        raise InvalidRequestError(f"the term weights of chunk {chunk} are out of range")
    payload = encode_payload(entry.passage)
    try:
        json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        # The cause would quote the text around the offending character.
        raise InvalidRequestError(
            f"chunk {chunk} holds a lone surrogate or a score that is no number "
            f"({type(error).__name__})"
        ) from None
    return payload


def require_vector(vector: object, dim: int, whose: str) -> None:
    """Raise ``InvalidRequestError`` unless the vector is ``dim`` finite numbers."""
    try:
        numbers = list(map(float, vector))  # type: ignore[call-overload]  # judged right here
    except (TypeError, ValueError):
        raise InvalidRequestError(f"the vector {whose} is not a list of numbers") from None
    if len(numbers) != dim:
        raise InvalidRequestError(f"the vector {whose} has {len(numbers)} numbers, not {dim}")
    if not all(map(_finite, numbers)):
        raise InvalidRequestError(f"the vector {whose} holds NaN or infinity")


def require_characters(text: str) -> None:
    """Raise ``InvalidRequestError`` for a text that UTF-8 cannot write: half a character.

    JSON can carry a lone surrogate into a question; each engine stumbles over it differently.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        # The cause holds the whole text.
        raise InvalidRequestError(
            f"a text of {len(text)} characters holds a lone surrogate"
        ) from None


def is_chunk_id(name: str) -> bool:
    """Return whether the name is a UUID in the one form in which the engine gives it back."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def decode_payload(chunk_id: str, payload: object) -> Passage:
    """Return the passage that was stored under the id.

    Raises ``TamperedError`` when the payload is anything but what ``encode_payload`` writes.
    """
    try:
        fields = _exactly(payload, _KEYS, _SOMETIMES)
        _require(fields["format"] == FORMAT, "format")
        labels, access_class = _labels(fields)
        if CLASS_NUMBER in fields:
            number = class_number(tenant_class(labels.tenant, access_class))
            _require(_is(int, fields[CLASS_NUMBER]) == number, CLASS_NUMBER)
        return Passage(
            chunk=_chunk(chunk_id, fields),
            document=_is(str, fields["document"]),
            title=_is(str, fields["title"]),
            labels=labels,
            access_class=access_class,
            subjects=frozenset(_words(fields["subjects"])),
            generation=_is(str, fields["generation"]),
            media_type=_is(str, fields["media_type"]),
            facts=facts_of(_some_words(fields[FACTS])) if FACTS in fields else Facts(),
        )
    except ValueError as error:
        # The inner message names a field or a type; the chain is cut so that no value shows.
        raise TamperedError(
            f"the stored passage {chunk_id} is not in the form that was written ({error}): "
            "rebuild the index from the ledger"
        ) from None


def origin(payload: Mapping[str, object] | None) -> tuple[str, str]:
    """Return the document and the generation that a payload, whole or in part, names.

    Raises ``TamperedError`` when it does not.
    """
    match payload:
        case {"document": str(document), "generation": str(generation)}:
            return document, generation
    raise TamperedError("a stored passage names no document: rebuild the index from the ledger")


def decode_labels(fields: object) -> tuple[Labels, str]:
    """Return the labels and the access class that ``encode_labels`` wrote.

    Raises ``TamperedError`` when the fields are anything else.
    """
    try:
        return _labels(_exactly(fields, _LABELLED))
    except ValueError as error:
        raise TamperedError(f"labels are not in the form that was written ({error})") from None


def _chunk(chunk_id: str, fields: Mapping[str, object]) -> Chunk:
    text = _is(str, fields["text"])
    return Chunk(
        id=chunk_id,
        ordinal=_is(int, fields["ordinal"]),
        text=text,
        start=_is(int, fields["start"]),
        end=_is(int, fields["end"]),
        page=_maybe_int(fields["page"]),
        page_end=_maybe_int(fields["page_end"]),
        heading=tuple(_words(fields["heading"])),
        spans=tuple(_span(span, len(text)) for span in _is(list, fields["spans"])),
        page_breaks=tuple(
            _page_break(pair, len(text)) for pair in _is(list, fields["page_breaks"])
        ),
        page_labels=_page_labels(fields[_PAGE_LABELS]) if _PAGE_LABELS in fields else (),
    )


def _page_break(pair: object, length: int) -> tuple[int, int]:
    match pair:
        case [int(offset), int(number)] if 0 <= offset <= length and number > 0:
            return offset, number
    raise ValueError("page_breaks are not pairs of offset and page")


def _page_labels(value: object) -> tuple[tuple[int, str], ...]:
    found = tuple(_labelled_page(pair) for pair in _is(list, value))
    numbers = [number for number, _ in found]
    # Nothing writes an empty list, and there is one way only to write each passage.
    _require(bool(found) and numbers == sorted(set(numbers)), _PAGE_LABELS)
    return found


def _labelled_page(pair: object) -> tuple[int, str]:
    number, label = _is(list, pair)
    number, label = _is(int, number), _is(str, label)
    # A label is shown as it stands: what is more than one does not come out of the index.
    _require(number > 0 and label != "" and label == page_label(label), _PAGE_LABELS)
    return number, label


def _labels(fields: Mapping[str, object]) -> tuple[Labels, str]:
    """Return labels and class, which many passages share, each way to write them read once."""
    # As Python writes them, true and 1 differ, which are equal as keys.
    told = repr([fields[name] for name in _LABELLED_IN_ORDER])
    found = _READ.get(told)
    if found is None:
        found = _read_labels(fields)
        _READ.put(told, found)
    return found


def _read_labels(fields: Mapping[str, object]) -> tuple[Labels, str]:
    given = fields["labels"]
    retained = isinstance(given, Mapping) and _RETAINED in given
    found = _exactly(given, _LABEL_KEYS | {_RETAINED} if retained else _LABEL_KEYS)
    labels = Labels(
        tenant=_is(str, found["tenant"]),
        collection=_is(str, found["collection"]),
        sensitivity=_member(Sensitivity, _is(int, found["sensitivity"]), "sensitivity"),
        department=_is(str, found["department"]),
        categories=frozenset(
            _member(Category, word, "categories") for word in _words(found["categories"])
        ),
        restrictions=frozenset(_words(found["restrictions"])),
        state=_is(str, found["state"]),
        retain_until=_is(str, found[_RETAINED]) if retained else "",
    )
    access_class = _is(str, fields["access_class"])
    # The filter reads these fields and policy reads the labels: they must be the same thing.
    _require(
        (fields["tenant"], fields["collection"], fields["tenant_class"])
        == (labels.tenant, labels.collection, tenant_class(labels.tenant, access_class)),
        "labels differ from the fields that are filtered by",
    )
    return labels, access_class


def _span(document: object, length: int) -> Span:
    match document:
        case [
            int(start),
            int(end),
            str(entity),
            str(category),
            int() | float() as score,
            str(source),
        ] if 0 <= start <= end <= length:
            kind = _member(Category, category, "spans")
            return Span(start, end, entity, kind, float(score), source)
    raise ValueError("spans")


def _require(holds: bool, field: str) -> None:
    if not holds:
        raise ValueError(field)


def _exactly(
    document: object, keys: frozenset[str], sometimes: frozenset[str] = frozenset()
) -> Mapping[str, object]:
    if isinstance(document, Mapping) and document.keys() - sometimes == keys:
        return document
    raise ValueError("fields")


def _is(kind: type[_T], value: object) -> _T:
    # bool is an int in Python, and no field here is one.
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    raise ValueError(f"no {kind.__name__} where one belongs")


def _maybe_int(value: object) -> int | None:
    return None if value is None else _is(int, value)


def _words(value: object) -> list[str]:
    return [_is(str, word) for word in _is(list, value)]


def _some_words(value: object) -> list[str]:
    # Nothing writes an empty list, and there is one way only to write each passage.
    if words := _words(value):
        return words
    raise ValueError("facts")


_E = TypeVar("_E", bound=Enum)


def _member(kind: type[_E], value: int | str, field: str) -> _E:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(field) from None


def _finite(number: float) -> bool:
    return math.isfinite(number)
