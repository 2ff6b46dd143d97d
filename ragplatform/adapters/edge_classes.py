"""Which classes the passages of an embedded index have, so that a filter need not list them all.

One process writes to an index, so it knows what there is. A filter that names every class that a
tenant's passages have is that tenant's passages, and of an index of one tenant that is all of it.
One that names most of them is every class but a few. And classes have numbers, which the engine
compares faster than keywords.

Measured with qdrant-edge-py 0.9.0, 100,000 passages in 1,000 classes, ms of CPU of the whole
process for the search by meaning and for counting how rare six terms are:

    no filter                           6.4 and 0
    900 classes named, keywords        18.0 and 3.8
    900 classes named, numbers         17.4 and 3.3
    the other 100 left out, keywords   15.5 and 7.9
    the other 100 left out, numbers     9.9 and 2.2

Of what is named, the engine reads one list a class, and so goes to the passages out of their order.
What is left out it looks up for each passage, in their order; to hash a keyword of 70 characters
takes longer there than the distance does. What was stored since the index was opened lies scattered
in memory: if that is all of them, leaving out takes 17.2 and 10.0 ms by numbers.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Final

from ragplatform.adapters.filters import class_number, tenant_class
from ragplatform.model import AllOf, AnyOf, Clause, Passage

_CLASS: Final = "tenant_class"
_TENANT: Final = "tenant"
# How many of the passages a clause may leave out to say so, instead of what it names: at two thirds
# of 100,000 both take as long, at half of them it is 6.7 ms against 12.1.
_LEFT_OUT_AT_MOST: Final = 2 / 3
# How many may be stored since the index was opened; see above.
_STORED_SINCE_AT_MOST: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of some classes, never of none, and whether they are ``left_out``."""

    of: frozenset[int]
    left_out: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A shorter filter that says the same of this index; ``tree`` None: it is true of all of it.

    ``numbers`` says of clauses of the tree which numbers the classes have whose passages they are
    true of, or the classes of all others. It holds as long as the classes are at ``version``.
    """

    tree: AnyOf | None
    version: int
    numbers: Mapping[Clause, Numbers] = field(default_factory=dict)


class KnownClasses:
    """The classes of an index, as ``TENANT/CLASS``, by whoever alone writes to it.

    A class whose last passage has gone stays known: then a filter is only longer than it must be.
    Safe to use from several threads.
    """

    def __init__(self, stored: Mapping[str, int]) -> None:
        """Know the classes that are stored, with how many passages each has."""
        self._lock = threading.Lock()
        self._of: dict[str, set[str]] = {}
        self._numbers: dict[str, int] = {}
        self._taken: set[int] = set()
        # A passage that was stored twice counts twice, and one that has gone is not taken off: by
        # it only the form of a filter is chosen.
        self._passages = Counter[str]()
        self._learn(stored)
        self._opened_with = self._passages.total()

    @property
    def version(self) -> int:
        """A number that grows with every class that was not known."""
        return len(self._numbers)

    def add(self, keywords: Iterable[str]) -> None:
        """Learn the class of each of some passages, before any of them is stored."""
        self._learn(Counter(keywords))

    def _learn(self, counts: Mapping[str, int]) -> None:
        with self._lock:
            self._passages.update(counts)
            for keyword in counts.keys() - self._numbers.keys():
                self._of.setdefault(_owner(keyword), set()).add(keyword)
                self._numbers[keyword] = class_number(keyword)
                self._taken.add(self._numbers[keyword])

    def plan(self, tree: AnyOf) -> Plan:
        """Return what to search by.

        Who searches by it compares the version afterwards: a class that came meanwhile may have
        been seen, and then only the filter as it was counts.
        """
        with self._lock:
            branches = tuple(map(self._shorter, tree.branches))
            if any(map(self._opens_all, branches)):
                return Plan(None, self.version)
            return Plan(AnyOf(branches), self.version, self._by_number(branches))

    def _by_number(self, branches: Iterable[AllOf]) -> dict[Clause, Numbers]:
        if len(self._taken) < len(self._numbers):
            # Where two classes have one number, a filter by it would let both through.
            return {}
        clauses = {clause for branch in branches for clause in branch.clauses}
        return {clause: self._numbered(clause) for clause in clauses if self._known_of(clause)}

    def _known_of(self, clause: Clause) -> Set[str]:
        """Return the known classes that a clause names, none of one on another field."""
        return clause.any_of & self._numbers.keys() if clause.field == _CLASS else set()

    def _shorter(self, branch: AllOf) -> AllOf:
        return AllOf(tuple(map(self._covering, branch.clauses)), branch.none_of)

    def _covering(self, clause: Clause) -> Clause:
        """Return the clause, or its tenant's where it names all that the tenant's passages have."""
        found = self._known_of(clause)
        if not found:
            return clause
        tenant = _owner(next(iter(found)))
        return Clause(_TENANT, frozenset({tenant})) if found == self._of[tenant] else clause

    def _opens_all(self, branch: AllOf) -> bool:
        """Return whether the branch is true of whatever is of the tenants that the index holds."""
        [first, *others] = branch.clauses
        plain = first.field == _TENANT and not others and not branch.none_of
        return plain and bool(self._of) and first.any_of >= self._of.keys()

    def _numbered(self, clause: Clause) -> Numbers:
        """Return the numbers of the classes that a clause names, or of those that it leaves out."""
        total = self._passages.total()
        others = self._numbers.keys() - clause.any_of
        shut = sum(map(self._passages.__getitem__, others))
        left_out = (
            bool(others)
            and shut <= _LEFT_OUT_AT_MOST * total
            and total - self._opened_with <= _STORED_SINCE_AT_MOST * total
        )
        told = others if left_out else self._known_of(clause)
        return Numbers(frozenset(map(self._numbers.__getitem__, told)), left_out)


def names_class(tree: AnyOf, passage: Passage) -> bool:
    """Return whether some branch of a filter has nothing against the passage's tenant and class."""
    own = {_CLASS: tenant_class(passage.labels.tenant, passage.access_class)}
    own[_TENANT] = passage.labels.tenant
    return any(
        all(own[one.field] in one.any_of for one in branch.clauses if one.field in own)
        for branch in tree.branches
    )


def _owner(keyword: str) -> str:
    return keyword.partition("/")[0]
