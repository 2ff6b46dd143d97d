"""The gate that all text passes: on its way in, in a question, in a prompt, and on its way out."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, LiteralString, Protocol

from ragplatform.model import Cleared, Labels, Mode, Passage, Scope, Span
from ragplatform.ports import Detector
from ragplatform.privacy import asked_names, clear, clues, tokens
from ragplatform.privacy.clues import Clue
from ragplatform.privacy.consistency import Consistent
from ragplatform.privacy.normalise import shown
from ragplatform.privacy.pseudonyms import Tokeniser
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.screen import Screen
from ragplatform.privacy.transform import Transformed, transform
from ragplatform.privacy.vault import Vault
from ragplatform.privacy.verdict import verdict
from ragplatform.privacy.visible import visible

# Changes whenever this package would make another text from the same spans and rules.
_TRANSFORM_VERSION: Final = "2"


@dataclass(frozen=True, slots=True)
class ClearedQuestion:
    """A question cleared for search and prompt.

    ``meant`` are further pseudonyms for what it names, ``spelt`` those of whole names of which the
    detector saw a part or nothing: to search by, never to show or reveal.
    """

    cleared: Cleared
    meant: frozenset[str]
    spelt: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The cleared text."""
        return self.cleared.text


class Inspector:
    """Detector and rules without a vault: what is personal in a text, and how certain that is.

    Safe to use from several threads.
    """

    def __init__(self, *, detector: Detector, rules: PrivacyRules) -> None:
        self._detector = Consistent(detector)
        self._rules = rules

    @property
    def rules(self) -> PrivacyRules:
        """The rules that say what counts and what happens to it."""
        return self._rules

    def inspect(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the personal data of each text, in order, sorted, none overlapping another.

        What is found once in a text is found everywhere in it. Raises ``DetectorError`` rather
        than return a text unsearched.
        """
        return self._detector.detect(texts)

    def certain(self, spans: Iterable[Span], collection: str | None = None) -> list[Span]:
        """Return the spans that are certain enough for the collection's rules to act on."""
        return [span for span in spans if verdict(self._rules, span, collection).counts]

    def acted_on(self, spans: Iterable[Span], collection: str | None = None) -> list[Span]:
        """Return the spans that the collection's rules do not simply leave as they stand."""
        return [span for span in spans if self._rules.acts_on(span, collection)]

    def masked(self, text: str, spans: Sequence[Span], collection: str | None = None) -> str:
        """Return the text with ``[TYPE]`` in place of all that the rules act on. Nothing is stored.

        ``spans`` come from ``inspect`` for this very text.
        """
        return clear.without_tagged(text, self.acted_on(spans, collection))


class PseudonymMaker(Protocol):
    """Makes pseudonyms and references under a deployment's keys; ``Vault`` and ``Pseudonyms``."""

    def tokeniser(self, tenant: str) -> Tokeniser:
        """Return what gives the pseudonyms of one tenant."""

    def subject_ref(self, tenant: str, raw_id: str) -> str:
        """Return the keyed reference of a subject."""

    def date_shift(self, tenant: str, subject: str) -> int:
        """Return by how many days the subject's dates move."""


class Treatment(Inspector):
    """What documents go through on their way in, without a vault: nothing is kept, none revealed.

    Safe to use from several threads.
    """

    def __init__(
        self, *, detector: Detector, rules: PrivacyRules, pseudonyms: PseudonymMaker
    ) -> None:
        super().__init__(detector=detector, rules=rules)
        self._pseudonyms = pseudonyms
        parts = (_TRANSFORM_VERSION, self._detector.version, rules.digest)
        self._version = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @property
    def version(self) -> str:
        """A word that changes whenever the same document could be transformed otherwise."""
        return self._version

    def transform(
        self, text: str, spans: Sequence[Span], labels: Labels, subject: str | None = None
    ) -> Transformed:
        """Return the text as the rules of the labels' collection want it. Nothing is stored.

        ``spans`` come from ``inspect`` for this very text. When ``quarantine`` is set, the
        document must stay out. Values to be found again go in by ``Privacy.commit``. ``subject``
        is the keyed reference whose dates these are; a document of several people, or of none,
        gives its own, so that its dates keep their order. Without one, dates to be shifted are
        masked.
        """
        return transform(
            text,
            spans,
            rules=self._rules,
            collection=labels.collection,
            tokeniser=self._pseudonyms.tokeniser(labels.tenant),
            shift=None if subject is None else self._pseudonyms.date_shift(labels.tenant, subject),
            this_year=datetime.now(UTC).year,
        )

    def subject_ref(self, tenant: str, raw_id: str) -> str:
        """Return the keyed reference by which a subject is known everywhere but in the vault."""
        return self._pseudonyms.subject_ref(tenant, raw_id)

    def without_tagged(self, text: str, kept: Sequence[Span]) -> str:
        """Return transformed text with what is kept in clear masked: for titles and headings."""
        return clear.without_tagged(text, kept)

    def embed_view(self, text: str) -> str:
        """Return the text for the dense encoder: each pseudonym and mask as a plain word."""
        return tokens.embed_view(text)

    def token_ranges(self, text: str) -> list[tuple[int, int]]:
        """Return where pseudonyms stand in the text, so that no cut goes through one."""
        return tokens.token_ranges(text)


class Revealer:
    """Puts values in place of the pseudonyms that one reader may see; others stay.

    What no reader sees goes: in the name of a file, a heading or a value it could still say
    something to a program.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __call__(self, text: str) -> str:
        """Return the text with the values that are known here."""
        whole = tokens.TOKEN.sub(lambda found: self._values.get(found[0], found[0]), text)
        return visible(whole)


class Privacy(Treatment):
    """Detector, rules and vault as one gate. Safe to use from several threads.

    Whatever fails behind it raises; no method ever gives back a text that was not looked at.
    """

    def __init__(self, *, detector: Detector, rules: PrivacyRules, vault: Vault) -> None:
        super().__init__(detector=detector, rules=rules, pseudonyms=vault)
        self._vault = vault

    def commit(self, tenant: str, subjects: Iterable[str], *transformed: Transformed) -> None:
        """Keep the pseudonymised values in the vault, under each subject's key; durable at once.

        ``subjects`` are keyed references; a document of no known subject brings one of its own,
        such as ``subject_ref(tenant, "document:" + id)``. Raises ``ValueError`` without any.
        """
        refs = list(dict.fromkeys(subjects))
        if not refs:
            raise ValueError("values need at least one subject whose key seals them")
        values = list(dict.fromkeys(value for one in transformed for value in one.values))
        for ref in refs:
            self._vault.store(tenant, ref, values)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all that this thread commits meanwhile durable at once, at the end."""
        with self._vault.together():
            yield

    def forget(self, tenant: str, subject: str) -> int:
        """Destroy a subject's key and values for good; return how many values went."""
        return self._vault.destroy_subject(tenant, subject)

    def values_of(self, tenant: str, subject: str) -> dict[str, str]:
        """Return all values that are kept of a subject, by pseudonym: for the subject itself."""
        return self._vault.values_of(tenant, subject)

    def kept_of(self, tenant: str, subject: str) -> int:
        """Return how much is kept of a subject: its key counts too."""
        return self._vault.kept_of(tenant, subject)

    def clear_passage(self, passage: Passage, scope: Scope) -> Cleared:
        """Return the passage's text, masked where the scope does not reveal. Pseudonyms stay."""
        return clear.clear_passage(passage, scope)

    def clear_sentences(
        self, passage: Passage, ranges: Sequence[tuple[int, int]], scope: Scope
    ) -> tuple[Cleared, ...]:
        """Return parts of the passage's text, each cleared as ``clear_passage`` clears it."""
        return clear.clear_sentences(passage, ranges, scope)

    def unlinkable(self, text: str, reveals: frozenset[str]) -> str:
        """Return the text with pseudonyms of types that are not revealed as masks."""
        return clear.unlinkable(text, reveals)

    def clear_question(
        self, text: str, scope: Scope, collection: str | None = None
    ) -> ClearedQuestion:
        """Return the question with its identifiers as in the scope's tenant's documents.

        Those of types that the scope does not reveal are masked; see ``clear.clear_question``.

        Raises ``DetectorError`` when the question could not be searched.
        """
        (found,) = self.inspect([text])
        spans = asked_names.whole(text, found)
        cleared = clear.clear_question(
            text,
            spans,
            rules=self._rules,
            collection=collection,
            tokeniser=self._vault.tokeniser(scope.tenant),
            reveals=scope.reveals,
            this_year=datetime.now(UTC).year,
        )
        own = tokens.tokens_in(cleared.text)
        meant = self._meant(text, spans, scope, collection)
        spelt, may_be = self._spelt(text, spans, scope, collection)
        return ClearedQuestion(cleared, (meant | may_be) - own, spelt - own)

    def _meant(
        self, text: str, spans: Sequence[Span], scope: Scope, collection: str | None
    ) -> frozenset[str]:
        """Return the pseudonyms under which documents may have what the question names otherwise.

        Only of types that the asker may see: by others she must find nobody.
        """
        other: set[str] = set()
        asked: list[Clue] = []
        for span in spans:
            if not self._finds_by(span.entity, scope, collection):
                continue
            value, part = text[span.start : span.end], asked_names.trimmed(text, span)
            for way in (part, *clues.other_ways(span.entity, value)):
                if way:
                    other.add(self._vault.token(scope.tenant, span.entity, way))
            asked += clues.asked(span.entity, value)
            asked += clues.asked(span.entity, part) if part else []
        return frozenset(other) | self._namesakes(asked, scope)

    def _spelt(
        self, text: str, spans: Sequence[Span], scope: Scope, collection: str | None
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return the pseudonyms of whole names that the detector did not see as they are written.

        Behind them come those of names that say more: "John A. Smith" where John Smith is asked
        for. Only for who may see names.
        """
        if not self._finds_by("PERSON", scope, collection):
            return frozenset(), frozenset()
        found = asked_names.guesses(text, spans)
        values = [(text[one.start : one.end], one.capitals) for one in found]
        ways = [way for value, _ in values for way in clues.orders(value)]
        spelt = frozenset(self._vault.token(scope.tenant, "PERSON", way) for way in ways)
        asked = [c for value, capitals in values if capitals for c in clues.asked("PERSON", value)]
        return spelt, self._namesakes(asked, scope)

    def _namesakes(self, asked: Sequence[Clue], scope: Scope) -> frozenset[str]:
        found = self._vault.namesakes(scope.tenant, asked, prefer=_subjects(scope))
        return frozenset(t for t in found if tokens.entity_of(t) in scope.reveals)

    def _finds_by(self, entity: str, scope: Scope, collection: str | None) -> bool:
        mode = self._rules.mode(entity, collection)
        return entity in scope.reveals and mode is Mode.PSEUDONYMISE

    def compose(self, template: LiteralString, **parts: Cleared | str | int) -> Cleared:
        """Return the constant template filled with cleared parts; see ``clear.compose``."""
        return clear.compose(template, **parts)

    def join(self, parts: Sequence[Cleared], separator: LiteralString = "") -> Cleared:
        """Return the parts one after the other."""
        return clear.join(parts, separator)

    def excerpt(self, text: str, source: Cleared) -> Cleared:
        """Return a shortened form of cleared text as cleared text; see ``clear.excerpt``."""
        return clear.excerpt(text, source)

    def reveal(self, text: str, scope: Scope, unmasked: frozenset[str] = frozenset()) -> str:
        """Return stored, cleared text with the pseudonyms that the scope reveals as values.

        Those of ``unmasked`` are revealed too. For titles and quotes that are already cleared for
        this reader; generated text goes through ``screen``. Raises ``TamperedError`` when the vault
        does not hold what was written.
        """
        return self.revealer([text], scope, unmasked)(text)

    def revealer(
        self, texts: Iterable[str], scope: Scope, unmasked: frozenset[str] = frozenset()
    ) -> Revealer:
        """Return what reveals these texts as ``reveal`` does, all looked up in the vault at once.

        For one request: it holds values in clear. Raises as ``reveal``.
        """
        held = frozenset[str]().union(*(tokens.tokens_in(text) for text in texts))
        wanted = {t for t in held if tokens.entity_of(t) in scope.reveals or t in unmasked}
        return Revealer(self._values(scope, wanted))

    def revealed(
        self, texts: Iterable[str], scope: Scope, unmasked: frozenset[str] = frozenset()
    ) -> dict[str, int]:
        """Return how many different values of each type ``reveal`` would show in the texts.

        For the audit record: counted from the pseudonyms alone, before anything is opened.
        """
        held = frozenset[str]().union(*(tokens.tokens_in(text) for text in texts))
        seen = (t for t in held if tokens.entity_of(t) in scope.reveals or t in unmasked)
        return dict(sorted(Counter(map(tokens.entity_of, seen)).items()))

    def screen(
        self,
        scope: Scope,
        *,
        known: Collection[str] | None = None,
        withheld: Callable[[str], bool] = lambda _: False,
    ) -> Screen:
        """Return a fresh screen for one answer to the reader of this scope.

        ``known`` are the pseudonyms of the evidence (``tokens.tokens_in`` of passages and
        question): no other is revealed then, whatever the model writes. A value of which
        ``withheld`` is true stays a pseudonym, whoever may see it.
        """

        def lookup(wanted: Collection[str]) -> Mapping[str, str]:
            permitted = wanted if known is None else set(wanted) & set(known)
            values = self._values(scope, permitted)
            return {token: value for token, value in values.items() if not withheld(value)}

        return Screen(
            detector=self._detector, rules=self._rules, reveals=scope.reveals, lookup=lookup
        )

    def _values(self, scope: Scope, wanted: Collection[str]) -> dict[str, str]:
        found = self._vault.reveal(scope.tenant, wanted) if wanted else {}
        return {token: shown(tokens.entity_of(token), value) for token, value in found.items()}


def _subjects(scope: Scope) -> frozenset[str]:
    """Return the subjects that the scope names: the people to whom its principal is related."""
    clauses = (clause for branch in scope.filter.branches for clause in branch.clauses)
    return frozenset[str]().union(*(one.any_of for one in clauses if one.field == "subjects"))
