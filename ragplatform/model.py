"""The nouns of the platform. Standard library only, frozen, no behaviour that needs a service.

Offsets count Unicode code points, from 0, half-open: ``text[start:end]``. Pages count from 1.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum, StrEnum
from typing import Final, TypeAlias

# Of the ids that documents and their chunks have; another one would be another corpus.
NAMESPACE: Final = uuid.UUID("6f0c7f1e-1a52-4f0e-8a0b-6a1f3b0a2c11")
# What a file's name ends in says nothing of what it holds.
_LONGEST_SUFFIX: Final = 5

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


class Purpose(StrEnum):
    """Why the caller asks. No purpose, no answer.

    Source: the health codes are HL7 v3 ActReason, value set PurposeOfUse. Finance has no such
    standard; its codes name the duty under which a bank reads a client's file.
    """

    TREAT = "TREAT"
    ETREAT = "ETREAT"
    HPAYMT = "HPAYMT"
    HOPERAT = "HOPERAT"
    HRESCH = "HRESCH"
    PATRQT = "PATRQT"
    FRAUD = "FRAUD"
    SERVICE = "SERVICE"
    CREDIT = "CREDIT"
    KYC = "KYC"
    AML = "AML"
    SUPERVISION = "SUPERVISION"
    COMPLIANCE = "COMPLIANCE"


class Sensitivity(IntEnum):
    """How far a document may travel; a higher number travels less."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    RESTRICTED = 3


class Category(StrEnum):
    """The legal kind of a piece of personal data."""

    PHI = "PHI"
    PCI = "PCI"
    NPI = "NPI"
    PII = "PII"
    SECRET = "SECRET"


class Mode(StrEnum):
    """What ``privacy.toml`` says to do with a found value."""

    KEEP = "keep"
    TAG = "tag"
    MASK = "mask"
    PSEUDONYMISE = "pseudonymise"
    SHIFT = "shift"
    GENERALISE = "generalise"
    DROP = "drop"
    QUARANTINE = "quarantine"


AGAIN: Final = "again:"
"""What the source of a span begins with whose value was found elsewhere in the text."""


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of personal data in a text.

    ``entity`` is the type (``PERSON``, ``US_SSN``), ``score`` lies in 0..1, ``source`` names the
    recogniser that found it, behind ``AGAIN`` where it stands in one more place of the text.
    """

    start: int
    end: int
    entity: str
    category: Category
    score: float
    source: str

    @property
    def recogniser(self) -> str:
        """The recogniser that found the value first."""
        return self.source.rpartition(AGAIN)[2]


@dataclass(frozen=True, slots=True)
class Labels:
    """Everything about a document that policies may look at; its hash is the access class.

    Documents to be kept until the same day share a class, so the ends of years are good days.
    """

    tenant: str
    collection: str
    sensitivity: Sensitivity = Sensitivity.INTERNAL
    department: str = ""
    categories: frozenset[Category] = frozenset()
    restrictions: frozenset[str] = frozenset()
    state: str = "current"
    retain_until: str = ""
    """The last day, as ``2031-12-31``, on which nobody may erase it; "" where no law asks."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or job, as the authenticator vouches for it.

    ``subjects`` are the keyed references (see ``privacy.Vault.subject_ref``) of the patients or
    clients to whom the principal is related, never raw identifiers. ``purposes`` narrows those that
    policy permits to the ones that its key was made for; None narrows nothing. ``via`` names the
    registered client that speaks for the person, and is empty where the person calls itself.
    ``proof`` says by which credential it is known, and is no part of who it is: ``key:`` and the
    beginning of the key's digest, ``token:`` and that of the token's, ``client:`` and the key of
    the client whose statement it was.
    """

    id: str
    tenant: str
    roles: frozenset[str]
    departments: frozenset[str] = frozenset()
    clearance: Sensitivity = Sensitivity.INTERNAL
    subjects: frozenset[str] = frozenset()
    name: str = ""
    purposes: frozenset[Purpose] | None = None
    via: str = ""
    proof: str = field(default="", compare=False)


class Consent(StrEnum):
    """What the people a passage is about have said of a purpose.

    ``REFUSED`` where one of them refuses it, else ``GIVEN`` where one of them consents, else
    ``SILENT``. A passage about several people carries the restriction ``mixed-subjects``, since
    the consent of one of them is not that of the others.
    """

    REFUSED = "refused"
    SILENT = "silent"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a principal stands to the people whose data it is, at one moment, for one purpose.

    All sets hold keyed references of the principal's tenant. ``related``: care team or account
    team. ``opened``: whose records the principal opened by breaking the glass. ``consenting`` and
    ``refusing``: who consents to the purpose and who refuses it. ``glass`` names the openings in
    force, ``dark`` the access feeds that are too old to be believed and count for nothing.
    """

    principal: Principal
    purpose: Purpose
    related: frozenset[str]
    opened: frozenset[str] = frozenset()
    consenting: frozenset[str] = frozenset()
    refusing: frozenset[str] = frozenset()
    glass: tuple[str, ...] = ()
    dark: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clause:
    """True where the keyword field of a passage holds at least one of the values."""

    field: str
    any_of: frozenset[str]

    def __post_init__(self) -> None:
        if not self.any_of:
            # An empty list means "no condition" in some engines: that would fail open.
            raise ValueError("a clause needs at least one value")


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where every clause is true and none of ``none_of`` is. At least one clause."""

    clauses: tuple[Clause, ...]
    none_of: tuple[Clause, ...] = ()

    def __post_init__(self) -> None:
        if not self.clauses:
            raise ValueError("AllOf needs at least one clause")


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where at least one branch is true. No branch at all: nothing matches."""

    branches: tuple[AllOf, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """What one principal may search for one purpose. Made only by ``ragplatform.policy``.

    ``filter`` speaks about the passage fields ``access_class``, ``subjects`` and ``collection``.
    ``reveals`` holds the entity types that the principal may see in clear.
    """

    tenant: str
    principal: str
    purpose: Purpose
    filter: AnyOf
    reveals: frozenset[str]
    policy_digest: str
    key: str
    """A digest over everything above: equal keys mean equal rights. Salts the model's cache."""

    @property
    def empty(self) -> bool:
        """Whether no passage at all can match."""
        return not self.filter.branches


@dataclass(frozen=True, slots=True)
class Decision:
    """A policy verdict, the ``@id`` of the policies that decided it, and why it failed if so."""

    allowed: bool
    policies: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def why_not(self) -> str:
        """What denied it, in words: the policies and errors, or that none permits it."""
        return ", ".join((*self.policies, *self.errors)) or "no policy permits it"


@dataclass(frozen=True, slots=True)
class Cleared:
    """Text that may be sent to a model. Made only by ``ragplatform.privacy``."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an audit record is durable. Made only by ``ragplatform.audit``."""

    origin: str
    index: int
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of one document's transformed text; ``start`` and ``end`` are offsets into that text.

    ``spans`` lists the personal data that is still in clear in ``text`` (mode ``tag``), with
    offsets into ``text``. ``page`` is None for formats that have no pages. ``page_breaks`` lists
    each further page that begins in the chunk, as its offset in ``text`` and its number.
    ``page_labels`` holds number and label of those of its pages that the document labels itself.
    """

    id: str
    ordinal: int
    text: str = field(repr=False)
    start: int
    end: int
    page: int | None = None
    page_end: int | None = None
    heading: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    page_breaks: tuple[tuple[int, int], ...] = ()
    page_labels: tuple[tuple[int, str], ...] = ()

    def page_at(self, offset: int) -> int | None:
        """Return the page that holds an offset of ``text``, or None without pages."""
        begun = [number for start, number in self.page_breaks if start <= offset]
        return begun[-1] if begun else self.page

    def label_of(self, page: int | None) -> str | None:
        """Return the document's own label of one of the chunk's pages, or None without one."""
        return next((label for number, label in self.page_labels if number == page), None)


def chunk_id(document: str, generation: str, ordinal: int) -> str:
    """Return the id of a document's chunk: who knows one chunk knows those beside it."""
    return str(uuid.uuid5(NAMESPACE, f"{document}/{generation}/{ordinal}"))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a document says of itself and one passage of it, by which searches narrow and rank.

    None of it is personal data, and all but ``dates`` is in lower case. ``kinds`` say what the
    document is (``10-k``, ``discharge-summary``), ``organisations`` hold names of whose it is,
    ``years`` the (fiscal) years that it reports (``2022``), ``quarters`` the quarters
    (``2023-q2``), ``dates`` its own days (``2023-02-08``), ``parts`` which part of such a document
    this passage is (``balance-sheet``).
    """

    kinds: frozenset[str] = frozenset()
    organisations: frozenset[str] = frozenset()
    years: frozenset[str] = frozenset()
    quarters: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Narrow:
    """What the asker wants a search kept to. It only ever takes away from a scope.

    None is no condition; a passage must satisfy all others, each by one of its values. ``subjects``
    are keyed references. ``earliest`` and ``latest`` are days as ``2023-02-08``, both included; a
    passage without a date lies in no range.
    """

    documents: frozenset[str] | None = None
    media_types: frozenset[str] | None = None
    subjects: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    organisations: frozenset[str] | None = None
    years: frozenset[str] | None = None
    quarters: frozenset[str] | None = None
    parts: frozenset[str] | None = None
    earliest: str | None = None
    latest: str | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            given = getattr(self, one.name)
            if given is not None and not given:
                # An empty list means "no condition" in some engines: more than was asked for.
                raise ValueError(f"{one.name} needs at least one value")

    def said(self) -> dict[str, list[str]]:
        """Return the conditions that there are: each one's name, and its values sorted."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name: [values] if isinstance(values, str) else sorted(values)
            for name, values in given.items()
            if values is not None
        }


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk with all that is known of the document it comes from: what the index stores."""

    chunk: Chunk
    document: str
    title: str = field(repr=False)
    labels: Labels
    access_class: str
    subjects: frozenset[str]
    generation: str
    media_type: str = ""
    facts: Facts = Facts()

    @property
    def context(self) -> str:
        """Where the passage stands: its document's title and the sections around it, a line each.

        What says whose or which report it is often stands there alone, so it is searched with the
        passage's own text.
        """
        named = self.title.rpartition(".")
        is_file = named[0] and 0 < len(named[2]) <= _LONGEST_SUFFIX and named[2].isalnum()
        return "\n".join(dict.fromkeys((named[0] if is_file else self.title, *self.chunk.heading)))


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found by a search. Scores compare only within one result list.

    ``lexical`` is the part of the score that the question's words make, the rest is the cosine of
    its meaning. ``vector`` is the passage's own, empty where it was not searched for.
    """

    passage: Passage
    score: float
    lexical: float = 0.0
    vector: Sequence[float] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TermWeights:
    """A sparse vector: term ids and their weights, equally long.

    ``aside`` is how many of a question's terms do not make it longer. How many people bear a name
    is known to the vault alone: a score that falls with their number would tell it.
    """

    indices: tuple[int, ...]
    values: tuple[float, ...]
    aside: int = 0

    @property
    def counted(self) -> int:
        """How many terms a question's weight of terms is the mean over."""
        return len(self.indices) - self.aside

    def with_more(self, others: "TermWeights") -> "TermWeights":
        """Return these weights and those of the others that are not among them, in order."""
        weights = dict(zip(others.indices, others.values, strict=True))
        weights |= dict(zip(self.indices, self.values, strict=True))
        pairs = sorted(weights.items())
        return TermWeights(
            tuple(term for term, _ in pairs), tuple(weight for _, weight in pairs), self.aside
        )

    def with_aside(self, others: "TermWeights") -> "TermWeights":
        """Return ``with_more``, with what came to these counted aside."""
        more = self.with_more(others)
        return replace(more, aside=self.aside + len(more.indices) - len(self.indices))


@dataclass(frozen=True, slots=True)
class Citation:
    """Where sentence evidence stands: passage ``number`` of the answer's source list.

    ``page_label`` is what the document itself calls the page, None where it does not.
    """

    number: int
    chunk: str
    document: str
    title: str = field(repr=False)
    page: int | None
    start: int
    end: int
    quote: str = field(repr=False)
    page_label: str | None = None


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """What stands behind a model's name: digests over pinned files, "" where nothing is pinned."""

    digest: str = ""
    adapter: str = ""
    adapter_digest: str = ""


class AnswerMode(StrEnum):
    """How the answer was made."""

    EXTRACTIVE = "extractive"
    ABSTRACTIVE = "abstractive"
    REFUSAL = "refusal"


class SentenceKind(StrEnum):
    """What a sentence of an answer is, and so what vouches for it."""

    QUOTED = "quoted"
    """It stands so in the passage that it cites."""
    SUPPORTED = "supported"
    """The model wrote it, and the passage that it cites says it."""
    UNSUPPORTED = "unsupported"
    """The model wrote it and no passage says it; it is marked so in the text."""
    CONFLICT = "conflict"
    """It stands so in the passage that it cites, and contradicts a sentence before it."""
    GAP = "gap"
    """The platform says which part of the question no passage answers."""
    REFUSAL = "refusal"
    """The platform says that there is no answer."""


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """One sentence of an answer as its reader sees it, the passages it cites, and its support.

    ``coverage`` is the share of its content words that its evidence holds, None where that was not
    asked. ``failed`` names the check that found no support.
    """

    text: str = field(repr=False)
    kind: SentenceKind
    citations: tuple[int, ...] = ()
    coverage: float | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """How many tokens a model read and wrote, as its server counts them."""

    prompt: int = 0
    completion: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.prompt + other.prompt, self.completion + other.completion)


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. ``refusal`` is a stable word when nothing could be answered.

    ``passages`` are the chunks that were before it, in the order of their numbers, ``sentences``
    its text taken apart, ``weights`` what stands behind the model's name. ``question`` is what was
    asked in the words that were searched by, where earlier questions helped to understand it.
    """

    request_id: str
    text: str = field(repr=False)
    mode: AnswerMode
    citations: tuple[Citation, ...]
    refusal: str | None
    model: str
    policy_digest: str
    dropped_sentences: int = 0
    redactions: Mapping[str, int] = field(default_factory=dict)
    usage: Usage = Usage()
    """What the model's part took; nothing where no model took part."""
    sentences: tuple[AnswerSentence, ...] = ()
    passages: tuple[str, ...] = ()
    weights: ModelWeights = ModelWeights()
    question: str = field(default="", repr=False)
