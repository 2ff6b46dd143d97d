"""The filter of a search as every index understands it: keywords that a passage must hold.

One tree (``AnyOf`` of ``AllOf`` of ``Clause``) is compiled by each index into its engine's own
filter. Each branch says what is allowed, and may say who must not be among a passage's subjects.
Qdrant Edge 0.9.0 never matches booleans, and a ``should`` without conditions matches everything
there, so neither is ever written; what is excluded is always a keyword.

What the asker narrows a search to becomes more clauses of every branch, never a branch and never an
exclusion: it cannot let anything in.
"""

import hashlib
from typing import Final

from ragplatform.adapters.fact_words import FACTS, wanted_words
from ragplatform.errors import PolicyError
from ragplatform.model import AllOf, AnyOf, Clause, Json, Narrow, Scope

# The fields that an index keeps as keywords. A clause on any other field would ask the engine
# about something that it never indexed, and what that means differs from engine to engine.
KEYWORDS: Final = (
    "tenant",
    "tenant_class",
    "collection",
    "subjects",
    "document",
    "generation",
    "media_type",
    FACTS,
)
# The number of a passage's class, an integer, in the embedded index alone.
CLASS_NUMBER: Final = "class_number"
# What may be excluded: every passage has this list, be it empty, so no absent field lets one pass.
_EXCLUDED: Final = frozenset({"subjects"})
# What a scope may speak of.
_SCOPED: Final = frozenset({"access_class", "collection", "subjects", "document", "generation"})


def tenant_class(tenant: str, access_class: str) -> str:
    """Return the one keyword that says both whose a passage is and of which class."""
    return f"{tenant}/{access_class}"


def class_number(keyword: str) -> int:
    """Return 48 bits of the digest of a ``tenant_class``, as the number of the class.

    The embedded index keeps it beside the keyword, for an engine compares it much faster. Two
    classes of one number are as good as impossible, but who filters by it must look.
    """
    return int.from_bytes(hashlib.sha256(keyword.encode()).digest()[:6], "big")


def within(scope: Scope, narrow: Narrow | None = None) -> AnyOf:
    """Return the scope's filter with its tenant, and what it is narrowed to, in every branch.

    Policy already allows only the tenant's own classes. The tenant is required once more because
    a collision or a stale class must never open a door between tenants. Tenant and class are one
    keyword in the index: as two conditions they made a search over 40,000 passages five times
    slower (15 and 72 ms), for the engine then checks each passage instead of reading one list.

    Raises ``PolicyError`` when a clause names a field that no index keeps, and
    ``InvalidRequestError`` for a range of what are no days.
    """
    more = _narrowing(narrow) if narrow is not None else ()
    owned = (_owned(branch, scope.tenant) for branch in scope.filter.branches)
    return AnyOf(tuple(AllOf((*one.clauses, *more), one.none_of) for one in owned))


def _narrowing(narrow: Narrow) -> tuple[Clause, ...]:
    fields = {
        "document": narrow.documents,
        "media_type": narrow.media_types,
        "subjects": narrow.subjects,
    }
    plain = [Clause(field, values) for field, values in fields.items() if values is not None]
    return (*plain, *(Clause(FACTS, words) for words in wanted_words(narrow)))


def _owned(branch: AllOf, tenant: str) -> AllOf:
    clauses = []
    for clause in branch.clauses:
        if clause.field not in _SCOPED:
            raise PolicyError(
                f"a scope names the field {clause.field!r}, which the index does not keep: "
                f"it keeps {', '.join(sorted(_SCOPED))}"
            )
        if clause.field == "access_class":
            values = frozenset(tenant_class(tenant, value) for value in clause.any_of)
            clauses.append(Clause("tenant_class", values))
        else:
            clauses.append(clause)
    if not any(clause.field == "tenant_class" for clause in clauses):
        clauses.insert(0, Clause("tenant", frozenset({tenant})))
    return AllOf(tuple(clauses), tuple(map(_excluding, branch.none_of)))


def _excluding(clause: Clause) -> Clause:
    if clause.field not in _EXCLUDED:
        raise PolicyError(f"a scope excludes by {clause.field!r}; only by subjects it may")
    return clause


def require_branches(tree: AnyOf) -> None:
    """Raise ``PolicyError`` for a tree that nothing satisfies.

    Compiled, it would be a ``should`` of no conditions, which the engine takes as always true.
    """
    if not tree.branches:
        raise PolicyError("an empty scope reached the engine: it must be answered before")


def encode_filter(tree: AnyOf) -> Json:
    """Return the tree as JSON: a list of branches, each a pair of what must and must not hold.

    Both are lists of ``[field, values]``.
    """
    return [[_encoded(branch.clauses), _encoded(branch.none_of)] for branch in tree.branches]


def _encoded(clauses: tuple[Clause, ...]) -> list[Json]:
    return [[clause.field, [*sorted(clause.any_of)]] for clause in clauses]


def decode_filter(document: Json) -> AnyOf:
    """Return the tree that ``encode_filter`` wrote.

    Raises ``PolicyError`` for anything else: a filter that is only nearly understood could allow
    more than was meant.
    """
    return AnyOf(tuple(map(_branch, _list(document))))


def _branch(document: Json) -> AllOf:
    match document:
        case [wanted, [*unwanted]]:
            excluded = tuple(_excluding(_clause(one)) for one in unwanted)
            return AllOf(tuple(map(_clause, _list(wanted))), excluded)
    raise PolicyError("a filter came in a shape that the index does not know")


def _clause(document: Json) -> Clause:
    match document:
        case [str(field), [*values]] if field in KEYWORDS and values:
            return Clause(field, frozenset(map(_word, values)))
    raise PolicyError("a filter came in a shape that the index does not know")


def _list(document: Json) -> list[Json]:
    # An empty branch would be true of every passage.
    if isinstance(document, list) and document:
        return document
    raise PolicyError("a filter came in a shape that the index does not know")


def _word(document: Json) -> str:
    if isinstance(document, str):
        return document
    raise PolicyError("a filter came in a shape that the index does not know")
