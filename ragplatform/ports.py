"""What the core asks of the outside world, as protocols. Every adapter and fake passes one suite.

Shapes: ``Vectors`` is ``(n, dim)`` float32, rows of Euclidean length 1.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ragplatform.model import (
    Cleared,
    Hit,
    Labels,
    Narrow,
    Passage,
    Principal,
    Purpose,
    Scope,
    Span,
    Standing,
    TermWeights,
    Usage,
)

Vectors: TypeAlias = NDArray[np.float32]

# How long ago a person may have signed in for their token to count as a second proof, seconds. Long
# enough to sign in and write a reason, too short for a token found on an unlocked screen.
PROOF_AGE_S: Final = 300


class Detector(Protocol):
    """Finds personal data."""

    @property
    def version(self) -> str:
        """A word that changes whenever the same text could give other spans."""

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, in order, sorted by start, none overlapping another.

        Raises ``DetectorError`` rather than return a text unsearched.
        """


class Embedder(Protocol):
    """Turns text into dense vectors."""

    @property
    def version(self) -> str:
        """A word that changes whenever vectors stop being comparable."""

    @property
    def dim(self) -> int:
        """The length of each vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return ``(len(texts), dim)`` float32, in order, each row of Euclidean length 1.

        No texts give ``(0, dim)``.
        """


class Reranker(Protocol):
    """Reads a question and a passage together, and says how well the one answers the other."""

    @property
    def version(self) -> str:
        """A word that changes whenever the same pair could be judged otherwise."""

    def judge(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """Return a number for each text, in order; more is better, and only within one call."""


class TermWeigher(Protocol):
    """Turns text into sparse term weights for lexical search."""

    @property
    def version(self) -> str:
        """A word that changes whenever weights stop being comparable."""

    def weigh_document(self, text: str, context: str = "") -> TermWeights:
        """Return the weights of a text to be found, and of the words that say where it stands."""

    def weigh_query(self, text: str) -> TermWeights:
        """Return the weights of a text to find with. May be empty."""


# Changes whenever ``embedded_text`` or ``Passage.context`` would give another text: it is part of
# every encoder's version, since vectors of one passage made from two texts do not compare.
SEARCHED: Final = "3"

# A longer path of headings would push the passage's own end out of what an encoder sees.
_LONGEST_CONTEXT: Final = 160

# A passage with so many figures is a table: what it means is in its title and the names of its
# rows, and figures fill what an encoder sees before it has read them. Years are words.
_FIGURES_OF_A_TABLE: Final = 12
_FIGURE: Final = re.compile(r"(?<![\w.])(?!(?:19|20)\d\d\b)[$€£]?\(?\d[\d,]*(?:\.\d+)?\)?%?(?!\w)")
_MARKS: Final = re.compile(r"(?<!\w)[$€£—–-](?!\w)")


def embedded_text(passage: Passage) -> str:
    """Return what is embedded of a passage: its text, behind a line or two of where it stands.

    Changes together with ``SEARCHED``.
    """
    context = passage.context[:_LONGEST_CONTEXT]
    text = passage.chunk.text
    if sum(1 for _ in _FIGURE.finditer(text)) >= _FIGURES_OF_A_TABLE:
        text = " ".join(_MARKS.sub(" ", _FIGURE.sub(" ", text)).split())
    return f"{context}\n{text}" if context else text


@dataclass(frozen=True, slots=True)
class Entry:
    """One passage with its vectors, ready to be stored.

    ``vector`` is that of ``embedded_text``, ``terms`` are those of the text and its context.
    """

    passage: Passage
    vector: Sequence[float]
    terms: TermWeights


class Index(Protocol):
    """Stores passages and finds them again, only ever under a scope.

    All methods raise ``IndexUnavailableError`` when the engine does not answer, and are safe to
    call from several threads.
    """

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Store the entries; an entry whose chunk id is already there replaces it.

        Durable when the call returns.
        """

    def search(
        self,
        vector: Sequence[float],
        terms: TermWeights,
        scope: Scope,
        limit: int,
        narrow: Narrow | None = None,
    ) -> list[Hit]:
        """Return up to ``limit`` hits in the scope, best first, dense and sparse fused.

        A hit's score is its cosine and ``Hit.lexical``, a share of its terms' mean weight, taken
        over ``TermWeights.counted``. One whose share is half as much again as any other's is among
        the first three all the same.

        ``narrow`` leaves out what it does not fit. An empty scope gives no hit and asks nothing of
        the engine.
        """

    def fetch(self, chunk: str, scope: Scope) -> Hit | None:
        """Return one passage if it exists and lies in the scope, else None."""

    def browse(self, scope: Scope, narrow: Narrow, limit: int) -> list[Passage]:
        """Return up to ``limit`` passages in the scope that fit ``narrow``, by chunk id.

        Nothing is searched for and nothing ranked. An empty scope asks nothing of the engine.
        """

    def generations(self, tenant: str) -> Mapping[str, Mapping[str, int]]:
        """Return, for each document of the tenant, the number of chunks in each generation."""

    def passages(
        self, tenant: str, document: str, generation: str, *, after: str = "", limit: int
    ) -> list[Passage]:
        """Return up to ``limit`` passages of one generation of a tenant's document, by chunk id.

        Only those whose chunk id comes behind ``after``: the last one of a page asks for the
        next, and an empty page is the end. No scope narrows this: it is for counts about a
        collection, and what a person is shown comes from ``search`` or ``fetch``.
        """

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Delete the tenant's document's chunks of every other generation; return how many went."""

    def remove(self, tenant: str, document: str) -> int:
        """Delete all chunks of the tenant's document; return how many went."""

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """Give all chunks of the document new labels without re-embedding; return how many.

        It is looked for in the tenant of the labels: no label moves it to another one.
        """

    def scrub(self, tenant: str) -> None:
        """Leave nothing in the engine's files of what was deleted from the tenant's index so far.

        It may take seconds, in which nothing else is answered; one call serves many deletions.
        """

    def count(self) -> int:
        """Return the number of chunks stored, over all tenants."""

    def close(self) -> None:
        """Flush and release the engine. Calling it again does nothing."""


@dataclass(frozen=True, slots=True)
class Edition:
    """An index together with what its vectors and weights are made by: others do not compare.

    ``model`` is the manifest name of the encoder's model.
    """

    name: str
    model: str
    embedder: Embedder
    weigher: TermWeigher
    index: Index


class Editions(Protocol):
    """Knows which edition of the index answers. Ask once for each question, and use its parts."""

    def current(self) -> Edition:
        """Return the edition that answers now.

        Raises ``IndexUnavailableError`` when this process cannot ask it.
        """

    def still(self, edition: Edition) -> bool:
        """Return whether the edition is the one that answers."""

    def close(self) -> None:
        """Close every index that was opened. Calling it again does nothing."""


@dataclass(frozen=True, slots=True)
class Archived:
    """One generation of a document as it went into the index.

    ``vectors`` has one row for each passage, made by the encoder whose version ``encoder`` is; None
    where none were kept, and ``encoder`` is "" then.
    """

    passages: tuple[Passage, ...] = field(repr=False)
    vectors: Vectors | None = field(repr=False)
    encoder: str

    @classmethod
    def of(cls, entries: Sequence[Entry], encoder: str) -> "Archived":
        """Return what is kept of entries whose vectors the encoder of this version made."""
        vectors = np.asarray([entry.vector for entry in entries], dtype=np.float32)
        return cls(tuple(entry.passage for entry in entries), vectors, encoder)


class Archive(Protocol):
    """Keeps what the index holds, sealed, so that a lost index can be made again without sources.

    All methods raise ``UnavailableError`` when what is kept cannot be reached, and are safe to call
    from several threads and processes.
    """

    def keep(self, archived: Archived) -> None:
        """Keep one generation of one document in place of any earlier copy of it.

        Durable when the call returns. Raises ``ValueError`` unless all passages are of one
        generation of one document.
        """

    def read(self, tenant: str, document: str, generation: str) -> Archived | None:
        """Return a generation, or None when it is not kept or its key was destroyed.

        Raises ``TamperedError`` when it is not what was kept.
        """

    def has(self, tenant: str, document: str, generation: str) -> bool:
        """Return whether the generation is kept. Nothing is opened."""

    def generations(self, tenant: str) -> Mapping[str, frozenset[str]]:
        """Return which generations are kept of each of the tenant's documents."""

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Remove the document's other generations; return how many went."""

    def forget(self, tenant: str, document: str) -> int:
        """Remove all that is kept of a document; return how many generations went.

        Whoever takes a document out of the index calls this first: what makes the index again looks
        here last. The key is the vault's: where a document is erased, it is destroyed there.
        """


class Entailment(Protocol):
    """Says whether a text says a sentence, by a model of its own."""

    def says(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return for each evidence and claim, in 0..1, how surely the evidence says the claim."""


class Generator(Protocol):
    """Writes text with a language model."""

    @property
    def model(self) -> str:
        """The name that goes into answers and the audit log."""

    def stream(
        self,
        instructions: str,
        prompt: Cleared,
        *,
        cache_salt: str,
        max_tokens: int,
        pattern: str | None = None,
    ) -> AsyncIterator[str | Usage]:
        """Yield the model's text piece by piece, and at the end what it took, where that is known.

        ``instructions`` is the platform's own constant text; all else must be ``Cleared``.
        ``cache_salt`` keeps one scope's prefix cache from answering another's timing; never
        empty. ``pattern`` is a regular expression that the whole output must match.

        Raises ``GeneratorError`` when the server does not answer or stops early.
        """

    async def ready(self) -> bool:
        """Return whether one token can be had now. Health endpoints alone do not prove it."""


class Authenticator(Protocol):
    """Turns a bearer token into a principal."""

    def authenticate(self, token: str, user: str | None = None) -> Principal:
        """Return who the token stands for.

        ``user`` is a registered client's signed statement of the person for whom it asks. A client
        without a statement stands for nobody, and nobody else may make one.

        Raises ``UnauthenticatedError``, or ``UnavailableError`` when what is needed to tell cannot
        be had.
        """

    def prove(self, token: str, principal: Principal) -> None:
        """Accept a second proof by the same person, or raise ``UnauthenticatedError``.

        The person's own key entered again, or a token of theirs for which they signed in within the
        last ``PROOF_AGE_S`` seconds: ``auth_time`` where the token has it, else ``iat``. Same means
        the same tenant and the same id.
        """

    def recall(self, principal: Principal) -> Principal | None:
        """Return a principal with its rights of now, by the credential that it showed before.

        None where only a token could say: there is none here. Raises ``UnauthenticatedError`` when
        the credential is not in force any more, or stands for somebody else.
        """


class Catalog(Protocol):
    """Knows which access classes exist, so that a scope can be decided over them."""

    def register(self, labels: Labels, access_class: str) -> None:
        """Make the class known before any chunk carries it. Registering again does nothing."""

    def classes(self, tenant: str) -> Mapping[str, Labels]:
        """Return the tenant's access classes by their id."""


class Standings(Protocol):
    """Knows how people stand to each other at this moment. Nothing it says is to be remembered."""

    def standing(self, principal: Principal, purpose: Purpose) -> Standing:
        """Return how the principal stands to the people of its tenant now, for this purpose.

        Raises ``UnavailableError`` rather than leave out a refusal.
        """

    def unmasked(self, principal: Principal, chunk: str) -> frozenset[str]:
        """Return the pseudonyms in a passage that the principal unmasked, while that lasts."""

    def note_use(self, standing: Standing, request_id: str, subjects: frozenset[str]) -> None:
        """Note that something about these people is shown under a broken glass, if it is.

        Durable when the call returns.
        """


@dataclass(frozen=True, slots=True)
class Relatives:
    """Whom a directory says a person is related to, by raw id, and as of when (with time zone)."""

    subjects: frozenset[str]
    as_of: datetime


class Directory(Protocol):
    """Another system that knows who is on whose care team or account team."""

    @property
    def name(self) -> str:
        """A short name, by which records say that it could not be believed."""

    @property
    def max_age_s(self) -> float:
        """How old what it says may be, in seconds, before nothing of it counts."""

    def relatives(self, principal: Principal) -> Relatives:
        """Return to whom the principal is related. Raises ``UnavailableError`` without answer."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key encrypted under one version of a key-encryption key."""

    version: str
    wrapped: bytes


class KeyEncryption(Protocol):
    """Wraps the vault's data keys under a key that never enters its database.

    For a key management service, ``wrap`` is its encrypt call and ``unwrap`` its decrypt call, with
    tenant and subject as the encryption context (additional authenticated data), and ``version``
    names the key version in use. Safe to call from several threads.
    """

    @property
    def version(self) -> str:
        """The version under which keys are wrapped now: 1 to 32 characters."""

    def wrap(self, key: bytes, *, tenant: str, subject: str) -> WrappedKey:
        """Return the key wrapped under the version in use, bound to its tenant and subject."""

    def unwrap(self, wrapped: WrappedKey, *, tenant: str, subject: str) -> bytes:
        """Return the key. Every version that was ever used for a stored key must be at hand.

        Raises ``TamperedError`` when it is not what was wrapped for this subject, ``VaultError``
        when the version is not at hand, ``UnavailableError`` when a service does not answer.
        """
