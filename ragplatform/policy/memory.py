"""Remembers what Cedar answered, so that a question asked again costs a look-up."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ragplatform.model import Decision, Principal, Purpose
from ragplatform.policy.questions import Action, Question

# About 45 bytes each, so 25 MB when full. Over 500 access classes, each decided twice, it is what
# 500 kinds of people ask, each for one purpose.
MOST_DECISIONS: Final = 500_000
_MOST_QUESTIONS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Asker:
    """Who does what and for which purpose: all that Cedar sees beside the question."""

    principal: Principal
    action: Action
    purpose: Purpose


@lru_cache(_MOST_QUESTIONS)
def _one(question: Question) -> Question:
    """Return the same object for equal questions.

    Everybody asks the same ones. Were each asker's kept, they would fill the memory, and the
    garbage collector would look through hundreds of thousands of them.
    """
    return question


class DecisionMemory:
    """Decisions by asker and question; those of the asker longest unheard of go first.

    Safe to share between threads. ``most`` bounds how many decisions are held altogether.
    """

    def __init__(self, most: int = MOST_DECISIONS) -> None:
        self._most = most
        self._held = 0
        self._lock = threading.Lock()
        self._by_asker: OrderedDict[Asker, dict[Question, Decision]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many decisions are held."""
        return self._held

    def recall(self, asker: Asker) -> Mapping[Question, Decision]:
        """Return the asker's decisions: to look up in, for other threads may add to them."""
        with self._lock:
            known = self._by_asker.get(asker)
            if known is None:
                return {}
            self._by_asker.move_to_end(asker)
            return known

    def add(self, asker: Asker, decisions: Mapping[Question, Decision]) -> None:
        """Hold the decisions too, and drop others if they are too many."""
        with self._lock:
            known = self._by_asker.setdefault(asker, {})
            self._by_asker.move_to_end(asker)
            before = len(known)
            known.update({_one(question): found for question, found in decisions.items()})
            self._held += len(known) - before
            while self._held > self._most:
                _, dropped = self._by_asker.popitem(last=False)
                self._held -= len(dropped)
